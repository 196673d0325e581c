use crate::error::ErrorKind;

/// Why a scanned file can't be read again. Paths are on this machine and escaped for one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It, or a directory above it, is gone.
    #[error("{path}: vanished after the scan; leave the sources alone while an image is built")]
    Vanished {
        /// The file.
        path: String,
    },
    /// A symlink or something else stands where the file or a directory above it was.
    #[error("{path}: was replaced after the scan; leave the sources alone while an image is built")]
    Replaced {
        /// The file.
        path: String,
    },
    /// Its length or its time is another.
    #[error("{path}: changed after the scan; leave the sources alone while an image is built")]
    Changed {
        /// The file.
        path: String,
    },
    /// The system says no.
    #[error("{path}: can't be opened: {reason}; {remedy}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No descriptors are left.
    #[error("{path}: can't be opened, all file descriptors are in use; raise the limit (ulimit -n)")]
    TooManyOpen {
        /// The file.
        path: String,
    },
    /// The node of the tree has no bytes.
    #[error("{path}: is no regular file of the image; please report this as a bug")]
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
