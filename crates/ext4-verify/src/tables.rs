//! Checks inode tables, bitmaps and counts against what was found to be in use.

use crate::claims::Claims;
use crate::codes::Code;
use crate::geometry::{BLOCK, BLOCK_BYTES, GROUP_BLOCKS, has_super};
use crate::group::{BLOCK_UNINIT, Group, INODE_UNINIT};
use crate::image::{INODES_PER_BLOCK, Image};
use crate::numbers::{byte, is_zero, le16, le32, le32_pair, part, to_u32, to_u64, to_usize};
use crate::paths::Where;
use crate::problem::{Findings, Place};
use crate::sets::{bit, runs, without};
use crate::source::Unreadable;
use crate::superblock::OVERHEAD;

/// What was counted over all groups.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    free_blocks: u64,
    free_inodes: u64,
}

/// Checks every inode that no name leads to.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
pub(crate) fn inode_tables(
    image: &Image<'_>,
    claims: &Claims,
    findings: &mut Findings,
) -> Result<(), Unreadable> {
    let geometry = image.geometry();
    for (number, group) in (0..geometry.groups).zip(&image.groups) {
        let (table, first) = (group.table, geometry.first_inode(number));
        let end = table + geometry.table_blocks();
        let mut at = table;
        loop {
            at = at.max(image.source.next_data(at * BLOCK) / BLOCK);
            if at >= end {
                break;
            }
            let block = image.block(at)?;
            let numbers = first.saturating_add(to_u32((at - table) * u64::from(INODES_PER_BLOCK)))..;
            for (raw, number) in block.chunks_exact(256).zip(numbers) {
                if !is_zero(raw) && !claims.has_inode(number) {
                    unused_inode(findings, number, raw);
                }
            }
            at += 1;
        }
    }
    Ok(())
}

fn unused_inode(findings: &mut Findings, number: u32, raw: &[u8]) {
    let place = || Where::of_inode(number).place();
    let (mode, deleted, links) = (le16(raw, 0x00), le32(raw, 0x14), le16(raw, 0x1a));
    if links != 0 && deleted == 0 {
        findings.add_with(Code::InodeOrphan, place, "has links, but no name leads to it");
    } else if mode != 0 && deleted == 0 {
        // Linux sets the time when it deletes an inode, and e2fsck wants it where the table has to be read.
        findings.add_with(
            Code::InodeOrphan,
            place,
            "has a mode, but no name leads to it and it was not deleted",
        );
    } else {
        findings.add_with(Code::InodeUnusedNotZero, place, "is unused and not zero");
    }
}

/// Compares all bitmaps and the counts of all groups with what was found.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
pub(crate) fn bitmaps(
    image: &Image<'_>,
    claims: &Claims,
    findings: &mut Findings,
) -> Result<Totals, Unreadable> {
    let mut totals = Totals::default();
    for (number, group) in (0..).zip(&image.groups) {
        totals.free_blocks += block_bitmap(image, claims, findings, number, group)?;
        totals.free_inodes += inode_bitmap(image, claims, findings, number, group)?;
        let directories = claims.directories(number);
        if group.used_dirs != directories {
            let text = format!("says {} directories, has {directories}", group.used_dirs);
            findings.add(Code::GroupUsedDirs, Place::Group(number), text);
        }
    }
    Ok(totals)
}

/// Checks the block bitmap of a group; gives the number of free blocks.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
fn block_bitmap(
    image: &Image<'_>,
    claims: &Claims,
    findings: &mut Findings,
    number: u32,
    group: &Group,
) -> Result<u64, Unreadable> {
    let place = || Place::Group(number);
    let geometry = image.geometry();
    let range = geometry.group(number);
    let len = range.end - range.start;
    let used = claims.blocks.page(number).map_or([0; BLOCK_BYTES], |page| *page);
    let free = len - count_ones(&used).min(len);
    if u64::from(group.free_blocks) != free {
        let text = format!("says {} free blocks, has {free}", group.free_blocks);
        findings.add(Code::GroupFreeBlocks, place(), text);
    }
    let bitmap = image.block(group.block_bitmap)?;
    if group.has(BLOCK_UNINIT) {
        unwritten(image, findings, number, "block", &bitmap, group.block_bitmap_checksum);
        let own = if has_super(number) { geometry.super_blocks() } else { 0 };
        if free + own.min(len) != len || number + 1 == geometry.groups {
            let text = "flag BLOCK_UNINIT is set, but there are blocks in use";
            findings.add(Code::BlockUninit, place(), text);
        }
        return Ok(free);
    }
    let computed = image.seed().over(&bitmap).value();
    if group.block_bitmap_checksum != computed {
        let text = format!(
            "checksum of the block bitmap is {:#010x}, should be {computed:#010x}",
            group.block_bitmap_checksum
        );
        findings.add(Code::BlockBitmapChecksum, place(), text);
    }
    if bitmap != used {
        for (from, count) in runs(&without(&bitmap, &used), len) {
            let text = format!("and {} more are marked used, but nothing uses them", count - 1);
            findings.add(Code::BlockLeaked, Place::Block(range.start + from), text);
        }
        for (from, count) in runs(&without(&used, &bitmap), len) {
            let text = format!("and {} more are used, but marked free", count - 1);
            findings.add(Code::BlockNotMarked, Place::Block(range.start + from), text);
        }
    }
    if (len..GROUP_BLOCKS).any(|at| !bit(&bitmap, at)) {
        findings.add(Code::BlockBitmapPadding, place(), "a bit behind the last block is not set");
    }
    Ok(free)
}

