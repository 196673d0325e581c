//! Where the bytes of the image's files come from. The one implementation outside of tests is [`Scanned`].

use std::fmt;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use file_scanner::{Cursor, OpenFile, Opener, SourceError, check_unchanged};
use image_tree::{FileRef, FileTree, TreeId, escaped};

/// The files of an image, to be opened from many threads.
pub trait Contents: Sync {
    /// Opens files for one thread.
    fn reader(&self) -> Box<dyn FileReader + '_>;

    /// Whether an open file is still the one that was scanned; asked after its bytes were read.
    fn check(&self, file: FileRef, fd: BorrowedFd<'_>) -> Result<(), SourceError>;

    /// A file's path as messages show it.
    fn shown(&self, file: FileRef) -> String;
}

/// Opens the files of an image, cheapest in the order of each tree.
pub trait FileReader {
    /// A file's bytes, or a descriptor to read them from.
    fn open(&mut self, file: FileRef) -> Result<OpenFile<'_>, SourceError>;
}

/// The files of trees as they were scanned.
pub struct Scanned<'t> {
    /// By [`TreeId`].
    trees: Vec<(&'t FileTree, Opener<'t>)>,
}

impl<'t> Scanned<'t> {
    /// The files of an image that is one file system. Opens nothing yet.
    #[must_use]
    pub fn new(tree: &'t FileTree) -> Self {
        Self::of([tree])
    }

    /// The files of several trees, in the order of their [`TreeId`]s. Opens nothing yet.
    #[must_use]
    pub fn of(trees: impl IntoIterator<Item = &'t FileTree>) -> Self {
        Self { trees: trees.into_iter().map(|tree| (tree, Opener::new(tree))).collect() }
    }

    fn tree(&self, id: TreeId) -> Option<&'t FileTree> {
        self.trees.get(id.index()).map(|(tree, _)| *tree)
    }
}

impl fmt::Debug for Scanned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanned").field("trees", &self.trees.len()).finish_non_exhaustive()
    }
}

impl Contents for Scanned<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(Cursors(self.trees.iter().map(|(_, opener)| opener.cursor()).collect()))
    }

    fn check(&self, file: FileRef, fd: BorrowedFd<'_>) -> Result<(), SourceError> {
        match self.tree(file.tree) {
            Some(tree) => check_unchanged(tree, file.node, fd),
            None => Err(no_such_file(file)),
        }
    }

    fn shown(&self, file: FileRef) -> String {
        let Some(tree) = self.tree(file.tree) else { return String::new() };
        match tree.source_path(tree.resolve(file.node)) {
            Some(path) => escaped(path.as_os_str().as_bytes()).to_string(),
            None => tree.path(file.node).to_string(),
        }
    }
}

/// A cursor for each tree.
struct Cursors<'s, 't>(Vec<Cursor<'s, 't>>);

impl FileReader for Cursors<'_, '_> {
    fn open(&mut self, file: FileRef) -> Result<OpenFile<'_>, SourceError> {
        match self.0.get_mut(file.tree.index()) {
            Some(cursor) => cursor.open(file.node),
            None => Err(no_such_file(file)),
        }
    }
}

/// Files come from the pieces of the same trees, so there is none of another tree.
fn no_such_file(file: FileRef) -> SourceError {
    SourceError::NotAFile { path: format!("file {} of tree {}", file.node.index(), file.tree.index()) }
}
