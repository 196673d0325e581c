//! Group descriptors, and the copies of superblock and descriptors. Kernel documentation, "Block Group Descriptors".

use std::ops::Range;

use crate::checker::{Checker, read};
use crate::checksum::Crc;
use crate::codes::Code;
use crate::geometry::{BLOCK, BLOCK_BYTES, has_super};
use crate::numbers::{is_zero, le16, le16_pair, le32, le32_pair, part, to_usize};
use crate::problem::Place;
use crate::source::Unreadable;
use crate::superblock;

pub(crate) const INODE_UNINIT: u16 = 1;
pub(crate) const BLOCK_UNINIT: u16 = 2;
const ITABLE_ZEROED: u16 = 4;
const DESC_BYTES: usize = 64;

/// What changes in the first superblock while a file system is used, and not in its copies, in \[bytes\]: counts of what is free,
/// times, mounts, orphans, that the journal is in use, where it was mounted, kilobytes written, records of errors.
const SUPERBLOCK_AT_USE: [Range<usize>; 9] = [
    0x0c..0x14,
    0x2c..0x36,
    0x40..0x44,
    0x60..0x61,
    0x88..0xc8,
    0xe8..0xec,
    0x158..0x15c,
    0x178..0x200,
    0x274..0x27c,
];
/// The same of a descriptor: counts, flags, checksums.
const DESCRIPTOR_AT_USE: [Range<usize>; 4] = [0x0c..0x14, 0x18..0x20, 0x2c..0x34, 0x38..0x3c];

fn within(ranges: &[Range<usize>], at: usize) -> bool {
    ranges.iter().any(|range| range.contains(&at))
}

/// What a descriptor says.
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
    /// Directories that were found.
    pub(crate) directories: u32,
}

impl Group {
    fn parse(desc: &[u8]) -> Self {
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
            directories: 0,
        }
    }

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

