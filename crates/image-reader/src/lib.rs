//! Looks into disk images and file systems that nobody vouches for: what an image is, what is in it, and out with it.
//!
//! The invariant of this crate: whatever an image says, reading it ends, takes memory in proportion to what is
//! asked for, and gives a value or an error. So every number from an image is checked against the image before it
//! is used, and arithmetic with it is checked or saturating: the lint below finds any other. Every chain and tree has an
//! order or a count that it must keep, no directory is entered twice, and what reading structures costs is counted
//! (`work`).
//!
//! An image is opened read-only. What is read is what is there: checksums are compared where a wrong structure
//! would mislead (partition tables, superblocks, inodes), all others are for a checker of file systems.

#![warn(clippy::arithmetic_side_effects)]
#![cfg_attr(test, expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are their own"))]

mod bytes;
mod container;
mod error;
mod ext4;
mod extract;
mod fat;
mod file_system;
mod lookup;
mod overview;
mod seekable;
mod source;
mod table;
mod work;

pub use container::{Container, Image};
pub use error::ReadError;
pub use ext4::Ext4;
pub use extract::{ExtractOptions, Extracted, extract};
pub use fat::Fat;
pub use file_system::{Contents, Entry, FileSystem, Kind, Node, Run, Time, Usage, Visits};
pub use lookup::{Found, Links, find};
pub use overview::{Gap, Overview, Volume, VolumeContent};
pub use source::{ReadAt, Window};
pub use table::{Partition, PartitionTable, PartitionType, TableKind};
