//! Extracts files of an image into one folder of this machine.
//!
//! No image can make it write elsewhere or read existing files. Every directory except the given one is created and kept
//! open. Names have no slashes. Existing files are never opened, and symlinks are created but never followed. A hard link is
//! created only to the same file that was extracted under the first name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use image_tree::{Explain, Explanation, escaped, io_reason, to_u64};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::file_system::Piece;
use crate::{FileSystem, Found, Kind, Node, ReadError, Time, Visits};

/// Maximum depth of directories; each one uses a file descriptor.
const MAX_DEPTH: usize = 500;

/// What to extract besides contents, permissions and times.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractOptions {
    /// Owners, and the set-user-ID and set-group-ID bits.
    pub owners: bool,
    /// Device nodes.
    pub devices: bool,
}

/// The result of an extraction.
#[derive(Debug, Default)]
pub struct Extracted {
    /// Number of regular files.
    pub files: u64,
    /// Number of directories.
    pub directories: u64,
    /// Number of symlinks.
    pub symlinks: u64,
    /// Number of other files.
    pub others: u64,
    /// Length of all regular files in \[bytes\].
    pub bytes: u64,
    /// Number of devices and sockets that were skipped.
    pub left_out: u64,
    /// Read errors, each with the path.
    pub unread: Vec<Explanation>,
    /// Write errors, each with the path.
    pub unwritten: Vec<Explanation>,
}

/// Maximum number of errors of a kind in the result.
const MAX_PROBLEMS: usize = 1000;
/// Limit of written bytes, as a multiple of the image's length. Files share blocks only in images of Android
/// (`shared_blocks`) and in images that are made to fill a disk.
const COPIES: u64 = 8;
/// Minimum of the limit of written bytes.
const MIN_WRITTEN: u64 = 64 << 20;

/// The path of an extracted file, relative to the folder.
#[derive(Debug)]
struct RelativePath {
    parent: Option<Rc<RelativePath>>,
    name: Vec<u8>,
}

impl RelativePath {
    fn below(parent: Option<&Rc<Self>>, name: &[u8]) -> Rc<Self> {
        Rc::new(Self { parent: parent.map(Rc::clone), name: name.to_vec() })
    }

    /// The names in the path, outermost first.
    fn names(&self) -> Vec<&[u8]> {
        let mut names: Vec<_> = std::iter::successors(Some(self), |path| path.parent.as_deref())
            .map(|path| path.name.as_slice())
            .collect();
        names.reverse();
        names
    }
}

/// The identity of a file on this machine: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(stat: &rustix::fs::Stat) -> Self {
        Self(stat.st_dev, stat.st_ino)
    }
}

struct Extraction<'a> {
    fs: &'a FileSystem,
    options: ExtractOptions,
    root: BorrowedFd<'a>,
    done: Extracted,
    /// By inode: path and identity of the extracted file, for files with several names.
    first_names: BTreeMap<u32, (Rc<RelativePath>, Identity)>,
    visits: Visits,
    /// \[Bytes\] of contents that may still be written.
    left: u64,
    /// Whether extraction stops, because reading anything else would fail.
    is_stopped: bool,
}

/// Extracts a file or directory into a folder; of the root directory, its entries.
///
/// The folder is created if it does not exist. Existing files are never replaced.
pub fn extract(
    fs: &FileSystem,
    found: &Found,
    folder: &Path,
    options: ExtractOptions,
) -> io::Result<Extracted> {
    match rustix::fs::mkdir(folder, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, folder, flags, Mode::empty())?;
    let mut work = Extraction {
        fs,
        options,
        root: root.as_fd(),
        done: Extracted::default(),
        first_names: BTreeMap::new(),
        visits: fs.visits(),
        left: fs.window().length().saturating_mul(COPIES).max(MIN_WRITTEN),
        is_stopped: false,
    };
    let noted = if found.node.is_directory() { work.visits.enter(&found.node) } else { Ok(()) };
    match (noted, found.path.rsplit(|&byte| byte == b'/').next()) {
        (Err(error), _) => work.unread(None, &error),
        (Ok(()), Some(name)) if !name.is_empty() => {
            work.entry(root.as_fd(), &RelativePath::below(None, name), &found.node, 0);
        }
        (Ok(()), _) => work.directory(root.as_fd(), &found.node, None, 0),
    }
    Ok(work.done)
}

