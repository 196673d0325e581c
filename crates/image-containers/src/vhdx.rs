//! Microsoft's format VHDX (\[MS-VHDX\]), for Hyper-V, as a dynamic disk: blocks without data take no space. All tables come
//! before the data, and the data is in the order of the image, so the file can be written as a stream.

use image_tree::{Content, Piece, PieceSource, Uuid, narrow, to_u64, to_usize};

use crate::ContainerError;
use crate::runs::DataBlocks;

/// All regions are aligned to this and are multiples of it, in \[bytes\].
const UNIT: u64 = 1 << 20;
/// Block in \[bytes\]: the smallest one, which Microsoft recommends for ext4.
const BLOCK: u64 = UNIT;
/// Logical and physical sector in \[bytes\].
const SECTORS: [u64; 2] = [512, 4096];
/// Number of blocks between two entries of the block table for sector bitmaps, which only disks with a parent have.
const CHUNK: u64 = (SECTORS[0] << 23) / BLOCK;
/// Length of the longest disk in \[bytes\]: 64 TiB.
const MOST: u64 = 64 << 40;

/// Offsets of the two headers and of the two region tables in the first MiB.
const HEADERS: [usize; 2] = [64 << 10, 128 << 10];
const REGION_TABLES: [usize; 2] = [192 << 10, 256 << 10];
const HEADER: usize = 4 << 10;
const REGION_TABLE: usize = 64 << 10;
/// Offsets of the log, which is empty, of the metadata, and of the block table.
const LOG_AT: u64 = UNIT;
const METADATA_AT: u64 = 2 * UNIT;
const BLOCKS_AT: u64 = 3 * UNIT;
/// Offset of the items in the metadata region, and the length of what is used of it.
const ITEMS_AT: usize = 64 << 10;
const METADATA: u64 = 128 << 10;

/// State of a block of zeros, and of one with data.
const ZERO: u64 = 2;
const PRESENT: u64 = 6;

const BLOCK_TABLE_REGION: &str = "2dc27766-f623-4200-9d64-115e9bfd4a08";
const METADATA_REGION: &str = "8b7ca206-4790-4b9a-b8fe-575f050f886e";
/// Flags of a metadata item: it belongs to the virtual disk; it must be understood.
const OF_DISK: u32 = 2;
const REQUIRED: u32 = 4;

/// A dynamic disk.
pub struct Vhdx<'i> {
    image: &'i dyn PieceSource,
    id: Uuid,
    data: DataBlocks,
}

/// The bytes of a constant GUID on the disk.
fn guid(text: &str) -> [u8; 16] {
    Uuid::parse(text).expect("invariant: constants of the format are GUIDs").on_disk()
}

/// Puts the CRC-32C of all bytes into the second word, which is zero.
fn seal(bytes: &mut [u8]) {
    let checksum = crc32c::crc32c(bytes);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
}

impl<'i> Vhdx<'i> {
    /// Lays out the container. `id` identifies the disk.
    ///
    /// # Errors
    /// Fails if the image's length is not a multiple of 512, or exceeds 64 TiB.
    pub fn new(image: &'i dyn PieceSource, id: Uuid) -> Result<Self, ContainerError> {
        let len = image.len();
        if !len.is_multiple_of(SECTORS[0]) || len == 0 {
            return Err(ContainerError::OddLength { len, block: SECTORS[0] });
        }
        if len > MOST {
            return Err(ContainerError::TooLong { len, most: MOST });
        }
        Ok(Self { image, id, data: DataBlocks::of(image, BLOCK) })
    }

    /// Number of entries of the block table.
    fn entries(&self) -> u64 {
        let blocks = self.image.len().div_ceil(BLOCK);
        blocks + (blocks - 1) / CHUNK
    }

    /// Length of the region of the block table in \[bytes\].
    fn table_len(&self) -> u64 {
        (self.entries() * 8).next_multiple_of(UNIT)
    }

    /// Offset of the data in the file.
    fn data_at(&self) -> u64 {
        BLOCKS_AT + self.table_len()
    }

