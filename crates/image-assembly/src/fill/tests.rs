use std::fs::File;

use super::*;
use crate::testing::*;

const USUAL: usize = 1 << 20;

#[test]
fn a_buffer_is_kept_unless_it_is_too_short_or_much_too_long() {
    // Its length before, the length that is needed, its length afterwards.
    for (before, needed, after) in [
        (0, 1, USUAL),
        (0, USUAL + 1, USUAL + 1),
        (USUAL, 0, USUAL),
        (USUAL, USUAL, USUAL),
        (USUAL, USUAL + 1, USUAL + 1),
        (USUAL + 9, USUAL + 9, USUAL + 9),
        (USUAL + 9, USUAL + 1, USUAL + 9),
        (USUAL + 9, USUAL + 10, USUAL + 10),
        (USUAL + 9, USUAL, USUAL),
    ] {
        let mut buffer = vec![7; before];
        assert_eq!(room(&mut buffer, needed).len(), needed);
        assert_eq!(buffer.len(), after, "{before}, {needed}");
        let is_kept = after <= before;
        assert!(buffer[0] == if is_kept { 7 } else { 0 }, "{before}, {needed}");
    }
    let mut long = vec![7; 100 * USUAL];
    room(&mut long, 1);
    assert!(long.capacity() < 2 * USUAL);
}

/// Returns at most three bytes at a time, or a count that is wrong, after it was interrupted.
struct Chopped<'b> {
    bytes: &'b [u8],
    claims: usize,
    fails: bool,
    calls: u32,
}

impl ReadAt for Chopped<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.calls += 1;
        if self.calls % 2 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.fails {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let from = to_usize(offset).min(self.bytes.len());
        let now = buffer.len().min(3).min(self.bytes.len() - from);
        buffer[..now].copy_from_slice(&self.bytes[from..from + now]);
        Ok(now + self.claims)
    }
}

#[test]
fn a_reader_is_asked_until_the_buffer_is_full() {
    let bytes = data(0, 100);
    let reader = |claims, fails| Chopped { bytes: &bytes, claims, fails, calls: 0 };
    for (from, len) in [(0, 0), (0, 100), (5, 20), (99, 1)] {
        let mut buffer = vec![0; len];
        assert!(read_all(&mut reader(0, false), to_u64(from), &mut buffer).is_ok());
        assert_eq!(buffer, bytes[from..from + len]);
    }
    let mut buffer = [0; 20];
    assert!(matches!(read_all(&mut reader(0, false), 81, &mut buffer), Err(Missing::Ended)));
    assert!(matches!(read_all(&mut reader(18, false), 0, &mut buffer), Err(Missing::Overrun)));
    let failed = read_all(&mut reader(0, true), 0, &mut buffer);
    assert!(matches!(failed, Err(Missing::Failed(error)) if error.kind() == io::ErrorKind::TimedOut));
}

#[test]
fn a_file_is_read_from_an_offset() {
    let file = in_memory(&data(0, 100));
    let mut buffer = [0; 20];
    assert!(read_at(file.as_fd(), 7, &mut buffer).is_ok());
    assert_eq!(buffer[..], data(7, 20));
    assert!(matches!(read_at(file.as_fd(), 81, &mut buffer), Err(Missing::Ended)));
    let null = File::options().write(true).open("/dev/null").unwrap();
    assert!(matches!(read_at(null.as_fd(), 0, &mut buffer), Err(Missing::Failed(_))));
}

#[test]
fn a_part_of_a_file_in_memory_is_within_it() {
    let files = Files(vec![data(0, 100)]);
    let get = |from, len| part(&files, file(0), &files.0[0], from, len);
    assert_eq!(get(10, 90).unwrap(), &files.0[0][10..]);
    for (from, len) in [(10, 91), (101, 0), (u64::MAX, 1)] {
        assert!(matches!(get(from, len), Err(AssemblyError::Ended { .. })), "{len} from {from}");
    }
}

/// Writes a part of a file behind some bytes of an output.
fn copied(copy: impl FnOnce(Placed, &Positioned<'_>, &mut Vec<u8>)) -> Vec<u8> {
    let disk = tempfile::NamedTempFile::new().unwrap();
    let output = Positioned::new(disk.as_file(), disk.path(), true);
    let placed = Placed { from: 5, offset: 9, len: 2 * CHUNK + CHUNK / 2 };
    copy(placed, &output, &mut Vec::new());
    std::fs::read(disk.path()).unwrap()
}

struct Whole<'b>(&'b [u8]);
impl ReadAt for Whole<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        buffer.copy_from_slice(&self.0[to_usize(offset)..][..buffer.len()]);
        Ok(buffer.len())
    }
}

