//! Generates master boot records (UEFI specification, tables 5.1 to 5.4).

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use image_tree::{narrow, to_usize};

use crate::placement::PlacedPartition;

/// Number of entries in the table.
pub(crate) const ENTRIES: usize = 4;
/// Active flag of a partition.
const ACTIVE: u8 = 0x80;
/// Partition type in a protective MBR.
const PROTECTIVE: u8 = 0xee;
/// Signature, the last two bytes of the record.
const SIGNATURE: u16 = 0xaa55;

#[derive(Clone, Copy, FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Entry {
    boot: u8,
    first_chs: [u8; 3],
    kind: u8,
    last_chs: [u8; 3],
    start: U32,
    sectors: U32,
}

#[derive(FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Record {
    boot_code: [u8; 440],
    /// 440
    disk: U32,
    unknown: [u8; 2],
    /// 446
    entries: [Entry; ENTRIES],
    signature: U16,
}

const _: () = {
    assert!(size_of::<Record>() == 512);
    assert!(offset_of!(Record, disk) == 440);
    assert!(offset_of!(Record, entries) == 446);
};

/// Generates the first sector of a disk. `sector` is its length in \[bytes\]; at most [`ENTRIES`] entries.
pub(crate) fn sector(disk: u32, entries: &[Entry], sector: u64) -> Vec<u8> {
    let mut record = Record::new_zeroed();
    record.disk = disk.into();
    for (slot, entry) in record.entries.iter_mut().zip(entries) {
        *slot = *entry;
    }
    record.signature = SIGNATURE.into();
    let mut bytes = record.as_bytes().to_vec();
    bytes.resize(to_usize(sector), 0);
    bytes
}

/// An entry for a partition.
pub(crate) fn entry(kind: u8, bootable: bool, place: &PlacedPartition, sector: u64) -> Entry {
    let last = (place.start + place.len - 1) / sector;
    let sectors = |count| narrow::<u32>(count, "`placement` refuses sectors from 2^32 on").into();
    Entry {
        boot: if bootable { ACTIVE } else { 0 },
        first_chs: chs(place.start / sector),
        kind,
        last_chs: chs(last),
        start: sectors(place.start / sector),
        sectors: sectors(place.len / sector),
    }
}

/// The entry of a protective MBR, which covers all of a disk of `len` \[bytes\] for tools without support for GPT.
pub(crate) fn protective(len: u64, sector: u64) -> Entry {
    Entry {
        boot: 0,
        first_chs: packed(0, 0, 2),
        kind: PROTECTIVE,
        // The maximum means "not representable".
        last_chs: packed(1023, 255, 63),
        start: 1.into(),
        // The maximum for larger numbers (UEFI specification, table 5.4).
        sectors: u32::try_from(len / sector - 1).unwrap_or(u32::MAX).into(),
    }
}

/// Cylinder, head and sector in the usual geometry of 255 heads and 63 sectors. Larger numbers are replaced by the
/// maximum.
fn chs(lba: u64) -> [u8; 3] {
    const HEADS: u64 = 255;
    const SECTORS: u64 = 63;
    let parts = (
        u16::try_from(lba / (HEADS * SECTORS)),
        u8::try_from(lba / SECTORS % HEADS),
        u8::try_from(lba % SECTORS + 1),
    );
    match parts {
        (Ok(cylinder @ 0..=1023), Ok(head), Ok(sector)) => packed(cylinder, head, sector),
        _ => packed(1023, 254, 63),
    }
}

/// Encodes three bytes: head; sector (6 bits) and upper two bits of the cylinder; lower eight bits of the cylinder.
fn packed(cylinder: u16, head: u8, sector: u8) -> [u8; 3] {
    let [low, high] = cylinder.to_le_bytes();
    [head, sector | high << 6, low]
}
