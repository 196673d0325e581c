use image_tree::{Explain, Explanation, explained_errors};

/// The error if a tree does not fit into a FAT file system. Paths are those in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FatError {
    /// A partition that is too small for the FAT type.
    TooShort {
        /// Length of the partition in \[bytes\].
        bytes: u64,
        /// Whether the type is FAT32.
        fat32: bool,
        /// The minimum length, a whole number of MiB, in \[bytes\].
        least: u64,
    },
    /// A partition that is too large for the FAT type.
    TooLong {
        /// Length of the partition in \[bytes\].
        bytes: u64,
        /// Whether the type is FAT32.
        fat32: bool,
    },
    /// Contents that don't fit.
    Full {
        /// Missing clusters in \[bytes\].
        missing: u64,
    },
    /// More entries in the root directory than FAT16 has.
    RootFull {
        /// Number of entries, with those of long names.
        needed: usize,
        /// Number of entries that FAT16 has.
        room: usize,
    },
    /// A directory with more entries than FAT allows.
    DirectoryFull {
        /// Path of the directory.
        path: String,
    },
    /// A file of 4 GiB or more.
    TooLarge {
        /// Path of the file.
        path: String,
        /// Length of the file in \[bytes\].
        bytes: u64,
    },
    /// A kind of file that FAT does not support.
    Kind {
        /// Path of the file.
        path: String,
        /// Kind of the file, for messages.
        what: &'static str,
    },
    /// A name that FAT does not allow.
    Name {
        /// Path of the file.
        path: String,
        /// The rule that the name breaks.
        why: &'static str,
    },
    /// Two names that differ only in case.
    SameName {
        /// Path of the first.
        one: String,
        /// Path of the second.
        other: String,
    },
}

impl Explain for FatError {
    fn explain(&self) -> Explanation {
        match self {
            Self::TooShort { bytes, fat32, least } => Explanation::new(
                "",
                format!("{bytes} bytes are too few for {}", name(*fat32)),
                format!(
                    "make the partition at least {} MiB long{}",
                    least >> 20,
                    if *fat32 { ", or leave out \"bits\"" } else { "" }
                ),
            ),
            Self::TooLong { bytes, fat32 } => Explanation::new(
                "",
                format!("{bytes} bytes are too many for {}", name(*fat32)),
                format!("make the partition smaller{}", if *fat32 { "" } else { ", or leave out \"bits\"" }),
            ),
            Self::Full { missing } => Explanation::new(
                "",
                format!("the files need {missing} bytes more than the partition has"),
                format!("make it at least {missing} bytes larger"),
            ),
            Self::RootFull { needed, room } => Explanation::new(
                "",
                format!("the root directory needs {needed} entries of 32 bytes, but FAT16 has only {room}"),
                "move files into folders, or set \"bits\": 32",
            ),
            Self::DirectoryFull { path } => Explanation::new(
                path,
                "has more than the 65536 entries of 32 bytes that FAT allows",
                "split it into several directories",
            ),
            Self::TooLarge { path, bytes } => Explanation::new(
                path,
                format!("has {bytes} bytes, but FAT files must be smaller than 4 GiB"),
                "remove it",
            ),
            Self::Kind { path, what } => Explanation::new(
                path,
                format!("is {what}, which FAT does not support"),
                "replace it by a file",
            ),
            Self::Name { path, why } => {
                Explanation::new(path, format!("FAT does not allow this name: {why}"), "rename it")
            }
            Self::SameName { one, other } => Explanation::new(
                "",
                format!("{one} and {other} differ only in case, which FAT ignores"),
                "rename one of them",
            ),
        }
    }
}

explained_errors!(FatError);

/// Name of the FAT type in messages.
fn name(fat32: bool) -> &'static str {
    if fat32 { "FAT32" } else { "FAT16" }
}
