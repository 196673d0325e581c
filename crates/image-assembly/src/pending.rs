//! A file that gets its name when all of it is written. Until then it has none where the file system can do that,
//! so that not even a killed process leaves something behind; elsewhere it has a temporary name beside the final
//! one, removed on any error and, by [`crate::remove_temporaries`], before a signal ends the process.

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

/// A file on its way to its name.
#[derive(Debug)]
pub(crate) struct Pending {
    folder: Arc<OwnedFd>,
    name: OsString,
    file: File,
    /// Removed when this is dropped.
    temporary: Option<Temporary>,
}

/// Whether a file may be without a name at first; that it may not is for tests of the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    Try,
    #[cfg(test)]
    Never,
}

/// As any program makes files: the umask decides.
const MODE: Mode = Mode::from_raw_mode(0o666);

/// How many temporary names are tried; others hold one each only while they work in the same folder.
const TRIES: u32 = 100;

/// The most of a name that its temporary name repeats in \[bytes\], which leaves room for the rest within 255.
const NAME_KEPT: usize = 200;

impl Pending {
    /// Makes an empty file for a name in a folder.
    pub(crate) fn create(folder: &Path, name: &OsStr, unnamed: Unnamed) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = Arc::new(rustix::fs::open(folder, flags, Mode::empty())?);
        let name = name.to_owned();
        if unnamed == Unnamed::Try
            && let Some(file) = without_name(&folder)?
        {
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

    /// Gives the file its name, in place of a file that has it. With `sync`, all is on the disk afterwards.
    pub(crate) fn publish(mut self, sync: bool) -> io::Result<()> {
        if sync {
            self.file.sync_all()?;
        }
        self.take_name()?;
        if sync {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            File::from(rustix::fs::openat(&*self.folder, ".", flags, Mode::empty())?).sync_all()?;
        }
        Ok(())
    }

    /// All under one lock: a signal finds no temporary name, or one that it knows of.
    fn take_name(&mut self) -> rustix::io::Result<()> {
        let mut temporaries = Temporaries::lock();
        if self.temporary.is_none() {
            match self.link(&self.name) {
                // A link never replaces, a rename does.
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

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            Temporaries::lock().remove(&temporary);
        }
    }
}

/// A file without a name that can be given one later; `None` where there is no such thing.
fn without_name(folder: &OwnedFd) -> rustix::io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match retry_on_intr(|| rustix::fs::openat(folder, ".", flags, MODE)) {
        Ok(fd) => {
            let file = File::from(fd);
            // Without /proc it would never get its name.
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

/// What the temporary names of an output begin with, whichever process makes them: `.NAME.snugfs-`.
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
    fn a_file_appears_whole_with_and_without_a_temporary_name() {
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
    fn what_is_given_up_leaves_nothing() {
        for unnamed in [Unnamed::Try, Unnamed::Never] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("image"), "old").unwrap();
            drop(Pending::create(folder.path(), OsStr::new("image"), unnamed).unwrap());
            assert_eq!(names(folder.path()), ["image"]);
            assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"old");
        }
    }

    #[test]
    fn a_taken_temporary_name_is_passed_over_and_a_long_name_shortened() {
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
    fn a_directory_that_came_in_the_way_is_an_error_and_nothing_stays() {
        for unnamed in [Unnamed::Try, Unnamed::Never] {
            let folder = tempfile::tempdir().unwrap();
            let pending = Pending::create(folder.path(), OsStr::new("image"), unnamed).unwrap();
            std::fs::create_dir(folder.path().join("image")).unwrap();
            assert!(pending.publish(false).is_err());
            assert_eq!(names(folder.path()), ["image"]);
        }
    }

    #[test]
    fn both_ways_leave_the_mode_to_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        std::fs::write(folder.path().join("usual"), "").unwrap();
        for (unnamed, name) in [(Unnamed::Try, "a"), (Unnamed::Never, "b")] {
            Pending::create(folder.path(), OsStr::new(name), unnamed).unwrap().publish(false).unwrap();
            assert_eq!(mode(name), mode("usual"));
        }
    }
}
