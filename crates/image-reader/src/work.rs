//! How much may be read of an image's structures.
//!
//! In a sound file system every block and cluster belongs to one file, so reading all structures a few times costs a few
//! times its length. An image whose structures lead to the same blocks again and again costs any amount. All reading of
//! structures counts its bytes here, and ends with one error.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ReadError;

/// How often all of an image may be read: a command reads each structure once or twice.
const PASSES: u64 = 16;
/// What may be read of any image in \[bytes\]: paths through links read directories of small images often.
const LEAST: u64 = 1 << 30;

/// What is left to be read, in \[bytes\].
#[derive(Debug)]
pub(crate) struct Work {
    left: AtomicU64,
}

impl Work {
    /// For something that has so many \[bytes\] in the image, holes not counted.
    pub(crate) fn of(stored: u64) -> Self {
        Self { left: AtomicU64::new(stored.saturating_mul(PASSES).max(LEAST)) }
    }

    /// Counts \[bytes\] that are about to be read for `place`.
    pub(crate) fn spend(&self, place: &str, bytes: u64) -> Result<(), ReadError> {
        let spent =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_| {
            ReadError::too_much(
                place,
                "structures lead to the same blocks again and again",
                "the image is damaged",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_follows_from_what_is_stored() {
        for (length, bytes) in [(0, LEAST), (1 << 31, 1 << 35), (u64::MAX, u64::MAX)] {
            let work = Work::of(length);
            work.spend("x", bytes).unwrap();
            assert!(work.spend("x", 1).is_err(), "{length}");
        }
    }
}
