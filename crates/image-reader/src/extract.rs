//! Files of an image onto this machine, below one folder and nowhere else.
//!
//! Every directory but the one that was named is made anew and held open; names are single parts, nothing that exists
//! is opened, and links are made but never followed. So no image can lead a write elsewhere.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use image_tree::escaped;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::error::plain;
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
    pub unread: Vec<String>,
    /// What could not be written, each with its path.
    pub unwritten: Vec<String>,
}

/// The most problems of a kind that are kept.
const MOST_PROBLEMS: usize = 1000;

struct Work<'a> {
    fs: &'a FileSystem,
    options: ExtractOptions,
    root: BorrowedFd<'a>,
    done: Extracted,
    /// First names of files with several names, relative to the folder.
    names: BTreeMap<u32, Vec<u8>>,
    visits: Visits,
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
        names: BTreeMap::new(),
        visits: fs.visits(),
    };
    match found.path.rsplit(|&byte| byte == b'/').next() {
        Some(name) if !name.is_empty() => work.entry(root.as_fd(), name, &found.node, name, 0),
        _ => work.directory(root.as_fd(), &found.node, b"", 0),
    }
    Ok(work.done)
}

impl Work<'_> {
    fn unread(&mut self, path: &[u8], error: &ReadError) {
        if self.done.unread.len() < MOST_PROBLEMS {
            self.done.unread.push(format!("/{}: {error}", escaped(path)));
        }
    }

    fn unwritten(&mut self, path: &[u8], error: &io::Error) {
        if self.done.unwritten.len() < MOST_PROBLEMS {
            let what = if error.kind() == io::ErrorKind::AlreadyExists {
                "exists already; choose an empty folder".to_owned()
            } else {
                format!("can't be written: {}", plain(error))
            };
            self.done.unwritten.push(format!("{}: {what}", escaped(path)));
        }
    }

    /// What is in a directory, into one that was made for it.
    fn directory(&mut self, into: BorrowedFd<'_>, node: &Node, path: &[u8], depth: usize) {
        if depth > DEEPEST {
            let error = ReadError::unsupported("the directory", "is too deep; extract it by its own path");
            return self.unread(path, &error);
        }
        let entries = match self.visits.entries(self.fs, node) {
            Ok((entries, errors)) => {
                for error in &errors {
                    self.unread(path, error);
                }
                entries
            }
            Err(error) => return self.unread(path, &error),
        };
        for entry in entries {
            let mut below = path.to_vec();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(&entry.name);
            match self.fs.node(&entry) {
                Ok(node) => self.entry(into, &entry.name, &node, &below, depth),
                Err(error) => self.unread(&below, &error),
            }
        }
    }

    fn entry(&mut self, into: BorrowedFd<'_>, name: &[u8], node: &Node, path: &[u8], depth: usize) {
        let os_name = OsStr::from_bytes(name);
        if node.links > 1
            && !node.is_directory()
            && let Some(inode) = node.inode
        {
            if let Some(first) = self.names.get(&inode)
                && rustix::fs::linkat(self.root, OsStr::from_bytes(first), into, os_name, AtFlags::empty())
                    .is_ok()
            {
                return;
            }
            self.names.entry(inode).or_insert_with(|| path.to_vec());
        }
        let written = match node.kind {
            Kind::Directory => self.make_directory(into, os_name, node, path, depth),
            Kind::File => self.file(into, os_name, node, path),
            Kind::Symlink => self.symlink(into, os_name, node, path),
            Kind::Socket => {
                self.done.left_out += 1;
                Ok(())
            }
            Kind::Character(..) | Kind::Block(..) if !self.options.devices => {
                self.done.left_out += 1;
                Ok(())
            }
            Kind::Fifo | Kind::Character(..) | Kind::Block(..) => self.special(into, os_name, node),
        };
        if let Err(error) = written {
            self.unwritten(path, &error);
        }
    }

    fn make_directory(
        &mut self,
        into: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
        path: &[u8],
        depth: usize,
    ) -> io::Result<()> {
        // Ours alone until all is in it, whatever its mode will be.
        rustix::fs::mkdirat(into, name, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(into, name, flags, Mode::empty())?;
        self.done.directories += 1;
        self.directory(made.as_fd(), node, path, depth + 1);
        self.finish(&made, node)
    }

    fn file(&mut self, into: BorrowedFd<'_>, name: &OsStr, node: &Node, path: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(into, name, flags, Mode::RUSR | Mode::WUSR)?);
        file.set_len(node.size)?;
        let read = self.fs.each_piece(node, |piece| match piece {
            Piece::Data(at, data) => file.write_all_at(data, at),
            Piece::Hole(_) => Ok(()),
        });
        match read {
            Ok(written) => written?,
            Err(error) => {
                self.unread(path, &error);
                // Half a file under a file's name would be taken for the file.
                return Ok(rustix::fs::unlinkat(into, name, AtFlags::empty())?);
            }
        }
        self.done.files += 1;
        self.done.bytes = self.done.bytes.saturating_add(node.size);
        self.finish(&OwnedFd::from(file), node)
    }

    fn symlink(&mut self, into: BorrowedFd<'_>, name: &OsStr, node: &Node, path: &[u8]) -> io::Result<()> {
        let target = match self.fs.link_target(node) {
            Ok(target) if !target.contains(&0) => target,
            Ok(_) => {
                let error = ReadError::damaged("the link", "leads to a name with a NUL byte");
                self.unread(path, &error);
                return Ok(());
            }
            Err(error) => {
                self.unread(path, &error);
                return Ok(());
            }
        };
        rustix::fs::symlinkat(OsStr::from_bytes(&target), into, name)?;
        self.done.symlinks += 1;
        self.own(into, name, node)?;
        Ok(rustix::fs::utimensat(into, name, &times(node.modified), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn special(&mut self, into: BorrowedFd<'_>, name: &OsStr, node: &Node) -> io::Result<()> {
        let (kind, device) = match node.kind {
            Kind::Character(major, minor) => (FileType::CharacterDevice, rustix::fs::makedev(major, minor)),
            Kind::Block(major, minor) => (FileType::BlockDevice, rustix::fs::makedev(major, minor)),
            _ => (FileType::Fifo, 0),
        };
        // Its mode is what the umask leaves of it; setting it by name could follow a link that came in between.
        rustix::fs::mknodat(into, name, kind, self.mode(node), device)?;
        self.done.others += 1;
        self.own(into, name, node)?;
        Ok(rustix::fs::utimensat(into, name, &times(node.modified), AtFlags::SYMLINK_NOFOLLOW)?)
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

/// `None` for the number that means "leave it" to the system.
fn owner(node: &Node) -> (Option<Uid>, Option<Gid>) {
    let given = |id: u32| Some(id).filter(|id| *id != u32::MAX);
    (given(node.uid).map(Uid::from_raw), given(node.gid).map(Gid::from_raw))
}

fn times(modified: Time) -> Timestamps {
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
