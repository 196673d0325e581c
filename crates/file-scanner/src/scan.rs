//! Opens all sources, walks them, merges them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive_source::Archive;
use image_tree::{Container, DataRun, FileStamp, ImagePath, Origin, OwnFile, Permissions, Timestamp, shown};
use reader_threads::READERS;
use rustix::fs::{FileType, Mode, Stat};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use snugfs_plan::{EntryKind, TreeKind, TreePlan};

use crate::attributes::Attributes;
use crate::error::ScanError;
use crate::errors::{ScanErrors, shortened};
use crate::exclude::Exclude;
use crate::flags::{FOLLOWED_DIRECTORY, FOLLOWED_FILE};
use crate::found::{DirectoryId, Found, Room, mode_bits, stamp};
use crate::listing::{ListError, Listing};
use crate::metadata::{InodeKind, allows};
use crate::opener::HELD;
use crate::plan_tree::{PlanTree, SourceRef};
use crate::source_id::SourceId;
use crate::sources::{InlineFile, Scan, Sources, StoreSource};
use crate::walk::{Policy, WalkRoot, walk};
use crate::warnings::Warning;
use crate::{archives, flatten, holes, inspect, owners, sources};

/// Maximum number of files that a thread has open while it reads: directories, files ahead, and some more.
const FILES_OF_A_READER: usize = HELD + 16 + 4;

/// Number of other open files, for a few sources.
const OTHER_FILES: usize = 32;

/// The regular file of an entry.
#[derive(Clone, Debug)]
pub(crate) struct EntryFile {
    /// Position among the origins, once they are known.
    pub(crate) origin: usize,
    pub(crate) size: u64,
    pub(crate) stamp: FileStamp,
    pub(crate) permissions: Permissions,
    /// Its data runs, if its holes are kept.
    pub(crate) runs: Option<Vec<DataRun>>,
}

/// The files of entries. All origins: the store, the trees, the archives of trees, and the files of entries, in this order.
#[derive(Debug, Default)]
pub(crate) struct EntryFiles {
    pub(crate) origins: Vec<Origin>,
    /// By the position of the entry.
    pub(crate) files: BTreeMap<usize, EntryFile>,
    pub(crate) room: Room,
    /// Files that need much more space in the image than on this machine, and how much more.
    pub(crate) inflated: Vec<(u64, PathBuf)>,
}

/// Options of a scan. None of them changes the tree.
#[derive(Clone, Copy)]
pub struct ScanOptions<'o> {
    /// Number of threads that walk. Default: as many as the current rayon pool has.
    pub threads: NonZeroUsize,
    /// Maximum number of threads that walk while they wait for a disk, if that is more. Default: 32, or fewer if few files may be
    /// open.
    pub readers: NonZeroUsize,
    /// Output files of the program, which are left out of trees. [`Scan::own`] lists them; the caller decides whether they are
    /// allowed there. Store paths and single entries are not checked for them.
    pub own: &'o [OwnFile],
    /// The folder for the unnamed temporary file of compressed archives. Default: `TMPDIR`, or /tmp.
    pub temporary: Option<&'o Path>,
    /// Called with the number of entries found since the last call, from any thread.
    pub progress: &'o (dyn Fn(u64) + Sync),
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        Self {
            threads: NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN),
            readers: NonZeroUsize::new(READERS).unwrap_or(NonZeroUsize::MIN),
            own: &[],
            temporary: None,
            progress: &|_| {},
        }
    }
}

impl std::fmt::Debug for ScanOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { threads, readers, own, temporary, .. } = self;
        f.debug_struct("ScanOptions")
            .field("threads", threads)
            .field("readers", readers)
            .field("own", own)
            .field("temporary", temporary)
            .finish_non_exhaustive()
    }
}

