//! Containers with compressed blocks: the same bytes for any number of threads, and qemu-img gets the image.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use file_scanner::ScannedFiles;
use image_assembly::{AssemblyError, ImageDigest, Refusal, Target, Writer, Written};
use image_containers::{BlockCompression, PackedQcow2, StreamVmdk};
use image_tree::{PackedFormat, PieceSource, Uuid};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::support::*;

/// Multiples of a sector, around the borders of blocks and of what a thread compresses.
fn part() -> impl Strategy<Value = Part> {
    let border = prop_oneof![Just(64 * KIB), Just(128 * KIB), Just(MIB), Just(3 * MIB)];
    let near = (border, 0..3_u64).prop_map(|(border, more)| border + 512 * more - 512);
    let len = prop_oneof![2 => near, 1 => (1..300_u64).prop_map(|sectors| sectors * 512)];
    prop_oneof![
        2 => len.clone().prop_map(Part::Zeros),
        1 => len.clone().prop_map(Part::Metadata),
        1 => len.prop_map(|len| Part::File { index: 0, from: 0, len }),
    ]
}

/// Half of the files' bytes are compressible.
fn files() -> Files {
    let mut bytes = noise(3, 4 * MIB);
    for kib in bytes.chunks_mut(150 << 10).step_by(2) {
        for byte in kib {
            *byte %= 5;
        }
    }
    Files::of(&std::env::temp_dir(), vec![bytes, vec![1]])
}

fn formats(image: &Image) -> [(Arc<dyn PackedFormat>, &'static str); 3] {
    let len = image.len();
    let qcow2 = |compression| Arc::new(PackedQcow2::new(len, compression).unwrap());
    [
        (Arc::new(StreamVmdk::new(len, Uuid([7; 16])).unwrap()), "vmdk"),
        (qcow2(BlockCompression::Deflate { level: 6 }), "qcow2"),
        (qcow2(BlockCompression::Zstd { level: 3 }), "qcow2"),
    ]
}

fn write(
    image: &Image,
    files: &Files,
    format: &Arc<dyn PackedFormat>,
    threads: usize,
    target: Target<'_>,
) -> Result<Written, AssemblyError> {
    let scanned = ScannedFiles::new(&files.tree);
    let mut digest = ImageDigest::default();
    let writer = Writer::new(image, &scanned).options(options(threads, None)).packed(Arc::clone(format));
    let written = writer.observer(&mut digest).write(target)?;
    // Observers get the image, not the container.
    assert_eq!(digest.sha256(), <[u8; 32]>::from(Sha256::digest(image.naive(files))));
    Ok(written)
}

fn check(image: &Image, files: &Files) {
    let out = tempfile::tempdir().unwrap();
    let (path, raw) = (out.path().join("container"), out.path().join("raw"));
    let expected = image.naive(files);
    for (format, name) in formats(image) {
        let mut first: Option<Vec<u8>> = None;
        for threads in THREADS {
            let written = write(image, files, &format, threads, Target::File(&path)).unwrap();
            let bytes = fs::read(&path).unwrap();
            let sha256 = <[u8; 32]>::from(Sha256::digest(&bytes));
            assert_eq!((written.bytes, written.sha256), (u64::try_from(bytes.len()).unwrap(), Some(sha256)));
            let first = first.get_or_insert_with(|| bytes.clone());
            assert!(*first == bytes, "{format:?}: other bytes with {threads} threads");
        }
        run("qemu-img", &["check", "-f", name, path.to_str().unwrap()]);
        let convert = ["convert", "-f", name, "-O", "raw", path.to_str().unwrap(), raw.to_str().unwrap()];
        run("qemu-img", &convert);
        assert!(fs::read(&raw).unwrap() == expected, "{format:?}");
        let scanned = ScannedFiles::new(&files.tree);
        let mut stream = Vec::new();
        let writer = Writer::new(image, &scanned).options(options(2, None)).packed(Arc::clone(&format));
        let written = writer.write_to(&mut stream);
        if format.is_patched() {
            let refusal = written.unwrap_err();
            assert!(matches!(refusal, AssemblyError::Refused { refusal: Refusal::PatchedStream, .. }));
            assert!(stream.is_empty());
        } else {
            assert_eq!(
                Some(written.unwrap().sha256),
                first.as_deref().map(|b| Some(Sha256::digest(b).into()))
            );
            assert!(Some(stream) == first);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_gets_the_image(parts in prop::collection::vec(part(), 1..6)) {
        check(&Image(parts), &files());
    }
}

#[test]
fn long_zeros_take_neither_space_nor_time() {
    let files = files();
    let parts =
        |zeros| vec![Part::Metadata(512), Part::Zeros(zeros), Part::File { index: 0, from: 7, len: 512 }];
    check(&Image(parts(100 * MIB + 512)), &files);
    let image = Image(parts((1 << 40) - 1024));
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("container");
    for (format, _) in formats(&image) {
        let scanned = ScannedFiles::new(&files.tree);
        let writer = Writer::new(&image, &scanned).options(options(2, None)).packed(Arc::clone(&format));
        let written = writer.write(Target::File(&path)).unwrap();
        assert!(written.bytes < MIB, "{format:?}: {}", written.bytes);
    }
}

#[test]
fn a_device_can_have_no_container() {
    let image = Image(vec![Part::Zeros(512)]);
    for (format, _) in formats(&image) {
        let error = write(&image, &files(), &format, 2, Target::Device(Path::new("/dev/null"))).unwrap_err();
        assert!(
            matches!(error, AssemblyError::Refused { refusal: Refusal::CompressedDevice, .. }),
            "{error:?}"
        );
    }
}

/// The writing ends soon although blocks are still being compressed, and nothing appears.
#[test]
fn a_full_disk_in_the_middle_leaves_nothing() {
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=4m", "none"]);
    let files = Files::new(&[40 * MIB, 1]);
    let image = Image(vec![Part::File { index: 0, from: 0, len: 40 * MIB }]);
    for (format, _) in formats(&image) {
        for threads in THREADS {
            let path = small.path().join("image");
            let error = write(&image, &files, &format, threads, Target::File(&path)).unwrap_err();
            let AssemblyError::Output { error, .. } = error else { panic!("{error:?}") };
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
            assert!(names(small.path()).is_empty());
        }
    }
}

/// Zeros that are not looked at, and blocks that are compressed together, change nothing.
#[test]
fn the_bytes_are_those_of_one_block_after_another() {
    let files = files();
    let image = Image(vec![Part::File { index: 0, from: 0, len: 4 * MIB }, Part::Zeros(MIB)]);
    let out = tempfile::tempdir().unwrap();
    for (format, name) in formats(&image) {
        let path = out.path().join(name);
        write(&image, &files, &format, 1, Target::File(&path)).unwrap();
        let compress = |bytes: &[u8]| format.compress(bytes).unwrap();
        let raw = image.naive(&files);
        let mut bytes = Vec::new();
        let mut file = format.begin(&mut bytes);
        for block in compress(&raw) {
            file.block(&block, &mut bytes).unwrap();
        }
        let start = file.end(&mut bytes).unwrap();
        bytes[..start.len()].copy_from_slice(&start);
        assert!(fs::read(&path).unwrap() == bytes, "{format:?}");
    }
}
