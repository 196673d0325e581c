use tempfile::NamedTempFile;

use super::*;
use crate::testing::*;

const BLOCK: u64 = 4096;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The base of these tests: two files, the second in two parts, and zeros of every kind.
fn image() -> List {
    List(vec![
        (M, BLOCK),
        (from_file(0, 0), 5000),
        (Z, 3192),
        (from_file(1, 100), 1000),
        (U, 2 * BLOCK),
        (hole(1), BLOCK),
        (M, BLOCK),
        (from_file(1, 2000), 3 * MIB),
        (Z, 8 * BLOCK),
    ])
}

/// Its files, the first with a run of zeros in it.
fn files() -> Files {
    let mut files = Files(vec![data(7, 5000), data(1, 4 * MIB), data(50, 9000)]);
    files.0[1][2000 + 600_000..2000 + 900_000].fill(0);
    files
}

/// Opens the image in a file on a disk that has the zeros as holes.
fn open(image: &List, files: &Files) -> (NamedTempFile, Base) {
    let disk = NamedTempFile::new().unwrap();
    Positioned::new(disk.as_file(), disk.path(), true).put_bytes(&image.naive(files), 0).unwrap();
    disk.as_file().set_len(image.len()).unwrap();
    let base = Base::open(disk.path(), image).unwrap();
    (disk, base)
}

fn variant<'v>(image: &'v List, files: &'v Files) -> Variant<'v> {
    Variant { image, contents: files, same: &Some }
}

#[test]
fn what_differs_are_whole_blocks_of_the_image() {
    const LEN: usize = 10_000;
    for (offset, different, ranges) in [
        (0, &[][..], &[][..]),
        (0, &[0], &[(0, 4096)]),
        (0, &[4095, 4096], &[(0, 8192)]),
        (0, &[1, 8192], &[(0, 4096), (8192, LEN)]),
        (0, &[LEN - 1], &[(8192, LEN)]),
        (8292, &[0], &[(0, 3996)]),
        (8292, &[3995], &[(0, 3996)]),
        (8292, &[3996], &[(3996, 8092)]),
        (8292, &[8091, LEN - 1], &[(3996, LEN)]),
    ] {
        let old = data(0, 10_000);
        let mut new = old.clone();
        for &at in different {
            new[at] = 0;
        }
        assert_eq!(changes(&new, &old, offset), ranges, "{different:?} from {offset}");
    }
}

#[test]
fn bytes_of_a_file_are_found_where_all_of_them_are_together() {
    let (_disk, base) = open(&image(), &files());
    let second = BLOCK + 5000 + 3192;
    for (index, from, len, place) in [
        (0, 0, 5000, Some(BLOCK)),
        (0, 1, 4999, Some(BLOCK + 1)),
        (0, 4999, 1, Some(BLOCK + 4999)),
        (0, 0, 5001, None),
        (0, 5000, 1, None),
        (1, 99, 1, None),
        (1, 100, 1000, Some(second)),
        (1, 600, 100, Some(second + 500)),
        (1, 600, 501, None),
        (1, 1100, 1, None),
        (1, 2000, 5, Some(second + 1000 + 4 * BLOCK)),
        (2, 0, 1, None),
    ] {
        assert_eq!(base.place(file(index), from, len), place, "{len} bytes of file {index} from {from}");
    }
    // Nothing is before the first file.
    let only_second = List(vec![(from_file(1, 0), 100)]);
    let (_disk, base) = open(&only_second, &files());
    assert_eq!(base.place(file(0), 0, 1), None);
}

#[test]
fn the_layout_knows_zeros_and_has_them_after_its_end() {
    let (_disk, base) = open(&image(), &files());
    let first = BLOCK + 5000;
    let second = first + 3192 + 1000;
    let last = base.len - 8 * BLOCK;
    for (at, zeros_end, data_end) in [
        (0, 0, first),
        (first - 1, first - 1, first),
        (first, first + 3192, first),
        (first + 1, first + 3192, first + 1),
        (first + 3191, first + 3192, first + 3191),
        (first + 3192, first + 3192, second),
        // Unused bytes, then zeros of a file.
        (second, second + 3 * BLOCK, second),
        (second + 2 * BLOCK, second + 3 * BLOCK, second + 2 * BLOCK),
        (second + 3 * BLOCK, second + 3 * BLOCK, last),
        (last, u64::MAX, last),
        (last + 5, u64::MAX, last + 5),
    ] {
        assert_eq!((base.zeros_end(at), base.data_end(at)), (zeros_end, data_end), "{at}");
    }
    assert_eq!(base.zeros_end(base.len + 7), u64::MAX);
    let (_disk, base) = open(&List(vec![(Z, BLOCK), (M, 2 * BLOCK)]), &files());
    assert_eq!((base.data_end(BLOCK), base.zeros_end(3 * BLOCK)), (3 * BLOCK, u64::MAX));
}

