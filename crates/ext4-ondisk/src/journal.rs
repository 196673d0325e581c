//! The journal's superblock (`struct journal_superblock_s`), big-endian.
//!
//! Source: kernel documentation, "Journal (jbd2)".

use std::mem::{offset_of, size_of};
use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Value of `h_magic`.
pub const MAGIC: u32 = 0xc03b_3998;
/// Value of `h_blocktype`: superblock, version 2.
pub const SUPERBLOCK_V2: u32 = 4;

/// The first bytes of the journal's superblock. The others, up to 1024, are zero in a new journal.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct JournalSuperblock {
    /// [`MAGIC`].
    pub h_magic: U32,
    /// [`SUPERBLOCK_V2`].
    pub h_blocktype: U32,
    /// Number of the transaction; 0 in a superblock.
    pub h_sequence: U32,
    /// Block size in \[bytes\].
    pub s_blocksize: U32,
    /// Length of the journal in \[blocks\].
    pub s_maxlen: U32,
    /// First block of the log.
    pub s_first: U32,
    /// Number of the first transaction.
    pub s_sequence: U32,
    /// First block of the first transaction; 0 for an empty journal.
    pub s_start: U32,
    /// Error code.
    pub s_errno: U32,
    /// Bits of compatible, incompatible and read-only compatible features.
    pub s_features: [U32; 3],
    /// UUID of the journal.
    pub s_uuid: [u8; 16],
    /// File systems that share the journal.
    pub s_nr_users: U32,
}

const _: () = {
    assert!(size_of::<JournalSuperblock>() == 0x44);
    assert!(offset_of!(JournalSuperblock, s_blocksize) == 0xc);
    assert!(offset_of!(JournalSuperblock, s_uuid) == 0x30);
};
