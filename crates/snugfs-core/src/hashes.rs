//! NAR hashes: computed while an image is written, or in a stage of their own, several store paths at once.

use std::fs::File;
use std::io::{self, Read};

use closure_registration::{Closure, StreamingHashes, verify_hashes};
use file_scanner::{ContainedFile, OpenFile, Opener};
use image_assembly::{Observer as ImageObserver, Rejection};
use image_tree::{FileRef, FileTree, ImagePath, NodeKind, TreeId};

use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::parts::is_hashed;
use crate::parts::{ScannedVolume, Volume};
use crate::{Failure, fields};

/// Compares the hashes of all closures whose plan asks for it.
pub(crate) fn verify_all<'v, 'p: 'v>(
    volumes: impl Iterator<Item = &'v ScannedVolume<'p>>,
    observer: &dyn Observer,
) -> Result<(), Failure> {
    let hashed: Vec<_> = volumes.filter(|volume| is_hashed(volume)).collect();
    let hashed = || hashed.iter().filter_map(|volume| Some((*volume, volume.closure.as_ref()?)));
    if hashed().next().is_none() {
        return Ok(());
    }
    let bytes = hashed().map(|(volume, closure)| file_bytes(&volume.tree, closure.place())).sum();
    run_stage(observer, (Stage::Verify, Unit::Bytes, bytes), || {
        hashed().try_for_each(|(volume, closure)| verify(volume, closure, observer))
    })
}

/// Reads all contents of a closure and compares the NAR hash of each path with the registered one.
fn verify(volume: &ScannedVolume<'_>, closure: &Closure, observer: &dyn Observer) -> Result<(), Failure> {
    let opener = Opener::new(&volume.tree);
    // One cursor per thread: in the order of the tree, it opens a file with one call.
    let open = || {
        let mut cursor = opener.cursor();
        move |node| cursor.open(node).map(Contents::from)
    };
    verify_hashes(closure, &volume.tree, open, &|bytes| observer.advance(bytes))
        .map_err(|error| fields::verification_failure(error, &volume.planned.at))
}

/// Compares hashes while an image is written.
pub(crate) struct PassingClosures<'a>(Vec<(TreeId, &'a ScannedVolume<'a>, StreamingHashes<'a>)>);

impl<'a> PassingClosures<'a> {
    /// Compares the closures of these volumes.
    pub(crate) fn new(volumes: impl Iterator<Item = &'a Volume<'a>>) -> Self {
        let with_hashes = |volume: &'a Volume<'a>| {
            let hashes = StreamingHashes::new(volume.scanned.closure.as_ref()?, &volume.scanned.tree);
            Some((volume.tree, &volume.scanned, hashes))
        };
        Self(volumes.filter_map(with_hashes).collect())
    }

    /// Whether there is nothing to compare.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ImageObserver for PassingClosures<'_> {
    fn file_bytes(&mut self, file: FileRef, bytes: &[u8]) {
        for (_, _, hashes) in self.0.iter_mut().filter(|(tree, ..)| *tree == file.tree) {
            hashes.update(file.node, bytes);
        }
    }

    /// Fails with the [`Failure`] of the first closure that is not as registered.
    fn finish(&mut self) -> Result<(), Rejection> {
        for (_, volume, hashes) in &mut self.0 {
            hashes.finish().map_err(|errors| fields::closure_failure(&errors, &volume.planned.at))?;
        }
        Ok(())
    }
}

/// The length of all files below a directory. Files with several names count once per name.
fn file_bytes(tree: &FileTree, directory: &ImagePath) -> u64 {
    let Some(top) = tree.find(directory) else { return 0 };
    let below = tree.iter().skip(top.index()).take_while(|&(id, _)| id < tree.end(top));
    // Sparse files can have any lengths together.
    below.fold(0, |sum: u64, (id, _)| match tree.node(tree.resolve(id)).kind() {
        NodeKind::File { size, .. } => sum.saturating_add(size),
        _ => sum,
    })
}

/// Reads a file from its start.
enum Contents<'t> {
    File(File),
    Inline(&'t [u8]),
    Contained(ContainedFile<'t>),
}

impl<'t> From<OpenFile<'t>> for Contents<'t> {
    fn from(file: OpenFile<'t>) -> Self {
        match file {
            OpenFile::Fd(fd) => Self::File(File::from(fd)),
            OpenFile::Inline(bytes) => Self::Inline(bytes),
            OpenFile::Contained(file) => Self::Contained(file),
        }
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Inline(bytes) => bytes.read(buffer),
            Self::Contained(file) => file.read(buffer),
        }
    }
}
