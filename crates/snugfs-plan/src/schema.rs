//! The tables as a JSON Schema (draft 2020-12), for editors and for programs that write plans.

use serde_json::{Map, Value, json};

use crate::boot_tables::{BOOT_KINDS, BootKind};
use crate::choices::Words;
use crate::disk_tables::{
    CONTENT_KINDS, ContentKind, FAT_ENTRY_TYPES, FatEntryType, MAX_FAT_LABEL, MAX_PARTITION_NAME,
    MAX_SWAP_LABEL,
};
use crate::json::Json;
use crate::partition_types;
use crate::plan_table::PLAN;
use crate::shapes::{CountRule, Field, Presence, Shape, SizeRule, Table};
use crate::tables::{
    self, COMPRESSIONS, CompressionKind, ENTRY_TYPES, EntryType, MAX_FILE_NAME, MAX_LABEL, MAX_LINK_TARGET,
    MAX_MEMBER, MAX_RESERVED_PERCENT, VERITY,
};

/// The JSON Schema of plans. It accepts every valid plan, and also some invalid ones: it can't express conflicts
/// between paths or upper bounds of sizes with a unit.
pub fn schema() -> Value {
    let mut schema = object(&PLAN);
    if let Value::Object(fields) = &mut schema {
        fields.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        fields.insert("title".to_owned(), json!("A plan of snugfs"));
        fields.insert("description".to_owned(), json!("The contents of an image, and how to make it."));
        fields.insert("$defs".to_owned(), definitions());
    }
    schema
}

fn definitions() -> Value {
    json!({
        "hostPath": {
            "description": "A path of this machine. Relative paths start at the plan's folder.",
            "type": "string", "minLength": 1, "pattern": "^[^\\u0000]+$"
        },
        "imagePath": image_path(),
        "size": {
            "description": "Whole bytes, or a string with KiB, MiB, GiB or TiB.",
            "anyOf": [{ "type": "integer", "minimum": 0, "maximum": u64::MAX }, size_text()]
        },
        "mode": {
            "description": "Permission bits: an octal string of up to four digits.",
            "type": "string", "pattern": "^[0-7]{1,4}$", "examples": ["0644"]
        },
        "xattrs": {
            "description": "Base64 values by the full names of extended attributes.",
            "type": "object",
            "propertyNames": { "pattern": XATTR_NAME },
            "additionalProperties": {
                "type": "string",
                "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
            },
            "examples": [{ "user.comment": "aGVsbG8=" }]
        },
    })
}

const XATTR_NAME: &str = "^((user|trusted|security)\\.[^\\u0000]+|system\\.posix_acl_(access|default))$";

fn image_path() -> Value {
    json!({
        "description": "An absolute path in the image, without \".\", \"..\" and empty parts.",
        "type": "string",
        "pattern": "^/$|^(/(?!\\.{1,2}(/|$))[^/\\u0000]{1,255})+$"
    })
}

fn size_text() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB|TiB)?$" })
}

fn object(table: &Table) -> Value {
    let properties: Map<String, Value> =
        table.fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<&str> =
        table.fields.iter().filter(|field| is_required(field)).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if let Ok(rules) = serde_json::from_str::<Value>(table.one_of) {
        schema["oneOf"] = rules;
    }
    schema
}

fn is_required(field: &Field) -> bool {
    matches!(field.presence, Presence::Required(_))
}

