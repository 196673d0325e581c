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
const FAT32_FROM: u64 = 512 << 20;
/// Maximum partition lengths in \[bytes\] for which FAT32 has clusters of 512 bytes, 4, 8 and 16 KiB; after them, of 4 to 32 KiB.
const MAX_FOR_CLUSTERS: [u64; 4] = [260 << 20, 8 << 30, 16 << 30, 32 << 30];
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
            // The length could have decided on the type, unless it did.
            let other = Self::is_possible(options, list, chosen);
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

/// The next longer partition length in \[bytes\] from which clusters can be shorter, or tables much shorter: where the type becomes
/// FAT32, or the clusters of FAT32 longer.
pub(crate) fn next_change(bytes: u64, sector: u64) -> Option<u64> {
    let longer = MAX_FOR_CLUSTERS.map(|most| most + sector);
    longer.into_iter().chain([FAT32_FROM]).filter(|change| bytes < *change).min()
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
        loop {
            if cluster * self.sector > MAX_CLUSTER_BYTES {
                return Err(WrongLength::TooLong);
            }
            match self.fat16_with(cluster) {
                Some(geometry) if is_right(&geometry) => return Ok(geometry),
                Some(geometry) if geometry.clusters > MAX_CLUSTERS_16 => cluster *= 2,
                _ => break,
            }
        }
        let shorter = [first / 2, first / 4].into_iter().filter(|cluster| *cluster > 0);
        shorter.filter_map(|cluster| self.fat16_with(cluster)).find(is_right).ok_or(WrongLength::TooShort)
    }

    fn fat16_with(&self, cluster: u64) -> Option<Geometry> {
        let sector = self.sector;
        // Structures are aligned to clusters. mkfs.vfat does not do that on disks of at most 8192 sectors, but there a cluster is a
        // sector.
        let reserved = (Bits::Fat16.list_at() + self.list).next_multiple_of(cluster);
        let root = (ROOT_ENTRIES * ENTRY / sector).next_multiple_of(cluster);
        let data = self.sectors.checked_sub(reserved + root)?;
        // The bytes that a cluster needs in the tables.
        let in_tables = TABLES * 2;
        // At least as many as there are clusters, so the table has an entry for each.
        let about = data * sector / (cluster * sector + in_tables);
        let table = ((about + 2) * 2).div_ceil(sector).next_multiple_of(cluster);
        let clusters = data.checked_sub(TABLES * table)? / cluster;
        Some(self.with(Bits::Fat16, reserved, table, root, cluster, clusters))
    }

    fn fat32(&self) -> Result<Geometry, WrongLength> {
        let longer = MAX_FOR_CLUSTERS.into_iter().filter(|most| self.bytes > *most).count();
        let wanted = [512, 4096, 8192, 16_384, 32_768][longer];
        let (sector, cluster) = (self.sector, (wanted / self.sector).max(1));
        let reserved = (Bits::Fat32.list_at() + self.list).max(32).next_multiple_of(cluster);
        let data = self.sectors.checked_sub(reserved).ok_or(WrongLength::TooShort)?;
        // The boot sector counts sectors in 32 bits.
        if u32::try_from(self.sectors).is_err() {
            return Err(WrongLength::TooLong);
        }
        // The bytes that a cluster needs in the tables.
        let in_tables = TABLES * 4;
        // At least as many as there are clusters, so the table has an entry for each.
        let about = data * sector / (cluster * sector + in_tables);
        let table = ((about + 2) * 4).div_ceil(sector).next_multiple_of(cluster);
        let clusters = data.checked_sub(TABLES * table).ok_or(WrongLength::TooShort)? / cluster;
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

#[cfg(test)]
mod tests {
    use image_tree::SectorSize;

    use super::*;

    const LONG: SectorSize = SectorSize::Bytes4096;
    const SHORT: SectorSize = SectorSize::Bytes512;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn options(bytes: u64, sector: SectorSize, bits: Option<Bits>) -> Options {
        Options { bytes, free_space: 0, label: crate::NO_LABEL, id: 0, bits, sector }
    }

    /// The length of clusters in \[sectors\] and their number, for a length in \[sectors\].
    fn shape(sectors: u64, sector: SectorSize, list: u64, bits: Bits) -> Result<(u64, u64), WrongLength> {
        let options = options(sectors * sector.bytes(), sector, None);
        Geometry::with_bits(&options, list, bits).map(|found| (found.cluster, found.clusters))
    }

    #[test]
    fn fat32_begins_at_512_mib() {
        let bits = |bytes| Geometry::of(&options(bytes, SHORT, None), 0).unwrap().bits;
        assert_eq!((bits(512 * MIB - 512), bits(512 * MIB)), (Bits::Fat16, Bits::Fat32));
    }

    /// The last length for each length of clusters, and the first that has another.
    #[test]
    fn fat16_has_clusters_of_2_kib_or_the_next_length_that_suits() {
        use WrongLength::{TooLong, TooShort};
        for (sector, sectors, expected) in [
            (SHORT, 4159, Err(TooShort)),
            (SHORT, 4160, Ok((1, 4093))),
            (SHORT, 8255, Ok((1, 8127))),
            (SHORT, 8256, Ok((2, 4093))),
            (SHORT, 16_415, Ok((2, 8143))),
            (SHORT, 16_416, Ok((4, 4087))),
            (SHORT, 262_655, Ok((4, 65_519))),
            (SHORT, 262_656, Ok((8, 32_793))),
            (SHORT, 524_789, Ok((8, 65_521))),
            (SHORT, 524_790, Ok((16, 32_778))),
            (SHORT, 1_049_012, Ok((16, 65_524))),
            (SHORT, 1_049_013, Ok((32, 32_769))),
            (SHORT, 2_097_395, Ok((32, 65_523))),
            (SHORT, 2_097_396, Ok((64, 32_765))),
            (SHORT, 4_194_287, Ok((64, 65_524))),
            (SHORT, 4_194_288, Ok((128, 32_763))),
            (SHORT, 8_388_008, Ok((128, 65_524))),
            (SHORT, 8_388_009, Err(TooLong)),
            (LONG, 4095, Err(TooShort)),
            (LONG, 4096, Ok((1, 4087))),
            (LONG, 65_599, Ok((1, 65_499))),
            (LONG, 65_600, Ok((2, 32_779))),
            (LONG, 1_048_508, Ok((16, 65_521))),
            (LONG, 1_048_509, Err(TooLong)),
        ] {
            assert_eq!(shape(sectors, sector, 0, Bits::Fat16), expected, "{sectors} of {sector:?}");
        }
        // Another sector for the list of slots leaves too few clusters.
        assert_eq!(shape(4096, LONG, 1, Bits::Fat16), Err(TooShort));
    }

    #[test]
    fn fat32_has_longer_clusters_beyond_260_mib_and_8_16_and_32_gib() {
        for (bytes, expected) in [
            (260 * MIB, (1, 524_252)),
            (260 * MIB + 512, (8, 66_425)),
            (261 * MIB, (8, 66_675)),
            (8 * GIB, (8, 2_093_057)),
            (8 * GIB + 63 * 512, (16, 1_047_553)),
            (16 * GIB, (16, 2_095_101)),
            (16 * GIB + 63 * 512, (32, 1_048_064)),
            (32 * GIB, (32, 2_096_126)),
            (32 * GIB + 63 * 512, (64, 1_048_319)),
        ] {
            assert_eq!(shape(bytes / 512, SHORT, 0, Bits::Fat32), Ok(expected), "{bytes}");
        }
        assert_eq!(shape(260 << 8, LONG, 0, Bits::Fat32), Ok((1, 66_398)));
        assert_eq!(shape(GIB * 33 / 4096, LONG, 0, Bits::Fat32).map(|(cluster, _)| cluster), Ok(8));
    }

    /// 65,525 clusters to 268,435,446, and less than 2³² sectors.
    #[test]
    fn fat32_has_as_many_clusters_as_its_readers_expect() {
        use WrongLength::{TooLong, TooShort};
        for (sector, sectors, list, expected) in [
            (SHORT, 66_591, 0, Err(TooShort)),
            (SHORT, 66_592, 0, Ok((1, 65_534))),
            (SHORT, 66_592, 34 * 512, Ok((1, 65_525))),
            (SHORT, 66_592, 34 * 512 + 1, Err(TooShort)),
            (SHORT, 31, 0, Err(TooShort)),
            (SHORT, 1000, 0, Err(TooShort)),
            (SHORT, 4_294_967_354, 0, Ok((64, 67_092_480))),
            (SHORT, 4_294_967_355, 0, Err(TooLong)),
            (LONG, 2_148_008_183, 1 << 20, Ok((8, 268_435_445))),
            (LONG, 2_148_008_184, 1 << 20, Err(TooLong)),
        ] {
            assert_eq!(shape(sectors, sector, list, Bits::Fat32), expected, "{sectors} of {sector:?}");
        }
    }

    #[test]
    fn an_incomplete_track_stays_unused() {
        for (sectors, expected) in [
            (2 * 2048, (16, 2)),
            (2 * 2048 + 1, (32, 2)),
            (16 * 2048 + 1, (32, 4)),
            (32 * 2048 + 1, (32, 8)),
            (128 * 2048 + 1, (32, 16)),
            (256 * 2048, (32, 16)),
            (256 * 2048 + 1, (63, 16)),
            (504 * 2048 + 1, (63, 32)),
            (1008 * 2048 + 1, (63, 64)),
            (2016 * 2048 + 1, (63, 128)),
            (4032 * 2048, (63, 128)),
            (4032 * 2048 + 1, (63, 255)),
        ] {
            assert_eq!(track(sectors), expected, "{sectors}");
        }
        let found = Geometry::with_bits(&options(600 * MIB + 511, SHORT, None), 0, Bits::Fat32).unwrap();
        assert_eq!((found.sectors, found.sectors_per_track, found.heads), (1_228_752, 63, 32));
    }

    /// In FAT16 one more sector than the list, in FAT32 nine more and at least 32, each in whole clusters.
    #[test]
    fn the_list_of_slots_is_in_the_reserved_sectors() {
        for (mib, bits, list, expected) in [
            (17, Bits::Fat16, 0, 4),
            (17, Bits::Fat16, 3 * 512, 4),
            (17, Bits::Fat16, 3 * 512 + 1, 8),
            (500, Bits::Fat16, 15 * 512 + 1, 32),
            (34, Bits::Fat32, 23 * 512, 32),
            (34, Bits::Fat32, 23 * 512 + 1, 33),
            (300, Bits::Fat32, 23 * 512 + 1, 40),
        ] {
            let found = Geometry::of(&options(mib * MIB, SHORT, Some(bits)), list).unwrap();
            assert_eq!(found.reserved, expected, "{mib} MiB, {list} bytes");
        }
    }

    /// The smallest number of MiB, also with a list of slots; the other type only if the length decides on it and suits it.
    #[test]
    fn a_wrong_length_is_reported_with_one_that_suits() {
        let error =
            |bytes, sector, bits, list| Geometry::of(&options(bytes, sector, bits), list).unwrap_err();
        let short = |bytes, fat32, mib, other| FatError::TooShort { bytes, fat32, least: mib * MIB, other };
        let (fat16, fat32) = (Some(Bits::Fat16), Some(Bits::Fat32));
        assert_eq!(error(MIB, SHORT, None, 0), short(MIB, false, 3, false));
        assert_eq!(error(MIB, SHORT, fat16, 0), short(MIB, false, 3, false));
        assert_eq!(error(MIB, SHORT, None, 1 << 20), short(MIB, false, 4, false));
        assert_eq!(error(MIB, LONG, None, 0), short(MIB, false, 16, false));
        assert_eq!(error(MIB, SHORT, fat32, 0), short(MIB, true, 33, false));
        assert_eq!(error(32 * MIB, SHORT, fat32, 0), short(32 * MIB, true, 33, true));
        assert_eq!(error(33 * MIB, SHORT, fat32, 1 << 20), short(33 * MIB, true, 34, true));
        assert_eq!(error(256 * MIB, LONG, fat32, 0), short(256 * MIB, true, 257, true));
        let long = |bytes, fat32, other| FatError::TooLong { bytes, fat32, other };
        assert_eq!(error(5 * GIB, SHORT, fat16, 0), long(5 * GIB, false, true));
        assert_eq!(error(1 << 42, SHORT, fat16, 0), long(1 << 42, false, false));
        assert_eq!(error(1 << 42, SHORT, fat32, 0), long(1 << 42, true, false));
        assert_eq!(error(1 << 42, SHORT, None, 0), long(1 << 42, true, false));
    }
}
