//! Images and files in memory for unit tests, and the bytes of a naive assembler to compare with.

use std::os::fd::OwnedFd;

use image_tree::{
    Content, Contents, ContentsError, FileBytes, FileReader, FileRef, NodeId, Piece, PieceSource, to_usize,
};
use rustix::fs::MemfdFlags;

/// Metadata.
pub(crate) const M: Content = Content::Metadata;
/// Zeros.
pub(crate) const Z: Content = Content::Zeros;
/// Unused bytes.
pub(crate) const U: Content = Content::Unused;

/// A file of the first tree, by its position in [`Files`].
pub(crate) fn file(index: usize) -> FileRef {
    NodeId::from_index(index).unwrap().into()
}

/// Bytes of a file, from an offset.
pub(crate) fn from_file(index: usize, offset: u64) -> Content {
    Content::File { file: file(index), offset }
}

/// Zeros of a file.
pub(crate) fn hole(index: usize) -> Content {
    Content::FileZeros { file: file(index) }
}

/// An image with pieces of these contents and lengths.
#[derive(Clone, Debug)]
pub(crate) struct List(pub(crate) Vec<(Content, u64)>);

impl PieceSource for List {
    fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.1).sum()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let mut at = 0;
        Box::new(self.0.iter().map(move |&(content, len)| {
            let piece = Piece { offset: at, len, content };
            at += len;
            piece
        }))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        assert!(self.pieces().any(|own| own == *piece), "a piece of metadata is made as a whole");
        buffer.copy_from_slice(&data(piece.offset, piece.len));
    }
}

impl List {
    /// All bytes.
    pub(crate) fn naive(&self, files: &Files) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in self.pieces() {
            match piece.content {
                Content::Metadata => bytes.extend(data(piece.offset, piece.len)),
                Content::File { file, offset } => {
                    let whole = &files.0[file.node.index()];
                    bytes.extend_from_slice(&whole[to_usize(offset)..to_usize(offset + piece.len)]);
                }
                _ => bytes.resize(bytes.len() + to_usize(piece.len), 0),
            }
        }
        bytes
    }
}

/// Bytes that are not zero and have no period of a power of two.
pub(crate) fn data(seed: u64, len: u64) -> Vec<u8> {
    (seed..seed + len).map(|number| u8::try_from(number % 251).unwrap() + 1).collect()
}

/// Bytes that hardly compress.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(pub(crate) Vec<Vec<u8>>);

impl Contents for Files {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(self)
    }
}

impl FileReader for &Files {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let bytes = self.0.get(file.node.index());
        bytes.map(|bytes| FileBytes::Memory(bytes)).ok_or_else(|| ContentsError::no_such_file(file))
    }
}

/// A file in memory. The kernel copies none of its bytes to files on a disk.
pub(crate) fn in_memory(bytes: &[u8]) -> std::fs::File {
    let fd: OwnedFd = rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
    let mut file = std::fs::File::from(fd);
    std::io::Write::write_all(&mut file, bytes).unwrap();
    file
}
