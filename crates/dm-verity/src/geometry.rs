use image_tree::to_u64;

use crate::{BLOCK, HASH};

/// The levels of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    data_blocks: u64,
    /// From the lowest level, the hashes of data, to the top.
    levels: Vec<Level>,
    blocks: u64,
}

/// A level of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its first block, counted from the superblock, which is block 0.
    pub start: u64,
    /// The number of its blocks.
    pub blocks: u64,
}

impl Geometry {
    /// The tree of data of a length in \[bytes\]. `None` if that is no positive multiple of [`BLOCK`].
    #[must_use]
    pub fn new(data_len: u64) -> Option<Self> {
        if data_len == 0 || !data_len.is_multiple_of(BLOCK) {
            return None;
        }
        let hashes_in_block = BLOCK / to_u64(HASH);
        let mut lengths = Vec::new();
        let mut below = data_len / BLOCK;
        // One block of data has no levels: its hash is the root hash.
        while below > 1 {
            below = below.div_ceil(hashes_in_block);
            lengths.push(below);
        }
        let mut next = 1;
        let mut levels: Vec<Level> = Vec::new();
        for &blocks in lengths.iter().rev() {
            levels.push(Level { start: next, blocks });
            next += blocks;
        }
        levels.reverse();
        Some(Self { data_blocks: data_len / BLOCK, levels, blocks: next })
    }

    /// The number of blocks of data.
    #[must_use]
    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// The levels, from the hashes of data to the top.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The length of the hash device in \[bytes\]: the superblock's block and the tree.
    #[must_use]
    pub fn hash_device_len(&self) -> u64 {
        self.blocks * BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(blocks: u64) -> Vec<(u64, u64)> {
        let geometry = Geometry::new(blocks * BLOCK).unwrap();
        let last = geometry.levels().first().map_or(1, |level| level.start + level.blocks);
        assert_eq!(geometry.hash_device_len(), last * BLOCK);
        geometry.levels().iter().map(|level| (level.start, level.blocks)).collect()
    }

    #[test]
    fn levels_begin_where_a_block_of_hashes_is_full() {
        assert_eq!(levels(1), []);
        assert_eq!(levels(2), [(1, 1)]);
        assert_eq!(levels(128), [(1, 1)]);
        assert_eq!(levels(129), [(2, 2), (1, 1)]);
        assert_eq!(levels(128 * 128), [(2, 128), (1, 1)]);
        assert_eq!(levels(128 * 128 + 1), [(4, 129), (2, 2), (1, 1)]);
    }

    #[test]
    fn only_whole_blocks_have_a_tree() {
        for len in [0, 1, 4095, 4097] {
            assert_eq!(Geometry::new(len), None);
        }
    }
}
