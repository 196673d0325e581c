//! Slots of FAT. A file without contents has no clusters there, so the room of a slot is among the free clusters, and a list in the
//! reserved sectors names the slots.

use std::collections::BTreeSet;

use fat_layout::{Bits, MAX_SLOT_LIST, SLOTS};
use image_reader::{Fat, FatPlaces, FileSystem, ReadError};
use image_tree::{MAX_SLOT, to_u64, to_usize};

use crate::error::StampError;
use crate::slot::Slot;
use crate::steps::{Changes, Fill, Write, spread};

/// The first cluster.
const FIRST: u32 = 2;
/// The longest table that is read, in \[bytes\]: that of 2^28 clusters.
const MAX_TABLE: u64 = 1 << 30;
/// Name of the tables in messages.
const TABLE: &str = "file allocation table";
/// The entry of the last cluster of a chain. That of FAT16 is the lower half of it.
const END: u32 = 0x0fff_ffff;
/// Offsets of fields in a directory entry, in \[bytes\].
const CLUSTER_HIGH: usize = 20;
const CLUSTER_LOW: usize = 26;
const SIZE: usize = 28;
/// The length of a directory entry in \[bytes\].
const ENTRY: u64 = 32;
/// Place of the number of free clusters in `FSInfo`, in \[bytes\], and signatures before it.
const FREE_COUNT: usize = 488;
const SIGNATURES: [(usize, &[u8]); 2] = [(0, b"RRaA"), (484, b"rrAa")];

fn bits(fat: &Fat) -> Option<Bits> {
    match fat.bits() {
        16 => Some(Bits::Fat16),
        32 => Some(Bits::Fat32),
        _ => None,
    }
}

fn read(fat: &Fat, place: &str, offset: u64, length: u64) -> Result<Vec<u8>, ReadError> {
    let io = |reason| ReadError::Io { place: place.to_owned(), reason };
    fat.volume().bytes(offset, length).map_err(io)
}

/// The slots by the list in the reserved sectors: path and room in \[bytes\].
pub(crate) fn list(fat: &Fat) -> Result<Vec<(Vec<u8>, u64)>, ReadError> {
    let Some(bits) = bits(fat) else { return Ok(Vec::new()) };
    let FatPlaces { sector, reserved, .. } = fat.places();
    let start = bits.list_at().saturating_mul(sector);
    let length = reserved.saturating_sub(start).min(MAX_SLOT_LIST);
    let bytes = read(fat, "list of slots", start, length)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let mut lines = bytes.get(..end).unwrap_or_default().split(|byte| *byte == b'\n');
    if lines.next() != Some(SLOTS.as_bytes()) {
        return Ok(Vec::new());
    }
    let slot = |line: &[u8]| {
        let text = std::str::from_utf8(line).ok()?;
        let (room, path) = text.split_once(' ')?;
        let room = room.parse().ok().filter(|room| (1..=MAX_SLOT).contains(room))?;
        Some((path.as_bytes().to_vec(), room))
    };
    Ok(lines.filter_map(slot).collect())
}

/// An allocation table, and the changes of it.
struct Table {
    bytes: Vec<u8>,
    bits: Bits,
    clusters: u64,
    /// The sectors that changed.
    changed: BTreeSet<usize>,
    sector: usize,
    /// The cluster at which the search for free ones goes on.
    next: u32,
}

impl Table {
    fn read(fat: &Fat, bits: Bits, places: &FatPlaces) -> Result<Self, ReadError> {
        let length = places.table_bytes.min(MAX_TABLE);
        let first = places.tables.first().copied().unwrap_or(places.reserved);
        Ok(Self {
            bytes: read(fat, TABLE, first, length)?,
            bits,
            clusters: places.clusters,
            changed: BTreeSet::new(),
            sector: to_usize(places.sector),
            next: FIRST,
        })
    }

    fn width(&self) -> usize {
        if self.bits == Bits::Fat16 { 2 } else { 4 }
    }

    fn at(&self, cluster: u32) -> usize {
        usize::try_from(cluster).unwrap_or(usize::MAX).saturating_mul(self.width())
    }

    /// The entry of a cluster; `None` if there is no such cluster.
    fn get(&self, cluster: u32) -> Option<u32> {
        if u64::from(cluster).checked_sub(FIRST.into())? >= self.clusters {
            return None;
        }
        self.entry(cluster)
    }

