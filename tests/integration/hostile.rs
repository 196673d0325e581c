//! Malicious images: every run ends within limits of time and memory, without a panic.

use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::handmade::{BLOCK, Ext4, fat32, fat32_with, gpt, put, write_at};
use crate::support::{Run, Workspace, empty_plan, tool};

/// Limits of one run: CPU seconds, and bytes of address space (threads reserve much of it).
const SECONDS: u32 = 30;
const BYTES: u64 = 2 << 30;

/// Runs the program with limits. It must end by itself, with a result or with a few lines.
#[track_caller]
fn bounded(workspace: &Workspace, arguments: &[&str]) -> Run {
    let mut command = Command::new(tool("prlimit"));
    command.arg(format!("--cpu={SECONDS}")).arg(format!("--as={BYTES}")).arg("--core=0");
    command.arg(env!("CARGO_BIN_EXE_snugfs")).args(arguments).current_dir(workspace.path(""));
    command.env_remove("RUST_BACKTRACE").env("TMPDIR", workspace.path(""));
    let run = Run::of(&mut command);
    assert!([0, 5, 7, 8].contains(&run.code), "{arguments:?}: exit {}: {}", run.code, run.stderr);
    assert!(!run.stderr.contains("internal error"), "{arguments:?}: {}", run.stderr);
    assert!(run.stderr.lines().count() <= 1100, "{arguments:?}: {} lines", run.stderr.lines().count());
    run
}

/// Every command that reads an image.
fn look_in_every_way(workspace: &Workspace, image: &str) {
    for arguments in [
        &["inspect", image][..],
        &["inspect", image, "--json"],
        &["inspect", image, "ls", "-l", "/"],
        &["inspect", image, "ls", "-R", "/"],
        &["inspect", image, "cat", "/f"],
        &["inspect", image, "stat", "/d"],
        &["inspect", image, "extract", "/", "-o", "out"],
        &["verify", image],
        &["verify", "--used", image],
    ] {
        let _ = std::fs::remove_dir_all(workspace.path("out"));
        bounded(workspace, arguments);
    }
}

/// A root directory with a file `f` (inode 12) and a directory `d` (inode 13), which are still to be made.
fn with_root(blocks: u64) -> Ext4 {
    let mut image = Ext4::of_blocks(blocks);
    image.directory(2, 2, &[(12, b"f".to_vec()), (13, b"d".to_vec())]);
    image.directory(13, 2, &[]);
    image
}

#[test]
fn blocks_beyond_the_end_of_a_file_are_not_read() {
    let workspace = Workspace::new();
    // Extents of one block at these blocks of the file, and its length.
    for (places, size) in [
        (&[0, 10, 20][..], 1024),
        (&[10, 20], 1024),
        (&[10, 20], 0),
        (&[0, 1, 3], 2049),
        (&[2, 4, u32::MAX - 1], 3000),
    ] {
        let mut image = with_root(4096);
        let mut expected = vec![0; usize::try_from(size).unwrap() + (21 << 10)];
        let mut extents = Vec::new();
        for place in places {
            let contents = vec![u8::try_from(place % 200).unwrap() + 1; BLOCK];
            extents.push((*place, 1, image.blocks(&contents)));
            if *place < 21 {
                put(&mut expected, usize::try_from(*place).unwrap() * BLOCK, &contents);
            }
        }
        expected.truncate(usize::try_from(size).unwrap());
        let map = image.tree(&extents);
        image.inode(12, 0o100_644, size, 1, &map);
        image.write(&workspace.path("x.img"));
        let _ = std::fs::remove_dir_all(workspace.path("out"));
        let cat = bounded(&workspace, &["inspect", "x.img", "cat", "/f"]).succeeded();
        assert_eq!(cat.stdout, expected, "{places:?} {size}");
        bounded(&workspace, &["inspect", "x.img", "extract", "/f", "-o", "out"]).succeeded();
        assert_eq!(workspace.read("out/f"), expected, "{places:?} {size}");
    }
}

#[test]
fn sums_of_huge_numbers_do_not_overflow() {
    let workspace = Workspace::new();
    // As many blocks of 1 KiB as 2^64 bytes have, and fewer; the inode table at the very end.
    for blocks in [(1_u64 << 54) - 1, 1 << 53, u64::from(u32::MAX)] {
        for table in [blocks - 1, blocks - 2, blocks, u64::MAX] {
            let mut image = with_root(blocks);
            put(&mut image.bytes, 2048 + 8, &table.to_le_bytes()[..4]);
            put(&mut image.bytes, 2048 + 0x28, &table.to_le_bytes()[4..]);
            image.write(&workspace.path("x.img"));
            bounded(&workspace, &["inspect", "x.img", "ls", "/"]).failed_with(5);
            bounded(&workspace, &["verify", "x.img"]).failed_with(8);
        }
    }
}

