//! Explains one file system: its parts and its store paths.

use std::collections::BTreeMap;

use closure_registration::{Closure, PathInfo};
use ext4_layout::{Area, Layout, Purpose};
use image_tree::{FileTree, NodeId, NodeKind};

use crate::dominators::Dominators;
use crate::{References, StoreName, Usage};

/// The length of a block in \[bytes\]. All sizes here are multiples of it.
pub const BLOCK: u64 = 4096;

/// The purpose of a part of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Store paths, with their contents.
    StorePaths,
    /// Files and directories outside of store paths, including the store directory itself.
    OtherFiles,
    /// The journal.
    Journal,
    /// Inode tables.
    InodeTables,
    /// Block and inode bitmaps.
    Bitmaps,
    /// Superblocks.
    Superblocks,
    /// Group descriptors.
    GroupDescriptors,
    /// Blocks reserved for more group descriptors.
    GrowthReserve,
    /// Free blocks.
    Free,
    /// Bytes after the last block group, if the size is fixed.
    BeyondGroups,
}

impl Kind {
    /// All kinds, in the order of the output.
    pub const ALL: [Self; 10] = [
        Self::StorePaths,
        Self::OtherFiles,
        Self::Journal,
        Self::InodeTables,
        Self::Bitmaps,
        Self::Superblocks,
        Self::GroupDescriptors,
        Self::GrowthReserve,
        Self::Free,
        Self::BeyondGroups,
    ];

    /// The name in JSON; the same as in a report's `overhead`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::StorePaths => "storePaths",
            Self::OtherFiles => "otherFiles",
            Self::Journal => "journal",
            Self::InodeTables => "inodeTables",
            Self::Bitmaps => "bitmaps",
            Self::Superblocks => "superblocks",
            Self::GroupDescriptors => "groupDescriptors",
            Self::GrowthReserve => "growthReserve",
            Self::Free => "free",
            Self::BeyondGroups => "beyondGroups",
        }
    }

    const fn of(purpose: Purpose) -> Option<Self> {
        match purpose {
            Purpose::Superblock => Some(Self::Superblocks),
            Purpose::GroupDescriptors => Some(Self::GroupDescriptors),
            Purpose::GrowthReserve => Some(Self::GrowthReserve),
            Purpose::Bitmaps => Some(Self::Bitmaps),
            Purpose::InodeTables => Some(Self::InodeTables),
            Purpose::Journal => Some(Self::Journal),
            Purpose::Free => Some(Self::Free),
            Purpose::BeyondGroups => Some(Self::BeyondGroups),
            // Assigned by their place in the tree.
            Purpose::Directories | Purpose::Files => None,
        }
    }
}

/// A part of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Purpose.
    pub kind: Kind,
    /// Size in \[bytes\].
    pub bytes: u64,
}

/// The sizes of a store path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorePathUse {
    /// Its node in the tree.
    pub node: NodeId,
    /// Own size in \[bytes\]: contents, directories and attributes. An inode with names in several paths counts only
    /// for the first of them.
    pub own: u64,
    /// Exclusive size in \[bytes\]: what removing the path would save. This includes the paths that are in the image only
    /// because of it, and inodes all of whose names are in these paths.
    pub exclusive: u64,
    /// Index of the nearest path that all chains of references to this one lead through. `None` for a root, or if there is
    /// no such path.
    pub only_through: Option<usize>,
}

/// How the bytes of a file system are used.
#[derive(Debug)]
pub struct FileSystem<'l> {
    /// Size of the file system in \[bytes\].
    pub bytes: u64,
    /// One part for each of [`Kind::ALL`], in that order. Their sum is `bytes`.
    pub parts: Vec<Part>,
    /// Purposes of its blocks, in the order of blocks.
    pub areas: Vec<Area>,
    /// Its tree.
    pub tree: &'l FileTree,
    /// Sizes of the tree's nodes.
    pub usage: Usage,
    /// References between store paths.
    pub references: References,
    /// Sizes of the store paths, in the order of [`Self::paths`].
    pub store_paths: Vec<StorePathUse>,
    closure: Option<&'l Closure>,
}

