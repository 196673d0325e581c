//! Temporary files and folders of this process, so that they can be removed when it ends early.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ALL: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn all() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that does not have its final name yet. Without [`Self::publish`], it is removed.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// A path that the caller is about to create.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        all().insert(path.clone());
        Self(path)
    }

    /// The temporary path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it its final name.
    ///
    /// # Errors
    /// If the system refuses. Then it is removed.
    pub fn publish(self, path: &Path) -> std::io::Result<()> {
        let mut all = all();
        fs::rename(&self.0, path)?;
        all.remove(&self.0);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if all().remove(&self.0) {
            remove(&self.0);
        }
    }
}

fn remove(path: &Path) {
    // There is nothing to do about an error.
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

/// Removes everything that is temporary. Then no thread can create or publish anything, so the caller must end the process.
pub fn remove_temporaries() {
    let mut all = all();
    while let Some(path) = all.pop_first() {
        remove(&path);
    }
    std::mem::forget(all);
}
