//! The pieces of an image, in order, into a file, a stream or a device.
//!
//! The invariant of this crate: what is written depends on the image alone, never on the number of threads (but see
//! [`Written::without_workers`]), and nothing stands under the output's name before all of it is right. A source that changed since it was scanned
//! ends the work with an error that names it.
//!
//! Pieces are gathered into chunks, and every sink is another way to take chunks from the same list: a file or a
//! device lets each thread write where its chunk belongs, a stream has them brought back into their order.
//!
//! | module | its part |
//! |---|---|
//! | `pieces` | are they ascending, without a gap, all there |
//! | `chunks` | pieces in order, grouped into what one thread does at once |
//! | `contents`, `fill` | opening the files of the image; the bytes of a chunk |
//! | `positioned`, `kernel_copy` | chunks to where they belong, from all threads |
//! | `ring`, `stream`, `sink` | chunks in order, through zstd or plain |
//! | `witness` | who sees the contents pass by in a stream, and has a say at the end |
//! | `place`, `pending`, `device` | what the output is; a file that appears whole or not at all; a block device |
//! | `identity` | which file an output is, whatever its spelling |
//! | `temporaries` | the temporary names there are, for whoever ends the process early |
//! | `threads` | how many threads can be started |
//! | `seekable` | zstd in frames with a table of them |
//! | `zero_runs` | long runs of zeros within files |
//! | `bmap` | a map of the blocks that a copy needs, for bmaptool |
//! | `companion` | a small file beside an image |
//! | `assemble` | which of them for which target |

mod assemble;
mod bmap;
mod chunks;
mod companion;
mod contents;
mod device;
mod error;
mod fill;
mod identity;
mod kernel_copy;
mod pending;
mod pieces;
mod place;
mod positioned;
mod ring;
mod seekable;
mod sink;
mod stream;
mod temporaries;
mod threads;
mod witness;
mod zero_runs;

pub use assemble::{Compression, Judge, Options, Target, Watch, Written, write, write_before, write_watched};
pub use bmap::BlockMap;
pub use companion::Companion;
pub use contents::{Contents, FileReader, Scanned};
pub use error::{AssemblyError, ErrorKind, Refusal};
pub use identity::Identity;
pub(crate) use image_tree::{to_u64, to_usize};
pub use pieces::{PieceError, check_pieces};
pub use temporaries::remove_temporaries;
pub use threads::startable_threads;
pub use witness::Witness;
pub use zero_runs::KnownZeros;

/// The version of the zstd that is compiled in and compresses images.
#[must_use]
pub fn zstd_version() -> &'static str {
    zstd::zstd_safe::version_string()
}
