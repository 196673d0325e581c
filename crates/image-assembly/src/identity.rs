//! Which file an output is, whatever its spelling, so that it can be compared with what is read and with other outputs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use image_tree::{Inode, OwnFile};

use crate::pending::temporary_prefix;
use crate::place::{self, Leads};

/// A file that is written, there or not yet: by its inode, and by its name in its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The file that is there.
    file: Option<Inode>,
    /// A name that is replaced or made; a pipe has none.
    name: Option<Name>,
    /// Of a loop device, the file that gets what is written to it.
    backing: Option<Box<Identity>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    folder: Inode,
    /// The folder without symlinks, and the name.
    path: PathBuf,
    last: OsString,
}

impl Identity {
    /// What a path of an output leads to, through symlinks. Where nothing can be found out, writing will fail and tell
    /// why; that, a character device and a block device are the same as nothing else, but a loop device is also the file
    /// behind it.
    pub fn of_path(path: &Path) -> Self {
        if let Some(found) = fs::metadata(path).ok().filter(|found| found.file_type().is_block_device()) {
            return Self { backing: backing_of(&found).map(Box::new), ..Self::default() };
        }
        match place::leads_to(path) {
            Ok(Leads::ToName { folder, name }) => Self::of_name(&folder, &name).unwrap_or_default(),
            Ok(Leads::ToStream(found)) => Self { file: inode_of_stream(&found), ..Self::default() },
            Err(_) => Self::default(),
        }
    }

    /// What an open stream, such as standard output, leads to.
    pub fn of_stream(stream: impl AsFd) -> Self {
        let Ok(found) = metadata(stream.as_fd()) else { return Self::default() };
        let name = stream_path(stream.as_fd()).filter(|_| found.is_file()).and_then(|path| {
            let there = fs::metadata(&path).ok()?;
            // The file may have been renamed, or removed and made anew, since it was opened.
            let is_same = inode(&there) == inode(&found);
            Self::of_name(path.parent()?, path.file_name()?).filter(|_| is_same)?.name
        });
        Self { file: inode_of_stream(&found), name, backing: None }
    }

    fn of_name(folder: &Path, name: &OsStr) -> Option<Self> {
        let found = fs::metadata(folder).ok()?;
        let path = fs::canonicalize(folder).ok()?.join(name);
        let file = fs::metadata(&path).ok().map(|found| inode(&found));
        let name = Some(Name { folder: inode(&found), path, last: name.to_owned() });
        Some(Self { file, name, backing: None })
    }

    /// Whether both are one file: two names of one inode, or one name of which nothing is there yet.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        if let Some(backing) = &self.backing {
            return backing.is(other);
        }
        if let Some(backing) = &other.backing {
            return self.is(backing);
        }
        let is_same_name = |one: &Name, other: &Name| (one.folder, &one.last) == (other.folder, &other.last);
        let names = self.name.as_ref().zip(other.name.as_ref());
        (self.file.is_some() && self.file == other.file)
            || names.is_some_and(|(one, other)| is_same_name(one, other))
    }

    /// The file that is there; of a loop device, the one behind it.
    #[must_use]
    pub fn file(&self) -> Option<Inode> {
        self.backing.as_ref().map_or(self.file, |backing| backing.file())
    }

    /// Where the name is, without symlinks; `None` for a pipe and what can't be found. Of a loop device, the file's behind it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.backing {
            Some(backing) => backing.path(),
            None => self.name.as_ref().map(|name| name.path.as_path()),
        }
    }

    /// Whether it is a device, and what is written to it reaches a file: that is changed in place, never replaced.
    #[must_use]
    pub fn is_behind_device(&self) -> bool {
        self.backing.is_some()
    }

    /// The name as a scan of sources leaves it out of a tree, with the temporary names that it has while it is written.
    #[must_use]
    pub fn own_file(&self) -> Option<OwnFile> {
        if let Some(backing) = &self.backing {
            return backing.own_file();
        }
        self.name.as_ref().map(|name| OwnFile {
            folder: name.folder,
            name: name.last.as_bytes().to_vec(),
            temporary_prefix: Some(temporary_prefix(&name.last)),
        })
    }
}

/// The file behind a loop device, as sysfs names it; `None` of other devices, and of a file that has no name any more.
fn backing_of(device: &Metadata) -> Option<Identity> {
    let (major, minor) = (rustix::fs::major(device.rdev()), rustix::fs::minor(device.rdev()));
    let device = format!("/sys/dev/block/{major}:{minor}");
    // A partition is a folder in that of its disk.
    let of = |device: &str| fs::read(format!("{device}/loop/backing_file")).ok();
    let text = of(&device).or_else(|| of(&format!("{device}/..")))?;
    let path = Path::new(OsStr::from_bytes(text.strip_suffix(b"\n").unwrap_or(&text)));
    Identity::of_name(path.parent()?, path.file_name()?).filter(|found| found.file.is_some())
}

/// The path of an open file, as Linux has it (proc(5), `/proc/pid/fd/`).
fn stream_path(stream: BorrowedFd<'_>) -> Option<PathBuf> {
    fs::read_link(fd_path(stream)).ok()
}

fn metadata(stream: BorrowedFd<'_>) -> std::io::Result<Metadata> {
    stream.try_clone_to_owned().map(fs::File::from)?.metadata()
}

fn fd_path(stream: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", stream.as_raw_fd())
}

fn inode(found: &Metadata) -> Inode {
    Inode { device: found.dev(), number: found.ino() }
}

/// Of character devices such as a terminal or /dev/null, everyone may have a share.
fn inode_of_stream(found: &Metadata) -> Option<Inode> {
    (!found.file_type().is_char_device()).then(|| inode(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_many_spellings() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let is = |one: &str, other: &str| Identity::of_path(&at(one)).is(&Identity::of_path(&at(other)));
        std::os::unix::fs::symlink("image", at("link")).unwrap();
        for (one, other, same) in [
            ("image", "./image", true),
            ("image", "link", true),
            ("image", "report", false),
            ("image", "absent/image", false),
            ("absent/image", "absent/image", false),
        ] {
            assert_eq!(is(one, other), same, "{one} and {other}");
        }
        fs::write(at("image"), "").unwrap();
        fs::hard_link(at("image"), at("again")).unwrap();
        assert!(is("image", "again") && is("link", "image"));
        let null = Identity::of_path(Path::new("/dev/null"));
        assert!(!null.is(&null) && null.own_file().is_none());
    }

    #[test]
    fn a_stream_is_the_file_that_it_was_redirected_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let file = fs::File::create(&path).unwrap();
        let stream = Identity::of_stream(&file);
        assert!(stream.is(&Identity::of_path(&path)));
        assert_eq!(stream.path(), Some(fs::canonicalize(&path).unwrap().as_path()));
        let own = stream.own_file().unwrap();
        assert_eq!((own.name, own.temporary_prefix), (b"out".to_vec(), Some(b".out.snugfs-".to_vec())));
        fs::remove_file(&path).unwrap();
        assert_eq!(Identity::of_stream(&file).path(), None);
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe = Identity::of_stream(&writer);
        assert!(pipe.is(&pipe) && pipe.path().is_none());
    }
}
