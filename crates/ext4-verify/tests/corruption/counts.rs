//! Bitmaps, tables and counts of groups against what is in use.

use std::cell::RefCell;
use std::io;

use ext4_layout::Compatibility::{Current, Legacy};
use ext4_verify::{Code, Source, Unused, check};

use crate::image::{BLOCK, Image, full, small, tiny};
use crate::{codes, first};

/// A file system of one group with free blocks and inodes.
fn with_room() -> Image {
    small(
        |options| options.with_free_space(64 * BLOCK).with_free_inodes(64),
        |tree| tree.directory("lost+found", |_| {}),
    )
}

/// The first problem with a code of an image that was changed in a group.
fn text(good: &Image, code: Code, change: impl FnOnce(&mut Image)) -> String {
    let mut image = good.clone();
    change(&mut image);
    image.fix_desc(0);
    first(&image, code)
}

#[test]
fn runs_of_blocks_are_reported_with_their_place_and_length() {
    let good = with_room();
    let (bitmap, last) = (good.bitmap(0, 0), good.len / BLOCK - 1);
    let byte = bitmap + (last - 20) / 8;
    let leaked = text(&good, Code::BlockLeaked, |image| {
        image.put(byte, &[0b0001_1100]);
        image.fix_block_bitmap(0);
    });
    let from = (last - 20) / 8 * 8 + 2;
    assert_eq!(
        leaked,
        format!("block {from}: and 2 more are marked used, but nothing uses them (block-leaked)")
    );
    let missing = text(&good, Code::BlockNotMarked, |image| {
        image.put(bitmap, &[0b1111_0111]);
        image.fix_block_bitmap(0);
    });
    assert_eq!(missing, "block 3: and 0 more are used, but marked free (block-not-marked)");
}

/// The same in a group that does not begin with block 0.
#[test]
fn blocks_of_later_groups_have_numbers_of_the_file_system() {
    let (good, _) = full(Current);
    let mut image = good.clone();
    let bitmap = image.bitmap(2, 0);
    image.put(bitmap, &[0xfe]);
    image.fix_block_bitmap(2);
    assert_eq!(
        first(&image, Code::BlockNotMarked),
        "block 65536: and 0 more are used, but marked free (block-not-marked)"
    );
}

#[test]
fn bits_after_the_last_block_and_the_last_inode_are_set() {
    let good = with_room();
    let (blocks, inodes) = (good.len / BLOCK, good.n(1024 + 0x28, 4));
    for (bit, expected) in [(blocks, true), (32767, true), (blocks - 1, false)] {
        let mut image = good.clone();
        let at = image.bitmap(0, 0) + bit / 8;
        image.put(at, &[image.get(at, 1)[0] & !(1 << (bit % 8))]);
        image.fix_block_bitmap(0);
        assert_eq!(codes(&image).contains(&"block-bitmap-padding"), expected, "{bit}");
    }
    for (bit, expected) in [(inodes, true), (32767, true), (inodes - 1, false)] {
        let mut image = good.clone();
        let at = image.bitmap(0, 4) + bit / 8;
        image.put(at, &[image.get(at, 1)[0] & !(1 << (bit % 8))]);
        image.fix_inode_bitmap(0);
        assert_eq!(codes(&image).contains(&"inode-bitmap-padding"), expected, "{bit}");
    }
}

#[test]
fn inodes_are_reported_with_their_number() {
    let good = with_room();
    let bitmap = good.bitmap(0, 4);
    let leaked = text(&good, Code::InodeLeaked, |image| {
        image.put(bitmap + 2, &[1]);
        image.fix_inode_bitmap(0);
    });
    assert_eq!(leaked, "inode 17: is marked used, but no name leads to it (inode-leaked)");
    let missing = text(&good, Code::InodeNotMarked, |image| {
        image.put(bitmap + 1, &[0b0000_0011]);
        image.fix_inode_bitmap(0);
    });
    assert_eq!(missing, "inode 11: is used, but marked free (inode-not-marked)");
    // The last one of a group.
    let number = good.n(1024 + 0x28, 4);
    let leaked = text(&good, Code::InodeLeaked, |image| {
        image.put(bitmap + number / 8 - 1, &[0x80]);
        image.fix_inode_bitmap(0);
    });
    assert_eq!(leaked, format!("inode {number}: is marked used, but no name leads to it (inode-leaked)"));
    // Of another group, and in a later block of its table.
    let (mut image, _) = full(Current);
    let number = 2 * image.n(1024 + 0x28, 4) + 35;
    let at = image.inode(number);
    image.put(at + 0x1a, &[1]);
    let expected = format!("inode {number}: has links, but no name leads to it (inode-orphan)");
    assert_eq!(first(&image, Code::InodeOrphan), expected);
}

/// Linux and e2fsck leave mode and links of a deleted inode, with its time of deletion.
#[test]
fn an_unused_inode_was_deleted() {
    let good = with_room();
    for (mode, links, deleted, expected) in [
        (1, 0, 0, "inode-orphan"),
        (0, 1, 0, "inode-orphan"),
        (1, 1, 0, "inode-orphan"),
        (1, 0, 1, "inode-unused-not-zero"),
        (0, 1, 1, "inode-unused-not-zero"),
        (1, 1, 1, "inode-unused-not-zero"),
        (0, 0, 1, "inode-unused-not-zero"),
    ] {
        let mut image = good.clone();
        let at = image.inode(20);
        image.put(at, &[mode]);
        image.put(at + 0x1a, &[links]);
        image.put(at + 0x14, &[deleted]);
        assert_eq!(codes(&image), [expected], "{mode} {links} {deleted}");
    }
}

