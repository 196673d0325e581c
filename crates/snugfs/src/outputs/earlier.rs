//! Whether a file of a tree may be an output of an earlier run, judged by its beginning: such a file may be replaced, any
//! other may be all there is of somebody's work.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Role;

/// As much as tells every form: the superblock of ext4 is at 1024, a GPT of long sectors at 4096 follows an MBR.
const BEGINNING: u64 = 4096;

/// Whether the file that an output replaces is missing, empty or looks like an output of the same kind.
pub(super) fn may_be_replaced(role: Role, path: Option<&Path>) -> bool {
    let Some(path) = path else { return true };
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut bytes)) {
        Ok(0) => true,
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
        Role::Page => bytes.starts_with(b"<!DOCTYPE html>") && has("script-src 'sha256-"),
        Role::Result | Role::Messages => true,
    }
}

/// The marks of all forms that an image is written in.
fn is_image(bytes: &[u8]) -> bool {
    const MARKS: [(usize, &[u8]); 5] = [
        // The magic number of ext4.
        (1024 + 56, &[0x53, 0xef]),
        // The end of a master boot record, a protective one too.
        (510, &[0x55, 0xaa]),
        // zstd, qcow2, and Android's sparse format.
        (0, &[0x28, 0xb5, 0x2f, 0xfd]),
        (0, b"QFI\xfb"),
        (0, &[0x3a, 0xff, 0x26, 0xed]),
    ];
    MARKS.iter().any(|(at, mark)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_the_same_output_may_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let may = |role| may_be_replaced(role, Some(&path));
        let all = [Role::Image, Role::Map, Role::Report, Role::Page, Role::Sbom];
        assert_eq!(all.map(may), [true; 5], "nothing is there");
        let mut ext4 = vec![0; 2048];
        ext4[1080..1082].copy_from_slice(&[0x53, 0xef]);
        for (bytes, expected) in [
            (&b""[..], [true; 5]),
            (b"work of years", [false; 5]),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0], [true, false, false, false, false]),
            (&ext4, [true, false, false, false, false]),
            (b"<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">", [false, true, false, false, false]),
            (b"{\n  \"version\": 1,\n  \"image\": { \"sha256\": null", [false, false, true, false, false]),
            (b"{ \"version\": 1 }", [false; 5]),
            (b"{\n  \"bomFormat\": \"CycloneDX\",", [false, false, false, false, true]),
            (b"<!DOCTYPE html> script-src 'sha256-x'", [false, false, false, true, false]),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(all.map(may), expected, "{bytes:?}");
        }
    }
}
