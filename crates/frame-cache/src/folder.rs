//! A folder of entries: `frames-1/ab/cdef…` for the key `abcdef…`. The number is that of this format.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::Key;
use crate::entry::{self, Frame};
use crate::temporaries::Temporary;

const FRAMES: &str = "frames-1";

/// Names of entries that are being written begin with this.
const NEW: &str = ".new-";

/// After this time, nobody is still writing an entry.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A file of the folder.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    pub(crate) used: SystemTime,
}

/// An entry that does not have its name yet. Without [`Self::publish`], it is removed.
#[derive(Debug)]
pub(crate) struct Written {
    temporary: Temporary,
    path: PathBuf,
}

impl Written {
    /// Gives the entry its name. What has the name is replaced.
    pub(crate) fn publish(self) -> io::Result<()> {
        self.temporary.publish(&self.path)
    }
}

#[derive(Debug)]
pub(crate) struct Folder {
    frames: PathBuf,
    /// Permission bits of folders and of entries.
    modes: (u32, u32),
}

impl Folder {
    /// The folder of one user.
    pub(crate) fn of(path: &Path) -> Self {
        Self { frames: path.join(FRAMES), modes: (0o700, 0o600) }
    }

    /// A folder that others may read.
    pub(crate) fn shared(path: &Path) -> Self {
        Self { frames: path.join(FRAMES), modes: (0o755, 0o644) }
    }

    pub(crate) fn exists(&self) -> bool {
        self.frames.is_dir()
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(self.modes.0).create(&self.frames)
    }

    /// The file of a key.
    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        let name = HEXLOWER.encode(key);
        let (first, rest) = name.split_at(2);
        self.frames.join(first).join(rest)
    }

    /// The entry of a key. `Ok(None)` if there is none; an error of the kind `InvalidData` if it is damaged.
    pub(crate) fn get(&self, key: &Key) -> io::Result<Option<Frame>> {
        // A pipe is not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(self.path(key), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match entry::read(file, key) {
            Ok(Some(frame)) => Ok(Some(frame)),
            Ok(None) => Err(io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(io::ErrorKind::InvalidData.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes an entry under a temporary name, and returns that.
    pub(crate) fn write(&self, key: &Key, frame: u64, bytes: &[u8]) -> io::Result<Written> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.frames);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!("{NEW}{}-{number}", std::process::id()));
        let temporary = Temporary::new(temporary);
        self.write_to(temporary.path(), key, frame, bytes)?;
        Ok(Written { temporary, path })
    }

    fn write_to(&self, temporary: &Path, key: &Key, frame: u64, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(self.modes.1);
        let mut file = match options.open(temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = temporary.parent().unwrap_or(&self.frames);
                DirBuilder::new().recursive(true).mode(self.modes.0).create(folder)?;
                options.open(temporary)?
            }
            other => other?,
        };
        file.write_all(bytes)?;
        file.write_all(&entry::trailer(key, frame, bytes))
    }

    /// Marks an entry as used now.
    pub(crate) fn touch(file: &File) {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
        let _ = rustix::fs::futimens(file, &times);
    }

    /// All entries. Removes what programs left that were killed while they wrote an entry.
    pub(crate) fn entries(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for folder in fs::read_dir(&self.frames)? {
            let Ok(entries) = fs::read_dir(folder?.path()) else { continue };
            for entry in entries {
                let entry = entry?;
                let Ok(metadata) = entry.metadata() else { continue };
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                if entry.file_name().as_encoded_bytes().starts_with(NEW.as_bytes()) {
                    if used.elapsed().is_ok_and(|age| age > ABANDONED) {
                        let _ = fs::remove_file(entry.path());
                    }
                } else {
                    found.push(Found { path: entry.path(), len: metadata.len(), used });
                }
            }
        }
        Ok(found)
    }
}
