//! Containers that store the blocks of an image compressed.

use std::fmt;
use std::io;

/// A block of an image in a [`PackedFormat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackedBlock {
    /// Only zeros: not stored.
    Zeros,
    /// Compressed.
    Compressed(Vec<u8>),
    /// As it is, because compression would not make it shorter.
    Plain(Vec<u8>),
}

/// A container with compressed blocks. Its length is known only after the last block, so it is no
/// [`PieceSource`](crate::PieceSource): a writer compresses the blocks, in any threads, and passes them on in order.
pub trait PackedFormat: fmt::Debug + Send + Sync {
    /// Length of the image in \[bytes\].
    fn image_len(&self) -> u64;

    /// Length of a block in \[bytes\]. The last block of an image may be shorter.
    fn block(&self) -> usize;

    /// Compresses consecutive blocks. The result depends on nothing else.
    ///
    /// # Errors
    /// Fails if the compressor fails, for example without memory.
    fn compress(&self, blocks: &[u8]) -> io::Result<Vec<PackedBlock>>;

    /// Whether the start of the file is known only at its end, so that the file can't be written as a stream.
    fn is_patched(&self) -> bool;

    /// Begins a file: appends its first bytes to `output`.
    fn begin(&self, output: &mut Vec<u8>) -> Box<dyn PackedFile>;
}

/// A file of a [`PackedFormat`] that is being written.
pub trait PackedFile: Send {
    /// Appends the next block to `output`.
    ///
    /// # Errors
    /// Fails if the file gets too long for the format.
    fn block(&mut self, block: &PackedBlock, output: &mut Vec<u8>) -> io::Result<()>;

    /// The next `count` blocks are zeros.
    ///
    /// # Errors
    /// Fails if the file gets too long for the format.
    fn zeros(&mut self, count: u64, output: &mut Vec<u8>) -> io::Result<()>;

    /// Appends what follows the last block. Returns the bytes that must replace the first ones of the file, if
    /// [`PackedFormat::is_patched`].
    ///
    /// # Errors
    /// Fails if the file gets too long for the format.
    fn end(self: Box<Self>, output: &mut Vec<u8>) -> io::Result<Vec<u8>>;
}
