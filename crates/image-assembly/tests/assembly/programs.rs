//! Traits that other programs implement: contents from memory and from readers, outputs, observers, validators.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::Path;

use image_assembly::{
    AssemblyError, ErrorKind, ImageDigest, KnownZeros, Observer, Options, Refusal, Rejection, Target, Writer,
};
use image_tree::{
    Contents, ContentsError, Explanation, FileBytes, FileReader, FileRef, Forward, ReadAt, TreeBuilder,
    TreeContents,
};
use sha2::{Digest, Sha256};

use crate::support::*;

/// Shorter and longer than a chunk, and with a long run of zeros.
fn files() -> Files {
    let sparse = [noise(9, 100_000), vec![0; 3 << 20], noise(10, 1000)].concat();
    Files::of(&std::env::temp_dir(), vec![noise(1, 5000), noise(2, 3 * MIB + 5), sparse, noise(3, 40 * MIB)])
}

/// The files of an image with readers, some for any offset and some only forward.
struct Readers<'f>(&'f Files);

/// Returns few bytes at a time, and is interrupted sometimes.
struct Chopped<R>(R, u32);

impl<R: ReadAt> ReadAt for Chopped<R> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(300_000);
        self.0.read_at(&mut buffer[..len], offset)
    }
}

struct Bytes<'f>(&'f [u8]);

impl ReadAt for Bytes<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap().min(self.0.len());
        (&self.0[from..]).read(buffer)
    }
}

impl Contents for Readers<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(Readers(self.0))
    }
}

impl FileReader for Readers<'_> {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let index = file.node.index() - 1;
        let bytes = &*self.0.bytes[index];
        Ok(match index % 3 {
            0 => FileBytes::Memory(bytes),
            1 => FileBytes::Reader(Box::new(Chopped(Bytes(bytes), 0))),
            _ => FileBytes::Reader(Box::new(Chopped(Forward::new(bytes), 0))),
        })
    }
}

#[test]
fn readers_and_memory_give_the_same_image_as_files() {
    let files = files();
    let image = Image::of_files(&files);
    let expected = image.naive(&files);
    let contents = Readers(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for threads in THREADS {
        for digest in [false, true] {
            let options = Options { digest, ..options(threads, None) };
            Writer::new(&image, &contents).options(options).write(Target::File(&path)).unwrap();
            assert!(fs::read(&path).unwrap() == expected, "{threads} threads");
        }
        let mut memory = Vec::new();
        let options = options(threads, None);
        let written = Writer::new(&image, &contents).options(options).write_to(&mut memory).unwrap();
        assert!(memory == expected, "{threads} threads");
        assert_eq!(written.sha256, Some(Sha256::digest(&expected).into()));
        let known = KnownZeros::find(&image, &contents, (options.threads, options.readers), &|_| {}).unwrap();
        let mut memory = Vec::new();
        Writer::new(&known, &contents).options(options).write_to(&mut memory).unwrap();
        assert!(memory == expected, "{threads} threads, zeros known");
    }
}

#[test]
fn any_writer_gets_a_frame_and_its_errors_are_returned() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let files = files();
    let image = Image::of_files(&files);
    let contents = Readers(&files);
    let mut frame = Vec::new();
    Writer::new(&image, &contents).options(options(2, Some(1))).write_to(&mut frame).unwrap();
    assert!(zstd::decode_all(&*frame).unwrap() == image.naive(&files));
    for level in [None, Some(1)] {
        let unhashed = Options { digest: false, ..options(2, level) };
        let written = Writer::new(&image, &contents).options(unhashed).write_to(&mut io::sink()).unwrap();
        assert_eq!(written.sha256, None);
        let writer = Writer::new(&image, &contents).options(options(2, level));
        let error = writer.write_to(&mut Full(2 << 20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Output);
        assert!(error.to_string().starts_with("the output: can't be written: "), "{error}");
    }
}

/// Contents that fail in a given way.
struct Failing(fn() -> Result<FileBytes<'static>, ContentsError>);

impl Contents for Failing {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(Self(self.0))
    }

    fn shown(&self, _: FileRef) -> String {
        "object 7".to_owned()
    }
}

impl FileReader for Failing {
    fn open(&mut self, _: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        (self.0)()
    }
}

struct Broken;

impl ReadAt for Broken {
    fn read_at(&mut self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::Error::other("No answer"))
    }
}

