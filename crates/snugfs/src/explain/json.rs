//! `explain --json`. Bytes that are not UTF-8 are replaced, because JSON can't contain them.

use ext4_layout::{Area, Purpose};
use image_explain::{BLOCK, FileSystem, Part};
use image_tree::NodeId;
use serde_json::{Map, Value, json};

use snugfs_core::Failure;
use snugfs_core::explain::{ExplainedVolume, Saving, Way};

use super::Explained;

/// The version of the JSON. Fields may be added within a version.
const VERSION: u32 = 1;

/// The explanation as JSON: all store paths, and at most `limit` directories and files.
pub(super) fn text(image: &Explained<'_>, limit: usize) -> Result<String, Failure> {
    let mut value = json!({
        "version": VERSION,
        "image": { "bytes": image.report.image.bytes },
        "filesystems": image.systems.iter().map(|found| system(found, limit)).collect::<Vec<_>>(),
    });
    if let Some(disk) = &image.report.disk {
        value["disk"] = serde_json::to_value(disk).map_err(|error| bug(&error))?;
    }
    pretty(&value)
}

/// JSON text that ends in a line feed.
pub(super) fn pretty(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| bug(&error))
}

fn bug(error: &serde_json::Error) -> Failure {
    Failure::internal("explain", error)
}

fn system(system: &ExplainedVolume<'_>, limit: usize) -> Value {
    let explained = &system.explained;
    let parts: Map<String, Value> =
        explained.parts.iter().map(|Part { kind, bytes }| (kind.key().to_owned(), (*bytes).into())).collect();
    let contents = system.overhead.iter().filter(|(kind, _)| {
        matches!(*kind, "directories" | "symlinks" | "extendedAttributes" | "extentTrees")
    });
    let mut contents: Map<String, Value> =
        contents.map(|&(kind, blocks)| (kind.to_owned(), (blocks * BLOCK).into())).collect();
    contents.insert("files".to_owned(), (system.file_blocks * BLOCK).into());
    json!({
        "place": system.place,
        "label": system.label,
        "bytes": explained.bytes,
        "parts": parts,
        "contents": contents,
        "promisedFreeSpace": system.volume.scanned.planned.plan.filesystem.free_space,
        "storePaths": (0..explained.paths().len()).map(|path| store_path(explained, path)).collect::<Vec<_>>(),
        "directories": nodes(explained, &explained.largest_directories(limit)),
        "files": nodes(explained, &explained.largest_files(limit)),
        "areas": explained.areas.iter().map(area).collect::<Vec<_>>(),
        "smaller": system.savings.iter().map(|found| saving(explained, found)).collect::<Vec<_>>(),
    })
}

fn base(explained: &FileSystem<'_>, path: usize) -> Value {
    explained.paths().get(path).map_or(Value::Null, |info| info.path.as_str().into())
}

fn bases(explained: &FileSystem<'_>, paths: &[usize]) -> Value {
    paths.iter().map(|&path| base(explained, path)).collect()
}

fn store_path(explained: &FileSystem<'_>, path: usize) -> Value {
    let found = &explained.store_paths[path];
    let name = explained.name(path);
    json!({
        "path": base(explained, path),
        "name": name.name,
        "version": name.version,
        "output": name.output,
        "bytes": found.own,
        "exclusiveBytes": found.exclusive,
        "entries": explained.usage.entries(found.node),
        "root": explained.references.roots().binary_search(&path).is_ok(),
        "onlyThrough": found.only_through.map(|above| base(explained, above)),
        "reachedFrom": explained.references.before(path).map(|before| base(explained, before)),
        "referrers": bases(explained, explained.references.referrers(path)),
        "references": bases(explained, explained.references.references(path)),
    })
}

fn nodes(explained: &FileSystem<'_>, nodes: &[NodeId]) -> Value {
    let node = |&node: &NodeId| {
        json!({
            "path": String::from_utf8_lossy(explained.tree.path(node).as_bytes()),
            "bytes": explained.usage.bytes(node),
            "entries": explained.usage.entries(node),
        })
    };
    nodes.iter().map(node).collect()
}

/// The key of a block's purpose.
pub(super) const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Superblock => "superblocks",
        Purpose::GroupDescriptors => "groupDescriptors",
        Purpose::GrowthReserve => "growthReserve",
        Purpose::Bitmaps => "bitmaps",
        Purpose::InodeTables => "inodeTables",
        Purpose::Journal => "journal",
        Purpose::Directories => "directories",
        Purpose::Files => "files",
        Purpose::Free => "free",
        Purpose::BeyondGroups => "beyondGroups",
    }
}

fn area(area: &Area) -> Value {
    json!({
        "start": area.start * BLOCK,
        "bytes": area.blocks * BLOCK,
        "for": purpose(area.purpose),
    })
}

fn saving(explained: &FileSystem<'_>, saving: &Saving) -> Value {
    let (way, of) = match &saving.way {
        Way::Path(path) => ("path", bases(explained, &[*path])),
        Way::Equal(paths) => ("equalContents", bases(explained, paths)),
        Way::Versions(paths) => ("versions", bases(explained, paths)),
        Way::Fields(fields) => ("fields", json!(fields)),
    };
    json!({ "bytes": saving.bytes, "by": way, "of": of, "text": saving.what })
}
