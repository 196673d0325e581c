use std::path::Path;

use crate::Key;
use crate::entry::Frame;
use crate::error::CacheError;
use crate::folder::Folder;

/// A folder of frames that is only read. It is trusted, whoever owns it.
#[derive(Debug)]
pub struct Layer(Folder);

impl Layer {
    /// Opens a folder.
    ///
    /// # Errors
    /// If it has no frames.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let folder = Folder::of(path);
        if folder.exists() { Ok(Self(folder)) } else { Err(CacheError::NoFrames { path: path.to_owned() }) }
    }

    /// The frame with a key. Every byte of it was read and checked; a damaged one is not returned.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Frame> {
        self.0.get(key).ok().flatten()
    }
}
