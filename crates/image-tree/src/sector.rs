/// The logical sector size of a disk, the unit of partition tables and FAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SectorSize {
    /// 512 bytes: SD cards, most disks, and disks with larger physical sectors that emulate 512 ("512e").
    #[default]
    Bytes512,
    /// 4096 bytes: "4K native" disks, UFS.
    Bytes4096,
}

impl SectorSize {
    /// The size in \[bytes\].
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes4096 => 4096,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_have_the_length_of_their_name() {
        assert_eq!((SectorSize::Bytes512.bytes(), SectorSize::Bytes4096.bytes()), (512, 4096));
        assert_eq!(SectorSize::default(), SectorSize::Bytes512);
    }
}
