//! The sizes of an image's parts, from a report.

use serde::Deserialize;
use serde_json::Value;

use crate::report::Report;

/// Kinds of metadata outside of files and directories: key in a report, name.
const FIXED: [(&str, &str); 6] = [
    ("journal", "journal"),
    ("inodeTables", "inode tables"),
    ("bitmaps", "bitmaps"),
    ("superblocks", "superblocks"),
    ("groupDescriptors", "group descriptors"),
    ("growthReserve", "reserve for growth"),
];

/// The parts of an image in \[bytes\]; their sum is `total`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// The whole image.
    pub total: u64,
    /// Store paths: hash and name, size.
    pub store_paths: Vec<(String, u64)>,
    /// Other parts: name, size.
    pub others: Vec<(String, u64)>,
}

/// Whether a JSON document is a report, not a plan.
#[must_use]
pub fn is_report(json: &Value) -> bool {
    ["image", "overhead", "filesystem"].iter().all(|key| json.get(key).is_some_and(Value::is_object))
}

/// The parts of a report with sizes, in \[bytes\] unless stated otherwise.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    image: Length,
    filesystem: Filesystem,
    /// In \[blocks\].
    overhead: serde_json::Map<String, Value>,
    store_paths: Vec<StorePath>,
    #[serde(default)]
    disk: Option<Disk>,
    #[serde(default)]
    hash_tree_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Length {
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filesystem {
    block_size: u64,
    blocks: u64,
    free_blocks: u64,
}

#[derive(Debug, Deserialize)]
struct StorePath {
    path: String,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Disk {
    partitions: Vec<Partition>,
    blobs: Vec<Length>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    number: usize,
    bytes: u64,
    content: String,
    #[serde(default)]
    label: Option<String>,
}

impl From<&Report> for Parts {
    fn from(report: &Report) -> Self {
        let store_path =
            |path: &crate::report::StorePathReport| StorePath { path: path.path.clone(), bytes: path.bytes };
        Self {
            image: Length { bytes: report.image.bytes },
            filesystem: Filesystem {
                block_size: report.filesystem.block_size.into(),
                blocks: report.filesystem.blocks,
                free_blocks: report.filesystem.free_blocks,
            },
            overhead: report.overhead.clone(),
            store_paths: report.store_paths.iter().map(store_path).collect(),
            hash_tree_bytes: report.hash_tree_bytes,
            disk: report.disk.as_ref().map(|disk| Disk {
                partitions: disk
                    .partitions
                    .iter()
                    .map(|partition| Partition {
                        number: partition.number,
                        bytes: partition.bytes,
                        content: partition.content.to_owned(),
                        label: partition.label.clone(),
                    })
                    .collect(),
                blobs: disk.blobs.iter().map(|blob| Length { bytes: blob.bytes }).collect(),
            }),
        }
    }
}

impl Sizes {
    /// The sizes in a report; `None` if they do not add up.
    #[must_use]
    pub fn of(report: &Report) -> Option<Self> {
        Self::of_parts(&report.into())
    }

    /// The sizes in the JSON of a report; `None` if it is incomplete or they do not add up.
    #[must_use]
    pub fn of_json(report: &Value) -> Option<Self> {
        Self::of_parts(&Parts::deserialize(report).ok()?)
    }

    fn of_parts(report: &Parts) -> Option<Self> {
        let block = report.filesystem.block_size;
        let total = report.image.bytes;
        let store_paths: Vec<_> = report.store_paths.iter().map(store_path).collect();
        let in_store = sum(&store_paths)?;
        let (mut others, root) = match &report.disk {
            Some(disk) => outside_root(disk, total)?,
            None => match report.hash_tree_bytes {
                Some(tree) => (vec![("hash tree".to_owned(), tree)], total.checked_sub(tree)?),
                None => (Vec::new(), total),
            },
        };
        let mut fixed: Vec<(String, u64)> = Vec::new();
        for (key, name) in FIXED {
            fixed.push((name.to_owned(), report.overhead.get(key)?.as_u64()?.checked_mul(block)?));
        }
        fixed.push(("free".to_owned(), report.filesystem.free_blocks.checked_mul(block)?));
        let groups = report.filesystem.blocks.checked_mul(block)?;
        let files = groups.checked_sub(sum(&fixed)?)?.checked_sub(in_store)?;
        let mut all = vec![("other files".to_owned(), files)];
        all.append(&mut fixed);
        all.push(("after the last group".to_owned(), root.checked_sub(groups)?));
        all.append(&mut others);
        Some(Self { total, store_paths, others: all })
    }
}

fn sum(sizes: &[(String, u64)]) -> Option<u64> {
    sizes.iter().try_fold(0_u64, |sum, (_, bytes)| sum.checked_add(*bytes))
}

fn store_path(path: &StorePath) -> (String, u64) {
    let base = path.path.rsplit('/').next().unwrap_or(&path.path);
    (base.to_owned(), path.bytes)
}

/// The parts of a disk outside of its root, and the length of the root's partition.
fn outside_root(disk: &Disk, total: u64) -> Option<(Vec<(String, u64)>, u64)> {
    let mut root = None;
    let mut others = Vec::new();
    for Partition { number, bytes, content, label } in &disk.partitions {
        if content == "root" {
            root = Some(*bytes);
            continue;
        }
        let name = format!("partition {number}: {content} {}", label.as_deref().unwrap_or_default());
        others.push((name.trim_end().to_owned(), *bytes));
    }
    let blobs = disk.blobs.iter().try_fold(0_u64, |sum, blob| sum.checked_add(blob.bytes))?;
    others.push(("blobs".to_owned(), blobs));
    let root = root?;
    let rest = total.checked_sub(root)?.checked_sub(sum(&others)?)?;
    others.push(("table and gaps".to_owned(), rest));
    Some((others, root))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "image": { "bytes": 45_056 },
            "filesystem": { "blockSize": 4096, "blocks": 10, "freeBlocks": 2 },
            "overhead": {
                "superblocks": 1, "groupDescriptors": 1, "growthReserve": 0, "bitmaps": 2, "inodeTables": 1,
                "journal": 0, "directories": 2, "symlinks": 0, "extendedAttributes": 0, "extentTrees": 0
            },
            "storePaths": [ { "path": "/nix/store/x-a", "bytes": 8192 } ]
        })
    }

    #[test]
    fn parts_of_a_report_add_up() {
        let sizes = Sizes::of_json(&report()).unwrap();
        assert_eq!(sizes.store_paths, [("x-a".to_owned(), 8192)]);
        assert!(sizes.others.contains(&("other files".to_owned(), 4096)), "{sizes:?}");
        assert!(sizes.others.contains(&("after the last group".to_owned(), 4096)), "{sizes:?}");
        assert_eq!(sum(&sizes.others).unwrap() + 8192, sizes.total);
    }

    #[test]
    fn a_report_that_does_not_add_up_is_none() {
        for (pointer, value) in [
            ("/image/bytes", json!(40_959)),
            ("/filesystem/freeBlocks", json!(u64::MAX)),
            ("/storePaths/0/bytes", json!(1 << 20)),
            ("/storePaths/0/bytes", json!(-1)),
            ("/storePaths", json!(null)),
            ("/overhead/journal", json!("none")),
        ] {
            let mut report = report();
            *report.pointer_mut(pointer).unwrap() = value;
            assert_eq!(Sizes::of_json(&report), None, "{pointer}");
        }
    }
}
