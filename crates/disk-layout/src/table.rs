//! The bytes of partition tables, by the libraries that others write theirs with.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use gptman::{GPT, GPTPartitionEntry};
use mbrman::{CHS, MBRHeader, MBRPartitionEntry};

use crate::error::DiskError;
use crate::options::{Kind, Options, Table};
use crate::places::{PlacedPartition, Places};
use crate::{SECTOR, identifiers};

/// Attribute of GPT partitions: "Legacy BIOS Bootable" (UEFI specification, table 5.8).
const LEGACY_BOOTABLE: u64 = 1 << 2;
/// The active flag of an MBR.
const ACTIVE: u8 = 0x80;
/// The type of the one partition of a protective MBR (UEFI specification, table 5.4).
const PROTECTIVE: u8 = 0xee;

/// What stands at the front and at the end of a disk.
#[derive(Debug)]
pub(crate) struct TableBytes {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

/// The identifiers in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identifiers {
    pub(crate) disk: Table,
    /// Of the partitions in a GPT, in the order of their numbers; none in an MBR.
    pub(crate) partitions: Vec<[u8; 16]>,
}

impl Identifiers {
    pub(crate) fn of(options: &Options<'_>) -> Self {
        let seed = &options.seed;
        match options.table {
            Table::Mbr(id) => {
                let id = id.unwrap_or_else(|| identifiers::number(seed, "mbr disk"));
                Self { disk: Table::Mbr(Some(id)), partitions: Vec::new() }
            }
            Table::Gpt(guid) => {
                let disk = guid.unwrap_or_else(|| identifiers::guid(seed, "gpt disk", 0));
                let guid_of = |(index, partition): (usize, &crate::Partition<'_>)| {
                    partition.guid.unwrap_or_else(|| identifiers::guid(seed, "gpt partition", index + 1))
                };
                let partitions = options.partitions.iter().enumerate().map(guid_of).collect();
                Self { disk: Table::Gpt(Some(disk)), partitions }
            }
        }
    }
}

/// Makes the bytes of a table.
pub(crate) fn bytes(
    options: &Options<'_>,
    places: &Places,
    identifiers: &Identifiers,
) -> Result<TableBytes, DiskError> {
    match identifiers.disk {
        Table::Mbr(id) => {
            let mut header = MBRHeader::new(id.unwrap_or_default().to_le_bytes());
            for (index, (partition, place)) in options.partitions.iter().zip(&places.partitions).enumerate() {
                let Kind::Mbr(kind) = partition.kind else { continue };
                let slot = header.get_mut(index + 1).ok_or_else(|| refused("too many partitions"))?;
                *slot = entry(kind, partition.bootable, place);
            }
            Ok(TableBytes { head: master_boot_record(&header)?, tail: Vec::new() })
        }
        Table::Gpt(guid) => gpt(options, places, guid.unwrap_or_default(), &identifiers.partitions),
    }
}

fn master_boot_record(header: &MBRHeader) -> Result<Vec<u8>, DiskError> {
    let mut bytes = Cursor::new(Vec::new());
    header.write_into(&mut bytes).map_err(refused)?;
    let mut bytes = bytes.into_inner();
    bytes.resize(to_usize(SECTOR), 0);
    Ok(bytes)
}

/// An entry of an MBR. Places have 32 bits for sectors; more was refused.
fn entry(kind: u8, bootable: bool, place: &PlacedPartition) -> MBRPartitionEntry {
    let sector = |bytes: u64| u32::try_from(bytes / SECTOR).unwrap_or(u32::MAX);
    let last = (place.start + place.len - 1) / SECTOR;
    MBRPartitionEntry {
        boot: if bootable { ACTIVE } else { 0 },
        first_chs: chs(place.start / SECTOR),
        sys: kind,
        last_chs: chs(last),
        starting_lba: sector(place.start),
        sectors: sector(place.len),
    }
}

