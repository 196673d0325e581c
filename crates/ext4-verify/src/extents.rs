//! Extent trees. Kernel documentation, "Extent Tree".

use std::cmp::Ordering;

use crate::codes::Code;
use crate::context::InodeContext;
use crate::geometry::{BLOCK, BLOCK_BYTES};
use crate::inode::{FAST_LINK, FLAG_EXTENTS, LONGEST_LINK};
use crate::numbers::{byte, is_zero, le16, le32, part, to_u64, to_usize};
use crate::source::Unreadable;

const MAGIC: u16 = 0xf30a;
/// The deepest tree: five levels of blocks hold more extents than a file can have (`EXT4_MAX_EXTENT_DEPTH`).
const DEEPEST: u16 = 5;
/// The most entries in a block, which ends in a checksum, and in an inode.
const BLOCK_ENTRIES: u16 = 340;
const INODE_ENTRIES: u16 = 4;
/// The largest file in \[bytes\]: extents count 2^32 blocks (e2fsck, `check_blocks`).
const LARGEST_FILE: u64 = (1 << 44) - 1;
/// The longest written extent, in \[blocks\]; a larger length marks an unwritten one.
const LONGEST: u16 = 32768;

/// Blocks that follow one another both in the contents of an inode and in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first of them, counted from the start of the contents.
    pub logical: u64,
    /// The first of them, counted from the start of the file system.
    pub start: u64,
    /// How many there are.
    pub len: u64,
    /// Whether they are written; unwritten blocks read as zeros.
    pub written: bool,
}

/// What an extent tree maps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapped {
    pub(crate) runs: Vec<Run>,
    /// Blocks of the tree itself.
    pub(crate) nodes: u64,
    /// The block behind the last one that is mapped.
    pub(crate) end: u64,
    /// Whether extents may be unwritten, as those of a slot.
    may_be_unwritten: bool,
}

impl Mapped {
    /// Blocks of the contents.
    pub(crate) fn blocks(&self) -> u64 {
        self.runs.iter().fold(0, |sum: u64, run| sum.saturating_add(run.len))
    }

    /// Blocks of the contents and of the tree.
    pub(crate) fn all_blocks(&self) -> u64 {
        self.blocks().saturating_add(self.nodes)
    }

    /// Whether every block from the first to the last is there and written: where that must be so, Linux reports an error for
    /// a hole (`ext4_bread`, `ext4_find_dest_de`).
    pub(crate) fn is_whole(&self) -> bool {
        self.blocks() == self.end && self.runs.iter().all(|run| run.written)
    }

    /// The block behind the last one that counts as written.
    fn written_end(&self) -> u64 {
        let last = self.runs.iter().rev().find(|run| run.written);
        last.map_or(0, |run| run.logical.saturating_add(run.len))
    }

    /// The block of the file system that holds a block of the contents.
    pub(crate) fn block(&self, logical: u64) -> Option<u64> {
        let after = self.runs.partition_point(|run| run.logical <= logical);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let within = logical.checked_sub(run.logical).filter(|within| *within < run.len)?;
        run.start.checked_add(within)
    }
}

/// A node of the tree: its bytes, and what its parent says of it.
struct Node<'a> {
    bytes: &'a [u8],
    max: u16,
    /// Its level above the leaves, and the first block below it; only of nodes that are not the root.
    expected: Option<(u16, u64)>,
}

/// Reads the extent tree of an inode and claims all blocks of tree and contents.
pub(crate) fn extents(cx: &mut InodeContext<'_>) -> Result<Mapped, Unreadable> {
    extents_into(cx, Mapped::default())
}

