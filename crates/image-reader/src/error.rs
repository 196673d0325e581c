use std::io;

/// Why something in an image, or an image, can't be read. Displayed as `WHERE: what is wrong; what to do`, but that
/// WHERE does not name the image itself, which the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system did not let it be read.
    #[error("{place}: {}; see that it is readable and its disk sound", plain(.reason))]
    Io {
        /// What was read.
        place: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It contradicts itself or its format.
    #[error("{place}: {what}; the image is damaged or incomplete")]
    Damaged {
        /// Which structure.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// It is of a kind that is not read.
    #[error("{place}: {what}")]
    Unsupported {
        /// What it is.
        place: String,
        /// Why it is not read; what to do.
        what: String,
    },
    /// A path that is not in the file system.
    #[error("{path}: not in the image{}", near(.nearest.as_deref()))]
    NotFound {
        /// The path, escaped.
        path: String,
        /// The path, escaped, that may have been meant.
        nearest: Option<String>,
    },
    /// A path that leads through or to the wrong kind of file.
    #[error("{path}: {what}")]
    WrongKind {
        /// The path, escaped.
        path: String,
        /// What it is; what to do.
        what: &'static str,
    },
}

impl ReadError {
    pub(crate) fn damaged(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), what: what.into() }
    }

    pub(crate) fn unsupported(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unsupported { place: place.into(), what: what.into() }
    }

    pub(crate) fn io(place: impl Into<String>, reason: io::Error) -> Self {
        Self::Io { place: place.into(), reason }
    }
}

/// What the system says, as the middle of a sentence.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn near(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => "; list what is there with `ls`".to_owned(),
    }
}
