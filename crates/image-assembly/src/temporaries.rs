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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::pending::{Pending, Unnamed};

    const FOLDER: &str = "IMAGE_ASSEMBLY_TEMPORARIES";

    /// A process that ends early leaves no temporary name, and makes none while it ends.
    #[test]
    fn a_process_that_ends_removes_its_temporary_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "temporaries::tests::child", "--ignored"]).env(FOLDER, folder.path());
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].to_string_lossy().starts_with(".complete.") && names[1] == "complete");
    }

    /// Not a test: another one runs it in a process of its own.
    #[test]
    #[ignore = "run by another test"]
    fn child() {
        let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
        let create = |name: &str| Pending::create(&folder, OsStr::new(name), Unnamed::Never).unwrap();
        let pending = [create("first"), create("second")];
        create("complete").publish(false).unwrap();
        drop(create("dropped"));
        // Another process may use the name that a complete file had until then.
        let earlier = format!(".complete.snugfs-{}-0", std::process::id());
        std::fs::write(folder.join(earlier), "").unwrap();
        remove_temporaries();
        let (sender, receiver) = mpsc::channel();
        let folder = folder.clone();
        std::thread::spawn(move || {
            let late = Pending::create(&folder, OsStr::new("late"), Unnamed::Never);
            let _ = sender.send(late.is_ok());
        });
        assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "a name after the end");
        // Without their destructors.
        std::mem::forget(pending);
        std::process::exit(0);
    }
}
