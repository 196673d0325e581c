//! The numbers that a layout reports, and its pieces, counted by hand for a small file system.

use ext4_layout::{Compatibility, Layout, LayoutWarning, Options, Purpose};
use image_tree::{Content, DataRun, FileTree, Name, PieceSource};

use crate::support::{Tree, options};

/// Blocks of the parts of [`small`], in their order: superblock, descriptors, reserve; bitmaps; used and unused inode table; map
/// of the resize inode; journal; the root, lost+found, two directories, a symlink; attributes of one file, then files and an
/// extent tree.
const USED: u64 = 1 + 1 + 127 + 2 + 512 + 1 + 1024 + (1 + 4 + 2 + 1) + (1 + 3 + 1 + 5 + 1);
const FREE: u64 = 1024;

/// A tree with everything that takes blocks. One file has five ranges with holes between them.
fn tree() -> FileTree {
    let mut tree = Tree::new();
    let with_block = tree.with_attribute(1000);
    let source = tree.writer.inline(vec![b'x'; 10_000]);
    let first = tree.writer.file(Name::new(b"a").unwrap(), with_block, 10_000, source).unwrap();
    for name in [b"b", b"c"] {
        tree.writer.hard_link(Name::new(name).unwrap(), first).unwrap();
    }
    tree.directory("d", |tree| {
        tree.directory("e", |_| {});
        tree.text("f", b"text").text("g", b"");
    });
    tree.blank("h", 100 * 4096);
    tree.writer.data_runs((0..5).map(|n| DataRun { start: 20 * n, len: 1 }).collect()).unwrap();
    tree.lost_found();
    tree.writer.symlink(Name::new(b"symlink").unwrap(), tree.plain, &[b't'; 60]).unwrap();
    tree.finish()
}

fn small() -> Options {
    options()
        .with_free_space(FREE * 4096)
        .with_free_inodes(100)
        .with_grow_to(Some(1 << 40))
        .with_journal_size(Some(4 << 20))
}

#[test]
fn the_summary_counts_blocks_inodes_and_links() {
    let summary = Layout::plan(&tree(), &small()).unwrap().summary();
    assert_eq!((summary.block_size, summary.groups, summary.blocks), (4096, 1, USED + FREE));
    assert_eq!((summary.free_blocks, summary.reserved_gdt_blocks, summary.journal_blocks), (FREE, 127, 1024));
    // 5 % of all blocks.
    assert_eq!(summary.reserved_blocks, (USED + FREE) / 20);
    // The reserved ones with the root, lost+found, and the seven of other nodes.
    assert_eq!((summary.inodes, summary.inodes_per_group, summary.free_inodes), (8192, 8192, 8192 - 11 - 7));
    assert_eq!(summary.hard_links, 2);
    assert_eq!(
        summary.overhead,
        [
            ("superblocks", 1),
            ("groupDescriptors", 1),
            ("growthReserve", 127 + 1),
            ("bitmaps", 2),
            ("inodeTables", 512),
            ("journal", 1024),
            ("directories", 1 + 4 + 2),
            ("symlinks", 1),
            ("extendedAttributes", 1),
            ("extentTrees", 1),
        ]
    );
    assert_eq!(summary.file_blocks, 3 + 1 + 5);
    assert_eq!(summary.warnings, []);
}

#[test]
fn features_follow_the_options() {
    let features = |options: &Options| Layout::plan(&tree(), options).unwrap().summary().features;
    let all = [
        "has_journal",
        "ext_attr",
        "resize_inode",
        "dir_index",
        "filetype",
        "extent",
        "64bit",
        "flex_bg",
        "sparse_super",
        "large_file",
        "huge_file",
        "dir_nlink",
        "extra_isize",
        "metadata_csum",
    ];
    let without = |names: &[&str]| all.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>();
    assert_eq!(features(&small()), all);
    assert_eq!(features(&small().with_journal_size(Some(0))), without(&["has_journal"]));
    assert_eq!(features(&small().with_grow_to(None)), without(&["resize_inode"]));
    let legacy = small().with_compatibility(Compatibility::Legacy);
    assert_eq!(features(&legacy), without(&["64bit", "metadata_csum"]));
    let sealed = [without(&["has_journal", "resize_inode"]), vec!["read-only"]].concat();
    assert_eq!(features(&small().with_sealed(true)), sealed);
}

