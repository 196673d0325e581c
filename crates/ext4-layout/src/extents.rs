//! Extent trees: four entries in the inode, and blocks of 340 entries below, as deep as needed.

use ext4_ondisk::extent::{self, BLOCK_ENTRIES, CHECKSUM_OFFSET, ENTRY_SIZE, INODE_ENTRIES, MAGIC};
use ext4_ondisk::{Checksum, Extent, ExtentHeader, ExtentIndex};
use image_tree::{DataRun, HOLE_GRAIN};
use zerocopy::{Immutable, IntoBytes};

use crate::dataspace::{BlockRun, DataSpace};
use crate::directory::{put, put_bytes};
use crate::units::{BLOCK_BYTES, BLOCK_SIZE, BlockNr, DataNr, index, narrow};

/// Contents, followed in data space by the blocks of their extent tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extents<'t> {
    /// Start of the contents.
    pub(crate) start: DataNr,
    /// Length of the contents in \[blocks\], without holes.
    pub(crate) len: u64,
    /// Length of the extent tree in \[blocks\].
    pub(crate) nodes: u64,
    map: Map<'t>,
}

/// The blocks of a file that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Map<'t> {
    /// All of this number of blocks.
    Dense(u64),
    /// The blocks of these runs, with holes between them.
    Sparse(&'t [DataRun]),
    /// All of this number of blocks, not written: fewer than [`MAX_EXTENT`](ext4_ondisk::extent::MAX_EXTENT).
    Reserved(u64),
}

const _: () = assert!(HOLE_GRAIN == BLOCK_SIZE);

impl<'t> Map<'t> {
    /// Number of stored \[blocks\].
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::Dense(blocks) | Self::Reserved(blocks) => blocks,
            Self::Sparse(runs) => runs.iter().map(|run| u64::from(run.len)).sum(),
        }
    }

    /// The stored ranges: start in the file and length, both in \[blocks\].
    pub(crate) fn stretches(self) -> impl Iterator<Item = (u64, u64)> + use<'t> {
        let (dense, runs) = match self {
            Self::Dense(blocks) | Self::Reserved(blocks) => (Some((0, blocks)), &[][..]),
            Self::Sparse(runs) => (None, runs),
        };
        dense.into_iter().chain(runs.iter().map(|run| (u64::from(run.start), u64::from(run.len))))
    }

    /// Number of extents if the contents start at this block of data space.
    pub(crate) fn extent_count(self, start: DataNr, space: &DataSpace) -> u64 {
        let mut at = start;
        let mut count = 0;
        for (_, len) in self.stretches() {
            count += space.extent_count(at, len);
            at = at.plus(len);
        }
        count
    }
}

/// Number of blocks of a tree of this number of extents, besides the inode.
pub(crate) fn node_blocks(extents: u64) -> u64 {
    let mut total = 0;
    let mut level = extents;
    while level > u64::from(INODE_ENTRIES) {
        level = level.div_ceil(u64::from(BLOCK_ENTRIES));
        total += level;
    }
    total
}

/// An entry at any level.
#[derive(Clone, Copy)]
struct Entry {
    /// The first block of the file that it covers.
    logical: u64,
    run: BlockRun,
}

impl<'t> Extents<'t> {
    /// Contents at a block of data space.
    pub(crate) fn at(start: DataNr, map: Map<'t>, space: &DataSpace) -> Self {
        let len = map.len();
        // Most files are short: they can't have more extents than the inode has room for.
        let is_short = len <= u64::from(INODE_ENTRIES);
        let nodes = if is_short { 0 } else { node_blocks(map.extent_count(start, space)) };
        Self { start, len, nodes, map }
    }