fn extents_into(cx: &mut InodeContext<'_>, mut mapped: Mapped) -> Result<Mapped, Unreadable> {
    let root = Node { bytes: cx.inode.map(), max: INODE_ENTRIES, expected: None };
    extent_node(cx, &root, &mut mapped)?;
    Ok(mapped)
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets in a structure of at most 4096 bytes, and entries of at most 65,535"
)]
fn extent_node(cx: &mut InodeContext<'_>, node: &Node<'_>, mapped: &mut Mapped) -> Result<(), Unreadable> {
    let bytes = node.bytes;
    if le16(bytes, 0) != MAGIC {
        let text = format!("an extent node begins with {:#06x} and not {MAGIC:#06x}", le16(bytes, 0));
        cx.problem(Code::ExtentMagic, text);
        return Ok(());
    }
    let (entries, max, depth) = (le16(bytes, 2), le16(bytes, 4), le16(bytes, 6));
    let is_empty_block = entries == 0 && (node.expected.is_some() || depth > 0);
    if max != node.max || entries > max || depth > DEEPEST || is_empty_block {
        let text = format!("an extent node has {entries} entries of {max} at depth {depth}");
        cx.problem(Code::ExtentHeader, text);
        return Ok(());
    }
    if let Some((level, _)) = node.expected
        && depth != level
    {
        let text = format!("an extent node says depth {depth} where it must be {level}");
        cx.problem(Code::ExtentDepth, text);
        return Ok(());
    }
    if let Some((_, first)) = node.expected
        && u64::from(le32(bytes, 12)) != first
    {
        let text =
            format!("an index names block {first}, but what is below it begins at {}", le32(bytes, 12));
        cx.problem(Code::ExtentIndex, text);
    }
    let used = 12 + 12 * usize::from(entries);
    let room = 12 + 12 * usize::from(node.max);
    if !is_zero(part(bytes, used, room - used)) || le32(bytes, 8) != 0 {
        cx.problem(Code::ExtentUnused, "an unused part of an extent node is not zero");
    }
    for entry in part(bytes, 12, used - 12).chunks_exact(12) {
        if depth == 0 {
            extent(cx, entry, mapped);
        } else {
            extent_index(cx, entry, depth - 1, mapped)?;
        }
    }
    Ok(())
}

#[expect(clippy::arithmetic_side_effects, reason = "numbers of at most 48 bits")]
fn extent(cx: &mut InodeContext<'_>, entry: &[u8], mapped: &mut Mapped) {
    let logical = u64::from(le32(entry, 0));
    let length = le16(entry, 4);
    let start = u64::from(le32(entry, 8)) | u64::from(le16(entry, 6)) << 32;
    let written = length <= LONGEST;
    let len = u64::from(if written { length } else { length - LONGEST });
    if len == 0 {
        cx.problem(Code::ExtentLength, format!("the extent of block {logical} has no length"));
        return;
    }
    if !written && !mapped.may_be_unwritten {
        cx.problem(
            Code::ExtentUnwritten,
            format!("block {logical} and {} more count as not written", len - 1),
        );
    }
    if logical < mapped.end || logical + len > 1 << 32 {
        let text = format!("an extent begins at block {logical}, but {} come before it", mapped.end);
        cx.problem(Code::ExtentOrder, text);
        return;
    }
    if let Some(last) = mapped.runs.last()
        && last.start + last.len == start
        && last.logical + last.len == logical
        && last.len < u64::from(LONGEST)
        && last.written == written
    {
        cx.problem(
            Code::ExtentSplit,
            format!("the extent of block {logical} goes on with the one before it"),
        );
    }
    mapped.end = logical + len;
    if cx.claim(start, len, "contents") {
        mapped.runs.push(Run { logical, start, len, written });
    }
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets in a structure of at most 4096 bytes, and entries of at most 65,535"
)]
fn extent_index(
    cx: &mut InodeContext<'_>,
    entry: &[u8],
    level: u16,
    mapped: &mut Mapped,
) -> Result<(), Unreadable> {
    let first = u64::from(le32(entry, 0));
    let block = u64::from(le32(entry, 4)) | u64::from(le16(entry, 8)) << 32;
    if le16(entry, 10) != 0 {
        cx.problem(Code::ExtentUnused, "an unused field of an extent index is not zero");
    }
    mapped.nodes = mapped.nodes.saturating_add(1);
    // A block that is in use already is not read: so no block is read twice, and no tree contains itself.
    if !cx.claim(block, 1, "extent tree") {
        return Ok(());
    }
    let bytes = cx.image.block(block)?;
    let at = 12 + 12 * usize::from(BLOCK_ENTRIES);
    let computed = cx.inode.seed.over(part(&bytes, 0, at)).value();
    if le32(&bytes, at) != computed {
        let text = format!(
            "checksum of extent block {block} is {:#010x}, should be {computed:#010x}",
            le32(&bytes, at)
        );
        cx.problem(Code::ExtentChecksum, text);
    }
    let node = Node { bytes: &bytes, max: BLOCK_ENTRIES, expected: Some((level, first)) };
    extent_node(cx, &node, mapped)
}