#[test]
fn a_large_part_is_copied_in_memory_if_the_kernel_does_not() {
    let bytes = data(0, 3 * CHUNK);
    let expected = [&[0; 9][..], &bytes[5..][..to_usize(2 * CHUNK + CHUNK / 2)]].concat();
    let unexpected = |_: Missing| AssemblyError::Ended { path: String::new() };
    let of_file = copied(|placed, output, buffer| {
        copy_part(in_memory(&bytes).as_fd(), placed, output, buffer, &unexpected).unwrap();
    });
    assert!(of_file == expected);
    let of_reader = copied(|placed, output, buffer| {
        copy_by_reading(&mut Whole(&bytes), placed, output, buffer, &unexpected).unwrap();
    });
    assert!(of_reader == expected);
}

/// Notes what is opened: open files, except for a reader and an error at given positions.
#[derive(Default)]
struct Opens {
    opened: Vec<usize>,
    reader: Option<usize>,
    error: Option<usize>,
    memory: Option<usize>,
}

impl FileReader for Opens {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let index = file.node.index();
        self.opened.push(index);
        if self.error == Some(index) {
            return Err(ContentsError::no_such_file(file));
        }
        if self.reader == Some(index) {
            return Ok(FileBytes::Reader(Box::new(io_reader())));
        }
        if self.memory == Some(index) {
            return Ok(FileBytes::Memory(&[]));
        }
        Ok(FileBytes::Fd(File::open("/dev/null").unwrap().into()))
    }
}

fn io_reader() -> image_tree::Forward<&'static [u8]> {
    image_tree::Forward::new(&[][..])
}

fn pieces(count: usize) -> Vec<Piece> {
    // Between two files are zeros.
    let contents = (0..count).flat_map(|index| [from_file(index, 0), Z]);
    contents.map(|content| Piece { offset: 0, len: 1, content }).collect()
}

#[test]
fn some_files_are_opened_before_their_turn_and_none_twice() {
    let (mut ahead, mut reader, pieces) = (Ahead::default(), Opens::default(), pieces(20));
    ahead.ask(&mut reader, &pieces, 0);
    assert_eq!(reader.opened, (0..FILES_AHEAD).collect::<Vec<_>>());
    ahead.ask(&mut reader, &pieces, 0);
    assert_eq!(reader.opened.len(), FILES_AHEAD);
    assert!(matches!(ahead.take(file(0), &mut reader), Ok(FileBytes::Fd(_))));
    assert_eq!(reader.opened.len(), FILES_AHEAD);
    ahead.ask(&mut reader, &pieces, 1);
    assert_eq!(reader.opened[FILES_AHEAD..], [FILES_AHEAD]);
    // Another file than the one that comes next is opened at its turn.
    ahead.take(file(19), &mut reader).unwrap();
    assert_eq!(reader.opened.last(), Some(&19));
    assert_eq!(ahead.open.len(), FILES_AHEAD);
    (1..=FILES_AHEAD).for_each(|index| assert!(ahead.take(file(index), &mut reader).is_ok()));
    assert_eq!(reader.opened.len(), FILES_AHEAD + 2);
    ahead.ask(&mut reader, &pieces, 0);
    assert_eq!(reader.opened[FILES_AHEAD + 2..], [17, 18, 19]);
}

#[test]
fn a_new_chunk_forgets_files_that_are_open() {
    let (mut ahead, mut reader, pieces) = (Ahead::default(), Opens::default(), pieces(3));
    ahead.ask(&mut reader, &pieces, 2);
    assert_eq!(reader.opened, [1, 2], "those before have had their turn");
    ahead.begin();
    assert!(ahead.open.is_empty());
    ahead.ask(&mut reader, &pieces, 0);
    assert_eq!(reader.opened[2..], [0, 1, 2]);
}

#[test]
fn only_files_of_this_machine_are_opened_before_their_turn() {
    let (mut ahead, pieces) = (Ahead::default(), pieces(5));
    let mut reader = Opens { memory: Some(0), reader: Some(2), ..Opens::default() };
    ahead.ask(&mut reader, &pieces, 0);
    ahead.ask(&mut reader, &pieces, 0);
    assert_eq!((&*reader.opened, ahead.open.len()), (&[0, 1, 2][..], 1));
    // The error comes at the turn of the file.
    let mut ahead = Ahead::default();
    let mut reader = Opens { error: Some(1), ..Opens::default() };
    ahead.ask(&mut reader, &pieces, 0);
    assert_eq!((&*reader.opened, ahead.open.len()), (&[0, 1][..], 1));
    assert!(ahead.take(file(1), &mut reader).is_err());
}

