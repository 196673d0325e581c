use std::path::Path;

use image_tree::XattrName;

use super::*;

fn stat(blocks: i64) -> Stat {
    let mut stat = rustix::fs::stat("/").unwrap();
    stat.st_blocks = blocks;
    stat
}

fn metadata(uid: u32) -> HostMetadata {
    HostMetadata { mode: 0o644, uid, gid: 0, seconds: 0, nanoseconds: 0 }
}

/// A directory with these names, and a part for each batch of them.
fn directory(parent: u32, in_parent: u32, names: &[Vec<u8>]) -> FoundDirectory {
    let mut directory = FoundDirectory::new(DirectoryId(parent), in_parent);
    if !names.is_empty() {
        directory.listing = Some(Arc::new(Listing::of_names(names).unwrap()));
        directory.parts.resize_with(names.len().div_ceil(BATCH), Part::default);
    }
    directory
}

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("{number:04}").into_bytes()).collect()
}

fn found(sources: &[&str], directories: Vec<FoundDirectory>) -> Found {
    let sources = sources.iter().map(PathBuf::from).collect();
    Found { directories, sources, mounts: Vec::new(), own: Vec::new() }
}

#[test]
fn an_entry_costs_sixteen_bytes_beside_its_name() {
    assert_eq!((size_of::<Kind>(), size_of::<Place>()), (16, 16));
}

/// A warning is due from 64 MiB, if the image needs more than ten times as much as this machine.
#[test]
fn much_more_space_than_here_is_noticed() {
    const MIB: u64 = 1 << 20;
    for (stored, blocks, more) in [
        (64 * MIB, 0, None),
        (64 * MIB + 1, 0, Some(64 * MIB + 1)),
        (100 * MIB, 20_480, None),
        (100 * MIB, 20_479, Some(90 * MIB + 512)),
        (1 << 40, 2048, Some((1 << 40) - MIB)),
        (100, 0, None),
        (100 * MIB, 1 << 40, None),
        (64 * MIB + 1, -1, Some(64 * MIB + 1)),
    ] {
        let mut room = Room::default();
        assert_eq!(room.add(stored, &stat(blocks)), more, "{stored} {blocks}");
        assert_eq!(room.stored, stored);
        assert_eq!(room.taken, u64::try_from(blocks).unwrap_or(0) * 512);
        assert_eq!(room.is_inflated(), more.is_some(), "{stored} {blocks}");
    }
}

#[test]
fn space_is_added_up() {
    let mut room = Room { stored: 5, taken: 7 };
    room.add(1000, &stat(3));
    let sum = room.with(Room { stored: u64::MAX, taken: 10 });
    assert_eq!((room.stored, room.taken), (1005, 1543));
    assert_eq!((sum.stored, sum.taken), (u64::MAX, 1553));
}

#[test]
fn what_is_known_of_an_entry_is_found_by_its_position() {
    let mut directory = directory(0, 0, &numbered(2 * BATCH + 5));
    let xattr = |value: u8| vec![Xattr { name: XattrName::parse(b"user.a").unwrap(), value: vec![value] }];
    // The same position of each part has something else, and one of them nothing.
    for (number, value) in [(0, 1_u8), (1, 2), (2, 3)] {
        let mut tree = TreePart {
            metadata: (0..10).map(|uid| metadata(100 * u32::from(value) + uid)).collect(),
            places: vec![Place::Range { origin: value.into(), offset: 9 }; 10],
            ..TreePart::default()
        };
        if value != 2 {
            tree.links.push((3, Inode { device: 7, number: value.into() }));
            tree.xattrs.push((3, xattr(value)));
            tree.sparse.push((3, vec![DataRun { start: value.into(), len: 1 }]));
        }
        let part = &mut directory.parts[number];
        part.kinds = vec![Kind::Special(SpecialKind::Fifo); 10];
        part.kinds[3] = Kind::Symlink { start: value.into(), len: 1 };
        part.targets = b"abcdef".to_vec();
        part.tree = Some(Box::new(tree));
    }
    for (index, value) in [(3, 1_u8), (BATCH + 3, 2), (2 * BATCH + 3, 3)] {
        let len = u16::from(value);
        assert!(matches!(directory.kind(index), Kind::Symlink { start, .. } if start == u32::from(value)));
        assert!(matches!(directory.kind(index + 1), Kind::Special(_)));
        assert_eq!(directory.target(index, 1, len), &b"bcd"[..value.into()]);
        assert_eq!(directory.metadata(index).unwrap().uid, 100 * u32::from(value) + 3);
        let Some(Place::Range { origin, .. }) = directory.place(index) else { panic!("a range") };
        assert_eq!(origin, u32::from(value));
        let inode = directory.inode(index).map(|inode| inode.number);
        let run = directory.data_runs(index).map(|runs| runs[0].start);
        if value == 2 {
            assert_eq!((inode, run, directory.xattrs(index)), (None, None, &[][..]));
        } else {
            assert_eq!((inode, run), (Some(value.into()), Some(value.into())));
            assert_eq!(directory.xattrs(index), xattr(value));
        }
        assert_eq!((directory.inode(index + 1), directory.data_runs(index + 1)), (None, None));
        assert!(directory.xattrs(index + 1).is_empty());
    }
}

