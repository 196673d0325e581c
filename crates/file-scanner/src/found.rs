//! The result of the walk: a table of directories that refer to each other by number, so that deep sources need no deep stack.
//! The numbers depend on the order of the walk, so the tree must not depend on them.

use std::path::PathBuf;
use std::sync::Arc;

use image_tree::{DataRun, FileStamp, Inode, SpecialKind, Xattr, narrow, to_usize};
use rustix::fs::Stat;

use crate::listing::Listing;
use crate::mounts::Mount;
use crate::own::InTree;

/// Number of entries that a task inspects. Larger directories are shared among threads. A batch takes about 0.5 ms.
pub(crate) const BATCH: usize = 512;

/// The index of a directory in [`Found`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DirectoryId(pub(crate) u32);

impl DirectoryId {
    #[expect(clippy::as_conversions, reason = "usize holds every u32 on the 64-bit targets that we support")]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The kind of an entry, in 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Directory(DirectoryId),
    File { size: u64, stamp: FileStamp, executable: bool },
    Symlink { start: u32, len: u16 },
    Special(SpecialKind),
}

/// Owner, permissions and time of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostMetadata {
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

impl HostMetadata {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            mode: mode_bits(stat),
            uid: stat.st_uid,
            gid: stat.st_gid,
            seconds: stat.st_mtime,
            nanoseconds: nanoseconds(stat),
        }
    }
}

/// The permission bits of a `stat`, 0 to 0o7777.
pub(crate) fn mode_bits(stat: &Stat) -> u16 {
    narrow((stat.st_mode & 0o7777).into(), "twelve bits are left")
}

fn nanoseconds(stat: &Stat) -> u32 {
    u32::try_from(stat.st_mtime_nsec).expect("invariant: Linux gives less than 10^9 nanoseconds")
}

/// The stamp that shows later whether a file changed since the scan.
pub(crate) fn stamp(stat: &Stat) -> FileStamp {
    FileStamp::of_mtime(stat.st_mtime, nanoseconds(stat))
}

/// Where an archive has the bytes of a file. `origin` is the position among the origins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Not a regular file.
    Nowhere,
    Range {
        origin: u32,
        offset: u64,
    },
    Segments {
        origin: u32,
        index: u32,
    },
}

/// The parts that only trees have. The metadata of a store is canonical.
#[derive(Debug, Default)]
pub(crate) struct TreePart {
    /// Metadata of each entry.
    pub(crate) metadata: Vec<HostMetadata>,
    /// Inodes of entries with several names, by their position in the part, ascending.
    pub(crate) links: Vec<(usize, Inode)>,
    /// Extended attributes of entries that have any, by their position in the part, ascending.
    pub(crate) xattrs: Vec<(usize, Vec<Xattr>)>,
    /// Where an archive has the bytes of its files, for each entry; empty if this is not part of an archive.
    pub(crate) places: Vec<Place>,
    /// Data runs of sparse files, by their position in the part, ascending.
    pub(crate) sparse: Vec<(usize, Vec<DataRun>)>,
}

/// The space that files need, in \[bytes\].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    /// In the image.
    pub(crate) stored: u64,
    /// On this machine.
    pub(crate) taken: u64,
}

impl Room {
    /// Adds a file with `stored` \[bytes\] in the image. Returns how many more these are than on this machine, if that is much.
    pub(crate) fn add(&mut self, stored: u64, stat: &Stat) -> Option<u64> {
        // A FUSE file system can report any numbers.
        let taken = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        self.stored = self.stored.saturating_add(stored);
        self.taken = self.taken.saturating_add(taken);
        (stored > MUCH && stored / 10 > taken).then(|| stored - taken)
    }

    /// The sum of both.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            stored: self.stored.saturating_add(other.stored),
            taken: self.taken.saturating_add(other.taken),
        }
    }

    /// Whether the image needs so much more space than this machine that a warning is due.
    pub(crate) fn is_inflated(self) -> bool {
        self.stored > MUCH && self.stored / 10 > self.taken
    }
}

