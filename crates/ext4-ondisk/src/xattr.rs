//! Extended attributes, in the inode and in a block.
//!
//! Source: kernel documentation, "Extended Attributes"; `fs/ext4/xattr.c`, and `fs/ext4/acl.h` for access control lists.

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Checksum;

/// Value of `h_magic`, at the start of the attributes in an inode and in a block.
pub const MAGIC: u32 = 0xea02_0000;
/// Size of [`MAGIC`] at the start of the attributes in an inode, in \[bytes\].
pub const INODE_HEADER_SIZE: usize = 4;
/// Size of [`XattrHeader`], in \[bytes\].
pub const HEADER_SIZE: usize = 32;
/// Size of an entry before its name, in \[bytes\].
pub const ENTRY_SIZE: usize = 16;
/// Names and values are padded to a multiple of this, in \[bytes\] (`EXT4_XATTR_PAD`).
pub const ALIGNMENT: usize = 4;
/// Size of the zeros that end the list of entries, in \[bytes\].
pub const END_SIZE: usize = 4;
/// Offset of the checksum in a block, in \[bytes\].
pub const CHECKSUM_OFFSET: usize = offset_of!(XattrHeader, h_checksum);

/// Values of `e_name_index`: the prefix that the stored name lacks.
pub mod name_index {
    /// `user.`
    pub const USER: u8 = 1;
    /// `system.posix_acl_access`, without a stored name.
    pub const POSIX_ACL_ACCESS: u8 = 2;
    /// `system.posix_acl_default`, without a stored name.
    pub const POSIX_ACL_DEFAULT: u8 = 3;
    /// `trusted.`
    pub const TRUSTED: u8 = 4;
    /// `security.`
    pub const SECURITY: u8 = 6;
}

/// Stored access control lists (`fs/ext4/acl.h`).
pub mod acl {
    /// The version at their start.
    pub const VERSION: u32 = 1;
    /// Tags of the entries that have an id: named users (`ACL_USER`) and named groups (`ACL_GROUP`).
    pub const TAGS_WITH_ID: [u16; 2] = [0x02, 0x08];
}

/// The header of a block of attributes (`struct ext4_xattr_header`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct XattrHeader {
    /// [`MAGIC`].
    pub h_magic: U32,
    /// Inodes that share the block.
    pub h_refcount: U32,
    /// Blocks in use, 1.
    pub h_blocks: U32,
    /// Hash of all entries; see [`block_hash`].
    pub h_hash: U32,
    /// Checksum; see [`computed_checksum`].
    pub h_checksum: U32,
    /// Zero.
    pub h_reserved: [U32; 3],
}

/// The part of an entry before its name (`struct ext4_xattr_entry`). The name follows, padded to [`ALIGNMENT`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct XattrEntry {
    /// Length of the name in \[bytes\].
    pub e_name_len: u8,
    /// Prefix of the name, a constant of [`name_index`].
    pub e_name_index: u8,
    /// Offset of the value in \[bytes\], from the first entry in an inode, from the start of a block.
    pub e_value_offs: U16,
    /// Inode that holds the value; 0 for none.
    pub e_value_inum: U32,
    /// Length of the value in \[bytes\].
    pub e_value_size: U32,
    /// Hash; see [`entry_hash`]. 0 in an inode, as mke2fs leaves it.
    pub e_hash: U32,
}

/// Computes `e_hash`: over the bytes of the name, then the words of the value (`ext4_xattr_hash_entry`).
pub fn entry_hash(name: &[u8], value: &[u8]) -> u32 {
    let hash = name.iter().fold(0_u32, |hash, &byte| hash.rotate_left(5) ^ u32::from(byte));
    value.chunks(ALIGNMENT).fold(hash, |hash, chunk| {
        let mut word = [0; ALIGNMENT];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        hash.rotate_left(16) ^ u32::from_le_bytes(word)
    })
}

/// Computes `h_hash` from the hashes of all entries in their order; 0, which no block shares, if one of them is 0
/// (`ext4_xattr_rehash`).
pub fn block_hash(hashes: &[u32]) -> u32 {
    if hashes.contains(&0) { 0 } else { hashes.iter().fold(0_u32, |all, hash| all.rotate_left(16) ^ hash) }
}

/// Computes the checksum of a block whose checksum field is 0: over the block's number and all its bytes
/// (`ext4_xattr_block_csum`).
pub fn computed_checksum(filesystem: Checksum, number: u64, block: &[u8]) -> u32 {
    filesystem.over(&number.to_le_bytes()).over(block).value()
}

const _: () = {
    assert!(size_of::<XattrHeader>() == HEADER_SIZE);
    assert!(CHECKSUM_OFFSET == 0x10);
    assert!(size_of::<XattrEntry>() == ENTRY_SIZE);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_hashed_in_padded_words() {
        assert_eq!(entry_hash(b"", b""), 0);
        assert_eq!(entry_hash(b"ab", b""), u32::from(b'a') << 5 ^ u32::from(b'b'));
        assert_eq!(entry_hash(b"", b"\x01\x02\x03\x04\x05"), 0x0201_0403 ^ 5);
        assert_eq!(entry_hash(b"n", b"v"), entry_hash(b"n", b"v\0\0\0"));
    }

    #[test]
    fn one_hash_of_zero_makes_the_blocks_hash_zero() {
        assert_eq!(block_hash(&[1, 2]), 1 << 16 ^ 2);
        assert_eq!(block_hash(&[1, 0]), 0);
    }
}
