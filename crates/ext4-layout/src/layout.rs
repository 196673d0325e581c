use ext4_ondisk::Checksum;
use image_tree::FileTree;

use crate::bitmaps::Fill;
use crate::dataspace::DataSpace;
use crate::geometry::Geometry;
use crate::inventory::Inventory;
use crate::placement::Placement;
use crate::previous::{Likeness, Previous, Reason};
use crate::solver::Alike;
use crate::units::BLOCK_SIZE;
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
    /// Seed of all checksums; `None` without `metadata_csum`.
    pub(crate) filesystem: Option<Checksum>,
    /// The group descriptor table.
    pub(crate) descriptors: Vec<u8>,
    pub(crate) warnings: Vec<LayoutWarning>,
    pub(crate) likeness: Option<Likeness>,
}

/// Maximum number of blocks that Linux reserves for itself. For small file systems, it is a fiftieth.
const MOST_KEPT_BY_LINUX: u64 = 4096;

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
        let options = options.checked()?;
        let inventory = Inventory::of(tree, &options, None)?;
        let solution = solver::solve(&inventory, &options)?;
        Ok(Self::of(options, inventory, solution, None))
    }

    /// Lays out a tree so that everything keeps the places that it had in an earlier image: inode numbers and blocks. What is new
    /// or grew gets free places between, or after the end. If the image would be too long for that, it is laid out anew; see
    /// [`Self::likeness`].
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub fn plan_like(tree: &FileTree, options: &Options, previous: &Previous) -> Result<Self, LayoutError> {
        let anew = Self::plan(tree, options)?;
        let options = options.checked()?;
        let inventory = Inventory::of(tree, &options, Some(previous))?;
        let most = anew.geometry.blocks + anew.geometry.blocks * u64::from(previous.slack()) / 100;
        match solver::solve_like(&inventory, &options, previous, &anew.geometry) {
            Some(Alike { solution, .. }) if solution.geometry.blocks > most => {
                let reason = Reason::TooLong { blocks: solution.geometry.blocks };
                Ok(Self { likeness: Some(Likeness::Anew(reason)), ..anew })
            }
            Some(Alike { solution, placement, moved }) => {
                let layout = Self::of(options, inventory, solution, Some(placement));
                Ok(Self { likeness: Some(Likeness::Kept { moved }), ..layout })
            }
            None => Ok(Self { likeness: Some(Likeness::Anew(Reason::NoRoom)), ..anew }),
        }
    }

    /// Makes the layout of a geometry.
    fn of(
        options: Options,
        inventory: Inventory,
        solution: solver::Solution,
        placement: Option<Placement>,
    ) -> Self {
        let solver::Solution { geometry, warnings } = solution;
        let space = DataSpace::of(&geometry);
        let placement = placement.unwrap_or_else(|| Placement::of(&inventory, &geometry, &space));
        let fill = Fill::of(&geometry, &inventory.numbering, &placement, options.compatibility);
        let has_checksums = options.compatibility.has_checksums();
        let filesystem = has_checksums.then(|| Checksum::of_filesystem(&options.uuid));
        let descriptors = groups::describe(&geometry, &space, &fill, &inventory, filesystem);
        let likeness = None;
        let mut layout = Self {
            options,
            inventory,
            geometry,
            space,
            placement,
            fill,
            filesystem,
            descriptors,
            warnings,
            likeness,
        };
        layout.warnings.extend(layout.unusable_free_space());
        layout.warnings.extend(layout.continued_files());
        layout
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
        let free_blocks = self.space.len() - self.placement.used_blocks();
        let reserved = match self.options.reserved {
            Some(thousandths) => share(self.geometry.blocks, thousandths),
            None => share(self.geometry.blocks, 5_000).min(free_blocks / 2),
        };
        Counts {
            free_blocks,
            free_inodes: self.geometry.inodes() - self.inventory.numbering.used(),
            reserved,
        }
    }
}

/// This number of thousandths of a percent of some blocks, rounded down. There are fewer than 2^36 blocks.
fn share(blocks: u64, thousandths: u32) -> u64 {
    blocks * u64::from(thousandths) / 100_000
}
