//! Outputs of a stream: plain or compressed, with its number of bytes and its hash.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use image_tree::PackedFormat;
#[cfg(feature = "sha256")]
use sha2::{Digest, Sha256};
#[cfg(feature = "zstd")]
use zstd::stream::write::Encoder;

use crate::blocks::Blocks;
#[cfg(feature = "gzip")]
use crate::gzip::Gzip;
#[cfg(any(feature = "gzip", feature = "xz", feature = "zstd"))]
use crate::options::Compression;
#[cfg(feature = "zstd")]
use crate::options::Framing;
use crate::options::Options;
use crate::packed::Packed;
#[cfg(feature = "zstd")]
use crate::seekable::Seekable;
#[cfg(feature = "xz")]
use crate::xz::Xz;
use crate::{to_u64, to_usize};

/// Zeros to write.
pub(crate) static ZEROS: [u8; 128 << 10] = [0; 128 << 10];

/// Size of the output buffer in \[bytes\].
pub(crate) const BUFFER: usize = 1 << 20;

/// The output of a stream.
pub(crate) enum Sink<'w> {
    Plain(BufWriter<Tally<'w>>),
    Packed(Box<Blocks<BufWriter<Tally<'w>>, Packed>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<Encoder<'static, BufWriter<Tally<'w>>>>),
    #[cfg(feature = "zstd")]
    Seekable(Seekable<BufWriter<Tally<'w>>>),
    #[cfg(feature = "gzip")]
    Gzip(Blocks<BufWriter<Tally<'w>>, Gzip>),
    #[cfg(feature = "xz")]
    Xz(Blocks<BufWriter<Tally<'w>>, Xz>),
}

/// Counts and optionally hashes the bytes of an output.
pub(crate) struct Tally<'w> {
    output: &'w mut dyn Write,
    pub(crate) bytes: u64,
    #[cfg(feature = "sha256")]
    hash: Option<Sha256>,
}

impl<'w> Sink<'w> {
    /// Creates the sink for an image of `len` \[bytes\], or for one in a container with compressed blocks. Also returns whether
    /// zstd has no workers.
    #[cfg_attr(
        not(feature = "zstd"),
        expect(unused_variables, reason = "only zstd wants to know the length")
    )]
    pub(crate) fn new(
        tally: Tally<'w>,
        options: &Options,
        packed: Option<&Arc<dyn PackedFormat>>,
        len: u64,
    ) -> io::Result<(Self, bool)> {
        let writer = BufWriter::with_capacity(BUFFER, tally);
        if let Some(format) = packed {
            let blocks = Blocks::new(writer, Arc::clone(format), options.threads)?;
            return Ok((Self::Packed(Box::new(blocks)), false));
        }
        let Some(compression) = options.compression else { return Ok((Self::Plain(writer), false)) };
        match compression {
            #[cfg(feature = "gzip")]
            Compression::Gzip { level } => {
                Ok((Self::Gzip(Blocks::new(writer, level.clamp(1, 9), options.threads)?), false))
            }
            #[cfg(feature = "xz")]
            Compression::Xz { level } => {
                Ok((Self::Xz(Blocks::new(writer, level.min(9), options.threads)?), false))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd { level, framing: Framing::Seekable } => {
                Ok((Self::Seekable(Seekable::new(writer, level, options.threads)), false))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd { level, framing: Framing::Single } => {
                let workers = frame::workers(options.threads);
                Ok((Self::Zstd(Box::new(frame::encoder(writer, level, len, workers)?)), workers == 0))
            }
            #[cfg(all(feature = "zstd", feature = "sha256"))]
            Compression::Zstd { framing: Framing::Units { .. }, .. } => {
                unreachable!("invariant: frames of units are written by `frames::write`")
            }
        }
    }

    /// Writes `len` zeros.
    pub(crate) fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        if let Self::Packed(blocks) = self {
            return blocks.write_zeros(len);
        }
        let mut left = len;
        while left > 0 {
            let now = to_usize(left).min(ZEROS.len());
            self.write_all(&ZEROS[..now])?;
            left -= to_u64(now);
        }
        Ok(())
    }

    /// Writes the rest, and ends the compressed format. Also returns the bytes that must replace the first ones of the output.
    pub(crate) fn finish(self) -> io::Result<(Tally<'w>, Vec<u8>)> {
        let mut start = Vec::new();
        let writer = match self {
            Self::Plain(writer) => writer,
            Self::Packed(blocks) => {
                let (writer, ending) = blocks.finish()?;
                start = ending;
                writer
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.finish()?,
            #[cfg(feature = "zstd")]
            Self::Seekable(seekable) => seekable.finish()?,
            #[cfg(feature = "gzip")]
            Self::Gzip(blocks) => blocks.finish()?.0,
            #[cfg(feature = "xz")]
            Self::Xz(blocks) => blocks.finish()?.0,
        };
        let mut tally = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        tally.flush()?;
        Ok((tally, start))
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(writer) => writer.write(bytes),
            Self::Packed(blocks) => blocks.write(bytes),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.write(bytes),
            #[cfg(feature = "zstd")]
            Self::Seekable(seekable) => seekable.write(bytes),
            #[cfg(feature = "gzip")]
            Self::Gzip(blocks) => blocks.write(bytes),
            #[cfg(feature = "xz")]
            Self::Xz(blocks) => blocks.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.flush(),
            Self::Packed(blocks) => blocks.flush(),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.flush(),
            #[cfg(feature = "zstd")]
            Self::Seekable(seekable) => seekable.flush(),
            #[cfg(feature = "gzip")]
            Self::Gzip(blocks) => blocks.flush(),
            #[cfg(feature = "xz")]
            Self::Xz(blocks) => blocks.flush(),
        }
    }
}

impl<'w> Tally<'w> {
    #[cfg_attr(
        not(feature = "sha256"),
        expect(unused_variables, reason = "nothing is hashed without sha256")
    )]
    pub(crate) fn new(output: &'w mut dyn Write, is_hashed: bool) -> Self {
        Self {
            output,
            bytes: 0,
            #[cfg(feature = "sha256")]
            hash: is_hashed.then(Sha256::new),
        }
    }

    /// Whether the bytes are hashed.
    #[cfg(all(feature = "zstd", feature = "sha256"))]
    pub(crate) fn is_hashed(&self) -> bool {
        self.hash.is_some()
    }

    /// The hash of all bytes, if enabled.
    #[cfg_attr(
        not(feature = "sha256"),
        expect(clippy::unused_self, reason = "nothing is hashed without sha256")
    )]
    pub(crate) fn sha256(self) -> Option<[u8; 32]> {
        #[cfg(feature = "sha256")]
        let hash = self.hash.map(|hash| hash.finalize().into());
        #[cfg(not(feature = "sha256"))]
        let hash = None;
        hash
    }
}

