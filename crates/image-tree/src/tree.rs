use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ImagePath, Metadata, MetadataId, Name, NodeId, OriginId, to_usize};

/// A range of the tree's byte arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl ByteRange {
    fn of(self, arena: &[u8]) -> &[u8] {
        let (start, len) = (u64::from(self.start), u64::from(self.len));
        arena
            .get(to_usize(start)..to_usize(start + len))
            .expect("invariant: a range is asked of the tree whose writer made it")
    }
}

/// A directory entry of the image. The tree stores its data of variable length.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub(crate) name_start: u32,
    pub(crate) name_len: u8,
    pub(crate) parent: NodeId,
    pub(crate) metadata: MetadataId,
    pub(crate) kind: NodeKind,
}

impl Node {
    /// The parent directory; the root is its own parent.
    #[must_use]
    pub fn parent(&self) -> NodeId {
        self.parent
    }

    /// The kind of the node.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        self.kind
    }

    /// The metadata; of a hard link, those of its target.
    #[must_use]
    pub fn metadata(&self) -> MetadataId {
        self.metadata
    }
}

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory. Its descendants are the nodes after it, up to `end`.
    Directory {
        /// The first node after its descendants.
        end: NodeId,
    },
    /// A regular file, under its first name in tree order.
    File {
        /// Length in \[bytes\].
        size: u64,
        /// Source of the bytes.
        source: FileSource,
    },
    /// Another name of an earlier node, which is not a directory or hard link.
    HardLink {
        /// The earlier node.
        to: NodeId,
    },
    /// A symlink, with a target of 1 to 4,095 bytes in the tree's arena.
    Symlink {
        /// See [`FileTree::symlink_target`].
        target: ByteRange,
    },
    /// A device, FIFO or socket.
    Special(SpecialKind),
}

/// The kind of an inode without contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// A character device.
    Character {
        /// Major number, below 4,096.
        major: u32,
        /// Minor number, below 2²⁰.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number, below 4,096.
        major: u32,
        /// Minor number, below 2²⁰.
        minor: u32,
    },
    /// A FIFO (named pipe).
    Fifo,
    /// A socket.
    Socket,
}

/// The source of a regular file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// A file of this machine, below an origin; see [`FileTree::source_path`].
    Scanned {
        /// The origin in which it was found.
        origin: OriginId,
        /// Digest to detect changes after the scan.
        stamp: FileStamp,
    },
    /// Consecutive bytes of a file that contains others; see [`Origin::container`].
    Range {
        /// The origin of that file.
        origin: OriginId,
        /// Where the bytes begin in it, in \[bytes\].
        offset: u64,
    },
    /// Several parts of a file that contains others, with zeros between them.
    Segments {
        /// The origin of that file.
        origin: OriginId,
        /// The position in [`Container::segments`].
        index: u32,
    },
    /// Bytes stored in the tree; see [`FileTree::inline`].
    Inline(u32),
    /// None yet: the file is empty, and has room for this number of \[bytes\]; see [`crate::TreeWriter::slot`].
    Slot(u64),
    /// Bytes that a program has elsewhere, under a number that it chose. Its [`Contents`](crate::Contents) reads them.
    External(u64),
}

/// Unit of the data runs of sparse files in \[bytes\].
pub const HOLE_GRAIN: u64 = 4096;

/// Consecutive data of a sparse file. Between two data runs is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRun {
    /// Offset in the file, in units of [`HOLE_GRAIN`].
    pub start: u32,
    /// Length in the same units, at least 1. The file may end within the last unit.
    pub len: u32,
}

impl DataRun {
    /// The first unit after the run.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.len)
    }
}

/// A digest of a source file's modification time, to detect changes between scan and copy. The size is compared too.
/// Inode number, link count and change time are not part of it, because optimising a store changes those, but not the
/// contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp(u32);

impl FileStamp {
    /// The digest of a modification time from `stat`.
    #[must_use]
    pub fn of_mtime(seconds: i64, nanoseconds: u32) -> Self {
        // FNV-1a of the twelve bytes; any fixed hash would do.
        let fold = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let hash = seconds.to_le_bytes().iter().fold(0x811c_9dc5, fold);
        Self(nanoseconds.to_le_bytes().iter().fold(hash, fold))
    }
}

/// A file or folder of this machine, and the path in the image to which it was copied.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Path on this machine.
    pub source: PathBuf,
    /// Path in the image: of the file, or of the directory with the folder's entries.
    pub target: ImagePath,
    /// The open folder, which its path may no longer refer to. `None` for a file, and for a folder of which nothing was read.
    pub folder: Option<Arc<OwnedFd>>,
    /// The open file, if it contains the bytes of files of the image, as an archive does.
    pub container: Option<Arc<Container>>,
}

/// An open file that contains the bytes of other files.
#[derive(Debug)]
pub struct Container {
    /// The file.
    pub file: Arc<OwnedFd>,
    /// Its length in \[bytes\] and its time when it was examined. `None` for a file that no other process can change.
    pub stamp: Option<(u64, FileStamp)>,
    /// The segments of each sparse file in it.
    pub segments: Vec<Box<[Segment]>>,
}

impl Container {
    /// Whether it is a temporary file of this process, which no other one can change.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.stamp.is_none()
    }
}

/// Consecutive data of a sparse file in a [`Container`]. Segments are ascending and disjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the sparse file, in \[bytes\].
    pub start: u64,
    /// Length in \[bytes\], at least 1.
    pub len: u64,
    /// Offset in the container, in \[bytes\].
    pub offset: u64,
}

/// The contents of a file system as one sorted tree. Made with [`crate::TreeWriter`]. Cheap to clone: a clone
/// refers to the same tree.
#[derive(Clone, Debug)]
pub struct FileTree(pub(crate) Arc<TreeData>);

