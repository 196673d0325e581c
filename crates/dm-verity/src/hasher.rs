use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_tree::{to_u64, to_usize};
use sha2::{Digest, Sha256};

use crate::{BLOCK, Geometry, HASH, Parameters, RootHash, Superblock};

type Hash = [u8; HASH];

/// Hashes of blocks that are collected before they are stored.
const BATCH: usize = 64;

/// Computes the tree of data, which comes in parts, in any order, from any thread. Each byte comes exactly once.
pub struct TreeHasher {
    parameters: Parameters,
    geometry: Geometry,
    /// The state after the salt.
    salted: Sha256,
    zero_block: Hash,
    state: Mutex<State>,
}

struct State {
    /// The hash device. The lowest level is filled while data comes.
    bytes: Vec<u8>,
    /// The hash of the only block of data, which has no level.
    only: Option<Hash>,
    /// Number of blocks of data that are hashed.
    done: u64,
    /// Blocks that came in part, by their number.
    partial: HashMap<u64, Partial>,
}

/// A block with some of its bytes.
struct Partial {
    bytes: Vec<u8>,
    /// How many bytes it has.
    known: usize,
}

/// Bytes of the data are missing, or came twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash tree was not given every byte exactly once")
    }
}

impl std::error::Error for Incomplete {}

/// A finished tree.
#[derive(Clone, PartialEq, Eq)]
pub struct HashTree {
    bytes: Vec<u8>,
    root: RootHash,
}

impl fmt::Debug for HashTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashTree").field("bytes", &self.bytes.len()).field("root", &self.root).finish()
    }
}

impl fmt::Debug for TreeHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeHasher")
            .field("parameters", &self.parameters)
            .field("geometry", &self.geometry)
            .finish_non_exhaustive()
    }
}

impl HashTree {
    /// The bytes of the hash device.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The root hash.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.root
    }
}

impl TreeHasher {
    /// Begins the tree of data of `data_len` \[bytes\]. `None` if that is no positive multiple of [`BLOCK`].
    #[must_use]
    pub fn new(parameters: Parameters, data_len: u64) -> Option<Self> {
        let geometry = Geometry::new(data_len)?;
        let mut salted = Sha256::new();
        salted.update(parameters.salt());
        let zero_block = hash(&salted, &[0; 4096]);
        let bytes = vec![0; to_usize(geometry.hash_device_len())];
        let state = State { bytes, only: None, done: 0, partial: HashMap::new() };
        Some(Self { parameters, geometry, salted, zero_block, state: Mutex::new(state) })
    }

    /// The length of the data in \[bytes\].
    #[must_use]
    pub fn data_len(&self) -> u64 {
        self.geometry.data_blocks() * BLOCK
    }

    /// Bytes of the data at an offset. Bytes after its end are ignored.
    pub fn bytes(&self, offset: u64, bytes: &[u8]) {
        let end = self.data_len().saturating_sub(offset);
        let bytes = &bytes[..bytes.len().min(usize::try_from(end).unwrap_or(usize::MAX))];
        let to_block = to_usize(offset.next_multiple_of(BLOCK) - offset).min(bytes.len());
        let (head, rest) = bytes.split_at(to_block);
        if !head.is_empty() {
            self.fragment(offset, Fragment::Bytes(head));
        }
        let (blocks, tail) = rest.as_chunks::<4096>();
        let mut block = (offset + to_u64(to_block)) / BLOCK;
        let mut hashes = [[0; HASH]; BATCH];
        for batch in blocks.chunks(BATCH) {
            for (to, block) in hashes.iter_mut().zip(batch) {
                *to = self.hash_block(block);
            }
            self.store(block, &hashes[..batch.len()]);
            block += to_u64(batch.len());
        }
        if !tail.is_empty() {
            self.fragment(block * BLOCK, Fragment::Bytes(tail));
        }
    }

    /// `len` zero \[bytes\] of the data at an offset. Zeros after its end are ignored.
    pub fn zeros(&self, offset: u64, len: u64) {
        let len = len.min(self.data_len().saturating_sub(offset));
        let to_block = (offset.next_multiple_of(BLOCK) - offset).min(len);
        if to_block > 0 {
            self.fragment(offset, Fragment::Zeros(to_usize(to_block)));
        }
        let (start, rest) = (offset + to_block, len - to_block);
        let hashes = [self.zero_block; BATCH];
        let (mut block, mut blocks) = (start / BLOCK, rest / BLOCK);
        while blocks > 0 {
            let now = to_usize(blocks).min(BATCH);
            self.store(block, &hashes[..now]);
            block += to_u64(now);
            blocks -= to_u64(now);
        }
        if rest % BLOCK > 0 {
            self.fragment(block * BLOCK, Fragment::Zeros(to_usize(rest % BLOCK)));
        }
    }

