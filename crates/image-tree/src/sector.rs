/// The length of a disk's logical sectors: what partition tables and FAT count in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SectorSize {
    /// 512 bytes: SD cards, most disks, and disks of larger physical sectors that show 512 ("512e").
    #[default]
    Bytes512,
    /// 4096 bytes: "4K native" disks, UFS.
    Bytes4096,
}

impl SectorSize {
    /// In \[bytes\].
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes4096 => 4096,
        }
    }
}
