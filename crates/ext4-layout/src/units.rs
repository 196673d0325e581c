//! Types for numbers that must not be mixed up, and lossless conversions between integer types.

use std::ops::Range;

use ext4_ondisk::Checksum;
pub(crate) use image_tree::{narrow, to_u64 as wide, to_usize as index};

/// Block size of all images in \[bytes\].
pub(crate) const BLOCK_SIZE: u64 = 4096;
/// The block size as a length in memory.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Number of blocks in a block group: the bits of a bitmap of one block.
pub(crate) const BLOCKS_PER_GROUP: u64 = 8 * BLOCK_SIZE;
/// Inode size in \[bytes\].
pub(crate) const INODE_SIZE: u64 = 256;
/// Number of inodes in a block of the inode table.
pub(crate) const INODES_PER_BLOCK: u32 = 16;

/// A block of the file system, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockNr(pub(crate) u64);

/// A block of data space, from 0. See [`crate::dataspace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DataNr(pub(crate) u64);

/// An inode number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InodeNr(pub(crate) u32);

/// A block group, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupNr(pub(crate) u32);

impl BlockNr {
    /// The block this number of blocks later.
    pub(crate) fn plus(self, blocks: u64) -> Self {
        Self(self.0 + blocks)
    }

    /// Offset of the block in \[bytes\].
    pub(crate) fn byte_offset(self) -> u64 {
        self.0 * BLOCK_SIZE
    }

    /// The block that contains a byte.
    pub(crate) fn of_byte(offset: u64) -> Self {
        Self(offset / BLOCK_SIZE)
    }

    /// The group that contains the block. The solver limits the number of groups to 32 bits.
    pub(crate) fn group(self) -> GroupNr {
        GroupNr(narrow(self.0 / BLOCKS_PER_GROUP, "the solver makes at most 2^20 groups"))
    }
}

impl DataNr {
    /// The block this number of blocks of data space later.
    pub(crate) fn plus(self, blocks: u64) -> Self {
        Self(self.0 + blocks)
    }
}

impl InodeNr {
    /// The seed of checksums of the inode's blocks. The generation is 0 in all images.
    pub(crate) fn checksum_seed(self, filesystem: Checksum) -> Checksum {
        Checksum::of_inode(filesystem, self.0, 0)
    }
}

impl GroupNr {
    /// The first block of the group.
    pub(crate) fn first_block(self) -> BlockNr {
        BlockNr(u64::from(self.0) * BLOCKS_PER_GROUP)
    }
}

/// Number of blocks for this number of \[bytes\].
pub(crate) fn blocks_for(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_SIZE)
}

/// The part of `range` that is in `within`; empty if they are disjoint.
pub(crate) fn clamp(range: &Range<u64>, within: &Range<u64>) -> Range<u64> {
    let start = range.start.max(within.start);
    start..range.end.min(within.end).max(start)
}
