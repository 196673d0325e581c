//! Extent trees: four extents in the inode, or blocks of 340 below it, as deep as it takes.

use crate::checksum::Checksum;
use crate::dataspace::{BlockRun, DataSpace};
use crate::directory::{put, put_bytes};
use crate::ondisk::extent::{
    BLOCK_ENTRIES, CHECKSUM_OFFSET, INODE_ENTRIES, MAGIC, RawExtent, RawHeader, RawIndex,
};
use crate::units::{BLOCK_BYTES, BlockNr, DataNr, high32, index, low16, low32};

/// Contents and the blocks of their extent tree, which follow them in data space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    /// Where the contents begin.
    pub(crate) start: DataNr,
    /// The contents in \[blocks\].
    pub(crate) len: u64,
    /// The extent tree in \[blocks\].
    pub(crate) nodes: u64,
}

/// How many blocks a tree of so many extents takes beside the inode.
pub(crate) fn node_blocks(extents: u64) -> u64 {
    let mut total = 0;
    let mut level = extents;
    while level > u64::from(INODE_ENTRIES) {
        level = level.div_ceil(u64::from(BLOCK_ENTRIES));
        total += level;
    }
    total
}

/// One entry of any level.
#[derive(Clone, Copy)]
struct Entry {
    /// The first block of the contents that it covers.
    logical: u64,
    run: BlockRun,
}

impl Extents {
    /// Contents at a place in data space.
    pub(crate) fn at(start: DataNr, len: u64, space: &DataSpace) -> Self {
        Self { start, len, nodes: node_blocks(space.extent_count(start, len)) }
    }

    /// Contents and tree in \[blocks\].
    pub(crate) fn blocks(&self) -> u64 {
        self.len + self.nodes
    }

    /// Where the tree's blocks begin.
    pub(crate) fn nodes_start(&self) -> DataNr {
        self.start.plus(self.len)
    }

    /// The `i_block` of the inode.
    pub(crate) fn root(&self, space: &DataSpace) -> [u8; 60] {
        let mut block = [0; 60];
        if self.nodes == 0 {
            // Nearly every file: the inode has room for all extents, and nothing is taken from the heap.
            write_entries(&mut block, 0, INODE_ENTRIES, self.leaves(space));
        } else {
            self.write_tree(space, None, &mut block);
        }
        block
    }

    /// The extents of the contents.
    fn leaves<'s>(&self, space: &'s DataSpace) -> impl Iterator<Item = Entry> + use<'s> {
        let mut logical = 0;
        space.extents(self.start, self.len).map(move |run| {
            let entry = Entry { logical, run };
            logical += run.len;
            entry
        })
    }

    /// Writes the tree's blocks, from the leaves up. `out` is zero and has their length.
    pub(crate) fn write_nodes(&self, space: &DataSpace, inode_seed: Checksum, out: &mut [u8]) {
        self.write_tree(space, Some((inode_seed, out)), &mut [0; 60]);
    }

    fn write_tree(&self, space: &DataSpace, mut nodes: Option<(Checksum, &mut [u8])>, root: &mut [u8; 60]) {
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
                let first = part.first().map_or(0, |entry| entry.logical);
                above.push(Entry { logical: first, run: BlockRun { start: space.block(next), len: 1 } });
                next = next.plus(1);
            }
            (level, depth) = (above, depth + 1);
        }
        write_entries(root, depth, INODE_ENTRIES, level.into_iter());
    }
}

fn write_block(block: &mut [u8], depth: u16, entries: &[Entry], seed: Checksum) {
    write_entries(block, depth, BLOCK_ENTRIES, entries.iter().copied());
    let checksum = seed.over(&block[..CHECKSUM_OFFSET]);
    put_bytes(block, CHECKSUM_OFFSET, &checksum.value().to_le_bytes());
}

fn write_entries(out: &mut [u8], depth: u16, max: u16, entries: impl Iterator<Item = Entry>) {
    let mut count = 0;
    for entry in entries {
        let at = 12 + 12 * usize::from(count);
        count += 1;
        let BlockRun { start: BlockNr(block), len } = entry.run;
        if depth == 0 {
            let extent = RawExtent {
                ee_block: low32(entry.logical).into(),
                ee_len: low16(low32(len)).into(),
                ee_start_hi: low16(high32(block)).into(),
                ee_start_lo: low32(block).into(),
            };
            put(out, at, &extent);
        } else {
            let index = RawIndex {
                ei_block: low32(entry.logical).into(),
                ei_leaf_lo: low32(block).into(),
                ei_leaf_hi: low16(high32(block)).into(),
                ei_unused: 0.into(),
            };
            put(out, at, &index);
        }
    }
    let header = RawHeader {
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
