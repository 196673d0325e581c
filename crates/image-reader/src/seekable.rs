//! Zstd's seekable format (`contrib/seekable_format` of zstd): frames of known lengths, and a table of them in a
//! skippable frame at the end. The last frames that were used are kept.
//!
//! The table is read once to check it, and stays where it is: of every [`STEP`] frames the place of the first one is kept
//! in memory, the others are looked up in the file.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use image_tree::{to_u64, to_usize};

use crate::bytes::{Bytes, Checked};
use crate::container::{Stream, decompress};
use crate::source::{FileSource, ReadAt};
use crate::{ReadError, Window};

const FOOTER: u64 = 9;
const MAGIC: u32 = 0x8f92_eab1;
const TABLE_MAGIC: u32 = 0x184d_2a5e;
/// Magic and length of a skippable frame in \[bytes\].
const HEAD: u64 = 8;
/// The largest frame in \[bytes\] that is decompressed into memory. An image with larger ones is decompressed whole.
const LARGEST_FRAME: u64 = 64 << 20;
/// The most frames (`ZSTD_SEEKABLE_MAXFRAMES`). An image with more is decompressed whole.
const MOST_FRAMES: u64 = 1 << 27;
/// How many frames are kept.
const KEPT: usize = 4;
/// How many frames of the table are read at once.
const STEP: u64 = 1024;
/// How often all may be decompressed in pieces before it is decompressed whole, into a file.
const PASSES: u64 = 2;
/// How much structures of file systems are compressed at best.
const BEST_RATIO: u64 = 64;
/// What decompressing a frame counts at least, in \[bytes\].
const LEAST_COST: u64 = 16 << 10;

/// A frame: where it begins, compressed and not, and how long it is, in \[bytes\].
#[derive(Clone, Copy, Debug)]
struct Frame {
    from: u64,
    at: u64,
    compressed: u64,
    length: u64,
}

/// Where a frame begins, compressed and not, in \[bytes\].
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
    /// Where the next frame begins. Below 2^27 frames of less than 2^32 bytes each can't overflow.
    fn next(self) -> Start {
        Start { from: self.from.saturating_add(self.compressed), at: self.at.saturating_add(self.length) }
    }
}

/// The table of frames in the compressed file.
#[derive(Debug)]
struct Table {
    /// The entries in the file.
    raw: Window,
    /// How long an entry is in \[bytes\].
    entry: u64,
    /// Where every [`STEP`]th frame begins.
    starts: Vec<Start>,
    /// Where the last frame ends.
    end: Start,
}

impl Table {
    /// Reads a table of so many frames; `None` where a frame is too large.
    fn read(raw: Window, entry: u64) -> io::Result<Option<Self>> {
        let part = entry.saturating_mul(STEP);
        let mut table = Self { raw, entry, starts: Vec::new(), end: Start { from: 0, at: 0 } };
        let mut at = 0;
        while at < table.raw.length() {
            let bytes = table.raw.bytes(at, part.min(table.raw.length().saturating_sub(at)))?;
            table.starts.push(table.end);
            for entry in bytes.chunks_exact(to_usize(entry)) {
                let frame = table.end.frame(entry);
                if frame.length > LARGEST_FRAME {
                    return Ok(None);
                }
                table.end = frame.next();
            }
            at = at.saturating_add(part);
        }
        Ok(Some(table))
    }

    /// The frame with the byte at `offset`: of frames that begin there the last one, as empty ones have none.
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

/// Decompressed frames that were used last, each with its place in \[bytes\].
type Kept = Vec<(u64, Vec<u8>)>;

#[derive(Debug)]
pub(crate) struct Seekable {
    raw: Window,
    table: Table,
    kept: Mutex<Kept>,
    /// What was decompressed so far in \[bytes\].
    spent: AtomicU64,
    /// All of it, once reading in pieces has taken more than that would.
    whole: OnceLock<FileSource>,
}

impl Seekable {
    /// Reads the table; `None` where there is none that can be used.
    pub(crate) fn open(raw: &Window) -> Result<Option<Self>, ReadError> {
        let failed = |error| ReadError::io("zstd seek table", error);
        let Some(footer_at) = raw.length().checked_sub(FOOTER) else { return Ok(None) };
        let footer = raw.bytes(footer_at, FOOTER).map_err(failed)?;
        let footer = Bytes(&footer);
        let (number, descriptor) = (u64::from(footer.le32(0)), footer.byte(4));
        if footer.le32(5) != MAGIC || descriptor & 0x7c != 0 || number > MOST_FRAMES {
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
            kept: Mutex::default(),
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

    /// All of it in a file, once it was decompressed in pieces so often that this is less work.
    fn whole(&self) -> io::Result<Option<&FileSource>> {
        if self.whole.get().is_none() {
            let most = self.length().saturating_mul(PASSES).saturating_add(LARGEST_FRAME);
            if self.spent.load(Ordering::Relaxed) <= most {
                return Ok(None);
            }
            let whole = decompress(&self.raw).map_err(io::Error::other)?;
            if whole.length() != self.length() {
                return Err(wrong_length());
            }
            let _ = self.whole.set(whole);
        }
        Ok(self.whole.get())
    }
}

/// What a kept frame has from `offset` \[bytes\] on.
fn rest((at, bytes): &(u64, Vec<u8>), offset: u64) -> Option<&[u8]> {
    let within = offset.checked_sub(*at).map(to_usize)?;
    bytes.get(within..).filter(|rest| !rest.is_empty())
}

fn wrong_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame has not the length that the seek table says")
}

impl ReadAt for Seekable {
    fn length(&self) -> u64 {
        self.table.end.at
    }

    /// Structures are compressed to a tenth or a twentieth, only zeros to far less.
    fn stored(&self) -> u64 {
        self.raw.stored().saturating_mul(BEST_RATIO)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (mut offset, mut buffer) = (offset, buffer);
        while !buffer.is_empty() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.iter().any(|frame| rest(frame, offset).is_some()) {
                if let Some(whole) = self.whole()? {
                    return whole.read_exact_at(offset, buffer);
                }
                let frame = self.table.find(offset)?;
                let bytes = self.decompress(frame)?;
                self.spent.fetch_add(frame.length.max(LEAST_COST), Ordering::Relaxed);
                kept.truncate(KEPT.saturating_sub(1));
                kept.insert(0, (frame.at, bytes));
            }
            let found = kept.iter().find_map(|frame| rest(frame, offset)).unwrap_or_default();
            let part = found.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(part);
            now.copy_from_slice(found.get(..part).unwrap_or_default());
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

    /// Frames of these contents and their table.
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
    fn every_byte_of_many_frames_is_found() {
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
    fn what_is_decompressed_again_and_again_is_kept_whole() {
        let frames: Vec<Vec<u8>> = (0..6).map(|number| vec![number; 4 << 20]).collect();
        let opened = Seekable::open(&Window::whole(Arc::new(compressed(&frames)))).unwrap().unwrap();
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
    fn frames_of_one_byte_are_soon_decompressed_together() {
        let frames: Vec<Vec<u8>> = (0..10_000_u32).map(|number| vec![number.to_le_bytes()[0]]).collect();
        let opened = Seekable::open(&Window::whole(Arc::new(compressed(&frames)))).unwrap().unwrap();
        let mut all = vec![0; frames.len()];
        opened.read_exact_at(0, &mut all).unwrap();
        assert_eq!(all, frames.concat());
        assert!(opened.whole.get().is_some());
    }

    #[test]
    fn a_table_that_is_no_table_is_none() {
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
}
