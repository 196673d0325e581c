use super::*;
use crate::sample::{BLOCKS, Sample};

const FILE: u16 = 0o100_644;
const LINK: u16 = 0o120_777;

/// A node: its header, and its entries of 12 bytes.
fn node(max: u16, depth: u16, entries: &[[u8; 12]]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).unwrap();
    let header = [MAGIC, count, max, depth, 0, 0].map(u16::to_le_bytes).concat();
    [header, entries.concat()].concat()
}

/// An extent: first block, length as it is stored, place.
fn entry(logical: u32, length: u16, start: u64) -> [u8; 12] {
    let start = start.to_le_bytes();
    [&logical.to_le_bytes()[..], &length.to_le_bytes(), &start[4..6], &start[..4]]
        .concat()
        .try_into()
        .unwrap()
}

/// An index: first block, and the block of the node below.
fn index(logical: u32, block: u64) -> [u8; 12] {
    let block = block.to_le_bytes();
    [&logical.to_le_bytes()[..], &block[..4], &block[4..6], &[0; 2]].concat().try_into().unwrap()
}

fn leaf(extents: &[[u8; 12]]) -> Sample {
    Sample::new(FILE, 0, &node(4, 0, extents))
}

fn mapped(sample: &Sample) -> (Mapped, Vec<&'static str>) {
    let (mapped, codes) = sample.check(|cx| extents(cx).unwrap());
    (mapped, codes)
}

fn codes(sample: &Sample) -> Vec<&'static str> {
    mapped(sample).1
}

#[test]
fn a_tree_maps_blocks_of_the_contents_to_those_of_the_file_system() {
    let (mapped, codes) = mapped(&leaf(&[entry(0, 3, 1000), entry(3, 2, 2000), entry(10, 1, 3000)]));
    assert_eq!(codes, [""; 0]);
    let found = [0, 2, 3, 4, 5, 9, 10, 11].map(|logical| mapped.block(logical));
    assert_eq!(found, [Some(1000), Some(1002), Some(2000), Some(2001), None, None, Some(3000), None]);
    assert_eq!((mapped.blocks(), mapped.all_blocks(), mapped.end), (6, 6, 11));
    assert!(!mapped.is_whole());
    assert_eq!(Mapped::default().block(0), None);
}

#[test]
fn contents_are_whole_without_holes_and_unwritten_blocks() {
    for (extents, whole) in [
        (&[entry(0, 3, 1000), entry(3, 2, 2000)][..], true),
        (&[], true),
        (&[entry(0, 3, 1000), entry(4, 1, 2000)], false),
        (&[entry(1, 3, 1000)], false),
        (&[entry(0, 3, 1000), entry(3, 32768 + 2, 2000)], false),
    ] {
        assert_eq!(mapped(&leaf(extents)).0.is_whole(), whole, "{extents:?}");
    }
}

/// 32,768 blocks are the longest written extent; unwritten ones have 1 to 32,767.
#[test]
fn the_length_of_an_extent_says_whether_it_is_written() {
    for (length, len, written, codes) in [
        (1, 1, true, vec![]),
        (32768, 32768, true, vec![]),
        (32769, 1, false, vec!["extent-unwritten"]),
        (65535, 32767, false, vec!["extent-unwritten"]),
    ] {
        let (mapped, found) = mapped(&leaf(&[entry(0, length, 1000)]));
        assert_eq!(mapped.runs, [Run { logical: 0, start: 1000, len, written }]);
        assert_eq!(found, codes, "{length}");
    }
    assert_eq!(codes(&leaf(&[entry(0, 0, 1000)])), ["extent-length"]);
}

