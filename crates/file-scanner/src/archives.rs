//! Archives and container images, as directories that the walk could have found.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use archive_source::{Archive, ArchiveTree, Format, InodeKind, Owner, RawXattr, Target};
use image_tree::{
    Container, DataRun, FileStamp, HOLE_GRAIN, Inode, Permissions, Segment, Timestamp, Xattr, XattrName,
    escaped, narrow, to_u64,
};
use snugfs_plan::{TreeKind, TreePlan, XattrPattern};

use crate::error::ScanError;
use crate::exclude::{self, Exclude};
use crate::found::{BATCH, DirectoryId, Found, FoundDirectory, HostMetadata, Kind, Part, Place, TreePart};
use crate::listing::Listing;
use crate::metadata::{InodeKind as TypeOfInode, allows};
use crate::scan::ScanOptions;
use crate::sources::InlineFile;
use crate::warnings::{NamedFiles, Warning};

/// The trees of a plan with all their defaults, which depend on what their sources are.
pub(crate) fn resolved(trees: &[TreePlan]) -> Cow<'_, [TreePlan]> {
    let resolve = |tree: &TreePlan| {
        let mut tree = tree.clone();
        let kind = tree.kind.unwrap_or(if tree.source.is_file() { TreeKind::Tar } else { TreeKind::Folder });
        let is_archive = kind != TreeKind::Folder;
        tree.kind = Some(kind);
        tree.keep_owner.get_or_insert(is_archive);
        tree.keep_times.get_or_insert(is_archive);
        tree.xattrs.get_or_insert_with(|| {
            let all = XattrPattern { prefix: String::new(), wildcard: true };
            is_archive.then_some(all).into_iter().collect()
        });
        tree
    };
    trees.iter().map(resolve).collect()
}

/// Reads the archives and images among the trees, in their order. `None` for a folder.
pub(crate) fn read(
    trees: &[TreePlan],
    options: &ScanOptions<'_>,
    errors: &mut Vec<ScanError>,
) -> Vec<Option<Archive>> {
    let temporary = options.temporary.map_or_else(std::env::temp_dir, ToOwned::to_owned);
    let how = archive_source::Options { temporary: &temporary, progress: options.progress };
    let mut archives = Vec::new();
    for (tree, plan) in trees.iter().enumerate() {
        let format = match plan.kind {
            Some(TreeKind::Tar) => Format::Tar,
            Some(TreeKind::Oci) => {
                Format::Image { image: plan.image.as_deref(), platform: plan.platform.as_deref() }
            }
            Some(TreeKind::Folder) | None => {
                archives.push(None);
                continue;
            }
        };
        match archive_source::read(&plan.source, format, &how) {
            Ok(archive) => archives.push(Some(archive)),
            Err(error) => {
                errors.push(ScanError::Archive { tree, error });
                archives.push(None);
            }
        }
    }
    archives
}

/// The configurations of images that the plan wants in the image.
pub(crate) fn configurations(trees: &[TreePlan], archives: &[Option<Archive>]) -> Vec<InlineFile> {
    let file = |(plan, archive): (&TreePlan, &Option<Archive>)| {
        Some(InlineFile {
            path: plan.config_target.clone()?,
            bytes: archive.as_ref()?.config.clone()?,
            permissions: Permissions::from_mode(0o644),
        })
    };
    trees.iter().zip(archives).filter_map(file).collect()
}

/// What adds an archive to the result of the walk.
pub(crate) struct Adding<'a> {
    pub(crate) plan: &'a TreePlan,
    /// The position among the trees.
    pub(crate) tree: usize,
    /// The directory of the source.
    pub(crate) root: DirectoryId,
    /// The position of its first container among the origins.
    pub(crate) origin: usize,
    pub(crate) exclude: Option<&'a Exclude>,
    /// The time of directories that the archive does not have.
    pub(crate) timestamp: Timestamp,
}

/// A directory that is to be added.
struct Open {
    from: archive_source::DirectoryId,
    to: DirectoryId,
    /// Below the source, if patterns need it.
    path: Vec<u8>,
}

/// What was found on the way.
#[derive(Default)]
struct Notes {
    /// Entries with attributes that ext4 does not have, or not for their type.
    left_out: NamedFiles,
    /// Their names.
    names: BTreeSet<String>,
}

