//! The block group descriptor in its 64-byte form. Kernel documentation, "Block Group Descriptors".

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `bg_flags`: no inode of the group is used, its inode bitmap was never written.
pub(crate) const INODE_UNINIT: u16 = 1;
/// `bg_flags`: no block of the group is used but for fixed metadata, its block bitmap was never written.
pub(crate) const BLOCK_UNINIT: u16 = 2;
/// `bg_flags`: the inode table is all zero where it is not used.
pub(crate) const ITABLE_ZEROED: u16 = 4;

/// `s_desc_size` in \[bytes\]
pub(crate) const DESC_SIZE: u16 = 64;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawGroupDesc {
    /// 0x00
    pub(crate) bg_block_bitmap_lo: U32,
    pub(crate) bg_inode_bitmap_lo: U32,
    pub(crate) bg_inode_table_lo: U32,
    /// 0x0C
    pub(crate) bg_free_blocks_count_lo: U16,
    pub(crate) bg_free_inodes_count_lo: U16,
    pub(crate) bg_used_dirs_count_lo: U16,
    pub(crate) bg_flags: U16,
    /// 0x14
    pub(crate) bg_exclude_bitmap_lo: U32,
    pub(crate) bg_block_bitmap_csum_lo: U16,
    pub(crate) bg_inode_bitmap_csum_lo: U16,
    pub(crate) bg_itable_unused_lo: U16,
    /// 0x1E
    pub(crate) bg_checksum: U16,
    /// 0x20
    pub(crate) bg_block_bitmap_hi: U32,
    pub(crate) bg_inode_bitmap_hi: U32,
    pub(crate) bg_inode_table_hi: U32,
    /// 0x2C
    pub(crate) bg_free_blocks_count_hi: U16,
    pub(crate) bg_free_inodes_count_hi: U16,
    pub(crate) bg_used_dirs_count_hi: U16,
    pub(crate) bg_itable_unused_hi: U16,
    /// 0x34
    pub(crate) bg_exclude_bitmap_hi: U32,
    pub(crate) bg_block_bitmap_csum_hi: U16,
    pub(crate) bg_inode_bitmap_csum_hi: U16,
    pub(crate) bg_reserved: U32,
}

const _: () = {
    assert!(size_of::<RawGroupDesc>() == 64);
    assert!(offset_of!(RawGroupDesc, bg_flags) == 0x12);
    assert!(offset_of!(RawGroupDesc, bg_checksum) == 0x1e);
    assert!(offset_of!(RawGroupDesc, bg_block_bitmap_csum_hi) == 0x38);
};
