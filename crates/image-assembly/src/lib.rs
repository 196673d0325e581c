//! Writes images, given as pieces in order, to a file, a device, standard output or any [`Write`](std::io::Write).
//!
//! ```
//! use ext4_layout::{Layout, Options};
//! use image_assembly::{ImageDigest, Writer};
//! use image_tree::{PieceSource, TreeBuilder, TreeContents};
//!
//! let mut tree = TreeBuilder::new();
//! tree.lost_found()?.file("/etc/hostname", "snug\n")?;
//! let layout = Layout::plan(&tree.finish()?, &Options::default())?;
//! let contents = TreeContents::new(layout.tree());
//! let (mut image, mut digest) = (Vec::new(), ImageDigest::default());
//! Writer::new(&layout, &contents).observer(&mut digest).write_to(&mut image)?;
//! assert_eq!(layout.len(), u64::try_from(image.len())?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The invariant of this crate: the output depends only on the image and the compression, never on the number of threads (except
//! [`Written::without_workers`]), and no file has the output's name before all of it is right. A source that changed while the
//! image was written is an error that names it.
//!
//! The features `sha256` (digests, block maps, reading devices again), `gzip`, `xz` and `zstd` (compression; the last two build C)
//! are on by default.
//!
//! Pieces are gathered into chunks, and every sink is another way to take chunks from the same list: a file or a
//! device lets each thread write where its chunk belongs, a stream has them brought back into their order.
//!
//! | module | its part |
//! |---|---|
//! | `pieces` | are they ascending, without a gap, all there |
//! | `chunks` | pieces in order, grouped into what one thread does at once |
//! | `fill` | the bytes of a chunk |
//! | `positioned`, `kernel_copy` | chunks to where they belong, from all threads |
//! | `ring`, `stream`, `sink` | chunks in order, through a compressor or plain |
//! | `observer`, `digest` | what sees the bytes on their way, and decides at the end; SHA-256 as one of them |
//! | `place`, `pending`, `device` | what the output is; a file that appears whole or not at all; a block device |
//! | `identity` | which file an output is, whatever its spelling |
//! | `temporaries` | the temporary names there are, for whoever ends the process early |
//! | `threads` | how many threads can be started |
//! | `seekable` | zstd in frames with a table of them |
//! | `blocks`, `gzip`, `xz` | formats that are compressed block by block |
//! | `zero_runs` | long runs of zeros within files |
//! | `bmap` | a map of the blocks that a copy needs, for bmaptool |
//! | `companion` | a small file beside an image |
//! | `options`, `writer` | how an image is written; the entry points |

#[cfg(any(feature = "gzip", feature = "xz"))]
mod blocks;
#[cfg(feature = "sha256")]
mod bmap;
mod chunks;
mod companion;
mod device;
#[cfg(feature = "sha256")]
mod digest;
mod error;
mod fill;
#[cfg(feature = "gzip")]
mod gzip;
mod identity;
mod kernel_copy;
mod observer;
mod options;
mod pending;
mod pieces;
mod place;
mod positioned;
mod ring;
#[cfg(feature = "zstd")]
mod seekable;
mod sink;
mod stream;
mod temporaries;
mod threads;
mod writer;
#[cfg(feature = "xz")]
mod xz;
mod zero_runs;

#[cfg(feature = "sha256")]
pub use bmap::BlockMap;
pub use companion::Companion;
#[cfg(feature = "sha256")]
pub use digest::ImageDigest;
pub use error::{AssemblyError, ErrorKind, Refusal};
pub use identity::Identity;
pub(crate) use image_tree::{to_u64, to_usize};
pub use observer::{Observer, Rejection};
#[cfg(feature = "zstd")]
pub use options::Framing;
pub use options::{Compression, Options, Target, Written};
pub use pieces::{PieceError, check_pieces};
pub use temporaries::remove_temporaries;
pub use threads::startable_threads;
pub use writer::Writer;
pub use zero_runs::KnownZeros;

/// The version of the zstd that is compiled in and compresses images.
#[cfg(feature = "zstd")]
#[must_use]
pub fn zstd_version() -> &'static str {
    zstd::zstd_safe::version_string()
}
