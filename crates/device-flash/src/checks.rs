//! What is read back after writing.
//!
//! Everything that was written, so that a device that stores other bytes or none is found. And a few blocks that were not
//! written because they were right: on a card that is smaller than it claims, several addresses have the same storage, so
//! that a write elsewhere changes them.

use image_tree::to_u64;
use sha2::{Digest, Sha256};

use crate::error::FlashError;
use crate::medium::Medium;

/// The longest piece with one digest, in \[bytes\].
const PIECE: usize = 256 << 10;

/// Bytes of a digest that are kept.
const KEPT: usize = 16;

/// A piece that must read back as it is in the image.
#[derive(Clone, Copy, Debug)]
struct Check {
    /// In \[bytes\].
    offset: u64,
    /// In \[bytes\].
    length: usize,
    digest: [u8; KEPT],
    was_written: bool,
}

/// All pieces to read back, in the order of the image.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Check>);

impl Checks {
    /// Adds bytes that were written at an offset, or that were there.
    pub(crate) fn add(&mut self, offset: u64, bytes: &[u8], was_written: bool) {
        let mut offset = offset;
        for piece in bytes.chunks(PIECE) {
            let (length, digest) = (piece.len(), digest(piece));
            self.0.push(Check { offset, length, digest, was_written });
            offset = offset.saturating_add(to_u64(length));
        }
    }

    /// How much is read, in \[bytes\].
    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|check| to_u64(check.length)).sum()
    }

    /// Reads all pieces back. `advance` gets the \[bytes\] of each.
    pub(crate) fn run(
        self,
        medium: &mut impl Medium,
        mut advance: impl FnMut(u64),
    ) -> Result<(), FlashError> {
        let mut buffer = vec![0; PIECE];
        for check in self.0 {
            let Some(bytes) = buffer.get_mut(..check.length) else { continue };
            medium
                .read_stored(check.offset, bytes)
                .map_err(|error| FlashError::unreadable(check.offset, error))?;
            if digest(bytes) != check.digest {
                let (at, length) = (check.offset, to_u64(check.length));
                return Err(if check.was_written {
                    FlashError::Unfaithful { at, length }
                } else {
                    FlashError::Aliased { at }
                });
            }
            advance(to_u64(check.length));
        }
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> [u8; KEPT] {
    let whole: [u8; 32] = Sha256::digest(bytes).into();
    std::array::from_fn(|at| whole.get(at).copied().unwrap_or_default())
}

/// The first `block` \[bytes\] from an offset of a chunk that are in no range, if they end before `end`.
pub(crate) fn first_outside(
    ranges: &[std::ops::Range<usize>],
    from: usize,
    block: usize,
    end: usize,
) -> Option<usize> {
    let mut at = from;
    for range in ranges {
        if range.start >= at.saturating_add(block) {
            break;
        }
        at = range.end;
    }
    (at.saturating_add(block) <= end).then_some(at)
}