impl Extraction<'_> {
    fn unread(&mut self, path: Option<&RelativePath>, error: &ReadError) {
        if self.is_stopped {
            return;
        }
        self.is_stopped = error.ends_all();
        if self.done.unread.len() < MAX_PROBLEMS || self.is_stopped {
            self.done.unread.push(error.explain().within(&format!("/{}", shown_path(path))));
        }
    }

    fn unwritten(&mut self, path: &RelativePath, error: &io::Error) {
        if self.done.unwritten.len() < MAX_PROBLEMS {
            let path = shown_path(Some(path));
            self.done.unwritten.push(if error.kind() == io::ErrorKind::AlreadyExists {
                Explanation::new(path, "already exists", "choose an empty folder")
            } else {
                Explanation::new(path, format!("can't be written: {}", io_reason(error)), "")
            });
        }
    }

    /// Extracts the entries of a directory into an open one. Subdirectories come last, so that the list of entries is small
    /// during the recursion.
    fn directory(
        &mut self,
        into: BorrowedFd<'_>,
        node: &Node,
        path: Option<&Rc<RelativePath>>,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            let error =
                ReadError::unsupported("the directory", "is nested too deeply", "extract it by its own path");
            return self.unread(path.map(Rc::as_ref), &error);
        }
        let entries = match self.visits.read(self.fs, node) {
            Ok((entries, errors)) => {
                for error in &errors {
                    self.unread(path.map(Rc::as_ref), error);
                }
                entries
            }
            Err(error) => return self.unread(path.map(Rc::as_ref), &error),
        };
        let mut directories = Vec::new();
        for entry in entries {
            if self.is_stopped {
                return;
            }
            let below = RelativePath::below(path, &entry.name);
            match self.fs.node(&entry) {
                Ok(node) if node.is_directory() => match self.visits.enter(&node) {
                    Ok(()) => directories.push((below, node)),
                    Err(error) => self.unread(Some(&below), &error),
                },
                Ok(node) => self.entry(into, &below, &node, depth),
                Err(error) => self.unread(Some(&below), &error),
            }
        }
        for (below, node) in directories {
            if self.is_stopped {
                return;
            }
            self.entry(into, &below, &node, depth);
        }
    }

    fn entry(&mut self, into: BorrowedFd<'_>, path: &Rc<RelativePath>, node: &Node, depth: usize) {
        let name = OsStr::from_bytes(&path.name);
        let shared = node.inode.filter(|_| node.links > 1 && !node.is_directory());
        if let Some((first, identity)) = shared.and_then(|inode| self.first_names.get(&inode)) {
            // If the system can't create a hard link, the file is copied.
            if self.link(first, *identity, into, name).is_ok() {
                return;
            }
        }
        let written = match node.kind {
            Kind::Directory => self.make_directory(into, path, node, depth),
            Kind::File => self.file(into, name, node, path),
            Kind::Symlink => self.symlink(into, name, node, path),
            Kind::Socket => {
                self.leave_out();
                Ok(None)
            }
            Kind::Character(..) | Kind::Block(..) if !self.options.devices => {
                self.leave_out();
                Ok(None)
            }
            Kind::Fifo | Kind::Character(..) | Kind::Block(..) => self.special(into, name, node),
        };
        match written {
            Ok(made) => {
                if let (Some(inode), Some(made)) = (shared, made) {
                    self.first_names.insert(inode, (Rc::clone(path), made));
                }
            }
            Err(error) => self.unwritten(path, &error),
        }
    }

    fn leave_out(&mut self) {
        self.done.left_out = self.done.left_out.saturating_add(1);
    }

    /// Creates a hard link to an extracted file. The path of its first name is opened again from the folder, through
    /// directories only, and the linked file must be the extracted one: another program may have replaced it.
    fn link(
        &self,
        first: &RelativePath,
        made: Identity,
        into: BorrowedFd<'_>,
        name: &OsStr,
    ) -> io::Result<()> {
        let names = first.names();
        let Some((last, folders)) = names.split_last() else { return Err(io::ErrorKind::NotFound.into()) };
        let mut open: Option<OwnedFd> = None;
        for folder in folders {
            let above = open.as_ref().map_or(self.root, AsFd::as_fd);
            open = Some(open_directory(above, OsStr::from_bytes(folder), OFlags::PATH)?);
        }
        let folder = open.as_ref().map_or(self.root, AsFd::as_fd);
        rustix::fs::linkat(folder, OsStr::from_bytes(last), into, name, AtFlags::empty())?;
        if identity(into, name)? == made {
            return Ok(());
        }
        rustix::fs::unlinkat(into, name, AtFlags::empty())?;
        Err(io::ErrorKind::NotFound.into())
    }

    fn make_directory(
        &mut self,
        into: BorrowedFd<'_>,
        path: &Rc<RelativePath>,
        node: &Node,
        depth: usize,
    ) -> io::Result<Option<Identity>> {
        let name = OsStr::from_bytes(&path.name);
        // Accessible only to the owner until it is complete.
        rustix::fs::mkdirat(into, name, Mode::RWXU)?;
        let made = open_directory(into, name, OFlags::RDONLY)?;
        self.done.directories = self.done.directories.saturating_add(1);
        self.directory(made.as_fd(), node, Some(path), depth.saturating_add(1));
        self.finish(&made, node)?;
        Ok(None)
    }

    fn file(
        &mut self,
        into: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
        path: &RelativePath,
    ) -> io::Result<Option<Identity>> {
        // A file is new with these flags, and a symlink of its name is not followed.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(into, name, flags, Mode::RUSR | Mode::WUSR)?);
        let written = match self.contents(&file, node) {
            Ok(written) => written.map(|()| true),
            Err(error) => {
                self.unread(Some(path), &error);
                Ok(false)
            }
        };
        if !matches!(written, Ok(true)) {
            // An incomplete file would look like a complete one.
            rustix::fs::unlinkat(into, name, AtFlags::empty())?;
            return written.map(|_| None);
        }
        self.done.files = self.done.files.saturating_add(1);
        self.done.bytes = self.done.bytes.saturating_add(node.size);
        let made = OwnedFd::from(file);
        self.finish(&made, node)?;
        Ok(Some(Identity::of(&rustix::fs::fstat(&made)?)))
    }

    fn contents(&mut self, file: &File, node: &Node) -> Result<io::Result<()>, ReadError> {
        if let Err(error) = file.set_len(node.size) {
            return Ok(Err(error));
        }
        let mut left = Some(self.left);
        let written = self.fs.each_piece(node, |piece| match piece {
            Piece::Data(at, data) => {
                left = left.and_then(|left| left.checked_sub(to_u64(data.len())));
                if left.is_some() {
                    file.write_all_at(data, at)
                } else {
                    Err(io::ErrorKind::QuotaExceeded.into())
                }
            }
            Piece::Hole(_) => Ok(()),
        })?;
        self.left = left.unwrap_or(0);
        if left.is_none() {
            let what = "the files are far larger than the image";
            return Err(ReadError::too_much("contents", what, "extract single ones by their paths"));
        }
        Ok(written)
    }

    fn symlink(
        &mut self,
        into: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
        path: &RelativePath,
    ) -> io::Result<Option<Identity>> {
        let target = match self.fs.link_target(node) {
            Ok(target) if !target.contains(&0) => target,
            Ok(_) => {
                let error = ReadError::damaged("the link", "has a target with a NUL byte");
                self.unread(Some(path), &error);
                return Ok(None);
            }
            Err(error) => {
                self.unread(Some(path), &error);
                return Ok(None);
            }
        };
        rustix::fs::symlinkat(OsStr::from_bytes(&target), into, name)?;
        self.done.symlinks = self.done.symlinks.saturating_add(1);
        self.own(into, name, node)?;
        rustix::fs::utimensat(into, name, &times(node.modified), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Some(identity(into, name)?))
    }

    fn special(&mut self, into: BorrowedFd<'_>, name: &OsStr, node: &Node) -> io::Result<Option<Identity>> {
        let (kind, device) = match node.kind {
            Kind::Character(major, minor) => (FileType::CharacterDevice, rustix::fs::makedev(major, minor)),
            Kind::Block(major, minor) => (FileType::BlockDevice, rustix::fs::makedev(major, minor)),
            _ => (FileType::Fifo, 0),
        };
        // The umask may reduce the mode. Setting the mode by name could follow a symlink that replaced the file meanwhile.
        rustix::fs::mknodat(into, name, kind, self.mode(node), device)?;
        self.done.others = self.done.others.saturating_add(1);
        self.own(into, name, node)?;
        rustix::fs::utimensat(into, name, &times(node.modified), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Some(identity(into, name)?))
    }

    fn own(&self, into: BorrowedFd<'_>, name: &OsStr, node: &Node) -> io::Result<()> {
        if self.options.owners {
            let (uid, gid) = owner(node);
            rustix::fs::chownat(into, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// Sets owner, mode and time, in this order, because a change of owner clears bits of the mode.
    fn finish(&self, made: &OwnedFd, node: &Node) -> io::Result<()> {
        if self.options.owners {
            let (uid, gid) = owner(node);
            rustix::fs::fchown(made, uid, gid)?;
        }
        rustix::fs::fchmod(made, self.mode(node))?;
        Ok(rustix::fs::futimens(made, &times(node.modified))?)
    }

    /// The mode to set. Without owners, set-user-ID programs would run as the user who extracts them.
    fn mode(&self, node: &Node) -> Mode {
        let mask = if self.options.owners { 0o7777 } else { 0o1777 };
        Mode::from_raw_mode(u32::from(node.mode & mask))
    }
}

/// Opens a directory, but not through a symlink.
fn open_directory(above: BorrowedFd<'_>, name: &OsStr, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(above, name, flags, Mode::empty())?)
}

/// The identity of the file with this name, without following symlinks.
fn identity(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Identity> {
    Ok(Identity::of(&rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// A path for messages, shortened at the start if it is very long.
fn shown_path(path: Option<&RelativePath>) -> String {
    const MAX_SHOWN: usize = 4096;
    let path = path.map(|path| path.names().join(&b'/')).unwrap_or_default();
    let from = path.len().saturating_sub(MAX_SHOWN);
    escaped(&path[from..]).to_string()
}

/// Owner and group; `None` for the number that means "unchanged" in `chown`.
fn owner(node: &Node) -> (Option<Uid>, Option<Gid>) {
    let given = |id: u32| Some(id).filter(|id| *id != u32::MAX);
    (given(node.uid).map(Uid::from_raw), given(node.gid).map(Gid::from_raw))
}

fn times(modified: Time) -> Timestamps {
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests;
