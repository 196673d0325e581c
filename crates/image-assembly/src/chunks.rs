//! Groups pieces into chunks. A chunk is the unit of work of a thread. As pieces, chunks are in ascending order without
//! gaps. The division into chunks depends only on the pieces.

use image_tree::{Content, FileRef, Piece, PieceSource};

use crate::pieces::{PieceError, Pieces};

/// Maximum length of a chunk in memory, in \[bytes\]; a longer piece of metadata is a chunk of its own. It fits into the cache of
/// a core, so that bytes that were read are still cached when they are written or compressed.
pub(crate) const CHUNK: u64 = 1 << 20;

/// Minimum length of zeros that are a chunk of their own, without memory; in \[bytes\].
const LONG_ZEROS: u64 = 64 << 10;

/// Maximum length of a part of a file that the kernel copies at once, in \[bytes\]. A multiple of every block size, so that
/// file systems can clone.
pub(crate) const KERNEL_COPY: u64 = 32 << 20;

/// Consecutive bytes of the image.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Number of the chunk in the order of the image, from 0.
    pub(crate) number: u64,
    /// Offset in the image in \[bytes\].
    pub(crate) offset: u64,
    /// Length in \[bytes\].
    pub(crate) len: u64,
    pub(crate) kind: Kind,
    /// The pieces of a [`Kind::Buffer`].
    pub(crate) pieces: Vec<Piece>,
}

/// The content of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pieces that are collected in memory.
    Buffer,
    /// Only zeros. `of` is the file that they belong to, if any.
    Zeros { of: Option<FileRef> },
    /// A part of a large file, from the offset `from` in \[bytes\].
    File { file: FileRef, from: u64 },
}

impl Chunk {
    pub(crate) fn new() -> Self {
        Self { number: 0, offset: 0, len: 0, kind: Kind::Buffer, pieces: Vec::new() }
    }
}

/// All chunks of an image.
#[derive(Debug)]
pub(crate) struct Chunks<'i> {
    pieces: Pieces<'i>,
    /// The rest of a piece that was split, and the piece after it.
    rest: Option<Piece>,
    ahead: Option<Piece>,
    next: u64,
    /// Minimum length of a piece of a file that is a chunk of its own, in \[bytes\].
    lone_file: Option<u64>,
}

impl<'i> Chunks<'i> {
    /// The chunks of an image. Pieces of files of at least `lone_file` \[bytes\] become a [`Kind::File`].
    pub(crate) fn of(image: &'i dyn PieceSource, lone_file: Option<u64>) -> Self {
        Self { pieces: Pieces::of(image), rest: None, ahead: None, next: 0, lone_file }
    }

    /// The number of the next chunk.
    pub(crate) fn number(&self) -> u64 {
        self.next
    }

    /// Sets `chunk` to the next chunk. Returns false at the end of the image.
    pub(crate) fn next(&mut self, chunk: &mut Chunk) -> Result<bool, PieceError> {
        chunk.pieces.clear();
        chunk.len = 0;
        chunk.kind = Kind::Buffer;
        while let Some(piece) = self.piece()? {
            if chunk.len == 0 {
                chunk.offset = piece.offset;
            }
            if let Some((kind, most)) = self.lone_chunk(&piece, chunk.len == 0) {
                if chunk.len == 0 {
                    chunk.kind = kind;
                    chunk.len = self.split(piece, most).len;
                } else {
                    self.rest = Some(piece);
                }
                break;
            }
            let room = CHUNK - chunk.len;
            let whole = piece.len <= room || (piece.content == Content::Metadata && chunk.len == 0);
            // A piece that fits into the next chunk is not split, because its file would be opened twice.
            let cut = piece.content != Content::Metadata && piece.len > CHUNK;
            if !whole && !cut {
                self.rest = Some(piece);
                break;
            }
            let piece = if whole { piece } else { self.split(piece, room) };
            chunk.len += piece.len;
            chunk.pieces.push(piece);
            if chunk.len >= CHUNK {
                break;
            }
        }
        chunk.number = self.next;
        self.next += u64::from(chunk.len > 0);
        Ok(chunk.len > 0)
    }

    /// Kind and maximum length of the chunk, if the piece is a chunk of its own.
    fn lone_chunk(&self, piece: &Piece, first: bool) -> Option<(Kind, u64)> {
        match piece.content {
            // Short zeros are written with the pieces around them. At the start of a chunk they need no buffer.
            Content::Zeros | Content::Unused => {
                (first || piece.len >= LONG_ZEROS).then_some((Kind::Zeros { of: None }, u64::MAX))
            }
            Content::FileZeros { file } => Some((Kind::Zeros { of: Some(file) }, u64::MAX)),
            Content::File { file, offset } => {
                let large = self.lone_file.is_some_and(|from| piece.len >= from);
                large.then_some((Kind::File { file, from: offset }, KERNEL_COPY))
            }
            Content::Metadata => None,
        }
    }

    /// Splits a piece after `at` \[bytes\]. The rest becomes the next piece.
    fn split(&mut self, piece: Piece, at: u64) -> Piece {
        if piece.len <= at {
            return piece;
        }
        let content = piece.content.skip(at);
        self.rest = Some(Piece { offset: piece.offset + at, len: piece.len - at, content });
        Piece { len: at, ..piece }
    }

    /// The next piece. Adjacent zeros are joined.
    fn piece(&mut self) -> Result<Option<Piece>, PieceError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let Some(mut piece) = self.fresh()? else { return Ok(None) };
        if piece.content == Content::Zeros {
            while let Some(after) = self.fresh()? {
                if after.content != Content::Zeros {
                    self.ahead = Some(after);
                    break;
                }
                piece.len += after.len;
            }
        }
        Ok(Some(piece))
    }

    fn fresh(&mut self) -> Result<Option<Piece>, PieceError> {
        if let Some(piece) = self.ahead.take() {
            return Ok(Some(piece));
        }
        let piece = self.pieces.next()?;
        // Unused bytes are also written as zeros.
        Ok(piece.map(|piece| match piece.content {
            Content::Unused => Piece { content: Content::Zeros, ..piece },
            _ => piece,
        }))
    }
}

#[cfg(test)]
mod tests;
