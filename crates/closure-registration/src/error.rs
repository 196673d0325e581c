use std::fmt;

use image_tree::{Explain, Explanation, ImagePath, explained_errors};

use crate::place::ClosurePlace;
use crate::{InvalidContentAddress, InvalidHash, InvalidSignature, InvalidStorePath, NarHash};

/// All that is wrong with a closure, at least one thing; shown a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct ClosureErrors(Vec<ClosureError>);

/// One thing that is wrong with a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosureError {
    /// A line or a field that is not what its format has there.
    Malformed {
        /// File and line, or JSON path.
        place: ClosurePlace,
        /// What the format has there.
        expected: String,
        /// What is there, quoted where it is text.
        found: String,
        /// How to make it right.
        remedy: &'static str,
    },
    /// A line that ends as on Windows.
    CarriageReturn {
        /// File and line.
        place: ClosurePlace,
    },
    /// A last line without its line feed.
    CutShort {
        /// File and line.
        place: ClosurePlace,
    },
    /// A path that is none of the store.
    StorePath {
        /// File and line, or JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidStorePath,
    },
    /// A text that is no NAR hash.
    Hash {
        /// File and line, or JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidHash,
    },
    /// A text that is no content address.
    ContentAddress {
        /// JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidContentAddress,
    },
    /// A content address from which Nix computes another path.
    OtherContentAddress {
        /// JSON path.
        place: ClosurePlace,
        /// As the graph has it.
        address: String,
        /// The path in the image.
        path: ImagePath,
    },
    /// A text that is no signature.
    Signature {
        /// JSON path.
        place: ClosurePlace,
        /// What is wrong with it.
        reason: InvalidSignature,
    },
    /// A path that is registered twice, and not with the same words.
    RegisteredTwice {
        /// The later record.
        place: ClosurePlace,
        /// The path in the image.
        path: ImagePath,
        /// The earlier record.
        first: ClosurePlace,
    },
    /// More problems than anyone reads.
    More {
        /// The input; `None` for all that the closure is read from.
        place: Option<ClosurePlace>,
        /// How many were listed.
        limit: usize,
    },
    /// A path that the closure should have.
    Missing {
        /// The path in the image.
        path: ImagePath,
        /// Where it is missing.
        lack: Lack,
        /// Who refers to it, if anyone of the closure.
        referrers: Option<Referring>,
    },
    /// A path of the closure that the tree does not have.
    NotInTree {
        /// The path in the image.
        path: ImagePath,
    },
    /// A path whose contents have another size than registered.
    SizeDiffers {
        /// The path in the image.
        path: ImagePath,
        /// \[bytes\] by the registration.
        registered: u64,
        /// \[bytes\] by the tree.
        actual: u64,
    },
    /// A path whose contents have another hash than registered.
    HashDiffers {
        /// The path in the image.
        path: ImagePath,
        /// By the registration.
        registered: NarHash,
        /// By the contents.
        actual: NarHash,
    },
    /// A device, FIFO or socket in a store path.
    NotInNar {
        /// The path in the image.
        path: ImagePath,
    },
}

/// Where a path of the closure is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Neither listed nor registered.
    Unknown,
    /// Registered, but the list of store paths leaves it out.
    NotListed {
        /// What messages call the list of store paths.
        list: String,
    },
    /// Listed, but not registered.
    NotRegistered {
        /// The line of the list of store paths.
        list: Box<ClosurePlace>,
        /// What messages call the registration.
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

impl ClosureError {
    /// The place in an input that the error is about, where it is about one.
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
        const REPAIR: &str = "repair it (nix-store --repair-path) or register it anew";
        match self {
            Self::Malformed { place, expected, found, remedy } => {
                Explanation::new(place.to_string(), format!("expected {expected}, found {found}"), *remedy)
            }
            Self::CarriageReturn { place } => Explanation::new(
                place.to_string(),
                "ends with a carriage return",
                "save the file with line feeds alone",
            ),
            Self::CutShort { place } => Explanation::new(
                place.to_string(),
                "the last line has no end, so the file may be cut short",
                "write the file anew",
            ),
            Self::StorePath { place, reason } => reason.explain().about(place.to_string()),
            Self::Hash { place, reason } => reason.explain().about(place.to_string()),
            Self::ContentAddress { place, reason } => reason.explain().about(place.to_string()),
            Self::Signature { place, reason } => reason.explain().about(place.to_string()),
            Self::OtherContentAddress { place, address, path } => Explanation::new(
                place.to_string(),
                format!("{address} is not the content address of {path}"),
                "take the graph from the store that holds the path",
            ),
            Self::RegisteredTwice { place, path, first } => Explanation::new(
                place.to_string(),
                format!("registers {path} otherwise than {first} does"),
                "keep the record that is true",
            ),
            Self::More { place, limit } => Explanation::new(
                place.as_ref().map_or_else(|| "the closure".to_owned(), ToString::to_string),
                format!("more problems follow these {limit}"),
                "correct them first",
            ),
            Self::Missing { path, lack, referrers } => {
                Explanation::new(path.to_string(), lack.to_string(), about_missing(lack, referrers.as_ref()))
            }
            Self::NotInTree { path } => Explanation::new(
                path.to_string(),
                "is in the closure and not in the image's tree",
                "see that the folder of the store is the store that holds it",
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
                "is neither file, directory nor symlink, which a store path can't hold",
                "remove it from the store",
            ),
        }
    }
}

explained_errors!(ClosureError);

impl fmt::Display for Lack {
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

/// What helps to find out why a path is missing: who refers to it.
fn about_missing(lack: &Lack, referrers: Option<&Referring>) -> String {
    match referrers {
        Some(Referring { first, others: 0 }) => format!("{first} refers to it"),
        Some(Referring { first, others }) => format!("{first} (and {others} more) refer to it"),
        None if matches!(lack, Lack::NotRegistered { .. }) => {
            "register it or take it from the list".to_owned()
        }
        None => String::new(),
    }
}

impl ClosureErrors {
    /// How many are told of a whole closure.
    const LIMIT: usize = 1000;

    /// The errors as one, if there are any.
    pub fn check(mut errors: Vec<ClosureError>) -> Result<(), Self> {
        if errors.len() > Self::LIMIT {
            errors.truncate(Self::LIMIT);
            errors.push(ClosureError::More { place: None, limit: Self::LIMIT });
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
        Err(ClosureError::More { place: Some(ClosurePlace::whole(name)), limit: Self::LIMIT })
    }

    /// All problems, and the one that ended the reading.
    pub(crate) fn end(mut self, outcome: Result<(), ClosureError>) -> Vec<ClosureError> {
        self.0.extend(outcome.err());
        self.0
    }
}