#[test]
fn errors_of_a_programs_files_are_returned() {
    let files = Files::new(&[70_000, 3 * MIB, 10]);
    let image = Image::of_files(&files);
    let fails = |open: fn() -> Result<FileBytes<'static>, ContentsError>| {
        let contents = Failing(open);
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("image");
        let mut texts = Vec::new();
        let mut keep = |error: AssemblyError| texts.push((error.kind(), error.to_string()));
        for digest in [false, true] {
            let options = Options { digest, ..options(2, None) };
            keep(Writer::new(&image, &contents).options(options).write(Target::File(&path)).unwrap_err());
        }
        keep(Writer::new(&image, &contents).write_to(&mut Vec::new()).unwrap_err());
        keep(
            KnownZeros::find(&image, &contents, (NonZeroUsize::MIN, NonZeroUsize::MIN), &|_| {}).unwrap_err(),
        );
        assert!(names(out.path()).is_empty());
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        texts.remove(0)
    };
    let gone = || Err(ContentsError::new(Explanation::new("object 7", "is gone", "ask again")));
    assert_eq!(fails(gone), (ErrorKind::Source, "object 7: is gone; ask again".to_owned()));
    let bug = || Err(ContentsError::internal(Explanation::new("object 7", "has no bytes", "")));
    assert_eq!(fails(bug), (ErrorKind::Internal, "object 7: has no bytes".to_owned()));
    let broken: fn() -> _ = || Ok(FileBytes::Reader(Box::new(Broken)));
    let text = "object 7: can't be read: no answer; check the disk that holds it";
    assert_eq!(fails(broken), (ErrorKind::Source, text.to_owned()));
    let text = "object 7: became shorter while it was read; do not change the sources during the build";
    let ended: [fn() -> Result<FileBytes<'static>, ContentsError>; 3] = [
        || Ok(FileBytes::Reader(Box::new(Forward::new(&b"few bytes"[..])))),
        || Ok(FileBytes::Reader(Box::new(Bytes(b"few bytes")))),
        || Ok(FileBytes::Memory(b"few bytes")),
    ];
    for open in ended {
        assert_eq!(fails(open), (ErrorKind::Source, text.to_owned()));
    }
}

#[derive(Debug, PartialEq)]
struct Reason(u32);

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "reason {}", self.0)
    }
}

impl std::error::Error for Reason {}

/// Counts bytes, and rejects the image with a reason, if any.
struct Counter(u64, Option<Reason>);

impl Observer for Counter {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += u64::try_from(bytes.len()).unwrap();
    }

    fn zeros(&mut self, len: u64) {
        self.0 += len;
    }

    fn finish(&mut self) -> Result<(), Rejection> {
        self.1.take().map_or(Ok(()), |reason| Err(reason.into()))
    }
}

fn reason(result: Result<image_assembly::Written, AssemblyError>) -> Reason {
    match result {
        Err(AssemblyError::Rejected(reason)) => *reason.downcast().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_observer_gets_all_bytes_and_the_first_rejection_is_returned() {
    let files = files();
    let image = Image::of_files(&files);
    let expected = image.naive(&files);
    let contents = Readers(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    fs::write(&path, "old").unwrap();
    for level in [None, Some(1)] {
        for digest in [false, true] {
            let options = Options { digest, ..options(2, level) };
            let mut observers = [Counter(0, None), Counter(0, Some(Reason(1))), Counter(0, Some(Reason(2)))];
            let writer = Writer::new(&image, &contents).options(options);
            let writer = observers.iter_mut().fold(writer, |writer, observer| writer.observer(observer));
            assert_eq!(reason(writer.write(Target::File(&path))), Reason(1));
            assert!(observers.iter().all(|observer| observer.0 == u64::try_from(expected.len()).unwrap()));
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
    }
    let mut digest = ImageDigest::default();
    Writer::new(&image, &contents)
        .options(options(2, Some(1)))
        .observer(&mut digest)
        .write_to(&mut io::sink())
        .unwrap();
    assert_eq!(digest.sha256(), <[u8; 32]>::from(Sha256::digest(&expected)));
}

#[test]
fn a_validator_reads_the_output_before_it_has_its_name() {
    let files = files();
    let image = Image::of_files(&files);
    let expected = image.naive(&files);
    let contents = Readers(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let read = |file: &File| {
        let mut bytes = vec![0; expected.len()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == expected && !path.exists());
    };
    let writer = || Writer::new(&image, &contents).options(options(2, None));
    let reject = |file: &File| {
        read(file);
        Err(Reason(3))
    };
    assert_eq!(reason(writer().validator(reject).write(Target::File(&path))), Reason(3));
    assert!(names(out.path()).is_empty());
    let accept = |file: &File| {
        read(file);
        Ok::<_, Reason>(())
    };
    writer().validator(accept).write(Target::File(&path)).unwrap();
    assert!(fs::read(&path).unwrap() == expected);
}

#[test]
fn a_stream_can_have_no_validator() {
    let tree = TreeBuilder::new().finish().unwrap();
    let contents = TreeContents::new(&tree);
    let image = Image(vec![Part::Zeros(4096)]);
    let writer =
        || Writer::new(&image, &contents).validator(|_| -> Result<(), Reason> { panic!("never asked") });
    let mut memory = Vec::new();
    for result in [writer().write_to(&mut memory), writer().write(Target::File(Path::new("/dev/null")))] {
        assert!(matches!(result, Err(AssemblyError::Refused { refusal: Refusal::Stream, .. })), "{result:?}");
    }
    assert!(memory.is_empty());
}