#[test]
fn extents_are_in_order_and_end_with_the_largest_file() {
    for (extents, expected) in [
        (&[entry(5, 2, 1000), entry(6, 1, 2000)][..], vec!["extent-order"]),
        (&[entry(5, 2, 1000), entry(7, 1, 2000)], vec![]),
        (&[entry(5, 2, 1000), entry(4, 1, 2000)], vec!["extent-order"]),
        (&[entry(u32::MAX, 1, 1000)], vec![]),
        (&[entry(u32::MAX, 2, 1000)], vec!["extent-order"]),
        // Two of the same blocks, and one that ends behind the file system.
        (&[entry(0, 2, 1000), entry(2, 1, 1001)], vec!["block-shared"]),
        (&[entry(0, 2, BLOCKS - 2)], vec![]),
        (&[entry(0, 3, BLOCKS - 2)], vec!["block-outside"]),
        (&[entry(0, 1, (1 << 32) + 1000)], vec!["block-outside"]),
        // A file may have holes up to its largest length.
        (&[entry(1 << 31, 4, 1000)], vec![]),
    ] {
        assert_eq!(codes(&leaf(extents)), expected, "{extents:?}");
    }
}

#[test]
fn extents_that_could_be_one_are_reported() {
    for (extents, expected) in [
        (&[entry(0, 2, 1000), entry(2, 1, 1002)][..], vec!["extent-split"]),
        // Not one behind the other on the disk, or in the file.
        (&[entry(0, 2, 1000), entry(2, 1, 1003)], vec![]),
        (&[entry(0, 2, 1000), entry(3, 1, 1002)], vec![]),
        // The first is as long as an extent can be.
        (&[entry(0, 32768, 1000), entry(32768, 1, 33768)], vec![]),
        (&[entry(0, 32767, 1000), entry(32767, 1, 33767)], vec!["extent-split"]),
        // Only one of the two is written.
        (&[entry(0, 2, 1000), entry(2, 32769, 1002)], vec!["extent-unwritten"]),
        (
            &[entry(0, 32770, 1000), entry(2, 32769, 1002)],
            vec!["extent-unwritten", "extent-unwritten", "extent-split"],
        ),
    ] {
        assert_eq!(codes(&leaf(extents)), expected, "{extents:?}");
    }
}

/// An extent at each place of a node in a block.
fn full_block() -> Vec<[u8; 12]> {
    (0..340).map(|at| entry(2 * at, 1, 1000 + u64::from(at))).collect()
}

#[test]
fn a_node_has_as_many_entries_as_there_is_room() {
    assert_eq!(codes(&leaf(&full_block()[..4])), [""; 0]);
    let root = Sample::new(FILE, 0, &node(4, 1, &[index(0, 500)]));
    let (mapped, found) = mapped(&root.block(500, &node(340, 0, &full_block())));
    assert_eq!((mapped.blocks(), mapped.all_blocks(), found), (340, 341, vec![]));
    for (max, depth, count) in [
        // More than the room, another room, too deep.
        (4, 0, 5),
        (3, 0, 1),
        (5, 0, 1),
        (4, 6, 1),
        // Only a file without blocks has a node without entries.
        (4, 1, 0),
    ] {
        let mut bytes = node(max, depth, &[entry(0, 1, 1000)]);
        bytes[2] = count;
        assert_eq!(codes(&Sample::new(FILE, 0, &bytes)), ["extent-header"], "{max} {depth} {count}");
    }
    let root = Sample::new(FILE, 0, &node(4, 1, &[index(0, 500)]));
    assert_eq!(codes(&root.block(500, &node(340, 0, &[]))), ["extent-header"]);
    assert_eq!(codes(&Sample::new(FILE, 0, &[0; 60])), ["extent-magic"]);
}

/// Five levels of blocks below the inode.
#[test]
fn a_tree_may_have_five_levels() {
    let mut sample = Sample::new(FILE, 0, &node(4, 5, &[index(7, 500)]));
    for depth in 1..5 {
        let below = node(340, depth, &[index(7, 500 + u64::from(4 - depth) + 1)]);
        sample = sample.block(500 + u64::from(4 - depth), &below);
    }
    let (mapped, codes) = mapped(&sample.block(504, &node(340, 0, &[entry(7, 1, 1000)])));
    assert_eq!((mapped.nodes, mapped.block(7), codes), (5, Some(1000), vec![]));
}

