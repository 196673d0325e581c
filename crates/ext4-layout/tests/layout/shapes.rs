//! Lays out every kind of tree, and checks the images by e2fsck.

use crate::support::{Tree, checked, debugfs, folder, options};
use ext4_layout::Compatibility;
use image_tree::{Metadata, Name, Permissions, SpecialKind, Timestamp, Xattr, XattrName};

#[test]
fn an_empty_tree_is_a_file_system() {
    let folder = folder();
    let mut tree = Tree::new();
    tree.lost_found();
    checked(&tree.finish(), &options(), folder.path());
}

#[test]
fn every_kind_of_node_is_stored() {
    let folder = folder();
    let mut tree = Tree::new();
    tree.directory("a", |tree| {
        tree.text("empty", b"").text("file", b"hello\n").text("long", &[b'x'; 10_000]);
    });
    let special = [
        ("b", SpecialKind::Character { major: 5, minor: 1 }),
        ("c", SpecialKind::Block { major: 259, minor: 70_000 }),
        ("d", SpecialKind::Fifo),
        ("e", SpecialKind::Socket),
    ];
    for (name, kind) in special {
        tree.writer.special(Name::new(name.as_bytes()).unwrap(), tree.plain, kind).unwrap();
    }
    for (name, len) in [("f", 1), ("g", 59), ("h", 60), ("i", 4095)] {
        tree.writer.symlink(Name::new(name.as_bytes()).unwrap(), tree.plain, &vec![b't'; len]).unwrap();
    }
    tree.lost_found();
    let image = checked(&tree.finish(), &options(), folder.path());
    assert_eq!(debugfs(&image, "cat /a/file"), "hello\n");
    assert!(debugfs(&image, "stat /b").contains("Device major/minor number: 05:01"));
    assert!(debugfs(&image, "stat /c").contains("Device major/minor number: 259:70000"));
    assert!(debugfs(&image, "stat /g").contains("Fast link dest"));
    assert!(!debugfs(&image, "stat /h").contains("Fast link dest"));
}

#[test]
fn attributes_owners_and_late_times_are_stored() {
    let folder = folder();
    let mut tree = Tree::new();
    let late = Timestamp::new(Timestamp::MAX_SECONDS, 999_999_999).unwrap();
    let mut metadata = Metadata {
        uid: 70_000,
        gid: 80_000,
        ..Metadata::root_owned(Permissions::new(0o4711).unwrap(), late)
    };
    let xattr =
        |name: &str, len| Xattr { name: XattrName::parse(name.as_bytes()).unwrap(), value: vec![b'v'; len] };
    metadata.xattrs = vec![
        xattr("user.a", 3),
        xattr("user.b", 300),
        xattr("trusted.c", 0),
        xattr("security.capability", 20),
    ];
    metadata.xattrs.extend((0..90).map(|i| xattr(&format!("user.many{i}"), 10)));
    let id = tree.writer.metadata(&metadata);
    let source = tree.writer.inline(b"data".to_vec());
    tree.writer.file(Name::new(b"a").unwrap(), id, 4, source).unwrap();
    tree.writer.begin_directory(Name::new(b"b").unwrap(), id).unwrap();
    tree.writer.end_directory();
    // Linux has `user.` attributes and capabilities only on files and directories.
    metadata.xattrs = vec![xattr("trusted.c", 0)];
    metadata.xattrs.extend((0..90).map(|i| xattr(&format!("trusted.many{i}"), 10)));
    let id = tree.writer.metadata(&metadata);
    tree.writer.symlink(Name::new(b"c").unwrap(), id, &[b't'; 100]).unwrap();
    tree.writer.special(Name::new(b"d").unwrap(), id, SpecialKind::Fifo).unwrap();
    tree.lost_found();
    let image = checked(&tree.finish(), &options(), folder.path());
    let stat = debugfs(&image, "stat /a");
    assert!(
        stat.contains("User: 70000") && stat.contains("Group: 80000") && stat.contains("Mode:  04711"),
        "{stat}"
    );
    for path in ["/a", "/b", "/c", "/d"] {
        assert!(debugfs(&image, &format!("ea_list {path}")).lines().count() > 90, "{path}");
        // The low half of the seconds; nanoseconds, and two bits for the other half.
        let stat = debugfs(&image, &format!("stat {path}"));
        assert!(stat.contains("mtime: 0x7fffffff:ee6b27ff"), "{path}: {stat}");
    }
}

