//! Images that share most bytes with one that is written already. If the file system can, such an image begins as a clone of
//! the whole file, and only the blocks that differ are written. Otherwise the kernel copies what is equal.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use image_tree::{Content, Contents, FileRef, Piece, PieceSource, shown};
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use crate::error::{AssemblyError, Refusal};
use crate::fill::{Filler, room};
use crate::kernel_copy::{is_in_memory, kernel_copy};
use crate::observer::Rejection;
use crate::pending::{Pending, Unnamed};
use crate::pieces::{PieceError, Pieces};
use crate::place::{self, Place};
use crate::positioned::Positioned;
use crate::{to_u64, to_usize};

/// Unit of comparison in \[bytes\]: the block size of the usual file systems, which share whole blocks.
const BLOCK: usize = 4096;

/// How much of the base is read for several variants at once, in \[bytes\]. It fits into the cache of a core.
const TOGETHER: u64 = 256 << 10;

/// Maximum length of bytes in memory that are not metadata, in \[bytes\].
const PART: u64 = 1 << 20;

/// An image in a file, from which others are made. The file must not change meanwhile.
pub struct Base {
    file: File,
    path: PathBuf,
    len: u64,
    pieces: Vec<Piece>,
    /// Where the bytes of files are, by file and offset in it.
    places: Vec<FilePlace>,
    is_in_memory: bool,
}

/// The place of some bytes of a file in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FilePlace {
    file: FileRef,
    /// Offset in the file in \[bytes\].
    from: u64,
    /// Offset in the image in \[bytes\].
    at: u64,
    len: u64,
}

/// An image to make from a [`Base`].
#[derive(Clone, Copy)]
pub struct Variant<'v> {
    /// The image.
    pub image: &'v dyn PieceSource,
    /// The files of the image.
    pub contents: &'v dyn Contents,
    /// The file of the base with the same bytes, if it has one.
    pub same: &'v dyn Fn(FileRef) -> Option<FileRef>,
}

impl fmt::Debug for Variant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variant").field("len", &self.image.len()).finish_non_exhaustive()
    }
}

/// The result of writing a [`Variant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Derived {
    /// Length of the image in \[bytes\].
    pub bytes: u64,
    /// Whether it began as a clone of the base, which shares its blocks.
    pub is_cloned: bool,
}

/// A variant whose file has no name yet.
pub struct Begun {
    pending: Pending,
    path: PathBuf,
    derived: Derived,
    /// What it shares with the base and does not have yet, ascending by the place in the base.
    rest: Vec<Shared>,
}

/// Bytes of the base that are also in a variant. In \[bytes\].
struct Shared {
    from: u64,
    offset: u64,
    len: u64,
}

impl Shared {
    fn end(&self) -> u64 {
        self.from + self.len
    }
}

impl Begun {
    /// Writes bytes of the base from `from` on to their places. Bytes come in ascending order; `first` is the first run that may
    /// still need some.
    fn put(&self, bytes: &[u8], from: u64, first: &mut usize) -> Result<(), AssemblyError> {
        let end = from + to_u64(bytes.len());
        while self.rest.get(*first).is_some_and(|shared| shared.end() <= from) {
            *first += 1;
        }
        for shared in self.rest[*first..].iter().take_while(|shared| shared.from < end) {
            let common = shared.from.max(from)..shared.end().min(end);
            if common.is_empty() {
                continue;
            }
            let bytes = &bytes[to_usize(common.start - from)..to_usize(common.end - from)];
            let at = shared.offset + (common.start - shared.from);
            let written = self.pending.file().write_all_at(bytes, at);
            written.map_err(|error| AssemblyError::output(&self.path, error))?;
        }
        Ok(())
    }

    /// Gives the file its name. `validate` can reject the image before.
    ///
    /// # Errors
    /// If the file can't be flushed or named, or `validate` rejects it.
    pub fn publish(
        self,
        sync: bool,
        validate: &dyn Fn(&File) -> Result<(), Rejection>,
    ) -> Result<Derived, AssemblyError> {
        validate(self.pending.file()).map_err(AssemblyError::Rejected)?;
        self.pending.publish(sync).map_err(|error| AssemblyError::output(&self.path, error))?;
        Ok(self.derived)
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun")
            .field("path", &self.path)
            .field("derived", &self.derived)
            .finish_non_exhaustive()
    }
}

/// Consecutive bytes of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// Bytes that the base has at the offset `from`.
    Base {
        offset: u64,
        from: u64,
        len: u64,
    },
    Zeros {
        offset: u64,
        len: u64,
    },
    Piece(Piece),
}