    /// The stored ranges: start in the file in \[blocks\], start in data space, length in \[blocks\].
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (u64, DataNr, u64)> + use<'t> {
        let mut at = self.start;
        self.map.stretches().map(move |(logical, len)| {
            let start = at;
            at = at.plus(len);
            (logical, start, len)
        })
    }

    /// Length of contents and tree in \[blocks\].
    pub(crate) fn blocks(&self) -> u64 {
        self.len + self.nodes
    }

    /// Start of the tree's blocks.
    pub(crate) fn nodes_start(&self) -> DataNr {
        self.start.plus(self.len)
    }

    /// The `i_block` of the inode.
    pub(crate) fn root(&self, space: &DataSpace) -> [u8; 60] {
        let mut block = [0; 60];
        if self.nodes == 0 {
            // Fast path without allocation: for nearly all files, the inode has room for all extents.
            let make = if matches!(self.map, Map::Reserved(_)) { Extent::unwritten } else { Extent::new };
            write_extents(&mut block, INODE_ENTRIES, self.leaves(space), make);
        } else {
            self.write_tree(space, None, &mut block);
        }
        block
    }

    /// The extents of the contents.
    fn leaves<'s>(&self, space: &'s DataSpace) -> impl Iterator<Item = Entry> + use<'s, 't> {
        self.stretches().flat_map(move |(mut logical, start, len)| {
            space.extents(start, len).map(move |run| {
                let entry = Entry { logical, run };
                logical += run.len;
                entry
            })
        })
    }

    /// Generates the tree's blocks, from the leaves up. `out` must be zeros and have their length.
    pub(crate) fn write_nodes(&self, space: &DataSpace, inode_seed: Option<Checksum>, out: &mut [u8]) {
        self.write_tree(space, Some((inode_seed, out)), &mut [0; 60]);
    }

    fn write_tree(
        &self,
        space: &DataSpace,
        mut nodes: Option<(Option<Checksum>, &mut [u8])>,
        root: &mut [u8; 60],
    ) {
        let mut level: Vec<Entry> = self.leaves(space).collect();
        let mut depth = 0;
        let mut next = self.nodes_start();
        while level.len() > usize::from(INODE_ENTRIES) {
            let mut above = Vec::with_capacity(level.len().div_ceil(usize::from(BLOCK_ENTRIES)));
            for part in level.chunks(usize::from(BLOCK_ENTRIES)) {
                if let Some((seed, out)) = &mut nodes {
                    let at = index(next.0 - self.nodes_start().0) * BLOCK_BYTES;
                    write_block(&mut out[at..at + BLOCK_BYTES], depth, part, *seed);
                }
                let first = part.first().expect("invariant: a chunk has an item").logical;
                above.push(Entry { logical: first, run: BlockRun { start: space.block(next), len: 1 } });
                next = next.plus(1);
            }
            (level, depth) = (above, depth + 1);
        }
        write_entries(root, depth, INODE_ENTRIES, level.into_iter());
    }
}

fn write_block(block: &mut [u8], depth: u16, entries: &[Entry], seed: Option<Checksum>) {
    write_entries(block, depth, BLOCK_ENTRIES, entries.iter().copied());
    if let Some(seed) = seed {
        let checksum = extent::computed_checksum(seed, block);
        put_bytes(block, CHECKSUM_OFFSET, &checksum.to_le_bytes());
    }
}

fn write_entries(out: &mut [u8], depth: u16, max: u16, entries: impl Iterator<Item = Entry>) {
    if depth == 0 {
        return write_extents(out, max, entries, Extent::new);
    }
    let index = |entry: Entry| ExtentIndex::new(first_block(entry), entry.run.start.0);
    write_node(out, depth, max, entries.map(index));
}

/// Writes a leaf. `make` makes an extent from its first block in the file, its first block on disk and its length.
fn write_extents(
    out: &mut [u8],
    max: u16,
    entries: impl Iterator<Item = Entry>,
    make: fn(u32, u64, u16) -> Extent,
) {
    let extent = |entry: Entry| {
        let BlockRun { start: BlockNr(block), len } = entry.run;
        make(first_block(entry), block, narrow(len, "`DataSpace::extents` cuts to 32,768 blocks"))
    };
    write_node(out, 0, max, entries.map(extent));
}

fn first_block(entry: Entry) -> u32 {
    narrow(entry.logical, "`MAX_FILE_BLOCKS` is less than 2^32")
}

