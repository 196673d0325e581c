use std::fmt;

use image_tree::{BinarySize, Explain, Explanation, ImagePath, InvalidAcl, Permissions, explained_errors};

/// A field of [`Options`](crate::Options) that an error or a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        }
    }
}

/// What an error or a warning is about.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A message about a file system: its subject, what is wrong, and what to do about it. `name` is how the program calls an option.
pub(crate) type Message = (Subject, String, String);

/// What an ext4 file system can't hold, or not in the size asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// Past 2³² blocks of a file.
    FileTooLarge {
        /// In the image.
        path: ImagePath,
        /// Length in \[bytes\].
        size: u64,
    },
    /// More than two levels of an index.
    DirectoryTooLarge {
        /// In the image.
        path: ImagePath,
        /// How many entries there are.
        entries: u64,
    },
    /// More than fits in the inode and one block.
    XattrsTooLarge {
        /// In the image.
        path: ImagePath,
        /// How many there are.
        count: usize,
        /// Too many \[bytes\].
        bytes: usize,
    },
    /// An access control list that Linux would refuse.
    BadAcl {
        /// In the image.
        path: ImagePath,
        /// What is wrong with it.
        reason: InvalidAcl,
    },
    /// A mode and an access control list that give different rights.
    AclMode {
        /// In the image.
        path: ImagePath,
        /// The mode.
        mode: Permissions,
        /// The mode that follows from the list.
        list: Permissions,
    },
    /// The tree lacks the directory that e2fsck needs.
    NoLostFound,
    /// Past 2³² inodes.
    TooManyInodes {
        /// How many would be needed.
        wanted: u64,
    },
    /// The contents and the promises do not fit the size that was fixed.
    SizeTooSmall {
        /// As planned, in \[bytes\].
        size: u64,
        /// The smallest size that would do, in \[bytes\].
        needed: u64,
        /// How much of that is promised free space, in \[bytes\].
        free_space: u64,
    },
    /// More block groups than their descriptors leave room for.
    TooLarge {
        /// At least so many \[bytes\] would be needed.
        bytes: u64,
    },
    /// More reserved descriptor blocks than the resize inode can name.
    GrowthOutOfReach {
        /// As planned, in \[bytes\].
        wanted: u64,
        /// The largest value that would do, in \[bytes\].
        reachable: u64,
    },
    /// The journal leaves no room.
    JournalSize {
        /// As planned, in \[bytes\].
        size: u64,
    },
}

