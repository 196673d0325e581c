use std::fmt;

use image_tree::ImagePath;

use crate::{InvalidContentAddress, InvalidHash, InvalidSignature, InvalidStorePath, NarHash};

/// All that is wrong with a closure, at least one thing; shown a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct ClosureErrors(Vec<ClosureError>);

/// One thing that is wrong with a closure; shown as `WHERE: what; what to do`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClosureError {
    /// A line or a field that is not what its format has there.
    #[error("{place}: expected {expected}, found {found}; {remedy}")]
    Malformed {
        /// File and line, or JSON path.
        place: String,
        /// What the format has there.
        expected: String,
        /// What is there, quoted where it is text.
        found: String,
        /// How to make it right.
        remedy: &'static str,
    },
    /// A line that ends as on Windows.
    #[error("{place}: ends with a carriage return; save the file with line feeds alone")]
    CarriageReturn {
        /// File and line.
        place: String,
    },
    /// A last line without its line feed.
    #[error("{place}: the last line has no end, so the file may be cut short; write the file anew")]
    CutShort {
        /// File and line.
        place: String,
    },
    /// A path that is none of the store.
    #[error("{place}: {reason}")]
    StorePath {
        /// File and line, or JSON path.
        place: String,
        /// What is wrong with it.
        reason: InvalidStorePath,
    },
    /// A text that is no NAR hash.
    #[error("{place}: {reason}")]
    Hash {
        /// File and line, or JSON path.
        place: String,
        /// What is wrong with it.
        reason: InvalidHash,
    },
    /// A text that is no content address.
    #[error("{place}: {reason}")]
    ContentAddress {
        /// JSON path.
        place: String,
        /// What is wrong with it.
        reason: InvalidContentAddress,
    },
    /// A content address from which Nix computes another path.
    #[error(
        "{place}: {address} is not the content address of {path}; take the graph from the store that holds the path"
    )]
    OtherContentAddress {
        /// JSON path.
        place: String,
        /// As the graph has it.
        address: String,
        /// The path in the image.
        path: ImagePath,
    },
    /// A text that is no signature.
    #[error("{place}: {reason}")]
    Signature {
        /// JSON path.
        place: String,
        /// What is wrong with it.
        reason: InvalidSignature,
    },
    /// A path that is registered twice, and not with the same words.
    #[error("{place}: registers {path} otherwise than {first} does; keep the record that is true")]
    RegisteredTwice {
        /// The later record.
        place: String,
        /// The path in the image.
        path: ImagePath,
        /// The earlier record.
        first: String,
    },
    /// More problems than anyone reads.
    #[error("{name}: more problems follow these {limit}; correct them first")]
    More {
        /// The file, or the JSON path of the graph.
        name: String,
        /// How many were listed.
        limit: usize,
    },
    /// A path that the closure should have.
    #[error("{path}: {lack}{}", Referrers(.referrers.as_ref(), .lack))]
    Missing {
        /// The path in the image.
        path: ImagePath,
        /// Where it is missing.
        lack: Lack,
        /// Who refers to it, if anyone of the closure.
        referrers: Option<Referring>,
    },
    /// A path of the closure that the tree does not have.
    #[error(
        "{path}: is in the closure and not in the image's tree; see that sourceDir is the store that holds it"
    )]
    NotInTree {
        /// The path in the image.
        path: ImagePath,
    },
    /// A path whose contents have another size than registered.
    #[error(
        "{path}: its NAR has {actual} bytes, but {registered} are registered; repair it (nix-store --repair-path) or register it anew"
    )]
    SizeDiffers {
        /// The path in the image.
        path: ImagePath,
        /// \[bytes\] by the registration.
        registered: u64,
        /// \[bytes\] by the tree.
        actual: u64,
    },
    /// A path whose contents have another hash than registered.
    #[error(
        "{path}: its NAR hash is {actual}, but {registered} is registered; repair it (nix-store --repair-path) or register it anew"
    )]
    HashDiffers {
        /// The path in the image.
        path: ImagePath,
        /// By the registration.
        registered: NarHash,
        /// By the contents.
        actual: NarHash,
    },
    /// A device, FIFO or socket in a store path.
    #[error(
        "{path}: is neither file, directory nor symlink, which a store path can't hold; remove it from the store"
    )]
    NotInNar {
        /// The path in the image.
        path: ImagePath,
    },
}

/// Where a path of the closure is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// Neither listed nor registered.
    #[error("is missing from the closure")]
    Unknown,
    /// Registered, but the list of store paths leaves it out.
    #[error("is registered, but missing from {list}")]
    NotListed {
        /// The list of store paths.
        list: String,
    },
    /// Listed, but not registered.
    #[error("is listed in {list}, but not registered in {registration}")]
    NotRegistered {
        /// The list of store paths and the line.
        list: String,
        /// The registration.
        registration: String,
    },
}

/// Who refers to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referring {
    /// The first of them by name.
    pub first: ImagePath,
    /// How many there are beside it.
    pub others: usize,
}

struct Referrers<'a>(Option<&'a Referring>, &'a Lack);

impl fmt::Display for Referrers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Referring { first, others: 0 }) => write!(f, "; {first} refers to it"),
            Some(Referring { first, others }) => write!(f, "; {first} (and {others} more) refer to it"),
            None if matches!(self.1, Lack::NotRegistered { .. }) => {
                write!(f, "; register it or take it from the list")
            }
            None => Ok(()),
        }
    }
}

impl ClosureErrors {
    /// How many are told of a whole closure.
    const LIMIT: usize = 1000;

    /// The errors as one, if there are any.
    pub fn check(mut errors: Vec<ClosureError>) -> Result<(), Self> {
        if errors.len() > Self::LIMIT {
            errors.truncate(Self::LIMIT);
            errors.push(ClosureError::More { name: "plan.closure".to_owned(), limit: Self::LIMIT });
        }
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// Each of them, in the order in which they are shown.
    pub fn iter(&self) -> std::slice::Iter<'_, ClosureError> {
        self.0.iter()
    }
}

impl From<ClosureError> for ClosureErrors {
    fn from(error: ClosureError) -> Self {
        Self(vec![error])
    }
}

impl<'a> IntoIterator for &'a ClosureErrors {
    type Item = &'a ClosureError;
    type IntoIter = std::slice::Iter<'a, ClosureError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ClosureErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ClosureErrors {}

/// Gathers the problems of one input, up to [`Problems::LIMIT`].
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<ClosureError>);

impl Problems {
    /// After this many an input is read no further.
    const LIMIT: usize = 100;

    /// Takes one more; an error when the input, called `name`, shall be read no further.
    pub(crate) fn add(&mut self, error: ClosureError, name: &str) -> Result<(), ClosureError> {
        if self.0.len() < Self::LIMIT {
            self.0.push(error);
            return Ok(());
        }
        Err(ClosureError::More { name: name.to_owned(), limit: Self::LIMIT })
    }

    /// All problems, and the one that ended the reading.
    pub(crate) fn end(mut self, outcome: Result<(), ClosureError>) -> Vec<ClosureError> {
        self.0.extend(outcome.err());
        self.0
    }
}