fn write_node<E: IntoBytes + Immutable>(
    out: &mut [u8],
    depth: u16,
    max: u16,
    entries: impl Iterator<Item = E>,
) {
    let mut count = 0;
    for entry in entries {
        put(out, ENTRY_SIZE + ENTRY_SIZE * usize::from(count), &entry);
        count += 1;
    }
    let header = ExtentHeader {
        eh_magic: MAGIC.into(),
        eh_entries: count.into(),
        eh_max: max.into(),
        eh_depth: depth.into(),
        eh_generation: 0.into(),
    };
    put(out, 0, &header);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry;

    fn space() -> DataSpace {
        DataSpace::of(&Geometry {
            blocks: 100_000,
            groups: 4,
            inodes_per_group: 8192,
            gdt: 1,
            reserved_gdt: 127,
            journal: 0,
        })
    }

    /// The extents below an entry, as Linux finds them: first block in the file, first block on disk, length. `node` gives the
    /// bytes of a block on disk.
    fn found<'n>(bytes: &[u8], max: u16, depth: u16, node: &dyn Fn(u64) -> &'n [u8]) -> Vec<(u64, u64, u64)> {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| u64::from(half(at)) | u64::from(half(at + 2)) << 16;
        assert_eq!((half(0), half(4), half(6), word(8)), (0xf30a, max, depth, 0));
        let mut all = Vec::new();
        for at in (1..=usize::from(half(2))).map(|number| 12 * number) {
            if depth == 0 {
                let block = word(at + 8) | u64::from(half(at + 6)) << 32;
                all.push((word(at), block, u64::from(half(at + 4))));
            } else {
                let block = word(at + 4) | u64::from(half(at + 8)) << 32;
                let below = found(node(block), 340, depth - 1, node);
                assert_eq!(below.first().map(|extent| extent.0), Some(word(at)));
                all.extend(below);
            }
        }
        all
    }

    /// Four extents are in the inode. A block has 340.
    #[test]
    fn every_extent_is_found_through_the_tree() {
        let space = space();
        for (count, depth) in [(1_u32, 0), (4, 0), (5, 1), (340, 1), (341, 1), (1360, 1), (1361, 2)] {
            let runs: Vec<_> = (0..count).map(|n| DataRun { start: 3 * n, len: 1 + n % 2 }).collect();
            let extents = Extents::at(DataNr(500), Map::Sparse(&runs), &space);
            let mut at = 500;
            let expected: Vec<_> = runs
                .iter()
                .map(|run| {
                    let block = space.block(DataNr(at)).0;
                    at += u64::from(run.len);
                    (u64::from(run.start), block, u64::from(run.len))
                })
                .collect();
            assert_eq!((extents.nodes_start(), extents.blocks()), (DataNr(at), extents.len + extents.nodes));
            let mut nodes = vec![0; BLOCK_BYTES * index(extents.nodes)];
            let seed = Checksum::of_filesystem(b"snugfs test uuid");
            extents.write_nodes(&space, Some(seed), &mut nodes);
            for node in nodes.chunks(BLOCK_BYTES) {
                assert_eq!(node[CHECKSUM_OFFSET..], extent::computed_checksum(seed, node).to_le_bytes());
            }
            let node = |block| {
                let number = index(space.data(BlockNr(block)).unwrap().0 - at);
                &nodes[number * BLOCK_BYTES..(number + 1) * BLOCK_BYTES]
            };
            assert_eq!(found(&extents.root(&space), 4, depth, &node), expected, "{count} extents");
            let mut without_checksums = vec![0; nodes.len()];
            extents.write_nodes(&space, None, &mut without_checksums);
            for (node, other) in without_checksums.chunks(BLOCK_BYTES).zip(nodes.chunks(BLOCK_BYTES)) {
                assert_eq!(node[..CHECKSUM_OFFSET], other[..CHECKSUM_OFFSET]);
                assert_eq!(node[CHECKSUM_OFFSET..], [0; 4]);
            }
        }
    }

    #[test]
    fn holes_take_no_blocks_and_ranges_keep_their_offsets_in_the_file() {
        let space = space();
        let runs = [DataRun { start: 3, len: 2 }, DataRun { start: 4_000_000_000, len: 1 }];
        let extents = Extents::at(DataNr(10), Map::Sparse(&runs), &space);
        assert_eq!((extents.len, extents.nodes), (3, 0));
        let leaves: Vec<_> = extents.leaves(&space).map(|entry| (entry.logical, entry.run)).collect();
        let run = |data, len| BlockRun { start: space.block(DataNr(data)), len };
        assert_eq!(leaves, [(3, run(10, 2)), (4_000_000_000, run(12, 1))]);
        // Five ranges do not fit into the inode.
        let runs: Vec<_> = (0..5).map(|n| DataRun { start: 2 * n, len: 1 }).collect();
        assert_eq!(Extents::at(DataNr(10), Map::Sparse(&runs), &space).nodes, 1);
        assert_eq!(Extents::at(DataNr(10), Map::Sparse(&[]), &space).blocks(), 0);
        // An island splits a range; the file continues after it.
        let first = space.block(DataNr(0)).0;
        let before = 32_768 - first;
        let runs = [DataRun { start: 7, len: 4 }];
        let cut: Vec<_> = Extents::at(DataNr(before - 1), Map::Sparse(&runs), &space)
            .leaves(&space)
            .map(|entry| (entry.logical, entry.run.len))
            .collect();
        assert_eq!(cut, [(7, 1), (8, 3)]);
    }

    #[test]
    fn a_tree_has_a_block_for_every_340_entries_of_the_level_below() {
        let cases = [
            (0, 0),
            (1, 0),
            (4, 0),
            (5, 1),
            (340, 1),
            (341, 2),
            (1360, 4),
            (1361, 5 + 1),
            (340 * 340 * 5, 1700 + 5 + 1),
        ];
        for (extents, blocks) in cases {
            assert_eq!(node_blocks(extents), blocks, "{extents} extents");
        }
    }
}
