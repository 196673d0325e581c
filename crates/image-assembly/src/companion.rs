use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::error::{AssemblyError, Refusal};
use crate::pending::{Pending, Unnamed};
use crate::place::{self, Place};

/// A small file beside an image, such as its report. It is created before the image is written, so that errors are found early.
/// It gets its bytes at the end, all or none of them.
#[derive(Debug)]
pub struct Companion {
    path: PathBuf,
    output: Output,
}

#[derive(Debug)]
enum Output {
    /// An existing pipe or character device.
    Stream(File),
    Pending(Pending),
}

impl Companion {
    /// Creates the file. Symlinks are followed. An existing file is replaced; a pipe or a character device is written to.
    pub fn open(path: &Path) -> Result<Self, AssemblyError> {
        let output = match place::find(path)? {
            Place::Stream(file) => Output::Stream(file),
            Place::Name { folder, name } => {
                let pending = Pending::create(&folder, &name, Unnamed::Try).map_err(|errno| match errno {
                    Errno::NOENT | Errno::NOTDIR => AssemblyError::refused(path, Refusal::NoFolder),
                    other => AssemblyError::output(path, other),
                })?;
                Output::Pending(pending)
            }
        };
        Ok(Self { path: path.to_path_buf(), output })
    }

    /// Reserves space for `len` \[bytes\] if the file system supports it, so that a full disk is an error before the image is
    /// written.
    pub fn reserve(&self, len: u64) -> Result<(), AssemblyError> {
        let Output::Pending(pending) = &self.output else { return Ok(()) };
        match rustix::fs::fallocate(pending.file(), FallocateFlags::KEEP_SIZE, 0, len) {
            Err(full @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(AssemblyError::output(&self.path, full))
            }
            // Some file systems don't support the call. Other errors come again when the file is written.
            _ => Ok(()),
        }
    }

    /// Writes the bytes. A file then gets its name.
    pub fn write(self, bytes: &[u8]) -> Result<(), AssemblyError> {
        let failed = |error| AssemblyError::output(&self.path, error);
        match self.output {
            Output::Stream(mut file) => file.write_all(bytes).map_err(failed),
            Output::Pending(pending) => {
                pending.file().write_all(bytes).map_err(failed)?;
                pending.publish(false).map_err(failed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_companion_appears_with_its_bytes_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        let companion = Companion::open(&path).unwrap();
        assert!(!path.exists());
        companion.write(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        drop(Companion::open(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"new", "an abandoned file leaves the old one");
        Companion::open(Path::new("/dev/null")).unwrap().write(b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(Companion::open(folder.path()).is_err());
        assert!(Companion::open(&folder.path().join("absent/report")).is_err());
    }
}
