use crate::NodeId;

/// One of the trees of an image, by its position among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId(u32);

impl TreeId {
    /// The first tree, and the only one of an image that is one file system.
    pub const FIRST: Self = Self(0);

    /// The tree at a position; `None` past 2³² − 1.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    /// The position among the trees of the image.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "usize holds every u32 on the 64-bit targets that we support")]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A file of an image: a tree, and a node in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRef {
    /// The tree.
    pub tree: TreeId,
    /// The file in it.
    pub node: NodeId,
}

impl From<NodeId> for FileRef {
    /// A file of the first tree.
    fn from(node: NodeId) -> Self {
        Self { tree: TreeId::FIRST, node }
    }
}

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
    /// Zero bytes that a reader of the image relies on: the journal, inode tables, allocation tables, the rest of a
    /// file's last block. A file can keep them as a hole; a device that held something else has to be overwritten.
    Zeros,
    /// Zero bytes that no reader looks at: free blocks, free clusters, space outside of all partitions. On a device
    /// they may keep what was there before.
    Unused,
    /// Zero bytes of a regular file, known from a look at it. They are as needed as [`Self::Zeros`].
    FileZeros {
        /// The file.
        file: FileRef,
    },
    /// Bytes that [`PieceSource::generate`] makes, always for the whole piece at once.
    Metadata,
    /// Bytes of a regular file, from this offset in it on. The piece never reaches past the file's end.
    File {
        /// The file.
        file: FileRef,
        /// Where in the file the piece begins, in \[bytes\].
        offset: u64,
    },
}

impl Content {
    /// Whether the bytes are known to be zero before the image is written.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Zeros | Self::Unused | Self::FileZeros { .. })
    }

    /// The same, from so many \[bytes\] further on.
    #[must_use]
    pub fn skip(self, bytes: u64) -> Self {
        match self {
            Self::File { file, offset } => Self::File { file, offset: offset + bytes },
            other => other,
        }
    }

    /// The same, with its file in another tree of the image: a file system knows only its own tree, and a disk knows which one
    /// of its trees that is.
    #[must_use]
    pub fn in_tree(self, tree: TreeId) -> Self {
        let moved = |file: FileRef| FileRef { tree, ..file };
        match self {
            Self::File { file, offset } => Self::File { file: moved(file), offset },
            Self::FileZeros { file } => Self::FileZeros { file: moved(file) },
            other => other,
        }
    }
}

/// So much of the start and of the end of a file system or a disk is [`Content::Zeros`] even where it is free, in
/// \[bytes\]. Programs that ask what a device holds look there for signatures (libblkid: up to 68 KiB from the start, ZFS
/// labels in 256 KiB steps up to 768 KiB from the end, md superblocks in the last 128 KiB); a file system or RAID that was
/// there before must not be found again.
pub const PROBED: u64 = 1 << 20;

impl Piece {
    /// The bytes from `from` to `to` of a file system or a disk of `len` \[bytes\], which hold nothing: unused, but zeros
    /// within [`PROBED`] of either end.
    pub fn unused(from: u64, to: u64, len: u64) -> impl Iterator<Item = Self> + Send {
        let first = PROBED.clamp(from, to.max(from));
        let last = len.saturating_sub(PROBED).clamp(first, to.max(first));
        let cuts =
            [(from, first, Content::Zeros), (first, last, Content::Unused), (last, to, Content::Zeros)];
        let cuts = cuts.into_iter().filter(|(start, end, _)| end > start);
        cuts.map(|(offset, end, content)| Self { offset, len: end - offset, content })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_bytes_are_zeros_near_either_end() {
        use Content::{Unused, Zeros};
        let cut = |from, to, len| -> Vec<_> {
            Piece::unused(from, to, len).map(|piece| (piece.offset, piece.len, piece.content)).collect()
        };
        let (p, end) = (PROBED, 10 * PROBED);
        assert_eq!(cut(0, end, end), [(0, p, Zeros), (p, 8 * p, Unused), (9 * p, p, Zeros)]);
        assert_eq!(cut(5, 9, end), [(5, 4, Zeros)]);
        assert_eq!(cut(2 * p, 3 * p, end), [(2 * p, p, Unused)]);
        assert_eq!(cut(p - 1, p + 1, end), [(p - 1, 1, Zeros), (p, 1, Unused)]);
        assert_eq!(cut(9 * p - 1, 9 * p + 1, end), [(9 * p - 1, 1, Unused), (9 * p, 1, Zeros)]);
        assert_eq!(cut(7, 7, end), []);
        assert_eq!(cut(0, p, p), [(0, p, Zeros)]);
        assert_eq!(cut(3, p + 9, p + 9), [(3, p - 3, Zeros), (p, 9, Zeros)]);
    }

    #[test]
    fn unused_pieces_cover_their_range_whatever_its_place() {
        for len in [1, PROBED - 1, PROBED, 2 * PROBED, 2 * PROBED + 1, 5 * PROBED] {
            for from in [0, 1, PROBED - 1, PROBED, PROBED + 1, 4 * PROBED].into_iter().filter(|at| *at < len)
            {
                for to in [from, from + 1, len - 1, len].into_iter().filter(|to| (from..=len).contains(to)) {
                    let mut at = from;
                    for piece in Piece::unused(from, to, len) {
                        assert_eq!(piece.offset, at);
                        at += piece.len;
                    }
                    assert_eq!(at, to, "{from} to {to} of {len}");
                }
            }
        }
    }
}
