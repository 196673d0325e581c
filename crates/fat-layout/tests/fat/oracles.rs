//! Compares the geometry with that of mkfs.vfat, and checks contents by fsck.vfat, mtools and the `fatfs` crate.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use fat_layout::{Bits, FatError, FatLayout, Options};
use image_tree::SectorSize;
use proptest::prelude::*;

use crate::support::{Files, GIB, MIB, files, of_4096, options, tree_of, write};

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
    let of_16 = [9 * MIB, 16 * MIB + (32 << 10), 16 * MIB + (48 << 10), 512 * MIB, GIB, 2 * GIB];
    let of_32 = [
        32 * MIB + (528 << 10),
        33 * MIB,
        64 * MIB,
        256 * MIB,
        260 * MIB,
        260 * MIB + 512,
        261 * MIB,
        300 * MIB,
    ];
    let chosen = sizes.map(|size| options(size, None)).into_iter();
    let of_16 = of_16.map(|size| options(size, Some(Bits::Fat16)));
    let of_32 = of_32.map(|size| options(size, Some(Bits::Fat32)));
    for options in chosen.chain(of_16).chain(of_32) {
        assert_equals_mkfs(&options, &[]);
    }
}

/// Where mkfs.vfat would choose others, it gets our clusters and reserved sectors.
#[test]
fn tables_equal_those_of_mkfs_vfat_for_other_clusters() {
    let long = [
        (16 * MIB + (64 << 10), Bits::Fat16),
        (18 * MIB, Bits::Fat16),
        (128 * MIB + (128 << 10), Bits::Fat16),
        (256 * MIB + (640 << 10), Bits::Fat32),
        (260 * MIB + (640 << 10), Bits::Fat32),
        (600 * MIB, Bits::Fat32),
    ];
    for (size, bits) in long {
        assert_equals_mkfs(&of_4096(size, Some(bits)), &["-S", "4096"]);
    }
    for size in [3 * MIB, 4 * MIB, 4 * MIB + (16 << 10), 5 * MIB, 8 * MIB] {
        assert_equals_mkfs(&options(size, Some(Bits::Fat16)), &["-S", "512"]);
    }
}

/// Compares with the file system that mkfs.vfat makes with further arguments. If it gets any, it also gets the length of clusters.
fn assert_equals_mkfs(options: &Options, arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let none = Files::new();
    let layout = FatLayout::plan(&tree_of(&none), options).unwrap();
    write(&layout, &none, &ours);
    File::create(&theirs).unwrap().set_len(options.bytes).unwrap();
    let mut command = Command::new("mkfs.vfat");
    command.args(["--invariant", "-i", "2178694e", "-n", "FIRMWARE"]).args(arguments);
    if let Some(bits) = options.bits {
        command.args(["-F", if bits == Bits::Fat16 { "16" } else { "32" }]);
    }
    if !arguments.is_empty() {
        let sectors = layout.summary().cluster_bytes / options.sector.bytes();
        command.args(["-s", &sectors.to_string()]);
    }
    let output = command.arg(&theirs).output().unwrap();
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(shape(&ours), shape(&theirs), "{options:?}");
    fsck(&ours);
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
