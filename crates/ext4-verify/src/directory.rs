//! Blocks of directories: their entries, their checksums, and that no name is there twice. Kernel documentation,
//! "Directory Entries".

use crate::checker::Checker;
use crate::codes::Code;
use crate::extents::Mapped;
use crate::geometry::BLOCK_BYTES;
use crate::htree::Index;
use crate::inode::{FLAG_INDEX, Inode};
use crate::numbers::{byte, is_zero, le16, le32, part};
use crate::source::Unreadable;

/// What a block has for entries: all but the twelve bytes of its checksum.
pub(crate) const ENTRY_BYTES: usize = BLOCK_BYTES - 12;
const LOST_FOUND: u32 = 11;

/// An entry that leads somewhere.
#[derive(Clone, Copy, Debug)]
struct Entry<'b> {
    inode: u32,
    kind: u8,
    length: usize,
    name: &'b [u8],
}

/// Names of a directory, one behind the other.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn add(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    /// The names that are there more than once.
    fn repeated(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let mut all: Vec<_> =
            starts.zip(&self.ends).map(|(&from, &to)| part(&self.bytes, from, to - from)).collect();
        all.sort_unstable();
        all.windows(2).filter_map(|pair| if pair[0] == pair[1] { Some(pair[0]) } else { None }).collect()
    }
}