#[test]
fn a_directory_beyond_the_image_is_one_line() {
    let workspace = Workspace::new();
    let mut image = with_root(1 << 40);
    let number = 20_000_u32;
    let extents: Vec<_> = (0..number).map(|k| (k << 15, 1 << 15, (1 << 20) + (u64::from(k) << 15))).collect();
    let map = image.tree(&extents);
    image.inode(13, 0o40_755, u64::from(number) << 25, 2, &map);
    image.inode(12, 0o100_644, 1 << 50, 1, &map);
    image.write(&workspace.path("x.img"));
    for arguments in [&["ls", "/d"][..], &["ls", "-R", "/"], &["extract", "/d", "-o", "out"]] {
        let run = bounded(&workspace, &[&["inspect", "x.img"], arguments].concat());
        assert_eq!(run.code, 5, "{}", run.stderr);
        let errors: Vec<_> = run.stderr.lines().filter(|line| line.contains("is beyond the end")).collect();
        assert_eq!(errors.len(), 1, "{}", run.stderr);
    }
    look_in_every_way(&workspace, "x.img");
}

#[test]
fn blocks_that_many_structures_share_are_not_read_without_end() {
    let workspace = Workspace::new();
    // One block of a directory, named by as many extents as fit; one of a file likewise.
    let mut image = with_root(1 << 40);
    let shared = image.blocks(&vec![7; 64 * BLOCK]);
    let extents: Vec<_> = (0..30_000_u32).map(|k| (k * 64, 64, shared)).collect();
    let map = image.tree(&extents);
    image.inode(12, 0o100_644, 30_000 << 16, 1, &map);
    image.inode(13, 0o40_755, 30_000 << 16, 2, &map);
    image.write(&workspace.path("x.img"));
    look_in_every_way(&workspace, "x.img");
    bounded(&workspace, &["inspect", "x.img", "cat", "/f"])
        .failed_with(5)
        .says("has more blocks than the file system");
    // Maps of blocks whose pointers all lead to one block of pointers.
    let mut image = with_root(1 << 40);
    let first = image.blocks(&[0; BLOCK]);
    let pointers = u32::try_from(first).unwrap().to_le_bytes().repeat(BLOCK / 4);
    put(&mut image.bytes, usize::try_from(first).unwrap() * BLOCK, &pointers);
    image.inode(12, 0o100_644, 1 << 40, 1, &pointers[..60]);
    put(&mut image.bytes, Ext4::inode_at(12) + 0x20, &[0; 4]);
    image.write(&workspace.path("x.img"));
    look_in_every_way(&workspace, "x.img");
}

#[test]
fn files_that_share_their_blocks_do_not_fill_the_disk() {
    let workspace = Workspace::new();
    let mut image = Ext4::of_blocks(1 << 16);
    let data = image.blocks(&vec![7; 3 << 20]);
    let map = image.tree(&[(0, 3000, data)]);
    let names: Vec<_> = (12..96_u32).map(|number| (number, format!("f{number}").into_bytes())).collect();
    image.directory(2, 2, &names);
    for number in 12..96 {
        image.inode(number, 0o100_644, 3000 << 10, 1, &map);
    }
    image.write(&workspace.path("x.img"));
    let run = bounded(&workspace, &["inspect", "x.img", "extract", "/", "-o", "out"]).failed_with(5);
    let stopped = run.stderr.lines().filter(|line| line.contains("files are far larger than the image"));
    assert_eq!(stopped.count(), 1, "{}", run.stderr);
    // 64 MiB are written of every image, in whole files.
    let files = std::fs::read_dir(workspace.path("out")).unwrap().count();
    assert_eq!(files, (64 << 20) / (3000 << 10));
}