/// Marks an error of the output, so that it is not taken for one of the compressor.
#[derive(Debug)]
pub(crate) struct OutputError(pub(crate) io::Error);

impl OutputError {
    /// Marks an error, which keeps its kind.
    fn mark(error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Self(error))
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for OutputError {}

impl Write for Tally<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.output.write(bytes).map_err(OutputError::mark)?;
        if taken > bytes.len() {
            let what = "the writer says that it took more bytes than it was given";
            return Err(OutputError::mark(io::Error::other(what)));
        }
        self.bytes += to_u64(taken);
        #[cfg(feature = "sha256")]
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes[..taken]);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush().map_err(OutputError::mark)
    }
}

/// One zstd frame.
#[cfg(feature = "zstd")]
mod frame {
    use std::io::{self, Write};
    use std::num::NonZeroUsize;

    use image_tree::{narrow, to_u64};
    use zstd::stream::raw::CParameter;
    use zstd::stream::write::Encoder;

    use crate::threads::startable_threads;

    /// Maximum number of workers. Each has its own input and tables; more of them need memory without saving time.
    const MOST_WORKERS: usize = 64;

    /// The highest level with a window of at most 2 MiB (zstd's `clevels.h`). Higher levels need much memory anyway.
    const SHORT_JOBS: i32 = 8;

    /// Length of a job in \[bytes\]: three quarters of zstd's default. Each job is in memory several times, and shorter jobs take
    /// longer in total.
    const JOB: u32 = 6 << 20;

    /// The number of workers: as requested, if that many threads can be started.
    pub(super) fn workers(threads: NonZeroUsize) -> usize {
        startable_threads(threads.get().min(MOST_WORKERS))
    }

    /// Creates an encoder of one frame with the length of its contents and a checksum. The bytes are the same for any number of
    /// workers from 1. Without workers they differ, because zstd does not divide its input into jobs.
    pub(super) fn encoder<W: Write>(
        writer: W,
        level: i32,
        len: u64,
        workers: usize,
    ) -> io::Result<Encoder<'static, W>> {
        let mut encoder = Encoder::new(writer, level)?;
        encoder.multithread(narrow(to_u64(workers), "there are at most `MOST_WORKERS`"))?;
        if level <= SHORT_JOBS {
            encoder.set_parameter(CParameter::JobSize(JOB))?;
        }
        encoder.include_checksum(true)?;
        encoder.include_contentsize(true)?;
        encoder.set_pledged_src_size(Some(len))?;
        Ok(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::data;

    /// Takes at most ten bytes at a time, or claims to have taken more.
    #[derive(Default)]
    struct Output {
        bytes: Vec<u8>,
        claims: usize,
        flushed: usize,
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(10);
            self.bytes.extend_from_slice(&bytes[..taken]);
            Ok(taken + self.claims)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushed += 1;
            Ok(())
        }
    }

