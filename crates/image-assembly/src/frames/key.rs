//! Keys of compressed frames: everything that decides their bytes.

use image_tree::{Content, FileRef, Piece};
use sha2::{Digest, Sha256};

use super::FrameSource;
use super::list::Frame;
use crate::to_u64;

/// Another way to make frames gets another number.
const VERSION: u32 = 1;

/// A SHA-256 of everything that decides the bytes of a compressed frame: the contents, the level and the version of zstd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameKey([u8; 32]);

impl FrameKey {
    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of a frame whose contents are known without reading them: zeros, and files that `source` identifies.
    pub(super) fn of_pieces(frame: &Frame, level: i32, source: &dyn FrameSource) -> Option<Self> {
        let mut hash = start(level, b"pieces");
        let mut last: Option<Known> = None;
        let mut identity = Vec::new();
        for piece in &frame.pieces {
            let known = Known::of(piece)?;
            match &mut last {
                Some(last) if last.continues_with(&known) => last.len += known.len,
                _ => {
                    put(&mut hash, last.replace(known), source, &mut identity)?;
                }
            }
        }
        put(&mut hash, last, source, &mut identity)?;
        Some(Self(hash.finalize().into()))
    }

    /// The key of a frame with these contents.
    pub(super) fn of_bytes(bytes: &[u8], level: i32) -> Self {
        let mut hash = start(level, b"bytes");
        hash.update(bytes);
        Self(hash.finalize().into())
    }
}

fn start(level: i32, kind: &[u8]) -> Sha256 {
    let mut hash = Sha256::new();
    field(&mut hash, b"snugfs frame");
    hash.update(VERSION.to_le_bytes());
    field(&mut hash, crate::zstd_version().as_bytes());
    hash.update(level.to_le_bytes());
    field(&mut hash, kind);
    hash
}

/// Adds bytes so that no other fields give the same input.
fn field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(to_u64(bytes.len()).to_le_bytes());
    hash.update(bytes);
}

/// Consecutive zeros or bytes of one file: how the pieces are cut does not matter.
#[derive(Clone, Copy)]
struct Known {
    file: Option<(FileRef, u64)>,
    len: u64,
}

impl Known {
    fn of(piece: &Piece) -> Option<Self> {
        let file = match piece.content {
            Content::Zeros | Content::Unused | Content::FileZeros { .. } => None,
            Content::File { file, offset } => Some((file, offset)),
            Content::Metadata => return None,
        };
        Some(Self { file, len: piece.len })
    }

    fn continues_with(&self, next: &Self) -> bool {
        match (self.file, next.file) {
            (None, None) => true,
            (Some((file, from)), Some(next)) => (file, from + self.len) == next,
            _ => false,
        }
    }
}

fn put(
    hash: &mut Sha256,
    known: Option<Known>,
    source: &dyn FrameSource,
    identity: &mut Vec<u8>,
) -> Option<()> {
    let Some(known) = known else { return Some(()) };
    match known.file {
        None => hash.update([0]),
        Some((file, from)) => {
            identity.clear();
            if !source.identify(file, identity) {
                return None;
            }
            hash.update([1]);
            field(hash, identity);
            hash.update(from.to_le_bytes());
        }
    }
    hash.update(known.len.to_le_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Unit;
    use image_tree::{NodeId, TreeId};

    /// Identifies a file by its number, except the file 9.
    struct Numbers;

    impl FrameSource for Numbers {
        fn unit(&self, file: FileRef) -> Unit {
            ().unit(file)
        }

        fn identify(&self, file: FileRef, identity: &mut Vec<u8>) -> bool {
            identity.extend(file.node.index().to_le_bytes());
            file.node.index() != 9
        }
    }

    fn key(pieces: &[(Content, u64)]) -> Option<FrameKey> {
        let pieces = pieces.iter().map(|&(content, len)| Piece { offset: 0, len, content }).collect();
        FrameKey::of_pieces(&Frame { number: 0, len: 0, pieces }, 3, &Numbers)
    }

    fn file(node: usize, offset: u64) -> Content {
        let node = NodeId::from_index(node).unwrap();
        Content::File { file: FileRef { tree: TreeId::FIRST, node }, offset }
    }

    #[test]
    fn a_key_names_files_ranges_and_zeros_and_not_how_they_are_cut() {
        let whole = key(&[(file(1, 0), 100), (Content::Zeros, 50)]).unwrap();
        let cut = [(file(1, 0), 60), (file(1, 60), 40), (Content::Zeros, 20), (Content::Unused, 30)];
        assert_eq!(key(&cut), Some(whole));
        for other in [
            [(file(2, 0), 100), (Content::Zeros, 50)],
            [(file(1, 1), 100), (Content::Zeros, 50)],
            [(file(1, 0), 99), (Content::Zeros, 51)],
            [(Content::Zeros, 50), (file(1, 0), 100)],
        ] {
            assert_ne!(key(&other), Some(whole), "{other:?}");
        }
        assert_eq!(key(&[(file(1, 0), 100), (Content::Metadata, 50)]), None);
        assert_eq!(key(&[(file(9, 0), 100)]), None, "a file that must be read");
    }

    #[test]
    fn the_level_and_the_kind_of_identity_matter() {
        assert_ne!(FrameKey::of_bytes(b"x", 3), FrameKey::of_bytes(b"x", 4));
        assert_ne!(FrameKey::of_bytes(b"", 3), key(&[]).unwrap());
        assert_eq!(FrameKey([7; 32]).as_bytes(), &[7; 32]);
    }
}