/// Times, and what mke2fs writes into the inodes of bad blocks, of the reserve and of the journal.
#[test]
fn reserved_inodes_are_those_of_mke2fs() {
    let folder = folder();
    let mut tree = Tree::new();
    tree.lost_found();
    let time = Timestamp::new(0x5000_0007, 0).unwrap();
    let options = options()
        .with_timestamp(time)
        .with_journal_size(Some(4 << 20))
        .with_grow_to(Some(1 << 40))
        .with_free_space(300 << 20);
    let image = checked(&tree.finish(), &options, folder.path());
    let shown = |inode: &str, texts: &[&str]| {
        let stat = debugfs(&image, &format!("stat {inode}"));
        for text in texts.iter().chain(&["ctime: 0x50000007", "atime: 0x50000007", "mtime: 0x50000007"]) {
            assert!(stat.contains(text), "{inode}: {text}: {stat}");
        }
    };
    shown("<1>", &["Mode:  0000", "Links: 0", "Size: 0", "Blockcount: 0"]);
    // All that pointers can address. Its blocks are the map, and 127 reserved ones in groups 0 and 1.
    shown(
        "<7>",
        &["Type: regular", "Mode:  0600", "Links: 1 ", "Size: 4299210752", "Blockcount: 2040", "(DIND)"],
    );
    shown("<8>", &["Type: regular", "Mode:  0600", "Links: 1 ", "Size: 4194304", "Blockcount: 8192"]);
}

#[test]
fn directories_get_an_index_of_as_many_levels_as_they_need() {
    for (entries, long) in [(120, false), (300, false), (3_000, false), (120_000, false), (60_000, true)] {
        let folder = folder();
        let mut tree = Tree::new();
        tree.directory("d", |tree| {
            for i in 0..entries {
                let name = if long { format!("{i:08}{}", "x".repeat(200)) } else { format!("{i:08}") };
                tree.blank(&name, 0);
            }
        });
        tree.lost_found();
        let image = checked(&tree.finish(), &options(), folder.path());
        let htree = debugfs(&image, "htree_dump /d");
        assert_eq!(htree.contains("Indirect levels: 1"), long, "{entries}");
        assert_eq!(
            htree.contains("Root node dump"),
            entries > 300 - 1 || long,
            "{entries}: {}",
            &htree[..200.min(htree.len())]
        );
        let last = if long {
            format!("{:08}{}", entries - 1, "x".repeat(200))
        } else {
            format!("{:08}", entries - 1)
        };
        assert!(debugfs(&image, &format!("stat /d/{last}")).contains("Type: regular"));
    }
}

/// A journal takes the first group but for 15 blocks, of which the root has one and lost+found four.
#[test]
fn fixed_metadata_may_be_in_the_middle_of_a_directory() {
    let folder = folder();
    let mut tree = Tree::new();
    tree.directory("d", |tree| {
        for number in 0..300 {
            tree.blank(&format!("{number:0255}"), 0);
        }
    });
    tree.lost_found();
    // Of two groups: superblock, descriptors, bitmaps and inode tables.
    let in_first_group = 32_768 - (1 + 1 + 2 * 2 + 2 * 512);
    let options = options().with_journal_size(Some((in_first_group - 15) * 4096)).with_free_space(8 << 20);
    let image = checked(&tree.finish(), &options, folder.path());
    let extents = debugfs(&image, "extents /d");
    assert!(extents.contains(" 32758 - 32767 ") && extents.contains(" 32770 - 32780 "), "{extents}");
}

