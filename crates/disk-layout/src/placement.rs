//! Places partitions and blobs. By default the disk is as long as needed. Nothing may overlap.

use crate::error::{DiskError, Item, MOST_BYTES, Span};
use crate::fill;
use crate::options::{Length, Options, RoundTo, Table};

/// End of the boot code; the disk's number and the table follow (UEFI specification, table 5.1).
pub(crate) const BOOT_CODE: u64 = 440;
/// Length of the GPT's entries in \[bytes\]: 128 of 128 bytes (UEFI specification, 5.3). A multiple of every sector size.
pub(crate) const GPT_ENTRIES: u64 = 128 * 128;
/// The default length of a disk is a multiple of this, so it suits every block size.
const SIZE_MULTIPLE: u64 = 4096;
/// Number of sectors that an MBR can address: entries have 32 bits for sector numbers.
const MBR_SECTORS: u64 = 1 << 32;

/// Start and length of a partition, in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedPartition {
    /// Offset of the first byte.
    pub start: u64,
    /// Length.
    pub len: u64,
}

/// Start and length of everything on a disk, in \[bytes\].
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) len: u64,
    /// Length of the table at the start, including the boot code.
    pub(crate) head: u64,
    /// Length of the backup table at the end.
    pub(crate) tail: u64,
    pub(crate) partitions: Vec<PlacedPartition>,
}

impl Placement {
    pub(crate) fn of(options: &Options) -> Result<Self, DiskError> {
        let sector = options.sector.bytes();
        let (head, tail) = match options.table {
            // In longer sectors, all after the first 512 bytes is reserved (UEFI specification, table 5.1).
            Table::Mbr(_) => (sector, 0),
            // At the start: protective MBR, header, entries. At the end: entries, header.
            Table::Gpt(_) => (2 * sector + GPT_ENTRIES, GPT_ENTRIES + sector),
        };
        if let Some(size) = options.size.filter(|size| *size < head + tail) {
            return Err(DiskError::TooShort { size, least: head + tail });
        }
        let filled = fill::lengths(options, head, tail)?;
        let mut spans = vec![Span { item: Item::Table, start: BOOT_CODE, end: head }];
        let mut partitions = Vec::with_capacity(options.partitions.len());
        let mut end_before = head;
        for (index, partition) in options.partitions.iter().enumerate() {
            let item = Item::Partition(index);
            let overflow = || DiskError::Overflow { item };
            let start = match partition.start {
                Some(start) => start,
                None => end_before.checked_next_multiple_of(partition.align).ok_or_else(overflow)?,
            };
            let needs = partition.part.len();
            let given = match partition.size {
                Length::Content => None,
                Length::Bytes(bytes) => Some(bytes),
                Length::Fill(_) => filled.get(&index).copied(),
            };
            let len = match given {
                Some(size) if needs > size => {
                    return Err(DiskError::TooSmall { item, size, needs });
                }
                Some(size) => size,
                None => of_content(needs, sector).ok_or_else(overflow)?,
            };
            end_before = start.checked_add(len).ok_or_else(overflow)?;
            spans.push(Span { item, start, end: end_before });
            partitions.push(PlacedPartition { start, len });
        }
        for (index, blob) in options.blobs.iter().enumerate().filter(|(_, blob)| blob.part.len() > 0) {
            let item = Item::Blob(index);
            let overflow = || DiskError::Overflow { item };
            let end = blob.offset.checked_add(blob.part.len()).ok_or_else(overflow)?;
            spans.push(Span { item, start: blob.offset, end });
        }
        let len = length(options, &spans, tail)?;
        check(options, spans)?;
        Ok(Self { len, head, tail, partitions })
    }
}

/// The length of a partition for contents of `needs` \[bytes\]. An entry can't describe an empty partition.
pub(crate) fn of_content(needs: u64, sector: u64) -> Option<u64> {
    needs.max(1).checked_next_multiple_of(sector)
}

/// The length of the disk.
fn length(options: &Options, spans: &[Span], tail: u64) -> Result<u64, DiskError> {
    let last = spans.iter().max_by_key(|span| span.end);
    let end = last.map_or(0, |span| span.end);
    let needs = end.checked_add(tail).and_then(|needs| match options.round_to {
        RoundTo::Blocks => needs.checked_next_multiple_of(SIZE_MULTIPLE),
        RoundTo::Multiple(bytes) => needs.checked_next_multiple_of(bytes),
        RoundTo::PowerOfTwo => needs.checked_next_power_of_two(),
    });
    match (options.size, last) {
        (Some(size), Some(last)) if size.checked_sub(tail).is_none_or(|usable| usable < end) => {
            // A disk that is too short for the backup table has no usable space.
            Err(DiskError::PastEnd { span: *last, usable: size.saturating_sub(tail) })
        }
        (Some(size), _) if size > MOST_BYTES => Err(DiskError::TooLong { item: Item::Disk, bytes: size }),
        (Some(size), _) => Ok(size),
        (None, Some(last)) if end > MOST_BYTES - tail => {
            Err(DiskError::TooLong { item: last.item, bytes: end.saturating_add(tail) })
        }
        (None, _) => needs.filter(|needs| *needs <= MOST_BYTES).ok_or(DiskError::RoundedTooLong),
    }
}

/// Checks that nothing overlaps, and that the table can address everything.
fn check(options: &Options, mut spans: Vec<Span>) -> Result<(), DiskError> {
    spans.sort_by_key(|span| (span.start, span.end));
    for two in spans.windows(2) {
        if let [one, other] = two
            && other.start < one.end
        {
            return Err(DiskError::Overlap { one: *one, other: *other });
        }
    }
    let most = MBR_SECTORS * options.sector.bytes();
    let is_mbr = matches!(options.table, Table::Mbr(_));
    match spans.into_iter().rev().find(|span| is_mbr && span.end > most) {
        Some(span) => Err(DiskError::TooLargeForMbr { span, most }),
        None => Ok(()),
    }
}