    #[test]
    fn what_an_output_took_is_counted_and_hashed() {
        let mut output = Output::default();
        let mut tally = Tally::new(&mut output, true);
        let bytes = data(0, 25);
        assert_eq!(tally.write(&bytes).unwrap(), 10);
        assert_eq!(tally.bytes, 10);
        tally.write_all(&bytes[10..]).unwrap();
        assert_eq!(tally.write(&[]).unwrap(), 0);
        tally.flush().unwrap();
        assert_eq!(tally.bytes, 25);
        #[cfg(feature = "sha256")]
        assert_eq!(tally.sha256(), Some(Sha256::digest(&bytes).into()));
        assert_eq!((output.bytes, output.flushed), (bytes, 1));
        let mut output = Output::default();
        assert_eq!(Tally::new(&mut output, false).sha256(), None);
    }

    #[test]
    fn an_output_can_not_take_more_than_it_is_given() {
        for (claims, len, is_error) in [(0, 10, false), (1, 9, true), (1, 11, false)] {
            let mut output = Output { claims, ..Output::default() };
            let result = Tally::new(&mut output, false).write(&data(0, len));
            assert_eq!(result.is_err(), is_error, "{claims} more than {len}");
        }
    }

    #[test]
    fn a_flush_reaches_the_output() {
        #[cfg(feature = "zstd")]
        let seekable = Some(Compression::Zstd { level: 1, framing: Framing::Seekable });
        #[cfg(not(feature = "zstd"))]
        let seekable = None;
        for compression in [None, seekable] {
            let mut output = Output::default();
            let options = Options { compression, ..Options::default() };
            let tally = Tally::new(&mut output, false);
            Sink::new(tally, &options, None, 0).unwrap().0.flush().unwrap();
            assert_eq!(output.flushed, 1, "{compression:?}");
        }
    }

    #[test]
    fn an_error_of_the_output_keeps_its_text() {
        assert_eq!(OutputError(io::Error::other("disk on fire")).to_string(), "disk on fire");
    }

    #[test]
    fn a_plain_sink_takes_bytes_and_any_number_of_zeros() {
        let mut output = Vec::new();
        let mut expected = Vec::new();
        let (mut sink, without_workers) =
            Sink::new(Tally::new(&mut output, false), &Options::default(), None, 0).unwrap();
        assert!(!without_workers);
        for len in [0, 1, ZEROS.len(), ZEROS.len() + 1, 3 * ZEROS.len() - 5] {
            let bytes = data(to_u64(len), 7);
            sink.write_all(&bytes).unwrap();
            sink.write_zeros(to_u64(len)).unwrap();
            expected.extend(bytes);
            expected.resize(expected.len() + len, 0);
        }
        let (tally, start) = sink.finish().unwrap();
        assert_eq!((tally.bytes, start.len()), (to_u64(expected.len()), 0));
        assert!(output == expected);
    }

    /// Shorter jobs than zstd's, up to the levels for which that makes a difference in memory.
    #[cfg(feature = "zstd")]
    #[test]
    fn jobs_of_zstd_have_six_mebibytes_at_lower_levels() {
        use zstd::stream::raw::CParameter;
        let bytes = data(0, 17 << 20);
        let encode = |mut encoder: Encoder<'static, Vec<u8>>| {
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        };
        for (level, workers, job) in
            [(1, 1, Some(6 << 20)), (8, 2, Some(6 << 20)), (9, 1, None), (1, 0, None)]
        {
            let mut expected = Encoder::new(Vec::new(), level).unwrap();
            expected.multithread(workers).unwrap();
            if let Some(job) = job {
                expected.set_parameter(CParameter::JobSize(job)).unwrap();
            }
            expected.include_checksum(true).unwrap();
            expected.set_pledged_src_size(Some(to_u64(bytes.len()))).unwrap();
            let workers = usize::try_from(workers).unwrap();
            let encoder = frame::encoder(Vec::new(), level, to_u64(bytes.len()), workers).unwrap();
            assert!(encode(encoder) == encode(expected), "level {level}, {workers} workers");
        }
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn zstd_has_as_many_workers_as_threads_up_to_a_limit() {
        for (threads, workers) in [(1, 1), (3, 3), (64, 64), (1000, 64)] {
            assert_eq!(frame::workers(std::num::NonZeroUsize::new(threads).unwrap()), workers);
        }
    }
}
