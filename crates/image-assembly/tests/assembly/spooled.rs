//! Files in temporary files, in another order than in the image.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use file_scanner::ScannedFiles;
use image_assembly::{ErrorKind, Options, Target, Writer};
use image_tree::{Contents, ContentsError, FileBytes, FileReader, FileRef, Spool, SpoolPlace};

use crate::support::*;
use crate::unordered::Seen;

/// Some of the files in temporary files.
struct Spooling<'f> {
    scanned: ScannedFiles<'f>,
    spools: Vec<File>,
    /// By the position of the file: the position of the temporary file, and the offset in it.
    places: Vec<Option<(usize, u64)>>,
    is_last_use: bool,
}

impl<'f> Spooling<'f> {
    /// Two temporary files, with the files in any order and bytes of others between them. Some files are in none.
    fn new(files: &'f Files, chance: &mut Chance, is_last_use: bool) -> Self {
        let spools = vec![tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
        let mut ends = [0, 0];
        let mut places = vec![None; files.bytes.len()];
        for index in chance.shuffled(files.bytes.len() - 1) {
            if chance.below(8) == 0 {
                continue;
            }
            let spool = usize::from(chance.below(4) == 0);
            let gaps = [0, 0, 1, 700, 200 * KIB];
            ends[spool] += gaps[usize::try_from(chance.below(5)).unwrap()];
            spools[spool].write_all_at(&files.bytes[index], ends[spool]).unwrap();
            places[index] = Some((spool, ends[spool]));
            ends[spool] += u64::try_from(files.bytes[index].len()).unwrap();
        }
        Self { scanned: ScannedFiles::new(&files.tree), spools, places, is_last_use }
    }

    fn of(&self, file: FileRef) -> Option<(BorrowedFd<'_>, u64)> {
        let (spool, offset) = self.places[file.node.index() - 1]?;
        Some((self.spools[spool].as_fd(), offset))
    }

    fn lens(&self) -> Vec<u64> {
        self.spools.iter().map(|spool| spool.metadata().unwrap().len()).collect()
    }

    /// Whether a temporary file has bytes of the image.
    fn is_used(&self, spool: usize, image: &Image) -> bool {
        image.0.iter().any(|part| match *part {
            Part::File { index, .. } => self.places[index].is_some_and(|place| place.0 == spool),
            _ => false,
        })
    }

    fn write(&self, image: &Image, path: &Path, options: Options) -> Vec<u8> {
        let done = AtomicU64::new(0);
        let progress = |bytes| _ = done.fetch_add(bytes, Ordering::Relaxed);
        Writer::new(image, self).options(options).progress(&progress).write(Target::File(path)).unwrap();
        assert_eq!(done.into_inner(), image.0.iter().map(|part| part.len()).sum::<u64>());
        fs::read(path).unwrap()
    }
}

impl Contents for Spooling<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(Reader { contents: self, scanned: self.scanned.reader() })
    }

    fn spool(&self) -> Option<&dyn Spool> {
        Some(self)
    }
}

impl Spool for Spooling<'_> {
    fn place(&self, file: FileRef) -> Option<SpoolPlace<'_>> {
        self.of(file).map(|(fd, offset)| SpoolPlace { fd, offset })
    }

    fn is_last_use(&self) -> bool {
        self.is_last_use
    }
}

struct Reader<'r> {
    contents: &'r Spooling<'r>,
    scanned: Box<dyn FileReader + 'r>,
}

impl FileReader for Reader<'_> {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        match self.contents.of(file) {
            Some((fd, offset)) => Ok(FileBytes::Range { fd, offset }),
            None => self.scanned.open(file),
        }
    }
}

/// Numbers that only depend on a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % limit
    }

    fn shuffled(&mut self, len: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            numbers.swap(last, usize::try_from(self.below(u64::try_from(last + 1).unwrap())).unwrap());
        }
        numbers
    }
}

