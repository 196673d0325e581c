//! Compares the geometry with that of mkfs.vfat, and checks contents by fsck.vfat, mtools and the `fatfs` crate.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use fat_layout::{Bits, FatError, FatLayout, Options};
use image_tree::{
    Content, FileTree, Metadata, Name, Permissions, PieceSource, SectorSize, Timestamp, TreeWriter,
};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn options(bytes: u64, bits: Option<Bits>) -> Options {
    let sector = SectorSize::Bytes512;
    Options { bytes, free_space: 0, label: *b"FIRMWARE   ", id: 0x2178_694e, bits, sector }
}

fn of_4096(bytes: u64, bits: Option<Bits>) -> Options {
    Options { sector: SectorSize::Bytes4096, ..options(bytes, bits) }
}

/// Files by path; directories have no contents. Parents come before their children.
type Files = BTreeMap<Vec<String>, Option<Vec<u8>>>;

fn tree_of(files: &Files) -> FileTree {
    let meta = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(meta.clone(), Vec::new());
    let meta = writer.metadata(&meta);
    let mut open = 0;
    for (path, bytes) in files {
        let (name, parents) = path.split_last().unwrap();
        while open > parents.len() {
            writer.end_directory();
            open -= 1;
        }
        let name = Name::new(name.as_bytes()).unwrap();
        if let Some(bytes) = bytes {
            let len = u64::try_from(bytes.len()).unwrap();
            let source = writer.inline(bytes.clone());
            writer.file(name, meta, len, source).unwrap();
        } else {
            writer.begin_directory(name, meta).unwrap();
            open += 1;
        }
    }
    while open > 0 {
        writer.end_directory();
        open -= 1;
    }
    writer.finish()
}

/// Writes the image. The pieces must be consecutive and cover all of it.
fn write(layout: &FatLayout, files: &Files, path: &Path) {
    let tree = layout.tree();
    let file = File::create(path).unwrap();
    file.set_len(layout.len()).unwrap();
    let mut at = 0;
    for piece in layout.pieces() {
        assert_eq!(piece.offset, at);
        assert!(piece.len > 0);
        at += piece.len;
        match piece.content {
            Content::Zeros | Content::Unused | Content::FileZeros { .. } => {}
            Content::Metadata => {
                let mut buffer = vec![0; usize::try_from(piece.len).unwrap()];
                layout.generate(&piece, &mut buffer);
                file.write_all_at(&buffer, piece.offset).unwrap();
            }
            Content::File { file: of, offset } => {
                assert_eq!(offset, 0);
                let path = tree.path(of.node).to_string();
                let key: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
                let bytes = files[&key].as_ref().unwrap();
                assert_eq!(u64::try_from(bytes.len()).unwrap(), piece.len);
                file.write_all_at(bytes, piece.offset).unwrap();
            }
        }
    }
    assert_eq!(at, layout.len());
}

/// Runs fsck.vfat, which must print two lines and find nothing to repair; returns its output.
fn fsck(path: &Path) -> String {
    let output = Command::new("fsck.vfat").arg("-n").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.lines().count() == 2, "{text}");
    text
}

fn read_all<T: fatfs::ReadWriteSeek>(folder: &fatfs::Dir<'_, T>, at: &[String], found: &mut Files) {
    for entry in folder.iter() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = [at, &[name]].concat();
        if entry.is_dir() {
            found.insert(path.clone(), None);
            read_all(&entry.to_dir(), &path, found);
        } else {
            let mut bytes = Vec::new();
            entry.to_file().read_to_end(&mut bytes).unwrap();
            found.insert(path, Some(bytes));
        }
    }
}

