//! Where a file's blocks are: a tree of extents, or the map of blocks of ext2 and ext3.
//!
//! Extents must ascend, and a file has no more blocks than the file system: that bounds what a tree can cost, as
//! each leaf must bring something new.

use super::superblock::Superblock;
use crate::bytes::{Bytes, to_usize};
use crate::file_system::Run;
use crate::{ReadError, Window};

/// The most runs of one file; each takes 24 bytes of memory.
const MOST_RUNS: usize = 1 << 22;
const MAGIC: u16 = 0xf30a;
const DEEPEST: u16 = 5;
/// The longest extent that is written; longer ones are unwritten, so zeros, and 32768 less.
const LONGEST: u32 = 1 << 15;

struct Collector<'a> {
    window: &'a Window,
    superblock: &'a Superblock,
    place: &'a str,
    runs: Vec<Run>,
    /// The first logical block that has not been passed.
    next: u64,
    /// How many blocks a file can still have.
    left: u64,
}

impl<'a> Collector<'a> {
    fn new(window: &'a Window, superblock: &'a Superblock, place: &'a str) -> Self {
        Self { window, superblock, place, runs: Vec::new(), next: 0, left: superblock.blocks }
    }

    fn damaged(&self, what: impl Into<String>) -> ReadError {
        ReadError::damaged(self.place, what)
    }

    fn block(&mut self, block: u64) -> Result<Vec<u8>, ReadError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.damaged("has more blocks than there are"))?;
        let offset = self.superblock.offset_of(block, 1);
        let offset = offset.ok_or_else(|| self.damaged(format!("refers to block {block}")))?;
        self.window
            .bytes(offset, self.superblock.block_size)
            .map_err(|error| ReadError::io(self.place, error))
    }

    /// Takes so many blocks of the file, in one piece.
    fn take(&mut self, logical: u64, length: u64, physical: Option<u64>) -> Result<(), ReadError> {
        if logical < self.next || length == 0 {
            return Err(self.damaged("its extents are out of order"));
        }
        self.next = logical.saturating_add(length);
        self.left =
            self.left.checked_sub(length).ok_or_else(|| self.damaged("has more blocks than there are"))?;
        let Some(physical) = physical else { return Ok(()) };
        let from = self.superblock.offset_of(physical, length);
        let from =
            from.ok_or_else(|| self.damaged(format!("refers to {length} blocks from {physical} on")))?;
        let size = self.superblock.block_size;
        let run = Run { at: logical.saturating_mul(size), length: length.saturating_mul(size), from };
        if let Some(last) = self.runs.last_mut()
            && (last.at + last.length, last.from + last.length) == (run.at, run.from)
        {
            last.length += run.length;
            return Ok(());
        }
        if self.runs.len() == MOST_RUNS {
            return Err(ReadError::unsupported(self.place, format!("is in more than {MOST_RUNS} pieces")));
        }
        self.runs.push(run);
        Ok(())
    }

    fn node(&mut self, node: &[u8], depth: Option<u16>) -> Result<(), ReadError> {
        let header = Bytes(node);
        let (entries, found) = (header.le16(2), header.le16(6));
        let fits = 12 + usize::from(entries) * 12 <= node.len();
        if header.le16(0) != MAGIC || !fits || found > DEEPEST || depth.is_some_and(|depth| depth != found) {
            return Err(self.damaged("its tree of extents is broken"));
        }
        // An empty node below another would cost a read and bring nothing.
        if depth.is_some() && entries == 0 {
            return Err(self.damaged("its tree of extents has an empty node"));
        }
        for index in 0..usize::from(entries) {
            let entry = Bytes(header.slice(12 + index * 12, 12));
            if let Some(below) = found.checked_sub(1) {
                let child = u64::from(entry.le16(8)) << 32 | u64::from(entry.le32(4));
                let child = self.block(child)?;
                self.node(&child, Some(below))?;
            } else {
                let length = u32::from(entry.le16(4));
                let start = u64::from(entry.le16(6)) << 32 | u64::from(entry.le32(8));
                let written = length <= LONGEST;
                let length = if written { length } else { length - LONGEST };
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
        if depth == 0 {
            return self.take(logical, 1, Some(block.into()));
        }
        let pointers = self.block(block.into())?;
        let step = (self.superblock.block_size / 4).saturating_pow(depth - 1);
        for index in 0..to_usize(self.superblock.block_size / 4) {
            let at = logical.saturating_add(step.saturating_mul(crate::bytes::to_u64(index)));
            self.mapped(Bytes(&pointers).le32(index * 4), depth - 1, at, end)?;
        }
        Ok(())
    }
}

/// The runs of a tree whose root is in the inode.
pub(super) fn from_tree(
    window: &Window,
    superblock: &Superblock,
    place: &str,
    root: &[u8; 60],
) -> Result<Vec<Run>, ReadError> {
    let mut collector = Collector::new(window, superblock, place);
    collector.node(root, None)?;
    Ok(collector.runs)
}

/// The runs of a map: twelve blocks, then one, two and three steps away. The file has so many blocks.
pub(super) fn from_map(
    window: &Window,
    superblock: &Superblock,
    place: &str,
    map: &[u8; 60],
    blocks: u64,
) -> Result<Vec<Run>, ReadError> {
    let mut collector = Collector::new(window, superblock, place);
    let pointers = superblock.block_size / 4;
    let mut logical = 0;
    for index in 0..15 {
        let depth = u32::try_from(index).unwrap_or(0).saturating_sub(11);
        collector.mapped(Bytes(map).le32(index * 4), depth, logical, blocks)?;
        logical = logical.saturating_add(pointers.saturating_pow(depth));
    }
    Ok(collector.runs)
}
