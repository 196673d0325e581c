//! Frames of units: the bytes of the image, the same from any threads and stores, and the same frames for a unit wherever it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use file_scanner::ScannedFiles;
use image_assembly::{
    Compression, FrameKey, FrameSource, FrameStore, Frames, Framing, ImageDigest, Options, StoredFrame,
    Target, Unit, Writer, Written,
};
use image_tree::{Contents, ContentsError, FileBytes, FileReader, FileRef};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::bytes::{LENS, part};
use crate::support::*;

/// Identifies all files by their number, or none.
struct Source {
    identifies: bool,
}

impl FrameSource for Source {
    fn unit(&self, file: FileRef) -> Unit {
        ().unit(file)
    }

    fn identify(&self, file: FileRef, identity: &mut Vec<u8>) -> bool {
        identity.extend(file.node.index().to_le_bytes());
        self.identifies
    }
}

/// Keeps frames in memory.
#[derive(Default)]
struct Store {
    frames: Mutex<BTreeMap<FrameKey, (u64, Vec<u8>)>>,
    missing: Mutex<u64>,
}

impl FrameStore for Store {
    fn get(&self, key: &FrameKey) -> Option<StoredFrame> {
        let frames = self.frames.lock().unwrap();
        let Some((frame, bytes)) = frames.get(key) else {
            *self.missing.lock().unwrap() += 1;
            return None;
        };
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        // What follows a frame in its file does not matter.
        file.write_all(b"trailer").unwrap();
        Some(StoredFrame { file, frame: *frame, len: u64::try_from(bytes.len()).unwrap() })
    }

    fn put(&self, key: &FrameKey, len: u64, frame: &[u8]) {
        assert_eq!(frame.len() % 4096, 0, "frames are whole blocks");
        self.frames.lock().unwrap().insert(*key, (len, frame.to_vec()));
    }
}

fn frames(threads: usize, seekable: bool) -> Options {
    let framing = Framing::Units { seekable };
    Options { compression: Some(Compression::Zstd { level: 1, framing }), ..options(threads, None) }
}

