//! Reads zstd's seekable format (`contrib/seekable_format` of zstd): frames of known lengths, and a table of them in a
//! skippable frame at the end. The frames used last are cached.
//!
//! The table is read once to check it. Only the start of every [`STEP`]th frame is cache in memory; the others are looked up
//! in the file.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use image_tree::{to_u64, to_usize};

use crate::bytes::{Bytes, Checked};
use crate::compressed::Compression;
use crate::container::{Stream, decompress};
use crate::source::{FileSource, ReadAt};
use crate::{ReadError, Window};

const FOOTER: u64 = 9;
const MAGIC: u32 = 0x8f92_eab1;
const TABLE_MAGIC: u32 = 0x184d_2a5e;
/// Magic and length of a skippable frame in \[bytes\].
const HEAD: u64 = 8;
/// Maximum size of a frame in \[bytes\]. An image with larger ones is decompressed into a file.
const MAX_FRAME: u64 = 64 << 20;
/// Maximum number of frames (`ZSTD_SEEKABLE_MAXFRAMES`). An image with more is decompressed into a file.
const MAX_FRAMES: u64 = 1 << 27;
/// Number of cached frames.
const CACHED: usize = 4;
/// Number of table entries that are read at once.
const STEP: u64 = 1024;
/// Number of image lengths that are decompressed by frames before the image is decompressed into a file.
const PASSES: u64 = 2;
/// Best compression ratio of file system structures.
const BEST_RATIO: u64 = 64;
/// Minimum cost of decompressing a frame in \[bytes\].
const MIN_COST: u64 = 16 << 10;

/// A frame: offset and length in \[bytes\], compressed (`from`, `compressed`) and decompressed (`at`, `length`).
#[derive(Clone, Copy, Debug)]
struct Frame {
    from: u64,
    at: u64,
    compressed: u64,
    length: u64,
}

/// The start of a frame in \[bytes\], compressed (`from`) and decompressed (`at`).
#[derive(Clone, Copy, Debug)]
struct Start {
    from: u64,
    at: u64,
}

impl Start {
    fn frame(self, entry: &[u8]) -> Frame {
        let entry = Bytes(entry);
        let (compressed, length) = (u64::from(entry.le32(0)), u64::from(entry.le32(4)));
        Frame { from: self.from, at: self.at, compressed, length }
    }
}

impl Frame {
    /// The start of the next frame. Can't overflow with less than 2^27 frames of less than 2^32 bytes.
    fn next(self) -> Start {
        Start { from: self.from.saturating_add(self.compressed), at: self.at.saturating_add(self.length) }
    }
}

/// The table of frames in the compressed file.
#[derive(Debug)]
struct Table {
    /// The entries in the file.
    raw: Window,
    /// Length of an entry in \[bytes\].
    entry: u64,
    /// Start of every [`STEP`]th frame.
    starts: Vec<Start>,
    /// End of the last frame.
    end: Start,
}

impl Table {
    /// Reads a table; `None` if a frame is too large.
    fn read(raw: Window, entry: u64) -> io::Result<Option<Self>> {
        let part = entry.saturating_mul(STEP);
        let mut table = Self { raw, entry, starts: Vec::new(), end: Start { from: 0, at: 0 } };
        let mut at = 0;
        while at < table.raw.length() {
            let bytes = table.raw.bytes(at, part.min(table.raw.length().saturating_sub(at)))?;
            table.starts.push(table.end);
            for entry in bytes.chunks_exact(to_usize(entry)) {
                let frame = table.end.frame(entry);
                if frame.length > MAX_FRAME {
                    return Ok(None);
                }
                table.end = frame.next();
            }
            at = at.saturating_add(part);
        }
        Ok(Some(table))
    }

