//! A file that gets its name after it is complete. Until then it has no name if the file system supports that (`O_TMPFILE`), so
//! that even a killed process leaves nothing behind. Otherwise it has a temporary name in the same folder, which is removed
//! after an error and, by [`crate::remove_temporaries`], before a signal ends the process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::temporaries::{Temporaries, Temporary};

/// A file that does not have its name yet.
#[derive(Debug)]
pub(crate) struct Pending {
    folder: Arc<OwnedFd>,
    name: OsString,
    file: File,
    /// Removed when this is dropped.
    temporary: Option<Temporary>,
}

/// Whether to create the file without a name. `Never` is for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    Try,
    #[cfg(test)]
    Never,
}

/// The usual mode of new files, before the umask.
const MODE: Mode = Mode::from_raw_mode(0o666);

/// Maximum number of temporary names to try. Each running process has at most one per output in the folder.
const TRIES: u32 = 100;

/// Length of the part of the name that is in its temporary name, in \[bytes\]. The whole must not exceed 255.
const NAME_KEPT: usize = 200;

impl Pending {
    /// Creates an empty file for a name in a folder.
    pub(crate) fn create(folder: &Path, name: &OsStr, unnamed: Unnamed) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = Arc::new(rustix::fs::open(folder, flags, Mode::empty())?);
        let name = name.to_owned();
        let without = if unnamed == Unnamed::Try { without_name(&folder)? } else { None };
        if let Some(file) = without {
            return Ok(Self { folder, name, file, temporary: None });
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut temporaries = Temporaries::lock();
        let (free, fd) = with_free_name(&name, |free| rustix::fs::openat(&*folder, free, flags, MODE))?;
        let temporary = temporaries.add(&folder, free);
        Ok(Self { folder, name, file: File::from(fd), temporary: Some(temporary) })
    }

    /// The file, for reading and writing.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name. An existing file is replaced. With `sync`, everything is on the disk afterwards.
    pub(crate) fn publish(mut self, sync: bool) -> io::Result<()> {
        if sync {
            self.file.sync_all()?;
        }
        self.take_name()?;
        if sync {
            let folder = rustix::fs::openat(&*self.folder, ".", OFlags::CLOEXEC, Mode::empty())?;
            File::from(folder).sync_all()?;
        }
        Ok(())
    }

    /// Holds the lock all the time, so that a signal handler knows every temporary name.
    fn take_name(&mut self) -> rustix::io::Result<()> {
        let mut temporaries = Temporaries::lock();
        if self.temporary.is_none() {
            match self.link(&self.name) {
                // A link can't replace an existing file; a rename can.
                Err(Errno::EXIST) => {
                    let (free, ()) = with_free_name(&self.name, |free| self.link(free))?;
                    self.temporary = Some(temporaries.add(&self.folder, free));
                }
                done => return done,
            }
        }
        if let Some(temporary) = &self.temporary {
            rustix::fs::renameat(&*self.folder, temporary.name(), &*self.folder, &self.name)?;
        }
        if let Some(temporary) = self.temporary.take() {
            temporaries.forget(&temporary);
        }
        Ok(())
    }

    fn link(&self, name: &OsStr) -> rustix::io::Result<()> {
        let own = own_path(&self.file);
        retry_on_intr(|| rustix::fs::linkat(CWD, own.as_str(), &*self.folder, name, AtFlags::SYMLINK_FOLLOW))
    }
}

/// A file of another program that gets its name after it is complete. Until then no file has that name, or an older one.
#[derive(Debug)]
pub struct NewFile(Pending);

impl NewFile {
    /// Creates an empty file.
    ///
    /// # Errors
    /// If the path has no name, or the folder refuses new files.
    pub fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self(Pending::create(folder, name, Unnamed::Try)?))
    }

    /// The file, for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        self.0.file()
    }

    /// Gives the file its name. An existing file is replaced. With `sync`, everything is on the disk afterwards.
    ///
    /// # Errors
    /// If the folder refuses the name.
    pub fn publish(self, sync: bool) -> io::Result<()> {
        self.0.publish(sync)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            Temporaries::lock().remove(&temporary);
        }
    }
}

