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

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::testing::*;
    use crate::zero_runs::GRAIN;

    /// Keeps the bytes of files, and all others.
    #[derive(Default)]
    struct Seen {
        files: Vec<(FileRef, Vec<u8>)>,
        all: Vec<u8>,
        is_done: bool,
    }

    impl Observer for Seen {
        fn file_bytes(&mut self, file: FileRef, bytes: &[u8]) {
            match self.files.last_mut() {
                Some((last, seen)) if *last == file => seen.extend_from_slice(bytes),
                _ => self.files.push((file, bytes.to_vec())),
            }
        }

        fn bytes(&mut self, bytes: &[u8]) {
            self.all.extend_from_slice(bytes);
        }

        fn zeros(&mut self, len: u64) {
            self.all.resize(self.all.len() + to_usize(len), 0);
        }

        fn finish(&mut self) -> Result<(), Rejection> {
            self.is_done = true;
            Ok(())
        }
    }

    #[test]
    fn zeros_that_a_container_omits_are_added_to_the_bytes_of_files() {
        let grain = to_usize(GRAIN);
        let zeros = vec![0; 2 * grain];
        let files = Files(vec![
            [&zeros[..], &data(0, GRAIN), &zeros, &data(9, 100)].concat(),
            [&data(3, GRAIN), &zeros[..]].concat(),
        ]);
        let image = List(vec![
            (M, GRAIN),
            (from_file(0, 0), 5 * GRAIN + 100),
            (Z, GRAIN - 100),
            (from_file(1, 0), 3 * GRAIN),
            (M, 5),
        ]);
        let one = NonZeroUsize::MIN;
        let known = KnownZeros::find(&image, &files, (one, one), &|_| {}).unwrap();
        // The container passes on the other bytes of a file, some of several pieces at once.
        let stored: Vec<Vec<Vec<u8>>> = vec![
            vec![data(0, GRAIN)[..5].to_vec(), [&data(0, GRAIN)[5..], &data(9, 100)].concat()],
            vec![data(3, GRAIN)],
        ];
        let mut seen = Seen::default();
        let mut observer = known.observer(&mut seen);
        observer.bytes(&[7, 8]);
        observer.zeros(3);
        for (index, parts) in stored.iter().enumerate() {
            for bytes in parts {
                observer.file_bytes(file(index), bytes);
            }
        }
        observer.finish().unwrap();
        assert!(seen.is_done && seen.all == [7, 8, 0, 0, 0]);
        assert!(seen.files == [(file(0), files.0[0].clone()), (file(1), files.0[1].clone())]);
    }

    #[test]
    #[should_panic(expected = "invariant: a container has all bytes of files except zeros")]
    fn a_container_without_bytes_of_a_file_is_a_bug() {
        let files = Files(vec![data(0, 100)]);
        let image = List(vec![(from_file(0, 0), 100)]);
        let one = NonZeroUsize::MIN;
        let known = KnownZeros::find(&image, &files, (one, one), &|_| {}).unwrap();
        let _ = known.observer(&mut Seen::default()).finish();
    }
}