    /// Finds the frame with the byte at `offset`. Of several that start there, the last one, because the others are empty.
    fn find(&self, offset: u64) -> io::Result<Frame> {
        let part = self.starts.partition_point(|start| start.at <= offset).saturating_sub(1);
        let start = self.starts.get(part).copied().ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = self.entry.saturating_mul(STEP);
        let bytes = self.raw.part(length.saturating_mul(to_u64(part)), length);
        let bytes = bytes.bytes(0, bytes.length())?;
        let mut found = None;
        let mut next = start;
        for entry in bytes.chunks_exact(to_usize(self.entry)) {
            if next.at > offset {
                break;
            }
            let frame = next.frame(entry);
            next = frame.next();
            found = Some(frame);
        }
        found.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The decompressed frames used last, each with its offset in \[bytes\].
type Cache = Vec<(u64, Vec<u8>)>;

#[derive(Debug)]
pub(crate) struct Seekable {
    raw: Window,
    table: Table,
    cache: Mutex<Cache>,
    /// Cost of decompression so far in \[bytes\].
    spent: AtomicU64,
    /// The whole image in a file, once decompressing by frames has cost more than that.
    whole: OnceLock<FileSource>,
}

impl Seekable {
    /// Reads the table; `None` if there is no usable one.
    pub(crate) fn open(raw: &Window) -> Result<Option<Self>, ReadError> {
        let failed = |error| ReadError::io("zstd seek table", error);
        let Some(footer_at) = raw.length().checked_sub(FOOTER) else { return Ok(None) };
        let footer = raw.bytes(footer_at, FOOTER).map_err(failed)?;
        let footer = Bytes(&footer);
        let (number, descriptor) = (u64::from(footer.le32(0)), footer.byte(4));
        if footer.le32(5) != MAGIC || descriptor & 0x7c != 0 || number > MAX_FRAMES {
            return Ok(None);
        }
        let entry = if descriptor & 0x80 == 0 { 8_u64 } else { 12 };
        let length = Checked::of(number).times(entry);
        let head_at = length.plus(HEAD).get().and_then(|length| footer_at.checked_sub(length));
        let (Some(length), Some(head_at)) = (length.get(), head_at) else { return Ok(None) };
        let head = raw.bytes(head_at, HEAD).map_err(failed)?;
        if Bytes(&head).le32(0) != TABLE_MAGIC
            || Checked::of(length).plus(FOOTER).get() != Some(Bytes(&head).le32(4).into())
        {
            return Ok(None);
        }
        let entries = raw.part(head_at.saturating_add(HEAD), length);
        let Some(table) = Table::read(entries, entry).map_err(failed)? else { return Ok(None) };
        if table.end.from != head_at {
            return Ok(None);
        }
        Ok(Some(Self {
            raw: raw.clone(),
            table,
            cache: Mutex::default(),
            spent: AtomicU64::new(0),
            whole: OnceLock::new(),
        }))
    }

    fn decompress(&self, frame: Frame) -> io::Result<Vec<u8>> {
        let compressed = self.raw.part(frame.from, frame.compressed);
        let mut bytes = Vec::new();
        let decoder = zstd::stream::read::Decoder::new(Stream { window: &compressed, at: 0 })?;
        decoder.take(frame.length.saturating_add(1)).read_to_end(&mut bytes)?;
        if to_u64(bytes.len()) == frame.length { Ok(bytes) } else { Err(wrong_length()) }
    }

    /// Returns the whole image in a file, if decompressing by frames has cost so much that this costs less.
    fn whole(&self) -> io::Result<Option<&FileSource>> {
        if self.whole.get().is_none() {
            let most = self.length().saturating_mul(PASSES).saturating_add(MAX_FRAME);
            if self.spent.load(Ordering::Relaxed) <= most {
                return Ok(None);
            }
            let whole = decompress(&self.raw, Compression::Zstd).map_err(io::Error::other)?;
            if whole.length() != self.length() {
                return Err(wrong_length());
            }
            let _ = self.whole.set(whole);
        }
        Ok(self.whole.get())
    }
}

/// The bytes of a cached frame from `offset` \[bytes\].
fn rest((at, bytes): &(u64, Vec<u8>), offset: u64) -> Option<&[u8]> {
    let within = offset.checked_sub(*at).map(to_usize)?;
    bytes.get(within..).filter(|rest| !rest.is_empty())
}

fn wrong_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the length of a frame differs from the seek table")
}

impl ReadAt for Seekable {
    fn length(&self) -> u64 {
        self.table.end.at
    }

