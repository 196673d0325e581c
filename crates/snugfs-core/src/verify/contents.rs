//! Compares files of an image with their sources, several at once.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use file_scanner::{ContainedFile, Cursor, OpenFile, Opener, check_unchanged};
use image_tree::{DataRun, FileTree, HOLE_GRAIN, NodeId, NodeKind, ReadAt, io_reason, to_u64, to_usize};
use snugfs_compare::{FileBytes, FoundTree, Pair};

use crate::failure::{Failure, FailureKind};
use crate::observer::Observer;

/// Length of a buffer, in \[bytes\].
const BUFFER: usize = 256 << 10;
/// The number of files that a thread takes at once. Neighbours are next to each other in the image.
const BATCH: usize = 64;

/// The files whose bytes differ, in the order of the tree, each with the first differing byte.
pub(super) fn compare(
    (expected, late): (&FileTree, &Late<'_>),
    found: &FoundTree,
    pairs: &[Pair],
    observer: &dyn Observer,
) -> Result<Vec<(NodeId, u64)>, Failure> {
    let opener = Opener::new(expected);
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new((Vec::new(), Vec::new()));
    let batches: Vec<&[Pair]> = pairs.chunks(BATCH).collect();
    let work = || {
        let mut comparer = Comparer {
            expected,
            late,
            found,
            cursor: opener.cursor(),
            buffers: (vec![0; BUFFER], vec![0; BUFFER]),
        };
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            for pair in *batch {
                let differs = comparer.pair(*pair, observer);
                let mut outcome = outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                match differs {
                    Ok(None) => {}
                    Ok(Some(at)) => outcome.0.push((pair.expected, at)),
                    Err(failure) => {
                        outcome.1.push((pair.expected, failure));
                        return;
                    }
                }
            }
        }
    };
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(batches.len()) {
            scope.spawn(|_| work());
        }
    });
    let (mut differ, mut failed) = outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // The first failure in the order of the tree, so that the message does not depend on threads.
    failed.sort_by_key(|(node, _)| *node);
    if let Some((_, failure)) = failed.into_iter().next() {
        return Err(failure);
    }
    differ.sort_unstable();
    Ok(differ)
}

/// The bytes of a file that are known only after its scan.
type Late<'l> = dyn Fn(NodeId) -> Option<&'l [u8]> + Sync + 'l;

struct Comparer<'c, 'l> {
    expected: &'c FileTree,
    late: &'c Late<'l>,
    found: &'c FoundTree,
    cursor: Cursor<'c, 'c>,
    buffers: (Vec<u8>, Vec<u8>),
}

impl Comparer<'_, '_> {
    fn pair(&mut self, pair: Pair, observer: &dyn Observer) -> Result<Option<u64>, Failure> {
        let node = self.expected.resolve(pair.expected);
        let mut image = self.found.open(pair.found).map_err(|error| super::volume::unreadable(&error))?;
        let source = match self.cursor.open(node)? {
            OpenFile::Inline(bytes) => {
                let bytes = (self.late)(node).unwrap_or(bytes);
                let mut source = Source { bytes, at: 0, holes: Holes::none() };
                return same(&mut source, &mut image, &mut self.buffers, observer);
            }
            OpenFile::Contained(file) => {
                let holes = Holes::of(self.expected, node);
                let fd = file.file();
                let mut reader = Source { bytes: file, at: 0, holes };
                let differs = same(&mut reader, &mut image, &mut self.buffers, observer)?;
                check_unchanged(self.expected, node, fd)?;
                return Ok(differs);
            }
            OpenFile::Fd(fd) => File::from(fd),
        };
        let holes = Holes::of(self.expected, node);
        let mut reader = Source { bytes: &source, at: 0, holes };
        let differs = same(&mut reader, &mut image, &mut self.buffers, observer)?;
        check_unchanged(self.expected, node, source.as_fd())?;
        Ok(differs)
    }
}

/// The holes of a source, as its scan found them.
struct Holes<'t> {
    runs: Option<&'t [DataRun]>,
    size: u64,
}

impl<'t> Holes<'t> {
    fn none() -> Self {
        Self { runs: None, size: 0 }
    }

    fn of(tree: &'t FileTree, node: NodeId) -> Self {
        let NodeKind::File { size, .. } = tree.node(node).kind() else { return Self::none() };
        Self { runs: tree.data_runs(node), size }
    }

    /// The length of the hole at a place, in \[bytes\].
    fn from(&self, at: u64) -> u64 {
        let Some(runs) = self.runs else { return 0 };
        let behind = runs.partition_point(|run| run.end() * HOLE_GRAIN <= at);
        let end = runs.get(behind).map_or(self.size, |run| u64::from(run.start) * HOLE_GRAIN);
        // Within data, the hole has no length.
        end.min(self.size).saturating_sub(at)
    }
}

/// The bytes of a source, in order.
struct Source<'t, B> {
    bytes: B,
    at: u64,
    holes: Holes<'t>,
}

/// Bytes that can be read at any place.
trait Bytes {
    fn read_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl Bytes for &[u8] {
    fn read_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        (&self[to_usize(at)..]).read(buffer)
    }
}

impl Bytes for ContainedFile<'_> {
    fn read_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        ReadAt::read_at(self, buffer, at)
    }
}

impl Bytes for &File {
    fn read_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(*self, buffer, at)
    }
}

impl<B: Bytes> Read for Source<'_, B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read_at(buffer, self.at)?;
        self.at += to_u64(read);
        Ok(read)
    }
}

/// The first byte at which two sources of the same length differ.
fn same<B: Bytes>(
    source: &mut Source<'_, B>,
    image: &mut FileBytes<'_>,
    (ours, theirs): &mut (Vec<u8>, Vec<u8>),
    observer: &dyn Observer,
) -> Result<Option<u64>, Failure> {
    let mut at = 0;
    loop {
        // Holes on both sides are equal, and need not be read.
        let hole = source.holes.from(at).min(image.hole());
        if hole > 0 {
            source.at += hole;
            image.skip(hole);
            observer.advance(hole);
            at += hole;
        }
        let source_failed = |error: io::Error| {
            let what = format!("can't be read: {}", io_reason(&error));
            Failure::new(FailureKind::Source, "source", what, "check its disk")
        };
        let length = fill(source, ours).map_err(source_failed)?;
        let found = match fill(image, theirs) {
            // In a damaged file system, a file can go beyond the end of the image.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(at)),
            found => found.map_err(|error| super::volume::unreadable(&error))?,
        };
        let (ours, theirs) = (&ours[..length], &theirs[..found]);
        if ours != theirs {
            let same = ours.iter().zip(theirs).take_while(|(our, their)| our == their).count();
            return Ok(Some(at + to_u64(same)));
        }
        observer.advance(to_u64(length));
        at += to_u64(length);
        if length < BUFFER {
            return Ok(None);
        }
    }
}

/// Reads until a buffer is full or the source ends.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
