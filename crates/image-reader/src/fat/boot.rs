//! Reads the boot sector with its parameter block (fatgen103, "Boot Sector and BPB").

use crate::bytes::{Bytes, Checked};
use crate::{ReadError, Window};

/// The length of a directory entry in \[bytes\].
const ENTRY: u64 = 32;

/// The fields of a boot sector that the reader needs. Offsets and lengths are in \[bytes\].
#[derive(Debug)]
pub(super) struct Boot {
    pub(super) bits: u32,
    /// The length of a sector.
    pub(super) sector: u64,
    /// Number of allocation tables.
    pub(super) tables: u8,
    pub(super) bytes: u64,
    pub(super) table: u64,
    pub(super) table_bytes: u64,
    /// Offset and length of the root directory; the length is 0 on FAT32.
    pub(super) fixed_root: (u64, u64),
    pub(super) root_cluster: Option<u32>,
    pub(super) data: u64,
    pub(super) cluster_size: u64,
    pub(super) clusters: u64,
    pub(super) label: Vec<u8>,
    pub(super) id: u32,
    pub(super) warnings: Vec<String>,
}

fn damaged(what: impl Into<String>) -> ReadError {
    ReadError::damaged("boot sector", what)
}

/// Whether this looks like the boot sector of a FAT file system, and not like a partition table or a boot program.
pub(crate) fn seems_to_be(sector: &[u8]) -> bool {
    let bytes = Bytes(sector);
    let jumps = bytes.byte(0) == 0xe9 || (bytes.byte(0) == 0xeb && bytes.byte(2) == 0x90);
    let sector_size = bytes.le16(0xb);
    jumps
        && bytes.le16(0x1fe) == 0xaa55
        && (512..=4096).contains(&sector_size)
        && sector_size.is_power_of_two()
        && bytes.byte(0xd).is_power_of_two()
        && bytes.le16(0xe) > 0
        && (1..=2).contains(&bytes.byte(0x10))
        // exFAT and NTFS have zeros here.
        && (bytes.le16(0x16) > 0 || bytes.le32(0x24) > 0)
}

/// Whether there is a FAT at the offset in the boot sector: it starts with the media byte, and all other bits of that
/// entry are set (fatgen103, "FAT[0]").
pub(crate) fn has_table(volume: &Window, sector: &[u8]) -> bool {
    let bytes = Bytes(sector);
    let at = u64::from(bytes.le16(0xe)).saturating_mul(bytes.le16(0xb).into());
    volume.bytes(at, 2).is_ok_and(|entry| entry == [bytes.byte(0x15), 0xff])
}

