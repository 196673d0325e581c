//! Files that are in temporary files, as those of a compressed archive, in another order than in the image. Their bytes are read in
//! the order of the temporary file, from its end to its start, and written where they belong. So the temporary file can become
//! shorter meanwhile, and the system uses its memory or its space for the image.

use std::cmp::Reverse;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_tree::{Content, FileRef, Piece, PieceSource, Spool};
use reader_threads::Member;
use rustix::io::retry_on_intr;

use crate::chunks::{CHUNK, Chunk, KERNEL_COPY, Kind};
use crate::error::{AssemblyError, FirstError};
use crate::fill::{Filler, missing, read_at, room};
use crate::pieces::{PieceError, Pieces};
use crate::positioned::Positioned;
use crate::sink::ZEROS;
use crate::writer::Job;
use crate::zero_runs;
use crate::{to_u64, to_usize};

/// Maximum length of bytes between two files that are read too, in \[bytes\]: of files that the image does not have.
const GAP: u64 = 64 << 10;

/// How much a temporary file becomes shorter at once, in \[bytes\].
const SHORTENED: u64 = 16 << 20;

/// A piece of a file that is in a temporary file.
#[derive(Clone, Copy, Debug)]
struct Entry<'s> {
    fd: BorrowedFd<'s>,
    /// Where its bytes begin in the temporary file, in \[bytes\].
    from: u64,
    /// Offset in the image in \[bytes\].
    at: u64,
    len: u64,
    /// Length of the zeros after it in the image that are written with it, less than [`PADDING`].
    padding: u16,
    file: FileRef,
}

/// A file that ends within a block is followed by zeros. To write them costs less than to leave them out.
const PADDING: u16 = 4096;

impl Entry<'_> {
    fn end(&self) -> u64 {
        self.from + self.len
    }

    fn is_beside(&self, other: &Self) -> bool {
        self.fd.as_raw_fd() == other.fd.as_raw_fd()
    }
}

/// The pieces of an image that are in temporary files, those at the end of a file first.
pub(crate) struct Spooled<'s> {
    entries: Vec<Entry<'s>>,
    /// Their length together in \[bytes\].
    pub(crate) len: u64,
    spool: &'s dyn Spool,
}

impl fmt::Debug for Spooled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spooled")
            .field("entries", &self.entries.len())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<'s> Spooled<'s> {
    /// Finds them. `None` if there are none.
    pub(crate) fn of(image: &dyn PieceSource, spool: &'s dyn Spool) -> Result<Option<Self>, PieceError> {
        let mut entries = Vec::new();
        let mut pieces = Pieces::of(image);
        let mut len = 0;
        // Where the last entry ends in the image.
        let mut end = None;
        while let Some(piece) = pieces.next()? {
            let Content::File { file, offset } = piece.content else {
                let padding = u16::try_from(piece.len).unwrap_or(PADDING);
                let follows = end == Some(piece.offset) && piece.content.is_zero();
                let last: Option<&mut Entry<'_>> = entries.last_mut();
                if let Some(last) = last.filter(|_| follows && padding < PADDING) {
                    last.padding = padding;
                }
                continue;
            };
            let Some(place) = spool.place(file) else { continue };
            let from = place.offset.saturating_add(offset);
            entries.push(Entry { fd: place.fd, from, at: piece.offset, len: piece.len, padding: 0, file });
            end = Some(piece.offset + piece.len);
            len += piece.len;
        }
        // The image may have a part of a file more than once. By their ends, no later entry reaches beyond an earlier one.
        entries
            .sort_unstable_by_key(|entry| Reverse((entry.fd.as_raw_fd(), entry.end(), entry.from, entry.at)));
        Ok((!entries.is_empty()).then_some(Self { entries, len, spool }))
    }

    /// The rest of the image.
    pub(crate) fn rest<'r>(&'r self, image: &'r dyn PieceSource) -> Rest<'r> {
        Rest { image, spool: self.spool }
    }

    /// Writes them to their places in an output that has all other bytes already.
    pub(crate) fn write(&self, job: &Job<'_>, output: &Positioned<'_>) -> Result<(), AssemblyError> {
        let state = State::default();
        let list = List {
            entries: &self.entries,
            large: output.lone_file().unwrap_or(CHUNK).min(CHUNK),
            state: Mutex::new(state),
        };
        let useful = to_usize(self.len.div_ceil(CHUNK));
        let (threads, readers) =
            (job.options.threads.get().min(useful), job.options.readers.get().min(useful));
        reader_threads::run(threads, readers, &|member| self.take_units(job, output, &list, member));
        list.state().failed.take()
    }

    fn take_units(&self, job: &Job<'_>, output: &Positioned<'_>, list: &List<'_>, member: &mut Member<'_>) {
        let mut filler = Filler::new(job.image, job.contents);
        let mut buffer = Vec::new();
        while !member.is_spare()
            && let Some(unit) = list.take()
        {
            let put = match unit.entries {
                [entry] if unit.is_large => {
                    self.put_large(entry, &unit, &mut filler, output, &mut buffer, member)
                }
                entries => put_small(job, entries, output, &mut buffer, member),
            };
            if let Err(error) = put {
                return list.state().failed.add(unit.offset(), error);
            }
            (job.progress)(unit.len());
            if let Some(len) = list.end(&unit).filter(|_| self.spool.is_last_use()) {
                // What is not given back now is given back when the file is closed.
                let _ = retry_on_intr(|| rustix::fs::ftruncate(unit.fd(), len));
            }
        }
    }

    /// Has the kernel copy a part of a large file.
    fn put_large(
        &self,
        entry: &Entry<'_>,
        unit: &Unit<'_>,
        filler: &mut Filler<'_>,
        output: &Positioned<'_>,
        buffer: &mut Vec<u8>,
        member: &mut Member<'_>,
    ) -> Result<(), AssemblyError> {
        let place = self.spool.place(entry.file).expect("invariant: the place of a file does not change");
        let from = entry.from - place.offset + unit.skipped;
        let kind = Kind::File { file: entry.file, from };
        let chunk = Chunk { number: 0, offset: unit.offset(), len: unit.len(), kind, pieces: Vec::new() };
        filler.copy(&chunk, (entry.file, from), output, buffer, member)
    }
}

