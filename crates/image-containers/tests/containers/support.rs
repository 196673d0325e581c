//! Images of any pieces, and all bytes of an image or a container.

use image_tree::{Content, Piece, PieceSource};

/// An image of pieces of these kinds and lengths. Its data bytes depend on their offset and are never zero.
#[derive(Debug)]
pub(crate) struct Image(pub(crate) Vec<(Content, u64)>);

pub(crate) fn byte(offset: u64) -> u8 {
    u8::try_from(offset % 251).unwrap() + 1
}

impl PieceSource for Image {
    fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.1).sum()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let mut at = 0;
        Box::new(self.0.iter().map(move |&(content, len)| {
            let piece = Piece { offset: at, len, content: content.skip(at) };
            at += len;
            piece
        }))
    }

    /// Only whole pieces can be generated, as in a file system.
    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        assert!(self.pieces().any(|whole| whole == *piece), "{piece:?} is no whole piece");
        for (to, at) in buffer.iter_mut().zip(piece.offset..) {
            *to = byte(at);
        }
    }
}

/// All bytes of an image, or of a container of it. Contents of files equal the image's bytes at the file offset.
pub(crate) fn bytes(image: &dyn PieceSource) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.len()).unwrap()];
    let mut at = 0;
    for piece in image.pieces() {
        assert_eq!(piece.offset, at);
        assert!(piece.len > 0);
        at += piece.len;
        let from = usize::try_from(piece.offset).unwrap();
        let part = &mut bytes[from..from + usize::try_from(piece.len).unwrap()];
        match piece.content {
            Content::Metadata => image.generate(&piece, part),
            Content::File { offset, .. } => part.iter_mut().zip(offset..).for_each(|(to, at)| *to = byte(at)),
            _ => {}
        }
    }
    assert_eq!(at, image.len());
    bytes
}

/// Something that has bytes, maybe too many for memory.
pub(crate) trait Bytes {
    fn len(&self) -> u64;

    fn bytes(&self, at: u64, len: u64) -> Vec<u8>;

    fn is_zero(&self, at: u64, len: u64) -> bool {
        self.bytes(at, len).iter().all(|byte| *byte == 0)
    }
}

impl Bytes for Vec<u8> {
    fn len(&self) -> u64 {
        u64::try_from(Vec::len(self)).unwrap()
    }

    fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        self[place(at)..place(at + len)].to_vec()
    }

    fn is_zero(&self, at: u64, len: u64) -> bool {
        // Comparing is quicker than a loop, without optimization.
        let zeros = [0; 4096];
        self[place(at)..place(at + len)].chunks(zeros.len()).all(|part| *part == zeros[..part.len()])
    }
}

/// Reads an image or a container piece by piece. The pieces are consecutive.
pub(crate) struct Reader<'i> {
    image: &'i dyn PieceSource,
    pieces: Vec<Piece>,
}

impl<'i> Reader<'i> {
    pub(crate) fn of(image: &'i dyn PieceSource) -> Self {
        let pieces: Vec<Piece> = image.pieces().collect();
        let mut at = 0;
        for piece in &pieces {
            assert_eq!(piece.offset, at);
            assert!(piece.len > 0);
            at += piece.len;
        }
        assert_eq!(at, image.len());
        Self { image, pieces }
    }

    pub(crate) fn image(&self) -> &'i dyn PieceSource {
        self.image
    }

    /// Whether any of these bytes may be read.
    pub(crate) fn is_needed(&self, at: u64, len: u64) -> bool {
        self.between(at, at + len).any(|piece| piece.content != Content::Unused)
    }

    /// The pieces that have bytes from `at` to `end`.
    fn between(&self, at: u64, end: u64) -> impl Iterator<Item = &Piece> {
        let first = self.pieces.partition_point(|piece| piece.offset + piece.len <= at);
        self.pieces[first..].iter().take_while(move |piece| piece.offset < end)
    }
}

impl Bytes for Reader<'_> {
    fn len(&self) -> u64 {
        self.image.len()
    }

    fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        let end = at + len;
        assert!(end <= self.image.len(), "{at} and {len} more");
        let mut bytes = vec![0; place(len)];
        for piece in self.between(at, end) {
            let (first, last) = (piece.offset.max(at), (piece.offset + piece.len).min(end));
            let target = &mut bytes[place(first - at)..place(last - at)];
            match piece.content {
                Content::Metadata => {
                    let mut whole = vec![0; place(piece.len)];
                    self.image.generate(piece, &mut whole);
                    target.copy_from_slice(&whole[place(first - piece.offset)..place(last - piece.offset)]);
                }
                Content::File { offset, .. } => {
                    target
                        .iter_mut()
                        .zip(offset + first - piece.offset..)
                        .for_each(|(to, at)| *to = byte(at));
                }
                _ => {}
            }
        }
        bytes
    }

    fn is_zero(&self, at: u64, len: u64) -> bool {
        self.between(at, at + len).all(|piece| piece.content.is_zero())
    }
}

pub(crate) fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

pub(crate) fn little_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

pub(crate) fn little_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn little_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

pub(crate) fn big_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

pub(crate) fn big_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn big_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}
