//! The superblock: what all other numbers are checked against. Offsets: kernel documentation, ext4 "Super Block".

use crate::bytes::{Bytes, until_zero};
use crate::{ReadError, Window};

/// Where the first superblock is, whatever the block size, and how long it is.
const START: u64 = 1024;
const LENGTH: usize = 1024;
const MAGIC: u16 = 0xef53;

const COMPRESSION: u32 = 0x1;
const NEEDS_RECOVERY: u32 = 0x4;
const JOURNAL_DEVICE: u32 = 0x8;
const META_BG: u32 = 0x10;
const EXTENTS: u32 = 0x40;
const WIDE: u32 = 0x80;
const DIRDATA: u32 = 0x1000;
const CHECKSUM_SEED: u32 = 0x2000;
const ENCRYPTION: u32 = 0x1_0000;
/// What an incompatible feature bit may be without changing how files are found.
const KNOWN: u32 = 0x2
    | NEEDS_RECOVERY
    | EXTENTS
    | WIDE
    | 0x100
    | 0x200
    | 0x400
    | CHECKSUM_SEED
    | 0x4000
    | 0x8000
    | ENCRYPTION
    | 0x2_0000;
const HAS_JOURNAL: u32 = 0x4;
const METADATA_CHECKSUMS: u32 = 0x400;

/// What is needed of a superblock.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block_size: u64,
    pub(super) blocks: u64,
    pub(super) free_blocks: u64,
    pub(super) inodes: u32,
    pub(super) free_inodes: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_size: u64,
    pub(super) descriptor_size: u64,
    pub(super) first_data_block: u64,
    pub(super) checksum_seed: Option<u32>,
    pub(super) label: Vec<u8>,
    pub(super) uuid: [u8; 16],
    incompatible: u32,
    compatible: u32,
    pub(super) warnings: Vec<String>,
}

/// Whether a superblock seems to be where it belongs.
pub(crate) fn is_there(window: &Window) -> bool {
    window.bytes(START + 0x38, 2).is_ok_and(|magic| Bytes(&magic).le16(0) == MAGIC)
}

fn damaged(what: impl Into<String>) -> ReadError {
    ReadError::damaged("superblock", what)
}

impl Superblock {
    pub(super) fn read(window: &Window) -> Result<Self, ReadError> {
        let mut raw = [0; LENGTH];
        window.read(START, &mut raw).map_err(|error| ReadError::io("superblock", error))?;
        let bytes = Bytes(&raw);
        if bytes.le16(0x38) != MAGIC {
            return Err(damaged("is missing"));
        }
        let logarithm = bytes.le32(0x18);
        if logarithm > 6 {
            return Err(damaged(format!("names a block size of 2^{logarithm} KiB")));
        }
        let incompatible = bytes.le32(0x60);
        if incompatible & !KNOWN != 0 {
            return Err(unsupported(incompatible));
        }
        let wide = incompatible & WIDE != 0;
        let high = |at| if wide { u64::from(bytes.le32(at)) << 32 } else { 0 };
        let mut superblock = Self {
            block_size: 1024 << logarithm,
            blocks: high(0x150) | u64::from(bytes.le32(0x4)),
            free_blocks: high(0x158) | u64::from(bytes.le32(0xc)),
            inodes: bytes.le32(0),
            free_inodes: bytes.le32(0x10),
            inodes_per_group: bytes.le32(0x28),
            // Before revision 1 there was no such field.
            inode_size: if bytes.le32(0x4c) == 0 { 128 } else { bytes.le16(0x58).into() },
            descriptor_size: if wide { bytes.le16(0xfe).into() } else { 32 },
            first_data_block: bytes.le32(0x14).into(),
            checksum_seed: None,
            label: until_zero(bytes.slice(0x78, 16)).to_vec(),
            uuid: bytes.id(0x68),
            incompatible,
            compatible: bytes.le32(0x5c),
            warnings: Vec::new(),
        };
        superblock.check(window)?;
        if bytes.le32(0x64) & METADATA_CHECKSUMS != 0 {
            superblock.checksum_seed = Some(if incompatible & CHECKSUM_SEED != 0 {
                bytes.le32(0x270)
            } else {
                crc(!0, &superblock.uuid)
            });
            if crc(!0, bytes.slice(0, 0x3fc)) != bytes.le32(0x3fc) {
                superblock.warnings.push("superblock: its checksum is wrong".to_owned());
            }
        }
        if incompatible & NEEDS_RECOVERY != 0 {
            let text = "the journal holds changes that are not applied; shown is what was before them";
            superblock.warnings.push(text.to_owned());
        }
        Ok(superblock)
    }

    /// Everything else is computed from these, without overflow once they hold.
    fn check(&mut self, window: &Window) -> Result<(), ReadError> {
        let bytes =
            self.blocks.checked_mul(self.block_size).ok_or_else(|| damaged("names too many blocks"))?;
        if self.blocks <= self.first_data_block || self.first_data_block > 1 {
            return Err(damaged(format!("names {} blocks", self.blocks)));
        }
        if !self.inode_size.is_power_of_two() || self.inode_size < 128 || self.inode_size > self.block_size {
            return Err(damaged(format!("names inodes of {} bytes", self.inode_size)));
        }
        if !self.descriptor_size.is_power_of_two()
            || self.descriptor_size < 32
            || self.descriptor_size > self.block_size
        {
            return Err(damaged(format!("names group descriptors of {} bytes", self.descriptor_size)));
        }
        if self.inodes < super::ROOT || self.inodes_per_group == 0 {
            return Err(damaged(format!("names {} inodes, {} a group", self.inodes, self.inodes_per_group)));
        }
        if bytes > window.length() {
            let text =
                format!("the file system is of {bytes} bytes, of which the image has {}", window.length());
            self.warnings.push(text);
        }
        self.free_blocks = self.free_blocks.min(self.blocks);
        self.free_inodes = self.free_inodes.min(self.inodes);
        Ok(())
    }

    /// How many blocks fit so many \[bytes\].
    pub(super) fn whole_blocks(&self, bytes: u64) -> u64 {
        bytes.checked_div(self.block_size).unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(self.block_size)
    }

    pub(super) fn generation(&self) -> &'static str {
        if self.incompatible & (EXTENTS | WIDE) != 0 {
            "ext4"
        } else if self.compatible & HAS_JOURNAL != 0 {
            "ext3"
        } else {
            "ext2"
        }
    }

    /// Where a run of blocks is, in \[bytes\]; `None` where it is not all within the file system.
    pub(super) fn offset_of(&self, block: u64, blocks: u64) -> Option<u64> {
        let end = block.checked_add(blocks)?;
        (block >= 1 && end <= self.blocks).then(|| block.saturating_mul(self.block_size))
    }
}

fn unsupported(incompatible: u32) -> ReadError {
    let names = [
        (COMPRESSION, "compression"),
        (JOURNAL_DEVICE, "journal_dev"),
        (META_BG, "meta_bg"),
        (DIRDATA, "dirdata"),
    ];
    let name = names.iter().find(|(bit, _)| incompatible & bit != 0).map(|(_, name)| (*name).to_owned());
    let name = name.unwrap_or_else(|| format!("{:#x}", incompatible & !KNOWN));
    ReadError::unsupported(
        "superblock",
        format!("the feature {name} is not known here"),
        "mount the image instead",
    )
}

/// CRC-32C as ext4 chains it: without the inversions that the usual form begins and ends with.
pub(super) fn crc(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}
