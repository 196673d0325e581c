//! Judges ext4 file systems as snugfs makes them, bit by bit.
//!
//! Nothing here is shared with the crates that make images: every rule is written down a second time, from the kernel's
//! documentation, so that a mistake on one side shows on the other. It is stricter than e2fsck, which looks at what Linux
//! needs to mount and repairs the rest in silence: here every byte of the file system has one right value, or one of
//! few, and all are looked at.
//!
//! The invariant of this crate: whatever an image says, judging it ends and does not panic. Every block is claimed by one
//! user before it is read as anything, so nothing is read twice and nothing goes in a circle; memory is a bit for each
//! block and inode that is in use, and what the names of directories take.
//!
//! | module | its part |
//! |---|---|
//! | `codes`, `problem` | what can be wrong, where, and how much of it is kept |
//! | `source` | bytes to judge |
//! | `superblock`, `geometry`, `descriptors`, `reserved` | what holds for the file system |
//! | `walk`, `inode`, `extents`, `directory`, `htree`, `xattr` | what names lead to |
//! | `tables` | whether bitmaps, tables and counts agree with what was found |
//! | `observer` | what is there, for those who know what should be |

mod acl;
mod checker;
mod checksum;
mod codes;
mod descriptors;
mod directory;
mod dirhash;
mod extents;
mod geometry;
mod htree;
mod inode;
mod numbers;
mod observer;
mod problem;
mod reserved;
mod sets;
mod source;
mod superblock;
mod tables;
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
    /// Only zeros, in free blocks and behind the end: as in a new file or partition.
    Zeros,
    /// Anything behind the end: on a device that is longer and held something else.
    AnythingBehind,
    /// Anything: on a device that held something else and was written by a map of the blocks in use.
    Anything,
}

/// Judges a file system that begins at the start of `source`.
pub fn check(source: &dyn Source, unused: Unused) -> Result<Findings, Unreadable> {
    checker::check(source, unused, None)
}

/// The same, and shows an observer all that a name leads to.
pub fn check_and_show(
    source: &dyn Source,
    unused: Unused,
    observer: &mut dyn Observer,
) -> Result<Findings, Unreadable> {
    checker::check(source, unused, Some(observer))
}
