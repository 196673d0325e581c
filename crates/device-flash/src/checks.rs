//! What is read back after writing.
//!
//! Everything that was written, so that a device that stores other bytes or none is found. And some of what was not written
//! because it was right: on a card that is smaller than it claims, several addresses have the same storage, so that a write
//! elsewhere changes it. If the device looks like that ([`crate::aliases`]), all of it.

use image_tree::{to_u64, to_usize};

use crate::error::FlashError;
use crate::medium::Medium;

/// The length of a piece with one checksum, in \[bytes\]. It divides the length of a chunk.
pub(crate) const PIECE: usize = 64 << 10;

/// One piece in so many is read back although it was not written.
const SAMPLE: usize = 64;

/// A piece of the image.
#[derive(Clone, Copy, Debug)]
struct Piece {
    checksum: u32,
    was_written: bool,
}

/// All pieces of the image, in order.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pieces: Vec<Piece>,
    /// Length of the image in \[bytes\].
    length: u64,
}

/// What is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What was written, and samples; without the beginning.
    Written,
    /// Everything, except the beginning.
    All,
    /// The first piece.
    Beginning,
}

impl Checks {
    /// Adds a chunk, which follows the last one. `was_written` says for a range of it whether it was written in part.
    pub(crate) fn add(&mut self, chunk: &[u8], was_written: impl Fn(std::ops::Range<usize>) -> bool) {
        for (index, piece) in chunk.chunks(PIECE).enumerate() {
            let start = index.saturating_mul(PIECE);
            let was_written = was_written(start..start.saturating_add(piece.len()));
            self.pieces.push(Piece { checksum: crc32c::crc32c(piece), was_written });
        }
        self.length = self.length.saturating_add(to_u64(chunk.len()));
    }

    fn chosen(&self, extent: Extent) -> impl Iterator<Item = (usize, &Piece)> {
        self.pieces.iter().enumerate().filter(move |(index, piece)| match extent {
            Extent::Beginning => *index == 0,
            Extent::All => *index > 0,
            Extent::Written => *index > 0 && (piece.was_written || index.is_multiple_of(SAMPLE)),
        })
    }

    /// Offset and length of a piece in \[bytes\].
    fn place(&self, index: usize) -> (u64, u64) {
        let start = to_u64(index.saturating_mul(PIECE));
        (start, to_u64(PIECE).min(self.length.saturating_sub(start)))
    }

    /// How much is read, in \[bytes\].
    pub(crate) fn bytes(&self, extent: Extent) -> u64 {
        self.chosen(extent).map(|(index, _)| self.place(index).1).sum()
    }

    /// Reads back. `advance` gets the \[bytes\] of each piece.
    pub(crate) fn run(
        &self,
        extent: Extent,
        medium: &mut impl Medium,
        mut advance: impl FnMut(u64),
    ) -> Result<(), FlashError> {
        let mut buffer = vec![0; PIECE];
        for (index, piece) in self.chosen(extent) {
            let (at, length) = self.place(index);
            let bytes = buffer.get_mut(..to_usize(length)).unwrap_or_default();
            medium.read_stored(at, bytes).map_err(|error| FlashError::unreadable(at, error))?;
            if crc32c::crc32c(bytes) != piece.checksum {
                return Err(if piece.was_written {
                    FlashError::Unfaithful { at, length }
                } else {
                    FlashError::Aliased { at }
                });
            }
            advance(length);
        }
        Ok(())
    }
}
