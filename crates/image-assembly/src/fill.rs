//! The bytes of a chunk. Every byte of a buffer is written anew: what an earlier chunk left there never shows.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use image_tree::{Content, Contents, FileBytes, FileReader, FileRef, Piece, PieceSource, ReadAt};
use reader_threads::Member;
use rustix::io::retry_on_intr;

use crate::chunks::{CHUNK, Chunk};
use crate::error::AssemblyError;
use crate::kernel_copy::kernel_copy;
use crate::positioned::Positioned;
use crate::zero_runs::{self, Placed};
use crate::{to_u64, to_usize};

/// What one thread needs to make bytes.
pub(crate) struct Filler<'a> {
    image: &'a dyn PieceSource,
    contents: &'a dyn Contents,
    reader: Box<dyn FileReader + 'a>,
}

/// Why bytes of a file did not come.
pub(crate) enum Missing {
    /// The file is shorter.
    Ended,
    Failed(io::Error),
}

impl<'a> Filler<'a> {
    pub(crate) fn new(image: &'a dyn PieceSource, contents: &'a dyn Contents) -> Self {
        Self { image, contents, reader: contents.reader() }
    }

    /// Gives the bytes of a chunk, made in `buffer`.
    pub(crate) fn fill<'b>(
        &mut self,
        chunk: &Chunk,
        buffer: &'b mut Vec<u8>,
        member: &mut Member<'_>,
    ) -> Result<&'b [u8], AssemblyError> {
        let bytes = room(buffer, to_usize(chunk.len));
        let mut rest = &mut *bytes;
        member.begin();
        for piece in &chunk.pieces {
            let (here, later) = rest.split_at_mut(to_usize(piece.len));
            self.fill_piece(piece, here)?;
            member.check();
            rest = later;
        }
        Ok(bytes)
    }

    fn fill_piece(&mut self, piece: &Piece, bytes: &mut [u8]) -> Result<(), AssemblyError> {
        match piece.content {
            Content::Zeros | Content::Unused | Content::FileZeros { .. } => bytes.fill(0),
            Content::Metadata => {
                bytes.fill(0);
                self.image.generate(piece, bytes);
            }
            Content::File { file, offset } => match self.reader.open(file)? {
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
            },
        }
        Ok(())
    }

    /// Copies a part of a file to the chunk's place in `output`, within the kernel where it can. Runs of zeros are left
    /// out where the output has them already.
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
        let fd = match self.reader.open(file)? {
            FileBytes::Memory(whole) => {
                let bytes = part(self.contents, file, whole, from, to_usize(chunk.len))?;
                return output.put_bytes(bytes, chunk.offset);
            }
            FileBytes::Reader(mut reader) => {
                let failed = |why| missing(self.contents, file, why);
                return copy_by_reading(&mut *reader, placed, output, buffer, &failed);
            }
            FileBytes::Fd(fd) => fd,
        };
        let failed = |why| explain(self.contents, file, fd.as_fd(), why);
        let mut at = placed.offset;
        if output.looks_for_zeros() {
            let mut zeros = Vec::new();
            let mut read = |from, bytes: &mut [u8]| read_at(fd.as_fd(), from, bytes);
            zero_runs::in_file(&mut read, placed, buffer, |run| zeros.push(run)).map_err(failed)?;
            member.check();
            for run in zeros {
                copy_part(fd.as_fd(), placed.part(at, run.start), output, buffer, &failed)?;
                at = run.end;
            }
        }
        copy_part(fd.as_fd(), placed.part(at, placed.end()), output, buffer, &failed)?;
        member.check();
        Ok(self.contents.check(file, fd.as_fd())?)
    }
}

/// Copies bytes from an open file to their place; `failed` makes an error of what is wrong with the file.
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

/// Copies bytes from any reader to their place.
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

/// The first `len` bytes of a buffer that is used again and again; what they hold is left from before.
pub(crate) fn room(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    let usual = to_usize(CHUNK);
    if len <= usual && buffer.len() > usual {
        // A huge piece of metadata passed through; its memory is not kept.
        buffer.truncate(usual);
        buffer.shrink_to_fit();
    } else if buffer.len() < len.max(usual) {
        // Fresh zero pages cost nothing until they are touched, growing would copy.
        *buffer = vec![0; len.max(usual)];
    }
    &mut buffer[..len]
}

/// The wanted bytes of a file that is in memory.
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

/// Reads exactly as many bytes as there is room for.
pub(crate) fn read_at(fd: BorrowedFd<'_>, mut from: u64, mut bytes: &mut [u8]) -> Result<(), Missing> {
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::pread(fd, &mut *bytes, from)) {
            Ok(0) => return Err(Missing::Ended),
            Ok(read) => {
                from += to_u64(read);
                bytes = &mut bytes[read..];
            }
            Err(errno) => return Err(Missing::Failed(errno.into())),
        }
    }
    Ok(())
}

/// The same from any reader.
pub(crate) fn read_all(reader: &mut dyn ReadAt, mut from: u64, mut bytes: &mut [u8]) -> Result<(), Missing> {
    while !bytes.is_empty() {
        match reader.read_at(bytes, from) {
            Ok(0) => return Err(Missing::Ended),
            Ok(read) => {
                from += to_u64(read);
                bytes = bytes.get_mut(read..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Missing::Failed(error)),
        }
    }
    Ok(())
}

/// The error of a file whose bytes did not come.
pub(crate) fn missing(contents: &dyn Contents, file: FileRef, why: Missing) -> AssemblyError {
    let path = contents.shown(file);
    match why {
        Missing::Ended => AssemblyError::Ended { path },
        Missing::Failed(error) => AssemblyError::Unreadable { path, error },
    }
}

/// A file that changed explains most of what goes wrong with reading it.
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
