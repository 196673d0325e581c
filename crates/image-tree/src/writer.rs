use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::tree::{
    ByteRange, DataRun, FileSource, FileTree, HOLE_GRAIN, Node, NodeKind, Origin, SpecialKind, TreeData,
};
use crate::{Metadata, MetadataId, Name, NodeId, OriginId, Xattr, XattrName, escaped};

/// The extended attribute that marks a slot. Its value is the room in \[bytes\], as decimal digits.
pub const SLOT_XATTR: &str = "trusted.snugfs.slot";
/// The most room of a slot in \[bytes\]. So few blocks have at most two extents in any ext4 file system, and the inode has room for
/// them when a stamp divides one.
pub const MAX_SLOT: u64 = 64 << 20;

/// Builds a [`FileTree`] in tree order: entries sorted, each name once, hard links only to earlier nodes. Anything else is
/// an error, so every tree follows these rules.
#[derive(Debug)]
pub struct TreeWriter {
    tree: TreeData,
    /// Only looked up, never iterated: the order of a `HashMap` is random.
    metadata_ids: HashMap<Metadata, MetadataId>,
    /// The metadata that were asked for last: neighbours often have the same.
    latest_metadata: MetadataId,
    /// The open directories, outermost first, each with its last entry.
    open: Vec<(NodeId, Option<NodeId>)>,
    /// Of `/lost+found`, until the tree has it.
    lost_found: Option<MetadataId>,
}

const LOST_FOUND: &[u8] = b"lost+found";

/// The error of [`TreeWriter`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeError {
    /// An entry that does not sort after the one before it.
    OutOfOrder {
        /// The later name, escaped.
        name: String,
    },
    /// A hard link to a directory, to a hard link, or to nothing.
    BadHardLink {
        /// The link's name, escaped.
        name: String,
    },
    /// A symlink target that is empty, too long, or has a NUL.
    BadTarget {
        /// The link's name, escaped.
        name: String,
        /// Length of the target in \[bytes\].
        len: usize,
    },
    /// A device number that ext4 can't store: a major number of 2¹² or more, or a minor number of 2²⁰ or more.
    BadDevice {
        /// The device's name, escaped.
        name: String,
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A slot without room, or with more than [`MAX_SLOT`].
    BadSlot {
        /// The slot's name, escaped.
        name: String,
        /// Its room in \[bytes\].
        bytes: u64,
    },
    /// Data runs that are not in order, not within their file, or without a file.
    BadDataRuns,
    /// More than 2³² − 1 nodes, or 4 GiB of names.
    TooMany,
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder { name } => write!(f, "the entry {name} must sort after the previous one"),
            Self::BadHardLink { name } => write!(f, "the hard link {name} must refer to an earlier file"),
            Self::BadTarget { name, len } => write!(
                f,
                "the target of the symlink {name}, {len} bytes long, must have 1 to 4095 bytes and no NUL"
            ),
            Self::BadDevice { name, major, minor } => write!(
                f,
                "the device {name} has the number {major}:{minor}; a major number is below 4096, a minor number \
                 below 1048576"
            ),
            Self::BadSlot { name, bytes } => {
                write!(f, "the slot {name} has {bytes} bytes; it must have 1 to {MAX_SLOT}")
            }
            Self::BadDataRuns => {
                f.write_str("the data runs of a sparse file must be in order and within the file")
            }
            Self::TooMany => f.write_str(
                "there are more entries, or bytes of names, than a file system of 2^32 inodes can hold",
            ),
        }
    }
}

impl std::error::Error for TreeError {}

impl TreeWriter {
    /// Starts a tree with its root directory, which is open.
    #[must_use]
    pub fn new(root: Metadata, origins: Vec<Origin>) -> Self {
        let tree = TreeData {
            nodes: vec![Node {
                name_start: 0,
                name_len: 0,
                parent: NodeId::ROOT,
                metadata: MetadataId::FIRST,
                kind: NodeKind::Directory { end: NodeId::ROOT.next() },
            }],
            bytes: Vec::new(),
            metadata: vec![root.clone()],
            inline: Vec::new(),
            origins,
            sparse: Vec::new(),
        };
        Self {
            tree,
            metadata_ids: HashMap::from([(root, MetadataId::FIRST)]),
            latest_metadata: MetadataId::FIRST,
            open: vec![(NodeId::ROOT, None)],
            lost_found: None,
        }
    }

