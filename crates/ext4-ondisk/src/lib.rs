//! The ext4 on-disk format, described once: structures, constants, feature bits, checksums, directory hashes.
//!
//! The writer (`ext4-layout`), the reader (`image-reader`), the comparison (`snugfs-compare`) and the fuzzing bodies
//! share this description. The judge (`ext4-verify`) must not: it has its own, so that a mistake made here is found.
//!
//! Sources of the rules: the kernel's documentation of ext4 (`Documentation/filesystems/ext4/`), cited in each module
//! by the title of its section, and the kernel's `fs/ext4/` and e2fsprogs where the documentation is silent. Field names
//! are the kernel's.
//!
//! The invariants of this crate:
//! - Structures are little-endian (the journal's big-endian), without padding; their sizes and offsets are checked at
//!   compile time, and `tests/e2fsprogs.rs` compares each field's place with that of debugfs.
//! - Any bytes are a structure. Nothing here panics on bytes of a damaged image, allocates or does I/O.
//!
//! ```
//! use ext4_ondisk::{Superblock, feature, read_padded, superblock};
//!
//! let mut image = vec![0; 4096];
//! image[1024 + 0x38..1024 + 0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
//! let superblock: Superblock = read_padded(&image[superblock::OFFSET..]);
//! assert_eq!(superblock.s_magic.get(), superblock::MAGIC);
//! assert!(!superblock.has(feature::EXTENT));
//! ```

#![warn(clippy::arithmetic_side_effects)]

pub mod checksum;
mod device;
pub mod directory;
pub mod dirhash;
pub mod extent;
pub mod feature;
pub mod group;
mod halves;
pub mod htree;
pub mod inode;
pub mod journal;
pub mod superblock;
pub mod time;
pub mod xattr;

pub use checksum::Checksum;
pub use directory::{DirectoryEntry, DirectoryTail};
pub use extent::{Extent, ExtentHeader, ExtentIndex};
pub use feature::Feature;
pub use group::GroupDescriptor;
pub use halves::{low8, low16, low32};
pub use inode::Inode;
pub use journal::JournalSuperblock;
pub use superblock::Superblock;
pub use time::InodeTime;

use zerocopy::{FromBytes, IntoBytes};

/// Reads a structure from the start of `bytes`. Fields past the end of `bytes` are zero, as the kernel treats the fields
/// that a shorter inode or group descriptor lacks.
pub fn read_padded<T: FromBytes + IntoBytes>(bytes: &[u8]) -> T {
    let mut structure = T::new_zeroed();
    let target = structure.as_mut_bytes();
    let len = bytes.len().min(target.len());
    if let (Some(target), Some(bytes)) = (target.get_mut(..len), bytes.get(..len)) {
        target.copy_from_slice(bytes);
    }
    structure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_past_the_end_are_zero() {
        let entry: DirectoryEntry = read_padded(&[1, 0, 0, 0, 12, 0, 1, 2, 99]);
        assert_eq!((entry.inode.get(), entry.rec_len.get(), entry.name_len, entry.file_type), (1, 12, 1, 2));
        let entry: DirectoryEntry = read_padded(&[1, 0, 0, 0, 12]);
        assert_eq!((entry.inode.get(), entry.rec_len.get(), entry.name_len, entry.file_type), (1, 12, 0, 0));
        assert_eq!(read_padded::<DirectoryEntry>(&[]).inode.get(), 0);
    }
}