/// Builds an image, checks it by fsck.vfat, reads it back, and compares names and contents.
fn assert_reads_back(files: &Files, options: &Options) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("fat.img");
    let tree = tree_of(files);
    let layout = FatLayout::plan(&tree, options).unwrap();
    write(&layout, files, &image);
    let output = fsck(&image);
    let summary = layout.summary();
    let used = summary.clusters - summary.free_clusters;
    assert!(output.contains(&format!("{used}/{} clusters", summary.clusters)), "{output}\n{summary:?}");
    let device = File::options().read(true).write(true).open(&image).unwrap();
    let system = fatfs::FileSystem::new(device, fatfs::FsOptions::new()).unwrap();
    assert_eq!(system.volume_label(), "FIRMWARE");
    assert_eq!(system.volume_id(), 0x2178_694e);
    assert_eq!(u64::from(system.stats().unwrap().free_clusters()), summary.free_clusters);
    let mut found = Files::new();
    read_all(&system.root_dir(), &[], &mut found);
    assert!(&found == files, "{:?} instead of {:?}", found.keys(), files.keys());
}

fn files(list: &[(&str, Option<usize>)]) -> Files {
    let path = |text: &str| text.split('/').map(str::to_owned).collect();
    let bytes = |len: usize| (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
    list.iter().map(|&(name, len)| (path(name), len.map(bytes))).collect()
}

/// The geometry fields of a boot sector, and the first entries of its FATs.
fn shape(path: &Path) -> Vec<u8> {
    let mut head = vec![0; 90];
    let file = File::open(path).unwrap();
    file.read_exact_at(&mut head, 0).unwrap();
    let is_32 = head[22] == 0 && head[23] == 0;
    // The boot code follows the label and the name of the type.
    head.truncate(if is_32 { 90 } else { 62 });
    head
}

#[test]
fn geometry_equals_that_of_mkfs_vfat() {
    let sizes = [
        9 * MIB,
        10 * MIB + 512,
        16 * MIB,
        17 * MIB,
        30 * MIB,
        32 * MIB,
        33 * MIB,
        64 * MIB,
        100 * MIB + 1536,
        128 * MIB,
        129 * MIB,
        200 * MIB,
        256 * MIB,
        257 * MIB,
        400 * MIB,
        504 * MIB,
        505 * MIB,
        511 * MIB,
        512 * MIB,
        GIB,
        2 * GIB,
        4 * GIB,
        8 * GIB,
        8 * GIB + MIB,
        16 * GIB,
        17 * GIB,
        32 * GIB,
        33 * GIB,
    ];
    let of_16 = [9 * MIB, 512 * MIB, GIB, 2 * GIB];
    let of_32 = [33 * MIB, 64 * MIB, 256 * MIB, 260 * MIB, 261 * MIB, 300 * MIB];
    let cases = sizes.map(|size| (size, None)).into_iter();
    let cases = cases
        .chain(of_16.map(|size| (size, Some(Bits::Fat16))))
        .chain(of_32.map(|size| (size, Some(Bits::Fat32))));
    let folder = tempfile::tempdir().unwrap();
    for (size, bits) in cases {
        let theirs = folder.path().join("theirs");
        File::create(&theirs).unwrap().set_len(size).unwrap();
        let mut command = Command::new("mkfs.vfat");
        command.args(["--invariant", "-i", "2178694e", "-n", "FIRMWARE"]);
        if let Some(bits) = bits {
            command.args(["-F", if bits == Bits::Fat16 { "16" } else { "32" }]);
        }
        let output = command.arg(&theirs).output().unwrap();
        assert!(output.status.success(), "{size}: {}", String::from_utf8_lossy(&output.stderr));
        let none = Files::new();
        let tree = tree_of(&none);
        let layout = FatLayout::plan(&tree, &options(size, bits)).unwrap();
        let ours = folder.path().join("ours");
        write(&layout, &none, &ours);
        assert_eq!(shape(&ours), shape(&theirs), "{size} {bits:?}");
        fsck(&ours);
    }
}

#[test]
fn reads_back_all_kinds_of_names_and_sizes() {
    let many: Vec<String> = (0..300).map(|number| format!("Same Beginning {number}.conf")).collect();
    let mut list = vec![
        ("bcm2711-rpi-4-b.dtb", Some(50_000)),
        ("config.txt", Some(20)),
        ("empty", Some(0)),
        ("start4.elf", Some(3_000_000)),
        ("README", Some(1)),
        ("Mixed.Case", Some(2048)),
        ("Über äöü 你好.dtbo", Some(2049)),
        ("a.b.c.d", Some(511)),
        (".hidden", Some(512)),
        ("many", None),
        ("none", None),
        ("deep", None),
        ("deep/er", None),
        ("deep/er/est", None),
        ("deep/er/est/file.txt", Some(4096)),
        ("spaces in name", Some(3)),
        ("x+y=z,[1];2", Some(4)),
    ];
    let paths: Vec<String> = many.iter().map(|name| format!("many/{name}")).collect();
    list.extend(paths.iter().map(|path| (path.as_str(), Some(7))));
    let long = "n".repeat(255);
    list.push((&long, Some(9)));
    for options in [
        options(30 * MIB, None),
        options(64 * MIB, Some(Bits::Fat32)),
        options(3 * MIB + MIB / 2, None),
        of_4096(20 * MIB, None),
        of_4096(300 * MIB, Some(Bits::Fat32)),
        of_4096(600 * MIB, None),
    ] {
        if options.bytes > 4 * MIB {
            assert_reads_back(&files(&list), &options);
        } else {
            assert_reads_back(&files(&list[..2]), &options);
        }
    }
}

/// Lists the root directory with mtools, which is stricter than other readers.
fn assert_mtools_reads(layout: &FatLayout, folder: &Path) {
    let image = folder.join("mtools.img");
    write(layout, &Files::new(), &image);
    let output = Command::new("mdir").arg("-i").arg(&image).arg("::").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {said}", layout.summary());
    fsck(&image);
}

#[test]
fn the_minimum_size_in_the_error_is_the_minimum() {
    let folder = tempfile::tempdir().unwrap();
    let none = Files::new();
    let tree = tree_of(&none);
    for (bits, sector, expected) in [
        (Bits::Fat16, SectorSize::Bytes512, 3),
        (Bits::Fat32, SectorSize::Bytes512, 33),
        (Bits::Fat16, SectorSize::Bytes4096, 16),
        (Bits::Fat32, SectorSize::Bytes4096, 257),
    ] {
        let of = |bytes| Options { sector, ..options(bytes, Some(bits)) };
        let fat32 = bits == Bits::Fat32;
        let error = FatLayout::plan(&tree, &of(MIB)).unwrap_err();
        let FatError::TooShort { least, .. } = error else { panic!("{error}") };
        assert_eq!(least, expected * MIB, "{bits:?} {sector:?}");
        assert_mtools_reads(&FatLayout::plan(&tree, &of(least)).unwrap(), folder.path());
        let less = FatLayout::plan(&tree, &of(least - MIB)).unwrap_err();
        let other = fat32 && least - MIB >= 16 * MIB;
        assert_eq!(less, FatError::TooShort { bytes: least - MIB, fat32, least, other });
    }
    let error = FatLayout::plan(&tree, &options(32 * MIB, Some(Bits::Fat32))).unwrap_err().to_string();
    assert_eq!(
        error,
        "33554432 bytes are too few for FAT32; make the partition at least 33 MiB long, or leave out the FAT type"
    );
}

#[test]
fn fills_a_partition_to_the_last_cluster() {
    let none = FatLayout::plan(&tree_of(&Files::new()), &options(9 * MIB, None)).unwrap().summary();
    let room = usize::try_from(none.free_clusters * none.cluster_bytes).unwrap();
    assert_reads_back(&files(&[("all", Some(room))]), &options(9 * MIB, None));
    let tree = tree_of(&files(&[("all", Some(room + 1)), ("b", Some(1))]));
    let error = FatLayout::plan(&tree, &options(9 * MIB, None)).unwrap_err();
    let FatError::Full { missing, more: Some(more), promised: false, .. } = error else { panic!("{error}") };
    assert_eq!(missing, 2 * none.cluster_bytes);
    FatLayout::plan(&tree, &options(9 * MIB + more, None)).unwrap();
}

/// Remedies that can't work: another type that the length does not suit, no longer partition of the type.
#[test]
fn only_remedies_that_can_work_are_suggested() {
    let names: Vec<String> = (0..512).map(|number| format!("f{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), Some(0))).collect();
    for (list, options, help) in [
        (&many[..], options(10 * MIB, None), "; move files into folders"),
        (&many, options(10 * MIB, Some(Bits::Fat16)), "; move files into folders"),
        (&many, options(64 * MIB, None), "; move files into folders, or choose FAT32"),
        (&[], options(10 * MIB, Some(Bits::Fat32)), " at least 33 MiB long, or leave out the FAT type"),
        (&[], options(MIB, Some(Bits::Fat32)), " at least 33 MiB long"),
        (&[], options(5 * GIB, Some(Bits::Fat16)), "; make the partition smaller, or leave out the FAT type"),
        (&[], options(1 << 45, None), "; make the partition smaller"),
    ] {
        let error = FatLayout::plan(&tree_of(&files(list)), &options).unwrap_err().to_string();
        assert!(error.ends_with(help), "{error}");
    }
    // `ß` has no upper case of one character, so these are two names.
    assert_reads_back(&files(&[("SS", Some(1)), ("ß", Some(2))]), &options(30 * MIB, None));
}

#[test]
fn rejects_what_fat_does_not_support() {
    let names: Vec<String> = (0..512).map(|number| format!("f{number}")).collect();
    let list: Vec<_> = names.iter().map(|name| (name.as_str(), Some(0))).collect();
    let error = |list: &[(&str, Option<usize>)], bytes, bits| {
        FatLayout::plan(&tree_of(&files(list)), &options(bytes, bits)).unwrap_err().to_string()
    };
    assert!(
        error(&list, 30 * MIB, None)
            .starts_with("the root directory needs 513 entries of 32 bytes, but FAT16 has only 512")
    );
    assert_reads_back(&files(&list), &options(64 * MIB, Some(Bits::Fat32)));
    assert!(error(&[("a:b", Some(0))], 30 * MIB, None).starts_with("/a:b: FAT does not allow this name"));
    assert!(
        error(&[("A", Some(0)), ("a", Some(0))], 30 * MIB, None).starts_with("/A and /a differ only in case")
    );
    assert!(error(&[], MIB, None).starts_with("1048576 bytes are too few for FAT16"));
    assert!(error(&[], 5 * GIB, Some(Bits::Fat16)).starts_with("5368709120 bytes are too many for FAT16"));
    assert!(error(&[], 10_000, Some(Bits::Fat32)).starts_with("10000 bytes are too few for FAT32"));
}

/// A tree of files that nobody reads, in two directories.
fn blank(sizes: &[u64]) -> FileTree {
    let meta = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(meta.clone(), Vec::new());
    let meta = writer.metadata(&meta);
    for (directory, half) in [("a", &sizes[..sizes.len() / 2]), ("b", &sizes[sizes.len() / 2..])] {
        writer.begin_directory(Name::new(directory.as_bytes()).unwrap(), meta).unwrap();
        for (index, size) in half.iter().enumerate() {
            let name = format!("file-{index:06}");
            let source = image_tree::FileSource::External(0);
            writer.file(Name::new(name.as_bytes()).unwrap(), meta, *size, source).unwrap();
        }
        writer.end_directory();
    }
    writer.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// A partition that is longer by what the error says has room for everything.
    #[test]
    fn the_length_in_the_error_suffices(
        sizes in prop::collection::vec(
            prop_oneof![0..5000_u64, 0..60 * MIB, Just(MIB), 0..4 * GIB],
            1..60,
        ),
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        start in prop_oneof![40..80_u64, 500..530_u64],
        long_sectors in any::<bool>(),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let of = |bytes| Options { sector, ..options(bytes, bits) };
        let tree = blank(&sizes);
        let all: u64 = sizes.iter().sum();
        match FatLayout::plan(&tree, &of(start * MIB)) {
            Err(FatError::Full { missing, more: Some(more), .. }) => {
                prop_assert!(more >= missing && more.is_multiple_of(sector.bytes()));
                prop_assert!(FatLayout::plan(&tree, &of(start * MIB + more)).is_ok(), "{more}");
            }
            // 65,524 clusters of 64 KiB.
            Err(FatError::Full { more: None, .. }) => {
                prop_assert!(bits == Some(Bits::Fat16) && all > 3 * GIB, "{all}");
            }
            Err(FatError::TooShort { .. }) => prop_assert!(bits == Some(Bits::Fat32) && long_sectors),
            Err(other) => prop_assert!(false, "{other}"),
            Ok(_) => prop_assert!(all < start * MIB),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// The smallest partition has room for the contents and the free space, and no shorter one has.
    #[test]
    fn the_smallest_partition_is_the_first_that_suffices(
        sizes in prop::collection::vec(prop_oneof![0..5000_u64, 0..20 * MIB, Just(MIB)], 0..40),
        free_space in prop_oneof![Just(0), 0..MIB, 0..300 * MIB, 400 * MIB..700 * MIB],
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        long_sectors in any::<bool>(),
        shorter in prop::collection::vec(0.0..1.0_f64, 20),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let of = |bytes| Options { sector, free_space, ..options(bytes, bits) };
        let tree = blank(&sizes);
        let smallest = FatLayout::smallest(&tree, &of(0)).unwrap();
        let found = FatLayout::plan(&tree, &of(smallest)).unwrap().summary();
        prop_assert!(found.free_clusters * found.cluster_bytes >= free_space);
        let sectors = smallest / sector.bytes();
        let near = sectors.saturating_sub(700)..sectors;
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any number will do")]
        let far = shorter.iter().map(|share| (share * sectors as f64) as u64);
        // Where the type, the length of clusters and that of tracks change.
        let changes = [16, 32, 128, 256, 260, 504, 512, 1008].map(|mib| mib * MIB / sector.bytes());
        let changes = changes.into_iter().flat_map(|at| [at - 1, at, at + 1]).filter(|at| *at < sectors);
        for shorter in near.chain(far).chain(changes) {
            prop_assert!(FatLayout::plan(&tree, &of(shorter * sector.bytes())).is_err(), "{} of {}", shorter, sectors);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any numbers give a layout or an error.
    #[test]
    fn no_number_is_too_large(
        bytes in prop_oneof![Just(u64::MAX), Just(1 << 41), any::<u64>(), 0..u64::MAX],
        free_space in prop_oneof![u64::MAX - 3 * MIB..=u64::MAX, (1 << 41) - 4 * GIB..(1 << 42), any::<u64>()],
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        long_sectors in any::<bool>(),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let of = |bytes| Options { sector, free_space, ..options(bytes, bits) };
        let tree = blank(&[1, 4 * GIB - 1]);
        match FatLayout::smallest(&tree, &of(0)) {
            Ok(smallest) => {
                let found = FatLayout::plan(&tree, &of(smallest)).unwrap().summary();
                prop_assert!(found.free_clusters * found.cluster_bytes >= free_space);
            }
            Err(error) => {
                let is_too_much = matches!(error, FatError::TooMuch { .. });
                prop_assert!(is_too_much && free_space > GIB, "{}", error);
            }
        }
        if let Ok(layout) = FatLayout::plan(&tree, &of(bytes)) {
            prop_assert_eq!(layout.len(), bytes);
        }
    }
}

/// Promised free space is counted in whole clusters, and the error for too short a partition names it.
#[test]
fn free_space_is_promised() {
    let tree = blank(&[1]);
    let with = |free_space| FatLayout::plan(&tree, &Options { free_space, ..options(9 * MIB, None) });
    let free = with(0).unwrap().summary();
    let free = free.free_clusters * free.cluster_bytes;
    with(free).unwrap();
    let error = with(free + 1).unwrap_err();
    let message = "the files and the free space need 2048 bytes more than the partition has; make it ";
    assert!(error.to_string().starts_with(message), "{error}");
}

#[test]
fn more_than_any_partition_holds_is_an_error_about_the_free_space() {
    let error = |sizes: &[u64], free_space, bits| {
        let options = Options { free_space, ..options(0, bits) };
        FatLayout::smallest(&blank(sizes), &options).unwrap_err().to_string()
    };
    assert_eq!(
        error(&[1], u64::MAX, None),
        "the free space: 18446744073709551615 bytes and the files are more than FAT32 can hold; promise less"
    );
    assert_eq!(
        error(&[1], 5 * GIB, Some(Bits::Fat16)),
        "the free space: 5368709120 bytes and the files are more than FAT16 can hold; promise less, or choose FAT32"
    );
    assert_eq!(
        error(&[3 * GIB, 3 * GIB], 0, Some(Bits::Fat16)),
        "the files are more than FAT16 can hold; leave some out, or choose FAT32"
    );
}

/// 40 MiB, a file of 40 MiB and 40 small ones.
#[test]
fn the_length_in_the_error_counts_longer_tables() {
    let tree = blank(&[&[40 * MIB][..], &[10; 40]].concat());
    let at = |bytes| FatLayout::plan(&tree, &options(bytes, Some(Bits::Fat16)));
    let Err(FatError::Full { more: Some(more), .. }) = at(40 * MIB) else { panic!("does not fit") };
    at(40 * MIB + more).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Readers derive the FAT type only from the number of clusters (specification, section 3.5).
    #[test]
    fn every_size_has_a_valid_number_of_clusters_or_is_rejected_with_a_valid_minimum(
        bytes in prop_oneof![0..80 * MIB, 200 * MIB..600 * MIB, 0..40 * GIB],
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        long_sectors in any::<bool>(),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let bytes = bytes - bytes % sector.bytes();
        let of = |bytes| Options { sector, ..options(bytes, bits) };
        let none = Files::new();
        let tree = tree_of(&none);
        match FatLayout::plan(&tree, &of(bytes)) {
            Ok(layout) => {
                let found = layout.summary();
                let range = if found.bits == Bits::Fat32 { 65_525..268_435_445 } else { 4085..65_525 };
                prop_assert!(range.contains(&found.clusters), "{:?}", found);
                prop_assert!(bits.is_none_or(|bits| bits == found.bits));
                prop_assert!(found.cluster_bytes <= 64 << 10 && found.cluster_bytes >= sector.bytes());
            }
            Err(FatError::TooShort { least, .. }) => {
                prop_assert!(least > bytes, "{} of {}", least, bytes);
                prop_assert!(FatLayout::plan(&tree, &of(least)).is_ok());
            }
            Err(FatError::TooLong { .. }) => prop_assert!(bits == Some(Bits::Fat16) && bytes > 3 * GIB),
            Err(other) => panic!("{other}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_back_random_trees(
        list in proptest::collection::btree_map("[a-zA-Zäß0-9 ._~+-]{0,20}[a-zA-Zäß0-9]", 0_usize..9000, 0..60),
        in_folder in any::<bool>(),
        is_32 in any::<bool>(),
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let prefix = if in_folder { "folder/" } else { "" };
        let named: Vec<(String, usize)> = list
            .into_iter()
            .filter(|(name, _)| !name.trim_matches('.').is_empty() && seen.insert(name.to_uppercase()))
            .map(|(name, len)| (format!("{prefix}{name}"), len))
            .collect();
        let mut list: Vec<(&str, Option<usize>)> = named.iter().map(|(name, len)| (name.as_str(), Some(*len))).collect();
        if in_folder {
            list.push(("folder", None));
        }
        assert_reads_back(&files(&list), &options(if is_32 { 40 * MIB } else { 9 * MIB }, is_32.then_some(Bits::Fat32)));
    }
}