fn write(image: &Image, files: &Files, path: &Path, options: Options, frames: Frames<'_>) -> Written {
    let scanned = ScannedFiles::new(&files.tree);
    Writer::new(image, &scanned).options(options).frames(frames).write(Target::File(path)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn threads_and_stores_never_change_a_byte(
        parts in prop::collection::vec(part(), 0..40),
        seekable: bool,
        identifies: bool,
    ) {
        let files = Files::new(&LENS);
        let image = Image(parts);
        let expected = image.naive(&files);
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("image.zst");
        let source = Source { identifies };
        let written = write(&image, &files, &path, frames(1, seekable), Frames { source: &source, store: None });
        let first = fs::read(&path).unwrap();
        prop_assert!(zstd::decode_all(&*first).unwrap() == expected);
        prop_assert_eq!(written.sha256, Some(<[u8; 32]>::from(Sha256::digest(&first))));
        prop_assert!(seekable || first.len().is_multiple_of(4096));
        let store = Store::default();
        for threads in THREADS {
            for digest in [false, true] {
                let mut raw = ImageDigest::default();
                let scanned = ScannedFiles::new(&files.tree);
                let options = Options { digest, ..frames(threads, seekable) };
                let mut writer = Writer::new(&image, &scanned).options(options);
                writer = writer.frames(Frames { source: &source, store: Some(&store) });
                if digest {
                    writer = writer.observer(&mut raw);
                }
                let missing = *store.missing.lock().unwrap();
                let written = writer.write(Target::File(&path)).unwrap();
                prop_assert!(fs::read(&path).unwrap() == first, "{} threads", threads);
                prop_assert_eq!(written.bytes, u64::try_from(first.len()).unwrap());
                if digest {
                    prop_assert_eq!(raw.sha256(), <[u8; 32]>::from(Sha256::digest(&expected)));
                    prop_assert_eq!(written.sha256, Some(<[u8; 32]>::from(Sha256::digest(&first))));
                    prop_assert_eq!(*store.missing.lock().unwrap(), missing, "the second time, all frames are there");
                }
            }
        }
        prop_assert_eq!(names(out.path()), ["image.zst"]);
    }
}

/// The keys of an image's frames, and their compressed lengths together.
fn keys(image: &Image, files: &Files) -> (BTreeSet<FrameKey>, usize) {
    let out = tempfile::tempdir().unwrap();
    let store = Store::default();
    let frames_of = Frames { source: &Source { identifies: true }, store: Some(&store) };
    write(image, files, &out.path().join("image.zst"), frames(2, false), frames_of);
    let kept = store.frames.into_inner().unwrap();
    let len = kept.values().map(|(_, bytes)| bytes.len()).sum();
    (kept.into_keys().collect(), len)
}

/// Whole files after `metadata` bytes.
fn image(files: &Files, indexes: &[usize], metadata: u64) -> Image {
    let mut parts = vec![Part::Metadata(metadata)];
    for &index in indexes {
        let len = u64::try_from(files.bytes[index].len()).unwrap();
        parts.push(Part::File { index, from: 0, len });
        let end = len.next_multiple_of(4096);
        if end > len {
            parts.push(Part::Zeros(end - len));
        }
    }
    Image(parts)
}

#[test]
fn a_change_of_one_unit_leaves_the_frames_of_the_others() {
    // 60 small units, and large ones of 1 to 13 MiB among them.
    let lens: Vec<u64> = (0..60)
        .map(|n| if n % 7 == 3 { MIB + n * 200 * KIB } else { 3000 + (n * 7919) % 200_000 })
        .chain([9])
        .collect();
    let files = Files::new(&lens);
    let all: Vec<usize> = (0..60).collect();
    let (before, len) = keys(&image(&files, &all, 8 * KIB), &files);
    for removed in [0, 3, 10, 20, 31, 59] {
        let rest: Vec<usize> = all.iter().copied().filter(|&index| index != removed).collect();
        let (after, _) = keys(&image(&files, &rest, 20 * KIB), &files);
        let new = after.difference(&before).count();
        assert!(new <= 2, "{new} new frames without file {removed}");
    }
    let uncompressed: u64 = lens.iter().sum();
    assert!(u64::try_from(len).unwrap() < uncompressed + uncompressed / 50, "{len} of {uncompressed}");
}

#[test]
fn stored_frames_are_neither_read_nor_compressed() {
    let files = Files::new(&[3 * MIB, 700, 9]);
    let image = Image(vec![
        Part::File { index: 0, from: 0, len: 3 * MIB },
        Part::File { index: 1, from: 0, len: 700 },
        Part::Zeros(9 * MIB - 700),
    ]);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image.zst");
    let store = Store::default();
    let frames_of = || Frames { source: &Source { identifies: true }, store: Some(&store) };
    write(&image, &files, &path, frames(2, false), frames_of());
    let first = fs::read(&path).unwrap();
    // Without the files, only the stored frames can make the image.
    fs::remove_file(files.path(0)).unwrap();
    fs::remove_file(files.path(1)).unwrap();
    write(&image, &files, &path, Options { digest: false, ..frames(2, false) }, frames_of());
    assert!(fs::read(&path).unwrap() == first);
    // Contents that an observer wants are read anyway.
    let scanned = ScannedFiles::new(&files.tree);
    let mut digest = ImageDigest::default();
    let writer = Writer::new(&image, &scanned).options(frames(2, false)).frames(frames_of());
    let error = writer.observer(&mut digest).write(Target::File(&path)).unwrap_err();
    assert!(error.to_string().contains("file0000"), "{error}");
    assert!(fs::read(&path).unwrap() == first, "the earlier image stays");
}

/// The kernel copies stored frames to files. To a stream, or if the output is hashed, they are read.
#[test]
fn stored_frames_have_their_bytes_in_every_output() {
    let files = Files::new(&[3 * MIB, 2 * MIB + 5, 700, 9]);
    let image = image(&files, &[0, 1, 2], 4096);
    let expected = image.naive(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image.zst");
    for identifies in [false, true] {
        let (store, source) = (Store::default(), Source { identifies });
        let of_store = || Frames { source: &source, store: Some(&store) };
        let unhashed = Options { digest: false, ..frames(2, true) };
        write(&image, &files, &path, unhashed, of_store());
        let first = fs::read(&path).unwrap();
        assert!(zstd::decode_all(&*first).unwrap() == expected);
        let missing = *store.missing.lock().unwrap();
        for options in [unhashed, frames(2, true)] {
            let written = write(&image, &files, &path, options, of_store());
            assert!(fs::read(&path).unwrap() == first, "{options:?}");
            let sha256 = options.digest.then(|| <[u8; 32]>::from(Sha256::digest(&first)));
            assert_eq!(written.sha256, sha256);
            let (scanned, mut stream) = (ScannedFiles::new(&files.tree), Vec::new());
            let writer = Writer::new(&image, &scanned).options(options).frames(of_store());
            writer.write_to(&mut stream).unwrap();
            assert!(stream == first, "{options:?}");
        }
        assert_eq!(*store.missing.lock().unwrap(), missing);
    }
}

/// The compressed and decompressed lengths in the table of frames.
fn table(file: &[u8]) -> Vec<(u32, u32)> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let count = usize::try_from(number(file.len() - 9)).unwrap();
    let start = file.len() - 9 - count * 8;
    (0..count).map(|index| (number(start + index * 8), number(start + index * 8 + 4))).collect()
}

#[test]
fn only_a_frame_that_ends_within_a_block_is_followed_by_a_skippable_one() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image.zst");
    let mut counts = BTreeSet::new();
    // Bytes that can't be compressed: the frame is a few bytes longer.
    for len in 4065..=4090 {
        let files = Files::new(&[len, 9]);
        let image = Image(vec![Part::File { index: 0, from: 0, len }]);
        write(&image, &files, &path, frames(1, true), Frames::default());
        let table = table(&fs::read(&path).unwrap());
        assert!(table.iter().all(|frame| frame.0 > 0), "{table:?}");
        counts.insert((table.len(), table[0].0 == 4096));
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(1, true), (2, false)]);
}

