//! The inodes of fixed meaning: bad blocks, the room for more descriptors, the journal, and those without use.

use crate::checksum::Crc;
use crate::claims::Claims;
use crate::codes::Code;
use crate::context::InodeContext;
use crate::extents;
use crate::fields;
use crate::geometry::{BLOCK, BLOCK_BYTES};
use crate::image::Image;
use crate::inode::FLAG_EXTENTS;
use crate::numbers::{be32, byte, is_zero, le16, le32, part, to_u32, to_u64, to_usize};
use crate::paths::{ROOT, Where};
use crate::problem::{Findings, Place};
use crate::source::Unreadable;

const BAD_BLOCKS: u32 = 1;
const RESIZE: u32 = 7;
const JOURNAL: u32 = 8;
const LAST: u32 = 10;
/// A regular file that root may read and write.
const OWN_MODE: u16 = 0o100_600;
/// What direct, indirect and double-indirect pointers can name, in \[bytes\].
const RESIZE_BYTES: u64 = (12 + 1024 + 1024 * 1024) * BLOCK;
/// The shortest journal that Linux takes, in \[blocks\] (`JBD2_MIN_JOURNAL_BLOCKS`).
const SHORTEST_JOURNAL: u64 = 1024;

/// Checks the inodes 1 to 10, except the root.
pub(crate) fn inodes(
    image: &Image<'_>,
    claims: &mut Claims,
    findings: &mut Findings,
) -> Result<(), Unreadable> {
    for number in (1..=LAST).filter(|&number| number != ROOT) {
        claims.claim_inode(number);
        let inode = image.inode(number)?;
        let mut cx = InodeContext { image, claims, findings, inode: &inode, at: Where::of_inode(number) };
        match number {
            RESIZE if image.sb.has_resize_inode => resize_inode(&mut cx)?,
            JOURNAL if image.sb.has_journal => journal(&mut cx)?,
            _ => without_use(&mut cx),
        }
    }
    Ok(())
}

/// Checks an inode without use: all zero except the checksum; the inode of bad blocks has times.
fn without_use(cx: &mut InodeContext<'_>) {
    let inode = cx.inode;
    fields::checksum(cx);
    let raw = &inode.raw;
    let times = if inode.number == BAD_BLOCKS { 0x08..0x14 } else { 0..0 };
    let checksum = 0x7c..0x7e;
    let is_clean =
        raw.iter().enumerate().all(|(at, &byte)| byte == 0 || times.contains(&at) || checksum.contains(&at));
    // tune2fs and e2fsck release the inode of a removed journal or reserve, but leave some of its times.
    let was_released = matches!(inode.number, JOURNAL | RESIZE)
        && is_zero(part(raw, 0, 2))
        && (inode.size, inode.links, inode.flags, inode.sectors, inode.xattr_block) == (0, 0, 0, 0, 0)
        && is_zero(inode.map())
        && is_zero(part(raw, 0xa0, 96));
    if was_released && !is_clean {
        cx.problem(Code::InodeUnusedNotZero, "is unused and not zero");
    } else if !is_clean {
        cx.problem(Code::ReservedInode, "has no use here, but is not zero");
    }
}

fn own_inode(cx: &mut InodeContext<'_>, code: Code, size: u64, flags: u32) {
    let inode = cx.inode;
    fields::fields(cx);
    let found = (le16(&inode.raw, 0), inode.links, inode.flags, inode.size);
    let wanted = (OWN_MODE, 1, flags, size);
    if found != wanted {
        let text = format!(
            "mode {:o}, {} links, flags {:#x}, {} bytes; should be mode {:o}, {} links, flags {:#x}, {} bytes",
            found.0, found.1, found.2, found.3, wanted.0, wanted.1, wanted.2, wanted.3
        );
        cx.problem(code, text);
    }
    if inode.uid() != 0 || inode.gid() != 0 || inode.xattr_block != 0 || !is_zero(part(&inode.raw, 0xa0, 96))
    {
        cx.problem(code, "has an owner or attributes");
    }
}

