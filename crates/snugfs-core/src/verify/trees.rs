//! Finds the hash trees of dm-verity in an image, and compares them with the data.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use dm_verity::{BLOCK, Geometry, HASH, HashTree, RootHash, Superblock, TreeHasher};
use image_reader::{Overview, ReadError, Volume, Window};
use image_tree::{Uuid, to_u64, to_usize};
use snugfs_compare::PartCode;

use super::check::PartProblem;
use crate::human;

/// How much a thread reads at once, in \[bytes\].
const PART: u64 = 1 << 20;

const DAMAGED: dm_verity::Unsupported = dm_verity::Unsupported("the signature is damaged");

/// Problems of hash trees.
#[derive(Debug, Default)]
pub(super) struct Trees {
    /// The problems of each tree that was compared, by the index of its volume.
    pub(super) checked: BTreeMap<usize, Vec<PartProblem>>,
}

/// A volume that may be the data of a tree.
struct Data<'v> {
    /// `partition 2`, or `the file system`.
    name: String,
    window: &'v Window,
}

/// The length of an ext4 file system in \[bytes\], from its superblock.
fn ext4_len(window: &Window) -> Option<u64> {
    let mut superblock = [0; 1024];
    window.read(1024, &mut superblock).ok()?;
    let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| superblock[at + index]));
    if superblock[0x38..0x3a] != 0xef53_u16.to_le_bytes() {
        return None;
    }
    // INCOMPAT_64BIT
    let high = if u32_at(0x60) & 0x80 == 0 { 0 } else { u64::from(u32_at(0x150)) };
    let block = 1024_u64.checked_shl(u32_at(0x18)).filter(|_| u32_at(0x18) <= 6)?;
    (high << 32 | u64::from(u32_at(4))).checked_mul(block)
}

fn superblock(window: &Window) -> Option<Result<Superblock, dm_verity::Unsupported>> {
    let mut bytes = [0; Superblock::LEN];
    window.read(0, &mut bytes).ok()?;
    let damaged = || Superblock::has_damaged_signature(&bytes).then_some(Err(DAMAGED));
    Superblock::parse(&bytes).or_else(damaged)
}

/// The bytes after an image's file system that belong to its hash tree. If its superblock is damaged, they may be all of them.
pub(super) fn bytes_of(tree: &Window) -> u64 {
    let len =
        superblock(tree).and_then(Result::ok).and_then(|found| Geometry::new(found.data_blocks * BLOCK));
    len.map_or(tree.length(), |geometry| geometry.hash_device_len())
}

/// The part of an image without a partition table that has its ext4 file system, if a hash tree follows.
pub(super) fn split(window: &Window) -> Option<(Window, Window)> {
    let len = ext4_len(window).filter(|len| *len < window.length())?;
    let rest = window.part(len, window.length() - len);
    superblock(&rest).is_some().then_some(())?;
    Some((window.part(0, len), rest))
}

/// A hash tree in an image, as its superblock describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundTree {
    /// Its offset in the volume, in \[bytes\].
    pub offset: u64,
    /// Its length, in \[bytes\].
    pub bytes: u64,
    /// The length of the data, in \[bytes\].
    pub data_bytes: u64,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its salt.
    pub salt: Vec<u8>,
    /// The hash of its top block. Whether the data has this hash was not checked.
    pub root_hash: RootHash,
}

/// The hash tree in a volume: at its start, or after the file system of an image without a partition table.
#[must_use]
pub fn hash_tree(volume: &Volume) -> Option<FoundTree> {
    let (offset, window) = match volume.partition {
        Some(_) => (0, volume.window.clone()),
        None => split(&volume.window).map(|(data, tree)| (data.length(), tree))?,
    };
    let found = superblock(&window)?.ok()?;
    let data_bytes = found.data_blocks * BLOCK;
    let geometry = Geometry::new(data_bytes).filter(|geometry| !geometry.levels().is_empty())?;
    let mut top = [0; 4096];
    window.read(BLOCK, &mut top).ok()?;
    Some(FoundTree {
        offset,
        bytes: geometry.hash_device_len(),
        data_bytes,
        uuid: Uuid(found.parameters.uuid()),
        salt: found.parameters.salt().to_vec(),
        root_hash: found.root_hash(&top),
    })
}

/// Compares all hash trees of an image with their data.
pub(super) fn check(overview: &Overview) -> Result<Trees, ReadError> {
    let mut trees = Trees::default();
    let name = |volume: &Volume| {
        let number = volume.partition.as_ref().map(|partition| partition.number);
        number.map_or_else(|| "image".to_owned(), |number| format!("partition {number}"))
    };
    for (index, volume) in overview.volumes.iter().enumerate() {
        let checked = if volume.partition.is_none() {
            let Some((data, tree)) = split(&volume.window) else { continue };
            let data = Data { name: "the file system".to_owned(), window: &data };
            one("image", &tree, &[data])?
        } else if superblock(&volume.window).is_none() {
            continue;
        } else {
            let data = overview.volumes.iter().filter(|data| ext4_len(&data.window).is_some());
            let data: Vec<_> = data.map(|data| Data { name: name(data), window: &data.window }).collect();
            one(&name(volume), &volume.window, &data)?
        };
        trees.checked.extend(checked.map(|problems| (index, problems)));
    }
    Ok(trees)
}