/// Half of what is free, if that is less than 5 % of all blocks, or what the options say.
#[test]
fn blocks_are_reserved_for_root() {
    let reserved = |free: u64, reserved| {
        let options = small().with_free_space(free * 4096).with_reserved(reserved);
        Layout::plan(&tree(), &options).unwrap().summary().reserved_blocks
    };
    assert_eq!(reserved(0, None), 0);
    assert_eq!(reserved(100, None), 50);
    assert_eq!(reserved(101, None), 50);
    // 1.234 % and 50 %, whatever is free.
    assert_eq!(reserved(100, Some(1234)), (USED + 100) * 1234 / 100_000);
    assert_eq!(reserved(0, Some(50_000)), USED / 2);
    assert_eq!(reserved(FREE, Some(0)), 0);
}

/// Linux keeps a fiftieth of all blocks, at most 4,096.
#[test]
fn the_warning_names_what_linux_keeps_of_the_free_space() {
    let warnings = |free: u64, sealed| {
        let options = small().with_free_space(free * 4096).with_sealed(sealed);
        Layout::plan(&tree(), &options).unwrap().summary().warnings
    };
    let too_little =
        |free: u64, kept: u64| LayoutWarning::UnusableFreeSpace { kept: kept * 4096, free: free * 4096 };
    assert_eq!(USED, 1687);
    assert_eq!(warnings(0, false), []);
    assert_eq!(warnings(1, false), [too_little(1, 33)]);
    assert_eq!(warnings(34, false), [too_little(34, 34)]);
    assert_eq!(warnings(35, false), []);
    assert_eq!(warnings(1, true), []);
}

#[test]
fn copies_of_files_with_too_many_names_are_counted() {
    let mut tree = Tree::new();
    let file = |tree: &mut Tree, name: &[u8]| {
        tree.writer.file(Name::new(name).unwrap(), tree.plain, 0, image_tree::FileSource::Inline(0)).unwrap()
    };
    let (few, many) = (file(&mut tree, b"a"), file(&mut tree, b"b"));
    tree.directory("links", |tree| {
        for (number, of) in
            (0..64_999).map(|number| (number, few)).chain((64_999..195_000).map(|n| (n, many)))
        {
            tree.writer.hard_link(Name::new(format!("{number:06}").as_bytes()).unwrap(), of).unwrap();
        }
    });
    tree.lost_found();
    let layout = Layout::plan(&tree.finish(), &options()).unwrap();
    let first = image_tree::ImagePath::parse(b"/b").unwrap();
    // One with 65,000 names, and one with 130,002, which need three inodes.
    assert_eq!(layout.summary().warnings, [LayoutWarning::Copies { first, count: 2 }]);
    assert_eq!(layout.summary().hard_links, 64_999 + 2 * 64_999 + 1);
}

#[test]
fn areas_have_one_purpose_and_neighbours_another() {
    let areas = |options: &Options| -> Vec<_> {
        let layout = Layout::plan(&tree(), options).unwrap();
        layout.areas().into_iter().map(|area| (area.purpose, area.blocks)).collect()
    };
    let expected = [
        (Purpose::Superblock, 1),
        (Purpose::GroupDescriptors, 1),
        (Purpose::GrowthReserve, 127),
        (Purpose::Bitmaps, 2),
        (Purpose::InodeTables, 512),
        (Purpose::GrowthReserve, 1),
        (Purpose::Journal, 1024),
        (Purpose::Directories, 8),
        (Purpose::Files, 11),
        (Purpose::Free, FREE),
    ];
    assert_eq!(areas(&small()), expected);
    // The second group of a fixed size needs 129 blocks for its copy of the descriptors; 128 stay unused.
    let fixed = areas(&small().with_size(Some((32_768 + 128) * 4096)));
    assert_eq!(fixed[..9], expected[..9]);
    assert_eq!(fixed[9..], [(Purpose::Free, 32_768 - USED), (Purpose::BeyondGroups, 128)]);
    // Without growth and a journal.
    let few = areas(&small().with_grow_to(None).with_journal_size(Some(0)).with_free_space(0));
    let without = |&(purpose, _): &(Purpose, u64)| {
        !matches!(purpose, Purpose::GrowthReserve | Purpose::Journal | Purpose::Free)
    };
    assert_eq!(few, expected.into_iter().filter(without).collect::<Vec<_>>());
}

