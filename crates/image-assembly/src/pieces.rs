//! The one promise about pieces that all sinks build upon: ascending, without gap or overlap, none empty, and
//! together as long as the image. Whatever breaks it is noticed before it can become a wrong byte.

use std::fmt;

use image_tree::{Explain, Explanation, Piece, PieceSource, explained_errors};

/// How pieces fail to make an image; offsets and lengths in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PieceError {
    /// A gap, an overlap, or a step back.
    Misplaced {
        /// Where the previous piece ended.
        expected: u64,
        /// Where this one begins.
        found: u64,
    },
    /// A piece without bytes.
    Empty {
        /// Where it stands.
        offset: u64,
    },
    /// A piece that goes on behind the image's end.
    PastEnd {
        /// Where it begins.
        offset: u64,
        /// The image's length.
        len: u64,
    },
    /// Nothing stands at the end of the image.
    Short {
        /// Where the last piece ends.
        end: u64,
        /// The image's length.
        len: u64,
    },
    /// The chunks that were taken did not all come back.
    Lost,
}

impl Explain for PieceError {
    fn explain(&self) -> Explanation {
        let what = match self {
            Self::Misplaced { expected, found } => {
                format!("a piece begins at {found}, where the one before it ended at {expected}")
            }
            Self::Empty { offset } => format!("the piece at {offset} is empty"),
            Self::PastEnd { offset, len } => {
                format!("the piece at {offset} ends behind the image's {len} bytes")
            }
            Self::Short { end, len } => format!("the pieces end at {end}, the image at {len}"),
            Self::Lost => "a part of the image was lost on its way".to_owned(),
        };
        Explanation::new("", what, "")
    }
}

explained_errors!(PieceError);

/// An image's pieces, each checked as it comes.
pub(crate) struct Pieces<'i> {
    source: Box<dyn Iterator<Item = Piece> + Send + 'i>,
    /// Where the next one has to begin.
    at: u64,
    len: u64,
}

impl<'i> Pieces<'i> {
    pub(crate) fn of(image: &'i dyn PieceSource) -> Self {
        Self { source: image.pieces(), at: 0, len: image.len() }
    }

    /// The next piece; `None` once the image is complete.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, PieceError> {
        let Some(piece) = self.source.next() else {
            let whole = self.at == self.len;
            return if whole { Ok(None) } else { Err(PieceError::Short { end: self.at, len: self.len }) };
        };
        if piece.offset != self.at {
            return Err(PieceError::Misplaced { expected: self.at, found: piece.offset });
        }
        if piece.len == 0 {
            return Err(PieceError::Empty { offset: piece.offset });
        }
        match self.at.checked_add(piece.len) {
            Some(end) if end <= self.len => self.at = end,
            _ => return Err(PieceError::PastEnd { offset: piece.offset, len: self.len }),
        }
        Ok(Some(piece))
    }
}

impl fmt::Debug for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("at", &self.at).field("len", &self.len).finish_non_exhaustive()
    }
}

/// Goes through all pieces of an image and says what is wrong with the first bad one. For tests of what makes
/// pieces; writing an image checks the same on the way.
pub fn check_pieces(image: &dyn PieceSource) -> Result<(), String> {
    let mut pieces = Pieces::of(image);
    while pieces.next().map_err(|error| error.to_string())?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_tree::Content;

    struct List(u64, Vec<(u64, u64)>);

    impl PieceSource for List {
        fn len(&self) -> u64 {
            self.0
        }

        fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
            let piece = |&(offset, len)| Piece { offset, len, content: Content::Zeros };
            Box::new(self.1.iter().map(piece))
        }

        fn generate(&self, _: &Piece, _: &mut [u8]) {}
    }

    fn problem(len: u64, pieces: &[(u64, u64)]) -> String {
        check_pieces(&List(len, pieces.to_vec())).unwrap_err()
    }

    #[test]
    fn pieces_that_cover_the_image_pass() {
        assert_eq!(check_pieces(&List(0, vec![])), Ok(()));
        assert_eq!(check_pieces(&List(9, vec![(0, 4), (4, 5)])), Ok(()));
    }

    #[test]
    fn gaps_overlaps_empty_pieces_and_a_wrong_end_are_named() {
        assert!(problem(9, &[(0, 4), (5, 4)]).contains("begins at 5"));
        assert!(problem(9, &[(0, 4), (3, 6)]).contains("ended at 4"));
        assert!(problem(9, &[(0, 4), (4, 0)]).contains("empty"));
        assert!(problem(9, &[(0, 4), (4, 6)]).contains("behind"));
        assert!(problem(9, &[(0, 4), (4, u64::MAX)]).contains("behind"));
        assert!(problem(9, &[(0, 4)]).contains("end at 4"));
    }
}
