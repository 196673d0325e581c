//! Reads GUID partition tables (UEFI 2.10, chapter 5): a header and an array of entries, and a backup of both.

use image_tree::{Uuid, to_usize};

use super::{Partition, PartitionTable, PartitionType, TableKind, mbr, sector};
use crate::bytes::{Bytes, Checked};
use crate::{ReadError, Window};

/// Maximum size of the array of entries in \[bytes\]; usually it has 16 KiB.
const MAX_ARRAY: u64 = 1 << 20;

struct Header {
    raw: Vec<u8>,
    array: Vec<u8>,
    size: u64,
}

impl Header {
    /// Whether the backup of this header, in this sector, is at the end of a shorter disk: after all partitions, with its own
    /// array before it (UEFI 2.10, 5.3.1).
    fn is_of_a_shorter_disk(&self, backup: &Self, sector: u64, last: u64) -> bool {
        let usable = Bytes(&self.raw).le64(0x30);
        let array = Bytes(&backup.raw).le64(0x48);
        [usable, array, sector, last].is_sorted_by(|one, next| one < next)
    }

    /// Whether this is a backup of the first header: equal in contents, and referring to it.
    fn is_backup_of(&self, first: &Self) -> bool {
        // First and last usable sector and the disk's GUID; then number and size of entries.
        let same = |at, len| Bytes(&self.raw).slice(at, len) == Bytes(&first.raw).slice(at, len);
        Bytes(&self.raw).le64(0x20) == 1 && same(0x28, 0x20) && same(0x50, 8) && self.array == first.array
    }
}

/// Reads a table; the backup if the first one is invalid.
pub(super) fn read(disk: &Window) -> Result<Option<PartitionTable>, ReadError> {
    for sector_size in [512, 4096] {
        let last = disk.length().checked_div(sector_size).unwrap_or(0).saturating_sub(1);
        let raw = sector(disk, 1, sector_size)?;
        let first = header(disk, 1, sector_size)?;
        if let Some(Ok(header)) = &first {
            let mut table = table(header, sector_size);
            let backup = Bytes(&header.raw).le64(0x20);
            let wrong = match self::header(disk, backup, sector_size)? {
                Some(Ok(copy)) if !copy.is_backup_of(header) => Some("differs from it"),
                Some(Ok(copy)) if header.is_of_a_shorter_disk(&copy, backup, last) => {
                    table.is_longer = true;
                    None
                }
                Some(Ok(_)) if backup != last => Some("is not at the end"),
                // A part of a sector; devices have only whole ones.
                Some(Ok(_)) if !disk.length().is_multiple_of(sector_size) => {
                    Some("is not at the end: less than a sector follows it")
                }
                Some(Ok(_)) => None,
                _ => Some("is missing or invalid"),
            };
            table.warnings.extend(wrong.map(|wrong| format!("the backup of the partition table {wrong}")));
            return Ok(Some(table));
        }
        // A device may still have the backup of an old table at its end.
        let is_expected = first.is_some() || mbr::is_protective(disk)?;
        // An invalid header may still refer to its backup, which may be before the end of a longer device.
        let ends = [if first.is_some() { Bytes(&raw).le64(0x20) } else { last }, last];
        for end in if is_expected { &ends[..] } else { &[] } {
            let Some(Ok(header)) = header(disk, *end, sector_size)? else { continue };
            let mut table = table(&header, sector_size);
            let text = "the partition table is missing or invalid; its backup is used";
            table.warnings.push(text.to_owned());
            return Ok(Some(table));
        }
        if let Some(Err(what)) = first {
            return Err(ReadError::damaged("partition table", what));
        }
    }
    Ok(None)
}

