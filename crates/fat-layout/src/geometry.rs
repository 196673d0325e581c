//! The FAT type and the sizes of clusters and tables. They are those that mkfs.vfat of dosfstools 4.2 chooses for the same
//! partition; the tests compare field by field. Lengths are in sectors unless stated otherwise.
//!
//! There are two differences. First, readers derive the FAT type from the number of clusters (specification, section
//! 3.5), so a type with too few or too many clusters is an error here, where mkfs.vfat warns. Second, clusters with
//! sectors of 4096 bytes are as long as with sectors of 512 bytes; mkfs.vfat makes them eight times as long.

use crate::error::FatError;
use crate::{Bits, Options};

/// Number of file allocation tables (FATs).
pub(crate) const TABLES: u64 = 2;
/// Number of entries in the root directory of FAT16 (specification: "the most compatible value").
const ROOT_ENTRIES: u64 = 512;
/// The length of a directory entry in \[bytes\].
pub(crate) const ENTRY: u64 = 32;
/// Minimum number of clusters for FAT16. With fewer, readers assume FAT12. The specification says 4085; mkfs.vfat adds a
/// margin of two.
const MIN_CLUSTERS_16: u64 = 4087;
/// Maximum number of clusters for FAT16.
const MAX_CLUSTERS_16: u64 = 65_524;
/// Minimum number of clusters for FAT32. With fewer, readers assume FAT16.
const MIN_CLUSTERS_32: u64 = 65_525;
/// Maximum number of clusters for FAT32 (28 bits without the reserved values).
const MAX_CLUSTERS_32: u64 = 268_435_446;
/// Maximum length of a cluster in \[bytes\].
pub(crate) const MAX_CLUSTER_BYTES: u64 = 64 << 10;
/// Minimum partition length in \[bytes\] for which mkfs.vfat chooses FAT32.
pub(crate) const FAT32_FROM: u64 = 512 << 20;
/// Maximum length of a track in \[sectors\].
pub(crate) const MAX_TRACK: u64 = 63;

/// The geometry of a FAT file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) bits: Bits,
    /// The length of a sector in \[bytes\].
    pub(crate) sector: u64,
    pub(crate) sectors: u64,
    pub(crate) sectors_per_track: u16,
    pub(crate) heads: u16,
    pub(crate) reserved: u64,
    /// Length of one FAT.
    pub(crate) table: u64,
    /// Length of the root directory of FAT16; 0 in FAT32.
    pub(crate) root: u64,
    pub(crate) cluster: u64,
    pub(crate) clusters: u64,
}

impl Geometry {
    /// The geometry for a partition, with this number of \[bytes\] for the list of slots.
    pub(crate) fn of(options: &Options, list: u64) -> Result<Self, FatError> {
        let chosen = if options.bytes >= FAT32_FROM { Bits::Fat32 } else { Bits::Fat16 };
        let bits = options.bits.unwrap_or(chosen);
        Self::with_bits(options, list, bits).map_err(|wrong| {
            let fat32 = bits == Bits::Fat32;
            // The length could have decided on the type.
            let other = options.bits.is_some() && chosen != bits && Self::is_possible(options, list, chosen);
            match wrong {
                WrongLength::TooLong => FatError::TooLong { bytes: options.bytes, fat32, other },
                WrongLength::TooShort => FatError::TooShort {
                    bytes: options.bytes,
                    fat32,
                    least: least_bytes(options, list, bits),
                    other,
                },
            }
        })
    }

    /// Whether the partition's length suits a FAT type.
    pub(crate) fn is_possible(options: &Options, list: u64, bits: Bits) -> bool {
        Self::with_bits(options, list, bits).is_ok()
    }

    fn with_bits(options: &Options, list: u64, bits: Bits) -> Result<Self, WrongLength> {
        let sector = options.sector.bytes();
        let sectors = options.bytes / sector;
        let (sectors_per_track, heads) = track(sectors);
        let sectors = sectors - sectors % u64::from(sectors_per_track);
        let list = list.div_ceil(sector);
        let disk = Disk { bytes: options.bytes, sector, sectors, sectors_per_track, heads, list };
        match bits {
            Bits::Fat16 => disk.fat16(),
            Bits::Fat32 => disk.fat32(),
        }
    }

    /// Start of the first cluster.
    pub(crate) fn data(&self) -> u64 {
        self.reserved + TABLES * self.table + self.root
    }

    /// The length of a cluster in \[bytes\].
    pub(crate) fn cluster_bytes(&self) -> u64 {
        self.cluster * self.sector
    }

    /// The length of a FAT entry in \[bytes\].
    pub(crate) fn entry_bytes(&self) -> u64 {
        match self.bits {
            Bits::Fat16 => 2,
            Bits::Fat32 => 4,
        }
    }
}

/// Why a partition length does not suit a FAT type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrongLength {
    TooShort,
    TooLong,
}

/// The minimum partition length for a FAT type, a whole number of MiB, in \[bytes\].
fn least_bytes(options: &Options, list: u64, bits: Bits) -> u64 {
    const MIB: u64 = 1 << 20;
    let fits = |&bytes: &u64| Geometry::with_bits(&Options { bytes, ..*options }, list, bits).is_ok();
    let least = (1..=1024).map(|count| count * MIB).find(fits);
    least.expect("invariant: 1 GiB suits both FAT types, with sectors of any size")
}

