//! Fills buffers with the bytes of chunks. Every byte is overwritten, so bytes of an earlier chunk never remain.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use image_tree::{
    Content, Contents, ContentsError, FileBytes, FileReader, FileRef, Piece, PieceSource, ReadAt,
};
use reader_threads::Member;
use rustix::fs::Advice;

use crate::chunks::{CHUNK, Chunk};
use crate::error::AssemblyError;
use crate::kernel_copy::kernel_copy;
use crate::positioned::Positioned;
use crate::zero_runs::{self, Placed};
use crate::{to_u64, to_usize};

/// Fills the buffers of a thread.
pub(crate) struct Filler<'a> {
    image: &'a dyn PieceSource,
    contents: &'a dyn Contents,
    reader: Box<dyn FileReader + 'a>,
    ahead: Ahead,
}

/// Files of a chunk that are opened before it is their turn, so that the disk reads several of them at once. Only while the
/// thread waits: it costs a call for each file.
#[derive(Default)]
struct Ahead {
    /// The position of the first piece that was not looked at.
    next: usize,
    open: VecDeque<(FileRef, OwnedFd)>,
    /// Whether the contents are no files of this machine.
    is_useless: bool,
}

/// How many files one thread opens ahead.
const FILES_AHEAD: usize = 16;

/// How much of a large file is asked for ahead, in \[bytes\]. Linux reads no more for one call on common disks.
const BYTES_AHEAD: u64 = 1 << 20;

/// The reason why bytes of a file are missing.
pub(crate) enum Missing {
    /// The file ended.
    Ended,
    /// A reader says that it read more than it was asked for.
    Overrun,
    Failed(io::Error),
}

impl<'a> Filler<'a> {
    pub(crate) fn new(image: &'a dyn PieceSource, contents: &'a dyn Contents) -> Self {
        Self { image, contents, reader: contents.reader(), ahead: Ahead::default() }
    }

    /// Fills `buffer` with the bytes of a chunk, and returns them.
    pub(crate) fn fill<'b>(
        &mut self,
        chunk: &Chunk,
        buffer: &'b mut Vec<u8>,
        member: &mut Member<'_>,
    ) -> Result<&'b [u8], AssemblyError> {
        let bytes = room(buffer, to_usize(chunk.len));
        self.fill_pieces(&chunk.pieces, bytes, member)?;
        Ok(bytes)
    }

    /// Writes consecutive pieces to `bytes`, which have their length together.
    pub(crate) fn fill_pieces(
        &mut self,
        pieces: &[Piece],
        bytes: &mut [u8],
        member: &mut Member<'_>,
    ) -> Result<(), AssemblyError> {
        let mut rest = bytes;
        member.begin();
        self.ahead.begin();
        for (index, piece) in pieces.iter().enumerate() {
            if member.waits() {
                self.ahead.ask(&mut *self.reader, pieces, index);
            }
            let (here, later) = rest.split_at_mut(to_usize(piece.len));
            self.fill_piece(piece, here)?;
            member.check();
            rest = later;
        }
        Ok(())
    }

    pub(crate) fn fill_piece(&mut self, piece: &Piece, bytes: &mut [u8]) -> Result<(), AssemblyError> {
        match piece.content {
            Content::Zeros | Content::Unused | Content::FileZeros { .. } => bytes.fill(0),
            Content::Metadata => {
                bytes.fill(0);
                self.image.generate(piece, bytes);
            }
            Content::File { file, offset } => match self.ahead.take(file, &mut *self.reader)? {
                FileBytes::Memory(whole) => {
                    bytes.copy_from_slice(part(self.contents, file, whole, offset, bytes.len())?);
                }
                FileBytes::Reader(mut reader) => {
                    read_all(&mut *reader, offset, bytes).map_err(|why| missing(self.contents, file, why))?;
                }
                FileBytes::Fd(fd) => {
                    read_at(fd.as_fd(), offset, bytes)
                        .map_err(|why| explain(self.contents, file, fd.as_fd(), why))?;
                    self.contents.check(file, fd.as_fd())?;
                }
                FileBytes::Range { fd, offset: start } => {
                    read_at(fd, start.saturating_add(offset), bytes)
                        .map_err(|why| explain(self.contents, file, fd, why))?;
                    self.contents.check(file, fd)?;
                }
            },
        }
        Ok(())
    }

    /// Copies a part of a file to the chunk's offset in `output`, in the kernel if possible. Skips runs of zeros if the output is
    /// zero there.
    pub(crate) fn copy(
        &mut self,
        chunk: &Chunk,
        (file, from): (FileRef, u64),
        output: &Positioned<'_>,
        buffer: &mut Vec<u8>,
        member: &mut Member<'_>,
    ) -> Result<(), AssemblyError> {
        member.begin();
        let placed = Placed { from, offset: chunk.offset, len: chunk.len };
        let opened;
        let (fd, start) = match self.reader.open(file)? {
            FileBytes::Memory(whole) => {
                let bytes = part(self.contents, file, whole, from, to_usize(chunk.len))?;
                return output.put_bytes(bytes, chunk.offset);
            }
            FileBytes::Reader(mut reader) => {
                let failed = |why| missing(self.contents, file, why);
                return copy_by_reading(&mut *reader, placed, output, buffer, &failed);
            }
            FileBytes::Fd(fd) => {
                opened = fd;
                (opened.as_fd(), 0)
            }
            FileBytes::Range { fd, offset } => (fd, offset),
        };
        // From here on, places in the file are those in the open one.
        let from = from.saturating_add(start);
        let placed = Placed { from, ..placed };
        let failed = |why| explain(self.contents, file, fd, why);
        let mut at = placed.offset;
        if output.looks_for_zeros() {
            let mut zeros = Vec::new();
            let mut asked = if member.waits() { from } else { u64::MAX };
            let mut read = |from: u64, bytes: &mut [u8]| {
                // Only a few bytes of each part are looked at: the system would read these alone.
                while asked < (from + BYTES_AHEAD).min(placed.from + placed.len) {
                    will_need(fd, asked, BYTES_AHEAD);
                    asked += BYTES_AHEAD;
                }
                read_at(fd, from, bytes)
            };
            zero_runs::in_file(&mut read, placed, buffer, |run| zeros.push(run)).map_err(failed)?;
            member.check();
            for run in zeros {
                copy_part(fd, placed.part(at, run.start), output, buffer, &failed)?;
                at = run.end;
            }
        }
        copy_part(fd, placed.part(at, placed.end()), output, buffer, &failed)?;
        member.check();
        Ok(self.contents.check(file, fd)?)
    }
}

