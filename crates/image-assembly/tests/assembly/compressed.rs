//! gzip and xz: the same bytes for any number of threads, and every program that reads the format gets the image.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use image_assembly::{AssemblyError, Compression, Target};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::support::*;

/// Lengths around the borders of blocks, windows and slices.
const BORDERS: [u64; 8] = [32 * KIB, 64 * KIB, 256 * KIB, MIB, 2 * MIB, 3 * MIB, 6 * MIB, 4 * KIB];

fn part() -> impl Strategy<Value = Part> {
    let border = (0..BORDERS.len(), 0..3_u64).prop_map(|(index, more)| BORDERS[index] + more - 1);
    let len = prop_oneof![2 => border, 1 => 1..3000_u64];
    prop_oneof![
        1 => len.clone().prop_map(Part::Zeros),
        1 => len.clone().prop_map(Part::Metadata),
        1 => len.prop_map(|len| Part::File { index: 0, from: 0, len }),
    ]
}

/// What a program makes of a file at its standard input.
fn decompressed(program: &[&str], path: &Path) -> Vec<u8> {
    let hint = "these tests need gzip, xz and python3";
    let output = Command::new(program[0])
        .args(&program[1..])
        .stdin(fs::File::open(path).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; {hint}", program[0]));
    assert!(output.status.success(), "{program:?}; {hint}");
    output.stdout
}

/// One member that ends where the file does.
const ONE_MEMBER: &str = "import sys, zlib
d = zlib.decompressobj(31)
sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()))
assert d.eof and not d.unused_data";

/// One stream that ends where the file does.
const ONE_STREAM: &str = "import sys, lzma
d = lzma.LZMADecompressor(lzma.FORMAT_XZ)
sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()))
assert d.eof and not d.unused_data and d.check == lzma.CHECK_CRC64";

fn readers(compression: Compression) -> [&'static [&'static str]; 2] {
    match compression {
        Compression::Gzip { .. } => [&["gzip", "-dc"], &["python3", "-c", ONE_MEMBER]],
        Compression::Xz { .. } => [&["xz", "-dc", "-T1"], &["python3", "-c", ONE_STREAM]],
        other => panic!("{other:?}"),
    }
}

/// Writes the image with any number of threads and reads it with every program.
fn check(image: &Image, files: &Files, compression: Compression) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let mut first: Option<Vec<u8>> = None;
    for threads in THREADS {
        let written = image.write(files, Target::File(&path), &compressed(threads, compression)).unwrap();
        let bytes = fs::read(&path).unwrap();
        let sha256 = <[u8; 32]>::from(Sha256::digest(&bytes));
        assert_eq!((written.bytes, written.sha256), (u64::try_from(bytes.len()).unwrap(), Some(sha256)));
        assert!(!written.without_workers);
        let first = first.get_or_insert_with(|| bytes.clone());
        assert!(*first == bytes, "{compression:?}: other bytes with {threads} threads");
    }
    let expected = image.naive(files);
    for program in readers(compression) {
        assert!(decompressed(program, &path) == expected, "{compression:?}: {program:?}");
    }
    first.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_gets_the_image(parts in prop::collection::vec(part(), 0..5), gzip in 1..=9_u32, xz in 0..=2_u32) {
        let files = Files::new(&[6 * MIB + 1, 1]);
        let image = Image(parts);
        check(&image, &files, Compression::Gzip { level: gzip });
        check(&image, &files, Compression::Xz { level: xz });
    }
}

#[test]
fn the_last_block_is_whole_or_nearly() {
    let files = Files::new(&[1]);
    for len in [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB] {
        for parts in [vec![Part::Zeros(len)], vec![Part::Metadata(len)]] {
            let image = Image(if len == 0 { Vec::new() } else { parts });
            check(&image, &files, Compression::Gzip { level: 6 });
            check(&image, &files, Compression::Xz { level: 0 });
        }
    }
}

#[test]
fn gzip_has_no_time_and_no_name_and_uses_what_comes_before_a_block() {
    let pattern = noise(5, 30 * KIB);
    let files = Files::of(&std::env::temp_dir(), vec![pattern.repeat(120), vec![1]]);
    let image = |len| Image(vec![Part::File { index: 0, from: 0, len }]);
    let len = 120 * 30 * KIB;
    for (level, extra) in [(1, 4), (2, 0), (6, 0), (9, 2)] {
        let bytes = check(&image(len), &files, Compression::Gzip { level });
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, extra, 3], "level {level}");
        assert_eq!(bytes[bytes.len() - 4..], u32::try_from(len).unwrap().to_le_bytes());
    }
    // Without a dictionary, each of the four blocks would have to repeat the 30 KiB of the pattern.
    let of_blocks = |blocks| check(&image(blocks * MIB), &files, Compression::Gzip { level: 6 }).len();
    let (one, three) = (of_blocks(1), of_blocks(3));
    assert!(one > 30 << 10 && three < 3 * (one - (25 << 10)) + (25 << 10), "{one} and {three} bytes");
}

#[test]
fn xz_has_blocks_that_several_threads_can_decompress() {
    let files = Files::new(&[4 * MIB, 1]);
    let image =
        Image(vec![Part::File { index: 0, from: 0, len: 4 * MIB }, Part::Zeros(2 * MIB), Part::Metadata(5)]);
    check(&image, &files, Compression::Xz { level: 1 });
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image.xz");
    image.write(&files, Target::File(&path), &compressed(2, Compression::Xz { level: 1 })).unwrap();
    let list = run("xz", &["--list", "--robot", "-vv", path.to_str().unwrap()]);
    let summary: Vec<&str> =
        list.lines().find(|line| line.starts_with("file")).unwrap().split('\t').collect();
    assert_eq!(summary[1..3], ["1", "3"], "streams and blocks: {list}");
    let blocks: Vec<Vec<&str>> = list
        .lines()
        .filter(|line| line.starts_with("block"))
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(blocks.len(), 3, "{list}");
    // Flags of the header: both lengths are in it.
    assert!(blocks.iter().all(|block| block.contains(&"cu")), "{list}");
    assert!(decompressed(&["xz", "-dc", "-T4"], &path) == image.naive(&files));
}

#[test]
fn levels_out_of_range_are_the_nearest() {
    let files = Files::new(&[70_000, 1]);
    let image = Image(vec![Part::File { index: 0, from: 0, len: 70_000 }, Part::Zeros(70_000)]);
    let gzip = |level| check(&image, &files, Compression::Gzip { level });
    assert!(gzip(0) == gzip(1) && gzip(10) == gzip(9) && gzip(1) != gzip(9));
    let xz = |level| check(&image, &files, Compression::Xz { level });
    assert!(xz(10) == xz(9) && xz(9) != xz(0));
}

/// The writing ends soon although blocks are still being compressed, and nothing appears.
#[test]
fn a_full_disk_in_the_middle_leaves_nothing() {
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=4m", "none"]);
    let files = Files::new(&[40 * MIB, 1]);
    let image = Image(vec![Part::File { index: 0, from: 0, len: 40 * MIB }]);
    for compression in [Compression::Gzip { level: 1 }, Compression::Xz { level: 0 }] {
        for threads in THREADS {
            let path = small.path().join("image");
            let error =
                image.write(&files, Target::File(&path), &compressed(threads, compression)).unwrap_err();
            let AssemblyError::Output { error, .. } = error else { panic!("{error:?}") };
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
            assert!(names(small.path()).is_empty());
        }
    }
}