/// Checks the inode that reserves room for more descriptors: a double-indirect block points to the reserved blocks of the
/// first group, each of which points to its copies in the other groups. Linux checks this only in the middle of growth
/// (`verify_reserved_gdb`), and e2fsck checks only the first quarter.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
fn resize_inode(cx: &mut InodeContext<'_>) -> Result<(), Unreadable> {
    let (image, inode) = (cx.image, cx.inode);
    let geometry = image.geometry();
    own_inode(cx, Code::ResizeInode, RESIZE_BYTES, 0);
    let backups: Vec<u64> = geometry.backups().map(|group| geometry.group(group).start).collect();
    let copies = 1 + to_u64(backups.len());
    fields::blocks(cx, 1 + geometry.reserved_gdt * copies);
    let map = inode.map();
    let double = u64::from(le32(map, 52));
    if !is_zero(part(map, 0, 52)) || le32(map, 56) != 0 {
        cx.problem(Code::ResizeInode, "has other pointers than the double-indirect one");
    }
    if !cx.claims.claim(cx.findings, double, 1, &|| "pointers of the resize inode".to_owned()) {
        return Ok(());
    }
    let pointers = image.block(double)?;
    let mut wanted = vec![0_u32; 1024];
    for reserved in geometry.gdt..geometry.gdt + geometry.reserved_gdt {
        if let Some(pointer) = wanted.get_mut(to_usize(reserved % 1024)) {
            *pointer = to_u32(1 + reserved);
        }
    }
    for (index, &wanted) in wanted.iter().enumerate() {
        let found = le32(&pointers, 4 * index);
        if found != wanted {
            let text = format!("pointer {index} of the resize inode is {found}, should be {wanted}");
            cx.findings.add(Code::ResizePointer, Place::Block(double), text);
        }
    }
    for number in 1 + geometry.gdt..geometry.super_blocks() {
        let block = image.block(number)?;
        for index in 0..1024 {
            let wanted = backups.get(index).map_or(0, |start| start + number);
            let found = u64::from(le32(&block, 4 * index));
            if found != wanted {
                let text = format!("pointer {index} to a copy of this block is {found}, should be {wanted}");
                cx.findings.add(Code::ResizeBackupPointer, Place::Block(number), text);
            }
        }
    }
    Ok(())
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "these blocks are claimed, so they are in the file system"
)]
fn journal(cx: &mut InodeContext<'_>) -> Result<(), Unreadable> {
    let (image, inode) = (cx.image, cx.inode);
    own_inode(cx, Code::JournalInode, inode.size, FLAG_EXTENTS);
    let mapped = extents::extents(cx)?;
    let blocks = inode.size / BLOCK;
    // The overhead counts the journal without the blocks of its extent tree, as mke2fs and Linux do
    // (`ext4_calculate_overhead`).
    cx.claims.journal_blocks = mapped.blocks();
    fields::blocks(cx, mapped.all_blocks());
    if !inode.size.is_multiple_of(BLOCK) || mapped.end != blocks || !mapped.is_whole() {
        let text = format!("{} bytes do not go with {} blocks", inode.size, mapped.blocks());
        cx.problem(Code::JournalInode, text);
        return Ok(());
    }
    if blocks < SHORTEST_JOURNAL {
        cx.problem(Code::JournalTooShort, format!("has {blocks} blocks, Linux takes 1024 and more"));
    }
    let copy = part(&image.sb.raw, 0x10c, 68);
    let size = [part(&inode.raw, 0x6c, 4), part(&inode.raw, 0x04, 4)].concat();
    if part(copy, 0, 60) != inode.map() || part(copy, 60, 8) != size {
        let text = "s_jnl_blocks is not the journal's block map and size";
        cx.findings.add(Code::JournalBackup, Place::Superblock, text);
    }
    if let Some(first) = mapped.block(0) {
        let block = image.block(first)?;
        journal_superblock(image, cx.findings, first, &block, blocks);
    }
    for run in &mapped.runs {
        // The first block is the journal's superblock.
        let skip = u64::from(run.logical == 0);
        let (from, to) = ((run.start + skip) * BLOCK, (run.start + run.len) * BLOCK);
        if let Some(at) = image.first_not_zero(from, to)? {
            let text = format!("the journal has been used (block {} is not zero)", at / BLOCK);
            cx.problem(Code::JournalUsed, text);
        }
    }
    Ok(())
}

