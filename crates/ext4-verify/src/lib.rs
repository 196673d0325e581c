//! Checks ext4 file systems as snugfs makes them, bit by bit.
//!
//! Nothing here is shared with the crates that make images: every rule is written down a second time, from the kernel's
//! documentation, so that a mistake on one side shows on the other. It is stricter than e2fsck, which checks what Linux
//! needs to mount and repairs the rest without a word: for each field, this crate knows the one (or few) correct values.
//!
//! The invariant of this crate: whatever an image says, the check ends and does not panic. Every block is claimed by one
//! user before it is read as anything, so nothing is read twice and no structure leads in a circle; memory is a bit for
//! each block and inode in use, and the names of directories.
//!
//! | module | its part |
//! |---|---|
//! | `stages` | the order of the checks |
//! | `source`, `image`, `group`, `inode`, `geometry` | what can be read, and what it says |
//! | `claims`, `sets` | which blocks and inodes are in use, and how often |
//! | `codes`, `problem`, `paths` | what can be wrong, where, and how much of it is kept |
//! | `superblock`, `descriptors`, `reserved` | checks of the file system as a whole |
//! | `walk`, `visit`, `context` | from the root to every inode that a name leads to |
//! | `fields`, `extents`, `directory`, `htree`, `xattr`, `acl` | checks of one inode |
//! | `tables`, `unused` | whether bitmaps, tables and counts agree with the claims; unused bytes |
//! | `observer` | shows each name to a caller that compares it with what it expects |

#![warn(clippy::arithmetic_side_effects)]

mod acl;
mod checksum;
mod claims;
mod codes;
mod context;
mod descriptors;
mod directory;
mod dirhash;
mod extents;
mod fields;
mod geometry;
mod group;
mod htree;
mod image;
mod inode;
mod numbers;
mod observer;
mod paths;
mod problem;
mod reserved;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod sample;
mod sets;
mod source;
mod stages;
mod superblock;
mod tables;
mod unused;
mod visit;
mod walk;
mod xattr;

pub use codes::{Code, Severity};
pub use extents::Run;
pub use inode::Kind;
pub use observer::{Attribute, Found, Observer};
pub use problem::{Findings, Place, Problem};
pub use source::{Source, Unreadable};

/// What may be in bytes that the file system does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// Zeros only, in free blocks and behind the end: as in a new file or partition.
    Zeros,
    /// Anything behind the end: on a device that is longer and held something else.
    AnythingBehind,
    /// Anything: on a device that held something else and was written by a map of the blocks in use.
    Anything,
}

/// Checks a file system that begins at the start of `source`.
pub fn check(source: &dyn Source, unused: Unused) -> Result<Findings, Unreadable> {
    stages::check(source, unused, None)
}

/// Checks a file system as [`check`] does, and reports every name, and what it leads to, to an observer.
pub fn check_and_show(
    source: &dyn Source,
    unused: Unused,
    observer: &mut dyn Observer,
) -> Result<Findings, Unreadable> {
    stages::check(source, unused, Some(observer))
}
