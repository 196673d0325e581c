//! What is where in an image, and how much of it FAT allows.

use fat_layout::{Bits, FatError, FatLayout, NO_LABEL, Options};
use image_tree::{Content, PieceSource, SectorSize};

use crate::support::{Entry, GIB, MIB, options, tree_with};
use crate::volume::{Volume, u32_at};

const DIRECTORY: Entry = Entry::Directory;
const FILE: u8 = 0x20;
const FOLDER: u8 = 0x10;

fn all_options() -> [Options; 4] {
    [
        (Bits::Fat16, SectorSize::Bytes512, 9),
        (Bits::Fat16, SectorSize::Bytes4096, 18),
        (Bits::Fat32, SectorSize::Bytes512, 34),
        (Bits::Fat32, SectorSize::Bytes4096, 260),
    ]
    .map(|(bits, sector, mib)| Options { sector, ..options(mib * MIB, Some(bits)) })
}

#[test]
fn files_and_directories_have_consecutive_clusters_in_the_order_of_their_paths() {
    let names: Vec<String> = (0..3000).map(|number| format!("a/{number:05}.txt")).collect();
    let mut entries: Vec<_> = names.iter().map(|name| (name.as_str(), Entry::File(0))).collect();
    let (paths, len) = (["a", "a/x", "a/x/y", "a/x/y/file", "a/x/z", "b"], 1_000_000);
    entries.extend(paths.map(|path| (path, DIRECTORY)));
    entries.extend([
        ("a/x/y/file", Entry::File(len)),
        ("b", Entry::File(1)),
        ("c", Entry::Link("a/x/y/file")),
    ]);
    for options in all_options() {
        let layout = FatLayout::plan(&tree_with(&entries), &options).unwrap();
        let volume = Volume::of(&layout);
        let ends = if volume.bits == Bits::Fat16 { [0xfff8, 0xffff] } else { [0x0fff_fff8, 0x0fff_ffff] };
        assert_eq!([0, 1].map(|cluster| volume.next(cluster)), ends);
        let mut next = if volume.bits == Bits::Fat16 { 2 } else { 3 };
        for (path, attributes, len) in [
            ("a", FOLDER, 3003_usize * 32),
            ("a/x", FOLDER, 4 * 32),
            ("a/x/y", FOLDER, 3 * 32),
            ("a/x/y/file", FILE, 1_000_000),
            ("a/x/z", FOLDER, 2 * 32),
            ("b", FILE, 1),
            ("c", FILE, 1_000_000),
        ] {
            let found = volume.entry(path);
            let clusters: Vec<usize> = (next..next + len.div_ceil(volume.cluster)).collect();
            assert_eq!(volume.chain(found.first), clusters, "{path}");
            let size = if attributes == FILE { len } else { 0 };
            assert_eq!((found.attributes, found.size), (attributes, size), "{path}");
            next += clusters.len();
        }
        assert!((next..volume.clusters + 2).all(|cluster| volume.next(cluster) == 0));
        let empty = volume.entry("a/01234.txt");
        assert_eq!((empty.first, empty.size, empty.attributes), (0, 0, FILE));
        let summary = layout.summary();
        let count = |number: u64| usize::try_from(number).unwrap();
        assert_eq!((summary.bits, count(summary.cluster_bytes)), (volume.bits, volume.cluster));
        assert_eq!(count(summary.clusters), volume.clusters);
        assert_eq!(count(summary.free_clusters), volume.clusters + 2 - next);
        assert_eq!((summary.files, summary.directories), (3003, 4));
        assert_eq!((layout.options(), layout.tree().len()), (&options, 1 + 3007));
    }
}

/// A table is generated in parts of 64 KiB: those of 16,384 entries.
#[test]
fn files_of_a_cluster_have_an_entry_each() {
    let names: Vec<String> = (0..17_000).map(|number| format!("d/{number:05}")).collect();
    let mut entries: Vec<_> = names.iter().map(|name| (name.as_str(), Entry::File(1))).collect();
    entries.push(("d", DIRECTORY));
    let options = options(34 * MIB, Some(Bits::Fat32));
    let volume = Volume::of(&FatLayout::plan(&tree_with(&entries), &options).unwrap());
    let folder = volume.entry("d").first;
    let firsts: Vec<usize> = volume.directory(folder).iter().skip(2).map(|entry| entry.first).collect();
    let start = folder + volume.chain(folder).len();
    assert_eq!(firsts, (start..start + 17_000).collect::<Vec<_>>());
    assert!(firsts.iter().all(|first| volume.next(*first) == volume.end()));
}