    fn entry(&self, cluster: u32) -> Option<u32> {
        let raw = self.bytes.get(self.at(cluster)..)?.get(..self.width())?;
        let mut word = [0; 4];
        word.iter_mut().zip(raw).for_each(|(to, from)| *to = *from);
        // The upper four bits are reserved.
        Some(u32::from_le_bytes(word) & 0x0fff_ffff)
    }

    fn set(&mut self, cluster: u32, value: u32) {
        let (at, width) = (self.at(cluster), self.width());
        let Some(raw) = self.bytes.get_mut(at..).and_then(|rest| rest.get_mut(..width)) else { return };
        let mut word = value.to_le_bytes();
        if let (4, Some(top), Some(new)) = (width, raw.get(3), word.get_mut(3)) {
            *new = (*new & 0x0f) | (top & 0xf0);
        }
        raw.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        self.changed.insert(at.checked_div(self.sector).unwrap_or(0));
    }

    fn is_end(&self, entry: u32) -> bool {
        entry >= if self.bits == Bits::Fat16 { 0xfff8 } else { 0x0fff_fff8 }
    }

    fn is_bad(&self, entry: u32) -> bool {
        entry == if self.bits == Bits::Fat16 { 0xfff7 } else { 0x0fff_fff7 }
    }

    /// The clusters, each with its entry.
    fn entries(&self) -> impl Iterator<Item = (u32, u32)> {
        (FIRST..).map_while(|cluster| Some((cluster, self.get(cluster)?)))
    }

    /// The clusters of a file of this number of clusters. `None` if the chain is not exactly as long.
    fn chain(&self, first: u32, clusters: u64) -> Option<Vec<u32>> {
        let mut chain = Vec::new();
        let mut at = first;
        while to_u64(chain.len()) < clusters {
            chain.push(at);
            at = self.get(at)?;
        }
        let is_whole = if clusters == 0 { first == 0 } else { self.is_end(at) };
        is_whole.then_some(chain)
    }

    /// The next free cluster.
    fn free(&mut self) -> Option<u32> {
        while let Some(entry) = self.get(self.next) {
            let cluster = self.next;
            self.next = self.next.saturating_add(1);
            if entry == 0 {
                return Some(cluster);
            }
        }
        None
    }

    /// Links clusters to a chain.
    fn link(&mut self, chain: &[u32]) {
        let mut nexts = chain.iter().skip(1);
        for &cluster in chain {
            let next = nexts.next().copied().unwrap_or(END);
            self.set(cluster, next);
        }
    }

    /// The bytes of a sector.
    fn sector(&self, number: usize) -> &[u8] {
        let from = number.saturating_mul(self.sector);
        let end = from.saturating_add(self.sector).min(self.bytes.len());
        self.bytes.get(from..end).unwrap_or_default()
    }

    /// What stores the sectors that changed, in all copies of the table. With `compare`, also those that differ in a copy: an
    /// interrupted stamp has stored one copy and not the other.
    fn writes(&self, fat: &Fat, places: &FatPlaces, compare: bool) -> Result<Vec<Write>, ReadError> {
        let mut writes = Vec::new();
        for (&at, copy) in places.tables.iter().zip(0_u32..) {
            let mut sectors = self.changed.clone();
            if compare && copy > 0 {
                let stored = read(fat, TABLE, at, to_u64(self.bytes.len()))?;
                let pairs = stored.chunks(self.sector).zip(self.bytes.chunks(self.sector)).enumerate();
                sectors.extend(pairs.filter(|(_, (one, other))| one != other).map(|(number, _)| number));
            }
            for number in sectors {
                let from = to_u64(number.saturating_mul(self.sector));
                writes.push(Write::new(at.saturating_add(from), self.sector(number).to_vec()));
            }
        }
        Ok(writes)
    }
}

/// Fails if the volume was not unmounted: by its second entry, as Windows says it, or by the boot sector, as Linux does
/// (`FAT_STATE_DIRTY`).
fn refuse_unclean(fat: &Fat, table: &Table) -> Result<(), StampError> {
    let (clean, state) = match table.bits {
        Bits::Fat16 => (0x8000, 37),
        Bits::Fat32 => (0x0800_0000, 65),
    };
    let boot = read(fat, "boot sector", 0, 512)?;
    let is_dirty = boot.get(state).is_some_and(|state| state & 1 != 0);
    if is_dirty || table.entry(1).unwrap_or(0) & clean == 0 {
        return Err(StampError::Unclean);
    }
    // `BPB_ExtFlags`: only one of the tables is in use.
    if table.bits == Bits::Fat32 && boot.get(40).is_some_and(|flags| flags & 0x80 != 0) {
        return Err(StampError::NotMirrored);
    }
    Ok(())
}

