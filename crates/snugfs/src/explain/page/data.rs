//! The data of the page, as one JSON value.

use ext4_layout::Purpose;
use image_explain::{BLOCK, Part};
use image_tree::escaped;
use serde_json::{Value, json};

use super::before::Before;
use super::nodes::{KINDS, Nodes};
use snugfs_core::explain::{ExplainedVolume, Way};
use snugfs_core::{DiskReport, PartContent, PartitionReport};

use crate::explain::Explained;
use crate::explain::json::purpose;
use crate::explain::rows::kind_name;

/// The most store paths with a row.
const MOST_PATHS: usize = 20_000;
/// The most referrers listed for a path.
const MOST_REFERRERS: usize = 12;
/// The most areas drawn for a file system.
const MOST_AREAS: usize = 20_000;

/// The name of the image: the label of its root.
pub(super) fn title(image: &Explained<'_>) -> String {
    match image.systems.first().map(|system| system.label.as_str()) {
        None | Some("") => "Image without a label".to_owned(),
        Some(label) => escaped(label.as_bytes()).to_string(),
    }
}

pub(super) fn data(image: &Explained<'_>, title: &str) -> Value {
    let disk = image.report.disk.as_ref();
    let segments = disk.map(|disk| segments(disk, image.report.image.bytes)).unwrap_or_default();
    let numbers = path_numbers(image);
    let parts = if disk.is_some() { segments.clone() } else { parts(image) };
    let before = Before::new(image.difference, image.other);
    json!({
        "title": title,
        "bytes": image.report.image.bytes,
        "block": BLOCK,
        "groupBlocks": 8 * BLOCK,
        "start": 0,
        "kinds": KINDS,
        "purposes": PURPOSES.map(|(of, name)| json!([purpose(of), name])),
        "notes": notes(),
        "parts": parts,
        "disk": segments,
        "nodes": nodes(image, &numbers, title, &before),
        "compare": before.into_value(|base_name| root_path(image, &numbers, base_name)),
        "paths": paths(image, &numbers),
        "smaller": smaller(image, &numbers),
        "systems": image.systems.iter().map(|system| areas(system, disk.is_some())).collect::<Vec<_>>(),
    })
}

const PURPOSES: [(Purpose, &str); 10] = [
    (Purpose::Superblock, "superblocks"),
    (Purpose::GroupDescriptors, "group descriptors"),
    (Purpose::GrowthReserve, "reserve for growth"),
    (Purpose::Bitmaps, "bitmaps"),
    (Purpose::InodeTables, "inode tables"),
    (Purpose::Journal, "journal"),
    (Purpose::Directories, "directories and long symlinks"),
    (Purpose::Files, "files"),
    (Purpose::Free, "free"),
    (Purpose::BeyondGroups, "after the last group"),
];

/// Explanations of kinds of parts.
fn notes() -> Value {
    json!({
        "image": "Point at an area to see what it is and why it is there.",
        "storePaths": "The store paths of the closure, with their files.",
        "otherFiles": "Files from the plan's trees and entries, and the directories above the store.",
        "journal": "Keeps the file system consistent after a power failure. Its size is set by plan.filesystem.journalSize.",
        "inodeTables": "256 bytes for every existing and possible file. Set by plan.filesystem.bytesPerInode and freeInodes.",
        "bitmaps": "Which blocks and inodes are in use: two blocks for every 128 MiB.",
        "superblocks": "The file system's main parameters, with backup copies.",
        "groupDescriptors": "The places of the tables of each block group (128 MiB), with backup copies.",
        "growthReserve": "Space for the descriptors of a larger file system, up to plan.filesystem.growTo.",
        "free": "Free space, from plan.filesystem.freeSpace or size.",
        "beyondGroups": "After the last block group: too small for another group.",
        "folded": "Items that are too small to be shown one by one.",
        "other": "In no partition: the partition table, and gaps between partitions.",
    })
}

fn parts(image: &Explained<'_>) -> Vec<Value> {
    let parts = image.systems.first().map(|system| system.explained.parts.as_slice()).unwrap_or_default();
    parts.iter().map(|Part { kind, bytes }| json!([kind.key(), kind_name(*kind), bytes])).collect()
}

