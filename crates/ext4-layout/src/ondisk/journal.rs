//! The journal's superblock, big-endian. Kernel documentation, "Journal (jbd2)".

use std::mem::{offset_of, size_of};
use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `h_magic`
pub(crate) const MAGIC: u32 = 0xc03b_3998;
/// `h_blocktype`: superblock, version 2.
pub(crate) const SUPERBLOCK_V2: u32 = 4;

/// The first 1024 bytes of the journal; everything after `s_nr_users` stays zero in a new one.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawJournalSuperblock {
    pub(crate) h_magic: U32,
    pub(crate) h_blocktype: U32,
    pub(crate) h_sequence: U32,
    pub(crate) s_blocksize: U32,
    pub(crate) s_maxlen: U32,
    pub(crate) s_first: U32,
    pub(crate) s_sequence: U32,
    pub(crate) s_start: U32,
    pub(crate) s_errno: U32,
    pub(crate) s_features: [U32; 3],
    pub(crate) s_uuid: [u8; 16],
    pub(crate) s_nr_users: U32,
}

const _: () = {
    assert!(size_of::<RawJournalSuperblock>() == 0x44);
    assert!(offset_of!(RawJournalSuperblock, s_uuid) == 0x30);
};
