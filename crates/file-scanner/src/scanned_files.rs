//! The files of scanned trees, as [`Contents`] of an image.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use image_tree::{
    Contents, ContentsError, Explain, FileBytes, FileReader, FileRef, FileSource, FileTree, NodeKind, Spool,
    SpoolPlace, TreeId,
};

use crate::error::ErrorKind;
use crate::opener::{Cursor, OpenFile, Opener, check_unchanged, host_path};
use crate::source_error::SourceError;

/// The files of scanned trees. A file that changed since the scan is an error.
pub struct ScannedFiles<'t> {
    /// By [`TreeId`].
    trees: Vec<(&'t FileTree, Opener<'t>)>,
    is_last_use: bool,
}

impl<'t> ScannedFiles<'t> {
    /// The files of an image with one tree. Does not open anything.
    #[must_use]
    pub fn new(tree: &'t FileTree) -> Self {
        Self::of([tree])
    }

    /// The files of several trees, in the order of their [`TreeId`]s. Does not open anything.
    #[must_use]
    pub fn of(trees: impl IntoIterator<Item = &'t FileTree>) -> Self {
        let trees = trees.into_iter().map(|tree| (tree, Opener::new(tree))).collect();
        Self { trees, is_last_use: false }
    }

    /// Sets whether nobody reads the files again after an image of them was written. Then, the temporary files of compressed
    /// archives become shorter while it is written.
    #[must_use]
    pub fn last_use(self, is_last_use: bool) -> Self {
        Self { is_last_use, ..self }
    }

    fn tree(&self, id: TreeId) -> Option<&'t FileTree> {
        self.trees.get(id.index()).map(|(tree, _)| *tree)
    }
}

impl fmt::Debug for ScannedFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScannedFiles").field("trees", &self.trees.len()).finish_non_exhaustive()
    }
}

impl Contents for ScannedFiles<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(Cursors(self.trees.iter().map(|(_, opener)| opener.cursor()).collect()))
    }

    fn check(&self, file: FileRef, fd: BorrowedFd<'_>) -> Result<(), ContentsError> {
        let tree = self.tree(file.tree).ok_or_else(|| ContentsError::no_such_file(file))?;
        Ok(check_unchanged(tree, file.node, fd)?)
    }

    fn shown(&self, file: FileRef) -> String {
        let Some(tree) = self.tree(file.tree) else { return String::new() };
        host_path(tree, tree.resolve(file.node))
    }

    fn spool(&self) -> Option<&dyn Spool> {
        let mut containers = self
            .trees
            .iter()
            .flat_map(|(tree, _)| tree.origins())
            .filter_map(|origin| origin.container.as_ref());
        containers.any(|container| container.is_private()).then_some(self)
    }
}

impl Spool for ScannedFiles<'_> {
    fn place(&self, file: FileRef) -> Option<SpoolPlace<'_>> {
        let tree = self.tree(file.tree)?;
        let NodeKind::File { source: FileSource::Range { origin, offset }, .. } =
            tree.node(tree.resolve(file.node)).kind()
        else {
            return None;
        };
        let container =
            tree.origin(origin).container.as_deref().filter(|container| container.is_private())?;
        Some(SpoolPlace { fd: container.file.as_fd(), offset })
    }

    fn is_last_use(&self) -> bool {
        self.is_last_use
    }
}

/// A cursor for each tree.
struct Cursors<'s, 't>(Vec<Cursor<'s, 't>>);

impl FileReader for Cursors<'_, '_> {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let cursor = self.0.get_mut(file.tree.index()).ok_or_else(|| ContentsError::no_such_file(file))?;
        Ok(cursor.open(file.node)?.into())
    }
}

impl<'t> From<OpenFile<'t>> for FileBytes<'t> {
    fn from(file: OpenFile<'t>) -> Self {
        match file {
            OpenFile::Fd(fd) => Self::Fd(fd),
            OpenFile::Inline(bytes) => Self::Memory(bytes),
            OpenFile::Contained(file) => file.into(),
        }
    }
}

impl From<SourceError> for ContentsError {
    fn from(error: SourceError) -> Self {
        match error.kind() {
            ErrorKind::Internal => Self::internal(error.explain()),
            _ => Self::new(error.explain()),
        }
    }
}
