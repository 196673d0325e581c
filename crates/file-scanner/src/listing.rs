//! The names of a directory, sorted by their bytes, unique, without `.` and `..`.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use image_tree::to_usize;
use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// Buffer size in \[bytes\], for about 2,000 entries per call. A larger one was not faster with 300,000 entries.
const BUFFER: usize = 64 << 10;

/// The reason why a directory can't be listed.
#[derive(Debug)]
pub(crate) enum ListError {
    System(Errno),
    /// A name of more than 255 bytes.
    NameTooLong(Vec<u8>),
    /// 4 GiB of names or a duplicate name: entries were added while it was read.
    Changed,
}

/// The entries of a directory, without an allocation for each.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// All names, each followed by a NUL for system calls.
    names: Vec<u8>,
    entries: Vec<Listed>,
}

#[derive(Clone, Copy, Debug)]
struct Listed {
    start: u32,
    len: u8,
    file_type: FileType,
}

impl Listing {
    /// Reads a directory through its descriptor.
    pub(crate) fn read(directory: BorrowedFd<'_>) -> Result<Self, ListError> {
        let mut listing = Self::default();
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(ListError::System)?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                listing.push(name.to_bytes(), entry.file_type())?;
            }
        }
        listing.finish()
    }

    /// A listing of known names, with unknown types.
    pub(crate) fn of_names(names: &[Vec<u8>]) -> Result<Self, ListError> {
        let mut listing = Self::default();
        for name in names {
            listing.push(name, FileType::Unknown)?;
        }
        listing.finish()
    }

    /// A listing of names that are sorted and unique.
    pub(crate) fn of_sorted<'n>(names: impl Iterator<Item = &'n [u8]>) -> Result<Self, ListError> {
        let mut listing = Self::default();
        for name in names {
            listing.push(name, FileType::Unknown)?;
        }
        listing.names.shrink_to_fit();
        listing.entries.shrink_to_fit();
        Ok(listing)
    }

    fn push(&mut self, name: &[u8], file_type: FileType) -> Result<(), ListError> {
        let len = u8::try_from(name.len()).map_err(|_| ListError::NameTooLong(name.to_vec()))?;
        let start = u32::try_from(self.names.len()).map_err(|_| ListError::Changed)?;
        self.names.extend_from_slice(name);
        self.names.push(0);
        self.entries.push(Listed { start, len, file_type });
        Ok(())
    }

    fn finish(mut self) -> Result<Self, ListError> {
        let names = &self.names;
        self.entries.sort_unstable_by(|a, b| bytes_of(names, *a).cmp(bytes_of(names, *b)));
        let twice = self.entries.windows(2).any(|pair| match pair {
            [a, b] => bytes_of(names, *a) == bytes_of(names, *b),
            _ => false,
        });
        if twice {
            return Err(ListError::Changed);
        }
        self.names.shrink_to_fit();
        self.entries.shrink_to_fit();
        Ok(self)
    }

    /// The position of a name.
    pub(crate) fn position(&self, name: &[u8]) -> Option<usize> {
        self.entries.binary_search_by(|entry| bytes_of(&self.names, *entry).cmp(name)).ok()
    }

    /// Keeps only the entries with these names.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&[u8]) -> bool) {
        let names = &self.names;
        self.entries.retain(|entry| is_wanted(bytes_of(names, *entry)));
    }

    /// Keeps only the entries at some positions.
    pub(crate) fn retain_at(&mut self, mut is_wanted: impl FnMut(usize) -> bool) {
        let mut index = 0;
        self.entries.retain(|_| {
            index += 1;
            is_wanted(index - 1)
        });
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Total length of the names in \[bytes\].
    pub(crate) fn name_bytes(&self) -> usize {
        self.names.len() - self.entries.len()
    }

    /// The bytes of an entry's name.
    pub(crate) fn name(&self, index: usize) -> &[u8] {
        bytes_of(&self.names, self.entries[index])
    }

    /// A name for a system call.
    pub(crate) fn c_name(&self, index: usize) -> &CStr {
        let entry = self.entries[index];
        let start = to_usize(entry.start.into());
        let bytes = &self.names[start..=start + usize::from(entry.len)];
        CStr::from_bytes_with_nul(bytes).expect("invariant: `push` adds the only NUL of a name")
    }

    /// The type that the directory gives for an entry.
    pub(crate) fn file_type(&self, index: usize) -> FileType {
        self.entries[index].file_type
    }
}

fn bytes_of(names: &[u8], entry: Listed) -> &[u8] {
    let start = to_usize(entry.start.into());
    &names[start..start + usize::from(entry.len)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_bytes_and_end_in_nul_for_the_system() {
        let listing =
            Listing::of_names(&[b"b".to_vec(), b"a-b".to_vec(), b"a".to_vec(), vec![0xff]]).unwrap();
        let names: Vec<&[u8]> = (0..listing.len()).map(|i| listing.name(i)).collect();
        assert_eq!(names, [&b"a"[..], b"a-b", b"b", b"\xff"]);
        assert_eq!(listing.c_name(1), c"a-b");
        assert_eq!((listing.position(b"b"), listing.position(b"c")), (Some(2), None));
        assert_eq!(listing.name_bytes(), 6);
    }

    #[test]
    fn entries_that_are_not_wanted_leave_the_others_in_their_order() {
        let mut listing = Listing::of_names(&[b"b".to_vec(), b"a".to_vec(), b"c".to_vec()]).unwrap();
        listing.retain(|name| name != b"b");
        assert_eq!((listing.len(), listing.c_name(0), listing.c_name(1)), (2, c"a", c"c"));
    }

    #[test]
    fn a_name_twice_or_too_long_is_refused() {
        assert!(matches!(Listing::of_names(&[b"a".to_vec(), b"a".to_vec()]), Err(ListError::Changed)));
        assert!(matches!(Listing::of_names(&[vec![b'a'; 256]]), Err(ListError::NameTooLong(_))));
    }
}
