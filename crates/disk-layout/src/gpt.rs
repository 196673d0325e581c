//! Generates GUID partition tables (UEFI specification, section 5.3).

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use image_tree::{Uuid, narrow, to_u64, to_usize};

use crate::placement::{GPT_ENTRIES, PlacedPartition};

/// Number of entries in the table, which every system supports.
pub(crate) const ENTRIES: usize = 128;
/// Attribute "Legacy BIOS Bootable" (table 5.8).
const LEGACY_BOOTABLE: u64 = 1 << 2;
/// Length of a name in UTF-16 units.
const NAME: usize = 36;
const HEADER_BYTES: u32 = 92;
const ENTRY_BYTES: u32 = 128;

#[derive(FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    signature: [u8; 8],
    revision: U32,
    size: U32,
    /// 16
    crc32: U32,
    reserved: U32,
    /// 24
    my_lba: U64,
    alternate_lba: U64,
    first_usable_lba: U64,
    last_usable_lba: U64,
    /// 56
    disk_guid: [u8; 16],
    /// 72
    partition_entry_lba: U64,
    number_of_partition_entries: U32,
    size_of_partition_entry: U32,
    partition_entry_array_crc32: U32,
}

#[derive(Clone, Copy, FromZeros, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Entry {
    type_guid: [u8; 16],
    unique_guid: [u8; 16],
    /// 32
    starting_lba: U64,
    ending_lba: U64,
    attributes: U64,
    /// 56
    name: [U16; NAME],
}

const _: () = {
    assert!(size_of::<Header>() == 92);
    assert!(offset_of!(Header, disk_guid) == 56);
    assert!(offset_of!(Header, partition_entry_lba) == 72);
    assert!(size_of::<Entry>() == 128);
    assert!(offset_of!(Entry, starting_lba) == 32);
    assert!(offset_of!(Entry, name) == 56);
};

/// An entry. Bytes of the GUIDs are in the order of their text form.
pub(crate) fn entry(
    kind: [u8; 16],
    guid: [u8; 16],
    bootable: bool,
    name: &str,
    place: &PlacedPartition,
    sector: u64,
) -> Entry {
    let mut entry = Entry::new_zeroed();
    entry.type_guid = Uuid(kind).on_disk();
    entry.unique_guid = Uuid(guid).on_disk();
    entry.starting_lba = (place.start / sector).into();
    entry.ending_lba = ((place.start + place.len) / sector - 1).into();
    entry.attributes = if bootable { LEGACY_BOOTABLE } else { 0 }.into();
    for (slot, unit) in entry.name.iter_mut().zip(name.encode_utf16()) {
        *slot = unit.into();
    }
    entry
}

/// Generates the primary table, which follows the first sector of the disk, and the backup table at its end, where the
/// entries come before the header. `len` and `sector` are in \[bytes\]; at most [`ENTRIES`] entries.
pub(crate) fn tables(disk: [u8; 16], entries: &[Entry], len: u64, sector: u64) -> (Vec<u8>, Vec<u8>) {
    let mut table = [Entry::new_zeroed(); ENTRIES];
    for (slot, entry) in table.iter_mut().zip(entries) {
        *slot = *entry;
    }
    let table = table.as_bytes();
    let last = len / sector - 1;
    let table_sectors = GPT_ENTRIES / sector;
    let header = |mine: u64, other: u64, entries_at: u64| {
        let mut header = Header {
            signature: *b"EFI PART",
            revision: 0x0001_0000.into(),
            size: HEADER_BYTES.into(),
            crc32: 0.into(),
            reserved: 0.into(),
            my_lba: mine.into(),
            alternate_lba: other.into(),
            first_usable_lba: (2 + table_sectors).into(),
            last_usable_lba: (last - 1 - table_sectors).into(),
            disk_guid: Uuid(disk).on_disk(),
            partition_entry_lba: entries_at.into(),
            number_of_partition_entries: narrow::<u32>(to_u64(ENTRIES), "a table has 128 entries").into(),
            size_of_partition_entry: ENTRY_BYTES.into(),
            partition_entry_array_crc32: crc32fast::hash(table).into(),
        };
        header.crc32 = crc32fast::hash(header.as_bytes()).into();
        let mut bytes = header.as_bytes().to_vec();
        bytes.resize(to_usize(sector), 0);
        bytes
    };
    let front = [header(1, last, 2).as_slice(), table].concat();
    let back = [table, header(last, 1, last - table_sectors).as_slice()].concat();
    (front, back)
}