impl Base {
    /// Opens the file of an image that was written with [`Target::File`](crate::Target::File), without compression.
    ///
    /// # Errors
    /// If the file can't be opened, or the pieces of the image are no image.
    pub fn open(path: &Path, image: &dyn PieceSource) -> Result<Self, AssemblyError> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let pieces = all_pieces(image)?;
        let place = |piece: &Piece| match piece.content {
            Content::File { file, offset } => {
                Some(FilePlace { file, from: offset, at: piece.offset, len: piece.len })
            }
            _ => None,
        };
        let mut places: Vec<_> = pieces.iter().filter_map(place).collect();
        places.sort_unstable();
        let is_in_memory = is_in_memory(file.as_fd());
        Ok(Self { file, path: path.to_owned(), len: image.len(), pieces, places, is_in_memory })
    }

    /// Writes an image to a regular file, which appears complete or not at all. An existing file is replaced. `validate` can
    /// reject the image before it gets its name.
    ///
    /// # Errors
    /// If the base or a source can't be read, the file can't be written, or `validate` rejects it.
    pub fn write(
        &self,
        variant: Variant<'_>,
        path: &Path,
        sync: bool,
        validate: &dyn Fn(&File) -> Result<(), Rejection>,
    ) -> Result<Derived, AssemblyError> {
        let begun = self.begin(variant, path)?;
        let mut done = self.complete(vec![begun]);
        done.pop().expect("invariant: as many as were begun")?.publish(sync, validate)
    }

    /// Whether the base is in memory, in tmpfs. Then several variants are written together in less time: see [`Self::complete`].
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }

    /// Begins a file without a name, and writes the bytes that the base lacks.
    ///
    /// # Errors
    /// If the base or a source can't be read, or the file can't be written.
    pub fn begin(&self, variant: Variant<'_>, path: &Path) -> Result<Begun, AssemblyError> {
        let failed = |error: io::Error| AssemblyError::output(path, error);
        let Place::Name { folder, name } = place::find(path)? else {
            return Err(AssemblyError::refused(path, Refusal::Stream));
        };
        let pending = Pending::create(&folder, &name, Unnamed::Try).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => AssemblyError::refused(path, Refusal::NoFolder),
            other => failed(other.into()),
        })?;
        let bytes = variant.image.len();
        // What is shared with a base in memory is written later, to a file that is zero until then.
        let is_cloned = !self.is_in_memory && self.clone_to(pending.file()).map_err(failed)?;
        pending.file().set_len(bytes).map_err(failed)?;
        let output = Positioned::new(pending.file(), path, true);
        let filler = Filler::new(variant.image, variant.contents);
        let mut work = Work { base: self, output, is_cloned, filler, buffer: Vec::new(), old: Vec::new() };
        let mut rest = Vec::new();
        for run in self.runs(variant)? {
            match run {
                Run::Base { offset, from, len } if self.is_in_memory => {
                    rest.push(Shared { from, offset, len });
                }
                run => work.put(run)?,
            }
        }
        drop(work);
        rest.sort_unstable_by_key(|shared| shared.from);
        Ok(Begun { pending, path: path.to_owned(), derived: Derived { bytes, is_cloned }, rest })
    }

    /// Makes an empty file a clone of the base. False if the file system does not clone, or is another one.
    fn clone_to(&self, file: &File) -> io::Result<bool> {
        match rustix::fs::ioctl_ficlone(file, &self.file) {
            Err(full @ (Errno::NOSPC | Errno::DQUOT)) => Err(full.into()),
            cloned => Ok(cloned.is_ok()),
        }
    }

    /// Copies what variants share with the base and don't have yet. The base is read once for all of them: a part of it stays in
    /// the processor's cache until it is in each file. Returns them in their order.
    pub fn complete(&self, begun: Vec<Begun>) -> Vec<Result<Begun, AssemblyError>> {
        let mut files: Vec<Result<Begun, AssemblyError>> = begun.into_iter().map(Ok).collect();
        let all = || files.iter().flatten().flat_map(|begun| &begun.rest);
        let (start, end) = (all().map(|shared| shared.from).min(), all().map(Shared::end).max());
        let (Some(mut at), Some(end)) = (start, end) else { return files };
        let mut buffer = Vec::new();
        let mut firsts = vec![0; files.len()];
        while at < end {
            let data = self.next_data(at, end);
            at = data.end;
            for from in data.clone().step_by(to_usize(TOGETHER)) {
                let bytes = room(&mut buffer, to_usize(TOGETHER.min(data.end - from)));
                let read = self.file.read_exact_at(bytes, from);
                for (file, first) in files.iter_mut().zip(&mut firsts) {
                    let put = match (&*file, &read) {
                        (Err(_), _) => Ok(()),
                        (Ok(begun), Ok(())) => begun.put(bytes, from, first),
                        (Ok(_), Err(error)) => Err(unreadable(&self.path, again(error))),
                    };
                    if let Err(error) = put {
                        // Frees its space for the others.
                        *file = Err(error);
                    }
                }
            }
        }
        files
    }

    /// The next bytes from `at` on that are not in a hole of the file; none at `end`.
    fn next_data(&self, at: u64, end: u64) -> Range<u64> {
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
            // A FUSE file system can report any numbers.
            Ok(data) => data.clamp(at, end),
            // No data follows.
            Err(Errno::NXIO) => return end..end,
            Err(_) => return at..end,
        };
        let hole = rustix::fs::seek(&self.file, SeekFrom::Hole(start)).ok().filter(|hole| *hole > start);
        start..hole.map_or(end, |hole| hole.min(end))
    }

    /// The runs of a variant, in ascending order.
    fn runs(&self, variant: Variant<'_>) -> Result<Vec<Run>, PieceError> {
        let mut runs: Vec<Run> = Vec::new();
        for piece in all_pieces(variant.image)? {
            let Piece { offset, len, content } = piece;
            let next = match content {
                Content::Metadata => Run::Piece(piece),
                Content::File { file, offset: within } => {
                    let place = (variant.same)(file).and_then(|file| self.place(file, within, len));
                    place.map_or(Run::Piece(piece), |from| Run::Base { offset, from, len })
                }
                Content::Zeros | Content::Unused | Content::FileZeros { .. } => match runs.last() {
                    Some(Run::Base { from, len: before, .. })
                        if self.zeros_end(from + before) >= from + before + len =>
                    {
                        Run::Base { offset, from: from + before, len }
                    }
                    _ => Run::Zeros { offset, len },
                },
            };
            let is_joined = match (runs.last_mut(), next) {
                (Some(Run::Base { from: first, len: before, .. }), Run::Base { from, len, .. })
                    if *first + *before == from =>
                {
                    *before += len;
                    true
                }
                (Some(Run::Zeros { len: before, .. }), Run::Zeros { len, .. }) => {
                    *before += len;
                    true
                }
                _ => false,
            };
            if !is_joined {
                runs.push(next);
            }
        }
        Ok(runs)
    }

    /// The place in the base of bytes of a file, if all of them are there together.
    fn place(&self, file: FileRef, from: u64, len: u64) -> Option<u64> {
        let after = self.places.partition_point(|place| (place.file, place.from) <= (file, from));
        let place = self.places.get(after.checked_sub(1)?)?;
        let skipped = from.checked_sub(place.from).filter(|_| place.file == file)?;
        (skipped + len <= place.len).then_some(place.at + skipped)
    }

    /// The end of the bytes from `at` on that the base's layout knows to be zeros; `at` itself if there are none. Zeros have no
    /// end behind the base.
    fn zeros_end(&self, at: u64) -> u64 {
        let first = self.pieces.partition_point(|piece| piece.offset + piece.len <= at);
        let mut end = at;
        for piece in self.pieces.iter().skip(first) {
            if !piece.content.is_zero() {
                return end;
            }
            end = piece.offset + piece.len;
        }
        u64::MAX
    }

    /// The end of the bytes from `at` on that the base's layout does not know to be zeros.
    fn data_end(&self, at: u64) -> u64 {
        let first = self.pieces.partition_point(|piece| piece.offset + piece.len <= at);
        let zeros = self.pieces.iter().skip(first).find(|piece| piece.content.is_zero());
        zeros.map_or(self.len, |piece| piece.offset.max(at))
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("path", &self.path).field("len", &self.len).finish_non_exhaustive()
    }
}

