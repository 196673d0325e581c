//! Type of FAT, length of clusters and tables: what mkfs.vfat of dosfstools 4.2 chooses for the same length, which the
//! tests compare field by field. Lengths are in sectors of 512 bytes unless it is said otherwise.

use crate::error::FatError;
use crate::{Bits, Options};

/// The length of a sector in \[bytes\].
pub(crate) const SECTOR: u64 = 512;
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
/// FAT32 has at most so many (28 bits without the reserved values).
const MOST_32: u64 = 268_435_446;
/// The longest cluster.
const LONGEST_CLUSTER: u64 = 128;
/// From this length on mkfs.vfat chooses FAT32, in \[bytes\].
const FAT32_FROM: u64 = 512 << 20;

/// All numbers of a file system's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) bits: Bits,
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
        let (sectors_a_track, heads) = track(options.bytes);
        let sectors = options.bytes / SECTOR;
        let shape = Shape {
            bytes: options.bytes,
            sectors: sectors - sectors % u64::from(sectors_a_track),
            sectors_a_track,
            heads,
        };
        let chosen = if options.bytes >= FAT32_FROM { Bits::Fat32 } else { Bits::Fat16 };
        match options.bits.unwrap_or(chosen) {
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
        self.cluster * SECTOR
    }

    /// The length of an entry of the table in \[bytes\].
    pub(crate) fn entry_bytes(&self) -> u64 {
        match self.bits {
            Bits::Fat16 => 2,
            Bits::Fat32 => 4,
        }
    }
}

/// Sectors a track and heads by the length in \[bytes\], as the SD card association's table has them, which mkfs.vfat
/// follows.
fn track(bytes: u64) -> (u16, u16) {
    const MIB: u64 = 1 << 20;
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
    let row = TABLE.iter().find(|(most, _, _)| bytes <= most * MIB);
    row.map_or((63, 255), |&(_, sectors, heads)| (sectors, heads))
}

struct Shape {
    bytes: u64,
    sectors: u64,
    sectors_a_track: u16,
    heads: u16,
}

impl Shape {
    /// Clusters of 2 KiB, and longer ones while there would be too many. Shorter ones where there would be too few:
    /// there mkfs.vfat makes FAT12, which boot loaders read less well.
    fn fat16(&self) -> Result<Geometry, FatError> {
        let mut cluster = 4;
        while cluster <= LONGEST_CLUSTER {
            let geometry = self.fat16_with(cluster);
            if geometry.is_some_and(|geometry| (FEWEST_16..=MOST_16).contains(&geometry.clusters)) {
                return geometry.ok_or(FatError::TooShort { bytes: self.bytes, fat32: false });
            }
            if geometry.is_none_or(|geometry| geometry.clusters < FEWEST_16) {
                break;
            }
            cluster *= 2;
        }
        let shorter = [2, 1].into_iter().filter_map(|cluster| self.fat16_with(cluster));
        let fits = shorter.into_iter().find(|geometry| (FEWEST_16..=MOST_16).contains(&geometry.clusters));
        fits.ok_or(if cluster > LONGEST_CLUSTER {
            FatError::TooLong { bytes: self.bytes, fat32: false }
        } else {
            FatError::TooShort { bytes: self.bytes, fat32: false }
        })
    }

    fn fat16_with(&self, cluster: u64) -> Option<Geometry> {
        // Structures begin at whole clusters, but on what was a floppy's size.
        let grain = if self.sectors > 8192 { cluster } else { 1 };
        let reserved = grain;
        let root = (ROOT_ENTRIES * ENTRY / SECTOR).next_multiple_of(grain);
        let data = self.sectors.checked_sub(reserved + root)?;
        let about = (data * SECTOR + TABLES * 2) / (cluster * SECTOR + TABLES * 2);
        let table = ((about + 2) * 2).div_ceil(SECTOR).next_multiple_of(grain);
        let clusters = data.checked_sub(TABLES * table)? / cluster;
        (clusters + 2 <= table * SECTOR / 2).then_some(self.with(
            Bits::Fat16,
            reserved,
            table,
            root,
            cluster,
            clusters,
        ))
    }

    fn fat32(&self) -> Result<Geometry, FatError> {
        const GIB: u64 = 1 << 30;
        let cluster = match self.bytes >> 20 {
            0..=260 => 1,
            _ if self.bytes <= 8 * GIB => 8,
            _ if self.bytes <= 16 * GIB => 16,
            _ if self.bytes <= 32 * GIB => 32,
            _ => 64,
        };
        let reserved = 32_u64.next_multiple_of(cluster);
        let too_short = FatError::TooShort { bytes: self.bytes, fat32: true };
        let too_long = FatError::TooLong { bytes: self.bytes, fat32: true };
        let data = self.sectors.checked_sub(reserved).ok_or_else(|| too_short.clone())?;
        // The boot sector counts sectors in 32 bits.
        if self.sectors > u64::from(u32::MAX) {
            return Err(too_long);
        }
        let about = (data * SECTOR + TABLES * 4) / (cluster * SECTOR + TABLES * 4);
        let table = ((about + 2) * 4).div_ceil(SECTOR).next_multiple_of(cluster);
        let clusters = data.checked_sub(TABLES * table).ok_or_else(|| too_short.clone())? / cluster;
        match clusters {
            0 => Err(too_short),
            _ if clusters > MOST_32 => Err(too_long),
            // The last entry of the table may be short of the last cluster.
            _ => {
                let clusters = clusters.min(table * SECTOR / 4 - 2);
                Ok(self.with(Bits::Fat32, reserved, table, 0, cluster, clusters))
            }
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
        let Self { sectors, sectors_a_track, heads, .. } = *self;
        Geometry { bits, sectors, sectors_a_track, heads, reserved, table, root, cluster, clusters }
    }
}
