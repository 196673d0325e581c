use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::observer::Observer;
use crate::sink::{BUFFER, ZEROS};
use crate::{to_u64, to_usize};

/// An [`Observer`] that hashes an image before compression.
#[derive(Clone, Debug, Default)]
pub struct ImageDigest(Sha256);

impl ImageDigest {
    /// The SHA-256 of all bytes of the image. Call it after the image is written.
    #[must_use]
    pub fn sha256(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl Observer for ImageDigest {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn zeros(&mut self, len: u64) {
        let mut left = len;
        while left > 0 {
            let now = to_usize(left).min(ZEROS.len());
            self.0.update(&ZEROS[..now]);
            left -= to_u64(now);
        }
    }
}

/// The SHA-256 of the bytes in some ranges, and of all others. So an output whose ranges are written last can be compared with what
/// was written, although its bytes never passed in order.
pub(crate) struct SplitDigest {
    /// Ascending and disjoint.
    ranges: Vec<Range<u64>>,
    /// The first range that does not end before `at`.
    next: usize,
    at: u64,
    patched: Sha256,
    rest: Sha256,
}

impl SplitDigest {
    pub(crate) fn new(ranges: Vec<Range<u64>>) -> Self {
        Self { ranges, next: 0, at: 0, patched: Sha256::new(), rest: Sha256::new() }
    }

    /// Bytes of the next range, which take the place of those that passed.
    pub(crate) fn patch(&mut self, bytes: &[u8]) {
        self.patched.update(bytes);
    }

    /// Whether the first `len` \[bytes\] of a file are these. Also returns the SHA-256 of them if `whole` is set.
    pub(crate) fn compare(self, file: &File, len: u64, whole: bool) -> io::Result<(bool, Option<[u8; 32]>)> {
        let mut read = Self::new(self.ranges);
        let mut hash = whole.then(Sha256::new);
        read_with(file, len, |bytes| {
            read.take(bytes, true);
            if let Some(hash) = &mut hash {
                hash.update(bytes);
            }
        })?;
        let is_equal = [(self.patched, read.patched), (self.rest, read.rest)]
            .into_iter()
            .all(|(written, read)| written.finalize() == read.finalize());
        Ok((is_equal, hash.map(|hash| hash.finalize().into())))
    }

    /// The next bytes of the image. Those in ranges are hashed only if they are not placeholders.
    fn take(&mut self, bytes: &[u8], is_patched: bool) {
        let mut left = bytes;
        while !left.is_empty() {
            let range = self.ranges.get(self.next);
            let is_in = range.is_some_and(|range| range.start <= self.at);
            let end = range.map_or(u64::MAX, |range| if is_in { range.end } else { range.start });
            let (now, later) = left.split_at(left.len().min(to_usize(end - self.at)));
            if !is_in {
                self.rest.update(now);
            } else if is_patched {
                self.patched.update(now);
            }
            self.at += to_u64(now.len());
            if is_in && self.at == end {
                self.next += 1;
            }
            left = later;
        }
    }
}

impl Observer for SplitDigest {
    fn bytes(&mut self, bytes: &[u8]) {
        self.take(bytes, false);
    }

    fn zeros(&mut self, len: u64) {
        let mut left = len;
        while left > 0 {
            let now = to_usize(left).min(ZEROS.len());
            self.take(&ZEROS[..now], false);
            left -= to_u64(now);
        }
    }
}

/// The SHA-256 of a file's first `len` bytes, read back.
pub(crate) fn read_back(file: &File, len: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    read_with(file, len, |bytes| hash.update(bytes))?;
    Ok(hash.finalize().into())
}

/// Reads a file's first `len` bytes, part by part.
fn read_with(file: &File, len: u64, mut show: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < len {
        let bytes = &mut buffer[..to_usize(len - at).min(BUFFER)];
        file.read_exact_at(bytes, at)?;
        show(bytes);
        at += to_u64(bytes.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes bytes in parts of a length, patches the ranges, and compares the result with a file.
    fn compare(bytes: &[u8], patches: &[u8], part: usize, file: &[u8]) -> (bool, Option<[u8; 32]>) {
        let mut digest = SplitDigest::new(vec![0..3, 3..5, 10..12]);
        for part in bytes.chunks(part) {
            if part.iter().all(|byte| *byte == 0) {
                digest.zeros(to_u64(part.len()));
            } else {
                digest.bytes(part);
            }
        }
        digest.patch(patches);
        let on_disk = tempfile::tempfile().unwrap();
        on_disk.write_all_at(file, 0).unwrap();
        digest.compare(&on_disk, to_u64(file.len()), true).unwrap()
    }

    #[test]
    fn an_output_is_compared_with_its_patches() {
        let (before, after) = (b"-----abcde--\0\0\0\0", b"12345abcde67\0\0\0\0");
        let whole: [u8; 32] = Sha256::digest(after).into();
        for part in [1, 2, 3, 4, 5, 7, 16] {
            assert_eq!(compare(before, b"1234567", part, after), (true, Some(whole)), "{part}");
            for at in 0..after.len() {
                let mut other = *after;
                other[at] ^= 1;
                assert!(!compare(before, b"1234567", part, &other).0, "{part} {at}");
            }
        }
    }

    #[test]
    fn the_digest_of_an_image_is_that_of_its_bytes_and_zeros() {
        let mut image = vec![7; 10];
        let mut digest = ImageDigest::default();
        digest.bytes(&image);
        for len in [0, 1, ZEROS.len(), ZEROS.len() + 1, 3 * ZEROS.len() - 5] {
            digest.zeros(to_u64(len));
            image.resize(image.len() + len, 0);
        }
        assert_eq!(digest.sha256(), <[u8; 32]>::from(Sha256::digest(&image)));
    }

    #[test]
    fn the_start_of_a_file_is_read_back() {
        let bytes = crate::testing::data(0, to_u64(2 * BUFFER + 9));
        let file = crate::testing::in_memory(&bytes);
        for len in [0, 1, BUFFER, BUFFER + 1, 2 * BUFFER + 9] {
            let expected: [u8; 32] = Sha256::digest(&bytes[..len]).into();
            assert_eq!(read_back(&file, to_u64(len)).unwrap(), expected, "{len}");
        }
        assert!(read_back(&file, to_u64(bytes.len()) + 1).is_err());
    }
}
