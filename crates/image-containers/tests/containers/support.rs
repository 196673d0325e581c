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
