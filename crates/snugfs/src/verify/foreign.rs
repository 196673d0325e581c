//! Recognises files that are not ext4 at all, for `verify --against`: one error says what they are, instead of a list of all
//! differences.

use std::path::Path;

use image_reader::Image;

use snugfs_core::{Failure, FailureKind, shown};

/// Enough bytes for all marks below.
const BEGINNING: usize = 4096;

/// Magic numbers: offset in \[bytes\], bytes, format. `image-reader` recognises compression and containers.
const MARKS: [(usize, &[u8], &str); 9] = [
    (0, b"PK\x03\x04", "it is a zip archive"),
    (0, b"hsqs", "it is SquashFS"),
    (1024, &[0xe2, 0xe1, 0xf5, 0xe0], "it is EROFS"),
    (0, b"XFSB", "it is XFS"),
    (0, b"KDMV", "it is VMDK"),
    (257, b"ustar", "it is a tar archive"),
    (512, b"EFI PART", "it is a disk with a GPT, and the plan has no disk"),
    (82, b"FAT32", "it is a FAT file system"),
    (510, &[0x55, 0xaa], "it is a disk with an MBR or a FAT file system, and the plan has no disk"),
];

/// Fails if the plan makes a bare file system, and the image has no ext4 superblock but is something known. A damaged
/// superblock is verified as usual.
pub(super) fn refuse(path: &Path, image: &Image) -> Result<(), Failure> {
    const MAGIC: std::ops::Range<usize> = 1024 + 56..1024 + 58;
    let length = usize::try_from(image.window.length()).unwrap_or(BEGINNING).min(BEGINNING);
    let mut bytes = vec![0; length];
    // Verification reports read errors.
    if image.window.read(0, &mut bytes).is_err() || bytes.get(MAGIC) == Some(&[0x53, 0xef]) {
        return Ok(());
    }
    let has =
        |(at, mark, _): &&(usize, &[u8], &str)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    let superblock = bytes.get(1024..2048);
    let what = match MARKS.iter().find(has) {
        Some((_, _, what)) => *what,
        None if bytes.is_empty() => "it is empty",
        None if superblock.is_none() => "it is too short",
        None if bytes.iter().all(|byte| *byte == 0) => "it begins with zeros",
        None if superblock.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0)) => {
            "its superblock is zero"
        }
        None => return Ok(()),
    };
    let what = format!("does not contain ext4: {what}");
    Err(Failure::new(FailureKind::Unsound, shown(path), what, "name an image of this plan"))
}
