//! The structures on disk, one file each: little-endian (the journal's big-endian), without padding, their
//! offsets checked when we compile. Field names are those of the kernel's documentation.

#![expect(
    clippy::struct_field_names,
    reason = "the prefix is part of each field's name in the documentation"
)]

pub(crate) mod dirent;
pub(crate) mod extent;
pub(crate) mod group_desc;
pub(crate) mod inode;
pub(crate) mod journal;
pub(crate) mod superblock;
pub(crate) mod xattr;
