//! The index of a directory by the hashes of its names. Kernel documentation, "Hash Tree Directories".

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::codes::Code;
use crate::context::InodeContext;
use crate::dirhash::{Hash, Hasher};
use crate::extents::Mapped;
use crate::numbers::{byte, is_zero, le16, le32, part};
use crate::source::Unreadable;

/// The offset of the first entry, and the most entries: in the root of an index, and in its other blocks. Without a checksum
/// there is room for one more.
const ROOT: (usize, u16) = (0x20, 507);
const NODE: (usize, u16) = (8, 510);

/// Which hashes belong in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    from: u32,
    /// The first hash of the next block. Hashes are even; with its lowest bit set, names of that hash may be in this block
    /// too.
    until: Option<u32>,
}

impl Bounds {
    pub(crate) fn contains(self, hash: u32) -> bool {
        // A set bit makes `next` one more than the hash that continues.
        hash >= self.from & !1 && self.until.is_none_or(|next| hash < next)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "{:#010x} to {:#010x}", self.from, until),
            None => write!(f, "{:#010x} and more", self.from),
        }
    }
}

/// What an index says: which blocks are its own, and which hashes the others are for.
#[derive(Debug)]
pub(crate) struct Index {
    hasher: Hasher,
    nodes: HashSet<u64>,
    leaves: HashMap<u64, Bounds>,
    /// The leaves with their first hashes, in the order of the index.
    order: Vec<(u64, u32)>,
}

impl Index {
    pub(crate) fn is_node(&self, logical: u64) -> bool {
        self.nodes.contains(&logical)
    }

    pub(crate) fn leaf(&self, logical: u64) -> Option<Bounds> {
        self.leaves.get(&logical).copied()
    }

    pub(crate) fn hash(&self, name: &[u8]) -> u32 {
        self.hasher.hash(name)
    }
}

/// One block of an index: its entries as (first hash, block).
struct Table {
    entries: Vec<(u32, u64)>,
}

/// Reads the index of a directory, with the dots in its root. `parent` is the inode of the directory that holds it.
pub(crate) fn index(cx: &mut InodeContext<'_>, parent: u32, mapped: &Mapped) -> Result<Index, Unreadable> {
    let sb = &cx.image.sb;
    let hasher = Hasher::new(Hash::HalfMd4, sb.signed_hash, sb.hash_seed);
    let mut index = Index { hasher, nodes: HashSet::new(), leaves: HashMap::new(), order: Vec::new() };
    // Blocks that the index does not list are read as entries.
    let Some(block) = mapped.block(0) else { return Ok(index) };
    let root = cx.image.block(block)?;
    index.nodes.insert(0);
    root_dots(cx, parent, &root);
    let (version, levels) = (byte(&root, 0x1c), byte(&root, 0x1e));
    if le32(&root, 0x18) != 0 || byte(&root, 0x1d) != 8 || levels > 1 || byte(&root, 0x1f) != 0 {
        let text = format!("header of its index is {:02x?}", part(&root, 0x18, 8));
        cx.problem(Code::HtreeHeader, text);
        if byte(&root, 0x1d) != 8 || levels > 1 {
            return Ok(index);
        }
    }
    if version != 1 {
        cx.problem(Code::HtreeHash, format!("its index uses hash {version}, should be 1"));
    }
    match Hash::of_number(version) {
        Some(hash) => index.hasher = Hasher::new(hash, sb.signed_hash, sb.hash_seed),
        None => return Ok(index),
    }
    let Some(top) = read_table(cx, 0, &root, ROOT) else { return Ok(index) };
    if levels == 0 {
        add_leaves(cx, mapped, &top, None, &mut index);
    } else {
        read_nodes(cx, mapped, &top, &mut index)?;
    }
    continued(cx, mapped, &index)?;
    Ok(index)
}

fn read_nodes(
    cx: &mut InodeContext<'_>,
    mapped: &Mapped,
    top: &Table,
    index: &mut Index,
) -> Result<(), Unreadable> {
    let nexts = top.entries.iter().skip(1).map(|entry| Some(entry.0)).chain([None]);
    for (&(first, logical), next) in top.entries.iter().zip(nexts) {
        let block = mapped.block(logical).filter(|_| index.nodes.insert(logical));
        let Some(block) = block else {
            cx.problem(Code::HtreeBlock, format!("its index leads to block {logical}"));
            continue;
        };
        let bytes = cx.image.block(block)?;
        if le32(&bytes, 0) != 0 || le16(&bytes, 4) != 4096 || le16(&bytes, 6) != 0 {
            let text = format!("block {logical} of its index does not begin with an empty entry");
            cx.problem(Code::HtreeNode, text);
        }
        let Some(mut table) = read_table(cx, logical, &bytes, NODE) else { continue };
        // The first entry of a block has no hash of its own: its parent has it.
        if let Some(entry) = table.entries.first_mut() {
            entry.0 = first;
        }
        if table.entries.get(1).is_some_and(|entry| entry.0 < first) {
            let text = format!("block {logical} of its index begins before {first:#010x}");
            cx.problem(Code::HtreeOrder, text);
        }
        add_leaves(cx, mapped, &table, next, index);
    }
    Ok(())
}

