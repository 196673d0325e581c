//! Zstd's seekable format (`contrib/seekable_format` of zstd): frames of known lengths, and a table of them in a
//! skippable frame at the end. The last frame that was used is kept.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use crate::bytes::{Bytes, to_u64, to_usize};
use crate::container::Stream;
use crate::source::ReadAt;
use crate::{ReadError, Window};

const FOOTER: u64 = 9;
const MAGIC: u32 = 0x8f92_eab1;
const TABLE_MAGIC: u32 = 0x184d_2a5e;
/// The largest frame in \[bytes\] that is decompressed into memory. An image with larger ones is decompressed whole.
const LARGEST_FRAME: u64 = 64 << 20;
/// How many frames are kept.
const KEPT: usize = 4;

/// Where a frame begins, compressed and not, in \[bytes\].
#[derive(Clone, Copy, Debug)]
struct Frame {
    from: u64,
    at: u64,
}

#[derive(Debug)]
pub(crate) struct Seekable {
    raw: Window,
    /// The last one is the end.
    frames: Vec<Frame>,
    kept: Mutex<Vec<(usize, Vec<u8>)>>,
}

impl Seekable {
    /// Reads the table; `None` where there is none that can be used.
    pub(crate) fn open(raw: &Window) -> Result<Option<Self>, ReadError> {
        let failed = |error| ReadError::io("zstd seek table", error);
        let Some(footer_at) = raw.length().checked_sub(FOOTER) else { return Ok(None) };
        let footer = raw.bytes(footer_at, FOOTER).map_err(failed)?;
        let footer = Bytes(&footer);
        let (number, descriptor) = (u64::from(footer.le32(0)), footer.byte(4));
        if footer.le32(5) != MAGIC || descriptor & 0x7c != 0 {
            return Ok(None);
        }
        let entry = if descriptor & 0x80 == 0 { 8 } else { 12 };
        let table = number * entry;
        let Some(table_at) = footer_at.checked_sub(table + 8) else { return Ok(None) };
        let table = raw.bytes(table_at, table + 8).map_err(failed)?;
        let head = Bytes(&table);
        if head.le32(0) != TABLE_MAGIC || u64::from(head.le32(4)) != number * entry + FOOTER {
            return Ok(None);
        }
        let mut frames = Vec::with_capacity(to_usize(number) + 1);
        let mut next = Frame { from: 0, at: 0 };
        for raw in head.slice(8, usize::MAX).chunks_exact(to_usize(entry)) {
            let (compressed, length) = (u64::from(Bytes(raw).le32(0)), u64::from(Bytes(raw).le32(4)));
            if length > LARGEST_FRAME {
                return Ok(None);
            }
            frames.push(next);
            next = Frame { from: next.from + compressed, at: next.at + length };
        }
        frames.push(next);
        if next.from != table_at {
            return Ok(None);
        }
        Ok(Some(Self { raw: raw.clone(), frames, kept: Mutex::default() }))
    }

    fn decompress(&self, index: usize) -> io::Result<Vec<u8>> {
        let (Some(frame), Some(next)) = (self.frames.get(index), self.frames.get(index + 1)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let compressed = self.raw.part(frame.from, next.from - frame.from);
        let length = next.at - frame.at;
        let mut bytes = Vec::new();
        let decoder = zstd::stream::read::Decoder::new(Stream { window: &compressed, at: 0 })?;
        decoder.take(length + 1).read_to_end(&mut bytes)?;
        if to_u64(bytes.len()) == length {
            Ok(bytes)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a frame has not the length that the seek table says",
            ))
        }
    }
}

impl ReadAt for Seekable {
    fn length(&self) -> u64 {
        self.frames.last().map_or(0, |end| end.at)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (mut offset, mut buffer) = (offset, buffer);
        while !buffer.is_empty() {
            // Of frames that begin here the last one: empty ones are passed over.
            let index = self.frames.partition_point(|frame| frame.at <= offset).saturating_sub(1);
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.iter().any(|(number, _)| *number == index) {
                let bytes = self.decompress(index)?;
                kept.truncate(KEPT - 1);
                kept.insert(0, (index, bytes));
            }
            let within = self.frames.get(index).map_or(0, |frame| offset - frame.at);
            let frame = kept.iter().find(|(number, _)| *number == index);
            let found = frame.and_then(|(_, bytes)| bytes.get(to_usize(within)..)).unwrap_or_default();
            let part = found.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(part);
            now.copy_from_slice(found.get(..part).unwrap_or_default());
            if part == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += to_u64(part);
            buffer = later;
        }
        Ok(())
    }
}
