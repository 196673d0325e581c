//! What an inode says. Kernel documentation, "Index Nodes".

use crate::checksum::Crc;
use crate::numbers::{le16, le16_pair, le32, le32_pair, part};

pub(crate) const FLAG_EXTENTS: u32 = 0x8_0000;
pub(crate) const FLAG_INDEX: u32 = 0x1000;
/// The flags that users set with chattr (`EXT4_FL_USER_MODIFIABLE` of Linux, without `EXTENTS` and `CASEFOLD`, which are
/// structures and features): `SECRM`, `UNRM`, `COMPR`, `SYNC`, `IMMUTABLE`, `APPEND`, `NODUMP`, `NOATIME`, `JOURNAL_DATA`,
/// `NOTAIL`, `DIRSYNC`, `TOPDIR`, `DAX`, `PROJINHERIT`.
const USER_FLAGS: u32 = 0x2203_c0ff;
/// Those that only directories have: `DIRSYNC`, `TOPDIR`, `PROJINHERIT` (the inverse of `EXT4_REG_FLMASK`).
const DIRECTORY_FLAGS: u32 = 0x2003_0000;
/// Those that every type of inode has: `NODUMP`, `NOATIME` (`EXT4_OTHER_FLMASK`).
const OTHER_FLAGS: u32 = 0xc0;
/// Links with shorter targets keep them in the inode, in \[bytes\].
pub(crate) const FAST_LINK: u64 = 60;
/// The longest target that Linux follows, in \[bytes\].
pub(crate) const LONGEST_LINK: u64 = 4095;

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    fn of_mode(mode: u16) -> Option<Self> {
        Some(match mode >> 12 {
            0x1 => Self::Fifo,
            0x2 => Self::Character,
            0x4 => Self::Directory,
            0x6 => Self::Block,
            0x8 => Self::File,
            0xa => Self::Symlink,
            0xc => Self::Socket,
            _ => return None,
        })
    }

    /// The number that directory entries have for it.
    pub(crate) fn entry_type(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::Character => 3,
            Self::Block => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// The flags that a user can set on it, and that a new inode inherits from its directory (`ext4_mask_flags` of Linux).
    pub(crate) fn user_flags(self) -> u32 {
        match self {
            Self::Directory => USER_FLAGS,
            Self::File => USER_FLAGS & !DIRECTORY_FLAGS,
            Self::Symlink | Self::Character | Self::Block | Self::Fifo | Self::Socket => OTHER_FLAGS,
        }
    }

    /// The word for it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symlink",
            Self::Character => "a character device",
            Self::Block => "a block device",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
        }
    }
}

/// An inode as it is stored in its table.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) number: u32,
    pub(crate) raw: Vec<u8>,
    pub(crate) kind: Option<Kind>,
    /// In \[bytes\].
    pub(crate) size: u64,
    pub(crate) links: u32,
    pub(crate) flags: u32,
    /// In units of 512 bytes.
    pub(crate) sectors: u64,
    pub(crate) xattr_block: u64,
    /// The start of the checksums of everything that belongs to it.
    pub(crate) seed: Crc,
}

impl Inode {
    pub(crate) fn parse(number: u32, raw: Vec<u8>, filesystem: Crc) -> Self {
        Self {
            number,
            kind: Kind::of_mode(le16(&raw, 0)),
            size: le32_pair(&raw, 0x04, 0x6c),
            links: u32::from(le16(&raw, 0x1a)),
            flags: le32(&raw, 0x20),
            sectors: u64::from(le32(&raw, 0x1c)) | u64::from(le16(&raw, 0x74)) << 32,
            xattr_block: u64::from(le32(&raw, 0x68)) | u64::from(le16(&raw, 0x76)) << 32,
            seed: filesystem.of_inode(number, le32(&raw, 0x64)),
            raw,
        }
    }

    pub(crate) fn permissions(&self) -> u16 {
        le16(&self.raw, 0) & 0o7777
    }

    pub(crate) fn uid(&self) -> u32 {
        le16_pair(&self.raw, 0x02, 0x78)
    }

    pub(crate) fn gid(&self) -> u32 {
        le16_pair(&self.raw, 0x18, 0x7a)
    }

    /// Seconds and nanoseconds of the last modification: 32 signed bits, and two more that carry them on past 2038.
    pub(crate) fn mtime(&self) -> (i64, u32) {
        let low = i64::from(le32(&self.raw, 0x10).cast_signed());
        let extra = le32(&self.raw, 0x88);
        (low.saturating_add(i64::from(extra & 3) << 32), extra >> 2)
    }

    /// Major and minor number of a device: in the old form in the first word, else in the new one in the second.
    pub(crate) fn device(&self) -> (u32, u32) {
        let (old, new) = (le32(self.map(), 0), le32(self.map(), 4));
        if old != 0 {
            return (old >> 8 & 0xff, old & 0xff);
        }
        (new >> 8 & 0xfff, new & 0xff | new >> 12 & 0xf_ff00)
    }

