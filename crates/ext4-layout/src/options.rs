use image_tree::Timestamp;

/// The parameters of a file system. Every field must be within its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether nobody shall ever write into it: Linux then mounts it read-only alone, and `/lost+found` is as short as
    /// any directory. The other fields hold all the same.
    pub sealed: bool,
    /// The volume's name, filled up with NUL.
    pub label: [u8; 16],
    /// The volume's UUID in the order of its text form; also seeds directory hashes and checksums.
    pub uuid: [u8; 16],
    /// Promised free space in \[bytes\].
    pub free_space: u64,
    /// Promised free inodes.
    pub free_inodes: u64,
    /// The exact size in \[bytes\], a multiple of 4096; `None` for the smallest.
    pub size: Option<u64>,
    /// Up to which size in \[bytes\] online growth shall change no feature; `None` for no reserve.
    pub grow_to: Option<u64>,
    /// Inode density in \[bytes an inode\], at least 1024.
    pub bytes_per_inode: u64,
    /// Length of the journal in \[bytes\]: 0 for none, else at least 4 MiB; `None` as mke2fs chooses by size.
    pub journal_size: Option<u64>,
    /// Blocks kept for root in \[thousandths of a percent\], 0 to 50,000; `None` for 5 %, at most half of
    /// what is free.
    pub reserved: Option<u32>,
    /// The time in the superblock and of the inodes that no source describes.
    pub timestamp: Timestamp,
}
