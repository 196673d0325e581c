//! Resolves the path of an output before anything is written.

use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{AssemblyError, Refusal};

/// The place of an output.
pub(crate) enum Place {
    /// A name in a folder, which may be that of an existing regular file.
    Name { folder: PathBuf, name: OsString },
    /// An existing pipe or character device, which is not replaced.
    Stream(File),
}

/// Maximum number of symlinks, as in Linux.
const MOST_SYMLINKS: usize = 40;

/// Finds the place of an output. Symlinks are followed, so their target is replaced or created.
pub(crate) fn find(path: &Path) -> Result<Place, AssemblyError> {
    match resolve(path)? {
        Resolved::Name { folder, name } => Ok(Place::Name { folder, name }),
        Resolved::Stream(_) => {
            let opened = OpenOptions::new().write(true).open(path);
            opened.map(Place::Stream).map_err(|error| AssemblyError::output(path, error))
        }
    }
}

/// The same as [`Place`], but not opened. To open a named pipe would wait for its reader.
pub(crate) enum Resolved {
    Name { folder: PathBuf, name: OsString },
    Stream(Metadata),
}

/// Finds the place of an output without opening it. Symlinks are followed.
pub(crate) fn resolve(path: &Path) -> Result<Resolved, AssemblyError> {
    let refused = |refusal| AssemblyError::refused(path, refusal);
    let failed = |error| AssemblyError::output(path, error);
    match fs::metadata(path) {
        Ok(found) if found.is_file() => name_of(&fs::canonicalize(path).map_err(failed)?).map_err(refused),
        Ok(found) => match no_output(found.file_type()) {
            Some(refusal) => Err(refused(refusal)),
            None => Ok(Resolved::Stream(found)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let end = end_of_symlinks(path).map_err(refused)?;
            name_of(&end).map_err(refused)
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(refused(Refusal::NoFolder)),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Err(refused(Refusal::SymlinkLoop))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The reason why an existing file is not suitable as an output; `None` for pipes and character devices.
fn no_output(found: FileType) -> Option<Refusal> {
    if found.is_dir() {
        Some(Refusal::Directory)
    } else if found.is_block_device() {
        Some(Refusal::UnaskedDevice)
    } else if found.is_socket() {
        Some(Refusal::Socket)
    } else {
        None
    }
}

/// The path of the missing file that symlinks lead to.
fn end_of_symlinks(path: &Path) -> Result<PathBuf, Refusal> {
    let mut at = path.to_path_buf();
    for _ in 0..MOST_SYMLINKS {
        let Ok(target) = fs::read_link(&at) else { return Ok(at) };
        at = at.parent().expect("invariant: a symlink has a name").join(target);
    }
    Err(Refusal::SymlinkLoop)
}

fn name_of(path: &Path) -> Result<Resolved, Refusal> {
    let bytes = path.as_os_str().as_bytes();
    let is_folder = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
    let name = path.file_name().filter(|_| !is_folder).ok_or(Refusal::NoName)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok(Resolved::Name { folder, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The folder and the name of an output.
    fn name(path: &Path) -> (PathBuf, OsString) {
        match resolve(path).unwrap() {
            Resolved::Name { folder, name } => (folder, name),
            Resolved::Stream(_) => panic!("a stream"),
        }
    }

    fn refusal(path: &Path) -> Refusal {
        match resolve(path) {
            Err(AssemblyError::Refused { refusal, .. }) => refusal,
            _ => panic!("not refused: {}", path.display()),
        }
    }

    #[test]
    fn an_output_has_a_name_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).map(|path| (path, folder)).unwrap();
        let at = |name: &str| folder.0.join(name);
        fs::write(at("file"), "").unwrap();
        fs::create_dir(at("below")).unwrap();
        symlink("below/target", at("link")).unwrap();
        symlink("link", at("second")).unwrap();
        for (path, parent, last) in [
            ("file", "", "file"),
            ("new", "", "new"),
            ("below/../file", "", "file"),
            ("link", "below", "target"),
            ("second", "below", "target"),
        ] {
            let (found, name) = name(&at(path));
            assert_eq!(
                (fs::canonicalize(found).unwrap(), name),
                (fs::canonicalize(at(parent)).unwrap(), last.into())
            );
        }
        assert_eq!(name(Path::new("surely-new")), (".".into(), "surely-new".into()));
        assert_eq!(name(Path::new("/surely-new")), ("/".into(), "surely-new".into()));
    }

    #[test]
    fn what_can_be_no_output_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("circle", at("circle")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (path, expected) in [
            (at(""), Refusal::Directory),
            (at("new/"), Refusal::NoName),
            (at("new/."), Refusal::NoName),
            (at("file/new"), Refusal::NoFolder),
            (at("circle"), Refusal::SymlinkLoop),
            (at("socket"), Refusal::Socket),
        ] {
            assert_eq!(refusal(&path), expected, "{}", path.display());
        }
        // The error of the system is another one.
        let long = at(&"n".repeat(300));
        assert!(matches!(resolve(&long), Err(AssemblyError::Output { .. })));
    }

    #[test]
    fn a_chain_of_symlinks_may_have_forty_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |number: usize| folder.path().join(number.to_string());
        for number in 1..=41 {
            symlink(at(number - 1), at(number)).unwrap();
        }
        assert_eq!(name(&at(39)).1, "0");
        assert_eq!(refusal(&at(41)), Refusal::SymlinkLoop);
    }

    #[test]
    fn a_character_device_is_a_stream() {
        assert!(matches!(resolve(Path::new("/dev/null")), Ok(Resolved::Stream(_))));
        assert!(matches!(find(Path::new("/dev/null")), Ok(Place::Stream(_))));
        assert!(matches!(find(Path::new("surely-new")), Ok(Place::Name { .. })));
    }
}