/// Checks the blocks of a file, its length, and the bytes behind its end in the last block. `slot` is the value of the attribute
/// that marks a slot.
pub(crate) fn file_contents(cx: &mut InodeContext<'_>, slot: Option<&[u8]>) -> Result<Mapped, Unreadable> {
    let inode = cx.inode;
    let mapped = extents_into(cx, Mapped { may_be_unwritten: slot.is_some(), ..Mapped::default() })?;
    if inode.size > LARGEST_FILE {
        let text = format!("has {} bytes, more than {LARGEST_FILE}", inode.size);
        cx.problem(Code::InodeSize, text);
    }
    let wanted = inode.size.div_ceil(BLOCK);
    let past_end = mapped.written_end() > wanted;
    match mapped.end.cmp(&wanted) {
        Ordering::Greater if past_end || slot.is_none() => {
            let text = format!("{} bytes end in block {wanted}, but there are {}", inode.size, mapped.end);
            // What is reserved with fallocate may lie behind the end, as long as it counts as not written.
            let code = if past_end { Code::ExtentPastEnd } else { Code::ExtentReserved };
            cx.problem(code, text);
        }
        // The rest is a hole.
        Ordering::Less => {}
        Ordering::Equal | Ordering::Greater => slack(cx, &mapped)?,
    }
    if let Some(value) = slot {
        slot_contents(cx, value, &mapped)?;
    }
    Ok(mapped)
}

