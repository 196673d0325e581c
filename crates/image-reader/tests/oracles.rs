//! Compares files with those that other readers find: the `ext4-view` crate, debugfs, mtools.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::path::Path;
use std::process::Command;

use image_reader::{
    Attribute, ExtractOptions, FileSystem, Image, Kind, Links, Overview, ReadError, extract, find,
};

fn run(program: &str, arguments: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let run = Command::new(program).args(arguments).env("PATH", path).output();
    let run = run.unwrap_or_else(|error| panic!("{program}: {error}; install what has it"));
    assert!(run.status.success(), "{program}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with edge cases: large directories, holes, long names and targets, times.
fn source(folder: &Path) {
    std::fs::create_dir_all(folder.join("many")).unwrap();
    for number in 0..3000 {
        std::fs::write(
            folder.join(format!("many/a name that fills the directory {number}")),
            number.to_string(),
        )
        .unwrap();
    }
    std::fs::create_dir(folder.join("dir")).unwrap();
    std::fs::write(folder.join("dir").join("n".repeat(255)), "long name").unwrap();
    let sparse = std::fs::File::create(folder.join("dir/sparse")).unwrap();
    for number in 0..50 {
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"island", number * 100_000).unwrap();
    }
    sparse.set_len(9_000_001).unwrap();
    std::fs::write(folder.join("large"), (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect::<Vec<_>>())
        .unwrap();
    std::os::unix::fs::symlink("dir/sparse", folder.join("short-link")).unwrap();
    std::os::unix::fs::symlink(format!("dir/{}", "n".repeat(255)), folder.join("long-link")).unwrap();
    std::os::unix::fs::symlink("../../../../large", folder.join("dir/up")).unwrap();
    std::os::unix::fs::symlink("ring", folder.join("ring")).unwrap();
    std::fs::hard_link(folder.join("large"), folder.join("dir/second")).unwrap();
    run("touch", &["-d", "1950-02-03 04:05:06 UTC", text(&folder.join("dir/sparse"))]);
    run("chmod", &["3751", text(&folder.join("dir"))]);
}

fn volume(path: &Path, check: impl FnOnce(&FileSystem)) {
    let image = Image::open(path).unwrap();
    let overview = Overview::read(&image).unwrap();
    check(overview.choose(None).unwrap().0.file_system().unwrap());
}

fn read(fs: &FileSystem, path: &str) -> Vec<u8> {
    let found = find(fs, path.as_bytes(), Links::Follow).unwrap();
    let mut bytes = Vec::new();
    fs.copy(&found.node, &mut bytes).unwrap().unwrap();
    bytes
}

#[test]
fn extracts_what_mke2fs_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    source(&tree);
    for (name, arguments) in [
        ("ext4", &["-t", "ext4"][..]),
        ("small-blocks", &["-t", "ext4", "-b", "1024", "-I", "128"]),
        ("ext3", &["-t", "ext3", "-b", "2048"]),
        ("ext2", &["-t", "ext2", "-b", "1024"]),
        ("large-blocks", &["-t", "ext4", "-b", "65536", "-N", "4000"]),
    ] {
        let image = folder.path().join(name);
        let all = [&["-q", "-F"], arguments, &["-d", text(&tree), text(&image), "320M"]].concat();
        run("mke2fs", &all);
        volume(&image, |fs| {
            let out = folder.path().join(format!("{name}.out"));
            let root = find(fs, b"/", Links::Keep).unwrap();
            let done = extract(fs, &root, &out, ExtractOptions::default()).unwrap();
            assert!(done.unread.is_empty() && done.unwritten.is_empty(), "{name}: {done:?}");
            std::fs::remove_dir(out.join("lost+found")).unwrap();
            run("diff", &["-r", "--no-dereference", text(&tree), text(&out)]);
            // An inode of 128 bytes has 32 bits for the time, from 1901.
            let listing = ["-printf", "%P %y %m %n %T@ %s %l\\n"];
            let sorted = |folder: &Path| {
                let found = run("find", &[&[text(folder), "-mindepth", "1"], &listing[..]].concat());
                let mut lines: Vec<_> = found.lines().map(without_fraction).collect();
                lines.retain(|line| !line.contains(" d "));
                lines.sort();
                lines
            };
            assert_eq!(sorted(&tree), sorted(&out), "{name}");
            // set-group-ID is extracted only with owners.
            let mode = run("stat", &["-c", "%a", text(&out.join("dir"))]);
            assert_eq!(mode, "1751\n");
            let found = find(fs, b"/dir", Links::Keep).unwrap();
            assert_eq!(found.node.mode, 0o3751);
        });
    }
}

/// Removes nanoseconds, which old inodes don't have, and times of symlinks, which can't always be set.
fn without_fraction(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    words
        .iter()
        .map(|word| word.split_once(".0000000000").map_or(*word, |(n, _)| n))
        .map(|word| {
            let number = word.split_once('.').filter(|(a, b)| {
                b.len() == 10 && a.trim_start_matches('-').bytes().all(|c| c.is_ascii_digit())
            });
            number.map_or(word.to_owned(), |(seconds, _)| seconds.to_owned())
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn another_reader_finds_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    source(&tree);
    // The other reader rejects times before 1970.
    run("touch", &[text(&tree.join("dir/sparse"))]);
    let image = folder.path().join("image");
    run("mke2fs", &["-q", "-t", "ext4", "-d", text(&tree), text(&image), "64M"]);
    let other = ext4_view::Ext4::load_from_path(&image).unwrap();
    volume(&image, |fs| {
        let mut open = vec![(String::from("/"), fs.root().unwrap())];
        let mut seen = 0;
        while let Some((path, node)) = open.pop() {
            let (entries, errors) = fs.entries(&node).unwrap();
            assert!(errors.is_empty(), "{errors:?}");
            let mut names: Vec<_> = other
                .read_dir(path.as_str())
                .unwrap()
                .map(|e| e.unwrap().file_name().as_ref().to_vec())
                .collect();
            names.retain(|name| name != b"." && name != b"..");
            names.sort();
            assert_eq!(entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>(), names);
            for entry in entries {
                let below = format!(
                    "{}/{}",
                    path.trim_end_matches('/'),
                    String::from_utf8(entry.name.clone()).unwrap()
                );
                let (node, theirs) =
                    (fs.node(&entry).unwrap(), other.symlink_metadata(below.as_str()).unwrap());
                assert_eq!((node.size, node.mode), (theirs.len(), theirs.mode() & 0o7777), "{below}");
                assert_eq!((node.uid, node.gid), (theirs.uid(), theirs.gid()));
                assert_eq!(node.modified.seconds, theirs.modified().seconds());
                seen += 1;
                match node.kind {
                    Kind::File => {
                        assert_eq!(read(fs, &below), other.read(below.as_str()).unwrap(), "{below}");
                    }
                    Kind::Directory => open.push((below, node)),
                    _ => {
                        let target = fs.link_target(&node).unwrap();
                        assert_eq!(target, other.read_link(below.as_str()).unwrap().as_ref(), "{below}");
                    }
                }
            }
        }
        assert!(seen > 3000);
    });
}

#[test]
fn attributes_in_inodes_and_blocks_are_those_that_debugfs_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let (image, empty) = (folder.path().join("image"), folder.path().join("empty"));
    std::fs::write(&empty, "").unwrap();
    let long = "long ".repeat(100);
    // An inode of 128 bytes has no attributes in it.
    for inode in ["128", "256"] {
        run("mke2fs", &["-q", "-F", "-t", "ext4", "-I", inode, text(&image), "16M"]);
        for request in [
            format!("write {} file", text(&empty)),
            "ea_set file security.selinux a:b:c".to_owned(),
            "ea_set file user.short value".to_owned(),
            format!("ea_set file user.long \"{long}\""),
        ] {
            run("debugfs", &["-w", "-R", &request, text(&image)]);
        }
        volume(&image, |fs| {
            let node = find(fs, b"/file", Links::Keep).unwrap().node;
            let mut found = fs.attributes(&node).unwrap();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            let shown = |one: &Attribute| {
                (
                    String::from_utf8(one.name.clone()).unwrap(),
                    String::from_utf8(one.value.clone().unwrap()).unwrap(),
                )
            };
            let found: Vec<_> = found.iter().map(shown).collect();
            let expected = [("security.selinux", "a:b:c"), ("user.long", &long), ("user.short", "value")];
            assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
            assert_eq!(fs.attributes(&fs.root().unwrap()).unwrap(), []);
        });
    }
}

#[test]
fn resolves_paths_in_the_image_and_suggests_similar_ones() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("etc/network")).unwrap();
    std::fs::write(tree.join("etc/hosts"), "local").unwrap();
    std::os::unix::fs::symlink("/etc", tree.join("etc/network/up")).unwrap();
    std::os::unix::fs::symlink("../../../../etc/hosts", tree.join("etc/out")).unwrap();
    std::os::unix::fs::symlink("loop", tree.join("etc/loop")).unwrap();
    let image = folder.path().join("image");
    run("mke2fs", &["-q", "-t", "ext4", "-d", text(&tree), text(&image), "4M"]);
    volume(&image, |fs| {
        for path in
            ["/etc/hosts", "etc//hosts", "/etc/network/up/hosts", "/etc/out", "/../etc/./network/../hosts"]
        {
            assert_eq!(read(fs, path), b"local", "{path}");
        }
        let found = find(fs, b"/etc/network/up/network/up/out", Links::Follow).unwrap();
        assert_eq!(found.path, b"/etc/hosts");
        assert_eq!(find(fs, b"/etc/out", Links::Keep).unwrap().node.kind, Kind::Symlink);
        let error = |path: &str| find(fs, path.as_bytes(), Links::Follow).unwrap_err();
        assert_eq!(error("/etc/host").to_string(), "/etc/host: not in the image; did you mean /etc/hosts?");
        assert!(matches!(error("/etc/quite-another"), ReadError::NotFound { nearest: None, .. }));
        assert!(matches!(error("/etc/loop"), ReadError::WrongKind { .. }));
        assert!(matches!(error("/etc/hosts/x"), ReadError::WrongKind { .. }));
    });
}

