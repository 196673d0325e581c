use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::error::{AssemblyError, Refusal};
use crate::pending::{Pending, Unnamed};
use crate::place::{self, Place};

/// A small file that goes with an image, such as its report. Its place is taken before the image is written, so that
/// what speaks against it is known in time; its bytes come at the end, whole or not at all.
#[derive(Debug)]
pub struct Companion {
    path: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// A pipe or a character device that is there.
    Stream(File),
    Pending(Pending),
}

impl Companion {
    /// Takes the place. What is there is replaced, through symlinks, or written into if it is a pipe or a character
    /// device.
    pub fn open(path: &Path) -> Result<Self, AssemblyError> {
        let way = match place::find(path)? {
            Place::Stream(file) => Way::Stream(file),
            Place::Name { folder, name } => {
                let pending = Pending::create(&folder, &name, Unnamed::Try).map_err(|errno| match errno {
                    Errno::NOENT | Errno::NOTDIR => AssemblyError::refused(path, Refusal::NoFolder),
                    other => AssemblyError::output(path, other),
                })?;
                Way::Pending(pending)
            }
        };
        Ok(Self { path: path.to_path_buf(), way })
    }

    /// Takes room for so many \[bytes\], where the file system can, so that a full disk is known before the image is
    /// written.
    pub fn reserve(&self, len: u64) -> Result<(), AssemblyError> {
        let Way::Pending(pending) = &self.way else { return Ok(()) };
        match rustix::fs::fallocate(pending.file(), FallocateFlags::KEEP_SIZE, 0, len) {
            Err(full @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(AssemblyError::output(&self.path, full))
            }
            // Not every file system has the call; writing tells the rest.
            _ => Ok(()),
        }
    }

    /// Writes the bytes; a file has its name afterwards.
    pub fn write(self, bytes: &[u8]) -> Result<(), AssemblyError> {
        let failed = |error| AssemblyError::output(&self.path, error);
        match self.way {
            Way::Stream(mut file) => file.write_all(bytes).map_err(failed),
            Way::Pending(pending) => {
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
        companion.write(b"told").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"told");
        drop(Companion::open(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"told", "given up, the old one stays");
        Companion::open(Path::new("/dev/null")).unwrap().write(b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(Companion::open(folder.path()).is_err());
        assert!(Companion::open(&folder.path().join("absent/report")).is_err());
    }
}
