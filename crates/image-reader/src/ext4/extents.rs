//! Where a file's blocks are: a tree of extents, or the map of blocks of ext2 and ext3.
//!
//! Extents must ascend, and a file has no more blocks than the file system, nor more of the image's blocks than it has:
//! that bounds what a tree can cost, as each leaf must bring something new. Blocks of trees and maps are counted as work.

use ext4_ondisk::extent::{ENTRY_SIZE, MAGIC, MAX_DEPTH};
use ext4_ondisk::inode::DIRECT_BLOCKS;
use ext4_ondisk::{Extent, ExtentHeader, ExtentIndex, read_padded};

use super::superblock::Superblock;
use crate::file_system::Run;
use crate::work::Work;
use crate::{ReadError, Window};

/// The most runs of one file; each takes 24 bytes of memory.
const MOST_RUNS: usize = 1 << 22;

/// What a file's blocks are looked up in.
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
    /// The first logical block that has not been passed.
    next: u64,
    /// How many blocks a file can still have.
    left: u64,
    /// How many of them can still be in the image, which may be shorter than the file system.
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
        self.damaged("has more blocks than there are")
    }

    fn block(&mut self, block: u64) -> Result<Vec<u8>, ReadError> {
        let Volume { window, superblock, work } = self.volume;
        self.left = self.left.checked_sub(1).ok_or_else(|| self.too_many())?;
        work.spend(self.place, superblock.block_size)?;
        let offset = superblock.offset_of(block, 1);
        let offset = offset.ok_or_else(|| self.damaged(format!("refers to block {block}")))?;
        window.bytes(offset, superblock.block_size).map_err(|error| ReadError::io(self.place, error))
    }

    /// Takes so many blocks of the file, in one piece.
    fn take(&mut self, logical: u64, length: u64, physical: Option<u64>) -> Result<(), ReadError> {
        if logical < self.next || length == 0 {
            return Err(self.damaged("its extents are out of order"));
        }
        self.next = logical.saturating_add(length);
        self.left = self.left.checked_sub(length).ok_or_else(|| self.too_many())?;
        let Some(physical) = physical else { return Ok(()) };
        let size = self.volume.superblock.block_size;
        let from = self.volume.superblock.offset_of(physical, length);
        let from =
            from.ok_or_else(|| self.damaged(format!("refers to {length} blocks from {physical} on")))?;
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
        if self.runs.len() == MOST_RUNS {
            return Err(ReadError::unsupported(
                self.place,
                format!("is in more than {MOST_RUNS} pieces"),
                "",
            ));
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
            return Err(self.damaged("its tree of extents is broken"));
        }
        // An empty node below another would cost a read and bring nothing.
        if depth.is_some() && entries == 0 {
            return Err(self.damaged("its tree of extents has an empty node"));
        }
        for entry in raw {
            if let Some(below) = found.checked_sub(1) {
                let child = self.block(read_padded::<ExtentIndex>(entry).leaf())?;
                self.node(&child, Some(below))?;
            } else {
                let extent: Extent = read_padded(entry);
                let start = extent.is_written().then(|| extent.start());
                self.take(extent.ee_block.get().into(), extent.blocks().into(), start)?;
            }
        }
        Ok(())
    }

    /// A block of the map: `depth` 0 is a block of the file itself. Goes on at `logical`, ends at `end`.
    fn mapped(&mut self, block: u32, depth: u32, logical: u64, end: u64) -> Result<(), ReadError> {
        if block == 0 || logical >= end {
            return Ok(());
        }
        let Some(below) = depth.checked_sub(1) else {
            return self.take(logical, 1, Some(block.into()));
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

/// The runs of a tree whose root is in the inode.
pub(super) fn from_tree(volume: Volume<'_>, place: &str, root: &[u8; 60]) -> Result<Vec<Run>, ReadError> {
    let mut collector = Collector::new(volume, place);
    collector.node(root, None)?;
    Ok(collector.runs)
}

/// The runs of a map: twelve blocks, then one, two and three steps away. The file has so many blocks.
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
