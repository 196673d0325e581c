use crate::{InvalidName, Name, escaped};

/// An absolute path in the image in normal form: `/`, or `/a/b` without `.`, `..` and empty parts.
///
/// Ordered like the tree, part by part: a directory comes before its entries,
/// and `/a/z` before `/a-b`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ImagePath(Vec<u8>);

/// The error for a text that is not an [`ImagePath`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPath {
    /// A path that does not start with `/`.
    NotAbsolute(Vec<u8>),
    /// A path with a part that is not a name.
    BadPart {
        /// The whole path.
        path: Vec<u8>,
        /// What is wrong with the part.
        reason: InvalidName,
    },
}

impl std::fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAbsolute(path) => write!(f, "the path \"{}\" is not absolute", escaped(path)),
            Self::BadPart { path, reason } => write!(f, "in the path \"{}\" {reason}", escaped(path)),
        }
    }
}

impl std::error::Error for InvalidPath {}

impl ImagePath {
    /// The root directory.
    #[must_use]
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// The path with these names, outermost first.
    pub(crate) fn of_names<'n>(names: impl Iterator<Item = Name<'n>>) -> Self {
        let mut bytes = Vec::new();
        for name in names {
            bytes.push(b'/');
            bytes.extend_from_slice(name.as_bytes());
        }
        Self(bytes)
    }

    /// Checks a path; `/` is the root.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidPath> {
        let Some(rest) = bytes.strip_prefix(b"/") else {
            return Err(InvalidPath::NotAbsolute(bytes.to_vec()));
        };
        if rest.is_empty() {
            return Ok(Self::root());
        }
        for part in rest.split(|&b| b == b'/') {
            if let Err(reason) = Name::new(part) {
                return Err(InvalidPath::BadPart { path: bytes.to_vec(), reason });
            }
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The parts, outermost first; none for the root.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = Name<'_>> + Clone {
        // All parts are valid names; only the empty one before the first slash is skipped.
        self.0.split(|&b| b == b'/').filter_map(|part| Name::new(part).ok())
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of an entry of this directory.
    #[must_use]
    pub fn join(&self, name: Name<'_>) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.as_bytes().len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name.as_bytes());
        Self(bytes)
    }

    /// The parent directory, and the name in it; `None` for the root.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, Name<'_>)> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        let name = Name::new(self.0.get(slash + 1..)?).ok()?;
        Some((Self(self.0.get(..slash)?.to_vec()), name))
    }

    /// Whether `self` is `other` or below it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.0.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The bytes of the path: `/` or `/a/b`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        if self.0.is_empty() { b"/" } else { &self.0 }
    }
}

impl Ord for ImagePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(other.parts())
    }
}

impl PartialOrd for ImagePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for ImagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", escaped(self.as_bytes()))
    }
}

impl std::fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn paths_have_a_normal_form() {
        for bad in ["", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/a\0"] {
            assert!(ImagePath::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(path("/").to_string(), "/");
        assert!(path("/").is_root());
        assert!(!path("/a").is_root());
        assert_eq!(path("/").parts().count(), 0);
        assert_eq!(path("/a/b").parts().map(|n| n.to_string()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn paths_are_ordered_like_the_tree() {
        let mut paths = [path("/a-b"), path("/a/z"), path("/"), path("/a")];
        paths.sort();
        assert_eq!(paths.map(|p| p.to_string()), ["/", "/a", "/a/z", "/a-b"]);
    }

    #[test]
    fn joining_and_splitting_are_inverse() {
        let joined = path("/").join(Name::new(b"nix").unwrap()).join(Name::new(b"store").unwrap());
        assert_eq!(joined, path("/nix/store"));
        let (parent, name) = joined.split_last().unwrap();
        assert_eq!((parent.to_string().as_str(), name.as_bytes()), ("/nix", &b"store"[..]));
        assert!(path("/").split_last().is_none());
        assert!(joined.starts_with(&path("/nix")) && joined.starts_with(&path("/")));
        assert!(!path("/nixos").starts_with(&path("/nix")));
    }
}