/// The clusters that are in use, but by no file or directory: what an interrupted stamp leaves.
fn lost(fs: &FileSystem, fat: &Fat, table: &Table) -> Result<BTreeSet<u32>, ReadError> {
    let mut reached = vec![false; table.entries().count()];
    let mut visits = fs.visits();
    let mut open = vec![fs.root()?];
    while let Some(node) = open.pop() {
        let mut at = fat.first_cluster(&node);
        while let Some(entry) = table.get(at) {
            match reached.get_mut(usize::try_from(at.saturating_sub(FIRST)).unwrap_or(usize::MAX)) {
                Some(is_reached) if !*is_reached => *is_reached = true,
                _ => break,
            }
            at = entry;
        }
        if node.is_directory() {
            let (entries, errors) = visits.entries(fs, &node)?;
            // The clusters of an entry that can't be read would seem to be lost.
            if let Some(error) = errors.into_iter().next() {
                return Err(error);
            }
            for entry in entries {
                open.push(fs.node(&entry)?);
            }
        }
    }
    let lost = table.entries().zip(reached).filter(|((_, entry), is_reached)| {
        let is_used = *entry != 0 && !table.is_bad(*entry);
        is_used && !is_reached
    });
    Ok(lost.map(|((cluster, _), _)| cluster).collect())
}

/// A slot that is filled.
struct Filled<'f> {
    fill: Fill<'f>,
    /// The directory entry, and its offset in the volume in \[bytes\].
    entry: Vec<u8>,
    at: u64,
    old: Vec<u32>,
    new: Vec<u32>,
}

impl<'f> Filled<'f> {
    /// The slot with those of its clusters that its contents still need.
    fn read(fat: &Fat, cluster: u64, table: &Table, fill: Fill<'f>) -> Result<Self, StampError> {
        let refused = |what| StampError::Changed { path: fill.slot.path.clone(), what };
        let at = fat.entry_offset(&fill.slot.node).ok_or_else(|| refused("it has no directory entry"))?;
        let entry = read(fat, "directory", at, ENTRY)?;
        let clusters = fill.slot.node.size.div_ceil(cluster);
        let old = table.chain(fat.first_cluster(&fill.slot.node), clusters);
        let old = old.ok_or_else(|| refused("its clusters do not match its length"))?;
        let needed = to_usize(to_u64(fill.contents.len()).div_ceil(cluster));
        let new = old.iter().copied().take(needed).collect();
        Ok(Self { fill, entry, at, old, new })
    }

    /// Adds clusters: first those that become free, then others.
    fn extend(
        &mut self,
        cluster: u64,
        released: &mut BTreeSet<u32>,
        table: &mut Table,
    ) -> Result<(), StampError> {
        let bytes = to_u64(self.fill.contents.len());
        while to_u64(self.new.len()) < bytes.div_ceil(cluster) {
            let Some(next) = released.pop_first().or_else(|| table.free()) else {
                let free = to_u64(self.new.len()).saturating_mul(cluster);
                return Err(StampError::NoClusters { path: self.fill.slot.path.clone(), bytes, free });
            };
            self.new.push(next);
        }
        Ok(())
    }
}

