//! What a group descriptor says. Kernel documentation, "Block Group Descriptors".

use crate::numbers::{le16, le16_pair, le32_pair};

pub(crate) const INODE_UNINIT: u16 = 1;
pub(crate) const BLOCK_UNINIT: u16 = 2;
pub(crate) const ITABLE_ZEROED: u16 = 4;

/// The fields of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) block_bitmap: u64,
    pub(crate) inode_bitmap: u64,
    pub(crate) table: u64,
    pub(crate) flags: u16,
    pub(crate) free_blocks: u32,
    pub(crate) free_inodes: u32,
    pub(crate) used_dirs: u32,
    pub(crate) unused_inodes: u32,
    pub(crate) block_bitmap_checksum: u32,
    pub(crate) inode_bitmap_checksum: u32,
}

impl Group {
    /// Reads a descriptor. One of 32 bytes has no high halves.
    pub(crate) fn parse(desc: &[u8]) -> Self {
        Self {
            block_bitmap: le32_pair(desc, 0x00, 0x20),
            inode_bitmap: le32_pair(desc, 0x04, 0x24),
            table: le32_pair(desc, 0x08, 0x28),
            flags: le16(desc, 0x12),
            free_blocks: le16_pair(desc, 0x0c, 0x2c),
            free_inodes: le16_pair(desc, 0x0e, 0x2e),
            used_dirs: le16_pair(desc, 0x10, 0x30),
            unused_inodes: le16_pair(desc, 0x1c, 0x32),
            block_bitmap_checksum: le16_pair(desc, 0x18, 0x38),
            inode_bitmap_checksum: le16_pair(desc, 0x1a, 0x3a),
        }
    }

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}