impl Ahead {
    /// Begins a chunk.
    fn begin(&mut self) {
        self.next = 0;
        self.open.clear();
    }

    /// Opens some files of the pieces from `at` on, and has the system read them.
    fn ask(&mut self, reader: &mut dyn FileReader, pieces: &[Piece], at: usize) {
        self.next = self.next.max(at);
        while self.open.len() < FILES_AHEAD && !self.is_useless {
            let Some(piece) = pieces.get(self.next) else { return };
            if let Content::File { file, offset } = piece.content {
                match reader.open(file) {
                    Ok(FileBytes::Fd(fd)) => {
                        will_need(fd.as_fd(), offset, piece.len);
                        self.open.push_back((file, fd));
                    }
                    Ok(FileBytes::Range { fd, offset: start }) => {
                        will_need(fd, start.saturating_add(offset), piece.len);
                    }
                    Ok(FileBytes::Memory(_)) => {}
                    Ok(FileBytes::Reader(_)) => self.is_useless = true,
                    // It is opened again when it is its turn: of several errors, the first in the image counts.
                    Err(_) => return,
                }
            }
            self.next += 1;
        }
    }

    /// A file whose turn it is.
    fn take<'r>(
        &mut self,
        file: FileRef,
        reader: &'r mut dyn FileReader,
    ) -> Result<FileBytes<'r>, ContentsError> {
        let is_open = self.open.front().is_some_and(|(open, _)| *open == file);
        let open = if is_open { self.open.pop_front() } else { None };
        open.map_or_else(|| reader.open(file), |(_, fd)| Ok(FileBytes::Fd(fd)))
    }
}

/// Has the system read a part of a file in the background, if it will.
fn will_need(fd: BorrowedFd<'_>, offset: u64, len: u64) {
    let _ = rustix::fs::fadvise(fd, offset, NonZeroU64::new(len), Advice::WillNeed);
}