fn add_leaves(
    cx: &mut InodeContext<'_>,
    mapped: &Mapped,
    table: &Table,
    end: Option<u32>,
    index: &mut Index,
) {
    let nexts = table.entries.iter().skip(1).map(|entry| Some(entry.0)).chain([end]);
    for (&(from, logical), until) in table.entries.iter().zip(nexts) {
        let is_free = mapped.block(logical).is_some()
            && !index.nodes.contains(&logical)
            && !index.leaves.contains_key(&logical);
        if is_free {
            index.leaves.insert(logical, Bounds { from, until });
            index.order.push((logical, from));
        } else {
            let text = format!("its index leads to block {logical}");
            cx.problem(Code::HtreeBlock, text);
        }
    }
}

/// Reads a block of an index; checks its room, the number and order of its entries, and the checksum.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets in a structure of at most 4096 bytes, and entries of at most 65,535"
)]
fn read_table(cx: &mut InodeContext<'_>, logical: u64, bytes: &[u8], form: (usize, u16)) -> Option<Table> {
    let (at, with_checksum) = form;
    let room = with_checksum + u16::from(cx.image.geometry().is_legacy);
    let (limit, count) = (le16(bytes, at), le16(bytes, at + 2));
    if limit != room {
        let text = format!("block {logical} of its index says room for {limit} entries, should be {room}");
        cx.problem(Code::HtreeLimit, text);
    }
    if count == 0 || count > room {
        let text = format!("block {logical} of its index has {count} of {room} entries");
        cx.problem(Code::HtreeCount, text);
        return None;
    }
    let used = at + 8 * usize::from(count);
    let tail = at + 8 * usize::from(room);
    let computed = cx.inode.seed.over(part(bytes, 0, used)).over(part(bytes, tail, 4)).over(&[0; 4]).value();
    let found = le32(bytes, tail + 4);
    if found != computed {
        let text = format!("checksum of block {logical} is {found:#010x}, should be {computed:#010x}");
        cx.problem(Code::HtreeChecksum, text);
    }
    if !is_zero(part(bytes, used, tail + 4 - used)) {
        cx.problem(
            Code::HtreePadding,
            format!("block {logical} of its index is not zero behind its entries"),
        );
    }
    let raw = part(bytes, at, used - at).chunks_exact(8);
    let mut entries: Vec<_> = raw.map(|raw| (le32(raw, 0), u64::from(le32(raw, 4)))).collect();
    if let Some(first) = entries.first_mut() {
        first.0 = 0;
    }
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 > pair[1].0) {
        let text = format!("block {logical} of its index has {:#010x} before {:#010x}", pair[0].0, pair[1].0);
        cx.problem(Code::HtreeOrder, text);
    }
    Some(Table { entries })
}

/// Checks the entries `.` and `..` at the start of the root of an index; together they are as long as the block.
fn root_dots(cx: &mut InodeContext<'_>, parent: u32, root: &[u8]) {
    let dot = le32(root, 0) == cx.inode.number && part(root, 4, 8) == [12, 0, 1, 2, b'.', 0, 0, 0];
    let dotdot = part(root, 16, 8) == [0xf4, 0x0f, 2, 2, b'.', b'.', 0, 0];
    if !dot || !dotdot {
        cx.problem(Code::DirectoryDots, "does not begin with . and ..");
    }
    if le32(root, 12) != parent {
        let text = format!("its .. is inode {}, should be {parent}", le32(root, 12));
        cx.problem(Code::DirectoryParent, text);
    }
}

/// Checks that the block before has names of a hash that is marked as continued.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets in a structure of at most 4096 bytes, and entries of at most 65,535"
)]
fn continued(cx: &mut InodeContext<'_>, mapped: &Mapped, index: &Index) -> Result<(), Unreadable> {
    for pair in index.order.windows(2) {
        let ((before, _), (logical, from)) = (pair[0], pair[1]);
        let Some(block) = mapped.block(before).filter(|_| from & 1 == 1) else { continue };
        let bytes = cx.image.block(block)?;
        let mut at = 0;
        let mut continues = false;
        // Past the end of the block, lengths count as 0.
        while le16(&bytes, at + 4) >= 8 {
            let name = part(&bytes, at + 8, usize::from(byte(&bytes, at + 6)));
            continues |= le32(&bytes, at) != 0 && index.hash(name) == from & !1;
            at += usize::from(le16(&bytes, at + 4));
        }
        if !continues {
            let text = format!(
                "block {logical} says that it continues {:#010x}, which block {before} does not have",
                from & !1
            );
            cx.problem(Code::HtreeContinued, text);
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;
