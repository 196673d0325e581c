//! The bytes of an entry: a frame in whole blocks, then a trailer of 64 bytes. The frame comes first, so that a file system
//! can share its blocks with an image.
//!
//! | offset in the trailer | length | what |
//! |---|---|---|
//! | 0 | 8 | `snugfrm1` |
//! | 8 | 32 | the key |
//! | 40 | 8 | length of the frame without what fills its last block, little-endian |
//! | 48 | 8 | length with that, little-endian |
//! | 56 | 4 | CRC-32C of the frame with that, little-endian |
//! | 60 | 4 | CRC-32C of the 60 bytes before, little-endian |

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::Key;

/// Length of the trailer in \[bytes\].
const TRAILER: usize = 64;

const MAGIC: &[u8; 8] = b"snugfrm1";

/// Frames are multiples of this length, in \[bytes\].
const BLOCK: u64 = 4096;

/// How much is read at once, in \[bytes\].
const READ: usize = 256 << 10;

/// A frame at the start of a file.
#[derive(Debug)]
pub struct Frame {
    /// The file.
    pub file: File,
    /// Length of the frame without what fills its last block, in \[bytes\].
    pub frame: u64,
    /// Length of the frame with that, in \[bytes\].
    pub len: u64,
}

/// Length of the entry of a frame in \[bytes\].
pub(crate) fn len(frame: &[u8]) -> u64 {
    u64::try_from(frame.len() + TRAILER).expect("invariant: 64-bit targets")
}

/// The trailer of a frame with a key.
pub(crate) fn trailer(key: &Key, frame: u64, bytes: &[u8]) -> [u8; TRAILER] {
    let len = u64::try_from(bytes.len()).expect("invariant: 64-bit targets");
    trailer_of(key, frame, len, crc32c::crc32c(bytes))
}

fn trailer_of(key: &Key, frame: u64, len: u64, checksum: u32) -> [u8; TRAILER] {
    let mut trailer = [0; TRAILER];
    let parts = [&MAGIC[..], key, &frame.to_le_bytes(), &len.to_le_bytes(), &checksum.to_le_bytes()];
    let bytes = parts.concat();
    trailer[..bytes.len()].copy_from_slice(&bytes);
    trailer[bytes.len()..].copy_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    trailer
}

/// Reads an entry, and checks every byte of it. `None` if it is damaged, truncated or of another key.
pub(crate) fn read(file: File, key: &Key) -> io::Result<Option<Frame>> {
    let found = file.metadata()?;
    let trailer_len = u64::try_from(TRAILER).expect("invariant: 64-bit targets");
    let Some(len) = found.len().checked_sub(trailer_len).filter(|len| len % BLOCK == 0) else {
        return Ok(None);
    };
    if !found.is_file() {
        return Ok(None);
    }
    let mut buffer = vec![0; READ];
    let (mut checksum, mut at) = (0, 0);
    while at < len {
        let now = usize::try_from(len - at).unwrap_or(READ).min(READ);
        let bytes = &mut buffer[..now];
        file.read_exact_at(bytes, at)?;
        checksum = crc32c::crc32c_append(checksum, bytes);
        at += u64::try_from(now).expect("invariant: 64-bit targets");
    }
    let mut found = [0; TRAILER];
    file.read_exact_at(&mut found, len)?;
    let frame = found.get(40..48).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // One comparison checks the magic, the key, the lengths and both checksums.
    let is_whole = found == trailer_of(key, frame, len, checksum) && frame <= len;
    Ok(is_whole.then_some(Frame { file, frame, len }))
}
