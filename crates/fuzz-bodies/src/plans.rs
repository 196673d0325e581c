//! Bodies for plans: the whole plan, and single fields.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Outcome, assert_one_line};

/// Reads a plan. Either it is accepted and all paths of this machine are joined, or the problems are reported, one a line.
pub fn plan(bytes: &[u8]) -> Outcome {
    let base = Path::new("/base");
    match snugfs_plan::parse(bytes, base) {
        Ok(plan) => {
            assert!(
                plan.root.trees.iter().all(|tree| tree.source.is_absolute()),
                "a tree's source was not joined"
            );
            assert_eq!(
                snugfs_plan::parse(bytes, base).as_ref(),
                Ok(&plan),
                "the same bytes gave a different plan"
            );
            Outcome::Accepted
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "the plan was rejected without a problem");
            assert!(problems.len() <= 1001, "{} problems", problems.len());
            for line in problems.iter().map(ToString::to_string) {
                assert!(line.starts_with("plan") && line.contains(": ") && line.contains("; "), "{line:?}");
                assert_one_line(&line);
            }
            Outcome::Refused
        }
    }
}

/// Uses a text, and the JSON value in it, as the value of each field with a syntax: sizes, modes, identifiers, paths.
pub fn field(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let as_json = serde_json::from_str(&text).ok();
    let mut accepted = false;
    for value in [Value::String(text)].into_iter().chain(as_json) {
        for plan_with in PLANS {
            let plan = plan_with(&value).to_string();
            accepted |= self::plan(plan.as_bytes()) == Outcome::Accepted;
        }
    }
    if accepted { Outcome::Accepted } else { Outcome::Refused }
}

const UUID: &str = "44444444-4444-4444-8888-888888888888";

fn plan_of(mut more: Value) -> Value {
    if let Some(fields) = more.as_object_mut() {
        fields.insert("version".to_owned(), json!(1));
        let filesystem = fields.entry("filesystem").or_insert(json!({}));
        for (key, value) in [("label", "X"), ("uuid", UUID)] {
            if let Some(filesystem) = filesystem.as_object_mut() {
                filesystem.entry(key).or_insert(json!(value));
            }
        }
    }
    more
}

fn partition(table: &str, key: &str, value: &Value) -> Value {
    let mut partition =
        json!({ "type": if table == "mbr" { "83" } else { "linux" }, "content": { "kind": "root" } });
    if let Some(fields) = partition.as_object_mut() {
        fields.insert(key.to_owned(), value.clone());
    }
    plan_of(json!({ "disk": { "table": table, "partitions": [partition] } }))
}

/// A plan with a boot loader. The value is in fields of each shape.
fn boot(kind: &str, value: &Value) -> Value {
    let system = "/nix/store/11111111111111111111111111111111-system";
    let mut boot =
        json!({ "kind": kind, "system": system, "generation": value, "timeout": value, "distroName": value });
    match kind {
        "systemd-boot" => {
            boot["loader"] = json!("boot.efi");
            boot["extraEntries"] = json!({ value.as_str().unwrap_or("a.conf"): value });
            boot["extraFiles"] = json!({ value.as_str().unwrap_or("a/b"): value });
        }
        "grub" => {
            boot["efi"] = json!({ "image": "grub.efi", "bootloaderId": value });
            boot["state"] = json!({ "name": value, "version": "2", "devices": [value] });
        }
        _ => boot["bootPath"] = value.clone(),
    }
    let disk = json!({ "table": "gpt", "partitions": [{ "type": "linux", "content": { "kind": "root" } }] });
    plan_of(json!({ "closure": { "graph": [] }, "disk": disk, "boot": boot }))
}

fn filesystem(key: &str, value: &Value) -> Value {
    plan_of(json!({ "filesystem": { key: value } }))
}

/// A plan for each kind of value.
const PLANS: &[fn(&Value) -> Value] = &[
    |value| filesystem("label", value),
    |value| filesystem("uuid", value),
    |value| filesystem("freeSpace", value),
    |value| filesystem("freeInodes", value),
    |value| filesystem("size", value),
    |value| filesystem("bytesPerInode", value),
    |value| filesystem("journalSize", value),
    |value| filesystem("reservedPercent", value),
    |value| filesystem("timestamp", value),
    |value| plan_of(json!({ "entries": { "/a": { "type": "directory", "mode": value, "uid": value } } })),
    |value| plan_of(json!({ "entries": { "/a": { "type": "character", "major": value, "minor": value } } })),
    |value| plan_of(json!({ "entries": { "/a": { "type": "symlink", "target": value } } })),
    |value| {
        plan_of(json!({ "entries": { "/a": { "type": "file", "text": "", "xattrs": { "user.a": value } } } }))
    },
    |value| plan_of(json!({ "entries": { value.as_str().unwrap_or_default(): { "type": "fifo" } } })),
    |value| plan_of(json!({ "trees": [{ "source": "a", "target": value, "xattrs": [value] }] })),
    |value| {
        plan_of(json!({ "closure": { "registration": "r", "storeDir": value, "registrationTarget": value } }))
    },
    |value| plan_of(json!({ "output": { "compression": { "format": "zstd", "level": value } } })),
    |value| boot("systemd-boot", value),
    |value| boot("grub", value),
    |value| boot("extlinux", value),
    |value| partition("mbr", "start", value),
    |value| partition("mbr", "size", value),
    |value| partition("mbr", "type", value),
    |value| partition("gpt", "type", value),
    |value| partition("gpt", "name", value),
    |value| partition("gpt", "guid", value),
    |value| {
        plan_of(json!({ "disk": {
        "table": "mbr", "id": value, "partitions": [{ "type": "83", "content": { "kind": "root" } }],
        "blobs": [{ "source": "a", "offset": value }],
    } }))
    },
];
