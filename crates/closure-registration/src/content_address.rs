//! Content addresses: what the name of a store path was computed from, if that is its contents.
//!
//! Syntax and computation follow Nix's `libstore/content-address.cc` and `StoreDirConfig::makeFixedOutputPath`.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use image_tree::{Explain, Explanation, ImagePath, explained_errors};
use sha2::{Digest, Sha256};

use crate::base32;
use crate::quoted::quoted;
use crate::store_path::StorePath;

/// The content address of a store path. Displayed as in Nix's database, for example `fixed:r:sha256:` and base 32.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentAddress {
    method: Method,
    algorithm: Algorithm,
    digest: Vec<u8>,
}

/// The error for a text that is not a [`ContentAddress`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidContentAddress {
    /// The text, quoted.
    found: String,
}

impl Explain for InvalidContentAddress {
    fn explain(&self) -> Explanation {
        Explanation::new(
            "",
            format!("expected a content address, found {}", self.found),
            "give it as Nix does: text:sha256:…, fixed:sha256:… or fixed:r:sha256:… and the hash in base 32",
        )
    }
}

explained_errors!(InvalidContentAddress);

/// The serialisation of the contents that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// A file's bytes; references are part of the name.
    Text,
    /// A file's bytes.
    Flat,
    /// The NAR.
    Nar,
    /// The Git object.
    Git,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Blake3,
}

impl Method {
    const ALL: [Self; 4] = [Self::Text, Self::Nar, Self::Git, Self::Flat];

    /// The prefix of a content address. The other prefixes start with that of `Flat`, so `Flat` is tried last.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Text => "text:",
            Self::Flat => "fixed:",
            Self::Nar => "fixed:r:",
            Self::Git => "fixed:git:",
        }
    }
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512, Self::Blake3];

    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// Length of a digest in \[bytes\].
    const fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl ContentAddress {
    /// Reads a method, an algorithm and the digest in base 32 or base 16.
    pub fn parse(text: &str) -> Result<Self, InvalidContentAddress> {
        Self::read(text).ok_or_else(|| InvalidContentAddress { found: quoted(text.as_bytes()) })
    }

    fn read(text: &str) -> Option<Self> {
        let method = Method::ALL.into_iter().find(|method| text.starts_with(method.prefix()))?;
        let (name, digits) = text.strip_prefix(method.prefix())?.split_once(':')?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)?;
        let allowed = match method {
            Method::Text => algorithm == Algorithm::Sha256,
            Method::Git => matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256),
            Method::Flat | Method::Nar => true,
        };
        let mut digest = vec![0; algorithm.len()];
        if digits.len() == 2 * digest.len() {
            HEXLOWER_PERMISSIVE.decode_mut(digits.as_bytes(), &mut digest).ok()?;
        } else {
            base32::decode_into(digits.as_bytes(), &mut digest)?;
        }
        allowed.then_some(Self { method, algorithm, digest })
    }

    /// Whether Nix computes `path`, which has these references, from this address.
    ///
    /// Nix accepts such a path without a signature, and refuses to add a path that does not match its address.
    #[must_use]
    pub fn is_of(&self, path: &StorePath, references: &[StorePath], store: &ImagePath) -> bool {
        self.hash_part(path, references, store).is_some_and(|hash| hash == path.hash_part())
    }

    /// The 32 digits before the name; `None` if Nix makes no such path.
    fn hash_part(&self, path: &StorePath, references: &[StorePath], store: &ImagePath) -> Option<String> {
        let refers_to_itself = references.contains(path);
        let mut others: Vec<&StorePath> = references.iter().filter(|&other| other != path).collect();
        others.sort_unstable();
        let with_references = |kind: &str| {
            let mut text = kind.as_bytes().to_vec();
            for other in &others {
                text.push(b':');
                text.extend_from_slice(other.in_store(store).as_bytes());
            }
            text
        };
        let (mut text, digest) = match (self.method, self.algorithm) {
            (Method::Text, _) if !refers_to_itself => (with_references("text"), self.digest.clone()),
            (Method::Nar, Algorithm::Sha256) => {
                let mut text = with_references("source");
                text.extend_from_slice(if refers_to_itself { b":self" } else { b"" });
                (text, self.digest.clone())
            }
            (Method::Flat | Method::Nar | Method::Git, _) if references.is_empty() => {
                let method = self.method.prefix().trim_start_matches("fixed:");
                let (algorithm, digest) = (self.algorithm.name(), HEXLOWER.encode(&self.digest));
                let inner = format!("fixed:out:{method}{algorithm}:{digest}:");
                (b"output:out".to_vec(), Sha256::digest(inner).to_vec())
            }
            _ => return None,
        };
        text.extend_from_slice(format!(":sha256:{}:", HEXLOWER.encode(&digest)).as_bytes());
        text.extend_from_slice(store.as_bytes());
        text.extend_from_slice(format!(":{}", path.name()).as_bytes());
        let whole: [u8; 32] = Sha256::digest(text).into();
        let mut folded = [0; StorePath::HASH_BYTES];
        for (at, byte) in whole.iter().enumerate() {
            if let Some(sum) = folded.get_mut(at % StorePath::HASH_BYTES) {
                *sum ^= byte;
            }
        }
        Some(base32::encode(&folded))
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, algorithm) = (self.method.prefix(), self.algorithm.name());
        write!(f, "{method}{algorithm}:{}", base32::encode(&self.digest))
    }
}

