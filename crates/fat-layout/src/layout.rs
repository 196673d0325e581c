//! Allocates clusters, and describes the file system as pieces.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use image_tree::{Content, FileTree, NodeId, NodeKind, Piece, PieceSource, narrow, to_u64, to_usize};

use crate::boot::{self, FIRST_CLUSTER, MEDIA, Usage};
use crate::directory::{self, ARCHIVE, DIRECTORY, ENTRY};
use crate::error::FatError;
use crate::geometry::{Geometry, TABLES};
use crate::names::{self, EntryName};
use crate::{Bits, MAX_SLOT_LIST, Options, SLOTS};

/// Maximum number of entries in a directory (specification, section 6.5: 2 MiB).
const MAX_ENTRIES: usize = 65_536;
/// Maximum length of a piece of metadata in \[bytes\].
const MAX_PIECE: u64 = 64 << 10;
/// Why the numbers of clusters have 32 bits.
const CLUSTERS: &str = "a FAT file system has less than 2^28 clusters";

/// The layout of a FAT file system, which determines every byte.
#[derive(Debug)]
pub struct FatLayout {
    options: Options,
    geometry: Geometry,
    tree: FileTree,
    /// The reserved sectors.
    reserved: Vec<u8>,
    /// The root directory of FAT16.
    root: Vec<u8>,
    /// The allocated clusters, ascending and without gaps.
    runs: Vec<Run>,
    files: u64,
    directories: u64,
}

/// The consecutive clusters of a file or directory.
#[derive(Debug)]
struct Run {
    first: u32,
    clusters: u32,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    /// The entries of a directory.
    Directory(Vec<u8>),
    /// A file and its length in \[bytes\].
    File(NodeId, u64),
}

/// The key figures of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// FAT type.
    pub bits: Bits,
    /// The length of a cluster in \[bytes\].
    pub cluster_bytes: u64,
    /// Number of clusters.
    pub clusters: u64,
    /// Number of free clusters.
    pub free_clusters: u64,
    /// Number of files.
    pub files: u64,
    /// Number of directories, without the root.
    pub directories: u64,
}

impl FatLayout {
    /// Lays out a tree.
    ///
    /// # Errors
    /// Fails if FAT does not support the tree, or if the tree does not fit into the partition.
    pub fn plan(tree: &FileTree, options: &Options) -> Result<Self, FatError> {
        let list = slot_list(tree)?;
        let length = to_u64(list.len());
        let geometry = Geometry::of(options, length)?;
        let names = names_of(tree)?;
        let allocation = match Allocation::of(tree, options, &geometry, &names, length)? {
            Fit::Allocated(allocation) => allocation,
            Fit::Missing(missing) => {
                let promised = options.free_space > 0 || !list.is_empty();
                let free_space = options.free_space > 0;
                let more = more(tree, options, &names, length, missing);
                return Err(FatError::Full { missing, promised, free_space, more });
            }
        };
        let (root, runs) = allocation.fill(tree, options, &names);
        let used: u32 = narrow(allocation.used, CLUSTERS);
        let usage = Usage {
            free_clusters: narrow(geometry.clusters - allocation.used, CLUSTERS),
            // Only FAT16 can have no cluster in use, and it does not store this number.
            last_used: FIRST_CLUSTER + used.saturating_sub(1),
        };
        let mut reserved = boot::reserved_sectors(options, &geometry, usage);
        boot::put(&mut reserved, to_usize(geometry.bits.list_at() * geometry.sector), list.as_bytes());
        let count =
            |is: fn(&NodeKind) -> bool| to_u64(tree.iter().filter(|(_, node)| is(&node.kind())).count());
        Ok(Self {
            options: *options,
            geometry,
            tree: tree.clone(),
            reserved,
            root,
            runs,
            files: count(|kind| matches!(kind, NodeKind::File { .. } | NodeKind::HardLink { .. })),
            directories: count(|kind| matches!(kind, NodeKind::Directory { .. })) - 1,
        })
    }

    /// The tree in the file system.
    pub fn tree(&self) -> &FileTree {
        &self.tree
    }

    /// The options that [`FatLayout::plan`] was called with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The key figures.
    pub fn summary(&self) -> Summary {
        let used: u64 = self.runs.iter().map(|run| u64::from(run.clusters)).sum();
        Summary {
            bits: self.geometry.bits,
            cluster_bytes: self.geometry.cluster_bytes(),
            clusters: self.geometry.clusters,
            free_clusters: self.geometry.clusters - used,
            files: self.files,
            directories: self.directories,
        }
    }