/// Adds the changes that fill slots.
///
/// Clusters that lose their contents are free only after these are zeros; new ones are in use before they have contents. So if
/// a stamp is interrupted, all contents are in files or in lost clusters, which the next stamp finds and clears.
pub(crate) fn plan(
    fs: &FileSystem,
    fat: &Fat,
    fills: &[Fill<'_>],
    changes: &mut Changes,
) -> Result<(), StampError> {
    let bits = bits(fat).ok_or(StampError::Fat12)?;
    let places = fat.places();
    let cluster = places.cluster.max(1);
    let mut table = Table::read(fat, bits, &places)?;
    refuse_unclean(fat, &table)?;
    let mut slots = fills
        .iter()
        .map(|fill| Filled::read(fat, cluster, &table, *fill))
        .collect::<Result<Vec<_>, StampError>>()?;
    let mut released = lost(fs, fat, &table)?;
    released.extend(slots.iter().flat_map(|slot| slot.old.iter().skip(slot.new.len())));
    for slot in &mut slots {
        slot.extend(cluster, &mut released, &mut table)?;
    }
    let run = |number: u32| {
        let index = u64::from(number).saturating_sub(FIRST.into());
        (places.data.saturating_add(index.saturating_mul(places.cluster)), places.cluster)
    };
    let io = |reason| ReadError::Io { place: "contents".to_owned(), reason };
    let mut is_grown = false;
    for slot in &mut slots {
        let Fill { slot: Slot { node, .. }, contents } = slot.fill;
        let before = changes.contents.len();
        let runs = slot.new.iter().map(|number| run(*number));
        spread(changes, fat.volume(), contents, runs).map_err(io)?;
        if slot.new == slot.old && changes.contents.len() == before && to_u64(contents.len()) == node.size {
            continue;
        }
        if node.size > 0 {
            put_entry(&mut slot.entry, 0, 0);
            changes.clear.push(Write::new(slot.at, slot.entry.clone()));
        }
        if !contents.is_empty() {
            let first = slot.new.first().copied().unwrap_or(0);
            put_entry(&mut slot.entry, first, u32::try_from(contents.len()).unwrap_or(0));
            changes.lengths.push(Write::new(slot.at, slot.entry.clone()));
        }
        if slot.new != slot.old {
            table.link(&slot.new);
        }
        is_grown |= slot.new.len() > slot.old.len();
    }
    if is_grown {
        for &number in &released {
            table.set(number, END);
        }
        changes.reserve = table.writes(fat, &places, false)?;
    }
    for &number in &released {
        table.set(number, 0);
    }
    for (offset, length) in joined(released.into_iter().map(run)) {
        changes.add_zeros(fat.volume(), offset, length).map_err(io)?;
    }
    changes.tables.extend(table.writes(fat, &places, true)?);
    count(fat, &places, &table, changes)
}

/// Ranges of the volume, where those that follow each other are one.
fn joined(ranges: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (offset, length) in ranges {
        match joined.last_mut() {
            Some(last) if last.0.saturating_add(last.1) == offset => last.1 = last.1.saturating_add(length),
            _ => joined.push((offset, length)),
        }
    }
    joined
}

fn put_entry(entry: &mut [u8], cluster: u32, size: u32) {
    let [low_0, low_1, high_0, high_1] = cluster.to_le_bytes();
    let fields: [(usize, &[u8]); 3] =
        [(CLUSTER_HIGH, &[high_0, high_1]), (CLUSTER_LOW, &[low_0, low_1]), (SIZE, &size.to_le_bytes())];
    for (at, bytes) in fields {
        for (to, from) in entry.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    }
}

/// Corrects the number of free clusters in `FSInfo` and its copy.
fn count(fat: &Fat, places: &FatPlaces, table: &Table, changes: &mut Changes) -> Result<(), StampError> {
    if fat.bits() != 32 {
        return Ok(());
    }
    let boot = read(fat, "boot sector", 0, 512)?;
    let word = |at: usize| match boot.get(at..) {
        Some(&[low, high, ..]) => u64::from(u16::from_le_bytes([low, high])),
        _ => 0,
    };
    let free = u32::try_from(table.entries().filter(|(_, entry)| *entry == 0).count()).unwrap_or(u32::MAX);
    // The copy of `FSInfo` follows that of the boot sector.
    for sector in [word(48), word(50).saturating_add(1)] {
        let at = sector.saturating_mul(places.sector);
        if sector < 1 || at.saturating_add(512) > places.reserved {
            continue;
        }
        let info = read(fat, "FSInfo", at, 512)?;
        let is_info =
            SIGNATURES.iter().all(|(at, text)| info.get(*at..).is_some_and(|rest| rest.starts_with(text)));
        let count =
            info.get(FREE_COUNT..).and_then(|rest| rest.first_chunk()).map(|raw| u32::from_le_bytes(*raw));
        // All ones: not known.
        if is_info && count.is_some_and(|count| count != u32::MAX && count != free) {
            let offset = at.saturating_add(to_u64(FREE_COUNT));
            changes.tables.push(Write::new(offset, free.to_le_bytes().to_vec()));
        }
    }
    Ok(())
}
