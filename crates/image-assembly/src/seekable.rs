//! zstd in frames of a fixed length with a seek table at the end, so that parts can be read without the rest
//! (`contrib/seekable_format/zstd_seekable_compression_format.md` of zstd). Any zstd can decompress it, because the table is a
//! frame that decompressors skip.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::thread;

use crate::to_u64;

/// Length of a frame in \[bytes\], decompressed. To read any part, at least one frame must be decompressed.
const FRAME: usize = 4 << 20;
/// `ZSTD_MAGIC_SKIPPABLE_START` plus the number that the format uses.
const SKIPPABLE: u32 = 0x184d_2a5e;
/// The last bytes of a file with a seek table.
const MAGIC: u32 = 0x8f92_eab1;

/// Compresses the bytes that are written to it.
pub(crate) struct Seekable<W> {
    writer: W,
    level: i32,
    /// Frames that are collected, then compressed at the same time, each by its own thread.
    batch: Vec<Vec<u8>>,
    threads: usize,
    table: SeekTable,
}

/// The table of frames.
#[derive(Debug, Default)]
pub(crate) struct SeekTable {
    /// Compressed and decompressed lengths.
    frames: Vec<(u32, u32)>,
}

impl SeekTable {
    /// Adds a frame; a skippable frame has nothing decompressed.
    pub(crate) fn add(&mut self, compressed: usize, decompressed: usize) -> io::Result<()> {
        self.frames.push((narrow(compressed)?, narrow(decompressed)?));
        Ok(())
    }

    /// The table, as a skippable frame.
    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.frames.len() * 8 + 17);
        bytes.extend(SKIPPABLE.to_le_bytes());
        bytes.extend(narrow(self.frames.len() * 8 + 9)?.to_le_bytes());
        for (compressed, decompressed) in &self.frames {
            bytes.extend(compressed.to_le_bytes());
            bytes.extend(decompressed.to_le_bytes());
        }
        bytes.extend(narrow(self.frames.len())?.to_le_bytes());
        // No checksums in the table: each frame has its own.
        bytes.push(0);
        bytes.extend(MAGIC.to_le_bytes());
        Ok(bytes)
    }
}

impl<W: Write> Seekable<W> {
    pub(crate) fn new(writer: W, level: i32, threads: NonZeroUsize) -> Self {
        Self { writer, level, batch: Vec::new(), threads: threads.get(), table: SeekTable::default() }
    }

    fn compress_batch(&mut self) -> io::Result<()> {
        let level = self.level;
        let frames: Vec<io::Result<Vec<u8>>> = thread::scope(|scope| {
            // If a thread can't be started, this one compresses the frame, to the same bytes.
            let start = |frame| thread::Builder::new().spawn_scoped(scope, move || compress(frame, level));
            let threads: Vec<_> = self.batch.iter().map(|frame| (frame, start(frame))).collect();
            let lost = || Err(io::Error::other("a thread that compressed was lost"));
            let frame =
                |(frame, started): (&Vec<u8>, io::Result<thread::ScopedJoinHandle<'_, _>>)| match started {
                    Ok(thread) => thread.join().unwrap_or_else(|_| lost()),
                    Err(_) => compress(frame, level),
                };
            threads.into_iter().map(frame).collect()
        });
        for (frame, compressed) in self.batch.drain(..).zip(frames) {
            let compressed = compressed?;
            self.writer.write_all(&compressed)?;
            self.table.add(compressed.len(), frame.len())?;
        }
        Ok(())
    }

    /// Writes the remaining frames and the seek table.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.compress_batch()?;
        let bytes = self.table.bytes()?;
        self.writer.write_all(&bytes)?;
        Ok(self.writer)
    }
}

fn compress(frame: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(to_u64(frame.len())))?;
    encoder.write_all(frame)?;
    encoder.finish()
}

fn narrow(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| io::Error::other("too long for a table of frames"))
}

impl<W: Write> Write for Seekable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.batch.last().is_none_or(|frame| frame.len() == FRAME) {
            if self.batch.len() == self.threads {
                self.compress_batch()?;
            }
            self.batch.push(Vec::with_capacity(FRAME));
        }
        let Some(frame) = self.batch.last_mut() else { return Ok(0) };
        let taken = bytes.len().min(FRAME - frame.len());
        frame.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
