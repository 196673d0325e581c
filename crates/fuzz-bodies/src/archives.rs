//! Bodies for tar archives and container images.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

use archive_source::{Archive, DirectoryId, Format, InodeKind, Options, Target, read};
use data_encoding::HEXLOWER;
use image_tree::{Name, to_u64, to_usize};
use sha2::{Digest, Sha256};

use crate::{Outcome, assert_one_line};

/// Reads an archive, with its own checksums and with corrected ones. What it says about contents must be within its file.
pub fn tar(bytes: &[u8]) -> Outcome {
    let as_it_is = look(bytes, Format::Tar);
    let mut repaired = bytes.to_vec();
    repair(&mut repaired);
    if repaired == bytes { as_it_is } else { look(&repaired, Format::Tar) }
}

/// Reads the archive of a container image.
pub fn container_image(bytes: &[u8]) -> Outcome {
    let mut repaired = bytes.to_vec();
    repair(&mut repaired);
    look(&repaired, Format::Image { image: None, platform: None })
}

/// Merges two layers, the parts of the input before and after a byte that it chooses.
pub fn layers(bytes: &[u8]) -> Outcome {
    let mut repaired = bytes.to_vec();
    repair(&mut repaired);
    let at = bytes.first().map_or(0, |&byte| 512 * usize::from(byte % 16)).min(repaired.len());
    let (lower, upper) = repaired.split_at(at);
    look(&saved(&[lower, upper]), Format::Image { image: None, platform: None })
}

/// The archive of an image with these layers.
pub(crate) fn saved(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> =
        layers.iter().map(|layer| format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(layer)))).collect();
    let names: Vec<String> = (0..layers.len()).map(|number| format!("{number}.tar")).collect();
    let config = serde_json::json!({ "os": "linux", "architecture": "arm64", "rootfs": { "diff_ids": ids } });
    let manifest = serde_json::json!([{ "Config": "c", "Layers": names }]);
    let mut archive = Vec::new();
    add(&mut archive, "c", config.to_string().as_bytes());
    add(&mut archive, "manifest.json", manifest.to_string().as_bytes());
    for (name, layer) in names.iter().zip(layers) {
        add(&mut archive, name, layer);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// Adds a regular file to an archive.
pub(crate) fn add(archive: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut header = [0; 512];
    let size = format!("{:011o}\0", data.len());
    for (at, field) in
        [(0, name.as_bytes()), (100, b"0000644\0"), (124, size.as_bytes()), (257, b"ustar\x0000")]
    {
        for (to, from) in header.iter_mut().skip(at).zip(field) {
            *to = *from;
        }
    }
    archive.extend_from_slice(&header);
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(512), 0);
    repair(archive);
}

/// Corrects the checksums of all blocks that look like headers. Otherwise, almost no change would get further than them.
pub(crate) fn repair(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if block.get(257..262).is_none_or(|magic| magic != b"ustar") {
            continue;
        }
        let Some(field) = block.get_mut(148..156) else { continue };
        field.fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        let digits = format!("{sum:06o}\0 ");
        for (to, from) in block.iter_mut().skip(148).zip(digits.bytes()) {
            *to = from;
        }
    }
}

fn look(bytes: &[u8], format: Format<'_>) -> Outcome {
    let file = rustix::fs::memfd_create("archive", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = std::fs::File::from(file.unwrap_or_else(|error| panic!("{error}")));
    file.write_all(bytes).unwrap_or_else(|error| panic!("{error}"));
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let temporary = std::env::temp_dir();
    let options = Options { temporary: &temporary, progress: &|_| {} };
    match read(Path::new(&path), format, &options) {
        Ok(archive) => {
            check(&archive);
            Outcome::Accepted
        }
        Err(error) => {
            assert_one_line(&error.to_string());
            Outcome::Refused
        }
    }
}

/// Everything that a tree promises.
fn check(archive: &Archive) {
    let mut open = vec![DirectoryId::ROOT];
    let lengths: Vec<u64> = archive
        .containers
        .iter()
        .map(|(_, container)| {
            let file = container.file.try_clone().unwrap_or_else(|error| panic!("{error}"));
            std::fs::File::from(file).metadata().unwrap_or_else(|error| panic!("{error}")).len()
        })
        .collect();
    while let Some(directory) = open.pop() {
        let mut previous: Option<&[u8]> = None;
        for (name, target) in archive.tree.entries(directory) {
            assert!(Name::new(name).is_ok(), "{name:?}");
            assert!(previous.is_none_or(|previous| previous < name), "{name:?}");
            previous = Some(name);
            let id = match target {
                Target::Directory(below) => {
                    open.push(below);
                    continue;
                }
                Target::Inode(id) => id,
            };
            let inode = archive.tree.inode(id);
            assert!(inode.owner.mode <= 0o7777 && inode.owner.nanoseconds < 1_000_000_000);
            match &inode.kind {
                InodeKind::File { size, container, offset } => {
                    let length = lengths.get(usize::from(*container)).copied().unwrap_or(0);
                    assert!(offset.checked_add(*size).is_some_and(|end| end <= length), "{inode:?}");
                }
                InodeKind::Sparse { size, container, map } => {
                    let length = lengths.get(usize::from(*container)).copied().unwrap_or(0);
                    let (_, file) = &archive.containers[usize::from(*container)];
                    let mut end = 0;
                    for segment in &file.segments[to_usize(u64::from(*map))] {
                        assert!(segment.start >= end && segment.len > 0, "{segment:?}");
                        end = segment.start + segment.len;
                        assert!(end <= *size && segment.offset + segment.len <= length, "{segment:?}");
                    }
                }
                InodeKind::Symlink(target) => assert!((1..4096).contains(&to_u64(target.len()))),
                InodeKind::Special(_) => {}
            }
        }
    }
}
