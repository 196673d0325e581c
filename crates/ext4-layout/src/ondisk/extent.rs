//! Extent tree nodes. Kernel documentation, "Extent Tree".

use std::mem::size_of;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `eh_magic`
pub(crate) const MAGIC: u16 = 0xf30a;
/// Entries that fit behind the header in `i_block`.
pub(crate) const INODE_ENTRIES: u16 = 4;
/// Entries that fit in a block, its checksum left room for: (4096 − 12 − 4) / 12.
pub(crate) const BLOCK_ENTRIES: u16 = 340;
/// Where a block's checksum is, in \[bytes\].
pub(crate) const CHECKSUM_OFFSET: usize = 12 + 12 * 340;
/// The longest initialised extent, in \[blocks\]; a longer length would mean an unwritten one.
pub(crate) const MAX_EXTENT: u64 = 32768;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawHeader {
    pub(crate) eh_magic: U16,
    pub(crate) eh_entries: U16,
    pub(crate) eh_max: U16,
    pub(crate) eh_depth: U16,
    pub(crate) eh_generation: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawExtent {
    pub(crate) ee_block: U32,
    pub(crate) ee_len: U16,
    pub(crate) ee_start_hi: U16,
    pub(crate) ee_start_lo: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawIndex {
    pub(crate) ei_block: U32,
    pub(crate) ei_leaf_lo: U32,
    pub(crate) ei_leaf_hi: U16,
    pub(crate) ei_unused: U16,
}

const _: () = {
    assert!(size_of::<RawHeader>() == 12);
    assert!(size_of::<RawExtent>() == 12);
    assert!(size_of::<RawIndex>() == 12);
};
