use std::fmt;

use image_tree::{Explain, Explanation, explained_errors};

use crate::MAX_SLOT_LIST;

/// The subject of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The whole file system.
    FileSystem,
    /// The promised free space.
    FreeSpace,
    /// A path in the file system.
    Path(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileSystem => Ok(()),
            Self::FreeSpace => f.write_str("the free space"),
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// The words that a program's messages use for [`Options::bits`](crate::Options::bits).
pub trait Names {
    /// The instruction to let the length decide on the FAT type.
    fn any_type(&self) -> String {
        "leave out the FAT type".to_owned()
    }

    /// The instruction to use FAT32.
    fn fat32(&self) -> String {
        "choose FAT32".to_owned()
    }

    /// The instruction to promise less free space.
    fn less_free_space(&self) -> String {
        "promise less".to_owned()
    }
}

/// Words that don't refer to a program's options.
#[derive(Clone, Copy, Debug)]
struct DefaultNames;

impl Names for DefaultNames {}

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
        /// Whether the length suits the other type.
        other: bool,
    },
    /// A partition that is too large for the FAT type.
    TooLong {
        /// Length of the partition in \[bytes\].
        bytes: u64,
        /// Whether the type is FAT32.
        fat32: bool,
        /// Whether the length suits the other type.
        other: bool,
    },
    /// Contents that don't fit.
    Full {
        /// Missing clusters in \[bytes\].
        missing: u64,
        /// Whether free space or slots were promised.
        promised: bool,
        /// Whether less free space could be promised.
        free_space: bool,
        /// How much longer the partition must be, in \[bytes\]; `None` if no length is sufficient for the FAT type.
        more: Option<u64>,
    },
    /// Contents that no partition of the FAT type can hold.
    TooMuch {
        /// Whether the type is FAT32.
        fat32: bool,
        /// The promised free space in \[bytes\].
        free_space: u64,
        /// Whether FAT32 would be sufficient.
        other: bool,
    },
    /// More entries in the root directory than FAT16 has.
    RootFull {
        /// Number of entries, with those of long names.
        needed: usize,
        /// Number of entries that FAT16 has.
        room: usize,
        /// Whether the partition's length suits FAT32.
        fat32: bool,
    },
    /// A directory with more entries than FAT allows.
    DirectoryFull {
        /// Path of the directory.
        path: String,
    },
    /// Too many slots.
    SlotList {
        /// Length of their list in \[bytes\].
        bytes: u64,
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

impl FatError {
    /// Returns what the error is about, what is wrong, and what to do.
    pub fn message(&self, names: &dyn Names) -> (Subject, String, String) {
        let whole = |what: String, help: String| (Subject::FileSystem, what, help);
        let at =
            |path: &str, what: String, help: &str| (Subject::Path(path.to_owned()), what, help.to_owned());
        match self {
            Self::TooShort { bytes, fat32, least, other } => whole(
                format!("{bytes} bytes are too few for {}", name(*fat32)),
                format!(
                    "make the partition at least {} MiB long{}",
                    least >> 20,
                    if *other { format!(", or {}", names.any_type()) } else { String::new() }
                ),
            ),
            Self::TooLong { bytes, fat32, other } => whole(
                format!("{bytes} bytes are too many for {}", name(*fat32)),
                format!(
                    "make the partition smaller{}",
                    if *other { format!(", or {}", names.any_type()) } else { String::new() }
                ),
            ),
            Self::Full { missing, promised, free_space, more } => whole(
                format!(
                    "the files{} need {missing} bytes more than the partition has",
                    if *promised { " and the free space" } else { "" }
                ),
                match more {
                    Some(more) => format!("make it {more} bytes larger, as longer tables need space too"),
                    None if *free_space => format!("leave some out, or {}", names.less_free_space()),
                    None => "leave some out".to_owned(),
                },
            ),
            Self::TooMuch { fat32, free_space, other } => {
                let fat32_instead = if *other { format!(", or {}", names.fat32()) } else { String::new() };
                if *free_space > 0 {
                    let what =
                        format!("{free_space} bytes and the files are more than {} can hold", name(*fat32));
                    (Subject::FreeSpace, what, format!("{}{fat32_instead}", names.less_free_space()))
                } else {
                    let what = format!("the files are more than {} can hold", name(*fat32));
                    whole(what, format!("leave some out{fat32_instead}"))
                }
            }
            Self::RootFull { needed, room, fat32 } => whole(
                format!("the root directory needs {needed} entries of 32 bytes, but FAT16 has only {room}"),
                if *fat32 {
                    format!("move files into folders, or {}", names.fat32())
                } else {
                    "move files into folders".to_owned()
                },
            ),
            Self::DirectoryFull { path } => at(
                path,
                "has more than the 65536 entries of 32 bytes that FAT allows".to_owned(),
                "split it into several directories",
            ),
            Self::SlotList { bytes } => whole(
                format!("the list of slots has {bytes} bytes, but at most {MAX_SLOT_LIST} are possible"),
                "make fewer slots, or shorten their paths".to_owned(),
            ),
            Self::TooLarge { path, bytes } => {
                at(path, format!("has {bytes} bytes, but FAT files must be smaller than 4 GiB"), "remove it")
            }
            Self::Kind { path, what } => {
                at(path, format!("is {what}, which FAT does not support"), "replace it by a file")
            }
            Self::Name { path, why } => at(path, format!("FAT does not allow this name: {why}"), "rename it"),
            Self::SameName { one, other } => whole(
                format!("{one} and {other} differ only in case, which FAT ignores"),
                "rename one of them".to_owned(),
            ),
        }
    }
}

impl Explain for FatError {
    fn explain(&self) -> Explanation {
        let (subject, what, help) = self.message(&DefaultNames);
        Explanation::new(subject.to_string(), what, help)
    }
}

explained_errors!(FatError);

/// Name of the FAT type in messages.
fn name(fat32: bool) -> &'static str {
    if fat32 { "FAT32" } else { "FAT16" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of another program.
    struct OtherNames;

    impl Names for OtherNames {
        fn any_type(&self) -> String {
            "delete `type`".to_owned()
        }

        fn fat32(&self) -> String {
            "set `type` to fat32".to_owned()
        }

        fn less_free_space(&self) -> String {
            "lower `free`".to_owned()
        }
    }

    #[test]
    fn messages_name_the_place_the_fault_and_what_to_do() {
        use FatError::{
            DirectoryFull, Full, Kind, Name, RootFull, SameName, SlotList, TooLarge, TooLong, TooMuch,
            TooShort,
        };
        let (path, other) = ("/a/b".to_owned(), "/a/B".to_owned());
        let full = |promised, free_space, more| Full { missing: 2048, promised, free_space, more };
        for (error, expected) in [
            (
                TooShort { bytes: 9, fat32: false, least: 3 << 20, other: false },
                "9 bytes are too few for FAT16; make the partition at least 3 MiB long",
            ),
            (
                TooShort { bytes: 9, fat32: true, least: 33 << 20, other: true },
                "9 bytes are too few for FAT32; make the partition at least 33 MiB long, or leave out the FAT type",
            ),
            (
                TooLong { bytes: 9, fat32: true, other: false },
                "9 bytes are too many for FAT32; make the partition smaller",
            ),
            (
                TooLong { bytes: 9, fat32: false, other: true },
                "9 bytes are too many for FAT16; make the partition smaller, or leave out the FAT type",
            ),
            (
                full(false, false, Some(4096)),
                "the files need 2048 bytes more than the partition has; make it 4096 bytes larger, as longer tables need space too",
            ),
            (
                full(true, true, None),
                "the files and the free space need 2048 bytes more than the partition has; leave some out, or promise less",
            ),
            (
                full(true, false, None),
                "the files and the free space need 2048 bytes more than the partition has; leave some out",
            ),
            (
                TooMuch { fat32: false, free_space: 0, other: true },
                "the files are more than FAT16 can hold; leave some out, or choose FAT32",
            ),
            (
                TooMuch { fat32: true, free_space: 0, other: false },
                "the files are more than FAT32 can hold; leave some out",
            ),
            (
                TooMuch { fat32: true, free_space: 1, other: false },
                "the free space: 1 bytes and the files are more than FAT32 can hold; promise less",
            ),
            (
                TooMuch { fat32: false, free_space: 1, other: true },
                "the free space: 1 bytes and the files are more than FAT16 can hold; promise less, or choose FAT32",
            ),
            (
                RootFull { needed: 513, room: 512, fat32: false },
                "the root directory needs 513 entries of 32 bytes, but FAT16 has only 512; move files into folders",
            ),
            (
                RootFull { needed: 513, room: 512, fat32: true },
                "the root directory needs 513 entries of 32 bytes, but FAT16 has only 512; move files into folders, or choose FAT32",
            ),
            (
                DirectoryFull { path: path.clone() },
                "/a/b: has more than the 65536 entries of 32 bytes that FAT allows; split it into several directories",
            ),
            (
                SlotList { bytes: 1_048_577 },
                "the list of slots has 1048577 bytes, but at most 1048576 are possible; make fewer slots, or shorten their paths",
            ),
            (
                TooLarge { path: path.clone(), bytes: 1 << 32 },
                "/a/b: has 4294967296 bytes, but FAT files must be smaller than 4 GiB; remove it",
            ),
            (
                Kind { path: path.clone(), what: "a symlink" },
                "/a/b: is a symlink, which FAT does not support; replace it by a file",
            ),
            (
                Name { path: path.clone(), why: "it is empty" },
                "/a/b: FAT does not allow this name: it is empty; rename it",
            ),
            (
                SameName { one: path, other },
                "/a/b and /a/B differ only in case, which FAT ignores; rename one of them",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn messages_use_the_words_of_the_program() {
        for (error, subject, help) in [
            (
                FatError::TooShort { bytes: 9, fat32: false, least: 3 << 20, other: true },
                Subject::FileSystem,
                "make the partition at least 3 MiB long, or delete `type`",
            ),
            (
                FatError::TooMuch { fat32: false, free_space: 1, other: true },
                Subject::FreeSpace,
                "lower `free`, or set `type` to fat32",
            ),
            (
                FatError::Full { missing: 1, promised: true, free_space: true, more: None },
                Subject::FileSystem,
                "leave some out, or lower `free`",
            ),
        ] {
            let (found, _, text) = error.message(&OtherNames);
            assert_eq!((found, text.as_str()), (subject, help));
        }
    }
}
