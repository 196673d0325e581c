//! Finds a file's blocks: by its extent tree, or by the block map of ext2 and ext3.
//!
//! Extents must ascend, and a file must not have more blocks than the file system, nor more readable blocks than the image.
//! That limits the cost of a tree, as each leaf must add blocks. Blocks of trees and maps are counted as work.

use ext4_ondisk::extent::{ENTRY_SIZE, MAGIC, MAX_DEPTH};
use ext4_ondisk::inode::DIRECT_BLOCKS;
use ext4_ondisk::{Extent, ExtentHeader, ExtentIndex, read_padded};

use super::superblock::Superblock;
use crate::file_system::Run;
use crate::work::Work;
use crate::{ReadError, Window};

/// Maximum number of runs of a file. Each takes 24 bytes of memory.
const MAX_RUNS: usize = 1 << 22;

/// The file system in which blocks are looked up.
#[derive(Clone, Copy)]
pub(super) struct Volume<'a> {
    pub(super) window: &'a Window,
    pub(super) superblock: &'a Superblock,
    pub(super) work: &'a Work,
}

struct Collector<'a> {
    volume: Volume<'a>,
    place: &'a str,
    runs: Vec<Run>,
    /// The first logical block that may come next.
    next: u64,
    /// Number of blocks that the file may still have.
    left: u64,
    /// Number of these that may be in the image, which may be shorter than the file system.
    readable: u64,
}

impl<'a> Collector<'a> {
    fn new(volume: Volume<'a>, place: &'a str) -> Self {
        let readable = volume.superblock.whole_blocks(volume.window.length());
        Self { volume, place, runs: Vec::new(), next: 0, left: volume.superblock.blocks, readable }
    }

    fn damaged(&self, what: impl Into<String>) -> ReadError {
        ReadError::damaged(self.place, what)
    }

    fn too_many(&self) -> ReadError {
        self.damaged("has more blocks than the file system")
    }

    fn block(&mut self, block: u64) -> Result<Vec<u8>, ReadError> {
        let Volume { window, superblock, work } = self.volume;
        self.left = self.left.checked_sub(1).ok_or_else(|| self.too_many())?;
        work.spend(self.place, superblock.block_size)?;
        let offset = superblock.offset_of(block, 1);
        let offset = offset.ok_or_else(|| self.damaged(format!("refers to block {block}")))?;
        window.bytes(offset, superblock.block_size).map_err(|error| ReadError::io(self.place, error))
    }

    /// Adds an extent. `physical` is `None` if it is not written.
    fn add(&mut self, logical: u64, length: u64, physical: Option<u64>) -> Result<(), ReadError> {
        if logical < self.next || length == 0 {
            return Err(self.damaged("its extents are out of order"));
        }
        self.next = logical.saturating_add(length);
        self.left = self.left.checked_sub(length).ok_or_else(|| self.too_many())?;
        let Some(physical) = physical else { return Ok(()) };
        let size = self.volume.superblock.block_size;
        let from = self.volume.superblock.offset_of(physical, length);
        let from = from.ok_or_else(|| self.damaged(format!("refers to {length} blocks from {physical}")))?;
        let run = Run { at: logical.saturating_mul(size), length: length.saturating_mul(size), from };
        let there = self.volume.window.part(run.from, run.length).length();
        let there = self.volume.superblock.whole_blocks(there);
        self.readable = self.readable.checked_sub(there).ok_or_else(|| self.too_many())?;
        let end = |run: &Run| (run.at.saturating_add(run.length), run.from.saturating_add(run.length));
        if let Some(last) = self.runs.last_mut()
            && end(last) == (run.at, run.from)
        {
            last.length = last.length.saturating_add(run.length);
            return Ok(());
        }
        if self.runs.len() == MAX_RUNS {
            return Err(ReadError::unsupported(self.place, format!("has more than {MAX_RUNS} extents"), ""));
        }
        self.runs.push(run);
        Ok(())
    }

    fn node(&mut self, node: &[u8], depth: Option<u16>) -> Result<(), ReadError> {
        let header: ExtentHeader = read_padded(node);
        let (entries, found) = (header.eh_entries.get(), header.eh_depth.get());
        let (_, raw) = node.split_at_checked(ENTRY_SIZE).unwrap_or_default();
        let raw = raw.chunks_exact(ENTRY_SIZE).take(entries.into());
        let fits = raw.len() == usize::from(entries);
        let is_at_depth = found <= MAX_DEPTH && depth.is_none_or(|depth| depth == found);
        if header.eh_magic.get() != MAGIC || !fits || !is_at_depth {
            return Err(self.damaged("its extent tree is invalid"));
        }
        // An empty child node would cost a read without adding blocks.
        if depth.is_some() && entries == 0 {
            return Err(self.damaged("its extent tree has an empty node"));
        }
        for entry in raw {
            if let Some(below) = found.checked_sub(1) {
                let child = self.block(read_padded::<ExtentIndex>(entry).leaf())?;
                self.node(&child, Some(below))?;
            } else {
                let extent: Extent = read_padded(entry);
                let start = extent.is_written().then(|| extent.start());
                self.add(extent.ee_block.get().into(), extent.blocks().into(), start)?;
            }
        }
        Ok(())
    }

    /// Adds a block of the map. With `depth` 0 it is a block of the file. Logical blocks are `logical` to `end`.
    fn mapped(&mut self, block: u32, depth: u32, logical: u64, end: u64) -> Result<(), ReadError> {
        if block == 0 || logical >= end {
            return Ok(());
        }
        let Some(below) = depth.checked_sub(1) else {
            return self.add(logical, 1, Some(block.into()));
        };
        let pointers = self.block(block.into())?;
        let step = (self.volume.superblock.block_size / 4).saturating_pow(below);
        let mut at = logical;
        for pointer in pointers.as_chunks().0 {
            if at >= end {
                break;
            }
            self.mapped(u32::from_le_bytes(*pointer), below, at, end)?;
            at = at.saturating_add(step);
        }
        Ok(())
    }
}

/// The runs of an extent tree, whose root is in the inode.
pub(super) fn from_tree(volume: Volume<'_>, place: &str, root: &[u8; 60]) -> Result<Vec<Run>, ReadError> {
    let mut collector = Collector::new(volume, place);
    collector.node(root, None)?;
    Ok(collector.runs)
}

/// The runs of a block map: twelve direct blocks, then single, double and triple indirect ones. The file has `blocks` blocks.
pub(super) fn from_map(
    volume: Volume<'_>,
    place: &str,
    map: &[u8; 60],
    blocks: u64,
) -> Result<Vec<Run>, ReadError> {
    let mut collector = Collector::new(volume, place);
    let pointers = volume.superblock.block_size / 4;
    let mut logical = 0_u64;
    for (index, pointer) in (0_u32..).zip(map.as_chunks().0) {
        let depth = index.saturating_add(1).saturating_sub(DIRECT_BLOCKS);
        collector.mapped(u32::from_le_bytes(*pointer), depth, logical, blocks)?;
        logical = logical.saturating_add(pointers.saturating_pow(depth));
    }
    Ok(collector.runs)
}