/// Compares a tree with the data that fits best. A tree does not say where its data is. Returns the problems; `None` if there is no
/// tree.
fn one(place: &str, tree: &Window, data: &[Data<'_>]) -> Result<Option<Vec<PartProblem>>, ReadError> {
    let found = match superblock(tree) {
        None => return Ok(None),
        Some(Err(why)) => {
            let what = format!("the hash tree has a damaged superblock: {}", why.0);
            return Ok(Some(vec![PartProblem::new(PartCode::HashTreeDamaged, what)]));
        }
        Some(Ok(found)) => found,
    };
    let problem = |code, what: &str| Ok(Some(vec![PartProblem::new(code, format!("the hash tree {what}"))]));
    let len = found.data_blocks * BLOCK;
    let geometry = Geometry::new(len).filter(|geometry| geometry.hash_device_len() <= tree.length());
    let Some(geometry) = geometry else {
        return problem(PartCode::HashTreeDamaged, "is cut off");
    };
    let mut stored = vec![0; to_usize(geometry.hash_device_len())];
    tree.read(0, &mut stored).map_err(|reason| ReadError::Io { place: place.to_owned(), reason })?;
    let mut best: Option<Difference> = None;
    for data in data.iter().filter(|data| ext4_len(data.window) == Some(len)) {
        let failed = |reason| ReadError::Io { place: data.name.clone(), reason };
        let Some(computed) = compute(data.window, &found).map_err(failed)? else { continue };
        let Some(found) = difference(&computed, &stored, &geometry, &data.name) else {
            return Ok(Some(Vec::new()));
        };
        if best.as_ref().is_none_or(|best| found.blocks < best.blocks) {
            best = Some(found);
        }
    }
    if let Some(Difference { code, what, .. }) = best {
        return problem(code, &what);
    }
    let what = format!("covers {len} bytes, but no file system has this length");
    problem(PartCode::HashTreeMismatch, &what)
}

/// How a tree differs from that of its data.
struct Difference {
    blocks: u64,
    code: PartCode,
    what: String,
}

/// The number of blocks that differ, and the first of them.
fn difference(computed: &HashTree, stored: &[u8], geometry: &Geometry, data: &str) -> Option<Difference> {
    let hashes = |bytes: &[u8]| -> Vec<[u8; HASH]> {
        let level = geometry.levels().first().map_or(0, |level| to_usize(level.start * BLOCK));
        bytes[level..].as_chunks::<HASH>().0.to_vec()
    };
    let wrong = |(index, (one, other)): (usize, (&[u8; HASH], &[u8; HASH]))| (one != other).then_some(index);
    let (ours, theirs) = (hashes(computed.bytes()), hashes(stored));
    let mut blocks = ours.iter().zip(&theirs).enumerate().filter_map(wrong);
    if let Some(first) = blocks.next() {
        let count = 1 + to_u64(blocks.count());
        let many = human::counted(count, "block");
        let what = format!("does not match {data}: {many} with another hash, first block {first}");
        return Some(Difference { blocks: count, code: PartCode::HashTreeMismatch, what });
    }
    let (ours, theirs) = (computed.bytes().chunks(4096), stored.chunks(4096));
    let first = ours.zip(theirs).position(|(one, other)| one != other)?;
    let what = format!("is damaged in its block {first}");
    Some(Difference { blocks: 1, code: PartCode::HashTreeDamaged, what })
}

/// The tree that data should have; `None` if its parameters fit no tree.
fn compute(window: &Window, superblock: &Superblock) -> io::Result<Option<HashTree>> {
    let len = superblock.data_blocks * BLOCK;
    let Some(hasher) = TreeHasher::new(superblock.parameters.clone(), len) else { return Ok(None) };
    let next = AtomicU64::new(0);
    let failed: Mutex<Option<io::Error>> = Mutex::new(None);
    let work = || {
        let mut buffer = vec![0; to_usize(PART)];
        loop {
            let at = next.fetch_add(PART, Ordering::Relaxed);
            if at >= len {
                return;
            }
            let part = PART.min(len - at);
            if window.next_data(at) >= at + part {
                hasher.zeros(at, part);
                continue;
            }
            let bytes = &mut buffer[..to_usize(part)];
            if let Err(error) = window.read(at, bytes) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
            hasher.bytes(at, bytes);
        }
    };
    rayon::scope(|scope| (0..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| work())));
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    Ok(hasher.finish().ok())
}