    /// The 60 bytes of its block map.
    pub(crate) fn map(&self) -> &[u8] {
        part(&self.raw, 0x28, 60)
    }

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;

    /// The types of `include/uapi/linux/stat.h`, and those of entries (kernel documentation, "Directory Entries").
    #[test]
    fn types_have_the_numbers_of_linux() {
        let kinds: Vec<_> =
            (0..16).filter_map(|high| Some((high, Kind::of_mode(high << 12 | 0o7777)?))).collect();
        let types = kinds.iter().map(|&(high, kind)| (high, kind, kind.entry_type(), kind.name()));
        assert_eq!(
            types.collect::<Vec<_>>(),
            [
                (0x1, Kind::Fifo, 5, "a FIFO"),
                (0x2, Kind::Character, 3, "a character device"),
                (0x4, Kind::Directory, 2, "a directory"),
                (0x6, Kind::Block, 4, "a block device"),
                (0x8, Kind::File, 1, "a file"),
                (0xa, Kind::Symlink, 7, "a symlink"),
                (0xc, Kind::Socket, 6, "a socket"),
            ]
        );
    }

    /// An inode of a file system with checksums: what is at some places, the rest is zero.
    fn inode(fields: &[(usize, &[u8])]) -> Inode {
        let mut raw = vec![0; 256];
        for (at, bytes) in fields {
            raw[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        Inode::parse(12, raw, Crc::START)
    }

    #[test]
    fn numbers_are_made_of_their_halves() {
        let halves = inode(&[
            (0x00, &[0xff, 0x8f]),
            (0x02, &[1, 2]),
            (0x78, &[3, 4]),
            (0x18, &[5, 6]),
            (0x7a, &[7, 8]),
            (0x04, &[1, 2, 3, 4]),
            (0x6c, &[5, 6, 7, 8]),
            (0x1c, &[1, 2, 3, 4]),
            (0x74, &[5, 6]),
            (0x68, &[6, 5, 4, 3]),
            (0x76, &[2, 1]),
            (0x1a, &[9, 8]),
        ]);
        assert_eq!((halves.uid(), halves.gid(), halves.permissions()), (0x0403_0201, 0x0807_0605, 0o7777));
        assert_eq!(
            (halves.size, halves.sectors, halves.xattr_block),
            (0x0807_0605_0403_0201, 0x0605_0403_0201, 0x0102_0304_0506)
        );
        assert_eq!((halves.links, halves.kind), (0x0809, Some(Kind::File)));
    }

    /// The first and the last time of each of the four ranges of 32 bits (kernel documentation, "Inode Timestamps").
    #[test]
    fn times_go_on_past_2038() {
        for (low, extra, wanted) in [
            (0_u32, 0_u32, (0, 0)),
            (0x8000_0000, 0, (-0x8000_0000, 0)),
            (0xffff_ffff, 0, (-1, 0)),
            (0x7fff_ffff, 0, (0x7fff_ffff, 0)),
            (0x8000_0000, 1, (0x8000_0000, 0)),
            (0x7fff_ffff, 3, (0x3_7fff_ffff, 0)),
            (1, 999_999_999 << 2 | 2, (0x2_0000_0001, 999_999_999)),
        ] {
            let inode = inode(&[(0x10, &low.to_le_bytes()), (0x88, &extra.to_le_bytes())]);
            assert_eq!(inode.mtime(), wanted, "{low:#x} {extra:#x}");
        }
    }

    /// `old_decode_dev` and `new_decode_dev` of Linux.
    #[test]
    fn devices_are_in_the_old_form_or_in_the_new_one() {
        for (old, new, wanted) in [
            (0x0501_u32, 0_u32, (5, 1)),
            (0xffff, 0, (255, 255)),
            (0, 0x1234_5678, (0x456, 0x1_2378)),
            (0, 0xfff0_0000, (0, 0xf_ff00)),
            (0, 0x000f_ffff, (0xfff, 0xff)),
            (0, 0, (0, 0)),
        ] {
            let inode = inode(&[(0x28, &old.to_le_bytes()), (0x2c, &new.to_le_bytes())]);
            assert_eq!(inode.device(), wanted, "{old:#x} {new:#x}");
        }
    }

    #[test]
    fn only_some_flags_are_those_of_chattr() {
        assert_eq!(Kind::Directory.user_flags(), 0x2203_c0ff);
        assert_eq!(Kind::File.user_flags(), 0x0200_c0ff);
        for kind in [Kind::Symlink, Kind::Character, Kind::Block, Kind::Fifo, Kind::Socket] {
            assert_eq!(kind.user_flags(), 0xc0);
        }
    }
}