    /// Adds the directory `/lost+found` in its place unless an entry of that name is added: e2fsck wants it in every ext4 file
    /// system. To be called before an entry that sorts after it.
    ///
    /// # Errors
    /// If such an entry was added already.
    pub fn add_lost_found(&mut self, metadata: MetadataId) -> Result<(), TreeError> {
        match self.latest_of_root() {
            Some(name) if name == LOST_FOUND => Ok(()),
            Some(name) if name > LOST_FOUND => {
                Err(TreeError::OutOfOrder { name: escaped(LOST_FOUND).to_string() })
            }
            _ => {
                self.lost_found = Some(metadata);
                Ok(())
            }
        }
    }

    /// The name of the latest entry of the root directory.
    fn latest_of_root(&self) -> Option<&[u8]> {
        self.open.first()?.1.map(|latest| self.tree.name(latest))
    }

    /// Adds `/lost+found` if it is missing and nothing before it is.
    fn catch_up(&mut self, next: Option<&[u8]>) -> Result<(), TreeError> {
        if self.open.len() > 1 || next.is_some_and(|next| next < LOST_FOUND) {
            return Ok(());
        }
        let Some(metadata) = self.lost_found.take() else { return Ok(()) };
        if next != Some(LOST_FOUND) {
            let name = Name::new(LOST_FOUND).map_err(|_| TreeError::TooMany)?;
            self.begin_directory(name, metadata)?;
            self.end_directory();
        }
        Ok(())
    }

    /// Reserves memory for this many nodes, and bytes of names and targets.
    pub fn reserve(&mut self, nodes: usize, bytes: usize) {
        self.tree.nodes.reserve_exact(nodes);
        self.tree.bytes.reserve_exact(bytes);
    }

    /// Adds metadata. Equal metadata have the same id, so call this once for many nodes that share it.
    pub fn metadata(&mut self, metadata: &Metadata) -> MetadataId {
        if self.metadata_of(self.latest_metadata) == metadata {
            return self.latest_metadata;
        }
        let id = if let Some(&id) = self.metadata_ids.get(metadata) {
            id
        } else {
            let id = MetadataId::of_position(self.tree.metadata.len());
            self.tree.metadata.push(metadata.clone());
            self.metadata_ids.insert(metadata.clone(), id);
            id
        };
        self.latest_metadata = id;
        id
    }

    /// Metadata that was added.
    ///
    /// # Panics
    /// If the id comes from another writer.
    #[must_use]
    pub fn metadata_of(&self, id: MetadataId) -> &Metadata {
        &self.tree.metadata[id.index()]
    }

    /// The origin with this index in the list given to [`Self::new`].
    #[must_use]
    pub fn origin(&self, index: usize) -> Option<OriginId> {
        OriginId::from_index(index).filter(|_| index < self.tree.origins.len())
    }

    /// Stores the bytes of a file in the tree.
    pub fn inline(&mut self, bytes: Vec<u8>) -> FileSource {
        let index = u32::try_from(self.tree.inline.len())
            .expect("invariant: memory does not hold the vectors of 2³² files");
        self.tree.inline.push(bytes);
        FileSource::Inline(index)
    }

    /// Opens a directory. Further entries are in it until [`Self::end_directory`].
    pub fn begin_directory(&mut self, name: Name<'_>, metadata: MetadataId) -> Result<NodeId, TreeError> {
        let id = self.add(name, metadata, NodeKind::Directory { end: NodeId::ROOT })?;
        self.open.push((id, None));
        Ok(id)
    }

    /// Closes the directory that was opened last. [`Self::finish`] closes the root.
    pub fn end_directory(&mut self) {
        if self.open.len() > 1 {
            self.close();
        }
    }

