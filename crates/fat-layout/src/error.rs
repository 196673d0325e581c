use image_tree::{Explain, Explanation, explained_errors};

/// Why a FAT file system can't hold a tree. Paths are those in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FatError {
    /// A partition too short for the type, or for any.
    TooShort {
        /// How long it is.
        bytes: u64,
        /// Whether FAT32 was meant.
        fat32: bool,
        /// The least whole number of MiB that does, in \[bytes\].
        least: u64,
    },
    /// A partition too long for the type.
    TooLong {
        /// How long it is.
        bytes: u64,
        /// Whether FAT32 was meant.
        fat32: bool,
    },
    /// Contents that need more room.
    Full {
        /// How many bytes of clusters are missing.
        missing: u64,
    },
    /// More entries in the root than FAT16 has room for.
    RootFull {
        /// Entries with their long names.
        needed: usize,
        /// What there is.
        room: usize,
    },
    /// A directory with more entries than any reader takes.
    DirectoryFull {
        /// The directory.
        path: String,
    },
    /// A file whose length FAT can't count.
    TooLarge {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
    },
    /// What FAT has no kind for.
    Kind {
        /// What there is.
        path: String,
        /// Its kind.
        what: &'static str,
    },
    /// A name that FAT can't have.
    Name {
        /// What has the name.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// Two names that FAT takes for one.
    SameName {
        /// What comes first.
        one: String,
        /// What comes later.
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
                format!("the root needs {needed} entries of 32 bytes, FAT16 has room for {room}"),
                "move files into folders, or write \"bits\": 32",
            ),
            Self::DirectoryFull { path } => Explanation::new(
                path,
                "has more than the 65536 entries of 32 bytes that FAT allows",
                "split it",
            ),
            Self::TooLarge { path, bytes } => Explanation::new(
                path,
                format!("has {bytes} bytes, FAT can't hold a file of 4 GiB or more"),
                "leave it out",
            ),
            Self::Kind { path, what } => {
                Explanation::new(path, format!("is {what}, which FAT does not know"), "put a file there")
            }
            Self::Name { path, why } => {
                Explanation::new(path, format!("FAT can't have this name: {why}"), "rename it")
            }
            Self::SameName { one, other } => Explanation::new(
                "",
                format!("{one} and {other} differ only in case, which FAT does not tell apart"),
                "rename one of them",
            ),
        }
    }
}

explained_errors!(FatError);

/// What messages call the type.
fn name(fat32: bool) -> &'static str {
    if fat32 { "FAT32" } else { "FAT16" }
}
