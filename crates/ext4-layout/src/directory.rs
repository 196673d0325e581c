//! Directories: one block of entries, or more with an index by hash.
//!
//! A directory's shape depends on names alone, so its blocks are counted first and made when they are written; both
//! go through [`pack`], so they can't differ.

use image_tree::{FileTree, NodeId, NodeKind, SpecialKind};
use zerocopy::IntoBytes;

use crate::LayoutError;
use crate::checksum::Checksum;
use crate::dirhash::{DirHash, HashSeed};
use crate::numbering::Numbering;
use crate::ondisk::dirent::{RawDirTail, RawDirent, RawDxCount, RawDxEntry, RawDxInfo, file_type};
use crate::ondisk::superblock::HASH_HALF_MD4;
use crate::units::{BLOCK_BYTES, InodeNr, low16, low32, wide};

/// What a block has for entries: all but the twelve bytes of its checksum.
const ENTRY_BYTES: usize = BLOCK_BYTES - 12;
/// Entries for `.` and `..`.
const DOTS_BYTES: usize = 24;
/// `dx_root`: entries that fit behind the two dots and the header, a checksum left room for.
const ROOT_LIMIT: u32 = 507;
/// `dx_node`: entries that fit in another block of the index.
const NODE_LIMIT: u32 = 510;
/// Where the index's entries begin in its root and its other blocks, in \[bytes\].
const ROOT_ENTRIES: usize = 0x20;
const NODE_ENTRIES: usize = 8;
/// Blocks of lost+found: mke2fs keeps them so that e2fsck need not allocate any.
const LOST_FOUND_BLOCKS: u32 = 4;

/// How a directory's blocks are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One block of entries, and so many empty ones behind it.
    Linear { empty: u32 },
    /// The index's root, so many other blocks of the index, so many blocks of entries.
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

/// What a directory's entries are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directories<'t> {
    pub(crate) tree: &'t FileTree,
    pub(crate) seed: HashSeed,
}

/// The length of an entry in \[bytes\].
fn entry_len(name: &[u8]) -> usize {
    (8 + name.len()).next_multiple_of(4)
}

impl Directories<'_> {
    /// The shape of a directory.
    pub(crate) fn measure(&self, directory: NodeId, is_lost_found: bool) -> Result<Shape, LayoutError> {
        let bytes: usize = self.tree.children(directory).map(|child| entry_len(self.tree.name(child))).sum();
        if bytes + DOTS_BYTES <= ENTRY_BYTES {
            return Ok(Shape::Linear { empty: if is_lost_found { LOST_FOUND_BLOCKS - 1 } else { 0 } });
        }
        let entries = self.sorted(directory);
        let leaves = wide(pack(self.tree, &entries).count());
        let nodes = if leaves <= u64::from(ROOT_LIMIT) { 0 } else { leaves.div_ceil(u64::from(NODE_LIMIT)) };
        if nodes > u64::from(ROOT_LIMIT) {
            return Err(LayoutError::DirectoryTooLarge {
                path: self.tree.path(directory),
                entries: wide(entries.len()),
            });
        }
        Ok(Shape::Indexed { nodes: low32(nodes), leaves: low32(leaves) })
    }

    /// The entries by hash. Names of equal hash stay in their own order, so the result is one.
    fn sorted(&self, directory: NodeId) -> Vec<(DirHash, NodeId)> {
        let mut entries: Vec<_> = self
            .tree
            .children(directory)
            .map(|child| (self.seed.hash(self.tree.name(child)), child))
            .collect();
        entries.sort_unstable();
        entries
    }

    /// Writes all blocks of a directory. `out` is zero and has the length of its shape.
    pub(crate) fn write(
        &self,
        directory: NodeId,
        shape: Shape,
        numbering: &Numbering,
        filesystem: Checksum,
        out: &mut [u8],
    ) {
        let inode = numbering.inode(directory);
        let parent = numbering.inode(self.tree.node(directory).parent());
        let seed = Checksum::of_inode(filesystem, inode);
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
                for (leaf, block) in pack(self.tree, &entries).zip(leaf_blocks.chunks_exact_mut(BLOCK_BYTES))
                {
                    let first = leaf.first().map_or(0, |(hash, _)| hash.major);
                    // Bit 0 says that names of this hash began in the block before.
                    hashes.push(first | u32::from(last == Some(first)));
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
}

/// Cuts sorted entries into leaf blocks, each as full as it goes.
fn pack<'e>(
    tree: &FileTree,
    entries: &'e [(DirHash, NodeId)],
) -> impl Iterator<Item = &'e [(DirHash, NodeId)]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = rest
            .iter()
            .take_while(|(_, child)| {
                bytes += entry_len(tree.name(*child));
                bytes <= ENTRY_BYTES
            })
            .count();
        let (leaf, after) = rest.split_at(fits);
        rest = after;
        Some(leaf)
    })
}

