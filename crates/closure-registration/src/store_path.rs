//! Store paths: 32 digits of base 32, a dash, a name. The store's directory is no part of them.

use std::fmt;
use std::sync::Arc;

use image_tree::{Explain, Explanation, ImagePath, Name, explained_errors};

use crate::base32;
use crate::shown::quoted;

/// The base name of a path in a store: a hash of 32 digits, `-`, a name of 1 to 211 characters.
/// Cheap to clone; sorted by its bytes, which is the order of a store's directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(Arc<str>);

/// Why a text is not a path of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidStorePath {
    /// No absolute path at all.
    NotAPath {
        /// The text, quoted.
        found: String,
        /// The directory of the store.
        store: ImagePath,
    },
    /// A path elsewhere.
    OtherStore {
        /// The text, quoted.
        found: String,
        /// The directory of the text's path, escaped.
        there: String,
        /// The directory of the store.
        store: ImagePath,
    },
    /// Something in a store path.
    Inside {
        /// The text, quoted.
        found: String,
        /// The store path.
        top: ImagePath,
    },
    /// Its first part is not a hash.
    Hash {
        /// The text, quoted.
        found: String,
    },
    /// A name of no or too many characters.
    NameLength {
        /// The text, quoted.
        found: String,
        /// Length of the name in \[bytes\].
        len: usize,
    },
    /// A character that Nix has in no name.
    NameCharacter {
        /// The text, quoted.
        found: String,
    },
    /// `.` or `..`, alone or before a dash.
    NameDots {
        /// The text, quoted.
        found: String,
    },
}

impl Explain for InvalidStorePath {
    fn explain(&self) -> Explanation {
        match self {
            Self::NotAPath { found, store } => Explanation::new(
                "",
                format!("expected a store path, found {found}"),
                format!("it must begin with {store}/"),
            ),
            Self::OtherStore { found, there, store } => Explanation::new(
                "",
                format!("{found} is in {there}, not in {store}"),
                "give paths of one store, and the directory of that store",
            ),
            Self::Inside { found, top } => Explanation::new(
                "",
                format!("{found} lies inside the store path {top}"),
                "give the store path itself",
            ),
            Self::Hash { found } => Explanation::new(
                "",
                format!(
                    "{found} has no hash of 32 digits (0-9 a-z without e, o, u, t) and a dash before its name"
                ),
                "write the path as Nix does",
            ),
            Self::NameLength { found, len } => Explanation::new(
                "",
                format!("the name in {found} has {len} characters"),
                "Nix allows 1 to 211",
            ),
            Self::NameCharacter { found } => Explanation::new(
                "",
                format!("the name in {found} has a character that Nix does not allow"),
                "letters, digits and +-._?= are possible",
            ),
            Self::NameDots { found } => Explanation::new(
                "",
                format!("the name in {found} begins with a part that is . or .."),
                "Nix does not allow such names",
            ),
        }
    }
}

explained_errors!(InvalidStorePath);

impl StorePath {
    /// Digits of the hash.
    pub const HASH_LEN: usize = 32;
    /// Bytes of the hash that the digits write.
    pub const HASH_BYTES: usize = 20;
    /// The longest name after the hash, in \[bytes\].
    pub const MAX_NAME_LEN: usize = 211;

    /// Reads a whole path such as `/nix/store/…-hello` and checks that it is one of this store.
    pub fn parse(path: &[u8], store: &ImagePath) -> Result<Self, InvalidStorePath> {
        let root = store.as_bytes().strip_suffix(b"/").unwrap_or(store.as_bytes());
        let base = path.strip_prefix(root).and_then(|rest| rest.strip_prefix(b"/"));
        let Some(base) = base.filter(|base| !base.is_empty()) else {
            return Err(elsewhere(path, store));
        };
        if let Some(slash) = base.iter().position(|&b| b == b'/') {
            let top = Self::check(base.get(..slash).unwrap_or_default(), path)?.in_store(store);
            return Err(InvalidStorePath::Inside { found: quoted(path), top });
        }
        Self::check(base, path)
    }

    /// Reads what follows the store's directory, such as `…-hello`.
    pub fn from_base_name(base: &[u8]) -> Result<Self, InvalidStorePath> {
        Self::check(base, base)
    }

