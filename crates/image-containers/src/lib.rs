//! Containers for images: formats that store the same bytes without long runs of zeros.
//!
//! A container is itself a [`PieceSource`](image_tree::PieceSource) around another one: its tables are metadata pieces, and
//! the rest are the image's pieces at new offsets. So every target of images (also a stream) takes containers too, and no
//! temporary image is needed.
//!
//! | module | contents |
//! |---|---|
//! | `runs` | which blocks of an image have data |
//! | `qcow2` | QEMU's format |
//! | `simg` | Android's sparse format |
//! | `vhd` | Microsoft's format VHD, fixed and dynamic |
//! | `vdi` | VirtualBox's format |

mod qcow2;
mod runs;
mod simg;
mod vdi;
mod vhd;

use image_tree::{Explain, Explanation, explained_errors};

pub use qcow2::Qcow2;
pub use runs::needed_blocks;
pub use simg::Simg;
pub use vdi::Vdi;
pub use vhd::{DynamicVhd, FixedVhd};

/// The error if a format does not support an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerError {
    /// The image's length is not a multiple of the format's block size.
    OddLength {
        /// The image's length in \[bytes\].
        len: u64,
        /// The format's block size in \[bytes\].
        block: u64,
    },
    /// The image is too long for the format.
    TooLong {
        /// The image's length in \[bytes\].
        len: u64,
        /// Maximum length of an image in the format, in \[bytes\].
        most: u64,
    },
}

impl Explain for ContainerError {
    fn explain(&self) -> Explanation {
        match self {
            Self::OddLength { len, block } => Explanation::new(
                "",
                format!("the image has {len} bytes, but the format needs a multiple of {block}"),
                "choose another size",
            ),
            Self::TooLong { len, most } => Explanation::new(
                "",
                format!("the image has {len} bytes, but the format allows at most {most}"),
                "choose another format",
            ),
        }
    }
}

explained_errors!(ContainerError);
