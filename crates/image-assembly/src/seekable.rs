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
        let mut bytes = Vec::new();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::data;

    /// The lengths in the table at the end of a file: compressed and decompressed.
    fn table(file: &[u8]) -> Vec<(u32, u32)> {
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let footer = file.len() - 9;
        assert_eq!((number(footer + 5), file[footer + 4]), (MAGIC, 0));
        let count = usize::try_from(number(footer)).unwrap();
        let start = footer - count * 8;
        assert_eq!((number(start - 8), number(start - 4)), (SKIPPABLE, number(footer) * 8 + 9));
        (0..count).map(|index| (number(start + index * 8), number(start + index * 8 + 4))).collect()
    }

    #[test]
    fn frames_have_one_length_and_are_in_the_table() {
        let frame = u32::try_from(FRAME).unwrap();
        let whole = [data(0, 1000), vec![0; 2 * FRAME], data(5, 3000)].concat();
        for (len, lens) in [
            (0, &[][..]),
            (1, &[1][..]),
            (FRAME, &[frame]),
            (FRAME + 1, &[frame, 1]),
            (whole.len(), &[frame, frame, 4000]),
        ] {
            let bytes = &whole[..len];
            let mut seekable = Seekable::new(Vec::new(), 1, NonZeroUsize::new(2).unwrap());
            bytes.chunks(1_000_000).for_each(|part| seekable.write_all(part).unwrap());
            let file = seekable.finish().unwrap();
            assert!(zstd::decode_all(&*file).unwrap() == bytes, "{len}");
            let found = table(&file);
            assert_eq!(found.iter().map(|frame| frame.1).collect::<Vec<_>>(), lens, "{len}");
            let mut at = 0;
            for (compressed, decompressed) in found {
                let end = at + usize::try_from(compressed).unwrap();
                let frame = zstd::decode_all(&file[at..end]).unwrap();
                assert_eq!(frame.len(), usize::try_from(decompressed).unwrap());
                at = end;
            }
        }
    }

    #[test]
    fn as_many_frames_as_threads_are_collected() {
        let mut seekable = Seekable::new(Vec::new(), 1, NonZeroUsize::new(2).unwrap());
        let frame = vec![0; FRAME];
        for (expected, is_written) in [(1, false), (2, false), (1, true), (2, true)] {
            seekable.write_all(&frame).unwrap();
            assert_eq!((seekable.batch.len(), !seekable.writer.is_empty()), (expected, is_written));
        }
    }

    #[test]
    fn a_frame_that_is_too_long_for_the_table_is_an_error() {
        let mut table = SeekTable::default();
        assert!(table.add(usize::MAX, 1).is_err() && table.add(1, 1 << 32).is_err());
        assert!(table.add(7, usize::try_from(u32::MAX).unwrap()).is_ok());
        assert_eq!(table.frames, [(7, u32::MAX)]);
    }
}