impl Checker<'_> {
    /// Reads all descriptors and claims what they name; false where tables can't be found.
    pub(crate) fn descriptors(&mut self) -> Result<bool, Unreadable> {
        let geometry = self.geometry();
        for group in (0..geometry.groups).filter(|&group| has_super(group)) {
            let range = geometry.group(group);
            let len = geometry.super_blocks().min(range.end - range.start);
            // Block 0 is where the superblock is, and nobody's to name: `claim` takes it for no number at all.
            let begin = if group == 0 { self.blocks.insert(0).into() } else { 0 };
            self.claim(range.start + begin, len - begin, &|| {
                format!("superblock and descriptors of group {group}")
            });
        }
        let mut findable = true;
        for index in 0..geometry.gdt {
            let block = self.block(1 + index)?;
            for (desc, number) in block.chunks_exact(DESC_BYTES).zip(index * 64..) {
                match u32::try_from(number).ok().filter(|&group| group < geometry.groups) {
                    Some(group) => findable &= self.descriptor(group, desc),
                    None if !is_zero(desc) => {
                        let text = "has something behind the last descriptor";
                        self.problem(Code::MetadataPadding, Place::Block(1 + index), text);
                    }
                    None => {}
                }
            }
        }
        Ok(findable)
    }

    fn descriptor(&mut self, number: u32, desc: &[u8]) -> bool {
        let place = || Place::Group(number);
        let computed = self.sb.seed.over(&number.to_le_bytes());
        let computed = computed.over(part(desc, 0, 0x1e)).over(&[0; 2]).over(part(desc, 0x20, 0x20)).low();
        if u32::from(le16(desc, 0x1e)) != computed {
            let text =
                format!("checksum of the descriptor is {:#06x}, should be {computed:#06x}", le16(desc, 0x1e));
            self.problem(Code::DescriptorChecksum, place(), text);
        }
        let group = Group::parse(desc);
        if group.flags & !(INODE_UNINIT | BLOCK_UNINIT | ITABLE_ZEROED) != 0 {
            self.problem(Code::DescriptorFlags, place(), format!("flags are {:#x}", group.flags));
        }
        if !group.has(ITABLE_ZEROED) {
            self.problem(Code::ItableNotZeroed, place(), "flag ITABLE_ZEROED is not set");
        }
        if le32(desc, 0x14) != 0 || le32(desc, 0x34) != 0 || le32(desc, 0x3c) != 0 {
            self.problem(Code::DescriptorUnused, place(), "a field without use is not zero");
        }
        let usual = self.geometry().usual_tables(number);
        let found = [group.block_bitmap, group.inode_bitmap, group.table];
        if found != usual {
            let text = format!("bitmaps and table are at blocks {found:?}, usual is {usual:?}");
            self.problem(Code::TablesElsewhere, place(), text);
        }
        let mut inside = true;
        let lengths = [1, 1, self.geometry().table_blocks()];
        for ((start, len), what) in
            found.into_iter().zip(lengths).zip(["block bitmap", "inode bitmap", "inode table"])
        {
            let end = start.checked_add(len);
            if start == 0 || end.is_none_or(|end| end > self.geometry().blocks) {
                let text = format!("{what} is said to be at block {start}, which can't be");
                self.problem(Code::DescriptorLocation, place(), text);
                inside = false;
            } else if !self.claim(start, len, &|| format!("{what} of group {number}")) {
                let text = format!("{what} is said to be at block {start}, where something else is");
                self.problem(Code::DescriptorLocation, place(), text);
            }
        }
        self.groups.push(group);
        inside
    }

    /// Compares every copy of superblock and descriptors, byte by byte, and looks at the reserve behind them.
    pub(crate) fn backups(&mut self) -> Result<(), Unreadable> {
        let geometry = self.geometry();
        for group in geometry.backups() {
            let range = geometry.group(group);
            if range.end - range.start < geometry.super_blocks() {
                continue;
            }
            self.backup_superblock(group, &self.block(range.start)?);
            for index in 1..=geometry.gdt {
                let (first, copy) = (self.block(index)?, self.block(range.start + index)?);
                if first != copy {
                    let text = format!("its copy of descriptor block {index} differs from the first");
                    let at_use = |at: usize| within(&DESCRIPTOR_AT_USE, at % DESC_BYTES);
                    let code = self.difference(&first, &copy, at_use, Code::BackupDescriptors);
                    self.problem(code, Place::Group(group), text);
                }
            }
            for index in geometry.gdt + 1..geometry.super_blocks() {
                let number = range.start + index;
                if !is_zero(&self.block(number)?) {
                    let text = format!("is reserved for descriptors in group {group}, and not zero");
                    self.problem(Code::ReserveNotZero, Place::Block(number), text);
                }
            }
        }
        Ok(())
    }

    fn backup_superblock(&mut self, group: u32, block: &[u8]) {
        let place = || Place::Group(group);
        let copy = part(block, 0, superblock::BYTES);
        let computed = Crc::START.over(part(copy, 0, superblock::CHECKSUM)).0;
        let found = le32(copy, superblock::CHECKSUM);
        if found != computed {
            let text = format!("checksum of its superblock is {found:#010x}, should be {computed:#010x}");
            self.problem(Code::BackupChecksum, place(), text);
        }
        let low = group & 0xffff;
        let number = u32::from(le16(copy, superblock::GROUP_NR));
        if number != low {
            let text = format!("its superblock says that it is of group {number}");
            self.problem(Code::BackupSuperblock, place(), text);
        }
        let state = le16(copy, superblock::STATE);
        if state != 0 {
            self.problem(
                Code::BackupState,
                place(),
                format!("its superblock has state {state}, should be 0"),
            );
        }
        let own = |at: usize| {
            (superblock::STATE..superblock::STATE + 2).contains(&at)
                || (superblock::GROUP_NR..superblock::GROUP_NR + 2).contains(&at)
                || at >= superblock::CHECKSUM
        };
        let differs = copy.iter().zip(&self.sb.raw).enumerate().find(|(at, (a, b))| a != b && !own(*at));
        if let Some((at, _)) = differs {
            let text = format!("its superblock differs from the first at byte {at:#x}");
            let at_use = |at: usize| own(at) || within(&SUPERBLOCK_AT_USE, at);
            let code = self.difference(copy, &self.sb.raw, at_use, Code::BackupSuperblock);
            self.problem(code, place(), text);
        }
        if !is_zero(part(block, superblock::BYTES, BLOCK_BYTES)) {
            self.problem(Code::MetadataPadding, place(), "something stands behind its superblock");
        }
    }

    /// What a difference is: `code`, or that of a copy that was left behind when the file system was used.
    fn difference(&self, one: &[u8], other: &[u8], at_use: impl Fn(usize) -> bool, code: Code) -> Code {
        let old = one.iter().zip(other).enumerate().all(|(at, (a, b))| a == b || at_use(at));
        if old && self.sb.was_used() { Code::BackupOld } else { code }
    }

    /// Block `number` of the primary descriptors and reserve, for checks of single blocks.
    pub(crate) fn group_mut(&mut self, inode: u32) -> Option<&mut Group> {
        let (group, _) = self.geometry().place_of(inode);
        self.groups.get_mut(to_usize(u64::from(group)))
    }

    /// Bytes of the file system, for structures that are no whole blocks.
    pub(crate) fn bytes(&self, block: u64, from: usize, len: usize) -> Result<Vec<u8>, Unreadable> {
        read(self.source, block.saturating_mul(BLOCK).saturating_add(crate::numbers::to_u64(from)), len)
    }
}
