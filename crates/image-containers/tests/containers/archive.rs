//! Archives are read back by GNU tar and by Python's tarfile.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use image_containers::{ContainerError, Tar};
use image_tree::{Content, NodeId, PieceSource};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Image, bytes};

/// Prints name, length, mode, time, user and type of the only member.
const LIST: &str = "
import sys, tarfile
[member] = tarfile.open(fileobj=sys.stdin.buffer, mode='r|').getmembers()
print(member.name, member.size, oct(member.mode), member.mtime, member.uid, member.gid, member.isreg())";

fn run(command: &[&str], input: &[u8]) -> Vec<u8> {
    let mut run = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|_| panic!("these tests need {}", command[0]));
    let mut stdin = run.stdin.take().unwrap();
    let input = input.to_vec();
    // Readers may stop after the end of the archive.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = run.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_read_back(lens in vec(1..20_000_u64, 1..10), name in "[a-z./]{1,120}") {
        let file = Content::File { file: NodeId::ROOT.into(), offset: 0 };
        let kinds = [Content::Metadata, file, Content::Unused, Content::Zeros];
        let image = Image(kinds.into_iter().cycle().zip(lens).collect());
        let is_possible = name.len() <= 100 && name.split('/').all(|part| !["", ".", ".."].contains(&part));
        let tar = Tar::new(&image, &name);
        prop_assert_eq!(tar.is_ok(), is_possible);
        let Ok(tar) = tar else { return Ok(()) };
        let archive = bytes(&tar);
        prop_assert!(run(&["tar", "-xOf", "-"], &archive) == bytes(&image));
        let listed = String::from_utf8(run(&["python3", "-c", LIST], &archive)).unwrap();
        prop_assert_eq!(listed, format!("{name} {} 0o644 0 0 0 True\n", image.len()));
    }
}

/// The header of GNU tar in the same format is the same, also for more than 8 GiB.
#[test]
fn headers_are_those_of_gnu_tar() {
    let folder = tempfile::tempdir().unwrap();
    for len in [512, (8 << 30) - 512, 8 << 30, 3 << 40] {
        let path = folder.path().join("disk.raw");
        fs::File::create(&path).unwrap().set_len(len).unwrap();
        let mut tar = Command::new("tar");
        tar.args([
            "--format=oldgnu",
            "--owner=:0",
            "--group=:0",
            "--numeric-owner",
            "--mode=644",
            "--mtime=@0",
        ]);
        let mut run = tar
            .args(["-cf", "-", "disk.raw"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut expected = [0; 512];
        std::io::Read::read_exact(run.stdout.as_mut().unwrap(), &mut expected).unwrap();
        run.kill().unwrap();
        run.wait().unwrap();
        let image = Image(vec![(Content::Unused, len)]);
        let tar = Tar::new(&image, "disk.raw").unwrap();
        let mut header = [0; 512];
        tar.generate(&tar.pieces().next().unwrap(), &mut header);
        assert!(
            header == expected,
            "{len}: {:?}\n{:?}",
            header.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}

#[test]
fn names_that_an_archive_can_not_have_are_refused() {
    let image = Image(vec![(Content::Unused, 512)]);
    for name in ["", "/disk.raw", "a/../b", "./disk.raw", "disk/", "a\0b", &"n".repeat(101)] {
        assert_eq!(Tar::new(&image, name).err(), Some(ContainerError::Member), "{name:?}");
    }
    assert!(Tar::new(&image, &"n".repeat(100)).is_ok() && Tar::new(&image, "boot/disk.raw").is_ok());
}

/// The header of a member, field by field.
pub(crate) fn expected_header(name: &str, len: u64, magic: [u8; 8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{len:011o}\0").as_bytes());
    put(136, b"00000000000\0        0");
    put(257, &magic);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// Two blocks of zeros end an archive, and its length is the next multiple of 20 blocks.
#[test]
fn an_archive_is_padded_to_a_record() {
    for (len, expected) in [
        (512, 10_240),
        (1, 10_240),
        (10_240 - 3 * 512, 10_240),
        (10_240 - 3 * 512 + 1, 20_480),
        (20_480 - 3 * 512, 20_480),
        (20_480 - 2 * 512, 30_720),
    ] {
        let image = Image(vec![(Content::Metadata, len)]);
        let tar = Tar::new(&image, "boot/disk.raw").unwrap();
        assert_eq!(PieceSource::len(&tar), expected, "{len}");
        let archive = bytes(&tar);
        assert_eq!(archive[..512], expected_header("boot/disk.raw", len, *b"ustar  \0"));
        let end = 512 + usize::try_from(len).unwrap();
        assert!(archive[512..end] == bytes(&image) && archive[end..].iter().all(|byte| *byte == 0));
    }
}
