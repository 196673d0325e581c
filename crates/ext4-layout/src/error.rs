use std::fmt;

use image_tree::{
    BinarySize, Explain, Explanation, ImagePath, InvalidAcl, Permissions, XattrName, explained_errors,
};

use crate::Compatibility;

/// A field of [`Options`](crate::Options), the subject of an error or warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionName {
    /// `size`
    Size,
    /// `free_space`
    FreeSpace,
    /// `free_inodes`
    FreeInodes,
    /// `bytes_per_inode`
    BytesPerInode,
    /// `grow_to`
    GrowTo,
    /// `journal_size`
    JournalSize,
    /// `reserved`
    Reserved,
    /// `uuid`
    Uuid,
}

impl OptionName {
    /// The field's name.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::FreeSpace => "free_space",
            Self::FreeInodes => "free_inodes",
            Self::BytesPerInode => "bytes_per_inode",
            Self::GrowTo => "grow_to",
            Self::JournalSize => "journal_size",
            Self::Reserved => "reserved",
            Self::Uuid => "uuid",
        }
    }
}

/// The subject of an error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A path in the image.
    Path(ImagePath),
    /// One of the options.
    Option(OptionName),
    /// Several options together.
    Options,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Option(option) => f.write_str(option.field()),
            Self::Options => f.write_str("the options"),
        }
    }
}

/// A message: its subject, what is wrong, and what to do.
pub(crate) type Message = (Subject, String, String);

/// The error if a tree does not fit into an ext4 file system with these options.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// A file of 2³² blocks or more.
    FileTooLarge {
        /// Path in the image.
        path: ImagePath,
        /// Length in \[bytes\].
        size: u64,
    },
    /// A directory that needs more than two levels of index.
    DirectoryTooLarge {
        /// Path in the image.
        path: ImagePath,
        /// Number of entries.
        entries: u64,
    },
    /// Extended attributes that don't fit into the inode and one block.
    XattrsTooLarge {
        /// Path in the image.
        path: ImagePath,
        /// Number of attributes.
        count: usize,
        /// Number of \[bytes\] that don't fit.
        bytes: usize,
    },
    /// Two extended attributes with one name.
    XattrTwice {
        /// Path in the image.
        path: ImagePath,
        /// The name.
        name: XattrName,
    },
    /// An extended attribute that Linux does not return for files of this type: `user.*` on anything but files and
    /// directories, a default access control list on anything but directories, an access control list on a symlink.
    XattrOfOtherType {
        /// Path in the image.
        path: ImagePath,
        /// The name.
        name: XattrName,
    },
    /// The owner or group 4294967295, which means "none" to Linux.
    NoOwner {
        /// Path in the image.
        path: ImagePath,
    },
    /// The UUID of zeros, which means "none".
    NoUuid,
    /// More than half of all blocks for root.
    Reserved {
        /// The option's value in \[thousandths of a percent\].
        thousandths: u32,
    },
    /// An access control list that Linux would reject.
    BadAcl {
        /// Path in the image.
        path: ImagePath,
        /// The reason.
        reason: InvalidAcl,
    },
    /// A mode and an access control list with different permissions.
    AclMode {
        /// Path in the image.
        path: ImagePath,
        /// The mode.
        mode: Permissions,
        /// The mode of the list.
        list: Permissions,
    },
    /// The directory `/lost+found`, which e2fsck needs, is missing.
    NoLostFound,
    /// Too many inodes.
    TooManyInodes {
        /// Number of inodes needed.
        wanted: u64,
    },
    /// Contents, free space and free inodes don't fit into the fixed size.
    SizeTooSmall {
        /// The option's value in \[bytes\].
        size: u64,
        /// Minimum size in \[bytes\].
        needed: u64,
        /// Promised free space in \[bytes\].
        free_space: u64,
    },
    /// Too many block groups for their descriptors.
    TooLarge {
        /// Minimum size in \[bytes\].
        bytes: u64,
        /// Determines the maximum.
        compatibility: Compatibility,
    },
    /// More reserved descriptor blocks than the resize inode can map.
    GrowthOutOfReach {
        /// The option's value in \[bytes\].
        wanted: u64,
        /// Maximum value in \[bytes\].
        reachable: u64,
    },
    /// The journal does not fit into the file system.
    JournalSize {
        /// The option's value in \[bytes\].
        size: u64,
    },
}