/// Creates a file without a name; `None` if the file system does not support it.
fn without_name(folder: &OwnedFd) -> rustix::io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match retry_on_intr(|| rustix::fs::openat(folder, ".", flags, MODE)) {
        Ok(fd) => {
            let file = File::from(fd);
            // It gets its name through /proc, which may be missing.
            let reachable = rustix::fs::stat(own_path(&file).as_str()).is_ok();
            Ok(reachable.then_some(file))
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn own_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// Start of the temporary names of an output, the same for all processes: `.NAME.snugfs-`.
pub(crate) fn temporary_prefix(name: &OsStr) -> Vec<u8> {
    let kept = &name.as_bytes()[..name.len().min(NAME_KEPT)];
    [b".", kept, b".snugfs-"].concat()
}

/// Tries temporary names until one is free.
fn with_free_name<T>(
    name: &OsStr,
    mut attempt: impl FnMut(&OsStr) -> rustix::io::Result<T>,
) -> rustix::io::Result<(OsString, T)> {
    let prefix = temporary_prefix(name);
    let process = std::process::id();
    for number in 0..TRIES {
        let free = [&*prefix, format!("{process}-{number}").as_bytes()].concat();
        let free = OsString::from_vec(free);
        match attempt(&free) {
            Err(Errno::EXIST | Errno::INTR) => {}
            Ok(made) => return Ok((free, made)),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn names(folder: &Path) -> Vec<String> {
        let entries =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_complete_with_and_without_a_temporary_name() {
        for (unnamed, meanwhile) in [(Unnamed::Try, 0), (Unnamed::Never, 1)] {
            for old in [None, Some("old")] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("image");
                if let Some(old) = old {
                    std::fs::write(&path, old).unwrap();
                }
                let pending = Pending::create(folder.path(), OsStr::new("image"), unnamed).unwrap();
                assert_eq!(names(folder.path()).len(), usize::from(old.is_some()) + meanwhile);
                pending.file().write_all(b"new").unwrap();
                assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), old);
                pending.publish(true).unwrap();
                assert_eq!(names(folder.path()), ["image"]);
                assert_eq!(std::fs::read(&path).unwrap(), b"new");
            }
        }
    }

    #[test]
    fn an_abandoned_file_leaves_nothing() {
        for unnamed in [Unnamed::Try, Unnamed::Never] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("image"), "old").unwrap();
            drop(Pending::create(folder.path(), OsStr::new("image"), unnamed).unwrap());
            assert_eq!(names(folder.path()), ["image"]);
            assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"old");
        }
    }

    #[test]
    fn skips_used_temporary_names_and_shortens_long_ones() {
        let folder = tempfile::tempdir().unwrap();
        let name = "n".repeat(255);
        let taken = format!(".{}.snugfs-{}-0", "n".repeat(NAME_KEPT), std::process::id());
        std::fs::write(folder.path().join(&taken), "another's").unwrap();
        let pending = Pending::create(folder.path(), OsStr::new(&name), Unnamed::Never).unwrap();
        pending.publish(false).unwrap();
        assert_eq!(names(folder.path()), [taken.clone(), name]);
        assert_eq!(std::fs::read(folder.path().join(taken)).unwrap(), b"another's");
    }

    #[test]
    fn fails_without_leftovers_if_a_directory_got_the_name() {
        for unnamed in [Unnamed::Try, Unnamed::Never] {
            let folder = tempfile::tempdir().unwrap();
            let pending = Pending::create(folder.path(), OsStr::new("image"), unnamed).unwrap();
            std::fs::create_dir(folder.path().join("image")).unwrap();
            assert!(pending.publish(false).is_err());
            assert_eq!(names(folder.path()), ["image"]);
        }
    }

    /// The descriptor of the folder is only for names in it.
    #[test]
    fn other_programs_inherit_no_open_file() {
        use rustix::io::{FdFlags, fcntl_getfd};
        let folder = tempfile::tempdir().unwrap();
        for unnamed in [Unnamed::Try, Unnamed::Never] {
            let pending = Pending::create(folder.path(), OsStr::new("image"), unnamed).unwrap();
            for flags in [fcntl_getfd(pending.file()), fcntl_getfd(&*pending.folder)] {
                assert!(flags.unwrap().contains(FdFlags::CLOEXEC), "{unnamed:?}");
            }
            let flags = rustix::fs::fcntl_getfl(&*pending.folder).unwrap();
            assert!(flags.contains(OFlags::PATH | OFlags::DIRECTORY));
            pending.file().write_all(b"readable").unwrap();
            let mut text = [0; 8];
            std::os::unix::fs::FileExt::read_exact_at(pending.file(), &mut text, 0).unwrap();
            assert_eq!(&text, b"readable");
        }
    }

    #[test]
    fn a_file_has_a_name_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let file = NewFile::create(&path).unwrap();
        file.file().write_all(b"new").unwrap();
        assert!(!path.exists());
        file.publish(true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(NewFile::create(Path::new("/")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        // A name alone is in the working directory.
        assert!(NewFile::create(Path::new("name")).is_ok());
        assert!(NewFile::create(&path.join("below")).is_err());
    }

    #[test]
    fn there_are_as_many_temporary_names_as_are_tried() {
        let attempts = std::cell::Cell::new(0);
        let taken = |_: &OsStr| -> rustix::io::Result<()> {
            attempts.set(attempts.get() + 1);
            Err(if attempts.get() > 50 { Errno::EXIST } else { Errno::INTR })
        };
        assert_eq!(with_free_name(OsStr::new("x"), taken).unwrap_err(), Errno::EXIST);
        assert_eq!(attempts.get(), TRIES);
        let refused = |_: &OsStr| -> rustix::io::Result<()> { Err(Errno::ROFS) };
        assert_eq!(with_free_name(OsStr::new("x"), refused).unwrap_err(), Errno::ROFS);
    }

    #[test]
    fn the_umask_sets_the_mode_with_and_without_a_temporary_name() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        std::fs::write(folder.path().join("usual"), "").unwrap();
        for (unnamed, name) in [(Unnamed::Try, "a"), (Unnamed::Never, "b")] {
            Pending::create(folder.path(), OsStr::new(name), unnamed).unwrap().publish(false).unwrap();
            assert_eq!(mode(name), mode("usual"));
        }
    }
}
