//! The reserved sectors: the boot sector and, in FAT32, `FSInfo` and a copy of both (specification, sections 3.1 to
//! 3.5 and 5).

use image_tree::{narrow, to_usize};

use crate::geometry::{Geometry, TABLES};
use crate::{Bits, Options};

/// Sector of `FSInfo` in FAT32.
const FS_INFO: u16 = 1;
/// Sector of the backup boot sector in FAT32; the copy of `FSInfo` follows it.
const BACKUP: u16 = 6;
/// Used bytes of the boot sector and of `FSInfo`, for any sector size (specification, sections 3.1 and 5).
const BOOT: usize = 512;
/// Media byte: a hard disk.
pub(crate) const MEDIA: u8 = 0xf8;
/// The number of the first cluster. In FAT32 it belongs to the root directory.
pub(crate) const FIRST_CLUSTER: u32 = 2;
/// Boot code that stops the machine: `hlt` in a loop.
const HALT: [u8; 3] = [0xf4, 0xeb, 0xfd];
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// The fields of `FSInfo`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) free_clusters: u32,
    /// The last allocated cluster.
    pub(crate) last_used: u32,
}

/// All reserved sectors.
pub(crate) fn reserved_sectors(options: &Options, geometry: &Geometry, usage: Usage) -> Vec<u8> {
    let mut bytes = vec![0; to_usize(geometry.reserved * geometry.sector)];
    let boot = boot_sector(options, geometry);
    put(&mut bytes, 0, &boot);
    if geometry.bits == Bits::Fat32 {
        let info = fs_info(usage);
        let sector = to_usize(geometry.sector);
        put(&mut bytes, sector * usize::from(FS_INFO), &info);
        put(&mut bytes, sector * usize::from(BACKUP), &boot);
        put(&mut bytes, sector * usize::from(BACKUP + FS_INFO), &info);
    }
    bytes
}

/// The bytes of `FSInfo` and its copy that count clusters.
pub(crate) fn counts(geometry: &Geometry) -> Vec<std::ops::Range<u64>> {
    if geometry.bits == Bits::Fat16 {
        return Vec::new();
    }
    let at = |sector: u16| {
        let start = u64::from(sector) * geometry.sector + 488;
        start..start + 8
    };
    vec![at(FS_INFO), at(BACKUP + FS_INFO)]
}

fn boot_sector(options: &Options, geometry: &Geometry) -> Vec<u8> {
    let mut sector = vec![0; BOOT];
    let is_32 = geometry.bits == Bits::Fat32;
    let code: u8 = if is_32 { 90 } else { 62 };
    // A jump over the fields to the boot code.
    put(&mut sector, 0, &[0xeb, code - 2, 0x90]);
    put(&mut sector, 3, b"mkfs.fat");
    let mut fields = Fields { bytes: &mut sector, at: 11 };
    fields.u16(geometry.sector);
    fields.u8(geometry.cluster);
    fields.u16(geometry.reserved);
    fields.u8(TABLES);
    fields.u16(geometry.root * geometry.sector / crate::geometry::ENTRY);
    let is_short = geometry.sectors < 1 << 16;
    fields.u16(if is_short { geometry.sectors } else { 0 });
    fields.u8(MEDIA.into());
    fields.u16(if is_32 { 0 } else { geometry.table });
    fields.u16(geometry.sectors_per_track.into());
    fields.u16(geometry.heads.into());
    // Hidden sectors, those before the partition: 0, because readers of files ignore them.
    fields.u32(0);
    fields.u32(if is_short { 0 } else { geometry.sectors });
    if is_32 {
        fields.u32(geometry.table);
        // FATs are mirrored, version 0.0.
        fields.u32(0);
        fields.u32(FIRST_CLUSTER.into());
        fields.u16(FS_INFO.into());
        fields.u16(BACKUP.into());
        fields.at += 12;
    }
    // Drive number of the first hard disk, and the signature of the three fields that follow.
    fields.u16(0x80);
    fields.u8(0x29);
    fields.u32(options.id.into());
    let at = fields.at;
    put(&mut sector, at, &options.label);
    put(&mut sector, at + options.label.len(), if is_32 { b"FAT32   " } else { b"FAT16   " });
    put(&mut sector, code.into(), &HALT);
    put(&mut sector, 510, &SIGNATURE);
    sector
}

fn fs_info(usage: Usage) -> Vec<u8> {
    let mut sector = vec![0; BOOT];
    put(&mut sector, 0, b"RRaA");
    put(&mut sector, 484, b"rrAa");
    put(&mut sector, 488, &usage.free_clusters.to_le_bytes());
    put(&mut sector, 492, &usage.last_used.to_le_bytes());
    put(&mut sector, 510, &SIGNATURE);
    sector
}

/// Why all numbers fit into their fields.
const FIELDS: &str = "`geometry` refuses lengths whose numbers do not fit into the boot sector";

/// Writes fields one after another, little-endian.
struct Fields<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Fields<'_> {
    fn put(&mut self, bytes: &[u8]) {
        put(self.bytes, self.at, bytes);
        self.at += bytes.len();
    }

    fn u8(&mut self, number: u64) {
        self.put(&[narrow(number, FIELDS)]);
    }

    fn u16(&mut self, number: u64) {
        self.put(&narrow::<u16>(number, FIELDS).to_le_bytes());
    }

    fn u32(&mut self, number: u64) {
        self.put(&narrow::<u32>(number, FIELDS).to_le_bytes());
    }
}

/// Copies bytes to an offset of the buffer, which must have room for them.
pub(crate) fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    target[at..at + bytes.len()].copy_from_slice(bytes);
}
