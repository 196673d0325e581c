//! Collects the files that `ext4_verify` reports, which come in directory order, into a sorted tree.

use std::collections::HashMap;

use ext4_verify::{Attribute, Found, Kind, Observer};
use image_reader::{Run, Window};
use image_tree::{
    FileSource, Metadata, MetadataId, Name, NodeId, Permissions, SpecialKind, Timestamp, TreeError,
    TreeWriter, Xattr, XattrName,
};

use crate::FoundTree;
use crate::found::{FileRuns, max_entries};

/// The block size that `ext4_verify` supports, in \[bytes\].
const BLOCK: u64 = 4096;
/// Inode of the root directory.
const ROOT: u32 = 2;
/// Maximum size of extended attributes in memory in \[bytes\]. Their blocks can be shared, so they can be larger than the image.
const MAX_XATTR_BYTES: usize = 64 << 20;

/// An observer of `ext4_verify` that collects the tree.
#[derive(Debug)]
pub struct Ext4Tree {
    window: Window,
    writer: Option<TreeWriter>,
    entries: Vec<Entry>,
    names: Vec<u8>,
    /// Index of each directory in `entries`, by inode.
    directories: HashMap<u32, u32>,
    /// Index of the first name of each other inode in `entries`, by inode.
    firsts: HashMap<u32, u32>,
    files: FileRuns,
    attributes: usize,
    max_entries: usize,
    cut_short: Option<String>,
}

/// A name and its inode.
#[derive(Debug)]
struct Entry {
    directory: u32,
    name: (usize, u8),
    inode: u32,
    metadata: MetadataId,
    kind: EntryKind,
}

#[derive(Debug)]
enum EntryKind {
    Directory,
    File {
        size: u64,
        source: FileSource,
    },
    Symlink {
        start: usize,
        len: usize,
    },
    Special(SpecialKind),
    /// Another name of an inode: the index of its first entry.
    HardLink(u32),
}

impl Ext4Tree {
    /// A collector for the file system in `window`. A tree of far more entries than `expected` is cut short.
    pub fn new(window: Window, expected: usize) -> Self {
        Self {
            window,
            writer: None,
            entries: Vec::new(),
            names: Vec::new(),
            directories: HashMap::new(),
            firsts: HashMap::new(),
            files: FileRuns::default(),
            attributes: 0,
            max_entries: max_entries(expected),
            cut_short: None,
        }
    }

    /// Returns the tree; `None` if the root was not reported.
    pub fn finish(mut self) -> Option<FoundTree> {
        let mut writer = self.writer.take()?;
        let mut order: Vec<u32> = (0..).take(self.entries.len()).collect();
        order.sort_by_key(|&position| self.entry(position).map(|entry| (entry.directory, self.name(entry))));
        let mut sorter = Sorter { tree: &self, order, inodes: vec![ROOT], firsts: HashMap::new() };
        let outcome = sorter.write(&mut writer);
        let inodes = std::mem::take(&mut sorter.inodes);
        if outcome.is_err() {
            self.cut_short = Some("has too many names".to_owned());
        }
        Some(FoundTree {
            tree: writer.finish(),
            inodes,
            runs: self.files.runs,
            ranges: self.files.ranges,
            window: self.window,
            cut_short: self.cut_short,
        })
    }

    fn entry(&self, position: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(position).ok()?)
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        let (start, len) = entry.name;
        self.names.get(start..start.saturating_add(len.into())).unwrap_or_default()
    }

    fn keep(&mut self, bytes: &[u8]) -> usize {
        let start = self.names.len();
        self.names.extend_from_slice(bytes);
        start
    }

    fn metadata(&mut self, found: &Found<'_>) -> Metadata {
        let (seconds, nanoseconds) = found.modified;
        let size: usize = found.attributes.iter().map(|attribute| attribute.value.len() + 255).sum();
        self.attributes = self.attributes.saturating_add(size);
        let xattrs = if self.attributes > MAX_XATTR_BYTES {
            self.cut_short = Some("has more extended attributes than snugfs compares".to_owned());
            Vec::new()
        } else {
            xattrs(found.attributes)
        };
        Metadata {
            permissions: Permissions::from_mode(found.permissions),
            uid: found.uid,
            gid: found.gid,
            // `ext4_verify` reports invalid times.
            mtime: Timestamp::new(seconds, nanoseconds).unwrap_or(Timestamp::STORE),
            xattrs,
        }
    }

    /// The kind of an inode that was not reported before.
    fn kind(&mut self, found: &Found<'_>) -> EntryKind {
        let (major, minor) = found.device;
        match found.kind {
            Kind::Directory => EntryKind::Directory,
            Kind::File => {
                let runs = found.runs.iter().filter(|run| run.written).map(|run| Run {
                    at: run.logical.saturating_mul(BLOCK),
                    length: run.len.saturating_mul(BLOCK),
                    from: run.start.saturating_mul(BLOCK),
                });
                EntryKind::File { size: found.size, source: self.files.add(runs) }
            }
            Kind::Symlink => EntryKind::Symlink { start: self.keep(found.target), len: found.target.len() },
            Kind::Character => EntryKind::Special(SpecialKind::Character { major, minor }),
            Kind::Block => EntryKind::Special(SpecialKind::Block { major, minor }),
            Kind::Fifo => EntryKind::Special(SpecialKind::Fifo),
            Kind::Socket => EntryKind::Special(SpecialKind::Socket),
        }
    }
}