impl<'l> FileSystem<'l> {
    /// Explains a layout and the closure in it.
    pub fn of(layout: &'l Layout, closure: Option<&'l Closure>) -> Self {
        let tree = layout.tree();
        let usage = usage(layout);
        let areas = layout.areas();
        let references = closure.map(References::of).unwrap_or_default();
        let store = closure.map(|closure| Store::of(tree, closure)).unwrap_or_default();
        let store_paths = store.uses(tree, &usage, &references);
        let bytes = areas.iter().map(|area| area.blocks * BLOCK).sum();
        let parts = parts(&areas, &usage, &store_paths);
        Self { bytes, parts, areas, tree, usage, references, store_paths, closure }
    }

    /// The registered store paths.
    pub fn paths(&self) -> &'l [PathInfo] {
        self.closure.map_or(&[], Closure::paths)
    }

    /// The name of a store path without its hash.
    pub fn name(&self, path: usize) -> StoreName<'l> {
        StoreName::of(self.paths().get(path).map_or("", |info| info.path.as_str()))
    }

    /// The store path that contains a node.
    pub fn holder(&self, node: NodeId) -> Option<usize> {
        let path = self.store_paths.partition_point(|found| found.node <= node).checked_sub(1)?;
        (node < self.tree.end(self.store_paths[path].node)).then_some(path)
    }

    /// The size of the part of this kind, in \[bytes\].
    pub fn part(&self, kind: Kind) -> u64 {
        self.parts.iter().filter(|part| part.kind == kind).map(|part| part.bytes).sum()
    }

    /// The store paths by own size, largest first.
    pub fn largest_paths(&self) -> Vec<usize> {
        self.sorted(|found| found.own)
    }

    /// The store paths by exclusive size, largest first. Without roots, because they are what the image is made for.
    pub fn largest_exclusive(&self) -> Vec<usize> {
        let mut paths = self.sorted(|found| found.exclusive);
        paths.retain(|path| self.references.roots().binary_search(path).is_err());
        paths
    }

    fn sorted(&self, size: fn(&StorePathUse) -> u64) -> Vec<usize> {
        let mut paths: Vec<usize> = (0..self.store_paths.len()).collect();
        paths.sort_by_key(|&path| std::cmp::Reverse(size(&self.store_paths[path])));
        paths
    }

    /// The largest directories that are not part of store paths and contain none, without the root and without those that contain
    /// only one directory.
    pub fn largest_directories(&self, most: usize) -> Vec<NodeId> {
        let has_only_a_directory = |id: NodeId| {
            let mut children = self.tree.children(id);
            matches!((children.next(), children.next()), (Some(child), None) if self.is_directory(child))
        };
        // The store paths are in tree order.
        let mut inside =
            self.store_paths.iter().map(|found| found.node..self.tree.end(found.node)).peekable();
        let outside = self.tree.iter().map(|(id, _)| id).filter(move |id| {
            while inside.next_if(|range| range.end <= *id).is_some() {}
            inside.peek().is_none_or(|range| !range.contains(id))
        });
        let has_store_paths = |id: NodeId| {
            let after = self.store_paths.partition_point(|found| found.node <= id);
            self.store_paths.get(after).is_some_and(|found| found.node < self.tree.end(id))
        };
        let directories = outside.filter(|&id| {
            id != NodeId::ROOT && self.is_directory(id) && !has_only_a_directory(id) && !has_store_paths(id)
        });
        self.usage.largest(directories, most)
    }

    /// The largest regular files.
    pub fn largest_files(&self, most: usize) -> Vec<NodeId> {
        let is_file = |node: &image_tree::Node| matches!(node.kind(), NodeKind::File { .. });
        self.usage.largest(self.tree.iter().filter(|(_, node)| is_file(node)).map(|(id, _)| id), most)
    }

    /// Groups of at least two store paths with equal contents, by NAR hash.
    pub fn equal_paths(&self) -> Vec<Vec<usize>> {
        let mut by_hash: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
        for (path, info) in self.paths().iter().enumerate() {
            by_hash.entry(*info.nar_hash.as_bytes()).or_default().push(path);
        }
        let mut groups: Vec<_> = by_hash.into_values().filter(|paths| paths.len() > 1).collect();
        groups.sort_unstable();
        groups
    }

    fn is_directory(&self, id: NodeId) -> bool {
        matches!(self.tree.node(id).kind(), NodeKind::Directory { .. })
    }
}