/// Reads files that are next to each other, and writes each to its place.
fn put_small(
    job: &Job<'_>,
    entries: &[Entry<'_>],
    output: &Positioned<'_>,
    buffer: &mut Vec<u8>,
    member: &mut Member<'_>,
) -> Result<(), AssemblyError> {
    let Some(last) = entries.iter().max_by_key(|entry| entry.end()) else { return Ok(()) };
    let start = entries.iter().map(|entry| entry.from).min().unwrap_or(last.from);
    member.begin();
    let bytes = room(buffer, to_usize(last.end() - start));
    read_at(last.fd.as_fd(), start, bytes).map_err(|why| missing(job.contents, last.file, why))?;
    member.check();
    let of = |entry: &Entry<'_>| {
        let from = to_usize(entry.from - start);
        &bytes[from..from + to_usize(entry.len)]
    };
    let mut ordered: Vec<&Entry<'_>> = entries.iter().collect();
    ordered.sort_unstable_by_key(|entry| entry.at);
    let mut run = Joined { at: 0, end: 0, parts: Vec::new(), output };
    for entry in ordered {
        let bytes = of(entry);
        if zero_runs::cut(bytes, entry.at).any(|(_, is_zero)| is_zero) {
            output.put_bytes(bytes, entry.at)?;
            continue;
        }
        run.add(bytes, entry)?;
    }
    run.write()
}

/// Bytes that follow each other in the image, written with as few calls as Linux allows.
struct Joined<'b> {
    at: u64,
    end: u64,
    parts: Vec<IoSlice<'b>>,
    output: &'b Positioned<'b>,
}

impl<'b> Joined<'b> {
    fn add(&mut self, bytes: &'b [u8], entry: &Entry<'_>) -> Result<(), AssemblyError> {
        if entry.at != self.end {
            self.write()?;
            self.at = entry.at;
        }
        self.parts.push(IoSlice::new(bytes));
        self.parts.push(IoSlice::new(&ZEROS[..usize::from(entry.padding)]));
        self.end = entry.at + entry.len + u64::from(entry.padding);
        Ok(())
    }

    fn write(&mut self) -> Result<(), AssemblyError> {
        let mut at = self.at;
        let mut parts = self.parts.as_mut_slice();
        while !parts.is_empty() {
            let written = retry_on_intr(|| rustix::io::pwritev(self.output.file, parts, at));
            let written = match written {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                written => written.map_err(io::Error::from),
            };
            let written = written.map_err(|error| AssemblyError::output(self.output.path, error))?;
            at += to_u64(written);
            IoSlice::advance_slices(&mut parts, written);
        }
        self.parts.clear();
        Ok(())
    }
}

