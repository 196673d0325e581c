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