impl LayoutError {
    /// The message. `name` returns the program's name of an option.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one message after the other")]
    pub fn message(&self, name: &dyn Fn(OptionName) -> String) -> (Subject, String, String) {
        use OptionName::{BytesPerInode, FreeInodes, FreeSpace, GrowTo, JournalSize, Size};
        let at =
            |path: &ImagePath, what: String, help: &str| (Subject::Path(path.clone()), what, help.to_owned());
        match self {
            Self::FileTooLarge { path, size } => at(
                path,
                format!("its {size} bytes exceed the maximum for files of ext4, 2^44 - 4096 bytes"),
                "leave it out or split it",
            ),
            Self::DirectoryTooLarge { path, entries } => at(
                path,
                format!("its {entries} entries exceed what the index of an ext4 directory can hold"),
                "spread them over several directories",
            ),
            Self::XattrsTooLarge { path, count, bytes } => at(
                path,
                format!(
                    "its {} {bytes} bytes more than its inode and one block of 4096 bytes can hold",
                    attributes_take(*count)
                ),
                if *count == 1 { "leave it out" } else { "leave some out" },
            ),
            Self::XattrTwice { path, name } => {
                at(path, format!("has the extended attribute {name} twice"), "leave one out")
            }
            Self::XattrOfOtherType { path, name } => at(
                path,
                format!("Linux knows no extended attribute {name} of a file of its type"),
                "leave it out",
            ),
            Self::NoOwner { path } => at(
                path,
                "its owner or group is 4294967295, which means none".to_owned(),
                "choose another one",
            ),
            Self::NoUuid => (
                Subject::Option(OptionName::Uuid),
                "is zero, which means that there is none".to_owned(),
                "choose another one".to_owned(),
            ),
            Self::Reserved { thousandths } => (
                Subject::Option(OptionName::Reserved),
                format!("{thousandths} thousandths of a percent are more than half of the file system"),
                "choose at most 50000".to_owned(),
            ),
            Self::BadAcl { path, reason } => {
                at(path, format!("Linux refuses its access control list: {reason}"), "remove or correct it")
            }
            Self::AclMode { path, mode, list } => at(
                path,
                format!(
                    "its mode {:04o} differs from the mode {:04o} of its access control list",
                    mode.bits(),
                    list.bits()
                ),
                "change one of the two",
            ),
            Self::NoLostFound => (
                ImagePath::parse(b"/lost+found").map_or(Subject::Options, Subject::Path),
                "is not a directory of the tree".to_owned(),
                "add it".to_owned(),
            ),
            Self::TooManyInodes { wanted } => (
                Subject::Options,
                format!("{wanted} inodes exceed the 2^32 of ext4"),
                format!("lower {} or raise {}", name(FreeInodes), name(BytesPerInode)),
            ),
            Self::SizeTooSmall { size, needed, free_space } => (
                Subject::Option(Size),
                format!(
                    "{} is too little: {} {}",
                    BinarySize::down(*size),
                    if *free_space > 0 {
                        "contents, metadata and free space need"
                    } else {
                        "contents and metadata need"
                    },
                    BinarySize::up(*needed)
                ),
                if *free_space > 0 {
                    format!("write at least {needed}, or lower {}", name(FreeSpace))
                } else {
                    format!("write at least {needed}")
                },
            ),
            Self::TooLarge { bytes, compatibility } => (
                Subject::Options,
                format!(
                    "contents, {} and {} need at least {bytes} bytes, but a file system without {}",
                    name(FreeSpace),
                    name(Size),
                    match compatibility {
                        Compatibility::Current => "meta_bg can have at most 128 TiB",
                        Compatibility::Legacy => "the feature 64bit can have at most 16 TiB - 128 MiB",
                    }
                ),
                "lower one of them".to_owned(),
            ),
            Self::GrowthOutOfReach { wanted, reachable } => (
                Subject::Option(GrowTo),
                format!(
                    "{wanted} bytes are too many: a file system of this size can grow online to at most {reachable} bytes"
                ),
                "lower it to that, or reserve nothing for growth".to_owned(),
            ),
            Self::JournalSize { size } => (
                Subject::Option(JournalSize),
                format!(
                    "{size} bytes are not possible: a journal has from 4194304 bytes to 2^32 - 1 blocks of 4096 bytes"
                ),
                "choose 0, a size in this range, or the default".to_owned(),
            ),
        }
    }
}

