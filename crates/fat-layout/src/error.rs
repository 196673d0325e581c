use std::fmt;

/// Why a FAT file system can't hold a tree. Paths are those in the file system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FatError {
    /// A partition too short for the type, or for any.
    #[error("{bytes} bytes are too few for {0}; make the partition at least {1} MiB long{2}", Type(*fat32), least >> 20, Or(*fat32))]
    TooShort {
        /// How long it is.
        bytes: u64,
        /// Whether FAT32 was meant.
        fat32: bool,
        /// The least whole number of MiB that does, in \[bytes\].
        least: u64,
    },
    /// A partition too long for the type.
    #[error("{bytes} bytes are too many for {0}; make the partition smaller{1}", Type(*fat32), OrLarger(*fat32))]
    TooLong {
        /// How long it is.
        bytes: u64,
        /// Whether FAT32 was meant.
        fat32: bool,
    },
    /// Contents that need more room.
    #[error(
        "the files need {missing} bytes more than the partition has; make it at least {missing} bytes larger"
    )]
    Full {
        /// How many bytes of clusters are missing.
        missing: u64,
    },
    /// More entries in the root than FAT16 has room for.
    #[error(
        "the root needs {needed} entries of 32 bytes, FAT16 has room for {room}; move files into folders, or write \"bits\": 32"
    )]
    RootFull {
        /// Entries with their long names.
        needed: usize,
        /// What there is.
        room: usize,
    },
    /// A directory with more entries than any reader takes.
    #[error("{path}: has more than the 65536 entries of 32 bytes that FAT allows; split it")]
    DirectoryFull {
        /// The directory.
        path: String,
    },
    /// A file whose length FAT can't count.
    #[error("{path}: has {bytes} bytes, FAT can't hold a file of 4 GiB or more; leave it out")]
    TooLarge {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
    },
    /// What FAT has no kind for.
    #[error("{path}: is {what}, which FAT does not know; put a file there")]
    Kind {
        /// What there is.
        path: String,
        /// Its kind.
        what: &'static str,
    },
    /// A name that FAT can't have.
    #[error("{path}: FAT can't have this name: {why}; rename it")]
    Name {
        /// What has the name.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// Two names that FAT takes for one.
    #[error("{one} and {other} differ only in case, which FAT does not tell apart; rename one of them")]
    SameName {
        /// What comes first.
        one: String,
        /// What comes later.
        other: String,
    },
}

/// The other type that a partition may have which is too short for one.
struct Or(bool);

impl fmt::Display for Or {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { ", or leave out \"bits\"" } else { "" })
    }
}

/// The same of one that is too long.
struct OrLarger(bool);

impl fmt::Display for OrLarger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "" } else { ", or leave out \"bits\"" })
    }
}

/// What messages call the type.
struct Type(bool);

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "FAT32" } else { "FAT16" })
    }
}
