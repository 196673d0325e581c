//! Finds long runs of zeros within the files of an image: before writing, for formats that omit them, or while writing to a file
//! with holes. It reads all bytes and does not use `SEEK_HOLE`, which some file systems answer wrongly for newly written data.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_tree::{Content, Contents, FileBytes, FileReader, FileRef, Piece, PieceSource};
use reader_threads::Member;

use crate::error::{AssemblyError, FirstError};
use crate::fill::{Missing, explain, missing, part, read_all, read_at, room};
use crate::pieces::Pieces;
use crate::{to_u64, to_usize};

/// Runs begin and end at multiples of this offset in the image, in \[bytes\]: the cluster of qcow2.
pub(crate) const GRAIN: u64 = 64 << 10;
/// Length of the start of a grain that is read first, in \[bytes\]. Most grains have data there.
const PROBE: usize = 512;

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Short parts, because most data ends the search early, but long enough to pass zeros fast.
    bytes.chunks(128).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Divides the bytes at `offset` of an image into whole grains of zeros and other bytes, in order.
pub(crate) fn cut(bytes: &[u8], offset: u64) -> impl Iterator<Item = (Range<usize>, bool)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut kind = None;
        while at < bytes.len() {
            let end = next_grain(offset + to_u64(at)).map_or(bytes.len(), |end| to_usize(end - offset));
            let end = end.min(bytes.len());
            let zero = to_u64(end - at) == GRAIN && is_zero(&bytes[at..end]);
            if kind.is_some_and(|kind| kind != zero) {
                break;
            }
            kind = Some(zero);
            at = end;
        }
        kind.map(|zero| (start..at, zero))
    })
}

/// The first multiple of [`GRAIN`] after an offset.
fn next_grain(offset: u64) -> Option<u64> {
    (offset + 1).checked_next_multiple_of(GRAIN)
}

/// A part of an open file, and its offset in the image, in \[bytes\].
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) from: u64,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Placed {
    /// The part between two offsets of the image.
    pub(crate) fn part(self, start: u64, end: u64) -> Self {
        Self { from: self.in_file(start), offset: start, len: end - start }
    }

    pub(crate) fn end(self) -> u64 {
        self.offset + self.len
    }

    /// Offset in the file of the bytes at an offset of the image.
    fn in_file(self, offset: u64) -> u64 {
        self.from + (offset - self.offset)
    }
}

/// Fills a buffer with the bytes at an offset of a file.
type ReadPart<'r> = dyn FnMut(u64, &mut [u8]) -> Result<(), Missing> + 'r;

/// Calls `found` with the runs of zeros of a file in order, as offsets in the image.
pub(crate) fn in_file(
    read: &mut ReadPart<'_>,
    placed: Placed,
    buffer: &mut Vec<u8>,
    mut found: impl FnMut(Range<u64>),
) -> Result<(), Missing> {
    let first = placed.offset.next_multiple_of(GRAIN);
    let last = placed.end() - placed.end() % GRAIN;
    let mut run: Option<Range<u64>> = None;
    for at in (first..last).step_by(to_usize(GRAIN)) {
        if !is_zero_grain(read, placed.in_file(at), buffer)? {
            continue;
        }
        match &mut run {
            Some(run) if run.end == at => run.end += GRAIN,
            run => run.replace(at..at + GRAIN).into_iter().for_each(&mut found),
        }
    }
    run.into_iter().for_each(found);
    Ok(())
}

fn is_zero_grain(read: &mut ReadPart<'_>, from: u64, buffer: &mut Vec<u8>) -> Result<bool, Missing> {
    let bytes = room(buffer, to_usize(GRAIN));
    let (probe, rest) = bytes.split_at_mut(PROBE);
    read(from, probe)?;
    if !is_zero(probe) {
        return Ok(false);
    }
    read(from + to_u64(PROBE), rest)?;
    Ok(is_zero(rest))
}

/// An image whose files were searched. Their long runs of zeros are [`Content::FileZeros`].
pub struct KnownZeros<'i> {
    image: &'i dyn PieceSource,
    /// Offsets in the image, ascending.
    runs: Vec<Range<u64>>,
}

impl<'i> KnownZeros<'i> {
    /// Searches all files of an image. Of most data, only a small part is read. `progress` is called with the number of
    /// \[bytes\] of the image searched since the last call, from any thread.
    ///
    /// # Errors
    /// Fails if a file can't be read, or changed since its scan.
    pub fn find(
        image: &'i dyn PieceSource,
        contents: &dyn Contents,
        (threads, readers): (NonZeroUsize, NonZeroUsize),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, AssemblyError> {
        let state =
            Mutex::new(Search { pieces: Pieces::of(image), runs: Vec::new(), failed: FirstError::default() });
        let work = |member: &mut Member<'_>| search(&state, contents, progress, member);
        reader_threads::run(threads.get(), readers.get(), &work);
        let Search { mut runs, mut failed, .. } = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.take()?;
        runs.sort_by_key(|run| run.start);
        Ok(Self { image, runs })
    }
}

struct Search<'i> {
    pieces: Pieces<'i>,
    runs: Vec<Range<u64>>,
    /// By the offset of the piece.
    failed: FirstError,
}

