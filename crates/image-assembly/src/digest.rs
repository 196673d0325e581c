use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::observer::Observer;
use crate::sink::{BUFFER, ZEROS};
use crate::{to_u64, to_usize};

/// An [`Observer`] that hashes an image before compression.
#[derive(Clone, Debug, Default)]
pub struct ImageDigest(Sha256);

impl ImageDigest {
    /// The SHA-256 of all bytes of the image. Call it after the image is written.
    #[must_use]
    pub fn sha256(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl Observer for ImageDigest {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn zeros(&mut self, len: u64) {
        let mut left = len;
        while left > 0 {
            let now = to_usize(left).min(ZEROS.len());
            self.0.update(&ZEROS[..now]);
            left -= to_u64(now);
        }
    }
}

/// The SHA-256 of a file's first `len` bytes, read back.
pub(crate) fn read_back(file: &File, len: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < len {
        let bytes = &mut buffer[..to_usize(len - at).min(BUFFER)];
        file.read_exact_at(bytes, at)?;
        hash.update(&*bytes);
        at += to_u64(bytes.len());
    }
    Ok(hash.finalize().into())
}
