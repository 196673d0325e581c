//! Random access to bytes: a file, a part of it, or a decompressed image.

use image_tree::{to_u64, to_usize};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

/// Something with a length whose bytes can be read at any place, by several threads at once.
pub trait ReadAt: std::fmt::Debug + Send + Sync {
    /// The length in \[bytes\].
    fn length(&self) -> u64;

    /// Fills the buffer with the bytes from `offset` \[bytes\]. Fails with `UnexpectedEof` after the end.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The first offset in \[bytes\], from `offset`, that may be other than zero. Skips holes, if they are known.
    fn next_data(&self, offset: u64) -> u64 {
        offset
    }

    /// Stored size in \[bytes\]: less than the length if there are holes. Limits how much of the structures
    /// is read.
    fn stored(&self) -> u64 {
        self.length()
    }
}

/// A file or device, with its length when it was opened.
#[derive(Debug)]
pub(crate) struct FileSource {
    pub(crate) file: File,
    pub(crate) length: u64,
}

impl ReadAt for FileSource {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn next_data(&self, offset: u64) -> u64 {
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => self.length.max(offset),
            // File systems and devices without support for holes.
            Err(_) => offset,
        }
    }

    fn stored(&self) -> u64 {
        /// Unit of `st_blocks` in [bytes].
        const UNIT: u64 = 512;
        match self.file.metadata() {
            Ok(found) if found.is_file() && found.blocks() > 0 => {
                found.blocks().saturating_mul(UNIT).min(self.length)
            }
            // Devices have no holes, and some file systems report no blocks.
            _ => self.length,
        }
    }
}

/// A part of a source, such as a partition.
#[derive(Clone, Debug)]
pub struct Window {
    source: Arc<dyn ReadAt>,
    offset: u64,
    length: u64,
}

impl Window {
    /// The whole source.
    pub fn whole(source: Arc<dyn ReadAt>) -> Self {
        let length = source.length();
        Self { source, offset: 0, length }
    }

    /// A part of the window, cut at its end.
    #[must_use]
    pub fn part(&self, offset: u64, length: u64) -> Self {
        let offset = offset.min(self.length);
        let length = length.min(self.length.saturating_sub(offset));
        Self { source: Arc::clone(&self.source), offset: self.offset.saturating_add(offset), length }
    }

    /// The length in \[bytes\].
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Upper limit of the stored size in \[bytes\].
    pub(crate) fn stored(&self) -> u64 {
        self.source.stored().min(self.length)
    }

    /// Fills the buffer with the bytes from `offset` \[bytes\]. Fails with `UnexpectedEof` after the end.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(to_u64(buffer.len())).filter(|end| *end <= self.length);
        let at = end.and_then(|_| self.offset.checked_add(offset)).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.source.read_exact_at(at, buffer)
    }

    /// The first offset in \[bytes\], from `offset`, that may be other than zero; the end if there is none.
    pub fn next_data(&self, offset: u64) -> u64 {
        let data = self.source.next_data(self.offset.saturating_add(offset));
        data.saturating_sub(self.offset).max(offset).min(self.length.max(offset))
    }

    /// Reads bytes into memory. The caller limits the length.
    pub fn bytes(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; to_usize(length)];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
impl ReadAt for Vec<u8> {
    fn length(&self) -> u64 {
        to_u64(self.len())
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let at = to_usize(offset);
        let found = at.checked_add(buffer.len()).and_then(|end| self.get(at..end));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reads_only_its_part() {
        let whole = Window::whole(Arc::new((0..100).collect::<Vec<u8>>()));
        let part = whole.part(10, 20).part(5, 100);
        assert_eq!((part.length(), part.bytes(0, 15).unwrap()), (15, (15..30).collect::<Vec<u8>>()));
        for (offset, length) in [(0, 16), (15, 1), (u64::MAX, 1), (1, u64::MAX)] {
            let error = part.bytes(offset, length).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{offset} {length}");
        }
        assert_eq!(whole.part(200, 1).length(), 0);
    }

    #[test]
    fn by_default_everything_may_be_data() {
        let bytes = vec![0; 100];
        assert_eq!((bytes.next_data(7), bytes.stored()), (7, 100));
    }

    /// A file with these bytes at these offsets, and holes elsewhere.
    fn sparse(length: u64, data: &[(u64, &[u8])]) -> FileSource {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        for (at, bytes) in data {
            file.write_all_at(bytes, *at).unwrap();
        }
        FileSource { file, length }
    }

    #[test]
    fn holes_of_files_are_not_stored() {
        let megabyte = 1 << 20;
        let holes = sparse(4 * megabyte, &[(megabyte, &[1; 4096])]);
        let stored = holes.stored();
        assert!((4096..megabyte).contains(&stored), "{stored}");
        // Blocks may be longer than the file. Some file systems report no blocks.
        assert_eq!(sparse(10, &[(0, &[1; 10])]).stored(), 10);
        assert_eq!(sparse(megabyte, &[]).stored(), megabyte);
        let window = Window::whole(Arc::new(holes));
        assert_eq!(window.stored(), stored);
        assert_eq!(window.part(0, 100).stored(), 100);
    }

    #[test]
    fn data_are_found_after_holes() {
        let megabyte = 1 << 20;
        let whole = Window::whole(Arc::new(sparse(4 * megabyte, &[(megabyte, &[1; 4096])])));
        assert_eq!([0, megabyte].map(|at| whole.next_data(at)), [megabyte; 2]);
        assert_eq!([2 * megabyte, 5 * megabyte].map(|at| whole.next_data(at)), [4 * megabyte, 5 * megabyte]);
        // Offsets are those in the window.
        let part = whole.part(1000, 2 * megabyte);
        assert_eq!(
            [0, 1_600_000, 3 * megabyte].map(|at| part.next_data(at)),
            [megabyte - 1000, 2 * megabyte, 3 * megabyte]
        );
        assert_eq!(whole.part(1000, 5000).next_data(1), 5000);
    }
}
