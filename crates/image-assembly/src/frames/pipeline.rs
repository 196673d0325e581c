//! Threads read and compress frames, or find them compressed; one writes them in order.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use image_tree::{Content, Piece};
use reader_threads::Member;

use super::compress::{FrameCompressor, pad};
use super::key::FrameKey;
use super::list::{Frame, Frames};
use super::order::Order;
use super::{FrameSource, FrameStore, StoredFrame};
use crate::error::AssemblyError;
use crate::fill::Filler;
use crate::kernel_copy::kernel_copy;
use crate::observer::Observer;
use crate::seekable::SeekTable;
use crate::sink::{BUFFER, Tally};
use crate::stream::{OnDrop, show, show_zeros};
use crate::writer::Job;
use crate::{to_u64, to_usize};

/// Frames that are done and wait to be written, besides one of each thread.
const SPARE: usize = 2;

/// How many more threads there may be while they wait for a disk. Each has a frame in memory.
const MOST_EXTRA: usize = 6;

/// How an image is written as frames.
#[derive(Clone, Copy)]
pub(crate) struct FrameJob<'a> {
    pub(crate) level: i32,
    /// Whether a table of the frames follows them.
    pub(crate) seekable: bool,
    pub(crate) source: &'a dyn FrameSource,
    pub(crate) store: Option<&'a dyn FrameStore>,
}

/// The output of frames.
pub(crate) struct FrameOutput<'o, 'w> {
    pub(crate) tally: &'o mut Tally<'w>,
    /// The output, if it is a regular file that begins with the image.
    pub(crate) file: Option<&'o File>,
    /// Makes an error of what the output says.
    pub(crate) failed: &'o dyn Fn(io::Error) -> AssemblyError,
}

/// A frame to write.
#[derive(Debug)]
pub(super) struct Done {
    /// Its length in the image, in \[bytes\].
    len: u64,
    compressed: Compressed,
    /// Its bytes in the image, if they are needed: none if all are zeros.
    contents: Option<Contents>,
}

/// The first bytes of a buffer, and the pieces that they are. Empty if all are zeros.
#[derive(Debug)]
struct Contents {
    buffer: Vec<u8>,
    len: usize,
    pieces: Vec<Piece>,
}

impl Done {
    /// A frame without contents, for tests.
    #[cfg(test)]
    pub(super) fn of(len: u64, is_stored: bool) -> Self {
        let stored = || StoredFrame { file: tempfile::tempfile().expect("there is room"), frame: 0, len: 0 };
        let new = Compressed::New { bytes: Vec::new(), frame: 0 };
        Self { len, compressed: if is_stored { Compressed::Stored(stored()) } else { new }, contents: None }
    }

    /// Its length in the image, in \[bytes\].
    #[cfg(test)]
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether it takes no memory.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self.compressed, Compressed::Stored(_)) && self.contents.is_none()
    }
}

#[derive(Debug)]
enum Compressed {
    /// A frame of `frame` bytes, and what fills its last block.
    New {
        bytes: Vec<u8>,
        frame: usize,
    },
    Stored(StoredFrame),
}

/// Writes the whole image, and shows it in order.
pub(crate) fn write(
    job: &Job<'_>,
    frames: FrameJob<'_>,
    output: FrameOutput<'_, '_>,
    observer: Option<&mut dyn Observer>,
) -> Result<(), AssemblyError> {
    let workers = job.options.threads.get();
    let order = Order::new(Frames::of(job.image, frames.source), workers, to_u64(workers + SPARE));
    let shows = observer.is_some();
    let table = frames.seekable.then(SeekTable::default);
    let mut writer = FrameWriter { job, order: &order, output, observer, table, buffer: Vec::new() };
    let work = |member: &mut Member<'_>| {
        let is_extra = member.is_extra();
        if is_extra {
            order.join();
        }
        let _leave = OnDrop(|| order.leave(is_extra));
        let mut worker = Worker::new(job, frames, &order, shows);
        while !member.is_spare() && worker.step(member) {}
    };
    let readers = job.options.readers.get().min(workers + MOST_EXTRA);
    reader_threads::run_beside(workers, readers, &work, |started, member| {
        let _stop = OnDrop(|| order.stop());
        // Fewer threads write the same bytes.
        (started..workers).for_each(|_| order.leave(false));
        if started == 0 {
            let mut worker = Worker::new(job, frames, &order, shows);
            while worker.step(member) {
                if let Some(done) = order.next_if_done()? {
                    writer.put(done)?;
                }
            }
        }
        while let Some(done) = order.next()? {
            writer.put(done)?;
        }
        writer.finish()
    })
}

/// One thread that makes frames.
struct Worker<'w, 'i> {
    frames: FrameJob<'w>,
    order: &'w Order<'i>,
    /// Whether the contents are needed even of frames that are stored.
    shows: bool,
    filler: Filler<'w>,
    compressor: Option<FrameCompressor>,
    frame: Frame,
    /// At least as long as the frame after [`Self::fill`].
    buffer: Vec<u8>,
}

impl<'w, 'i> Worker<'w, 'i> {
    fn new(job: &Job<'w>, frames: FrameJob<'w>, order: &'w Order<'i>, shows: bool) -> Self {
        let filler = Filler::new(job.image, job.contents);
        Self { frames, order, shows, filler, compressor: None, frame: Frame::default(), buffer: Vec::new() }
    }

    /// Makes the next frame; false after the last one.
    fn step(&mut self, member: &mut Member<'_>) -> bool {
        if !self.order.take(&mut self.frame) {
            return false;
        }
        let done = self.make(member);
        self.order.put(self.frame.number, done);
        true
    }

