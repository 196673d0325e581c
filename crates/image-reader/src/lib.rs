//! Reads untrusted disk images and file systems: gives an overview, lists files, and extracts them.
//!
//! The invariant of this crate: for any image, reading terminates, takes memory in proportion to the request, and returns a
//! value or an error. So every number from an image is checked against the image before it is used, and arithmetic with it
//! is checked or saturating (enforced by the lint below, also for counters of this crate). Every chain and tree must keep an
//! order or a count, no directory is entered twice, and the bytes read for structures are limited (`work`).
//!
//! An image is opened read-only. Checksums are compared only if a wrong structure would mislead (partition tables,
//! superblocks, inodes). The others are for a checker of file systems.

#![warn(clippy::arithmetic_side_effects)]
#![cfg_attr(test, expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are their own"))]

mod bytes;
mod compressed;
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
mod swap;
mod table;
mod work;

pub use compressed::beginning;
pub use container::{Container, Image, ImageStream};
pub use error::ReadError;
pub use ext4::{Ext4, RawInode};
pub use extract::{ExtractOptions, Extracted, extract};
pub use fat::{Fat, FatPlaces};
pub use file_system::{Attribute, Contents, Entry, FileSystem, Kind, Node, Run, Time, Usage, Visits};
pub use lookup::{Found, Links, find};
pub use overview::{Gap, Overview, Volume, VolumeContent};
pub use source::{ReadAt, Window};
pub use swap::Swap;
pub use table::{Partition, PartitionTable, PartitionType, TableKind};
