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

/// The files of several trees, their numbers told apart by what is added to each tree's own.
#[derive(Debug)]
pub struct Joined<'t> {
    /// Ascending.
    parts: Vec<(usize, Scanned<'t>)>,
}

impl<'t> Joined<'t> {
    /// Joins trees, and gives each the number that its own numbers are counted from: the first has its own.
    #[must_use]
    pub fn new(trees: impl IntoIterator<Item = &'t FileTree>) -> Self {
        let mut base = 0_usize;
        let with_base = |tree: &'t FileTree| {
            let part = (base, Scanned::new(tree));
            base = base.saturating_add(tree.len());
            part
        };
        Self { parts: trees.into_iter().map(with_base).collect() }
    }

    /// What is added to the numbers of each tree, in their order.
    pub fn bases(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().map(|(base, _)| *base)
    }

    /// The tree of a file, as its position, and the file's number there.
    fn of(&self, node: NodeId) -> Option<(usize, NodeId)> {
        let position = self.parts.partition_point(|(base, _)| *base <= node.index()).checked_sub(1)?;
        let (base, _) = self.parts.get(position)?;
        Some((position, NodeId::from_index(node.index() - base)?))
    }

    fn scanned(&self, node: NodeId) -> Option<(&Scanned<'t>, NodeId)> {
        let (position, node) = self.of(node)?;
        Some((&self.parts.get(position)?.1, node))
    }
}

impl Contents for Joined<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(JoinedReader {
            joined: self,
            cursors: self.parts.iter().map(|(_, part)| part.opener.cursor()).collect(),
        })
    }

    fn check(&self, node: NodeId, fd: BorrowedFd<'_>) -> Result<(), SourceError> {
        match self.scanned(node) {
            Some((scanned, node)) => scanned.check(node, fd),
            None => Err(no_such_file(node)),
        }
    }

    fn shown(&self, node: NodeId) -> String {
        self.scanned(node).map_or_else(String::new, |(scanned, node)| scanned.shown(node))
    }
}

/// A cursor for each tree.
struct JoinedReader<'j, 't> {
    joined: &'j Joined<'t>,
    cursors: Vec<Cursor<'j, 't>>,
}

impl FileReader for JoinedReader<'_, '_> {
    fn open(&mut self, node: NodeId) -> Result<OpenFile<'_>, SourceError> {
        let Some((position, own)) = self.joined.of(node) else { return Err(no_such_file(node)) };
        match self.cursors.get_mut(position) {
            Some(cursor) => cursor.open(own),
            None => Err(no_such_file(node)),
        }
    }
}

/// Numbers come from the pieces of the same trees, so there is none that belongs to no tree.
fn no_such_file(node: NodeId) -> SourceError {
    SourceError::Vanished { path: format!("file number {}", node.index()) }
}

impl FileReader for Cursor<'_, '_> {
    fn open(&mut self, node: NodeId) -> Result<OpenFile<'_>, SourceError> {
        Cursor::open(self, node)
    }
}
