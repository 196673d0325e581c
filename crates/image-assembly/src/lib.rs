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
//! [`Written::without_workers`]), and no file has the output's name before it is complete and correct. If a source changes while
//! the image is written, an error names it.
//!
//! The features `sha256` (digests, block maps, reading devices again), `gzip`, `xz` and `zstd` (compression; the last two build C)
//! are on by default.
//!
//! Pieces are grouped into chunks. To a file or a device, each thread writes its chunks at their offsets. For a stream, threads fill
//! chunks, and one thread writes them in order.
//!
//! | module | purpose |
//! |---|---|
//! | `pieces` | checks that pieces are ascending, without gaps and complete |
//! | `chunks` | groups pieces into chunks, the units of work of a thread |
//! | `fill` | fills buffers with the bytes of chunks |
//! | `positioned`, `kernel_copy` | writes chunks at their offsets, from all threads |
//! | `spooled` | files that are in temporary files, in another order than in the image |
//! | `ring`, `stream`, `sink` | writes chunks in order, plain or compressed |
//! | `observer`, `digest` | observers of the bytes, which can reject the image; SHA-256 |
//! | `place`, `pending`, `device` | the place of an output; a file that appears complete or not at all; a block device |
//! | `unordered` | observers that all threads call; bytes that are written last |
//! | `identity` | identifies the file of an output |
//! | `temporaries` | removes temporary names when the process ends early |
//! | `threads` | number of threads that can be started |
//! | `seekable` | zstd in frames with a seek table |
//! | `blocks`, `gzip`, `xz` | formats that are compressed block by block |
//! | `packed` | containers with compressed blocks |
//! | `zero_runs` | long runs of zeros within files |
//! | `omitted` | zeros that a container omits, for observers |
//! | `bmap` | a map of the blocks that a copy needs, for bmaptool |
//! | `frames` | images as zstd frames that can be kept and used again |
//! | `base` | images that share most bytes with one that is written already |
//! | `companion` | a small file beside an image |
//! | `options`, `writer` | options; the entry points |

mod base;
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
#[cfg(all(feature = "zstd", feature = "sha256"))]
mod frames;
#[cfg(feature = "gzip")]
mod gzip;
mod identity;
mod kernel_copy;
mod observer;
mod omitted;
mod options;
mod packed;
mod pending;
mod pieces;
mod place;
mod positioned;
mod ring;
#[cfg(feature = "zstd")]
mod seekable;
mod sink;
mod spooled;
mod stream;
mod temporaries;
#[cfg(test)]
mod testing;
mod threads;
mod unordered;
mod writer;
#[cfg(feature = "xz")]
mod xz;
mod zero_runs;

pub use base::{Base, Begun, Derived, Variant};
#[cfg(feature = "sha256")]
pub use bmap::BlockMap;
pub use companion::Companion;
#[cfg(feature = "sha256")]
pub use digest::ImageDigest;
pub use error::{AssemblyError, ErrorKind, Refusal};
#[cfg(all(feature = "zstd", feature = "sha256"))]
pub use frames::{FrameKey, FrameSource, FrameStore, Frames, StoredFrame, Unit};
pub use identity::Identity;
pub(crate) use image_tree::{to_u64, to_usize};
pub use observer::{Observer, Rejection};
pub use omitted::OmittedZeros;
#[cfg(feature = "zstd")]
pub use options::Framing;
pub use options::{Compression, Options, Target, Written};
pub use pending::NewFile;
pub use pieces::{PieceError, check_pieces};
pub use temporaries::remove_temporaries;
pub use threads::startable_threads;
pub use unordered::{Patches, Put, UnorderedObserver, read_image};
pub use writer::Writer;
pub use zero_runs::KnownZeros;

/// The version of the zstd that is compiled in and compresses images.
#[cfg(feature = "zstd")]
#[must_use]
pub fn zstd_version() -> &'static str {
    zstd::zstd_safe::version_string()
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    #[test]
    fn the_version_of_zstd_is_the_one_that_is_compiled_in() {
        let number = zstd::zstd_safe::version_number();
        let expected = format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100);
        assert_eq!(super::zstd_version(), expected);
    }
}
