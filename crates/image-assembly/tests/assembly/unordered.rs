//! Observers that all threads call, and bytes that are written last.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use file_scanner::ScannedFiles;
use image_assembly::{
    AssemblyError, Compression, ErrorKind, ImageDigest, Options, Patches, Put, Refusal, Rejection, Target,
    UnorderedObserver, Writer, Written, read_image,
};
use image_tree::PieceSource;
use sha2::{Digest, Sha256};

use crate::devices::Loop;
use crate::support::*;

/// Keeps all bytes, and checks that none comes twice.
pub(crate) struct Seen(Mutex<Vec<Option<u8>>>);

impl Seen {
    pub(crate) fn new(len: usize) -> Self {
        Self(Mutex::new(vec![None; len]))
    }

    fn add(&self, offset: u64, bytes: impl Iterator<Item = u8>) {
        let mut seen = self.0.lock().unwrap();
        for (at, byte) in (usize::try_from(offset).unwrap()..).zip(bytes) {
            assert!(seen[at].replace(byte).is_none(), "the byte at {at} comes twice");
        }
    }

    pub(crate) fn all(self) -> Vec<u8> {
        self.0.into_inner().unwrap().into_iter().map(|byte| byte.expect("a byte did not come")).collect()
    }
}

impl UnorderedObserver for Seen {
    fn bytes(&self, offset: u64, bytes: &[u8]) {
        self.add(offset, bytes.iter().copied());
    }

    fn zeros(&self, offset: u64, len: u64) {
        self.add(offset, (0..len).map(|_| 0));
    }
}

/// Small files, and one that the kernel copies.
fn files() -> Files {
    Files::new(&[5000, 3 * MIB + 5, 300 * KIB, 9])
}

fn image(files: &Files) -> Image {
    let mut image = Image::of_files(files);
    image.0.insert(2, Part::Zeros(2 * MIB + 7));
    image.0.push(Part::Zeros(100 * KIB));
    image
}

#[test]
fn an_unordered_observer_gets_every_byte_once() {
    let files = files();
    let image = image(&files);
    let expected = image.naive(&files);
    let contents = ScannedFiles::new(&files.tree);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for threads in [1, 3] {
        for options in [
            options(threads, None),
            Options { digest: false, ..options(threads, None) },
            options(threads, Some(1)),
            compressed(threads, Compression::Gzip { level: 1 }),
        ] {
            let seen = Seen::new(expected.len());
            let writer = Writer::new(&image, &contents).options(options).unordered(&seen);
            writer.write(Target::File(&path)).unwrap();
            assert!(seen.all() == expected, "{options:?}");
            assert!(options.compression.is_some() || fs::read(&path).unwrap() == expected);
        }
        let seen = Seen::new(expected.len());
        let done = Mutex::new(0);
        let progress = |bytes| *done.lock().unwrap() += bytes;
        read_image(&image, &contents, &options(threads, None), &seen, &progress).unwrap();
        assert!(seen.all() == expected, "read, {threads} threads");
        assert_eq!(done.into_inner().unwrap(), image.len());
    }
}

/// Wants the bytes of one range.
struct Wants(Range<u64>, Mutex<Vec<Range<u64>>>);

impl UnorderedObserver for Wants {
    fn is_interested(&self, offset: u64, len: u64) -> bool {
        offset < self.0.end && offset + len > self.0.start
    }

    fn bytes(&self, offset: u64, bytes: &[u8]) {
        self.1.lock().unwrap().push(offset..offset + u64::try_from(bytes.len()).unwrap());
    }

    fn zeros(&self, _: u64, _: u64) {}
}