#[test]
fn seek_tables_are_not_taken_into_memory() {
    let workspace = Workspace::new();
    // The second table is one of as many empty frames as there may be.
    for (number, length) in [(1_u64 << 30, 8), (1 << 27, 8), ((1 << 27) + 1, 12), (u64::from(u32::MAX), 12)] {
        let table = number * length;
        let mut file = std::fs::File::create(workspace.path("x.zst")).unwrap();
        file.set_len(8 + table + 9).unwrap();
        let size = u32::try_from((table + 9) & 0xffff_ffff).unwrap();
        write_at(&mut file, 0, &[0x184d_2a5e_u32.to_le_bytes(), size.to_le_bytes()].concat());
        let number = u32::try_from(number).unwrap().to_le_bytes();
        let descriptor = [if length == 12 { 0x80 } else { 0 }];
        let footer = [&number[..], &descriptor, &0x8f92_eab1_u32.to_le_bytes()].concat();
        write_at(&mut file, 8 + table, &footer);
        assert_ne!(bounded(&workspace, &["verify", "x.zst"]).code, 0, "{number:?} {length}");
    }
}

#[test]
fn identical_partitions_are_read_once() {
    let workspace = Workspace::new();
    let sectors = (64 << 20) / 512;
    // 12 million clusters, whose table takes 48 MiB.
    let boot = fat32(12_000_000, 32);
    gpt(&workspace.path("x.img"), sectors, &vec![(8192, sectors - 8192); 8192], &[(8192, boot)]);
    look_in_every_way(&workspace, "x.img");
    let run = bounded(&workspace, &["inspect", "x.img"]);
    assert!(
        run.stderr
            .contains("partition 2: has the same start and length as partition 1; choose that partition")
    );
    assert!(run.stderr.contains("more partitions can't be read"), "{}", run.stderr);
    // The same table at many distances from many boot sectors.
    let distances = 0..4096_u64;
    let partitions: Vec<_> = distances.clone().map(|k| (8192 + 8 * k, sectors - 8192)).collect();
    let boots: Vec<_> =
        distances.map(|k| (8192 + 8 * k, fat32(4_000_000, u16::try_from(40_000 - 8 * k).unwrap()))).collect();
    gpt(&workspace.path("x.img"), sectors, &partitions, &boots);
    for arguments in [&["inspect", "x.img"][..], &["verify", "x.img"]] {
        bounded(&workspace, arguments);
    }
    // Many places of one large ext4, each with a superblock.
    let superblock = &with_root(60_000).bytes[1024..2048];
    let boots: Vec<_> = (0..4096_u64).map(|k| (8192 + 8 * k + 2, superblock.to_vec())).collect();
    gpt(&workspace.path("x.img"), sectors, &partitions, &boots);
    for arguments in [&["inspect", "x.img"][..], &["verify", "x.img"]] {
        bounded(&workspace, arguments);
    }
}

#[test]
fn chains_that_many_files_share_are_not_followed_without_end() {
    let workspace = Workspace::new();
    let (clusters, entries) = (20_000, 10_000_u32);
    // The root has the first clusters; all files begin with the same chain, which is shorter than they are.
    let root_end = 2 + entries * 32 / 512;
    let next = |cluster: u32| match cluster {
        cluster if cluster == root_end || cluster == clusters + 1 => 0x0fff_ffff,
        cluster => cluster + 1,
    };
    for (attributes, length) in [(0, u32::MAX), (0, 8_000_000), (0x10, 0)] {
        let root: Vec<_> = (0..entries)
            .map(|number| {
                let name: [u8; 11] = format!("{number:08}BIN").into_bytes().try_into().unwrap();
                (name, attributes, root_end + 1 + if attributes == 0 { 0 } else { number }, length)
            })
            .collect();
        workspace.write("x.img", fat32_with(clusters, &root, next));
        let run = bounded(&workspace, &["inspect", "x.img", "extract", "/", "-o", "out"]);
        assert_eq!(run.code, 5, "{attributes} {}", run.stderr);
        let stopped = run.stderr.lines().filter(|line| line.ends_with("; reading was stopped")).count();
        assert_eq!(stopped, 1, "{attributes} {length}: {}", run.stderr);
        std::fs::remove_dir_all(workspace.path("out")).unwrap();
        for arguments in [&["ls", "-l"][..], &["ls", "-R"], &["cat", "/00000007.BIN"]] {
            bounded(&workspace, &[&["inspect", "x.img"], arguments].concat());
        }
    }
}

