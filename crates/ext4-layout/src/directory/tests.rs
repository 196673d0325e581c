use image_tree::{FileSource, Metadata, Name, Permissions, Timestamp, TreeWriter};

use super::*;
use crate::units::index;

fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn half(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

/// A tree with empty files of these lengths of names in `/d`.
fn tree(lengths: impl IntoIterator<Item = usize>) -> (FileTree, NodeId) {
    let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let metadata = writer.metadata(&metadata);
    let directory = writer.begin_directory(Name::new(b"d").unwrap(), metadata).unwrap();
    for (number, len) in lengths.into_iter().enumerate() {
        let name = format!("{number:0len$}");
        writer.file(Name::new(name.as_bytes()).unwrap(), metadata, 0, FileSource::Inline(0)).unwrap();
    }
    writer.end_directory();
    writer.begin_directory(Name::new(b"lost+found").unwrap(), metadata).unwrap();
    writer.end_directory();
    (writer.finish(), directory)
}

fn directories(tree: &FileTree, has_checksums: bool) -> Directories<'_> {
    Directories { tree, seed: HashSeed::new(b"snugfs test uuid"), has_checksums }
}

/// A block has 4,096 bytes, 12 of them for the checksum. `.` and `..` take 12 each, a name 8 bytes more than its length, in
/// multiples of 4.
#[test]
fn entries_that_fit_into_a_block_have_no_index() {
    for (last, with_checksums, without) in
        [(92, true, true), (93, false, true), (104, false, true), (105, false, false)]
    {
        let lengths = std::iter::repeat_n(255, 15).chain([last]);
        let (tree, directory) = tree(lengths);
        for (has_checksums, fits) in [(true, with_checksums), (false, without)] {
            let shape = directories(&tree, has_checksums).measure(directory, false).unwrap();
            // Of the 16 entries, a block without the dots has the 15 long ones and the last one too.
            let expected =
                if fits { Shape::Linear { empty: 0 } } else { Shape::Indexed { nodes: 0, leaves: 1 } };
            assert_eq!(shape, expected, "{last}, {has_checksums}");
            assert_eq!((shape.blocks(), shape.is_indexed()), if fits { (1, false) } else { (2, true) });
        }
    }
    let (tree, directory) = tree([5]);
    let shape = directories(&tree, true).measure(directory, true).unwrap();
    assert_eq!((shape, shape.blocks()), (Shape::Linear { empty: 3 }, 4), "lost+found");
}

/// A root has 507 entries and a node 510; without a checksum, one more.
#[test]
fn an_index_has_at_most_two_levels() {
    for (leaves, with_checksums, without) in [
        (1, Some(0), Some(0)),
        (507, Some(0), Some(0)),
        (508, Some(1), Some(0)),
        (509, Some(1), Some(1)),
        (510, Some(1), Some(1)),
        (511, Some(2), Some(1)),
        (512, Some(2), Some(2)),
        (507 * 510, Some(507), Some(507)),
        (507 * 510 + 1, None, Some(507)),
        (508 * 511, None, Some(508)),
        (508 * 511 + 1, None, None),
    ] {
        assert_eq!(
            (index_nodes(leaves, true), index_nodes(leaves, false)),
            (with_checksums, without),
            "{leaves}"
        );
    }
    assert_eq!(Shape::Indexed { nodes: 3, leaves: 1000 }.blocks(), 1004);
}

/// The entries of a block of the index: the smallest hash of each block below, 0 for the first, and that block.
fn index_entries(block: &[u8], at: usize, limit: u16) -> Vec<(u32, usize)> {
    assert_eq!(half(block, at), limit);
    let count = usize::from(half(block, at + 2));
    let entry = |number| (word(block, at + 8 * number), index(u64::from(word(block, at + 8 * number + 4))));
    let mut entries: Vec<_> = (0..count).map(entry).collect();
    entries[0].0 = 0;
    assert!(entries.is_sorted());
    entries
}

/// The names in a block of entries.
fn names(block: &[u8], end: usize) -> Vec<&[u8]> {
    let mut at = 0;
    let mut found = Vec::new();
    while at < end {
        let name = &block[at + 8..at + 8 + usize::from(block[at + 6])];
        assert_eq!(block[at + 7], file_type::REGULAR);
        assert!(word(block, at) >= 12);
        found.push(name);
        at += usize::from(half(block, at + 4));
    }
    assert_eq!(at, end, "the last entry reaches to the end");
    found
}

/// As Linux looks a name up: the last block whose smallest hash is not above that of the name. 15 of the names fit into a leaf.
#[test]
fn each_name_is_in_the_leaf_that_the_index_has_for_its_hash() {
    for (count, has_checksums, nodes) in [
        (20, true, 0),
        (507 * 15, true, 0),
        (510 * 15, true, 1),
        (511 * 15, true, 2),
        (508 * 15, false, 0),
        (511 * 15, false, 1),
    ] {
        let (tree, directory) = tree(std::iter::repeat_n(255, count));
        let directories = directories(&tree, has_checksums);
        let numbering = Numbering::of(&tree, None).unwrap();
        let filesystem = has_checksums.then(|| Checksum::of_filesystem(b"snugfs test uuid"));
        let shape = directories.measure(directory, false).unwrap();
        let leaves = u32::try_from(count.div_ceil(15)).unwrap();
        assert_eq!(shape, Shape::Indexed { nodes, leaves }, "{count}");
        let mut out = vec![0; BLOCK_BYTES * index(shape.blocks())];
        directories.write(directory, shape, &numbering, filesystem, &mut out);
        let block = |number: usize| &out[number * BLOCK_BYTES..(number + 1) * BLOCK_BYTES];

        let (root_limit, node_limit) = if has_checksums { (507, 510) } else { (508, 511) };
        assert_eq!(word(block(0), 0), numbering.inode(directory).0);
        assert_eq!((word(block(0), 12), &block(0)[20..22]), (2, &b".."[..]));
        // The algorithm (half MD4), the length of this header, and the levels below the root.
        assert_eq!(block(0)[28..32], [1, 8, u8::from(nodes > 0), 0]);
        let mut entries = index_entries(block(0), 32, root_limit);
        if nodes > 0 {
            let below = |&(hash, node): &(u32, usize)| {
                // To systems without indexes, it is an unused entry.
                assert_eq!((word(block(node), 0), half(block(node), 4)), (0, 4096));
                let mut entries = index_entries(block(node), 8, node_limit);
                entries[0].0 = hash;
                entries
            };
            entries = entries.iter().flat_map(below).collect();
        }
        let numbers: Vec<usize> = entries.iter().map(|&(_, leaf)| leaf).collect();
        let first = 1 + index(u64::from(nodes));
        assert_eq!(numbers, (first..first + count.div_ceil(15)).collect::<Vec<_>>(), "each leaf once");
        let end = if has_checksums { BLOCK_BYTES - 12 } else { BLOCK_BYTES };
        let mut found = 0;
        for (number, &(hash, leaf)) in entries.iter().enumerate() {
            let next = entries.get(number + 1).map_or(u32::MAX, |&(hash, _)| hash);
            for name in names(block(leaf), end) {
                assert!((hash & !1..=next).contains(&directories.seed.hash(name).major));
                found += 1;
            }
        }
        assert_eq!(found, count);
    }
}