/// A variant that is being written.
struct Work<'w> {
    base: &'w Base,
    output: Positioned<'w>,
    is_cloned: bool,
    filler: Filler<'w>,
    buffer: Vec<u8>,
    /// Bytes of the base.
    old: Vec<u8>,
}

impl Work<'_> {
    fn put(&mut self, run: Run) -> Result<(), AssemblyError> {
        match run {
            Run::Base { offset, from, .. } if self.is_cloned && offset == from => Ok(()),
            Run::Base { offset, from, len } if self.is_cloned => self.copy(from, offset, len),
            Run::Base { offset, from, len } => self.copy_data(from, offset, len),
            Run::Zeros { offset, len } if self.is_cloned => self.clear(offset, offset + len),
            Run::Zeros { .. } => Ok(()),
            Run::Piece(piece) => self.put_piece(piece),
        }
    }

    /// Writes the bytes of a piece that the base lacks.
    fn put_piece(&mut self, piece: Piece) -> Result<(), AssemblyError> {
        let most = if piece.content == Content::Metadata { piece.len } else { PART };
        let mut done = 0;
        while done < piece.len {
            let len = most.min(piece.len - done);
            let part = Piece { offset: piece.offset + done, len, content: piece.content.skip(done) };
            let bytes = room(&mut self.buffer, to_usize(len));
            self.filler.fill_piece(&part, bytes)?;
            if self.is_cloned && part.offset + len <= self.base.len {
                let old = room(&mut self.old, to_usize(len));
                read_base(self.base, part.offset, old)?;
                for (start, end) in changes(bytes, old, part.offset) {
                    let written =
                        self.output.file.write_all_at(&bytes[start..end], part.offset + to_u64(start));
                    written.map_err(|error| AssemblyError::output(self.output.path, error))?;
                }
            } else if self.is_cloned {
                let written = self.output.file.write_all_at(bytes, part.offset);
                written.map_err(|error| AssemblyError::output(self.output.path, error))?;
            } else {
                self.output.put_bytes(bytes, part.offset)?;
            }
            done += len;
        }
        Ok(())
    }

    /// Copies bytes of the base, holes as zeros or as holes.
    fn copy(&mut self, from: u64, offset: u64, len: u64) -> Result<(), AssemblyError> {
        let failed = |error| AssemblyError::output(self.output.path, error);
        let (base, file) = (self.base.file.as_fd(), self.output.file.as_fd());
        let mut done = kernel_copy((base, from), (file, offset), len).map_err(failed)?;
        while done < len {
            let bytes = room(&mut self.buffer, to_usize(PART.min(len - done)));
            read_base(self.base, from + done, bytes)?;
            self.output.file.write_all_at(bytes, offset + done).map_err(failed)?;
            done += to_u64(bytes.len());
        }
        Ok(())
    }

    /// The same for an output that is zero there: holes of the base stay holes.
    fn copy_data(&mut self, from: u64, offset: u64, len: u64) -> Result<(), AssemblyError> {
        let end = from + len;
        let mut at = from;
        while at < end {
            let data = self.base.next_data(at, end);
            if !data.is_empty() {
                self.copy(data.start, offset + (data.start - from), data.end - data.start)?;
            }
            at = data.end;
        }
        Ok(())
    }

    /// Sets bytes to zero that may be others in the base.
    fn clear(&mut self, start: u64, end: u64) -> Result<(), AssemblyError> {
        let mut at = start;
        while at < end {
            let zeros = self.base.zeros_end(at).min(end);
            if zeros > at {
                at = zeros;
                continue;
            }
            let len = self.base.data_end(at).min(end) - at;
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if rustix::fs::fallocate(self.output.file, flags, at, len).is_err() {
                let zeros = Positioned::new(self.output.file, self.output.path, false);
                zeros.put_zeros(at, len)?;
            }
            at += len;
        }
        Ok(())
    }
}

/// The ranges of `new` whose blocks differ from those of `old`. Both begin at `offset` in the image and have one length.
fn changes(new: &[u8], old: &[u8], offset: u64) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    while start < new.len() {
        let to_next = BLOCK - to_usize((offset + to_u64(start)) % to_u64(BLOCK));
        let end = (start + to_next).min(new.len());
        if new[start..end] != old[start..end] {
            match ranges.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        start = end;
    }
    ranges
}

fn read_base(base: &Base, offset: u64, bytes: &mut [u8]) -> Result<(), AssemblyError> {
    base.file.read_exact_at(bytes, offset).map_err(|error| unreadable(&base.path, error))
}

/// The same error for another file.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn unreadable(path: &Path, error: io::Error) -> AssemblyError {
    AssemblyError::Unreadable { path: shown(path), error }
}

fn all_pieces(image: &dyn PieceSource) -> Result<Vec<Piece>, PieceError> {
    let mut pieces = Pieces::of(image);
    std::iter::from_fn(|| pieces.next().transpose()).collect()
}

#[cfg(test)]
mod tests;
