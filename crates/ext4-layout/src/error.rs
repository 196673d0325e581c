use std::fmt;

use image_tree::{ImagePath, InvalidAcl, Permissions};

/// What an ext4 file system can't hold, or not in the size asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Past 2³² blocks of a file.
    #[error(
        "{path}: {size} bytes are more than a file of ext4 can have, 2^44 - 4096; leave it out or split it"
    )]
    FileTooLarge {
        /// In the image.
        path: ImagePath,
        /// Length in \[bytes\].
        size: u64,
    },
    /// More than two levels of an index.
    #[error(
        "{path}: {entries} entries are more than a directory of ext4 can index; spread them over several directories"
    )]
    DirectoryTooLarge {
        /// In the image.
        path: ImagePath,
        /// How many entries there are.
        entries: u64,
    },
    /// More than fits in the inode and one block.
    #[error(
        "{path}: its {} {bytes} bytes more than its inode and one block of 4096 bytes hold; {}",
        attributes_take(*.count),
        if *.count == 1 { "leave it out" } else { "leave some out" }
    )]
    XattrsTooLarge {
        /// In the image.
        path: ImagePath,
        /// How many there are.
        count: usize,
        /// Too many \[bytes\].
        bytes: usize,
    },
    /// An access control list that Linux would refuse.
    #[error("{path}: Linux refuses its access control list: {reason}; remove or mend it")]
    BadAcl {
        /// In the image.
        path: ImagePath,
        /// What is wrong with it.
        reason: InvalidAcl,
    },
    /// A mode and an access control list that give different rights.
    #[error(
        "{path}: its mode {:04o} and its access control list, which stands for {:04o}, disagree; set one of them anew",
        .mode.bits(), .list.bits()
    )]
    AclMode {
        /// In the image.
        path: ImagePath,
        /// The mode.
        mode: Permissions,
        /// The mode that follows from the list.
        list: Permissions,
    },
    /// The tree lacks the directory that e2fsck needs.
    #[error("/lost+found: is not a directory of the tree; add it")]
    NoLostFound,
    /// Past 2³² inodes.
    #[error(
        "plan.filesystem: {wanted} inodes are more than ext4's 2^32; ask for fewer by freeInodes or bytesPerInode"
    )]
    TooManyInodes {
        /// How many would be needed.
        wanted: u64,
    },
    /// The contents and the promises do not fit the size that was fixed.
    #[error(
        "plan.filesystem.size: {} is too little: {} {}; write at least {needed}{}",
        Binary::down(*.size),
        if *.free_space > 0 { "contents, metadata and free space need" } else { "contents and metadata need" },
        Binary::up(*.needed),
        if *.free_space > 0 { ", or lower freeSpace" } else { "" }
    )]
    SizeTooSmall {
        /// As planned, in \[bytes\].
        size: u64,
        /// The smallest size that would do, in \[bytes\].
        needed: u64,
        /// How much of that is promised free space, in \[bytes\].
        free_space: u64,
    },
    /// More block groups than their descriptors leave room for.
    #[error(
        "plan.filesystem: contents, freeSpace and size ask for at least {bytes} bytes, more than the 128 TiB that a file system without meta_bg can have; ask for less"
    )]
    TooLarge {
        /// At least so many \[bytes\] would be needed.
        bytes: u64,
    },
    /// More reserved descriptor blocks than the resize inode can name.
    #[error(
        "plan.filesystem.growTo: {wanted} bytes are out of reach: from this size, online growth without a change of features goes up to {reachable} bytes; lower it to that, or set it to null"
    )]
    GrowthOutOfReach {
        /// As planned, in \[bytes\].
        wanted: u64,
        /// The largest value that would do, in \[bytes\].
        reachable: u64,
    },
    /// The journal leaves no room.
    #[error(
        "plan.filesystem.journalSize: {size} bytes are not possible: a journal has between 4194304 bytes and 2^32 blocks of 4096 bytes; choose 0, null or a size within"
    )]
    JournalSize {
        /// As planned, in \[bytes\].
        size: u64,
    },
}

fn attributes_take(count: usize) -> String {
    if count == 1 {
        "extended attribute takes".to_owned()
    } else {
        format!("{count} extended attributes take")
    }
}

/// Tenths of the largest binary unit that leaves at least one. What is there is rounded down and what is needed up,
/// so that two lengths of which one is too little never look the same.
struct Binary {
    tenths: u128,
    unit: &'static str,
}

impl Binary {
    fn down(bytes: u64) -> Self {
        Self::of(bytes, |tenths, unit| tenths / unit)
    }

    fn up(bytes: u64) -> Self {
        Self::of(bytes, u128::div_ceil)
    }

    fn of(bytes: u64, divide: impl Fn(u128, u128) -> u128) -> Self {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")];
        let (size, unit) = units.into_iter().find(|(size, _)| bytes >= *size).unwrap_or((1 << 10, "KiB"));
        Self { tenths: divide(u128::from(bytes) * 10, size.into()), unit }
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {}", self.tenths / 10, self.tenths % 10, self.unit)
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
            "plan.filesystem.size: 2.0 MiB is too little: contents, metadata and free space need 41.0 MiB; \
             write at least 42987520, or lower freeSpace"
        );
        assert_eq!(
            told(4096, 2_101_248, 0),
            "plan.filesystem.size: 4.0 KiB is too little: contents and metadata need 2.1 MiB; write at least 2101248"
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