/// Scans all sources, and merges them into one sorted tree.
///
/// The tree is the same for any number of threads. `progress` is called with the number of entries found since the last call,
/// from any thread. Raises the soft limit of open files to the hard limit.
pub fn scan(sources: &Sources<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<Scan, ScanErrors> {
    scan_with(sources, &ScanOptions { progress, ..ScanOptions::default() })
}

/// The same as [`scan`], with options.
pub fn scan_with(sources: &Sources<'_>, options: &ScanOptions<'_>) -> Result<Scan, ScanErrors> {
    scan_again(sources, options, &mut None)
}

/// The store and the trees of an earlier scan, for another scan of the same ones with other entries or attributes. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Walked(Arc<WalkedSources>);

#[derive(Debug)]
struct WalkedSources {
    store: Option<StoreSource>,
    /// As the plan has them.
    planned: Vec<TreePlan>,
    /// With all their defaults.
    trees: Vec<TreePlan>,
    timestamp: Timestamp,
    /// The store, the trees, and the archives and layers of trees, in this order.
    origins: Vec<Origin>,
    /// The configurations of container images.
    inline: Vec<InlineFile>,
    found: Found,
    warnings: Vec<Warning>,
}

impl Walked {
    /// Whether sources have the same store and the same trees.
    #[must_use]
    pub fn is_of(&self, sources: &Sources<'_>) -> bool {
        let Self(walked) = self;
        walked.store == sources.store
            && walked.planned == sources.trees
            && walked.timestamp == sources.timestamp
    }
}

/// The store and the trees, before they are walked.
struct Opened<'a> {
    excludes: Vec<Option<Arc<Exclude>>>,
    roots: Vec<WalkRoot<'a>>,
    archives: Vec<Option<Archive>>,
    inline: Vec<InlineFile>,
}

impl<'a> Opened<'a> {
    fn new(sources: &Sources<'a>, options: &ScanOptions<'_>, errors: &mut Vec<ScanError>) -> Self {
        let excludes = excludes(sources.trees, errors);
        let roots = open_roots(sources, &excludes, errors);
        let archives = archives::read(sources.trees, options, errors);
        let inline = archives::configurations(sources.trees, &archives);
        Self { excludes, roots, archives, inline }
    }

    fn walk(
        self,
        sources: &Sources<'_>,
        planned: &[TreePlan],
        options: &ScanOptions<'_>,
    ) -> Result<Walked, ScanErrors> {
        let place = |source| place(sources, source);
        let mut origins = origins(sources, &self.roots);
        let mut found =
            walk(self.roots, options).map_err(|errors| ScanErrors::new(shortened(errors, place)))?;
        let warnings = add_archives(sources, self.archives, &self.excludes, &mut found, &mut origins)?;
        Ok(Walked(Arc::new(WalkedSources {
            store: sources.store.clone(),
            planned: planned.to_vec(),
            trees: sources.trees.to_vec(),
            timestamp: sources.timestamp,
            origins,
            inline: self.inline,
            found,
            warnings,
        })))
    }
}

/// The same as [`scan_with`], except that the store and the trees are only walked if `walked` is `None` or of other sources.
/// Sets it to the walked ones.
pub fn scan_again(
    sources: &Sources<'_>,
    options: &ScanOptions<'_>,
    walked: &mut Option<Walked>,
) -> Result<Scan, ScanErrors> {
    raise_descriptor_limit();
    let earlier = walked.take().filter(|walked| walked.is_of(sources));
    let planned = sources.trees;
    let trees = match &earlier {
        Some(Walked(earlier)) => Cow::Borrowed(earlier.trees.as_slice()),
        None => archives::resolved(planned),
    };
    let mut sources = Sources { trees: &trees, ..sources.clone() };
    let mut errors = Vec::new();
    refuse_store_modes(&sources, &mut errors);
    refuse_disallowed_xattrs(&sources, &mut errors);
    refuse_faked_owners(&sources, &mut errors);
    let opened = earlier.is_none().then(|| Opened::new(&sources, options, &mut errors));
    let inline = earlier.iter().map(|Walked(earlier)| &earlier.inline);
    let inline = inline.chain(opened.iter().map(|opened| &opened.inline)).flatten();
    sources.inline.extend(inline.cloned());
    let sources = &sources;
    let attributes = Attributes::new(sources.attributes, &mut errors);
    let plan = PlanTree::new(sources, &attributes, &mut errors);
    let mut files = stat_entry_files(sources, &mut errors);
    if !errors.is_empty() {
        return Err(ScanErrors::new(errors));
    }
    let options =
        ScanOptions { readers: options.readers.max(options.threads).min(most_readers()), ..*options };
    let now = match opened {
        Some(opened) => opened.walk(sources, planned, &options)?,
        None => earlier.clone().expect("invariant: sources are opened if they were not walked before"),
    };
    let Walked(found) = &now;
    files.set_origins(&found.origins, sources);
    let place = |source| place(sources, source);
    let namespace = owners::Namespace::of_this_process();
    let mut scan = flatten::flatten(sources, (&plan, &attributes), &found.found, &files, namespace)
        .map_err(|errors| ScanErrors::new(shortened(errors, place)))?;
    scan.warnings.extend(found.warnings.iter().cloned());
    *walked = Some(now);
    Ok(scan)
}