impl fmt::Debug for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq";

    #[test]
    fn parses_and_displays_every_method_and_algorithm_of_nix() {
        for (method, algorithms) in [
            ("text:", &["sha256"][..]),
            ("fixed:", &["md5", "sha1", "sha256", "sha512", "blake3"]),
            ("fixed:r:", &["md5", "sha1", "sha256", "sha512", "blake3"]),
            ("fixed:git:", &["sha1", "sha256"]),
        ] {
            for algorithm in Algorithm::ALL {
                let digest: Vec<u8> = (0..=255).take(algorithm.len()).collect();
                let name = algorithm.name();
                let base32 = format!("{method}{name}:{}", base32::encode(&digest));
                let base16 = format!("{method}{name}:{}", HEXLOWER.encode(&digest));
                let allowed = algorithms.contains(&name);
                for text in [&base32, &base16] {
                    let read = ContentAddress::parse(text).map(|address| address.to_string()).ok();
                    assert_eq!(read.as_ref(), allowed.then_some(&base32), "{text}");
                }
            }
        }
    }

    #[test]
    fn rejects_other_texts() {
        let without_digit = &SHA256[1..];
        for bad in [
            String::new(),
            SHA256.to_owned(),
            format!("sha256:{SHA256}"),
            format!("text:{SHA256}"),
            format!("text:r:sha256:{SHA256}"),
            format!("fixed:sha256-{SHA256}"),
            format!("fixed:r:sha256:{without_digit}"),
            format!("fixed:r:sha256:{SHA256}0"),
            format!("fixed:r:sha256:e{without_digit}"),
            format!("fixed:x:sha256:{SHA256}"),
            format!("Fixed:sha256:{SHA256}"),
            format!("fixed:sha1:{SHA256}"),
            format!("fixed:sha256: {without_digit}"),
            format!("fixed:sha256:{}g", "0".repeat(63)),
        ] {
            let error = ContentAddress::parse(&bad).unwrap_err().to_string();
            assert!(error.starts_with("expected a content address, found "), "{error}");
        }
    }

    /// Nix gives paths whose contents are one file, or have another algorithm, no references; texts can't refer to themselves.
    #[test]
    fn some_addresses_allow_no_references() {
        let store = ImagePath::parse(b"/nix/store").unwrap();
        let named =
            |hash: &str, name: &str| StorePath::from_base_name(format!("{hash}-{name}").as_bytes()).unwrap();
        let other = named(&"1".repeat(32), "other");
        for (text, may_refer, may_refer_to_itself) in [
            (format!("text:sha256:{SHA256}"), true, false),
            (format!("fixed:r:sha256:{SHA256}"), true, true),
            (format!("fixed:sha256:{SHA256}"), false, false),
            (format!("fixed:r:sha1:{}", "0".repeat(40)), false, false),
        ] {
            let address = ContentAddress::parse(&text).unwrap();
            let path_of = |references: &[StorePath], itself: bool| {
                // A path's own digits are not part of its hash.
                let path = named(&"0".repeat(32), "x");
                let references =
                    references.iter().chain(itself.then_some(&path)).cloned().collect::<Vec<_>>();
                address.hash_part(&path, &references, &store).map(|hash| named(&hash, "x"))
            };
            let alone = path_of(&[], false).unwrap();
            assert!(address.is_of(&alone, &[], &store), "{text}");
            assert!(!address.is_of(&other, &[], &store), "{text}");
            let others = [other.clone()];
            assert_eq!(path_of(&others, false).is_some(), may_refer, "{text}");
            assert!(!address.is_of(&alone, &others, &store), "{text}");
            assert_eq!(path_of(&[], true).is_some(), may_refer_to_itself, "{text}");
            assert!(!address.is_of(&alone, std::slice::from_ref(&alone), &store), "{text}");
        }
    }
}
