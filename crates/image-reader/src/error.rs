use std::io;

use image_tree::{Explain, Explanation, explained_errors, io_reason};

/// Why something in an image, or an image, can't be read. What it is about does not name the image itself, which the
/// caller knows.
#[derive(Debug)]
pub enum ReadError {
    /// The system did not let it be read.
    Io {
        /// What was read; empty for the image itself.
        place: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It contradicts itself or its format.
    Damaged {
        /// Which structure.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// It is of a kind that is not read.
    Unsupported(Explanation),
    /// A partition was asked for that is not there.
    NoPartition {
        /// The number that was asked for.
        number: u32,
        /// Those that are there.
        numbers: Vec<u32>,
    },
    /// No partition has a file system that is read.
    NoFileSystem,
    /// It costs more than an image of its length can: whoever goes through all files ends here.
    TooMuch {
        /// Which structure was to be read.
        place: String,
        /// Why so much is to be read.
        what: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// A path that is not in the file system.
    NotFound {
        /// The path, escaped.
        path: String,
        /// The path, escaped, that may have been meant.
        nearest: Option<String>,
    },
    /// A path that leads through or to the wrong kind of file.
    WrongKind {
        /// The path, escaped.
        path: String,
        /// What it is.
        what: &'static str,
        /// What to do.
        help: &'static str,
    },
}

const DAMAGED: &str = "the image is damaged or incomplete";

impl ReadError {
    pub(crate) fn damaged(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), what: what.into() }
    }

    pub(crate) fn unsupported(
        place: impl Into<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self::Unsupported(Explanation::new(place, what, help))
    }

    pub(crate) fn too_much(place: impl Into<String>, what: &'static str, help: &'static str) -> Self {
        Self::TooMuch { place: place.into(), what, help }
    }

    /// Whether all that is still to be read would fail in the same way.
    pub fn ends_all(&self) -> bool {
        matches!(self, Self::TooMuch { .. })
    }

    pub(crate) fn io(place: impl Into<String>, reason: io::Error) -> Self {
        let place = place.into();
        // What decompresses an image on the way gives its own errors as those of the system.
        match reason.downcast::<Self>() {
            Ok(error) => Self::Unsupported(error.explain().within(&place)),
            Err(reason) => Self::Io { place, reason },
        }
    }
}

impl Explain for ReadError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Io { place, reason } => unread(place, reason),
            Self::Damaged { place, what } => Explanation::new(place, what, DAMAGED),
            Self::Unsupported(explanation) => explanation.clone(),
            Self::NoPartition { number, numbers } => {
                let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
                let (what, help) = if numbers.is_empty() {
                    ("the image has no partitions", "ask for no partition".to_owned())
                } else {
                    ("there is no such partition", format!("choose one of {}", numbers.join(", ")))
                };
                Explanation::new(format!("partition {number}"), what, help)
            }
            Self::NoFileSystem => {
                Explanation::new("", "no file system that can be read was found", "see what the image holds")
            }
            Self::TooMuch { place, what, help } => {
                Explanation::new(place, *what, format!("{help}; reading was stopped"))
            }
            Self::NotFound { path, nearest } => {
                let help = match nearest {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "list what is there".to_owned(),
                };
                Explanation::new(path, "not in the image", help)
            }
            Self::WrongKind { path, what, help } => Explanation::new(path, *what, *help),
        }
    }
}

explained_errors!(ReadError);

/// What the system says and what to do about it.
fn unread(place: &str, error: &io::Error) -> Explanation {
    let help = match error.kind() {
        io::ErrorKind::UnexpectedEof => return Explanation::new(place, "lies beyond the end", DAMAGED),
        io::ErrorKind::NotFound => "name an image that exists",
        io::ErrorKind::PermissionDenied => "see that you may read it",
        _ => "see that its disk is sound",
    };
    Explanation::new(place, io_reason(error), help)
}