/// Sorts attributes. Invalid names are left out; `ext4_verify` reports them.
fn xattrs(found: &[Attribute]) -> Vec<Xattr> {
    let parsed = found.iter().filter_map(|attribute| {
        Some(Xattr { name: XattrName::parse(&attribute.name).ok()?, value: attribute.value.clone() })
    });
    let mut xattrs: Vec<Xattr> = parsed.collect();
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    xattrs
}

impl Observer for Ext4Tree {
    fn found(&mut self, found: Found<'_>) {
        if found.inode == ROOT && self.writer.is_none() {
            let metadata = self.metadata(&found);
            self.writer = Some(TreeWriter::new(metadata, Vec::new()));
            return;
        }
        if self.writer.is_none() {
            return;
        }
        if self.entries.len() >= self.max_entries {
            self.cut_short =
                Some(format!("has more than {} entries; the rest is not compared", self.max_entries));
            return;
        }
        let position = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let first = self.firsts.get(&found.inode).copied();
        let (metadata, kind) = if let Some(first) = first {
            let metadata = self.entry(first).map(|entry| entry.metadata);
            (metadata, EntryKind::HardLink(first))
        } else {
            let metadata = self.metadata(&found);
            let metadata = self.writer.as_mut().map(|writer| writer.metadata(&metadata));
            (metadata, self.kind(&found))
        };
        let Some(metadata) = metadata else { return };
        if matches!(kind, EntryKind::Directory) {
            self.directories.insert(found.inode, position);
        } else if first.is_none() {
            self.firsts.insert(found.inode, position);
        }
        let name = (self.keep(found.name), u8::try_from(found.name.len()).unwrap_or(u8::MAX));
        self.entries.push(Entry { directory: found.directory, name, inode: found.inode, metadata, kind });
    }
}

/// Writes entries in tree order.
struct Sorter<'t> {
    tree: &'t Ext4Tree,
    /// Indexes of entries, sorted by directory, then name.
    order: Vec<u32>,
    /// The inode of each written node.
    inodes: Vec<u32>,
    /// The node of each inode with several names.
    firsts: HashMap<u32, NodeId>,
}

