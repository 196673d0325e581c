//! Walks directories in parallel. Each is a task on the heap, so deep directories need no deep stack.
//!
//! A task never waits, and keeps the descriptor of its parent only until it has opened its own. Threads take the newest task
//! first (depth first), so few descriptors are open at a time.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image_tree::{Inode, OwnFile, Xattr, shown};
use reader_threads::Member;
use rustix::fs::Mode;
use rustix::io::Errno;
use snugfs_plan::TreePlan;

use crate::error::{ScanError, reason, remedy};
use crate::errors::Located;
use crate::exclude::{self, Exclude};
use crate::flags::{DIRECTORY, ITSELF};
use crate::found::{BATCH, DirectoryId, Found, FoundDirectory, HostMetadata, Kind, Part};
use crate::host_xattrs::{self, XattrError};
use crate::inspect::{self, Problem};
use crate::listing::{ListError, Listing};
use crate::mounts::{self, Mount, MountPoints};
use crate::own;
use crate::scan::ScanOptions;
use crate::tasks::Tasks;

/// How the entries of a source are treated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Policy<'a> {
    /// Canonical metadata; only files, directories and symlinks.
    Store,
    /// As the plan of the tree says.
    Tree(&'a TreePlan),
}

/// A source that is open and listed.
#[derive(Debug)]
pub(crate) struct WalkRoot<'a> {
    pub(crate) policy: Policy<'a>,
    pub(crate) path: PathBuf,
    /// `None` if there is nothing to read, as in a store without store paths.
    pub(crate) fd: Option<Arc<OwnedFd>>,
    pub(crate) listing: Listing,
    pub(crate) exclude: Option<Arc<Exclude>>,
}

/// A directory whose entries are being inspected.
pub(crate) struct OpenDirectory<'a> {
    pub(crate) id: DirectoryId,
    pub(crate) policy: Policy<'a>,
    /// Whether its entries are store paths.
    pub(crate) top_of_store: bool,
    pub(crate) fd: Arc<OwnedFd>,
    pub(crate) listing: Arc<Listing>,
    /// The number of its file system; 0 in a store, where it is not used.
    pub(crate) device: u64,
    /// What is left out, and the directory's path below the source, if anything is.
    pub(crate) exclude: Option<(Arc<Exclude>, Vec<u8>)>,
}

