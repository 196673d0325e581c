//! Compression of the blocks of a container, each by itself.

use std::io;

use flate2::{Compress, Compression, FlushCompress, Status};
use image_tree::to_usize;

/// How the blocks of a container are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockCompression {
    /// With deflate. Every reader of the format can decompress it.
    Deflate {
        /// 1 to 9; others are taken for the nearest.
        level: u32,
    },
    /// With zstd: faster, and smaller at the same speed. Not for [`StreamVmdk`](crate::StreamVmdk).
    Zstd {
        /// 1 to 22; others are taken for the nearest.
        level: i32,
    },
}

impl BlockCompression {
    /// The name of the compression: `deflate` or `zstd`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deflate { .. } => "deflate",
            Self::Zstd { .. } => "zstd",
        }
    }
}

/// How a stream of deflate begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapper {
    /// With the header and checksum of zlib (RFC 1950).
    Zlib,
    /// Without (RFC 1951), and with a window of 4 KiB, as qcow2 needs.
    ShortWindow,
}

/// Window of [`Wrapper::ShortWindow`], as a power of two \[bytes\] (`compression_type` of `docs/interop/qcow2.rst` of QEMU).
const SHORT_WINDOW: u8 = 12;
/// Room besides the block for the output, in \[bytes\]: what can't be compressed gets a little longer.
const MARGIN: usize = 1 << 10;

/// Compresses one block after another, each by itself.
pub(crate) enum Compressor {
    Deflate(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    pub(crate) fn new(compression: BlockCompression, wrapper: Wrapper) -> io::Result<Self> {
        Ok(match compression {
            BlockCompression::Deflate { level } => {
                let level = Compression::new(level.clamp(1, 9));
                Self::Deflate(match wrapper {
                    Wrapper::Zlib => Compress::new(level, true),
                    Wrapper::ShortWindow => Compress::new_with_window_bits(level, false, SHORT_WINDOW),
                })
            }
            BlockCompression::Zstd { level } => Self::Zstd(zstd::bulk::Compressor::new(level.clamp(1, 22))?),
        })
    }

    pub(crate) fn compress(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(zstd) => zstd.compress(block),
            Self::Deflate(deflate) => {
                deflate.reset();
                let mut output = Vec::with_capacity(block.len() + MARGIN);
                loop {
                    let rest = block.get(to_usize(deflate.total_in())..).unwrap_or_default();
                    if deflate.compress_vec(rest, &mut output, FlushCompress::Finish)? == Status::StreamEnd {
                        return Ok(output);
                    }
                    output.reserve(MARGIN);
                }
            }
        }
    }
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Short parts, because most data ends the search early, but long enough to pass zeros fast.
    bytes.chunks(128).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}
