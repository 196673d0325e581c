use crate::{NodeId, TreeId};

/// A file of an image: a tree, and a node in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRef {
    /// The tree.
    pub tree: TreeId,
    /// The file in the tree.
    pub node: NodeId,
}

impl From<NodeId> for FileRef {
    /// A file in the first tree.
    fn from(node: NodeId) -> Self {
        Self { tree: TreeId::FIRST, node }
    }
}

/// Consecutive bytes of an image. The pieces of an image are in ascending order, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the image in \[bytes\].
    pub offset: u64,
    /// Length in \[bytes\]; never 0.
    pub len: u64,
    /// Content.
    pub content: Content,
}

/// The content of a [`Piece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zeros that readers of the image rely on: the journal, inode tables, allocation tables, the rest of a file's last
    /// block. They can be a hole in a file, but must be written to a device.
    Zeros,
    /// Bytes that are never read: free blocks, free clusters, space outside of partitions. They are zeros in a file; a device
    /// may keep its old contents.
    Unused,
    /// Zeros of a regular file, found by reading it or its holes. Readers rely on them as on [`Self::Zeros`].
    FileZeros {
        /// The file.
        file: FileRef,
    },
    /// Bytes that [`PieceSource::generate`] generates, always for the whole piece.
    Metadata,
    /// Bytes of a regular file, from an offset. The piece never extends past the end of the file.
    File {
        /// The file.
        file: FileRef,
        /// Offset in the file in \[bytes\].
        offset: u64,
    },
}

impl Content {
    /// Whether the bytes are known to be zeros before the image is written.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Zeros | Self::Unused | Self::FileZeros { .. })
    }

    /// The content without its first `bytes` \[bytes\].
    #[must_use]
    pub fn skip(self, bytes: u64) -> Self {
        match self {
            Self::File { file, offset } => Self::File { file, offset: offset + bytes },
            other => other,
        }
    }

    /// The content with its file in another tree. A file system has only its own tree; a disk sets the index of that tree
    /// among its trees.
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

/// Length in \[bytes\] of the start and end of a file system or disk that are [`Content::Zeros`] even if they are free.
/// Programs that identify devices look there for signatures (libblkid: up to 68 KiB from the start, ZFS
/// labels in 256 KiB steps up to 768 KiB from the end, md superblocks in the last 128 KiB). They must not find an old file
/// system or RAID there.
pub const PROBED: u64 = 1 << 20;

impl Piece {
    /// The free bytes from `from` to `to` of a file system or disk of `len` \[bytes\]: unused, except zeros within
    /// [`PROBED`] of either end.
    pub fn unused(from: u64, to: u64, len: u64) -> impl Iterator<Item = Self> + Send {
        let first = PROBED.clamp(from, to.max(from));
        let last = len.saturating_sub(PROBED).clamp(first, to.max(first));
        let cuts =
            [(from, first, Content::Zeros), (first, last, Content::Unused), (last, to, Content::Zeros)];
        let cuts = cuts.into_iter().filter(|(start, end, _)| end > start);
        cuts.map(|(offset, end, content)| Self { offset, len: end - offset, content })
    }
}

/// An image as an ordered list of pieces, which determine every byte.
pub trait PieceSource: Sync {
    /// Length of the image in \[bytes\]. The pieces cover it exactly.
    fn len(&self) -> u64;

    /// Whether the image has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces in ascending order. Lazy, because an image of a million files has millions of pieces.
    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_>;

    /// Generates a metadata piece. `piece` must come from [`Self::pieces`], and `buffer` must be zeros and have its length.
    /// Called by several threads at once.
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
    fn a_file_of_another_tree_keeps_its_node_and_offset() {
        let [from, to] = [0, 3].map(|index| TreeId::from_index(index).unwrap());
        let node = NodeId::from_index(7).unwrap();
        let [before, after] = [from, to].map(|tree| FileRef { tree, node });
        let file = |file| Content::File { file, offset: 9 };
        assert_eq!(file(before).in_tree(to), file(after));
        assert_eq!(Content::FileZeros { file: before }.in_tree(to), Content::FileZeros { file: after });
        for other in [Content::Zeros, Content::Unused, Content::Metadata] {
            assert_eq!(other.in_tree(to), other);
        }
    }

    #[test]
    fn contents_without_their_start_go_on_behind_it() {
        let file = FileRef::from(NodeId::from_index(7).unwrap());
        assert_eq!(Content::File { file, offset: 9 }.skip(5), Content::File { file, offset: 14 });
        for other in [Content::Zeros, Content::Unused, Content::Metadata, Content::FileZeros { file }] {
            assert_eq!(other.skip(5), other);
        }
    }

    #[test]
    fn zeros_are_known_before_the_image_is_written() {
        let file = FileRef::from(NodeId::from_index(7).unwrap());
        for zero in [Content::Zeros, Content::Unused, Content::FileZeros { file }] {
            assert!(zero.is_zero(), "{zero:?}");
        }
        for other in [Content::Metadata, Content::File { file, offset: 0 }] {
            assert!(!other.is_zero(), "{other:?}");
        }
    }

    /// Free space, as much as its number.
    struct Free(u64);

    impl PieceSource for Free {
        fn len(&self) -> u64 {
            self.0
        }

        fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
            Box::new(Piece::unused(0, self.0, self.0))
        }

        fn generate(&self, _: &Piece, _: &mut [u8]) {}
    }

    #[test]
    fn an_image_without_bytes_is_empty() {
        assert!(Free(0).is_empty());
        assert!(!Free(1).is_empty());
    }

    #[test]
    fn unused_pieces_cover_any_range() {
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
