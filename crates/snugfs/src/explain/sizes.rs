//! What an image is made of, read from its report: that of a build long ago as well as one that was made just now.

use serde_json::Value;

/// The kinds of metadata that are in no file and no directory.
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
pub(super) struct Sizes {
    pub(super) total: u64,
    /// Hash and name, and what each takes itself.
    pub(super) store_paths: Vec<(String, u64)>,
    /// All that is no store path, by what it is called.
    pub(super) others: Vec<(String, u64)>,
}

/// Whether a JSON document is a report, and no plan.
pub(super) fn is_report(json: &Value) -> bool {
    ["image", "overhead", "filesystem"].iter().all(|key| json.get(key).is_some_and(Value::is_object))
}

impl Sizes {
    /// Reads a report; `None` for one that lacks something or does not add up.
    pub(super) fn of(report: &Value) -> Option<Self> {
        let number = |value: &Value, key: &str| value.get(key)?.as_u64();
        let (filesystem, overhead) = (report.get("filesystem")?, report.get("overhead")?);
        let block = number(filesystem, "blockSize")?;
        let total = number(report.get("image")?, "bytes")?;
        let store_paths = store_paths(report)?;
        let in_store = sum(&store_paths)?;

        let (mut others, root) = match report.get("disk") {
            Some(disk) => beside_root(disk, total)?,
            None => (Vec::new(), total),
        };
        let mut fixed: Vec<(String, u64)> = Vec::new();
        for (key, name) in FIXED {
            fixed.push((name.to_owned(), number(overhead, key)?.checked_mul(block)?));
        }
        fixed.push(("free".to_owned(), number(filesystem, "freeBlocks")?.checked_mul(block)?));
        let groups = number(filesystem, "blocks")?.checked_mul(block)?;
        let files = groups.checked_sub(sum(&fixed)?)?.checked_sub(in_store)?;
        let mut all = vec![("other files".to_owned(), files)];
        all.append(&mut fixed);
        all.push(("beyond the groups".to_owned(), root.checked_sub(groups)?));
        all.append(&mut others);
        Some(Self { total, store_paths, others: all })
    }
}

fn sum(sizes: &[(String, u64)]) -> Option<u64> {
    sizes.iter().try_fold(0_u64, |sum, (_, bytes)| sum.checked_add(*bytes))
}

fn store_paths(report: &Value) -> Option<Vec<(String, u64)>> {
    let path = |value: &Value| {
        let path = value.get("path")?.as_str()?;
        let base = path.rsplit('/').next().unwrap_or(path);
        Some((base.to_owned(), value.get("bytes")?.as_u64()?))
    };
    report.get("storePaths")?.as_array()?.iter().map(path).collect()
}

/// What is on a disk beside its root, and the length of the root's partition.
fn beside_root(disk: &Value, total: u64) -> Option<(Vec<(String, u64)>, u64)> {
    let mut root = None;
    let mut others = Vec::new();
    for partition in disk.get("partitions")?.as_array()? {
        let bytes = partition.get("bytes")?.as_u64()?;
        let content = partition.get("content")?.as_str()?;
        if content == "root" {
            root = Some(bytes);
            continue;
        }
        let label = partition.get("label").and_then(Value::as_str).unwrap_or_default();
        let name = format!("partition {}: {content} {label}", partition.get("number")?.as_u64()?);
        others.push((name.trim_end().to_owned(), bytes));
    }
    let blobs = disk.get("blobs")?.as_array()?;
    let blobs = blobs.iter().try_fold(0_u64, |sum, blob| sum.checked_add(blob.get("bytes")?.as_u64()?))?;
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
        let sizes = Sizes::of(&report()).unwrap();
        assert_eq!(sizes.store_paths, [("x-a".to_owned(), 8192)]);
        assert!(sizes.others.contains(&("other files".to_owned(), 4096)), "{sizes:?}");
        assert!(sizes.others.contains(&("beyond the groups".to_owned(), 4096)), "{sizes:?}");
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
            assert_eq!(Sizes::of(&report), None, "{pointer}");
        }
    }
}