/// What is copied by the kernel, or not written at all, is read for the observer only.
#[test]
fn what_nobody_wants_is_not_read() {
    let files = Files::new(&[3 * MIB, 3 * MIB, 9]);
    let image = Image(vec![
        Part::File { index: 0, from: 0, len: 3 * MIB },
        Part::File { index: 1, from: 0, len: 3 * MIB },
    ]);
    let contents = ScannedFiles::new(&files.tree);
    let out = tempfile::tempdir().unwrap();
    let wants = Wants(4 * MIB..4 * MIB + 1, Mutex::default());
    let unhashed = Options { digest: false, ..options(2, None) };
    let writer = Writer::new(&image, &contents).options(unhashed).unordered(&wants);
    writer.write(Target::File(&out.path().join("image"))).unwrap();
    let mut seen = std::mem::take(&mut *wants.1.lock().unwrap());
    seen.sort_by_key(|range| range.start);
    assert_eq!((seen[0].start, seen.last().unwrap().end), (3 * MIB, 6 * MIB));
    // Then a file that can't be read is no error, if its bytes are not wanted.
    fs::remove_file(files.path(0)).unwrap();
    read_image(&image, &contents, &options(2, None), &wants, &|_| {}).unwrap();
    let seen = std::mem::take(&mut *wants.1.lock().unwrap());
    assert_eq!((seen.len(), &seen[0]), (1, &(4 * MIB..5 * MIB)));
    let wants = Wants(0..1, Mutex::default());
    let error = read_image(&image, &contents, &options(2, None), &wants, &|_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
}

/// Bytes that are known late.
struct Late(Vec<(u64, Vec<u8>)>);

impl Late {
    /// In metadata, in a small file and in a large one.
    fn new() -> Self {
        Self(vec![
            (5, noise(1, 20)),
            (9 * KIB, noise(2, 2 * KIB)),
            (4 * MIB, noise(3, MIB)),
            (5 * MIB, vec![1]),
        ])
    }

    fn applied(&self, image: &[u8]) -> Vec<u8> {
        let mut image = image.to_vec();
        for (at, bytes) in &self.0 {
            let at = usize::try_from(*at).unwrap();
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        image
    }
}

impl Patches for Late {
    fn ranges(&self) -> Vec<Range<u64>> {
        let range = |(at, bytes): &(u64, Vec<u8>)| *at..*at + u64::try_from(bytes.len()).unwrap();
        self.0.iter().map(range).collect()
    }

    fn apply(&self, put: &mut Put<'_>) -> Result<(), AssemblyError> {
        self.0.iter().try_for_each(|(at, bytes)| put(*at, bytes))
    }
}

/// Writes an image with late bytes, which its observers do not see and its validator does.
fn write_late(target: Target<'_>, options: Options) -> (Result<Written, AssemblyError>, Vec<u8>) {
    let (files, late) = (files(), Late::new());
    let image = image(&files);
    let before = image.naive(&files);
    let after = late.applied(&before);
    let contents = ScannedFiles::new(&files.tree);
    let mut digest = ImageDigest::default();
    let validator = |output: &File| -> Result<(), io::Error> {
        let mut bytes = vec![0; after.len()];
        output.read_exact_at(&mut bytes, 0)?;
        assert!(bytes == after);
        Ok(())
    };
    let writer = Writer::new(&image, &contents).options(options).observer(&mut digest).patches(&late);
    let written = writer.validator(validator).write(target);
    if written.is_ok() {
        assert_eq!(digest.sha256(), <[u8; 32]>::from(Sha256::digest(&before)));
    }
    (written, after)
}

#[test]
fn late_bytes_are_in_the_file_and_in_its_digest() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for digest in [false, true] {
        let (written, expected) = write_late(Target::File(&path), Options { digest, ..options(2, None) });
        assert!(fs::read(&path).unwrap() == expected);
        let sha256 = digest.then(|| <[u8; 32]>::from(Sha256::digest(&expected)));
        assert_eq!(written.unwrap().sha256, sha256);
    }
}

#[test]
fn late_bytes_are_on_a_device() {
    let device = Loop::new(12 * MIB);
    for (digest, read_back) in [(false, false), (false, true), (true, false), (true, true)] {
        let options = Options { digest, read_back, ..options(2, None) };
        let (written, expected) = write_late(Target::Device(device.path()), options);
        let sha256 = digest.then(|| <[u8; 32]>::from(Sha256::digest(&expected)));
        let written = written.unwrap();
        assert_eq!((written.sha256, written.bytes), (sha256, u64::try_from(expected.len()).unwrap()));
        let mut bytes = vec![0; expected.len()];
        File::open(device.path()).unwrap().read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == expected, "{digest}, {read_back}");
    }
}

#[test]
fn late_bytes_can_not_be_in_a_stream_or_compressed() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let error = write_late(Target::File(&path), options(2, Some(1))).0.unwrap_err();
    assert!(matches!(error, AssemblyError::Refused { refusal: Refusal::Patches, .. }), "{error}");
    assert!(names(out.path()).is_empty());
    let files = files();
    let (image, contents, late) = (image(&files), ScannedFiles::new(&files.tree), Late::new());
    let error = Writer::new(&image, &contents).patches(&late).write_to(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, AssemblyError::Refused { refusal: Refusal::Patches, .. }), "{error}");
}

#[test]
fn the_digest_of_a_device_is_that_of_the_image_and_a_rejection_is_returned() {
    let device = Loop::new(12 * MIB);
    let files = files();
    let image = image(&files);
    let expected = image.naive(&files);
    for (digest, read_back) in [(false, false), (false, true), (true, false), (true, true)] {
        let options = Options { digest, read_back, ..options(2, None) };
        let written = image.write(&files, Target::Device(device.path()), &options).unwrap();
        assert_eq!(written.sha256, digest.then(|| <[u8; 32]>::from(Sha256::digest(&expected))));
        assert_eq!(written.bytes, image.len());
        let contents = ScannedFiles::new(&files.tree);
        let reject = |_: &File| Err(Rejection::from("unsound"));
        let writer = Writer::new(&image, &contents).options(options).validator(reject);
        let error = writer.write(Target::Device(device.path())).unwrap_err();
        assert!(matches!(error, AssemblyError::Rejected(_)), "{error}");
    }
}