/// Free blocks within a mebibyte of the end are zeros, because programs look for signatures there.
#[test]
fn pieces_are_metadata_files_zeros_and_unused_blocks() {
    let kind = |content| match content {
        Content::Metadata => "metadata",
        Content::File { .. } => "file",
        Content::Zeros | Content::FileZeros { .. } => "zeros",
        Content::Unused => "unused",
    };
    let pieces = |options: &Options| -> Vec<_> {
        let layout = Layout::plan(&tree(), options).unwrap();
        layout.pieces().map(|piece| (kind(piece.content), piece.len)).collect()
    };
    let blocks = |blocks: u64| blocks * 4096;
    let before = [
        ("metadata", blocks(2)),
        // Blocks of the resize inode have the numbers of backups. One group has none.
        ("zeros", blocks(127)),
        ("metadata", blocks(2)),
        // 18 inodes.
        ("metadata", blocks(2)),
        ("zeros", blocks(510)),
        ("metadata", blocks(1)),
        ("metadata", blocks(1)),
        ("zeros", blocks(1023)),
        // Directories and the symlink; attributes.
        ("metadata", blocks(8)),
        ("metadata", blocks(1)),
        ("file", 10_000),
        ("zeros", blocks(3) - 10_000),
        ("file", 4),
        ("zeros", 4092),
    ];
    let holes = [("file", blocks(1)); 5];
    let tree_block = [("metadata", blocks(1))];
    let expected = [&before[..], &holes, &tree_block].concat();
    let free = [("unused", blocks(FREE - 256)), ("zeros", blocks(256))];
    assert_eq!(pieces(&small()), [&expected[..], &free].concat());
    assert_eq!(pieces(&small().with_free_space(0)), expected);
    // The end that is too short for a group is zeros too.
    let fixed = pieces(&small().with_size(Some((32_768 + 128) * 4096)));
    let free = [("unused", blocks(32_768 - USED - 256)), ("zeros", blocks(256)), ("zeros", blocks(128))];
    assert_eq!(fixed, [&expected[..], &free].concat());
    // The copy of the superblock in the second group has zeros for its reserve.
    let two = pieces(&small().with_free_space((40_000 - USED) * 4096));
    assert_eq!(two[..2], [("metadata", blocks(2)), ("metadata", blocks(127))]);
    let copy = two.iter().position(|&piece| piece == ("zeros", blocks(127))).unwrap();
    assert_eq!(two[copy - 1], ("metadata", blocks(2)));
    assert_eq!(two[..copy - 1].iter().map(|(_, len)| len).sum::<u64>(), 128 << 20);
}

/// A hole, and fixed metadata in the middle of the data. The journal leaves ten blocks of the first group.
#[test]
fn pieces_of_a_file_have_its_offsets() {
    let mut tree = Tree::new();
    tree.blank("a", 25 * 4096 - 100);
    tree.writer.data_runs(vec![DataRun { start: 2, len: 1 }, DataRun { start: 5, len: 20 }]).unwrap();
    tree.lost_found();
    let in_first_group = 32_768 - (1 + 1 + 2 * 2 + 2 * 512);
    let options = options().with_journal_size(Some((in_first_group - 15) * 4096)).with_free_space(8 << 20);
    let layout = Layout::plan(&tree.finish(), &options).unwrap();
    let of_file: Vec<_> = layout
        .pieces()
        .filter_map(|piece| match piece.content {
            Content::File { offset, .. } => Some((piece.offset / 4096, offset, piece.len)),
            _ => None,
        })
        .collect();
    let second_group = 32_768 + 2;
    assert_eq!(
        of_file,
        [(32_758, 2 * 4096, 4096), (32_759, 5 * 4096, 9 * 4096), (second_group, 14 * 4096, 11 * 4096 - 100)]
    );
}

/// So that threads share the work. A directory is in one piece, because its blocks are made together.
#[test]
fn metadata_is_in_pieces_of_a_mebibyte_and_directories_in_one() {
    let mut tree = Tree::new();
    for number in 1000..1600 {
        tree.directory(&number.to_string(), |_| {});
    }
    tree.lost_found();
    tree.directory("with-long-names", |tree| {
        for number in 0..4500 {
            tree.blank(&format!("{number:0255}"), 0);
        }
    });
    let layout = Layout::plan(&tree.finish(), &options().with_journal_size(Some(0))).unwrap();
    let lengths: Vec<u64> = layout
        .pieces()
        .filter(|piece| piece.content == Content::Metadata)
        .map(|piece| piece.len / 4096)
        .collect();
    // 5,112 inodes are in 320 blocks. The root has three blocks, lost+found four, and the 600 directories one each. The last one
    // has 15 names in a block, and one block for the index.
    assert_eq!(lengths, [2, 2, 256, 64, 256, 256, 3 + 4 + 600 - 512 + 301]);
}
