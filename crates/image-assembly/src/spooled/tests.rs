use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use image_tree::{Contents, ContentsError, FileBytes, FileReader, SpoolPlace};

use super::List as Units;
use super::*;
use crate::testing::{List, *};

const MIB: u64 = 1 << 20;
/// Files from this length on are copied by the kernel here, in \[bytes\].
const LARGE: u64 = MIB;

/// Temporary files, and by the position of each file: the temporary file, and the offset in it.
struct Places(Vec<File>, Vec<Option<(usize, u64)>>);

impl Places {
    fn new(places: &[Option<(usize, u64)>]) -> Self {
        Self(vec![in_memory(&[]), in_memory(&[])], places.to_vec())
    }

    fn number(&self, fd: BorrowedFd<'_>) -> usize {
        self.0.iter().position(|file| file.as_raw_fd() == fd.as_raw_fd()).unwrap()
    }
}

impl Spool for Places {
    fn place(&self, of: FileRef) -> Option<SpoolPlace<'_>> {
        let place = self.1.get(of.node.index()).copied().flatten();
        place.map(|(number, offset)| SpoolPlace { fd: self.0[number].as_fd(), offset })
    }

    fn is_last_use(&self) -> bool {
        true
    }
}

#[test]
fn pieces_are_in_the_order_of_their_ends_in_the_temporary_files() {
    let places = Places::new(&[Some((0, 5000)), Some((0, 10)), None, Some((1, 0)), Some((0, 3000))]);
    let image = List(vec![
        (M, 100),
        (from_file(0, 7), 93),
        (Z, 4095),
        (from_file(1, 0), 200),
        (Z, 4096),
        (from_file(2, 0), 50),
        (Z, 40),
        (from_file(3, 0), 60),
        (U, 30),
        (Z, 20),
        (from_file(4, 0), 5),
        (M, 9),
        (from_file(0, 50), 50),
        (hole(0), 70),
        (from_file(1, 100), 100),
        (Z, 70_000),
    ]);
    let spooled = Spooled::of(&image, &places).unwrap().unwrap();
    let mut found: Vec<_> = spooled
        .entries
        .iter()
        .map(|entry| (places.number(entry.fd), entry.from, entry.at, entry.len, entry.padding))
        .collect();
    // The order of the temporary files does not matter.
    found.sort_by_key(|entry| entry.0);
    assert_eq!(
        found,
        [
            (0, 5050, 8798, 50, 70),
            (0, 5007, 100, 93, 4095),
            (0, 3000, 8784, 5, 0),
            (0, 110, 8918, 100, 0),
            (0, 10, 4288, 200, 0),
            (1, 0, 8674, 60, 30)
        ]
    );
    assert_eq!(spooled.len, 50 + 93 + 5 + 100 + 200 + 60);
    assert!(Spooled::of(&List(vec![(M, 5), (from_file(2, 0), 50)]), &places).unwrap().is_none());
}

#[test]
fn the_rest_of_the_image_has_zeros_in_their_places() {
    let places = Places::new(&[Some((0, 0)), Some((0, 500)), None]);
    let image = List(vec![
        (M, 8),
        (from_file(0, 0), 10),
        (Z, 20),
        (from_file(1, 0), 30),
        (U, 40),
        (hole(2), 50),
        (from_file(2, 0), 60),
        (Z, 70),
        (from_file(1, 5), 80),
        (M, 90),
    ]);
    let spooled = Spooled::of(&image, &places).unwrap().unwrap();
    let rest = spooled.rest(&image);
    crate::check_pieces(&rest).unwrap();
    let pieces: Vec<_> = rest.pieces().map(|piece| (piece.content, piece.len)).collect();
    assert_eq!(pieces, [(M, 8), (hole(0), 150), (from_file(2, 0), 60), (Z, 70), (hole(1), 80), (M, 90)]);
    let mut bytes = vec![0; 8];
    rest.generate(&rest.pieces().next().unwrap(), &mut bytes);
    assert_eq!(bytes, data(0, 8));
}

/// The entries of files of these places and lengths, which are in this order in the image.
fn entries<'s>(places: &'s Places, lens: &[u64]) -> Vec<Entry<'s>> {
    let pieces = lens.iter().enumerate().map(|(index, &len)| (from_file(index, 0), len)).collect();
    Spooled::of(&List(pieces), places).unwrap().unwrap().entries
}