/// Checks the superblock of the journal, which is big-endian. Kernel documentation, "Journal (jbd2)".
fn journal_superblock(image: &Image<'_>, findings: &mut Findings, number: u64, block: &[u8], blocks: u64) {
    let place = || Place::Block(number);
    let blocks = to_u32(blocks);
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
            findings.add(Code::JournalSuperblock, place(), text);
        }
    }
    if part(block, 0x30, 16) != part(&image.sb.raw, 0x68, 16) {
        // Only an external journal must have the UUID. tune2fs changes that of the file system alone.
        findings.add(Code::JournalUsed, place(), "s_uuid of the journal is not that of the file system");
    }
    if be32(block, 0x1c) != 0 {
        let text = format!("s_start of the journal is {}: it waits to be replayed", be32(block, 0x1c));
        findings.add(Code::JournalNotEmpty, place(), text);
    }
    if be32(block, 0x18) != 1 {
        let text = format!("s_sequence of the journal is {}, should be 1", be32(block, 0x18));
        findings.add(Code::JournalUsed, place(), text);
    }
    let features = [0x24, 0x28, 0x2c].map(|at| be32(block, at));
    if features != [0; 3] {
        let text = format!("the journal has been used (features {})", journal_features(features));
        findings.add(Code::JournalUsed, place(), text);
    }
    journal_rest(findings, number, block, features[1] & 0x18 != 0, features[1] & 0x20 != 0);
}

/// The names that dumpe2fs prints for features of a journal; other bits as numbers. `words` are compatible, incompatible and
/// read-only compatible ones.
fn journal_features(words: [u32; 3]) -> String {
    const NAMES: [(usize, u32, &str); 7] = [
        (0, 0x1, "journal_checksum"),
        (1, 0x1, "journal_incompat_revoke"),
        (1, 0x2, "journal_64bit"),
        (1, 0x4, "journal_async_commit"),
        (1, 0x8, "journal_checksum_v2"),
        (1, 0x10, "journal_checksum_v3"),
        (1, 0x20, "fast_commit"),
    ];
    let mut names = Vec::new();
    for (index, word) in words.into_iter().enumerate() {
        let known = NAMES.iter().filter(|(at, bit, _)| *at == index && word & bit != 0);
        let unknown = known.clone().fold(word, |rest, (_, bit, _)| rest & !bit);
        names.extend(known.map(|(_, _, name)| (*name).to_owned()));
        let kind = ["compat", "incompat", "ro_compat"].get(index).copied().unwrap_or_default();
        names.extend((unknown != 0).then(|| format!("{kind} {unknown:#x}")));
    }
    names.join(", ")
}

/// Checks the fields after `s_nr_users`. Only Linux writes them: `s_head` when the log becomes empty, the checksum if its feature is
/// on.
fn journal_rest(
    findings: &mut Findings,
    number: u64,
    block: &[u8],
    has_checksum: bool,
    has_fast_commits: bool,
) {
    let place = || Place::Block(number);
    let head = be32(block, 0x58);
    if head != 0 {
        // `jbd2_mark_journal_empty` stores where the next transaction goes, `journal_reset` takes it only from within the log.
        let (first, end) = (be32(block, 0x14), be32(block, 0x10));
        if (first..end).contains(&head) {
            findings.add(Code::JournalUsed, place(), format!("s_head of the journal is {head}, should be 0"));
        } else {
            let text = format!("s_head of the journal is {head}, its log is {first} to {end}");
            findings.add(Code::JournalSuperblock, place(), text);
        }
    }
    // `s_dynsuper` and limits of transactions; `s_num_fc_blks`; `s_padding`; the users of an external journal.
    let fast_commits = if has_fast_commits { 0x54..0x54 } else { 0x54..0x58 };
    let unused = [0x44..0x50, 0x51..0x54, fast_commits, 0x5c..0xfc, 0x100..BLOCK_BYTES];
    let is_clean = unused.into_iter().all(|range| is_zero(part(block, range.start, range.len())));
    // The type of the checksum, and the checksum.
    if !is_clean || !has_checksum && (byte(block, 0x50) != 0 || be32(block, 0xfc) != 0) {
        let text = "an unused part of the journal's superblock is not zero";
        findings.add(Code::MetadataPadding, place(), text);
    }
    if has_checksum {
        journal_checksum(findings, number, block);
    }
}

fn journal_checksum(findings: &mut Findings, number: u64, block: &[u8]) {
    let computed = Crc::START.over(part(block, 0, 0xfc)).over(&[0; 4]);
    let computed = computed.over(part(block, 0x100, 0x300)).value();
    let found = be32(block, 0xfc);
    if found != computed || byte(block, 0x50) != 4 {
        let text =
            format!("checksum of the journal's superblock is {found:#010x}, should be {computed:#010x}");
        findings.add(Code::JournalChecksum, Place::Block(number), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_a_journal_are_named() {
        assert_eq!(journal_features([0, 0x12, 0]), "journal_64bit, journal_checksum_v3");
        assert_eq!(journal_features([0x3, 0, 0x40]), "journal_checksum, compat 0x2, ro_compat 0x40");
    }
}