fn partition_name(partition: &PartitionReport) -> String {
    escaped(plain_name(partition).as_bytes()).to_string()
}

/// `2: fat FIRMWARE`, unescaped.
fn plain_name(partition: &PartitionReport) -> String {
    let label = partition.label.as_deref().unwrap_or_default();
    format!("{}: {} {label}", partition.number, partition.content).trim_end().to_owned()
}

/// The segments of a disk in order: colour, name, bytes.
fn segments(disk: &DiskReport, total: u64) -> Vec<Value> {
    let colour = |content: &str| match content {
        "root" | "ext4" => "files",
        "fat" => "directories",
        "raw" => "bitmaps",
        _ => "free",
    };
    let partitions = disk
        .partitions
        .iter()
        .map(|found| (found.start, found.bytes, colour(found.content), partition_name(found)));
    let blobs = disk.blobs.iter().map(|blob| (blob.offset, blob.bytes, "journal", "blob".to_owned()));
    let mut all: Vec<_> = partitions.chain(blobs).collect();
    all.sort();
    let mut segments = Vec::new();
    let mut at = 0;
    for (start, bytes, colour, name) in all {
        if start > at {
            segments.push(json!(["free", "in no partition", start - at]));
        }
        segments.push(json!([colour, name, bytes]));
        at = start.saturating_add(bytes);
    }
    if total > at {
        segments.push(json!(["free", "in no partition", total - at]));
    }
    segments
}

/// The numbers of a file system's store paths on the page; `None` for paths that are not on it.
type PathNumbers = Vec<Option<usize>>;

/// Numbers the largest store paths of each file system.
fn path_numbers(image: &Explained<'_>) -> Vec<PathNumbers> {
    let mut next = 0;
    let numbers = image.systems.iter().map(|system| {
        let largest = system.explained.largest_paths();
        let mut numbers = vec![None; largest.len()];
        for path in largest.into_iter().take(MOST_PATHS) {
            numbers[path] = Some(next);
            next += 1;
        }
        numbers
    });
    numbers.collect()
}

/// The number of a store path of the root on the page.
fn root_path(image: &Explained<'_>, numbers: &[PathNumbers], base_name: &str) -> Option<usize> {
    let paths = image.systems.first()?.volume.scanned.closure.as_ref()?.paths();
    let path = paths.iter().position(|info| info.path.as_str() == base_name)?;
    *numbers.first()?.get(path)?
}

fn nodes(image: &Explained<'_>, numbers: &[PathNumbers], title: &str, before: &Before<'_>) -> Value {
    let mut nodes = Nodes::default();
    let root = nodes.add(0, title, image.report.image.bytes, "image");
    nodes.set_before(root, before.image());
    let systems: Vec<_> = image.systems.iter().zip(numbers).collect();
    match &image.report.disk {
        Some(disk) => add_disk(&mut nodes, root, image, disk, systems, before),
        None => systems.into_iter().for_each(|(system, paths)| nodes.add_system(root, system, paths, before)),
    }
    if let Some(bytes) = image.report.hash_tree_bytes {
        nodes.add(root, "hash tree", bytes, "inodeTables");
    }
    nodes.into_value()
}

