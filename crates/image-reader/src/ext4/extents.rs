//! Where a file's blocks are: a tree of extents, or the map of blocks of ext2 and ext3.
//!
//! Extents must ascend, and a file has no more blocks than the file system, nor more of the image's blocks than it has:
//! that bounds what a tree can cost, as each leaf must bring something new. Blocks of trees and maps are counted as work.

use super::superblock::Superblock;
use crate::bytes::Bytes;
use crate::file_system::Run;
use crate::work::Work;
use crate::{ReadError, Window};

/// The most runs of one file; each takes 24 bytes of memory.
const MOST_RUNS: usize = 1 << 22;
const MAGIC: u16 = 0xf30a;
const DEEPEST: u16 = 5;
/// The longest extent that is written; longer ones are unwritten, so zeros, and 32768 less.
const LONGEST: u32 = 1 << 15;
/// Header and entries of a node, in \[bytes\].
const ENTRY: usize = 12;

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
        let header = Bytes(node);
        let (entries, found) = (header.le16(2), header.le16(6));
        let (_, raw) = node.split_at_checked(ENTRY).unwrap_or_default();
        let raw = raw.chunks_exact(ENTRY).take(entries.into());
        let fits = raw.len() == usize::from(entries);
        if header.le16(0) != MAGIC || !fits || found > DEEPEST || depth.is_some_and(|depth| depth != found) {
            return Err(self.damaged("its tree of extents is broken"));
        }
        // An empty node below another would cost a read and bring nothing.
        if depth.is_some() && entries == 0 {
            return Err(self.damaged("its tree of extents has an empty node"));
        }
        for entry in raw.map(Bytes) {
            if let Some(below) = found.checked_sub(1) {
                let child = u64::from(entry.le16(8)) << 32 | u64::from(entry.le32(4));
                let child = self.block(child)?;
                self.node(&child, Some(below))?;
            } else {
                let length = u32::from(entry.le16(4));
                let start = u64::from(entry.le16(6)) << 32 | u64::from(entry.le32(8));
                let written = length <= LONGEST;
                let length = if written { length } else { length.saturating_sub(LONGEST) };
                self.take(entry.le32(0).into(), length.into(), written.then_some(start))?;
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
        for pointer in pointers.chunks_exact(4) {
            if at >= end {
                break;
            }
            self.mapped(Bytes(pointer).le32(0), below, at, end)?;
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
    for (index, pointer) in (0_u32..).zip(map.chunks_exact(4)) {
        let depth = index.saturating_sub(11);
        collector.mapped(Bytes(pointer).le32(0), depth, logical, blocks)?;
        logical = logical.saturating_add(pointers.saturating_pow(depth));
    }
    Ok(collector.runs)
}