fn list<'s>(entries: &'s [Entry<'s>]) -> Units<'s> {
    Units { entries, large: LARGE, state: Mutex::default() }
}

/// Where the units of files begin and end in their temporary file, in the order in which they are taken.
/// With the number of files of each.
fn units(places: &[(usize, u64)], lens: &[u64]) -> Vec<(usize, u64, u64)> {
    let mut done = 0;
    let places = Places::new(&places.iter().copied().map(Some).collect::<Vec<_>>());
    let entries = entries(&places, lens);
    let list = list(&entries);
    let units = std::iter::from_fn(|| list.take()).map(|unit| {
        let small: u64 = unit.entries.iter().map(|entry| entry.len).sum();
        assert_eq!(unit.is_large, unit.entries[0].len >= LARGE);
        assert!(unit.is_large || unit.len() == small);
        done += unit.len();
        let first = unit.entries.iter().map(|entry| entry.from).min().unwrap();
        (unit.entries.len(), first + unit.skipped, unit.end())
    });
    let found = units.collect();
    assert_eq!(done, lens.iter().sum());
    found
}

#[test]
fn small_files_near_each_other_are_one_unit() {
    const GAP: u64 = 64 << 10;
    // From the end to the start; what is between two files is at most `GAP` bytes.
    let two = |first: u64, len: u64, second: u64| units(&[(0, first), (0, second)], &[len, 100]);
    assert_eq!(two(0, 50, 50), [(2, 0, 150)]);
    assert_eq!(two(0, 50, 50 + GAP), [(2, 0, 150 + GAP)]);
    assert_eq!(two(0, 50, 51 + GAP), [(1, 51 + GAP, 151 + GAP), (1, 0, 50)]);
    // Together they have at most `CHUNK` bytes.
    assert_eq!(two(7, CHUNK - 100, CHUNK - 93), [(2, 7, CHUNK + 7)]);
    assert_eq!(two(7, CHUNK - 99, CHUNK - 92), [(1, CHUNK - 92, CHUNK + 8), (1, 7, CHUNK - 92)]);
    // Files of two temporary files are never together.
    assert_eq!(units(&[(0, 0), (1, 50)], &[50, 100]).len(), 2);
    // One file may be a part of the other.
    assert_eq!(two(0, 500, 100), [(2, 0, 500)]);
}

#[test]
fn a_large_file_is_taken_in_parts_from_its_end() {
    let len = 2 * KERNEL_COPY + 5;
    assert_eq!(
        units(&[(0, 1000)], &[len]),
        [
            (1, 1000 + 2 * KERNEL_COPY, 1000 + len),
            (1, 1000 + KERNEL_COPY, 1000 + 2 * KERNEL_COPY),
            (1, 1000, 1000 + KERNEL_COPY)
        ]
    );
    assert_eq!(
        units(&[(0, 0)], &[2 * KERNEL_COPY]),
        [(1, KERNEL_COPY, 2 * KERNEL_COPY), (1, 0, KERNEL_COPY)]
    );
    // Small files before and after it are no part of it.
    assert_eq!(
        units(&[(0, 0), (0, 10), (0, 10 + LARGE)], &[10, LARGE, 20]),
        [(1, 10 + LARGE, 30 + LARGE), (1, 10, 10 + LARGE), (1, 0, 10)]
    );
    let nearly = units(&[(0, 0), (0, 10)], &[10, LARGE - 20]);
    assert_eq!(nearly, [(2, 0, LARGE - 10)]);
}

#[test]
fn parts_of_a_large_file_have_their_place_in_the_image() {
    let places = Places::new(&[Some((0, 30))]);
    let entries = Spooled::of(&List(vec![(M, 7), (from_file(0, 0), KERNEL_COPY + 5)]), &places)
        .unwrap()
        .unwrap()
        .entries;
    let list = list(&entries);
    let units = [list.take().unwrap(), list.take().unwrap()];
    assert_eq!(units.map(|unit| (unit.offset(), unit.len())), [(7 + KERNEL_COPY, 5), (7, KERNEL_COPY)]);
    assert!(list.take().is_none());
}

#[test]
fn after_an_error_no_unit_is_taken() {
    let places = Places::new(&[Some((0, 0))]);
    let entries = entries(&places, &[10]);
    let list = list(&entries);
    list.state().failed.add(5, AssemblyError::Ended { path: String::new() });
    assert!(list.take().is_none());
}

/// A temporary file becomes shorter when what is after the new end is no longer needed: not by units that are under way, and not by
/// those that come.
#[test]
fn a_temporary_file_becomes_shorter_when_its_end_is_not_needed() {
    let places = Places::new(&[Some((0, 0)), Some((0, 20 * MIB)), Some((0, 40 * MIB)), Some((0, 60 * MIB))]);
    let entries = entries(&places, &[20 * MIB; 4]);
    let list = list(&entries);
    let [fourth, third] = [(); 2].map(|()| list.take().unwrap());
    assert_eq!(list.end(&third), Some(80 * MIB), "the fourth is under way");
    assert_eq!(list.end(&fourth), Some(40 * MIB), "the second is to come");
    let second = list.take().unwrap();
    let first = list.take().unwrap();
    assert_eq!(list.end(&second), Some(20 * MIB));
    assert_eq!(list.end(&first), Some(0));
}

#[test]
fn a_temporary_file_becomes_shorter_by_much_or_not_at_all() {
    let much = 16 * MIB;
    for (len, second) in [(much, Some(much)), (much - 1, None)] {
        let places = Places::new(&[Some((0, 0)), Some((0, much)), Some((0, much + len))]);
        let entries = entries(&places, &[much, len, 2 * MIB]);
        let list = list(&entries);
        let ends: Vec<_> = std::iter::from_fn(|| list.take().map(|unit| list.end(&unit))).collect();
        assert_eq!(ends, [Some(much + len), second, Some(0)], "{len}");
    }
}

#[test]
fn the_rest_of_a_large_file_is_needed() {
    let places = Places::new(&[Some((0, 10 * MIB))]);
    let entries = entries(&places, &[2 * KERNEL_COPY + MIB]);
    let list = list(&entries);
    let ends: Vec<_> = std::iter::from_fn(|| list.take().map(|unit| list.end(&unit))).collect();
    assert_eq!(ends, [10 * MIB + 2 * KERNEL_COPY, 10 * MIB + KERNEL_COPY, 0].map(Some));
}

#[test]
fn two_temporary_files_become_shorter_by_themselves() {
    let places = Places::new(&[Some((0, 0)), Some((0, 40 * MIB)), Some((1, 0)), Some((1, 40 * MIB))]);
    let entries = entries(&places, &[20 * MIB; 4]);
    let list = list(&entries);
    let units: Vec<_> = std::iter::from_fn(|| list.take()).collect();
    // Each file has two units. Of one, the first is done; of the other, the second.
    assert_eq!(list.end(&units[0]), Some(20 * MIB));
    assert_eq!(list.end(&units[3]), Some(60 * MIB));
    assert_eq!(list.end(&units[1]), Some(0));
    assert_eq!(list.end(&units[2]), Some(0));
}

#[test]
fn any_number_of_files_that_follow_each_other_are_written() {
    let disk = tempfile::NamedTempFile::new().unwrap();
    let output = Positioned::new(disk.as_file(), disk.path(), true);
    let fd = disk.as_file().as_fd();
    let bytes = data(1, 3000);
    let mut expected = Vec::new();
    let mut joined = Joined { at: 0, end: 0, parts: Vec::new(), output: &output };
    // A gap in the middle. The first file has no zeros after it.
    for number in 0..1300_usize {
        let (len, padding) = (1 + number % 2, u16::from(number > 0));
        expected.resize(expected.len() + if number == 650 { 5000 } else { 0 }, 0);
        let at = to_u64(expected.len());
        let entry = Entry { fd, from: 0, at, len: to_u64(len), padding, file: file(0) };
        joined.add(&bytes[number..number + len], &entry).unwrap();
        expected.extend_from_slice(&bytes[number..number + len]);
        expected.resize(expected.len() + usize::from(padding), 0);
    }
    joined.write().unwrap();
    assert!(std::fs::read(disk.path()).unwrap() == expected);
}

#[test]
fn files_are_written_together_if_nothing_is_between_them() {
    let disk = tempfile::NamedTempFile::new().unwrap();
    let output = Positioned::new(disk.as_file(), disk.path(), true);
    let fd = disk.as_file().as_fd();
    let mut joined = Joined { at: 0, end: 0, parts: Vec::new(), output: &output };
    // Each has its bytes and the zeros after them.
    for (at, padding, parts) in [(100, 20, 2), (130, 0, 4), (140, 0, 6), (151, 3, 2), (164, 1, 4), (0, 7, 2)]
    {
        let entry = Entry { fd, from: 0, at, len: 10, padding, file: file(0) };
        joined.add(&[7; 10], &entry).unwrap();
        assert_eq!(joined.parts.len(), parts, "{at}");
    }
}

/// Files that are all in the first temporary file.
struct InSpool {
    files: Files,
    places: Places,
}

impl Contents for InSpool {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(self)
    }

    fn spool(&self) -> Option<&dyn Spool> {
        Some(&self.places)
    }
}

