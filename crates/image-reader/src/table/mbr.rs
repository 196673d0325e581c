//! Reads master boot records: four partitions, and logical ones in a chain of further records.

use image_tree::{narrow, to_u64};

use super::{Partition, PartitionTable, PartitionType, TableKind, has_boot_signature, sector};
use crate::bytes::Bytes;
use crate::{ReadError, Window, ext4, fat};

/// Length of a record in \[bytes\], for any sector size.
const RECORD: u64 = 512;
/// Maximum number of logical partitions; Linux supports 60.
const MAX_LOGICAL: u32 = 128;

/// An entry; start and length are in sectors.
struct Record {
    bootable: u8,
    kind: u8,
    start: u64,
    size: u64,
}

impl Record {
    fn is_used(&self) -> bool {
        self.kind != 0 && self.size > 0 && self.start > 0
    }
}

fn records(sector: &[u8]) -> [Record; 4] {
    [0x1be, 0x1ce, 0x1de, 0x1ee].map(|at| {
        let bytes = Bytes(Bytes(sector).slice(at, 16));
        Record {
            bootable: bytes.byte(0),
            kind: bytes.byte(4),
            start: u64::from(bytes.le32(8)),
            size: u64::from(bytes.le32(12)),
        }
    })
}

/// Whether there is a protective MBR. Linux and firmware ignore a GPT without one (UEFI 2.10, 5.2.3).
pub(super) fn is_protective(disk: &Window) -> Result<bool, ReadError> {
    let first = sector(disk, 0, RECORD)?;
    let protects = |record: &Record| record.kind == 0xee && record.start == 1;
    Ok(has_boot_signature(&first) && records(&first).iter().any(protects))
}

/// Guesses the sector size that a table uses, which is not stored. It is 4096 \[bytes\] if there are file systems at the
/// starts of partitions with that size, but none with sectors of 512 bytes.
fn sector_size(disk: &Window, records: &[Record; 4]) -> u64 {
    const LONG: u64 = 4096;
    let holds = |size: u64| {
        records.iter().filter(|record| record.is_used()).any(|record| {
            let volume = disk.part(record.start.saturating_mul(size), record.size.saturating_mul(size));
            ext4::is_there(&volume) || volume.bytes(0, RECORD).is_ok_and(|first| fat::seems_to_be(&first))
        })
    };
    if is_exact(records, disk.length() / LONG) && !holds(RECORD) && holds(LONG) { LONG } else { RECORD }
}

pub(super) fn read(disk: &Window) -> Result<Option<PartitionTable>, ReadError> {
    let first = sector(disk, 0, RECORD)?;
    let primary = records(&first);
    let plausible = primary.iter().all(|record| matches!(record.bootable, 0 | 0x80));
    let some = primary.iter().any(Record::is_used);
    // Boot code before a table may look like a FAT file system, and a FAT boot sector may have boot code.
    let is_fat = || {
        fat::seems_to_be(&first)
            && fat::has_table(disk, &first)
            && !is_exact(&primary, disk.length() / RECORD)
    };
    if !has_boot_signature(&first) || !plausible || !some || is_fat() {
        return Ok(None);
    }
    let sector_size = sector_size(disk, &primary);
    let mut table = PartitionTable {
        kind: TableKind::Mbr(Bytes(&first).le32(0x1b8)),
        sector_size,
        usable: (sector_size, disk.length()),
        partitions: Vec::new(),
        warnings: Vec::new(),
        is_longer: false,
    };
    for (number, record) in (1..).zip(&primary) {
        if record.kind == 0 || record.size == 0 {
            continue;
        }
        let start = record.start.saturating_mul(sector_size);
        table.partitions.push(partition(number, start, record, sector_size));
        if PartitionType::Mbr(record.kind).is_extended() {
            logical(disk, start, &mut table)?;
        }
    }
    table.partitions.sort_by_key(|partition| partition.number);
    Ok(Some(table))
}

/// Whether records describe partitions of this disk, which has `sectors` sectors. The boot sector of a FAT file system has
/// code or text in the place of records, so it does not.
fn is_exact(records: &[Record; 4], length: u64) -> bool {
    let is_unused = |record: &Record| (record.kind, record.start, record.size) == (0, 0, 0);
    let mut used: Vec<_> = records.iter().filter(|record| !is_unused(record)).collect();
    used.sort_by_key(|record| record.start);
    let are_disjoint = used.windows(2).all(|pair| match pair {
        [a, b] => a.start.saturating_add(a.size) <= b.start,
        _ => true,
    });
    let is_there = |record: &&Record| {
        record.kind != 0
            && record.start > 0
            && record.size > 0
            && record.start.saturating_add(record.size) <= length
    };
    are_disjoint && used.iter().all(is_there)
}

/// A partition at this offset in \[bytes\].
fn partition(number: u32, start: u64, record: &Record, sector_size: u64) -> Partition {
    Partition {
        number,
        start,
        size: record.size.saturating_mul(sector_size),
        kind: PartitionType::Mbr(record.kind),
        bootable: record.bootable == 0x80,
        name: String::new(),
        guid: None,
    }
}

/// Reads the chain of logical partitions. Each record has a partition, relative to the record, and the next record,
/// relative to the first.
fn logical(disk: &Window, first: u64, table: &mut PartitionTable) -> Result<(), ReadError> {
    let sector_size = table.sector_size;
    let mut at = first;
    let mut visited = Vec::new();
    let taken = table.partitions.iter().filter(|partition| partition.number > 4).count();
    let taken: u32 = narrow(to_u64(taken), "there are at most four chains of `MAX_LOGICAL` partitions");
    let mut number = taken.saturating_add(5);
    loop {
        if visited.contains(&at) || to_u64(visited.len()) == u64::from(MAX_LOGICAL) {
            table.warnings.push("the chain of logical partitions has no end".to_owned());
            return Ok(());
        }
        visited.push(at);
        let raw = sector(disk, at.checked_div(sector_size).unwrap_or(0), sector_size)?;
        if !has_boot_signature(&raw) {
            table.warnings.push(format!("there is no record of logical partitions at {at}"));
            return Ok(());
        }
        let [own, next, _, _] = records(&raw);
        if own.kind != 0 && own.size > 0 {
            let start = at.saturating_add(own.start.saturating_mul(sector_size));
            table.partitions.push(partition(number, start, &own, sector_size));
            number = number.saturating_add(1);
        }
        if !PartitionType::Mbr(next.kind).is_extended() || next.size == 0 {
            return Ok(());
        }
        at = first.saturating_add(next.start.saturating_mul(sector_size));
    }
}
