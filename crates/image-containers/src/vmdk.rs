//! `VMware`'s format VMDK ("Virtual Disk Format 5.0") in two variants. `streamOptimized`: grains of 64 KiB, each compressed by
//! itself, with tables and a footer after the data. So the file can be written as a stream, without knowing how long
//! compressed grains are. `monolithicSparse`: grains as they are, with tables in front.

use std::io;

use image_tree::{
    Content, PackedBlock, PackedFile, PackedFormat, Piece, PieceSource, Uuid, narrow, to_u64, to_usize,
};

use crate::ContainerError;
use crate::compression::{BlockCompression, Compressor, Wrapper, is_zero};
use crate::runs::DataBlocks;

/// Length of a sector in \[bytes\].
const SECTOR: u64 = 512;
/// Length of a grain in \[sectors\].
const GRAIN_SECTORS: u64 = 128;
/// Length of a grain in \[bytes\].
const GRAIN: u64 = GRAIN_SECTORS * SECTOR;
/// Number of entries (4 bytes) in a grain table. `VMware`'s library supports no other.
const TABLE_ENTRIES: u64 = 512;
/// Length of a grain table in \[sectors\].
const TABLE_SECTORS: u64 = TABLE_ENTRIES * 4 / SECTOR;
/// Length of the descriptor in \[sectors\].
const DESCRIPTOR_SECTORS: u64 = 20;
/// Sectors before the first grain, as other writers have them.
const OVERHEAD: u64 = 128;
/// Sectors of a hosted disk: 2 TiB ("Virtual Disk Format 5.0", "Hosted Sparse Extents").
const MOST: u64 = (1 << 41) - SECTOR;
/// Length of the longest disk with tables in front in \[bytes\]: its file has less than 2³² sectors.
const MOST_SPARSE: u64 = (1 << 41) - (1 << 30);
/// Length of the longest name in the descriptor in \[bytes\].
const LONGEST_NAME: usize = 100;
/// `gdOffset` of the header: the footer has it.
const AT_END: u64 = u64::MAX;
/// Flags: valid newline test; a redundant directory; compressed grains and markers.
const NEWLINE_TEST: u32 = 1;
const REDUNDANT: u32 = 1 << 1;
const COMPRESSED: u32 = 1 << 16 | 1 << 17;
/// The level of other writers.
const LEVEL: u32 = 6;

/// The kinds of markers of anything except grains.
const END_OF_STREAM: u32 = 0;
const GRAIN_TABLE: u32 = 1;
const GRAIN_DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;

/// The disk controller that a virtual machine gets for a disk, where nothing else decides (`ddb.adapterType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adapter {
    /// LSI Logic's SCSI controller.
    #[default]
    Lsilogic,
    /// `BusLogic`'s SCSI controller.
    Buslogic,
    /// IDE. Also for SATA.
    Ide,
    /// `VMware`'s paravirtual SCSI controller.
    Pvscsi,
}

impl Adapter {
    fn name(self) -> &'static str {
        match self {
            Self::Lsilogic => "lsilogic",
            Self::Buslogic => "buslogic",
            Self::Ide => "ide",
            Self::Pvscsi => "pvscsi",
        }
    }

    /// Heads and sectors of a track that the controller reports.
    fn geometry(self) -> (u64, u64) {
        match self {
            Self::Ide => (16, 63),
            Self::Lsilogic | Self::Buslogic | Self::Pvscsi => (255, 63),
        }
    }
}

/// A disk in `VMware`'s format, `streamOptimized`.
#[derive(Clone, Copy, Debug)]
pub struct StreamVmdk {
    len: u64,
    id: Uuid,
    level: u32,
    adapter: Adapter,
}

impl StreamVmdk {
    /// For an image of `len` \[bytes\]. `id` identifies the disk, so that a virtual machine tells it from others.
    ///
    /// # Errors
    /// Fails if the length is no multiple of 512, or longer than almost 2 TiB.
    pub fn new(len: u64, id: Uuid) -> Result<Self, ContainerError> {
        if !len.is_multiple_of(SECTOR) || len == 0 {
            return Err(ContainerError::OddLength { len, block: SECTOR });
        }
        if len > MOST {
            return Err(ContainerError::TooLong { len, most: MOST });
        }
        Ok(Self { len, id, level: LEVEL, adapter: Adapter::default() })
    }

    /// Sets the level of deflate: 1 to 9; others are taken for the nearest.
    #[must_use]
    pub fn with_level(self, level: u32) -> Self {
        Self { level, ..self }
    }

    /// Sets the disk controller.
    #[must_use]
    pub fn with_adapter(self, adapter: Adapter) -> Self {
        Self { adapter, ..self }
    }

    fn sectors(&self) -> u64 {
        self.len / SECTOR
    }