/// Copies bytes from an open file to their offset. `failed` converts errors of the file.
fn copy_part(
    fd: BorrowedFd<'_>,
    Placed { from, offset, len }: Placed,
    output: &Positioned<'_>,
    buffer: &mut Vec<u8>,
    failed: &dyn Fn(Missing) -> AssemblyError,
) -> Result<(), AssemblyError> {
    let refused = |error| AssemblyError::output(output.path, error);
    let mut done = kernel_copy((fd, from), (output.file.as_fd(), offset), len).map_err(refused)?;
    while done < len {
        let bytes = room(buffer, to_usize(CHUNK.min(len - done)));
        read_at(fd, from + done, bytes).map_err(failed)?;
        output.file.write_all_at(bytes, offset + done).map_err(refused)?;
        done += to_u64(bytes.len());
    }
    Ok(())
}

/// Copies bytes from a reader to their offset.
fn copy_by_reading(
    reader: &mut dyn ReadAt,
    Placed { from, offset, len }: Placed,
    output: &Positioned<'_>,
    buffer: &mut Vec<u8>,
    failed: &dyn Fn(Missing) -> AssemblyError,
) -> Result<(), AssemblyError> {
    let mut done = 0;
    while done < len {
        let bytes = room(buffer, to_usize(CHUNK.min(len - done)));
        read_all(reader, from + done, bytes).map_err(failed)?;
        output.put_bytes(bytes, offset + done)?;
        done += to_u64(bytes.len());
    }
    Ok(())
}

/// The first `len` bytes of a reused buffer, with any contents.
pub(crate) fn room(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    let usual = to_usize(CHUNK);
    if len <= usual && buffer.len() > usual {
        // Frees the memory of a very long piece of metadata.
        buffer.truncate(usual);
        buffer.shrink_to_fit();
    } else if buffer.len() < len.max(usual) {
        // New zero pages cost nothing until they are used. To extend the buffer would copy it.
        *buffer = vec![0; len.max(usual)];
    }
    &mut buffer[..len]
}

/// A part of a file in memory.
pub(crate) fn part<'w>(
    contents: &dyn Contents,
    file: FileRef,
    whole: &'w [u8],
    from: u64,
    len: usize,
) -> Result<&'w [u8], AssemblyError> {
    let start = to_usize(from);
    let wanted = start.checked_add(len).and_then(|end| whole.get(start..end));
    wanted.ok_or_else(|| AssemblyError::Ended { path: contents.shown(file) })
}

/// Fills the buffer from a file.
pub(crate) fn read_at(fd: BorrowedFd<'_>, from: u64, bytes: &mut [u8]) -> Result<(), Missing> {
    read_all(&mut Opened(fd), from, bytes)
}

/// An open file of this machine.
struct Opened<'f>(BorrowedFd<'f>);

impl ReadAt for Opened<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(self.0, buffer, offset)?)
    }
}

/// Fills the buffer from a reader. The buffer is reused: if the reader claims more bytes than it wrote, bytes of another file
/// would remain, so what can be noticed of that is an error.
pub(crate) fn read_all(reader: &mut dyn ReadAt, mut from: u64, mut bytes: &mut [u8]) -> Result<(), Missing> {
    while !bytes.is_empty() {
        match reader.read_at(bytes, from) {
            Ok(0) => return Err(Missing::Ended),
            Ok(read) => {
                bytes = bytes.get_mut(read..).ok_or(Missing::Overrun)?;
                from += to_u64(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Missing::Failed(error)),
        }
    }
    Ok(())
}

/// The error of a file with missing bytes.
pub(crate) fn missing(contents: &dyn Contents, file: FileRef, why: Missing) -> AssemblyError {
    let path = contents.shown(file);
    match why {
        Missing::Ended => AssemblyError::Ended { path },
        Missing::Overrun => ContentsError::overrun(path).into(),
        Missing::Failed(error) => AssemblyError::Unreadable { path, error },
    }
}

/// The error of a file with missing bytes. If the file changed, that is the error.
pub(crate) fn explain(
    contents: &dyn Contents,
    file: FileRef,
    fd: BorrowedFd<'_>,
    why: Missing,
) -> AssemblyError {
    if let Err(changed) = contents.check(file, fd) {
        return changed.into();
    }
    missing(contents, file, why)
}

#[cfg(test)]
mod tests;