#[test]
fn paths_begin_with_the_source() {
    let found = found(
        &["/", "/srv/web"],
        vec![
            directory(0, 0, &[b"etc".to_vec()]),
            directory(1, 0, &[b"a".to_vec(), b"www".to_vec()]),
            directory(0, 0, &[b"hosts".to_vec()]),
            directory(1, 1, &[b"x".to_vec(), b"y".to_vec()]),
        ],
    );
    for (id, entry, path, source) in [
        (0, None, "/", 0),
        (0, Some(0), "/etc", 0),
        (2, None, "/etc", 0),
        (2, Some(0), "/etc/hosts", 0),
        (1, None, "/srv/web", 1),
        (1, Some(1), "/srv/web/www", 1),
        (3, Some(1), "/srv/web/www/y", 1),
    ] {
        assert_eq!(found.host_path(DirectoryId(id), entry), Path::new(path));
        assert_eq!(found.source_of(DirectoryId(id)), source);
    }
}

#[test]
fn the_files_that_need_much_more_space_are_in_order() {
    let mut wide = directory(0, 0, &numbered(BATCH + 100));
    wide.parts[0].inflated = vec![(2, 70), (5, 90)];
    wide.parts[1].inflated = vec![(88, 80), (1, 90)];
    wide.parts[0].room = Room { stored: 160, taken: 1 };
    wide.parts[1].room = Room { stored: 170, taken: 2 };
    let mut second = directory(1, 0, &numbered(2));
    second.parts[0].inflated = vec![(1, 85)];
    second.parts[0].room = Room { stored: 85, taken: 4 };
    let found = found(&["/w", "/s"], vec![wide, second]);
    let expected = [(90, "/w/0005"), (90, "/w/0513"), (85, "/s/0001"), (80, "/w/0600"), (70, "/w/0002")];
    assert_eq!(found.inflated(), expected.map(|(more, path)| (more, PathBuf::from(path))));
    let room = found.room();
    assert_eq!((room.stored, room.taken), (415, 7));
}

#[test]
fn an_output_file_is_reported_once_for_each_tree() {
    let mut found = found(
        &["/store", "/one", "/two"],
        vec![directory(0, 0, &[]), directory(1, 0, &numbered(1)), directory(2, 0, &[]), directory(1, 0, &[])],
    );
    // The folder of the first file is below its tree, and is mounted at the top of it too.
    found.own = vec![(DirectoryId(1), 0), (DirectoryId(3), 0), (DirectoryId(2), 0), (DirectoryId(1), 1)];
    let own = |tree, file, is_deep| InTree { tree, file, is_deep };
    assert_eq!(found.own_in_trees(1), [own(0, 0, true), own(0, 1, false), own(1, 0, false)]);
    found.own.reverse();
    assert_eq!(found.own_in_trees(1), [own(0, 0, true), own(0, 1, false), own(1, 0, false)]);
}

#[test]
fn entries_names_and_targets_are_counted() {
    let mut root = directory(0, 0, &[b"abc".to_vec(), b"de".to_vec()]);
    root.parts[0].targets = b"target".to_vec();
    let mut below = directory(0, 1, &numbered(BATCH + 1));
    below.parts[0].targets = b"xy".to_vec();
    below.parts[1].targets = b"z".to_vec();
    let found = found(&["/"], vec![root, below, directory(1, 0, &[])]);
    assert_eq!(found.totals(), (2 + BATCH + 1, 5 + 6 + 4 * (BATCH + 1) + 3));
}

#[test]
fn links_are_noticed_wherever_they_are() {
    let mut wide = directory(0, 0, &numbered(BATCH + 1));
    wide.parts[1].tree = Some(Box::default());
    let mut found = found(&["/"], vec![directory(0, 0, &numbered(1)), wide]);
    assert!(!found.has_links());
    let tree = found.directories[1].parts[1].tree.as_mut().unwrap();
    tree.links.push((0, Inode { device: 1, number: 2 }));
    assert!(found.has_links());
}
