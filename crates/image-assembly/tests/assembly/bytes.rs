//! The output has the bytes of the image for every target and number of threads.

use std::fs;
use std::os::unix::fs::MetadataExt;

use image_assembly::{Target, check_pieces};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::support::*;

pub(crate) const LENS: [u64; 9] = [1, 100, 4096, 5000, 70_000, MIB, 3 * MIB + 5, 6 * MIB + 1, 9000];

pub(crate) fn part() -> impl Strategy<Value = Part> {
    let len =
        prop_oneof![8 => 1..20_000_u64, 4 => (1..40_u64).prop_map(|blocks| blocks * 4096), 1 => 1..5 * MIB];
    prop_oneof![
        2 => prop_oneof![9 => len.clone(), 1 => 1..50 * MIB].prop_map(Part::Zeros),
        2 => len.prop_map(Part::Metadata),
        6 => (0..LENS.len(), any::<u64>(), any::<u64>()).prop_map(|(index, from, len)| {
            let size = LENS[index];
            // Half of them are whole files.
            let from = if from % 2 == 0 { 0 } else { (from >> 1) % size };
            let len = if len % 2 == 0 { size - from } else { 1 + (len >> 1) % (size - from) };
            Part::File { index, from, len }
        }),
    ]
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_target_gets_the_bytes_of_the_naive_assembler(parts in prop::collection::vec(part(), 0..40)) {
        let files = Files::new(&LENS);
        let image = Image(parts);
        prop_assert_eq!(check_pieces(&image), Ok(()));
        let expected = image.naive(&files);
        let out = tempfile::tempdir().unwrap();
        let (raw, packed) = (out.path().join("raw"), out.path().join("packed"));
        let mut first = None;
        for threads in THREADS {
            let written = image.write(&files, Target::File(&raw), &options(threads, None)).unwrap();
            prop_assert!(fs::read(&raw).unwrap() == expected, "raw, {} threads", threads);
            prop_assert_eq!((written.bytes, written.sha256), (len(&expected), Some(sha256(&expected))));

            let unhashed = image_assembly::Options { digest: false, ..options(threads, None) };
            let written = image.write(&files, Target::File(&raw), &unhashed).unwrap();
            prop_assert!(fs::read(&raw).unwrap() == expected, "raw, not hashed, {} threads", threads);
            prop_assert_eq!((written.bytes, written.sha256), (len(&expected), None));

            let written = image.write(&files, Target::File(&packed), &options(threads, Some(1))).unwrap();
            let frame = fs::read(&packed).unwrap();
            prop_assert_eq!((written.bytes, written.sha256), (len(&frame), Some(sha256(&frame))));
            prop_assert!(zstd::decode_all(&*frame).unwrap() == expected, "zstd, {} threads", threads);
            prop_assert!(*first.get_or_insert_with(|| frame.clone()) == frame, "frames differ with {} threads", threads);

            let (written, piped) = through_pipe(&image, &files, threads);
            prop_assert!(piped == expected, "pipe, {} threads", threads);
            prop_assert_eq!((written.bytes, written.sha256), (len(&expected), Some(sha256(&expected))));
        }
        prop_assert_eq!(names(out.path()), ["packed", "raw"]);
    }
}

fn through_pipe(image: &Image, files: &Files, threads: usize) -> (image_assembly::Written, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    run("mkfifo", &[pipe.to_str().unwrap()]);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read(&pipe).unwrap());
        let written = image.write(files, Target::File(&pipe), &options(threads, None)).unwrap();
        (written, reader.join().unwrap())
    })
}