#[test]
fn bytes_that_are_together_in_the_base_are_one_run() {
    let files = files();
    let (_disk, base) = open(&image(), &files);
    let first = BLOCK + 5000;
    let meta = |offset, len| Run::Piece(Piece { offset, len, content: M });
    let shared = |offset, from, len| Run::Base { offset, from, len };
    let zeros = |offset, len| Run::Zeros { offset, len };
    for (parts, runs) in [
        // With the zeros after it, as many as the base has there.
        (vec![(from_file(0, 0), 5000), (Z, 3192)], vec![shared(0, BLOCK, 8192)]),
        (vec![(from_file(0, 0), 5000), (U, 3191)], vec![shared(0, BLOCK, 8191)]),
        (vec![(from_file(0, 0), 5000), (Z, 3193)], vec![shared(0, BLOCK, 5000), zeros(5000, 3193)]),
        (
            vec![(M, 8), (from_file(0, 0), 5000), (hole(2), 192), (Z, 3000), (Z, 1)],
            vec![meta(0, 8), shared(8, BLOCK, 8192), zeros(8200, 1)],
        ),
        // Files that follow each other there too.
        (
            vec![(from_file(0, 1000), 4000), (Z, 3192), (from_file(1, 100), 1000)],
            vec![shared(0, BLOCK + 1000, 8192)],
        ),
        // The base has the second part of the file elsewhere.
        (
            vec![(from_file(0, 0), 100), (from_file(0, 101), 10)],
            vec![shared(0, BLOCK, 100), shared(100, BLOCK + 101, 10)],
        ),
        (
            vec![(from_file(1, 100), 1000), (from_file(0, 0), 5000)],
            vec![shared(0, first + 3192, 1000), shared(1000, BLOCK, 5000)],
        ),
        // Zeros without data of the base before them.
        (vec![(Z, 4), (U, 5), (hole(0), 6), (M, 7), (Z, 8)], vec![zeros(0, 15), meta(15, 7), zeros(22, 8)]),
        // Not in the base.
        (
            vec![(from_file(2, 0), 9000)],
            vec![Run::Piece(Piece { offset: 0, len: 9000, content: from_file(2, 0) })],
        ),
    ] {
        let list = List(parts);
        assert_eq!(base.runs(variant(&list, &files)).unwrap(), runs, "{list:?}");
    }
}

#[test]
fn a_file_is_looked_for_under_the_number_that_the_base_has_for_it() {
    let files = files();
    let (_disk, base) = open(&image(), &files);
    let list = List(vec![(from_file(0, 0), 5000), (from_file(2, 100), 1000)]);
    let read = |offset, len, content| Run::Piece(Piece { offset, len, content });
    let of_base = Run::Base { offset: 5000, from: BLOCK + 8192, len: 1000 };
    for (same, second) in [(None, read(5000, 1000, from_file(2, 100))), (Some(file(1)), of_base)] {
        let same = |of: FileRef| same.filter(|_| of == file(2));
        let variant = Variant { image: &list, contents: &files, same: &same };
        assert_eq!(base.runs(variant).unwrap(), [read(0, 5000, from_file(0, 0)), second]);
    }
}

/// Images that differ from the base in what stays where.
fn variants() -> Vec<List> {
    let image = image().0;
    let mut moved = image.clone();
    moved.rotate_left(4);
    vec![
        List(image.clone()),
        List(image[..4].to_vec()),
        List([vec![(Z, 64 * KIB)], image.clone()].concat()),
        List([image.clone(), vec![(M, 2 * MIB), (Z, BLOCK)]].concat()),
        List(moved),
        List(vec![(M, 20 * KIB), (from_file(1, 1000), 3 * MIB + 5), (Z, 100), (M, 3000)]),
        List(vec![(Z, 5 * MIB)]),
        List(vec![
            (from_file(2, 0), 9000),
            (Z, 1),
            (from_file(1, 2000), 2 * MIB),
            (Z, 7),
            (from_file(1, 3 * MIB), 9),
        ]),
        List(vec![(Z, BLOCK), (from_file(0, 0), 5000), (Z, 4 * MIB)]),
        // Zeros where the first file was, and everything else where it was.
        List([&image[..1], &[(Z, 5000)], &image[2..]].concat()),
    ]
}

