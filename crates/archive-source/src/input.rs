//! Reads an archive forwards, and says where the bytes of its files are kept.

use std::io::{self, BufRead, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use image_tree::{to_u64, to_usize};
use rustix::io::retry_on_intr;

use crate::error::Fault;
use crate::header::BLOCK;
use crate::limits;
use crate::temporary::Temporary;

/// An archive that is read forwards.
pub(crate) trait Input {
    /// Fills the buffer. False at the end, before its first byte.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, Fault>;

    /// Skips bytes.
    fn skip(&mut self, len: u64) -> Result<(), Fault>;

    /// Skips bytes of a file that can be read later. Returns where they begin in the file that has them, in \[bytes\].
    fn keep(&mut self, len: u64) -> Result<u64, Fault>;

    /// How much was read, in \[bytes\] of the uncompressed archive.
    fn position(&self) -> u64;

    /// Skips the rest up to a multiple of the block size.
    fn pad(&mut self) -> Result<(), Fault> {
        let position = self.position();
        self.skip(position.next_multiple_of(BLOCK) - position)
    }
}

/// A part of an open file.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) file: Arc<OwnedFd>,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// How much is read at once where several headers are expected, in \[bytes\].
const WINDOW: usize = 8192;
/// The same after a long file. Another one may follow it, and to read what is not used takes longer than to read again.
const NARROW: usize = 1024;

/// An archive that is not compressed. Only its headers are read.
pub(crate) struct Seeking {
    part: Part,
    at: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl Seeking {
    pub(crate) fn new(part: Part) -> Self {
        Self { part, at: 0, window: Vec::new(), window_start: 0 }
    }

    fn left(&self) -> u64 {
        self.part.len - self.at
    }

    /// The place of the next bytes in the window, if all of them are there.
    fn in_window(&self, len: usize) -> Option<std::ops::Range<usize>> {
        let from = to_usize(self.at.checked_sub(self.window_start)?);
        let end = from.checked_add(len)?;
        (end <= self.window.len()).then_some(from..end)
    }

    /// Reads a window with at least `len` bytes.
    fn read_window(&mut self, len: usize) -> Result<(), Fault> {
        let is_near = self.at - self.window_start <= to_u64(WINDOW);
        let wanted = len.max(if is_near { WINDOW } else { NARROW });
        self.window.resize(to_usize(self.left().min(to_u64(wanted))), 0);
        self.window_start = self.at;
        let start = self.part.start + self.at;
        read_exact_at(&self.part.file, &mut self.window, start)
    }
}

impl Input for Seeking {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, Fault> {
        let len = to_u64(buffer.len());
        if self.left() == 0 {
            return Ok(false);
        }
        if self.left() < len {
            return Err(Fault::Truncated);
        }
        if buffer.len() > WINDOW {
            read_exact_at(&self.part.file, buffer, self.part.start + self.at)?;
        } else {
            let place = if let Some(place) = self.in_window(buffer.len()) {
                place
            } else {
                self.read_window(buffer.len())?;
                self.in_window(buffer.len()).ok_or(Fault::Truncated)?
            };
            buffer.copy_from_slice(&self.window[place]);
        }
        self.at += len;
        Ok(true)
    }

    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        if len > self.left() {
            return Err(Fault::Truncated);
        }
        self.at += len;
        Ok(())
    }

    fn keep(&mut self, len: u64) -> Result<u64, Fault> {
        let start = self.part.start + self.at;
        self.skip(len)?;
        Ok(start)
    }

    fn position(&self) -> u64 {
        self.at
    }
}

pub(crate) fn read_exact_at(file: impl AsFd, mut bytes: &mut [u8], mut at: u64) -> Result<(), Fault> {
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::pread(&file, &mut *bytes, at)).map_err(Fault::unreadable)? {
            0 => return Err(Fault::Changed),
            read => {
                bytes = &mut bytes[read..];
                at += to_u64(read);
            }
        }
    }
    Ok(())
}

/// Reads a part of a file.
pub(crate) struct PartReader {
    part: Part,
    at: u64,
}