    /// Structures are compressed to a tenth or a twentieth; only zeros are compressed further.
    fn stored(&self) -> u64 {
        self.raw.stored().saturating_mul(BEST_RATIO)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (mut offset, mut buffer) = (offset, buffer);
        while !buffer.is_empty() {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if !cache.iter().any(|frame| rest(frame, offset).is_some()) {
                if let Some(whole) = self.whole()? {
                    return whole.read_exact_at(offset, buffer);
                }
                let frame = self.table.find(offset)?;
                let bytes = self.decompress(frame)?;
                self.spent.fetch_add(frame.length.max(MIN_COST), Ordering::Relaxed);
                cache.truncate(CACHED.saturating_sub(1));
                cache.insert(0, (frame.at, bytes));
            }
            let found = cache.iter().find_map(|frame| rest(frame, offset)).unwrap_or_default();
            let part = found.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(part);
            now.copy_from_slice(&found[..part]);
            if part == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset = offset.saturating_add(to_u64(part));
            buffer = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Compresses each of these contents into a frame, and appends the table.
    fn compressed(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut table = Vec::new();
        for frame in frames {
            let bytes = zstd::bulk::compress(frame, 1).unwrap();
            table.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            table.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
            file.extend(bytes);
        }
        file.extend(TABLE_MAGIC.to_le_bytes());
        file.extend(u32::try_from(table.len() + 9).unwrap().to_le_bytes());
        file.extend(table);
        file.extend(u32::try_from(frames.len()).unwrap().to_le_bytes());
        file.push(0);
        file.extend(MAGIC.to_le_bytes());
        file
    }

    #[test]
    fn reads_every_byte_of_many_frames() {
        let frames: Vec<Vec<u8>> = (0..2500_u32)
            .map(|number| number.to_le_bytes().repeat(usize::try_from(number % 3).unwrap()))
            .collect();
        let all = frames.concat();
        let opened = Seekable::open(&Window::whole(Arc::new(compressed(&frames)))).unwrap().unwrap();
        assert_eq!(opened.length(), to_u64(all.len()));
        for at in (0..all.len()).step_by(7).rev() {
            let mut buffer = vec![0; 13.min(all.len() - at)];
            opened.read_exact_at(to_u64(at), &mut buffer).unwrap();
            assert_eq!(buffer, all[at..at + buffer.len()], "{at}");
        }
        let error = opened.read_exact_at(to_u64(all.len()), &mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn decompresses_into_a_file_after_many_reads() {
        let frames: Vec<Vec<u8>> = (0..6).map(|number| vec![number; 4 << 20]).collect();
        let opened = Seekable::open(&Window::whole(Arc::new(compressed(&frames)))).unwrap().unwrap();
        opened.read_exact_at(0, &mut [9]).unwrap();
        assert!(opened.whole.get().is_none());
        for _ in 0..7 {
            for number in 0..6 {
                let mut buffer = [9];
                opened.read_exact_at(u64::from(number) * (4 << 20), &mut buffer).unwrap();
                assert_eq!(buffer, [number]);
            }
        }
        assert!(opened.whole.get().is_some());
        assert!(opened.spent.load(Ordering::Relaxed) <= 29 * (4 << 20));
    }

    #[test]
    fn decompresses_frames_of_one_byte_into_a_file_soon() {
        let frames: Vec<Vec<u8>> = (0..10_000_u32).map(|number| vec![number.to_le_bytes()[0]]).collect();
        let opened = Seekable::open(&Window::whole(Arc::new(compressed(&frames)))).unwrap().unwrap();
        let mut all = vec![0; frames.len()];
        opened.read_exact_at(0, &mut all).unwrap();
        assert_eq!(all, frames.concat());
        assert!(opened.whole.get().is_some());
    }

    #[test]
    fn rejects_invalid_tables() {
        let right = compressed(&[vec![1; 100]]);
        // The number of frames, and the length of the skippable frame.
        for (from_end, value) in [(9, u32::MAX), (9, 2), (9 + 8 + 4, 0), (9 + 8, 0), (5, 0)] {
            let mut wrong = right.clone();
            let at = wrong.len() - from_end;
            wrong[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let opened = Seekable::open(&Window::whole(Arc::new(wrong))).unwrap();
            assert!(opened.is_none(), "{from_end}");
        }
    }

    #[test]
    fn frames_have_at_most_64_mib() {
        for (length, is_usable) in [(64 << 20, true), ((64 << 20) + 1, false)] {
            let mut file = compressed(&[vec![1; 100]]);
            // The length of the frame, before the footer of 9 bytes.
            let at = file.len() - 9 - 4;
            file[at..at + 4].copy_from_slice(&u32::to_le_bytes(length));
            let opened = Seekable::open(&Window::whole(Arc::new(file))).unwrap();
            assert_eq!(opened.is_some(), is_usable, "{length}");
        }
    }

    #[test]
    fn structures_are_up_to_64_times_as_long_as_compressed() {
        let file = compressed(&[vec![1; 100_000]]);
        let length = to_u64(file.len());
        let opened = Seekable::open(&Window::whole(Arc::new(file))).unwrap().unwrap();
        assert_eq!((opened.length(), opened.stored()), (100_000, 64 * length));
    }
}
