//! Microsoft's format VHD (Virtual Hard Disk Image Format Specification, version 1.0), for Hyper-V and Azure: fixed, which is the
//! image and a footer, or dynamic, in which blocks without data take no space. All tables come before the data, and the
//! data is in the order of the image, so the file can be written as a stream.

use image_tree::{Content, Piece, PieceSource, Uuid, narrow, to_u64, to_usize};

use crate::ContainerError;
use crate::runs::{Kind, PieceMover, Run, runs};

/// Length of a sector and of the footer in \[bytes\].
const SECTOR: u64 = 512;
/// Length of the header of a dynamic disk in \[bytes\].
const HEADER: u64 = 1024;
/// Usual block of a dynamic disk in \[bytes\].
const BLOCK: u64 = 2 << 20;
/// Length of a block with its bitmap, which has a bit for each sector, in \[bytes\].
const STORED_BLOCK: u64 = SECTOR + BLOCK;
/// Length of the longest disk in \[bytes\]: 2040 GiB.
const MOST: u64 = 2040 << 30;
/// Azure takes only whole MiB.
const FIXED_UNIT: u64 = 1 << 20;
/// An entry of the block table without a block: reads as zeros.
const FREE: u32 = u32::MAX;
/// Why the numbers of blocks and sectors have 32 bits.
const LIMITED: &str = "the length of a disk is limited to 2040 GiB";

/// The kind of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiskType {
    Fixed = 2,
    Dynamic = 3,
}

/// A fixed disk.
pub struct FixedVhd<'i> {
    image: &'i dyn PieceSource,
    id: Uuid,
}

/// A dynamic disk.
pub struct DynamicVhd<'i> {
    image: &'i dyn PieceSource,
    id: Uuid,
    /// The blocks with data, ascending.
    blocks: Vec<u64>,
    /// The pieces of metadata that belong to more than one block, ascending. They can only be generated as a whole.
    divided: Vec<Piece>,
}

fn check(image: &dyn PieceSource, unit: u64) -> Result<(), ContainerError> {
    let len = image.len();
    if !len.is_multiple_of(unit) || len == 0 {
        return Err(ContainerError::OddLength { len, block: unit });
    }
    if len > MOST {
        return Err(ContainerError::TooLong { len, most: MOST });
    }
    Ok(())
}

/// Big-endian numbers.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn u16(self, number: u16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Fills up to `len` bytes with zeros, and puts the checksum at `at`: the complement of the sum of all bytes.
    fn sealed(mut self, len: u64, at: usize) -> Vec<u8> {
        self.0.resize(to_usize(len), 0);
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.0[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
        self.0
    }
}

fn footer(len: u64, id: Uuid, kind: DiskType) -> Vec<u8> {
    let (cylinders, heads, sectors) = geometry(len / SECTOR);
    let data_offset = match kind {
        DiskType::Fixed => u64::MAX,
        DiskType::Dynamic => SECTOR,
    };
    Fields::default()
        .bytes(b"conectix")
        // Features: the bit that is always set. Version 1.0.
        .u32(2)
        .u32(0x0001_0000)
        .u64(data_offset)
        // No time. Other programs take the size from the field of that name only if they know the creator.
        .u32(0)
        .bytes(b"win ")
        .u32(0x000a_0000)
        .bytes(b"Wi2k")
        .u64(len)
        .u64(len)
        .u16(cylinders)
        .bytes(&[heads, sectors])
        .u32(match kind {
            DiskType::Fixed => 2,
            DiskType::Dynamic => 3,
        })
        .u32(0)
        .bytes(&id.0)
        .sealed(SECTOR, 64)
}