/// Writes the runs of a variant to a file that begins empty, or with the bytes of the base.
fn write(base: &Base, image: &List, files: &Files, is_cloned: bool) -> NamedTempFile {
    let disk = NamedTempFile::new().unwrap();
    let output = Positioned::new(disk.as_file(), disk.path(), true);
    if is_cloned {
        output.put_bytes(&std::fs::read(&base.path).unwrap(), 0).unwrap();
    }
    disk.as_file().set_len(image.len()).unwrap();
    let mut work = Work {
        base,
        output,
        is_cloned,
        filler: Filler::new(image, files),
        buffer: Vec::new(),
        old: Vec::new(),
    };
    base.runs(variant(image, files)).unwrap().into_iter().for_each(|run| work.put(run).unwrap());
    drop(work);
    disk
}

#[test]
fn a_variant_has_its_bytes_whether_it_begins_empty_or_with_the_base() {
    let files = files();
    let (_disk, base) = open(&image(), &files);
    for (number, image) in variants().into_iter().enumerate() {
        for is_cloned in [false, true] {
            let disk = write(&base, &image, &files, is_cloned);
            assert!(std::fs::read(disk.path()).unwrap() == image.naive(&files), "{number}, {is_cloned}");
        }
    }
}

/// From a file in memory to one on a disk, the kernel copies nothing.
#[test]
fn what_the_kernel_does_not_copy_is_read_and_written() {
    let files = files();
    let (_disk, on_disk) = open(&image(), &files);
    let base = Base { file: in_memory(&image().naive(&files)), ..on_disk };
    for (number, image) in variants().into_iter().enumerate() {
        for is_cloned in [false, true] {
            let disk = write(&base, &image, &files, is_cloned);
            assert!(std::fs::read(disk.path()).unwrap() == image.naive(&files), "{number}, {is_cloned}");
        }
    }
}

#[test]
fn holes_of_the_base_stay_holes_and_zeros_instead_of_data_become_some() {
    use std::os::unix::fs::MetadataExt;
    let files = Files(vec![[data(0, MIB), vec![0; 8 << 20], data(9, MIB)].concat()]);
    let (_disk, base) = open(&List(vec![(from_file(0, 0), 10 * MIB)]), &files);
    for (image, is_cloned) in [
        (vec![(M, BLOCK), (from_file(0, 0), 10 * MIB)], false),
        (vec![(from_file(0, 0), 10 * MIB)], false),
        (vec![(Z, MIB), (from_file(0, MIB), 9 * MIB)], true),
    ] {
        let image = List(image);
        let disk = write(&base, &image, &files, is_cloned);
        assert!(std::fs::read(disk.path()).unwrap() == image.naive(&files));
        let stored = disk.as_file().metadata().unwrap().blocks() * 512;
        let expected = if is_cloned { MIB } else { 2 * MIB };
        assert!((expected..expected + 128 * KIB).contains(&stored), "{stored} bytes, {is_cloned}");
    }
}

#[test]
fn only_blocks_that_differ_are_written_to_a_clone() {
    // The file can be read only, so that a write fails.
    let files = files();
    let (_disk, base) = open(&image(), &files);
    let copy = NamedTempFile::new().unwrap();
    std::fs::copy(&base.path, copy.path()).unwrap();
    let read_only = File::open(copy.path()).unwrap();
    let image = image();
    let mut work = Work {
        base: &base,
        output: Positioned::new(&read_only, copy.path(), true),
        is_cloned: true,
        filler: Filler::new(&image, &files),
        buffer: Vec::new(),
        old: Vec::new(),
    };
    for run in base.runs(variant(&image, &files)).unwrap() {
        work.put(run).unwrap();
    }
    let other = Piece { offset: BLOCK, len: BLOCK, content: from_file(2, 0) };
    assert!(matches!(work.put(Run::Piece(other)), Err(AssemblyError::Output { .. })));
    // An output that is not a clone is zero already.
    work.is_cloned = false;
    work.put(Run::Zeros { offset: 0, len: BLOCK }).unwrap();
}