impl Boot {
    pub(super) fn read(window: &Window) -> Result<Self, ReadError> {
        let raw = window.bytes(0, 512).map_err(|error| ReadError::io("boot sector", error))?;
        if !seems_to_be(&raw) {
            return Err(damaged("is not a FAT boot sector"));
        }
        let bytes = Bytes(&raw);
        let sector = u64::from(bytes.le16(0xb));
        let either = |small: u16, large: u32| if small == 0 { u64::from(large) } else { u64::from(small) };
        let sectors = either(bytes.le16(0x13), bytes.le32(0x20));
        let table_sectors = either(bytes.le16(0x16), bytes.le32(0x24));
        let too_large = || damaged("has an invalid number of sectors");
        let table = Checked::of(bytes.le16(0xe)).times(sector);
        let table_bytes = Checked::of(table_sectors).times(sector).get().ok_or_else(too_large)?;
        let root_bytes = u64::from(bytes.le16(0x11)).saturating_mul(ENTRY);
        let root = Checked::of(table_bytes).times(bytes.byte(0x10));
        let table = table.get().ok_or_else(too_large)?;
        let root = root.plus(table).get().ok_or_else(too_large)?;
        // A multiple of the sector size, which was checked.
        let data = root_bytes.checked_next_multiple_of(sector).and_then(|bytes| bytes.checked_add(root));
        let data = data.ok_or_else(too_large)?;
        let cluster_size = u64::from(bytes.byte(0xd)).saturating_mul(sector);
        let total = Checked::of(sectors).times(sector).get().ok_or_else(too_large)?;
        let clusters = total.checked_sub(data).and_then(|bytes| bytes.checked_div(cluster_size));
        let clusters = clusters.ok_or_else(|| damaged("has no clusters for files"))?;
        // The number of clusters decides the type (fatgen103, "FAT Type Determination"). But small cards also have FAT32, so,
        // as in Linux, a FAT whose length is in the field of FAT32 is a FAT32.
        let bits = match clusters {
            0 => return Err(damaged("has no clusters for files")),
            1..0x0fff_fff5 if bytes.le16(0x16) == 0 => 32,
            1..4085 => 12,
            4085..65_525 => 16,
            _ => return Err(damaged("has too many clusters")),
        };
        if (bits == 32) != (root_bytes == 0) {
            return Err(damaged(format!("its root directory is not among its {clusters} clusters")));
        }
        let bits_needed = Checked::of(clusters).plus(2_u64).times(bits);
        if bits_needed.at_most(table_bytes.saturating_mul(8)).is_none() {
            return Err(damaged("its allocation table is too short"));
        }
        let mut warnings = Vec::new();
        if total > window.length() {
            let has = window.length();
            warnings.push(format!("the file system has {total} bytes, but the image only {has}"));
        }
        let (id, label) = if bits == 32 { (0x43, 0x47) } else { (0x27, 0x2b) };
        Ok(Self {
            bits,
            sector,
            tables: bytes.byte(0x10),
            bytes: total,
            table,
            table_bytes,
            fixed_root: (root, root_bytes),
            root_cluster: (bits == 32).then(|| bytes.le32(0x2c)),
            data,
            cluster_size,
            clusters,
            label: label_of(bytes.slice(label, 11)),
            id: bytes.le32(id),
            warnings,
        })
    }

    /// Offset of a cluster; `None` if the number is invalid.
    pub(super) fn offset_of(&self, cluster: u32) -> Option<u64> {
        let index = u64::from(cluster).checked_sub(2).filter(|index| *index < self.clusters)?;
        Checked::of(index).times(self.cluster_size).plus(self.data).get()
    }

    /// The used length of a FAT in \[bytes\].
    pub(super) fn used_table(&self) -> Option<u64> {
        let bits = Checked::of(self.clusters).plus(2_u64).times(self.bits);
        bits.at_most(self.table_bytes.saturating_mul(8)).map(|bits| bits.div_ceil(8))
    }

    pub(super) fn is_end(&self, entry: u32) -> bool {
        let ends = match self.bits {
            12 => 0xff8,
            16 => 0xfff8,
            _ => 0x0fff_fff8,
        };
        entry >= ends
    }
}

