//! `plan.filesystem` and `plan.output`.

use image_tree::Timestamp;

use super::Context;
use crate::object::Object;
use crate::plan::{FilesystemPlan, Format, OutputPlan, ZstdPlan};
use crate::tables;
use crate::value::Value;

/// The UUID of the root where a plan has none.
pub(super) const DEFAULT_UUID: u128 = 0x4444_4444_4444_4444_8888_8888_8888_8888;

/// Without a `filesystem` it is the same as with an empty one.
pub(super) fn filesystem(value: Option<&Value<'_>>, default_uuid: u128) -> FilesystemPlan {
    let mut defaults = FilesystemPlan {
        sealed: false,
        label: Vec::new(),
        uuid: default_uuid.to_be_bytes(),
        free_space: 32 << 20,
        free_inodes: 1024,
        size: None,
        grow_to: Some(1 << 40),
        bytes_per_inode: 16384,
        journal_size: None,
        reserved: None,
        timestamp: Timestamp::STORE,
    };
    let Some(object) = value.and_then(|value| value.object(&tables::FILESYSTEM)) else { return defaults };
    if object.get("seal").and_then(|value| value.flag()) == Some(true) {
        seal(&mut defaults);
    }
    let timestamp =
        object.count("timestamp").and_then(|seconds| Timestamp::new(i64::try_from(seconds).ok()?, 0));
    let plan = FilesystemPlan {
        sealed: defaults.sealed,
        label: object.get("label").and_then(|value| value.label()).unwrap_or(defaults.label),
        uuid: object.get("uuid").and_then(|value| value.uuid()).unwrap_or(defaults.uuid),
        free_space: object.size("freeSpace").unwrap_or(defaults.free_space),
        free_inodes: object.count("freeInodes").unwrap_or(defaults.free_inodes),
        size: object.size("size"),
        grow_to: if object.is_null("growTo") { None } else { object.size("growTo").or(defaults.grow_to) },
        bytes_per_inode: object.size("bytesPerInode").unwrap_or(defaults.bytes_per_inode),
        journal_size: object.size("journalSize").or(defaults.journal_size),
        reserved: object.get("reservedPercent").and_then(|value| value.percent()).or(defaults.reserved),
        timestamp: timestamp.unwrap_or(defaults.timestamp),
    };
    if plan.sealed {
        check_sealed(&object, &plan);
    }
    plan
}

/// What is left of the defaults where nobody shall write.
fn seal(defaults: &mut FilesystemPlan) {
    defaults.sealed = true;
    (defaults.free_space, defaults.free_inodes) = (0, 0);
    (defaults.grow_to, defaults.bytes_per_inode) = (None, tables::BYTES_PER_INODE.max);
    (defaults.journal_size, defaults.reserved) = (Some(0), Some(0));
}

/// Fields that ask for something which a sealed file system has not.
fn check_sealed(object: &Object<'_>, plan: &FilesystemPlan) {
    let asked = [
        ("freeSpace", plan.free_space > 0),
        ("freeInodes", plan.free_inodes > 0),
        ("size", plan.size.is_some()),
        ("growTo", plan.grow_to.is_some()),
        ("bytesPerInode", plan.bytes_per_inode < tables::BYTES_PER_INODE.max),
        ("journalSize", plan.journal_size != Some(0)),
        ("reservedPercent", plan.reserved != Some(0)),
    ];
    for value in asked.into_iter().filter_map(|(field, asked)| object.get(field).filter(|_| asked)) {
        value.wrong::<()>(
            || "\"seal\" is true, and a sealed file system is as small as its contents".to_owned(),
            "leave one of the two out",
        );
    }
}

pub(super) fn output(value: Option<&Value<'_>>, context: Context<'_>) -> OutputPlan {
    let nothing = OutputPlan { path: None, format: None, bmap: false, verify: false, compression: None };
    let Some(object) = value.and_then(|value| value.object(&tables::OUTPUT)) else { return nothing };
    OutputPlan {
        path: object.get("path").and_then(|value| {
            let path = context.host_path(&value)?;
            if value.json == &crate::json::Json::Text("-".to_owned()) {
                let help = "give -o - on the command line for standard output, or write ./- for a file";
                return value.wrong(|| "\"-\" is not the name of a file here".to_owned(), help);
            }
            Some(path)
        }),
        format: object.word("format").map(|word| match word {
            "qcow2" => Format::Qcow2,
            "simg" => Format::Simg,
            _ => Format::Raw,
        }),
        bmap: object.get("bmap").and_then(|value| value.flag()).unwrap_or_default(),
        verify: object.get("verify").and_then(|value| value.flag()).unwrap_or_default(),
        compression: object.get("compression").and_then(|value| compression(&value)),
    }
}

fn compression(value: &Value<'_>) -> Option<ZstdPlan> {
    const DEFAULT: i32 = 3;
    let object = value.object(&tables::COMPRESSION)?;
    object.word("format");
    Some(ZstdPlan {
        level: object.count("level").and_then(|level| i32::try_from(level).ok()).unwrap_or(DEFAULT),
        seekable: object.get("seekable").and_then(|value| value.flag()).unwrap_or_default(),
    })
}
