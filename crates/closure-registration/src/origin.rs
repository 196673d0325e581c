//! What is known of a store path beside its contents: who made it, and why it can be trusted.

use std::collections::BTreeSet;
use std::fmt;

use image_tree::{Explain, Explanation, explained_errors};

use crate::content_address::ContentAddress;
use crate::shown::quoted;
use crate::store_path::StorePath;

/// Who made a store path, and why it can be trusted. A registration has the deriver of these, a graph may have all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// What its name was computed from, where that is its contents.
    pub content_address: Option<ContentAddress>,
    /// Sorted, as Nix writes them.
    pub signatures: BTreeSet<Signature>,
    /// Whether the store that the graph is of built it itself.
    pub ultimate: bool,
}

/// A signature of a store path: the name of a key, a colon, and base 64.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(String);

/// Why a text is not a [`Signature`].
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
    /// Reads a signature. Whether it is true only a holder of the key can tell.
    pub fn parse(text: &str) -> Result<Self, InvalidSignature> {
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let parts = text.split_once(':');
        // Nix's database has spaces between signatures.
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
    fn a_signature_is_a_name_and_base_64() {
        for good in ["cache.nixos.org-1:aGVsbG8+/w==", "k:s"] {
            assert!(Signature::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ":", "k:", ":s", "k", "k: s", "k:s ", "k k:s", "k\n:s", "k:s:s", "k:ä", "k\0:s"] {
            assert!(Signature::parse(bad).is_err(), "{bad}");
        }
    }
}