#[test]
fn an_index_leads_to_a_node_one_level_below_that_begins_with_its_block() {
    for (first, block, depth, expected) in [
        (0, 500, 0, &[][..]),
        (1, 500, 0, &["extent-index"]),
        (0, 500, 1, &["extent-depth"]),
        (0, BLOCKS, 0, &["block-outside"]),
        (0, (1 << 32) + 500, 0, &["block-outside"]),
    ] {
        let root = Sample::new(FILE, 0, &node(4, 1, &[index(first, block)]));
        let below = node(340, depth, &[entry(0, 1, 1000)]);
        assert_eq!(codes(&root.block(500, &below)), expected, "{first} {block} {depth}");
    }
    // Its last two bytes have no use.
    let mut last = index(0, 500);
    last[10] = 1;
    let root = Sample::new(FILE, 0, &node(4, 1, &[last]));
    assert_eq!(codes(&root.block(500, &node(340, 0, &[entry(0, 1, 1000)]))), ["extent-unused"]);
    // A node that is its own child is read once.
    let root = Sample::new(FILE, 0, &node(4, 2, &[index(0, 500)]));
    assert_eq!(codes(&root.block(500, &node(340, 1, &[index(0, 500)]))), ["block-shared"]);
}

#[test]
fn the_rest_of_a_node_is_zero() {
    for at in [8, 24, 59] {
        let mut bytes = node(4, 0, &[entry(0, 1, 1000)]);
        bytes.resize(60, 0);
        bytes[at] = 1;
        assert_eq!(codes(&Sample::new(FILE, 0, &bytes)), ["extent-unused"], "{at}");
    }
    for (at, expected) in [(4091, "extent-unused"), (4092, "extent-checksum")] {
        let mut bytes = node(340, 0, &[entry(0, 1, 1000)]);
        bytes.resize(4096, 0);
        bytes[at] = 1;
        let root = Sample::new(FILE, 0, &node(4, 1, &[index(0, 500)]));
        assert_eq!(codes(&root.block(500, &bytes)), [expected], "{at}");
    }
}

/// A file of this length with two written blocks.
fn file(size: u64) -> Sample {
    Sample::new(FILE, size, &node(4, 0, &[entry(0, 2, 1000)]))
}

fn contents(sample: &Sample) -> Vec<&'static str> {
    sample.check(|cx| file_contents(cx, None).unwrap()).1
}

#[test]
fn a_file_ends_in_its_last_block_or_in_a_hole() {
    for (size, expected) in [
        (4096, &["extent-past-end"][..]),
        (4097, &[]),
        (8192, &[]),
        (8193, &[]),
        ((1 << 44) - 1, &[]),
        (1 << 44, &["inode-size"]),
    ] {
        assert_eq!(contents(&file(size)), expected, "{size}");
    }
    // Reserved with fallocate.
    let reserved = Sample::new(FILE, 100, &node(4, 0, &[entry(0, 1, 1000), entry(1, 32769, 1001)]));
    assert_eq!(contents(&reserved), ["extent-unwritten", "extent-reserved"]);
}

#[test]
fn the_last_block_is_zero_behind_the_end() {
    for (size, at, expected) in [
        (4097, 0, &[][..]),
        (4097, 1, &["slack-not-zero"]),
        (8191, 4094, &[]),
        (8191, 4095, &["slack-not-zero"]),
        (8192, 4095, &[]),
        (8193, 4095, &[]),
    ] {
        let mut bytes = [0; 4096];
        bytes[at] = 1;
        assert_eq!(contents(&file(size).block(1001, &bytes)), expected, "{size} {at}");
    }
    let mut bytes = [0; 4096];
    bytes[99] = 1;
    let (_, findings) = file(4106).block(1001, &bytes).findings(|cx| file_contents(cx, None).unwrap());
    let text = "inode 12: byte 89 behind the end of its last block 1001 is not zero (slack-not-zero)";
    assert_eq!(findings.problems[0].to_string(), text);
}

/// A target in the inode.
fn fast(target: &[u8], size: u64) -> Sample {
    Sample::new(LINK, size, target)
}

/// A target in block 1000.
fn slow(target: &[u8], size: u64) -> Sample {
    let link = Sample::new(LINK, size, &node(4, 0, &[entry(0, 1, 1000)]));
    link.with(0x20, &FLAG_EXTENTS.to_le_bytes()).block(1000, target)
}