/// A label without padding; empty for "NO NAME", which means no label.
pub(super) fn label_of(bytes: &[u8]) -> Vec<u8> {
    let label = bytes.trim_ascii_end();
    if label == b"NO NAME" { Vec::new() } else { label.to_vec() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;

    /// The fields of a boot sector. Lengths are in sectors.
    #[derive(Clone, Copy)]
    pub(crate) struct Fields {
        pub(crate) sector: u16,
        pub(crate) cluster: u8,
        pub(crate) reserved: u16,
        pub(crate) tables: u8,
        /// Number of entries of the root directory.
        pub(crate) root: u16,
        pub(crate) total: u32,
        pub(crate) table: u32,
        /// Whether the length of a table is in the field of FAT32.
        pub(crate) is_32: bool,
    }

    impl Fields {
        /// Clusters of a sector after a boot sector, a table of 30 sectors, and a root directory of one.
        pub(crate) fn clusters(number: u32) -> Self {
            let (tables, root, table, is_32) = (1, 16, 30, false);
            Self { sector: 512, cluster: 1, reserved: 1, tables, root, total: number + 32, table, is_32 }
        }

        /// The same for FAT32, whose root directory is in cluster 2.
        pub(crate) fn clusters_32(number: u32) -> Self {
            Self { root: 0, total: number + 31, is_32: true, ..Self::clusters(0) }
        }

        pub(crate) fn sector(self) -> Vec<u8> {
            let mut raw = vec![0; 512];
            raw[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
            raw[0xb..0xd].copy_from_slice(&self.sector.to_le_bytes());
            raw[0xd] = self.cluster;
            raw[0xe..0x10].copy_from_slice(&self.reserved.to_le_bytes());
            raw[0x10] = self.tables;
            raw[0x11..0x13].copy_from_slice(&self.root.to_le_bytes());
            match u16::try_from(self.total) {
                Ok(small) => raw[0x13..0x15].copy_from_slice(&small.to_le_bytes()),
                Err(_) => raw[0x20..0x24].copy_from_slice(&self.total.to_le_bytes()),
            }
            raw[0x15] = 0xf8;
            if self.is_32 {
                raw[0x24..0x28].copy_from_slice(&self.table.to_le_bytes());
                raw[0x2c] = 2;
            } else {
                raw[0x16..0x18].copy_from_slice(&u16::try_from(self.table).unwrap().to_le_bytes());
            }
            raw[0x1fe..].copy_from_slice(&[0x55, 0xaa]);
            raw
        }

        fn read(self) -> Result<Boot, String> {
            Boot::read(&Window::whole(Arc::new(self.sector()))).map_err(|error| error.to_string())
        }
    }

    #[test]
    fn boot_sectors_are_known_by_several_fields() {
        let right = Fields::clusters(100).sector();
        assert!(seems_to_be(&right));
        let with = |changes: &[(usize, u8)]| {
            let mut raw = right.clone();
            for (at, value) in changes {
                raw[*at] = *value;
            }
            seems_to_be(&raw)
        };
        // The other jump, sectors of 4,096 bytes, clusters of 128 sectors, two tables, a length in the field of FAT32.
        for changes in [
            &[(0, 0xe9), (2, 0)][..],
            &[(0xc, 0x10)],
            &[(0xd, 128)],
            &[(0x10, 2)],
            &[(0x16, 0), (0x24, 1)],
            &[(0xe, 0), (0xf, 1)],
        ] {
            assert!(with(changes), "{changes:x?}");
        }
        for changes in [
            &[(0, 0xea)][..],
            &[(2, 0)],
            &[(0x1fe, 0)],
            &[(0x1ff, 0)],
            &[(0xc, 1)],
            &[(0xc, 0x20)],
            &[(0xb, 0x80)],
            &[(0xd, 0)],
            &[(0xd, 3)],
            &[(0xe, 0)],
            &[(0x10, 0)],
            &[(0x10, 3)],
            &[(0x16, 0)],
        ] {
            assert!(!with(changes), "{changes:x?}");
        }
        assert_eq!(
            Boot::read(&Window::whole(Arc::new(vec![0; 512]))).unwrap_err().to_string().split(';').next(),
            Some("boot sector: is not a FAT boot sector")
        );
    }

    #[test]
    fn structures_follow_each_other() {
        let fields = Fields {
            sector: 1024,
            cluster: 4,
            reserved: 3,
            tables: 2,
            root: 33,
            total: 3 + 2 * 5 + 2 + 4 * 100 + 3,
            table: 5,
            is_32: false,
        };
        let boot = fields.read().unwrap();
        assert_eq!((boot.bits, boot.sector, boot.tables), (12, 1024, 2));
        assert_eq!((boot.table, boot.table_bytes), (3 * 1024, 5 * 1024));
        // The root directory has 33 entries, in two sectors.
        assert_eq!((boot.fixed_root, boot.root_cluster), ((13 * 1024, 33 * 32), None));
        assert_eq!((boot.data, boot.cluster_size, boot.clusters), (15 * 1024, 4096, 100));
        assert_eq!(boot.bytes, 418 * 1024);
        let boot = Fields::clusters_32(100).read().unwrap();
        assert_eq!((boot.bits, boot.fixed_root, boot.root_cluster), (32, (31 * 512, 0), Some(2)));
        assert_eq!((boot.data, boot.clusters), (31 * 512, 100));
    }

    #[test]
    fn the_number_of_clusters_decides_the_width_of_entries() {
        let bits = |clusters: u32, table| {
            Fields { table, total: clusters + 2 + table, ..Fields::clusters(0) }.read()
        };
        for (clusters, expected) in [(1, 12), (4084, 12), (4085, 16), (65_524, 16)] {
            assert_eq!(bits(clusters, 256).unwrap().bits, expected, "{clusters}");
        }
        assert!(bits(65_525, 600).unwrap_err().contains("has too many clusters"));
        assert!(bits(0, 256).unwrap_err().contains("has no clusters for files"));
        let short = Fields { total: 31, ..Fields::clusters(0) }.read().unwrap_err();
        assert!(short.contains("has no clusters for files"), "{short}");
        // FAT32 is known by its own field.
        assert_eq!(Fields::clusters_32(1).read().unwrap().bits, 32);
        let large = |clusters: u32| Fields {
            table: 1 << 22,
            total: clusters + 1 + (1 << 22),
            ..Fields::clusters_32(0)
        };
        assert_eq!(large(0x0fff_fff4).read().unwrap().bits, 32);
        assert!(large(0x0fff_fff5).read().unwrap_err().contains("has too many clusters"));
        for wrong in [
            Fields { root: 16, total: 132, ..Fields::clusters_32(100) },
            Fields { root: 0, ..Fields::clusters(100) },
        ] {
            let error = wrong.read().unwrap_err();
            assert!(error.contains("its root directory is not among its"), "{error}");
        }
    }

    #[test]
    fn tables_have_an_entry_for_each_cluster_and_two_more() {
        let fields =
            |table, clusters: u32| Fields { table, total: clusters + 2 + table, ..Fields::clusters(0) };
        // 341 entries of 12 bits fit into a sector.
        let boot = fields(1, 339).read().unwrap();
        assert_eq!(boot.used_table(), Some(512));
        assert!(fields(1, 340).read().unwrap_err().contains("its allocation table is too short"));
        assert_eq!(fields(1, 1).read().unwrap().used_table(), Some(5), "36 bits");
        assert_eq!(fields(16, 4094).read().unwrap().used_table(), Some(8192));
        assert!(fields(16, 4095).read().is_err());
    }

    #[test]
    fn clusters_are_numbered_from_two() {
        let boot = Fields { cluster: 2, ..Fields::clusters(200) }.read().unwrap();
        for (cluster, offset) in [
            (0, None),
            (1, None),
            (2, Some(32 * 512)),
            (3, Some(34 * 512)),
            (101, Some(230 * 512)),
            (102, None),
            (u32::MAX, None),
        ] {
            assert_eq!(boot.offset_of(cluster), offset, "{cluster}");
        }
    }

    #[test]
    fn the_last_eight_numbers_end_a_chain() {
        let fat_16 = Fields { table: 60, total: 5062, ..Fields::clusters(0) };
        for (fields, first) in
            [(Fields::clusters(9), 0xff8), (fat_16, 0xfff8), (Fields::clusters_32(9), 0x0fff_fff8)]
        {
            let boot = fields.read().unwrap();
            assert_eq!([first - 1, first, first + 7].map(|entry| boot.is_end(entry)), [false, true, true]);
        }
    }

    #[test]
    fn labels_and_numbers_are_in_the_place_of_their_width() {
        for (fields, id, label) in [(Fields::clusters(9), 0x27, 0x2b), (Fields::clusters_32(9), 0x43, 0x47)] {
            let mut raw = fields.sector();
            raw[id..id + 4].copy_from_slice(&[4, 3, 2, 1]);
            raw[label..label + 11].copy_from_slice(b"A LABEL    ");
            let boot = Boot::read(&Window::whole(Arc::new(raw.clone()))).unwrap();
            assert_eq!((boot.id, boot.label.as_slice()), (0x0102_0304, &b"A LABEL"[..]));
            raw[label..label + 11].copy_from_slice(b"NO NAME    ");
            assert_eq!(Boot::read(&Window::whole(Arc::new(raw))).unwrap().label, b"");
        }
    }

    #[test]
    fn a_truncated_image_is_a_warning() {
        let warnings = |length| {
            let mut raw = Fields::clusters(9).sector();
            raw.resize(length, 0);
            Boot::read(&Window::whole(Arc::new(raw))).unwrap().warnings
        };
        assert_eq!(warnings(41 * 512), Vec::<String>::new());
        assert_eq!(warnings(41 * 512 - 1), ["the file system has 20992 bytes, but the image only 20991"]);
    }
}
