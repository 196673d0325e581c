use std::fmt;

use image_tree::{Content, FileRef, Piece, PieceSource};

use crate::observer::{Observer, Rejection};
use crate::stream::show_zeros;
use crate::zero_runs::KnownZeros;
use crate::{to_u64, to_usize};

/// Observes an image in a container that omits the zeros of files ([`Content::FileZeros`]). Such a container has fewer bytes of
/// files than the image. This observer adds them, so that the inner observer gets every byte of every file.
pub struct OmittedZeros<'i, 'o> {
    /// Pieces of the image, before it is put into the container.
    pieces: Box<dyn Iterator<Item = Piece> + Send + 'i>,
    /// The part of a file that comes next, and its length in \[bytes\].
    next: Option<(FileRef, u64)>,
    observer: &'o mut dyn Observer,
}

impl KnownZeros<'_> {
    /// Adds the zeros of files that a container around this image omits, for an observer of [`Observer::file_bytes`]. The
    /// container must have the pieces of this image in order, all of them except [`Content::FileZeros`], as
    /// `image_containers::Qcow2` and `Simg` have.
    pub fn observer<'o>(&self, observer: &'o mut dyn Observer) -> OmittedZeros<'_, 'o> {
        OmittedZeros { pieces: self.pieces(), next: None, observer }
    }
}

impl OmittedZeros<'_, '_> {
    /// The next bytes of a file that the container has, after all zeros before them are passed on.
    fn next(&mut self) -> Option<(FileRef, u64)> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        for piece in self.pieces.by_ref() {
            match piece.content {
                Content::File { file, .. } => return Some((file, piece.len)),
                Content::FileZeros { file } => show_zeros(file, piece.len, self.observer),
                Content::Zeros | Content::Unused | Content::Metadata => {}
            }
        }
        None
    }
}

impl Observer for OmittedZeros<'_, '_> {
    fn file_bytes(&mut self, file: FileRef, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let next = self.next().filter(|(of, _)| *of == file);
            let (_, len) = next.expect("invariant: a container has the pieces of files in the image's order");
            let (now, later) = rest.split_at(to_usize(len).min(rest.len()));
            self.observer.file_bytes(file, now);
            let left = len - to_u64(now.len());
            self.next = (left > 0).then_some((file, left));
            rest = later;
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.observer.bytes(bytes);
    }

    fn zeros(&mut self, len: u64) {
        self.observer.zeros(len);
    }

    fn finish(&mut self) -> Result<(), Rejection> {
        let missing = self.next();
        assert!(missing.is_none(), "invariant: a container has all bytes of files except zeros");
        self.observer.finish()
    }
}

impl fmt::Debug for OmittedZeros<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OmittedZeros").field("next", &self.next).finish_non_exhaustive()
    }
}