/// The own size of each store path of a closure in \[bytes\], in the order of [`Closure::paths`].
pub fn store_path_sizes(layout: &Layout, closure: &Closure) -> Vec<u64> {
    let tree = layout.tree();
    let usage = usage(layout);
    Store::of(tree, closure).nodes.iter().map(|&node| usage.bytes(node)).collect()
}

fn usage(layout: &Layout) -> Usage {
    let blocks = layout.blocks_by_node();
    Usage::of(layout.tree(), blocks.iter().map(|blocks| blocks * BLOCK).collect())
}

fn parts(areas: &[Area], usage: &Usage, store_paths: &[StorePathUse]) -> Vec<Part> {
    let in_store = store_paths.iter().map(|found| found.own).sum();
    let sum = |kind| {
        let of_kind = areas.iter().filter(|area| Kind::of(area.purpose) == Some(kind));
        of_kind.map(|area| area.blocks * BLOCK).sum()
    };
    let bytes = |kind| match kind {
        Kind::StorePaths => in_store,
        Kind::OtherFiles => usage.total() - in_store,
        kind => sum(kind),
    };
    Kind::ALL.map(|kind| Part { kind, bytes: bytes(kind) }).to_vec()
}

/// The nodes of a closure's paths, in the order of the closure, which is also that of the tree.
#[derive(Default)]
struct Store {
    nodes: Vec<NodeId>,
}

impl Store {
    fn of(tree: &FileTree, closure: &Closure) -> Self {
        // Both are sorted by name.
        let mut entries = tree.find(closure.place()).into_iter().flat_map(|store| tree.children(store));
        let node = |info: &PathInfo| {
            let wanted = info.path.as_str().as_bytes();
            entries.find(|&entry| tree.name(entry) >= wanted).unwrap_or(NodeId::ROOT)
        };
        Self { nodes: closure.paths().iter().map(node).collect() }
    }

    /// The path that contains a node.
    fn holder(&self, tree: &FileTree, node: NodeId) -> Option<usize> {
        let path = self.nodes.partition_point(|&path| path <= node).checked_sub(1)?;
        (node < tree.end(self.nodes[path])).then_some(path)
    }

    fn uses(&self, tree: &FileTree, usage: &Usage, references: &References) -> Vec<StorePathUse> {
        let dominators = Dominators::of(references);
        let own: Vec<u64> = self.nodes.iter().map(|&node| usage.bytes(node)).collect();
        let mut exclusive_own = own.clone();
        for (owner, holders) in self.shared(tree) {
            // An inode is removed with its last name, so it counts for the common dominator of the paths with its names.
            let bytes = usage.bytes(owner);
            if let Some(Some(first)) = holders.first() {
                exclusive_own[*first] -= bytes;
            }
            let all: Option<Vec<usize>> = holders.into_iter().collect();
            if let Some(dominator) = all.and_then(|paths| dominators.common_dominator(paths)) {
                exclusive_own[dominator] += bytes;
            }
        }
        let exclusive = dominators.sums(&exclusive_own);
        let found = self.nodes.iter().zip(own).zip(exclusive).enumerate();
        found
            .map(|(path, ((&node, own), exclusive))| StorePathUse {
                node,
                own,
                exclusive,
                only_through: dominators.dominator(path),
            })
            .collect()
    }

    /// The inodes with names in several store paths, and the paths that contain these names (`None` outside of the store).
    fn shared(&self, tree: &FileTree) -> BTreeMap<NodeId, Vec<Option<usize>>> {
        let mut shared: BTreeMap<NodeId, Vec<Option<usize>>> = BTreeMap::new();
        for (id, node) in tree.iter() {
            if let NodeKind::HardLink { to } = node.kind() {
                let holders = shared.entry(to).or_insert_with(|| vec![self.holder(tree, to)]);
                let holder = self.holder(tree, id);
                if holders.last() != Some(&holder) {
                    holders.push(holder);
                }
            }
        }
        shared.retain(|_, holders| holders.len() > 1);
        shared
    }
}
