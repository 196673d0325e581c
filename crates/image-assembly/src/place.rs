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