/// Counts how often files are opened.
struct Counting<'f>(ScannedFiles<'f>, AtomicUsize);

impl Contents for Counting<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(CountingReader(self.0.reader(), &self.1))
    }
}

struct CountingReader<'f>(Box<dyn FileReader + 'f>, &'f AtomicUsize);

impl FileReader for CountingReader<'_> {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.open(file)
    }
}

#[test]
fn a_file_is_read_once() {
    let files = Files::new(&[3 * MIB, 2 * MIB, 9]);
    let image = image(&files, &[0, 1], 4096);
    for identifies in [false, true] {
        let (store, source) = (Store::default(), Source { identifies });
        let counting = Counting(ScannedFiles::new(&files.tree), AtomicUsize::new(0));
        let mut digest = ImageDigest::default();
        // As many readers as threads, so that no file is opened ahead.
        let options = Options { readers: NonZeroUsize::MIN, ..frames(1, false) };
        let writer = Writer::new(&image, &counting).options(options).observer(&mut digest);
        let writer = writer.frames(Frames { source: &source, store: Some(&store) });
        writer.write_to(&mut Vec::new()).unwrap();
        assert_eq!(counting.1.into_inner(), 2, "{identifies}");
    }
}

#[test]
fn zeros_and_large_metadata_become_frames_of_any_length() {
    let files = Files::new(&[9]);
    let image = Image(vec![
        Part::Metadata(4096),
        Part::Zeros(300 * MIB),
        Part::Metadata(9 * MIB),
        Part::Zeros(5),
        Part::Metadata(100),
    ]);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image.zst");
    write(&image, &files, &path, frames(2, true), Frames::default());
    let written = fs::read(&path).unwrap();
    assert!(zstd::decode_all(&*written).unwrap() == image.naive(&files));
    assert!(written.len() < 10 << 20, "{}", written.len());
    // The table counts all bytes before it, and all bytes of the image.
    let entries = u32::from_le_bytes(written[written.len() - 9..][..4].try_into().unwrap());
    let table = &written[written.len() - 9 - usize::try_from(entries).unwrap() * 8..];
    let number = |at: usize| u64::from(u32::from_le_bytes(table[at..][..4].try_into().unwrap()));
    let sums = (0..usize::try_from(entries).unwrap())
        .fold((0, 0), |sums, entry| (sums.0 + number(entry * 8), sums.1 + number(entry * 8 + 4)));
    let len = u64::try_from(written.len()).unwrap();
    assert_eq!(sums, (len - 9 - u64::from(entries) * 8 - 8, 309 * MIB + 4096 + 105));
}

#[test]
fn the_first_error_of_the_image_is_returned() {
    let files = Files::new(&[3 * MIB, 2 * MIB, 3 * MIB, 9]);
    let image = image(&files, &[0, 1, 2], 4096);
    fs::remove_file(files.path(1)).unwrap();
    File::create(files.path(2)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let scanned = ScannedFiles::new(&files.tree);
    for threads in THREADS {
        let writer = Writer::new(&image, &scanned).options(frames(threads, false));
        let error = writer.write(Target::File(&out.path().join("image.zst"))).unwrap_err();
        assert!(error.to_string().contains("file0001"), "{error}");
    }
    assert!(names(out.path()).is_empty());
}
