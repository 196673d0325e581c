//! Files of an image onto this machine, below one folder and nowhere else.
//!
//! Every directory but the one that was named is made anew and held open; names are single parts, nothing that exists
//! is opened, and links are made but never followed. A second name of a file is made only for the very file that was
//! extracted under the first one. So no image can lead a write elsewhere, or take in what was there before.

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

/// How many directories deep; each holds a descriptor.
const DEEPEST: usize = 500;

/// What more than contents, permissions and times is taken along.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractOptions {
    /// Owners, and with them the set-user-ID and set-group-ID bits.
    pub owners: bool,
    /// Device nodes.
    pub devices: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Extracted {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Everything else.
    pub others: u64,
    /// \[Bytes\] of regular files.
    pub bytes: u64,
    /// Devices and sockets that were left out.
    pub left_out: u64,
    /// What could not be read, each with its path.
    pub unread: Vec<Explanation>,
    /// What could not be written, each with its path.
    pub unwritten: Vec<Explanation>,
}

/// The most problems of a kind that are kept.
const MOST_PROBLEMS: usize = 1000;
/// How many times the image's own length is written at most: files share blocks in images of Android (`shared_blocks`),
/// and otherwise only in images that are made to fill a disk.
const COPIES: u64 = 8;
/// What may be written of every image, in \[bytes\].
const LEAST_WRITTEN: u64 = 64 << 20;

/// A directory or a file in the folder, by names from there.
#[derive(Debug)]
struct Way {
    above: Option<Rc<Way>>,
    name: Vec<u8>,
}

impl Way {
    fn below(above: Option<&Rc<Self>>, name: &[u8]) -> Rc<Self> {
        Rc::new(Self { above: above.map(Rc::clone), name: name.to_vec() })
    }

    /// Its names, from the folder on.
    fn names(&self) -> Vec<&[u8]> {
        let mut names: Vec<_> = std::iter::successors(Some(self), |way| way.above.as_deref())
            .map(|way| way.name.as_slice())
            .collect();
        names.reverse();
        names
    }
}

/// What a file is known by on this machine: its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(stat: &rustix::fs::Stat) -> Self {
        Self(stat.st_dev, stat.st_ino)
    }
}

struct Work<'a> {
    fs: &'a FileSystem,
    options: ExtractOptions,
    root: BorrowedFd<'a>,
    done: Extracted,
    /// The first names of files with several names, and the files that were made for them.
    first_names: BTreeMap<u32, (Rc<Way>, Identity)>,
    visits: Visits,
    /// How many \[bytes\] of contents may still be written.
    left: u64,
    /// Whether all that is still to be read would fail.
    is_over: bool,
}

/// Writes what was found into a folder: the root's entries, or one entry with all that is in it.
///
/// The folder is made if it does not exist. Nothing that exists in it is replaced.
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
    let mut work = Work {
        fs,
        options,
        root: root.as_fd(),
        done: Extracted::default(),
        first_names: BTreeMap::new(),
        visits: fs.visits(),
        left: fs.window().length().saturating_mul(COPIES).max(LEAST_WRITTEN),
        is_over: false,
    };
    let noted = if found.node.is_directory() { work.visits.enter(&found.node) } else { Ok(()) };
    match (noted, found.path.rsplit(|&byte| byte == b'/').next()) {
        (Err(error), _) => work.unread(None, &error),
        (Ok(()), Some(name)) if !name.is_empty() => {
            work.entry(root.as_fd(), &Way::below(None, name), &found.node, 0);
        }
        (Ok(()), _) => work.directory(root.as_fd(), &found.node, None, 0),
    }
    Ok(work.done)
}

