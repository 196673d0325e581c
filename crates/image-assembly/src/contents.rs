//! Where the bytes of the image's files come from. The one implementation outside of tests is [`Scanned`].

use std::fmt;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use file_scanner::{Cursor, OpenFile, Opener, SourceError, check_unchanged};
use image_tree::{FileTree, NodeId, escaped};

/// The files of an image, to be opened from many threads.
pub trait Contents: Sync {
    /// Opens files for one thread.
    fn reader(&self) -> Box<dyn FileReader + '_>;

    /// Whether an open file is still the one that was scanned; asked after its bytes were read.
    fn check(&self, node: NodeId, fd: BorrowedFd<'_>) -> Result<(), SourceError>;

    /// A file's path as messages show it.
    fn shown(&self, node: NodeId) -> String;
}

/// Opens the files of one tree, cheapest in the order of the tree.
pub trait FileReader {
    /// A file's bytes, or a descriptor to read them from.
    fn open(&mut self, node: NodeId) -> Result<OpenFile<'_>, SourceError>;
}

/// The files of a tree as they were scanned.
pub struct Scanned<'t> {
    tree: &'t FileTree,
    opener: Opener<'t>,
}

impl<'t> Scanned<'t> {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(tree: &'t FileTree) -> Self {
        Self { tree, opener: Opener::new(tree) }
    }
}

impl fmt::Debug for Scanned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanned").field("nodes", &self.tree.len()).finish_non_exhaustive()
    }
}

impl Contents for Scanned<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(self.opener.cursor())
    }

    fn check(&self, node: NodeId, fd: BorrowedFd<'_>) -> Result<(), SourceError> {
        check_unchanged(self.tree, node, fd)
    }

    fn shown(&self, node: NodeId) -> String {
        match self.tree.source_path(self.tree.resolve(node)) {
            Some(path) => escaped(path.as_os_str().as_bytes()).to_string(),
            None => self.tree.path(node).to_string(),
        }
    }
}

impl FileReader for Cursor<'_, '_> {
    fn open(&mut self, node: NodeId) -> Result<OpenFile<'_>, SourceError> {
        Cursor::open(self, node)
    }
}