    /// The bytes that a stamp of the slots changes: counts, tables, the entries of the slots, free clusters. Ascending; empty
    /// without slots.
    pub fn stampable(&self) -> Vec<Range<u64>> {
        let slots: Vec<_> = self.tree.slots().map(|(node, _)| node).collect();
        if slots.is_empty() {
            return Vec::new();
        }
        let geometry = &self.geometry;
        let tables = geometry.reserved * geometry.sector;
        let root = tables + TABLES * geometry.table * geometry.sector;
        let mut ranges = boot::counts(geometry);
        ranges.push(tables..root);
        let names = names_of(&self.tree).expect("invariant: the tree was laid out");
        for node in slots {
            let parent = self.tree.node(node).parent();
            let own =
                if parent == NodeId::ROOT { directory::label(&self.options.label).len() / ENTRY } else { 2 };
            let children = self.tree.children(parent).zip(names_in(&names, parent));
            let before = children.clone().take_while(|(child, _)| *child != node);
            let before: usize = before.map(|(_, name)| directory::entries_of(name)).sum();
            let name = children
                .clone()
                .find(|(child, _)| *child == node)
                .map(|(_, name)| directory::entries_of(name));
            // The entry of the short name is the last one.
            let at = to_u64((own + before + name.unwrap_or(1) - 1) * ENTRY);
            let directories =
                self.tree.iter().filter(|(_, node)| matches!(node.kind(), NodeKind::Directory { .. }));
            let directories = directories
                .map(|(id, _)| id)
                .filter(|id| *id != NodeId::ROOT || geometry.bits == Bits::Fat32);
            let runs = self.runs.iter().filter(|run| matches!(run.contents, Contents::Directory(_)));
            let run = directories.zip(runs).find(|(id, _)| *id == parent);
            let start = run.map_or(root, |(_, run)| self.cluster_offset(run.first));
            ranges.push(start + at..start + at + to_u64(ENTRY));
        }
        let used = self.runs.last().map_or(FIRST_CLUSTER, |run| run.first + run.clusters);
        ranges.push(self.cluster_offset(used)..self.options.bytes);
        ranges.sort_by_key(|range| range.start);
        ranges
    }

    /// Offset of a cluster in \[bytes\].
    fn cluster_offset(&self, cluster: u32) -> u64 {
        self.geometry.data() * self.geometry.sector
            + u64::from(cluster - FIRST_CLUSTER) * self.geometry.cluster_bytes()
    }

    /// Generates the part of a FAT that starts at the offset `from` in \[bytes\].
    fn table(&self, from: u64, buffer: &mut [u8]) {
        let width = self.geometry.entry_bytes();
        let first: u32 = narrow(from / width, "a FAT has less than 2^32 entries");
        let mut run = self.runs.partition_point(|run| run.first + run.clusters <= first);
        for (entry, cluster) in buffer.chunks_mut(to_usize(width)).zip(first..) {
            while self.runs.get(run).is_some_and(|run| run.first + run.clusters <= cluster) {
                run += 1;
            }
            // Runs have no gaps, so a cluster before the last one in use is in a run.
            let value = match (cluster, self.runs.get(run)) {
                // The media byte, and in the next entry the flag that the volume is clean (specification, section 4).
                (0, _) => 0x0fff_ff00 | u32::from(MEDIA),
                (1, _) => 0x0fff_ffff,
                (_, Some(run)) => {
                    let is_last = cluster + 1 == run.first + run.clusters;
                    if is_last { 0x0fff_ffff } else { cluster + 1 }
                }
                _ => 0,
            };
            // The end mark of FAT16 is the lower half of that of FAT32.
            entry.copy_from_slice(&value.to_le_bytes()[..entry.len()]);
        }
    }
}

/// The list of slots; empty without slots.
pub(crate) fn slot_list(tree: &FileTree) -> Result<String, FatError> {
    let mut list = String::new();
    for (node, bytes) in tree.slots() {
        if list.is_empty() {
            list = format!("{SLOTS}\n");
        }
        // `names_of` refuses names that are not UTF-8.
        let path: Vec<_> = tree.path(node).parts().map(|name| [b"/", name.as_bytes()].concat()).collect();
        let _ = writeln!(list, "{bytes} {}", String::from_utf8_lossy(&path.concat()));
    }
    let bytes = to_u64(list.len());
    if bytes > MAX_SLOT_LIST { Err(FatError::SlotList { bytes }) } else { Ok(list) }
}

