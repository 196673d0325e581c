//! Directories: one block of entries, or several with an htree index.
//!
//! A directory's shape depends only on names, so its blocks are counted first and generated later. Both use
//! [`Directories::pack`], so they can't differ.

use ext4_ondisk::directory::{HEADER_SIZE, MIN_ENTRY_SIZE, TAIL_SIZE, entry_size, file_type};
use ext4_ondisk::dirhash::{DirHash, HashSeed};
use ext4_ondisk::htree::{
    self, HtreeCount, HtreeEntry, HtreeInfo, INFO_OFFSET, NODE_ENTRIES_OFFSET, NODE_LIMIT,
    NODE_LIMIT_WITHOUT_CHECKSUM, ROOT_ENTRIES_OFFSET, ROOT_LIMIT, ROOT_LIMIT_WITHOUT_CHECKSUM,
};
use ext4_ondisk::superblock::HASH_HALF_MD4;
use ext4_ondisk::{Checksum, DirectoryEntry, DirectoryTail};
use image_tree::{FileTree, NodeId, NodeKind, SpecialKind};
use zerocopy::IntoBytes;

use crate::LayoutError;
use crate::numbering::Numbering;
use crate::units::{BLOCK_BYTES, InodeNr, narrow, wide};

/// Entries for `.` and `..`.
const DOTS_BYTES: usize = 2 * MIN_ENTRY_SIZE;
/// Blocks of lost+found. Like mke2fs, so that e2fsck need not allocate any.
const LOST_FOUND_BLOCKS: u32 = 4;

/// The shape of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One block of entries, followed by this number of empty ones.
    Linear { empty: u32 },
    /// The root of the index, then this number of other index blocks, then this number of leaf blocks.
    Indexed { nodes: u32, leaves: u32 },
}

impl Shape {
    /// Length in \[blocks\].
    pub(crate) fn blocks(self) -> u64 {
        match self {
            Self::Linear { empty } => 1 + u64::from(empty),
            Self::Indexed { nodes, leaves } => 1 + u64::from(nodes) + u64::from(leaves),
        }
    }

    pub(crate) fn is_indexed(self) -> bool {
        matches!(self, Self::Indexed { .. })
    }
}

/// The data of a directory's entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directories<'t> {
    pub(crate) tree: &'t FileTree,
    pub(crate) seed: HashSeed,
    /// Whether blocks end with a checksum.
    pub(crate) has_checksums: bool,
}

/// Space for entries in a block in \[bytes\]: all except its checksum.
fn entry_bytes(has_checksums: bool) -> usize {
    if has_checksums { BLOCK_BYTES - TAIL_SIZE } else { BLOCK_BYTES }
}

/// Maximum number of entries in the root of an index, and in its other blocks.
fn limits(has_checksums: bool) -> (u16, u16) {
    if has_checksums {
        (ROOT_LIMIT, NODE_LIMIT)
    } else {
        (ROOT_LIMIT_WITHOUT_CHECKSUM, NODE_LIMIT_WITHOUT_CHECKSUM)
    }
}

/// Number of blocks of the index of this number of leaves, besides its root; `None` if they are more than the root has room for.
fn index_nodes(leaves: u64, has_checksums: bool) -> Option<u64> {
    let (root_limit, node_limit) = limits(has_checksums);
    let nodes = if leaves <= u64::from(root_limit) { 0 } else { leaves.div_ceil(u64::from(node_limit)) };
    (nodes <= u64::from(root_limit)).then_some(nodes)
}