#[test]
fn errors_of_a_file_name_it() {
    let files = Files::default();
    let text = |why| missing(&files, file(3), why).to_string();
    assert!(text(Missing::Ended).starts_with("file 3 of tree 0: became shorter"));
    assert!(text(Missing::Overrun).starts_with("file 3 of tree 0: its reader says"));
    let failed = text(Missing::Failed(io::ErrorKind::TimedOut.into()));
    assert!(failed.starts_with("file 3 of tree 0: can't be read: "), "{failed}");
}

/// Files of this machine: a descriptor each, or a part of one that has all of them.
struct OnDisk {
    files: Files,
    all: File,
    is_range: bool,
}

impl OnDisk {
    fn new(files: &Files, is_range: bool) -> Self {
        Self { files: files.clone(), all: in_memory(&files.0.concat()), is_range }
    }
}

impl Contents for OnDisk {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(self)
    }
}

impl FileReader for &OnDisk {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let OnDisk { files, all, is_range } = self;
        let index = file.node.index();
        let offset = files.0[..index].iter().map(|bytes| to_u64(bytes.len())).sum();
        Ok(if *is_range {
            FileBytes::Range { fd: all.as_fd(), offset }
        } else {
            FileBytes::Fd(in_memory(&files.0[index]).into())
        })
    }
}

/// A large file with zeros in it, and others.
fn some_files() -> Files {
    let mut files = Files(vec![data(3, 5000), data(0, 5 << 19), data(9, 70_000)]);
    files.0[1][300_000..2_000_000].fill(0);
    files
}

/// Runs a test with a thread that does not wait, and with one that does.
fn with_members(test: impl Fn(&mut Member<'_>) + Sync) {
    reader_threads::run(1, 1, &test);
    let once = std::sync::Once::new();
    reader_threads::run(1, 2, &|member| once.call_once(|| test(member)));
}

#[test]
fn a_buffer_gets_the_bytes_of_its_pieces() {
    let files = some_files();
    let image = List(vec![
        (from_file(0, 7), 4993),
        (Z, 100),
        (M, 4096),
        (hole(1), 300),
        (from_file(2, 0), 70_000),
        (U, 5),
        (from_file(1, 299_000), 2000),
    ]);
    let expected = image.naive(&files);
    for is_range in [false, true] {
        let on_disk = OnDisk::new(&files, is_range);
        let contents: [&dyn Contents; 2] = [&files, &on_disk];
        for contents in contents {
            with_members(|member| {
                let pieces = image.pieces().collect();
                let chunk = Chunk {
                    number: 0,
                    offset: 0,
                    len: image.len(),
                    kind: crate::chunks::Kind::Buffer,
                    pieces,
                };
                let mut buffer = vec![7; 2 << 20];
                assert!(Filler::new(&image, contents).fill(&chunk, &mut buffer, member).unwrap() == expected);
            });
        }
    }
}

#[test]
fn a_part_of_a_file_is_copied_to_its_place() {
    use std::os::unix::fs::MetadataExt;
    let files = some_files();
    let image = List(vec![(M, 9 << 16), (from_file(1, 100), 2_500_000)]);
    let mut expected = image.naive(&files);
    expected[..9 << 16].fill(0);
    for is_range in [false, true] {
        let on_disk = OnDisk::new(&files, is_range);
        let contents: [&dyn Contents; 2] = [&files, &on_disk];
        for contents in contents {
            with_members(|member| {
                let disk = tempfile::NamedTempFile::new().unwrap();
                let output = Positioned::new(disk.as_file(), disk.path(), true);
                let (kind, pieces) = (crate::chunks::Kind::Buffer, Vec::new());
                let chunk = Chunk { number: 0, offset: 9 << 16, len: 2_500_000, kind, pieces };
                let mut filler = Filler::new(&image, contents);
                filler.copy(&chunk, (file(1), 100), &output, &mut Vec::new(), member).unwrap();
                assert!(std::fs::read(disk.path()).unwrap() == expected);
                let stored = disk.as_file().metadata().unwrap().blocks() * 512;
                assert!(output.looks_for_zeros() <= (stored < 1_000_000), "{stored} bytes");
            });
        }
    }
}