/// The names in each directory, in the order of the tree.
pub(crate) type Names = BTreeMap<NodeId, Vec<EntryName>>;

pub(crate) fn names_of(tree: &FileTree) -> Result<Names, FatError> {
    let mut all = Names::new();
    for (id, node) in tree.iter() {
        if !matches!(node.kind(), NodeKind::Directory { .. }) {
            continue;
        }
        let mut names = Vec::new();
        let mut seen: BTreeMap<String, NodeId> = BTreeMap::new();
        for child in tree.children(id) {
            let path = || tree.path(child).to_string();
            let name = names::check(tree.name(child)).map_err(|why| FatError::Name { path: path(), why })?;
            if let Some(other) = seen.insert(names::folded(name), child) {
                return Err(FatError::SameName { one: tree.path(other).to_string(), other: path() });
            }
            let what = match tree.node(child).kind() {
                NodeKind::Symlink { .. } => Some("a symlink"),
                NodeKind::Special(_) => Some("a device, FIFO or socket"),
                _ => None,
            };
            if let Some(what) = what {
                return Err(FatError::Kind { path: path(), what });
            }
            names.push(name);
        }
        if names.len() > MAX_ENTRIES {
            return Err(FatError::DirectoryFull { path: tree.path(id).to_string() });
        }
        all.insert(id, names::in_directory(&names));
    }
    Ok(all)
}

/// The names in a directory.
fn names_in(names: &Names, id: NodeId) -> &[EntryName] {
    names.get(&id).expect("invariant: `names_of` looks at every directory")
}

/// How much longer the partition must be, in \[bytes\], if `missing` \[bytes\] of clusters are missing; `None` if no length is
/// sufficient. A longer partition also needs longer tables, and may have longer clusters. `list` is the length of the list of slots
/// in \[bytes\].
fn more(tree: &FileTree, options: &Options, names: &Names, list: u64, missing: u64) -> Option<u64> {
    let mut bytes = options.bytes;
    let mut missing = missing;
    loop {
        bytes = bytes.checked_add(missing.checked_next_multiple_of(options.sector.bytes())?)?;
        let longer = Options { bytes, ..*options };
        let geometry = Geometry::of(&longer, list).ok()?;
        match Allocation::of(tree, &longer, &geometry, names, list).ok()? {
            Fit::Allocated(_) => return Some(bytes - options.bytes),
            Fit::Missing(still) => missing = still,
        }
    }
}

/// The result of an allocation.
enum Fit {
    Allocated(Allocation),
    /// Missing clusters in \[bytes\].
    Missing(u64),
}

/// The clusters allocated to each file and directory.
struct Allocation {
    /// First cluster and number of clusters of each node that has clusters.
    clusters: BTreeMap<NodeId, (u32, u32)>,
    /// Number of allocated clusters.
    used: u64,
}

/// Whether a tree and the promised free space fit into a partition of the length in the options. `list` is the length of the list
/// of slots in \[bytes\].
pub(crate) fn fits(
    tree: &FileTree,
    options: &Options,
    names: &Names,
    list: u64,
) -> Result<Result<(), u64>, FatError> {
    let geometry = Geometry::of(options, list)?;
    Ok(match Allocation::of(tree, options, &geometry, names, list)? {
        Fit::Allocated(_) => Ok(()),
        Fit::Missing(missing) => Err(missing),
    })
}

impl Allocation {
    fn of(
        tree: &FileTree,
        options: &Options,
        geometry: &Geometry,
        names: &Names,
        list: u64,
    ) -> Result<Fit, FatError> {
        let mut allocated = BTreeMap::new();
        let mut used: u64 = 0;
        for (id, node) in tree.iter() {
            let bytes = match node.kind() {
                NodeKind::Directory { .. } => directory_bytes(tree, id, options, geometry, names, list)?,
                _ => file_bytes(tree, id)?,
            };
            let clusters = bytes.div_ceil(geometry.cluster_bytes());
            if clusters == 0 {
                continue;
            }
            let first = used + u64::from(FIRST_CLUSTER);
            used += clusters;
            // Counting goes on after the last cluster, to report the missing bytes.
            if used <= geometry.clusters {
                allocated.insert(id, (narrow(first, CLUSTERS), narrow(clusters, CLUSTERS)));
            }
        }
        // Slots take free clusters when they are stamped.
        let slots = tree.slots().map(|(_, bytes)| bytes.div_ceil(geometry.cluster_bytes()));
        let slots = slots.fold(0, u64::saturating_add);
        let promised = options.free_space.div_ceil(geometry.cluster_bytes()).saturating_add(slots);
        Ok(match used.saturating_add(promised).checked_sub(geometry.clusters) {
            None | Some(0) => Fit::Allocated(Self { clusters: allocated, used }),
            Some(missing) => Fit::Missing(missing.saturating_mul(geometry.cluster_bytes())),
        })
    }

