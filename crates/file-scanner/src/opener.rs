//! Opens the scanned files again, from many threads. A file is opened by its name relative to its directory, and directories
//! relative to each other, so a file needs one system call. No symlink is followed below a source, even if files were replaced
//! since the scan.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use image_tree::{FileSource, FileStamp, FileTree, NodeId, NodeKind, OriginId, escaped, shown};
use rustix::fs::{FileType, Mode};
use rustix::io::{Errno, retry_on_intr};

use crate::contained::{self, ContainedFile};
use crate::error::{reason, remedy};
use crate::flags::{BELOW, FILE, FOLLOWED_FILE, FOLLOWED_STEP, STEP};
use crate::owners;
use crate::source_error::SourceError;

/// Opens the files of a tree. Shared by all threads, each with its own [`Cursor`].
#[derive(Debug)]
pub struct Opener<'t> {
    tree: &'t FileTree,
    /// One for each origin, opened with its first file.
    roots: Vec<OnceLock<Root>>,
    /// Whether directories are opened level by level, because `openat2(2)` is not available.
    no_openat2: AtomicBool,
}

#[derive(Debug)]
enum Root {
    /// The origin is the file itself.
    File,
    /// A folder, and the directory of the tree with its entries.
    Folder { fd: Arc<OwnedFd>, top: NodeId },
}

/// Opens files, fastest in the order of the tree: it keeps the last directories open, each below the previous one.
#[derive(Debug)]
pub struct Cursor<'o, 't> {
    opener: &'o Opener<'t>,
    origin: Option<OriginId>,
    held: Vec<(NodeId, OwnedFd)>,
}