    /// Computes the other levels. Afterwards, the hasher is empty.
    ///
    /// # Errors
    /// If bytes of the data are missing, or came twice.
    pub fn finish(&self) -> Result<HashTree, Incomplete> {
        let mut state = self.lock();
        if state.done != self.geometry.data_blocks() || !state.partial.is_empty() {
            return Err(Incomplete);
        }
        let mut bytes = std::mem::take(&mut state.bytes);
        let superblock =
            Superblock { parameters: self.parameters.clone(), data_blocks: self.geometry.data_blocks() };
        superblock.write_block(&mut bytes);
        let mut root = state.only.unwrap_or_default();
        let levels = self.geometry.levels();
        for (index, level) in levels.iter().enumerate() {
            // A level precedes the one below it.
            let (above, below) = bytes.split_at_mut(to_usize(level.start * BLOCK));
            let (blocks, _) = below[..to_usize(level.blocks * BLOCK)].as_chunks::<4096>();
            match levels.get(index + 1) {
                Some(next) => {
                    let to = &mut above[to_usize(next.start * BLOCK)..];
                    for (to, block) in to.as_chunks_mut::<HASH>().0.iter_mut().zip(blocks) {
                        *to = self.hash_block(block);
                    }
                }
                None => root = blocks.first().map_or(root, |block| self.hash_block(block)),
            }
        }
        // Nothing can be added to it.
        state.done = u64::MAX;
        Ok(HashTree { bytes, root: RootHash(root) })
    }

    fn hash_block(&self, block: &[u8; 4096]) -> Hash {
        hash(&self.salted, block)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the hashes of consecutive blocks of data.
    fn store(&self, block: u64, hashes: &[Hash]) {
        let mut state = self.lock();
        state.done = state.done.saturating_add(to_u64(hashes.len()));
        let Some(level) = self.geometry.levels().first() else {
            state.only = hashes.first().copied();
            return;
        };
        let start = to_usize(level.start * BLOCK) + to_usize(block) * HASH;
        let to = state.bytes.get_mut(start..).unwrap_or_default();
        for (to, hash) in to.as_chunks_mut::<HASH>().0.iter_mut().zip(hashes) {
            *to = *hash;
        }
    }

    /// Adds a part of one block.
    fn fragment(&self, offset: u64, fragment: Fragment<'_>) {
        let (block, at) = (offset / BLOCK, to_usize(offset % BLOCK));
        let mut state = self.lock();
        let partial = state
            .partial
            .entry(block)
            .or_insert_with(|| Partial { bytes: vec![0; to_usize(BLOCK)], known: 0 });
        partial.known += fragment.len();
        if let Fragment::Bytes(bytes) = fragment {
            partial.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        }
        if partial.known < to_usize(BLOCK) {
            return;
        }
        let whole = state.partial.remove(&block);
        drop(state);
        if let Some(whole) = whole
            && let Some(bytes) = whole.bytes.first_chunk()
        {
            self.store(block, &[self.hash_block(bytes)]);
        }
    }
}

/// A part of a block.
#[derive(Clone, Copy)]
enum Fragment<'b> {
    Bytes(&'b [u8]),
    Zeros(usize),
}

impl Fragment<'_> {
    fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Zeros(len) => len,
        }
    }
}

fn hash(salted: &Sha256, block: &[u8; 4096]) -> Hash {
    let mut hash = salted.clone();
    hash.update(block);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(blocks: u64) -> TreeHasher {
        TreeHasher::new(Parameters::new([1; 16], vec![2; 32]).unwrap(), blocks * BLOCK).unwrap()
    }

    #[test]
    fn the_order_and_the_cuts_do_not_matter() {
        let data: Vec<u8> = (0..200 * BLOCK).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
        let whole = hasher(200);
        whole.bytes(0, &data);
        let expected = whole.finish().unwrap();
        for len in [1, 100, 4095, 4096, 4097, 100_000] {
            let parts: Vec<(usize, &[u8])> =
                data.chunks(len).enumerate().map(|(index, part)| (index * len, part)).collect();
            let cut = hasher(200);
            parts.iter().rev().for_each(|(offset, part)| cut.bytes(to_u64(*offset), part));
            assert_eq!(cut.finish().unwrap(), expected, "{len}");
        }
    }

    #[test]
    fn zeros_are_bytes() {
        for (start, len) in [(0, 4096), (1, 5), (4095, 2), (1, 300_000), (8192, 700_000), (0, 819_200)] {
            let bytes = hasher(200);
            let data = vec![0; to_usize(200 * BLOCK)];
            bytes.bytes(0, &data);
            let zeros = hasher(200);
            zeros.bytes(0, &data[..start]);
            zeros.zeros(to_u64(start), to_u64(len));
            zeros.bytes(to_u64(start + len), &data[start + len..]);
            assert_eq!(zeros.finish(), bytes.finish(), "{start} {len}");
        }
    }

    #[test]
    fn missing_bytes_are_an_error() {
        let tree = hasher(2);
        tree.bytes(0, &[1; 4096]);
        assert_eq!(tree.finish(), Err(Incomplete));
        tree.bytes(4096, &[1; 4095]);
        assert_eq!(tree.finish(), Err(Incomplete));
        tree.bytes(8191, &[1; 100]);
        assert!(tree.finish().is_ok());
        assert_eq!(tree.finish(), Err(Incomplete));
    }
}
