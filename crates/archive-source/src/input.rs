//! Reads an archive forwards, and says where the bytes of its files are kept.

use std::io::{self, Read};
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

/// How much is read at once where headers are expected, in \[bytes\].
const WINDOW: usize = 8192;

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

    fn read_window(&mut self) -> Result<(), Fault> {
        let len = self.left().min(to_u64(WINDOW));
        self.window.resize(to_usize(len), 0);
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
            let in_window = |input: &Self| {
                let from = to_usize(input.at.checked_sub(input.window_start)?);
                input.window.get(from..from.checked_add(buffer.len())?).map(<[u8]>::to_vec)
            };
            let bytes = if let Some(bytes) = in_window(self) {
                bytes
            } else {
                self.read_window()?;
                in_window(self).ok_or(Fault::Truncated)?
            };
            buffer.copy_from_slice(&bytes);
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
    reader: Box<dyn Read + 'r>,
    at: u64,
    keeps: Keeps<'r>,
    buffer: Vec<u8>,
    is_compressed: bool,
}

/// Where the bytes of files are kept.
pub(crate) enum Keeps<'r> {
    /// In the file that is read, from this offset on, as it is not compressed.
    InPlace(u64),
    /// In a temporary file.
    Copied(&'r mut Temporary),
}

const BUFFER: usize = 256 << 10;

impl<'r> Streaming<'r> {
    pub(crate) fn new(reader: Box<dyn Read + 'r>, keeps: Keeps<'r>, is_compressed: bool) -> Self {
        Self { reader, at: 0, keeps, buffer: vec![0; BUFFER], is_compressed }
    }

    fn fault(&self, error: &io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if error.to_string() == CHANGED => Fault::Changed,
            _ if self.is_compressed => Fault::Compressed { reason: image_tree::io_reason(error) },
            _ => Fault::Unreadable { reason: image_tree::io_reason(error) },
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            match self.reader.read(into) {
                Ok(read) => {
                    self.at = self.at.saturating_add(to_u64(read));
                    if self.at > limits::UNCOMPRESSED_BYTES {
                        return Err(Fault::Limit { what: "more than 1 TiB of uncompressed bytes" });
                    }
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(&error)),
            }
        }
    }

    /// Reads to the end, so that digests and checksums cover everything.
    pub(crate) fn drain(&mut self) -> Result<(), Fault> {
        let mut buffer = std::mem::take(&mut self.buffer);
        while self.read(&mut buffer)? > 0 {}
        self.buffer = buffer;
        Ok(())
    }
}

impl Input for Streaming<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, Fault> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read(&mut buffer[done..])? {
                0 if done == 0 => return Ok(false),
                0 => return Err(Fault::Truncated),
                read => done += read,
            }
        }
        Ok(true)
    }

    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut left = len;
        while left > 0 {
            let now = to_usize(left.min(to_u64(buffer.len())));
            match self.read(&mut buffer[..now])? {
                0 => return Err(Fault::Truncated),
                read => left -= to_u64(read),
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    fn keep(&mut self, len: u64) -> Result<u64, Fault> {
        let start = match &mut self.keeps {
            Keeps::InPlace(start) => {
                let start = *start + self.at;
                self.skip(len)?;
                return Ok(start);
            }
            Keeps::Copied(temporary) => temporary.begin(len)?,
        };
        let mut left = len;
        while left > 0 {
            let mut room = match &mut self.keeps {
                Keeps::Copied(temporary) => temporary.room()?,
                Keeps::InPlace(_) => Vec::new(),
            };
            let start = room.len();
            let now = to_usize(left.min(to_u64(room.capacity() - start)));
            room.resize(start + now, 0);
            let read = self.read(&mut room[start..])?;
            room.truncate(start + read);
            if let Keeps::Copied(temporary) = &mut self.keeps {
                temporary.give_back(room);
            }
            if read == 0 {
                return Err(Fault::Truncated);
            }
            left -= to_u64(read);
        }
        Ok(start)
    }

    fn position(&self) -> u64 {
        self.at
    }
}