/// The bytes of a file.
#[derive(Debug)]
pub enum OpenFile<'t> {
    /// An open file. Call [`check_unchanged`] to find out whether it is the one that was scanned.
    Fd(OwnedFd),
    /// Bytes in the tree.
    Inline(&'t [u8]),
    /// A file in an archive. Call [`check_unchanged`] with [`ContainedFile::file`].
    Contained(ContainedFile<'t>),
}

/// Maximum number of open directories of a cursor.
pub(crate) const HELD: usize = 32;

/// Maximum number of levels without an open directory.
const LEAP: usize = 8;

/// Maximum length of a path in a system call, in \[bytes\]: less than `PATH_MAX` of Linux, 4096 with the NUL.
const MAX_PATH: usize = 4000;

impl<'t> Opener<'t> {
    /// Creates an opener without opening anything.
    #[must_use]
    pub fn new(tree: &'t FileTree) -> Self {
        let roots = tree.origins().iter().map(|_| OnceLock::new()).collect();
        Self { tree, roots, no_openat2: AtomicBool::new(owners::pseudo_is_loaded()) }
    }

    /// Creates a cursor for a thread.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_, 't> {
        Cursor { opener: self, origin: None, held: Vec::new() }
    }

    fn root(&self, origin: OriginId, node: NodeId) -> Result<&Root, Errno> {
        let Some(slot) = self.roots.get(origin.index()) else { return Err(Errno::NOENT) };
        if let Some(root) = slot.get() {
            return Ok(root);
        }
        let origin = self.tree.origin(origin);
        // The nodes from this one up to the root of the image, without the root.
        let mut chain = Vec::new();
        let mut at = node;
        while at != NodeId::ROOT {
            chain.push(at);
            at = self.tree.node(at).parent();
        }
        let depth = origin.target.parts().count();
        let root = if depth == chain.len() {
            Root::File
        } else {
            let top =
                depth.checked_sub(1).map_or(Some(NodeId::ROOT), |last| chain.iter().rev().nth(last).copied());
            let fd = match &origin.folder {
                // The path can lead elsewhere by now.
                Some(folder) => Arc::clone(folder),
                None => Arc::new(retry_on_intr(|| {
                    rustix::fs::open(&origin.source, FOLLOWED_STEP, Mode::empty())
                })?),
            };
            Root::Folder { fd, top: top.ok_or(Errno::NOENT)? }
        };
        Ok(slot.get_or_init(|| root))
    }

    /// Opens a directory several levels below another.
    fn descend(&self, from: BorrowedFd<'_>, names: &[&[u8]]) -> Result<OwnedFd, Errno> {
        let mut held: Option<OwnedFd> = None;
        let mut rest = names;
        loop {
            let (taken, path) = path_of(rest);
            let (now, later) = rest.split_at(taken);
            let base = held.as_ref().map_or(from, AsFd::as_fd);
            let next = self.leap(base, &path, now)?;
            if later.is_empty() {
                return Ok(next);
            }
            held = Some(next);
            rest = later;
        }
    }

    /// Opens a directory in one call, if the kernel can guarantee not to follow symlinks on the way.
    fn leap(&self, from: BorrowedFd<'_>, path: &[u8], names: &[&[u8]]) -> Result<OwnedFd, Errno> {
        if names.len() > 1 && !self.no_openat2.load(Ordering::Relaxed) {
            match retry_on_intr(|| rustix::fs::openat2(from, path, STEP, Mode::empty(), BELOW)) {
                // An old kernel, or a sandbox that blocks unknown system calls.
                Err(Errno::NOSYS | Errno::PERM) => self.no_openat2.store(true, Ordering::Relaxed),
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        let mut held: Option<OwnedFd> = None;
        for name in names {
            let base = held.as_ref().map_or(from, AsFd::as_fd);
            let next = retry_on_intr(|| rustix::fs::openat(base, *name, STEP, Mode::empty()))?;
            held = Some(next);
        }
        held.ok_or(Errno::NOENT)
    }
}

/// The path of the first names, as many as a system call takes, and their number.
fn path_of(names: &[&[u8]]) -> (usize, Vec<u8>) {
    let mut path = Vec::new();
    let mut taken = 0;
    for name in names {
        if path.len() + name.len() >= MAX_PATH {
            break;
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        taken += 1;
    }
    (taken, path)
}

impl<'t> Cursor<'_, 't> {
    /// Opens a file for reading, or returns its bytes from the tree. A hard link opens its target.
    pub fn open(&mut self, node: NodeId) -> Result<OpenFile<'t>, SourceError> {
        let tree = self.opener.tree;
        let node = tree.resolve(node);
        let origin = match tree.node(node).kind() {
            NodeKind::File { source: FileSource::Inline(index), .. } => {
                return Ok(OpenFile::Inline(tree.inline(index)));
            }
            NodeKind::File { source: FileSource::Slot(_), .. } => return Ok(OpenFile::Inline(&[])),
            NodeKind::File { source: FileSource::Scanned { origin, .. }, .. } => origin,
            _ if let Some(file) = ContainedFile::of(tree, node) => return Ok(OpenFile::Contained(file)),
            _ => return Err(SourceError::NotAFile { path: tree.path(node).to_string() }),
        };
        let fd = self.open_scanned(origin, node).map_err(|errno| refused(tree, node, errno))?;
        Ok(OpenFile::Fd(fd))
    }

    fn open_scanned(&mut self, origin: OriginId, node: NodeId) -> Result<OwnedFd, Errno> {
        let opener = self.opener;
        match opener.root(origin, node)? {
            Root::File => {
                let source = &opener.tree.origin(origin).source;
                retry_on_intr(|| rustix::fs::open(source, FOLLOWED_FILE, Mode::empty()))
            }
            Root::Folder { fd, top } => {
                let parent = opener.tree.node(node).parent();
                let directory = self.directory(origin, fd.as_fd(), *top, parent)?;
                let name = opener.tree.name(node);
                retry_on_intr(|| rustix::fs::openat(directory, name, FILE, Mode::empty()))
            }
        }
    }

    /// Opens a directory from the deepest open one above it.
    fn directory<'s>(
        &'s mut self,
        origin: OriginId,
        root: BorrowedFd<'s>,
        top: NodeId,
        wanted: NodeId,
    ) -> Result<BorrowedFd<'s>, Errno> {
        let tree = self.opener.tree;
        if self.origin != Some(origin) {
            self.held.clear();
            self.origin = Some(origin);
        }
        // Everything below a directory follows it in the tree, up to its end.
        while self.held.last().is_some_and(|held| wanted < held.0 || wanted >= tree.end(held.0)) {
            self.held.pop();
        }
        let base = self.held.last().map_or(top, |held| held.0);
        let mut way = Vec::new();
        let mut at = wanted;
        while at != base {
            if at == NodeId::ROOT {
                return Err(Errno::NOENT);
            }
            way.push(at);
            at = tree.node(at).parent();
        }
        way.reverse();
        let mut way = way.as_slice();
        while !way.is_empty() {
            // In deep directories, the next file can be a few levels higher. To keep a close directory open for it, the cursor
            // also opens the directory half way, then half way of the rest, and so on.
            let leap = if way.len() > LEAP { way.len().div_ceil(2) } else { way.len() };
            let (now, later) = way.split_at(leap);
            let from = self.held.last().map_or(root, |held| held.1.as_fd());
            let names: Vec<&[u8]> = now.iter().map(|&node| tree.name(node)).collect();
            let fd = self.opener.descend(from, &names)?;
            if self.held.len() >= HELD {
                self.held.remove(0);
            }
            self.held.extend(now.last().map(|&node| (node, fd)));
            way = later;
        }
        Ok(self.held.last().map_or(root, |held| held.1.as_fd()))
    }
}