/// Reads a header with its array; `None` if there is none, a message if it is invalid.
fn header(disk: &Window, number: u64, size: u64) -> Result<Option<Result<Header, String>>, ReadError> {
    let raw = sector(disk, number, size)?;
    let bytes = Bytes(&raw);
    if bytes.slice(0, 8) != b"EFI PART" {
        return Ok(None);
    }
    let invalid = |what: &str| Ok(Some(Err(what.to_owned())));
    let length = u64::from(bytes.le32(0xc));
    if length < 92 || length > size {
        return invalid("its header has a wrong length");
    }
    let mut zeroed = bytes.slice(0, to_usize(length)).to_vec();
    zeroed.iter_mut().skip(0x10).take(4).for_each(|byte| *byte = 0);
    if crc32fast::hash(&zeroed) != bytes.le32(0x10) {
        return invalid("the checksum of its header is wrong");
    }
    if bytes.le64(0x18) != number {
        return invalid("its header has the number of another sector");
    }
    let entry = u64::from(bytes.le32(0x54));
    let array = Checked::of(entry).times(bytes.le32(0x50)).at_most(MAX_ARRAY);
    let Some(array) = array.filter(|_| entry >= 128 && entry.is_power_of_two()) else {
        return invalid("its entries have a wrong length or number");
    };
    let Ok(array) = disk.bytes(bytes.le64(0x48).saturating_mul(size), array) else {
        return invalid("its entries are not in the image");
    };
    if crc32fast::hash(&array) != bytes.le32(0x58) {
        return invalid("the checksum of its entries is wrong");
    }
    Ok(Some(Ok(Header { array, size: entry, raw })))
}

