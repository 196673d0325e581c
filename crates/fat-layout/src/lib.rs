//! A FAT16 or FAT32 file system for firmware, with the geometry that mkfs.vfat would give it, as pieces of an image.
//!
//! The invariant: a [`FatLayout`] is made from a tree and options alone, every file is one run of clusters, and files
//! are in the order of their paths. Nothing here does I/O: the bytes of files are pieces that name them.
//!
//! The format is that of Microsoft's "FAT: General Overview of On-Disk Format" (version 1.03), "the specification" below.
//!
//! | module | its part |
//! |---|---|
//! | `geometry` | type of FAT, length of clusters and tables |
//! | `names` | long names, and short names beside them |
//! | `directory` | the entries of directories |
//! | `boot` | boot sector and `FSInfo` |
//! | `layout` | which clusters hold what, and the pieces |

use image_tree::SectorSize;

mod boot;
mod directory;
mod error;
mod geometry;
mod layout;
mod names;

pub use error::FatError;
pub use layout::{FatLayout, Summary};

/// What a file system shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its length in \[bytes\]; what is no whole number of tracks stays unused at its end.
    pub bytes: u64,
    /// The volume's name in upper case, padded with spaces; `NO NAME` for none.
    pub label: [u8; 11],
    /// The volume's number.
    pub id: u32,
    /// The type of FAT; `None` as mkfs.vfat chooses: FAT32 from 512 MiB on.
    pub bits: Option<Bits>,
    /// The length of a sector.
    pub sector: SectorSize,
}

/// The label of a volume that has none.
pub const NO_LABEL: [u8; 11] = *b"NO NAME    ";

/// The type of FAT: how many bits its table has for a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// 16.
    Fat16,
    /// 32, of which 28 count.
    Fat32,
}
