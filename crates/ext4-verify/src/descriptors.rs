//! Group descriptors, and the copies of superblock and descriptors. Kernel documentation, "Block Group Descriptors".

use std::ops::Range;

use crate::checksum::Crc;
use crate::claims::Claims;
use crate::codes::Code;
use crate::geometry::{BLOCK, BLOCK_BYTES, has_super};
use crate::group::{BLOCK_UNINIT, Group, INODE_UNINIT, ITABLE_ZEROED};
use crate::image::Image;
use crate::numbers::{is_zero, le16, le32, part, to_u64};
use crate::problem::{Findings, Place};
use crate::source::Unreadable;
use crate::superblock::{self, TUNED};

/// Where use changes the first superblock but not its copies, in \[bytes\]: free counts, times, mounts, orphans, journal
/// recovery, mount point, kilobytes written, records of errors.
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
/// Where use changes a descriptor but not its copies: counts, flags, checksums.
const DESCRIPTOR_AT_USE: [Range<usize>; 4] = [0x0c..0x14, 0x18..0x20, 0x2c..0x34, 0x38..0x3c];

fn within(ranges: &[Range<usize>], at: usize) -> bool {
    ranges.iter().any(|range| range.contains(&at))
}

/// Reads all descriptors and claims what they name; `None` where tables can't be found.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
pub(crate) fn read(
    image: &Image<'_>,
    claims: &mut Claims,
    findings: &mut Findings,
) -> Result<Option<Vec<Group>>, Unreadable> {
    let geometry = image.geometry();
    for group in (0..geometry.groups).filter(|&group| has_super(group)) {
        let range = geometry.group(group);
        let len = geometry.super_blocks().min(range.end - range.start);
        // Block 0 (the superblock) is never a valid pointer, so `claim` refuses it.
        let begin = if group == 0 { claims.blocks.insert(0).into() } else { 0 };
        claims.claim(findings, range.start + begin, len - begin, &|| {
            format!("superblock and descriptors of group {group}")
        });
    }
    let mut groups = Vec::new();
    let mut findable = true;
    for index in 0..geometry.gdt {
        let block = image.block(1 + index)?;
        let descs = block.chunks_exact(geometry.descriptor_bytes());
        for (desc, number) in descs.zip(index * (BLOCK / to_u64(geometry.descriptor_bytes()))..) {
            match u32::try_from(number).ok().filter(|&group| group < geometry.groups) {
                Some(number) => {
                    let group = Group::parse(desc);
                    fields(image, findings, number, &group, desc);
                    findable &= locations(image, claims, findings, number, &group);
                    groups.push(group);
                }
                None if !is_zero(desc) => {
                    let text = "has something behind the last descriptor";
                    findings.add(Code::DescriptorsBehind, Place::Block(1 + index), text);
                }
                None => {}
            }
        }
    }
    Ok(findable.then_some(groups))
}

/// Checks a descriptor by itself.
fn fields(image: &Image<'_>, findings: &mut Findings, number: u32, group: &Group, desc: &[u8]) {
    let place = || Place::Group(number);
    let computed = image.seed().over(&number.to_le_bytes());
    let computed = computed.over(part(desc, 0, 0x1e)).over(&[0; 2]).over(part(desc, 0x20, 0x20)).low();
    if u32::from(le16(desc, 0x1e)) != computed {
        let text =
            format!("checksum of the descriptor is {:#06x}, should be {computed:#06x}", le16(desc, 0x1e));
        findings.add(Code::DescriptorChecksum, place(), text);
    }
    // Linux ignores the flags of groups that are not written, unless a checksum covers them.
    let unwritten = if image.geometry().is_legacy { 0 } else { INODE_UNINIT | BLOCK_UNINIT };
    if group.flags & !(unwritten | ITABLE_ZEROED) != 0 {
        findings.add(Code::DescriptorFlags, place(), format!("flags are {:#x}", group.flags));
    }
    if !group.has(ITABLE_ZEROED) {
        findings.add(Code::ItableNotZeroed, place(), "flag ITABLE_ZEROED is not set");
    }
    if le32(desc, 0x14) != 0 || le32(desc, 0x34) != 0 || le32(desc, 0x3c) != 0 {
        findings.add(Code::DescriptorUnused, place(), "a field without use is not zero");
    }
}

/// What a group has of its own, in the order of its descriptor.
const TABLES: [&str; 3] = ["block bitmap", "inode bitmap", "inode table"];

/// Claims the bitmaps and the inode table of a group; false where one of them is outside of the file system.
fn locations(
    image: &Image<'_>,
    claims: &mut Claims,
    findings: &mut Findings,
    number: u32,
    group: &Group,
) -> bool {
    let place = || Place::Group(number);
    let geometry = image.geometry();
    let usual = geometry.usual_tables(number);
    let found = [group.block_bitmap, group.inode_bitmap, group.table];
    if found != usual {
        let elsewhere = TABLES.iter().zip(found).zip(usual).filter(|((_, found), usual)| found != usual);
        let texts: Vec<_> = elsewhere
            .map(|((what, found), usual)| format!("{what} is at block {found}, usually at {usual}"))
            .collect();
        findings.add(Code::TablesElsewhere, place(), texts.join("; "));
    }
    let mut inside = true;
    let lengths = [1, 1, geometry.table_blocks()];
    for ((start, len), what) in found.into_iter().zip(lengths).zip(TABLES) {
        let end = start.checked_add(len);
        if start == 0 || end.is_none_or(|end| end > geometry.blocks) {
            let text = format!("{what} is said to be at block {start}, which can't be");
            findings.add(Code::DescriptorLocation, place(), text);
            inside = false;
        } else if !claims.claim(findings, start, len, &|| format!("{what} of group {number}")) {
            let text = format!("{what} is said to be at block {start}, where something else is");
            findings.add(Code::DescriptorLocation, place(), text);
        }
    }
    inside
}

