//! Pieces in order, grouped into chunks: what one thread does at once. Chunks keep the promise of the pieces, they
//! are ascending and leave no gap; how they are cut depends on the pieces alone.

use image_tree::{Content, FileRef, Piece, PieceSource};

use crate::pieces::{PieceError, Pieces};

/// The most bytes that a chunk holds in memory; a longer piece of metadata is a chunk of its own. They fit the cache of
/// one core: what was read is still there when it is written or compressed.
pub(crate) const CHUNK: u64 = 1 << 20;

/// From this length on zeros are a chunk of their own and take no memory.
const LONG_ZEROS: u64 = 64 << 10;

/// The most bytes of a file that one thread has the kernel copy at once; a multiple of every block size, so that a
/// file system that clones can clone.
const KERNEL_COPY: u64 = 32 << 20;

/// A run of the image's bytes.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Counted from 0 in the order of the image.
    pub(crate) number: u64,
    /// From the start of the image, in \[bytes\].
    pub(crate) offset: u64,
    /// In \[bytes\].
    pub(crate) len: u64,
    pub(crate) kind: Kind,
    /// The pieces of a [`Kind::Buffer`].
    pub(crate) pieces: Vec<Piece>,
}

/// What a chunk is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pieces to be brought together in memory.
    Buffer,
    /// Nothing but zeros; of a file, if one is named.
    Zeros { of: Option<FileRef> },
    /// A part of a large file, from this offset on.
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
    /// Cut off from a chunk, and what follows it.
    rest: Option<Piece>,
    ahead: Option<Piece>,
    next: u64,
    /// From this length on a piece of a file is a chunk of its own.
    lone_file: Option<u64>,
}

impl<'i> Chunks<'i> {
    /// With `lone_file`, pieces of files from that length on become a [`Kind::File`].
    pub(crate) fn of(image: &'i dyn PieceSource, lone_file: Option<u64>) -> Self {
        Self { pieces: Pieces::of(image), rest: None, ahead: None, next: 0, lone_file }
    }

    /// The number of the chunk that comes next.
    pub(crate) fn number(&self) -> u64 {
        self.next
    }

    /// Makes `chunk` the next one; false at the end of the image.
    pub(crate) fn next(&mut self, chunk: &mut Chunk) -> Result<bool, PieceError> {
        chunk.pieces.clear();
        chunk.len = 0;
        chunk.kind = Kind::Buffer;
        while let Some(piece) = self.piece()? {
            if chunk.len == 0 {
                chunk.offset = piece.offset;
            }
            if let Some((kind, most)) = self.alone(&piece, chunk.len == 0) {
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
            // A piece that fits the next chunk is not cut: its file would be opened twice.
            let cut = piece.content != Content::Metadata && piece.len > CHUNK && room > 0;
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

    /// Whether a piece makes a chunk of its own, and how long that may be.
    fn alone(&self, piece: &Piece, first: bool) -> Option<(Kind, u64)> {
        match piece.content {
            // Short zeros fill the gaps between other pieces; at the edge of a chunk nobody needs them.
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

    /// The first bytes of a piece; the others come next.
    fn split(&mut self, piece: Piece, at: u64) -> Piece {
        if piece.len <= at {
            return piece;
        }
        let content = piece.content.skip(at);
        self.rest = Some(Piece { offset: piece.offset + at, len: piece.len - at, content });
        Piece { len: at, ..piece }
    }

    /// The next piece; neighbouring zeros come as one.
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
        // What no reader looks at is written as zeros too.
        Ok(piece.map(|piece| match piece.content {
            Content::Unused => Piece { content: Content::Zeros, ..piece },
            _ => piece,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: Content = Content::Metadata;
    const Z: Content = Content::Zeros;
    const F: Content = Content::File {
        file: FileRef { tree: image_tree::TreeId::FIRST, node: image_tree::NodeId::ROOT },
        offset: 0,
    };

    struct List(Vec<(Content, u64)>);

    impl PieceSource for List {
        fn len(&self) -> u64 {
            self.0.iter().map(|piece| piece.1).sum()
        }

        fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
            let mut at = 0;
            Box::new(self.0.iter().map(move |&(content, len)| {
                let piece = Piece { offset: at, len, content };
                at += len;
                piece
            }))
        }

        fn generate(&self, _: &Piece, _: &mut [u8]) {}
    }

    /// Kind, length and number of pieces of each chunk.
    fn cut(pieces: &[(Content, u64)], lone_file: Option<u64>) -> Vec<(Kind, u64, usize)> {
        let list = List(pieces.to_vec());
        let mut chunks = Chunks::of(&list, lone_file);
        let mut chunk = Chunk::new();
        let mut seen = Vec::new();
        let mut at = 0;
        while chunks.next(&mut chunk).unwrap() {
            assert_eq!((chunk.offset, chunk.number), (at, u64::try_from(seen.len()).unwrap()));
            at += chunk.len;
            seen.push((chunk.kind, chunk.len, chunk.pieces.len()));
        }
        assert_eq!(at, list.len());
        seen
    }

    #[test]
    fn small_pieces_share_a_chunk_and_long_zeros_stand_alone() {
        let pieces = [(M, 4096), (F, 100), (Z, 3996), (M, 4096), (Z, 32 << 10), (Z, 32 << 10), (F, 5)];
        assert_eq!(
            cut(&pieces, None),
            [(Kind::Buffer, 12288, 4), (Kind::Zeros { of: None }, 64 << 10, 0), (Kind::Buffer, 5, 1)]
        );
    }

    #[test]
    fn metadata_is_never_cut() {
        let pieces = [(M, 4096), (M, CHUNK + 4096), (M, CHUNK - 4096), (M, 8192)];
        assert_eq!(
            cut(&pieces, None),
            [
                (Kind::Buffer, 4096, 1),
                (Kind::Buffer, CHUNK + 4096, 1),
                (Kind::Buffer, CHUNK - 4096, 1),
                (Kind::Buffer, 8192, 1)
            ]
        );
    }

    #[test]
    fn files_are_cut_only_where_no_chunk_could_hold_them() {
        let pieces = [(M, 4096), (F, CHUNK), (M, 4096), (F, 2 * CHUNK)];
        assert_eq!(
            cut(&pieces, None),
            [
                (Kind::Buffer, 4096, 1),
                (Kind::Buffer, CHUNK, 1),
                (Kind::Buffer, CHUNK, 2),
                (Kind::Buffer, CHUNK, 1),
                (Kind::Buffer, 4096, 1)
            ]
        );
    }

    #[test]
    fn large_files_are_left_to_the_kernel_in_aligned_parts() {
        let pieces = [(M, 4096), (F, KERNEL_COPY + (1 << 20) + 7), (Z, 4089), (M, 4096)];
        let part = |from| Kind::File {
            file: FileRef { tree: image_tree::TreeId::FIRST, node: image_tree::NodeId::ROOT },
            from,
        };
        assert_eq!(
            cut(&pieces, Some(1 << 20)),
            [
                (Kind::Buffer, 4096, 1),
                (part(0), KERNEL_COPY, 0),
                (part(KERNEL_COPY), (1 << 20) + 7, 0),
                (Kind::Zeros { of: None }, 4089, 0),
                (Kind::Buffer, 4096, 1)
            ]
        );
    }
}
