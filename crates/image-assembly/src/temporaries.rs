//! The temporary names that the process has given out: whoever ends it early can have them gone.
//!
//! The invariant: a temporary name is made, renamed and removed only under the lock, so that whoever holds it sees
//! all there are.

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

/// Removes what has a temporary name so far, and keeps every thread from making more names or giving a file its final
/// one: for a thread that ends the process afterwards.
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
        // Nobody is left to be told.
        let _ = rustix::fs::unlinkat(&*self.0.folder, &self.0.name, AtFlags::empty());
    }
}

impl Temporaries {
    pub(crate) fn lock() -> Self {
        Self(ALL.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes down a name that was just made.
    pub(crate) fn add(&mut self, folder: &Arc<OwnedFd>, name: OsString) -> Temporary {
        let temporary = Temporary(Arc::new(Place { folder: Arc::clone(folder), name }));
        self.0.push(temporary.clone());
        temporary
    }

    /// The name is no temporary one any more.
    pub(crate) fn forget(&mut self, temporary: &Temporary) {
        self.0.retain(|other| !Arc::ptr_eq(&other.0, &temporary.0));
    }

    /// Removes the file of a name, and the name.
    pub(crate) fn remove(&mut self, temporary: &Temporary) {
        temporary.unlink();
        self.forget(temporary);
    }
}