/// Checks the inode bitmap of a group; gives the number of free inodes.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
fn inode_bitmap(
    image: &Image<'_>,
    claims: &Claims,
    findings: &mut Findings,
    number: u32,
    group: &Group,
) -> Result<u64, Unreadable> {
    let place = || Place::Group(number);
    let geometry = image.geometry();
    let (first, len) = (geometry.first_inode(number), geometry.inodes_per_group);
    let used = claims.inodes.bits(u64::from(first)..u64::from(first) + u64::from(len));
    let used_count = count_ones(&used);
    let free = u64::from(len) - used_count;
    if u64::from(group.free_inodes) != free {
        let text = format!("says {} free inodes, has {free}", group.free_inodes);
        findings.add(Code::GroupFreeInodes, place(), text);
    }
    let unused = len - to_u32(runs(&used, u64::from(len)).last().map_or(0, |(from, count)| from + count));
    // Without checksums of the descriptors, the field has no meaning.
    let unused = if geometry.is_legacy { 0 } else { unused };
    if group.unused_inodes > unused {
        let text = format!("says that the last {} inodes are unused, only {unused} are", group.unused_inodes);
        findings.add(Code::ItableUnusedHides, place(), text);
    } else if group.unused_inodes < unused {
        let text = format!("says that the last {} inodes are unused, {unused} are", group.unused_inodes);
        findings.add(Code::ItableUnusedSmall, place(), text);
    }
    let bitmap = image.block(group.inode_bitmap)?;
    if group.has(INODE_UNINIT) {
        unwritten(image, findings, number, "inode", &bitmap, group.inode_bitmap_checksum);
        if used_count > 0 {
            let text = "flag INODE_UNINIT is set, but there are inodes in use";
            findings.add(Code::InodeUninit, place(), text);
        }
        return Ok(free);
    }
    // Groups have a multiple of 16 inodes.
    let bytes = to_usize(u64::from(len / 8));
    let computed = image.seed().over(part(&bitmap, 0, bytes)).value();
    if group.inode_bitmap_checksum != computed {
        let text = format!(
            "checksum of the inode bitmap is {:#010x}, should be {computed:#010x}",
            group.inode_bitmap_checksum
        );
        findings.add(Code::InodeBitmapChecksum, place(), text);
    }
    if part(&bitmap, 0, bytes) != used {
        inode_marks(findings, first..first + len, &bitmap, &used);
    }
    if (bytes..BLOCK_BYTES).any(|at| byte(&bitmap, at) != 0xff) {
        findings.add(Code::InodeBitmapPadding, place(), "a bit behind the last inode is not set");
    }
    Ok(free)
}

/// Reports the inodes of a group whose bits are not as they should be.
fn inode_marks(findings: &mut Findings, numbers: std::ops::Range<u32>, bitmap: &[u8], used: &[u8]) {
    for (at, number) in (0..).zip(numbers) {
        let place = || Where::of_inode(number).place();
        match (bit(bitmap, at), bit(used, at)) {
            (true, false) => {
                findings.add_with(Code::InodeLeaked, place, "is marked used, but no name leads to it");
            }
            (false, true) => findings.add_with(Code::InodeNotMarked, place, "is used, but marked free"),
            _ => {}
        }
    }
}

fn count_ones(bitmap: &[u8]) -> u64 {
    bitmap.iter().map(|byte| u64::from(byte.count_ones())).sum()
}

/// Checks the bitmap of a group whose flags say that it is not written.
fn unwritten(
    image: &Image<'_>,
    findings: &mut Findings,
    group: u32,
    what: &str,
    bitmap: &[u8],
    checksum: u32,
) {
    if !is_zero(bitmap) || checksum != 0 {
        let text = format!("the {what} bitmap counts as not written, but it or its checksum is not zero");
        // Linux writes a checksum for the groups that it adds.
        let code = if image.sb.was_used() { Code::UninitBitmapUsed } else { Code::UninitBitmap };
        findings.add(code, Place::Group(group), text);
    }
}

/// Compares the counts of the superblock.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
pub(crate) fn totals(image: &Image<'_>, claims: &Claims, findings: &mut Findings, totals: Totals) {
    let (raw, geometry) = (&image.sb.raw, image.geometry());
    let (free_blocks, free_inodes) = (le32_pair(raw, 0x0c, 0x158), u64::from(le32(raw, 0x10)));
    let overhead = u64::from(le32(raw, OVERHEAD));
    let copies = 1 + to_u64(geometry.backups().count());
    let tables = u64::from(geometry.groups) * (2 + geometry.table_blocks());
    let wanted = copies * geometry.super_blocks() + tables + claims.journal_blocks;
    if free_blocks != totals.free_blocks {
        let text = format!("says {free_blocks} free blocks, has {}", totals.free_blocks);
        findings.add(Code::SuperblockFreeBlocks, Place::Superblock, text);
    }
    if free_inodes != totals.free_inodes {
        let text = format!("says {free_inodes} free inodes, has {}", totals.free_inodes);
        findings.add(Code::SuperblockFreeInodes, Place::Superblock, text);
    }
    if overhead != wanted {
        let text = format!("s_overhead_clusters is {overhead}, should be {wanted}");
        // With 0, Linux counts the overhead when it mounts the file system.
        let code = if overhead == 0 { Code::SuperblockTuned } else { Code::SuperblockOverhead };
        findings.add(code, Place::Superblock, text);
    }
}