    /// Number of grain tables.
    fn tables(&self) -> u64 {
        self.len.div_ceil(GRAIN * TABLE_ENTRIES)
    }

    /// The header, which is also the footer. `directory` is the sector of the grain directory.
    fn header(&self, directory: u64) -> Vec<u8> {
        let header = Header {
            version: 3,
            flags: NEWLINE_TEST | COMPRESSED,
            sectors: self.sectors(),
            directories: [0, directory],
            overhead: OVERHEAD,
            compression: 1,
        };
        header.bytes()
    }

    fn descriptor(&self) -> Vec<u8> {
        descriptor("streamOptimized", "disk.vmdk", self.sectors(), self.id, self.adapter)
    }
}

/// The header of a file.
struct Header {
    version: u32,
    flags: u32,
    /// Length of the disk.
    sectors: u64,
    /// The sectors of the redundant grain directory and of the grain directory.
    directories: [u64; 2],
    /// Sectors before the first grain.
    overhead: u64,
    /// 0: none; 1: deflate.
    compression: u16,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::from(*b"KDMV");
        for number in [self.version, self.flags] {
            bytes.extend(number.to_le_bytes());
        }
        // Capacity, grain, offset and length of the descriptor.
        for number in [self.sectors, GRAIN_SECTORS, 1, DESCRIPTOR_SECTORS] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(narrow::<u32>(TABLE_ENTRIES, "it is a constant").to_le_bytes());
        for number in [self.directories[0], self.directories[1], self.overhead] {
            bytes.extend(number.to_le_bytes());
        }
        // Shut down cleanly; bytes that a transfer as text would change.
        bytes.extend(b"\0\n \r\n");
        bytes.extend(self.compression.to_le_bytes());
        bytes.resize(to_usize(SECTOR), 0);
        bytes
    }
}

/// The descriptor of a disk of one file, `name`.
fn descriptor(kind: &str, name: &str, sectors: u64, id: Uuid, adapter: Adapter) -> Vec<u8> {
    let [a, b, c, d, ..] = id.0;
    // The two highest mean "no parent" and "not yet known".
    let content = u32::from_be_bytes([a, b, c, d]).min(0xffff_fffd);
    let (heads, per_track) = adapter.geometry();
    let cylinders =
        (sectors.div_ceil(heads * per_track)).min(if adapter == Adapter::Ide { 16383 } else { 65535 });
    let adapter = adapter.name();
    let digits = u128::from_be_bytes(id.0);
    let text = format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         encoding=\"UTF-8\"\n\
         CID={content:08x}\n\
         parentCID=ffffffff\n\
         createType=\"{kind}\"\n\
         \n\
         # Extent description\n\
         RW {sectors} SPARSE \"{name}\"\n\
         \n\
         # The Disk Data Base\n\
         #DDB\n\
         \n\
         ddb.longContentID = \"{digits:032x}\"\n\
         ddb.virtualHWVersion = \"4\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"{heads}\"\n\
         ddb.geometry.sectors = \"{per_track}\"\n\
         ddb.adapterType = \"{adapter}\"\n\
         ddb.toolsVersion = \"2147483647\"\n\
         ddb.uuid.image=\"{id}\"\n\
         ddb.uuid.parent=\"00000000-0000-0000-0000-000000000000\"\n\
         ddb.uuid.modification=\"00000000-0000-0000-0000-000000000000\"\n\
         ddb.uuid.parentmodification=\"00000000-0000-0000-0000-000000000000\"\n"
    );
    let mut bytes = text.into_bytes();
    bytes.resize(to_usize(DESCRIPTOR_SECTORS * SECTOR), 0);
    bytes
}

impl PackedFormat for StreamVmdk {
    fn image_len(&self) -> u64 {
        self.len
    }

    fn block(&self) -> usize {
        to_usize(GRAIN)
    }

    fn compress(&self, blocks: &[u8]) -> io::Result<Vec<PackedBlock>> {
        let compression = BlockCompression::Deflate { level: self.level };
        let mut compressor = Compressor::new(compression, Wrapper::Zlib)?;
        let grain = |bytes: &[u8]| {
            if is_zero(bytes) {
                return Ok(PackedBlock::Zeros);
            }
            // Readers expect whole grains, also of a disk that ends within one.
            let padded = (to_u64(bytes.len()) < GRAIN).then(|| padded(bytes));
            compressor.compress(padded.as_deref().unwrap_or(bytes)).map(PackedBlock::Compressed)
        };
        blocks.chunks(self.block()).map(grain).collect()
    }

    fn is_patched(&self) -> bool {
        false
    }

