//! The origin of a store path: deriver, content address and signatures.

use std::collections::BTreeSet;
use std::fmt;

use image_tree::{Explain, Explanation, explained_errors};

use crate::content_address::ContentAddress;
use crate::quoted::quoted;
use crate::store_path::StorePath;

/// The origin of a store path, on which its trust is based. A registration has only the deriver; a graph may have all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The derivation that built it.
    pub deriver: Option<StorePath>,
    /// The content address, if its name was computed from its contents.
    pub content_address: Option<ContentAddress>,
    /// The signatures, sorted, as Nix writes them.
    pub signatures: BTreeSet<Signature>,
    /// Whether it was built in the store that the graph comes from.
    pub ultimate: bool,
}

/// A signature of a store path: the key's name, a colon, and base 64.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(String);

/// The error for a text that is not a [`Signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSignature {
    /// The text, quoted.
    found: String,
}

impl Explain for InvalidSignature {
    fn explain(&self) -> Explanation {
        Explanation::new(
            "",
            format!("expected a signature, found {}", self.found),
            "give it as Nix does: the key's name, a colon and base 64",
        )
    }
}

explained_errors!(InvalidSignature);

impl Signature {
    /// Parses a signature. Does not check it, which needs the public key.
    pub fn parse(text: &str) -> Result<Self, InvalidSignature> {
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let parts = text.split_once(':');
        // Nix's database separates signatures by spaces.
        let sound = parts.is_some_and(|(name, value)| {
            let named = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
            named && !value.is_empty() && value.bytes().all(base64)
        });
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSignature { found: quoted(text.as_bytes()) })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_name_and_base_64() {
        for good in ["cache.nixos.org-1:aGVsbG8+/w==", "k:s"] {
            assert_eq!(
                Signature::parse(good).map(|signature| signature.as_str().to_owned()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", ":", "k:", ":s", "k", "k: s", "k:s ", "k k:s", "k\n:s", "k:s:s", "k:ä", "k\0:s"] {
            assert!(Signature::parse(bad).is_err(), "{bad}");
        }
    }
}