    fn make(&mut self, member: &mut Member<'_>) -> Result<Done, AssemblyError> {
        let FrameJob { level, source, store, .. } = self.frames;
        let is_zero = self.frame.is_zero();
        let mut key = store.and_then(|_| FrameKey::of_pieces(&self.frame, level, source));
        let mut is_filled = false;
        if !is_zero && (self.shows || store.is_none() || key.is_none()) {
            self.fill(member)?;
            is_filled = true;
        }
        if key.is_none() && store.is_some() {
            key = Some(FrameKey::of_bytes(self.contents(), level));
        }
        let stored = store.zip(key).and_then(|(store, key)| store.get(&key));
        let compressed = if let Some(stored) = stored {
            Compressed::Stored(stored)
        } else {
            if !is_zero && !is_filled {
                self.fill(member)?;
            }
            let new = self.compress(is_zero).map_err(AssemblyError::Compressor)?;
            if let (Some((store, key)), Compressed::New { bytes, frame }) = (store.zip(key), &new) {
                store.put(&key, to_u64(*frame), bytes);
            }
            new
        };
        let contents = self.shows.then(|| Contents {
            buffer: if is_zero { Vec::new() } else { std::mem::take(&mut self.buffer) },
            len: if is_zero { 0 } else { to_usize(self.frame.len) },
            pieces: std::mem::take(&mut self.frame.pieces),
        });
        Ok(Done { len: self.frame.len, compressed, contents })
    }

    /// Reads and makes the contents of the frame.
    fn fill(&mut self, member: &mut Member<'_>) -> Result<(), AssemblyError> {
        let len = to_usize(self.frame.len);
        if self.buffer.is_empty() {
            self.buffer = self.order.contents_buffer();
        }
        if self.buffer.len() < len {
            self.buffer = vec![0; len.max(to_usize(super::cut::FRAME))];
        }
        self.filler.fill_pieces(&self.frame.pieces, &mut self.buffer[..len], member)
    }

    /// The contents of the frame, after [`Self::fill`].
    fn contents(&self) -> &[u8] {
        &self.buffer[..to_usize(self.frame.len)]
    }

    fn compress(&mut self, is_zero: bool) -> io::Result<Compressed> {
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(FrameCompressor::new(self.frames.level)?),
        };
        let mut bytes = self.order.frame_buffer();
        if is_zero {
            compressor.zeros(self.frame.len, &mut bytes)?;
        } else {
            compressor.bytes(&self.buffer[..to_usize(self.frame.len)], &mut bytes)?;
        }
        let frame = bytes.len();
        pad(&mut bytes);
        Ok(Compressed::New { bytes, frame })
    }
}

/// Takes frames in the order of the image.
struct FrameWriter<'w, 'i, 'o, 't, 'v> {
    job: &'w Job<'i>,
    order: &'w Order<'i>,
    output: FrameOutput<'o, 't>,
    observer: Option<&'v mut dyn Observer>,
    table: Option<SeekTable>,
    buffer: Vec<u8>,
}

impl FrameWriter<'_, '_, '_, '_, '_> {
    fn put(&mut self, done: Done) -> Result<(), AssemblyError> {
        let Done { len, compressed, contents } = done;
        if let (Some(contents), Some(observer)) = (contents, &mut self.observer) {
            let bytes = &contents.buffer[..contents.len];
            if bytes.is_empty() {
                for piece in &contents.pieces {
                    if let Content::FileZeros { file } = piece.content {
                        show_zeros(file, piece.len, *observer);
                    }
                }
                observer.zeros(len);
            } else {
                show(&contents.pieces, bytes, *observer);
                observer.bytes(bytes);
            }
            self.order.reuse_contents(contents.buffer);
        }
        match compressed {
            Compressed::New { bytes, frame } => {
                self.output.tally.write_all(&bytes).map_err(self.output.failed)?;
                self.list(frame, bytes.len(), len)?;
                self.order.reuse_frame(bytes);
            }
            Compressed::Stored(stored) => {
                self.put_stored(&stored)?;
                self.list(to_usize(stored.frame), to_usize(stored.len), len)?;
            }
        }
        (self.job.progress)(len);
        Ok(())
    }

    /// Copies a stored frame, within the kernel where it can.
    fn put_stored(&mut self, stored: &StoredFrame) -> Result<(), AssemblyError> {
        let mut done = 0;
        if let (Some(file), false) = (self.output.file, self.output.tally.is_hashed()) {
            let at = self.output.tally.bytes;
            let copied = kernel_copy((stored.file.as_fd(), 0), (file.as_fd(), at), stored.len);
            done = copied.map_err(self.output.failed)?;
            let mut cursor = file;
            cursor.seek(SeekFrom::Start(at + done)).map_err(self.output.failed)?;
            self.output.tally.bytes += done;
        }
        while done < stored.len {
            self.buffer.resize(BUFFER, 0);
            let now = to_usize(stored.len - done).min(BUFFER);
            let bytes = &mut self.buffer[..now];
            stored.file.read_exact_at(bytes, done).map_err(AssemblyError::StoredFrame)?;
            self.output.tally.write_all(bytes).map_err(self.output.failed)?;
            done += to_u64(now);
        }
        Ok(())
    }

    fn list(&mut self, frame: usize, padded: usize, len: u64) -> Result<(), AssemblyError> {
        let Some(table) = &mut self.table else { return Ok(()) };
        table.add(frame, to_usize(len)).map_err(self.output.failed)?;
        if padded > frame {
            table.add(padded - frame, 0).map_err(self.output.failed)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), AssemblyError> {
        let Some(table) = self.table else { return Ok(()) };
        let bytes = table.bytes().map_err(self.output.failed)?;
        self.output.tally.write_all(&bytes).map_err(self.output.failed)
    }
}
