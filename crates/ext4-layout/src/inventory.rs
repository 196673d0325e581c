//! Measures the contents: inode numbers, shapes of directories, attributes, lengths in blocks.
//!
//! All of this depends on the tree, the UUID, whether the file system is sealed and whether it has checksums, but not on the
//! geometry. So the solver can try geometries without the tree.

use ext4_ondisk::dirhash::HashSeed;
use ext4_ondisk::inode::FAST_SYMLINK_MAX;
use image_tree::{FileSource, FileTree, NodeId, NodeKind, Xattr, XattrNamespace};

use crate::dataspace::DataSpace;
use crate::directory::{Directories, Shape};
use crate::extents::{Map, node_blocks};
use crate::numbering::{LOST_FOUND, Numbering, Slot};
use crate::previous::Previous;
use crate::units::{DataNr, blocks_for, narrow, wide};
use crate::xattrs::{Encoded, Unstorable, is_possible};
use crate::{LayoutError, Options};

/// Maximum number of blocks in a file: logical block numbers have 32 bits, and the last one must not be 2³² − 1.
const MAX_FILE_BLOCKS: u64 = (1 << 32) - 1;
/// The user and group that Linux takes for none: −1 in 32 bits.
const NO_OWNER: u32 = u32::MAX;
/// Shorter contents have at most four extents in any geometry, because so few blocks contain at most two islands.
const LARGE_BLOCKS: u64 = 512;

/// A directory, with the data for its inode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectoryRecord {
    pub(crate) slot: Slot,
    pub(crate) node: NodeId,
    pub(crate) shape: Shape,
    pub(crate) subdirectories: u32,
}

/// Contents that may need blocks for their extent tree.
#[derive(Clone, Copy, Debug)]
struct Large {
    /// Start of the contents, relative to the first object and without extent trees.
    offset: u64,
    node: NodeId,
}

/// The measured tree.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) tree: FileTree,
    pub(crate) numbering: Numbering,
    pub(crate) seed: HashSeed,
    /// Directories, in the order of their nodes.
    pub(crate) directories: Vec<DirectoryRecord>,
    /// Encoded attributes, by metadata.
    xattrs: Vec<Encoded>,
    /// Length of all objects without extent trees, in \[blocks\].
    plain_blocks: u64,
    large: Vec<Large>,
}

impl Inventory {
    /// Measures a tree.
    pub(crate) fn of(
        tree: &FileTree,
        options: &Options,
        previous: Option<&Previous>,
    ) -> Result<Self, LayoutError> {
        let numbering = Numbering::of(tree, previous)?;
        let mut inventory = Self {
            tree: tree.clone(),
            numbering,
            seed: HashSeed::new(&options.uuid),
            directories: Vec::new(),
            xattrs: encode_xattrs(tree)?,
            plain_blocks: 0,
            large: Vec::new(),
        };
        inventory.directories = inventory.measure_directories(options)?;
        inventory.measure_contents()?;
        Ok(inventory)
    }

    fn measure_directories(&self, options: &Options) -> Result<Vec<DirectoryRecord>, LayoutError> {
        let has_checksums = options.compatibility.has_checksums();
        let directories = Directories { tree: &self.tree, seed: self.seed, has_checksums };
        let mut records = Vec::new();
        for (node, entry) in self.tree.iter() {
            if !matches!(entry.kind(), NodeKind::Directory { .. }) {
                continue;
            }
            let inode = self.numbering.inode(node);
            let shape = directories.measure(node, inode == LOST_FOUND && !options.sealed)?;
            let is_directory =
                |&child: &NodeId| matches!(self.tree.node(child).kind(), NodeKind::Directory { .. });
            let subdirectories = self.tree.children(node).filter(is_directory).count();
            records.push(DirectoryRecord {
                slot: Slot::of(inode)
                    .expect("invariant: a directory is the root, lost+found, or an inode after it"),
                node,
                shape,
                subdirectories: narrow(wide(subdirectories), "a tree has less than 2^32 nodes"),
            });
        }
        Ok(records)
    }