    fn begin(&self, output: &mut Vec<u8>) -> Box<dyn PackedFile> {
        let start = output.len();
        output.extend(self.header(AT_END));
        output.extend(self.descriptor());
        output.resize(start + to_usize(OVERHEAD * SECTOR), 0);
        Box::new(File {
            disk: *self,
            at: OVERHEAD,
            next: 0,
            table: Vec::new(),
            directory: vec![0; to_usize(self.tables())],
        })
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(to_usize(GRAIN), 0);
    padded
}

struct File {
    disk: StreamVmdk,
    /// The next sector of the file.
    at: u64,
    /// The next grain of the image.
    next: u64,
    /// The sectors of the grains of the current table; empty if it has none.
    table: Vec<u32>,
    /// The sectors of the tables; 0 for those without a grain.
    directory: Vec<u32>,
}

impl File {
    fn sector(&self) -> io::Result<u32> {
        u32::try_from(self.at)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a VMDK file has at most 2 TiB"))
    }

    /// Appends a marker and what belongs to it.
    fn metadata(&mut self, marker: u32, bytes: &[u8], output: &mut Vec<u8>) {
        let len = to_u64(bytes.len()).div_ceil(SECTOR);
        let start = output.len();
        output.extend(len.to_le_bytes());
        output.extend(0_u32.to_le_bytes());
        output.extend(marker.to_le_bytes());
        output.resize(start + to_usize(SECTOR), 0);
        output.extend(bytes);
        output.resize(start + to_usize((1 + len) * SECTOR), 0);
        self.at += 1 + len;
    }

    /// Appends the current table, if it has a grain.
    fn end_table(&mut self, output: &mut Vec<u8>) -> io::Result<()> {
        if self.table.is_empty() {
            return Ok(());
        }
        let mut table = std::mem::take(&mut self.table);
        table.resize(to_usize(TABLE_ENTRIES), 0);
        let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        self.metadata(GRAIN_TABLE, &bytes, output);
        // The table follows its marker.
        let sector = self.sector()? - narrow::<u32>(to_u64(bytes.len()) / SECTOR, "a table has four sectors");
        let number = to_usize((self.next - 1) / TABLE_ENTRIES);
        *self.directory.get_mut(number).expect("invariant: there is an entry for every table") = sector;
        Ok(())
    }

    /// Continues after the next `count` grains, which do not reach beyond the current table.
    fn advance(&mut self, count: u64, output: &mut Vec<u8>) -> io::Result<()> {
        self.next += count;
        if self.next.is_multiple_of(TABLE_ENTRIES) { self.end_table(output) } else { Ok(()) }
    }
}

impl PackedFile for File {
    fn block(&mut self, block: &PackedBlock, output: &mut Vec<u8>) -> io::Result<()> {
        let (PackedBlock::Compressed(bytes) | PackedBlock::Plain(bytes)) = block else {
            return self.zeros(1, output);
        };
        let start = output.len();
        output.extend((self.next * GRAIN_SECTORS).to_le_bytes());
        output
            .extend(narrow::<u32>(to_u64(bytes.len()), "a grain has little more than 64 KiB").to_le_bytes());
        output.extend(bytes);
        let sectors = to_u64(output.len() - start).div_ceil(SECTOR);
        output.resize(start + to_usize(sectors * SECTOR), 0);
        self.table.resize(to_usize(self.next % TABLE_ENTRIES), 0);
        self.table.push(self.sector()?);
        self.at += sectors;
        self.advance(1, output)
    }

    fn zeros(&mut self, count: u64, output: &mut Vec<u8>) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let now = left.min(TABLE_ENTRIES - self.next % TABLE_ENTRIES);
            self.advance(now, output)?;
            left -= now;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, output: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        self.end_table(output)?;
        let directory: Vec<u8> = self.directory.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let directory_at = u64::from(self.sector()?) + 1;
        self.metadata(GRAIN_DIRECTORY, &directory, output);
        let footer = self.disk.header(directory_at);
        self.metadata(FOOTER, &footer, output);
        self.metadata(END_OF_STREAM, &[], output);
        Ok(Vec::new())
    }
}

/// A disk in `VMware`'s format, `monolithicSparse`.
pub struct SparseVmdk<'i> {
    image: &'i dyn PieceSource,
    id: Uuid,
    name: String,
    adapter: Adapter,
    data: DataBlocks,
}

impl<'i> SparseVmdk<'i> {
    /// Lays out the container. `id` identifies the disk; `name` is the name of the file, which the file has in it.
    ///
    /// # Errors
    /// Fails if the image's length is no multiple of 512, or longer than almost 2 TiB, if the file would be, or if the name does
    /// not fit in the file.
    pub fn new(image: &'i dyn PieceSource, id: Uuid, name: &str) -> Result<Self, ContainerError> {
        let len = image.len();
        if !len.is_multiple_of(SECTOR) || len == 0 {
            return Err(ContainerError::OddLength { len, block: SECTOR });
        }
        if len > MOST_SPARSE {
            return Err(ContainerError::TooLong { len, most: MOST_SPARSE });
        }
        if name.len() > LONGEST_NAME || name.contains(['"', '\n', '\r', '\0']) {
            return Err(ContainerError::Member);
        }
        let data = DataBlocks::of(image, GRAIN);
        Ok(Self { image, id, name: name.to_owned(), adapter: Adapter::default(), data })
    }