impl Adding<'_> {
    /// Adds the entries of an archive. Returns warnings.
    pub(crate) fn add(&self, found: &mut Found, archive: Archive) -> Result<Vec<Warning>, ScanError> {
        let mut warnings = Vec::new();
        if self.plan.kind == Some(TreeKind::Tar) && archive.is_an_image() {
            warnings.push(Warning::LooksLikeImage { tree: self.tree });
        }
        let Archive { mut tree, containers, .. } = archive;
        let containers: Vec<Arc<Container>> =
            containers.into_iter().map(|(_, container)| container).collect();
        let mut notes = Notes::default();
        let root = archive_source::DirectoryId::ROOT;
        let mut open = vec![Open { from: root, to: self.root, path: Vec::new() }];
        while let Some(directory) = open.pop() {
            self.directory(found, &tree, &containers, &directory, &mut open, &mut notes)?;
            tree.clear(directory.from);
        }
        if notes.left_out.count > 0 {
            let names = notes.names.into_iter().collect();
            warnings.push(Warning::ArchiveXattrs { tree: self.tree, names, files: notes.left_out });
        }
        Ok(warnings)
    }

    fn directory(
        &self,
        found: &mut Found,
        tree: &ArchiveTree,
        containers: &[Arc<Container>],
        directory: &Open,
        open: &mut Vec<Open>,
        notes: &mut Notes,
    ) -> Result<(), ScanError> {
        let path = |name: &[u8]| exclude::join(&directory.path, name);
        let is_wanted = |(name, target): &(&[u8], Target)| {
            let is_directory = matches!(target, Target::Directory(_));
            self.exclude.is_none_or(|exclude| !exclude.has(&path(name), is_directory))
        };
        let entries: Vec<(&[u8], Target)> = tree.entries(directory.from).filter(is_wanted).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let listing = Listing::of_sorted(entries.iter().map(|(name, _)| *name));
        let listing = listing.map_err(|_| ScanError::TooMany)?;
        let mut parts = Vec::with_capacity(entries.len().div_ceil(BATCH));
        for (number, batch) in entries.chunks(BATCH).enumerate() {
            let mut part = Part::default();
            let mut of_tree = TreePart::default();
            for (position, (name, target)) in batch.iter().enumerate() {
                let (kind, owner, place) = match *target {
                    Target::Directory(from) => {
                        let to = DirectoryId(
                            u32::try_from(found.directories.len()).map_err(|_| ScanError::TooMany)?,
                        );
                        let index =
                            narrow(to_u64(number * BATCH + position), "a listing has less than 2³² names");
                        let mut below = FoundDirectory::new(directory.to, index);
                        let (owner, xattrs) = tree.owner(from).unwrap_or((self.implied(), &[]));
                        let xattrs = self.xattrs(xattrs, TypeOfInode::Directory, notes, || path(name));
                        below.own = Some(Box::new((metadata(owner), xattrs)));
                        found.directories.push(below);
                        open.push(Open { from, to, path: path(name) });
                        (Kind::Directory(to), owner, Place::Nowhere)
                    }
                    Target::Inode(id) => {
                        let inode = tree.inode(id);
                        if inode.is_linked {
                            of_tree.links.push((position, Inode { device: 0, number: id.number().into() }));
                        }
                        let (kind, type_of, place) = self.inode(&inode.kind, &mut part)?;
                        if let (InodeKind::Sparse { size, container, map }, true) =
                            (&inode.kind, self.plan.keep_holes)
                        {
                            let segments = &containers[usize::from(*container)].segments;
                            let segments = &segments[image_tree::to_usize((*map).into())];
                            let runs = data_runs(segments, *size).map_err(|TooLong| {
                                ScanError::FileTooLong { path: escaped(&path(name)).to_string(), size: *size }
                            })?;
                            of_tree.sparse.extend(runs.map(|runs| (position, runs)));
                        }
                        let xattrs = inode.xattrs.as_deref().map_or(&[][..], |xattrs| xattrs);
                        let xattrs = self.xattrs(xattrs, type_of, notes, || path(name));
                        if !xattrs.is_empty() {
                            of_tree.xattrs.push((position, xattrs));
                        }
                        (kind, inode.owner, place)
                    }
                };
                part.kinds.push(kind);
                of_tree.metadata.push(metadata(owner));
                of_tree.places.push(place);
            }
            part.tree = Some(Box::new(of_tree));
            parts.push(part);
        }
        let this = &mut found.directories[directory.to.index()];
        this.listing = Some(Arc::new(listing));
        this.parts = parts;
        Ok(())
    }

    fn inode(&self, kind: &InodeKind, part: &mut Part) -> Result<(Kind, TypeOfInode, Place), ScanError> {
        let origin = |container: u16| {
            narrow::<u32>(to_u64(self.origin + usize::from(container)), "a plan has less than 2³² sources")
        };
        // Changes of the archive are noticed, not those of its files.
        let file = |size| Kind::File { size, stamp: FileStamp::of_mtime(0, 0), executable: false };
        Ok(match kind {
            InodeKind::File { size, container, offset } => {
                let place = Place::Range { origin: origin(*container), offset: *offset };
                (file(*size), TypeOfInode::File, place)
            }
            InodeKind::Sparse { size, container, map } => {
                let place = Place::Segments { origin: origin(*container), index: *map };
                (file(*size), TypeOfInode::File, place)
            }
            InodeKind::Symlink(target) => {
                let start = u32::try_from(part.targets.len()).map_err(|_| ScanError::TooMany)?;
                part.targets.extend_from_slice(target);
                let len =
                    narrow(to_u64(target.len()), "an archive's tree has targets of at most 4,095 bytes");
                (Kind::Symlink { start, len }, TypeOfInode::Symlink, Place::Nowhere)
            }
            InodeKind::Special(special) => (Kind::Special(*special), TypeOfInode::Special, Place::Nowhere),
        })
    }

    /// The attributes that the plan keeps and ext4 has.
    fn xattrs(
        &self,
        xattrs: &[RawXattr],
        type_of: TypeOfInode,
        notes: &mut Notes,
        path: impl Fn() -> Vec<u8>,
    ) -> Vec<Xattr> {
        let patterns = self.plan.xattrs.as_deref().unwrap_or_default();
        let mut kept = Vec::new();
        for (name, value) in xattrs {
            if !patterns.iter().any(|pattern| pattern.matches(name)) {
                continue;
            }
            match XattrName::parse(name) {
                Ok(name) if allows(type_of, name.namespace()) => {
                    kept.push(Xattr { name, value: value.clone() });
                }
                _ => {
                    notes.left_out.add(|| escaped(&path()).to_string());
                    if notes.names.len() < NAMES {
                        notes.names.insert(escaped(name).to_string());
                    }
                }
            }
        }
        kept
    }

    /// Of directories that the archive does not have.
    fn implied(&self) -> Owner {
        let (seconds, nanoseconds) = (self.timestamp.seconds(), self.timestamp.nanoseconds());
        Owner { mode: 0o755, uid: 0, gid: 0, seconds, nanoseconds }
    }
}