enum Task<'a> {
    /// Look at these entries of a directory.
    Batch(Arc<OpenDirectory<'a>>, usize),
    /// Open and list the directory that an entry is.
    Child(DirectoryId, Arc<OpenDirectory<'a>>, usize),
}

struct Walk<'a> {
    directories: Mutex<Vec<FoundDirectory>>,
    problems: Mutex<Vec<(DirectoryId, Option<usize>, Problem)>>,
    mounts: Mutex<Vec<Mount>>,
    mount_points: MountPoints,
    own: &'a [OwnFile],
    own_found: Mutex<Vec<(DirectoryId, usize)>>,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// Number of entries after which a thread checks whether it waits.
const STEP: usize = 16;

/// Walks all sources. Root `i` is directory `i` of the result.
pub(crate) fn walk(roots: Vec<WalkRoot<'_>>, options: &ScanOptions<'_>) -> Result<Found, Vec<Located>> {
    let ScanOptions { own, progress, .. } = *options;
    let directories = (0..roots.len())
        .filter_map(|index| u32::try_from(index).ok())
        .map(|id| FoundDirectory::new(DirectoryId(id), 0))
        .collect();
    let (problems, mounts, own_found) = (Mutex::default(), Mutex::default(), Mutex::default());
    let trees = roots.iter().filter(|root| matches!(root.policy, Policy::Tree(_)));
    let mount_points = MountPoints::below(trees.map(|root| root.path.as_path()));
    let directories = Mutex::new(directories);
    let walk = Walk { directories, problems, mounts, mount_points, own, own_found, progress };
    let mut sources = Vec::with_capacity(roots.len());
    let mut open = Vec::with_capacity(roots.len());
    for (id, mut root) in (0..).zip(roots) {
        sources.push(root.path);
        let Some(fd) = root.fd else { continue };
        let mut device = 0;
        if let (Policy::Tree(plan), Ok(stat)) = (root.policy, rustix::fs::fstat(&fd)) {
            device = stat.st_dev;
            walk.leave_out(DirectoryId(id), own::inode(&stat), &mut root.listing);
            walk.mounted_files(DirectoryId(id), plan, fd.as_fd(), device, &mut root.listing);
        }
        if let Some(exclude) = &root.exclude {
            exclude.leave_out(b"", fd.as_fd(), &mut root.listing);
        }
        open.push(Arc::new(OpenDirectory {
            device,
            exclude: root.exclude.map(|exclude| (exclude, Vec::new())),
            id: DirectoryId(id),
            policy: root.policy,
            top_of_store: matches!(root.policy, Policy::Store),
            fd,
            listing: Arc::new(root.listing),
        }));
    }
    let mut first = Vec::new();
    open.iter().rev().for_each(|directory| Walk::entries(directory, &mut first));
    let tasks = Tasks::new(first);
    reader_threads::run(options.threads.get(), options.readers.get(), &|member| {
        tasks.work(member, |task, more, member| walk.task(task, more, member));
    });
    let Walk { directories, problems, mounts, own_found, .. } = walk;
    let (mounts, own) = (into_inner(mounts), into_inner(own_found));
    let found = Found { directories: into_inner(directories), sources, mounts, own };
    let mut problems = into_inner(problems);
    if problems.is_empty() {
        return Ok(found);
    }
    let in_mounts = mounts::errors(&found, &mut problems);
    let mut errors: Vec<(usize, PathBuf, ScanError)> = problems
        .drain(..)
        .map(|(id, entry, problem)| {
            let path = found.host_path(id, entry);
            let error = problem.into_error(shown(&path));
            (found.source_of(id), path, error)
        })
        .collect();
    errors.extend(in_mounts);
    errors.sort_by(|a, b| (a.2.kind(), a.0, &a.1).cmp(&(b.2.kind(), b.0, &b.1)));
    Err(errors.into_iter().map(|(source, _, error)| Located { source: Some(source), error }).collect())
}

impl<'a> Walk<'a> {
    /// Does a task and adds those that follow from it, the one to do first last.
    fn task(&self, task: Task<'a>, more: &mut Vec<Task<'a>>, member: &mut Member<'_>) {
        match task {
            Task::Batch(directory, batch) => self.batch(&directory, batch, more, member),
            Task::Child(id, parent, index) => match self.open(id, &parent, index) {
                Ok(Some(directory)) => Self::entries(&Arc::new(directory), more),
                Ok(None) => {}
                Err(problem) => self.problem(parent.id, Some(index), problem),
            },
        }
        member.check();
    }

    /// Deals a directory's entries out.
    fn entries(directory: &Arc<OpenDirectory<'a>>, more: &mut Vec<Task<'a>>) {
        // An empty directory has a batch too: it counts as found.
        let batches = directory.listing.len().div_ceil(BATCH).max(1);
        more.extend((0..batches).rev().map(|batch| Task::Batch(Arc::clone(directory), batch)));
    }

    /// Inspects up to [`BATCH`] entries, and adds a task for each directory among them.
    fn batch(
        &self,
        directory: &Arc<OpenDirectory<'a>>,
        batch: usize,
        more: &mut Vec<Task<'a>>,
        member: &mut Member<'_>,
    ) {
        let begin = batch.saturating_mul(BATCH);
        let end = directory.listing.len().min(begin.saturating_add(BATCH));
        let mut part = Part::default();
        let mut children = Vec::new();
        for index in begin..end {
            match inspect::entry(directory, index, &mut part) {
                Ok(true) => children.push((part.kinds.len().saturating_sub(1), index)),
                Ok(false) => {}
                Err(problem) => {
                    let problem = problem.of_entry(directory.top_of_store);
                    self.problem(directory.id, Some(index), problem);
                }
            }
            if index % STEP == 0 {
                member.check();
            }
        }
        let Some(ids) = self.keep(directory, batch, part, &children) else {
            self.problem(directory.id, None, Problem::TooMany);
            return;
        };
        (self.progress)(u64::try_from(end.saturating_sub(begin)).unwrap_or(0));
        // The newest task is taken first, so the next one is the first directory in the order of the names.
        let child = |(id, (_, index))| Task::Child(DirectoryId(id), Arc::clone(directory), index);
        more.extend(ids.zip(children).rev().map(child));
    }

    /// Stores the result of a batch. Returns the numbers of its directories, which are consecutive.
    fn keep(
        &self,
        directory: &OpenDirectory<'a>,
        batch: usize,
        mut part: Part,
        children: &[(usize, usize)],
    ) -> Option<Range<u32>> {
        let mut all = lock(&self.directories);
        let first = u32::try_from(all.len()).ok()?;
        let last = u32::try_from(all.len().checked_add(children.len())?).ok()?;
        for (id, &(position, index)) in (first..last).zip(children) {
            if let Some(kind) = part.kinds.get_mut(position) {
                *kind = Kind::Directory(DirectoryId(id));
            }
            all.push(FoundDirectory::new(directory.id, u32::try_from(index).ok()?));
        }
        let found = all.get_mut(directory.id.index())?;
        if directory.listing.len() > 0 {
            found.listing.get_or_insert_with(|| Arc::clone(&directory.listing));
        }
        found.parts.resize_with(directory.listing.len().div_ceil(BATCH), Part::default);
        if let Some(slot) = found.parts.get_mut(batch) {
            *slot = part;
        }
        Some(first..last)
    }

    /// Opens and lists a directory of its parent's listing. `None` if its contents are left out.
    fn open(
        &self,
        id: DirectoryId,
        parent: &OpenDirectory<'a>,
        index: usize,
    ) -> Result<Option<OpenDirectory<'a>>, Problem> {
        let name = parent.listing.c_name(index);
        let mut is_mount = false;
        if let Policy::Tree(plan) = parent.policy {
            is_mount = plan.one_file_system != Some(false)
                && self.mount_points.is_mounted(&parent.fd, name, parent.device);
            if is_mount && plan.one_file_system == Some(true) {
                let own = HostMetadata::of(&rustix::fs::statat(&parent.fd, name, ITSELF)?);
                self.own(
                    id,
                    own,
                    host_xattrs::of_entry(&parent.fd, name, plan.xattrs.as_deref().unwrap_or_default())?,
                );
                return Ok(None);
            }
        }
        let fd =
            rustix::io::retry_on_intr(|| rustix::fs::openat(&parent.fd, name, DIRECTORY, Mode::empty()))?;
        let Policy::Tree(plan) = parent.policy else {
            let listing = Arc::new(Listing::read(fd.as_fd())?);
            let fd = Arc::new(fd);
            return Ok(Some(OpenDirectory {
                id,
                policy: parent.policy,
                top_of_store: false,
                fd,
                listing,
                device: 0,
                exclude: None,
            }));
        };
        let stat = rustix::fs::fstat(&fd)?;
        let device = stat.st_dev;
        self.own(
            id,
            HostMetadata::of(&stat),
            host_xattrs::of_descriptor(fd.as_fd(), plan.xattrs.as_deref().unwrap_or_default())?,
        );
        // A subvolume of btrfs is a file system of its own without being mounted.
        if is_mount || device != parent.device {
            match plan.one_file_system {
                Some(true) => return Ok(None),
                Some(false) => {}
                None => lock(&self.mounts).push(Mount { directory: id, entry: None }),
            }
        }
        let mut listing = Listing::read(fd.as_fd())?;
        self.leave_out(id, own::inode(&stat), &mut listing);
        self.mounted_files(id, plan, fd.as_fd(), device, &mut listing);
        let exclude = parent.exclude.as_ref().map(|(exclude, path)| {
            let path = exclude::join(path, name.to_bytes());
            exclude.leave_out(&path, fd.as_fd(), &mut listing);
            (Arc::clone(exclude), path)
        });
        let (fd, listing) = (Arc::new(fd), Arc::new(listing));
        Ok(Some(OpenDirectory {
            id,
            policy: parent.policy,
            top_of_store: false,
            fd,
            listing,
            device,
            exclude,
        }))
    }

    /// Stores the metadata that a tree keeps of a directory.
    fn own(&self, id: DirectoryId, own: HostMetadata, xattrs: Vec<Xattr>) {
        if let Some(found) = lock(&self.directories).get_mut(id.index()) {
            found.own = Some(Box::new((own, xattrs)));
        }
    }

    /// Leaves out files at which something is mounted, or records them, as the plan says.
    fn mounted_files(
        &self,
        id: DirectoryId,
        plan: &TreePlan,
        directory: BorrowedFd<'_>,
        device: u64,
        listing: &mut Listing,
    ) {
        if plan.one_file_system == Some(false) {
            return;
        }
        let mounted = self.mount_points.files_in(directory, listing, device);
        if plan.one_file_system.is_none() {
            let mount = |entry| Mount { directory: id, entry: Some(entry) };
            lock(&self.mounts).extend(mounted.into_iter().map(mount));
        } else if !mounted.is_empty() {
            let names: Vec<Vec<u8>> = mounted.iter().map(|index| listing.name(*index).to_vec()).collect();
            listing.retain(|name| !names.iter().any(|left_out| left_out == name));
        }
    }

    /// Removes output files of the program from the listing of a directory.
    fn leave_out(&self, id: DirectoryId, inode: Inode, listing: &mut Listing) {
        let found = own::leave_out(self.own, inode, listing);
        if !found.is_empty() {
            lock(&self.own_found).extend(found.into_iter().map(|file| (id, file)));
        }
    }

    fn problem(&self, directory: DirectoryId, entry: Option<usize>, problem: Problem) {
        lock(&self.problems).push((directory, entry, problem));
    }
}

