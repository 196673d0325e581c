//! Blocks of directories: their entries, their checksums, and that no name is there twice. Kernel documentation,
//! "Directory Entries".

use crate::codes::Code;
use crate::context::InodeContext;
use crate::htree::Index;
use crate::numbers::{byte, is_zero, le16, le32, part};

/// The first inode that is not reserved, which lost+found has.
pub(crate) const LOST_FOUND: u32 = 11;

/// An entry that leads somewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'b> {
    pub(crate) inode: u32,
    /// The number of its type.
    pub(crate) kind: u8,
    length: usize,
    pub(crate) name: &'b [u8],
}

/// Names of a directory, one behind the other.
#[derive(Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    pub(crate) fn add(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    /// Reports the names that are there more than once.
    pub(crate) fn check_repeated(&self, cx: &mut InodeContext<'_>) {
        let starts = std::iter::once(&0).chain(&self.ends);
        let mut all: Vec<_> = starts
            .zip(&self.ends)
            .map(|(&from, &to)| part(&self.bytes, from, to.saturating_sub(from)))
            .collect();
        all.sort_unstable();
        for pair in all.windows(2).filter(|pair| pair[0] == pair[1]) {
            let text = format!("has two entries of the name {}", image_tree::escaped(pair[0]));
            cx.problem(Code::EntryDuplicate, text);
        }
    }
}

/// Checks a block of entries, and gives those that lead somewhere. `parent` is the inode of the directory that holds this one.
pub(crate) fn read_block<'b>(
    cx: &mut InodeContext<'_>,
    parent: u32,
    index: Option<&Index>,
    logical: u64,
    bytes: &'b [u8],
) -> Vec<Entry<'b>> {
    if !cx.image.geometry().is_legacy {
        tail(cx, logical, bytes);
    }
    let mut entries = read_entries(cx, logical, bytes);
    if logical == 0 {
        dots(cx, parent, &entries, bytes);
    }
    if let Some(index) = index {
        hashes(cx, logical, index, entries.iter().map(|entry| entry.name));
    }
    if logical == 0 {
        entries.drain(..entries.len().min(2));
    }
    entries
}

/// Checks the checksum of a block, and the unused entry that makes room for it.
fn tail(cx: &mut InodeContext<'_>, logical: u64, bytes: &[u8]) {
    let end = cx.image.geometry().entry_bytes();
    let tail = part(bytes, end, 12);
    if le32(tail, 0) != 0 || le16(tail, 4) != 12 || byte(tail, 6) != 0 || byte(tail, 7) != 0xde {
        let text = format!("block {logical} does not end with a place for a checksum");
        cx.problem(Code::DirectoryTail, text);
    }
    let computed = cx.inode.seed.over(part(bytes, 0, end)).value();
    if le32(tail, 8) != computed {
        let text =
            format!("checksum of block {logical} is {:#010x}, should be {computed:#010x}", le32(tail, 8));
        cx.problem(Code::DirectoryChecksum, text);
    }
}

/// The entries of a block, as far as their lengths lead.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets in a structure of at most 4096 bytes, and entries of at most 65,535"
)]
fn read_entries<'b>(cx: &mut InodeContext<'_>, logical: u64, bytes: &'b [u8]) -> Vec<Entry<'b>> {
    let end = cx.image.geometry().entry_bytes();
    let mut entries = Vec::new();
    let mut at = 0;
    while at < end {
        let raw = part(bytes, at, 8);
        let (length, name_len) = (usize::from(le16(raw, 4)), usize::from(byte(raw, 6)));
        let is_used = le32(raw, 0) != 0;
        let needed = if is_used { (8 + name_len).next_multiple_of(4) } else { 8 };
        if length < needed || !length.is_multiple_of(4) || at + length > end {
            let text = format!(
                "the entry at byte {at} of block {logical} is {length} bytes long, with a name of {name_len}"
            );
            cx.problem(Code::EntryLength, text);
            break;
        }
        if is_used {
            let name = part(bytes, at + 8, name_len);
            entries.push(Entry { inode: le32(raw, 0), kind: byte(raw, 7), length, name });
        } else if length != end {
            cx.problem(Code::EntryUnused, format!("the entry at byte {at} of block {logical} is unused"));
        }
        let behind = if is_used { at + 8 + name_len } else { at + 8 };
        if !is_zero(part(bytes, behind, at + length - behind)) {
            let text = format!("something is behind the entry at byte {at} of block {logical}");
            cx.problem(Code::EntryPadding, text);
        }
        at += length;
    }
    entries
}

/// Checks the first two entries of a directory.
fn dots(cx: &mut InodeContext<'_>, parent: u32, entries: &[Entry<'_>], bytes: &[u8]) {
    let number = cx.inode.number;
    let dot = entries.first();
    let right = dot.is_some_and(|e| e.name == b"." && e.inode == number && e.length == 12 && e.kind == 2);
    let dotdot = entries.get(1);
    if !right || !dotdot.is_some_and(|e| e.name == b".." && e.kind == 2) {
        cx.problem(Code::DirectoryDots, "does not begin with . and ..");
    }
    if let Some(dotdot) = dotdot
        && dotdot.inode != parent
    {
        let text = format!("its .. is inode {}, should be {parent}", dotdot.inode);
        cx.problem(Code::DirectoryParent, text);
    }
    // e2fsck reads the dots as strings.
    for (behind, name) in [(9, "."), (22, "..")] {
        if byte(bytes, behind) != 0 {
            let text = format!("the name {name} is not followed by a NUL");
            cx.problem(Code::DirectoryDots, text);
        }
    }
}

/// Whether the name and the inode of an entry are possible; everything else is checked with the inode.
pub(crate) fn is_possible(cx: &mut InodeContext<'_>, entry: &Entry<'_>, last_inode: u32) -> bool {
    let name = entry.name;
    if name.is_empty() || name == b"." || name == b".." || name.iter().any(|&byte| byte == b'/' || byte == 0)
    {
        let text = format!("has an entry of the name \"{}\"", image_tree::escaped(name));
        cx.problem(Code::EntryName, text);
        return false;
    }
    if entry.inode < LOST_FOUND || entry.inode > last_inode {
        let text = format!("its entry {} leads to inode {}", image_tree::escaped(name), entry.inode);
        cx.problem(Code::EntryInode, text);
        return false;
    }
    true
}

/// Checks that names are in a block where their hashes belong.
fn hashes<'b>(cx: &mut InodeContext<'_>, logical: u64, index: &Index, names: impl Iterator<Item = &'b [u8]>) {
    let Some(bounds) = index.leaf(logical) else {
        let text = format!("its index does not lead to block {logical}");
        cx.problem(Code::HtreeUnreached, text);
        return;
    };
    for name in names {
        let hash = index.hash(name);
        if !bounds.contains(hash) {
            let text = format!(
                "{} with hash {hash:#010x} is in block {logical}, which is for {bounds}",
                image_tree::escaped(name)
            );
            cx.problem(Code::HtreeRange, text);
        }
    }
}

#[cfg(test)]
mod tests;