    /// The rules of Nix (`StorePath` and `checkName` in its `path.cc`).
    fn check(base: &[u8], shown: &[u8]) -> Result<Self, InvalidStorePath> {
        let found = || quoted(shown);
        let name = match base.split_at_checked(Self::HASH_LEN) {
            Some((hash, [b'-', name @ ..])) if hash.iter().all(|&b| base32::is_digit(b)) => name,
            _ => return Err(InvalidStorePath::Hash { found: found() }),
        };
        if name.is_empty() || name.len() > Self::MAX_NAME_LEN {
            return Err(InvalidStorePath::NameLength { found: found(), len: name.len() });
        }
        if !name.iter().all(|&b| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b)) {
            return Err(InvalidStorePath::NameCharacter { found: found() });
        }
        if matches!(name.split(|&b| b == b'-').next(), Some(b"." | b"..")) {
            return Err(InvalidStorePath::NameDots { found: found() });
        }
        // Every character was seen to be ASCII.
        std::str::from_utf8(base)
            .map(|base| Self(Arc::from(base)))
            .map_err(|_| InvalidStorePath::NameCharacter { found: found() })
    }

    /// Hash, dash and name, 34 to 244 bytes of ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits before the dash.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        self.0.get(..Self::HASH_LEN).unwrap_or_default()
    }

    /// What comes after the dash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.get(Self::HASH_LEN + 1..).unwrap_or_default()
    }

    /// The name split as `builtins.parseDrvName` of Nix splits it: at the first dash that no letter follows.
    ///
    /// A name that would be empty is the whole name, without a version.
    #[must_use]
    pub fn name_and_version(&self) -> (&str, Option<&str>) {
        let name = self.name();
        let dashes = name.match_indices('-').map(|(at, _)| at);
        let mut parts = dashes.filter_map(|at| Some((name.get(..at)?, name.get(at + 1..)?)));
        let begins = |version: &str| version.bytes().next().is_some_and(|byte| !byte.is_ascii_alphabetic());
        match parts.find(|(_, version)| begins(version)) {
            Some((before, version)) if !before.is_empty() => (before, Some(version)),
            _ => (name, None),
        }
    }

    /// The path in the image, below the store's directory.
    #[must_use]
    pub fn in_store(&self, store: &ImagePath) -> ImagePath {
        match Name::new(self.0.as_bytes()) {
            Ok(name) => store.join(name),
            // Can't happen: a store path has at most 244 bytes and no slash.
            Err(_) => store.clone(),
        }
    }
}

/// Says where a path is that is not in the store.
fn elsewhere(path: &[u8], store: &ImagePath) -> InvalidStorePath {
    let slash = path.iter().rposition(|&b| b == b'/');
    match slash.and_then(|slash| path.split_at_checked(slash)) {
        Some((there, base)) if path.starts_with(b"/") && base.len() > 1 => {
            let there = if there.is_empty() { b"/" } else { there };
            let there = image_tree::escaped(there).to_string();
            InvalidStorePath::OtherStore { found: quoted(path), there, store: store.clone() }
        }
        _ => InvalidStorePath::NotAPath { found: quoted(path), store: store.clone() },
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdfghijklmnpqrsvwxyz";

    fn parse(store: &str, path: &str) -> Result<StorePath, InvalidStorePath> {
        StorePath::parse(path.as_bytes(), &ImagePath::parse(store.as_bytes()).unwrap())
    }

    #[test]
    fn names_follow_the_rules_of_nix() {
        let longest = "x".repeat(211);
        for name in ["a", "hello-2.12+x_y?z=1", ".dotfile", "...", ".x-", "-", &longest] {
            let base = format!("{HASH}-{name}");
            assert_eq!(StorePath::from_base_name(base.as_bytes()).unwrap().as_str(), base);
        }
        let too_long = "x".repeat(212);
        for name in ["", ".", "..", ".-a", "..-a", "a b", "a\0", "ä", "a~", "a:b", &too_long] {
            assert!(StorePath::from_base_name(format!("{HASH}-{name}").as_bytes()).is_err(), "{name}");
        }
        for base in ["", "-a", &HASH[1..], HASH, &format!("{HASH}a"), &format!("e{}-a", &HASH[1..])] {
            assert!(matches!(StorePath::from_base_name(base.as_bytes()), Err(InvalidStorePath::Hash { .. })));
        }
    }

    #[test]
    fn the_prefix_is_the_directory_of_the_store() {
        let path = parse("/nix/store", &format!("/nix/store/{HASH}-a")).unwrap();
        assert_eq!(path, parse("/", &format!("/{HASH}-a")).unwrap());
        let store = ImagePath::parse(b"/x").unwrap();
        assert_eq!(path.in_store(&store).to_string(), format!("/x/{HASH}-a"));
        let other = parse("/nix/store", &format!("/gnu/store/{HASH}-a")).unwrap_err().to_string();
        assert!(other.contains(" is in /gnu/store, not in /nix/store;"), "{other}");
        let inside = parse("/nix/store", &format!("/nix/store/{HASH}-a/bin")).unwrap_err().to_string();
        assert!(inside.contains(&format!(" lies inside the store path /nix/store/{HASH}-a;")), "{inside}");
        for bad in ["", "/", "/nix/store", "/nix/store/", &format!("/nix/storex/{HASH}-a"), HASH] {
            assert!(parse("/nix/store", bad).is_err(), "{bad}");
        }
    }
}
