//! The block group descriptor (`struct ext4_group_desc`): 64 bytes with `64bit`, otherwise the first 32.
//!
//! Source: kernel documentation, "Block Group Descriptors".

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::halves::{high16, high32, join64};
use crate::{Checksum, low16, low32};

/// Bit of `bg_flags`: no inode of the group is used, its inode bitmap was never written.
pub const INODE_UNINIT: u16 = 1;
/// Bit of `bg_flags`: only fixed metadata uses blocks of the group, its block bitmap was never written.
pub const BLOCK_UNINIT: u16 = 2;
/// Bit of `bg_flags`: unused parts of the inode table are zero.
pub const ITABLE_ZEROED: u16 = 4;

/// Value of `s_desc_size` for the whole structure, in \[bytes\].
pub const SIZE: u16 = 64;
/// Size of a descriptor without `64bit`, in \[bytes\]: the low halves. `s_desc_size` is then 0.
pub const SHORT_SIZE: u16 = 32;

/// A group descriptor as stored. [`read_padded`](crate::read_padded) gives a descriptor of 32 bytes high halves of 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct GroupDescriptor {
    /// 0x00: Block of the block bitmap, low half.
    pub bg_block_bitmap_lo: U32,
    /// 0x04: Block of the inode bitmap, low half.
    pub bg_inode_bitmap_lo: U32,
    /// 0x08: First block of the inode table, low half.
    pub bg_inode_table_lo: U32,
    /// 0x0c: Free blocks, low half.
    pub bg_free_blocks_count_lo: U16,
    /// 0x0e: Free inodes, low half.
    pub bg_free_inodes_count_lo: U16,
    /// 0x10: Directories, low half.
    pub bg_used_dirs_count_lo: U16,
    /// 0x12: [`INODE_UNINIT`], [`BLOCK_UNINIT`], [`ITABLE_ZEROED`].
    pub bg_flags: U16,
    /// 0x14: Block of the bitmap of snapshots, low half; unused.
    pub bg_exclude_bitmap_lo: U32,
    /// 0x18: Checksum of the block bitmap, low half.
    pub bg_block_bitmap_csum_lo: U16,
    /// 0x1a: Checksum of the inode bitmap, low half.
    pub bg_inode_bitmap_csum_lo: U16,
    /// 0x1c: Inodes at the end of the table that were never used, low half.
    pub bg_itable_unused_lo: U16,
    /// 0x1e: Checksum; see [`GroupDescriptor::computed_checksum`].
    pub bg_checksum: U16,
    /// 0x20: Block of the block bitmap, high half.
    pub bg_block_bitmap_hi: U32,
    /// 0x24: Block of the inode bitmap, high half.
    pub bg_inode_bitmap_hi: U32,
    /// 0x28: First block of the inode table, high half.
    pub bg_inode_table_hi: U32,
    /// 0x2c: Free blocks, high half.
    pub bg_free_blocks_count_hi: U16,
    /// 0x2e: Free inodes, high half.
    pub bg_free_inodes_count_hi: U16,
    /// 0x30: Directories, high half.
    pub bg_used_dirs_count_hi: U16,
    /// 0x32: Inodes at the end of the table that were never used, high half.
    pub bg_itable_unused_hi: U16,
    /// 0x34: Block of the bitmap of snapshots, high half; unused.
    pub bg_exclude_bitmap_hi: U32,
    /// 0x38: Checksum of the block bitmap, high half.
    pub bg_block_bitmap_csum_hi: U16,
    /// 0x3a: Checksum of the inode bitmap, high half.
    pub bg_inode_bitmap_csum_hi: U16,
    /// 0x3c: Zero.
    pub bg_reserved: U32,
}

impl GroupDescriptor {
    /// First block of the inode table.
    pub fn inode_table(&self) -> u64 {
        join64(self.bg_inode_table_lo.get(), self.bg_inode_table_hi.get())
    }

    /// Sets the first block of the inode table.
    pub fn set_inode_table(&mut self, block: u64) {
        self.bg_inode_table_lo = low32(block).into();
        self.bg_inode_table_hi = high32(block).into();
    }

    /// Sets the block of the block bitmap.
    pub fn set_block_bitmap(&mut self, block: u64) {
        self.bg_block_bitmap_lo = low32(block).into();
        self.bg_block_bitmap_hi = high32(block).into();
    }

    /// Sets the block of the inode bitmap.
    pub fn set_inode_bitmap(&mut self, block: u64) {
        self.bg_inode_bitmap_lo = low32(block).into();
        self.bg_inode_bitmap_hi = high32(block).into();
    }

    /// Sets the free blocks.
    pub fn set_free_blocks_count(&mut self, blocks: u32) {
        self.bg_free_blocks_count_lo = low16(blocks).into();
        self.bg_free_blocks_count_hi = high16(blocks).into();
    }

    /// Sets the free inodes.
    pub fn set_free_inodes_count(&mut self, inodes: u32) {
        self.bg_free_inodes_count_lo = low16(inodes).into();
        self.bg_free_inodes_count_hi = high16(inodes).into();
    }

    /// Sets the inodes at the end of the table that were never used.
    pub fn set_itable_unused(&mut self, inodes: u32) {
        self.bg_itable_unused_lo = low16(inodes).into();
        self.bg_itable_unused_hi = high16(inodes).into();
    }

    /// Sets the number of directories.
    pub fn set_used_dirs_count(&mut self, directories: u32) {
        self.bg_used_dirs_count_lo = low16(directories).into();
        self.bg_used_dirs_count_hi = high16(directories).into();
    }

    /// Sets the checksum of the block bitmap, which covers the whole block (`ext4_block_bitmap_csum_set`).
    pub fn set_block_bitmap_checksum(&mut self, filesystem: Checksum, bitmap: &[u8]) {
        let checksum = filesystem.over(bitmap).value();
        self.bg_block_bitmap_csum_lo = low16(checksum).into();
        self.bg_block_bitmap_csum_hi = high16(checksum).into();
    }

    /// Sets the checksum of the inode bitmap, which covers only the bits of the group's inodes
    /// (`ext4_inode_bitmap_csum_set`).
    pub fn set_inode_bitmap_checksum(&mut self, filesystem: Checksum, bitmap: &[u8]) {
        let checksum = filesystem.over(bitmap).value();
        self.bg_inode_bitmap_csum_lo = low16(checksum).into();
        self.bg_inode_bitmap_csum_hi = high16(checksum).into();
    }

    /// Computes `bg_checksum` of a descriptor of 64 bytes: the low half of the checksum of the group's number and the
    /// descriptor with `bg_checksum` 0 (`ext4_group_desc_csum`).
    pub fn computed_checksum(&self, filesystem: Checksum, group: u32) -> u16 {
        let mut zeroed = *self;
        zeroed.bg_checksum = 0.into();
        low16(filesystem.over(&group.to_le_bytes()).over(zeroed.as_bytes()).value())
    }
}

const _: () = {
    assert!(size_of::<GroupDescriptor>() == 64);
    assert!(offset_of!(GroupDescriptor, bg_flags) == 0x12);
    assert!(offset_of!(GroupDescriptor, bg_checksum) == 0x1e);
    assert!(offset_of!(GroupDescriptor, bg_block_bitmap_hi) == 0x20);
    assert!(offset_of!(GroupDescriptor, bg_block_bitmap_csum_hi) == 0x38);
};
