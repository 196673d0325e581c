//! Long runs of zeros within files: found before writing, omitted from raw files, and never other bytes.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

use file_scanner::ScannedFiles;
use image_assembly::{KnownZeros, Observer, Target, Writer};
use image_containers::{Qcow2, Simg};
use image_tree::{Content, FileRef, PieceSource};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::*;

const GRAIN: u64 = 64 * KIB;

/// A file with runs of zeros and of data, some with a single byte among zeros.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let run = (0..4_u8, prop_oneof![1..200_u64, 60 * KIB..70 * KIB, 1..400 * KIB]);
    vec(run, 0..8).prop_map(|runs| {
        let mut bytes = Vec::new();
        for (kind, len) in runs {
            let at = bytes.len();
            match kind {
                0 => bytes.extend(noise(len, len)),
                1 | 2 => bytes.resize(at + usize::try_from(len).unwrap(), 0),
                _ => {
                    bytes.resize(at + usize::try_from(len).unwrap(), 0);
                    let middle = at + usize::try_from(len / 2).unwrap();
                    bytes[middle] = 1;
                }
            }
        }
        bytes
    })
}

/// An image of whole files with gaps between them, so that they begin anywhere in a grain.
fn image_of(files: &Files, gaps: &[u64]) -> Image {
    let mut parts = Vec::new();
    for (index, bytes) in files.bytes.iter().enumerate() {
        let len = u64::try_from(bytes.len()).unwrap();
        parts.extend((len > 0).then_some(Part::File { index, from: 0, len }));
        parts.push(Part::Zeros(gaps[index % gaps.len()]));
    }
    // Containers need whole blocks.
    let len: u64 = Image(parts.clone()).len();
    parts.push(Part::Zeros(len.next_multiple_of(4 * KIB) + 4 * KIB - len));
    Image(parts)
}

/// Keeps all bytes.
#[derive(Default)]
struct Seen {
    files: Vec<(FileRef, Vec<u8>)>,
    all: Vec<u8>,
}

impl Observer for Seen {
    fn file_bytes(&mut self, file: FileRef, bytes: &[u8]) {
        match self.files.last_mut() {
            Some((last, seen)) if *last == file => seen.extend_from_slice(bytes),
            _ => self.files.push((file, bytes.to_vec())),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.all.extend_from_slice(bytes);
    }

    fn zeros(&mut self, len: u64) {
        self.all.resize(self.all.len() + usize::try_from(len).unwrap(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_look_finds_every_whole_grain_of_zeros_and_nothing_else(
        contents in vec(file(), 1..6),
        gaps in vec(1..100_000_u64, 1..4),
        threads in 1..4_usize,
    ) {
        let files = Files::of(&std::env::temp_dir(), contents);
        let image = image_of(&files, &gaps);
        let expected = image.naive(&files);
        let contents = ScannedFiles::new(&files.tree);
        let done = AtomicU64::new(0);
        let progress = |bytes| { done.fetch_add(bytes, Ordering::Relaxed); };
        let known = KnownZeros::find(&image, &contents, (NonZeroUsize::new(threads).unwrap(), NonZeroUsize::MIN), &progress).unwrap();
        prop_assert_eq!(done.into_inner(), image.len());
        let mut found = 0;
        for piece in known.pieces().filter(|piece| matches!(piece.content, Content::FileZeros { .. })) {
            prop_assert!(piece.offset.is_multiple_of(GRAIN) && piece.len.is_multiple_of(GRAIN));
            found += piece.len;
        }
        let in_files = image.pieces().filter(|piece| matches!(piece.content, Content::File { .. }));
        let zero_grains = in_files.flat_map(|piece| {
            let last = (piece.offset + piece.len) / GRAIN;
            (piece.offset.div_ceil(GRAIN)..last).filter(|grain| {
                let at = usize::try_from(grain * GRAIN).unwrap();
                expected[at..at + 65_536].iter().all(|byte| *byte == 0)
            })
        });
        prop_assert_eq!(found, u64::try_from(zero_grains.count()).unwrap() * GRAIN);

        // The output is the same with and without it, and so are the bytes of files that an observer gets.
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("image");
        let mut by_file = Vec::new();
        let both: [&dyn PieceSource; 2] = [&image, &known];
        for image in both {
            let mut seen = Seen::default();
            let writer = Writer::new(image, &contents).options(options(threads, None));
            writer.observer(&mut seen).write(Target::File(&path)).unwrap();
            prop_assert!(fs::read(&path).unwrap() == expected);
            prop_assert!(seen.all == expected);
            by_file.push(seen.files);
            let unhashed = image_assembly::Options { digest: false, ..options(threads, None) };
            Writer::new(image, &contents).options(unhashed).write(Target::File(&path)).unwrap();
            prop_assert!(fs::read(&path).unwrap() == expected);
        }
        // So are those of an observer of a container that omits the zeros.
        let containers: [&dyn PieceSource; 2] = [&Qcow2::new(&known).unwrap(), &Simg::new(&known).unwrap()];
        for container in containers {
            for compression in [None, Some(1)] {
                let mut seen = Seen::default();
                let mut observer = known.observer(&mut seen);
                let writer = Writer::new(container, &contents).options(options(threads, compression));
                writer.observer(&mut observer).write(Target::File(&path)).unwrap();
                prop_assert!(compression.is_some() || seen.all == fs::read(&path).unwrap());
                prop_assert!(by_file[0] == seen.files);
            }
        }
        prop_assert!(by_file[0] == by_file[1]);
        let whole: Vec<_> = (0..files.bytes.len())
            .filter(|index| !files.bytes[*index].is_empty())
            .map(|index| (Files::node(index).into(), files.bytes[index].clone()))
            .collect();
        prop_assert!(by_file[0] == whole);
    }
}

#[test]
fn zeros_in_files_are_holes_of_a_raw_file() {
    let zeros = |len: u64| vec![0; usize::try_from(len).unwrap()];
    // Both kinds of copy: through memory, and by the kernel.
    let files = Files::of(
        &std::env::temp_dir(),
        vec![
            zeros(900 * KIB),
            zeros(40 * MIB),
            [zeros(20 * MIB), noise(1, 5000), zeros(20 * MIB)].concat(),
            zeros(9),
        ],
    );
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for digest in [false, true] {
        let options = image_assembly::Options { digest, ..options(2, None) };
        image.write(&files, Target::File(&path), &options).unwrap();
        assert!(fs::read(&path).unwrap() == image.naive(&files));
        let stored = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(stored < 512 * KIB, "{stored} bytes stored");
    }
}