/// Fills one block with entries; the last of them reaches to the checksum.
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
        let len = entry_len(name);
        let header = RawDirent {
            inode: inode.0.into(),
            rec_len: low16(low32(wide(len))).into(),
            name_len: u8::try_from(name.len()).unwrap_or(u8::MAX),
            file_type,
        };
        put(self.block, self.at, &header);
        put_bytes(self.block, self.at + 8, name);
        self.last = Some(self.at);
        self.at += len;
    }

    fn finish(self, seed: Checksum) {
        let last = self.last.unwrap_or(0);
        let rec_len = low16(low32(wide(ENTRY_BYTES - last)));
        put_bytes(self.block, last + 4, &rec_len.to_le_bytes());
        let checksum = seed.over(self.block.get(..ENTRY_BYTES).unwrap_or_default());
        let tail = RawDirTail {
            entry: RawDirent {
                inode: 0.into(),
                rec_len: 12.into(),
                name_len: 0,
                file_type: file_type::CHECKSUM,
            },
            checksum: checksum.value().into(),
        };
        put(self.block, ENTRY_BYTES, &tail);
    }
}

/// Writes the index's root and other blocks. `hashes` has one item a leaf.
fn write_index(out: &mut [u8], inode: InodeNr, parent: InodeNr, nodes: u32, hashes: &[u32], seed: Checksum) {
    let (root, others) = out.split_at_mut(BLOCK_BYTES);
    let dot =
        RawDirent { inode: inode.0.into(), rec_len: 12.into(), name_len: 1, file_type: file_type::DIRECTORY };
    let dotdot = RawDirent {
        inode: parent.0.into(),
        rec_len: low16(low32(wide(BLOCK_BYTES - 12))).into(),
        name_len: 2,
        file_type: file_type::DIRECTORY,
    };
    put(root, 0, &dot);
    put_bytes(root, 8, b".");
    put(root, 12, &dotdot);
    put_bytes(root, 20, b"..");
    let info = RawDxInfo {
        reserved_zero: 0.into(),
        hash_version: HASH_HALF_MD4,
        info_length: 8,
        indirect_levels: u8::from(nodes > 0),
        unused_flags: 0,
    };
    put(root, 0x18, &info);
    let first_leaf = 1 + nodes;
    let leaves: Vec<(u32, u32)> = hashes.iter().copied().zip(first_leaf..).collect();
    if nodes == 0 {
        write_entries(root, ROOT_ENTRIES, ROOT_LIMIT, &leaves, seed);
        return;
    }
    let mut children = Vec::with_capacity(usize_of(nodes));
    let parts = leaves.chunks(usize_of(NODE_LIMIT)).zip(1..);
    for ((part, number), block) in parts.zip(others.chunks_exact_mut(BLOCK_BYTES)) {
        // The whole block is one unused directory entry to those who know no index.
        let unused = RawDirent {
            inode: 0.into(),
            rec_len: low16(low32(wide(BLOCK_BYTES))).into(),
            name_len: 0,
            file_type: 0,
        };
        put(block, 0, &unused);
        write_entries(block, NODE_ENTRIES, NODE_LIMIT, part, seed);
        children.push((part.first().map_or(0, |&(hash, _)| hash), number));
    }
    write_entries(root, ROOT_ENTRIES, ROOT_LIMIT, &children, seed);
}

/// Writes the entries (hash, block) of one block of the index, and its checksum.
fn write_entries(block: &mut [u8], at: usize, limit: u32, entries: &[(u32, u32)], seed: Checksum) {
    let count = low32(wide(entries.len()));
    for (i, &(hash, target)) in entries.iter().enumerate() {
        put(block, at + 8 * i, &RawDxEntry { hash: hash.into(), block: target.into() });
    }
    // The first entry's hash is 0 by definition; its place holds room and number.
    let first = entries.first().map_or(0, |&(_, target)| target);
    put(
        block,
        at,
        &RawDxCount { limit: low16(limit).into(), count: low16(count).into(), block: first.into() },
    );
    let used = at + 8 * entries.len();
    let checksum = seed.over(block.get(..used).unwrap_or_default()).over(&[0; 8]);
    let tail = at + 8 * usize_of(limit);
    put_bytes(block, tail + 4, &checksum.value().to_le_bytes());
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