impl Checker<'_> {
    /// Reads all blocks of a directory and follows their entries; gives the number of directories among them.
    pub(crate) fn directory_blocks(
        &mut self,
        directory: usize,
        inode: &Inode,
        mapped: &Mapped,
    ) -> Result<u64, Unreadable> {
        let index = if inode.has(FLAG_INDEX) { Some(self.index(directory, inode, mapped)?) } else { None };
        if index.is_none() && mapped.end > 1 && inode.number != LOST_FOUND {
            self.at_inode(
                Code::DirectoryLinear,
                inode.number,
                format!("has {} blocks without an index", mapped.end),
            );
        }
        let mut names = Names::default();
        let mut subdirectories = 0;
        for run in &mapped.runs {
            for (logical, block) in (run.logical..run.logical + run.len).zip(run.start..) {
                if index.as_ref().is_some_and(|index| index.is_node(logical)) {
                    continue;
                }
                let bytes = self.block(block)?;
                self.be_at(directory);
                self.tail(inode, logical, &bytes);
                let first = logical == 0;
                let entries = self.entries(directory, inode, logical, &bytes);
                if let Some(index) = &index {
                    self.hashes(inode, logical, index, entries.iter().map(|entry| entry.name));
                }
                for entry in entries.iter().skip(if first { 2 } else { 0 }) {
                    if self.is_possible(directory, inode, entry) {
                        names.add(entry.name);
                        subdirectories +=
                            u64::from(self.entry(directory, entry.inode, entry.kind, entry.name)?);
                    }
                }
            }
        }
        self.be_at(directory);
        for name in names.repeated() {
            let text = format!("has two entries of the name {}", image_tree::escaped(name));
            self.at_inode(Code::EntryDuplicate, inode.number, text);
        }
        Ok(subdirectories)
    }

    /// The checksum of a block of entries, and the false entry that makes room for it.
    fn tail(&mut self, inode: &Inode, logical: u64, bytes: &[u8]) {
        let tail = part(bytes, ENTRY_BYTES, 12);
        if le32(tail, 0) != 0 || le16(tail, 4) != 12 || byte(tail, 6) != 0 || byte(tail, 7) != 0xde {
            let text = format!("block {logical} does not end with a place for a checksum");
            self.at_inode(Code::DirectoryTail, inode.number, text);
        }
        let computed = inode.seed.over(part(bytes, 0, ENTRY_BYTES)).0;
        if le32(tail, 8) != computed {
            let text =
                format!("checksum of block {logical} is {:#010x}, should be {computed:#010x}", le32(tail, 8));
            self.at_inode(Code::DirectoryChecksum, inode.number, text);
        }
    }

    /// The entries of a block, as far as their lengths lead.
    fn entries<'b>(
        &mut self,
        directory: usize,
        inode: &Inode,
        logical: u64,
        bytes: &'b [u8],
    ) -> Vec<Entry<'b>> {
        let number = inode.number;
        let mut entries = Vec::new();
        let mut at = 0;
        while at < ENTRY_BYTES {
            let raw = part(bytes, at, 8);
            let (length, name_len) = (usize::from(le16(raw, 4)), usize::from(byte(raw, 6)));
            let is_used = le32(raw, 0) != 0;
            let needed = if is_used { (8 + name_len).next_multiple_of(4) } else { 8 };
            if length < needed || !length.is_multiple_of(4) || at + length > ENTRY_BYTES {
                let text = format!(
                    "the entry at byte {at} of block {logical} is {length} bytes long, with a name of {name_len}"
                );
                self.at_inode(Code::EntryLength, number, text);
                break;
            }
            if is_used {
                let name = part(bytes, at + 8, name_len);
                entries.push(Entry { inode: le32(raw, 0), kind: byte(raw, 7), length, name });
            } else if at > 0 || length != ENTRY_BYTES {
                self.at_inode(
                    Code::EntryUnused,
                    number,
                    format!("the entry at byte {at} of block {logical} is unused"),
                );
            }
            let behind = if is_used { at + 8 + name_len } else { at + 8 };
            if !is_zero(part(bytes, behind, at + length - behind)) {
                let text = format!("something stands behind the entry at byte {at} of block {logical}");
                self.at_inode(Code::EntryPadding, number, text);
            }
            at += length;
        }
        if logical == 0 {
            self.dots(directory, inode, &entries);
            // e2fsck takes the dots as strings.
            for (behind, name) in [(9, "."), (22, "..")] {
                if byte(bytes, behind) != 0 {
                    let text = format!("the name {name} is not followed by a NUL");
                    self.at_inode(Code::DirectoryDots, number, text);
                }
            }
        }
        entries
    }

    /// The first two entries.
    fn dots(&mut self, directory: usize, inode: &Inode, entries: &[Entry<'_>]) {
        let dot = entries.first();
        let right =
            dot.is_some_and(|e| e.name == b"." && e.inode == inode.number && e.length == 12 && e.kind == 2);
        let dotdot = entries.get(1);
        if !right || !dotdot.is_some_and(|e| e.name == b".." && e.kind == 2) {
            self.at_inode(Code::DirectoryDots, inode.number, "does not begin with . and ..");
        }
        let parent = self.parent_inode(directory);
        if let Some(dotdot) = dotdot
            && dotdot.inode != parent
        {
            let text = format!("its .. is inode {}, should be {parent}", dotdot.inode);
            self.at_inode(Code::DirectoryParent, inode.number, text);
        }
    }

    /// Whether an entry's name and inode can be; all else is for the inode to tell.
    fn is_possible(&mut self, directory: usize, inode: &Inode, entry: &Entry<'_>) -> bool {
        let name = entry.name;
        if name.is_empty()
            || name == b"."
            || name == b".."
            || name.iter().any(|&byte| byte == b'/' || byte == 0)
        {
            self.be_at(directory);
            let text = format!("has an entry of the name \"{}\"", image_tree::escaped(name));
            self.at_inode(Code::EntryName, inode.number, text);
            return false;
        }
        if entry.inode < LOST_FOUND || entry.inode > self.last_inode() {
            self.be_at(directory);
            let text = format!("its entry {} leads to inode {}", image_tree::escaped(name), entry.inode);
            self.at_inode(Code::EntryInode, inode.number, text);
            return false;
        }
        true
    }

    /// Whether names are in a block where their hashes belong.
    fn hashes<'b>(
        &mut self,
        inode: &Inode,
        logical: u64,
        index: &Index,
        names: impl Iterator<Item = &'b [u8]>,
    ) {
        let Some(bounds) = index.leaf(logical) else {
            let text = format!("its index does not lead to block {logical}");
            self.at_inode(Code::HtreeUnreached, inode.number, text);
            return;
        };
        for name in names {
            let hash = index.hash(name);
            if !bounds.contains(hash) {
                let text = format!(
                    "{} with hash {hash:#010x} is in block {logical}, which is for {bounds}",
                    image_tree::escaped(name)
                );
                self.at_inode(Code::HtreeRange, inode.number, text);
            }
        }
    }

    /// Makes a directory the one that problems are told of.
    pub(crate) fn be_at(&mut self, directory: usize) {
        if let Some(entry) = self.directories.get(directory) {
            self.here.0 = entry.inode;
            self.here.1 = entry.parent;
            self.here.2.clear();
            self.here.2.extend_from_slice(&entry.name);
        }
    }
}