    fn measure_contents(&mut self) -> Result<(), LayoutError> {
        let mut offset = 0_u64;
        let mut large = Vec::new();
        for (_, node) in self.objects() {
            if let NodeKind::File { size, .. } = self.tree.node(node).kind()
                && blocks_for(size) > MAX_FILE_BLOCKS
            {
                return Err(LayoutError::FileTooLarge { path: self.tree.path(node), size });
            }
            offset = offset.saturating_add(self.xattrs(node).blocks());
            let map = self.content_map(node);
            let len = map.len();
            if len >= LARGE_BLOCKS || matches!(map, Map::Sparse(_)) {
                large.push(Large { offset, node });
            }
            offset = offset.saturating_add(len);
        }
        self.plain_blocks = offset;
        self.large = large;
        Ok(())
    }

    /// All inodes of the tree in the order in which their blocks are stored. Everything except regular files comes first,
    /// so that listing the image reads one region; then files in the order of their paths.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (Slot, NodeId)> + Clone + '_ {
        let is_file =
            |&(_, node): &(Slot, NodeId)| matches!(self.tree.node(node).kind(), NodeKind::File { .. });
        self.numbering
            .slots()
            .filter(move |object| !is_file(object))
            .chain(self.numbering.slots().filter(is_file))
    }

    /// The blocks of an inode's contents that are stored.
    pub(crate) fn content_map(&self, node: NodeId) -> Map<'_> {
        let blocks = match self.tree.node(node).kind() {
            NodeKind::File { source: FileSource::Slot(bytes), .. } => {
                return Map::Reserved(blocks_for(bytes));
            }
            NodeKind::File { size, .. } => match self.tree.data_runs(node) {
                Some(runs) => return Map::Sparse(runs),
                None => blocks_for(size),
            },
            NodeKind::Directory { .. } => self.directory(node).shape.blocks(),
            NodeKind::Symlink { target } => {
                u64::from(self.tree.symlink_target(target).len() > FAST_SYMLINK_MAX)
            }
            NodeKind::HardLink { .. } | NodeKind::Special(_) => 0,
        };
        Map::Dense(blocks)
    }

    /// The record of a directory.
    pub(crate) fn directory(&self, node: NodeId) -> &DirectoryRecord {
        let at = self.directories.binary_search_by_key(&node, |record| record.node);
        &self.directories[at.expect("invariant: every directory of the tree is measured")]
    }

    /// The encoded attributes of a node.
    pub(crate) fn xattrs(&self, node: NodeId) -> &Encoded {
        &self.xattrs[self.tree.node(node).metadata().index()]
    }

    /// Number of blocks of all objects if they start at this block of data space.
    pub(crate) fn blocks_from(&self, start: DataNr, space: &DataSpace) -> u64 {
        let trees = self.large.iter().fold(0, |before, large| {
            let at = start.plus(large.offset + before);
            before + node_blocks(self.content_map(large.node).extent_count(at, space))
        });
        self.plain_blocks + trees
    }

    /// Minimum number of blocks of all objects.
    pub(crate) fn least_blocks(&self) -> u64 {
        self.plain_blocks
    }
}

fn encode_xattrs(tree: &FileTree) -> Result<Vec<Encoded>, LayoutError> {
    let mut all = Vec::with_capacity(tree.all_metadata().len());
    let path_of = |id| {
        let first = tree.iter().find(|(_, node)| node.metadata() == id);
        first.map_or_else(image_tree::ImagePath::root, |(node, _)| tree.path(node))
    };
    for (id, metadata) in tree.all_metadata() {
        if metadata.uid == NO_OWNER || metadata.gid == NO_OWNER {
            return Err(LayoutError::NoOwner { path: path_of(id) });
        }
        let encoded = Encoded::of(metadata).map_err(|reason| {
            let path = path_of(id);
            match reason {
                Unstorable::Twice(name) => LayoutError::XattrTwice { path, name },
                Unstorable::TooLarge { by } => {
                    LayoutError::XattrsTooLarge { path, count: metadata.xattrs.len(), bytes: by }
                }
                Unstorable::BadAcl(reason) => LayoutError::BadAcl { path, reason },
                Unstorable::AclMode { mode, list } => LayoutError::AclMode { path, mode, list },
            }
        });
        all.push(encoded?);
    }
    check_types(tree)?;
    Ok(all)
}

