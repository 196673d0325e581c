//! Recognises outputs of earlier runs by their first bytes. Only these may be replaced in a source folder; any other file
//! may be the user's work.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Role;

/// Enough bytes to recognise every format: the superblock of ext4 is at 1024; a GPT with sectors of 4096 follows an MBR.
const BEGINNING: u64 = 4096;

/// Whether the file that an output replaces is missing, empty or looks like an output of the same kind.
pub(super) fn may_be_replaced(role: Role, path: Option<&Path>) -> bool {
    let Some(path) = path else { return true };
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut bytes)) {
        Ok(0) => true,
        Ok(_) if matches!(role, Role::Image | Role::Layout) => is_output(role, &contents(path)),
        Ok(_) => is_output(role, &bytes),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn is_output(role: Role, bytes: &[u8]) -> bool {
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    match role {
        Role::Image => is_image(bytes),
        Role::Map => bytes.starts_with(b"<?xml") && has("<bmap version"),
        Role::Report => {
            bytes.starts_with(b"{") && has("\"version\"") && has("\"image\"") && has("\"sha256\"")
        }
        Role::Sbom => bytes.starts_with(b"{") && has("\"CycloneDX\""),
        Role::Layout => bytes.starts_with(b"{\"kind\":\"snugfs layout\""),
        Role::RootHash => {
            let digits = bytes.strip_suffix(b"\n").unwrap_or_default();
            digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit)
        }
        Role::Page => bytes.starts_with(b"<!DOCTYPE html>") && has("script-src 'sha256-"),
        Role::Result | Role::Messages => true,
    }
}

/// Whether the bytes begin an uncompressed image in any format that snugfs writes.
fn is_image(bytes: &[u8]) -> bool {
    const MARKS: [(usize, &[u8]); 7] = [
        // The magic number of ext4.
        (1024 + 56, &[0x53, 0xef]),
        // qcow2, VMDK, VHDX, Android's sparse format, VHD (fixed ones begin as the image does) and VDI.
        (0, b"QFI\xfb"),
        (0, b"KDMV"),
        (0, b"vhdxfile"),
        (0, &[0x3a, 0xff, 0x26, 0xed]),
        (0, b"conectix"),
        (64, &[0x7f, 0x10, 0xda, 0xbe]),
    ];
    // An archive that begins with an image. Others may be the user's work.
    const IN_ARCHIVE: usize = 512;
    if bytes.get(257..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        let is_appliance = bytes.starts_with(b"machine.ovf\0");
        return is_appliance || bytes.get(IN_ARCHIVE..).is_some_and(is_image);
    }
    MARKS.iter().any(|(at, mark)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark)))
        || is_partitioned(bytes)
}

/// Whether the bytes begin with an MBR (possibly a protective one). The signature at its end is not enough, because kernels
/// and boot loaders have it, too: all four entries must be valid, and one in use.
fn is_partitioned(bytes: &[u8]) -> bool {
    let Some((record, _)) = bytes.split_first_chunk::<512>() else { return false };
    let entries = || record.get(446..510).unwrap_or_default().chunks_exact(16);
    let is_unused = |entry: &[u8]| entry.iter().all(|&byte| byte == 0);
    // The status is 0 or 80, and a partition in use has a type, a start and a length.
    let is_used = |entry: &[u8]| match entry {
        [status, _, _, _, kind, _, _, _, start @ .., _, _, _, _] => {
            matches!(status, 0 | 0x80)
                && *kind != 0
                && start.iter().any(|&byte| byte != 0)
                && entry.iter().rev().take(4).any(|&byte| byte != 0)
        }
        _ => false,
    };
    record.ends_with(&[0x55, 0xaa])
        && entries().all(|entry| is_unused(entry) || is_used(entry))
        && entries().any(is_used)
}

/// The first bytes of a file, decompressed.
fn contents(path: &Path) -> Vec<u8> {
    let most = image_tree::to_usize(BEGINNING);
    File::open(path).and_then(|file| image_reader::beginning(&file, most)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: [bool; 6] = [false, false, false, false, false, true];

    #[test]
    fn only_outputs_of_the_same_role_may_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let may = |role| may_be_replaced(role, Some(&path));
        let all = [Role::Image, Role::Map, Role::Report, Role::Page, Role::Sbom, Role::Layout];
        assert_eq!(all.map(may), [true; 6], "nothing is there");
        let mut ext4 = vec![0; 2048];
        ext4[1080..1082].copy_from_slice(&[0x53, 0xef]);
        let mut disk = vec![0; 512];
        disk[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 8, 0, 0, 0, 9, 0, 0]);
        disk[510..].copy_from_slice(&[0x55, 0xaa]);
        let mut archive = vec![0; 512];
        archive[257..265].copy_from_slice(b"ustar  \0");
        let archive_of = |image: &[u8]| [archive.as_slice(), image].concat();
        // A kernel has the mark of a boot record, and code where the table would be.
        let mut kernel = vec![0x41; 512];
        kernel[510..].copy_from_slice(&[0x55, 0xaa]);
        for (bytes, expected) in [
            (&b""[..], [true; 6]),
            (b"work of years", [false; 6]),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0], [false; 6]),
            (&zstd::bulk::compress(b"an initial RAM disk", 1).unwrap(), [false; 6]),
            (&zstd::bulk::compress(&ext4, 1).unwrap(), [true, false, false, false, false, false]),
            (&ext4, [true, false, false, false, false, false]),
            (&disk, [true, false, false, false, false, false]),
            (&kernel, [false; 6]),
            (b"KDMV", [true, false, false, false, false, false]),
            (&archive_of(&disk), [true, false, false, false, false, false]),
            (&archive_of(&ext4), [true, false, false, false, false, false]),
            (&archive_of(&kernel), [false; 6]),
            (&archive, [false; 6]),
            (b"<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">", [false, true, false, false, false, false]),
            (
                b"{\n  \"version\": 1,\n  \"image\": { \"sha256\": null",
                [false, false, true, false, false, false],
            ),
            (b"{ \"version\": 1 }", [false; 6]),
            (b"{\n  \"bomFormat\": \"CycloneDX\",", [false, false, false, false, true, false]),
            (b"<!DOCTYPE html> script-src 'sha256-x'", [false, false, false, true, false, false]),
            (b"{\"kind\":\"snugfs layout\",", LAYOUT),
            (&zstd::bulk::compress(b"{\"kind\":\"snugfs layout\",", 1).unwrap(), LAYOUT),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(all.map(may), expected, "{bytes:?}");
        }
    }
}
