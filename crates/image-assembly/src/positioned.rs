//! Writes to a file or a device. Every thread writes its chunk at its offset. Chunks are assigned in ascending order, so the output
//! grows from its start, and of several errors the one at the lowest offset is returned.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reader_threads::Member;

use crate::chunks::{CHUNK, Chunk, Chunks, Kind};
use crate::error::{AssemblyError, FirstError};
use crate::fill::{Filler, room};
use crate::kernel_copy::{large_file, shares_blocks};
use crate::sink::ZEROS;
use crate::spooled::Spooled;
use crate::unordered::Patches;
use crate::writer::Job;
use crate::zero_runs;
use crate::{to_u64, to_usize};

/// Length of a part that is read back, in \[bytes\], so that it is still in the processor's cache when it is hashed.
const READ_BACK: usize = 256 << 10;

/// An output that can be written at any offset.
pub(crate) struct Positioned<'o> {
    pub(crate) file: &'o File,
    /// Name in messages.
    pub(crate) path: &'o Path,
    /// Whether it reads as zeros before anything is written.
    pub(crate) is_zero: bool,
    /// Whether its file system shares blocks between files.
    shares_blocks: bool,
}

/// Writes the whole image.
pub(crate) fn write(job: &Job<'_>, output: &Positioned<'_>) -> Result<(), AssemblyError> {
    let spool = job.contents.spool().filter(|_| output.is_zero && job.unordered.is_none());
    if let Some(spool) = spool
        && let Some(spooled) = Spooled::of(job.image, spool)?
    {
        return write_spooled(job, &spooled, output);
    }
    run(job, output.lone_file(), &|chunk, filler, buffer, member| {
        output.put(job, chunk, filler, buffer, member)
    })
}

/// Writes the other pieces, then those that are in temporary files.
fn write_spooled(job: &Job<'_>, spooled: &Spooled<'_>, output: &Positioned<'_>) -> Result<(), AssemblyError> {
    let rest = spooled.rest(job.image);
    let done = AtomicU64::new(0);
    // Of the zeros, most are the places of files.
    let quiet = Job { image: &rest, progress: &|_| {}, ..*job };
    run(&quiet, output.lone_file(), &|chunk, filler, buffer, member| {
        output.put(&quiet, chunk, filler, buffer, member)?;
        if !matches!(chunk.kind, Kind::Zeros { .. }) {
            done.fetch_add(chunk.len, Ordering::Relaxed);
            (job.progress)(chunk.len);
        }
        Ok(())
    })?;
    (job.progress)(job.image.len() - spooled.len - done.into_inner());
    spooled.write(job, output)
}

/// Reads the whole image for the unordered observer.
pub(crate) fn read(job: &Job<'_>) -> Result<(), AssemblyError> {
    run(job, None, &|chunk, filler, buffer, member| {
        if matches!(chunk.kind, Kind::Zeros { .. }) {
            job.show_zeros(chunk.offset, chunk.len);
        } else if job.is_observed(chunk.offset, chunk.len) {
            job.show_bytes(chunk.offset, filler.fill(chunk, buffer, member)?);
        }
        Ok(())
    })
}

/// What is done with each chunk.
type Work<'w> =
    dyn Fn(&Chunk, &mut Filler<'_>, &mut Vec<u8>, &mut Member<'_>) -> Result<(), AssemblyError> + Sync + 'w;

fn run(job: &Job<'_>, lone_file: Option<u64>, work: &Work<'_>) -> Result<(), AssemblyError> {
    let chunks = Chunks::of(job.image, lone_file);
    let list = List(Mutex::new(State { chunks, failed: FirstError::default() }));
    let useful = to_usize(job.image.len().div_ceil(CHUNK));
    let (threads, readers) = (job.options.threads.get().min(useful), job.options.readers.get().min(useful));
    reader_threads::run(threads, readers, &|member| take_chunks(job, work, &list, member));
    list.state().failed.take()
}

fn take_chunks(job: &Job<'_>, work: &Work<'_>, list: &List<'_>, member: &mut Member<'_>) {
    let mut filler = Filler::new(job.image, job.contents);
    let mut buffer = Vec::new();
    let mut chunk = Chunk::new();
    while !member.is_spare() && list.take(&mut chunk) {
        match work(&chunk, &mut filler, &mut buffer, member) {
            Ok(()) => (job.progress)(chunk.len),
            Err(error) => return list.state().failed.add(chunk.number, error),
        }
    }
}

impl<'o> Positioned<'o> {
    pub(crate) fn new(file: &'o File, path: &'o Path, is_zero: bool) -> Self {
        Self { file, path, is_zero, shares_blocks: shares_blocks(file.as_fd()) }
    }
}

