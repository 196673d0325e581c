//! Sources that make their readers wait, as a disk does.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use image_assembly::{KnownZeros, Options, Target, Writer};
use image_tree::{Contents, ContentsError, Explanation, FileBytes, FileReader, FileRef, ReadAt};

use crate::support::*;

/// Files that take a while each.
struct SlowDisk<'f> {
    files: &'f Files,
    /// Reads that are under way, and the most there were.
    now: AtomicUsize,
    most: AtomicUsize,
    /// From which file on they can't be read.
    broken: usize,
}

impl<'f> SlowDisk<'f> {
    fn new(files: &'f Files) -> Self {
        Self { files, now: AtomicUsize::new(0), most: AtomicUsize::new(0), broken: usize::MAX }
    }
}

impl Contents for SlowDisk<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(self)
    }
}

impl FileReader for &SlowDisk<'_> {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let index = file.node.index() - 1;
        if index >= self.broken {
            // Those behind fail sooner.
            sleep(Duration::from_millis(u64::try_from(60 - index.min(60)).unwrap()));
            return Err(ContentsError::new(Explanation::new(
                format!("file {index}"),
                "is broken",
                "mend it",
            )));
        }
        Ok(FileBytes::Reader(Box::new(SlowFile { disk: self, index })))
    }
}

struct SlowFile<'d> {
    disk: &'d SlowDisk<'d>,
    index: usize,
}

impl ReadAt for SlowFile<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Self { disk, index } = *self;
        disk.most.fetch_max(disk.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        sleep(Duration::from_millis(6));
        disk.now.fetch_sub(1, Ordering::Relaxed);
        let from = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&disk.files.bytes[index][from..from + buffer.len()]);
        Ok(buffer.len())
    }
}

/// Each file is a chunk of its own.
fn files() -> Files {
    let lens: Vec<u64> = (0..150).map(|index| 530_000 + index).collect();
    Files::new(&lens)
}

fn limits(threads: usize, readers: usize, level: Option<i32>) -> Options {
    Options { readers: readers.try_into().unwrap(), digest: false, ..options(threads, level) }
}

#[test]
fn readers_that_wait_become_as_many_as_they_may_and_bytes_stay_the_same() {
    let files = files();
    let image = Image::of_files(&files);
    let expected = image.naive(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let mut frames = Vec::new();
    for (threads, readers, most) in [(1, 1, 1), (2, 1, 2), (1, 2, 2), (2, 32, 32)] {
        let at_most = |disk: &SlowDisk<'_>, way: &str| {
            let seen = disk.most.load(Ordering::Relaxed);
            assert!(seen <= most, "{way}: {seen} reads at once, {threads} threads, {readers} readers");
            // Not all of them have to wait at the same moment.
            assert!(
                seen >= most / 2,
                "{way}: only {seen} reads at once, {threads} threads, {readers} readers"
            );
        };
        let disk = SlowDisk::new(&files);
        Writer::new(&image, &disk)
            .options(limits(threads, readers, None))
            .write(Target::File(&path))
            .unwrap();
        assert!(std::fs::read(&path).unwrap() == expected, "{readers} readers");
        at_most(&disk, "file");

        let (disk, mut stream) = (SlowDisk::new(&files), Vec::new());
        Writer::new(&image, &disk).options(limits(threads, readers, None)).write_to(&mut stream).unwrap();
        assert!(stream == expected, "{readers} readers");
        at_most(&disk, "stream");

        let (disk, mut frame) = (SlowDisk::new(&files), Vec::new());
        Writer::new(&image, &disk).options(limits(threads, readers, Some(1))).write_to(&mut frame).unwrap();
        frames.push(frame);

        let disk = SlowDisk::new(&files);
        let limits = limits(threads, readers, None);
        KnownZeros::find(&image, &disk, (limits.threads, limits.readers), &|_| {}).unwrap();
        at_most(&disk, "zeros");
    }
    assert!(frames.windows(2).all(|two| two[0] == two[1]), "the same frame");
    assert!(zstd::decode_all(&*frames[0]).unwrap() == expected);
}

#[test]
fn of_several_errors_of_many_readers_the_first_in_the_image_is_given() {
    let files = files();
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    for readers in [1, 2, 32] {
        let disk = SlowDisk { broken: 40, ..SlowDisk::new(&files) };
        let writer = || Writer::new(&image, &disk).options(limits(2, readers, None));
        let file = writer().write(Target::File(&out.path().join("image"))).unwrap_err();
        let stream = writer().write_to(&mut Vec::new()).unwrap_err();
        for error in [file, stream] {
            assert_eq!(error.to_string(), "file 40: is broken; mend it", "{readers} readers");
        }
        assert!(names(out.path()).is_empty());
    }
}