/// Cylinders, heads and sectors of a track, as the appendix of the specification computes them.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let sectors = sectors.min(65_535 * 16 * 255);
    let (mut tracks, mut heads, mut per_track);
    if sectors >= 65_535 * 16 * 63 {
        (heads, per_track) = (16, 255);
        tracks = sectors / 255;
    } else {
        per_track = 17;
        tracks = sectors / 17;
        heads = tracks.div_ceil(1024).max(4);
        if tracks >= heads * 1024 || heads > 16 {
            (heads, per_track) = (16, 31);
            tracks = sectors / 31;
        }
        if tracks >= heads * 1024 {
            (heads, per_track) = (16, 63);
            tracks = sectors / 63;
        }
    }
    let why = "the number of sectors is limited above";
    (narrow(tracks / heads, why), narrow(heads, why), narrow(per_track, why))
}

impl<'i> FixedVhd<'i> {
    /// Adds a footer to an image. `id` identifies the disk.
    ///
    /// # Errors
    /// Fails if the image's length is not a multiple of 1 MiB, which Azure needs, or exceeds 2040 GiB.
    pub fn new(image: &'i dyn PieceSource, id: Uuid) -> Result<Self, ContainerError> {
        check(image, FIXED_UNIT)?;
        Ok(Self { image, id })
    }
}

impl PieceSource for FixedVhd<'_> {
    fn len(&self) -> u64 {
        self.image.len() + SECTOR
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let footer = Piece { offset: self.image.len(), len: SECTOR, content: Content::Metadata };
        Box::new(self.image.pieces().chain([footer]))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        if piece.offset == self.image.len() {
            buffer.copy_from_slice(&footer(self.image.len(), self.id, DiskType::Fixed));
        } else {
            self.image.generate(piece, buffer);
        }
    }
}

impl<'i> DynamicVhd<'i> {
    /// Lays out the container. `id` identifies the disk.
    ///
    /// # Errors
    /// Fails if the image's length is not a multiple of 512, or exceeds 2040 GiB.
    pub fn new(image: &'i dyn PieceSource, id: Uuid) -> Result<Self, ContainerError> {
        check(image, SECTOR)?;
        let of_run = |(run, kind): (Run, Kind)| if kind == Kind::Data { run.first..run.end() } else { 0..0 };
        let blocks = runs(image, BLOCK).into_iter().flat_map(of_run).collect();
        let is_divided = |piece: &Piece| {
            let last = piece.offset + piece.len - 1;
            piece.content == Content::Metadata && piece.offset / BLOCK != last / BLOCK
        };
        let divided = image.pieces().filter(is_divided).collect();
        Ok(Self { image, id, blocks, divided })
    }

    /// Length of the block table in \[bytes\].
    fn table_len(&self) -> u64 {
        (self.image.len().div_ceil(BLOCK) * 4).next_multiple_of(SECTOR)
    }

    /// Offset of the block table.
    const TABLE_AT: u64 = SECTOR + HEADER;

    /// Offset of the first block.
    fn data_at(&self) -> u64 {
        Self::TABLE_AT + self.table_len()
    }

    fn footer_at(&self) -> u64 {
        self.data_at() + to_u64(self.blocks.len()) * STORED_BLOCK
    }

    fn header(&self) -> Vec<u8> {
        Fields::default()
            .bytes(b"cxsparse")
            // No further header.
            .u64(u64::MAX)
            .u64(Self::TABLE_AT)
            .u32(0x0001_0000)
            .u32(narrow(self.image.len().div_ceil(BLOCK), LIMITED))
            .u32(narrow(BLOCK, LIMITED))
            // The rest is about parent disks: there is none.
            .sealed(HEADER, 36)
    }

    fn generate_table(&self, buffer: &mut [u8]) {
        buffer.fill(0xff);
        for (place, block) in (0..).zip(&self.blocks) {
            let sector = (self.data_at() + place * STORED_BLOCK) / SECTOR;
            let at = to_usize(block * 4);
            buffer[at..at + 4].copy_from_slice(&narrow::<u32>(sector, LIMITED).to_be_bytes());
        }
        debug_assert_eq!(FREE.to_be_bytes(), [0xff; 4]);
    }

