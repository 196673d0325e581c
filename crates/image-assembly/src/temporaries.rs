//! The temporary names of this process, so that they can be removed when it ends early.
//!
//! The invariant: a temporary name is created, renamed and removed only under the lock, so its holder sees all of them.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::AtFlags;

static ALL: Mutex<Vec<Temporary>> = Mutex::new(Vec::new());

/// A name in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Temporary(Arc<Place>);

#[derive(Debug)]
struct Place {
    folder: Arc<OwnedFd>,
    name: OsString,
}

/// All temporary names, locked.
#[derive(Debug)]
pub(crate) struct Temporaries(MutexGuard<'static, Vec<Temporary>>);

/// Removes all files with temporary names. Then no thread can create such a name or give a file its final name, so the caller
/// must end the process.
pub fn remove_temporaries() {
    let mut temporaries = Temporaries::lock();
    while let Some(temporary) = temporaries.0.pop() {
        temporary.unlink();
    }
    std::mem::forget(temporaries);
}

impl Temporary {
    pub(crate) fn name(&self) -> &OsStr {
        &self.0.name
    }

    fn unlink(&self) {
        // Ignored: there is nothing to do about it.
        let _ = rustix::fs::unlinkat(&*self.0.folder, &self.0.name, AtFlags::empty());
    }
}

impl Temporaries {
    pub(crate) fn lock() -> Self {
        Self(ALL.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a name that was just created.
    pub(crate) fn add(&mut self, folder: &Arc<OwnedFd>, name: OsString) -> Temporary {
        let temporary = Temporary(Arc::new(Place { folder: Arc::clone(folder), name }));
        self.0.push(temporary.clone());
        temporary
    }

    /// Forgets a name that is no longer temporary.
    pub(crate) fn forget(&mut self, temporary: &Temporary) {
        self.0.retain(|other| !Arc::ptr_eq(&other.0, &temporary.0));
    }

    /// Removes the file of a name, and forgets the name.
    pub(crate) fn remove(&mut self, temporary: &Temporary) {
        temporary.unlink();
        self.forget(temporary);
    }
}
