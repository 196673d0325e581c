//! `plan.filesystem` and `plan.output`.

use image_tree::Timestamp;

use super::context::Context;
use crate::json::Json;
use crate::object::Object;
use crate::plan::{CompressionPlan, FilesystemPlan, FramingPlan, OutputPlan, VerityPlan};
use crate::tables::{self, COMPATIBILITIES, COMPRESSIONS, CompressionKind, MAX_LABEL};
use crate::value::Value;

pub(super) fn filesystem(
    value: &Value<'_>,
    partition: Option<usize>,
    context: Context<'_>,
) -> Option<FilesystemPlan> {
    let object = value.object(&tables::FILESYSTEM)?;
    let plan = decode(&object.sealed(object.flag("seal")), context);
    if plan.sealed {
        let nothing = value.object_unchecked(&[], &tables::FILESYSTEM).sealed(true);
        check_sealed(&object, &plan, &decode(&nothing, context));
    }
    if let (false, Some(_), Some(verity)) = (plan.sealed, &plan.verity, object.given("verity")) {
        verity.wrong::<()>(
            || "a file system with a hash tree is never written, but \"seal\" is not true".to_owned(),
            "write \"seal\": true",
        );
    }
    // Two file systems of one disk must not have one UUID.
    let (mut uuid, given) = (plan.uuid, object.given("uuid"));
    if let (None, Some(number), [.., last]) = (given, partition, &mut uuid) {
        *last = u8::try_from(number).unwrap_or(u8::MAX);
    }
    Some(FilesystemPlan { uuid, ..plan })
}

fn decode(object: &Object<'_>, context: Context<'_>) -> FilesystemPlan {
    let timestamp = object.count_or_default::<i64>("timestamp");
    FilesystemPlan {
        sealed: object.is_sealed(),
        compatibility: object.word_or_default("compatibility", &COMPATIBILITIES),
        verity: object.read_or_default("verity", verity),
        label: object.read_or_default("label", |value| value.label(MAX_LABEL)),
        uuid: object.read_or_default("uuid", |value| value.uuid()),
        free_space: object.size_or_default("freeSpace"),
        free_inodes: object.count_or_default("freeInodes"),
        size: object.size("size"),
        grow_to: object.size("growTo"),
        bytes_per_inode: object.size_or_default("bytesPerInode"),
        journal_size: object.size("journalSize"),
        reserved: object.read("reservedPercent", |value| value.percent()),
        timestamp: Timestamp::new(timestamp, 0)
            .expect("invariant: the table limits it to what `Timestamp` can hold"),
        layout_like: object.read("layoutLike", |value| context.host_path(value)),
        layout_slack: object.count_or_default("layoutSlackPercent"),
    }
}

#[expect(clippy::option_option, reason = "the outer one is a value that is wrong, the inner one is false")]
fn verity(value: &Value<'_>) -> Option<Option<VerityPlan>> {
    match value.json {
        Json::Bool(false) => Some(None),
        Json::Bool(true) => Some(Some(VerityPlan::default())),
        Json::Object(_) => {
            let object = value.object(&tables::VERITY)?;
            object.word_or_default("hash", &tables::VERITY_HASHES);
            Some(Some(VerityPlan {
                salt: object.read("salt", salt),
                uuid: object.read("uuid", |value| value.uuid()),
            }))
        }
        _ => value.not("true, false or an object", "write true, or an object with salt and uuid"),
    }
}

fn salt(value: &Value<'_>) -> Option<Vec<u8>> {
    const HELP: &str = "write two hexadecimal digits for each byte, at most 512";
    let text = value.text("a salt", HELP)?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return value.not("a salt", HELP);
    }
    let digits = text.len();
    if !digits.is_multiple_of(2) {
        return value.wrong(|| format!("the salt has {digits} digits, an odd number"), HELP);
    }
    if digits > 512 {
        return value.wrong(|| format!("the salt has {digits} digits"), HELP);
    }
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits).step_by(2).map(byte).collect()
}

/// Fields that ask for something which a sealed file system has not: `sealed` is one of which nothing is asked.
fn check_sealed(object: &Object<'_>, plan: &FilesystemPlan, sealed: &FilesystemPlan) {
    let asked = [
        ("freeSpace", plan.free_space != sealed.free_space),
        ("freeInodes", plan.free_inodes != sealed.free_inodes),
        ("size", plan.size != sealed.size),
        ("growTo", plan.grow_to != sealed.grow_to),
        ("bytesPerInode", plan.bytes_per_inode != sealed.bytes_per_inode),
        ("journalSize", plan.journal_size != sealed.journal_size),
        ("reservedPercent", plan.reserved != sealed.reserved),
    ];
    for value in asked.into_iter().filter_map(|(field, asked)| object.given(field).filter(|_| asked)) {
        value.wrong::<()>(
            || "\"seal\" is true, and a sealed file system is as small as its contents".to_owned(),
            "leave one of the two out",
        );
    }
}

pub(super) fn output(value: &Value<'_>, context: Context<'_>) -> Option<OutputPlan> {
    let object = value.object(&tables::OUTPUT)?;
    Some(OutputPlan {
        path: object.read("path", |value| {
            let path = context.host_path(value)?;
            if value.json == &Json::Text("-".to_owned()) {
                let help = "give -o - on the command line for standard output, or write ./- for a file";
                return value.wrong(|| "\"-\" is not the name of a file here".to_owned(), help);
            }
            Some(path)
        }),
        format: object.word("format", &tables::FORMATS),
        member: object.read("member", |value| value.member()),
        ovf: object.read("ovf", |value| {
            value.text("the text of an OVF", "write the XML as a string").map(str::to_owned)
        }),
        adapter: object.word("adapter", &tables::ADAPTERS),
        bmap: object.flag("bmap"),
        verify: object.flag("verify"),
        compression: object.read("compression", compression),
    })
}

fn compression(value: &Value<'_>) -> Option<CompressionPlan> {
    let fields = value.pairs()?;
    // All tables have the format as their first field.
    let any = value.object_unchecked(fields, CompressionKind::Zstd.table());
    if any.given("format").is_none() {
        any.check_missing();
        return None;
    }
    let kind = any.word("format", &COMPRESSIONS)?;
    let object = value.object_unchecked(fields, kind.table());
    object.check_kind(&COMPRESSIONS, CompressionKind::table, "format");
    Some(match kind {
        CompressionKind::Zstd => {
            let framing = match (object.flag("frames"), object.flag("seekable")) {
                (true, seekable) => FramingPlan::Units { seekable },
                (false, true) => FramingPlan::Seekable,
                (false, false) => FramingPlan::Single,
            };
            CompressionPlan::Zstd { level: object.count_or_default("level"), framing }
        }
        CompressionKind::Gzip => CompressionPlan::Gzip { level: object.count_or_default("level") },
        CompressionKind::Xz => CompressionPlan::Xz { level: object.count_or_default("level") },
        CompressionKind::Deflate => CompressionPlan::Deflate { level: object.count_or_default("level") },
    })
}