impl FileReader for &InSpool {
    fn open(&mut self, of: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let SpoolPlace { fd, offset } = self.places.place(of).unwrap();
        Ok(FileBytes::Range { fd, offset })
    }
}

const LENS: [u64; 6] = [100, 5000, KERNEL_COPY + MIB, 70_000, 2 * MIB, 9];

impl InSpool {
    /// Files of [`LENS`], in another order than in the image, with gaps.
    fn new() -> Self {
        let files = Files(LENS.iter().zip(0..).map(|(&len, seed)| data(seed, len)).collect());
        let (mut at, mut places) = (7, vec![None; LENS.len()]);
        for (index, gap) in [(3, 0), (0, 5), (5, 0), (2, 1000), (1, 0), (4, 0)] {
            at += gap;
            places[index] = Some((0, at));
            at += LENS[index];
        }
        let places = Places::new(&places);
        for (bytes, place) in files.0.iter().zip(&places.1) {
            std::os::unix::fs::FileExt::write_all_at(&places.0[0], bytes, place.unwrap().1).unwrap();
        }
        Self { files, places }
    }
}

/// An image of these files, one of them in two parts.
fn image_of_files() -> List {
    let pieces = LENS.iter().enumerate().flat_map(|(index, &len)| {
        let cut = if index == 3 { 4096 } else { 0 };
        let (first, second) = (from_file(index, 0), from_file(index, cut));
        let parts = [(first, cut), (Z, cut), (second, len - cut), (Z, 4096 - len % 4096)];
        parts.into_iter().filter(|part| part.1 > 0)
    });
    List(pieces.collect())
}

