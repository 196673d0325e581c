use std::fmt;

use image_tree::{Explain, Explanation, ImagePath, explained_errors};

use crate::place::ClosurePlace;
use crate::{InvalidContentAddress, InvalidHash, InvalidSignature, InvalidStorePath, NarHash};

/// The problems of a closure, at least one. Displayed one a line.
#[derive(Debug, PartialEq, Eq)]
pub struct ClosureErrors(Vec<ClosureError>);

/// A problem of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosureError {
    /// A line or field that the format does not allow there.
    Malformed {
        /// File and line, or JSON path.
        place: ClosurePlace,
        /// What the format requires.
        expected: String,
        /// What was found; text is quoted.
        found: String,
        /// How to fix it.
        remedy: &'static str,
    },
    /// A line that ends with CR LF.
    CarriageReturn {
        /// File and line.
        place: ClosurePlace,
    },
    /// A last line without a line feed.
    CutShort {
        /// File and line.
        place: ClosurePlace,
    },
    /// A text that is not a path of the store.
    StorePath {
        /// File and line, or JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidStorePath,
    },
    /// A text that is not a NAR hash.
    Hash {
        /// File and line, or JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidHash,
    },
    /// A text that is not a content address.
    ContentAddress {
        /// JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidContentAddress,
    },
    /// A content address that does not match its path.
    OtherContentAddress {
        /// JSON path.
        place: ClosurePlace,
        /// The address in the graph.
        address: String,
        /// The path in the image.
        path: ImagePath,
    },
    /// A text that is not a signature.
    Signature {
        /// JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidSignature,
    },
    /// A path with two different records.
    RegisteredTwice {
        /// Place of the later record.
        place: ClosurePlace,
        /// The path in the image.
        path: ImagePath,
        /// Place of the earlier record.
        first: ClosurePlace,
    },
    /// More problems than are listed.
    More {
        /// The input; `None` for the closure as a whole.
        place: Option<ClosurePlace>,
        /// Number of problems listed.
        limit: usize,
    },
    /// A path that is missing from the closure.
    Missing {
        /// The path in the image.
        path: ImagePath,
        /// The inputs that lack it.
        missing_from: MissingFrom,
        /// The paths of the closure that refer to it, if any.
        referrers: Option<Referrers>,
    },
    /// A path of the closure that is missing from the tree.
    NotInTree {
        /// The path in the image.
        path: ImagePath,
    },
    /// A path whose NAR size differs from the registered one.
    SizeDiffers {
        /// The path in the image.
        path: ImagePath,
        /// Registered size in \[bytes\].
        registered: u64,
        /// Size in the tree, in \[bytes\].
        actual: u64,
    },
    /// A path whose NAR hash differs from the registered one.
    HashDiffers {
        /// The path in the image.
        path: ImagePath,
        /// The registered hash.
        registered: NarHash,
        /// The hash of the contents.
        actual: NarHash,
    },
    /// A device, FIFO or socket in a store path.
    NotInNar {
        /// The path in the image.
        path: ImagePath,
    },
}

/// The inputs that lack a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingFrom {
    /// Neither listed nor registered.
    Unknown,
    /// Registered, but missing from the list of store paths.
    NotListed {
        /// Name of the list in messages.
        list: String,
    },
    /// Listed, but not registered.
    NotRegistered {
        /// The line that lists it.
        list: Box<ClosurePlace>,
        /// Name of the registration in messages.
        registration: String,
    },
}

/// The paths that refer to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrers {
    /// The first one by name.
    pub first: ImagePath,
    /// Number of the others.
    pub others: usize,
}

impl ClosureError {
    /// The place in an input that the error is about, if any.
    #[must_use]
    pub fn place(&self) -> Option<&ClosurePlace> {
        match self {
            Self::Malformed { place, .. }
            | Self::CarriageReturn { place }
            | Self::CutShort { place }
            | Self::StorePath { place, .. }
            | Self::Hash { place, .. }
            | Self::ContentAddress { place, .. }
            | Self::OtherContentAddress { place, .. }
            | Self::Signature { place, .. }
            | Self::RegisteredTwice { place, .. } => Some(place),
            Self::More { place, .. } => place.as_ref(),
            Self::Missing { .. }
            | Self::NotInTree { .. }
            | Self::SizeDiffers { .. }
            | Self::HashDiffers { .. }
            | Self::NotInNar { .. } => None,
        }
    }
}

