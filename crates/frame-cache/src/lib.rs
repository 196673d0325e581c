//! Keeps compressed frames of images in a folder, so that the next image with the same contents neither reads nor
//! compresses them.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! use frame_cache::FrameCache;
//!
//! let cache = FrameCache::open(&folder.path().join("cache"), 10 << 30)?;
//! let (key, frame) = ([7; 32], [1; 4096]);
//! cache.put(&key, 4000, &frame);
//! assert_eq!(cache.get(&key).unwrap().len, 4096);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The invariants of this crate:
//!
//! - [`FrameCache::get`] returns only what [`FrameCache::put`] kept under the same key: each entry has its key and a checksum.
//!   A damaged entry is not returned, and the next `put` replaces it.
//! - An entry appears complete or not at all, also if several programs use the folder, or one is killed.
//! - A full disk or a failing folder is no error: the frames are not kept.
//! - The folder stays below its limit, except for entries of programs that still run.
//!
//! What it can't notice is an entry that was forged: its folder belongs to the user, and nobody else may write to it.
//!
//! | module | what |
//! |---|---|
//! | `entry` | the bytes of an entry |
//! | `folder` | the names of entries, and how one appears |
//! | `cache` | a folder with a limit |
//! | `layer` | a folder that is only read |
//! | `temporaries` | what is removed if the process ends early |

mod cache;
mod entry;
mod error;
mod folder;
mod layer;
mod temporaries;

pub use cache::{FrameCache, Statistics};
pub use entry::Frame;
pub use error::CacheError;
pub use layer::Layer;
pub use temporaries::{Temporary, remove_temporaries};

/// A key: a digest of everything that decides the bytes of a frame.
pub type Key = [u8; 32];
