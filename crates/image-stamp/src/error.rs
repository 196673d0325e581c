use image_reader::ReadError;
use image_tree::{Explain, Explanation, escaped, explained_errors};

/// The error if a slot can't be filled.
#[derive(Debug)]
#[non_exhaustive]
pub enum StampError {
    /// The image can't be read.
    Read(ReadError),
    /// The file is not a slot.
    NotASlot {
        /// Its path.
        path: Vec<u8>,
    },
    /// The file was a slot, but its room was changed since, by a system that wrote it or by another program.
    Changed {
        /// Its path.
        path: Vec<u8>,
        /// What is not as it was reserved.
        what: &'static str,
    },
    /// Two contents for one file.
    Twice {
        /// The path of the slot.
        path: Vec<u8>,
        /// The path that it was first given with.
        other: Vec<u8>,
    },
    /// The contents are longer than the slot.
    TooLong {
        /// The path of the slot.
        path: Vec<u8>,
        /// Length of the contents in \[bytes\].
        bytes: u64,
        /// Room of the slot in \[bytes\].
        room: u64,
    },
    /// The file system has too few free clusters.
    NoClusters {
        /// The path of the slot.
        path: Vec<u8>,
        /// Bytes that are needed.
        bytes: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The file system was not unmounted.
    Unclean,
    /// A FAT file system that snugfs does not write.
    Fat12,
    /// A FAT file system that uses only one of its tables.
    NotMirrored,
}

impl From<ReadError> for StampError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Explain for StampError {
    fn explain(&self) -> Explanation {
        let shown = |path: &[u8]| escaped(path).to_string();
        match self {
            Self::Read(error) => error.explain(),
            Self::NotASlot { path } => Explanation::new(
                shown(path),
                "is not a slot",
                "make it one in the plan, with \"slot\": \"4KiB\"; `snugfs inspect IMAGE slots` lists the slots",
            ),
            Self::Changed { path, what } => Explanation::new(
                shown(path),
                format!("is no longer a slot: {what}"),
                "write it on the running system, or start from the image that snugfs built",
            ),
            Self::Twice { path, other } if path == other => {
                Explanation::new(shown(path), "is given twice", "name each slot once")
            }
            Self::Twice { path, other } => Explanation::new(
                shown(path),
                format!("is given twice: {} is the same file", shown(other)),
                "name each slot once",
            ),
            Self::TooLong { path, bytes, room } => Explanation::new(
                shown(path),
                format!("the contents have {bytes} bytes, but the slot has {room}"),
                "shorten them, or build the image with a larger slot",
            ),
            Self::NoClusters { path, bytes, free } => Explanation::new(
                shown(path),
                format!("needs {bytes} bytes, but the file system has only {free} free"),
                "free some space in it",
            ),
            Self::Unclean => Explanation::new(
                "",
                "the file system was not unmounted, or its journal has changes that are not applied",
                "mount and unmount it, or run e2fsck or fsck.vfat",
            ),
            Self::NotMirrored => Explanation::new(
                "",
                "the FAT file system uses only one of its allocation tables",
                "stamp an image that snugfs built",
            ),
            Self::Fat12 => Explanation::new("", "is a FAT12 file system, which has no slots", ""),
        }
    }
}

explained_errors!(StampError);
