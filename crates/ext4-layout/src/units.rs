//! Numbers that must not be mixed up, and the few lossless conversions between integer types.

use std::ops::Range;

use ext4_ondisk::Checksum;
pub(crate) use image_tree::{narrow, to_u64 as wide, to_usize as index};

/// The block size in \[bytes\] of every image that we make.
pub(crate) const BLOCK_SIZE: u64 = 4096;
/// The same as a length in memory.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Blocks in a block group: as many as the bits of a one-block bitmap.
pub(crate) const BLOCKS_PER_GROUP: u64 = 8 * BLOCK_SIZE;
/// Inode size in \[bytes\].
pub(crate) const INODE_SIZE: u64 = 256;
/// Inodes in a block of the inode table.
pub(crate) const INODES_PER_BLOCK: u32 = 16;

/// A block of the file system, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockNr(pub(crate) u64);

/// A block of data space: of the file system without its fixed metadata. See [`crate::dataspace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DataNr(pub(crate) u64);

/// An inode number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InodeNr(pub(crate) u32);

/// A block group, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupNr(pub(crate) u32);

impl BlockNr {
    /// The block so many blocks further on.
    pub(crate) const fn plus(self, blocks: u64) -> Self {
        Self(self.0 + blocks)
    }

    /// Where the block begins, in \[bytes\].
    pub(crate) const fn byte_offset(self) -> u64 {
        self.0 * BLOCK_SIZE
    }

    /// The block that a byte lies in.
    pub(crate) const fn of_byte(offset: u64) -> Self {
        Self(offset / BLOCK_SIZE)
    }

    /// The group that the block lies in. Groups are limited to u32 by the solver.
    pub(crate) fn group(self) -> GroupNr {
        GroupNr(narrow(self.0 / BLOCKS_PER_GROUP, "the solver makes at most 2^20 groups"))
    }
}

impl DataNr {
    /// The block so many blocks of data space further on.
    pub(crate) const fn plus(self, blocks: u64) -> Self {
        Self(self.0 + blocks)
    }
}

impl InodeNr {
    /// The seed of the checksums of what belongs to the inode. Its generation is 0 in every image.
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

/// How many blocks so many \[bytes\] take.
pub(crate) const fn blocks_for(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_SIZE)
}

/// The part of `range` that lies in `within`; empty where they do not meet.
pub(crate) fn clamp(range: &Range<u64>, within: &Range<u64>) -> Range<u64> {
    let start = range.start.max(within.start);
    start..range.end.min(within.end).max(start)
}