/// The source with this position among the roots.
fn place(sources: &Sources<'_>, source: usize) -> SourceId {
    match source.checked_sub(usize::from(sources.store.is_some())) {
        Some(tree) => SourceId::Tree(tree),
        None => SourceId::Store,
    }
}

/// Adds the archives to what the walk found. Returns warnings, also about patterns that leave out nothing.
fn add_archives(
    sources: &Sources<'_>,
    archives: Vec<Option<Archive>>,
    excludes: &[Option<Arc<Exclude>>],
    found: &mut Found,
    origins: &mut Vec<Origin>,
) -> Result<Vec<Warning>, ScanError> {
    let mut warnings = Vec::new();
    for (tree, ((plan, archive), exclude)) in sources.trees.iter().zip(archives).zip(excludes).enumerate() {
        if let Some(archive) = archive {
            let origin = origins.len();
            let of_container = |(path, container): &(PathBuf, Arc<Container>)| Origin {
                source: path.clone(),
                target: plan.target.clone(),
                folder: None,
                container: Some(Arc::clone(container)),
            };
            origins.extend(archive.containers.iter().map(of_container));
            let position = usize::from(sources.store.is_some()) + tree;
            let root = DirectoryId(image_tree::narrow(
                image_tree::to_u64(position),
                "the walk numbers the roots of the sources",
            ));
            let exclude = exclude.as_deref();
            let adding = archives::Adding { plan, tree, root, origin, exclude, timestamp: sources.timestamp };
            warnings.extend(adding.add(found, archive)?);
        }
        let unused = exclude.as_ref().map_or(Vec::new(), |exclude| exclude.unused(&plan.exclude));
        warnings.extend(unused.into_iter().map(|pattern| Warning::UnusedPattern { tree, pattern }));
    }
    Ok(warnings)
}

/// The patterns of each tree.
fn excludes(trees: &[TreePlan], errors: &mut Vec<ScanError>) -> Vec<Option<Arc<Exclude>>> {
    let exclude = |(tree, plan): (usize, &TreePlan)| match Exclude::new(tree, &plan.exclude) {
        Ok(exclude) => exclude.map(Arc::new),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    trees.iter().enumerate().map(exclude).collect()
}

/// Refuses attributes that change modes in a store. Owners may be changed. A NAR hash includes whether a file is executable,
/// and Nix expects canonical modes.
fn refuse_store_modes(sources: &Sources<'_>, errors: &mut Vec<ScanError>) {
    let Some(store) = sources.store.as_ref().filter(|store| !store.base_names.is_empty()) else { return };
    let names: BTreeSet<&[u8]> = store.base_names.iter().map(Vec::as_slice).collect();
    let in_store = |path: &ImagePath| {
        let depth = store.store_dir.parts().count();
        path.starts_with(&store.store_dir)
            && path.parts().nth(depth).is_some_and(|name| names.contains(name.as_bytes()))
    };
    for (path, attributes) in sources.attributes {
        let reaches = in_store(path) || (attributes.recursive && store.store_dir.starts_with(path));
        if attributes.permissions.is_some() && reaches {
            errors.push(ScanError::StoreMode { path: path.clone(), store_dir: store.store_dir.to_string() });
        }
    }
}

/// Refuses extended attributes that Linux does not allow for the type of an entry.
fn refuse_disallowed_xattrs(sources: &Sources<'_>, errors: &mut Vec<ScanError>) {
    for (path, entry) in sources.entries {
        let (inode_kind, what) = match entry.kind {
            EntryKind::Text(_) | EntryKind::Source(_) | EntryKind::Slot(_) => (InodeKind::File, "file"),
            EntryKind::Directory => (InodeKind::Directory, "directory"),
            EntryKind::Symlink(_) => (InodeKind::Symlink, "symlink"),
            EntryKind::Character { .. } | EntryKind::Block { .. } => (InodeKind::Special, "device"),
            EntryKind::Fifo => (InodeKind::Special, "FIFO"),
        };
        let disallowed = entry.xattrs.iter().filter(|xattr| !allows(inode_kind, xattr.name.namespace()));
        errors.extend(disallowed.map(|xattr| ScanError::DisallowedXattr {
            path: path.clone(),
            name: xattr.name.to_string(),
            what,
        }));
    }
}

/// Refuses trees if a library such as fakeroot's is preloaded without effect. Otherwise, a device would be an empty file.
fn refuse_faked_owners(sources: &Sources<'_>, errors: &mut Vec<ScanError>) {
    if let Some(library) = owners::library_without_effect() {
        let folders =
            sources.trees.iter().enumerate().filter(|(_, plan)| plan.kind == Some(TreeKind::Folder));
        errors.extend(folders.map(|(tree, _)| ScanError::FakedOwners { tree, library }));
    }
}

/// Raises the limit of open files, because a directory stays open while its subdirectories wait. Ignores errors.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let _ = rustix::process::setrlimit(Resource::Nofile, raised);
    }
}

