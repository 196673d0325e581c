//! Directory entries and the nodes of an indexed directory. Kernel documentation, "Directory Entries".

use std::mem::size_of;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Types in a directory entry.
pub(crate) mod file_type {
    pub(crate) const REGULAR: u8 = 1;
    pub(crate) const DIRECTORY: u8 = 2;
    pub(crate) const CHARACTER: u8 = 3;
    pub(crate) const BLOCK: u8 = 4;
    pub(crate) const FIFO: u8 = 5;
    pub(crate) const SOCKET: u8 = 6;
    pub(crate) const SYMLINK: u8 = 7;
    /// Marks the checksum at the end of a block.
    pub(crate) const CHECKSUM: u8 = 0xde;
}

/// What stands before a name. The name follows, padded to four bytes.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDirent {
    pub(crate) inode: U32,
    pub(crate) rec_len: U16,
    pub(crate) name_len: u8,
    pub(crate) file_type: u8,
}

/// The last twelve bytes of a directory block: an entry that names nothing, with the checksum.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDirTail {
    pub(crate) entry: RawDirent,
    pub(crate) checksum: U32,
}

/// `dx_root_info`, behind the entries for `.` and `..` of an indexed directory's first block.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDxInfo {
    pub(crate) reserved_zero: U32,
    pub(crate) hash_version: u8,
    pub(crate) info_length: u8,
    pub(crate) indirect_levels: u8,
    pub(crate) unused_flags: u8,
}

/// The first of a node's entries: room and number in place of the hash, which is 0 by definition.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDxCount {
    pub(crate) limit: U16,
    pub(crate) count: U16,
    pub(crate) block: U32,
}

/// The other entries of a node.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDxEntry {
    pub(crate) hash: U32,
    pub(crate) block: U32,
}

const _: () = {
    assert!(size_of::<RawDirent>() == 8);
    assert!(size_of::<RawDirTail>() == 12);
    assert!(size_of::<RawDxInfo>() == 8);
    assert!(size_of::<RawDxCount>() == 8);
    assert!(size_of::<RawDxEntry>() == 8);
};
