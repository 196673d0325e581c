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

#[cfg(test)]
mod tests {
    use super::super::tests::{Image, header, leaf};
    use super::*;

    type Blocks = (u64, u64, u64);

    /// Finds the blocks of a file with this inode: first in the file, number, first in the file system.
    fn find(
        image: Image,
        find: impl FnOnce(Volume<'_>) -> Result<Vec<Run>, ReadError>,
    ) -> Result<Vec<Blocks>, String> {
        limited(image, &Work::of(0), find)
    }

    fn limited(
        image: Image,
        work: &Work,
        find: impl FnOnce(Volume<'_>) -> Result<Vec<Run>, ReadError>,
    ) -> Result<Vec<Blocks>, String> {
        let window = &image.window();
        let superblock = &Superblock::read(window).unwrap();
        let found = find(Volume { window, superblock, work });
        let found =
            found.map_err(|error| error.to_string().split("; ").next().unwrap_or_default().to_owned());
        Ok(found?.iter().map(|run| (run.at / 1024, run.length / 1024, run.from / 1024)).collect())
    }

    fn root(node: &[u8]) -> [u8; 60] {
        let mut root = [0; 60];
        root[..node.len()].copy_from_slice(node);
        root
    }

    fn tree(image: Image, node: &[u8]) -> Result<Vec<Blocks>, String> {
        find(image, |volume| from_tree(volume, "file", &root(node)))
    }

    /// An inner node, with the blocks of its children.
    fn inner(depth: u16, children: &[u32]) -> Vec<u8> {
        let mut node = header(u16::try_from(children.len()).unwrap(), depth);
        for child in children {
            node.extend([0; 4]);
            node.extend(child.to_le_bytes());
            node.extend([0; 4]);
        }
        node
    }

    #[test]
    fn extents_are_joined_only_if_consecutive_in_file_and_volume() {
        for (second, joined) in [
            ((2, 3, 22), vec![(0, 5, 20)]),
            ((2, 3, 23), vec![(0, 2, 20), (2, 3, 23)]),
            ((3, 3, 22), vec![(0, 2, 20), (3, 3, 22)]),
            ((3, 3, 30), vec![(0, 2, 20), (3, 3, 30)]),
        ] {
            assert_eq!(tree(Image::new(), &leaf(&[(0, 2, 20), second])).unwrap(), joined);
        }
        assert_eq!(tree(Image::new(), &leaf(&[])).unwrap(), []);
    }

    #[test]
    fn unwritten_extents_are_holes() {
        let node = leaf(&[(0, 2, 20), (2, 0x8000 + 4, 22), (6, 1, 26)]);
        assert_eq!(tree(Image::new(), &node).unwrap(), [(0, 2, 20), (6, 1, 26)]);
    }

    #[test]
    fn extents_ascend() {
        for extents in [[(4, 2, 20), (0, 1, 30)], [(0, 2, 20), (1, 1, 30)], [(0, 2, 20), (2, 0, 30)]] {
            assert_eq!(
                tree(Image::new(), &leaf(&extents)).unwrap_err(),
                "file: its extents are out of order"
            );
        }
    }

    #[test]
    fn blocks_are_in_the_file_system_and_not_more_than_it_has() {
        assert_eq!(tree(Image::new(), &leaf(&[(0, 1, 63)])).unwrap(), [(0, 1, 63)]);
        assert_eq!(tree(Image::new(), &leaf(&[(0, 2, 63)])).unwrap_err(), "file: refers to 2 blocks from 63");
        assert_eq!(tree(Image::new(), &leaf(&[(0, 1, 0)])).unwrap_err(), "file: refers to 1 blocks from 0");
        let several = leaf(&[(0, 32, 20), (40, 32, 20)]);
        assert_eq!(tree(Image::new(), &several).unwrap().len(), 2);
        let too_many = "file: has more blocks than the file system";
        let several = leaf(&[(0, 32, 20), (40, 33, 20)]);
        assert_eq!(tree(Image::new(), &several).unwrap_err(), too_many);
        // Unwritten blocks, too.
        assert_eq!(tree(Image::new(), &leaf(&[(0, 0x8000 + 65, 1)])).unwrap_err(), too_many);
        // A truncated image has fewer blocks that can be read.
        let truncated = |blocks: usize| {
            let mut image = Image::new();
            image.bytes.truncate(blocks * 1024 + 1023);
            image
        };
        let node = leaf(&[(0, 20, 10), (20, 20, 10), (40, 20, 10)]);
        assert!(tree(truncated(60), &node).is_ok());
        assert_eq!(tree(truncated(59), &node).unwrap_err(), too_many);
    }

    #[test]
    fn trees_are_followed_to_their_depth() {
        let image = || {
            let mut image = Image::new();
            image.block(20, &inner(4, &[21]));
            image.block(21, &inner(3, &[22]));
            image.block(22, &inner(2, &[23]));
            image.block(23, &inner(1, &[24, 25]));
            image.block(24, &leaf(&[(0, 1, 30)]));
            image.block(25, &leaf(&[(1, 1, 40)]));
            image
        };
        assert_eq!(tree(image(), &inner(5, &[20])).unwrap(), [(0, 1, 30), (1, 1, 40)]);
        assert_eq!(tree(image(), &inner(1, &[24, 25])).unwrap(), [(0, 1, 30), (1, 1, 40)]);
        let invalid = "file: its extent tree is invalid";
        for node in [inner(2, &[24]), inner(1, &[23])] {
            assert_eq!(tree(image(), &node).unwrap_err(), invalid, "another depth");
        }
        let mut deep = image();
        deep.block(26, &inner(5, &[20]));
        assert_eq!(tree(deep, &inner(6, &[26])).unwrap_err(), invalid, "too deep");
        assert_eq!(tree(image(), &inner(1, &[0])).unwrap_err(), "file: refers to block 0");
        assert_eq!(tree(image(), &inner(1, &[64])).unwrap_err(), "file: refers to block 64");
    }

    #[test]
    fn nodes_must_be_valid() {
        let invalid = "file: its extent tree is invalid";
        let mut magic = leaf(&[(0, 1, 20)]);
        magic[0] = 0;
        assert_eq!(tree(Image::new(), &magic).unwrap_err(), invalid);
        // Four entries fit into an inode.
        let mut node = leaf(&[(0, 1, 20), (1, 1, 22), (2, 1, 24), (3, 1, 26)]);
        assert_eq!(tree(Image::new(), &node).unwrap().len(), 4);
        node[2] = 5;
        assert_eq!(tree(Image::new(), &node).unwrap_err(), invalid);
        // Only the root may be empty.
        let mut image = Image::new();
        image.block(20, &leaf(&[]));
        assert_eq!(tree(image, &inner(1, &[20])).unwrap_err(), "file: its extent tree has an empty node");
    }

    #[test]
    fn blocks_of_trees_count() {
        let image = || {
            let mut image = Image::new();
            image.block(20, &leaf(&[(0, 60, 1)]));
            image.block(21, &leaf(&[(60, 2, 1)]));
            image
        };
        let node = inner(1, &[20, 21]);
        let find = |work: &Work| limited(image(), work, |volume| from_tree(volume, "file", &root(&node)));
        // 62 blocks of contents and two of the tree are all.
        assert_eq!(find(&Work::left(2048)).unwrap().len(), 2);
        assert!(
            find(&Work::left(2047)).unwrap_err().contains("structures refer to the same blocks repeatedly")
        );
        let mut more = image();
        more.block(21, &leaf(&[(60, 3, 1)]));
        assert_eq!(tree(more, &node).unwrap_err(), "file: has more blocks than the file system");
    }

    #[test]
    fn maps_have_direct_and_indirect_blocks() {
        let pointers = |pointers: &[(usize, u32)]| {
            let mut block = vec![0; 1024];
            for (at, pointer) in pointers {
                block[4 * at..4 * at + 4].copy_from_slice(&pointer.to_le_bytes());
            }
            block
        };
        let image = || {
            let mut image = Image::new();
            image.block(20, &pointers(&[(0, 40), (255, 41), (1, 42)]));
            image.block(21, &pointers(&[(0, 22), (2, 23)]));
            image.block(22, &pointers(&[(0, 43)]));
            image.block(23, &pointers(&[(1, 44)]));
            image.block(24, &pointers(&[(1, 25)]));
            image.block(25, &pointers(&[(3, 26)]));
            image.block(26, &pointers(&[(5, 45)]));
            image
        };
        let inode = pointers(&[(0, 30), (1, 31), (11, 32), (12, 20), (13, 21), (14, 24)]);
        let map =
            |blocks| find(image(), |volume| from_map(volume, "file", &root(&inode[..60]), blocks)).unwrap();
        let single = [(0, 2, 30), (11, 1, 32), (12, 1, 40), (13, 1, 42), (267, 1, 41)];
        let double = [(268, 1, 43), (268 + 512 + 1, 1, 44)];
        let triple = [(268 + 65_536 + 65_536 + 3 * 256 + 5, 1, 45)];
        assert_eq!(map(1 << 24), [&single[..], &double, &triple].concat());
        // Pointers after the end of a file are ignored.
        assert_eq!(map(782), [&single[..], &double].concat());
        assert_eq!(map(781), [&single[..], &double[..1]].concat());
        assert_eq!(map(268), single);
        assert_eq!(map(267), single[..4]);
        assert_eq!(
            (map(12), map(11), map(1), map(0)),
            (single[..2].to_vec(), single[..1].to_vec(), vec![(0, 1, 30)], vec![])
        );
        // A block of pointers after the end is not read.
        let work = Work::left(0);
        assert!(limited(image(), &work, |volume| from_map(volume, "file", &root(&inode[..60]), 12)).is_ok());
        assert!(limited(image(), &work, |volume| from_map(volume, "file", &root(&inode[..60]), 13)).is_err());
    }
}
