//! Writes bytes in order. Several threads read ahead, and one takes their chunks in the order of the image. It writes them to a
//! stream. If the readers have written them already, it only passes them to the observers.

use std::io::Write;

use image_tree::{Content, FileRef, Piece};
use reader_threads::Member;

use crate::chunks::{Chunk, Chunks, Kind};
use crate::error::AssemblyError;
use crate::fill::Filler;
use crate::observer::Observer;
use crate::positioned::Positioned;
use crate::ring::{Filled, Ring};
use crate::sink::{Sink, ZEROS};
use crate::writer::Job;
use crate::{to_u64, to_usize};

/// Maximum number of reading threads, unless they wait for a disk. More of them don't make the writer faster.
const MOST_THREADS: usize = 6;

/// Number of buffers besides those that are being filled: one that is being written, and one that is ready.
const SPARE_BUFFERS: usize = 2;

/// The output of a write in order.
pub(crate) enum Output<'o, 'w> {
    /// A sink, in order. The function converts errors of the sink.
    Sink(&'o mut Sink<'w>, &'o dyn Fn(std::io::Error) -> AssemblyError),
    /// A file or device, at any offset from all threads.
    Placed(&'o Positioned<'o>),
}

/// Writes the whole image, and passes its bytes to the observer in order.
pub(crate) fn write(
    job: &Job<'_>,
    output: Output<'_, '_>,
    observer: &mut dyn Observer,
) -> Result<(), AssemblyError> {
    let placed = if let Output::Placed(output) = output { Some(output) } else { None };
    let threads = job.options.threads.get().min(MOST_THREADS);
    let lone_file = placed.and_then(Positioned::lone_file);
    let ring = Ring::new(Chunks::of(job.image, lone_file), threads, threads + SPARE_BUFFERS);
    let mut writer = OrderedWriter { job, ring: &ring, output, placed, observer, at: 0 };
    let reader = |member: &mut Member<'_>| {
        if member.is_extra() {
            ring.join();
        }
        let is_extra = member.is_extra();
        let _leave = OnDrop(|| if is_extra { ring.leave_with_buffer() } else { ring.leave() });
        read(job, &ring, placed, member);
    };
    reader_threads::run_beside(threads, job.options.readers.get(), &reader, |started, member| {
        // Ends the readers in every case, including errors and panics.
        let _stop = OnDrop(|| ring.stop());
        // Fewer threads read the same image.
        (started..threads).for_each(|_| ring.leave());
        if started == 0 {
            read_and_write(&mut writer, member)?;
        }
        while let Some(made) = ring.next()? {
            writer.put(made)?;
        }
        Ok(())
    })
}

/// Takes chunks in the order of the image.
struct OrderedWriter<'w, 'i, 'o, 's> {
    job: &'w Job<'i>,
    ring: &'w Ring<'i>,
    output: Output<'o, 's>,
    placed: Option<&'o Positioned<'o>>,
    observer: &'w mut dyn Observer,
    /// Offset of the next chunk in \[bytes\].
    at: u64,
}

impl OrderedWriter<'_, '_, '_, '_> {
    fn put(&mut self, made: Filled) -> Result<(), AssemblyError> {
        let len = made.len();
        match made {
            Filled::Bytes { buffer, len, pieces } => {
                show(&pieces, &buffer[..len], self.observer);
                self.observer.bytes(&buffer[..len]);
                if let Output::Sink(sink, refused) = &mut self.output {
                    sink.write_all(&buffer[..len]).map_err(refused)?;
                }
                self.ring.reuse(buffer);
            }
            Filled::Copied { mut buffer, file, len } => {
                if let Some(output) = self.placed {
                    output.read_back(self.at, len, &mut buffer, |bytes| {
                        self.observer.file_bytes(file, bytes);
                        self.observer.bytes(bytes);
                    })?;
                }
                self.ring.reuse(buffer);
            }
            Filled::Zeros { len, of } => {
                if let Some(file) = of {
                    show_zeros(file, len, self.observer);
                }
                self.observer.zeros(len);
                self.job.show_zeros(self.at, len);
                match &mut self.output {
                    Output::Sink(sink, refused) => sink.write_zeros(len).map_err(refused)?,
                    Output::Placed(output) => output.put_zeros(self.at, len)?,
                }
            }
            Filled::Failed(error) => return Err(error),
        }
        self.at += to_u64(len);
        (self.job.progress)(to_u64(len));
        Ok(())
    }
}

/// Fills and writes one chunk after another. For systems where no thread can be started.
fn read_and_write(
    writer: &mut OrderedWriter<'_, '_, '_, '_>,
    member: &mut Member<'_>,
) -> Result<(), AssemblyError> {
    let (job, ring) = (writer.job, writer.ring);
    let mut filler = Filler::new(job.image, job.contents);
    let mut chunk = Chunk::new();
    while let Some(buffer) = ring.take(&mut chunk) {
        let made = make(job, &mut filler, &mut chunk, buffer, writer.placed, member);
        ring.put(chunk.number, made.unwrap_or_else(Filled::Failed));
        while let Some(made) = ring.ready()? {
            writer.put(made)?;
        }
    }
    Ok(())
}

fn read(job: &Job<'_>, ring: &Ring<'_>, placed: Option<&Positioned<'_>>, member: &mut Member<'_>) {
    let mut filler = Filler::new(job.image, job.contents);
    let mut chunk = Chunk::new();
    while !member.is_spare()
        && let Some(buffer) = ring.take(&mut chunk)
    {
        let made = make(job, &mut filler, &mut chunk, buffer, placed, member);
        ring.put(chunk.number, made.unwrap_or_else(Filled::Failed));
    }
}

fn make(
    job: &Job<'_>,
    filler: &mut Filler<'_>,
    chunk: &mut Chunk,
    mut buffer: Vec<u8>,
    placed: Option<&Positioned<'_>>,
    member: &mut Member<'_>,
) -> Result<Filled, AssemblyError> {
    if let (Kind::File { file, from }, Some(output)) = (chunk.kind, placed) {
        filler.copy(chunk, (file, from), output, &mut buffer, member)?;
        output.show_copied(job, chunk, &mut buffer)?;
        return Ok(Filled::Copied { buffer, file, len: chunk.len });
    }
    let bytes = filler.fill(chunk, &mut buffer, member)?;
    job.show_bytes(chunk.offset, bytes);
    placed.map_or(Ok(()), |output| output.put_bytes(bytes, chunk.offset))?;
    let len = bytes.len();
    Ok(Filled::Bytes { buffer, len, pieces: std::mem::take(&mut chunk.pieces) })
}

/// Passes the bytes of files in a chunk to the observer.
pub(crate) fn show(pieces: &[Piece], bytes: &[u8], observer: &mut dyn Observer) {
    let mut rest = bytes;
    for piece in pieces {
        let (here, later) = rest.split_at(to_usize(piece.len));
        if let Content::File { file, .. } = piece.content {
            observer.file_bytes(file, here);
        }
        rest = later;
    }
}

/// Passes `len` zero bytes of a file to the observer.
pub(crate) fn show_zeros(file: FileRef, len: u64, observer: &mut dyn Observer) {
    let mut left = len;
    while left > 0 {
        let now = to_usize(left).min(ZEROS.len());
        observer.file_bytes(file, &ZEROS[..now]);
        left -= to_u64(now);
    }
}

/// Calls a function at the end of a block, also after a panic.
pub(crate) struct OnDrop<F: Fn()>(pub(crate) F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