/// The units of work.
struct List<'s> {
    entries: &'s [Entry<'s>],
    /// Minimum length of a file that the kernel copies, in \[bytes\].
    large: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of entries that were taken. Of a large one, `rest` \[bytes\] are left.
    next: usize,
    rest: Option<u64>,
    /// The ends of the units that were begun, and the number of the first entry of each.
    begun: Vec<(usize, u64)>,
    /// The last temporary file that became shorter, and its length in \[bytes\].
    kept: Option<(RawFd, u64)>,
    /// By the offset in the image.
    failed: FirstError,
}

/// What a thread does at once: some small files, or a part of a large one.
struct Unit<'s> {
    first: usize,
    entries: &'s [Entry<'s>],
    is_large: bool,
    /// The part of a large file.
    skipped: u64,
    large_len: u64,
}

impl<'s> Unit<'s> {
    fn fd(&self) -> BorrowedFd<'s> {
        self.entries[0].fd
    }

    fn offset(&self) -> u64 {
        self.entries[0].at + self.skipped
    }

    fn len(&self) -> u64 {
        if self.is_large { self.large_len } else { self.entries.iter().map(|entry| entry.len).sum() }
    }

    /// Where it ends in the temporary file.
    fn end(&self) -> u64 {
        if self.is_large {
            self.entries[0].from + self.skipped + self.large_len
        } else {
            self.entries[0].end()
        }
    }
}

impl<'s> List<'s> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next unit; `None` when there is none, or an error.
    fn take(&self) -> Option<Unit<'s>> {
        let mut state = self.state();
        if state.failed.is_set() {
            return None;
        }
        let first = state.next;
        let entry = self.entries.get(first)?;
        let unit = if entry.len >= self.large {
            let rest = state.rest.unwrap_or(entry.len);
            let skipped = (rest - 1) / KERNEL_COPY * KERNEL_COPY;
            state.rest = (skipped > 0).then_some(skipped);
            let entries = std::slice::from_ref(entry);
            Unit { first, entries, is_large: true, skipped, large_len: rest - skipped }
        } else {
            let (mut start, mut count) = (entry.from, 1);
            for next in &self.entries[first + 1..] {
                let is_near = next.is_beside(entry) && next.end().saturating_add(GAP) >= start;
                if !is_near || next.len >= self.large || entry.end() - next.from.min(start) > CHUNK {
                    break;
                }
                start = start.min(next.from);
                count += 1;
            }
            let entries = &self.entries[first..first + count];
            Unit { first, entries, is_large: false, skipped: 0, large_len: 0 }
        };
        if state.rest.is_none() {
            state.next += unit.entries.len();
        }
        state.begun.push((first, unit.end()));
        Some(unit)
    }

    /// Ends a unit. Returns the length that its temporary file needs from now on, if that is much less than before.
    fn end(&self, unit: &Unit<'_>) -> Option<u64> {
        let mut state = self.state();
        let place = state.begun.iter().position(|&begun| begun == (unit.first, unit.end()));
        state.begun.swap_remove(place.expect("invariant: a unit ends once"));
        let is_beside = |entry: &Entry<'_>| entry.is_beside(&unit.entries[0]);
        let next = self.entries.get(state.next).filter(|entry| is_beside(entry));
        let next = next.map(|entry| entry.from + state.rest.unwrap_or(entry.len));
        let begun =
            state.begun.iter().filter(|(first, _)| is_beside(&self.entries[*first])).map(|(_, end)| *end);
        let needed = begun.chain(next).max().unwrap_or(0);
        let fd = unit.fd().as_raw_fd();
        let kept = state.kept.filter(|kept| kept.0 == fd).map_or(u64::MAX, |kept| kept.1);
        let is_less = needed.saturating_add(SHORTENED) <= kept || needed == 0;
        if is_less {
            state.kept = Some((fd, needed));
        }
        is_less.then_some(needed)
    }
}

/// An image without those pieces: each run of them, with the zeros between, is zeros of the first file.
pub(crate) struct Rest<'r> {
    image: &'r dyn PieceSource,
    spool: &'r dyn Spool,
}

impl PieceSource for Rest<'_> {
    fn len(&self) -> u64 {
        self.image.len()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let mut pieces = self.image.pieces().peekable();
        let is_spooled =
            |content| matches!(content, Content::File { file, .. } if self.spool.place(file).is_some());
        Box::new(std::iter::from_fn(move || {
            let mut piece = pieces.next()?;
            if let Content::File { file, .. } = piece.content
                && is_spooled(piece.content)
            {
                piece.content = Content::FileZeros { file };
                while let Some(next) =
                    pieces.next_if(|next| next.content.is_zero() || is_spooled(next.content))
                {
                    piece.len += next.len;
                }
            }
            Some(piece)
        }))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        self.image.generate(piece, buffer);
    }
}

#[cfg(test)]
mod tests;