/// Sectors per track and heads for a length in \[sectors\]: the table of the SD Association for sectors of 512 bytes, which
/// mkfs.vfat uses.
fn track(sectors: u64) -> (u16, u16) {
    const MIB: u64 = 2048;
    const TABLE: [(u64, u16, u16); 9] = [
        (2, 16, 2),
        (16, 32, 2),
        (32, 32, 4),
        (128, 32, 8),
        (256, 32, 16),
        (504, 63, 16),
        (1008, 63, 32),
        (2016, 63, 64),
        (4032, 63, 128),
    ];
    let row = TABLE.iter().find(|(most, _, _)| sectors <= most * MIB);
    row.map_or((63, 255), |&(_, sectors, heads)| (sectors, heads))
}

/// The parts of the geometry that don't depend on the FAT type.
struct Disk {
    bytes: u64,
    sector: u64,
    sectors: u64,
    sectors_per_track: u16,
    heads: u16,
    /// Length of the list of slots.
    list: u64,
}

impl Disk {
    /// Tries clusters of 2 KiB (or a sector) first, longer ones if there would be too many clusters, and shorter ones if
    /// there would be too few. In the last case mkfs.vfat makes FAT12, which fewer boot loaders read.
    fn fat16(&self) -> Result<Geometry, WrongLength> {
        const FIRST: u64 = 2048;
        let is_right = |geometry: &Geometry| (MIN_CLUSTERS_16..=MAX_CLUSTERS_16).contains(&geometry.clusters);
        let first = (FIRST / self.sector).max(1);
        let mut cluster = first;
        while cluster * self.sector <= MAX_CLUSTER_BYTES {
            match self.fat16_with(cluster) {
                Some(geometry) if is_right(&geometry) => return Ok(geometry),
                Some(geometry) if geometry.clusters > MAX_CLUSTERS_16 => cluster *= 2,
                _ => break,
            }
        }
        if cluster * self.sector > MAX_CLUSTER_BYTES {
            return Err(WrongLength::TooLong);
        }
        let shorter = [first / 2, first / 4].into_iter().filter(|cluster| *cluster > 0);
        shorter.filter_map(|cluster| self.fat16_with(cluster)).find(is_right).ok_or(WrongLength::TooShort)
    }

    fn fat16_with(&self, cluster: u64) -> Option<Geometry> {
        let sector = self.sector;
        // Structures are aligned to clusters, except on disks of at most 8192 sectors (floppy disks for mkfs.vfat).
        let alignment = if self.sectors > 8192 { cluster } else { 1 };
        let reserved = (Bits::Fat16.list_at() + self.list).next_multiple_of(alignment);
        let root = (ROOT_ENTRIES * ENTRY / sector).next_multiple_of(alignment);
        let data = self.sectors.checked_sub(reserved + root)?;
        let about = (data * sector + TABLES * 2) / (cluster * sector + TABLES * 2);
        let table = ((about + 2) * 2).div_ceil(sector).next_multiple_of(alignment);
        let clusters = data.checked_sub(TABLES * table)? / cluster;
        (clusters + 2 <= table * sector / 2).then_some(self.with(
            Bits::Fat16,
            reserved,
            table,
            root,
            cluster,
            clusters,
        ))
    }

    fn fat32(&self) -> Result<Geometry, WrongLength> {
        const GIB: u64 = 1 << 30;
        let wanted = match self.bytes >> 20 {
            0..=260 => 512,
            _ if self.bytes <= 8 * GIB => 4096,
            _ if self.bytes <= 16 * GIB => 8192,
            _ if self.bytes <= 32 * GIB => 16_384,
            _ => 32_768,
        };
        let (sector, cluster) = (self.sector, (wanted / self.sector).max(1));
        let reserved = (Bits::Fat32.list_at() + self.list).max(32).next_multiple_of(cluster);
        let data = self.sectors.checked_sub(reserved).ok_or(WrongLength::TooShort)?;
        // The boot sector counts sectors in 32 bits.
        if self.sectors > u64::from(u32::MAX) {
            return Err(WrongLength::TooLong);
        }
        let about = (data * sector + TABLES * 4) / (cluster * sector + TABLES * 4);
        let table = ((about + 2) * 4).div_ceil(sector).next_multiple_of(cluster);
        let clusters = data.checked_sub(TABLES * table).ok_or(WrongLength::TooShort)? / cluster;
        // The FAT may have too few entries for the last clusters.
        let clusters = clusters.min(table * sector / 4 - 2);
        match clusters {
            MIN_CLUSTERS_32..=MAX_CLUSTERS_32 => {
                Ok(self.with(Bits::Fat32, reserved, table, 0, cluster, clusters))
            }
            0..MIN_CLUSTERS_32 => Err(WrongLength::TooShort),
            _ => Err(WrongLength::TooLong),
        }
    }

    fn with(
        &self,
        bits: Bits,
        reserved: u64,
        table: u64,
        root: u64,
        cluster: u64,
        clusters: u64,
    ) -> Geometry {
        let Self { sector, sectors, sectors_per_track, heads, .. } = *self;
        Geometry { bits, sector, sectors, sectors_per_track, heads, reserved, table, root, cluster, clusters }
    }
}