impl Directories<'_> {
    /// Computes the shape of a directory.
    pub(crate) fn measure(&self, directory: NodeId, is_lost_found: bool) -> Result<Shape, LayoutError> {
        let bytes: usize =
            self.tree.children(directory).map(|child| entry_size(self.tree.name(child).len())).sum();
        if bytes + DOTS_BYTES <= entry_bytes(self.has_checksums) {
            return Ok(Shape::Linear { empty: if is_lost_found { LOST_FOUND_BLOCKS - 1 } else { 0 } });
        }
        let entries = self.sorted(directory);
        let leaves = wide(self.pack(&entries).count());
        let nodes = index_nodes(leaves, self.has_checksums).ok_or_else(|| {
            LayoutError::DirectoryTooLarge { path: self.tree.path(directory), entries: wide(entries.len()) }
        })?;
        Ok(Shape::Indexed {
            nodes: narrow(nodes, "nodes are at most as many as the root has room for"),
            leaves: narrow(leaves, "a root and its nodes have room for less than 2^18 leaves"),
        })
    }

    /// The entries, sorted by hash. Names with equal hashes keep their order, so the result is unique.
    fn sorted(&self, directory: NodeId) -> Vec<(DirHash, NodeId)> {
        let mut entries: Vec<_> = self
            .tree
            .children(directory)
            .map(|child| (self.seed.hash(self.tree.name(child)), child))
            .collect();
        entries.sort_unstable();
        entries
    }

    /// Generates all blocks of a directory. `out` must be zeros and have the length of its shape.
    pub(crate) fn write(
        &self,
        directory: NodeId,
        shape: Shape,
        numbering: &Numbering,
        filesystem: Option<Checksum>,
        out: &mut [u8],
    ) {
        let inode = numbering.inode(directory);
        let parent = numbering.inode(self.tree.node(directory).parent());
        let seed = filesystem.map(|filesystem| inode.checksum_seed(filesystem));
        match shape {
            Shape::Linear { .. } => {
                let mut blocks = out.chunks_exact_mut(BLOCK_BYTES);
                if let Some(first) = blocks.next() {
                    let mut entries = EntryWriter::new(first);
                    entries.add(inode, b".", file_type::DIRECTORY);
                    entries.add(parent, b"..", file_type::DIRECTORY);
                    for child in self.tree.children(directory) {
                        self.add(&mut entries, child, numbering);
                    }
                    entries.finish(seed);
                }
                for block in blocks {
                    EntryWriter::new(block).finish(seed);
                }
            }
            Shape::Indexed { nodes, leaves } => {
                let entries = self.sorted(directory);
                let (index, leaf_blocks) = out.split_at_mut(BLOCK_BYTES * (1 + usize_of(nodes)));
                let mut hashes = Vec::with_capacity(usize_of(leaves));
                let mut last = None;
                for (leaf, block) in self.pack(&entries).zip(leaf_blocks.chunks_exact_mut(BLOCK_BYTES)) {
                    let first = leaf.first().expect("invariant: a leaf has an entry").0.major;
                    hashes.push(if last == Some(first) { first | htree::CONTINUED } else { first });
                    last = leaf.last().map(|(hash, _)| hash.major);
                    let mut writer = EntryWriter::new(block);
                    for &(_, child) in leaf {
                        self.add(&mut writer, child, numbering);
                    }
                    writer.finish(seed);
                }
                write_index(index, inode, parent, nodes, &hashes, seed);
            }
        }
    }

    fn add(&self, entries: &mut EntryWriter<'_>, child: NodeId, numbering: &Numbering) {
        let kind = match self.tree.node(self.tree.resolve(child)).kind() {
            NodeKind::Directory { .. } => file_type::DIRECTORY,
            NodeKind::File { .. } | NodeKind::HardLink { .. } => file_type::REGULAR,
            NodeKind::Symlink { .. } => file_type::SYMLINK,
            NodeKind::Special(SpecialKind::Character { .. }) => file_type::CHARACTER,
            NodeKind::Special(SpecialKind::Block { .. }) => file_type::BLOCK,
            NodeKind::Special(SpecialKind::Fifo) => file_type::FIFO,
            NodeKind::Special(SpecialKind::Socket) => file_type::SOCKET,
        };
        entries.add(numbering.inode(child), self.tree.name(child), kind);
    }

    /// Divides sorted entries into leaf blocks, each as full as possible.
    fn pack<'e>(
        &self,
        entries: &'e [(DirHash, NodeId)],
    ) -> impl Iterator<Item = &'e [(DirHash, NodeId)]> + use<'_, 'e> {
        let mut rest = entries;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let mut bytes = 0;
            let fits = rest
                .iter()
                .take_while(|(_, child)| {
                    bytes += entry_size(self.tree.name(*child).len());
                    bytes <= entry_bytes(self.has_checksums)
                })
                .count();
            let (leaf, after) = rest.split_at(fits);
            rest = after;
            Some(leaf)
        })
    }
}

/// Fills a block with entries. The last one extends to the checksum, or to the end of the block.
struct EntryWriter<'b> {
    block: &'b mut [u8],
    at: usize,
    last: Option<usize>,
}

impl<'b> EntryWriter<'b> {
    fn new(block: &'b mut [u8]) -> Self {
        Self { block, at: 0, last: None }
    }

    fn add(&mut self, inode: InodeNr, name: &[u8], file_type: u8) {
        let len = entry_size(name.len());
        let header = DirectoryEntry {
            inode: inode.0.into(),
            rec_len: block_length(len).into(),
            name_len: narrow(wide(name.len()), "a name has at most 255 bytes"),
            file_type,
        };
        put(self.block, self.at, &header);
        put_bytes(self.block, self.at + HEADER_SIZE, name);
        self.last = Some(self.at);
        self.at += len;
    }

