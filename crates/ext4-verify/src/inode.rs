//! What an inode says, and what holds for every one of them. Kernel documentation, "Index Nodes".

use crate::checker::Checker;
use crate::checksum::{self, Crc};
use crate::codes::Code;
use crate::numbers::{is_zero, le16, le16_pair, le32, le32_pair, part};

pub(crate) const FLAG_EXTENTS: u32 = 0x8_0000;
pub(crate) const FLAG_INDEX: u32 = 0x1000;
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

/// An inode as it stands in its table.
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
    /// What seeds the checksums of what belongs to it.
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
        (low + (i64::from(extra & 3) << 32), extra >> 2)
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

impl Checker<'_> {
    pub(crate) fn inode(&mut self, number: u32) -> Result<Inode, crate::Unreadable> {
        Ok(Inode::parse(number, self.inode_bytes(number)?, self.sb.seed))
    }

    /// Whether the checksum is right; that of reserved inodes without later fields has 16 bits.
    pub(crate) fn inode_checksum(&mut self, inode: &Inode) {
        let (found, computed) = checksum::of_inode(inode.seed, &inode.raw);
        if found != computed {
            let text = format!("checksum is {found:#010x}, should be {computed:#010x}");
            self.at_inode(Code::InodeChecksum, inode.number, text);
        }
    }

    /// What holds for every inode in use.
    pub(crate) fn inode_fields(&mut self, inode: &Inode) {
        self.inode_checksum(inode);
        let (number, raw) = (inode.number, &inode.raw);
        if le16(raw, 0x80) != 32 {
            let text = format!("i_extra_isize is {}, should be 32", le16(raw, 0x80));
            self.at_inode(Code::InodeExtraSize, number, text);
        }
        let unused = [(0x70, 4, "i_obso_faddr"), (0x7e, 2, "i_reserved"), (0x9c, 4, "i_projid")];
        for (at, len, name) in unused {
            if !is_zero(part(raw, at, len)) {
                self.at_inode(Code::InodeUnusedField, number, format!("{name} is not zero"));
            }
        }
        if le32(raw, 0x14) != 0 {
            let text = format!("i_dtime is {}, but the inode is in use", le32(raw, 0x14));
            self.at_inode(Code::InodeDeleted, number, text);
        }
        if le32(raw, 0x64) != 0 {
            self.at_inode(Code::InodeGeneration, number, format!("i_generation is {}", le32(raw, 0x64)));
        }
        if le32(raw, 0x24) != 0 || le32(raw, 0x98) != 0 {
            self.at_inode(Code::InodeVersion, number, "i_version is not 0");
        }
        self.inode_times(inode);
    }

    /// Times: access, change, modification, creation, each with its nanoseconds and later seconds.
    fn inode_times(&mut self, inode: &Inode) {
        let fields = [
            (0x08, 0x8c, "i_atime"),
            (0x0c, 0x84, "i_ctime"),
            (0x10, 0x88, "i_mtime"),
            (0x90, 0x94, "i_crtime"),
        ];
        let times = fields.map(|(low, extra, _)| (le32(&inode.raw, low), le32(&inode.raw, extra)));
        for ((_, extra), (_, _, name)) in times.into_iter().zip(fields) {
            if extra >> 2 > 999_999_999 {
                let text = format!("{name} has {} nanoseconds", extra >> 2);
                self.at_inode(Code::InodeTime, inode.number, text);
            }
        }
        if times.iter().any(|time| *time != times[2]) {
            self.at_inode(Code::InodeTimes, inode.number, "its four times are not the same");
        }
    }

    /// Whether the blocks are as counted: contents, extent tree and attributes together.
    pub(crate) fn inode_blocks(&mut self, inode: &Inode, blocks: u64) {
        let sectors = blocks.saturating_mul(8);
        if inode.sectors != sectors {
            let text = format!("i_blocks is {}, should be {sectors}", inode.sectors);
            self.at_inode(Code::InodeBlocks, inode.number, text);
        }
    }
}