    /// Generates the first MiB.
    fn generate_headers(&self, buffer: &mut [u8]) {
        buffer[..8].copy_from_slice(b"vhdxfile");
        for (sequence, at) in (1_u64..).zip(HEADERS) {
            let mut header = Vec::with_capacity(HEADER);
            header.extend(b"head\0\0\0\0");
            header.extend(sequence.to_le_bytes());
            // Identify the last changes of the file and of its contents: the same. No log to replay.
            header.extend(self.id.on_disk());
            header.extend(self.id.on_disk());
            header.extend([0; 16]);
            // Versions of the log and of the format.
            header.extend([0, 0, 1, 0]);
            header.extend(narrow::<u32>(UNIT, "it is a constant").to_le_bytes());
            header.extend(LOG_AT.to_le_bytes());
            header.resize(HEADER, 0);
            seal(&mut header);
            buffer[at..at + HEADER].copy_from_slice(&header);
        }
        for at in REGION_TABLES {
            let mut table = Vec::with_capacity(REGION_TABLE);
            table.extend(b"regi\0\0\0\0\x02\0\0\0\0\0\0\0");
            for (name, offset, len) in
                [(BLOCK_TABLE_REGION, BLOCKS_AT, self.table_len()), (METADATA_REGION, METADATA_AT, UNIT)]
            {
                table.extend(guid(name));
                table.extend(offset.to_le_bytes());
                table.extend(narrow::<u32>(len, "the length of a disk is limited to 64 TiB").to_le_bytes());
                table.extend(1_u32.to_le_bytes());
            }
            table.resize(REGION_TABLE, 0);
            seal(&mut table);
            buffer[at..at + REGION_TABLE].copy_from_slice(&table);
        }
    }

    fn generate_metadata(&self, buffer: &mut [u8]) {
        let word = |number: u64| narrow::<u32>(number, "it is a constant").to_le_bytes().to_vec();
        // The block has no flags: it is not kept when it is empty, and there is no parent.
        let items = [
            ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", REQUIRED, [word(BLOCK), word(0)].concat()),
            (
                "2fa54224-cd1b-4876-b211-5dbed83bf4b8",
                OF_DISK | REQUIRED,
                self.image.len().to_le_bytes().to_vec(),
            ),
            ("beca12ab-b2e6-4523-93ef-c309e000c746", OF_DISK | REQUIRED, self.id.on_disk().to_vec()),
            ("8141bf1d-a96f-4709-ba47-f233a8faab5f", OF_DISK | REQUIRED, word(SECTORS[0])),
            ("cda348c7-445d-4471-9cc9-e9885251c556", OF_DISK | REQUIRED, word(SECTORS[1])),
        ];
        let mut table = Vec::from(*b"metadata\0\0\x05\0");
        table.resize(32, 0);
        let mut at = ITEMS_AT;
        for (name, flags, bytes) in items {
            table.extend(guid(name));
            for number in [to_u64(at), to_u64(bytes.len())] {
                table.extend(word(number));
            }
            table.extend(flags.to_le_bytes());
            table.extend([0; 4]);
            buffer[at..at + bytes.len()].copy_from_slice(&bytes);
            at += bytes.len();
        }
        buffer[..table.len()].copy_from_slice(&table);
    }

    fn generate_table(&self, buffer: &mut [u8]) {
        for (entry, number) in buffer.chunks_exact_mut(8).zip(0..self.entries()) {
            // The last entry of each chunk is that of its sector bitmap: there is none.
            if number % (CHUNK + 1) == CHUNK {
                continue;
            }
            let block = number - number / (CHUNK + 1);
            let place = self.data.before(block).map(|before| self.data_at() + before * BLOCK);
            entry.copy_from_slice(&place.map_or(ZERO, |offset| offset | PRESENT).to_le_bytes());
        }
    }
}

impl PieceSource for Vhdx<'_> {
    fn len(&self) -> u64 {
        self.data_at() + self.data.count() * BLOCK
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let table = self.entries() * 8;
        let data_at = self.data_at();
        let tables = [
            Piece { offset: 0, len: UNIT, content: Content::Metadata },
            Piece { offset: LOG_AT, len: UNIT, content: Content::Zeros },
            Piece { offset: METADATA_AT, len: METADATA, content: Content::Metadata },
            Piece { offset: METADATA_AT + METADATA, len: UNIT - METADATA, content: Content::Zeros },
            Piece { offset: BLOCKS_AT, len: table, content: Content::Metadata },
            Piece { offset: BLOCKS_AT + table, len: data_at - BLOCKS_AT - table, content: Content::Zeros },
        ];
        let data = self.data.pieces(self.image, data_at);
        Box::new(tables.into_iter().filter(|piece| piece.len > 0).chain(data))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let Some(offset) = piece.offset.checked_sub(self.data_at()) else {
            return match piece.offset {
                0 => self.generate_headers(buffer),
                METADATA_AT => self.generate_metadata(buffer),
                _ => self.generate_table(buffer),
            };
        };
        self.data.generate(self.image, piece, offset, buffer);
    }
}

impl std::fmt::Debug for Vhdx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vhdx {{ {} of {} blocks }}", to_usize(self.data.count()), self.image.len().div_ceil(BLOCK))
    }
}
