//! Images as independent zstd frames, which can be kept and used again: a store path has the same frames in every image.
//!
//! | module | what |
//! |---|---|
//! | `cut` | where frames begin and end |
//! | `list` | frames with their pieces |
//! | `key` | what decides the bytes of a compressed frame |
//! | `compress` | one frame |
//! | `order` | frames done by many threads, written in order |
//! | `pipeline` | everything together |

mod compress;
mod cut;
mod key;
mod list;
mod order;
mod pipeline;

use std::fmt;
use std::fs::File;

use image_tree::FileRef;

pub use cut::Unit;
pub use key::FrameKey;
pub(crate) use pipeline::{FrameJob, FrameOutput, write};

/// What is known of the files of an image without reading them.
pub trait FrameSource: Sync {
    /// The unit of a file. The files of a unit follow one another in the image.
    fn unit(&self, file: FileRef) -> Unit;

    /// Appends something that determines the contents of a file, for example the NAR hash of its store path and its path
    /// in that. False if the contents must be read to know them.
    fn identify(&self, file: FileRef, identity: &mut Vec<u8>) -> bool {
        let _ = (file, identity);
        false
    }
}

/// What is known of an image's files, and where compressed frames are kept.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    /// What is known of the files. `&()` knows nothing.
    pub source: &'a dyn FrameSource,
    /// Where frames are kept, if anywhere.
    pub store: Option<&'a dyn FrameStore>,
}

impl fmt::Debug for Frames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("has_store", &self.store.is_some()).finish_non_exhaustive()
    }
}

impl Default for Frames<'_> {
    /// Nothing is known or kept.
    fn default() -> Self {
        Self { source: &(), store: None }
    }
}

/// Every file is a unit, and must be read.
impl FrameSource for () {
    fn unit(&self, file: FileRef) -> Unit {
        let hash = u64::try_from(file.node.index()).unwrap_or(u64::MAX);
        Unit { first: file, hash: hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 }
    }
}

/// Keeps compressed frames. It never fails: without a frame, it is made anew.
pub trait FrameStore: Sync {
    /// The frame with a key, complete and undamaged.
    fn get(&self, key: &FrameKey) -> Option<StoredFrame>;

    /// Keeps a frame of `len` \[bytes\], and what fills its last block.
    fn put(&self, key: &FrameKey, len: u64, frame: &[u8]);
}

/// A frame at the start of a file.
#[derive(Debug)]
pub struct StoredFrame {
    /// The file.
    pub file: File,
    /// Length of the zstd frame in \[bytes\].
    pub frame: u64,
    /// Length with the skippable frame that fills the last block, in \[bytes\].
    pub len: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::file;

    #[test]
    fn without_a_source_every_file_is_a_unit_with_a_hash_of_its_own() {
        let unit = |index| ().unit(file(index));
        assert_eq!(unit(1), Unit { first: file(1), hash: 0x9e37_79b9 });
        assert_eq!(unit(2), Unit { first: file(2), hash: 0x3c6e_f372 });
        let mut identity = Vec::new();
        assert!(!().identify(file(1), &mut identity) && identity.is_empty());
    }
}