/// Minimum size for a warning, in \[bytes\].
const MUCH: u64 = 64 << 20;

/// Up to [`BATCH`] entries of a directory.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) targets: Vec<u8>,
    pub(crate) tree: Option<Box<TreePart>>,
    pub(crate) room: Room,
    /// Files that need much more space in the image than here, by their position, and how much more.
    pub(crate) inflated: Vec<(usize, u64)>,
}

/// A directory of a source.
#[derive(Debug)]
pub(crate) struct FoundDirectory {
    /// The parent directory; a root is its own parent.
    pub(crate) parent: DirectoryId,
    /// Its position in the parent.
    pub(crate) in_parent: u32,
    /// Metadata of a directory of a tree; not of a root.
    pub(crate) own: Option<Box<(HostMetadata, Vec<Xattr>)>>,
    /// The names; `None` if it is empty.
    pub(crate) listing: Option<Arc<Listing>>,
    pub(crate) parts: Vec<Part>,
}

impl FoundDirectory {
    pub(crate) fn new(parent: DirectoryId, in_parent: u32) -> Self {
        Self { parent, in_parent, own: None, listing: None, parts: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.listing.as_ref().map_or(0, |listing| listing.len())
    }

    pub(crate) fn name(&self, index: usize) -> &[u8] {
        self.listing.as_ref().map_or(&[], |listing| listing.name(index))
    }

    /// The part with an entry. Every part is there after a walk without errors.
    fn part(&self, index: usize) -> &Part {
        self.parts.get(index / BATCH).expect("invariant: the walk stores every part of a directory")
    }

    pub(crate) fn kind(&self, index: usize) -> Kind {
        let kind = self.part(index).kinds.get(index % BATCH);
        *kind.expect("invariant: the walk looks at every entry, and its errors end the scan")
    }

    pub(crate) fn target(&self, index: usize, start: u32, len: u16) -> &[u8] {
        let start = to_usize(start.into());
        &self.part(index).targets[start..start + usize::from(len)]
    }

    /// What a tree keeps; `None` in a store.
    fn tree(&self, index: usize) -> Option<&TreePart> {
        self.part(index).tree.as_deref()
    }

    pub(crate) fn metadata(&self, index: usize) -> Option<HostMetadata> {
        self.tree(index)?.metadata.get(index % BATCH).copied()
    }

    pub(crate) fn inode(&self, index: usize) -> Option<Inode> {
        let links = &self.tree(index)?.links;
        let at = links.binary_search_by_key(&(index % BATCH), |link| link.0).ok()?;
        links.get(at).map(|link| link.1)
    }

    /// Where an archive has the bytes of a file; `None` if it is a file of this machine.
    pub(crate) fn place(&self, index: usize) -> Option<Place> {
        self.tree(index)?.places.get(index % BATCH).copied()
    }

    /// The data runs of a sparse file.
    pub(crate) fn data_runs(&self, index: usize) -> Option<&[DataRun]> {
        let sparse = &self.tree(index)?.sparse;
        let at = sparse.binary_search_by_key(&(index % BATCH), |found| found.0).ok()?;
        sparse.get(at).map(|found| found.1.as_slice())
    }

    pub(crate) fn xattrs(&self, index: usize) -> &[Xattr] {
        self.tree(index)
            .and_then(|tree| {
                let at = tree.xattrs.binary_search_by_key(&(index % BATCH), |found| found.0).ok()?;
                tree.xattrs.get(at)
            })
            .map_or(&[], |found| &found.1)
    }
}

/// All directories of all sources. The first ones are the roots, in the order of the sources.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) directories: Vec<FoundDirectory>,
    /// The path of each root on this machine.
    pub(crate) sources: Vec<PathBuf>,
    /// Mounts below trees whose plan does not set `oneFileSystem`.
    pub(crate) mounts: Vec<Mount>,
    /// Directories that contain output files of the program, with the positions of these files.
    pub(crate) own: Vec<(DirectoryId, usize)>,
}

