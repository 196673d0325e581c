//! The store of a closure, as boot loaders see it.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use boot_loaders::{PROGRAM_HEAD, Store, StoreError};
use closure_registration::Closure;
use image_tree::{io_reason, to_u64};
use snugfs_plan::ClosurePlan;

/// The longest file that is read, in \[bytes\]. A bootspec with a hundred specialisations has about 200 KiB.
const MAX_BYTES: u64 = 16 << 20;
/// Linux follows as many symlinks (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// The store of a closure: its paths on the machine are below `store_dir`, and on this one below `source_dir`.
pub(super) struct ClosureStore<'c> {
    store_dir: String,
    source_dir: &'c Path,
    names: BTreeSet<&'c str>,
}

/// Why a path leads to no file.
enum Lost {
    /// There is no such file.
    Missing,
    Other(StoreError),
}

impl<'c> ClosureStore<'c> {
    pub(super) fn new(planned: &'c ClosurePlan, closure: &'c Closure) -> Self {
        Self {
            store_dir: String::from_utf8_lossy(planned.store_dir.as_bytes()).into_owned(),
            source_dir: &planned.source_dir,
            names: closure.paths().iter().map(|info| info.path.as_str()).collect(),
        }
    }

    /// The names of a path below the store, without symlinks.
    fn walk(&self, path: &str) -> Result<Vec<String>, Lost> {
        let mut open = self.names_of(path)?;
        let mut found: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(name) = open.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    found.pop();
                    continue;
                }
                _ => {}
            }
            if found.is_empty() && !self.names.contains(name.as_str()) {
                let what = format!("{}/{name} is not in the closure", self.store_dir);
                return Err(Lost::Other(error(what, "add it to the closure, or correct the system")));
            }
            found.push(name);
            let here = self.here(&found);
            let Some(target) = link(&here)? else { continue };
            links += 1;
            if links > MAX_LINKS {
                return Err(Lost::Other(error("is a loop of symlinks", "correct the system")));
            }
            if target.starts_with('/') {
                found.clear();
                open.extend(self.names_of(&target)?);
            } else {
                found.pop();
                open.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        Ok(found)
    }

    /// The names of an absolute path below the store, the last one first.
    fn names_of(&self, path: &str) -> Result<Vec<String>, Lost> {
        let below = path.strip_prefix(self.store_dir.as_str()).and_then(|below| below.strip_prefix('/'));
        let below = below.ok_or_else(|| {
            Lost::Other(error(format!("is not in the store {}", self.store_dir), "correct the system"))
        })?;
        Ok(below.split('/').rev().map(str::to_owned).collect())
    }

    fn here(&self, names: &[String]) -> PathBuf {
        names.iter().fold(self.source_dir.to_owned(), |at, name| at.join(name))
    }
}

/// The target of a symlink, or `None` for another existing file.
fn link(path: &Path) -> Result<Option<String>, Lost> {
    let metadata = std::fs::symlink_metadata(path).map_err(|reason| lost(&reason))?;
    if !metadata.is_symlink() {
        return Ok(None);
    }
    let target = std::fs::read_link(path).map_err(|reason| lost(&reason))?;
    let target = target.into_os_string().into_string();
    target
        .map(Some)
        .map_err(|_| Lost::Other(error("is a symlink to a path that is not UTF-8", "correct the system")))
}

fn lost(reason: &io::Error) -> Lost {
    match reason.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Lost::Missing,
        _ => Lost::Other(unreadable(reason)),
    }
}

fn unreadable(reason: &io::Error) -> StoreError {
    error(format!("can't be read: {}", io_reason(reason)), "check its permissions and its disk")
}

fn error(what: impl Into<String>, help: &str) -> StoreError {
    StoreError { what: what.into(), help: help.to_owned() }
}

impl Store for ClosureStore<'_> {
    fn resolve(&self, path: &str) -> Result<Option<String>, StoreError> {
        match self.walk(path) {
            Ok(names) => {
                Ok(Some(names.iter().fold(self.store_dir.clone(), |path, name| format!("{path}/{name}"))))
            }
            Err(Lost::Missing) => Ok(None),
            Err(Lost::Other(error)) => Err(error),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let names = match self.walk(path) {
            Ok(names) => names,
            Err(Lost::Missing) => return Ok(None),
            Err(Lost::Other(error)) => return Err(error),
        };
        let here = self.here(&names);
        if !std::fs::symlink_metadata(&here).map_err(|reason| unreadable(&reason))?.is_file() {
            return Err(error("is not a file", "correct the system"));
        }
        let bytes = start_of(&here, MAX_BYTES + 1).map_err(|reason| unreadable(&reason))?;
        if to_u64(bytes.len()) > MAX_BYTES {
            return Err(error(format!("has more than {MAX_BYTES} bytes"), "correct the system"));
        }
        Ok(Some(bytes))
    }

    fn is_directory(&self, path: &str) -> bool {
        self.walk(path).is_ok_and(|names| self.here(&names).is_dir())
    }

    fn head(&self, file: &Path) -> Result<Vec<u8>, StoreError> {
        start_of(file, to_u64(PROGRAM_HEAD)).map_err(|reason| {
            error(format!("can't be read: {}", io_reason(&reason)), "create it or correct the path")
        })
    }
}

fn start_of(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