/// `..` is 0 for the root, even if that has a cluster. The root has the label instead.
#[test]
fn a_directory_begins_with_itself_and_the_one_above() {
    let tree = tree_with(&[("a", DIRECTORY), ("a/b", DIRECTORY), ("a/b/c", DIRECTORY), ("z", DIRECTORY)]);
    for options in all_options() {
        let volume = Volume::of(&FatLayout::plan(&tree, &options).unwrap());
        let first = |path| volume.entry(path).first;
        for (path, above) in [("a", 0), ("a/b", first("a")), ("a/b/c", first("a/b")), ("z", 0)] {
            let entries = volume.directory(first(path));
            let [dot, dots] = [&entries[0], &entries[1]];
            assert_eq!(
                (dot.name.as_str(), dot.first, dot.attributes, dot.size),
                (".", first(path), FOLDER, 0)
            );
            assert_eq!(
                (dots.name.as_str(), dots.first, dots.attributes, dots.size),
                ("..", above, FOLDER, 0)
            );
        }
        let label = &volume.directory(0)[0];
        assert_eq!((&volume.bytes[label.at..label.at + 11], label.attributes), (&options.label[..], 0x08));
        let without = Options { label: NO_LABEL, ..options };
        let volume = Volume::of(&FatLayout::plan(&tree, &without).unwrap());
        let names: Vec<String> = volume.directory(0).into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a", "z"]);
    }
}

/// The last cluster in use is the root directory if there is nothing else.
#[test]
fn fat32_has_a_copy_of_the_boot_sector_and_of_the_counts() {
    let entries = [("file", Entry::File(1_000_000))];
    for options in all_options() {
        for entries in [&entries[..], &[]] {
            let layout = FatLayout::plan(&tree_with(entries), &options).unwrap();
            let volume = Volume::of(&layout);
            let sector = |number: usize| &volume.bytes[number * volume.sector..][..volume.sector];
            let of_16 = options.bits == Some(Bits::Fat16);
            let written = if of_16 { &[0][..] } else { &[0, 1, 6, 7] };
            for number in 0..volume.reserved / volume.sector {
                assert_eq!(
                    sector(number).iter().any(|byte| *byte != 0),
                    written.contains(&number),
                    "{number}"
                );
            }
            if of_16 {
                continue;
            }
            assert!(sector(6) == sector(0) && sector(7) == sector(1));
            let free = usize::try_from(layout.summary().free_clusters).unwrap();
            let info = sector(1);
            assert_eq!((u32_at(info, 488), u32_at(info, 492)), (free, volume.clusters - free + 1));
            assert_eq!(
                (&info[..4], &info[484..488], &info[510..512]),
                (&b"RRaA"[..], &b"rrAa"[..], &[0x55, 0xaa][..])
            );
            assert!(info[4..484].iter().chain(&info[496..510]).chain(&info[512..]).all(|byte| *byte == 0));
        }
    }
}

/// Old data of a device must not show through anywhere except in free clusters.
#[test]
fn only_free_clusters_are_unused() {
    let names: Vec<String> = (0..5000).map(|number| format!("d/{number:05}")).collect();
    let mut entries: Vec<_> = names.iter().map(|name| (name.as_str(), Entry::File(0))).collect();
    entries.extend([
        ("d", DIRECTORY),
        ("a", Entry::File(4096)),
        ("e", Entry::File(4097)),
        ("f", Entry::File(3 * MIB)),
    ]);
    for options in all_options() {
        let tree = tree_with(&entries);
        let layout = FatLayout::plan(&tree, &options).unwrap();
        let volume = Volume::of(&layout);
        let mut at = 0;
        let mut files = Vec::new();
        let free = volume.free_at();
        for piece in layout.pieces() {
            assert_eq!(piece.offset, at);
            assert!(piece.len > 0);
            let is_free = piece.offset == u64::try_from(free).unwrap();
            assert_eq!(piece.content == Content::Unused, is_free, "{piece:?}");
            match piece.content {
                // Readers of images get pieces as a whole into memory.
                Content::Metadata => assert!(piece.len <= 64 << 10),
                Content::File { file, offset } => {
                    let name = tree.path(file.node).to_string();
                    files.push((name, offset, piece.len, usize::try_from(at).unwrap()));
                }
                _ => {}
            }
            at += piece.len;
        }
        assert_eq!((at, layout.len()), (options.bytes, options.bytes));
        let place = |path| volume.cluster_at(volume.entry(path).first);
        let expected = [("a", 4096), ("e", 4097), ("f", 3 * MIB)];
        assert_eq!(files, expected.map(|(path, len)| (format!("/{path}"), 0, len, place(path))));
    }
}