    /// Adds a regular file.
    pub fn file(
        &mut self,
        name: Name<'_>,
        metadata: MetadataId,
        size: u64,
        source: FileSource,
    ) -> Result<NodeId, TreeError> {
        self.add(name, metadata, NodeKind::File { size, source })
    }

    /// Adds a slot: an empty file with room for `bytes` \[bytes\], which a finished image still gets. In ext4 the attribute
    /// [`SLOT_XATTR`] marks it.
    ///
    /// # Errors
    /// If there is no room, or more than [`MAX_SLOT`], or the entry does not sort after the one before it.
    pub fn slot(&mut self, name: Name<'_>, metadata: &Metadata, bytes: u64) -> Result<NodeId, TreeError> {
        if !(1..=MAX_SLOT).contains(&bytes) {
            return Err(TreeError::BadSlot { name: name.to_string(), bytes });
        }
        let mut metadata = metadata.clone();
        let mark =
            XattrName::parse(SLOT_XATTR.as_bytes()).expect("invariant: the name is in a namespace of ext4");
        metadata.xattrs.retain(|xattr| xattr.name != mark);
        metadata.xattrs.push(Xattr { name: mark, value: bytes.to_string().into_bytes() });
        metadata.xattrs.sort();
        let metadata = self.metadata(&metadata);
        self.file(name, metadata, 0, FileSource::Slot(bytes))
    }

    /// Sets the data runs of a file; the rest is holes. Must be called after [`Self::file`] and before the next entry.
    ///
    /// # Errors
    /// Fails if the last entry is not a regular file, or if the runs are not ascending, disjoint and within the file.
    pub fn data_runs(&mut self, runs: Vec<DataRun>) -> Result<(), TreeError> {
        let latest = self.open.last().and_then(|(_, latest)| *latest);
        let size = latest.map(|id| (id, self.tree.nodes[id.index()].kind));
        let Some((id, NodeKind::File { size, .. })) = size else { return Err(TreeError::BadDataRuns) };
        let mut free = 0;
        for run in &runs {
            let is_apart = free == 0 || u64::from(run.start) > free;
            if run.len == 0 || !is_apart || run.end() > size.div_ceil(HOLE_GRAIN) {
                return Err(TreeError::BadDataRuns);
            }
            free = run.end();
        }
        if self.tree.sparse.last().is_some_and(|(last, _)| *last >= id) {
            return Err(TreeError::BadDataRuns);
        }
        self.tree.sparse.push((id, runs.into_boxed_slice()));
        Ok(())
    }

    /// Adds another name of an earlier node that is not a directory.
    pub fn hard_link(&mut self, name: Name<'_>, to: NodeId) -> Result<NodeId, TreeError> {
        let target = self.tree.nodes.get(to.index()).copied();
        match target {
            Some(Node { kind: NodeKind::Directory { .. } | NodeKind::HardLink { .. }, .. }) | None => {
                Err(TreeError::BadHardLink { name: name.to_string() })
            }
            Some(node) => self.add(name, node.metadata, NodeKind::HardLink { to }),
        }
    }

    /// Adds a symlink with a target of 1 to 4,095 bytes.
    pub fn symlink(
        &mut self,
        name: Name<'_>,
        metadata: MetadataId,
        target: &[u8],
    ) -> Result<NodeId, TreeError> {
        if target.is_empty() || target.len() > 4095 || target.contains(&0) {
            return Err(TreeError::BadTarget { name: name.to_string(), len: target.len() });
        }
        let range = self.keep(target)?;
        self.add(name, metadata, NodeKind::Symlink { target: range })
    }

    /// Adds a device, FIFO or socket.
    ///
    /// # Errors
    /// If ext4 can't store the number of a device, or the entry does not sort after the one before it.
    pub fn special(
        &mut self,
        name: Name<'_>,
        metadata: MetadataId,
        kind: SpecialKind,
    ) -> Result<NodeId, TreeError> {
        if let SpecialKind::Character { major, minor } | SpecialKind::Block { major, minor } = kind
            && (major >= 1 << 12 || minor >= 1 << 20)
        {
            return Err(TreeError::BadDevice { name: name.to_string(), major, minor });
        }
        self.add(name, metadata, NodeKind::Special(kind))
    }