/// Checks that an open file is still the regular file that was scanned, by its length and its modification time. Call it after
/// the last byte was read.
pub fn check_unchanged(tree: &FileTree, node: NodeId, fd: BorrowedFd<'_>) -> Result<(), SourceError> {
    let node = tree.resolve(node);
    let (size, stamp) = match tree.node(node).kind() {
        NodeKind::File { source: FileSource::Inline(_) | FileSource::Slot(_), .. } => return Ok(()),
        NodeKind::File { size, source: FileSource::Scanned { stamp, .. } } => (size, stamp),
        _ => return check_container(tree, node),
    };
    let stat = rustix::fs::fstat(fd).map_err(|errno| refused(tree, node, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SourceError::Replaced { path: host_path(tree, node) });
    }
    let now: FileStamp = crate::found::stamp(&stat);
    if u64::try_from(stat.st_size) != Ok(size) || now != stamp {
        return Err(SourceError::Changed { path: host_path(tree, node) });
    }
    Ok(())
}

fn check_container(tree: &FileTree, node: NodeId) -> Result<(), SourceError> {
    let Some(container) = contained::container(tree, node) else {
        return Err(SourceError::NotAFile { path: tree.path(node).to_string() });
    };
    match contained::is_unchanged(container) {
        Ok(true) => Ok(()),
        Ok(false) => Err(SourceError::Changed { path: host_path(tree, node) }),
        Err(error) => Err(SourceError::Unreadable {
            path: host_path(tree, node),
            reason: image_tree::io_reason(&error),
            remedy: remedy(Errno::IO),
        }),
    }
}

/// The name of a file in messages: its path on this machine; in an archive, that of the archive and the path in the image.
pub(crate) fn host_path(tree: &FileTree, node: NodeId) -> String {
    let path = || escaped(tree.path(node).as_bytes()).to_string();
    match tree.node(node).kind() {
        NodeKind::File {
            source: FileSource::Range { origin, .. } | FileSource::Segments { origin, .. },
            ..
        } => {
            format!("{}: {}", shown(&tree.origin(origin).source), path())
        }
        _ => tree.source_path(node).map_or_else(path, |path| shown(&path)),
    }
}

fn refused(tree: &FileTree, node: NodeId, errno: Errno) -> SourceError {
    let path = host_path(tree, node);
    match errno {
        Errno::NOENT | Errno::STALE => SourceError::Vanished { path },
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::NXIO | Errno::ISDIR => {
            SourceError::Replaced { path }
        }
        Errno::MFILE | Errno::NFILE => SourceError::TooManyOpen { path },
        other => SourceError::Unreadable { path, reason: reason(other), remedy: remedy(other) },
    }
}

#[cfg(test)]
mod tests;
