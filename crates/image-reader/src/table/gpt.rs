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
        usable < array && array < sector && sector < last
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