/// Maximum number of attribute names in a warning.
const NAMES: usize = 5;

fn metadata(owner: Owner) -> HostMetadata {
    let Owner { mode, uid, gid, seconds, nanoseconds } = owner;
    HostMetadata { mode, uid, gid, seconds, nanoseconds }
}

/// A file that is too long for data runs.
struct TooLong;

/// The data runs of a sparse file; none if they leave no hole of a whole block.
fn data_runs(segments: &[Segment], size: u64) -> Result<Option<Vec<DataRun>>, TooLong> {
    u32::try_from(size.div_ceil(HOLE_GRAIN)).map_err(|_| TooLong)?;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for segment in segments {
        let (start, end) = (segment.start / HOLE_GRAIN, (segment.start + segment.len).div_ceil(HOLE_GRAIN));
        match runs.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => runs.push((start, end)),
        }
    }
    let has_holes = runs.as_slice() != [(0, size.div_ceil(HOLE_GRAIN))];
    let unit = |value: u64| narrow::<u32>(value, "the file has less than 2³² units");
    let run = |(start, end): (u64, u64)| DataRun { start: unit(start), len: unit(end - start) };
    Ok(has_holes.then(|| runs.into_iter().map(run).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_runs_are_whole_blocks_that_do_not_touch() {
        let runs = |segments: &[(u64, u64)], size| {
            let segments: Vec<_> =
                segments.iter().map(|&(start, len)| Segment { start, len, offset: 0 }).collect();
            let runs = data_runs(&segments, size).ok().unwrap()?;
            Some(runs.iter().map(|run| (run.start, run.len)).collect::<Vec<_>>())
        };
        assert_eq!(runs(&[], 5), Some(vec![]));
        assert_eq!(runs(&[(0, 512), (1024, 512)], 4096), None);
        assert_eq!(runs(&[(0, 512), (8192, 1)], 10_000), Some(vec![(0, 1), (2, 1)]));
        assert_eq!(runs(&[(4000, 200), (8192, 1), (20_480, 4096)], 1 << 20), Some(vec![(0, 3), (5, 1)]));
        assert!(data_runs(&[], 1 << 44).is_err() && data_runs(&[], (1 << 44) - 4096).is_ok());
    }
}
