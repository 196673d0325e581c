use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
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

/// Whether two paths lead to one file, there or not yet, whatever their spelling.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
        return (one.dev(), one.ino()) == (other.dev(), other.ino());
    }
    let place = |path| match place::find(path) {
        Ok(Place::Name { folder, name }) => Some((fs::canonicalize(folder).ok()?, name)),
        _ => None,
    };
    place(one).is_some_and(|one| Some(one) == place(other))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn one_file_has_many_spellings() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("image", at("link")).unwrap();
        for (one, other, same) in [
            ("image", "./image", true),
            ("image", "link", true),
            ("image", "report", false),
            ("image", "absent/image", false),
        ] {
            assert_eq!(is_same_file(&at(one), &at(other)), same, "{one} and {other}");
        }
        fs::write(at("image"), "").unwrap();
        fs::hard_link(at("image"), at("again")).unwrap();
        assert!(is_same_file(&at("image"), &at("again")) && is_same_file(&at("link"), &at("image")));
    }
}