impl LayoutError {
    /// What the error is about, what is wrong, and what to do about it. `name` is how the program calls an option.
    #[must_use]
    pub fn message(&self, name: &dyn Fn(OptionName) -> String) -> (Subject, String, String) {
        use OptionName::{BytesPerInode, FreeInodes, FreeSpace, GrowTo, JournalSize, Size};
        let at =
            |path: &ImagePath, what: String, help: &str| (Subject::Path(path.clone()), what, help.to_owned());
        match self {
            Self::FileTooLarge { path, size } => at(
                path,
                format!("{size} bytes are more than a file of ext4 can have, 2^44 - 4096"),
                "leave it out or split it",
            ),
            Self::DirectoryTooLarge { path, entries } => at(
                path,
                format!("{entries} entries are more than a directory of ext4 can index"),
                "spread them over several directories",
            ),
            Self::XattrsTooLarge { path, count, bytes } => at(
                path,
                format!(
                    "its {} {bytes} bytes more than its inode and one block of 4096 bytes hold",
                    attributes_take(*count)
                ),
                if *count == 1 { "leave it out" } else { "leave some out" },
            ),
            Self::BadAcl { path, reason } => {
                at(path, format!("Linux refuses its access control list: {reason}"), "remove or mend it")
            }
            Self::AclMode { path, mode, list } => at(
                path,
                format!(
                    "its mode {:04o} and its access control list, which stands for {:04o}, disagree",
                    mode.bits(),
                    list.bits()
                ),
                "set one of them anew",
            ),
            Self::NoLostFound => (
                ImagePath::parse(b"/lost+found").map_or(Subject::Options, Subject::Path),
                "is not a directory of the tree".to_owned(),
                "add it".to_owned(),
            ),
            Self::TooManyInodes { wanted } => (
                Subject::Options,
                format!("{wanted} inodes are more than ext4's 2^32"),
                format!("ask for fewer by {} or {}", name(FreeInodes), name(BytesPerInode)),
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
            Self::TooLarge { bytes } => (
                Subject::Options,
                format!(
                    "contents, {} and {} ask for at least {bytes} bytes, more than the 128 TiB that a file system without meta_bg can have",
                    name(FreeSpace),
                    name(Size)
                ),
                "ask for less".to_owned(),
            ),
            Self::GrowthOutOfReach { wanted, reachable } => (
                Subject::Option(GrowTo),
                format!(
                    "{wanted} bytes are out of reach: from this size, online growth without a change of features goes up to {reachable} bytes"
                ),
                "lower it to that, or set it to null".to_owned(),
            ),
            Self::JournalSize { size } => (
                Subject::Option(JournalSize),
                format!(
                    "{size} bytes are not possible: a journal has between 4194304 bytes and 2^32 blocks of 4096 bytes"
                ),
                "choose 0, null or a size within".to_owned(),
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

/// Something that people should know of a file system though it is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutWarning {
    /// More inodes are asked for than a block group can have.
    InodesPerGroup {
        /// As planned.
        bytes_per_inode: u64,
        /// What comes out.
        possible: u64,
    },
    /// The journal is too short for a transaction of online growth.
    JournalTooShortToGrow {
        /// Its length in \[bytes\].
        journal: u64,
        /// What Linux needs, in \[bytes\].
        needed: u64,
    },
    /// The end of a fixed size is too short for a block group.
    UnusedEnd {
        /// So many \[bytes\].
        bytes: u64,
    },
    /// Linux keeps all free space to itself.
    UnusableFreeSpace {
        /// What Linux keeps, in \[bytes\].
        kept: u64,
        /// What is free, in \[bytes\].
        free: u64,
    },
    /// A file has more names than an inode can count, so the image has copies of it.
    Copies {
        /// The first of the files.
        first: ImagePath,
        /// How many copies there are of such files.
        count: usize,
    },
}

impl LayoutWarning {
    /// What the warning is about, what is unusual, and what to do about it. `name` is how the program calls an option.
    #[must_use]
    pub fn message(&self, name: &dyn Fn(OptionName) -> String) -> (Subject, String, String) {
        match self {
            Self::InodesPerGroup { bytes_per_inode, possible } => (
                Subject::Option(OptionName::BytesPerInode),
                format!("{bytes_per_inode} asks for more inodes than a block group can have"),
                format!("it is as if {possible}"),
            ),
            Self::JournalTooShortToGrow { journal, needed } => (
                Subject::Option(OptionName::JournalSize),
                format!("{journal} bytes are too few to grow online as far as {}", name(OptionName::GrowTo)),
                format!("Linux needs at least {needed} for it"),
            ),
            Self::UnusedEnd { bytes } => (
                Subject::Option(OptionName::Size),
                format!("the last {bytes} bytes are too few for a block group and stay unused"),
                String::new(),
            ),
            Self::UnusableFreeSpace { kept, free } => (
                Subject::Option(OptionName::FreeSpace),
                format!(
                    "Linux keeps the last {kept} bytes of this file system's free space to itself, so the {free} bytes can't be used before it is grown"
                ),
                "ask for more if the first boot has to write, or for 0 if nobody does".to_owned(),
            ),
            Self::Copies { first, count } => (
                Subject::Path(first.clone()),
                "has more than the 65000 names that an inode can have, so the image has copies of it"
                    .to_owned(),
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
mod tests {
    use super::*;

    #[test]
    fn a_size_that_is_too_small_is_told_in_units_and_the_one_to_write_in_bytes() {
        let told =
            |size, needed, free_space| LayoutError::SizeTooSmall { size, needed, free_space }.to_string();
        assert_eq!(
            told(2 << 20, 42_987_520, 32 << 20),
            "size: 2.0 MiB is too little: contents, metadata and free space need 41.0 MiB; \
             write at least 42987520, or lower free_space"
        );
        assert_eq!(
            told(4096, 2_101_248, 0),
            "size: 4.0 KiB is too little: contents and metadata need 2.1 MiB; write at least 2101248"
        );
        let close = told((8 << 30) - 4096, 8 << 30, 0);
        assert!(close.contains("7.9 GiB is too little: contents and metadata need 8.0 GiB;"), "{close}");
    }

    #[test]
    fn one_attribute_is_not_several() {
        assert_eq!(attributes_take(1), "extended attribute takes");
        assert_eq!(attributes_take(2), "2 extended attributes take");
    }
}