    /// The first cluster of a node; 0 if it has none.
    fn first(&self, id: NodeId) -> u32 {
        self.clusters.get(&id).map_or(0, |&(first, _)| first)
    }

    /// The root directory of FAT16, and the contents of all allocated clusters.
    fn fill(&self, tree: &FileTree, options: &Options, names: &Names) -> (Vec<u8>, Vec<Run>) {
        let mut root = Vec::new();
        let mut runs = Vec::with_capacity(self.clusters.len());
        for (id, node) in tree.iter() {
            let clusters_of_node = self.clusters.get(&id);
            let contents = if matches!(node.kind(), NodeKind::Directory { .. }) {
                let entries = self.entries(tree, id, options, names);
                if clusters_of_node.is_none() {
                    root = entries;
                    continue;
                }
                Contents::Directory(entries)
            } else {
                let file = tree.resolve(id);
                Contents::File(file, size_of(tree, file))
            };
            runs.extend(clusters_of_node.map(|&(first, clusters)| Run { first, clusters, contents }));
        }
        (root, runs)
    }

    fn entries(&self, tree: &FileTree, id: NodeId, options: &Options, names: &Names) -> Vec<u8> {
        let mut bytes = if id == NodeId::ROOT {
            directory::label(&options.label)
        } else {
            let parent = tree.node(id).parent();
            // 0 even if the root has a cluster (specification, section 6.5).
            let parent = if parent == NodeId::ROOT { 0 } else { self.first(parent) };
            directory::dots(self.first(id), parent)
        };
        for (child, name) in tree.children(id).zip(names_in(names, id)) {
            let (attributes, size) = match tree.node(child).kind() {
                NodeKind::Directory { .. } => (DIRECTORY, 0),
                _ => (ARCHIVE, size_of(tree, tree.resolve(child))),
            };
            let size = narrow(size, "longer files are refused");
            bytes.extend(directory::named(name, attributes, self.first(child), size));
        }
        bytes
    }
}

/// The \[bytes\] that a directory needs in clusters. The root of FAT16 needs none, and has its own limit.
fn directory_bytes(
    tree: &FileTree,
    id: NodeId,
    options: &Options,
    geometry: &Geometry,
    names: &Names,
    list: u64,
) -> Result<u64, FatError> {
    let own = if id == NodeId::ROOT { directory::label(&options.label).len() / ENTRY } else { 2 };
    let entries = names_in(names, id).iter().map(directory::entries_of).sum::<usize>() + own;
    if id == NodeId::ROOT && geometry.bits == Bits::Fat16 {
        let room = to_usize(geometry.root * geometry.sector) / ENTRY;
        let fat32 = Geometry::is_possible(options, list, Bits::Fat32);
        return if entries > room { Err(FatError::RootFull { needed: entries, room, fat32 }) } else { Ok(0) };
    }
    if entries > MAX_ENTRIES {
        return Err(FatError::DirectoryFull { path: tree.path(id).to_string() });
    }
    // The root of FAT32 has a cluster even without entries.
    Ok(to_u64(entries.max(1) * ENTRY))
}

fn file_bytes(tree: &FileTree, id: NodeId) -> Result<u64, FatError> {
    let bytes = size_of(tree, tree.resolve(id));
    if bytes > u64::from(u32::MAX) {
        return Err(FatError::TooLarge { path: tree.path(id).to_string(), bytes });
    }
    Ok(bytes)
}

fn size_of(tree: &FileTree, id: NodeId) -> u64 {
    if let NodeKind::File { size, .. } = tree.node(id).kind() { size } else { 0 }
}

