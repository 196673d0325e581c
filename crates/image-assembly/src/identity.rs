//! Identifies the file of an output whatever its path, to compare it with sources and other outputs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use image_tree::{Inode, OwnFile};

use crate::pending::temporary_prefix;
use crate::place::{self, Resolved};

/// The file of an output, which may not exist yet: its inode, and its name in its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The existing file.
    file: Option<Inode>,
    /// The name that is replaced or created; a pipe has none.
    name: Option<Name>,
    /// The file behind a loop device.
    backing: Option<Box<Identity>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    folder: Inode,
    /// The folder, without symlinks, and the name.
    path: PathBuf,
    last: OsString,
}

impl Identity {
    /// The file of a path. Symlinks are followed. A character device or a block device equals no other file, except that a loop
    /// device equals the file behind it. A path that can't be resolved equals no other file; writing it fails with the reason.
    pub fn of_path(path: &Path) -> Self {
        if let Some(found) = fs::metadata(path).ok().filter(|found| found.file_type().is_block_device()) {
            return Self { backing: backing_of(&found).map(Box::new), ..Self::default() };
        }
        match place::resolve(path) {
            Ok(Resolved::Name { folder, name }) => Self::of_name(&folder, &name).unwrap_or_default(),
            Ok(Resolved::Stream(found)) => Self { file: inode_of_stream(&found), ..Self::default() },
            Err(_) => Self::default(),
        }
    }

    /// The file of an open stream, such as standard output.
    pub fn of_stream(stream: impl AsFd) -> Self {
        let Ok(found) = metadata(stream.as_fd()) else { return Self::default() };
        let name = stream_path(stream.as_fd()).filter(|_| found.is_file()).and_then(|path| {
            let there = fs::metadata(&path).ok()?;
            // The file may have been renamed or replaced since it was opened.
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

    /// Whether both are the same file: names of one inode, or the same name of a file that does not exist yet.
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

    /// The existing file; for a loop device, the file behind it.
    #[must_use]
    pub fn file(&self) -> Option<Inode> {
        self.backing.as_ref().map_or(self.file, |backing| backing.file())
    }

    /// The path without symlinks; for a loop device, that of the file behind it. `None` for a pipe, or if unknown.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.backing {
            Some(backing) => backing.path(),
            None => self.name.as_ref().map(|name| name.path.as_path()),
        }
    }

    /// Whether it is a loop device, whose file is changed in place and never replaced.
    #[must_use]
    pub fn is_behind_device(&self) -> bool {
        self.backing.is_some()
    }

    /// The file for a scan of sources, which leaves it out of trees together with its temporary names.
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

/// The file behind a loop device, from sysfs. `None` for other devices, and if the file was deleted.
fn backing_of(device: &Metadata) -> Option<Identity> {
    let (major, minor) = (rustix::fs::major(device.rdev()), rustix::fs::minor(device.rdev()));
    let device = format!("/sys/dev/block/{major}:{minor}");
    // The folder of a partition is in that of its disk.
    let of = |device: &str| fs::read(format!("{device}/loop/backing_file")).ok();
    let text = of(&device).or_else(|| of(&format!("{device}/..")))?;
    let path = Path::new(OsStr::from_bytes(text.strip_suffix(b"\n").unwrap_or(&text)));
    Identity::of_name(path.parent()?, path.file_name()?).filter(|found| found.file.is_some())
}

/// The path of an open file (proc(5), `/proc/pid/fd/`).
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

/// Several outputs may write to one character device, such as a terminal or /dev/null.
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

    #[test]
    fn an_output_is_its_inode_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let new = Identity::of_path(&path);
        assert_eq!((new.file(), new.is_behind_device()), (None, false));
        fs::write(&path, "").unwrap();
        let there = Identity::of_path(&path);
        assert_eq!(there.file(), Some(inode(&fs::metadata(&path).unwrap())));
        assert_eq!(there.path(), Some(fs::canonicalize(&path).unwrap().as_path()));
        // The file that was not there yet has the same name.
        assert!(new.is(&there) && there.is(&new));
        let own = there.own_file().unwrap();
        assert_eq!(own.folder, inode(&fs::metadata(folder.path()).unwrap()));
        assert_eq!((own.name, own.temporary_prefix), (b"image".to_vec(), Some(b".image.snugfs-".to_vec())));
        let other = Identity::of_path(&folder.path().join("other"));
        assert!(!other.is(&new) && !other.is(&there));
        // Two files that exist have different inodes.
        fs::write(folder.path().join("other"), "").unwrap();
        assert!(!Identity::of_path(&folder.path().join("other")).is(&there));
    }

    /// It has no name that is replaced: its readers have it open.
    #[test]
    fn a_named_pipe_is_its_inode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
        let pipe = Identity::of_path(&path);
        assert_eq!((pipe.file(), pipe.path()), (Some(inode(&fs::metadata(&path).unwrap())), None));
        assert!(pipe.is(&Identity::of_path(&path)) && pipe.own_file().is_none());
    }

    #[test]
    fn a_device_is_the_file_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::write(&path, "").unwrap();
        let file = Identity::of_path(&path);
        let device = Identity { backing: Some(Box::new(file.clone())), ..Identity::default() };
        assert!(device.is(&file) && file.is(&device) && device.is(&device));
        assert_eq!(
            (device.file(), device.path(), device.own_file()),
            (file.file(), file.path(), file.own_file())
        );
        assert!(device.is_behind_device() && !file.is_behind_device());
        let other = Identity::of_path(&folder.path().join("other"));
        assert!(!device.is(&other) && !other.is(&device));
        // Other devices equal nothing.
        let unknown = Identity::default();
        assert!(!unknown.is(&unknown) && !unknown.is(&device));
    }

    /// The system appends this to the path of an open file that was removed.
    #[test]
    fn a_stream_has_no_name_after_its_file_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let file = fs::File::create(&path).unwrap();
        fs::write(folder.path().join("out (deleted)"), "").unwrap();
        fs::remove_file(&path).unwrap();
        let stream = Identity::of_stream(&file);
        assert_eq!((stream.path(), stream.file()), (None, Some(inode(&file.metadata().unwrap()))));
        let null = Identity::of_stream(fs::File::open("/dev/null").unwrap());
        assert_eq!((null.file(), null.path()), (None, None));
    }
}
