//! Inodes of fixed meaning: those without use, the journal, and the room for growth.

use ext4_layout::Compatibility::Current;
use ext4_verify::Code;

use crate::fields::SB;
use crate::image::{BLOCK, Image, full, small, tiny};
use crate::{codes, first};

/// A file system with nothing but a journal of the shortest length.
fn with_journal() -> Image {
    small(|options| options.with_journal_size(Some(4 << 20)), |tree| tree.directory("lost+found", |_| {}))
}

/// The codes of an image with other bytes at some places of an inode.
fn with(good: &Image, number: u64, fields: &[(u64, &[u8])]) -> Vec<&'static str> {
    let mut image = good.clone();
    let inode = image.inode(number);
    for (at, bytes) in fields {
        image.put(inode + at, bytes);
    }
    image.fix_inode(number);
    codes(&image)
}

#[test]
fn inodes_without_use_are_zero() {
    let good = tiny(Current);
    for number in [1, 3, 4, 5, 6, 9, 10] {
        for at in [0x00, 0x07, 0x14, 0x7b, 0xff] {
            assert_eq!(with(&good, number, &[(at, &[1])]), ["reserved-inode"], "{number} {at:#x}");
        }
        // The inode of bad blocks has three times, as mke2fs makes it.
        for at in [0x08, 0x13] {
            let expected = if number == 1 { vec![] } else { vec!["reserved-inode"] };
            assert_eq!(with(&good, number, &[(at, &[1])]), expected, "{number} {at:#x}");
        }
    }
}

/// tune2fs and e2fsck release an inode, but leave its times.
#[test]
fn a_removed_journal_or_reserve_may_leave_times() {
    let good = tiny(Current);
    for number in [7, 8] {
        for at in [0x08, 0x14, 0x64, 0x7e, 0x90] {
            assert_eq!(with(&good, number, &[(at, &[1])]), ["inode-unused-not-zero"], "{number} {at:#x}");
        }
        // Mode, size, links, flags, blocks, the block map, attributes.
        for at in [0x00, 0x01, 0x04, 0x1a, 0x1c, 0x20, 0x28, 0x63, 0x68, 0x6c, 0x74, 0x76, 0xa0, 0xff] {
            assert_eq!(with(&good, number, &[(at, &[1])]), ["reserved-inode"], "{number} {at:#x}");
        }
    }
}

#[test]
fn the_journal_is_a_file_of_root_that_nobody_else_reads() {
    let good = with_journal();
    assert_eq!(codes(&good), [""; 0]);
    for (at, bytes) in [
        (0x00, &[0xa4][..]),
        (0x02, &[1]),
        (0x18, &[1]),
        (0x1a, &[2]),
        (0x21, &[0x10]),
        (0x78, &[1]),
        (0x7a, &[1]),
        (0xa0, &[1]),
        (0xff, &[1]),
    ] {
        assert_eq!(with(&good, 8, &[(at, bytes)]), ["journal-inode"], "{at:#x}");
    }
    let text = |fields: &[(u64, &[u8])]| {
        let mut image = good.clone();
        let inode = image.inode(8);
        for (at, bytes) in fields {
            image.put(inode + at, bytes);
        }
        image.fix_inode(8);
        first(&image, Code::JournalInode)
    };
    assert_eq!(text(&[(0x02, &[1])]), "inode 8: has an owner or attributes (journal-inode)");
    assert_eq!(
        text(&[(0x1a, &[2])]),
        "inode 8: mode 100600, 2 links, flags 0x80000, 4194304 bytes; should be mode 100600, 1 links, \
         flags 0x80000, 4194304 bytes (journal-inode)"
    );
    // A byte more than whole blocks, and a block more than there are.
    for size in [(4 << 20) + 1_u32, (4 << 20) + 4096] {
        assert_eq!(with(&good, 8, &[(0x04, &size.to_le_bytes())]), ["journal-inode"], "{size}");
    }
}

#[test]
fn linux_takes_journals_of_1024_blocks_and_more() {
    let mut image = with_journal();
    let inode = image.inode(8);
    // One block less, in all that counts it.
    image.add(inode + 4, 4, (1 << 32) - BLOCK);
    image.add(inode + 0x1c, 4, (1 << 32) - 8);
    image.add(inode + 0x38, 2, 0xffff);
    image.fix_inode(8);
    assert_eq!(
        first(&image, Code::JournalTooShort),
        "inode 8: has 1023 blocks, Linux takes 1024 and more (journal-too-short)"
    );
    assert!(!codes(&image).contains(&"journal-inode"));
}

