//! Whether what counts and marks things agrees with what was found: inode tables, bitmaps, free counts, free blocks.

use crate::checker::Checker;
use crate::codes::Code;
use crate::descriptors::{BLOCK_UNINIT, Group, INODE_UNINIT};
use crate::geometry::{BLOCK, GROUP_BLOCKS};
use crate::numbers::{is_zero, le16, le32, le32_pair, part, to_u32, to_usize};
use crate::problem::Place;
use crate::sets::{bit, runs};
use crate::source::Unreadable;

/// Inodes in a block of a table.
const IN_BLOCK: u32 = 16;

/// What was counted over all groups.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    free_blocks: u64,
    free_inodes: u64,
}

impl Checker<'_> {
    /// Looks at every inode that no name leads to.
    pub(crate) fn inode_tables(&mut self) -> Result<(), Unreadable> {
        let per_group = self.geometry().inodes_per_group;
        for group in 0..self.geometry().groups {
            let Some(table) = self.groups.get(to_usize(group.into())).map(|group| group.table) else {
                continue;
            };
            let first = self.geometry().first_inode(group);
            let end = table + u64::from(per_group / IN_BLOCK);
            let mut at = table;
            loop {
                at = at.max(self.source.next_data(at * BLOCK) / BLOCK);
                if at >= end {
                    break;
                }
                let block = self.block(at)?;
                let numbers = first.saturating_add(to_u32((at - table) * u64::from(IN_BLOCK)))..;
                for (raw, number) in block.chunks_exact(256).zip(numbers) {
                    if !is_zero(raw) && !self.is_used(number) {
                        self.unused_inode(number)?;
                    }
                }
                at += 1;
            }
        }
        Ok(())
    }

    fn unused_inode(&mut self, number: u32) -> Result<(), Unreadable> {
        let raw = self.inode_bytes(number)?;
        self.here.0 = 0;
        if le16(&raw, 0x1a) != 0 && le32(&raw, 0x14) == 0 {
            self.at_inode(Code::InodeOrphan, number, "has links, but no name leads to it");
        } else {
            self.at_inode(Code::InodeUnusedNotZero, number, "is unused and not zero");
        }
        Ok(())
    }

    /// Compares all bitmaps and the counts of all groups with what was found.
    pub(crate) fn bitmaps(&mut self) -> Result<Totals, Unreadable> {
        let mut totals = Totals::default();
        for (number, group) in (0..).zip(std::mem::take(&mut self.groups)) {
            totals.free_blocks += self.block_bitmap(number, &group)?;
            totals.free_inodes += self.inode_bitmap(number, &group)?;
            if group.used_dirs != group.directories {
                let text = format!("says {} directories, has {}", group.used_dirs, group.directories);
                self.problem(Code::GroupUsedDirs, Place::Group(number), text);
            }
            self.groups.push(group);
        }
        Ok(totals)
    }

    /// Gives the number of free blocks.
    fn block_bitmap(&mut self, number: u32, group: &Group) -> Result<u64, Unreadable> {
        let place = || Place::Group(number);
        let range = self.geometry().group(number);
        let len = range.end - range.start;
        let used = self.blocks.page(number).map_or([0; 4096], |page| *page);
        let free = len - used.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>().min(len);
        if u64::from(group.free_blocks) != free {
            let text = format!("says {} free blocks, has {free}", group.free_blocks);
            self.problem(Code::GroupFreeBlocks, place(), text);
        }
        let bitmap = self.block(group.block_bitmap)?;
        if group.has(BLOCK_UNINIT) {
            self.unwritten(number, "block", &bitmap, group.block_bitmap_checksum);
            let own = if crate::geometry::has_super(number) { self.geometry().super_blocks() } else { 0 };
            if free + own.min(len) != len || number + 1 == self.geometry().groups {
                self.problem(
                    Code::BlockUninit,
                    place(),
                    "flag BLOCK_UNINIT is set, but there are blocks in use",
                );
            }
            return Ok(free);
        }
        let computed = self.sb.seed.over(&bitmap).0;
        if group.block_bitmap_checksum != computed {
            let text = format!(
                "checksum of the block bitmap is {:#010x}, should be {computed:#010x}",
                group.block_bitmap_checksum
            );
            self.problem(Code::BlockBitmapChecksum, place(), text);
        }
        let leaked: Vec<_> = runs(len, |at| bit(&bitmap, at) && !bit(&used, at)).collect();
        for (from, count) in leaked {
            let text = format!("and {} more are marked used, but nothing uses them", count - 1);
            self.problem(Code::BlockLeaked, Place::Block(range.start + from), text);
        }
        let missing: Vec<_> = runs(len, |at| !bit(&bitmap, at) && bit(&used, at)).collect();
        for (from, count) in missing {
            let text = format!("and {} more are used, but marked free", count - 1);
            self.problem(Code::BlockNotMarked, Place::Block(range.start + from), text);
        }
        if (len..GROUP_BLOCKS).any(|at| !bit(&bitmap, at)) {
            self.problem(Code::BlockBitmapPadding, place(), "a bit behind the last block is not set");
        }
        Ok(free)
    }

    /// Gives the number of free inodes.
    fn inode_bitmap(&mut self, number: u32, group: &Group) -> Result<u64, Unreadable> {
        let place = || Place::Group(number);
        let geometry = self.geometry();
        let (first, len) = (geometry.first_inode(number), geometry.inodes_per_group);
        let last = (0..len).rev().find(|index| self.is_used(first + index));
        let used = (0..len).filter(|index| self.is_used(first + index)).count();
        let free = u64::from(len) - crate::numbers::to_u64(used);
        if u64::from(group.free_inodes) != free {
            let text = format!("says {} free inodes, has {free}", group.free_inodes);
            self.problem(Code::GroupFreeInodes, place(), text);
        }
        let unused = len - last.map_or(0, |last| last + 1);
        if group.unused_inodes > unused {
            let text =
                format!("says that the last {} inodes are unused, only {unused} are", group.unused_inodes);
            self.problem(Code::ItableUnusedHides, place(), text);
        } else if group.unused_inodes < unused {
            let text = format!("says that the last {} inodes are unused, {unused} are", group.unused_inodes);
            self.problem(Code::ItableUnusedSmall, place(), text);
        }
        let bitmap = self.block(group.inode_bitmap)?;
        if group.has(INODE_UNINIT) {
            self.unwritten(number, "inode", &bitmap, group.inode_bitmap_checksum);
            if used > 0 {
                self.problem(
                    Code::InodeUninit,
                    place(),
                    "flag INODE_UNINIT is set, but there are inodes in use",
                );
            }
            return Ok(free);
        }
        let computed = self.sb.seed.over(part(&bitmap, 0, to_usize(u64::from(len / 8)))).0;
        if group.inode_bitmap_checksum != computed {
            let text = format!(
                "checksum of the inode bitmap is {:#010x}, should be {computed:#010x}",
                group.inode_bitmap_checksum
            );
            self.problem(Code::InodeBitmapChecksum, place(), text);
        }
        self.here.0 = 0;
        for index in 0..len {
            let number = first + index;
            match (bit(&bitmap, index.into()), self.is_used(number)) {
                (true, false) => {
                    self.at_inode(Code::InodeLeaked, number, "is marked used, but no name leads to it");
                }
                (false, true) => self.at_inode(Code::InodeNotMarked, number, "is used, but marked free"),
                _ => {}
            }
        }
        if (u64::from(len)..GROUP_BLOCKS).any(|at| !bit(&bitmap, at)) {
            self.problem(Code::InodeBitmapPadding, place(), "a bit behind the last inode is not set");
        }
        Ok(free)
    }

    fn unwritten(&mut self, group: u32, what: &str, bitmap: &[u8], checksum: u32) {
        if !is_zero(bitmap) || checksum != 0 {
            let text = format!("the {what} bitmap counts as not written, but it or its checksum is not zero");
            // Linux gives one to the groups that it adds.
            let code = if self.sb.was_used() { Code::UninitBitmapUsed } else { Code::UninitBitmap };
            self.problem(code, Place::Group(group), text);
        }
    }

    /// Compares the counts of the superblock.
    pub(crate) fn totals(&mut self, totals: Totals) {
        let raw = &self.sb.raw;
        let geometry = self.sb.geometry;
        let (free_blocks, free_inodes) = (le32_pair(raw, 0x0c, 0x158), u64::from(le32(raw, 0x10)));
        let overhead = u64::from(le32(raw, 0x248));
        let copies = 1 + crate::numbers::to_u64(geometry.backups().count());
        let tables = u64::from(geometry.groups) * (2 + geometry.table_blocks());
        let wanted = copies * geometry.super_blocks() + tables + self.journal_blocks;
        if free_blocks != totals.free_blocks {
            let text = format!("says {free_blocks} free blocks, has {}", totals.free_blocks);
            self.problem(Code::SuperblockFreeBlocks, Place::Superblock, text);
        }
        if free_inodes != totals.free_inodes {
            let text = format!("says {free_inodes} free inodes, has {}", totals.free_inodes);
            self.problem(Code::SuperblockFreeInodes, Place::Superblock, text);
        }
        if overhead != wanted {
            let text = format!("s_overhead_clusters is {overhead}, should be {wanted}");
            self.problem(Code::SuperblockOverhead, Place::Superblock, text);
        }
    }

    /// Whether what nothing uses is zero.
    pub(crate) fn free_blocks(&mut self) -> Result<(), Unreadable> {
        for number in 0..self.geometry().groups {
            let range = self.geometry().group(number);
            let used = self.blocks.page(number).map_or([0; 4096], |page| *page);
            for (from, count) in runs(range.end - range.start, |at| !bit(&used, at)) {
                let start = range.start + from;
                if let Some(at) = self.first_not_zero(start * BLOCK, (start + count) * BLOCK)? {
                    self.problem(Code::FreeBlockNotZero, Place::Block(at / BLOCK), "is free and not zero");
                }
            }
        }
        Ok(())
    }
}
