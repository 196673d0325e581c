//! Extent trees: a header and entries of 12 bytes, in `i_block` and in blocks.
//!
//! Source: kernel documentation, "Extent Tree"; `fs/ext4/ext4_extents.h`.

use std::mem::size_of;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::halves::{high32, join64};
use crate::{Checksum, low16, low32};

/// Value of `eh_magic`.
pub const MAGIC: u16 = 0xf30a;
/// Size of the header and of an entry, in \[bytes\].
pub const ENTRY_SIZE: usize = 12;
/// Entries that fit behind the header in `i_block`.
pub const INODE_ENTRIES: u16 = 4;
/// Entries that fit in a block of 4096 bytes, with 4 bytes for its checksum.
pub const BLOCK_ENTRIES: u16 = 340;
/// Offset of the checksum in a block of 4096 bytes, in \[bytes\]: after the last entry (`struct ext4_extent_tail`).
pub const CHECKSUM_OFFSET: usize = ENTRY_SIZE + ENTRY_SIZE * 340;
/// The longest written extent, in \[blocks\] (`EXT_INIT_MAX_LEN`). A larger `ee_len` is an unwritten extent.
pub const MAX_EXTENT: u16 = 32768;
/// The largest depth of a tree (`EXT4_MAX_EXTENT_DEPTH`).
pub const MAX_DEPTH: u16 = 5;

/// The header of a node (`struct ext4_extent_header`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ExtentHeader {
    /// [`MAGIC`].
    pub eh_magic: U16,
    /// Entries in use.
    pub eh_entries: U16,
    /// Entries that fit.
    pub eh_max: U16,
    /// Levels of nodes below; 0 for a leaf.
    pub eh_depth: U16,
    /// Generation; unused.
    pub eh_generation: U32,
}

/// An entry of a leaf (`struct ext4_extent`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Extent {
    /// First block of the file that it covers.
    pub ee_block: U32,
    /// Length in \[blocks\]; above [`MAX_EXTENT`], the length of an unwritten extent plus 32768.
    pub ee_len: U16,
    /// First block of the file system, bits 32 to 47.
    pub ee_start_hi: U16,
    /// First block of the file system, low 32 bits.
    pub ee_start_lo: U32,
}

impl Extent {
    /// Makes a written extent of at most [`MAX_EXTENT`] blocks; `start` has 48 bits.
    pub fn new(logical: u32, start: u64, blocks: u16) -> Self {
        Self {
            ee_block: logical.into(),
            ee_len: blocks.into(),
            ee_start_hi: low16(high32(start)).into(),
            ee_start_lo: low32(start).into(),
        }
    }

    /// Makes an unwritten extent of fewer than [`MAX_EXTENT`] blocks.
    pub fn unwritten(logical: u32, start: u64, blocks: u16) -> Self {
        Self { ee_len: (blocks | MAX_EXTENT).into(), ..Self::new(logical, start, blocks) }
    }

    /// First block of the file system.
    pub fn start(&self) -> u64 {
        join64(self.ee_start_lo.get(), self.ee_start_hi.get().into())
    }

    /// Whether the blocks were written; the others read as zeros.
    pub const fn is_written(&self) -> bool {
        self.ee_len.get() <= MAX_EXTENT
    }

    /// Length in \[blocks\], written or not.
    pub const fn blocks(&self) -> u16 {
        let length = self.ee_len.get();
        if self.is_written() { length } else { length.wrapping_sub(MAX_EXTENT) }
    }
}

/// An entry of an inner node (`struct ext4_extent_idx`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ExtentIndex {
    /// First block of the file that the node below covers.
    pub ei_block: U32,
    /// Block of the node below, low 32 bits.
    pub ei_leaf_lo: U32,
    /// Block of the node below, bits 32 to 47.
    pub ei_leaf_hi: U16,
    /// Zero.
    pub ei_unused: U16,
}

impl ExtentIndex {
    /// Makes an entry; `leaf` has 48 bits.
    pub fn new(logical: u32, leaf: u64) -> Self {
        Self {
            ei_block: logical.into(),
            ei_leaf_lo: low32(leaf).into(),
            ei_leaf_hi: low16(high32(leaf)).into(),
            ei_unused: 0.into(),
        }
    }

    /// Block of the node below.
    pub fn leaf(&self) -> u64 {
        join64(self.ei_leaf_lo.get(), self.ei_leaf_hi.get().into())
    }
}

/// Computes the checksum of a node in a block of 4096 bytes: over the bytes before [`CHECKSUM_OFFSET`], with the seed of
/// the inode (`ext4_extent_block_csum`).
pub fn computed_checksum(inode_seed: Checksum, block: &[u8]) -> u32 {
    inode_seed.over(block.get(..CHECKSUM_OFFSET).unwrap_or(block)).value()
}

const _: () = {
    assert!(size_of::<ExtentHeader>() == ENTRY_SIZE);
    assert!(size_of::<Extent>() == ENTRY_SIZE);
    assert!(size_of::<ExtentIndex>() == ENTRY_SIZE);
    assert!(12 + INODE_ENTRIES * 12 == 60);
    assert!(12 + BLOCK_ENTRIES * 12 + 4 == 4096);
    assert!(CHECKSUM_OFFSET + 4 == 4096);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_numbers_have_48_bits() {
        let extent = Extent::new(7, 0x1234_5678_9abc, 32768);
        assert_eq!((extent.start(), extent.blocks(), extent.is_written()), (0x1234_5678_9abc, 32768, true));
        assert_eq!(ExtentIndex::new(7, 0x1234_5678_9abc).leaf(), 0x1234_5678_9abc);
    }

    #[test]
    fn unwritten_extents_keep_their_length() {
        let extent = Extent::unwritten(7, 9, 32767);
        assert_eq!((extent.start(), extent.blocks(), extent.is_written()), (9, 32767, false));
    }

    #[test]
    fn lengths_above_the_longest_are_unwritten() {
        for (length, blocks, written) in
            [(0, 0, true), (1, 1, true), (32769, 1, false), (0xffff, 32767, false)]
        {
            let extent = Extent::new(0, 1, length);
            assert_eq!((extent.blocks(), extent.is_written()), (blocks, written), "{length}");
        }
    }
}