/// Cylinder, head and sector of the geometry that every tool assumes, 255 heads of 63 sectors; the last that can be
/// said for what lies behind it.
fn chs(lba: u64) -> CHS {
    const HEADS: u64 = 255;
    const SECTORS: u64 = 63;
    let parts = (
        u16::try_from(lba / (HEADS * SECTORS)),
        u8::try_from(lba / SECTORS % HEADS),
        u8::try_from(lba % SECTORS + 1),
    );
    match parts {
        (Ok(cylinder @ 0..=1023), Ok(head), Ok(sector)) => CHS::new(cylinder, head, sector),
        _ => CHS::new(1023, 254, 63),
    }
}

fn gpt(
    options: &Options<'_>,
    places: &Places,
    disk: [u8; 16],
    guids: &[[u8; 16]],
) -> Result<TableBytes, DiskError> {
    let mut sketch = Sketch::new(places);
    let mut table = GPT::new_from(&mut sketch, SECTOR, on_disk(disk)).map_err(refused)?;
    // The plan decides about alignment.
    table.align = 1;
    for (index, (partition, place)) in options.partitions.iter().zip(&places.partitions).enumerate() {
        let (Kind::Gpt(kind), Some(guid)) = (partition.kind, guids.get(index)) else { continue };
        let number = u32::try_from(index + 1).map_err(refused)?;
        table[number] = GPTPartitionEntry {
            partition_type_guid: on_disk(kind),
            unique_partition_guid: on_disk(*guid),
            starting_lba: place.start / SECTOR,
            ending_lba: (place.start + place.len) / SECTOR - 1,
            attribute_bits: if partition.bootable { LEGACY_BOOTABLE } else { 0 },
            partition_name: partition.name.as_str().into(),
        };
    }
    table.write_into(&mut sketch).map_err(refused)?;
    let mut protective = MBRHeader::new([0; 4]);
    protective.partition_1 = MBRPartitionEntry {
        boot: 0,
        first_chs: CHS::new(0, 0, 2),
        sys: PROTECTIVE,
        // What can't be said is all ones (UEFI specification, table 5.4).
        last_chs: CHS::new(1023, 255, 63),
        starting_lba: 1,
        sectors: u32::try_from(places.len / SECTOR - 1).unwrap_or(u32::MAX),
    };
    let protective = master_boot_record(&protective)?;
    sketch.put(0, &protective).map_err(refused)?;
    Ok(TableBytes { head: sketch.head, tail: sketch.tail })
}

/// GUIDs on disks have their first three numbers in little-endian order (UEFI specification, appendix A).
fn on_disk(mut guid: [u8; 16]) -> [u8; 16] {
    for number in [0..4, 4..6, 6..8] {
        if let Some(bytes) = guid.get_mut(number) {
            bytes.reverse();
        }
    }
    guid
}

fn refused(error: impl std::fmt::Display) -> DiskError {
    DiskError::Table(format!("{error}"))
}

/// A disk of which only the tables are there, for libraries that write to disks.
struct Sketch {
    len: u64,
    at: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Sketch {
    fn new(places: &Places) -> Self {
        let zeros = |len| vec![0; to_usize(len)];
        Self { len: places.len, at: 0, head: zeros(places.head), tail: zeros(places.tail) }
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let tail_at = self.len - to_u64(self.tail.len());
        let (window, from) =
            if at >= tail_at { (&mut self.tail, at - tail_at) } else { (&mut self.head, at) };
        let from = to_usize(from);
        let target = from.checked_add(bytes.len()).and_then(|end| window.get_mut(from..end));
        target.ok_or_else(|| io::Error::other("written beside the table"))?.copy_from_slice(bytes);
        Ok(())
    }
}

impl Write for Sketch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(self.at, bytes)?;
        self.at += to_u64(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Sketch {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Seek for Sketch {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(distance) => self.len.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.at.checked_add_signed(distance),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A length as an index; tables have less than 20 KiB.
pub(crate) fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// An index as a length.
pub(crate) fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
