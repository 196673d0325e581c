//! Where everything goes: partitions at the next MiB where nobody says otherwise, nothing over anything else, and a
//! disk as long as it must be.

use crate::error::{DiskError, Item, Span};
use crate::options::{Options, Table};

/// Where partitions begin that no one placed: good for every flash memory and disk.
const ALIGNMENT: u64 = 1 << 20;
/// Boot code ends here, the disk's number and the table follow (UEFI specification, table 5.1).
pub(crate) const BOOT_CODE: u64 = 440;
/// 128 entries of 128 bytes (UEFI specification, 5.3); whole sectors of every length.
pub(crate) const GPT_ENTRIES: u64 = 128 * 128;
/// The length of a disk that is as long as it must be: whole blocks of whatever takes it.
const GRAIN: u64 = 4096;
/// MBR entries have 32 bits for sectors.
const MBR_SECTORS: u64 = 1 << 32;

/// A partition in its place, in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedPartition {
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub len: u64,
}

/// All places of a disk.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) len: u64,
    /// How long the table at the front is, including the boot code.
    pub(crate) head: u64,
    /// How long the table at the end is.
    pub(crate) tail: u64,
    pub(crate) partitions: Vec<PlacedPartition>,
}

impl Places {
    pub(crate) fn of(options: &Options) -> Result<Self, DiskError> {
        let sector = options.sector.bytes();
        let (head, tail) = match options.table {
            // What is behind the first 512 bytes of a longer sector is reserved (UEFI specification, table 5.1).
            Table::Mbr(_) => (sector, 0),
            // A protective MBR, the header, the entries; the entries and the header again.
            Table::Gpt(_) => (2 * sector + GPT_ENTRIES, GPT_ENTRIES + sector),
        };
        let mut spans = vec![Span { item: Item::Table, start: BOOT_CODE, end: head }];
        let mut partitions = Vec::with_capacity(options.partitions.len());
        let mut end_before = head;
        for (index, partition) in options.partitions.iter().enumerate() {
            let item = Item::Partition(index);
            let overflow = || DiskError::Overflow { item };
            let start = match partition.start {
                Some(start) => start,
                None => end_before.checked_next_multiple_of(ALIGNMENT).ok_or_else(overflow)?,
            };
            let needs = partition.part.len();
            let len = match partition.size {
                Some(size) if needs > size => {
                    return Err(DiskError::TooSmall { item, size, needs });
                }
                Some(size) => size,
                // A table can't say that a partition has nothing.
                None => needs.max(1).checked_next_multiple_of(sector).ok_or_else(overflow)?,
            };
            end_before = start.checked_add(len).ok_or_else(overflow)?;
            spans.push(Span { item, start, end: end_before });
            partitions.push(PlacedPartition { start, len });
        }
        for (index, blob) in options.blobs.iter().enumerate().filter(|(_, blob)| blob.len > 0) {
            let item = Item::Blob(index);
            let overflow = || DiskError::Overflow { item };
            let end = blob.offset.checked_add(blob.len).ok_or_else(overflow)?;
            spans.push(Span { item, start: blob.offset, end });
        }
        let len = length(options, &spans, tail)?;
        check(options, spans, len - tail)?;
        Ok(Self { len, head, tail, partitions })
    }
}

/// The length of the whole disk.
fn length(options: &Options, spans: &[Span], tail: u64) -> Result<u64, DiskError> {
    let last = spans.iter().max_by_key(|span| span.end);
    let end = last.map_or(0, |span| span.end);
    let needs = end.checked_add(tail).and_then(|needs| needs.checked_next_multiple_of(GRAIN));
    match (options.size, last) {
        (Some(size), Some(last)) if size.checked_sub(tail).is_none_or(|usable| usable < end) => {
            Err(DiskError::PastEnd { span: *last, usable: size.saturating_sub(tail) })
        }
        (Some(size), _) => Ok(size),
        (None, _) => needs.ok_or(DiskError::Overflow { item: Item::Disk }),
    }
}

/// Nothing over anything else, everything within what the table can say.
fn check(options: &Options, mut spans: Vec<Span>, usable: u64) -> Result<(), DiskError> {
    spans.sort_by_key(|span| (span.start, span.end));
    for two in spans.windows(2) {
        if let [one, other] = two
            && other.start < one.end
        {
            return Err(DiskError::Overlap { one: *one, other: *other });
        }
    }
    if let Some(last) = spans.last()
        && last.end > usable
    {
        return Err(DiskError::PastEnd { span: *last, usable });
    }
    let most = MBR_SECTORS * options.sector.bytes();
    let is_mbr = matches!(options.table, Table::Mbr(_));
    match spans.into_iter().rev().find(|span| is_mbr && span.end > most) {
        Some(span) => Err(DiskError::TooLargeForMbr { span, most }),
        None => Ok(()),
    }
}
