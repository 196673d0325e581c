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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// The fields of a record: boot flag, kind, first sector, number of sectors.
    type Fields = (u8, u8, u32, u32);

    const UNUSED: Fields = (0, 0, 0, 0);

    /// Writes records into the sector of 512 \[bytes\] at this offset.
    fn put(disk: &mut [u8], at: usize, records: &[Fields]) {
        for (record, (bootable, kind, start, size)) in (at + 0x1be..).step_by(16).zip(records) {
            disk[record] = *bootable;
            disk[record + 4] = *kind;
            disk[record + 8..record + 12].copy_from_slice(&start.to_le_bytes());
            disk[record + 12..record + 16].copy_from_slice(&size.to_le_bytes());
        }
        disk[at + 0x1fe..at + 0x200].copy_from_slice(&[0x55, 0xaa]);
    }

    /// A disk of 1,000 sectors.
    fn disk(records: &[Fields]) -> Vec<u8> {
        let mut disk = vec![0; 512_000];
        put(&mut disk, 0, records);
        disk
    }

    fn read_table(disk: &[u8]) -> Option<PartitionTable> {
        PartitionTable::read(&Window::whole(Arc::new(disk.to_vec()))).unwrap()
    }

    /// Number, start and length of each partition, in sectors of 512 \[bytes\].
    fn places(table: &PartitionTable) -> Vec<(u32, u64, u64)> {
        let place = |partition: &Partition| (partition.number, partition.start / 512, partition.size / 512);
        table.partitions.iter().map(place).collect()
    }

    #[test]
    fn partitions_are_the_used_records() {
        let mut disk = disk(&[(0x80, 0x0c, 8, 10), UNUSED, (0, 0x83, 20, 980), (0, 0, 5, 5)]);
        disk[0x1b8..0x1bc].copy_from_slice(&[4, 3, 2, 1]);
        let table = read_table(&disk).unwrap();
        assert_eq!(places(&table), [(1, 8, 10), (3, 20, 980)]);
        assert_eq!(table.partitions.iter().map(|one| one.bootable).collect::<Vec<_>>(), [true, false]);
        assert_eq!(table.partitions[1].kind, PartitionType::Mbr(0x83));
        assert_eq!((table.kind, table.sector_size), (TableKind::Mbr(0x0102_0304), 512));
        assert_eq!(table.usable, (512, 512_000));
        assert_eq!(table.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_table_has_a_signature_valid_flags_and_a_used_record() {
        let used = (0, 0x83, 8, 10);
        assert!(read_table(&disk(&[used])).is_some());
        assert!(read_table(&disk(&[UNUSED, UNUSED, UNUSED, (0x80, 0x83, 8, 10)])).is_some());
        for records in [
            [UNUSED, UNUSED],
            [(0, 0, 8, 10), UNUSED],
            [(0, 0x83, 0, 10), UNUSED],
            [(0, 0x83, 8, 0), UNUSED],
            [used, (1, 0, 0, 0)],
            [used, (0x81, 0x83, 30, 10)],
        ] {
            assert!(read_table(&disk(&records)).is_none(), "{records:?}");
        }
        let mut unsigned = disk(&[used]);
        unsigned[0x1fe] = 0;
        assert!(read_table(&unsigned).is_none());
        assert!(read_table(&disk(&[used])[..511]).is_none());
    }

    #[test]
    fn records_are_exact_if_they_are_disjoint_and_on_the_disk() {
        let exact = |fields: &[Fields]| is_exact(&records(&disk(fields)), 100);
        assert!(exact(&[]));
        assert!(exact(&[(0, 1, 90, 10)]));
        assert!(exact(&[(0, 1, 50, 10), UNUSED, (0, 1, 1, 49), (0, 1, 60, 1)]));
        for wrong in [
            (0, 1, 90, 11),
            (0, 1, 101, 1),
            (0, 1, 0, 1),
            (0, 1, 1, 0),
            (0, 0, 1, 1),
            (0, 0, 0, 1),
            (0, 1, 0, 0),
            (0, 1, u32::MAX, u32::MAX),
        ] {
            assert!(!exact(&[wrong]), "{wrong:?}");
        }
        assert!(!exact(&[(0, 1, 50, 10), (0, 1, 1, 50)]));
    }

    /// Makes the sector at this offset look like the boot sector of a FAT file system.
    fn put_fat(disk: &mut [u8], at: usize) {
        disk[at..at + 3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        for (field, value) in [(0x0c, 2), (0x0d, 1), (0x0e, 1), (0x10, 1), (0x15, 0xf8), (0x16, 1)] {
            disk[at + field] = value;
        }
        disk[at + 0x1fe..at + 0x200].copy_from_slice(&[0x55, 0xaa]);
    }

    #[test]
    fn the_boot_sector_of_a_file_system_is_no_table_unless_its_records_are_exact() {
        let mut exact = disk(&[(0, 0x0c, 8, 10)]);
        let mut text = disk(&[(0, 0x0c, 0x2020_2020, 0x2020_2020)]);
        let mut long = disk(&[(0, 0x0c, 900, 101)]);
        for disk in [&mut exact, &mut text, &mut long] {
            put_fat(disk, 0);
            // The allocation table.
            disk[512..514].copy_from_slice(&[0xf8, 0xff]);
        }
        assert!(read_table(&exact).is_some());
        assert!(read_table(&text).is_none());
        assert!(read_table(&long).is_none());
        // Without an allocation table it is the code of a boot loader.
        text[513] = 0;
        assert!(read_table(&text).is_some());
    }

    #[test]
    fn sectors_have_the_length_with_which_partitions_hold_file_systems() {
        let size = |disk: &[u8]| read_table(disk).unwrap().sector_size;
        let records = [(0, 0x0c, 2, 10), (0, 0x83, 12, 20)];
        let mut disk = disk(&records);
        assert_eq!(size(&disk), 512, "nothing is known");
        put_fat(&mut disk, 2 * 4096);
        assert_eq!(size(&disk), 4096);
        let table = read_table(&disk).unwrap();
        assert_eq!(places(&table), [(1, 16, 80), (2, 96, 160)]);
        assert_eq!(table.usable, (4096, 512_000));
        assert_eq!(size(&disk[..32 * 4096]), 4096);
        assert_eq!(size(&disk[..32 * 4096 - 1]), 512, "it would be too short");
        let mut both = disk.clone();
        put_fat(&mut both, 12 * 512);
        assert_eq!(size(&both), 512);
        // The magic of ext4.
        let mut ext4 = self::disk(&records);
        ext4[12 * 4096 + 1080..][..2].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(size(&ext4), 4096);
        // A partition that is not there holds none.
        let mut unused = self::disk(&[(0, 0x83, 12, 20), (0, 0, 2, 10)]);
        put_fat(&mut unused, 2 * 4096);
        assert_eq!(size(&unused), 512);
    }

    #[test]
    fn logical_partitions_are_relative_to_their_record() {
        let mut disk =
            disk(&[(0, 0x83, 1, 9), (0, 0x83, 500, 100), (0, 0x05, 100, 400), (0, 0x0f, 600, 400)]);
        put(&mut disk, 100 * 512, &[(0, 0x83, 10, 20), (0, 0x05, 50, 60)]);
        // A record may have no partition of its own.
        put(&mut disk, 150 * 512, &[(0, 0, 1, 2), (0, 0x85, 200, 60)]);
        put(&mut disk, 300 * 512, &[(0, 0x83, 1, 0), (0, 0x85, 250, 60)]);
        put(&mut disk, 350 * 512, &[(0, 0x82, 1, 30), UNUSED]);
        put(&mut disk, 600 * 512, &[(0x80, 0x83, 1, 2), (0, 0x05, 50, 0)]);
        let table = read_table(&disk).unwrap();
        assert_eq!(
            places(&table),
            [(1, 1, 9), (2, 500, 100), (3, 100, 400), (4, 600, 400), (5, 110, 20), (6, 351, 30), (7, 601, 2)]
        );
        // The first chain may be in the last record.
        put(&mut disk, 0, &[UNUSED, UNUSED, UNUSED, (0, 0x0f, 600, 400)]);
        assert_eq!(places(&read_table(&disk).unwrap()), [(4, 600, 400), (5, 601, 2)]);
        assert_eq!(table.warnings, Vec::<String>::new());
    }

    #[test]
    fn chains_of_logical_partitions_end() {
        let warnings = |chain: &dyn Fn(&mut [u8])| {
            let mut disk = disk(&[(0, 0x05, 100, 900)]);
            chain(&mut disk);
            let table = read_table(&disk).unwrap();
            (table.partitions.len() - 1, table.warnings)
        };
        let none = |at: u64| vec![format!("there is no record of logical partitions at {at}")];
        let endless = vec!["the chain of logical partitions has no end".to_owned()];
        assert_eq!(warnings(&|_| ()), (0, none(51_200)));
        let ring = |disk: &mut [u8]| put(disk, 100 * 512, &[(0, 0x83, 1, 1), (0, 0x05, 0, 10)]);
        assert_eq!(warnings(&ring), (1, endless.clone()));
        let broken = |disk: &mut [u8]| put(disk, 100 * 512, &[(0, 0x83, 1, 1), (0, 0x05, 700, 10)]);
        assert_eq!(warnings(&broken), (1, none(409_600)));
        let chain = |length: u32| {
            move |disk: &mut [u8]| {
                for number in 0..length {
                    let next = if number + 1 < length { (0, 0x05, 2 * (number + 1), 2) } else { UNUSED };
                    let at = usize::try_from(100 + 2 * number).unwrap() * 512;
                    put(disk, at, &[(0, 0x83, 1, 1), next]);
                }
            }
        };
        assert_eq!(warnings(&chain(128)), (128, vec![]));
        assert_eq!(warnings(&chain(129)), (128, endless));
    }

    #[test]
    fn only_a_signed_record_from_the_first_sector_is_protective() {
        let protective = |disk: &[u8]| is_protective(&Window::whole(Arc::new(disk.to_vec()))).unwrap();
        let all = disk(&[UNUSED, (0, 0xee, 1, 999)]);
        assert!(protective(&all));
        assert!(!protective(&disk(&[(0, 0xee, 2, 998)])));
        assert!(!protective(&disk(&[(0, 0x83, 1, 999)])));
        let mut unsigned = all.clone();
        unsigned[0x1ff] = 0;
        assert!(!protective(&unsigned));
    }

    #[test]
    fn partitions_that_overlap_or_leave_the_disk_are_warnings() {
        let warnings = |records: &[Fields]| read_table(&disk(records)).unwrap().warnings;
        assert_eq!(warnings(&[(0, 0x83, 990, 10), (0, 0x83, 980, 10)]), Vec::<String>::new());
        assert_eq!(
            warnings(&[(0, 0x83, 990, 11), (0, 0x83, 980, 11)]),
            ["partition 1 ends 512 bytes after the end of the image", "partitions 2 and 1 overlap"]
        );
        // Many are counted.
        let mut disk = disk(&[(0, 0x05, 100, 900)]);
        for number in 0..13_u32 {
            let next = if number < 12 { (0, 0x05, number + 1, 2) } else { UNUSED };
            put(&mut disk, usize::try_from(100 + number).unwrap() * 512, &[(0, 0x83, 1, 2000), next]);
        }
        let found = read_table(&disk).unwrap().warnings;
        assert_eq!(found.len(), 22);
        assert_eq!(found[0], "partition 5 ends 563712 bytes after the end of the image");
        assert_eq!(found[10], "3 more end after the end of the image");
        assert_eq!(found[11], "partitions 5 and 6 overlap");
        assert_eq!(found[21], "2 more pairs overlap");
    }

    #[test]
    fn types_have_names_and_codes() {
        let texts = |kind: PartitionType| (kind.name(), kind.code());
        assert_eq!(texts(PartitionType::Mbr(0x83)), ("linux".to_owned(), "83".to_owned()));
        assert_eq!(texts(PartitionType::Mbr(0x02)), ("02".to_owned(), "02".to_owned()));
        let guid = |text: &str| {
            let digits: String = text.split('-').collect();
            let bytes: Vec<u8> =
                (0..16).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
            PartitionType::Gpt(image_tree::Uuid(bytes.try_into().unwrap()))
        };
        let esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        let root = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
        let unknown = "00000000-0000-0000-0000-000000000001";
        assert_eq!(texts(guid(esp)), ("esp".to_owned(), esp.to_owned()));
        assert_eq!(texts(guid(unknown)), (unknown.to_owned(), unknown.to_owned()));
        // A hash tree of a root, /usr, and its hash tree.
        let hashes = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5";
        let usr = "8484680c-9521-48c6-9c11-b0720656f69e";
        let usr_hashes = "77ff5f63-e7b6-4633-acf4-1565b864c0e6";
        let all = [esp, root, unknown, hashes, usr, usr_hashes].map(guid);
        assert_eq!(all.map(|kind| kind.is_root()), [false, true, false, false, false, false]);
        assert_eq!(all.map(|kind| kind.is_for_files()), [false, true, false, false, true, false]);
        assert_eq!([0x83, 0x82].map(|byte| PartitionType::Mbr(byte).is_for_files()), [true, false]);
        assert!([0x05, 0x0f, 0x85].map(PartitionType::Mbr).iter().all(PartitionType::is_extended));
        assert!(![0x04, 0x83].map(PartitionType::Mbr).iter().any(PartitionType::is_extended));
    }
}
