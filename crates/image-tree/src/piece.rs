use crate::NodeId;

/// A run of an image's bytes. The pieces of an image come in ascending order and leave no gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins, in \[bytes\] from the start of the image.
    pub offset: u64,
    /// How long it is, in \[bytes\]; never 0.
    pub len: u64,
    /// What stands there.
    pub content: Content,
}

/// What a [`Piece`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zero bytes, which a file can keep as a hole.
    Zeros,
    /// Bytes that [`PieceSource::generate`] makes, always for the whole piece at once.
    Metadata,
    /// Bytes of a regular file, from this offset in it on. The piece never reaches past the file's end.
    File {
        /// The file.
        node: NodeId,
        /// Where in the file the piece begins, in \[bytes\].
        offset: u64,
    },
}

/// An image whose every byte is decided, as an ordered list of pieces.
pub trait PieceSource: Sync {
    /// The image's length in \[bytes\]; the pieces cover it exactly.
    fn len(&self) -> u64;

    /// Whether the image has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces in ascending order, made on the way: an image of a million files has millions of them.
    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_>;

    /// Fills `buffer`, whose bytes are all zero, with a metadata piece: `piece` came from [`Self::pieces`] and
    /// `buffer` has its length. Called from several threads at once.
    fn generate(&self, piece: &Piece, buffer: &mut [u8]);
}