impl Positioned<'_> {
    fn put(
        &self,
        job: &Job<'_>,
        chunk: &Chunk,
        filler: &mut Filler<'_>,
        buffer: &mut Vec<u8>,
        member: &mut Member<'_>,
    ) -> Result<(), AssemblyError> {
        match chunk.kind {
            Kind::Zeros { .. } => {
                job.show_zeros(chunk.offset, chunk.len);
                self.put_zeros(chunk.offset, chunk.len)
            }
            Kind::File { file, from } => {
                filler.copy(chunk, (file, from), self, buffer, member)?;
                self.show_copied(job, chunk, buffer)
            }
            Kind::Buffer => {
                let bytes = filler.fill(chunk, buffer, member)?;
                job.show_bytes(chunk.offset, bytes);
                self.put_bytes(bytes, chunk.offset)
            }
        }
    }

    /// Passes bytes that the kernel copied to the unordered observer.
    pub(crate) fn show_copied(
        &self,
        job: &Job<'_>,
        chunk: &Chunk,
        buffer: &mut Vec<u8>,
    ) -> Result<(), AssemblyError> {
        if !job.is_observed(chunk.offset, chunk.len) {
            return Ok(());
        }
        let mut at = chunk.offset;
        self.read_back(chunk.offset, chunk.len, buffer, |bytes| {
            job.show_bytes(at, bytes);
            at += to_u64(bytes.len());
        })
    }

    /// Writes the bytes that are written last, and passes them to `show`.
    pub(crate) fn patch(
        &self,
        patches: &dyn Patches,
        mut show: impl FnMut(&[u8]),
    ) -> Result<(), AssemblyError> {
        let failed = |error| AssemblyError::output(self.path, error);
        let mut ranges = patches.ranges().into_iter();
        patches.apply(&mut |offset, bytes| {
            let is_next = ranges.next() == Some(offset..offset + to_u64(bytes.len()));
            assert!(is_next, "invariant: patches come in the order of their ranges");
            show(bytes);
            self.file.write_all_at(bytes, offset).map_err(failed)
        })
    }

    /// Minimum length of a file that the kernel copies, in \[bytes\]; `None` for a device.
    pub(crate) fn lone_file(&self) -> Option<u64> {
        self.is_zero.then(|| large_file(self.shares_blocks))
    }

    /// Passes written bytes to `show`, part by part.
    pub(crate) fn read_back(
        &self,
        offset: u64,
        len: u64,
        buffer: &mut Vec<u8>,
        mut show: impl FnMut(&[u8]),
    ) -> Result<(), AssemblyError> {
        let mut done = 0;
        while done < len {
            let part = room(buffer, to_usize(len - done).min(READ_BACK));
            let read = self.file.read_exact_at(part, offset + done);
            read.map_err(|error| AssemblyError::output(self.path, error))?;
            show(part);
            done += to_u64(part.len());
        }
        Ok(())
    }

    /// Sets bytes to zero. In a file that is zero there, they stay a hole.
    pub(crate) fn put_zeros(&self, offset: u64, len: u64) -> Result<(), AssemblyError> {
        let mut done = if self.is_zero { len } else { 0 };
        while done < len {
            let now = to_usize(len - done).min(ZEROS.len());
            self.put_bytes(&ZEROS[..now], offset + done)?;
            done += to_u64(now);
        }
        Ok(())
    }

    /// Writes bytes. In a file that is zero there, long runs of zeros stay holes.
    pub(crate) fn put_bytes(&self, bytes: &[u8], offset: u64) -> Result<(), AssemblyError> {
        let put = |bytes: &[u8], at: u64| {
            self.file.write_all_at(bytes, at).map_err(|error| AssemblyError::output(self.path, error))
        };
        if !self.is_zero {
            return put(bytes, offset);
        }
        for (range, _) in zero_runs::cut(bytes, offset).filter(|(_, is_zero)| !is_zero) {
            let at = offset + to_u64(range.start);
            put(&bytes[range], at)?;
        }
        Ok(())
    }

    /// Whether to search files for zeros. Not if blocks are shared with the source, because these need no space.
    pub(crate) fn looks_for_zeros(&self) -> bool {
        self.is_zero && !self.shares_blocks
    }
}

/// The remaining chunks, and the error so far.
struct List<'i>(Mutex<State<'i>>);

struct State<'i> {
    chunks: Chunks<'i>,
    /// By the number of the chunk.
    failed: FirstError,
}

impl<'i> List<'i> {
    fn state(&self) -> MutexGuard<'_, State<'i>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `chunk` the next one to do; false when there is none, or an error.
    fn take(&self, chunk: &mut Chunk) -> bool {
        let mut state = self.state();
        if state.failed.is_set() {
            return false;
        }
        match state.chunks.next(chunk) {
            Ok(more) => more,
            Err(error) => {
                // All lower chunks are already taken.
                let number = state.chunks.number();
                state.failed.add(number, error.into());
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