#[test]
fn the_superblock_has_a_copy_of_the_journals_map_and_size() {
    let good = with_journal();
    for at in [0x10c, 0x147, 0x148, 0x14b, 0x14c, 0x14f] {
        let mut image = good.clone();
        image.add(SB + at, 1, 1);
        image.fix_super(SB);
        assert_eq!(codes(&image), ["journal-backup"], "{at:#x}");
    }
}

/// The codes of an image with other numbers in the superblock of its journal.
fn in_journal(good: &Image, fields: &[(u64, u32)]) -> Vec<&'static str> {
    let mut image = good.clone();
    let journal = image.first(8);
    for (at, number) in fields {
        image.put(journal + at, &number.to_be_bytes());
    }
    codes(&image)
}

#[test]
fn the_journals_superblock_is_zero_where_linux_writes_nothing() {
    let good = with_journal();
    let journal = good.first(8);
    for (at, expected) in [
        (0x43, "journal-superblock"),
        (0x44, "metadata-padding"),
        (0x4f, "metadata-padding"),
        (0x50, "metadata-padding"),
        (0x53, "metadata-padding"),
        (0x54, "metadata-padding"),
        (0x57, "metadata-padding"),
        (0x5c, "metadata-padding"),
        (0xfb, "metadata-padding"),
        (0xfc, "metadata-padding"),
        (0xff, "metadata-padding"),
        (0x100, "metadata-padding"),
        (0xfff, "metadata-padding"),
        // The last byte of the journal.
        (1024 * BLOCK - 1, "journal-used"),
    ] {
        let mut image = good.clone();
        image.add(journal + at, 1, 1);
        assert_eq!(codes(&image), [expected], "{at:#x}");
    }
}

#[test]
fn a_journal_with_checksums_has_the_right_one() {
    const V2: u32 = 0x8;
    const V3: u32 = 0x10;
    const FAST_COMMIT: u32 = 0x20;
    let good = with_journal();
    let journal = good.first(8);
    for feature in [V2, V3] {
        let mut image = good.clone();
        image.put(journal + 0x28, &feature.to_be_bytes());
        image.put(journal + 0x50, &[4]);
        assert_eq!(codes(&image), ["journal-checksum", "journal-used"]);
        // Of the first 1024 bytes, with zeros in the place of the checksum.
        let crc = !crc32c::crc32c(&image.get(journal, 1024));
        image.put(journal + 0xfc, &crc.to_be_bytes());
        assert_eq!(codes(&image), ["journal-used"], "{feature:#x}");
        // The type of the checksum is CRC-32C.
        image.put(journal + 0x50, &[1]);
        assert_eq!(codes(&image), ["journal-checksum", "journal-used"]);
    }
    // Without a checksum, Linux writes the number of blocks of fast commits.
    assert_eq!(in_journal(&good, &[(0x28, FAST_COMMIT), (0x54, 7)]), ["journal-used"]);
}

#[test]
fn the_head_of_a_journal_is_in_its_log() {
    let good = with_journal();
    for (head, expected) in [
        (1, "journal-used"),
        (1023, "journal-used"),
        (1024, "journal-superblock"),
        (u32::MAX, "journal-superblock"),
    ] {
        assert_eq!(in_journal(&good, &[(0x58, head)]), [expected], "{head}");
    }
}

#[test]
fn the_room_for_growth_is_an_inode_of_root_with_one_pointer() {
    let (good, _) = full(Current);
    for (at, bytes) in [
        (0x00, &[0xa4][..]),
        (0x18, &[1]),
        (0x20, &[1]),
        (0x28, &[1]),
        (0x5b, &[1]),
        (0x60, &[1]),
        (0x63, &[1]),
        (0xff, &[1]),
    ] {
        assert_eq!(with(&good, 7, &[(at, bytes)]), ["resize-inode"], "{at:#x}");
    }
    // The length of all that the pointers can reach: 12, 1024 and 1024² blocks.
    assert_eq!(good.n(good.inode(7) + 4, 4) | good.n(good.inode(7) + 0x6c, 4) << 32, 4_299_210_752);
    // A block behind the end.
    let codes = with(&good, 7, &[(0x5c, &u32::MAX.to_le_bytes())]);
    assert!(codes.contains(&"block-outside") && !codes.contains(&"resize-pointer"), "{codes:?}");
}
