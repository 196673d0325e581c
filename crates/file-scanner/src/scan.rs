//! Opens all sources, walks them, merges them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use build_plan::EntryKind;
use image_tree::{DataRun, FileStamp, HOLE_GRAIN, ImagePath, Origin, OwnFile, Permissions, shown};
use reader_threads::READERS;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};

use crate::error::ScanError;
use crate::errors::{ScanErrors, shortened};
use crate::found::{Room, mode_bits, stamp};
use crate::listing::{ListError, Listing};
use crate::metadata::{Bearer, bears};
use crate::opener::HELD;
use crate::plan_tree::{PlanTree, Who};
use crate::source_id::SourceId;
use crate::sources::{Scan, Sources, StoreSource};
use crate::walk::{Policy, WalkRoot, walk};
use crate::{flatten, holes, inspect, owners, sources};

/// How many files one thread has open at most while it reads: directories on the way, files ahead, and some more.
const FILES_OF_A_READER: usize = HELD + 16 + 4;

/// How many files are open beside those, for a few sources.
const OTHER_FILES: usize = 32;

/// A regular file that an entry takes its bytes from.
#[derive(Clone, Debug)]
pub(crate) struct EntryFile {
    /// Position among the origins.
    pub(crate) origin: usize,
    pub(crate) size: u64,
    pub(crate) stamp: FileStamp,
    pub(crate) permissions: Permissions,
    /// Where it has data, if it is sparse and stays so.
    pub(crate) runs: Option<Vec<DataRun>>,
}

/// Where everything comes from: the store, the trees, and the files of entries, in this order.
#[derive(Debug, Default)]
pub(crate) struct EntryFiles {
    pub(crate) origins: Vec<Origin>,
    /// By the position of the entry.
    pub(crate) files: BTreeMap<usize, EntryFile>,
    pub(crate) room: Room,
    /// Those that store much more than they take on this machine, and how much more.
    pub(crate) inflated: Vec<(u64, PathBuf)>,
}

/// How the sources are walked. Nothing of it changes the tree.
#[derive(Clone, Copy)]
pub struct ScanOptions<'o> {
    /// How many threads walk. By default as many as the current rayon pool has.
    pub threads: NonZeroUsize,
    /// How many walk while they wait for a disk, if that is more. By default 32; fewer where few files may be open.
    pub readers: NonZeroUsize,
    /// Files that the program itself writes, which are no part of a tree. What is found of them is in [`Scan::own`];
    /// whether that is as it should be is for the caller. Store paths and single entries are not looked at.
    pub own: &'o [OwnFile],
    /// Is told how many entries were found since the last call, from any thread.
    pub progress: &'o (dyn Fn(u64) + Sync),
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        Self {
            threads: NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN),
            readers: NonZeroUsize::new(READERS).unwrap_or(NonZeroUsize::MIN),
            own: &[],
            progress: &|_| {},
        }
    }
}

impl std::fmt::Debug for ScanOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { threads, readers, own, .. } = self;
        f.debug_struct("ScanOptions")
            .field("threads", threads)
            .field("readers", readers)
            .field("own", own)
            .finish_non_exhaustive()
    }
}

/// Finds everything that the sources put into an image, and merges it into one sorted tree.
///
/// The tree is the same for any number of threads. `progress` is told how many entries were found since the last call,
/// from any thread. The soft limit of open files is raised to the hard one.
pub fn scan(sources: &Sources<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<Scan, ScanErrors> {
    scan_with(sources, &ScanOptions { progress, ..ScanOptions::default() })
}

/// The same as [`scan`], with options.
pub fn scan_with(sources: &Sources<'_>, options: &ScanOptions<'_>) -> Result<Scan, ScanErrors> {
    raise_descriptor_limit();
    let mut errors = Vec::new();
    let plan = PlanTree::new(sources, &mut errors);
    refuse_store_modes(sources, &mut errors);
    refuse_unbearable_xattrs(sources, &mut errors);
    refuse_faked_owners(sources, &mut errors);
    let roots = open_roots(sources, &mut errors);
    let folders: Vec<_> = roots.iter().map(|root| root.fd.clone()).collect();
    let files = stat_entry_files(sources, &folders, &mut errors);
    if !errors.is_empty() {
        return Err(ScanErrors::new(errors));
    }
    let place = |source: usize| match source.checked_sub(usize::from(sources.store.is_some())) {
        Some(tree) => SourceId::Tree(tree),
        None => SourceId::Store,
    };
    let shortened = |errors| ScanErrors::new(shortened(errors, place));
    let options =
        ScanOptions { readers: options.readers.max(options.threads).min(most_readers()), ..*options };
    let found = walk(roots, &options).map_err(shortened)?;
    flatten::flatten(sources, &plan, &found, &files).map_err(shortened)
}

/// Owners may be laid over a store, modes not: a NAR hash includes what is executable, and Nix expects the others to be
/// canonical.
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

/// What an entry is decides which extended attributes the kernel will ever give back.
fn refuse_unbearable_xattrs(sources: &Sources<'_>, errors: &mut Vec<ScanError>) {
    for (path, entry) in sources.entries {
        let (bearer, what) = match entry.kind {
            EntryKind::Text(_) | EntryKind::Source(_) => (Bearer::File, "file"),
            EntryKind::Directory => (Bearer::Directory, "directory"),
            EntryKind::Symlink(_) => (Bearer::Symlink, "symlink"),
            EntryKind::Character { .. } | EntryKind::Block { .. } => (Bearer::Special, "device"),
            EntryKind::Fifo => (Bearer::Special, "FIFO"),
        };
        let unbearable = entry.xattrs.iter().filter(|xattr| !bears(bearer, xattr.name.namespace()));
        errors.extend(unbearable.map(|xattr| ScanError::UnbearableXattr {
            path: path.clone(),
            name: xattr.name.to_string(),
            what,
        }));
    }
}

/// Trees, where a library is to show their owners, modes and devices to programs and can't: a device would be an empty file.
fn refuse_faked_owners(sources: &Sources<'_>, errors: &mut Vec<ScanError>) {
    if let Some(library) = owners::library_without_effect() {
        errors.extend((0..sources.trees.len()).map(|tree| ScanError::FakedOwners { tree, library }));
    }
}

/// A directory stays open while its subdirectories wait; nothing is lost where the limit can't be raised.
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
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    let files = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let readers = files.saturating_sub(OTHER_FILES) / FILES_OF_A_READER;
    NonZeroUsize::new(readers).unwrap_or(NonZeroUsize::MIN)
}