fn target(sample: &Sample) -> ((u64, Vec<u8>), Vec<&'static str>) {
    sample.check(|cx| symlink(cx).unwrap())
}

#[test]
fn a_short_target_is_in_the_inode() {
    for size in [1, 59] {
        let text = vec![b't'; usize::try_from(size).unwrap()];
        assert_eq!(target(&fast(&text, size)), ((0, text), vec![]));
    }
    assert_eq!(target(&fast(&[b't'; 60], 60)).1, ["inode-flags"]);
    assert_eq!(target(&fast(&[], 0)).1, ["symlink-target"]);
    assert_eq!(target(&fast(b"a\0b", 3)).1, ["symlink-target"]);
    assert_eq!(target(&fast(b"abc", 2)).1, ["symlink-target", "slack-not-zero"]);
    assert_eq!(target(&fast(b"ab\0c", 2)).1, ["slack-not-zero"]);
}

#[test]
fn a_long_target_has_a_block() {
    for size in [60, 4095] {
        let text = vec![b't'; usize::try_from(size).unwrap()];
        assert_eq!(target(&slow(&text, size)), ((1, text), vec![]));
    }
    assert_eq!(target(&slow(&[b't'; 4096], 4096)).1, ["symlink-target"]);
    assert_eq!(target(&slow(&[b't'; 59], 59)).1, ["symlink-place"]);
    assert_eq!(target(&slow(&[[b't'; 60], [0; 60]].concat(), 61)).1, ["symlink-target"]);
    assert_eq!(target(&slow(&[b't'; 61], 60)).1, ["symlink-target", "slack-not-zero"]);
    // Not one block, or one that is not written.
    for extents in [&[entry(0, 2, 1000)][..], &[entry(1, 1, 1000)], &[]] {
        let link = Sample::new(LINK, 100, &node(4, 0, extents));
        assert_eq!(target(&link.with(0x20, &FLAG_EXTENTS.to_le_bytes())).1, ["inode-size"], "{extents:?}");
    }
    let link = Sample::new(LINK, 100, &node(4, 0, &[entry(0, 32769, 1000)]));
    let codes = target(&link.with(0x20, &FLAG_EXTENTS.to_le_bytes())).1;
    assert_eq!(codes, ["extent-unwritten", "inode-size"]);
}

/// `old_valid_dev` and `new_encode_dev` of Linux: the new form only where the old one is too small.
#[test]
fn a_device_has_the_shortest_form() {
    for (old, new, is_device, is_other) in [
        (0_u32, 0_u32, true, true),
        (0x0501, 0, true, false),
        (0xffff, 0, true, false),
        (0x1_0000, 0, false, false),
        // Major 255 and minor 255 fit in the old form; 256 does not.
        (0, 0xffff, false, false),
        (0, 0x1_0000, true, false),
        (0, 0x0010_0000, true, false),
        (0, 0x000f_0000, true, false),
        (1, 0x1_0000, false, false),
    ] {
        let map = [old, new].map(u32::to_le_bytes).concat();
        for (wants_device, right) in [(true, is_device), (false, is_other)] {
            let ((), codes) = Sample::new(0o020_644, 0, &map).check(|cx| special(cx, wants_device));
            assert_eq!(codes.is_empty(), right, "{old:#x} {new:#x} {wants_device}: {codes:?}");
        }
    }
    for at in [8, 59] {
        let mut map = [0; 60];
        (map[0], map[at]) = (1, 1);
        assert_eq!(
            Sample::new(0o020_644, 0, &map).check(|cx| special(cx, true)).1,
            ["device-number"],
            "{at}"
        );
    }
    assert_eq!(Sample::new(0o010_644, 1, &[]).check(|cx| special(cx, false)).1, ["inode-size"]);
}

#[test]
fn room_is_written_in_decimal_digits() {
    let most = (64_u64 << 20).to_string();
    for (text, wanted) in [("1", Some(1)), ("8292", Some(8292)), (&most, Some(64 << 20))] {
        assert_eq!(room(text.as_bytes()), wanted);
    }
    for text in ["", "0", "01", "+1", "-1", " 1", "1 ", "x", "67108865"] {
        assert_eq!(room(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(room(b"\xff"), None);
}
