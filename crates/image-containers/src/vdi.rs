//! `VirtualBox`'s format VDI, version 1.1 (`VDICore.h`), as a dynamically allocated image. The block map comes before the
//! data, and the data is in the order of the image, so the file can be written as a stream.

use image_tree::{Content, Piece, PieceSource, Uuid, narrow, to_u64, to_usize};

use crate::ContainerError;
use crate::runs::DataBlocks;

/// `VDI_IMAGE_DEFAULT_BLOCK_SIZE` in \[bytes\].
const BLOCK: u64 = 1 << 20;
/// `VDI_IMAGE_BLOCK_FREE`: reads as zeros.
const FREE: u32 = u32::MAX;
/// Length of the headers in \[bytes\]: the preheader and `VDIHEADER1`.
const HEADER: usize = 512;
/// `cbHeader` of `VDIHEADER1PLUS` in \[bytes\].
const HEADER_LENGTH: u32 = 400;
/// The block map and the data start at multiples of this, in \[bytes\].
const ALIGNMENT: u64 = 1 << 20;
/// Length of the longest image in \[bytes\]: `qemu-img` has a limit of 2²⁹ blocks (`VDI_BLOCKS_IN_IMAGE_MAX`).
const MOST: u64 = BLOCK << 29;

/// An image in `VirtualBox`'s format.
pub struct Vdi<'i> {
    image: &'i dyn PieceSource,
    id: Uuid,
    data: DataBlocks,
}

impl<'i> Vdi<'i> {
    /// Lays out the container. `id` identifies the disk, so that a virtual machine tells it from others.
    ///
    /// # Errors
    /// Fails if the image's length is not a multiple of 512, or exceeds the limit of other programs.
    pub fn new(image: &'i dyn PieceSource, id: Uuid) -> Result<Self, ContainerError> {
        let len = image.len();
        if !len.is_multiple_of(512) {
            return Err(ContainerError::OddLength { len, block: 512 });
        }
        if len > MOST {
            return Err(ContainerError::TooLong { len, most: MOST });
        }
        Ok(Self { image, id, data: DataBlocks::of(image, BLOCK) })
    }

    /// Number of blocks of the image.
    fn blocks(&self) -> u64 {
        self.image.len().div_ceil(BLOCK)
    }

    /// Offset of the data in the file.
    fn data_at(&self) -> u64 {
        ALIGNMENT + (self.blocks() * 4).next_multiple_of(ALIGNMENT)
    }

    fn header(&self) -> [u8; HEADER] {
        let why = "`Vdi::new` limits the number of blocks";
        let mut bytes = Vec::with_capacity(HEADER);
        let text = b"<<< Oracle VM VirtualBox Disk Image >>>\n";
        bytes.extend(text);
        bytes.resize(64, 0);
        // Signature, version 1.1, length of the header, type: dynamic; no flags.
        for number in [0xbeda_107f, 0x0001_0001, HEADER_LENGTH, 1, 0] {
            bytes.extend(u32::to_le_bytes(number));
        }
        // No comment.
        bytes.resize(bytes.len() + 256, 0);
        // Offsets of the map and of the data; cylinders, heads and sectors: none, so that they are chosen; sector size.
        let data_at = narrow::<u32>(self.data_at(), why);
        for number in [narrow(ALIGNMENT, why), data_at, 0, 0, 0, 512, 0] {
            bytes.extend(u32::to_le_bytes(number));
        }
        bytes.extend(self.image.len().to_le_bytes());
        // Block size, no extra data in front of a block; blocks of the image and of the file.
        for number in [narrow(BLOCK, why), 0, narrow(self.blocks(), why), narrow(self.data.count(), why)] {
            bytes.extend(u32::to_le_bytes(number));
        }
        // The image, and a number that changes with each write: the same. No snapshots: the other two are 0.
        bytes.extend(self.id.on_disk());
        bytes.extend(self.id.on_disk());
        let mut header = [0; HEADER];
        header[..bytes.len()].copy_from_slice(&bytes);
        header
    }

    fn generate_map(&self, buffer: &mut [u8]) {
        for (entry, block) in buffer.chunks_exact_mut(4).zip(0..self.blocks()) {
            let place = self
                .data
                .before(block)
                .map_or(FREE, |place| narrow(place, "`Vdi::new` limits the number of blocks"));
            entry.copy_from_slice(&place.to_le_bytes());
        }
    }
}

impl PieceSource for Vdi<'_> {
    fn len(&self) -> u64 {
        self.data_at() + self.data.count() * BLOCK
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let header = to_u64(HEADER);
        let map = (self.blocks() * 4).next_multiple_of(512);
        let data_at = self.data_at();
        let tables = [
            Piece { offset: 0, len: header, content: Content::Metadata },
            Piece { offset: header, len: ALIGNMENT - header, content: Content::Zeros },
            Piece { offset: ALIGNMENT, len: map, content: Content::Metadata },
            Piece { offset: ALIGNMENT + map, len: data_at - ALIGNMENT - map, content: Content::Zeros },
        ];
        let data = self.data.pieces(self.image, data_at);
        Box::new(tables.into_iter().filter(|piece| piece.len > 0).chain(data))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let Some(offset) = piece.offset.checked_sub(self.data_at()) else {
            if piece.offset == 0 {
                buffer.copy_from_slice(&self.header());
            } else {
                self.generate_map(buffer);
            }
            return;
        };
        self.data.generate(self.image, piece, offset, buffer);
    }
}

impl std::fmt::Debug for Vdi<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vdi {{ {} of {} blocks }}", to_usize(self.data.count()), self.blocks())
    }
}
