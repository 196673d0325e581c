//! Limits how much is read of an image's structures.
//!
//! In a valid file system every block and cluster belongs to one file, so reading all structures a few times costs a few
//! times its length. If structures refer to the same blocks repeatedly, the cost is unlimited. So all bytes read for
//! structures are counted here, and at the limit reading fails.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ReadError;

/// The limit, as a multiple of the image's length. A command reads each structure once or twice.
const PASSES: u64 = 16;
/// The minimum limit in \[bytes\]: paths with symlinks read directories of small images often.
const MINIMUM: u64 = 1 << 30;

/// The remaining bytes that may be read.
#[derive(Debug)]
pub(crate) struct Work {
    left: AtomicU64,
}

impl Work {
    /// The limit for a source with this stored size in \[bytes\], without holes.
    pub(crate) fn of(stored: u64) -> Self {
        Self { left: AtomicU64::new(stored.saturating_mul(PASSES).max(MINIMUM)) }
    }

    /// A limit of this number of \[bytes\].
    #[cfg(test)]
    pub(crate) fn left(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes) }
    }

    /// Counts \[bytes\] before they are read for `place`. Fails at the limit.
    pub(crate) fn spend(&self, place: &str, bytes: u64) -> Result<(), ReadError> {
        let spent =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_| {
            ReadError::too_much(
                place,
                "structures refer to the same blocks repeatedly",
                "the image is damaged",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_depends_on_the_stored_size() {
        for (length, bytes) in [(0, 1 << 30), (1 << 31, 1 << 35), (u64::MAX, u64::MAX)] {
            let work = Work::of(length);
            work.spend("x", bytes).unwrap();
            assert!(work.spend("x", 1).is_err(), "{length}");
        }
    }
}