    /// Generates a part of the image's metadata from an offset in the image.
    fn generate_part(&self, offset: u64, piece: &Piece, buffer: &mut [u8]) {
        let after = self.divided.partition_point(|whole| whole.offset <= offset);
        let whole = after.checked_sub(1).and_then(|at| self.divided.get(at));
        let Some(whole) = whole.filter(|whole| offset < whole.offset + whole.len) else {
            return self.image.generate(&Piece { offset, ..*piece }, buffer);
        };
        let mut bytes = vec![0; to_usize(whole.len)];
        self.image.generate(whole, &mut bytes);
        let start = to_usize(offset - whole.offset);
        buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
    }
}

impl PieceSource for DynamicVhd<'_> {
    fn len(&self) -> u64 {
        self.footer_at() + SECTOR
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let metadata = |offset, len| Piece { offset, len, content: Content::Metadata };
        let tables =
            [metadata(0, SECTOR), metadata(SECTOR, HEADER), metadata(Self::TABLE_AT, self.table_len())];
        let mut mover = PieceMover::of(self.image);
        let data = (0..).zip(&self.blocks).flat_map(move |(place, block)| {
            let at = self.data_at() + place * STORED_BLOCK;
            let mut pieces = vec![metadata(at, SECTOR)];
            pieces.extend(mover.moved(Run { first: *block, count: 1 }, BLOCK, at + SECTOR));
            pieces
        });
        Box::new(tables.into_iter().chain(data).chain([metadata(self.footer_at(), SECTOR)]))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        match piece.offset {
            0 => buffer.copy_from_slice(&footer(self.image.len(), self.id, DiskType::Dynamic)),
            SECTOR => buffer.copy_from_slice(&self.header()),
            Self::TABLE_AT => self.generate_table(buffer),
            at if at == self.footer_at() => {
                buffer.copy_from_slice(&footer(self.image.len(), self.id, DiskType::Dynamic));
            }
            at => {
                let (place, within) =
                    ((at - self.data_at()) / STORED_BLOCK, (at - self.data_at()) % STORED_BLOCK);
                let Some(within) = within.checked_sub(SECTOR) else {
                    // All sectors of the block are there.
                    return buffer.fill(0xff);
                };
                let block =
                    self.blocks.get(to_usize(place)).expect("invariant: a piece is of one of the blocks");
                self.generate_part(block * BLOCK + within, piece, buffer);
            }
        }
    }
}

impl std::fmt::Debug for FixedVhd<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FixedVhd {{ {} bytes }}", self.image.len())
    }
}

impl std::fmt::Debug for DynamicVhd<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DynamicVhd {{ {} blocks with data }}", self.blocks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the pseudocode in the specification's appendix "CHS Calculation", on both sides of its limits.
    #[test]
    fn the_geometry_is_that_of_the_specification() {
        for (sectors, expected) in [
            (1, (0, 4, 17)),
            (67, (0, 4, 17)),
            (68, (1, 4, 17)),
            (69_631, (1023, 4, 17)),
            (69_632, (140, 16, 31)),
            (69_649, (819, 5, 17)),
            (87_039, (1023, 5, 17)),
            (87_040, (175, 16, 31)),
            (278_527, (1023, 16, 17)),
            (278_528, (561, 16, 31)),
            (278_545, (561, 16, 31)),
            (507_903, (1023, 16, 31)),
            (507_904, (503, 16, 63)),
            (1_032_192, (1024, 16, 63)),
            (66_059_279, (65_534, 16, 63)),
            (66_059_280, (16_191, 16, 255)),
            (267_382_799, (65_534, 16, 255)),
            (267_382_800, (65_535, 16, 255)),
            (267_386_880, (65_535, 16, 255)),
            (1 << 32, (65_535, 16, 255)),
        ] {
            assert_eq!(geometry(sectors), expected, "{sectors}");
        }
    }
}