fn open_roots<'a>(sources: &Sources<'a>, errors: &mut Vec<ScanError>) -> Vec<WalkRoot<'a>> {
    let mut roots = Vec::new();
    if let Some(store) = &sources.store {
        match open_store(store) {
            Ok(root) => roots.push(root),
            Err(error) => errors.push(error),
        }
    }
    for (index, plan) in sources.trees.iter().enumerate() {
        let root = open_folder(&plan.source, &Who::Tree(index)).and_then(|fd| {
            let listing = Listing::read(fd.as_fd()).map_err(|error| unlisted(error, &plan.source))?;
            Ok(WalkRoot {
                policy: Policy::Tree(plan),
                path: plan.source.clone(),
                fd: Some(Arc::new(fd)),
                listing,
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
        _ => Some(Arc::new(open_folder(&store.source_dir, &Who::Closure)?)),
    };
    Ok(WalkRoot { policy: Policy::Store, path: store.source_dir.clone(), fd, listing })
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

/// Opens a folder that the user names; a symlink to one is as good.
fn open_folder(path: &Path, who: &Who<'_>) -> Result<OwnedFd, ScanError> {
    let (source, shown) = (who.id(), shown(path));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map_err(|errno| match errno {
        Errno::NOENT => ScanError::NoSource { source, path: shown },
        Errno::NOTDIR => ScanError::NotAFolder { source, path: shown },
        Errno::MFILE | Errno::NFILE => ScanError::TooManyOpen { path: shown },
        other => ScanError::unreadable(shown, other),
    })
}

fn unlisted(error: ListError, path: &Path) -> ScanError {
    crate::inspect::Problem::List(error).into_error(shown(path))
}

/// `folders` are the store and the trees, as far as they could be opened; one that could not is an error anyway.
fn stat_entry_files(
    sources: &Sources<'_>,
    folders: &[Option<Arc<OwnedFd>>],
    errors: &mut Vec<ScanError>,
) -> EntryFiles {
    let mut all = EntryFiles::default();
    let stores = sources.store.iter().map(|store| (&store.source_dir, &store.store_dir));
    let trees = sources.trees.iter().map(|tree| (&tree.source, &tree.target));
    for (index, (source, target)) in stores.chain(trees).enumerate() {
        let folder = folders.get(index).cloned().flatten();
        all.origins.push(Origin { source: source.clone(), target: target.clone(), folder });
    }
    for (index, (target, entry)) in sources.entries.iter().enumerate() {
        let EntryKind::Source(source) = &entry.kind else { continue };
        match stat_entry_file((source, entry.keep_holes), all.origins.len(), &Who::Entry(target)) {
            Ok((file, stat)) => {
                let data = file.runs.as_ref().map_or(file.size, |runs| data_bytes(runs));
                let more = all.room.add(data, &stat);
                all.inflated.extend(more.map(|more| (more, source.clone())));
                all.files.insert(index, file);
                all.origins.push(Origin { source: source.clone(), target: target.clone(), folder: None });
            }
            Err(error) => errors.push(error),
        }
    }
    all
}

fn data_bytes(runs: &[DataRun]) -> u64 {
    runs.iter().map(|run| u64::from(run.len) * HOLE_GRAIN).sum()
}

fn stat_entry_file(
    (source, keep_holes): (&Path, bool),
    origin: usize,
    who: &Who<'_>,
) -> Result<(EntryFile, Stat), ScanError> {
    let (id, path) = (who.id(), shown(source));
    let told_empty =
        |stat: &rustix::fs::Stat| stat.st_size == 0 && inspect::has_contents(rustix::fs::CWD, source);
    let stat = match rustix::fs::stat(source) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            if told_empty(&stat) {
                return Err(ScanError::ToldEmpty { path });
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
    let runs = if keep_holes { data_runs(source, &stat) } else { Ok(None) };
    let runs = runs.map_err(|errno| ScanError::unreadable(path.clone(), errno))?;
    let file = EntryFile {
        origin,
        size: u64::try_from(stat.st_size).map_err(|_| ScanError::Changed { path })?,
        stamp: stamp(&stat),
        permissions: Permissions::from_mode(mode_bits(&stat)).without_set_id(),
        runs,
    };
    Ok((file, stat))
}

/// Where a sparse file has data; a symlink to it is followed.
fn data_runs(source: &Path, stat: &Stat) -> Result<Option<Vec<DataRun>>, Errno> {
    let (Ok(size), Ok(blocks)) = (u64::try_from(stat.st_size), u64::try_from(stat.st_blocks)) else {
        return Ok(None);
    };
    if !holes::may_have_holes(size, blocks) {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let fd = rustix::io::retry_on_intr(|| rustix::fs::open(source, flags, Mode::empty()))?;
    holes::of_file(fd.as_fd(), size)
}
