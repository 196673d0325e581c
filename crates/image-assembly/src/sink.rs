//! The way out of a stream: plain or through zstd, counted and hashed as the system takes it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

use crate::seekable::Seekable;
use crate::threads::startable_threads;
use crate::{to_u64, to_usize};

/// Zeros to write, however many are needed.
pub(crate) static ZEROS: [u8; 128 << 10] = [0; 128 << 10];

/// How much is collected for one write; a chunk, being longer, passes by.
const BUFFER: usize = 1 << 20;

/// Where a stream ends.
pub(crate) enum Sink {
    Plain(BufWriter<Tally>),
    Zstd(Box<Encoder<'static, BufWriter<Tally>>>),
    Seekable(Seekable<BufWriter<Tally>>),
}

/// Counts, and hashes where that is wanted, what went into a file.
pub(crate) struct Tally {
    file: File,
    pub(crate) bytes: u64,
    hash: Option<Sha256>,
}

impl Sink {
    /// Plain bytes.
    pub(crate) fn plain(tally: Tally) -> Self {
        Self::Plain(BufWriter::with_capacity(BUFFER, tally))
    }

    /// zstd frames with a table of them.
    pub(crate) fn seekable(tally: Tally, level: i32, threads: NonZeroUsize) -> Self {
        Self::Seekable(Seekable::new(BufWriter::with_capacity(BUFFER, tally), level, threads))
    }

    /// One zstd frame with the length of its contents and a checksum. Any number of workers of at least 1 gives the same
    /// bytes. None at all gives others: zstd then does not cut its input into jobs.
    pub(crate) fn zstd(tally: Tally, level: i32, len: u64, workers: usize) -> io::Result<Self> {
        let mut encoder = Encoder::new(BufWriter::with_capacity(BUFFER, tally), level)?;
        encoder.multithread(u32::try_from(workers).unwrap_or(u32::MAX))?;
        if level <= SHORT_JOBS && workers > 0 {
            encoder.set_parameter(CParameter::JobSize(JOB))?;
        }
        encoder.include_checksum(true)?;
        encoder.include_contentsize(true)?;
        encoder.set_pledged_src_size(Some(len))?;
        Ok(Self::Zstd(Box::new(encoder)))
    }

    /// Ends the frame and writes what is left.
    pub(crate) fn finish(self) -> io::Result<Tally> {
        let writer = match self {
            Self::Plain(writer) => writer,
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Seekable(seekable) => seekable.finish()?,
        };
        writer.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// How many workers zstd can have: as many as are asked for, if they can be started.
pub(crate) fn workers(threads: NonZeroUsize) -> usize {
    startable_threads(threads.get().min(MOST_WORKERS))
}

/// Each worker has its own input and tables: past this they cost memory and save no time.
const MOST_WORKERS: usize = 64;

/// The highest level with a window of at most 2 MiB (zstd's `clevels.h`); above it memory is not what one asks for.
const SHORT_JOBS: i32 = 8;

/// What a worker compresses at once, in \[bytes\]: three quarters of zstd's own choice, as each is in memory several
/// times, and shorter ones take longer in all.
const JOB: u32 = 6 << 20;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(writer) => writer.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Seekable(seekable) => seekable.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Seekable(seekable) => seekable.flush(),
        }
    }
}

impl Tally {
    pub(crate) fn new(file: File, digest: bool) -> Self {
        Self { file, bytes: 0, hash: digest.then(Sha256::new) }
    }

    /// The hash of all bytes, if it was wanted.
    pub(crate) fn sha256(self) -> Option<[u8; 32]> {
        self.hash.map(|hash| hash.finalize().into())
    }
}

impl Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.bytes += to_u64(taken);
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes[..taken]);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The hash of a file's first `len` bytes, read back.
pub(crate) fn read_back(file: &File, len: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < len {
        let bytes = &mut buffer[..to_usize(len - at).min(BUFFER)];
        file.read_exact_at(bytes, at)?;
        hash.update(&*bytes);
        at += to_u64(bytes.len());
    }
    Ok(hash.finalize().into())
}
