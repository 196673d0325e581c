//! Reads damaged and malicious images, which must end quickly and without a panic.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image_reader::{
    Container, Contents, Fat, FileSystem, Image, Kind, Links, Overview, ReadAt, VolumeContent, Window, find,
};

#[derive(Debug)]
struct Memory(Vec<u8>);

impl ReadAt for Memory {
    fn length(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let found = self.0.get(at..at + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

/// A deterministic generator of numbers (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

fn run(program: &str, arguments: &[&str]) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let run = Command::new(program).args(arguments).env("PATH", path).output();
    let run = run.unwrap_or_else(|error| panic!("{program}: {error}; install what has it"));
    assert!(run.status.success(), "{program}: {}", String::from_utf8_lossy(&run.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with files of each kind.
fn source(folder: &Path) {
    std::fs::create_dir_all(folder.join("a/b/c")).unwrap();
    std::fs::write(folder.join("a/large"), vec![7; 90_000]).unwrap();
    std::fs::write(folder.join("a/b/small with a long name.text"), "small").unwrap();
    for number in 0..40 {
        std::fs::write(folder.join(format!("a/b/c/file number {number}")), vec![number; 100]).unwrap();
    }
}

fn ext4(folder: &Path, features: &str) -> Vec<u8> {
    let (tree, image) = (folder.join("tree"), folder.join("ext4.img"));
    source(&tree);
    let _ = std::os::unix::fs::symlink("b/small with a long name.text", tree.join("a/link"));
    let _ = std::fs::hard_link(tree.join("a/large"), tree.join("a/second"));
    let _ = std::fs::remove_file(&image);
    run(
        "mke2fs",
        &[
            "-q",
            "-t",
            "ext4",
            "-b",
            "1024",
            "-N",
            "96",
            "-O",
            features,
            "-d",
            text(&tree),
            text(&image),
            "1M",
        ],
    );
    std::fs::read(image).unwrap()
}

fn fat(folder: &Path, bits: &str, size: u64) -> Vec<u8> {
    let (tree, image) = (folder.join("tree"), folder.join("fat.img"));
    source(&tree);
    std::fs::File::create(&image).unwrap().set_len(size).unwrap();
    run("mkfs.vfat", &["-F", bits, "-n", "FIRMWARE", "-s", "1", text(&image)]);
    run("mcopy", &["-s", "-i", text(&image), text(&tree.join("a")), "::a"]);
    std::fs::read(image).unwrap()
}

/// Counts of what was read. The tests require minimum counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    names: u64,
    bytes: u64,
    errors: u64,
}

fn look(bytes: Vec<u8>) -> Counts {
    let mut seen = Counts::default();
    let image = Image { container: Container::Raw, window: Window::whole(Arc::new(Memory(bytes))) };
    let Ok(overview) = Overview::read(&image) else { return Counts { errors: 1, ..seen } };
    for volume in &overview.volumes {
        if let VolumeContent::FileSystem(fs) = &volume.content {
            look_into(fs, &mut seen);
        }
    }
    seen
}

/// Reads every name; if directories form a cycle, down to five levels.
fn look_into(fs: &FileSystem, seen: &mut Counts) {
    let mut open: Vec<_> = fs.root().into_iter().map(|root| (root, 0)).collect();
    let _ = find(fs, b"/a/link", Links::Follow);
    while let Some((node, depth)) = open.pop() {
        let Ok((entries, errors)) = fs.entries(&node) else {
            seen.errors += 1;
            continue;
        };
        seen.errors += u64::try_from(errors.len()).unwrap();
        for entry in entries {
            seen.names += 1;
            let Ok(node) = fs.node(&entry) else {
                seen.errors += 1;
                continue;
            };
            seen.errors += u64::from(fs.attributes(&node).is_err());
            match node.kind {
                Kind::Directory if depth < 5 && seen.names < 20_000 => open.push((node, depth + 1)),
                Kind::Symlink => seen.errors += u64::from(fs.link_target(&node).is_err()),
                Kind::File => match fs.contents(&node) {
                    Ok(Contents::Runs(runs)) => {
                        seen.bytes += runs.iter().map(|run| run.length).sum::<u64>().min(node.size);
                    }
                    Ok(Contents::Inline(bytes)) => seen.bytes += u64::try_from(bytes.len()).unwrap(),
                    Err(_) => seen.errors += 1,
                },
                _ => {}
            }
        }
    }
}

/// Changes random bytes in structures. Most of these images is empty, so offsets are chosen among bytes that are not
/// zero, and next to them.
fn corrupt(image: &[u8], places: &[usize], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = image.to_vec();
    for _ in 0..=numbers.below(12) {
        let place = (places[numbers.below(places.len())] + numbers.below(8)).min(bytes.len() - 1);
        bytes[place] = match numbers.below(4) {
            0 => 0xff,
            1 => 0,
            2 => bytes[place] ^ (1 << numbers.below(8)),
            _ => u8::try_from(numbers.below(256)).unwrap(),
        };
    }
    if numbers.below(20) == 0 {
        bytes.truncate(numbers.below(bytes.len()));
    }
    bytes
}

fn campaign(name: &str, image: &[u8], rounds: u32) {
    let whole = look(image.to_vec());
    assert!(whole.names >= 45 && whole.bytes > 94_000 && whole.errors == 0, "{name}: {whole:?}");
    let places: Vec<_> =
        image.iter().enumerate().filter(|(_, byte)| **byte != 0 && **byte != 7).map(|(at, _)| at).collect();
    let mut numbers = Numbers(0x5eed);
    let mut different = 0;
    for round in 0..rounds {
        let bytes = corrupt(image, &places, &mut numbers);
        let begun = Instant::now();
        different += u32::from(look(bytes) != whole);
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{name}: round {round} took {:?}",
            begun.elapsed()
        );
    }
    // Otherwise the changes were not in structures.
    assert!(different > rounds / 20, "{name}: only {different} of {rounds} made a difference");
}

#[test]
fn reads_damaged_ext4_with_and_without_checksums() {
    let folder = tempfile::tempdir().unwrap();
    for (features, rounds) in
        [("default", 500), ("^metadata_csum", 1500), ("^metadata_csum,^extents,^64bit", 1500)]
    {
        let features = if features == "default" { "dir_index" } else { features };
        campaign(features, &ext4(folder.path(), features), rounds);
    }
}

/// Reads some contents, up to a limit.
fn read_contents(bytes: Vec<u8>) {
    struct Sink(usize);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let image = Image { container: Container::Raw, window: Window::whole(Arc::new(Memory(bytes))) };
    let Ok(overview) = Overview::read(&image) else { return };
    for volume in &overview.volumes {
        let VolumeContent::FileSystem(fs) = &volume.content else { continue };
        for path in [&b"/a/large"[..], b"/a/b/small with a long name.text", b"/a/link"] {
            if let Ok(found) = find(fs, path, Links::Follow) {
                let _ = fs.copy(&found.node, &mut Sink(1 << 20));
            }
        }
    }
}

/// Sets every field at these offsets to values for which sums and products overflow.
fn extreme_numbers(image: &[u8], places: std::ops::Range<usize>) {
    for at in places.step_by(2) {
        for value in [0_u64, 1, 1 << 31, u64::MAX >> 1, u64::MAX - 1, u64::MAX] {
            for length in [2, 4, 8] {
                let mut bytes = image.to_vec();
                bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
                look(bytes.clone());
                read_contents(bytes);
            }
        }
    }
}

#[test]
fn extreme_numbers_do_not_overflow() {
    let folder = tempfile::tempdir().unwrap();
    for features in ["^metadata_csum,64bit", "^metadata_csum,^extents,^64bit"] {
        let image = ext4(folder.path(), features);
        // The superblock, the first group descriptor, the first inodes.
        extreme_numbers(&image, 1024..1024 + 0x70);
        extreme_numbers(&image, 1024 + 0xf8..1024 + 0x180);
        extreme_numbers(&image, 2048..2048 + 64);
        let table =
            usize::try_from(u32::from_le_bytes(image[2056..2060].try_into().unwrap())).unwrap() * 1024;
        for inode in [2, 12, 13, 14] {
            let at = table + (inode - 1) * 256;
            extreme_numbers(&image, at..at + 0x80);
        }
    }
    extreme_numbers(&fat(folder.path(), "12", 1 << 20), 0..0x40);
}

#[test]
fn reads_damaged_fat_of_all_widths() {
    let folder = tempfile::tempdir().unwrap();
    for (bits, size, rounds) in [("12", 1 << 20, 1500), ("16", 5 << 20, 700), ("32", 34 << 20, 60)] {
        campaign(bits, &fat(folder.path(), bits, size), rounds);
    }
}

#[test]
fn reads_fat32_with_few_clusters_like_linux() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.img");
    std::fs::File::create(&path).unwrap().set_len(8 << 20).unwrap();
    // Without files, because mtools derives the type only from the number of clusters.
    run("mkfs.vfat", &["-F", "32", "-s", "1", text(&path)]);
    let bytes = std::fs::read(path).unwrap();
    let fat = Fat::open(Window::whole(Arc::new(Memory(bytes.clone())))).unwrap();
    assert_eq!((fat.bits(), look(bytes)), (32, Counts::default()));
}

#[test]
fn cycles_of_directories_and_clusters_end() {
    let folder = tempfile::tempdir().unwrap();
    let image = fat(folder.path(), "16", 5 << 20);
    // Every cluster is followed by itself.
    let reserved = usize::from(u16::from_le_bytes([image[14], image[15]])) * 512;
    let sectors = usize::from(u16::from_le_bytes([image[22], image[23]]));
    let mut ring = image;
    for cluster in 2..sectors * 256 {
        let entry = u16::try_from(cluster).unwrap_or(0).to_le_bytes();
        ring[reserved + cluster * 2..][..2].copy_from_slice(&entry);
    }
    let begun = Instant::now();
    assert!(look(ring).errors > 0);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn truncated_images_of_every_length_are_errors_or_have_fewer_files() {
    let folder = tempfile::tempdir().unwrap();
    let image = ext4(folder.path(), "dir_index");
    let whole = look(image.clone());
    for length in (0..image.len()).step_by(4093) {
        let seen = look(image[..length].to_vec());
        assert!(seen.names <= whole.names, "{length}");
    }
}
