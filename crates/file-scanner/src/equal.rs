//! Finds files with equal contents. Files with the length of another one are read once, in parallel, and compared by their
//! SHA-256. The result does not depend on threads or on inodes of the host.

use image_tree::{FileTree, MetadataId, NodeId, NodeKind, to_u64};
use rayon::prelude::*;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;

use crate::contained::ContainedFile;

use crate::error::{reason, remedy};
use crate::opener::{Cursor, OpenFile, Opener, check_unchanged, host_path};
use crate::source_error::SourceError;

/// Number of files that a task reads. They are neighbours, so the cursor keeps their directory open.
const BATCH: usize = 64;
/// Length of the read buffer in \[bytes\].
const BUFFER: usize = 256 << 10;

/// A file that is read.
enum Opened<'t> {
    File(File),
    Contained(ContainedFile<'t>),
}

/// Files with the same length and metadata as another file.
#[derive(Debug)]
pub struct Alike<'t> {
    tree: &'t FileTree,
    /// In the order of the tree.
    files: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    node: NodeId,
    size: u64,
    metadata: MetadataId,
}

impl Candidate {
    fn key(self) -> (u64, MetadataId) {
        (self.size, self.metadata)
    }
}

impl<'t> Alike<'t> {
    /// Collects the regular files at and below some nodes. These must be in the order of the tree, and none below another.
    #[must_use]
    pub fn below(tree: &'t FileTree, tops: impl Iterator<Item = NodeId>) -> Self {
        let nodes = tops.flat_map(|top| top.index()..tree.end(top).index()).filter_map(NodeId::from_index);
        let mut files: Vec<_> = nodes
            .filter_map(|node| match tree.node(node).kind() {
                NodeKind::File { size, .. } => {
                    Some(Candidate { node, size, metadata: tree.node(node).metadata() })
                }
                _ => None,
            })
            .collect();
        files.sort_unstable_by_key(|file| (file.key(), file.node));
        let mut files: Vec<_> = files
            .chunk_by(|a, b| a.key() == b.key())
            .filter(|alike| alike.len() > 1)
            .flatten()
            .copied()
            .collect();
        files.sort_unstable_by_key(|file| file.node);
        Self { tree, files }
    }

    /// The number of \[bytes\] to read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        // The lengths of sparse files can add up to more than 64 bits.
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Pairs of a file and an earlier one with the same bytes, for [`FileTree::link`]. Of equal files, the first in the order of
    /// the tree is paired with the others, up to `names` files in total; then the next one is.
    ///
    /// Runs on the current rayon pool. `progress` is called with the number of \[bytes\] read since the last call, from any
    /// thread.
    pub fn equal(
        &self,
        names: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<(NodeId, NodeId)>, SourceError> {
        let opener = Opener::new(self.tree);
        let digests: Vec<_> = self
            .files
            .par_chunks(BATCH)
            .map_init(
                || (opener.cursor(), vec![0; BUFFER]),
                |(cursor, buffer), files| {
                    let digest = |file: &Candidate| self.digest(file.node, cursor, buffer, progress);
                    files.iter().map(digest).collect::<Result<Vec<_>, _>>()
                },
            )
            .collect();
        let mut known = Vec::with_capacity(self.files.len());
        // In order, so that the error is that of the first file in the tree.
        let mut files = self.files.iter();
        for digests in digests {
            known.extend(files.by_ref().zip(digests?).map(|(file, digest)| (file.key(), digest, file.node)));
        }
        known.sort_unstable();
        let equal = known.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
        let inodes = equal.flat_map(|equal| equal.chunks(names.max(1)));
        let pairs = inodes.filter_map(|inode| {
            let (first, others) = inode.split_first()?;
            Some(others.iter().map(|other| (other.2, first.2)))
        });
        Ok(pairs.flatten().collect())
    }

    fn digest(
        &self,
        node: NodeId,
        cursor: &mut Cursor<'_, 't>,
        buffer: &mut [u8],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<[u8; 32], SourceError> {
        let mut file = match cursor.open(node)? {
            OpenFile::Inline(bytes) => return Ok(Sha256::digest(bytes).into()),
            OpenFile::Fd(fd) => Opened::File(File::from(fd)),
            OpenFile::Contained(file) => Opened::Contained(file),
        };
        let mut hasher = Sha256::new();
        let add = |bytes: &[u8]| {
            hasher.update(bytes);
            progress(to_u64(bytes.len()));
        };
        let read = match &mut file {
            Opened::File(file) => read_all(file, buffer, add),
            Opened::Contained(file) => read_all(file, buffer, add),
        };
        read.map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            let path = host_path(self.tree, node);
            SourceError::Unreadable { path, reason: reason(errno), remedy: remedy(errno) }
        })?;
        let fd = match &file {
            Opened::File(file) => file.as_fd(),
            Opened::Contained(file) => file.file(),
        };
        // This also compares the length with that of the scan.
        check_unchanged(self.tree, node, fd)?;
        Ok(hasher.finalize().into())
    }
}

/// Reads a file to its end. A read that a signal interrupted is repeated.
fn read_all(file: &mut impl Read, buffer: &mut [u8], mut add: impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => add(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each read with the next of these results.
    struct Answers(Vec<io::Result<&'static [u8]>>);

    impl Read for Answers {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = if self.0.is_empty() { &[] } else { self.0.remove(0)? };
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn only_an_interrupted_read_is_repeated() {
        let read = |answers| {
            let mut all = Vec::new();
            let read = read_all(&mut Answers(answers), &mut [0; 8], |bytes| all.extend_from_slice(bytes));
            (all, read.map_err(|error| error.kind()))
        };
        let error = |kind: ErrorKind| Err(kind.into());
        let interrupted = vec![Ok(&b"one"[..]), error(ErrorKind::Interrupted), Ok(b"two")];
        assert_eq!(read(interrupted), (b"onetwo".to_vec(), Ok(())));
        let failed = vec![Ok(&b"one"[..]), error(ErrorKind::PermissionDenied), Ok(b"two")];
        assert_eq!(read(failed), (b"one".to_vec(), Err(ErrorKind::PermissionDenied)));
    }
}
