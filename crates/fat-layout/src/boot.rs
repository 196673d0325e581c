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

#[cfg(test)]
mod tests {
    use image_tree::SectorSize;

    use super::*;

    /// Offset, bytes and meaning of the fields that are not 0 (specification, sections 3.1 to 3.3).
    type Expected<'a> = &'a [(usize, &'a [u8], &'a str)];

    fn check(bytes: u64, sector: SectorSize, bits: Bits, fields: Expected<'_>) {
        let options = Options {
            bytes,
            free_space: 0,
            label: *b"ELEVENBYTES",
            id: 0x1234_5678,
            bits: Some(bits),
            sector,
        };
        let geometry = Geometry::of(&options, 0).unwrap();
        let mut expected = vec![0; 512];
        let end = if bits == Bits::Fat16 { 38 } else { 66 };
        for (at, bytes, _) in fields {
            put(&mut expected, *at, bytes);
        }
        put(&mut expected, 3, b"mkfs.fat");
        put(&mut expected, end - 2, &[0x80, 0, 0x29, 0x78, 0x56, 0x34, 0x12]);
        put(&mut expected, end + 5, b"ELEVENBYTES");
        put(&mut expected, 510, &[0x55, 0xaa]);
        let found = boot_sector(&options, &geometry);
        for (at, bytes, what) in fields {
            assert_eq!(&found[*at..at + bytes.len()], *bytes, "{what}");
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_boot_sector_has_the_fields_of_its_type() {
        let code = b"\xf4\xeb\xfd";
        check(
            32 << 20,
            SectorSize::Bytes512,
            Bits::Fat16,
            &[
                (0, b"\xeb\x3c\x90", "jump"),
                (11, &[0, 2], "sector"),
                (13, &[4], "sectors of a cluster"),
                (14, &[4, 0], "reserved"),
                (16, &[2], "tables"),
                (17, &[0, 2], "entries of the root"),
                (21, &[0xf8], "media"),
                (22, &[64, 0], "table"),
                (24, &[32, 0], "sectors of a track"),
                (26, &[4, 0], "heads"),
                (32, &[0, 0, 1, 0], "sectors from 65,536 on"),
                (54, b"FAT16   ", "type"),
                (62, code, "code"),
            ],
        );
        check(
            32 << 20,
            SectorSize::Bytes4096,
            Bits::Fat16,
            &[
                (0, b"\xeb\x3c\x90", "jump"),
                (11, &[0, 16], "sector"),
                (13, &[1], "sectors of a cluster"),
                (14, &[1, 0], "reserved"),
                (16, &[2], "tables"),
                (17, &[0, 2], "entries of the root"),
                (19, &[0, 32], "sectors below 65,536"),
                (21, &[0xf8], "media"),
                (22, &[4, 0], "table"),
                (24, &[32, 0], "sectors of a track"),
                (26, &[2, 0], "heads"),
                (54, b"FAT16   ", "type"),
                (62, code, "code"),
            ],
        );
        check(
            300 << 20,
            SectorSize::Bytes512,
            Bits::Fat32,
            &[
                (0, b"\xeb\x58\x90", "jump"),
                (11, &[0, 2], "sector"),
                (13, &[8], "sectors of a cluster"),
                (14, &[32, 0], "reserved"),
                (16, &[2], "tables"),
                (21, &[0xf8], "media"),
                (24, &[63, 0], "sectors of a track"),
                (26, &[16, 0], "heads"),
                (32, &[0xe8, 0x5f, 9, 0], "sectors"),
                (36, &[0x58, 2, 0, 0], "table"),
                (44, &[2, 0, 0, 0], "first cluster of the root"),
                (48, &[1, 0], "FSInfo"),
                (50, &[6, 0], "copy of the boot sector"),
                (82, b"FAT32   ", "type"),
                (90, code, "code"),
            ],
        );
    }
}