#[test]
fn bytes_of_the_base_go_to_every_place_that_shares_them() {
    let folder = tempfile::tempdir().unwrap();
    let pending = Pending::create(folder.path(), "variant".as_ref(), Unnamed::Try).unwrap();
    let shared = |from, offset, len| Shared { from, offset, len };
    let begun = Begun {
        pending,
        path: folder.path().join("variant"),
        derived: Derived { bytes: 200, is_cloned: false },
        // The second ends after the third.
        rest: vec![shared(10, 0, 10), shared(15, 100, 50), shared(20, 50, 10), shared(70, 170, 10)],
    };
    let bytes = data(0, 100);
    let mut first = 0;
    // Runs that begin before a part, end after it, or are not in it at all.
    for (from, to, expected_first) in [(0, 5, 0), (5, 18, 0), (18, 40, 0), (40, 65, 1), (65, 100, 3)] {
        begun.put(&bytes[from..to], to_u64(from), &mut first).unwrap();
        assert_eq!(first, expected_first, "{from}");
    }
    let mut written = vec![0; 180];
    begun.pending.file().read_exact_at(&mut written, 0).unwrap();
    let mut expected = vec![0; 180];
    expected[..10].copy_from_slice(&bytes[10..20]);
    expected[50..60].copy_from_slice(&bytes[20..30]);
    expected[100..150].copy_from_slice(&bytes[15..65]);
    expected[170..].copy_from_slice(&bytes[70..80]);
    assert_eq!(written, expected);
}

#[test]
fn data_of_the_base_is_between_its_holes() {
    let files = Files::default();
    let (_disk, base) = open(&List(vec![(Z, 64 * KIB), (M, 64 * KIB), (Z, 64 * KIB)]), &files);
    let kib = |range: Range<u64>| range.start / KIB..range.end / KIB;
    for (at, end, data) in [
        (0, 192, 64..128),
        (0, 100, 64..100),
        (80, 192, 80..128),
        (80, 81, 80..81),
        (0, 64, 64..64),
        (0, 32, 32..32),
        (128, 192, 192..192),
    ] {
        assert_eq!(kib(base.next_data(at * KIB, end * KIB)), data, "{at} to {end}");
    }
}

#[test]
fn an_error_of_the_base_is_the_same_for_every_variant() {
    for error in [io::Error::from_raw_os_error(5), io::ErrorKind::UnexpectedEof.into()] {
        let same = again(&error);
        assert_eq!((same.raw_os_error(), same.kind()), (error.raw_os_error(), error.kind()));
    }
}

/// The processor reads it once for several variants.
#[test]
fn only_what_is_shared_with_a_base_in_memory_is_left_for_later() {
    let files = files();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("variant");
    for is_in_memory in [false, true] {
        let base = Base { is_in_memory, file: in_memory(&image().naive(&files)), ..open(&image(), &files).1 };
        assert_eq!(base.is_in_memory(), is_in_memory);
        let image = List(vec![(M, BLOCK), (from_file(0, 0), 5000)]);
        let begun = base.begin(variant(&image, &files), &path).unwrap();
        assert_eq!(begun.rest.len(), usize::from(is_in_memory));
        let [begun] = base.complete(vec![begun]).try_into().unwrap();
        begun.unwrap().publish(false, &|_| Ok(())).unwrap();
        assert!(std::fs::read(&path).unwrap() == image.naive(&files));
    }
}

#[test]
fn the_base_is_read_up_to_its_end() {
    let files = files();
    let image = List(vec![(M, 30 * BLOCK), (from_file(0, 0), 5000)]);
    let base = Base { is_in_memory: true, file: in_memory(&image.naive(&files)), ..open(&image, &files).1 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("variant");
    let image = List(vec![(from_file(0, 0), 5000)]);
    let begun = base.begin(variant(&image, &files), &path).unwrap();
    let [begun] = base.complete(vec![begun]).try_into().unwrap();
    begun.unwrap().publish(false, &|_| Ok(())).unwrap();
    assert!(std::fs::read(&path).unwrap() == image.naive(&files));
}