impl Problem {
    /// The problem of an entry. One that vanished has changed, but a store path must have been there.
    fn of_entry(self, is_store_path: bool) -> Self {
        match self {
            Self::System(Errno::NOENT) if is_store_path => Self::MissingStorePath,
            other => other,
        }
    }

    pub(crate) fn into_error(self, path: String) -> ScanError {
        match self {
            Self::System(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE) | Self::Changed => {
                ScanError::Changed { path }
            }
            Self::System(Errno::MFILE | Errno::NFILE) => ScanError::TooManyOpen { path },
            Self::System(errno) => ScanError::unreadable(path, errno),
            Self::Forbidden => ScanError::unreadable(path, Errno::ACCESS),
            Self::MissingStorePath => ScanError::MissingStorePath { path },
            Self::SpecialInStore => ScanError::SpecialInStore { path },
            Self::Target(len) => ScanError::SymlinkTarget { path, len },
            Self::DeviceNumber => ScanError::DeviceNumber { path },
            Self::EmptyWithBytes => ScanError::EmptyWithBytes { path },
            Self::TooMany => ScanError::TooMany,
            Self::List(ListError::System(errno)) => Self::System(errno).into_error(path),
            Self::List(ListError::Changed) | Self::Xattr(XattrError::Changing) => ScanError::Changed { path },
            Self::List(ListError::NameTooLong(name)) => {
                ScanError::NameTooLong { path, name: image_tree::escaped(&name).to_string() }
            }
            Self::Xattr(XattrError::NoProc) => ScanError::XattrsWithoutProc { path },
            Self::Xattr(XattrError::List(errno)) => match errno {
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE => ScanError::Changed { path },
                errno => ScanError::UnreadableXattrs { path, reason: reason(errno), remedy: remedy(errno) },
            },
            Self::Xattr(XattrError::Value(name, errno)) => {
                let (name, reason, remedy) = (name.to_string(), reason(errno), remedy(errno));
                ScanError::UnreadableXattr { path, name, reason, remedy }
            }
            Self::Xattr(XattrError::Acl(name, reason)) => {
                ScanError::Acl { path, name: name.to_string(), reason }
            }
            Self::Xattr(XattrError::Invalid(invalid)) => {
                ScanError::Xattr { path, reason: invalid.to_string() }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_store_path_can_be_missing() {
        for (errno, is_store_path, expected) in [
            (Errno::NOENT, true, ScanError::MissingStorePath { path: "/x".to_owned() }),
            (Errno::NOENT, false, ScanError::Changed { path: "/x".to_owned() }),
            (Errno::IO, true, ScanError::unreadable("/x".to_owned(), Errno::IO)),
        ] {
            let error = Problem::System(errno).of_entry(is_store_path).into_error("/x".to_owned());
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn an_empty_directory_needs_no_memory_for_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["empty", "full", "full/inner"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let plan = TreePlan::new(folder.path().to_owned(), image_tree::ImagePath::root());
        let fd = OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
        let listing = Listing::read(fd.as_fd()).unwrap();
        let (policy, path) = (Policy::Tree(&plan), folder.path().to_owned());
        let root = WalkRoot { policy, path, fd: Some(Arc::new(fd)), listing, exclude: None };
        let found = walk(vec![root], &ScanOptions::default()).unwrap();
        let names = |directory: &FoundDirectory| directory.listing.as_ref().map(|listing| listing.len());
        let mut names: Vec<_> = found.directories.iter().map(names).collect();
        names.sort_unstable();
        assert_eq!(names, [None, None, Some(1), Some(2)]);
    }
}
