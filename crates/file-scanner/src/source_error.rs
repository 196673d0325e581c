use image_tree::{Explain, Explanation, explained_errors};

use crate::error::ErrorKind;

/// Why a scanned file can't be read again. Paths are on this machine and escaped for one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// It, or a directory above it, is gone.
    Vanished {
        /// The file.
        path: String,
    },
    /// A symlink or something else stands where the file or a directory above it was.
    Replaced {
        /// The file.
        path: String,
    },
    /// Its length or its time is another.
    Changed {
        /// The file.
        path: String,
    },
    /// The system says no.
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No descriptors are left.
    TooManyOpen {
        /// The file.
        path: String,
    },
    /// The node of the tree has no bytes.
    NotAFile {
        /// In the image.
        path: String,
    },
}

impl SourceError {
    /// What sort of mistake this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAFile { .. } => ErrorKind::Internal,
            _ => ErrorKind::Source,
        }
    }
}

impl Explain for SourceError {
    fn explain(&self) -> Explanation {
        const LEAVE: &str = "leave the sources alone while an image is built";
        match self {
            Self::Vanished { path } => Explanation::new(path, "vanished after the scan", LEAVE),
            Self::Replaced { path } => Explanation::new(path, "was replaced after the scan", LEAVE),
            Self::Changed { path } => Explanation::new(path, "changed after the scan", LEAVE),
            Self::Unreadable { path, reason, remedy } => {
                Explanation::new(path, format!("can't be opened: {reason}"), *remedy)
            }
            Self::TooManyOpen { path } => Explanation::new(
                path,
                "can't be opened, all file descriptors are in use",
                "raise the limit (ulimit -n)",
            ),
            Self::NotAFile { path } => {
                Explanation::new(path, "is no regular file of the image", "please report this as a bug")
            }
        }
    }
}

explained_errors!(SourceError);