fn lock<'s, 'i>(state: &'s Mutex<Search<'i>>) -> MutexGuard<'s, Search<'i>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn search(
    state: &Mutex<Search<'_>>,
    contents: &dyn Contents,
    progress: &(dyn Fn(u64) + Sync),
    member: &mut Member<'_>,
) {
    let mut reader = contents.reader();
    let mut buffer = Vec::new();
    let mut runs = Vec::new();
    while !member.is_spare()
        && let Some((piece, file, offset)) = next(state, progress)
    {
        member.begin();
        let placed = Placed { from: offset, offset: piece.offset, len: piece.len };
        if let Err(error) = look(&mut *reader, contents, file, placed, &mut buffer, &mut runs) {
            lock(state).failed.add(piece.offset, error);
            break;
        }
        member.check();
        progress(piece.len);
    }
    lock(state).runs.append(&mut runs);
}

/// The next piece of a file that can contain a run. Others are skipped.
fn next(state: &Mutex<Search<'_>>, progress: &(dyn Fn(u64) + Sync)) -> Option<(Piece, FileRef, u64)> {
    let mut state = lock(state);
    let mut passed = 0;
    let found = loop {
        if state.failed.is_set() {
            break None;
        }
        match state.pieces.next() {
            Ok(Some(piece)) => match piece.content {
                Content::File { file, offset } if piece.len >= GRAIN => break Some((piece, file, offset)),
                _ => passed += piece.len,
            },
            Ok(None) => break None,
            // All lower pieces are already being searched.
            Err(error) => state.failed.add(u64::MAX, error.into()),
        }
    };
    drop(state);
    progress(passed);
    found
}

fn look(
    reader: &mut dyn FileReader,
    contents: &dyn Contents,
    file: FileRef,
    placed: Placed,
    buffer: &mut Vec<u8>,
    runs: &mut Vec<Range<u64>>,
) -> Result<(), AssemblyError> {
    match reader.open(file)? {
        FileBytes::Memory(whole) => {
            let bytes = part(contents, file, whole, placed.from, to_usize(placed.len))?;
            let zeros = cut(bytes, placed.offset).filter(|(_, zero)| *zero);
            runs.extend(
                zeros
                    .map(|(range, _)| placed.offset + to_u64(range.start)..placed.offset + to_u64(range.end)),
            );
        }
        FileBytes::Reader(mut reader) => {
            let mut read = |from, bytes: &mut [u8]| read_all(&mut *reader, from, bytes);
            in_file(&mut read, placed, buffer, |run| runs.push(run))
                .map_err(|why| missing(contents, file, why))?;
        }
        FileBytes::Fd(fd) => {
            let mut read = |from, bytes: &mut [u8]| read_at(fd.as_fd(), from, bytes);
            in_file(&mut read, placed, buffer, |run| runs.push(run))
                .map_err(|why| explain(contents, file, fd.as_fd(), why))?;
            contents.check(file, fd.as_fd())?;
        }
        FileBytes::Range { fd, offset } => {
            let mut read = |from: u64, bytes: &mut [u8]| read_at(fd, from.saturating_add(offset), bytes);
            in_file(&mut read, placed, buffer, |run| runs.push(run))
                .map_err(|why| explain(contents, file, fd, why))?;
            contents.check(file, fd)?;
        }
    }
    Ok(())
}

impl PieceSource for KnownZeros<'_> {
    fn len(&self) -> u64 {
        self.image.len()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let mut runs = self.runs.iter().peekable();
        let mut pieces = self.image.pieces();
        let mut rest: Option<Piece> = None;
        Box::new(std::iter::from_fn(move || {
            let piece = rest.take().or_else(|| pieces.next())?;
            let Content::File { file, .. } = piece.content else { return Some(piece) };
            while runs.next_if(|run| run.end <= piece.offset).is_some() {}
            let end = piece.offset + piece.len;
            let Some(run) = runs.peek().filter(|run| run.start < end) else { return Some(piece) };
            assert!(run.end <= end, "invariant: a run of zeros ends within the piece of its file");
            let is_zero = run.start <= piece.offset;
            let cut = if is_zero { run.end } else { run.start };
            let len = cut - piece.offset;
            if cut < end {
                rest = Some(Piece { offset: cut, len: end - cut, content: piece.content.skip(len) });
            }
            let content = if is_zero { Content::FileZeros { file } } else { piece.content };
            Some(Piece { offset: piece.offset, len, content })
        }))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        self.image.generate(piece, buffer);
    }
}

impl fmt::Debug for KnownZeros<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownZeros {{ {} bytes, {} runs }}", self.image.len(), self.runs.len())
    }
}

#[cfg(test)]
mod tests;
