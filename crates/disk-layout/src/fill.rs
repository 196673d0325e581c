//! The lengths of partitions that take what others leave.
//!
//! Partitions without a start follow one another: a chain begins with a partition that has a start, or at the table. A chain ends
//! before the next item that has a place of its own (the first partition of another chain, a blob), or at the end of the disk. So
//! each chain is computed by itself. All that is left goes to the chain's filling partitions, except what alignment takes: none of
//! them can get another sector.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{DiskError, Item};
use crate::options::{Length, Options, Partition};
use crate::placement::of_content;

/// The lengths of filling partitions in \[bytes\], by index. `head` and `tail` are the lengths of the tables.
pub(crate) fn lengths(options: &Options, head: u64, tail: u64) -> Result<BTreeMap<usize, u64>, DiskError> {
    let mut lengths = BTreeMap::new();
    let is_fill = |partition: &Partition| matches!(partition.size, Length::Fill(_));
    let Some(first) = options.partitions.iter().position(is_fill) else { return Ok(lengths) };
    let size = options.size.ok_or(DiskError::NoLength { item: Item::Partition(first) })?;
    let usable = size.saturating_sub(tail);
    for chain in chains(&options.partitions) {
        Chain::new(options, chain, head, usable)?.fill(&mut lengths)?;
    }
    Ok(lengths)
}

/// The chains of partitions, by index.
fn chains(partitions: &[Partition]) -> Vec<Range<usize>> {
    let starts = (1..partitions.len()).filter(|&index| partitions[index].start.is_some());
    let mut bounds: Vec<usize> = std::iter::once(0).chain(starts).collect();
    bounds.push(partitions.len());
    bounds.windows(2).map(|two| two[0]..two[1]).collect()
}

/// A partition in a chain.
struct Link {
    index: usize,
    align: u64,
    /// Its length in \[bytes\], or its weight.
    size: Result<u64, u32>,
    /// Where it has to end at the latest, so that those after it find their places.
    latest_end: u64,
}

/// The part of a chain that begins with its first filling partition.
struct Chain {
    links: Vec<Link>,
    /// Start of the first link.
    start: u64,
    limit: u64,
    sector: u64,
}

impl Chain {
    fn new(options: &Options, range: Range<usize>, head: u64, usable: u64) -> Result<Self, DiskError> {
        let sector = options.sector.bytes();
        let mut chain = Self { links: Vec::new(), start: 0, limit: usable, sector };
        let mut end = head;
        for index in range {
            let Some(partition) = options.partitions.get(index) else { continue };
            let overflow = || DiskError::Overflow { item: Item::Partition(index) };
            let size = match partition.size {
                Length::Content => Ok(of_content(partition.part.len(), sector).ok_or_else(overflow)?),
                Length::Bytes(bytes) => Ok(bytes),
                Length::Fill(weight) => Err(weight),
            };
            if chain.links.is_empty() {
                let aligned = || end.checked_next_multiple_of(partition.align);
                let start = partition.start.or_else(aligned).ok_or_else(overflow)?;
                if let Ok(bytes) = size {
                    end = start.checked_add(bytes).ok_or_else(overflow)?;
                    continue;
                }
                chain.start = start;
            }
            chain.links.push(Link { index, align: partition.align.max(1), size, latest_end: 0 });
        }
        let partitions = options.partitions.iter().filter_map(|partition| partition.start);
        let blobs = options.blobs.iter().filter(|blob| blob.part.len() > 0).map(|blob| blob.offset);
        let next = partitions.chain(blobs).filter(|&place| place > chain.start).min();
        // A partition ends with a sector.
        let limit = next.map_or(usable, |next| next.min(usable));
        chain.limit = limit - limit % sector;
        Ok(chain)
    }

    fn fill(mut self, lengths: &mut BTreeMap<usize, u64>) -> Result<(), DiskError> {
        let item = |link: &Link| Item::Partition(link.index);
        // From the end, with one sector for each filling partition.
        let mut latest = self.limit;
        for link in self.links.iter_mut().rev() {
            link.latest_end = latest;
            let least = link.size.unwrap_or(self.sector);
            let start = latest.checked_sub(least).map(|start| start - start % link.align);
            let nothing = DiskError::NothingLeft { item: item(link), start: self.start, limit: self.limit };
            latest = start.ok_or(nothing)?;
        }
        let Some(first) = self.links.first() else { return Ok(()) };
        if first.latest_end < self.start.saturating_add(self.sector) {
            let (start, limit) = (self.start, self.limit);
            return Err(DiskError::NothingLeft { item: item(first), start, limit });
        }
        let mut end = self.start;
        for (position, link) in self.links.iter().enumerate() {
            let start = if position == 0 { self.start } else { end.next_multiple_of(link.align) };
            let next_align = self.links.get(position + 1).map_or(self.sector, |next| next.align);
            let len = link.size.unwrap_or_else(|weight| {
                let wanted = start.saturating_add(self.share(position, start, weight));
                // The next partition begins where this one ends.
                let least = start.saturating_add(self.sector).next_multiple_of(next_align);
                let aligned = (wanted - wanted % next_align).max(least);
                // The last filling partition wants all that is left, so it ends there.
                aligned.min(link.latest_end).saturating_sub(start)
            });
            if link.size.is_err() {
                lengths.insert(link.index, len);
            }
            end = start.saturating_add(len);
        }
        Ok(())
    }

    /// The share by weight of a filling partition in what is left from its start, in \[bytes\].
    fn share(&self, position: usize, start: u64, weight: u32) -> u64 {
        let rest = || self.links.iter().skip(position);
        let fixed = rest().filter_map(|link| link.size.ok()).fold(0_u64, u64::saturating_add);
        let weights: u128 = rest().filter_map(|link| link.size.err()).map(u128::from).sum();
        let left = self.limit.saturating_sub(start).saturating_sub(fixed);
        let share = u128::from(left) * u128::from(weight) / weights.max(1);
        u64::try_from(share).unwrap_or(left)
    }
}