fn property(field: &Field) -> Value {
    let mut schema = shape(&field.shape);
    if field.nullable {
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
    }
    schema["description"] = json!(field.about);
    if let Presence::Default(text) = field.presence
        && let Ok(default) = Json::parse(text.as_bytes())
    {
        schema["default"] = default.to_value();
    }
    schema
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Version => json!({ "const": tables::VERSION }),
        Shape::HostPath => json!({ "$ref": "#/$defs/hostPath" }),
        Shape::ImagePath => json!({ "$ref": "#/$defs/imagePath" }),
        Shape::Graph => json!({ "anyOf": [
            { "$ref": "#/$defs/hostPath" },
            { "type": "array", "items": { "type": "object", "required": ["path", "narHash", "narSize", "references"] } },
        ]}),
        Shape::Word(words) => json!({ "enum": words.keys() }),
        Shape::Size(rule) => size(rule),
        Shape::SizeOr(rule, word) => json!({ "anyOf": [{ "const": word }, size(rule)] }),
        Shape::Count(CountRule { min, max }) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Number(numbers) => json!({ "enum": numbers.keys() }),
        Shape::Percent => json!({ "type": "number", "minimum": 0, "maximum": MAX_RESERVED_PERCENT }),
        Shape::Mode => json!({ "$ref": "#/$defs/mode" }),
        Shape::Uuid => uuid(),
        Shape::Verity => json!({ "anyOf": [{ "type": "boolean" }, object(&VERITY)] }),
        Shape::Salt => json!({ "type": "string", "pattern": "^([0-9A-Fa-f]{2}){0,256}$" }),
        Shape::VolumeRef => json!({ "anyOf": [{ "const": "root" }, { "type": "integer", "minimum": 0 }] }),
        Shape::Label => json!({ "type": "string", "maxLength": MAX_LABEL, "pattern": "^[^\\u0000]*$" }),
        Shape::Text => json!({ "type": "string" }),
        Shape::LinkTarget => json!({
            "type": "string", "minLength": 1, "maxLength": MAX_LINK_TARGET, "pattern": "^[^\\u0000]+$"
        }),
        Shape::Member => json!({
            "type": "string", "minLength": 1, "maxLength": MAX_MEMBER,
            "pattern": "^[^/\\u0000]+(/[^/\\u0000]+)*$",
            "not": { "pattern": "(^|/)\\.{1,2}(/|$)" }
        }),
        Shape::FileName => json!({
            "type": "string", "minLength": 1, "maxLength": MAX_FILE_NAME, "pattern": "^[^/\\u0000]+$",
            "not": { "enum": [".", ".."] }
        }),
        Shape::Xattrs => json!({ "$ref": "#/$defs/xattrs" }),
        Shape::Patterns => {
            json!({ "type": "array", "items": { "type": "string", "pattern": "^[^#]" , "minLength": 1 } })
        }
        Shape::XattrPatterns => {
            json!({ "type": "array", "items": { "type": "string", "pattern": "^[^*\\u0000]*\\*?$", "minLength": 1 } })
        }
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Object(table) => object(table),
        Shape::List(table) => json!({ "type": "array", "items": object(table) }),
        Shape::ByPath(table) => by_path(&object(table)),
        Shape::Entries => by_path(&json!({ "oneOf": alternatives(&ENTRY_TYPES, EntryType::table, "type") })),
        Shape::FatEntries => {
            by_path(&json!({ "oneOf": alternatives(&FAT_ENTRY_TYPES, FatEntryType::table, "type") }))
        }
        Shape::Boot => json!({ "oneOf": alternatives(&BOOT_KINDS, BootKind::table, "kind") }),
        Shape::Texts => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Shape::TextList => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::HostPaths => {
            json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/hostPath" } })
        }
        Shape::DiskId => json!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            { "type": "string", "pattern": "^0x[0-9A-Fa-f]{1,8}$" },
            uuid(),
        ]}),
        Shape::PartitionType => json!({ "anyOf": [
            { "enum": partition_types::GPT.iter().map(|named| named.0).collect::<Vec<_>>() },
            { "enum": partition_types::MBR.iter().map(|named| named.0).collect::<Vec<_>>() },
            { "type": "string", "pattern": "^(0x)?[0-9A-Fa-f]{1,2}$|^(linux|linux-(root|usr)-.+)$" },
            uuid(),
        ]}),
        Shape::PartitionName => {
            json!({ "type": "string", "maxLength": MAX_PARTITION_NAME, "pattern": "^[^\\u0000]*$" })
        }
        Shape::FatLabel => json!({
            "type": "string", "maxLength": MAX_FAT_LABEL, "pattern": "^([^\\u0000- *?.,;:/|+=<>\"][^\\u0000-\\u001f*?.,;:/|+=<>\"]*)?$"
        }),
        Shape::SwapLabel => {
            json!({ "type": "string", "maxLength": MAX_SWAP_LABEL, "pattern": "^[^\\u0000]*$" })
        }
        Shape::Content => json!({ "oneOf": alternatives(&CONTENT_KINDS, ContentKind::table, "kind") }),
        Shape::Compression => {
            json!({ "oneOf": alternatives(&COMPRESSIONS, CompressionKind::table, "format") })
        }
    }
}

