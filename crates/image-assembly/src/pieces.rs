//! Checks the invariant of pieces, which all sinks rely on: they are in ascending order without gaps, overlaps or empty pieces,
//! and cover the image. A violation is an error before wrong bytes are written.

use std::fmt;

use image_tree::{Explain, Explanation, Piece, PieceSource, explained_errors};

/// The error if pieces don't form an image. Offsets and lengths are in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PieceError {
    /// A gap or an overlap.
    Misplaced {
        /// End of the previous piece.
        expected: u64,
        /// Offset of this piece.
        found: u64,
    },
    /// A piece without bytes.
    Empty {
        /// Its offset.
        offset: u64,
    },
    /// A piece that ends after the end of the image.
    PastEnd {
        /// Its offset.
        offset: u64,
        /// Length of the image.
        len: u64,
    },
    /// The pieces end before the image.
    Short {
        /// End of the last piece.
        end: u64,
        /// Length of the image.
        len: u64,
    },
    /// A chunk was never returned.
    Lost,
}

impl Explain for PieceError {
    fn explain(&self) -> Explanation {
        let what = match self {
            Self::Misplaced { expected, found } => {
                format!("a piece begins at {found}, but the previous one ends at {expected}")
            }
            Self::Empty { offset } => format!("the piece at {offset} is empty"),
            Self::PastEnd { offset, len } => {
                format!("the piece at {offset} ends after the image's {len} bytes")
            }
            Self::Short { end, len } => format!("the pieces end at {end}, the image at {len}"),
            Self::Lost => "a part of the image is missing".to_owned(),
        };
        Explanation::new("", what, "")
    }
}

explained_errors!(PieceError);

/// The pieces of an image. Each is checked.
pub(crate) struct Pieces<'i> {
    source: Box<dyn Iterator<Item = Piece> + Send + 'i>,
    /// Required offset of the next piece.
    at: u64,
    len: u64,
}

impl<'i> Pieces<'i> {
    pub(crate) fn of(image: &'i dyn PieceSource) -> Self {
        Self { source: image.pieces(), at: 0, len: image.len() }
    }

    /// The next piece; `None` at the end of the image.
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

/// Checks all pieces of an image. Fails with the first wrong one. Intended for tests; writing an image checks the same.
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
        assert!(problem(9, &[(0, 4), (3, 6)]).contains("ends at 4"));
        assert!(problem(9, &[(0, 4), (4, 0)]).contains("empty"));
        assert!(problem(9, &[(0, 4), (4, 6)]).contains("after"));
        assert!(problem(9, &[(0, 4), (4, u64::MAX)]).contains("after"));
        assert!(problem(9, &[(0, 4)]).contains("end at 4"));
    }
}