/// How many threads can read sources at once before too many files are open.
#[must_use]
pub fn most_readers() -> NonZeroUsize {
    readers_within(rustix::process::getrlimit(Resource::Nofile).current)
}

/// How many threads can read at once if a process may have so many open files; `None` is no limit.
fn readers_within(limit: Option<u64>) -> NonZeroUsize {
    let files = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let readers = files.saturating_sub(OTHER_FILES) / FILES_OF_A_READER;
    NonZeroUsize::new(readers).unwrap_or(NonZeroUsize::MIN)
}

fn open_roots<'a>(
    sources: &Sources<'a>,
    excludes: &[Option<Arc<Exclude>>],
    errors: &mut Vec<ScanError>,
) -> Vec<WalkRoot<'a>> {
    let mut roots = Vec::new();
    if let Some(store) = &sources.store {
        match open_store(store) {
            Ok(root) => roots.push(root),
            Err(error) => errors.push(error),
        }
    }
    for (index, (plan, exclude)) in sources.trees.iter().zip(excludes).enumerate() {
        if plan.kind != Some(TreeKind::Folder) {
            // Its directories are added later.
            let (policy, path) = (Policy::Tree(plan), plan.source.clone());
            roots.push(WalkRoot { policy, path, fd: None, listing: Listing::default(), exclude: None });
            continue;
        }
        let root = open_folder(&plan.source, &SourceRef::Tree(index)).and_then(|fd| {
            let listing = Listing::read(fd.as_fd()).map_err(|error| unlisted(error, &plan.source))?;
            Ok(WalkRoot {
                policy: Policy::Tree(plan),
                path: plan.source.clone(),
                fd: Some(Arc::new(fd)),
                listing,
                exclude: exclude.clone(),
            })
        });
        match root {
            Ok(root) => roots.push(root),
            Err(error) => errors.push(error),
        }
    }
    roots
}

fn open_store<'a>(store: &sources::StoreSource) -> Result<WalkRoot<'a>, ScanError> {
    let listing = list_store_paths(store)?;
    let fd = match listing.len() {
        0 => None,
        _ => Some(Arc::new(open_folder(&store.source_dir, &SourceRef::Closure)?)),
    };
    Ok(WalkRoot { policy: Policy::Store, path: store.source_dir.clone(), fd, listing, exclude: None })
}

fn list_store_paths(store: &StoreSource) -> Result<Listing, ScanError> {
    let mut names = store.base_names.clone();
    names.sort();
    names.dedup();
    for name in &names {
        image_tree::Name::new(name).map_err(|reason| ScanError::BadStoreName { reason })?;
    }
    Listing::of_names(&names).map_err(|error| unlisted(error, &store.source_dir))
}

/// Opens the folder of a source. A symlink to a folder is followed.
fn open_folder(path: &Path, source_ref: &SourceRef<'_>) -> Result<OwnedFd, ScanError> {
    let (source, shown) = (source_ref.id(), shown(path));
    let open = || rustix::fs::open(path, FOLLOWED_DIRECTORY, Mode::empty());
    rustix::io::retry_on_intr(open).map_err(|errno| match errno {
        Errno::NOENT => ScanError::NoSource { source, path: shown },
        Errno::NOTDIR => ScanError::NotAFolder { source, path: shown },
        Errno::MFILE | Errno::NFILE => ScanError::TooManyOpen { path: shown },
        other => ScanError::unreadable(shown, other),
    })
}

