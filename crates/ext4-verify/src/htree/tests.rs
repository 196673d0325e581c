use super::*;
use crate::extents::Run;
use crate::sample::Sample;

#[test]
fn a_hash_belongs_to_two_blocks_only_where_it_continues() {
    let (ends, continues) =
        (Bounds { from: 0x10, until: Some(0x20) }, Bounds { from: 0x10, until: Some(0x21) });
    for (hash, in_first, in_second) in [
        (0x0e, false, false),
        (0x10, true, true),
        (0x1e, true, true),
        (0x20, false, true),
        (0x22, false, false),
    ] {
        assert_eq!((ends.contains(hash), continues.contains(hash)), (in_first, in_second), "{hash:#x}");
    }
    let last = Bounds { from: 0x21, until: None };
    assert!(last.contains(0x20) && last.contains(u32::MAX - 1) && !last.contains(0x1e));
}

#[test]
fn bounds_are_shown_as_hashes() {
    assert_eq!(Bounds { from: 0x10, until: Some(0x21) }.to_string(), "0x00000010 to 0x00000021");
    assert_eq!(Bounds { from: 0, until: None }.to_string(), "0x00000000 and more");
}

/// The inode that holds the directory of a sample.
const PARENT: u32 = 2;

/// The entries of an index: a hash and a block each, except that the first has no hash.
fn entries(limit: u16, entries: &[(u32, u32)]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).unwrap();
    let mut bytes = entries
        .iter()
        .flat_map(|(hash, block)| [*hash, *block].map(u32::to_le_bytes).concat())
        .collect::<Vec<_>>();
    bytes.splice(..4.min(bytes.len()), [limit, count].map(u16::to_le_bytes).concat());
    bytes
}

/// The root of an index of half MD4 without checksum.
fn root(levels: u8, given: &[(u32, u32)]) -> Vec<u8> {
    let dot = [&12_u32.to_le_bytes()[..], &[12, 0, 1, 2], b".\0\0\0"].concat();
    let dotdot = [&PARENT.to_le_bytes()[..], &[0xf4, 0x0f, 2, 2], b"..\0\0"].concat();
    [dot, dotdot, vec![0, 0, 0, 0, 1, 8, levels, 0], entries(508, given)].concat()
}

/// A block of an index below its root.
fn node(given: &[(u32, u32)]) -> Vec<u8> {
    [vec![0, 0, 0, 0, 0, 0x10, 0, 0], entries(511, given)].concat()
}

/// A directory of some blocks, in the blocks of the file system from 1000 on.
fn read(blocks: &[Vec<u8>]) -> (Index, Vec<&'static str>) {
    let len = u64::try_from(blocks.len()).unwrap();
    let mut mapped = Mapped::default();
    mapped.runs.push(Run { logical: 0, start: 1000, len, written: true });
    let empty = Sample::new(0o040_755, 4096 * len, &[]);
    let sample = (1000..).zip(blocks).fold(empty, |sample, (at, bytes)| sample.block(at, bytes));
    sample.check(|cx| index(cx, PARENT, &mapped).unwrap())
}

fn codes(blocks: &[Vec<u8>]) -> Vec<&'static str> {
    read(blocks).1
}

/// What a block of a directory is for, in words.
fn leaves(index: &Index, blocks: std::ops::Range<u64>) -> Vec<String> {
    blocks.map(|block| index.leaf(block).map_or("none".to_owned(), |bounds| bounds.to_string())).collect()
}

#[test]
fn an_index_of_one_level_leads_to_blocks_of_names() {
    let (index, codes) = read(&[root(0, &[(0, 2), (0x40, 1), (0x80, 3)]), vec![], vec![], vec![]]);
    assert_eq!(codes, [""; 0]);
    let expected =
        ["none", "0x00000040 to 0x00000080", "0x00000000 to 0x00000040", "0x00000080 and more", "none"];
    assert_eq!(leaves(&index, 0..5), expected);
    assert!(index.is_node(0) && !index.is_node(1));
    assert_eq!(index.hash(b"name"), Hasher::new(Hash::HalfMd4, true, [1, 2, 3, 4]).hash(b"name"));
}

