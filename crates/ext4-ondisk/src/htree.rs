//! The index of a directory, sorted by hash: a root in the directory's first block, and optionally a level of nodes.
//!
//! Source: kernel documentation, "Hash Tree Directories"; `fs/ext4/namei.c`. Sizes are those of blocks of 4096 bytes.

use std::mem::size_of;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Checksum;

/// Offset of [`HtreeInfo`] in the root, in \[bytes\]: after the entries `.` and `..`.
pub const INFO_OFFSET: usize = 0x18;
/// Offset of the index's entries in the root, in \[bytes\].
pub const ROOT_ENTRIES_OFFSET: usize = 0x20;
/// Offset of the index's entries in a node, in \[bytes\]: after an unused directory entry.
pub const NODE_ENTRIES_OFFSET: usize = 8;
/// Size of an entry of the index, in \[bytes\].
pub const ENTRY_SIZE: usize = 8;
/// Entries that fit in the root, including the first (`dx_root_limit`).
pub const ROOT_LIMIT: u16 = 507;
/// The same without `metadata_csum`: an entry takes the place of the tail.
pub const ROOT_LIMIT_WITHOUT_CHECKSUM: u16 = ROOT_LIMIT + 1;
/// Entries that fit in a node, including the first (`dx_node_limit`).
pub const NODE_LIMIT: u16 = 510;
/// The same without `metadata_csum`.
pub const NODE_LIMIT_WITHOUT_CHECKSUM: u16 = NODE_LIMIT + 1;
/// Size of the tail with the checksum, in \[bytes\] (`struct dx_tail`): a reserved word and the checksum.
pub const TAIL_SIZE: usize = 8;
/// Bit of a hash in the index: names of this hash begin in the block before.
pub const CONTINUED: u32 = 1;

/// The header of the index (`struct dx_root_info`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct HtreeInfo {
    /// Zero.
    pub reserved_zero: U32,
    /// Algorithm of the hash; [`HASH_HALF_MD4`](crate::superblock::HASH_HALF_MD4).
    pub hash_version: u8,
    /// [`HtreeInfo::LENGTH`].
    pub info_length: u8,
    /// Levels of nodes below the root.
    pub indirect_levels: u8,
    /// Zero.
    pub unused_flags: u8,
}

/// The first entry of a root or node (`struct dx_countlimit`). Its hash is 0 by definition; limit and count take its place.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct HtreeCount {
    /// Entries that fit, including this one.
    pub limit: U16,
    /// Entries in use, including this one.
    pub count: U16,
    /// Block of the directory that the first entry leads to.
    pub block: U32,
}

/// Any other entry of a root or node (`struct dx_entry`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct HtreeEntry {
    /// The smallest major hash in the block, with [`CONTINUED`].
    pub hash: U32,
    /// Block of the directory.
    pub block: U32,
}

impl HtreeInfo {
    /// Value of `info_length`: the size of the structure, in \[bytes\].
    pub const LENGTH: u8 = 8;
}

/// Computes the checksum of a root or node from its bytes up to the end of the last entry in use, with the seed of the
/// directory's inode: over these and the tail with a checksum of 0 (`ext4_dx_csum`).
pub fn computed_checksum(inode_seed: Checksum, used: &[u8]) -> u32 {
    inode_seed.over(used).over(&[0; TAIL_SIZE]).value()
}

const _: () = {
    assert!(size_of::<HtreeInfo>() == ROOT_ENTRIES_OFFSET - INFO_OFFSET);
    assert!(size_of::<HtreeCount>() == ENTRY_SIZE);
    assert!(size_of::<HtreeEntry>() == ENTRY_SIZE);
    assert!(0x20 + ROOT_LIMIT * 8 + 8 == 4096);
    assert!(8 + NODE_LIMIT * 8 + 8 == 4096);
    assert!(TAIL_SIZE == ENTRY_SIZE);
};