/// Enough for many of zstd's jobs, which are of 4 to 16 MiB at these levels.
#[test]
fn the_frame_has_a_length_and_a_checksum_and_is_the_same_for_any_number_of_workers() {
    let files = Files::new(&[50 * MIB + 17, 300 * KIB, 12]);
    let image = Image(vec![
        Part::Metadata(3 * MIB),
        Part::File { index: 0, from: 0, len: 50 * MIB + 17 },
        Part::Zeros(40 * MIB),
        Part::File { index: 1, from: 0, len: 300 * KIB },
    ]);
    let expected = image.naive(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image.zst");
    for level in [1, 3, 10] {
        let mut first = None;
        for threads in THREADS {
            image.write(&files, Target::File(&path), &options(threads, Some(level))).unwrap();
            let frame = fs::read(&path).unwrap();
            let first = first.get_or_insert_with(|| frame.clone());
            assert!(*first == frame, "level {level}, {threads} threads");
        }
        let frame = first.unwrap();
        assert!(zstd::decode_all(&*frame).unwrap() == expected);
        assert_eq!(zstd::zstd_safe::get_frame_content_size(&frame).unwrap(), Some(len(&expected)));
        assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&frame), Ok(frame.len()));
        assert_eq!(frame[4] & 4, 4, "Content_Checksum_flag of RFC 8878, 3.1.1.1.1");
    }
}

#[test]
fn zeros_of_a_raw_file_are_holes() {
    let files = Files::new(&[5000, 9]);
    let image = Image(vec![
        Part::Zeros(200 * MIB),
        Part::File { index: 0, from: 0, len: 5000 },
        Part::Zeros(3192),
        Part::Zeros(100 * MIB),
        Part::Metadata(4096),
        Part::Zeros(1000 * MIB),
    ]);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let options = image_assembly::Options { digest: false, ..options(2, None) };
    let written = image.write(&files, Target::File(&path), &options).unwrap();
    let stat = fs::metadata(&path).unwrap();
    assert_eq!(
        (stat.len(), written.bytes, written.sha256),
        (image_tree::PieceSource::len(&image), image_tree::PieceSource::len(&image), None)
    );
    assert!(stat.blocks() * 512 < 64 * KIB, "{} blocks", stat.blocks());
}

#[test]
fn an_image_without_bytes_is_a_file_without_bytes() {
    let files = Files::new(&[1]);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    assert_eq!(Image(vec![]).write(&files, Target::File(&path), &options(2, None)).unwrap().bytes, 0);
    assert_eq!(fs::read(&path).unwrap(), b"");
    Image(vec![]).write(&files, Target::File(&path), &options(2, Some(3))).unwrap();
    assert_eq!(zstd::decode_all(&*fs::read(&path).unwrap()).unwrap(), b"");
}

/// On file systems that clone, large files share the blocks of their sources.
#[test]
fn large_files_share_their_blocks_if_the_file_system_can() {
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(400 * MIB).unwrap();
    let disk = disk.path().to_str().unwrap();
    run("mkfs.xfs", &["-q", "-m", "reflink=1", disk]);
    let mounted = Mounted::new(&["-o", "loop", disk]);
    let files = Files::within(mounted.path(), &[70 * MIB + 123, 10]);
    let image = Image::of_files(&files);
    let out = mounted.path().join("image");
    for digest in [false, true] {
        let options = image_assembly::Options { digest, ..options(2, None) };
        let written = image.write(&files, Target::File(&out), &options).unwrap();
        let expected = image.naive(&files);
        assert!(fs::read(&out).unwrap() == expected);
        assert_eq!(written.sha256, digest.then(|| sha256(&expected)));
        let extents = run("filefrag", &["-v", out.to_str().unwrap()]);
        assert!(extents.contains("shared"), "{extents}");
    }
    // A clone costs the same for any length, so smaller files share their blocks too.
    let files = Files::within(mounted.path(), &[200 * KIB, 10]);
    let options = image_assembly::Options { digest: false, ..options(2, None) };
    Image::of_files(&files).write(&files, Target::File(&out), &options).unwrap();
    let extents = run("filefrag", &["-v", out.to_str().unwrap()]);
    assert!(extents.contains("shared"), "{extents}");
}