#[test]
fn an_index_of_two_levels_leads_to_nodes_that_lead_to_blocks_of_names() {
    let (top, first, second) =
        (root(1, &[(0, 1), (0x80, 2)]), node(&[(0, 3), (0x40, 4)]), node(&[(0, 5), (0xc0, 6)]));
    let (index, codes) = read(&[top, first, second, vec![], vec![], vec![], vec![]]);
    assert_eq!(codes, [""; 0]);
    let expected = [
        "0x00000000 to 0x00000040",
        "0x00000040 to 0x00000080",
        "0x00000080 to 0x000000c0",
        "0x000000c0 and more",
    ];
    assert_eq!(leaves(&index, 3..7), expected);
    assert_eq!([0, 1, 2, 3].map(|block| index.is_node(block)), [true, true, true, false]);
}

#[test]
fn an_index_begins_with_the_dots_of_its_directory() {
    for (at, byte, expected) in [
        (0, 13, "directory-dots"),
        (4, 13, "directory-dots"),
        (8, b'x', "directory-dots"),
        (12, 3, "directory-parent"),
        (16, 0xf5, "directory-dots"),
        (23, 1, "directory-dots"),
    ] {
        let mut bytes = root(0, &[(0, 1)]);
        bytes[at] = byte;
        assert_eq!(codes(&[bytes, vec![]]), [expected], "{at}");
    }
}

#[test]
fn the_header_of_an_index_has_fixed_values() {
    for (at, byte, expected, is_read) in [
        (0x18, 1, &["htree-header"][..], true),
        (0x1b, 1, &["htree-header"], true),
        (0x1f, 1, &["htree-header"], true),
        (0x1d, 7, &["htree-header"], false),
        (0x1e, 2, &["htree-header"], false),
        // The first hash of ext2, and one that is not known here.
        (0x1c, 0, &["htree-hash"], true),
        (0x1c, 2, &["htree-hash"], false),
    ] {
        let mut bytes = root(0, &[(0, 1)]);
        bytes[at] = byte;
        let (index, codes) = read(&[bytes, vec![]]);
        assert_eq!((codes, index.leaf(1).is_some()), (expected.to_vec(), is_read), "{at:#x}");
    }
    // An index of two levels is read in spite of such a value, too.
    let mut bytes = root(1, &[(0, 1)]);
    bytes[0x18] = 1;
    let (index, codes) = read(&[bytes, node(&[(0, 2)]), vec![]]);
    assert_eq!((codes, index.leaf(2).is_some()), (vec!["htree-header"], true));
    let mut bytes = root(0, &[(0, 1)]);
    bytes[0x1c] = 0;
    assert_eq!(read(&[bytes, vec![]]).0.hash(b"a"), Hasher::new(Hash::Legacy, true, [0; 4]).hash(b"a"));
}

#[test]
fn an_index_has_at_least_one_entry_and_at_most_as_many_as_there_is_room() {
    let many = |count: u32| (0..count).map(|at| (2 * at, 1 + at)).collect::<Vec<_>>();
    let blocks = |root: Vec<u8>, count: usize| [vec![root], vec![vec![]; count]].concat();
    assert_eq!(codes(&blocks(root(0, &many(508)), 508)), [""; 0]);
    let nodes = [root(1, &[(0, 1)]), node(&many(512)[1..])];
    assert_eq!(codes(&[&nodes[..], &vec![vec![]; 511]].concat()), [""; 0]);
    for (count, expected) in [(0_u16, "htree-count"), (509, "htree-count")] {
        let mut bytes = root(0, &many(508));
        bytes[0x22..0x24].copy_from_slice(&count.to_le_bytes());
        assert_eq!(codes(&blocks(bytes, 508)), [expected], "{count}");
    }
    for limit in [507_u16, 509] {
        let mut bytes = root(0, &many(2));
        bytes[0x20..0x22].copy_from_slice(&limit.to_le_bytes());
        assert_eq!(codes(&blocks(bytes, 2)), ["htree-limit"], "{limit}");
    }
}

#[test]
fn the_room_behind_the_entries_is_zero() {
    for at in [0x30, 4091, 4095] {
        let mut bytes = root(0, &[(0, 1), (2, 2)]);
        bytes.resize(4096, 0);
        bytes[at] = 1;
        assert_eq!(codes(&[bytes, vec![], vec![]]), ["htree-padding"], "{at}");
    }
}

