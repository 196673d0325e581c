//! Type of FAT, length of clusters and tables: what mkfs.vfat of dosfstools 4.2 chooses for the same length, which the
//! tests compare field by field. Lengths are in sectors unless it is said otherwise.
//!
//! Two things are not mkfs.vfat's. The number of clusters decides which type of FAT a reader sees (specification, section
//! 3.5), so a type that would have too few or too many clusters is refused; mkfs.vfat warns. And with sectors of 4096 bytes,
//! clusters have the lengths in bytes that they have with shorter sectors; mkfs.vfat makes them eight times as long.

use crate::error::FatError;
use crate::{Bits, Options};

/// Both types have two tables.
pub(crate) const TABLES: u64 = 2;
/// The root of FAT16 has room for so many entries (specification: "the most compatible value").
const ROOT_ENTRIES: u64 = 512;
/// The length of a directory entry in \[bytes\].
pub(crate) const ENTRY: u64 = 32;
/// FAT16 has at least so many clusters: fewer are FAT12 to every reader. The specification has 4085, mkfs.vfat keeps
/// two more from it.
const FEWEST_16: u64 = 4087;
/// FAT16 has at most so many clusters; more are FAT32.
const MOST_16: u64 = 65_524;
/// FAT32 has at least so many clusters: fewer are FAT16 to every reader.
const FEWEST_32: u64 = 65_525;
/// FAT32 has at most so many (28 bits without the reserved values).
const MOST_32: u64 = 268_435_446;
/// The longest cluster in \[bytes\].
const LONGEST_CLUSTER: u64 = 64 << 10;
/// From this length on mkfs.vfat chooses FAT32, in \[bytes\].
const FAT32_FROM: u64 = 512 << 20;

/// All numbers of a file system's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) bits: Bits,
    /// The length of a sector in \[bytes\].
    pub(crate) sector: u64,
    pub(crate) sectors: u64,
    pub(crate) sectors_a_track: u16,
    pub(crate) heads: u16,
    pub(crate) reserved: u64,
    /// Of one table.
    pub(crate) table: u64,
    /// Of the root directory of FAT16; 0 in FAT32.
    pub(crate) root: u64,
    pub(crate) cluster: u64,
    pub(crate) clusters: u64,
}

impl Geometry {
    pub(crate) fn of(options: &Options) -> Result<Self, FatError> {
        let chosen = if options.bytes >= FAT32_FROM { Bits::Fat32 } else { Bits::Fat16 };
        let bits = options.bits.unwrap_or(chosen);
        Self::with_bits(options, bits).map_err(|misfit| {
            let fat32 = bits == Bits::Fat32;
            match misfit {
                Misfit::TooLong => FatError::TooLong { bytes: options.bytes, fat32 },
                Misfit::TooShort => {
                    FatError::TooShort { bytes: options.bytes, fat32, least: least_bytes(options, bits) }
                }
            }
        })
    }

    fn with_bits(options: &Options, bits: Bits) -> Result<Self, Misfit> {
        let sector = options.sector.bytes();
        let sectors = options.bytes / sector;
        let (sectors_a_track, heads) = track(sectors);
        let sectors = sectors - sectors % u64::from(sectors_a_track);
        let shape = Shape { bytes: options.bytes, sector, sectors, sectors_a_track, heads };
        match bits {
            Bits::Fat16 => shape.fat16(),
            Bits::Fat32 => shape.fat32(),
        }
    }

    /// Where the clusters begin.
    pub(crate) fn data(&self) -> u64 {
        self.reserved + TABLES * self.table + self.root
    }

    /// The length of a cluster in \[bytes\].
    pub(crate) fn cluster_bytes(&self) -> u64 {
        self.cluster * self.sector
    }

    /// The length of an entry of the table in \[bytes\].
    pub(crate) fn entry_bytes(&self) -> u64 {
        match self.bits {
            Bits::Fat16 => 2,
            Bits::Fat32 => 4,
        }
    }
}

/// Why a length does not do for a type of FAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Misfit {
    TooShort,
    TooLong,
}