impl Found {
    /// The position of a directory's source.
    pub(crate) fn source_of(&self, id: DirectoryId) -> usize {
        let mut at = id;
        loop {
            match self.directory(at).parent {
                parent if parent == at => return at.index(),
                parent => at = parent,
            }
        }
    }

    /// The output files of the program that are in trees. `first_tree` is the position of the first tree among the sources.
    pub(crate) fn own_in_trees(&self, first_tree: usize) -> Vec<InTree> {
        let in_tree = |&(directory, file): &(DirectoryId, usize)| {
            let source = self.source_of(directory);
            let is_deep = directory.index() != source;
            InTree { tree: source - first_tree, file, is_deep }
        };
        let mut all: Vec<InTree> = self.own.iter().map(in_tree).collect();
        // A folder that is mounted twice below a tree has the file twice; the deeper one is reported.
        all.sort_by_key(|one| (one.tree, one.file, !one.is_deep));
        all.dedup_by_key(|one| (one.tree, one.file));
        all
    }

    /// The space that all files need.
    pub(crate) fn room(&self) -> Room {
        let parts = self.directories.iter().flat_map(|directory| &directory.parts);
        parts.fold(Room::default(), |room, part| room.with(part.room))
    }

    /// The files that need much more space in the image than here, largest first: how much more, and their paths.
    pub(crate) fn inflated(&self) -> Vec<(u64, PathBuf)> {
        let mut all = Vec::new();
        for (id, directory) in (0..).zip(&self.directories) {
            for (number, part) in directory.parts.iter().enumerate() {
                let at = |position: usize| Some(number * BATCH + position);
                let path = |position| self.host_path(DirectoryId(id), at(position));
                all.extend(part.inflated.iter().map(|(position, more)| (*more, path(*position))));
            }
        }
        all.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
        all
    }

    pub(crate) fn directory(&self, id: DirectoryId) -> &FoundDirectory {
        self.directories.get(id.index()).expect("invariant: the walk numbers the directories that it stores")
    }

    /// The number of entries, and the length of their names and targets in \[bytes\].
    pub(crate) fn totals(&self) -> (usize, usize) {
        self.directories.iter().fold((0, 0), |(entries, bytes), directory| {
            let names = directory.listing.as_ref().map_or(0, |listing| listing.name_bytes());
            let targets: usize = directory.parts.iter().map(|part| part.targets.len()).sum();
            (entries + directory.len(), bytes + names + targets)
        })
    }

    /// Whether a tree has an entry with several names.
    pub(crate) fn has_links(&self) -> bool {
        let parts = self.directories.iter().flat_map(|directory| &directory.parts);
        parts.filter_map(|part| part.tree.as_ref()).any(|tree| !tree.links.is_empty())
    }

    /// The path of a directory, or of an entry of it, on this machine.
    pub(crate) fn host_path(&self, id: DirectoryId, entry: Option<usize>) -> PathBuf {
        use std::ffi::OsString;
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        let mut names = Vec::new();
        let mut at = id;
        names.extend(entry.map(|index| self.directory(id).name(index)));
        loop {
            let FoundDirectory { parent, in_parent, .. } = *self.directory(at);
            if parent == at {
                break;
            }
            names.push(self.directory(parent).name(to_usize(in_parent.into())));
            at = parent;
        }
        let source = self.sources.get(at.index()).expect("invariant: the first directories are the roots");
        let mut bytes = source.as_os_str().as_bytes().to_vec();
        for name in names.into_iter().rev() {
            if bytes.last() != Some(&b'/') {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(name);
        }
        PathBuf::from(OsString::from_vec(bytes))
    }
}

#[cfg(test)]
mod tests;
