//! The places in an earlier image, which the next one keeps as far as possible.
//!
//! The bytes of an image then depend on the tree, the options and these places.

use crate::Compatibility;
use crate::geometry::{Geometry, MAX_RESERVED_GDT};
use crate::layout::Layout;
use crate::solver::MAX_INODES_PER_GROUP;
use crate::units::{BLOCKS_PER_GROUP, INODES_PER_BLOCK};
use image_tree::NodeId;

/// The place of an inode, and of what belongs to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The inode number.
    pub inode: u32,
    /// The first block; 0 if there is none.
    pub start: u64,
    /// Number of blocks: attributes, contents and extent tree. They follow each other, except where fixed metadata is between.
    pub blocks: u64,
}

impl Place {
    /// A place.
    #[must_use]
    pub fn new(inode: u32, start: u64, blocks: u64) -> Self {
        Self { inode, start, blocks }
    }
}

/// The numbers that determine the fixed metadata of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Length of the file system in \[blocks\].
    pub blocks: u64,
    /// Number of block groups.
    pub groups: u32,
    /// Inodes in each.
    pub inodes_per_group: u32,
    /// Reserved descriptor blocks.
    pub reserved_gdt_blocks: u64,
    /// Length of the journal in \[blocks\].
    pub journal_blocks: u64,
    /// Determines the length of its group descriptors.
    pub compatibility: Compatibility,
}

/// The places in an earlier image.
#[derive(Clone, Debug)]
pub struct Previous {
    geometry: Geometry,
    /// By node of the new tree.
    places: Vec<Option<Place>>,
    /// How much longer the image may be than one that is laid out anew, in \[percent\].
    slack: u32,
}

impl Previous {
    /// The places of the nodes of a new tree in an earlier image, by node. The image may become `slack` \[percent\] longer than one
    /// that is laid out anew. `None` if no image has these numbers.
    #[must_use]
    pub fn new(recorded: Recorded, places: Vec<Option<Place>>, slack: u32) -> Option<Self> {
        let Recorded { blocks, groups, inodes_per_group, reserved_gdt_blocks, journal_blocks, compatibility } =
            recorded;
        let number = u64::from(groups);
        let is_possible = (1..=compatibility.most_groups()).contains(&number)
            && blocks > (number - 1) * BLOCKS_PER_GROUP
            && blocks <= number * BLOCKS_PER_GROUP
            && inodes_per_group > 0
            && inodes_per_group.is_multiple_of(INODES_PER_BLOCK)
            && u64::from(inodes_per_group) <= MAX_INODES_PER_GROUP
            && reserved_gdt_blocks <= MAX_RESERVED_GDT
            && journal_blocks < blocks;
        let geometry = Geometry {
            blocks,
            groups,
            inodes_per_group,
            gdt: number.div_ceil(compatibility.descriptors_per_block()),
            reserved_gdt: reserved_gdt_blocks,
            journal: journal_blocks,
        };
        is_possible.then_some(Self { geometry, places, slack })
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn slack(&self) -> u32 {
        self.slack
    }

    /// The place that a node had.
    pub(crate) fn place(&self, node: NodeId) -> Option<Place> {
        self.places.get(node.index()).copied().flatten()
    }

    /// Number of inodes of the earlier image.
    pub(crate) fn most_inodes(&self) -> u64 {
        self.geometry.inodes()
    }
}

/// How much of an earlier layout was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// The places were kept, except those of `moved` inodes, which are new, grew, or were in the way.
    Kept {
        /// Number of inodes with blocks that have other places.
        moved: u64,
    },
    /// The image was laid out anew.
    Anew(Reason),
}

/// Why an image was laid out anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It would be longer than allowed: its length would be `blocks`.
    TooLong {
        /// Its length in \[blocks\].
        blocks: u64,
    },
    /// The contents do not fit around what is kept.
    NoRoom,
}

impl Layout {
    /// The numbers that determine the fixed metadata.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        Recorded {
            blocks: self.geometry.blocks,
            groups: self.geometry.groups,
            inodes_per_group: self.geometry.inodes_per_group,
            reserved_gdt_blocks: self.geometry.reserved_gdt,
            journal_blocks: self.geometry.journal,
            compatibility: self.options.compatibility,
        }
    }

    /// The place of a node. `None` for another name of a file.
    #[must_use]
    pub fn place(&self, node: NodeId) -> Option<Place> {
        let slot = crate::numbering::Slot::of(self.inventory.numbering.inode(node))?;
        if self.inventory.numbering.owner(slot) != Some(node) {
            return None;
        }
        let object = self.placement.object(&self.inventory, &self.space, slot, node);
        let blocks = object.blocks();
        let start = if blocks == 0 { 0 } else { self.space.block(object.start).0 };
        Some(Place { inode: slot.inode().0, start, blocks })
    }

    /// Whether the places of an earlier image were kept; `None` if there was none.
    #[must_use]
    pub fn likeness(&self) -> Option<Likeness> {
        self.likeness
    }
}