fn unlisted(error: ListError, path: &Path) -> ScanError {
    crate::inspect::Problem::List(error).into_error(shown(path))
}

/// The origins of the store and the trees.
fn origins(sources: &Sources<'_>, roots: &[WalkRoot<'_>]) -> Vec<Origin> {
    let stores = sources.store.iter().map(|store| (&store.source_dir, &store.store_dir));
    let trees = sources.trees.iter().map(|tree| (&tree.source, &tree.target));
    let origin = |((source, target), root): ((&PathBuf, &ImagePath), &WalkRoot<'_>)| Origin {
        source: source.clone(),
        target: target.clone(),
        folder: root.fd.clone(),
        container: None,
    };
    stores.chain(trees).zip(roots).map(origin).collect()
}

/// Examines the files of entries.
fn stat_entry_files(sources: &Sources<'_>, errors: &mut Vec<ScanError>) -> EntryFiles {
    let mut all = EntryFiles::default();
    for (index, (target, entry)) in sources.entries.iter().enumerate() {
        let EntryKind::Source(source) = &entry.kind else { continue };
        match stat_entry_file((source, entry.keep_holes), &SourceRef::Entry(target)) {
            Ok((file, stat)) => {
                let data = file.runs.as_ref().map_or(file.size, |runs| holes::stored_bytes(runs));
                let more = all.room.add(data, &stat);
                all.inflated.extend(more.map(|more| (more, source.clone())));
                all.files.insert(index, file);
            }
            Err(error) => errors.push(error),
        }
    }
    all
}

impl EntryFiles {
    /// Sets the origins: first the given ones, then those of entries.
    fn set_origins(&mut self, others: &[Origin], sources: &Sources<'_>) {
        self.origins = others.to_vec();
        for (index, (target, entry)) in sources.entries.iter().enumerate() {
            let (EntryKind::Source(source), Some(file)) = (&entry.kind, self.files.get_mut(&index)) else {
                continue;
            };
            file.origin = self.origins.len();
            let (source, target) = (source.clone(), target.clone());
            self.origins.push(Origin { source, target, folder: None, container: None });
        }
    }
}

fn stat_entry_file(
    (source, keep_holes): (&Path, bool),
    source_ref: &SourceRef<'_>,
) -> Result<(EntryFile, Stat), ScanError> {
    let (id, path) = (source_ref.id(), shown(source));
    let has_wrong_length =
        |stat: &rustix::fs::Stat| stat.st_size == 0 && inspect::has_contents(rustix::fs::CWD, source);
    let stat = match rustix::fs::stat(source) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            if has_wrong_length(&stat) {
                return Err(ScanError::EmptyWithBytes { path });
            }
            stat
        }
        Ok(_) => return Err(ScanError::NotAFile { source: id, path }),
        Err(Errno::NOENT) => return Err(ScanError::NoSource { source: id, path }),
        Err(errno) => return Err(ScanError::unreadable(path, errno)),
    };
    if !inspect::is_readable(rustix::fs::CWD, source, &stat) {
        return Err(ScanError::unreadable(path, Errno::ACCESS));
    }
    let runs = if keep_holes {
        holes::of_entry(rustix::fs::CWD, source, &stat, FOLLOWED_FILE)
            .map_err(|errno| ScanError::unreadable(path.clone(), errno))?
    } else {
        None
    };
    let file = EntryFile {
        origin: 0,
        size: u64::try_from(stat.st_size).map_err(|_| ScanError::Changed { path })?,
        stamp: stamp(&stat),
        permissions: Permissions::from_mode(mode_bits(&stat)).without_set_id(),
        runs,
    };
    Ok((file, stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that reads has up to 52 open files, and the sources have 32.
    #[test]
    fn readers_have_all_the_files_that_they_need() {
        for (limit, readers) in [
            (Some(0), 1),
            (Some(32 + 52), 1),
            (Some(32 + 2 * 52 - 1), 1),
            (Some(32 + 2 * 52), 2),
            (Some(1024), 19),
            (Some(1 << 20), 20_164),
        ] {
            assert_eq!(readers_within(limit).get(), readers, "{limit:?}");
        }
        assert!(readers_within(None).get() > 1 << 40);
    }
}