#[test]
fn paths_through_links_read_a_directory_once() {
    let workspace = Workspace::new();
    let mut image = Ext4::of_blocks(1 << 24);
    let mut names: Vec<_> = (0..200_000).map(|k| (13, format!("{k:06x}").into_bytes())).collect();
    names.push((12, b"a".to_vec()));
    names.extend((0..40_u32).map(|k| (20 + k, format!("l{k:02}").into_bytes())));
    image.directory(2, 2, &names);
    image.directory(12, 2, &[]);
    image.inode(13, 0o100_644, 0, 1, &[]);
    for k in 0..40_u8 {
        let end = if k < 39 { format!("l{:02}", k + 1) } else { "a".to_owned() };
        let target = "a/../".repeat(818) + &end;
        let block = image.blocks(&[target.as_bytes(), &[0]].concat());
        let map = image.tree(&[(0, 4, block)]);
        image.inode(20 + usize::from(k), 0o120_777, u64::try_from(target.len()).unwrap(), 1, &map);
    }
    image.write(&workspace.path("x.img"));
    let found = bounded(&workspace, &["inspect", "x.img", "ls", "/l00/"]).succeeded();
    assert_eq!(found.text(), "");
    bounded(&workspace, &["inspect", "x.img", "ls", "/l00/l00"]).failed_with(5);
}

#[test]
fn nested_directories_are_listed_in_linear_time() {
    let workspace = Workspace::new();
    // Every directory has every other one.
    let mut image = Ext4::of_blocks(1 << 16);
    let all: Vec<_> = (12..96_u32).map(|number| (number, format!("d{number}").into_bytes())).collect();
    for number in [2].into_iter().chain(12..96) {
        image.directory(number, 2, &all);
    }
    image.write(&workspace.path("x.img"));
    look_in_every_way(&workspace, "x.img");
    let listed = bounded(&workspace, &["inspect", "x.img", "ls", "-R", "/"]);
    assert!(listed.stdout.len() < 1 << 20, "{}", listed.stdout.len());
}

/// Files that may be in a folder before something is extracted into it.
fn something(kind: &str, path: &Path, secret: &Path) {
    match kind {
        "file" => std::fs::copy(secret, path).map(drop).unwrap(),
        "link" => symlink(secret, path).unwrap(),
        "dangling" => symlink("nowhere", path).unwrap(),
        "hard link" => std::fs::hard_link(secret, path).unwrap(),
        "pipe" => assert!(Command::new(tool("mkfifo")).arg(path).status().unwrap().success()),
        _ => std::fs::create_dir(path).unwrap(),
    }
}

