//! Recognises a device that may be smaller than it claims, before it is written.
//!
//! On such a card, addresses after its real end often are those from its start again. Then what is read at an address is what
//! was read a fixed distance before it, everywhere. An image can have that too (two equal slots), so it is a suspicion only.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use image_tree::to_u64;

/// The unit in \[bytes\]. Real capacities are multiples of it.
const BLOCK: usize = 4096;

/// One block in so many is remembered. Its contents choose it, so that equal blocks are chosen together.
const CHOSEN: u64 = 64;

/// The fewest pairs of equal blocks at a distance that are suspicious.
const FEWEST: usize = 3;

/// The most distances that are tried.
const MOST_DISTANCES: usize = 64;

/// Blocks that a device has, by their contents.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    /// Offsets in \[bytes\], ascending, with a hash of the contents.
    blocks: Vec<(u64, u64)>,
}

impl Aliases {
    /// Adds what was read at an offset in \[bytes\], after everything before.
    pub(crate) fn add(&mut self, offset: u64, bytes: &[u8]) {
        for (index, block) in bytes.chunks_exact(BLOCK).enumerate() {
            let Some(first) = block.first_chunk().copied().map(u64::from_le_bytes) else { continue };
            // Multiplicative hashing (Knuth); blocks of one repeated byte say nothing.
            if first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & (CHOSEN - 1) != 0
                || block.iter().all(|byte| Some(byte) == block.first())
            {
                continue;
            }
            let mut hasher = DefaultHasher::new();
            block.hash(&mut hasher);
            let at = offset.saturating_add(to_u64(index.saturating_mul(BLOCK)));
            self.blocks.push((at, hasher.finish()));
        }
    }

    /// Whether the blocks from some distance on repeat those from the start.
    pub(crate) fn suspects(&self) -> bool {
        let all: HashMap<u64, u64> = self.blocks.iter().copied().collect();
        let Some(&(last, hash)) = self.blocks.last() else { return false };
        let distances = self.blocks.iter().filter(|(at, other)| *at < last && *other == hash);
        distances.take(MOST_DISTANCES).any(|(at, _)| {
            let distance = last.saturating_sub(*at);
            let beyond: Vec<_> = self.blocks.iter().filter(|(at, _)| *at >= distance).collect();
            let equal = beyond.iter().filter(|(at, hash)| all.get(&(at - distance)) == Some(hash)).count();
            // What was written since may differ.
            equal >= FEWEST && equal.saturating_mul(10) >= beyond.len().saturating_mul(9)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks that differ, numbered from `from`.
    fn blocks(from: u64, number: u64) -> Vec<u8> {
        (from..from + number)
            .flat_map(|block| {
                block
                    .wrapping_mul(0x2545_f491_4f6c_dd1d)
                    .to_le_bytes()
                    .repeat(BLOCK / 8 - 1)
                    .into_iter()
                    .chain([0; 8])
            })
            .collect()
    }

    fn suspects(parts: &[&[u8]]) -> bool {
        let mut aliases = Aliases::default();
        let mut at = 0;
        for part in parts {
            aliases.add(at, part);
            at += to_u64(part.len());
        }
        aliases.suspects()
    }

    #[test]
    fn a_repetition_to_the_end_is_suspicious() {
        let (start, other) = (blocks(0, 2000), blocks(5000, 900));
        assert!(!suspects(&[]));
        assert!(!suspects(&[&start]));
        assert!(suspects(&[&start, &start]));
        assert!(suspects(&[&start, &start[..4 << 20]]));
        // A file that is there twice.
        assert!(!suspects(&[&start, &other, &start[..4 << 20], &other]));
        // Zeros, as on an empty card.
        assert!(!suspects(&[&vec![0; 8 << 20]]));
    }
}
