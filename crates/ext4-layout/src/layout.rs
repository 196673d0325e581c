use ext4_ondisk::Checksum;
use image_tree::FileTree;

use crate::bitmaps::Fill;
use crate::dataspace::DataSpace;
use crate::geometry::Geometry;
use crate::inventory::Inventory;
use crate::placement::Placement;
use crate::units::{BLOCK_SIZE, DataNr};
use crate::{LayoutError, LayoutWarning, Options, groups, solver};

/// The layout of an ext4 file system, which determines every byte.
#[derive(Debug)]
pub struct Layout {
    pub(crate) options: Options,
    pub(crate) inventory: Inventory,
    pub(crate) geometry: Geometry,
    pub(crate) space: DataSpace,
    pub(crate) placement: Placement,
    pub(crate) fill: Fill,
    /// Seed of all checksums.
    pub(crate) filesystem: Checksum,
    /// The group descriptor table.
    pub(crate) descriptors: Vec<u8>,
    pub(crate) warnings: Vec<LayoutWarning>,
}

/// Maximum number of blocks that Linux reserves for itself. For small file systems, it is a fiftieth.
const MOST_KEPT_BY_LINUX: u64 = 4096;

/// Maximum of the blocks for root, in \[thousandths of a percent\]: e2fsck and Linux reject more than half.
const MOST_RESERVED: u32 = 50_000;

/// The counts in the superblock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) free_blocks: u64,
    pub(crate) free_inodes: u64,
    /// Blocks reserved for root.
    pub(crate) reserved: u64,
}

impl Layout {
    /// Lays out a tree, which must have the directory `/lost+found`.
    ///
    /// # Errors
    /// Fails if the contents don't fit into ext4, or not with these options.
    pub fn plan(tree: &FileTree, options: &Options) -> Result<Self, LayoutError> {
        if options.uuid == [0; 16] {
            return Err(LayoutError::NoUuid);
        }
        if let Some(thousandths) = options.reserved.filter(|thousandths| *thousandths > MOST_RESERVED) {
            return Err(LayoutError::Reserved { thousandths });
        }
        let options = &options.clone().applied();
        let inventory = Inventory::of(tree, options)?;
        let solver::Solution { geometry, warnings } = solver::solve(&inventory, options)?;
        let space = DataSpace::of(&geometry);
        let placement = Placement::of(&inventory, &geometry, &space);
        // The root directory always has a block, so there is a last block.
        let last = space.block(DataNr(placement.end.0 - 1));
        let fill = Fill { used_until: last.plus(1), used_inodes: inventory.numbering.used() };
        let filesystem = Checksum::of_filesystem(&options.uuid);
        let descriptors = groups::describe(&geometry, &fill, &inventory, filesystem);
        let options = options.clone();
        let mut layout =
            Self { options, inventory, geometry, space, placement, fill, filesystem, descriptors, warnings };
        layout.warnings.extend(layout.unusable_free_space());
        layout.warnings.extend(layout.continued_files());
        Ok(layout)
    }

    /// Warns if there is no free space that can be used. Linux reserves some free blocks, even from root, for delayed
    /// allocation (`ext4_calculate_resv_clusters`) until the file system is grown.
    fn unusable_free_space(&self) -> Option<LayoutWarning> {
        let free = self.counts().free_blocks;
        let kept = (self.geometry.blocks / 50).min(MOST_KEPT_BY_LINUX);
        let is_unusable = free > 0 && free <= kept && !self.options.sealed;
        let (kept, free) = (kept * BLOCK_SIZE, free * BLOCK_SIZE);
        is_unusable.then_some(LayoutWarning::UnusableFreeSpace { kept, free })
    }

    /// Warns of files with more names than an inode allows, which are several files in the image.
    fn continued_files(&self) -> Option<LayoutWarning> {
        let continued = self.inventory.numbering.continued();
        let first = self.inventory.tree.path(*continued.first()?);
        Some(LayoutWarning::Copies { first, count: continued.len() })
    }

    /// The tree in the file system.
    pub fn tree(&self) -> &FileTree {
        &self.inventory.tree
    }

    /// Length of the image in \[bytes\].
    pub(crate) fn bytes(&self) -> u64 {
        self.options.size.unwrap_or(self.geometry.blocks * BLOCK_SIZE)
    }

    pub(crate) fn counts(&self) -> Counts {
        let free_blocks = self.space.len() - self.placement.end.0;
        let reserved = match self.options.reserved {
            Some(thousandths) => share(self.geometry.blocks, thousandths),
            None => share(self.geometry.blocks, 5_000).min(free_blocks / 2),
        };
        Counts { free_blocks, free_inodes: self.geometry.inodes() - self.fill.used_inodes, reserved }
    }
}

/// This number of thousandths of a percent of some blocks, rounded down. There are fewer than 2^36 blocks.
fn share(blocks: u64, thousandths: u32) -> u64 {
    blocks * u64::from(thousandths) / 100_000
}