#[test]
fn the_hashes_of_an_index_ascend() {
    let of = |given: &[(u32, u32)]| codes(&[root(0, given), vec![], vec![], vec![]]);
    assert_eq!(of(&[(0, 1), (0x40, 2), (0x40, 3)]), [""; 0]);
    assert_eq!(of(&[(0, 1), (0x40, 2), (0x3e, 3)]), ["htree-order"]);
    // A node begins with the hash that its parent has for it.
    for (second, expected) in [(0x80, &[][..]), (0x7e, &["htree-order"])] {
        let top = root(1, &[(0, 1), (0x80, 2)]);
        let nodes = [top, node(&[(0, 3)]), node(&[(0, 4), (second, 5)]), vec![], vec![], vec![]];
        assert_eq!(codes(&nodes), expected, "{second:#x}");
    }
}

#[test]
fn an_index_leads_to_each_block_once() {
    let of = |given: &[(u32, u32)]| codes(&[root(0, given), vec![], vec![]]);
    assert_eq!(of(&[(0, 1), (2, 2)]), [""; 0]);
    for block in [0, 1, 3] {
        assert_eq!(of(&[(0, 1), (2, block)]), ["htree-block"], "{block}");
    }
    let below = |given: &[(u32, u32)], first: Vec<u8>| codes(&[root(1, given), first, vec![]]);
    assert_eq!(below(&[(0, 1)], node(&[(0, 2)])), [""; 0]);
    // A node twice, the root, one that is not there; a node as a block of names.
    for block in [0, 1, 3] {
        assert_eq!(below(&[(0, 1), (2, block)], node(&[(0, 2)])), ["htree-block"], "{block}");
    }
    assert_eq!(below(&[(0, 1)], node(&[(0, 1)])), ["htree-block"]);
}

#[test]
fn a_node_is_an_empty_block_to_software_without_indexes() {
    for at in [0, 3, 4, 6, 7] {
        let mut bytes = node(&[(0, 2)]);
        bytes[at] = 1;
        assert_eq!(codes(&[root(1, &[(0, 1)]), bytes, vec![]]), ["htree-node"], "{at}");
    }
}

/// Names, one entry behind the other.
fn names(names: &[&[u8]]) -> Vec<u8> {
    let entry = |name: &&[u8]| {
        let length = u16::try_from(8 + name.len().next_multiple_of(4)).unwrap();
        let head =
            [&20_u32.to_le_bytes()[..], &length.to_le_bytes(), &[u8::try_from(name.len()).unwrap(), 1]]
                .concat();
        let mut bytes = [&head[..], name].concat();
        bytes.resize(usize::from(length), 0);
        bytes
    };
    names.iter().flat_map(entry).collect()
}

/// A set bit says that names of that hash are in the block before, too.
#[test]
fn a_hash_continues_only_from_a_block_that_has_it() {
    let hash = Hasher::new(Hash::HalfMd4, true, [1, 2, 3, 4]).hash(b"last");
    let of = |next: u32, block: Vec<u8>| codes(&[root(0, &[(0, 1), (next, 2)]), block, vec![]]);
    assert_eq!(of(hash | 1, names(&[b"first", b"last"])), [""; 0]);
    assert_eq!(of(hash | 1, names(&[b"last", b"first"])), [""; 0]);
    assert_eq!(of(hash | 1, names(&[b"first"])), ["htree-continued"]);
    assert_eq!(of(hash, names(&[b"first"])), [""; 0]);
    // An entry that is unused, and one that ends the block.
    let mut unused = names(&[b"last"]);
    unused[0] = 0;
    assert_eq!(of(hash | 1, unused), ["htree-continued"]);
    let mut long = names(&[b"first", b"last"]);
    long[4..6].copy_from_slice(&4096_u16.to_le_bytes());
    assert_eq!(of(hash | 1, long), ["htree-continued"]);
    let mut last = vec![0; 4096];
    last[4..6].copy_from_slice(&4084_u16.to_le_bytes());
    last[4084..].copy_from_slice(&names(&[b"last"]));
    assert_eq!(of(hash | 1, last), [""; 0]);
}
