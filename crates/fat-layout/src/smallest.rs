//! The smallest partition for a tree and free space.
//!
//! A longer partition may fit less: its clusters may be longer, and its tracks, too. Or much more, if longer clusters need shorter
//! tables. So the search tries lengths from below, and skips only lengths that can't suffice.

use image_tree::{FileTree, to_u64};

use crate::error::FatError;
use crate::geometry::{MAX_CLUSTER_BYTES, MAX_TRACK, next_change};
use crate::layout::{self, FatLayout};
use crate::{Bits, Options};

impl FatLayout {
    /// The length in \[bytes\] of the smallest partition that holds a tree and the promised free space. [`Options::bytes`] is
    /// ignored.
    ///
    /// # Errors
    /// Fails if no partition of the FAT type is sufficient, or if FAT does not support the tree.
    pub fn smallest(tree: &FileTree, options: &Options) -> Result<u64, FatError> {
        let names = layout::names_of(tree)?;
        let list = to_u64(layout::slot_list(tree)?.len());
        let sector = options.sector.bytes();
        // The lengths of tables, clusters and tracks are rounded, so a longer partition can gain this much more than its length. The
        // tables of FAT16 become at most 128 KiB shorter when its clusters become longer.
        let track = MAX_TRACK * sector;
        let rounding = 4 * MAX_CLUSTER_BYTES + track;
        let mut bytes = sector;
        loop {
            let at_least = match layout::fits(tree, &Options { bytes, ..*options }, &names, list) {
                Ok(Ok(())) => return Ok(bytes),
                Ok(Err(missing)) => bytes.saturating_add(missing.saturating_sub(rounding)),
                // This length is a whole number of MiB, and one MiB less is too short.
                Err(FatError::TooShort { least, .. }) => least.saturating_sub(1 << 20),
                Err(FatError::RootFull { needed, room, .. }) => {
                    // Without a given length, FAT32 is possible.
                    return Err(FatError::RootFull { needed, room, fat32: true });
                }
                Err(FatError::TooLong { .. }) => return Err(too_much(tree, options)),
                Err(error) => return Err(error),
            };
            let next = at_least.checked_next_multiple_of(sector).zip(bytes.checked_add(sector));
            let Some((at_least, longer)) = next else { return Err(too_much(tree, options)) };
            let next = at_least.max(longer);
            bytes = next_change(bytes, sector).map_or(next, |change| next.min(change));
        }
    }
}

/// The error if no partition is long enough.
fn too_much(tree: &FileTree, options: &Options) -> FatError {
    let fat32 = options.bits != Some(Bits::Fat16);
    let other = !fat32 && FatLayout::smallest(tree, &Options { bits: Some(Bits::Fat32), ..*options }).is_ok();
    FatError::TooMuch { fat32, free_space: options.free_space, other }
}
