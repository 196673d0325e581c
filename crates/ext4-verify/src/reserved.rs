//! The inodes of fixed meaning: bad blocks, the room for more descriptors, the journal, and those without use.

use crate::checker::Checker;
use crate::codes::Code;
use crate::geometry::BLOCK;
use crate::inode::{FLAG_EXTENTS, Inode};
use crate::numbers::{be32, byte, is_zero, le16, le32, part, to_usize};
use crate::problem::Place;
use crate::source::Unreadable;

const BAD_BLOCKS: u32 = 1;
const ROOT: u32 = 2;
const RESIZE: u32 = 7;
const JOURNAL: u32 = 8;
const LAST: u32 = 10;
/// A regular file that root may read and write.
const OWN_MODE: u16 = 0o100_600;
/// What direct, indirect and double-indirect pointers can name, in \[bytes\].
const RESIZE_BYTES: u64 = (12 + 1024 + 1024 * 1024) * BLOCK;
/// The shortest journal that Linux takes, in \[blocks\] (`JBD2_MIN_JOURNAL_BLOCKS`).
const SHORTEST_JOURNAL: u64 = 1024;

impl Checker<'_> {
    /// Inodes 1 to 10, but for the root.
    pub(crate) fn reserved_inodes(&mut self) -> Result<(), Unreadable> {
        for number in (1..=LAST).filter(|&number| number != ROOT) {
            self.inodes.insert(u64::from(number));
            let inode = self.inode(number)?;
            match number {
                RESIZE if self.sb.has_resize_inode => self.resize_inode(&inode)?,
                JOURNAL if self.sb.has_journal => self.journal(&inode)?,
                _ => self.without_use(&inode),
            }
        }
        Ok(())
    }

    /// All zero but for the checksum; that of bad blocks has times.
    fn without_use(&mut self, inode: &Inode) {
        self.inode_checksum(inode);
        let raw = &inode.raw;
        let times = if inode.number == BAD_BLOCKS { 0x08..0x14 } else { 0..0 };
        let checksum = 0x7c..0x7e;
        let is_clean = raw
            .iter()
            .enumerate()
            .all(|(at, &byte)| byte == 0 || times.contains(&at) || checksum.contains(&at));
        if !is_clean {
            self.at_inode(Code::ReservedInode, inode.number, "has no use here, but is not zero");
        }
    }

    fn own_inode(&mut self, inode: &Inode, code: Code, size: u64, flags: u32) {
        self.inode_fields(inode);
        let found = (le16(&inode.raw, 0), inode.links, inode.flags, inode.size);
        let wanted = (OWN_MODE, 1, flags, size);
        if found != wanted {
            let text = format!(
                "mode {:o}, {} links, flags {:#x}, {} bytes; should be mode {:o}, {} links, flags {:#x}, {} bytes",
                found.0, found.1, found.2, found.3, wanted.0, wanted.1, wanted.2, wanted.3
            );
            self.at_inode(code, inode.number, text);
        }
        if inode.uid() != 0
            || inode.gid() != 0
            || inode.xattr_block != 0
            || !is_zero(part(&inode.raw, 0xa0, 96))
        {
            self.at_inode(code, inode.number, "has an owner or attributes");
        }
    }

    /// The room for more descriptors: one double-indirect block that names the reserved blocks of the first group, each of
    /// which names its like in all other groups with a copy (`verify_reserved_gdb` of Linux, which fails in the middle of
    /// growth where e2fsck, looking at the first quarter only, finds nothing).
    fn resize_inode(&mut self, inode: &Inode) -> Result<(), Unreadable> {
        let geometry = self.geometry();
        self.own_inode(inode, Code::ResizeInode, RESIZE_BYTES, 0);
        let backups: Vec<u64> = geometry.backups().map(|group| geometry.group(group).start).collect();
        let copies = 1 + crate::numbers::to_u64(backups.len());
        self.inode_blocks(inode, 1 + geometry.reserved_gdt * copies);
        let map = inode.map();
        let double = u64::from(le32(map, 52));
        if !is_zero(part(map, 0, 52)) || le32(map, 56) != 0 {
            self.at_inode(Code::ResizeInode, RESIZE, "has other pointers than the double-indirect one");
        }
        if !self.claim(double, 1, &|| "pointers of the resize inode".to_owned()) {
            return Ok(());
        }
        let pointers = self.block(double)?;
        let mut wanted = vec![0_u32; 1024];
        for reserved in geometry.gdt..geometry.gdt + geometry.reserved_gdt {
            if let Some(pointer) = wanted.get_mut(to_usize(reserved % 1024)) {
                *pointer = crate::numbers::to_u32(1 + reserved);
            }
        }
        for (index, &wanted) in wanted.iter().enumerate() {
            let found = le32(&pointers, 4 * index);
            if found != wanted {
                let text = format!("pointer {index} of the resize inode is {found}, should be {wanted}");
                self.problem(Code::ResizePointer, Place::Block(double), text);
            }
        }
        for number in 1 + geometry.gdt..geometry.super_blocks() {
            let block = self.block(number)?;
            for index in 0..1024 {
                let wanted = backups.get(index).map_or(0, |start| start + number);
                let found = u64::from(le32(&block, 4 * index));
                if found != wanted {
                    let text =
                        format!("pointer {index} to a copy of this block is {found}, should be {wanted}");
                    self.problem(Code::ResizeBackupPointer, Place::Block(number), text);
                }
            }
        }
        Ok(())
    }

    fn journal(&mut self, inode: &Inode) -> Result<(), Unreadable> {
        self.own_inode(inode, Code::JournalInode, inode.size, FLAG_EXTENTS);
        let mapped = self.extents(inode)?;
        let blocks = inode.size / BLOCK;
        // The overhead counts the journal without the blocks of its extent tree, as mke2fs and Linux do
        // (`ext4_calculate_overhead`).
        self.journal_blocks = mapped.blocks();
        self.inode_blocks(inode, mapped.blocks() + mapped.nodes);
        if !inode.size.is_multiple_of(BLOCK) || mapped.end != blocks || !mapped.is_whole() {
            let text = format!("{} bytes do not go with {} blocks", inode.size, mapped.blocks());
            self.at_inode(Code::JournalInode, JOURNAL, text);
            return Ok(());
        }
        if blocks < SHORTEST_JOURNAL {
            self.at_inode(
                Code::JournalTooShort,
                JOURNAL,
                format!("has {blocks} blocks, Linux takes 1024 and more"),
            );
        }
        let copy = part(&self.sb.raw, 0x10c, 68);
        let size = [part(&inode.raw, 0x6c, 4), part(&inode.raw, 0x04, 4)].concat();
        if part(copy, 0, 60) != inode.map() || part(copy, 60, 8) != size {
            let text = "s_jnl_blocks is not the journal's block map and size";
            self.problem(Code::JournalBackup, Place::Superblock, text);
        }
        if let Some(first) = mapped.block(0) {
            let block = self.block(first)?;
            self.journal_superblock(first, &block, blocks);
        }
        for run in &mapped.runs {
            // The first block is the journal's superblock.
            let skip = u64::from(run.logical == 0);
            let (from, to) = ((run.start + skip) * BLOCK, (run.start + run.len) * BLOCK);
            if let Some(at) = self.first_not_zero(from, to)? {
                let text = "is one of the journal's and not zero: the journal was used";
                self.problem(Code::JournalUsed, Place::Block(at / BLOCK), text);
            }
        }
        Ok(())
    }

    /// Big-endian; kernel documentation, "Journal (jbd2)".
    fn journal_superblock(&mut self, number: u64, block: &[u8], blocks: u64) {
        let place = || Place::Block(number);
        let blocks = crate::numbers::to_u32(blocks);
        let fields = [
            (0x00, 0xc03b_3998, "h_magic"),
            (0x04, 4, "h_blocktype"),
            (0x08, 0, "h_sequence"),
            (0x0c, 4096, "s_blocksize"),
            (0x10, blocks, "s_maxlen"),
            (0x14, 1, "s_first"),
            (0x20, 0, "s_errno"),
            (0x40, 1, "s_nr_users"),
        ];
        for (at, wanted, name) in fields {
            let found = be32(block, at);
            if found != wanted {
                let text = format!("{name} of the journal is {found:#x}, should be {wanted:#x}");
                self.problem(Code::JournalSuperblock, place(), text);
            }
        }
        if part(block, 0x30, 16) != part(&self.sb.raw, 0x68, 16) {
            self.problem(
                Code::JournalSuperblock,
                place(),
                "s_uuid of the journal is not that of the file system",
            );
        }
        if be32(block, 0x1c) != 0 {
            let text = format!("s_start of the journal is {}: it waits to be replayed", be32(block, 0x1c));
            self.problem(Code::JournalNotEmpty, place(), text);
        }
        if be32(block, 0x18) != 1 {
            let text = format!("s_sequence of the journal is {}, should be 1", be32(block, 0x18));
            self.problem(Code::JournalUsed, place(), text);
        }
        let features = [0x24, 0x28, 0x2c].map(|at| be32(block, at));
        if features != [0; 3] {
            self.problem(Code::JournalUsed, place(), format!("features of the journal are {features:x?}"));
        }
        self.journal_checksum(number, block, features[1] & 0x18 != 0);
    }

    /// Only with features that Linux turns on when it mounts; without them the rest of the block is zero.
    fn journal_checksum(&mut self, number: u64, block: &[u8], has_checksum: bool) {
        let place = Place::Block(number);
        if !has_checksum {
            if !is_zero(part(block, 0x44, 4096)) {
                let text = "something stands behind the superblock of the journal";
                self.problem(Code::MetadataPadding, place, text);
            }
            return;
        }
        let computed = crate::checksum::Crc::START.over(part(block, 0, 0xfc)).over(&[0; 4]);
        let computed = computed.over(part(block, 0x100, 0x300)).0;
        let found = be32(block, 0xfc);
        if found != computed || byte(block, 0x50) != 4 {
            let text =
                format!("checksum of the journal's superblock is {found:#010x}, should be {computed:#010x}");
            self.problem(Code::JournalChecksum, place, text);
        }
    }
}
