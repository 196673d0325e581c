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