#[test]
fn counts_are_those_of_the_group() {
    let good = with_room();
    let (free_blocks, free_inodes) = (good.n(good.desc(0) + 0x0c, 2), good.n(good.desc(0) + 0x0e, 2));
    for (at, code, expected) in [
        (0x0c, Code::GroupFreeBlocks, format!("says {} free blocks, has {free_blocks}", free_blocks + 1)),
        (0x0e, Code::GroupFreeInodes, format!("says {} free inodes, has {free_inodes}", free_inodes + 1)),
        (0x10, Code::GroupUsedDirs, "says 3 directories, has 2".to_owned()),
        (
            0x1c,
            Code::ItableUnusedHides,
            format!("says that the last {} inodes are unused, only {free_inodes} are", free_inodes + 1),
        ),
    ] {
        assert_eq!(
            text(&good, code, |image| image.add(image.desc(0) + at, 2, 1)),
            format!("group 0: {expected} ({code})")
        );
    }
    let small = text(&good, Code::ItableUnusedSmall, |image| image.add(image.desc(0) + 0x1c, 2, 0xffff));
    let (less, all) = (free_inodes - 1, free_inodes);
    assert_eq!(
        small,
        format!("group 0: says that the last {less} inodes are unused, {all} are (itable-unused-small)")
    );
    // Without checksums, the field has no meaning and is 0.
    let mut image = tiny(Legacy);
    let at = image.desc(0) + 0x1c;
    image.put(at, &[1]);
    assert_eq!(codes(&image), ["itable-unused-hides"]);
}

#[test]
fn counts_of_the_superblock_are_those_of_all_groups() {
    let (good, _) = full(Current);
    for (at, code) in [(0x0c, Code::SuperblockFreeBlocks), (0x10, Code::SuperblockFreeInodes)] {
        let free = good.n(1024 + at, 4);
        let mut image = good.clone();
        image.add(1024 + at, 4, 1);
        image.fix_super(1024);
        let what = if at == 0x0c { "blocks" } else { "inodes" };
        let expected = format!("superblock: says {} free {what}, has {free} ({code})", free + 1);
        assert_eq!(first(&image, code), expected);
    }
}

/// Says that the block bitmap of a group is not written, in all copies of the descriptors that are in use.
fn unwritten_blocks(image: &mut Image, group: u64) {
    let (at, bitmap) = (image.desc(group), image.bitmap(group, 0));
    image.put(at + 0x12, &[image.get(at + 0x12, 1)[0] | 2]);
    image.put(at + 0x18, &[0; 2]);
    image.put(at + 0x38, &[0; 2]);
    image.put(bitmap, &[0; 4096]);
    image.fix_desc(group);
}

/// A group without a written block bitmap has only the copy of superblock and descriptors, and is not the last.
#[test]
fn a_block_bitmap_is_not_written_only_where_nothing_is_in_use() {
    let (good, _) = full(Current);
    let groups = good.len.div_ceil(32768 * BLOCK);
    // Group 7 has a copy of superblock and descriptors, group 8 has nothing.
    for group in [7, 8] {
        assert_eq!(good.n(good.desc(group) + 0x12, 2) & 2, 2, "{group}");
    }
    for group in [0, 2, groups - 1] {
        let mut image = good.clone();
        unwritten_blocks(&mut image, group);
        let findings = check(&image, Unused::Zeros).unwrap();
        assert!(findings.counts.contains_key(&Code::BlockUninit), "{group}");
        assert!(!findings.counts.contains_key(&Code::UninitBitmap), "{group}");
    }
}

/// The first group of any file system has inodes in use.
#[test]
fn an_inode_bitmap_is_not_written_only_where_nothing_is_in_use() {
    let mut image = with_room();
    let (at, bitmap) = (image.desc(0), image.bitmap(0, 4));
    image.put(at + 0x12, &[image.get(at + 0x12, 1)[0] | 1]);
    image.put(at + 0x1a, &[0; 2]);
    image.put(at + 0x3a, &[0; 2]);
    image.put(bitmap, &[0; 4096]);
    image.fix_desc(0);
    assert_eq!(codes(&image), ["inode-uninit"]);
}

/// An image that notes which holes of the inode tables are read.
struct Watched<'i> {
    image: &'i Image,
    tables: Vec<std::ops::Range<u64>>,
    holes: RefCell<Vec<u64>>,
}

impl Source for Watched<'_> {
    fn length(&self) -> u64 {
        self.image.length()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let in_table = self.tables.iter().any(|table| table.contains(&offset));
        if in_table && self.image.next_data(offset) >= offset + crate::image::wide(buffer.len()) {
            self.holes.borrow_mut().push(offset);
        }
        self.image.read(offset, buffer)
    }

    fn next_data(&self, offset: u64) -> u64 {
        self.image.next_data(offset)
    }
}

/// Most of the tables of a large file system are holes.
#[test]
fn holes_of_inode_tables_are_not_read() {
    let (image, _) = full(Current);
    let blocks = image.n(1024 + 0x28, 4) / 16;
    let groups = image.len.div_ceil(32768 * BLOCK);
    let tables = (0..groups).map(|group| image.bitmap(group, 8)).map(|start| start..start + blocks * BLOCK);
    let watched = Watched { image: &image, tables: tables.collect(), holes: RefCell::default() };
    assert!(check(&watched, Unused::Zeros).unwrap().is_empty());
    assert_eq!(watched.holes.into_inner(), [0; 0]);
}