#[derive(Clone, Debug)]
pub(crate) struct TreeData {
    pub(crate) nodes: Vec<Node>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Vec<Metadata>,
    pub(crate) inline: Vec<Vec<u8>>,
    pub(crate) origins: Vec<Origin>,
    /// Data runs of the sparse files, in the order of their nodes.
    pub(crate) sparse: Vec<(NodeId, Box<[DataRun]>)>,
}

impl TreeData {
    pub(crate) fn name(&self, id: NodeId) -> &[u8] {
        let node = &self.nodes[id.index()];
        ByteRange { start: node.name_start, len: u32::from(node.name_len) }.of(&self.bytes)
    }
}

impl FileTree {
    /// Number of nodes, including the root, so never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a tree always has its root")]
    pub fn len(&self) -> usize {
        self.0.nodes.len()
    }

    /// The node with this id.
    ///
    /// # Panics
    /// If the id comes from another, larger tree.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.0.nodes[id.index()]
    }

    /// All nodes in depth-first order, the root first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> + Clone {
        self.0.nodes.iter().enumerate().map(|(index, node)| {
            (NodeId::from_index(index).expect("invariant: the writer refuses more than 2³² nodes"), node)
        })
    }

    /// The name of a node; empty only for the root.
    #[must_use]
    pub fn name(&self, id: NodeId) -> &[u8] {
        self.0.name(id)
    }

    /// The first node after this one and its descendants.
    #[must_use]
    pub fn end(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            NodeKind::Directory { end } => end,
            _ => id.next(),
        }
    }

    /// The entries of a directory, sorted by name; empty for other nodes.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        let end = self.end(id);
        let mut next = id.next();
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let child = next;
            next = self.end(child);
            Some(child)
        })
    }

    /// The target of a hard link; any other node itself.
    #[must_use]
    pub fn resolve(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            NodeKind::HardLink { to } => to,
            _ => id,
        }
    }

    /// The metadata of a node.
    #[must_use]
    pub fn metadata(&self, id: MetadataId) -> &Metadata {
        &self.0.metadata[id.index()]
    }

    /// All distinct metadata of the tree.
    pub fn all_metadata(&self) -> impl ExactSizeIterator<Item = (MetadataId, &Metadata)> {
        self.0.metadata.iter().enumerate().map(|(index, metadata)| (MetadataId::of_position(index), metadata))
    }

    /// The target of a symlink.
    #[must_use]
    pub fn symlink_target(&self, target: ByteRange) -> &[u8] {
        target.of(&self.0.bytes)
    }

    /// The bytes of a file that the tree itself keeps; none for a number that [`crate::TreeWriter::inline`] did not return.
    #[must_use]
    pub fn inline(&self, index: u32) -> &[u8] {
        self.0.inline.get(to_usize(index.into())).map_or(&[], Vec::as_slice)
    }

    /// The data runs of a sparse file, ascending, with holes between them. `None` for a file without holes.
    #[must_use]
    pub fn data_runs(&self, id: NodeId) -> Option<&[DataRun]> {
        let at = self.0.sparse.binary_search_by_key(&id, |(node, _)| *node).ok()?;
        self.0.sparse.get(at).map(|(_, runs)| &**runs)
    }

    /// Length of a regular file in \[bytes\] without holes; 0 for other nodes.
    #[must_use]
    pub fn stored_bytes(&self, id: NodeId) -> u64 {
        let NodeKind::File { size, .. } = self.node(id).kind else { return 0 };
        let Some(runs) = self.data_runs(id) else { return size };
        let bytes = |run: &DataRun| {
            let start = u64::from(run.start) * HOLE_GRAIN;
            (run.end() * HOLE_GRAIN).min(size) - start
        };
        runs.iter().map(bytes).sum()
    }

    /// The room of a slot in \[bytes\]; `None` for other nodes.
    #[must_use]
    pub fn slot(&self, id: NodeId) -> Option<u64> {
        match self.node(id).kind {
            NodeKind::File { source: FileSource::Slot(bytes), .. } => Some(bytes),
            _ => None,
        }
    }

    /// The slots: each file that is one, and its room in \[bytes\].
    pub fn slots(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.iter().filter_map(|(id, _)| Some((id, self.slot(id)?)))
    }

    /// The origin with this id.
    #[must_use]
    pub fn origin(&self, id: OriginId) -> &Origin {
        &self.0.origins[id.index()]
    }

    /// All origins, in the order of their ids.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.0.origins
    }

    /// The path of a node in the image.
    #[must_use]
    pub fn path(&self, id: NodeId) -> ImagePath {
        let mut chain = Vec::new();
        let mut at = id;
        while at != NodeId::ROOT {
            chain.push(at);
            at = self.node(at).parent;
        }
        let name =
            |node| Name::new(self.name(node)).expect("invariant: the writer takes each name as a `Name`");
        ImagePath::of_names(chain.into_iter().rev().map(name))
    }

    /// Finds the node of a path, by a linear search in each directory.
    #[must_use]
    pub fn find(&self, path: &ImagePath) -> Option<NodeId> {
        path.parts().try_fold(NodeId::ROOT, |directory, name| {
            self.children(directory).find(|&child| self.name(child) == name.as_bytes())
        })
    }

    /// The path of a scanned file on this machine; `None` for other nodes.
    #[must_use]
    pub fn source_path(&self, id: NodeId) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let NodeKind::File { source: FileSource::Scanned { origin, .. }, .. } = self.node(id).kind else {
            return None;
        };
        let origin = self.origin(origin);
        let path = self.path(id);
        let below = path.parts().skip(origin.target.parts().count());
        Some(below.fold(origin.source.clone(), |at, name| {
            at.join(Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())))
        }))
    }
}
