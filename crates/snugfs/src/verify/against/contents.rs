//! Files of an image beside their sources, several at once.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use file_scanner::{Cursor, OpenFile, Opener, check_unchanged};
use image_compare::{FoundTree, Pair};
use image_tree::{FileTree, NodeId};

use super::Progress;
use crate::exit::{Exit, Failure, io_text};

/// What is compared at once, in \[bytes\].
const BUFFER: usize = 256 << 10;
/// How many files a thread takes at once: neighbours, as they lie beside each other.
const BATCH: usize = 64;

/// The files whose bytes differ, each with the first byte that does, in the order of the tree.
pub(super) fn compare(
    expected: &FileTree,
    found: &FoundTree,
    pairs: &[Pair],
    progress: &Progress<'_>,
) -> Result<Vec<(NodeId, u64)>, Failure> {
    let opener = Opener::new(expected);
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new((Vec::new(), Vec::new()));
    let batches: Vec<&[Pair]> = pairs.chunks(BATCH).collect();
    let work = || {
        let mut comparer = Comparer {
            expected,
            found,
            cursor: opener.cursor(),
            buffers: (vec![0; BUFFER], vec![0; BUFFER]),
        };
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            for pair in *batch {
                let differs = comparer.pair(*pair, progress);
                let mut outcome = outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                match differs {
                    Ok(None) => {}
                    Ok(Some(at)) => outcome.0.push((pair.expected, at)),
                    Err(failure) => {
                        outcome.1.push((pair.expected, failure));
                        return;
                    }
                }
            }
        }
    };
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(batches.len()) {
            scope.spawn(|_| work());
        }
    });
    let (mut differ, mut failed) = outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Whichever thread was first: the tree's order is the same on every machine.
    failed.sort_by_key(|(node, _)| *node);
    if let Some((_, failure)) = failed.into_iter().next() {
        return Err(failure);
    }
    differ.sort_unstable();
    Ok(differ)
}

struct Comparer<'c> {
    expected: &'c FileTree,
    found: &'c FoundTree,
    cursor: Cursor<'c, 'c>,
    buffers: (Vec<u8>, Vec<u8>),
}

impl Comparer<'_> {
    fn pair(&mut self, pair: Pair, progress: &Progress<'_>) -> Result<Option<u64>, Failure> {
        let node = self.expected.resolve(pair.expected);
        let mut image = self.found.open(pair.found).map_err(|error| super::volume::unreadable(&error))?;
        let source = match self.cursor.open(node)? {
            OpenFile::Inline(mut bytes) => {
                return same(&mut bytes, &mut image, &mut self.buffers, progress);
            }
            OpenFile::Fd(fd) => fd,
        };
        let mut file = std::fs::File::from(source);
        let differs = same(&mut file, &mut image, &mut self.buffers, progress)?;
        check_unchanged(self.expected, node, std::os::fd::AsFd::as_fd(&file))?;
        Ok(differs)
    }
}

/// The first byte at which two sources of the same length differ.
fn same(
    source: &mut dyn Read,
    image: &mut dyn Read,
    (ours, theirs): &mut (Vec<u8>, Vec<u8>),
    progress: &Progress<'_>,
) -> Result<Option<u64>, Failure> {
    let mut at = 0;
    loop {
        let source_failed = |error: io::Error| {
            Failure::new(
                Exit::Source,
                format!("source: can't be read: {}; see that its disk is sound", io_text(&error)),
            )
        };
        let length = fill(source, ours).map_err(source_failed)?;
        let found = match fill(image, theirs) {
            // A file system can say that a file goes on behind the end of the image.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(at)),
            found => found.map_err(|error| super::volume::unreadable(&error))?,
        };
        let (ours, theirs) =
            (ours.get(..length).unwrap_or_default(), theirs.get(..found).unwrap_or_default());
        if ours != theirs {
            let same = ours.iter().zip(theirs).take_while(|(our, their)| our == their).count();
            return Ok(Some(at + u64::try_from(same).unwrap_or(0)));
        }
        let length = u64::try_from(length).unwrap_or(0);
        progress(length);
        at += length;
        if usize::try_from(length).unwrap_or(0) < BUFFER {
            return Ok(None);
        }
    }
}

/// Reads until a buffer is full or nothing is left.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