/// Checks the rest of the block that holds the first superblock, and that the last group can hold its own metadata.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
pub(crate) fn ends(image: &Image<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let geometry = image.geometry();
    let begin = image.block(0)?;
    if !is_zero(part(&begin, 0, 1024)) || !is_zero(part(&begin, 2048, BLOCK_BYTES)) {
        let text = "is not zero before and behind the superblock";
        findings.add(Code::MetadataPadding, Place::Block(0), text);
    }
    let last = geometry.groups - 1;
    let range = geometry.group(last);
    if has_super(last) && range.end - range.start < geometry.super_blocks() {
        let text = format!(
            "is {} blocks long, but its copy of superblock and descriptors takes {}",
            range.end - range.start,
            geometry.super_blocks()
        );
        findings.add(Code::LastGroupTooShort, Place::Group(last), text);
    }
    Ok(())
}

/// Compares every copy of superblock and descriptors, byte by byte, and checks that the reserve behind them is zero.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
pub(crate) fn backups(image: &Image<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let geometry = image.geometry();
    for group in geometry.backups() {
        let range = geometry.group(group);
        if range.end - range.start < geometry.super_blocks() {
            continue;
        }
        backup_superblock(image, findings, group, &image.block(range.start)?);
        for index in 1..=geometry.gdt {
            let (first, copy) = (image.block(index)?, image.block(range.start + index)?);
            if first != copy {
                let text = format!("its copy of descriptor block {index} differs from the first");
                let at_use = |at: usize| within(&DESCRIPTOR_AT_USE, at % geometry.descriptor_bytes());
                let code = difference(image, &first, &copy, at_use, Code::BackupDescriptors);
                findings.add(code, Place::Group(group), text);
            }
        }
        for index in geometry.gdt + 1..geometry.super_blocks() {
            let number = range.start + index;
            if !is_zero(&image.block(number)?) {
                let text = format!("is reserved for descriptors in group {group}, and not zero");
                findings.add(Code::ReserveNotZero, Place::Block(number), text);
            }
        }
    }
    Ok(())
}

fn backup_superblock(image: &Image<'_>, findings: &mut Findings, group: u32, block: &[u8]) {
    let place = || Place::Group(group);
    let copy = part(block, 0, superblock::BYTES);
    let start = Crc::start(!image.geometry().is_legacy);
    let computed = start.over(part(copy, 0, superblock::CHECKSUM)).value();
    let found = le32(copy, superblock::CHECKSUM);
    if found != computed {
        let text = format!("checksum of its superblock is {found:#010x}, should be {computed:#010x}");
        findings.add(Code::BackupChecksum, place(), text);
    }
    let low = group & 0xffff;
    let number = u32::from(le16(copy, superblock::GROUP_NR));
    if number != low {
        let text = format!("its superblock says that it is of group {number}");
        findings.add(Code::BackupSuperblock, place(), text);
    }
    let state = le16(copy, superblock::STATE);
    if state != 0 {
        findings.add(Code::BackupState, place(), format!("its superblock has state {state}, should be 0"));
    }
    let own = |at: usize| {
        (superblock::STATE..superblock::STATE + 2).contains(&at)
            || (superblock::GROUP_NR..superblock::GROUP_NR + 2).contains(&at)
            || at >= superblock::CHECKSUM
    };
    let differs = copy.iter().zip(&image.sb.raw).enumerate().find(|(at, (a, b))| a != b && !own(*at));
    if let Some((at, _)) = differs {
        let text = format!("its superblock differs from the first at byte {at:#x}");
        let at_use = |at: usize| own(at) || within(&SUPERBLOCK_AT_USE, at) || within(&TUNED, at);
        let code = difference(image, copy, &image.sb.raw, at_use, Code::BackupSuperblock);
        findings.add(code, place(), text);
    }
    if !is_zero(part(block, superblock::BYTES, BLOCK_BYTES)) {
        findings.add(Code::MetadataPadding, place(), "something is behind its superblock");
    }
}

/// The code of a difference: `code`, or that of a copy that is older because the file system was used.
fn difference(
    image: &Image<'_>,
    one: &[u8],
    other: &[u8],
    at_use: impl Fn(usize) -> bool,
    code: Code,
) -> Code {
    let old = one.iter().zip(other).enumerate().all(|(at, (a, b))| a == b || at_use(at));
    if old && image.sb.was_used() { Code::BackupOld } else { code }
}

#[cfg(test)]
mod tests;