/// A plan of a tree with a file that has several names.
fn with_names(first: &str, others: &[&str]) -> Workspace {
    let mut plan = empty_plan();
    plan["trees"] = serde_json::json!([{ "source": "tree" }]);
    let workspace = Workspace::with_plan(&plan);
    let file = workspace.write(&format!("tree/{first}"), "from the image\n");
    for other in others {
        let path = workspace.path(&format!("tree/{other}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::hard_link(&file, path).unwrap();
    }
    workspace
}

#[test]
fn extract_never_links_to_existing_files() {
    let workspace = with_names("d/a", &["d/b", "d/c"]);
    workspace.write("tree/d/z", "another\n");
    workspace.build("x.img", []);
    let secret = workspace.write("secret", "a secret of the user\n");
    for kind in ["file", "link", "dangling", "hard link", "pipe", "folder"] {
        let _ = std::fs::remove_dir_all(workspace.path("out"));
        std::fs::create_dir(workspace.path("out")).unwrap();
        // The folder named is the user's; what is in the image's `d` comes straight into it.
        for name in ["a", "z"] {
            something(kind, &workspace.path("out").join(name), &secret);
        }
        let before = std::fs::symlink_metadata(workspace.path("out/a")).unwrap();
        for name in ["a", "b", "c", "z"] {
            let path = format!("/d/{name}");
            let run = bounded(&workspace, &["inspect", "x.img", "extract", &path, "-o", "out"]);
            assert_eq!(run.code, if ["a", "z"].contains(&name) { 7 } else { 0 }, "{kind}: {}", run.stderr);
        }
        let after = std::fs::symlink_metadata(workspace.path("out/a")).unwrap();
        assert_eq!(
            (before.ino(), before.nlink(), before.mtime_nsec()),
            (after.ino(), after.nlink(), after.mtime_nsec()),
            "{kind}"
        );
        assert_eq!(workspace.read("out/b"), b"from the image\n", "{kind}");
        assert_eq!(std::fs::metadata(workspace.path("out/b")).unwrap().nlink(), 1, "{kind}");
        assert_eq!(workspace.read("secret"), b"a secret of the user\n", "{kind}");
        assert_eq!(after.file_type().is_fifo(), kind == "pipe");
    }
}

#[test]
fn extracted_hard_links_only_point_to_extracted_files() {
    let workspace = with_names("a", &["b", "c/c", "c/d"]);
    workspace.build("x.img", []);
    for kind in ["file", "link", "hard link", "nothing"] {
        let _ = std::fs::remove_dir_all(workspace.path("out"));
        std::fs::create_dir(workspace.path("out")).unwrap();
        let secret = workspace.write("secret", "a secret of the user\n");
        if kind != "nothing" {
            something(kind, &workspace.path("out/a"), &secret);
        }
        let run = bounded(&workspace, &["inspect", "x.img", "extract", "/", "-o", "out"]);
        assert_eq!(run.code, if kind == "nothing" { 0 } else { 7 }, "{}", run.stderr);
        let names = ["out/b", "out/c/c", "out/c/d"];
        let inodes = names.map(|name| std::fs::symlink_metadata(workspace.path(name)).unwrap().ino());
        assert!(inodes.iter().all(|inode| *inode == inodes[0]), "{kind}: they are one file");
        let links = std::fs::metadata(workspace.path("out/b")).unwrap().nlink();
        assert_eq!(links, if kind == "nothing" { 4 } else { 3 }, "{kind}");
        for name in names {
            assert_eq!(workspace.read(name), b"from the image\n", "{kind} {name}");
        }
        assert_eq!(workspace.read("secret"), b"a secret of the user\n", "{kind}");
    }
}

#[test]
fn other_formats_are_recognised_with_help() {
    let workspace = Workspace::new();
    let file = |name: &str, bytes: &[u8]| workspace.write(name, bytes);
    std::fs::File::create(workspace.path("fat")).unwrap().set_len(8 << 20).unwrap();
    let made = Command::new(tool("mkfs.vfat")).arg(workspace.path("fat")).output().unwrap();
    assert!(made.status.success());
    let mut broken = workspace.read("fat");
    broken[0x10] = 1;
    broken[0x16..0x18].copy_from_slice(&[1, 0]);
    file("broken-fat", &broken);
    let mut swap = vec![0; 1 << 20];
    put(&mut swap, 4086, b"SWAPSPACE2");
    file("swap", &swap);
    file("qcow2", b"QFI\xfb\0\0\0\x03");
    file("vhdx", b"vhdxfile");
    file("vmdk", b"KDMV\x03\0\0\0");
    let mut archive = vec![0; 1024];
    put(&mut archive, 257, b"ustar  \0");
    file("tar", &archive);
    file("tar.zst", &zstd::bulk::compress(&archive, 1).unwrap());
    file("gzip", b"\x1f\x8b\x08\0\0\0\0\0");
    file("xz", b"\xfd7zXZ\0garbage");
    file("bzip2", b"BZh9");
    file("empty", b"");
    file("text", b"hello\n");
    file("zeros", &vec![0; 65_536]);
    gpt(&workspace.path("disk"), 1 << 15, &[(2048, 4096)], &[(2048, fat32(1000, 32))]);
    for (name, code, shown) in [
        ("fat", 5, "contains FAT12, but snugfs only checks ext4 and disks; check it with `fsck.fat -n`"),
        ("broken-fat", 5, "boot sector: its allocation table is too short"),
        ("swap", 5, "contains swap, but snugfs only checks ext4"),
        ("qcow2", 5, "is a qcow2 image"),
        ("vhdx", 5, "is a VHDX, which snugfs does not read"),
        ("vmdk", 5, "is a VMDK, which snugfs does not read; convert it with `qemu-img convert -O raw`"),
        ("tar", 5, "is a tar archive, which snugfs does not read; unpack it with `tar -x`"),
        ("tar.zst", 5, "contains a tar archive, which snugfs does not read; unpack it with `tar -x`"),
        ("gzip", 5, "gzip: the compressed image is truncated"),
        ("xz", 5, "xz: "),
        ("bzip2", 5, "is compressed by bzip2"),
        ("empty", 5, "is empty; name an image"),
        ("text", 8, "6 bytes can't hold a file system; is this the right image?"),
        ("zeros", 8, "or this is no ext4; see what it is with `snugfs inspect`"),
        ("absent", 5, "name an image that exists"),
    ] {
        for arguments in [&["verify", name][..], &["verify", "--used", name]] {
            bounded(&workspace, arguments).failed_with(code).says(shown);
        }
    }
    let shown = bounded(&workspace, &["verify", "disk"]).succeeded();
    assert!(shown.text().contains("partition 1 fat32 (not checked)"), "{}", shown.text());
}
