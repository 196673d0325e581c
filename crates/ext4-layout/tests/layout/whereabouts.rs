//! Where names, nodes and slots are in the file system.

use ext4_layout::Layout;
use image_tree::{Content, FileTree, Name, NodeId, PieceSource};

use crate::support::{Tree, checked_layout, debugfs, folder, options};

/// A file with two names and an attribute block, a long symlink, and directories.
fn tree() -> FileTree {
    let mut tree = Tree::new();
    let with_block = tree.with_attribute(1000);
    let source = tree.writer.inline(vec![b'x'; 10_000]);
    let first = tree.writer.file(Name::new(b"a").unwrap(), with_block, 10_000, source).unwrap();
    tree.writer.hard_link(Name::new(b"b").unwrap(), first).unwrap();
    tree.directory("d", |tree| {
        tree.text("one-block", &[b'y'; 4096]).text("z", b"");
    });
    tree.lost_found();
    tree.writer.symlink(Name::new(b"symlink").unwrap(), tree.plain, &[b't'; 60]).unwrap();
    tree.finish()
}

#[test]
fn each_block_belongs_to_the_node_whose_inode_has_it() {
    let folder = folder();
    let layout = Layout::plan(&tree(), &options().with_free_space(1 << 20)).unwrap();
    let image = checked_layout(&layout, &options(), folder.path());
    let blocks = layout.summary().blocks;
    let request = (0..blocks).fold("icheck".to_owned(), |request, block| format!("{request} {block}"));
    let found = debugfs(&image, &request);
    // The first line is a heading.
    let lines: Vec<&str> = found.lines().skip(1).collect();
    assert_eq!(lines.len(), usize::try_from(blocks).unwrap());
    for (line, block) in lines.into_iter().zip(0..) {
        let (number, inode) = line.split_once('\t').unwrap();
        assert_eq!(number, block.to_string());
        let inode = inode.parse().ok().filter(|&inode: &u32| inode == 2 || inode > 10);
        let node = layout.node_at(block);
        assert_eq!(node.map(|node| layout.inode_number(node)), inode, "block {block}");
    }
    assert_eq!(layout.node_at(blocks), None);
}

#[test]
fn all_names_of_a_file_have_its_inode() {
    let folder = folder();
    let layout = Layout::plan(&tree(), &options()).unwrap();
    let image = checked_layout(&layout, &options(), folder.path());
    for (node, _) in layout.tree().iter() {
        let path = layout.tree().path(node);
        let stat = debugfs(&image, &format!("stat {path}"));
        assert!(stat.starts_with(&format!("Inode: {} ", layout.inode_number(node))), "{path}: {stat}");
    }
    let number = |path: &str| layout.inode_number(node_of(&layout, path));
    assert_eq!((number("/"), number("/lost+found"), number("/a"), number("/b")), (2, 11, 12, 12));
}

fn node_of(layout: &Layout, path: &str) -> NodeId {
    let tree = layout.tree();
    let found = tree.iter().find(|&(node, _)| tree.path(node).as_bytes() == path.as_bytes());
    found.unwrap().0
}

/// Two slots: the inode of the second is the last one of the second group, and fixed metadata cuts its blocks in two.
#[test]
fn a_stamp_changes_the_inodes_and_blocks_of_slots() {
    let folder = folder();
    let mut tree = Tree::new();
    tree.slot("a", 5000);
    tree.directory("b", |tree| {
        for number in 10..59 {
            tree.blank(&number.to_string(), 0);
        }
    });
    tree.lost_found();
    // Ends shortly before the second group.
    tree.blank("p", (32_768 - 200) * 4096);
    tree.slot("q", 4 << 20);
    let options = options().with_bytes_per_inode(4 << 20).with_journal_size(Some(0)).with_free_space(1 << 20);
    let layout = Layout::plan(&tree.finish(), &options).unwrap();
    let image = checked_layout(&layout, &options, folder.path());

    let mut expected = Vec::new();
    for path in ["/a", "/q"] {
        // "Inode 12 is part of block group 0\n\tlocated at block 10, offset 0x0b00"
        let place = debugfs(&image, &format!("imap {path}"));
        let (block, offset) =
            place.rsplit_once("at block ").unwrap().1.trim().split_once(", offset 0x").unwrap();
        let at = block.parse::<u64>().unwrap() * 4096 + u64::from_str_radix(offset, 16).unwrap();
        expected.push(at..at + 256);
        // " 0/ 0   1/  1     0 -     1    100 -    101      2 Uninit"
        for line in debugfs(&image, &format!("extents {path}")).lines().filter(|line| line.contains("Uninit"))
        {
            let numbers: Vec<u64> =
                line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
            let &[.., first, last, _] = numbers.as_slice() else { panic!("{line}") };
            expected.push(first * 4096..(last + 1) * 4096);
        }
    }
    expected.sort_by_key(|range| range.start);
    let lengths: Vec<u64> = expected.iter().map(|range| range.end - range.start).collect();
    assert_eq!(lengths.iter().sum::<u64>(), 2 * 256 + 2 * 4096 + (4 << 20), "{expected:?}");
    assert_eq!(lengths.len(), 5, "{expected:?}");
    assert_eq!(layout.stampable(), expected);
    assert_eq!(layout.inode_number(node_of(&layout, "/q")), 2 * layout.summary().inodes_per_group);

    // The blocks must be zeros in every output, also in those that leave free blocks out.
    for range in expected.into_iter().filter(|range| range.end - range.start > 256) {
        let pieces = layout.pieces().filter(|piece| piece.offset >= range.start && piece.offset < range.end);
        let zeros: u64 = pieces
            .map(|piece| {
                assert_eq!(piece.content, Content::Zeros);
                piece.len
            })
            .sum();
        assert_eq!(zeros, range.end - range.start);
    }
    assert_eq!(Layout::plan(&self::tree(), &options).unwrap().stampable(), []);
}