fn table(header: &Header, sector: u64) -> PartitionTable {
    let bytes = Bytes(&header.raw);
    let mut partitions = Vec::new();
    for (number, raw) in (1..).zip(header.array.chunks_exact(to_usize(header.size))) {
        let entry = Bytes(raw);
        let kind = entry.id(0);
        let (first, last) = (entry.le64(0x20), entry.le64(0x28));
        let Some(more) = last.checked_sub(first).filter(|_| kind != [0; 16]) else { continue };
        let units = entry.slice(0x38, 72).chunks_exact(2).map(|unit| Bytes(unit).le16(0));
        let units = units.take_while(|unit| *unit != 0);
        let name = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        partitions.push(Partition {
            number,
            start: first.saturating_mul(sector),
            size: more.saturating_add(1).saturating_mul(sector),
            kind: PartitionType::Gpt(Uuid::from_disk(kind)),
            // Legacy BIOS bootable (UEFI 2.10, table 5.8).
            bootable: entry.le64(0x30) & 4 != 0,
            name,
            guid: Some(Uuid::from_disk(entry.id(0x10))),
        });
    }
    PartitionTable {
        kind: TableKind::Gpt(Uuid::from_disk(bytes.id(0x38))),
        usable: (
            bytes.le64(0x28).saturating_mul(sector),
            bytes.le64(0x30).saturating_add(1).saturating_mul(sector),
        ),
        partitions,
        sector_size: sector,
        warnings: Vec::new(),
        is_longer: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use image_tree::to_u64;

    /// Sectors of the disks of these tests.
    const SECTORS: u64 = 100;
    const ESP: [u8; 16] =
        [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];

    /// A disk with a partition table and its backup.
    struct Disk {
        bytes: Vec<u8>,
        sector: u64,
    }

    impl Disk {
        /// Partitions have a first and a last sector.
        fn new(sector: u64, partitions: &[(u64, u64)]) -> Self {
            let mut disk = Self { bytes: vec![0; to_usize(SECTORS * sector)], sector };
            disk.bytes[0x1c2] = 0xee;
            disk.bytes[0x1c6] = 1;
            disk.bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
            for (number, array) in [(1, 2), (SECTORS - 1, SECTORS - 2)] {
                for (number, (first, last)) in (0..).zip(partitions) {
                    let at = to_usize(array * sector + number * 128);
                    disk.bytes[at..at + 16].copy_from_slice(&ESP);
                    disk.put(at + 0x10, 0x0807_0605_0403_0201);
                    disk.put(at + 0x20, *first);
                    disk.put(at + 0x28, *last);
                }
                disk.header(number, SECTORS - number, array);
            }
            disk
        }

        fn put(&mut self, at: usize, value: u64) {
            self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }

        fn at(&self, number: u64) -> usize {
            to_usize(number * self.sector)
        }

        /// Writes the header in this sector; `other` is the number of the other one's.
        fn header(&mut self, number: u64, other: u64, array: u64) {
            let at = self.at(number);
            self.bytes[at..at + 16].copy_from_slice(b"EFI PART\0\0\x01\0\x5c\0\0\0");
            for (field, value) in
                [(0x18, number), (0x20, other), (0x28, 3), (0x30, SECTORS - 3), (0x48, array)]
            {
                self.put(at + field, value);
            }
            self.bytes[at + 0x38..at + 0x48].fill(7);
            // Four entries of 128 bytes.
            self.put(at + 0x50, 4 | 128 << 32);
            self.seal(number);
        }

        /// Corrects the checksums of the header in this sector.
        fn seal(&mut self, number: u64) {
            let at = self.at(number);
            let field = |field: usize| Bytes(&self.bytes).le32(at + field);
            let array = to_usize(Bytes(&self.bytes).le64(at + 0x48).saturating_mul(self.sector));
            let length = usize::try_from(u64::from(field(0x50)) * u64::from(field(0x54))).unwrap();
            if let Some(array) = array.checked_add(length).and_then(|end| self.bytes.get(array..end)) {
                let sum = crc32fast::hash(array).to_le_bytes();
                self.bytes[at + 0x58..at + 0x5c].copy_from_slice(&sum);
            }
            self.bytes[at + 0x10..at + 0x14].fill(0);
            let length = usize::try_from(Bytes(&self.bytes).le32(at + 0xc)).unwrap();
            let sum = crc32fast::hash(Bytes(&self.bytes).slice(at, length)).to_le_bytes();
            self.bytes[at + 0x10..at + 0x14].copy_from_slice(&sum);
        }

        /// Changes a field of a header, and corrects its checksums.
        fn change(&mut self, number: u64, field: usize, value: &[u8]) {
            let at = self.at(number) + field;
            self.bytes[at..at + value.len()].copy_from_slice(value);
            self.seal(number);
        }

        fn read(&self) -> Result<Option<PartitionTable>, String> {
            let window = Window::whole(Arc::new(self.bytes.clone()));
            PartitionTable::read(&window).map_err(|error| error.to_string())
        }

        fn table(&self) -> PartitionTable {
            self.read().unwrap().unwrap()
        }
    }

    #[test]
    fn reads_partitions_of_both_sector_sizes() {
        for sector in [512, 4096] {
            let mut disk = Disk::new(sector, &[(3, 9), (0, 0), (10, 10)]);
            for (number, array) in [(1, 2), (SECTORS - 1, SECTORS - 2)] {
                let array = disk.at(array);
                // An entry without a type is unused, and so is one that ends before it begins.
                disk.bytes[array + 128..array + 144].fill(0);
                disk.bytes[array + 3 * 128..][..16].copy_from_slice(&ESP);
                disk.put(array + 3 * 128 + 0x20, 1);
                disk.put(array + 0x30, 4);
                disk.put(array + 2 * 128 + 0x30, 0b1011);
                disk.bytes[array + 0x38..][..8].copy_from_slice(b"b\0\xf6\0\0\0x\0");
                // All 36 units of a name may be used.
                for unit in 0..36 {
                    disk.bytes[array + 2 * 128 + 0x38 + 2 * unit] = b'n';
                }
                disk.seal(number);
            }
            let table = disk.table();
            assert_eq!(table.warnings, Vec::<String>::new());
            let shown: Vec<_> = table
                .partitions
                .iter()
                .map(|one| {
                    (one.number, one.start / sector, one.size / sector, one.bootable, one.name.as_str())
                })
                .collect();
            assert_eq!(shown, [(1, 3, 7, true, "bö"), (3, 10, 1, false, "n".repeat(36).as_str())]);
            assert_eq!(table.partitions[0].kind.code(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
            assert_eq!(table.partitions[0].guid.unwrap().to_string(), "04030201-0605-0807-0000-000000000000");
            assert_eq!(table.kind, TableKind::Gpt(Uuid([7; 16])));
            assert_eq!((table.sector_size, table.usable), (sector, (3 * sector, (SECTORS - 2) * sector)));
            assert_eq!((table.is_longer, table.note()), (false, None));
        }
    }

    #[test]
    fn a_disk_may_be_longer_than_the_image_that_was_written_to_it() {
        let mut disk = Disk::new(512, &[(3, 9)]);
        disk.bytes.extend([0; 5 * 512]);
        let table = disk.table();
        assert_eq!(table.warnings, Vec::<String>::new());
        assert!(table.is_longer);
        assert!(table.note().is_some());
        // Part of a sector is no longer disk; the backup is in the last whole sector.
        disk.bytes.truncate(to_usize(SECTORS * 512) + 511);
        assert_eq!(
            disk.table().warnings,
            ["the backup of the partition table is not at the end: less than a sector follows it"]
        );
        disk.bytes.push(0);
        assert!(disk.table().is_longer);
    }

    #[test]
    fn a_backup_within_a_longer_disk_must_be_after_all_partitions() {
        // The last usable sector, and whether the table is that of a shorter disk.
        for (usable, is_shorter) in [(SECTORS - 3, true), (SECTORS - 2, false), (SECTORS + 1, false)] {
            let mut disk = Disk::new(512, &[(3, 9)]);
            for number in [1, SECTORS - 1] {
                disk.change(number, 0x30, &usable.to_le_bytes());
            }
            assert_eq!(disk.table().warnings, Vec::<String>::new(), "at the end of its disk");
            assert!(!disk.table().is_longer);
            disk.bytes.extend([0; 512]);
            let table = disk.table();
            assert_eq!(table.is_longer, is_shorter, "{usable}");
            assert_eq!(table.warnings.is_empty(), is_shorter, "{:?}", table.warnings);
        }
        // The backup's entries must be before its header.
        for (array, is_shorter) in [(SECTORS - 2, true), (SECTORS, false)] {
            let mut disk = Disk::new(512, &[(3, 9)]);
            disk.bytes.extend([0; 2 * 512]);
            let (from, to) = (disk.at(SECTORS - 2), disk.at(array));
            disk.bytes.copy_within(from..from + 512, to);
            disk.change(SECTORS - 1, 0x48, &array.to_le_bytes());
            assert_eq!(disk.table().is_longer, is_shorter, "{array}");
        }
    }

    #[test]
    fn a_backup_must_be_equal_and_at_the_end() {
        let warning = |change: &dyn Fn(&mut Disk)| {
            let mut disk = Disk::new(512, &[(3, 9)]);
            change(&mut disk);
            let table = disk.table();
            assert_eq!(table.partitions.len(), 1);
            table.warnings
        };
        let backup = SECTORS - 1;
        let differs = ["the backup of the partition table differs from it"];
        for (field, value) in [(0x20, 2), (0x28, 4), (0x30, 50), (0x38, 1), (0x40, 1)] {
            assert_eq!(warning(&|disk| disk.change(backup, field, &u64::to_le_bytes(value))), differs);
        }
        assert_eq!(warning(&|disk| disk.change(backup, 0x50, &[3])), differs);
        let other_entries = |disk: &mut Disk| {
            let at = disk.at(SECTORS - 2) + 200;
            disk.bytes[at] = 1;
            disk.seal(backup);
        };
        assert_eq!(warning(&other_entries), differs);
        let missing = ["the backup of the partition table is missing or invalid"];
        assert_eq!(warning(&|disk| disk.bytes[to_usize(backup * 512)] = 0), missing);
        assert_eq!(warning(&|disk| disk.bytes[to_usize(backup * 512) + 0x38] = 0), missing);
        assert_eq!(warning(&|disk| disk.bytes.truncate(to_usize(backup * 512) + 511)), missing);
    }

    #[test]
    fn headers_must_be_valid() {
        let error = |change: &dyn Fn(&mut Disk)| {
            let mut disk = Disk::new(512, &[(3, 9)]);
            // Without its backup.
            disk.bytes[to_usize((SECTORS - 1) * 512)] = 0;
            change(&mut disk);
            disk.read().err().map(|error| error.split("; ").next().unwrap_or_default().to_owned())
        };
        let wrong = |what: &str| Some(format!("partition table: {what}"));
        assert_eq!(error(&|_| ()), None);
        for length in [93_u32, 512] {
            assert_eq!(error(&|disk| disk.change(1, 0xc, &length.to_le_bytes())), None, "{length}");
        }
        for length in [0_u32, 91, 513, u32::MAX] {
            let change = |disk: &mut Disk| {
                let at = disk.at(1) + 0xc;
                disk.bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            };
            assert_eq!(error(&change), wrong("its header has a wrong length"), "{length}");
        }
        for field in [0x10, 0x14, 0x40, 0x5b] {
            let change = |disk: &mut Disk| disk.bytes[512 + field] ^= 1;
            assert_eq!(error(&change), wrong("the checksum of its header is wrong"), "{field:#x}");
        }
        let number = |disk: &mut Disk| disk.change(1, 0x18, &[2]);
        assert_eq!(error(&number), wrong("its header has the number of another sector"));
        let entries = wrong("its entries have a wrong length or number");
        for size in [0_u32, 64, 127, 192, 1 << 31] {
            assert_eq!(error(&|disk| disk.change(1, 0x54, &size.to_le_bytes())), entries, "{size}");
        }
        let many = |number: u32| move |disk: &mut Disk| disk.change(1, 0x50, &number.to_le_bytes());
        assert_eq!(error(&many(8193)), entries, "more than 1 MiB");
        let absent = wrong("its entries are not in the image");
        assert_eq!(error(&many(8192)), absent);
        assert_eq!(error(&|disk| disk.change(1, 0x48, &SECTORS.to_le_bytes())), absent);
        assert_eq!(error(&|disk| disk.change(1, 0x48, &u64::MAX.to_le_bytes())), absent);
        let array = |disk: &mut Disk| disk.bytes[1024 + 511] = 1;
        assert_eq!(error(&array), wrong("the checksum of its entries is wrong"));
    }

    #[test]
    fn tables_of_a_mebibyte_are_read() {
        let mut disk = Disk::new(4096, &[(3, 9)]);
        disk.bytes.resize(to_usize(4 * MAX_ARRAY), 0);
        let (from, to) = (disk.at(2), disk.at(200));
        disk.bytes.copy_within(from..from + 512, to);
        disk.change(1, 0x48, &[200]);
        disk.change(1, 0x50, &8192_u32.to_le_bytes());
        assert_eq!(to_u64(disk.table().partitions.len()), 1);
    }

    #[test]
    fn the_backup_is_used_if_the_first_header_is_damaged() {
        let warnings = ["the partition table is missing or invalid; its backup is used"];
        let mut damaged = Disk::new(512, &[(3, 9)]);
        damaged.bytes[512 + 0x38] ^= 1;
        let table = damaged.table();
        assert_eq!(
            (table.partitions.len(), table.warnings.as_slice()),
            (1, &warnings.map(str::to_owned)[..])
        );
        // Its place is in the damaged header, if the disk is longer.
        damaged.bytes.extend([0; 3 * 512]);
        assert_eq!(damaged.table().warnings, warnings);
        // The last sector is tried too.
        let mut elsewhere = Disk::new(512, &[(3, 9)]);
        elsewhere.bytes[512 + 0x20] = 50;
        assert_eq!(elsewhere.table().warnings, warnings);
        let mut missing = Disk::new(512, &[(3, 9)]);
        missing.bytes[512] = 0;
        assert_eq!(missing.table().warnings, warnings);
        // A backup of another table, without a protective MBR, is ignored.
        missing.bytes[0x1c2] = 0;
        assert!(missing.read().unwrap().is_none());
    }

    #[test]
    fn a_protective_mbr_is_needed() {
        let mut disk = Disk::new(512, &[(3, 9)]);
        disk.bytes[0x1c2] = 0x83;
        assert_eq!(disk.table().warnings, ["it has no protective MBR, so systems ignore it"]);
    }
}