    /// Sets the disk controller.
    #[must_use]
    pub fn with_adapter(self, adapter: Adapter) -> Self {
        Self { adapter, ..self }
    }

    fn grains(&self) -> u64 {
        self.image.len().div_ceil(GRAIN)
    }

    fn tables(&self) -> u64 {
        self.grains().div_ceil(TABLE_ENTRIES)
    }

    /// Sectors of a directory.
    fn directory(&self) -> u64 {
        (self.tables() * 4).div_ceil(SECTOR)
    }

    /// Sectors of a directory and of its tables.
    fn directory_and_tables(&self) -> u64 {
        self.directory() + self.tables() * TABLE_SECTORS
    }

    /// The sector of the first grain.
    fn data_at(&self) -> u64 {
        (1 + DESCRIPTOR_SECTORS + 2 * self.directory_and_tables()).next_multiple_of(GRAIN_SECTORS)
    }

    fn head(&self) -> Vec<u8> {
        let redundant = 1 + DESCRIPTOR_SECTORS;
        let sectors = self.image.len() / SECTOR;
        let header = Header {
            version: 1,
            flags: NEWLINE_TEST | REDUNDANT,
            sectors,
            directories: [redundant, redundant + self.directory_and_tables()],
            overhead: self.data_at(),
            compression: 0,
        };
        let mut bytes = header.bytes();
        bytes.extend(descriptor("monolithicSparse", &self.name, sectors, self.id, self.adapter));
        bytes
    }

    /// Generates a directory and its tables, which begin at sector `at` of the file.
    fn generate_tables(&self, at: u64, buffer: &mut [u8]) {
        let why = "`SparseVmdk::new` limits the length of the file";
        let entries = TABLE_ENTRIES / TABLE_SECTORS;
        for (sector, bytes) in (0..).zip(buffer.chunks_mut(to_usize(SECTOR))) {
            for (number, entry) in (0..).zip(bytes.chunks_exact_mut(4)) {
                let value = if sector < self.directory() {
                    let table = sector * entries + number;
                    (table < self.tables()).then(|| at + self.directory() + table * TABLE_SECTORS)
                } else {
                    let grain = (sector - self.directory()) * entries + number;
                    self.data.before(grain).map(|before| self.data_at() + before * GRAIN_SECTORS)
                };
                entry.copy_from_slice(&narrow::<u32>(value.unwrap_or(0), why).to_le_bytes());
            }
        }
    }
}

impl PieceSource for SparseVmdk<'_> {
    fn len(&self) -> u64 {
        self.data_at() * SECTOR + self.data.count() * GRAIN
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let head = (1 + DESCRIPTOR_SECTORS) * SECTOR;
        let tables = 2 * self.directory_and_tables() * SECTOR;
        let data_at = self.data_at() * SECTOR;
        let front = [
            Piece { offset: 0, len: head, content: Content::Metadata },
            Piece { offset: head, len: tables, content: Content::Metadata },
            Piece { offset: head + tables, len: data_at - head - tables, content: Content::Zeros },
        ];
        // The tables end at an odd sector, so there are always zeros after them.
        Box::new(front.into_iter().chain(self.data.pieces(self.image, data_at)))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        if let Some(offset) = piece.offset.checked_sub(self.data_at() * SECTOR) {
            return self.data.generate(self.image, piece, offset, buffer);
        }
        let redundant = 1 + DESCRIPTOR_SECTORS;
        if piece.offset == 0 {
            return buffer.copy_from_slice(&self.head());
        }
        let each = self.directory_and_tables();
        let (first, second) = buffer.split_at_mut(to_usize(each * SECTOR));
        self.generate_tables(redundant, first);
        self.generate_tables(redundant + each, second);
    }
}

impl std::fmt::Debug for SparseVmdk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SparseVmdk {{ {} of {} grains }}", self.data.count(), self.grains())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_sectors_of_32_bits() {
        let disk = StreamVmdk::new(1 << 20, Uuid([0; 16])).unwrap();
        let mut file = File { disk, at: u64::from(u32::MAX), next: 0, table: Vec::new(), directory: vec![0] };
        assert_eq!(file.sector().unwrap(), u32::MAX);
        file.at += 1;
        assert_eq!(file.sector().unwrap_err().to_string(), "a VMDK file has at most 2 TiB");
    }
}