/// Checks that Linux returns all extended attributes, for the types of their files.
fn check_types(tree: &FileTree) -> Result<(), LayoutError> {
    let is_bound =
        |xattr: &Xattr| !matches!(xattr.name.namespace(), XattrNamespace::Trusted | XattrNamespace::Security);
    let bound: Vec<bool> =
        tree.all_metadata().map(|(_, metadata)| metadata.xattrs.iter().any(is_bound)).collect();
    if !bound.contains(&true) {
        return Ok(());
    }
    for (id, node) in tree.iter().filter(|(_, node)| bound[node.metadata().index()]) {
        let kind = tree.node(tree.resolve(id)).kind();
        let mut xattrs = tree.metadata(node.metadata()).xattrs.iter();
        if let Some(xattr) = xattrs.find(|xattr| !is_possible(xattr.name.namespace(), kind)) {
            return Err(LayoutError::XattrOfOtherType { path: tree.path(id), name: xattr.name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use image_tree::{DataRun, Metadata, Name, Permissions, Timestamp, TreeWriter};

    use super::*;
    use crate::geometry::Geometry;
    use crate::placement::Placement;
    use crate::units::BlockNr;

    /// Files of these sizes in \[bytes\], after one with five ranges, whose extent tree has a block.
    fn measured(sizes: &[u64]) -> Result<Inventory, LayoutError> {
        let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
        let metadata = writer.metadata(&metadata);
        let mut file = |name: String, size| {
            writer.file(Name::new(name.as_bytes()).unwrap(), metadata, size, FileSource::Inline(0)).unwrap();
            if name == "0" {
                writer.data_runs((0..5).map(|n| DataRun { start: 2 * n, len: 1 }).collect()).unwrap();
            }
        };
        file("0".to_owned(), 9 * 4096);
        for (number, &size) in (1..).zip(sizes) {
            file(number.to_string(), size);
        }
        writer.begin_directory(Name::new(b"lost+found").unwrap(), metadata).unwrap();
        writer.end_directory();
        Inventory::of(&writer.finish(), &Options::default(), None)
    }

    /// Logical block numbers have 32 bits, and none is 2^32 - 1.
    #[test]
    fn a_file_has_fewer_than_2_to_the_32_blocks() {
        assert!(measured(&[(1 << 44) - 4096]).is_ok());
        let size = (1 << 44) - 4095;
        let path = image_tree::ImagePath::parse(b"/1").unwrap();
        assert_eq!(measured(&[size]).unwrap_err(), LayoutError::FileTooLarge { path, size });
    }

    /// The second file begins around the end of the first group, and its number of extents depends on where. Fixed metadata
    /// begins in groups 1, 3 and 5.
    #[test]
    fn counts_as_many_blocks_as_are_placed() {
        let geometry = Geometry {
            blocks: 8 * 32_768,
            groups: 8,
            inodes_per_group: 8192,
            gdt: 1,
            reserved_gdt: 0,
            journal: 0,
        };
        let space = DataSpace::of(&geometry);
        let group = |number: u64| space.before(BlockNr(number * 32_768));
        // The root and lost+found have five blocks, the first file five and a block for its tree.
        let until_group_1 = group(1) - 11;
        let mut lengths = Vec::new();
        for first in until_group_1 - 5..until_group_1 + 5 {
            let inventory = measured(&[first * 4096, (group(5) - group(1) - 10) * 4096, 4096]).unwrap();
            let placed = Placement::of(&inventory, &geometry, &space).used_blocks();
            assert_eq!(inventory.blocks_from(DataNr(0), &space), placed, "{first}");
            lengths.push(placed - first);
        }
        // From the second group on, it has four extents: two ranges of two groups, which are longer than an extent can be.
        assert_eq!(lengths[4] - lengths[5], 1, "{lengths:?}");
    }
}