impl PartReader {
    pub(crate) fn new(part: Part) -> Self {
        Self { part, at: 0 }
    }
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(usize::try_from(self.part.len - self.at).unwrap_or(usize::MAX));
        let start = self.part.start + self.at;
        let read = retry_on_intr(|| rustix::io::pread(&self.part.file, &mut buffer[..len], start))?;
        if read == 0 && len > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, CHANGED));
        }
        self.at += to_u64(read);
        Ok(read)
    }
}

/// The text of the error if a file is shorter than it was.
const CHANGED: &str = "the file became shorter";

/// An archive that is read as a whole: it is compressed, or its digest is checked.
pub(crate) struct Streaming<'r> {
    reader: Box<dyn BufRead + 'r>,
    at: u64,
    keeps: Keeps<'r>,
    is_compressed: bool,
}

/// Where the bytes of files are kept.
pub(crate) enum Keeps<'r> {
    /// In the file that is read, from this offset on, as it is not compressed.
    InPlace(u64),
    /// In a temporary file.
    Copied(&'r mut Temporary),
}

/// Uses bytes as soon as they are read.
type Take<'t, 'r> = &'t mut dyn FnMut(&mut Keeps<'r>, &[u8]) -> Result<(), Fault>;

impl<'r> Streaming<'r> {
    pub(crate) fn new(reader: Box<dyn BufRead + 'r>, keeps: Keeps<'r>, is_compressed: bool) -> Self {
        Self { reader, at: 0, keeps, is_compressed }
    }

    /// Passes the next bytes to `take`, `most` of them at most, without copying them. Returns their number: 0 at the end.
    fn next(&mut self, most: u64, take: Take<'_, 'r>) -> Result<usize, Fault> {
        let bytes = loop {
            match self.reader.fill_buf() {
                // Borrowed twice: what was read is kept until it is consumed.
                Ok(_) => break self.reader.fill_buf(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let bytes = bytes.map_err(|error| fault(&error, self.is_compressed))?;
        let bytes = &bytes[..to_usize(most.min(to_u64(bytes.len())))];
        let len = bytes.len();
        self.at = self.at.saturating_add(to_u64(len));
        if self.at > limits::UNCOMPRESSED_BYTES {
            return Err(Fault::Limit { what: "more than 1 TiB of uncompressed bytes" });
        }
        take(&mut self.keeps, bytes)?;
        self.reader.consume(len);
        Ok(len)
    }

    /// Passes exactly `len` bytes to `take`.
    fn exactly(&mut self, len: u64, take: Take<'_, 'r>) -> Result<(), Fault> {
        let mut left = len;
        while left > 0 {
            match self.next(left, take)? {
                0 => return Err(Fault::Truncated),
                read => left -= to_u64(read),
            }
        }
        Ok(())
    }

    /// Reads to the end, so that digests and checksums cover everything.
    pub(crate) fn drain(&mut self) -> Result<(), Fault> {
        while self.next(u64::MAX, &mut |_, _| Ok(()))? > 0 {}
        Ok(())
    }
}

fn fault(error: &io::Error, is_compressed: bool) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof if error.to_string() == CHANGED => Fault::Changed,
        _ if is_compressed => Fault::Compressed { reason: image_tree::io_reason(error) },
        _ => Fault::Unreadable { reason: image_tree::io_reason(error) },
    }
}

impl Input for Streaming<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, Fault> {
        let mut done = 0;
        while done < buffer.len() {
            let most = to_u64(buffer.len() - done);
            let read = self.next(most, &mut |_, bytes| {
                buffer[done..done + bytes.len()].copy_from_slice(bytes);
                Ok(())
            })?;
            match read {
                0 if done == 0 => return Ok(false),
                0 => return Err(Fault::Truncated),
                read => done += read,
            }
        }
        Ok(true)
    }

    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        self.exactly(len, &mut |_, _| Ok(()))
    }

    fn keep(&mut self, len: u64) -> Result<u64, Fault> {
        let start = match &mut self.keeps {
            Keeps::InPlace(start) => *start + self.at,
            Keeps::Copied(temporary) => temporary.begin(len)?,
        };
        self.exactly(len, &mut |keeps, bytes| match keeps {
            Keeps::InPlace(_) => Ok(()),
            Keeps::Copied(temporary) => temporary.append(bytes),
        })?;
        Ok(start)
    }

    fn position(&self) -> u64 {
        self.at
    }
}