    /// Closes all open directories and returns the tree.
    #[must_use]
    pub fn finish(mut self) -> FileTree {
        while self.open.len() > 1 {
            self.close();
        }
        // A tree that has no room for it is refused by the layout, which needs it.
        let _ = self.catch_up(None);
        self.close();
        FileTree(Arc::new(self.tree))
    }

    fn close(&mut self) {
        if let Some((id, _)) = self.open.pop() {
            let after =
                NodeId::from_index(self.tree.nodes.len()).expect("invariant: `add` leaves room for an end");
            if let Some(node) = self.tree.nodes.get_mut(id.index()) {
                node.kind = NodeKind::Directory { end: after };
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<ByteRange, TreeError> {
        let start = u32::try_from(self.tree.bytes.len()).map_err(|_| TreeError::TooMany)?;
        let len = u32::try_from(bytes.len()).map_err(|_| TreeError::TooMany)?;
        self.tree.bytes.extend_from_slice(bytes);
        Ok(ByteRange { start, len })
    }

    fn add(&mut self, name: Name<'_>, metadata: MetadataId, kind: NodeKind) -> Result<NodeId, TreeError> {
        self.catch_up(Some(name.as_bytes()))?;
        let index = self.tree.nodes.len();
        // The end of a directory may be the node after the last one.
        let (id, _) =
            NodeId::from_index(index).zip(NodeId::from_index(index + 1)).ok_or(TreeError::TooMany)?;
        let &(parent, latest) = self.open.last().ok_or(TreeError::TooMany)?;
        if latest.is_some_and(|latest| self.tree.name(latest) >= name.as_bytes()) {
            return Err(TreeError::OutOfOrder { name: name.to_string() });
        }
        let range = self.keep(name.as_bytes())?;
        self.tree.nodes.push(Node {
            name_start: range.start,
            name_len: name.len_u8(),
            parent,
            metadata,
            kind,
        });
        if let Some(directory) = self.open.last_mut() {
            directory.1 = Some(id);
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Permissions, Timestamp};

    fn name(text: &str) -> Name<'_> {
        Name::new(text.as_bytes()).unwrap()
    }

    fn writer() -> TreeWriter {
        TreeWriter::new(Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE), Vec::new())
    }

    #[test]
    fn children_paths_and_ends_are_as_written() {
        let mut writer = writer();
        let meta = writer.metadata(&Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE));
        let text = writer.inline(b"hi".to_vec());
        let directory = writer.begin_directory(name("a"), meta).unwrap();
        let file = writer.file(name("x"), meta, 2, text).unwrap();
        let inner = writer.begin_directory(name("y"), meta).unwrap();
        writer.end_directory();
        writer.end_directory();
        let symlink = writer.symlink(name("b"), meta, b"a/x").unwrap();
        let link = writer.hard_link(name("c"), file).unwrap();
        let tree = writer.finish();
        assert_eq!(tree.children(NodeId::ROOT).collect::<Vec<_>>(), [directory, symlink, link]);
        assert_eq!(tree.children(directory).collect::<Vec<_>>(), [file, inner]);
        assert_eq!(tree.children(inner).count(), 0);
        assert_eq!(tree.path(inner).to_string(), "/a/y");
        assert_eq!(tree.find(&tree.path(file)), Some(file));
        assert_eq!(tree.resolve(link), file);
        assert_eq!(tree.all_metadata().len(), 2);
    }

    #[test]
    fn accepts_only_device_numbers_that_ext4_can_store() {
        for (major, minor, fits) in [
            (0, 0, true),
            (4095, (1 << 20) - 1, true),
            (4096, 0, false),
            (5000, 3, false),
            (0, 1 << 20, false),
            (u32::MAX, u32::MAX, false),
        ] {
            for kind in [SpecialKind::Character { major, minor }, SpecialKind::Block { major, minor }] {
                let mut w = writer();
                let meta = w.metadata(&Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE));
                let refused = TreeError::BadDevice { name: "d".to_owned(), major, minor };
                assert_eq!(w.special(name("d"), meta, kind).err(), (!fits).then_some(refused));
            }
        }
    }

