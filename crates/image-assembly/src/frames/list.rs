//! The frames of an image with their pieces, in order.

use image_tree::{Content, Piece, PieceSource};

use super::FrameSource;
use super::cut;
use crate::pieces::{PieceError, Pieces};

/// A frame before it is compressed.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// Counted from 0 in the order of the image.
    pub(super) number: u64,
    /// In \[bytes\].
    pub(super) len: u64,
    pub(super) pieces: Vec<Piece>,
}

impl Frame {
    /// Whether all of it is known to be zeros.
    pub(super) fn is_zero(&self) -> bool {
        self.pieces.iter().all(|piece| piece.content.is_zero())
    }
}

/// All frames of an image.
#[derive(Debug)]
pub(super) struct Frames<'i> {
    pieces: Pieces<'i>,
    /// The second part of a piece that was cut.
    rest: Option<Piece>,
    lens: std::vec::IntoIter<u64>,
    next: u64,
}

impl<'i> Frames<'i> {
    pub(super) fn of(image: &'i dyn PieceSource, source: &dyn FrameSource) -> Self {
        let lens = cut::frames(image, source).into_iter();
        Self { pieces: Pieces::of(image), rest: None, lens, next: 0 }
    }

    /// The number of the frame that comes next.
    pub(super) fn number(&self) -> u64 {
        self.next
    }

    /// Makes `frame` the next one; false at the end of the image.
    pub(super) fn next(&mut self, frame: &mut Frame) -> Result<bool, PieceError> {
        frame.pieces.clear();
        frame.number = self.next;
        frame.len = 0;
        let Some(len) = self.lens.next() else {
            return if self.pieces.next()?.is_none() { Ok(false) } else { Err(PieceError::Lost) };
        };
        while frame.len < len {
            let piece = match self.rest.take() {
                Some(piece) => piece,
                None => self.pieces.next()?.ok_or(PieceError::Lost)?,
            };
            let piece = self.first_part(piece, len - frame.len)?;
            frame.len += piece.len;
            frame.pieces.push(piece);
        }
        self.next += 1;
        Ok(true)
    }

    /// The first bytes of a piece; the others come next.
    fn first_part(&mut self, piece: Piece, len: u64) -> Result<Piece, PieceError> {
        if piece.len <= len {
            return Ok(piece);
        }
        if piece.content == Content::Metadata {
            return Err(PieceError::Lost);
        }
        let content = piece.content.skip(len);
        self.rest = Some(Piece { offset: piece.offset + len, len: piece.len - len, content });
        Ok(Piece { len, ..piece })
    }
}

#[cfg(test)]
mod tests;
