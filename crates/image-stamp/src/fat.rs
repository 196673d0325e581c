//! Slots of FAT. A file without contents has no clusters there, so the room of a slot is among the free clusters, and a list in the
//! reserved sectors names the slots.

use std::collections::BTreeSet;

use fat_layout::{Bits, SLOTS};
use image_reader::{Fat, FatPlaces, ReadError};
use image_tree::{MAX_SLOT, to_u64, to_usize};

use crate::error::StampError;
use crate::steps::{Changes, Fill, Write, spread};

/// The first cluster.
const FIRST: u32 = 2;
/// The longest list that is read, in \[bytes\].
const MAX_LIST: u64 = 1 << 20;
/// The longest table that is read, in \[bytes\]: that of 2^28 clusters.
const MAX_TABLE: u64 = 1 << 30;
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
    let length = reserved.saturating_sub(start).min(MAX_LIST);
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
            let next = nexts.next().copied().unwrap_or(0x0fff_ffff);
            // The end mark of FAT16 is the lower half of that of FAT32.
            self.set(cluster, next);
        }
    }
}

/// Adds the changes that fill slots.
pub(crate) fn plan(fat: &Fat, fills: &[Fill<'_>], changes: &mut Changes) -> Result<(), StampError> {
    let bits = bits(fat).ok_or(StampError::Fat12)?;
    let places = fat.places();
    let length = places.table_bytes.min(MAX_TABLE);
    let first = places.tables.first().copied().unwrap_or(places.reserved);
    let mut table = Table {
        bytes: read(fat, "file allocation table", first, length)?,
        bits,
        clusters: places.clusters,
        changed: BTreeSet::new(),
        sector: to_usize(places.sector),
        next: FIRST,
    };
    // The second entry says whether the volume was unmounted.
    let clean = if bits == Bits::Fat16 { 0x8000 } else { 0x0800_0000 };
    if table.entry(1).unwrap_or(0) & clean == 0 {
        return Err(StampError::Unclean);
    }
    let free = fat.free();
    let (mut taken, mut freed) = (0_u64, 0_u64);
    for fill in fills {
        let (more, less) = plan_one(fat, &places, *fill, &mut table, free, changes)?;
        (taken, freed) = (taken.saturating_add(more), freed.saturating_add(less));
    }
    let sector = table.sector;
    for at in &places.tables {
        for &number in &table.changed {
            let from = number.saturating_mul(sector);
            let end = from.saturating_add(sector).min(table.bytes.len());
            let bytes = table.bytes.get(from..end).unwrap_or_default().to_vec();
            changes.tables.push(Write { offset: at.saturating_add(to_u64(from)), bytes });
        }
    }
    if taken != freed {
        count(fat, &places, taken, freed, changes)?;
    }
    Ok(())
}

/// Adds the changes of one slot. Returns how many clusters it takes and frees.
fn plan_one(
    fat: &Fat,
    places: &FatPlaces,
    Fill { slot, contents }: Fill<'_>,
    table: &mut Table,
    free: u64,
    changes: &mut Changes,
) -> Result<(u64, u64), StampError> {
    let refused = |what| StampError::Changed { path: slot.path.clone(), what };
    let entry_at = fat.entry_offset(&slot.node).ok_or_else(|| refused("it has no directory entry"))?;
    let mut entry = read(fat, "directory", entry_at, ENTRY)?;
    let clusters_of = |bytes: u64| bytes.div_ceil(places.cluster.max(1));
    let old = table.chain(fat.first_cluster(&slot.node), clusters_of(slot.node.size));
    let old = old.ok_or_else(|| refused("its clusters do not match its length"))?;
    let size = to_u64(contents.len());
    let needed = clusters_of(size);
    let offset = |cluster: u32| {
        let index = u64::from(cluster).saturating_sub(FIRST.into());
        (places.data.saturating_add(index.saturating_mul(places.cluster)), places.cluster)
    };
    let mut chain: Vec<u32> = old.iter().copied().take(to_usize(needed)).collect();
    while to_u64(chain.len()) < needed {
        let Some(cluster) = table.free() else {
            return Err(StampError::NoClusters { path: slot.path.clone(), bytes: size, free });
        };
        chain.push(cluster);
    }
    let surplus: Vec<u32> = old.iter().copied().skip(chain.len()).collect();
    let before = changes.contents.len();
    let io = |reason| ReadError::Io { place: "contents".to_owned(), reason };
    let all = chain.iter().chain(&surplus).map(|cluster| offset(*cluster));
    spread(changes, fat.volume(), contents, all).map_err(io)?;
    if changes.contents.len() == before && size == slot.node.size {
        return Ok((0, 0));
    }
    if slot.node.size > 0 {
        put_entry(&mut entry, 0, 0);
        changes.clear.push(Write { offset: entry_at, bytes: entry.clone() });
    }
    if chain != old {
        table.link(&chain);
        for &cluster in &surplus {
            table.set(cluster, 0);
        }
    }
    if size > 0 {
        put_entry(&mut entry, chain.first().copied().unwrap_or(0), u32::try_from(size).unwrap_or(0));
        changes.lengths.push(Write { offset: entry_at, bytes: entry });
    }
    Ok((to_u64(chain.len()), to_u64(old.len())))
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
fn count(
    fat: &Fat,
    places: &FatPlaces,
    taken: u64,
    freed: u64,
    changes: &mut Changes,
) -> Result<(), StampError> {
    if fat.bits() != 32 {
        return Ok(());
    }
    let boot = read(fat, "boot sector", 0, 512)?;
    let word = |at: usize| match boot.get(at..) {
        Some(&[low, high, ..]) => u64::from(u16::from_le_bytes([low, high])),
        _ => 0,
    };
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
        let Some(count) = count.filter(|count| is_info && *count != u32::MAX) else { continue };
        let now = u64::from(count).saturating_add(freed).saturating_sub(taken);
        let bytes = u32::try_from(now).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        changes.tables.push(Write { offset: at.saturating_add(to_u64(FREE_COUNT)), bytes });
    }
    Ok(())
}
