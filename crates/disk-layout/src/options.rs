use std::fmt;
use std::sync::Arc;

use image_tree::{FileRef, PieceSource, SectorSize, TreeId};

/// The parameters of a disk.
#[derive(Debug)]
pub struct Options {
    /// The partition table.
    pub table: Table,
    /// Sector size that the table uses.
    pub sector: SectorSize,
    /// Length of the disk in \[bytes\], a multiple of the sector. `None`: as long as needed.
    pub size: Option<u64>,
    /// How a length that is not given is rounded up.
    pub round_to: RoundTo,
    /// Seed of default identifiers: the UUID of the root file system.
    pub seed: [u8; 16],
    /// Partitions in the order of their numbers: at most 4 in an MBR, at most 128 in a GPT.
    pub partitions: Vec<Partition>,
    /// Bytes outside of partitions.
    pub blobs: Vec<Blob>,
}

/// How the length of a disk is rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoundTo {
    /// To a multiple of 4096 bytes, which suits every block size.
    #[default]
    Blocks,
    /// To a multiple of this number of \[bytes\], itself a multiple of the sector.
    Multiple(u64),
    /// To a power of two.
    PowerOfTwo,
}

/// The kind of table, with the disk's identifier; `None` for the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Master boot record, with the disk's number.
    Mbr(Option<u32>),
    /// GUID partition table, with the disk's GUID (bytes in the order of the text form).
    Gpt(Option<[u8; 16]>),
}

/// The identifier of a disk, given or derived, in the table of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableId {
    /// The disk's number in a master boot record.
    Mbr(u32),
    /// The disk's GUID in a GUID partition table, bytes in the order of the text form.
    Gpt([u8; 16]),
}

/// A partition. Sizes and offsets are in \[bytes\], multiples of the sector.
#[derive(Debug)]
pub struct Partition {
    /// Offset. `None`: the next multiple of `align` after the previous partition.
    pub start: Option<u64>,
    /// Alignment of a start that is not given. [`Partition::ALIGNMENT`] suits most media.
    pub align: u64,
    /// Length.
    pub size: Length,
    /// Partition type, for the kind of table in use.
    pub kind: Kind,
    /// Sets the active flag (MBR) or the attribute "legacy BIOS bootable" (GPT).
    pub bootable: bool,
    /// Name in a GPT, at most 36 UTF-16 units.
    pub name: String,
    /// GUID in a GPT, bytes in the order of the text form. `None`: the default.
    pub guid: Option<[u8; 16]>,
    /// Content.
    pub part: Part,
}

impl Partition {
    /// The usual alignment in \[bytes\], suitable for most flash memory and disks.
    pub const ALIGNMENT: u64 = 1 << 20;
}

/// The rule for the length of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// That of the content, in whole sectors.
    Content,
    /// This many \[bytes\].
    Bytes(u64),
    /// What other parts leave of a disk of a given length. Several such partitions share it by these weights, which are not 0.
    Fill(u32),
}

/// The type of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Number in an MBR.
    Mbr(u8),
    /// GUID in a GPT, bytes in the order of the text form.
    Gpt([u8; 16]),
}

/// The content of a partition, or bytes outside of partitions.
#[derive(Clone)]
pub enum Part {
    /// Only zeros.
    Empty,
    /// A file system, or bytes that are made in memory.
    Volume {
        /// Its pieces.
        image: Arc<dyn PieceSource + Send>,
        /// The tree of its files, if it has any.
        tree: TreeId,
    },
    /// A file.
    File {
        /// The file.
        file: FileRef,
        /// Length of the file in \[bytes\].
        len: u64,
    },
}

impl Part {
    /// Length of the content in \[bytes\].
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "whether a part is empty is of no interest")]
    pub fn len(&self) -> u64 {
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

/// Bytes outside of partitions.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Offset on the disk in \[bytes\].
    pub offset: u64,
    /// The bytes.
    pub part: Part,
}