impl Work<'_> {
    fn unread(&mut self, way: Option<&Way>, error: &ReadError) {
        if self.is_over {
            return;
        }
        self.is_over = error.ends_all();
        if self.done.unread.len() < MOST_PROBLEMS || self.is_over {
            self.done.unread.push(error.explain().within(&format!("/{}", told(way))));
        }
    }

    fn unwritten(&mut self, way: &Way, error: &io::Error) {
        if self.done.unwritten.len() < MOST_PROBLEMS {
            let path = told(Some(way));
            self.done.unwritten.push(if error.kind() == io::ErrorKind::AlreadyExists {
                Explanation::new(path, "exists already", "choose an empty folder")
            } else {
                Explanation::new(path, format!("can't be written: {}", io_reason(error)), "")
            });
        }
    }

    /// What is in a directory, into one that was made for it. Directories come last, so that only they are kept while one
    /// of them is gone through.
    fn directory(&mut self, into: BorrowedFd<'_>, node: &Node, way: Option<&Rc<Way>>, depth: usize) {
        if depth > DEEPEST {
            let error = ReadError::unsupported("the directory", "is too deep", "extract it by its own path");
            return self.unread(way.map(Rc::as_ref), &error);
        }
        let entries = match self.visits.read(self.fs, node) {
            Ok((entries, errors)) => {
                for error in &errors {
                    self.unread(way.map(Rc::as_ref), error);
                }
                entries
            }
            Err(error) => return self.unread(way.map(Rc::as_ref), &error),
        };
        let mut directories = Vec::new();
        for entry in entries {
            if self.is_over {
                return;
            }
            let below = Way::below(way, &entry.name);
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
            if self.is_over {
                return;
            }
            self.entry(into, &below, &node, depth);
        }
    }

    fn entry(&mut self, into: BorrowedFd<'_>, way: &Rc<Way>, node: &Node, depth: usize) {
        let name = OsStr::from_bytes(&way.name);
        let shared = node.inode.filter(|_| node.links > 1 && !node.is_directory());
        if let Some((first, identity)) = shared.and_then(|inode| self.first_names.get(&inode)) {
            // Where the system makes no second name, a copy is made.
            match self.link(first, *identity, into, name) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return self.unwritten(way, &error);
                }
                Err(_) => {}
            }
        }
        let written = match node.kind {
            Kind::Directory => self.make_directory(into, way, node, depth),
            Kind::File => self.file(into, name, node, way),
            Kind::Symlink => self.symlink(into, name, node, way),
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
                    self.first_names.insert(inode, (Rc::clone(way), made));
                }
            }
            Err(error) => self.unwritten(way, &error),
        }
    }

    fn leave_out(&mut self) {
        self.done.left_out = self.done.left_out.saturating_add(1);
    }

    /// A second name for a file that was made here. The way to its first name is gone again from the folder on, through
    /// directories only, and what was linked must be that file: others may have put something else in its place.
    fn link(&self, first: &Way, made: Identity, into: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        let names = first.names();
        let Some((last, folders)) = names.split_last() else { return Err(io::ErrorKind::NotFound.into()) };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut open: Option<OwnedFd> = None;
        for folder in folders {
            let above = open.as_ref().map_or(self.root, AsFd::as_fd);
            let next = rustix::fs::openat(above, OsStr::from_bytes(folder), flags, Mode::empty())?;
            open = Some(next);
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
        way: &Rc<Way>,
        node: &Node,
        depth: usize,
    ) -> io::Result<Option<Identity>> {
        let name = OsStr::from_bytes(&way.name);
        // Ours alone until all is in it, whatever its mode will be.
        rustix::fs::mkdirat(into, name, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(into, name, flags, Mode::empty())?;
        self.done.directories = self.done.directories.saturating_add(1);
        self.directory(made.as_fd(), node, Some(way), depth.saturating_add(1));
        self.finish(&made, node)?;
        Ok(None)
    }

    fn file(
        &mut self,
        into: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
        way: &Way,
    ) -> io::Result<Option<Identity>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(into, name, flags, Mode::RUSR | Mode::WUSR)?);
        let written = match self.contents(&file, node) {
            Ok(written) => written.map(|()| true),
            Err(error) => {
                self.unread(Some(way), &error);
                Ok(false)
            }
        };
        if !matches!(written, Ok(true)) {
            // Half a file under a file's name would be taken for the file.
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
            let what = "with them, files are far larger than the image";
            return Err(ReadError::too_much("contents", what, "extract single ones by their paths"));
        }
        Ok(written)
    }

    fn symlink(
        &mut self,
        into: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
        way: &Way,
    ) -> io::Result<Option<Identity>> {
        let target = match self.fs.link_target(node) {
            Ok(target) if !target.contains(&0) => target,
            Ok(_) => {
                let error = ReadError::damaged("the link", "leads to a name with a NUL byte");
                self.unread(Some(way), &error);
                return Ok(None);
            }
            Err(error) => {
                self.unread(Some(way), &error);
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
        // Its mode is what the umask leaves of it; setting it by name could follow a link that came in between.
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

    /// Owner, mode and time of what is open; in this order, as a new owner takes bits of the mode away.
    fn finish(&self, made: &OwnedFd, node: &Node) -> io::Result<()> {
        if self.options.owners {
            let (uid, gid) = owner(node);
            rustix::fs::fchown(made, uid, gid)?;
        }
        rustix::fs::fchmod(made, self.mode(node))?;
        Ok(rustix::fs::futimens(made, &times(node.modified))?)
    }

    /// Without its owner, a program must not run with the rights of whoever extracts it.
    fn mode(&self, node: &Node) -> Mode {
        let mask = if self.options.owners { 0o7777 } else { 0o1777 };
        Mode::from_raw_mode(u32::from(node.mode & mask))
    }
}

/// What stands under a name, a link itself included.
fn identity(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Identity> {
    Ok(Identity::of(&rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// The names of a way, as much of them as a path has, for a message.
fn told(way: Option<&Way>) -> String {
    const LONGEST: usize = 4096;
    let path = way.map(|way| way.names().join(&b'/')).unwrap_or_default();
    let from = path.len().saturating_sub(LONGEST);
    escaped(path.get(from..).unwrap_or_default()).to_string()
}

/// `None` for the number that means "leave it" to the system.
fn owner(node: &Node) -> (Option<Uid>, Option<Gid>) {
    let given = |id: u32| Some(id).filter(|id| *id != u32::MAX);
    (given(node.uid).map(Uid::from_raw), given(node.gid).map(Gid::from_raw))
}

fn times(modified: Time) -> Timestamps {
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
