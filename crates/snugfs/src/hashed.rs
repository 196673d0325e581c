//! NAR hashes: from the read that fills an image, or for a mere check in a stage of their own, several store paths at
//! once.

use std::fs::File;
use std::io::{self, Read};

use closure_registration::{Closure, ClosureErrors, PassingHashes, verify_hashes};
use file_scanner::{OpenFile, Opener};
use image_assembly::{BlockMap, Witness};
use image_tree::{FileTree, ImagePath, NodeId, NodeKind};
use sha2::{Digest, Sha256};

use crate::exit::Failure;
use crate::progress::Meter;

/// Reads all contents of the closure and compares the NAR hash of each path with the registered one.
pub(crate) fn verify(closure: &Closure, tree: &FileTree, meter: &Meter) -> Result<(), Failure> {
    let opener = Opener::new(tree);
    // A cursor for each thread: in the order of the tree it opens a file in one call.
    let open = || {
        let mut cursor = opener.cursor();
        move |node| cursor.open(node).map(Contents::from)
    };
    Ok(verify_hashes(closure, tree, open, &|bytes| meter.advance(bytes))?)
}

/// Compares hashes while an image is written, and keeps what it has against them.
pub(crate) struct Passing<'a> {
    /// Each with the number that the numbers of its files are counted from, ascending.
    closures: Vec<(usize, &'a FileTree, PassingHashes<'a>)>,
    map: Option<&'a mut BlockMap>,
    digest: Option<&'a mut ImageDigest>,
    pub(crate) errors: Option<ClosureErrors>,
}

impl<'a> Passing<'a> {
    /// `closures` with their trees, and what is added to the numbers of each tree; and a map and a digest of the image, if
    /// they are wanted.
    pub(crate) fn new(
        closures: Vec<(usize, &'a Closure, &'a FileTree)>,
        map: Option<&'a mut BlockMap>,
        digest: Option<&'a mut ImageDigest>,
    ) -> Self {
        let with_hashes = |(base, closure, tree)| (base, tree, PassingHashes::new(closure, tree));
        Self { closures: closures.into_iter().map(with_hashes).collect(), map, digest, errors: None }
    }
}

impl Witness for Passing<'_> {
    fn see(&mut self, file: NodeId, bytes: &[u8]) {
        for (base, tree, hashes) in &mut self.closures {
            let own = file.index().checked_sub(*base).filter(|index| *index < tree.len());
            if let Some(own) = own.and_then(NodeId::from_index) {
                hashes.see(own, bytes);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(map) = &mut self.map {
            map.bytes(bytes);
        }
        if let Some(digest) = &mut self.digest {
            digest.0.update(bytes);
        }
    }

    fn zeros(&mut self, len: u64) {
        if let Some(map) = &mut self.map {
            map.zeros(len);
        }
        if let Some(digest) = &mut self.digest {
            digest.zeros(len);
        }
    }

    fn agrees(&mut self) -> bool {
        for (_, _, hashes) in &mut self.closures {
            self.errors = self.errors.take().or(hashes.finish().err());
        }
        self.errors.is_none()
    }
}

/// The SHA-256 of an image before compression, from all of its bytes in their order.
#[derive(Debug, Default)]
pub(crate) struct ImageDigest(Sha256);

impl ImageDigest {
    fn zeros(&mut self, len: u64) {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut left = len;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.0.update(&ZEROS[..now]);
            left = left.saturating_sub(u64::try_from(now).unwrap_or(u64::MAX));
        }
    }

    /// The digest of all bytes taken.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// How many bytes the files below a directory have, those with several names as often as they have names.
pub(crate) fn file_bytes(tree: &FileTree, directory: &ImagePath) -> u64 {
    let Some(top) = tree.find(directory) else { return 0 };
    let below = tree.iter().skip(top.index()).take_while(|&(id, _)| id < tree.end(top));
    below.fold(0, |sum: u64, (id, _)| match tree.node(tree.resolve(id)).kind() {
        NodeKind::File { size, .. } => sum.saturating_add(size),
        _ => sum,
    })
}

/// The bytes of a file, from its start.
enum Contents<'t> {
    File(File),
    Inline(&'t [u8]),
}

impl<'t> From<OpenFile<'t>> for Contents<'t> {
    fn from(file: OpenFile<'t>) -> Self {
        match file {
            OpenFile::Fd(fd) => Self::File(File::from(fd)),
            OpenFile::Inline(bytes) => Self::Inline(bytes),
        }
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Inline(bytes) => bytes.read(buffer),
        }
    }
}
