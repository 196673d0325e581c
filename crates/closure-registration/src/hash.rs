//! The SHA-256 of a NAR, in every notation that Nix uses.

use std::fmt;

use data_encoding::{BASE64_NOPAD, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE};
use image_tree::{Explain, Explanation, explained_errors};
use sha2::{Digest, Sha256};

use crate::base32;
use crate::quoted::quoted;

/// The SHA-256 of a NAR. Displayed as `sha256:` and 52 digits of Nix's base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NarHash([u8; Self::LEN]);

/// The error for a text that is not a [`NarHash`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidHash {
    /// A hash of another algorithm.
    Algorithm {
        /// The text, quoted.
        found: String,
    },
    /// A text in none of the four notations.
    Notation {
        /// The text, quoted.
        found: String,
    },
}

impl Explain for InvalidHash {
    fn explain(&self) -> Explanation {
        match self {
            Self::Algorithm { found } => Explanation::new(
                "",
                format!("the hash {found} is not a SHA-256"),
                "register the sha256 of the NAR",
            ),
            Self::Notation { found } => Explanation::new(
                "",
                format!("expected a NAR hash, found {found}"),
                "write sha256: and 52 digits of base 32 or 64 of base 16, or sha256-… (SRI)",
            ),
        }
    }
}

explained_errors!(InvalidHash);

impl NarHash {
    /// Length of a SHA-256 in \[bytes\].
    pub const LEN: usize = 32;

    /// A hash with this digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The digest in base 16, as in Nix's database.
    #[must_use]
    pub fn base16(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Parses 52 digits of base 32, 64 of base 16 or 44 characters of base 64, with or without `sha256:`; or
    /// `sha256-` and base 64 (SRI).
    pub fn parse(text: &[u8]) -> Result<Self, InvalidHash> {
        let digits = match text.iter().position(|&b| b == b':' || b == b'-') {
            None => text,
            Some(at) => match text.split_at(at) {
                (b"sha256", rest) => rest.get(1..).unwrap_or_default(),
                (b"md5" | b"sha1" | b"sha512" | b"blake3", _) => {
                    return Err(InvalidHash::Algorithm { found: quoted(text) });
                }
                _ => return Err(InvalidHash::Notation { found: quoted(text) }),
            },
        };
        // The three lengths differ, so the length decides the notation.
        match digits.len() {
            64 => bytes_of(&HEXLOWER_PERMISSIVE, digits),
            44 => digits.strip_suffix(b"=").and_then(|digits| bytes_of(&BASE64_NOPAD, digits)),
            _ => base32::decode(digits),
        }
        .map(Self)
        .ok_or_else(|| InvalidHash::Notation { found: quoted(text) })
    }
}

fn bytes_of(encoding: &Encoding, digits: &[u8]) -> Option<[u8; NarHash::LEN]> {
    encoding.decode(digits).ok()?.try_into().ok()
}

impl fmt::Display for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", base32::encode(&self.0))
    }
}

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Hashes a NAR that is given in parts, such as those of [`crate::nar_parts`].
#[derive(Clone, Debug, Default)]
pub struct NarHasher(Sha256);

impl NarHasher {
    /// A hasher for a new NAR.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes: framing, or the contents of a file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes added.
    #[must_use]
    pub fn finish(self) -> NarHash {
        NarHash(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_notation_of_nix() {
        let mut hasher = NarHasher::new();
        hasher.update(b"hel");
        hasher.update(b"lo\n");
        let hash = hasher.finish();
        assert_eq!(hash.to_string(), "sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq");
        assert_eq!(hash.base16(), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        for spelling in [
            "sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
            "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
            "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "5891B5B522D5DF086D0FF0B110FBD9D21BB4FC7163AF34D08286A2E846F6BE03",
            "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=",
            "sha256:WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=",
        ] {
            assert_eq!(NarHash::parse(spelling.as_bytes()), Ok(hash), "{spelling}");
        }
    }

    #[test]
    fn rejects_other_algorithms_and_notations() {
        for other in ["md5:d41d8cd98f00b204e9800998ecf8427e", "sha512-abc", "sha1:abc", "blake3-abc"] {
            assert!(
                matches!(NarHash::parse(other.as_bytes()), Err(InvalidHash::Algorithm { .. })),
                "{other}"
            );
        }
        let short = "0".repeat(51);
        let padded = format!("sha256:z{short}");
        let letters = format!("sha256:{short}e");
        let base16 = format!("sha256:{}g", "0".repeat(63));
        let beyond = format!("sha256-{}B=", "A".repeat(42));
        let url_safe = format!("sha256-{}-A=", "A".repeat(41));
        let unpadded = format!("sha256-{}", "A".repeat(44));
        let padded_inside = format!("sha256-{}={}", "A".repeat(3), "A".repeat(40));
        let base64 = [&padded_inside, &beyond, &url_safe, &unpadded].map(String::as_str);
        let others =
            ["", "sha256", "sha256:", "sha256-", "SHA256:00", &short, &padded, &letters, &base16, "x:y"];
        for bad in base64.into_iter().chain(others) {
            assert!(matches!(NarHash::parse(bad.as_bytes()), Err(InvalidHash::Notation { .. })), "{bad}");
        }
    }
}
