use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a folder can't be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheError {
    /// The system refuses.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The folder belongs to another user, who could forge entries.
    Owner {
        /// The folder.
        path: PathBuf,
        /// The user id of the owner.
        owner: u32,
    },
    /// Other users may write to the folder.
    Writable {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder has no frames.
    NoFrames {
        /// The folder.
        path: PathBuf,
    },
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Owner { path, owner } => write!(f, "{}: belongs to user {owner}", path.display()),
            Self::Writable { path, mode } => {
                write!(f, "{}: other users may write to it (mode {mode:04o})", path.display())
            }
            Self::NoFrames { path } => write!(f, "{}: has no frames", path.display()),
        }
    }
}

impl std::error::Error for CacheError {}