/// Checks a slot: an extent or a few for all of its room, written up to the end of the contents, and zeros behind them.
fn slot_contents(cx: &mut InodeContext<'_>, value: &[u8], mapped: &Mapped) -> Result<(), Unreadable> {
    let size = cx.inode.size;
    let room = room(value).unwrap_or(0);
    let (blocks, wanted) = (room.div_ceil(BLOCK), size.div_ceil(BLOCK));
    let is_reserved = mapped.blocks() == blocks && mapped.end == blocks && mapped.nodes == 0;
    let is_written = mapped.runs.iter().all(|run| run.written == (run.logical < wanted));
    if room == 0 || size > room || !is_reserved || !is_written || mapped.written_end() != wanted {
        let shown = image_tree::escaped(value);
        let text = format!("is a slot of {shown} bytes, but has {size} bytes and {} blocks", mapped.blocks());
        cx.problem(Code::SlotShape, text);
        return Ok(());
    }
    for run in mapped.runs.iter().filter(|run| !run.written) {
        for block in run.start..run.start.saturating_add(run.len) {
            if !is_zero(&cx.image.block(block)?) {
                cx.problem(
                    Code::SlotNotZero,
                    format!("block {block}, behind the end of the slot, is not zero"),
                );
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The room of a slot in \[bytes\]: decimal digits, at most 64 MiB.
fn room(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    let room: u64 = digits.parse().ok().filter(|room| (1..=64 << 20).contains(room))?;
    (room.to_string() == digits).then_some(room)
}

/// Checks that the bytes behind the end of the contents in their last block are zero.
fn slack(cx: &mut InodeContext<'_>, mapped: &Mapped) -> Result<(), Unreadable> {
    let inode = cx.inode;
    let used = to_usize(inode.size % BLOCK);
    let last = inode.size.checked_sub(1).and_then(|at| mapped.block(at / BLOCK));
    if let (Some(block), true) = (last, used > 0) {
        let rest = cx.image.bytes(block, used, BLOCK_BYTES.saturating_sub(used))?;
        if !is_zero(&rest) {
            let at = rest.iter().position(|&byte| byte != 0).unwrap_or(0);
            let text = format!("byte {} behind the end of its last block {block} is not zero", to_u64(at));
            cx.problem(Code::SlackNotZero, text);
        }
    }
    Ok(())
}

/// Checks a symlink: short targets are in the inode, longer ones in a block. Gives the number of its blocks, and the target.
pub(crate) fn symlink(cx: &mut InodeContext<'_>) -> Result<(u64, Vec<u8>), Unreadable> {
    let inode = cx.inode;
    if inode.size == 0 || inode.size > LONGEST_LINK {
        cx.problem(Code::SymlinkTarget, format!("the target has {} bytes", inode.size));
    }
    let size = to_usize(inode.size);
    if !inode.has(FLAG_EXTENTS) {
        if inode.size >= FAST_LINK {
            let text = format!("a target of {} bytes can't be in the inode", inode.size);
            cx.problem(Code::InodeFlags, text);
        }
        end_of_target(cx, part(inode.map(), 0, size), byte(inode.map(), size));
        if !is_zero(part(inode.map(), size, 60)) {
            cx.problem(Code::SlackNotZero, "something is behind the target");
        }
        return Ok((0, part(inode.map(), 0, size).to_vec()));
    }
    if inode.size < FAST_LINK {
        let text = format!("a target of {} bytes has a block of its own", inode.size);
        cx.problem(Code::SymlinkPlace, text);
    }
    let mapped = extents(cx)?;
    let mut target = Vec::new();
    if mapped.end != 1 || !mapped.is_whole() {
        let text =
            format!("a target of {} bytes has {} blocks, or one that is not written", inode.size, mapped.end);
        cx.problem(Code::InodeSize, text);
    } else if let Some(block) = mapped.block(0) {
        let bytes = cx.image.block(block)?;
        target = part(&bytes, 0, size).to_vec();
        end_of_target(cx, &target, byte(&bytes, size));
        slack(cx, &mapped)?;
    }
    Ok((mapped.all_blocks(), target))
}

/// Checks a target and the byte behind it: Linux counts up to the first NUL and takes no other length than
/// `i_size` (`ext4_iget`); e2fsck does so for targets in a block too.
fn end_of_target(cx: &mut InodeContext<'_>, target: &[u8], behind: u8) {
    if target.contains(&0) || behind != 0 {
        cx.problem(Code::SymlinkTarget, "the target does not end with the first NUL");
    }
}

/// Checks a device, FIFO or socket: it has only the number of the device, in the old form where that can hold it.
pub(crate) fn special(cx: &mut InodeContext<'_>, is_device: bool) {
    let inode = cx.inode;
    let map = inode.map();
    let (old, new) = (le32(map, 0), le32(map, 4));
    let right = match (is_device, old, new) {
        (true, old, 0) => old <= 0xffff,
        // Major in bits 8 to 19, minor in 0 to 7 and 20 to 31; only numbers that the old form can't hold.
        (true, 0, new) => new >> 8 & 0xfff > 0xff || new >> 20 > 0,
        (_, old, new) => old == 0 && new == 0,
    };
    if !right || !is_zero(part(map, 8, 52)) || (!is_device && byte(map, 0) != 0) {
        let text = format!("device number is {old:#x} or {new:#x}, with {:?} behind it", part(map, 8, 4));
        cx.problem(Code::DeviceNumber, text);
    }
    if inode.size != 0 {
        cx.problem(Code::InodeSize, format!("has {} bytes", inode.size));
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;
