use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ImagePath, Metadata, MetadataId, Name, to_usize};

/// Where a node stands in its tree: 0 is the root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The root directory of every tree.
    pub const ROOT: Self = Self(0);

    /// The node at a position of the depth-first order; `None` past 2³² nodes.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    /// The position in the depth-first order.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "usize holds every u32 on the 64-bit targets that we support")]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The node after this one in depth-first order, if the tree has one.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A piece of the tree's byte arena.
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

/// One directory entry of the image. Everything of variable length is kept by the tree.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub(crate) name_start: u32,
    pub(crate) name_len: u8,
    pub(crate) parent: NodeId,
    pub(crate) metadata: MetadataId,
    pub(crate) kind: NodeKind,
}

impl Node {
    /// The directory that holds the node; the root is its own parent.
    #[must_use]
    pub fn parent(&self) -> NodeId {
        self.parent
    }

    /// What the node is.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        self.kind
    }

    /// Its metadata; of a hard link, that of the node it leads to.
    #[must_use]
    pub fn metadata(&self) -> MetadataId {
        self.metadata
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory; its descendants are the nodes after it, up to `end`.
    Directory {
        /// The first node that is not below the directory.
        end: NodeId,
    },
    /// A regular file, the first of its links in the order of the tree.
    File {
        /// Length in \[bytes\].
        size: u64,
        /// Where the bytes are.
        source: FileSource,
    },
    /// One more name of an earlier node, which is neither a directory nor itself a hard link.
    HardLink {
        /// The earlier node.
        to: NodeId,
    },
    /// A symbolic link, its target 1 to 4,095 bytes in the tree's arena.
    Symlink {
        /// See [`FileTree::symlink_target`].
        target: ByteRange,
    },
    /// A device, FIFO or socket.
    Special(SpecialKind),
}

/// An inode without contents.
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
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Where the bytes of a regular file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// A file of this machine, below the source of an origin; see [`FileTree::source_path`].
    Scanned {
        /// The source that it was found in.
        origin: OriginId,
        /// What tells that it has not changed since.
        stamp: FileStamp,
    },
    /// Bytes that the tree itself keeps; see [`FileTree::inline`].
    Inline(u32),
    /// Bytes that a program has elsewhere, under a number that it chose. Its [`Contents`](crate::Contents) reads them.
    External(u64),
}

/// The unit in which the data of a sparse file is described, in \[bytes\].
pub const HOLE_GRAIN: u64 = 4096;

/// A stretch of a sparse file that holds data; what is between two of them is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRun {
    /// Where it begins, in units of [`HOLE_GRAIN`] from the start of the file.
    pub start: u32,
    /// How long it is, in the same units; at least 1. The file may end within the last one.
    pub len: u32,
}

impl DataRun {
    /// The first unit behind it.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.len)
    }
}

/// A digest of a source file's modification time, to notice a change between the scan and the copy. The size is
/// compared beside it; inode number, link count and change time are not part of it, because optimising a store
/// alters those and not the contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp(u32);

impl FileStamp {
    /// The digest of a modification time as `stat` gives it.
    #[must_use]
    pub fn of_mtime(seconds: i64, nanoseconds: u32) -> Self {
        // FNV-1a over the twelve bytes: any fixed mixing does.
        let fold = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let hash = seconds.to_le_bytes().iter().fold(0x811c_9dc5, fold);
        Self(nanoseconds.to_le_bytes().iter().fold(hash, fold))
    }
}

/// Names one of a tree's origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginId(pub(crate) u32);

impl OriginId {
    /// The position among the tree's origins.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "usize holds every u32 on the 64-bit targets that we support")]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A file or folder of this machine, and the path in the image at which it was laid.
#[derive(Clone, Debug)]
pub struct Origin {
    /// On this machine.
    pub source: PathBuf,
    /// In the image: the file itself, or the directory that the folder's entries went into.
    pub target: ImagePath,
    /// The folder itself, wherever its path leads to by now; `None` for a file, and for a folder of which nothing was read.
    pub folder: Option<Arc<OwnedFd>>,
}

/// All that an image shall hold: one sorted tree, the same on every machine. Made with [`crate::TreeWriter`]. A clone is
/// another handle to the same tree.
#[derive(Clone, Debug)]
pub struct FileTree(pub(crate) Arc<TreeData>);

#[derive(Clone, Debug)]
pub(crate) struct TreeData {
    pub(crate) nodes: Vec<Node>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Vec<Metadata>,
    pub(crate) inline: Vec<Vec<u8>>,
    pub(crate) origins: Vec<Origin>,
    /// Of the sparse files, in the order of their nodes.
    pub(crate) sparse: Vec<(NodeId, Box<[DataRun]>)>,
}

impl TreeData {
    pub(crate) fn name(&self, id: NodeId) -> &[u8] {
        let node = &self.nodes[id.index()];
        ByteRange { start: node.name_start, len: u32::from(node.name_len) }.of(&self.bytes)
    }
}

impl FileTree {
    /// How many nodes there are; at least the root, so never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a tree always has its root")]
    pub fn len(&self) -> usize {
        self.0.nodes.len()
    }

    /// The node itself.
    ///
    /// # Panics
    /// If the node is of another, larger tree.
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

    /// The bytes of a node's name; empty only for the root.
    #[must_use]
    pub fn name(&self, id: NodeId) -> &[u8] {
        self.0.name(id)
    }

    /// The first node after this one that is not below it.
    #[must_use]
    pub fn end(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            NodeKind::Directory { end } => end,
            _ => id.next(),
        }
    }

    /// The entries of a directory, sorted by name; none for any other node.
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

    /// The node of a hard link's inode; any other node itself.
    #[must_use]
    pub fn resolve(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            NodeKind::HardLink { to } => to,
            _ => id,
        }
    }

    /// Owner, rights and times of a node.
    #[must_use]
    pub fn metadata(&self, id: MetadataId) -> &Metadata {
        &self.0.metadata[id.index()]
    }

    /// All distinct metadata of the tree.
    pub fn all_metadata(&self) -> impl ExactSizeIterator<Item = (MetadataId, &Metadata)> {
        self.0.metadata.iter().enumerate().map(|(index, metadata)| (MetadataId::of_index(index), metadata))
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

    /// Where a sparse file has data, ascending and with holes between; `None` for a file that is all data.
    #[must_use]
    pub fn data_runs(&self, id: NodeId) -> Option<&[DataRun]> {
        let at = self.0.sparse.binary_search_by_key(&id, |(node, _)| *node).ok()?;
        self.0.sparse.get(at).map(|(_, runs)| &**runs)
    }

    /// How many \[bytes\] of a regular file are data, holes left out; 0 for any other node.
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

    /// An origin.
    #[must_use]
    pub fn origin(&self, id: OriginId) -> &Origin {
        &self.0.origins[id.index()]
    }

    /// All origins, in the order of their ids.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.0.origins
    }

    /// The path in the image.
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

    /// The node at a path, found by binary search in none and by a walk of each directory's entries otherwise.
    #[must_use]
    pub fn find(&self, path: &ImagePath) -> Option<NodeId> {
        path.parts().try_fold(NodeId::ROOT, |directory, name| {
            self.children(directory).find(|&child| self.name(child) == name.as_bytes())
        })
    }

    /// Where on this machine a scanned file is; `None` for anything else.
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