/// A schema can't compare the value of a size with a unit.
fn size(rule: &SizeRule) -> Value {
    let SizeRule { min, max, step, or_zero } = *rule;
    if min == 0 && max == u64::MAX && step == 1 {
        return json!({ "$ref": "#/$defs/size" });
    }
    let mut number = json!({ "type": "integer", "minimum": min, "maximum": max });
    if step > 1 {
        number["multipleOf"] = json!(step);
    }
    let mut choices = vec![number, size_text()];
    if or_zero {
        choices.insert(0, json!({ "const": 0 }));
    }
    json!({ "anyOf": choices })
}

fn by_path(item: &Value) -> Value {
    json!({ "type": "object", "propertyNames": { "$ref": "#/$defs/imagePath" }, "additionalProperties": item })
}

/// One schema per table. The word in the field `key` selects it.
fn alternatives<T: Copy>(kinds: &Words<T>, table: fn(T) -> &'static Table, key: &str) -> Vec<Value> {
    let schema_of = |&(word, kind)| {
        let mut schema = object(table(kind));
        schema["properties"][key]["enum"] = json!([word]);
        schema
    };
    kinds.0.iter().map(schema_of).collect()
}

fn uuid() -> Value {
    json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    match value {
                        Value::String(text) if key == "$ref" => found.push(text.clone()),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => (),
        }
    }

    #[test]
    fn every_reference_leads_to_a_definition() {
        let schema = schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn only_sizes_without_a_rule_share_a_definition() {
        let any = SizeRule { min: 0, max: u64::MAX, step: 1, or_zero: false };
        assert_eq!(size(&any), json!({ "$ref": "#/$defs/size" }));
        let limits = |rule: &SizeRule| {
            let whole = &size(rule)["anyOf"][0];
            (whole["minimum"].as_u64(), whole["maximum"].as_u64(), whole["multipleOf"].as_u64())
        };
        assert_eq!(limits(&SizeRule { min: 1, ..any }), (Some(1), Some(u64::MAX), None));
        assert_eq!(limits(&SizeRule { max: 9, ..any }), (Some(0), Some(9), None));
        assert_eq!(limits(&SizeRule { step: 2, ..any }), (Some(0), Some(u64::MAX), Some(2)));
        let zero = size(&SizeRule { min: 4, or_zero: true, ..any });
        assert_eq!((&zero["anyOf"][0], &zero["anyOf"][1]["minimum"]), (&json!({ "const": 0 }), &json!(4)));
    }

    #[test]
    fn every_object_is_closed_and_every_field_described() {
        let schema = schema();
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["required"], json!(["version"]));
        for (name, section) in schema["properties"].as_object().unwrap() {
            assert!(section["description"].is_string(), "{name}");
        }
        let closure = &schema["properties"]["closure"]["anyOf"][0];
        assert_eq!(closure["oneOf"].as_array().map(Vec::len), Some(2));
        let device = &schema["properties"]["entries"]["additionalProperties"]["oneOf"][3];
        assert_eq!(device["required"], json!(["type", "major", "minor"]));
        assert_eq!(device["properties"]["type"]["enum"], json!(["character"]));
        assert_eq!(device["properties"]["major"]["maximum"], json!(4095));
    }
}