fn add_disk(
    nodes: &mut Nodes,
    root: usize,
    image: &Explained<'_>,
    disk: &DiskReport,
    systems: Vec<(&ExplainedVolume<'_>, &PathNumbers)>,
    before: &Before<'_>,
) {
    let mut rest = image.report.image.bytes;
    let (of_root, mut others): (Vec<_>, Vec<_>) = systems.into_iter().partition(|(system, _)| system.is_root);
    others.reverse();
    for (partition, part) in disk.partitions.iter().zip(&image.prepared.parts) {
        let node = nodes.add(root, &partition_name(partition), partition.bytes, "partition");
        nodes.set_before(node, before.other(&format!("partition {}", plain_name(partition))));
        rest = rest.saturating_sub(partition.bytes);
        let mut left = partition.bytes;
        let ext4 = match &part.content {
            PartContent::Root => of_root.first().copied(),
            PartContent::Ext4(_) => others.pop(),
            PartContent::Fat(folder) => {
                let layout = &folder.layout;
                let files = nodes.add_clusters(node, layout.tree(), layout.summary().cluster_bytes);
                let free = partition.free_bytes.unwrap_or_default();
                nodes.add(node, "free", free, "free");
                left = left.saturating_sub(files).saturating_sub(free);
                nodes.add(node, "tables and directories", left, "inodeTables");
                None
            }
            PartContent::Empty => {
                nodes.add(node, "empty", left, "free");
                None
            }
            PartContent::Code(_) => {
                nodes.add(node, "code of the boot loader", left, "file");
                None
            }
            PartContent::Swap(_) => {
                nodes.add(node, "swap area", left, "other");
                None
            }
            PartContent::Verity(_) => {
                nodes.add(node, "hash tree", left, "inodeTables");
                None
            }
            PartContent::Raw(_) => {
                nodes.add(node, "bytes of a file", left, "file");
                None
            }
        };
        if let Some((system, paths)) = ext4 {
            nodes.add_system(node, system, paths, before);
            left = left.saturating_sub(system.explained.bytes);
            if left > 0 {
                nodes.add(node, "after the file system", left, "other");
            }
        }
    }
    for blob in &disk.blobs {
        nodes.add(root, &format!("blob at {}", blob.offset), blob.bytes, "file");
        rest = rest.saturating_sub(blob.bytes);
    }
    nodes.add(root, "in no partition", rest, "other");
}

/// For each store path: the path, its size, its exclusive size, some of its referrers, the path before it on the shortest
/// chain from a root (-1 for none), the number of its referrers.
fn paths(image: &Explained<'_>, numbers: &[PathNumbers]) -> Vec<Value> {
    let mut list = Vec::new();
    for (system, numbers) in image.systems.iter().zip(numbers) {
        let Some(closure) = &system.volume.scanned.closure else { continue };
        let explained = &system.explained;
        for path in explained.largest_paths().into_iter().take(MOST_PATHS) {
            let found = &explained.store_paths[path];
            let referrers = explained.references.referrers(path);
            let named = referrers.iter().filter_map(|&referrer| numbers[referrer]).take(MOST_REFERRERS);
            let before = explained.references.before(path).and_then(|before| numbers[before]);
            let whole = closure.paths()[path].path.in_store(closure.store_dir());
            list.push(json!([
                escaped(whole.as_bytes()).to_string(),
                found.own,
                found.exclusive,
                named.collect::<Vec<_>>(),
                before.map_or(json!(-1), |before| json!(before)),
                referrers.len(),
            ]));
        }
    }
    list
}

fn smaller(image: &Explained<'_>, numbers: &[PathNumbers]) -> Vec<Value> {
    const MOST: usize = 24;
    let mut all = Vec::new();
    for (system, numbers) in image.systems.iter().zip(numbers) {
        for saving in &system.savings {
            let path = match saving.way {
                Way::Path(path) => numbers[path],
                _ => None,
            };
            let path = path.map_or(json!(-1), |path| json!(path));
            let place = if image.systems.len() > 1 { format!("{}: ", system.place) } else { String::new() };
            all.push((saving.bytes, json!([saving.bytes, format!("{place}{}", saving.what), path])));
        }
    }
    all.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    all.into_iter().map(|(_, saving)| saving).take(MOST).collect()
}

fn areas(system: &ExplainedVolume<'_>, named: bool) -> Value {
    let areas = system.explained.areas.iter().take(MOST_AREAS).map(|area| {
        let index = PURPOSES.iter().position(|(purpose, _)| *purpose == area.purpose);
        json!([area.start, area.blocks, index])
    });
    let place = if system.is_root { "root" } else { &system.place };
    let name = if named { format!("{place} {}", system.label) } else { String::new() };
    json!({ "name": escaped(name.as_bytes()).to_string(), "areas": areas.collect::<Vec<_>>() })
}
