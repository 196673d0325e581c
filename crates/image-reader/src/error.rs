use std::io;

use image_tree::{Explain, Explanation, explained_errors, io_reason};

/// The error if an image, or something in it, can't be read. The image's own name is not part of it; the caller knows it.
/// caller knows.
#[derive(Debug)]
pub enum ReadError {
    /// An I/O error.
    Io {
        /// The structure that was read; empty for the image itself.
        place: String,
        /// The I/O error.
        reason: io::Error,
    },
    /// A structure that contradicts itself or its format.
    Damaged {
        /// The structure.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// A format or feature that is not supported.
    Unsupported(Explanation),
    /// A partition number that does not exist.
    NoPartition {
        /// The requested number.
        number: u32,
        /// The existing numbers.
        numbers: Vec<u32>,
    },
    /// No partition has a supported file system.
    NoFileSystem,
    /// A limit of work was reached, which no valid image of this length reaches. Reading further files would fail too.
    TooMuch {
        /// The structure that was read.
        place: String,
        /// The reason.
        what: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// A path that does not exist in the file system.
    NotFound {
        /// The path, escaped.
        path: String,
        /// A similar path that exists, escaped.
        nearest: Option<String>,
    },
    /// A path to or through the wrong kind of file.
    WrongKind {
        /// The path, escaped.
        path: String,
        /// What is wrong.
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

    /// Whether reading anything else would fail in the same way.
    pub fn ends_all(&self) -> bool {
        matches!(self, Self::TooMuch { .. })
    }

    pub(crate) fn io(place: impl Into<String>, reason: io::Error) -> Self {
        let place = place.into();
        // Decompression wraps its own errors in I/O errors.
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
                    ("the image has no partitions", "leave out the partition number".to_owned())
                } else {
                    ("there is no such partition", format!("choose one of {}", numbers.join(", ")))
                };
                Explanation::new(format!("partition {number}"), what, help)
            }
            Self::NoFileSystem => Explanation::new(
                "",
                "there is no file system that snugfs can read",
                "look at the overview of the image",
            ),
            Self::TooMuch { place, what, help } => {
                Explanation::new(place, *what, format!("{help}; reading was stopped"))
            }
            Self::NotFound { path, nearest } => {
                let help = match nearest {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "list the files in the image".to_owned(),
                };
                Explanation::new(path, "not in the image", help)
            }
            Self::WrongKind { path, what, help } => Explanation::new(path, *what, *help),
        }
    }
}

explained_errors!(ReadError);

/// The message and help for an I/O error.
fn unread(place: &str, error: &io::Error) -> Explanation {
    let help = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            return Explanation::new(place, "is beyond the end of the image", DAMAGED);
        }
        io::ErrorKind::NotFound => "name an image that exists",
        io::ErrorKind::PermissionDenied => "check its permissions",
        _ => "check its disk",
    };
    Explanation::new(place, io_reason(error), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_limit_of_work_ends_all() {
        assert!(ReadError::too_much("x", "what", "help").ends_all());
        assert!(!ReadError::damaged("x", "what").ends_all());
    }

    #[test]
    fn io_errors_say_what_to_do() {
        let text = |kind: io::ErrorKind| {
            let error = ReadError::io("place", kind.into());
            error.to_string().split("; ").nth(1).map(str::to_owned)
        };
        assert_eq!(text(io::ErrorKind::NotFound).as_deref(), Some("name an image that exists"));
        assert_eq!(text(io::ErrorKind::PermissionDenied).as_deref(), Some("check its permissions"));
        assert_eq!(text(io::ErrorKind::Other).as_deref(), Some("check its disk"));
        let end = ReadError::io("place", io::ErrorKind::UnexpectedEof.into()).to_string();
        assert!(end.starts_with("place: is beyond the end of the image; "), "{end}");
    }
}
