//! Containers for images: formats that store the same bytes without long runs of zeros.
//!
//! A container is itself a [`PieceSource`](image_tree::PieceSource) around another one: its tables are metadata pieces, and
//! the rest are the image's pieces at new offsets. So every target of images (also a stream) takes containers too, and no
//! temporary image is needed. Containers with compressed blocks are a [`PackedFormat`](image_tree::PackedFormat) instead,
//! because their length is known only when they are written.
//!
//! | module | contents |
//! |---|---|
//! | `runs` | which blocks of an image have data |
//! | `qcow2` | QEMU's format |
//! | `simg` | Android's sparse format |
//! | `vhd` | Microsoft's format VHD, fixed and dynamic |
//! | `vhdx` | Microsoft's format VHDX, dynamic |
//! | `vdi` | VirtualBox's format |
//! | `tar` | an archive with the image as its only member |
//! | `ova` | an appliance: a VMDK and the description of its machine, in an archive |
//! | `compression` | compression of blocks |
//! | `packed_qcow2` | QEMU's format with compressed clusters |
//! | `vmdk` | VMware's format, streamOptimized and monolithicSparse |

mod compression;
mod ova;
mod packed_qcow2;
mod qcow2;
mod runs;
mod simg;
mod tar;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;

use image_tree::{Explain, Explanation, explained_errors};

pub use compression::BlockCompression;
pub use ova::Ova;
pub use packed_qcow2::PackedQcow2;
pub use qcow2::Qcow2;
pub use runs::needed_blocks;
pub use simg::Simg;
pub use tar::Tar;
pub use vdi::Vdi;
pub use vhd::{DynamicVhd, FixedVhd};
pub use vhdx::Vhdx;
pub use vmdk::{Adapter, SparseVmdk, StreamVmdk};

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
    /// The name of an archive's member is not possible.
    Member,
    /// The description of a virtual machine does not name its disk.
    Description,
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
            Self::Member => Explanation::new(
                "",
                "the member's name is not one of at most 100 bytes, relative, and without \"..\"",
                "choose a name such as \"disk.raw\"",
            ),
            Self::Description => Explanation::new(
                "",
                "the description of the virtual machine does not name the disk",
                "write its name as the ovf:href of a File, in double quotes",
            ),
        }
    }
}

explained_errors!(ContainerError);
