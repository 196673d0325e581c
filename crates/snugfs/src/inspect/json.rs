//! `inspect --json`. Bytes that are not UTF-8 are replaced, because JSON can't contain them.

use image_reader::{
    Attribute, Container, FileSystem, Found, Image, Kind, Overview, PartitionTable, TableKind, Volume,
    VolumeContent,
};
use image_stamp::Slot;
use serde_json::{Map, Value, json};

use super::{listing, overview};
use snugfs_core::{Failure, verify};

/// The version of the JSON. Fields may be added within a version.
const VERSION: u32 = 1;

pub(super) fn overview(image: &Image, overview: &Overview) -> Result<String, Failure> {
    let (format, compressed) = match image.container {
        Container::Raw => ("raw", None),
        Container::Zstd { compressed, seekable: false } => ("zstd", Some(compressed)),
        Container::Zstd { compressed, seekable: true } => ("zstd-seekable", Some(compressed)),
        Container::Gzip { compressed } => ("gzip", Some(compressed)),
        Container::Xz { compressed } => ("xz", Some(compressed)),
    };
    let table = overview.table.as_ref().map(|table| match table.kind {
        TableKind::Mbr(id) => {
            json!({ "type": "mbr", "id": format!("{id:#010x}"), "warnings": table.warnings, "notes": notes(table) })
        }
        TableKind::Gpt(guid) => {
            json!({ "type": "gpt", "guid": guid.to_string(), "warnings": table.warnings, "notes": notes(table) })
        }
    });
    let gaps = overview.gaps.iter().map(|gap| json!({ "start": gap.start, "size": gap.size }));
    pretty(&json!({
        "version": VERSION,
        "image": { "bytes": image.window.length(), "format": format, "compressedBytes": compressed },
        "table": table,
        "volumes": overview.volumes.iter().map(volume).collect::<Vec<_>>(),
        "unallocated": gaps.collect::<Vec<_>>(),
    }))
}

fn notes(table: &PartitionTable) -> Vec<&'static str> {
    table.note().into_iter().collect()
}

fn volume(volume: &Volume) -> Value {
    let partition = volume.partition.as_ref().map(|partition| {
        json!({
            "number": partition.number,
            "start": partition.start,
            "size": partition.size,
            "type": partition.kind.code(),
            "typeName": partition.kind.name(),
            "bootable": partition.bootable,
            "name": partition.name,
            "guid": partition.guid.map(|guid| guid.to_string()),
        })
    });
    let (holds, file_system, error) = match &volume.content {
        VolumeContent::FileSystem(fs) => {
            (Some(overview::name(fs).to_lowercase()), Some(file_system(fs)), None)
        }
        VolumeContent::Unreadable(error) => (None, None, Some(error.to_string())),
        VolumeContent::Other(name) => (Some((*name).to_owned()), None, None),
        VolumeContent::Unknown => (None, None, None),
    };
    let mut value =
        json!({ "partition": partition, "holds": holds, "filesystem": file_system, "error": error });
    if let Some(swap) = volume.swap() {
        value["swap"] = json!({
            "label": String::from_utf8_lossy(&swap.label),
            "uuid": swap.uuid.to_string(),
            "bytes": swap.bytes(),
            "warnings": swap.problems(volume.window.length()),
        });
    }
    if let Some(tree) = verify::hash_tree(volume) {
        let salt = tree.salt.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        value["hashTree"] = json!({
            "offset": tree.offset,
            "bytes": tree.bytes,
            "dataBytes": tree.data_bytes,
            "uuid": tree.uuid.to_string(),
            "salt": salt,
            "rootHash": tree.root_hash.to_string(),
        });
    }
    value
}

fn file_system(fs: &FileSystem) -> Value {
    let usage = fs.usage();
    json!({
        "label": String::from_utf8_lossy(&overview::label(fs)),
        "uuid": overview::id(fs),
        "bytes": usage.bytes,
        "freeBytes": usage.free,
        "inodes": usage.inodes.map(|(all, _)| all),
        "freeInodes": usage.inodes.map(|(_, free)| free),
        "warnings": overview::warnings(fs),
    })
}

pub(super) fn stat(
    found: &Found,
    target: Option<&[u8]>,
    attributes: &[Attribute],
) -> Result<String, Failure> {
    let node = &found.node;
    let device = match node.kind {
        Kind::Character(major, minor) | Kind::Block(major, minor) => Some((major, minor)),
        _ => None,
    };
    pretty(&json!({
        "version": VERSION,
        "path": String::from_utf8_lossy(&found.path),
        "type": listing::kind_name(node.kind),
        "size": node.size,
        "mode": format!("{:04o}", node.mode),
        "uid": node.uid,
        "gid": node.gid,
        "links": node.links,
        "mtime": node.modified.seconds,
        "mtimeNanoseconds": node.modified.nanoseconds,
        "inode": node.inode,
        "target": target.map(String::from_utf8_lossy),
        "major": device.map(|(major, _)| major),
        "minor": device.map(|(_, minor)| minor),
        "xattrs": attributes.iter().map(xattr).collect::<Map<_, _>>(),
    }))
}

/// An extended attribute, with its value in base64 as in a plan.
fn xattr(attribute: &Attribute) -> (String, Value) {
    let value = attribute.value.as_ref().map(|value| data_encoding::BASE64.encode(value));
    (String::from_utf8_lossy(&attribute.name).into_owned(), value.into())
}

pub(super) fn slots(slots: &[Slot]) -> Result<String, Failure> {
    let slots = slots.iter().map(|slot| {
        json!({ "path": String::from_utf8_lossy(&slot.path), "bytes": slot.used(), "room": slot.room })
    });
    pretty(&json!({ "version": VERSION, "slots": slots.collect::<Vec<_>>() }))
}

fn pretty(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| Failure::internal("inspect", error))
}
