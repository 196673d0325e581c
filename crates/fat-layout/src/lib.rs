//! Lays out FAT16 and FAT32 file systems for firmware, with the geometry of mkfs.vfat, as pieces of an image.
//!
//! The invariant: a [`FatLayout`] depends only on a tree and options. Every file is one run of clusters, and files are
//! in the order of their paths. The crate does no I/O: the bytes of files are pieces that refer to the files.
//!
//! "The specification" is Microsoft's "FAT: General Overview of On-Disk Format" (version 1.03).
//!
//! | module | contents |
//! |---|---|
//! | `geometry` | FAT type, sizes of clusters and tables |
//! | `names` | long names and their short names |
//! | `directory` | directory entries |
//! | `boot` | boot sector and `FSInfo` |
//! | `layout` | allocation of clusters, and the pieces |
//! | `smallest` | the smallest partition for a tree and free space |

use image_tree::SectorSize;

mod boot;
mod directory;
mod error;
mod geometry;
mod layout;
mod names;
mod smallest;

pub use error::{FatError, Names, Subject};
pub use layout::{FatLayout, Summary};

/// The parameters of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Length of the partition in \[bytes\]. An incomplete track at the end stays unused.
    pub bytes: u64,
    /// Promised free space in \[bytes\], counted in whole clusters.
    pub free_space: u64,
    /// Volume label in upper case, padded with spaces; [`NO_LABEL`] for none.
    pub label: [u8; 11],
    /// Volume serial number.
    pub id: u32,
    /// FAT type. `None`: as mkfs.vfat chooses, FAT32 from 512 MiB.
    pub bits: Option<Bits>,
    /// Sector size.
    pub sector: SectorSize,
}

/// The label of a volume without a label.
pub const NO_LABEL: [u8; 11] = *b"NO NAME    ";

/// The FAT type: the width of a FAT entry in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// 16 bits.
    Fat16,
    /// 32 bits, of which 28 are used.
    Fat32,
}

impl Bits {
    /// The reserved sector at which a list of slots begins: after the boot sector of FAT16; in FAT32 also after `FSInfo`, the
    /// sector that boot code uses, and the copies of all three.
    #[must_use]
    pub const fn list_at(self) -> u64 {
        match self {
            Self::Fat16 => 1,
            Self::Fat32 => 9,
        }
    }
}

/// The first line of a list of slots. A line for each slot follows: its room in \[bytes\], a space, and its path. NULs fill the
/// rest of the reserved sectors.
pub const SLOTS: &str = "snugfs slots 1";

/// The longest list of slots, in \[bytes\].
pub const MAX_SLOT_LIST: u64 = 1 << 20;