impl Sorter<'_> {
    fn write(&mut self, writer: &mut TreeWriter) -> Result<(), TreeError> {
        let mut open = vec![self.entries_of(ROOT)];
        while let Some(entries) = open.last_mut() {
            let Some(position) = entries.next() else {
                open.pop();
                writer.end_directory();
                continue;
            };
            let entry = self.order.get(position).and_then(|&position| self.tree.entry(position));
            let Some(entry) = entry else { continue };
            if self.add(writer, entry)? {
                open.push(self.entries_of(entry.inode));
            }
        }
        Ok(())
    }

    fn entries_of(&self, directory: u32) -> std::ops::Range<usize> {
        let of = |position: &u32| self.tree.entry(*position).map_or(u32::MAX, |entry| entry.directory);
        let start = self.order.partition_point(|position| of(position) < directory);
        let end = self.order.partition_point(|position| of(position) <= directory);
        start..end
    }

    /// Writes an entry. Returns true if it is a directory, which is then open.
    fn add(&mut self, writer: &mut TreeWriter, entry: &Entry) -> Result<bool, TreeError> {
        // `ext4_verify` reports invalid and duplicate names.
        let Ok(name) = Name::new(self.tree.name(entry)) else { return Ok(false) };
        let outcome = match self.firsts.get(&entry.inode) {
            Some(&first) => writer.hard_link(name, first),
            None => self.new_inode(writer, entry, name),
        };
        match outcome {
            Ok(node) => {
                self.inodes.push(entry.inode);
                let is_directory = matches!(entry.kind, EntryKind::Directory);
                if !is_directory {
                    self.firsts.entry(entry.inode).or_insert(node);
                }
                Ok(is_directory)
            }
            Err(TreeError::TooMany) => Err(TreeError::TooMany),
            Err(_) => Ok(false),
        }
    }

    fn new_inode(&self, writer: &mut TreeWriter, entry: &Entry, name: Name<'_>) -> Result<NodeId, TreeError> {
        let kind = match &entry.kind {
            EntryKind::HardLink(first) => self.tree.entry(*first).map(|entry| &entry.kind),
            kind => Some(kind),
        };
        match kind {
            Some(EntryKind::Directory) => writer.begin_directory(name, entry.metadata),
            Some(EntryKind::File { size, source }) => writer.file(name, entry.metadata, *size, *source),
            Some(EntryKind::Special(kind)) => writer.special(name, entry.metadata, *kind),
            Some(EntryKind::Symlink { start, len }) => {
                let target = self.tree.names.get(*start..start.saturating_add(*len)).unwrap_or_default();
                // `ext4_verify` reports invalid targets; plans don't have them.
                writer.symlink(name, entry.metadata, target).or_else(|error| match error {
                    TreeError::BadTarget { .. } => writer.symlink(name, entry.metadata, b"?"),
                    other => Err(other),
                })
            }
            Some(EntryKind::HardLink(_)) | None => Err(TreeError::BadHardLink { name: name.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::tests::{Memory, read};
    use ext4_verify::Run as Blocks;

    /// A tree of files in the root, with these runs and attributes.
    fn tree(mut tree: Ext4Tree, files: &[(&str, &[Blocks], &[Attribute])]) -> Option<FoundTree> {
        let root = ("", &[][..], &[][..]);
        for (number, (name, runs, attributes)) in (ROOT..).zip(std::iter::once(&root).chain(files)) {
            tree.found(Found {
                directory: ROOT,
                name: name.as_bytes(),
                inode: number,
                kind: if number == ROOT { Kind::Directory } else { Kind::File },
                permissions: 0o755,
                uid: 0,
                gid: 0,
                modified: (1, 0),
                size: 3 * BLOCK,
                target: b"",
                device: (0, 0),
                runs,
                attributes,
            });
        }
        tree.finish()
    }

    fn new(blocks: u8) -> Ext4Tree {
        let bytes = (0..blocks).flat_map(|number| vec![number; 4096]).collect();
        Ext4Tree::new(Memory::window(bytes), 0)
    }

    #[test]
    fn unwritten_blocks_and_holes_are_zeros() {
        let run = |logical, start, written| Blocks { logical, start, len: 1, written };
        let found = tree(new(8), &[("a", &[run(0, 7, true), run(1, 6, false)], &[])]).unwrap();
        let file = found.tree.children(NodeId::ROOT).next().unwrap();
        let bytes = read(found.open(file).unwrap(), 12288);
        assert_eq!(bytes.len(), 12288);
        assert!(bytes[..4096].iter().all(|&byte| byte == 7));
        assert!(bytes[4096..].iter().all(|&byte| byte == 0));
        assert_eq!(found.cut_short, None);
    }

    #[test]
    fn attributes_above_the_limit_are_not_compared() {
        // A name takes up to 255 bytes of memory.
        for (left, is_kept) in [(255 + 45, true), (255 + 44, false), (255, false)] {
            let mut new = new(0);
            new.attributes = MAX_XATTR_BYTES - left;
            let attribute = Attribute { name: b"user.a".to_vec(), value: vec![1; 45] };
            let found = tree(new, &[("a", &[], &[attribute])]).unwrap();
            assert_eq!(found.cut_short.is_none(), is_kept, "{left}");
            let file = found.tree.children(NodeId::ROOT).next().unwrap();
            let xattrs = &found.tree.metadata(found.tree.node(file).metadata()).xattrs;
            assert_eq!(xattrs.len(), usize::from(is_kept), "{left}");
        }
    }

    #[test]
    fn entries_above_the_limit_are_not_compared() {
        for (most, names) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
            let mut new = new(0);
            new.max_entries = most;
            let found = tree(new, &[("a", &[], &[]), ("b", &[], &[])]).unwrap();
            assert_eq!(found.tree.children(NodeId::ROOT).count(), names);
            assert_eq!(found.cut_short.is_none(), most >= 2, "{most}");
        }
    }

    #[test]
    fn there_is_no_tree_without_a_root() {
        let mut tree = new(0);
        tree.found(Found {
            directory: ROOT,
            name: b"a",
            inode: 12,
            kind: Kind::Directory,
            permissions: 0o755,
            uid: 0,
            gid: 0,
            modified: (1, 0),
            size: BLOCK,
            target: b"",
            device: (0, 0),
            runs: &[],
            attributes: &[],
        });
        assert!(tree.finish().is_none());
    }
}
