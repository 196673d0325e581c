//! Images in memory.

use std::io;

use image_reader::ReadAt;
use image_tree::{Content, FileSource, FileTree, NodeKind, Piece};
use image_tree::{PieceSource, to_u64, to_usize};

/// The bytes of an image.
#[derive(Debug)]
pub(crate) struct Memory(pub(crate) Vec<u8>);

impl ReadAt for Memory {
    fn length(&self) -> u64 {
        to_u64(self.0.len())
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let at = to_usize(offset);
        let found = at.checked_add(buffer.len()).and_then(|end| self.0.get(at..end));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Checks that pieces are not empty and cover the image exactly. Returns the number of pieces.
pub(crate) fn assert_covers(image: &dyn PieceSource) -> u64 {
    let mut at = 0_u64;
    let mut count = 0;
    for piece in image.pieces() {
        assert_eq!(piece.offset, at, "{piece:?}");
        assert!(piece.len > 0, "{piece:?}");
        at = at.checked_add(piece.len).unwrap_or_else(|| panic!("{piece:?}"));
        count += 1;
    }
    assert_eq!(at, image.len());
    count
}

/// Generates the bytes of an image with the files of one tree. Files without inline bytes are zeros.
pub(crate) fn assembled(image: &dyn PieceSource, tree: &FileTree) -> Memory {
    let mut bytes = vec![0; to_usize(image.len())];
    for piece in image.pieces() {
        let from = to_usize(piece.offset);
        let Some(part) = bytes.get_mut(from..from + to_usize(piece.len)) else {
            panic!("{piece:?} is outside of the image");
        };
        fill(image, tree, &piece, part);
    }
    Memory(bytes)
}

fn fill(image: &dyn PieceSource, tree: &FileTree, piece: &Piece, part: &mut [u8]) {
    match piece.content {
        Content::Zeros | Content::Unused | Content::FileZeros { .. } => {}
        Content::Metadata => image.generate(piece, part),
        Content::File { file, offset } => {
            let NodeKind::File { size, source } = tree.node(file.node).kind() else {
                panic!("{piece:?} refers to no file");
            };
            assert!(
                offset.checked_add(piece.len).is_some_and(|end| end <= size),
                "{piece:?} of {size} bytes"
            );
            if let FileSource::Inline(index) = source {
                let bytes = tree.inline(index).iter().skip(to_usize(offset));
                for (to, from) in part.iter_mut().zip(bytes) {
                    *to = *from;
                }
            }
        }
    }
}
