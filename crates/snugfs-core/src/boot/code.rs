//! GRUB's code for BIOS, outside of file systems.

use std::io::Read;
use std::path::Path;

use boot_loaders::GrubImages;
use image_tree::{Content, Piece, PieceSource, io_reason, shown, to_u64, to_usize};
use snugfs_plan::{BootLoaderPlan, BootPlan, Location, Plan};

use super::{code_place, failure};
use crate::failure::{Failure, FailureKind, remedy};

/// Where GRUB's core is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodePlace {
    /// After the table of an MBR.
    Gap,
    /// In the partition of this index.
    Partition(usize),
}

/// The images of GRUB for BIOS, if the plan has them.
pub(super) fn read(plan: &Plan, boot: &BootPlan) -> Result<Option<(GrubImages, CodePlace)>, Failure> {
    let BootLoaderPlan::Grub(grub) = &boot.loader else { return Ok(None) };
    let Some(bios) = &grub.bios else { return Ok(None) };
    let place = code_place(plan)?;
    let at = Location::plan().key("boot").key("bios");
    let images = GrubImages::new(&image(&at.key("boot"), &bios.boot)?, &image(&at.key("core"), &bios.core)?);
    Ok(Some((images.map_err(|error| failure(&error))?, place)))
}

/// A file, but no more of it than is needed to see that it is too long.
fn image(at: &Location, path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || {
        let mut bytes = Vec::new();
        let most = to_u64(GrubImages::MAX_BYTES) + 1;
        std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    read().map_err(|error| {
        let what = format!("{} can't be read: {}", shown(path), io_reason(&error));
        Failure::new(FailureKind::Source, at, what, remedy(&error, "create it or correct the path"))
    })
}

/// Bytes in memory as the contents of a part of a disk.
#[derive(Debug)]
pub struct BootCode(pub(crate) Vec<u8>);

/// Maximum length of a piece in \[bytes\].
const PIECE: u64 = 64 << 10;

impl PieceSource for BootCode {
    fn len(&self) -> u64 {
        to_u64(self.0.len())
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let len = PieceSource::len(self);
        let piece =
            move |offset: u64| Piece { offset, len: PIECE.min(len - offset), content: Content::Metadata };
        Box::new((0..len.div_ceil(PIECE)).map(move |number| piece(number * PIECE)))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let start = to_usize(piece.offset);
        buffer.copy_from_slice(&self.0[start..start + buffer.len()]);
    }
}
