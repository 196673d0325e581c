use std::fmt;
use std::sync::Arc;

use image_tree::{FileRef, PieceSource, SectorSize, TreeId};

/// What a disk is made of.
#[derive(Debug)]
pub struct Options {
    /// The partition table.
    pub table: Table,
    /// What the table counts in.
    pub sector: SectorSize,
    /// The whole disk's length in \[bytes\], a multiple of the sector; `None` for what the rest needs.
    pub size: Option<u64>,
    /// What identifiers are derived from: the UUID of the root file system.
    pub seed: [u8; 16],
    /// In the order of their numbers: at most 4 in an MBR, at most 128 in a GPT.
    pub partitions: Vec<Partition>,
    /// Bytes outside of partitions.
    pub blobs: Vec<Blob>,
}

/// The kind of table, and the disk's identifier where one is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The table of a master boot record, with the disk's number.
    Mbr(Option<u32>),
    /// A GUID partition table; the disk's GUID in the order of its text form.
    Gpt(Option<[u8; 16]>),
}

/// A partition; sizes and places in \[bytes\], multiples of the sector.
#[derive(Debug)]
pub struct Partition {
    /// Where it begins; `None` for the next MiB after the one before.
    pub start: Option<u64>,
    /// Its length; `None` for that of its content.
    pub size: Option<u64>,
    /// Its type; of the table's kind.
    pub kind: Kind,
    /// The active flag of an MBR, attribute 2 of a GPT.
    pub bootable: bool,
    /// Its name in a GPT, at most 36 UTF-16 units.
    pub name: String,
    /// Its GUID in a GPT, in the order of its text form.
    pub guid: Option<[u8; 16]>,
    /// What is in it.
    pub part: Part,
}

/// The type of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The number in an MBR.
    Mbr(u8),
    /// The GUID in a GPT, in the order of its text form.
    Gpt([u8; 16]),
}

/// What is in a partition.
#[derive(Clone)]
pub enum Part {
    /// Zeros.
    Empty,
    /// A file system.
    Volume {
        /// Its pieces.
        image: Arc<dyn PieceSource + Send>,
        /// The tree of its files.
        tree: TreeId,
    },
    /// The bytes of a file.
    File {
        /// The file.
        file: FileRef,
        /// Its length in \[bytes\].
        len: u64,
    },
}

impl Part {
    /// How many \[bytes\] it has.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Volume { image, .. } => image.len(),
            Self::File { len, .. } => *len,
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Volume { image, tree } => write!(f, "Volume {{ {} bytes, {tree:?} }}", image.len()),
            Self::File { file, len } => write!(f, "File {{ {file:?}, {len} bytes }}"),
        }
    }
}

/// The bytes of a file at a place of its own.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Where it begins, in \[bytes\].
    pub offset: u64,
    /// The file.
    pub file: FileRef,
    /// Its length in \[bytes\].
    pub len: u64,
}