impl PieceSource for FatLayout {
    fn len(&self) -> u64 {
        self.options.bytes
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let geometry = &self.geometry;
        let reserved = geometry.reserved * geometry.sector;
        let table = geometry.table * geometry.sector;
        let last_used = self.runs.last().map_or(FIRST_CLUSTER, |run| run.first + run.clusters);
        let in_use = (u64::from(last_used) * geometry.entry_bytes()).next_multiple_of(geometry.sector);
        let tables = (0..TABLES).flat_map(move |number| {
            let start = reserved + number * table;
            metadata(start, in_use).chain(zeros(start + in_use, start + table))
        });
        let root_at = reserved + TABLES * table;
        let root = metadata(root_at, geometry.root * geometry.sector);
        let runs = self.runs.iter().flat_map(|run| self.run(run));
        let end = self.cluster_offset(last_used);
        let rest = Piece::unused(end, self.options.bytes, self.options.bytes);
        Box::new(metadata(0, reserved).chain(tables).chain(root).chain(runs).chain(rest))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let geometry = &self.geometry;
        let tables_at = geometry.reserved * geometry.sector;
        let root_at = tables_at + TABLES * geometry.table * geometry.sector;
        let data_at = geometry.data() * geometry.sector;
        // After the last entry, a directory has zeros up to the end of its clusters or its area.
        let copy = |bytes: &[u8], from: u64, buffer: &mut [u8]| {
            for (to, from) in buffer.iter_mut().zip(bytes.iter().skip(to_usize(from))) {
                *to = *from;
            }
        };
        match piece.offset {
            at if at < tables_at => copy(&self.reserved, at, buffer),
            at if at < root_at => self.table((at - tables_at) % (geometry.table * geometry.sector), buffer),
            at if at < data_at => copy(&self.root, at - root_at, buffer),
            at => {
                let cluster =
                    FIRST_CLUSTER + narrow::<u32>((at - data_at) / geometry.cluster_bytes(), CLUSTERS);
                let run = self.runs.partition_point(|run| run.first + run.clusters <= cluster);
                let Some(Run { first, contents: Contents::Directory(bytes), .. }) = self.runs.get(run) else {
                    panic!("invariant: of clusters, only those of directories are metadata");
                };
                copy(bytes, at - self.cluster_offset(*first), buffer);
            }
        }
    }
}

impl FatLayout {
    fn run(&self, run: &Run) -> Box<dyn Iterator<Item = Piece> + Send> {
        let start = self.cluster_offset(run.first);
        let end = start + u64::from(run.clusters) * self.geometry.cluster_bytes();
        match run.contents {
            Contents::Directory(_) => Box::new(metadata(start, end - start)),
            Contents::File(node, len) => {
                let content = Content::File { file: node.into(), offset: 0 };
                Box::new(
                    std::iter::once(Piece { offset: start, len, content }).chain(zeros(start + len, end)),
                )
            }
        }
    }
}

/// Splits metadata into pieces of at most [`MAX_PIECE`].
fn metadata(start: u64, len: u64) -> impl Iterator<Item = Piece> + Send {
    let at = (0..len).step_by(to_usize(MAX_PIECE));
    at.map(move |at| Piece { offset: start + at, len: (len - at).min(MAX_PIECE), content: Content::Metadata })
}

fn zeros(from: u64, to: u64) -> impl Iterator<Item = Piece> + Send {
    (to > from).then(|| Piece { offset: from, len: to - from, content: Content::Zeros }).into_iter()
}

#[cfg(test)]
mod tests {
    use image_tree::{Metadata, Name, Permissions, Timestamp, TreeWriter};

    use super::*;

    /// A line of the list has 513 bytes here, and the last one as many as are left.
    #[test]
    fn the_list_of_slots_has_at_most_1_mib() {
        let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        let tree = |last: usize| {
            let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
            let id = writer.metadata(&metadata);
            let folder = "d".repeat(255);
            writer.begin_directory(Name::new(folder.as_bytes()).unwrap(), id).unwrap();
            for number in 0..2044 {
                let len = if number < 2043 { 253 } else { last };
                let name = format!("{number:04}{}", "n".repeat(len - 4));
                writer.slot(Name::new(name.as_bytes()).unwrap(), &metadata, 1).unwrap();
            }
            writer.finish()
        };
        let fixed = SLOTS.len() + 1 + 2043 * 513 + 260;
        let last = to_usize(MAX_SLOT_LIST) - fixed;
        let longest = slot_list(&tree(last)).unwrap();
        assert_eq!((to_u64(longest.len()), longest.lines().count()), (MAX_SLOT_LIST, 2045));
        assert_eq!(slot_list(&tree(last + 1)), Err(FatError::SlotList { bytes: MAX_SLOT_LIST + 1 }));
    }
}
