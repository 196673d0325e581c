//! The compressed forms of archives.

use std::io::{self, BufReader, Read};

use liblzma::stream::{CONCATENATED, Stream};

use crate::error::Fault;
use crate::header::Header;
use crate::limits;

/// The form of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
    Xz,
}

/// The logarithm of the largest window of zstd, in \[bytes\]: the default of the library, 128 MiB.
const WINDOW_LOG: u32 = 27;

const BUFFER: usize = 256 << 10;

impl Compression {
    /// By the first bytes of a file, up to the length of a header. The first name in an archive can be any magic.
    pub(crate) fn of(magic: &[u8]) -> Result<Self, Fault> {
        if magic.try_into().is_ok_and(|block| Header(block).has_checksum()) {
            return Ok(Self::Plain);
        }
        let unsupported = |format| Err(Fault::Unsupported { format });
        match magic {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => unsupported("compressed with bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => unsupported("compressed with lz4"),
            [0x5d, 0, 0, ..] => unsupported("compressed with lzma"),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => unsupported("a zip archive"),
            [0x1f, 0x9d, ..] => unsupported("compressed with compress"),
            [b'0', b'7', b'0', b'7', b'0', ..] => unsupported("a cpio archive"),
            _ => Ok(Self::Plain),
        }
    }

    pub(crate) fn reader<'r>(
        self,
        compressed: impl Read + Send + 'r,
    ) -> io::Result<Box<dyn Read + Send + 'r>> {
        let compressed = BufReader::with_capacity(BUFFER, compressed);
        Ok(match self {
            Self::Plain => Box::new(compressed),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Xz => {
                let stream = Stream::new_stream_decoder(limits::DECOMPRESSOR_BYTES, CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(compressed, stream))
            }
        })
    }
}