/// The least whole number of MiB in \[bytes\] that does for a type of FAT.
fn least_bytes(options: &Options, bits: Bits) -> u64 {
    const MIB: u64 = 1 << 20;
    let fits = |&bytes: &u64| Geometry::with_bits(&Options { bytes, ..*options }, bits).is_ok();
    (1..=1024).map(|count| count * MIB).find(fits).unwrap_or(options.bytes)
}

/// Sectors a track and heads by the length in \[sectors\], as the SD card association's table has them for sectors of 512
/// bytes, which mkfs.vfat follows.
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

struct Shape {
    bytes: u64,
    sector: u64,
    sectors: u64,
    sectors_a_track: u16,
    heads: u16,
}

impl Shape {
    /// Clusters of 2 KiB, or a sector, and longer ones while there would be too many. Shorter ones where there would be too
    /// few: there mkfs.vfat makes FAT12, which boot loaders read less well.
    fn fat16(&self) -> Result<Geometry, Misfit> {
        const FIRST: u64 = 2048;
        let is_right = |geometry: &Geometry| (FEWEST_16..=MOST_16).contains(&geometry.clusters);
        let first = (FIRST / self.sector).max(1);
        let mut cluster = first;
        while cluster * self.sector <= LONGEST_CLUSTER {
            match self.fat16_with(cluster) {
                Some(geometry) if is_right(&geometry) => return Ok(geometry),
                Some(geometry) if geometry.clusters > MOST_16 => cluster *= 2,
                _ => break,
            }
        }
        if cluster * self.sector > LONGEST_CLUSTER {
            return Err(Misfit::TooLong);
        }
        let shorter = [first / 2, first / 4].into_iter().filter(|cluster| *cluster > 0);
        shorter.filter_map(|cluster| self.fat16_with(cluster)).find(is_right).ok_or(Misfit::TooShort)
    }

    fn fat16_with(&self, cluster: u64) -> Option<Geometry> {
        let sector = self.sector;
        // Structures begin at whole clusters, but on what was a floppy's size.
        let grain = if self.sectors > 8192 { cluster } else { 1 };
        let reserved = grain;
        let root = (ROOT_ENTRIES * ENTRY / sector).next_multiple_of(grain);
        let data = self.sectors.checked_sub(reserved + root)?;
        let about = (data * sector + TABLES * 2) / (cluster * sector + TABLES * 2);
        let table = ((about + 2) * 2).div_ceil(sector).next_multiple_of(grain);
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

    fn fat32(&self) -> Result<Geometry, Misfit> {
        const GIB: u64 = 1 << 30;
        let wanted = match self.bytes >> 20 {
            0..=260 => 512,
            _ if self.bytes <= 8 * GIB => 4096,
            _ if self.bytes <= 16 * GIB => 8192,
            _ if self.bytes <= 32 * GIB => 16_384,
            _ => 32_768,
        };
        let (sector, cluster) = (self.sector, (wanted / self.sector).max(1));
        let reserved = 32_u64.next_multiple_of(cluster);
        let data = self.sectors.checked_sub(reserved).ok_or(Misfit::TooShort)?;
        // The boot sector counts sectors in 32 bits.
        if self.sectors > u64::from(u32::MAX) {
            return Err(Misfit::TooLong);
        }
        let about = (data * sector + TABLES * 4) / (cluster * sector + TABLES * 4);
        let table = ((about + 2) * 4).div_ceil(sector).next_multiple_of(cluster);
        let clusters = data.checked_sub(TABLES * table).ok_or(Misfit::TooShort)? / cluster;
        // The last entry of the table may be short of the last cluster.
        let clusters = clusters.min(table * sector / 4 - 2);
        match clusters {
            FEWEST_32..=MOST_32 => Ok(self.with(Bits::Fat32, reserved, table, 0, cluster, clusters)),
            0..FEWEST_32 => Err(Misfit::TooShort),
            _ => Err(Misfit::TooLong),
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
        let Self { sector, sectors, sectors_a_track, heads, .. } = *self;
        Geometry { bits, sector, sectors, sectors_a_track, heads, reserved, table, root, cluster, clusters }
    }
}
