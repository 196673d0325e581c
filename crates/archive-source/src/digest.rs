//! Digests of blobs (OCI image specification, "Digests"), computed while they are read.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use image_tree::to_u64;
use sha2::{Digest as _, Sha256, Sha512};

/// The name of an algorithm and lowercase hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    algorithm: Algorithm,
    digits: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Digest {
    /// Parses `sha256:…` or `sha512:…`. Only such a text becomes part of a file name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (algorithm, digits) = text.split_once(':')?;
        let (algorithm, len) = match algorithm {
            "sha256" => (Algorithm::Sha256, 64),
            "sha512" => (Algorithm::Sha512, 128),
            _ => return None,
        };
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        (digits.len() == len && digits.as_bytes().iter().all(is_digit))
            .then(|| Self { algorithm, digits: digits.to_owned() })
    }

    /// The name of its file in an image layout.
    pub(crate) fn blob(&self) -> String {
        format!("blobs/{}/{}", self.algorithm.name(), self.digits)
    }

    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.algorithm);
        hasher.update(bytes);
        hasher.digits() == self.digits
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.digits)
    }
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn digits(self) -> String {
        match self {
            Self::Sha256(hasher) => HEXLOWER.encode(&hasher.finalize()),
            Self::Sha512(hasher) => HEXLOWER.encode(&hasher.finalize()),
        }
    }
}

/// What was read so far through a [`Hashed`].
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<(Hasher, u64)>>);

impl Progress {
    /// How many bytes were read.
    pub(crate) fn read(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Whether the bytes have this digest. Nothing can be added after that.
    pub(crate) fn matches(&self, digest: &Digest) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.0, Hasher::new(digest.algorithm)).digits() == digest.digits
    }
}

/// Hashes what is read.
pub(crate) struct Hashed<R> {
    reader: R,
    progress: Progress,
}

impl<R: Read> Hashed<R> {
    pub(crate) fn new(reader: R, digest: &Digest) -> (Self, Progress) {
        let progress = Progress(Arc::new(Mutex::new((Hasher::new(digest.algorithm), 0))));
        (Self { reader, progress: progress.clone() }, progress)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let mut state = self.progress.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.update(&buffer[..read]);
        state.1 += to_u64(read);
        Ok(read)
    }
}