#[test]
fn extracts_what_mtools_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("overlays/Ordner mit Größe")).unwrap();
    std::fs::write(tree.join("config.txt"), "arm_64bit=1\n").unwrap();
    std::fs::write(tree.join("overlays/Ordner mit Größe/a name of more than thirteen letters.dtbo"), "d")
        .unwrap();
    std::fs::write(tree.join("KERNEL8.IMG"), vec![3; 700_001]).unwrap();
    std::fs::write(tree.join("empty"), "").unwrap();
    for number in 0..300 {
        std::fs::write(tree.join(format!("overlays/overlay number {number}.dtbo")), vec![1; 600]).unwrap();
    }
    for (bits, size) in [("12", 4_u64 << 20), ("16", 20 << 20), ("32", 64 << 20)] {
        let image = folder.path().join(bits);
        std::fs::File::create(&image).unwrap().set_len(size).unwrap();
        let cluster = if bits == "12" { "8" } else { "1" };
        run("mkfs.vfat", &["-F", bits, "-s", cluster, "-n", "FIRMWARE", "-i", "2178694e", text(&image)]);
        for name in ["config.txt", "overlays", "KERNEL8.IMG", "empty"] {
            let mcopy = Command::new("mcopy")
                .env("LC_ALL", "C.UTF-8")
                .args(["-s", "-i", text(&image)])
                .arg(tree.join(name))
                .arg("::")
                .status()
                .expect("mcopy; install mtools");
            assert!(mcopy.success());
        }
        volume(&image, |fs| {
            let FileSystem::Fat(fat) = fs else { panic!("not FAT") };
            assert_eq!(
                (fat.bits().to_string().as_str(), fat.label(), fat.id()),
                (bits, b"FIRMWARE".to_vec(), 0x2178_694e)
            );
            assert_eq!(read(fs, "/OVERLAYS/overlay NUMBER 7.dtbo"), [1; 600], "case is ignored");
            let out = folder.path().join(format!("{bits}.out"));
            let done =
                extract(fs, &find(fs, b"/", Links::Keep).unwrap(), &out, ExtractOptions::default()).unwrap();
            assert!(done.unread.is_empty() && done.unwritten.is_empty(), "{done:?}");
            run("diff", &["-r", text(&tree), text(&out)]);
            let error = run("minfo", &["-i", text(&image), "::"]);
            let free = run("mdir", &["-i", text(&image), "::"]);
            let digits: String = free
                .lines()
                .rev()
                .find(|line| line.contains("bytes free"))
                .unwrap()
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            assert_eq!(fs.usage().free.to_string(), digits, "{error}");
        });
    }
}
