//! Store paths, without the store's directory: 32 digits of base 32, a dash, a name.

use std::fmt;
use std::sync::Arc;

use image_tree::{Explain, Explanation, ImagePath, Name, explained_errors};

use crate::base32;
use crate::quoted::quoted;

/// The base name of a path in a store: a hash of 32 digits, `-`, a name of 1 to 211 characters.
/// Cheap to clone. Ordered by bytes, like the entries of a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(Arc<str>);

/// The error for a text that is not a path of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidStorePath {
    /// A text that does not start with `/`.
    NotAPath {
        /// The text, quoted.
        found: String,
        /// The directory of the store.
        store: ImagePath,
    },
    /// A path outside the store.
    OtherStore {
        /// The text, quoted.
        found: String,
        /// The directory of the text's path, escaped.
        there: String,
        /// The directory of the store.
        store: ImagePath,
    },
    /// A path inside a store path.
    Inside {
        /// The text, quoted.
        found: String,
        /// The store path.
        top: ImagePath,
    },
    /// A path whose first part is not a hash.
    Hash {
        /// The text, quoted.
        found: String,
    },
    /// An empty or too long name.
    NameLength {
        /// The text, quoted.
        found: String,
        /// Length of the name in \[bytes\].
        len: usize,
    },
    /// A name with a character that Nix does not allow.
    NameCharacter {
        /// The text, quoted.
        found: String,
    },
    /// A name that is `.` or `..`, or starts with one of them and a dash.
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
                "use paths of one store, and its directory",
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
                "use the path that Nix prints",
            ),
            Self::NameLength { found, len } => Explanation::new(
                "",
                format!("the name in {found} has {len} characters"),
                "Nix allows 1 to 211",
            ),
            Self::NameCharacter { found } => Explanation::new(
                "",
                format!("the name in {found} has a character that Nix does not allow"),
                "use letters, digits and +-._?=",
            ),
            Self::NameDots { found } => Explanation::new(
                "",
                format!("the name in {found} is . or .., or starts with one of these and a dash"),
                "Nix does not allow such names",
            ),
        }
    }
}

explained_errors!(InvalidStorePath);

impl StorePath {
    /// Number of digits of the hash.
    pub const HASH_LEN: usize = 32;
    /// Length of the hash in \[bytes\].
    pub const HASH_BYTES: usize = 20;
    /// The longest name after the hash, in \[bytes\].
    pub const MAX_NAME_LEN: usize = 211;

    /// Parses a whole path such as `/nix/store/…-hello`, which must be in this store.
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

    /// Parses a base name such as `…-hello`.
    pub fn from_base_name(base: &[u8]) -> Result<Self, InvalidStorePath> {
        Self::check(base, base)
    }

    /// Checks a base name by the rules of Nix (`StorePath` and `checkName` in `path.cc`).
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
        // All characters are ASCII, as checked above.
        std::str::from_utf8(base)
            .map(|base| Self(Arc::from(base)))
            .map_err(|_| InvalidStorePath::NameCharacter { found: found() })
    }

    /// The base name: hash, dash and name, 34 to 244 bytes of ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits of the hash, before the dash.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        self.0.get(..Self::HASH_LEN).unwrap_or_default()
    }

    /// The name, after the dash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.get(Self::HASH_LEN + 1..).unwrap_or_default()
    }

    /// Name and version, split as by Nix's `builtins.parseDrvName`: at the first dash that is not followed by a letter.
    ///
    /// If that name would be empty, it is the whole name, without a version.
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

    /// The absolute path in the image.
    #[must_use]
    pub fn in_store(&self, store: &ImagePath) -> ImagePath {
        match Name::new(self.0.as_bytes()) {
            Ok(name) => store.join(name),
            // Can't fail: a store path has at most 244 bytes and no slash.
            Err(_) => store.clone(),
        }
    }
}

/// The error for a path that is not directly in the store.
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
    fn checks_names_by_the_rules_of_nix() {
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

    /// As `builtins.parseDrvName` of Nix.
    #[test]
    fn a_version_begins_after_the_first_dash_without_a_letter_behind_it() {
        for (name, expected) in [
            ("hello-2.12.1", ("hello", Some("2.12.1"))),
            ("hello", ("hello", None)),
            ("linux-firmware-zstd", ("linux-firmware-zstd", None)),
            ("python3.12-pip-24.0-doc", ("python3.12-pip", Some("24.0-doc"))),
            ("a--b", ("a", Some("-b"))),
            ("a-.5", ("a", Some(".5"))),
            ("a-", ("a-", None)),
            // The name would be empty.
            ("-1", ("-1", None)),
        ] {
            let path = StorePath::from_base_name(format!("{HASH}-{name}").as_bytes()).unwrap();
            assert_eq!(path.name_and_version(), expected, "{name}");
        }
    }

    #[test]
    fn requires_the_directory_of_the_store() {
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