#[test]
fn files_come_from_the_temporary_file_to_their_places() {
    let (contents, image) = (InSpool::new(), image_of_files());
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(image.len()).unwrap();
    let output = Positioned::new(disk.as_file(), disk.path(), true);
    let done = AtomicU64::new(0);
    let progress = |bytes| _ = done.fetch_add(bytes, Ordering::Relaxed);
    let options = crate::Options::default();
    let job =
        Job { image: &image, contents: &contents, options: &options, progress: &progress, unordered: None };
    let spooled = Spooled::of(&image, &contents.places).unwrap().unwrap();
    spooled.write(&job, &output).unwrap();
    assert!(std::fs::read(disk.path()).unwrap() == image.naive(&contents.files));
    assert_eq!((done.into_inner(), spooled.len), (LENS.iter().sum(), LENS.iter().sum()));
    assert_eq!(contents.places.0[0].metadata().unwrap().len(), 0);
}

#[test]
fn the_rest_of_an_image_is_written_before_them() {
    let contents = InSpool::new();
    let image = List([vec![(M, 3 * 4096)], image_of_files().0, vec![(M, 5)]].concat());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let done = AtomicU64::new(0);
    let progress = |bytes| _ = done.fetch_add(bytes, Ordering::Relaxed);
    let writer = crate::Writer::new(&image, &contents).progress(&progress);
    writer.write(crate::Target::File(&path)).unwrap();
    assert!(std::fs::read(&path).unwrap() == image.naive(&contents.files));
    assert_eq!(done.into_inner(), image.len());
    assert_eq!(contents.places.0[0].metadata().unwrap().len(), 0);
}