/// An image with the files in any order, some of them in two parts, some more than once, zeros and metadata between.
fn image(files: &Files, chance: &mut Chance) -> Image {
    let mut parts = vec![Part::Metadata(8 * KIB)];
    for index in chance.shuffled(files.bytes.len()) {
        let len = u64::try_from(files.bytes[index].len()).unwrap();
        let cut = if chance.below(3) == 0 { chance.below(len / 4096 + 1) * 4096 } else { 0 };
        let first = if chance.below(9) == 0 { 0 } else { cut };
        for (from, to) in [(0, cut), (first, len)] {
            if from < to {
                parts.push(Part::File { index, from, len: to - from });
                parts.push(Part::Zeros((to - from).next_multiple_of(4096) - (to - from) + 4096));
            }
            if chance.below(6) == 0 {
                parts.push(Part::Metadata((1 + chance.below(5)) * 4096));
            }
        }
    }
    Image(parts)
}

fn lens(chance: &mut Chance) -> Vec<u64> {
    let limits = [5, 5000, 5000, 30_000, 200_000, 3 * MIB];
    let len = |_| {
        let limit = limits[usize::try_from(chance.below(6)).unwrap()];
        1 + chance.below(limit)
    };
    (0..40).map(len).collect()
}

#[test]
fn the_image_is_the_same_in_any_order_and_temporary_files_end_empty() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for seed in 1..=6 {
        let mut chance = Chance(seed);
        let files = Files::new(&lens(&mut chance));
        let image = image(&files, &mut chance);
        let expected = image.naive(&files);
        for (threads, is_last_use) in [(1, false), (1, true), (2, true), (8, true)] {
            let contents = Spooling::new(&files, &mut chance, is_last_use);
            let before = contents.lens();
            // With a digest, the image is written in its own order.
            let hashed = contents.write(&image, &path, options(threads, None));
            assert!(hashed == expected, "seed {seed}, {threads} threads, in order");
            assert_eq!(contents.lens(), before);
            let written = contents.write(&image, &path, Options { digest: false, ..options(threads, None) });
            assert!(written == expected, "seed {seed}, {threads} threads");
            for (spool, (&before, after)) in before.iter().zip(contents.lens()).enumerate() {
                let is_emptied = is_last_use && contents.is_used(spool, &image);
                assert_eq!(after, if is_emptied { 0 } else { before }, "seed {seed}, spool {spool}");
            }
        }
    }
}

/// Its bytes are not read in the order of the temporary files then.
#[test]
fn an_unordered_observer_gets_every_byte() {
    let mut chance = Chance(1);
    let files = Files::new(&lens(&mut chance));
    let image = image(&files, &mut chance);
    let expected = image.naive(&files);
    let contents = Spooling::new(&files, &mut chance, false);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let seen = Seen::new(expected.len());
    let options = Options { digest: false, ..options(2, None) };
    Writer::new(&image, &contents).options(options).unordered(&seen).write(Target::File(&path)).unwrap();
    assert!(seen.all() == expected && fs::read(&path).unwrap() == expected);
}

#[test]
fn large_files_are_copied_in_parts_and_zeros_are_holes() {
    let part = noise(5, MIB);
    let mut large: Vec<u8> =
        (0..70_u8).flat_map(|number| part.iter().map(move |byte| byte ^ number)).collect();
    large[5_000_000..20_000_000].fill(0);
    large.truncate(70_000_001);
    let files = Files::of(&std::env::temp_dir(), vec![noise(1, 100), large, noise(2, 5000), noise(3, 9)]);
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for threads in THREADS {
        let mut chance = Chance(1);
        let mut contents = Spooling::new(&files, &mut chance, true);
        contents.places = vec![None, Some((0, 3)), Some((0, 80_000_000)), None];
        contents.spools[0].write_all_at(&files.bytes[1], 3).unwrap();
        contents.spools[0].write_all_at(&files.bytes[2], 80_000_000).unwrap();
        let written = contents.write(&image, &path, Options { digest: false, ..options(threads, None) });
        assert!(written == image.naive(&files), "{threads} threads");
        assert_eq!(contents.lens()[0], 0);
        let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&path).unwrap());
        assert!(blocks * 512 < 57_000_000, "{blocks} blocks");
    }
}

#[test]
fn a_temporary_file_that_is_too_short_is_an_error() {
    let files = Files::new(&[5000, 70_000, 9]);
    let image = Image::of_files(&files);
    let mut contents = Spooling::new(&files, &mut Chance(1), true);
    contents.places = vec![Some((0, 0)), Some((0, 5000)), None];
    contents.spools[0].set_len(60_000).unwrap();
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let options = Options { digest: false, ..options(2, None) };
    let error = Writer::new(&image, &contents).options(options).write(Target::File(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(names(out.path()).is_empty());
}