impl Explain for ClosureError {
    fn explain(&self) -> Explanation {
        const REPAIR: &str = "repair it (nix-store --repair-path) or correct its registration";
        match self {
            Self::Malformed { place, expected, found, remedy } => {
                Explanation::new(place.to_string(), format!("expected {expected}, found {found}"), *remedy)
            }
            Self::CarriageReturn { place } => Explanation::new(
                place.to_string(),
                "ends with a carriage return",
                "save the file with Unix line ends (LF)",
            ),
            Self::CutShort { place } => Explanation::new(
                place.to_string(),
                "the last line has no line feed, so the file may be cut short",
                "write the file again",
            ),
            Self::StorePath { place, reason } => reason.explain().about(place.to_string()),
            Self::Hash { place, reason } => reason.explain().about(place.to_string()),
            Self::ContentAddress { place, reason } => reason.explain().about(place.to_string()),
            Self::Signature { place, reason } => reason.explain().about(place.to_string()),
            Self::OtherContentAddress { place, address, path } => Explanation::new(
                place.to_string(),
                format!("{address} is not the content address of {path}"),
                "export the graph from the store that has the path",
            ),
            Self::RegisteredTwice { place, path, first } => Explanation::new(
                place.to_string(),
                format!("the record of {path} differs from the one at {first}"),
                "remove the wrong record",
            ),
            Self::More { place, limit } => Explanation::new(
                place.as_ref().map_or_else(|| "the closure".to_owned(), ToString::to_string),
                format!("there are more problems than the {limit} listed"),
                "fix these first",
            ),
            Self::Missing { path, missing_from, referrers } => Explanation::new(
                path.to_string(),
                missing_from.to_string(),
                about_missing(referrers.as_ref()),
            ),
            Self::NotInTree { path } => Explanation::new(
                path.to_string(),
                "is in the closure, but not in the image",
                "check that the source of the store folder is a store that has this path",
            ),
            Self::SizeDiffers { path, registered, actual } => Explanation::new(
                path.to_string(),
                format!("its NAR has {actual} bytes, but {registered} are registered"),
                REPAIR,
            ),
            Self::HashDiffers { path, registered, actual } => Explanation::new(
                path.to_string(),
                format!("its NAR hash is {actual}, but {registered} is registered"),
                REPAIR,
            ),
            Self::NotInNar { path } => Explanation::new(
                path.to_string(),
                "is a device, FIFO or socket, which a store path can't contain",
                "remove it from the store",
            ),
        }
    }
}

explained_errors!(ClosureError);

impl fmt::Display for MissingFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("is missing from the closure"),
            Self::NotListed { list } => write!(f, "is registered, but missing from {list}"),
            Self::NotRegistered { list, registration } => {
                write!(f, "is listed in {list}, but not registered in {registration}")
            }
        }
    }
}

/// The help for a missing path: which paths refer to it.
fn about_missing(referrers: Option<&Referrers>) -> String {
    match referrers {
        Some(Referrers { first, others: 0 }) => format!("{first} refers to it"),
        Some(Referrers { first, others }) => format!("{first} (and {others} more) refer to it"),
        // A path to which nothing refers is in the list.
        None => "register it or remove it from the list".to_owned(),
    }
}

impl ClosureErrors {
    /// Number of problems listed for a closure.
    const LIMIT: usize = 1000;

    /// `Err` with these errors, if there are any.
    pub fn check(mut errors: Vec<ClosureError>) -> Result<(), Self> {
        if errors.len() > Self::LIMIT {
            errors.truncate(Self::LIMIT);
            errors.push(ClosureError::More { place: None, limit: Self::LIMIT });
        }
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// The errors, in the order in which they are displayed.
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

/// Collects the problems of one input, up to [`Problems::LIMIT`].
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<ClosureError>);

impl Problems {
    /// Reading stops after this many problems.
    const LIMIT: usize = 100;

    /// Adds a problem. Fails at the limit, to stop reading the input called `name`.
    pub(crate) fn add(&mut self, error: ClosureError, name: &str) -> Result<(), ClosureError> {
        if self.0.len() < Self::LIMIT {
            self.0.push(error);
            return Ok(());
        }
        Err(ClosureError::More { place: Some(ClosurePlace::whole(name)), limit: Self::LIMIT })
    }

    /// All problems, including the one that stopped reading.
    pub(crate) fn end(mut self, outcome: Result<(), ClosureError>) -> Vec<ClosureError> {
        self.0.extend(outcome.err());
        self.0
    }
}
