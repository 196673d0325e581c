use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Key;
use crate::entry::{self, Frame};
use crate::error::CacheError;
use crate::folder::{Folder, Written};

/// Backup programs skip a folder with this file (<https://bford.info/cachedir/>).
const TAG: (&str, &str) = ("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");

/// What a cache did.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Frames that were found.
    pub found: u64,
    /// Frames that were not there.
    pub missing: u64,
    /// Entries that were damaged.
    pub damaged: u64,
    /// Frames that were added.
    pub added: u64,
    /// Frames that were not added because the limit is reached.
    pub omitted: u64,
    /// Why no more frames are added.
    pub error: Option<io::Error>,
}

/// A folder of frames with a limit.
#[derive(Debug)]
pub struct FrameCache {
    folder: Folder,
    /// Of all entries, in \[bytes\].
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The length of all entries in \[bytes\], as far as it is known.
    len: u64,
    /// The entries that this program used, which it does not remove.
    used: HashSet<PathBuf>,
    /// Entries that are published at the end; `None` if each is published at once.
    held: Option<Vec<Written>>,
    statistics: Statistics,
}

impl FrameCache {
    /// Opens a folder, or creates it for the user alone. `limit` is the most that its entries may take, in \[bytes\].
    ///
    /// # Errors
    /// If the folder can't be created, belongs to another user, or if others may write to it.
    pub fn open(path: &Path, limit: u64) -> Result<Self, CacheError> {
        let failed = |error| CacheError::Folder { path: path.to_owned(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        check_owner(path)?;
        let folder = Folder::of(path);
        folder.create().map_err(failed)?;
        check_owner(&path.join("frames-1"))?;
        let tag = path.join(TAG.0);
        if !tag.exists() {
            // Without it, the cache works as well.
            let _ = fs::write(tag, TAG.1);
        }
        let len = folder.entries().map_err(failed)?.iter().map(|entry| entry.len).sum();
        Ok(Self::with(folder, limit, len))
    }

    /// Makes a folder for a [`crate::Layer`]: without a limit, and others may read it.
    ///
    /// # Errors
    /// If the folder can't be created.
    pub fn create_layer(path: &Path) -> Result<Self, CacheError> {
        let folder = Folder::shared(path);
        folder.create().map_err(|error| CacheError::Folder { path: path.to_owned(), error })?;
        Ok(Self::with(folder, u64::MAX, 0))
    }

    fn with(folder: Folder, limit: u64, len: u64) -> Self {
        let state = State { len, used: HashSet::new(), held: None, statistics: Statistics::default() };
        Self { folder, limit, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The frame with a key. Every byte of it was read and checked.
    pub fn get(&self, key: &Key) -> Option<Frame> {
        let found = self.folder.get(key);
        let mut state = self.state();
        match found {
            Ok(Some(frame)) => {
                state.statistics.found += 1;
                state.used.insert(self.folder.path(key));
                drop(state);
                Folder::touch(&frame.file);
                return Some(frame);
            }
            Ok(None) => state.statistics.missing += 1,
            Err(_) => state.statistics.damaged += 1,
        }
        None
    }

    /// Keeps a frame. `frame` is its length without what fills its last block, in \[bytes\].
    pub fn put(&self, key: &Key, frame: u64, bytes: &[u8]) {
        let len = entry::len(bytes);
        {
            let mut state = self.state();
            if state.statistics.error.is_some() {
                return;
            }
            if state.len.saturating_add(len) > self.limit {
                // A tenth at once, so that this is rare.
                self.remove_oldest(&mut state, self.limit - self.limit / 10);
                if state.len.saturating_add(len) > self.limit {
                    state.statistics.omitted += 1;
                    return;
                }
            }
            state.len += len;
        }
        let written = self.folder.write(key, frame, bytes);
        let mut state = self.state();
        let kept = match (written, &mut state.held) {
            (Ok(written), Some(held)) => {
                held.push(written);
                Ok(())
            }
            (Ok(written), None) => written.publish(),
            (Err(error), _) => Err(error),
        };
        match kept {
            Ok(()) => {
                state.statistics.added += 1;
                state.used.insert(self.folder.path(key));
            }
            Err(error) => state.statistics.error = Some(error),
        }
    }

    /// Keeps frames back from now on, until [`Self::publish`]: they could turn out to be wrong. Without it, they are removed.
    pub fn hold(&self) {
        self.state().held.get_or_insert_default();
    }

    /// Publishes the frames that were kept back.
    pub fn publish(&self) {
        let mut state = self.state();
        for written in state.held.take().unwrap_or_default() {
            if let Err(error) = written.publish() {
                state.statistics.error.get_or_insert(error);
            }
        }
    }

    /// Removes entries that this program did not use, the longest unused first, until all are at most `most` \[bytes\].
    fn remove_oldest(&self, state: &mut State, most: u64) {
        let Ok(mut entries) = self.folder.entries() else { return };
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        state.len = entries.iter().map(|entry| entry.len).sum();
        for entry in &entries {
            if state.len <= most {
                break;
            }
            if !state.used.contains(&entry.path) && fs::remove_file(&entry.path).is_ok() {
                state.len -= entry.len;
            }
        }
    }

    /// Ends the use of the folder: removes the entries that were not used for the longest time, if they are too many.
    pub fn finish(self) -> Statistics {
        let mut state = self.state();
        self.remove_oldest(&mut state, self.limit);
        std::mem::take(&mut state.statistics)
    }
}

fn check_owner(path: &Path) -> Result<(), CacheError> {
    let found = fs::metadata(path).map_err(|error| CacheError::Folder { path: path.to_owned(), error })?;
    let path = || PathBuf::from(path);
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(CacheError::Owner { path: path(), owner: found.uid() });
    }
    if found.mode() & 0o022 != 0 {
        return Err(CacheError::Writable { path: path(), mode: found.mode() & 0o7777 });
    }
    Ok(())
}
