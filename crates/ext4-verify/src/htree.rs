//! The index of a directory by the hashes of its names. Kernel documentation, "Hash Tree Directories".

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::checker::Checker;
use crate::codes::Code;
use crate::dirhash::{Hash, Hasher};
use crate::extents::Mapped;
use crate::inode::Inode;
use crate::numbers::{byte, is_zero, le16, le32, part};
use crate::source::Unreadable;

/// Where entries begin in the root of an index and in its other blocks, and how many there is room for.
const ROOT: (usize, u16) = (0x20, 507);
const NODE: (usize, u16) = (8, 510);

/// Which hashes belong in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    from: u32,
    /// The next block's first hash, its lowest bit telling that names of that hash may be in this block too.
    until: Option<u32>,
}

impl Bounds {
    pub(crate) fn contains(self, hash: u32) -> bool {
        let before = |next: u32| if next & 1 == 1 { hash <= next & !1 } else { hash < next };
        hash >= self.from & !1 && self.until.is_none_or(before)
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
    /// The leaves in the order of the index, for what continues from one to the next.
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

impl Checker<'_> {
    /// Reads the index of a directory, the dots of its root included.
    pub(crate) fn index(
        &mut self,
        directory: usize,
        inode: &Inode,
        mapped: &Mapped,
    ) -> Result<Index, Unreadable> {
        let hasher = Hasher::new(Hash::HalfMd4, self.sb.signed_hash, self.sb.hash_seed);
        let mut index = Index { hasher, nodes: HashSet::new(), leaves: HashMap::new(), order: Vec::new() };
        // What can't be read as an index, or is none, is read as entries.
        let Some(block) = mapped.block(0) else { return Ok(index) };
        let root = self.block(block)?;
        index.nodes.insert(0);
        self.root_dots(directory, inode, &root);
        let (version, levels) = (byte(&root, 0x1c), byte(&root, 0x1e));
        if le32(&root, 0x18) != 0 || byte(&root, 0x1d) != 8 || levels > 1 || byte(&root, 0x1f) != 0 {
            let text = format!("header of its index is {:02x?}", part(&root, 0x18, 8));
            self.at_inode(Code::HtreeHeader, inode.number, text);
            if byte(&root, 0x1d) != 8 || levels > 1 {
                return Ok(index);
            }
        }
        if version != 1 {
            self.at_inode(
                Code::HtreeHash,
                inode.number,
                format!("its index uses hash {version}, should be 1"),
            );
        }
        match Hash::of_number(version) {
            Some(hash) => index.hasher = Hasher::new(hash, self.sb.signed_hash, self.sb.hash_seed),
            None => return Ok(index),
        }
        let Some(top) = self.table(inode, 0, &root, ROOT) else { return Ok(index) };
        if levels == 0 {
            self.add_leaves(inode, mapped, &top, None, &mut index);
        } else {
            self.nodes(inode, mapped, &top, &mut index)?;
        }
        self.continued(inode, mapped, &index)?;
        Ok(index)
    }

    fn nodes(
        &mut self,
        inode: &Inode,
        mapped: &Mapped,
        top: &Table,
        index: &mut Index,
    ) -> Result<(), Unreadable> {
        let nexts = top.entries.iter().skip(1).map(|entry| Some(entry.0)).chain([None]);
        for (&(first, logical), next) in top.entries.iter().zip(nexts) {
            let block = mapped.block(logical).filter(|_| index.nodes.insert(logical));
            let Some(block) = block else {
                self.at_inode(Code::HtreeBlock, inode.number, format!("its index leads to block {logical}"));
                continue;
            };
            let bytes = self.block(block)?;
            if le32(&bytes, 0) != 0 || le16(&bytes, 4) != 4096 || le16(&bytes, 6) != 0 {
                let text = format!("block {logical} of its index does not begin with an empty entry");
                self.at_inode(Code::HtreeNode, inode.number, text);
            }
            let Some(mut table) = self.table(inode, logical, &bytes, NODE) else { continue };
            // The first entry of a block has no hash of its own: it is that by which the block was found.
            if let Some(entry) = table.entries.first_mut() {
                entry.0 = first;
            }
            if table.entries.get(1).is_some_and(|entry| entry.0 < first) {
                let text = format!("block {logical} of its index begins before {first:#010x}");
                self.at_inode(Code::HtreeOrder, inode.number, text);
            }
            self.add_leaves(inode, mapped, &table, next, index);
        }
        Ok(())
    }

    fn add_leaves(
        &mut self,
        inode: &Inode,
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
                self.at_inode(Code::HtreeBlock, inode.number, text);
            }
        }
    }

    /// One block of an index: room, number of entries, their order, and the checksum behind the room.
    fn table(&mut self, inode: &Inode, logical: u64, bytes: &[u8], form: (usize, u16)) -> Option<Table> {
        let (at, room) = form;
        let number = inode.number;
        let (limit, count) = (le16(bytes, at), le16(bytes, at + 2));
        if limit != room {
            let text =
                format!("block {logical} of its index says room for {limit} entries, should be {room}");
            self.at_inode(Code::HtreeLimit, number, text);
        }
        if count == 0 || count > room {
            let text = format!("block {logical} of its index has {count} of {room} entries");
            self.at_inode(Code::HtreeCount, number, text);
            return None;
        }
        let used = at + 8 * usize::from(count);
        let tail = at + 8 * usize::from(room);
        let computed = inode.seed.over(part(bytes, 0, used)).over(part(bytes, tail, 4)).over(&[0; 4]).0;
        if le32(bytes, tail + 4) != computed {
            let found = le32(bytes, tail + 4);
            let text = format!("checksum of block {logical} is {found:#010x}, should be {computed:#010x}");
            self.at_inode(Code::HtreeChecksum, number, text);
        }
        if !is_zero(part(bytes, used, tail + 4 - used)) {
            self.at_inode(
                Code::HtreePadding,
                number,
                format!("block {logical} of its index is not zero behind its entries"),
            );
        }
        let raw = part(bytes, at, used - at).chunks_exact(8);
        let mut entries: Vec<_> = raw.map(|raw| (le32(raw, 0), u64::from(le32(raw, 4)))).collect();
        if let Some(first) = entries.first_mut() {
            first.0 = 0;
        }
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 > pair[1].0) {
            let text =
                format!("block {logical} of its index has {:#010x} before {:#010x}", pair[0].0, pair[1].0);
            self.at_inode(Code::HtreeOrder, number, text);
        }
        Some(Table { entries })
    }

    /// The two entries with which the root of an index begins, as long together as the block.
    fn root_dots(&mut self, directory: usize, inode: &Inode, root: &[u8]) {
        let parent = self.parent_inode(directory);
        let dot = le32(root, 0) == inode.number && part(root, 4, 8) == [12, 0, 1, 2, b'.', 0, 0, 0];
        let dotdot = part(root, 16, 8) == [0xf4, 0x0f, 2, 2, b'.', b'.', 0, 0];
        if !dot || !dotdot {
            self.at_inode(Code::DirectoryDots, inode.number, "does not begin with . and ..");
        }
        if le32(root, 12) != parent {
            let text = format!("its .. is inode {}, should be {parent}", le32(root, 12));
            self.at_inode(Code::DirectoryParent, inode.number, text);
        }
    }

    /// Whether a hash that is said to continue from the block before does.
    fn continued(&mut self, inode: &Inode, mapped: &Mapped, index: &Index) -> Result<(), Unreadable> {
        for pair in index.order.windows(2) {
            let ((before, _), (logical, from)) = (pair[0], pair[1]);
            let Some(block) = mapped.block(before).filter(|_| from & 1 == 1) else { continue };
            let bytes = self.block(block)?;
            let mut at = 0;
            let mut continues = false;
            while at < crate::directory::ENTRY_BYTES && le16(&bytes, at + 4) >= 8 {
                let name = part(&bytes, at + 8, usize::from(byte(&bytes, at + 6)));
                continues |= le32(&bytes, at) != 0 && index.hash(name) == from & !1;
                at += usize::from(le16(&bytes, at + 4));
            }
            if !continues {
                let text = format!(
                    "block {logical} says that it continues {:#010x}, which block {before} does not have",
                    from & !1
                );
                self.at_inode(Code::HtreeContinued, inode.number, text);
            }
        }
        Ok(())
    }
}
