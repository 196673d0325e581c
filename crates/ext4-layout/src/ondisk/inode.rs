//! The inode, 256 bytes. Kernel documentation, "Index Nodes" (`struct ext4_inode`).

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `i_flags`: `i_block` holds an extent tree.
pub(crate) const FLAG_EXTENTS: u32 = 0x0008_0000;
/// `i_flags`: the directory is indexed by hash.
pub(crate) const FLAG_INDEX: u32 = 0x0000_1000;
/// `i_extra_isize` in \[bytes\]: all fields up to `i_projid`.
pub(crate) const EXTRA_ISIZE: u16 = 32;
/// Where extended attributes begin in the inode, in \[bytes\].
pub(crate) const XATTR_START: usize = 128 + 32;

/// Type bits of `i_mode`.
pub(crate) mod mode {
    pub(crate) const FIFO: u16 = 0x1000;
    pub(crate) const CHARACTER: u16 = 0x2000;
    pub(crate) const DIRECTORY: u16 = 0x4000;
    pub(crate) const BLOCK: u16 = 0x6000;
    pub(crate) const REGULAR: u16 = 0x8000;
    pub(crate) const SYMLINK: u16 = 0xa000;
    pub(crate) const SOCKET: u16 = 0xc000;
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawInode {
    /// 0x00
    pub(crate) i_mode: U16,
    pub(crate) i_uid: U16,
    pub(crate) i_size_lo: U32,
    pub(crate) i_atime: U32,
    pub(crate) i_ctime: U32,
    /// 0x10
    pub(crate) i_mtime: U32,
    pub(crate) i_dtime: U32,
    pub(crate) i_gid: U16,
    pub(crate) i_links_count: U16,
    pub(crate) i_blocks_lo: U32,
    /// 0x20
    pub(crate) i_flags: U32,
    pub(crate) i_version: U32,
    /// 0x28
    pub(crate) i_block: [u8; 60],
    /// 0x64
    pub(crate) i_generation: U32,
    pub(crate) i_file_acl_lo: U32,
    pub(crate) i_size_high: U32,
    pub(crate) i_obso_faddr: U32,
    /// 0x74
    pub(crate) i_blocks_high: U16,
    pub(crate) i_file_acl_high: U16,
    pub(crate) i_uid_high: U16,
    pub(crate) i_gid_high: U16,
    pub(crate) i_checksum_lo: U16,
    pub(crate) i_reserved: U16,
    /// 0x80
    pub(crate) i_extra_isize: U16,
    pub(crate) i_checksum_hi: U16,
    pub(crate) i_ctime_extra: U32,
    pub(crate) i_mtime_extra: U32,
    pub(crate) i_atime_extra: U32,
    /// 0x90
    pub(crate) i_crtime: U32,
    pub(crate) i_crtime_extra: U32,
    pub(crate) i_version_hi: U32,
    pub(crate) i_projid: U32,
    /// 0xA0: extended attributes
    pub(crate) tail: [u8; 96],
}

const _: () = {
    assert!(size_of::<RawInode>() == 256);
    assert!(offset_of!(RawInode, i_block) == 0x28);
    assert!(offset_of!(RawInode, i_file_acl_lo) == 0x68);
    assert!(offset_of!(RawInode, i_checksum_lo) == 0x7c);
    assert!(offset_of!(RawInode, i_checksum_hi) == 0x82);
    assert!(offset_of!(RawInode, i_crtime) == 0x90);
    assert!(offset_of!(RawInode, tail) == XATTR_START);
};
