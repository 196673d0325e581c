use image_tree::{Explain, Explanation, explained_errors};

use crate::error::ErrorKind;

/// The error if a scanned file can't be read again. Paths are those on this machine, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// The file, or a directory above it, was removed.
    Vanished {
        /// The file.
        path: String,
    },
    /// The file, or a directory above it, was replaced by something else.
    Replaced {
        /// The file.
        path: String,
    },
    /// Its length or its modification time changed.
    Changed {
        /// The file.
        path: String,
    },
    /// A system call failed.
    Unreadable {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Too many open files.
    TooManyOpen {
        /// The file.
        path: String,
    },
    /// The node is not a file.
    NotAFile {
        /// In the image.
        path: String,
    },
}

impl SourceError {
    /// The kind of the error.
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