    #[test]
    fn accepts_only_ordered_data_runs_of_the_last_file() {
        let run = |start, len| DataRun { start, len };
        let refused: [Vec<DataRun>; 5] = [
            vec![run(0, 0)],
            vec![run(0, 4)],
            vec![run(1, 1), run(0, 1)],
            vec![run(0, 1), run(1, 1)],
            vec![run(u32::MAX, u32::MAX)],
        ];
        for runs in refused {
            let mut w = writer();
            let meta = w.metadata(&Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE));
            assert_eq!(w.data_runs(vec![]), Err(TreeError::BadDataRuns));
            let source = w.inline(vec![0; 9000]);
            w.file(name("a"), meta, 9000, source).unwrap();
            assert_eq!(w.data_runs(runs.clone()), Err(TreeError::BadDataRuns), "{runs:?}");
        }
        let mut w = writer();
        let meta = w.metadata(&Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE));
        let source = w.inline(vec![0; 9000]);
        let dense = w.file(name("a"), meta, 9000, source).unwrap();
        let sparse = w.file(name("b"), meta, 9000, source).unwrap();
        w.data_runs(vec![run(0, 1), run(2, 1)]).unwrap();
        assert_eq!(w.data_runs(vec![run(0, 1)]), Err(TreeError::BadDataRuns));
        let empty = w.file(name("c"), meta, 9000, source).unwrap();
        w.data_runs(vec![]).unwrap();
        let tree = w.finish();
        assert_eq!(tree.data_runs(dense), None);
        assert_eq!(tree.data_runs(sparse), Some(&[run(0, 1), run(2, 1)][..]));
        assert_eq!(tree.data_runs(empty), Some(&[][..]));
    }

    #[test]
    fn lost_found_is_added_in_its_place_once() {
        let names = |before: &[&str], asked: &[&str]| {
            let mut w = writer();
            let meta = w.metadata(&Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE));
            for at in before {
                w.begin_directory(name(at), meta).unwrap();
                w.end_directory();
            }
            w.add_lost_found(meta)?;
            for at in asked {
                w.begin_directory(name(at), meta).unwrap();
                w.begin_directory(name("x"), meta).unwrap();
                w.end_directory();
                w.end_directory();
            }
            let tree = w.finish();
            Ok(tree.children(NodeId::ROOT).map(|id| tree.path(id).to_string()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names(&[], &[]).unwrap(), "/lost+found");
        assert_eq!(names(&["a"], &["b"]).unwrap(), "/a /b /lost+found");
        assert_eq!(names(&["a"], &["b", "m"]).unwrap(), "/a /b /lost+found /m");
        assert_eq!(names(&[], &["lost+found", "m"]).unwrap(), "/lost+found /m");
        assert_eq!(names(&["lost+found"], &["m"]).unwrap(), "/lost+found /m");
        assert_eq!(names(&["m"], &[]), Err(TreeError::OutOfOrder { name: "lost+found".into() }));
    }

    #[test]
    fn rejects_unsorted_repeated_and_dangling_entries() {
        let mut w = writer();
        let meta = w.metadata(&Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE));
        w.special(name("b"), meta, SpecialKind::Fifo).unwrap();
        assert!(matches!(w.special(name("a"), meta, SpecialKind::Fifo), Err(TreeError::OutOfOrder { .. })));
        assert!(matches!(w.special(name("b"), meta, SpecialKind::Fifo), Err(TreeError::OutOfOrder { .. })));
        assert!(matches!(w.hard_link(name("c"), NodeId::ROOT), Err(TreeError::BadHardLink { .. })));
        assert!(matches!(w.symlink(name("c"), meta, &[b'x'; 4096]), Err(TreeError::BadTarget { .. })));
        assert!(matches!(w.symlink(name("c"), meta, b""), Err(TreeError::BadTarget { .. })));
    }
}
