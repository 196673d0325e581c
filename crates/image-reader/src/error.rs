use std::io;

/// Why something in an image, or an image, can't be read. Displayed as `WHERE: what is wrong; what to do`, but that
/// WHERE does not name the image itself, which the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system did not let it be read.
    #[error("{}{}", at(.place), told(.reason))]
    Io {
        /// What was read; empty for the image itself.
        place: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It contradicts itself or its format.
    #[error("{}{what}; the image is damaged or incomplete", at(.place))]
    Damaged {
        /// Which structure.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// It is of a kind that is not read.
    #[error("{}{what}", at(.place))]
    Unsupported {
        /// What it is; empty for the image itself.
        place: String,
        /// Why it is not read; what to do.
        what: String,
    },
    /// It costs more than an image of its length can: whoever goes through all files ends here.
    #[error("{}{what}; reading was stopped", at(.place))]
    TooMuch {
        /// Which structure was to be read.
        place: String,
        /// Why so much is to be read; what to do.
        what: &'static str,
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

    pub(crate) fn too_much(place: impl Into<String>, what: &'static str) -> Self {
        Self::TooMuch { place: place.into(), what }
    }

    /// Whether all that is still to be read would fail in the same way.
    pub fn ends_all(&self) -> bool {
        matches!(self, Self::TooMuch { .. })
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

fn at(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!("{place}: ") }
}

/// What the system says and what to do about it.
fn told(error: &io::Error) -> String {
    let help = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            return "lies beyond the end; the image is damaged or incomplete".to_owned();
        }
        io::ErrorKind::NotFound => "name an image that exists",
        io::ErrorKind::PermissionDenied => "see that you may read it",
        _ => "see that its disk is sound",
    };
    format!("{}; {help}", plain(error))
}

fn near(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => "; list what is there with `ls`".to_owned(),
    }
}