/// A full root of an index, and one entry more. The names are so long that a block has 18 with and without a checksum.
#[test]
fn an_index_without_checksums_has_room_for_one_more_block() {
    for (compatibility, limit) in [(Compatibility::Current, 507), (Compatibility::Legacy, 508)] {
        for (entries, levels) in [(limit * 18, 0), (limit * 18 + 1, 1)] {
            let folder = folder();
            let mut tree = Tree::new();
            tree.directory("d", |tree| {
                for i in 0..entries {
                    tree.blank(&format!("{i:0208}"), 0);
                }
            });
            tree.lost_found();
            let options = options().with_compatibility(compatibility);
            let image = checked(&tree.finish(), &options, folder.path());
            let htree = debugfs(&image, "htree_dump /d");
            assert!(htree.contains(&format!("Indirect levels: {levels}")), "{entries}");
            assert!(htree.contains(&format!("Number of entries (limit): {limit}\n")), "{htree}");
        }
    }
}

/// The directory hashes of the names of 23229 and 102632 are equal (with the UUID of these tests), those of `LOWER` are
/// lower and those of `HIGHER` higher. A block has 15 entries, so the pair is split between the first two blocks.
#[test]
fn a_hash_that_continues_in_the_next_block_is_marked() {
    const LOWER: [u32; 14] = [0, 1, 3, 5, 6, 8, 9, 10, 12, 14, 15, 16, 17, 19];
    const PAIR: [u32; 2] = [23_229, 102_632];
    const HIGHER: [u32; 3] = [2, 4, 7];
    let name = |number: u32| format!("{number:0255}");
    let folder = folder();
    let mut tree = Tree::new();
    tree.directory("d", |tree| {
        let mut numbers = [LOWER.as_slice(), &PAIR, &HIGHER].concat();
        numbers.sort_unstable();
        for number in numbers {
            tree.text(&name(number), format!("{number}").as_bytes());
        }
    });
    tree.lost_found();
    let image = checked(&tree.finish(), &options(), folder.path());
    let htree = debugfs(&image, "htree_dump /d");
    // debugfs marks a continued hash by two stars.
    assert_eq!(htree.matches("Hash 0x8f3db535 (**)").count(), 1, "{htree}");
    for number in PAIR {
        assert_eq!(debugfs(&image, &format!("cat /d/{}", name(number))), number.to_string());
    }
}

#[test]
fn files_with_too_many_links_get_another_inode() {
    let folder = folder();
    let mut tree = Tree::new();
    let source = tree.writer.inline(b"shared".to_vec());
    let first = tree.writer.file(Name::new(b"a").unwrap(), tree.plain, 6, source).unwrap();
    tree.directory("links", |tree| {
        for i in 0..70_000 {
            tree.writer.hard_link(Name::new(format!("{i:05}").as_bytes()).unwrap(), first).unwrap();
        }
    });
    tree.lost_found();
    let image = checked(&tree.finish(), &options(), folder.path());
    assert!(debugfs(&image, "stat /a").contains("Links: 65000"));
    assert!(debugfs(&image, "stat /links/69999").contains("Links: 5001"));
    assert_eq!(debugfs(&image, "cat /links/69999"), "shared");
}

#[test]
fn too_many_subdirectories_are_not_counted() {
    for (count, links) in [(64_998, "Links: 65000"), (64_999, "Links: 1 "), (70_000, "Links: 1 ")] {
        let folder = folder();
        let mut tree = Tree::new();
        tree.directory("d", |tree| {
            for i in 0..count {
                tree.directory(&format!("{i:05}"), |_| {});
            }
        });
        tree.lost_found();
        let image = checked(&tree.finish(), &options(), folder.path());
        let stat = debugfs(&image, "stat /d");
        assert!(stat.contains(links), "{count}: {stat}");
    }
}

#[test]
fn names_are_any_bytes_and_depth_is_unlimited() {
    let folder = folder();
    let mut tree = Tree::new();
    for _ in 0..1_000 {
        tree.writer.begin_directory(Name::new(b"deep").unwrap(), tree.plain).unwrap();
    }
    tree.text("bottom", b"!");
    for _ in 0..1_000 {
        tree.writer.end_directory();
    }
    tree.lost_found();
    tree.directory("names", |tree| {
        for byte in 0x80..=0xff_u8 {
            let source = tree.writer.inline(vec![byte]);
            tree.writer.file(Name::new(&[byte; 255]).unwrap(), tree.plain, 1, source).unwrap();
        }
    });
    checked(&tree.finish(), &options(), folder.path());
}
