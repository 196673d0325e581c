//! Containers for images: the same bytes in a form that leaves out long runs of zeros.
//!
//! A container is itself an image made of pieces, around those of another one: its tables are metadata, the rest are the
//! other's pieces in new places. So whoever writes images writes containers too, streams included, and nothing is written
//! twice.
//!
//! | module | its part |
//! |---|---|
//! | `runs` | where an image has more than zeros, by blocks of some length |
//! | `qcow2` | QEMU's format |
//! | `simg` | Android's sparse format |

mod qcow2;
mod runs;
mod simg;

use image_tree::{Explain, Explanation, explained_errors};

pub use qcow2::Qcow2;
pub use runs::needed_blocks;
pub use simg::Simg;

/// Why an image can't be in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerError {
    /// The format counts in whole blocks.
    OddLength {
        /// The image's length in \[bytes\].
        len: u64,
        /// The format's block in \[bytes\].
        block: u64,
    },
    /// The format can't count so far.
    TooLong {
        /// The image's length in \[bytes\].
        len: u64,
        /// The most that the format takes.
        most: u64,
    },
}

impl Explain for ContainerError {
    fn explain(&self) -> Explanation {
        match self {
            Self::OddLength { len, block } => Explanation::new(
                "",
                format!("the image has {len} bytes, the format takes whole blocks of {block}"),
                "choose a size that is a multiple",
            ),
            Self::TooLong { len, most } => Explanation::new(
                "",
                format!("the image has {len} bytes, the format takes at most {most}"),
                "choose another format",
            ),
        }
    }
}

explained_errors!(ContainerError);