/// A full partition has no free clusters, and its tables no unused entries.
#[test]
fn a_partition_is_filled_to_its_last_cluster() {
    for options in [options(4 * MIB, None), options(34 * MIB, Some(Bits::Fat32))] {
        let empty = FatLayout::plan(&tree_with(&[]), &options).unwrap().summary();
        let room = empty.free_clusters * empty.cluster_bytes;
        let layout = FatLayout::plan(&tree_with(&[("all", Entry::File(room))]), &options).unwrap();
        assert_eq!(layout.summary().free_clusters, 0);
        let volume = Volume::of(&layout);
        let clusters = volume.chain(volume.entry("all").first);
        assert_eq!(
            (u64::try_from(clusters.len()).unwrap(), clusters[clusters.len() - 1]),
            (empty.free_clusters, volume.clusters + 1)
        );
        assert!(layout.pieces().all(|piece| piece.len > 0));
        let more = FatLayout::plan(&tree_with(&[("all", Entry::File(room + 1))]), &options).unwrap_err();
        assert!(matches!(more, FatError::Full { missing, .. } if missing == empty.cluster_bytes));
    }
}

/// With `.` and `..`, or with the label.
#[test]
fn a_directory_has_at_most_65536_entries() {
    let list = |folder: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{folder}{number:05}")).collect()
    };
    let plan = |names: &[String], options: &Options| {
        let mut entries: Vec<_> = names.iter().map(|name| (name.as_str(), Entry::File(0))).collect();
        entries.push(("d", DIRECTORY));
        FatLayout::plan(&tree_with(&entries), options).map(|_| ())
    };
    let full = |path: &str| Err(FatError::DirectoryFull { path: path.to_owned() });
    let of_32 = options(64 * MIB, Some(Bits::Fat32));
    assert_eq!(plan(&list("d/", 65_534), &of_32), Ok(()));
    assert_eq!(plan(&list("d/", 65_535), &of_32), full("/d"));
    // The folder `d` is an entry, too.
    assert_eq!(plan(&list("", 65_534), &of_32), Ok(()));
    assert_eq!(plan(&list("", 65_535), &of_32), full("/"));
    assert_eq!(plan(&list("", 65_535), &Options { label: NO_LABEL, ..of_32 }), Ok(()));
    // The root directory of FAT16 has a limit of its own, which is named as long as the names can have short names.
    let of_16 = options(64 * MIB, Some(Bits::Fat16));
    let root = |needed, fat32| Err(FatError::RootFull { needed, room: 512, fat32 });
    assert_eq!(plan(&list("", 510), &of_16), Ok(()));
    assert_eq!(plan(&list("", 511), &of_16), root(513, true));
    assert_eq!(plan(&list("", 511), &options(32 * MIB, None)), root(513, false));
    assert_eq!(plan(&list("", 511), &Options { label: NO_LABEL, ..of_16 }), Ok(()));
    assert_eq!(plan(&list("", 65_535), &of_16), root(65_537, true));
    assert_eq!(plan(&list("", 65_536), &of_16), full("/"));
}

#[test]
fn files_are_shorter_than_4_gib_and_regular() {
    let options = options(9 * GIB, None);
    let plan = |entries: &[(&str, Entry)]| FatLayout::plan(&tree_with(entries), &options).map(|_| ());
    let too_large = |path: &str| Err(FatError::TooLarge { path: path.to_owned(), bytes: 4 * GIB });
    assert_eq!(plan(&[("a", Entry::File(4 * GIB - 1)), ("b", Entry::Link("a"))]), Ok(()));
    assert_eq!(plan(&[("d", DIRECTORY), ("d/a", Entry::File(4 * GIB))]), too_large("/d/a"));
    let kind = |what| Err(FatError::Kind { path: "/d/x".to_owned(), what });
    assert_eq!(plan(&[("d", DIRECTORY), ("d/x", Entry::Symlink)]), kind("a symlink"));
    assert_eq!(plan(&[("d", DIRECTORY), ("d/x", Entry::Fifo)]), kind("a device, FIFO or socket"));
}
