//! Slots: files with reserved room, which a finished image still gets.

use ext4_verify::Code;
use image_tree::{Metadata, Permissions, Timestamp};

use crate::image::{BLOCK, Image, name, small};
use crate::{codes, first};

/// The inode of the slot, with room for three blocks.
const SLOT: u64 = 12;
const ROOM: u64 = 2 * BLOCK + 100;

fn with_room(bytes: u64) -> Image {
    let fill = |tree: &mut crate::image::Tree| {
        tree.directory("lost+found", |_| {});
        let metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        tree.writer.slot(name("slot"), &metadata, bytes).unwrap();
    };
    small(|options| options, fill)
}

/// Sets the extents of the slot as (first block, length, whether it is written), one behind the other on the disk, and its
/// length in \[bytes\].
fn filled(good: &Image, size: u64, extents: &[(u64, u64, bool)]) -> Image {
    let mut image = good.clone();
    let (inode, start) = (image.inode(SLOT), image.first(SLOT) / BLOCK);
    let number = |number: u64| u32::try_from(number).unwrap().to_le_bytes();
    image.put(inode + 4, &number(size));
    image.put(inode + 0x2a, &number(u64::try_from(extents.len()).unwrap())[..2]);
    for (at, (logical, len, written)) in (inode + 0x34..).step_by(12).zip(extents) {
        image.put(at, &number(*logical));
        image.put(at + 4, &number(len + if *written { 0 } else { 32768 })[..2]);
        image.put(at + 8, &number(start + logical));
    }
    image.fix_inode(SLOT);
    image
}

#[test]
fn a_slot_is_empty_partly_filled_or_full() {
    let good = with_room(ROOM);
    assert_eq!(codes(&good), [""; 0]);
    for (size, extents) in [
        (0, &[(0, 3, false)][..]),
        (1, &[(0, 1, true), (1, 2, false)]),
        (4096, &[(0, 1, true), (1, 2, false)]),
        (4097, &[(0, 2, true), (2, 1, false)]),
        (ROOM, &[(0, 3, true)]),
    ] {
        assert_eq!(codes(&filled(&good, size, extents)), [""; 0], "{size} {extents:?}");
    }
}

#[test]
fn a_slot_is_written_up_to_the_end_of_its_contents() {
    let good = with_room(ROOM);
    for (size, extents, expected) in [
        // Longer than its room.
        (ROOM + 1, &[(0, 3, true)][..], &["slot-shape"][..]),
        // Not written where the contents are, or written behind them.
        (1, &[(0, 3, false)], &["slot-shape"]),
        (1, &[(0, 3, true)], &["extent-past-end", "slot-shape"]),
        (4097, &[(0, 1, true), (1, 2, false)], &["slot-shape"]),
        (4096, &[(0, 2, true), (2, 1, false)], &["extent-past-end", "slot-shape"]),
        // A part of the room is not there.
        (0, &[(0, 2, false)], &["block-leaked", "inode-blocks", "slot-shape"]),
        (0, &[(1, 2, false)], &["block-leaked", "inode-blocks", "slot-shape"]),
    ] {
        let codes = codes(&filled(&good, size, extents));
        let codes: Vec<_> = codes
            .into_iter()
            .filter(|code| !["superblock-free-blocks", "group-free-blocks"].contains(code))
            .collect();
        assert_eq!(codes, expected, "{size} {extents:?}");
    }
    let text = first(&filled(&good, 1, &[(0, 3, false)]), Code::SlotShape);
    assert_eq!(text, "inode 12 (/slot): is a slot of 8292 bytes, but has 1 bytes and 3 blocks (slot-shape)");
}

#[test]
fn the_unused_room_of_a_slot_is_zero() {
    let good = with_room(ROOM);
    let at = good.first(SLOT);
    for (size, extents, byte, expected) in [
        (0, &[(0, 3, false)][..], at, &["slot-not-zero"][..]),
        (0, &[(0, 3, false)], at + 3 * BLOCK - 1, &["slot-not-zero"]),
        (1, &[(0, 1, true), (1, 2, false)], at + BLOCK, &["slot-not-zero"]),
        // Contents, and what is behind them in their last block.
        (1, &[(0, 1, true), (1, 2, false)], at, &[]),
        (1, &[(0, 1, true), (1, 2, false)], at + 1, &["slack-not-zero"]),
        (4096, &[(0, 1, true), (1, 2, false)], at + BLOCK - 1, &[]),
    ] {
        let mut image = filled(&good, size, extents);
        image.put(byte, &[1]);
        assert_eq!(codes(&image), expected, "{size} {}", byte - at);
    }
}

/// The attribute has decimal digits, for 1 byte to 64 MiB.
#[test]
fn the_room_of_a_slot_is_a_number() {
    for bytes in [1, 64 << 20] {
        assert_eq!(codes(&with_room(bytes)), [""; 0], "{bytes}");
    }
    let good = with_room(ROOM);
    let inode = good.inode(SLOT);
    let at = (inode + 0xa0..inode + 0x100).find(|&at| good.get(at, 4) == b"8292").unwrap();
    for (text, expected) in [
        (b"8293", &[][..]),
        (b"9999", &[]),
        (b"0292", &["slot-shape"]),
        (b"+292", &["slot-shape"]),
        (b"829x", &["slot-shape"]),
        (b"0000", &["slot-shape"]),
        // More blocks, or less of them.
        (b"8192", &["slot-shape"]),
        (b"8193", &[]),
    ] {
        let mut image = good.clone();
        image.put(at, text);
        fix_hash(&mut image);
        assert_eq!(codes(&image), expected, "{}", String::from_utf8_lossy(text));
    }
}

/// Makes the hash of the only attribute right: without one, Linux does not look at it (`ext4_xattr_inode_find`).
fn fix_hash(image: &mut Image) {
    let at = image.inode(SLOT) + 0xa4 + 12;
    image.put(at, &[0; 4]);
    image.fix_inode(SLOT);
}
