//! Directory entries in the blocks of a directory.
//!
//! Source: kernel documentation, "Linear (Classic) Directories"; `fs/ext4/ext4.h`.

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Checksum;

/// Values of `file_type`.
pub mod file_type {
    /// Unknown, or no file.
    pub const UNKNOWN: u8 = 0;
    /// Regular file.
    pub const REGULAR: u8 = 1;
    /// Directory.
    pub const DIRECTORY: u8 = 2;
    /// Character device.
    pub const CHARACTER: u8 = 3;
    /// Block device.
    pub const BLOCK: u8 = 4;
    /// Named pipe.
    pub const FIFO: u8 = 5;
    /// Socket.
    pub const SOCKET: u8 = 6;
    /// Symbolic link.
    pub const SYMLINK: u8 = 7;
    /// The checksum at the end of a block (`EXT4_FT_DIR_CSUM`).
    pub const CHECKSUM: u8 = 0xde;
}

/// Size of an entry before its name, in \[bytes\].
pub const HEADER_SIZE: usize = 8;
/// Entries start and end at multiples of this, in \[bytes\] (`EXT4_DIR_PAD`).
pub const ALIGNMENT: usize = 4;
/// Size of the shortest entry, in \[bytes\]: a name of one byte.
pub const MIN_ENTRY_SIZE: usize = 12;
/// Size of [`DirectoryTail`], in \[bytes\].
pub const TAIL_SIZE: usize = 12;

/// The part of an entry before its name (`struct ext4_dir_entry_2`). The name follows, padded to [`ALIGNMENT`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DirectoryEntry {
    /// Inode; 0 for an unused entry.
    pub inode: U32,
    /// Distance to the next entry in \[bytes\]; see [`entry_length`].
    pub rec_len: U16,
    /// Length of the name in \[bytes\].
    pub name_len: u8,
    /// Type of the file, a constant of [`file_type`].
    pub file_type: u8,
}

/// The last twelve bytes of a block with checksums (`struct ext4_dir_entry_tail`): an unused entry with the checksum.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DirectoryTail {
    /// An entry without inode and name, of type [`file_type::CHECKSUM`].
    pub entry: DirectoryEntry,
    /// Checksum of the block.
    pub checksum: U32,
}

impl DirectoryTail {
    /// Computes the tail of a block from the bytes before it, with the seed of the directory's inode
    /// (`ext4_dirblock_csum`).
    pub fn of(inode_seed: Checksum, before: &[u8]) -> Self {
        Self {
            entry: DirectoryEntry {
                inode: 0.into(),
                rec_len: 12.into(),
                name_len: 0,
                file_type: file_type::CHECKSUM,
            },
            checksum: inode_seed.over(before).value().into(),
        }
    }
}

/// Computes the size of an entry in \[bytes\] from the length of its name, at most 255 (`ext4_dir_rec_len`).
pub const fn entry_size(name_len: usize) -> usize {
    HEADER_SIZE.saturating_add(name_len).next_multiple_of(ALIGNMENT)
}

/// Decodes `rec_len` as \[bytes\]. In blocks of 64 KiB, 0 and 65,535 stand for 65,536, which does not fit the field
/// (`ext4_rec_len_from_disk`).
pub fn entry_length(rec_len: u16, block_size: usize) -> usize {
    match rec_len {
        0 | 0xffff if block_size == 1 << 16 => 1 << 16,
        length => length.into(),
    }
}

const _: () = {
    assert!(size_of::<DirectoryEntry>() == HEADER_SIZE);
    assert!(offset_of!(DirectoryEntry, rec_len) == 4);
    assert!(offset_of!(DirectoryEntry, name_len) == 6);
    assert!(size_of::<DirectoryTail>() == TAIL_SIZE);
    assert!(entry_size(1) == MIN_ENTRY_SIZE);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_padded_to_four_bytes() {
        for (name, size) in [(1, 12), (4, 12), (5, 16), (255, 264)] {
            assert_eq!(entry_size(name), size, "{name}");
        }
    }

    #[test]
    fn a_block_of_64_kib_has_two_words_for_all_of_it() {
        for (rec_len, small, large) in
            [(0, 0, 65_536), (0xffff, 65_535, 65_536), (12, 12, 12), (0xfffc, 65_532, 65_532)]
        {
            assert_eq!(entry_length(rec_len, 4096), small);
            assert_eq!(entry_length(rec_len, 65_536), large);
        }
    }
}
