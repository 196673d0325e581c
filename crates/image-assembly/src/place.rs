//! What an output's path leads to, decided before anything is written.

use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{AssemblyError, Refusal};

/// Where an image goes.
pub(crate) enum Place {
    /// To a name in a folder, where a regular file may stand already.
    Name { folder: PathBuf, name: OsString },
    /// Into a pipe or a character device, which is there to stay.
    Stream(File),
}

/// As many symlinks as Linux itself follows.
const MOST_SYMLINKS: usize = 40;

/// Follows symlinks, so that a link stays and the file it leads to is replaced or made.
pub(crate) fn find(path: &Path) -> Result<Place, AssemblyError> {
    match leads_to(path)? {
        Leads::ToName { folder, name } => Ok(Place::Name { folder, name }),
        Leads::ToStream(_) => {
            let opened = OpenOptions::new().write(true).open(path);
            opened.map(Place::Stream).map_err(|error| AssemblyError::output(path, error))
        }
    }
}

/// The same as [`Place`], with nothing opened: to open a named pipe would wait for its reader.
pub(crate) enum Leads {
    ToName { folder: PathBuf, name: OsString },
    ToStream(Metadata),
}

/// Follows symlinks to a name in a folder, or to a pipe or a character device.
pub(crate) fn leads_to(path: &Path) -> Result<Leads, AssemblyError> {
    let refused = |refusal| AssemblyError::refused(path, refusal);
    let failed = |error| AssemblyError::output(path, error);
    match fs::metadata(path) {
        Ok(found) if found.is_file() => name_of(&fs::canonicalize(path).map_err(failed)?).map_err(refused),
        Ok(found) => match no_output(found.file_type()) {
            Some(refusal) => Err(refused(refusal)),
            None => Ok(Leads::ToStream(found)),
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

/// Why an image does not go into what exists there; `None` for pipes and character devices.
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

/// The path that a symlink to nothing stands for.
fn end_of_symlinks(path: &Path) -> Result<PathBuf, Refusal> {
    let mut at = path.to_path_buf();
    for _ in 0..MOST_SYMLINKS {
        let Ok(target) = fs::read_link(&at) else { return Ok(at) };
        at = at.parent().expect("invariant: a symlink has a name").join(target);
    }
    Err(Refusal::SymlinkLoop)
}

fn name_of(path: &Path) -> Result<Leads, Refusal> {
    let bytes = path.as_os_str().as_bytes();
    let is_folder = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
    let name = path.file_name().filter(|_| !is_folder).ok_or(Refusal::NoName)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok(Leads::ToName { folder, name: name.to_owned() })
}