    fn finish(self, seed: Option<Checksum>) {
        let last = self.last.unwrap_or(0);
        let end = entry_bytes(seed.is_some());
        put_bytes(self.block, last + 4, &block_length(end - last).to_le_bytes());
        if let Some(seed) = seed {
            let tail = DirectoryTail::of(seed, &self.block[..end]);
            put(self.block, end, &tail);
        }
    }
}

/// A length within a block, as entries have it.
fn block_length(bytes: usize) -> u16 {
    narrow(wide(bytes), "lengths within a block are at most 4096")
}

/// Generates the root and the other blocks of the index. `hashes` has the first hash of each leaf.
fn write_index(
    out: &mut [u8],
    inode: InodeNr,
    parent: InodeNr,
    nodes: u32,
    hashes: &[u32],
    seed: Option<Checksum>,
) {
    let (root_limit, node_limit) = limits(seed.is_some());
    let (root, others) = out.split_at_mut(BLOCK_BYTES);
    let dot = DirectoryEntry {
        inode: inode.0.into(),
        rec_len: block_length(MIN_ENTRY_SIZE).into(),
        name_len: 1,
        file_type: file_type::DIRECTORY,
    };
    let dotdot = DirectoryEntry {
        inode: parent.0.into(),
        rec_len: block_length(BLOCK_BYTES - MIN_ENTRY_SIZE).into(),
        name_len: 2,
        file_type: file_type::DIRECTORY,
    };
    put(root, 0, &dot);
    put_bytes(root, HEADER_SIZE, b".");
    put(root, MIN_ENTRY_SIZE, &dotdot);
    put_bytes(root, MIN_ENTRY_SIZE + HEADER_SIZE, b"..");
    let info = HtreeInfo {
        reserved_zero: 0.into(),
        hash_version: HASH_HALF_MD4,
        info_length: HtreeInfo::LENGTH,
        indirect_levels: u8::from(nodes > 0),
        unused_flags: 0,
    };
    put(root, INFO_OFFSET, &info);
    let first_leaf = 1 + nodes;
    let leaves: Vec<(u32, u32)> = hashes.iter().copied().zip(first_leaf..).collect();
    if nodes == 0 {
        write_entries(root, ROOT_ENTRIES_OFFSET, root_limit, &leaves, seed);
        return;
    }
    let mut children = Vec::with_capacity(usize_of(nodes));
    let parts = leaves.chunks(usize::from(node_limit)).zip(1..);
    for ((part, number), block) in parts.zip(others.chunks_exact_mut(BLOCK_BYTES)) {
        // Without support for indexes, the block looks like one unused directory entry.
        let unused = DirectoryEntry {
            inode: 0.into(),
            rec_len: block_length(BLOCK_BYTES).into(),
            name_len: 0,
            file_type: file_type::UNKNOWN,
        };
        put(block, 0, &unused);
        write_entries(block, NODE_ENTRIES_OFFSET, node_limit, part, seed);
        children.push((part.first().expect("invariant: a chunk has an item").0, number));
    }
    write_entries(root, ROOT_ENTRIES_OFFSET, root_limit, &children, seed);
}

/// Writes the entries (hash, block) of an index block, and its checksum.
fn write_entries(block: &mut [u8], at: usize, limit: u16, entries: &[(u32, u32)], seed: Option<Checksum>) {
    let count: u16 = narrow(wide(entries.len()), "a block of the index has at most its limit of entries");
    for (i, &(hash, target)) in entries.iter().enumerate() {
        put(block, at + htree::ENTRY_SIZE * i, &HtreeEntry { hash: hash.into(), block: target.into() });
    }
    // The first entry has no hash, 0 by definition; limit and count are stored in its place.
    let first = entries.first().expect("invariant: the index has a leaf").1;
    put(block, at, &HtreeCount { limit: limit.into(), count: count.into(), block: first.into() });
    if let Some(seed) = seed {
        let used = at + htree::ENTRY_SIZE * entries.len();
        let checksum = htree::computed_checksum(seed, &block[..used]);
        // The checksum is the second word of the tail.
        let tail = at + htree::ENTRY_SIZE * usize::from(limit);
        put_bytes(block, tail + 4, &checksum.to_le_bytes());
    }
}

/// Copies a structure into a block.
pub(crate) fn put(block: &mut [u8], at: usize, structure: &(impl IntoBytes + zerocopy::Immutable)) {
    put_bytes(block, at, structure.as_bytes());
}

/// Copies bytes into a block.
pub(crate) fn put_bytes(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn usize_of(n: u32) -> usize {
    crate::units::index(u64::from(n))
}

#[cfg(test)]
mod tests;