impl Explain for LayoutError {
    fn explain(&self) -> Explanation {
        explanation(self.message(&|option| option.field().to_owned()))
    }
}

explained_errors!(LayoutError);

fn explanation((subject, what, help): Message) -> Explanation {
    Explanation::new(subject.to_string(), what, help)
}

/// A warning about a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutWarning {
    /// More inodes than a block group can have.
    InodesPerGroup {
        /// The option's value.
        bytes_per_inode: u64,
        /// The resulting value.
        possible: u64,
    },
    /// The journal is too short for online growth.
    JournalTooShortToGrow {
        /// Length of the journal in \[bytes\].
        journal: u64,
        /// Length that Linux needs in \[bytes\].
        needed: u64,
    },
    /// The end of the fixed size is too short for a block group, and stays unused.
    UnusedEnd {
        /// Number of unused \[bytes\].
        bytes: u64,
    },
    /// Linux reserves all free space for itself.
    UnusableFreeSpace {
        /// Space that Linux reserves in \[bytes\].
        kept: u64,
        /// Free space in \[bytes\].
        free: u64,
    },
    /// A file has more names than an inode allows, so the image has copies of it.
    Copies {
        /// Path of the first such file.
        first: ImagePath,
        /// Number of copies of such files.
        count: usize,
    },
}

impl LayoutWarning {
    /// The message. `name` returns the program's name of an option.
    #[must_use]
    pub fn message(&self, name: &dyn Fn(OptionName) -> String) -> (Subject, String, String) {
        match self {
            Self::InodesPerGroup { bytes_per_inode, possible } => (
                Subject::Option(OptionName::BytesPerInode),
                format!("{bytes_per_inode} needs more inodes than a block group can have"),
                format!("{possible} is used instead"),
            ),
            Self::JournalTooShortToGrow { journal, needed } => (
                Subject::Option(OptionName::JournalSize),
                format!("{journal} bytes are too few to grow online to {}", name(OptionName::GrowTo)),
                format!("Linux needs at least {needed}"),
            ),
            Self::UnusedEnd { bytes } => (
                Subject::Option(OptionName::Size),
                format!("the last {bytes} bytes are too few for a block group, so they stay unused"),
                String::new(),
            ),
            Self::UnusableFreeSpace { kept, free } => (
                Subject::Option(OptionName::FreeSpace),
                format!(
                    "Linux reserves {kept} bytes of free space for itself, so the {free} bytes can't be used until the file system is grown"
                ),
                "choose more if the first boot writes, or 0 if nothing writes".to_owned(),
            ),
            Self::Copies { first, count } => (
                Subject::Path(first.clone()),
                "has more names than an inode can have (65000), so the image has copies of it".to_owned(),
                format!("there are {count} copies of such files"),
            ),
        }
    }
}

impl Explain for LayoutWarning {
    fn explain(&self) -> Explanation {
        explanation(self.message(&|option| option.field().to_owned()))
    }
}

impl fmt::Display for LayoutWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explain().fmt(f)
    }
}

fn attributes_take(count: usize) -> String {
    if count == 1 {
        "extended attribute takes".to_owned()
    } else {
        format!("{count} extended attributes take")
    }
}

#[cfg(test)]
mod tests;
