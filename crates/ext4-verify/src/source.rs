//! The bytes of an image.

use std::io;

use crate::numbers::{to_u64, to_usize};

/// The bytes of a file system.
pub trait Source {
    /// How many there are, in \[bytes\].
    fn length(&self) -> u64;

    /// Fills the buffer from `offset` \[bytes\] on; `UnexpectedEof` where they do not exist.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The first place from `offset` \[bytes\] on that may be other than zero: beyond a hole, where holes are known.
    fn next_data(&self, offset: u64) -> u64 {
        offset
    }
}

impl Source for [u8] {
    fn length(&self) -> u64 {
        to_u64(self.len())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let at = to_usize(offset);
        let found = at.checked_add(buffer.len()).and_then(|end| self.get(at..end));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn length(&self) -> u64 {
        self.as_slice().length()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read(offset, buffer)
    }
}

/// What could not be read of an image, although it should be there.
#[derive(Debug)]
pub struct Unreadable {
    /// Where, in \[bytes\] from the start of the file system.
    pub offset: u64,
    /// Why.
    pub error: io::Error,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "byte {} of the file system can't be read: {}; see that its disk is sound",
            self.offset, self.error
        )
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slice has no length of its own, so it can't be a trait object.
    struct Slice<'b>(&'b [u8]);

    impl Source for Slice<'_> {
        fn length(&self) -> u64 {
            self.0.length()
        }

        fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, buffer)
        }

        fn next_data(&self, offset: u64) -> u64 {
            self.0.next_data(offset)
        }
    }

    #[test]
    fn memory_is_read_up_to_its_end() {
        let bytes = vec![1, 2, 3, 4];
        let sources: [&dyn Source; 2] = [&bytes, &Slice(&bytes)];
        for source in sources {
            let mut two = [0; 2];
            source.read(2, &mut two).unwrap();
            assert_eq!((source.length(), two), (4, [3, 4]));
            assert_eq!(source.read(3, &mut two).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            assert_eq!(source.read(u64::MAX, &mut two).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            // Nothing is known of holes.
            assert_eq!(source.next_data(3), 3);
        }
    }

    #[test]
    fn what_cannot_be_read_is_reported_with_its_place() {
        let unreadable = Unreadable { offset: 4096, error: io::Error::other("Input/output error") };
        assert_eq!(
            unreadable.to_string(),
            "byte 4096 of the file system can't be read: Input/output error; see that its disk is sound"
        );
    }
}
