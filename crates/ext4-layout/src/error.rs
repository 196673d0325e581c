use image_tree::ImagePath;

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
        "{path}: its {count} extended attributes take {bytes} bytes more than its inode and one block of 4096 bytes hold; leave some out"
    )]
    XattrsTooLarge {
        /// In the image.
        path: ImagePath,
        /// How many there are.
        count: usize,
        /// Too many \[bytes\].
        bytes: usize,
    },
    /// An access control list that isn't one.
    #[error(
        "{path}: its access control list is not in the form of Linux (version 2, entries of 8 bytes); remove or mend it"
    )]
    BadAcl {
        /// In the image.
        path: ImagePath,
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
        "plan.filesystem.size: {size} bytes are too few: contents, metadata and promised free space need {needed} bytes, {} more; raise it to at least {needed} or lower freeSpace",
        needed.saturating_sub(*size)
    )]
    SizeTooSmall {
        /// As planned, in \[bytes\].
        size: u64,
        /// The smallest size that would do, in \[bytes\].
        needed: u64,
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
