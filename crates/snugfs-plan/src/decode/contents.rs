//! `plan.trees`, `plan.entries` and `plan.attributes`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image_tree::{Acl, ImagePath, InvalidXattr, Xattr, XattrName, XattrNamespace};

use super::context::Context;
use crate::disk_tables::{FAT_ENTRY_TYPES, FatEntryType};
use crate::json::Json;
use crate::location::{Place, quoted};
use crate::object::Object;
use crate::plan::{
    AttributesPlan, Entry, EntryKind, FstabTag, SelinuxPlan, TreeKind, TreePlan, XattrPattern,
};
use crate::problem::Log;
use crate::scalars::base64;
use crate::tables::{self, ENTRY_TYPES, EntryType, FSTAB_TAGS, KEEP_HOLES, MAX_XATTR_VALUE};
use crate::value::Value;

pub(super) fn trees(value: &Value<'_>, context: Context<'_>) -> Vec<TreePlan> {
    value.items("objects with a source").filter_map(|item| tree(&item, context)).collect()
}

fn tree(value: &Value<'_>, context: Context<'_>) -> Option<TreePlan> {
    let object = value.object(&tables::TREE)?;
    let source = object.read("source", |value| context.host_path(value));
    let target = object.read("target", |value| value.image_path());
    let options = tree_options(&object);
    if options.kind != Some(TreeKind::Oci) {
        for name in ["image", "platform", "ociConfigTarget"] {
            if let Some(value) = object.given(name) {
                value
                    .wrong::<()>(|| "the source is no container image".to_owned(), "set \"kind\" to \"oci\"");
            }
        }
    }
    if options.kind.is_some_and(|kind| kind != TreeKind::Folder)
        && let Some(value) = object.given("oneFileSystem")
    {
        value.wrong::<()>(|| "only a folder can have other file systems below it".to_owned(), "leave it out");
    }
    Some(TreePlan { source: source?, target: target?, ..options })
}

/// The fields of a tree except source and target, which are left empty.
fn tree_options(object: &Object<'_>) -> TreePlan {
    TreePlan {
        source: PathBuf::new(),
        target: ImagePath::root(),
        kind: object.word("kind", &tables::TREE_KINDS),
        image: object.read("image", name_of_image),
        platform: object.read("platform", platform),
        config_target: object.read("ociConfigTarget", |value| value.image_path()),
        exclude: object.read_or_default("exclude", |value| Some(patterns(value))),
        keep_owner: object.word("owner", &tables::OWNERS),
        keep_times: object.word("times", &tables::TIMES),
        xattrs: object.read("xattrs", |value| Some(xattr_patterns(value))),
        keep_holes: object.word_or_default("holes", &tables::KEEP_HOLES),
        later_wins: object.word_or_default("overlap", &tables::LATER_WINS),
        one_file_system: object.read("oneFileSystem", |value| value.flag()),
    }
}

fn name_of_image(value: &Value<'_>) -> Option<String> {
    let help = "write the name of an image, such as \"app:1.0\", or its digest";
    let text = value.text("the name or the digest of an image", help)?;
    if text.is_empty() { value.wrong(|| "the name is empty".to_owned(), help) } else { Some(text.to_owned()) }
}

fn platform(value: &Value<'_>) -> Option<String> {
    let help = "write an operating system and an architecture, such as \"linux/arm64\"";
    let text = value.text("a platform", help)?;
    let parts = text.split('/');
    if !(2..=3).contains(&parts.clone().count()) || parts.clone().any(str::is_empty) {
        return value.not("a platform", help);
    }
    Some(text.to_owned())
}

fn patterns(value: &Value<'_>) -> Vec<String> {
    let help = "write a pattern of gitignore, such as \"*.pyc\"";
    let pattern = |item: Value<'_>| {
        let text = item.text("a pattern", help)?;
        let is_empty = text.trim().is_empty() || text.starts_with('#');
        if is_empty {
            item.wrong(|| format!("{} is no pattern", item.shown()), help)
        } else {
            Some(text.to_owned())
        }
    };
    value.items("patterns of gitignore").filter_map(pattern).collect()
}

impl TreePlan {
    /// A tree for which a plan gives only source and target.
    pub fn new(source: PathBuf, target: ImagePath) -> Self {
        let (json, log) = (Json::Object(Vec::new()), Log::default());
        let value = Value { json: &json, at: Place::PLAN, log: &log };
        Self { source, target, ..tree_options(&value.object_unchecked(&[], &tables::TREE)) }
    }
}

fn xattr_patterns(value: &Value<'_>) -> Vec<XattrPattern> {
    value.items("names such as \"user.*\"").filter_map(|item| xattr_pattern(&item)).collect()
}

fn xattr_pattern(value: &Value<'_>) -> Option<XattrPattern> {
    let text = value.text("the name of an extended attribute", "write a string such as \"user.*\"")?;
    let (prefix, wildcard) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
    if prefix.contains('*') {
        return value
            .wrong(|| format!("{} has a * before its end", value.shown()), "keep only a * at the end");
    }
    if !wildcard {
        value.xattr_name(text)?;
    } else if prefix.contains('\0') || !may_begin_a_name(prefix) {
        return value.wrong(|| format!("no name begins with {}", value.shown()), XATTR_HELP);
    }
    Some(XattrPattern { prefix: prefix.to_owned(), wildcard })
}

const XATTR_HELP: &str = "write a name that begins with user., trusted. or security., or one of \
                          system.posix_acl_access and system.posix_acl_default";

fn may_begin_a_name(prefix: &str) -> bool {
    let open = ["user.", "trusted.", "security."];
    let whole = ["system.posix_acl_access", "system.posix_acl_default"];
    open.iter().any(|name| name.starts_with(prefix) || prefix.starts_with(name))
        || whole.iter().any(|name| name.starts_with(prefix))
}

impl Value<'_> {
    fn xattr_name(&self, name: &str) -> Option<XattrName> {
        match XattrName::parse(name.as_bytes()) {
            Ok(name) => Some(name),
            Err(InvalidXattr::Namespace(_)) => {
                self.wrong(|| format!("{} is no extended attribute that ext4 has", quoted(name)), XATTR_HELP)
            }
            Err(InvalidXattr::Suffix(_)) => self.wrong(
                || {
                    "the name of the extended attribute is empty, longer than 255 bytes or has a NUL"
                        .to_owned()
                },
                "write at least one byte after its first dot, and at most 255 in all",
            ),
            Err(reason) => self.wrong(|| reason.to_string(), XATTR_HELP),
        }
    }
}

pub(super) fn entries(value: &Value<'_>, context: Context<'_>) -> BTreeMap<ImagePath, Entry> {
    by_path(value, |value, path| {
        let entry = entry(value, context)?;
        if path.is_root() && entry.kind != EntryKind::Directory {
            return value.wrong(|| "the root is a directory".to_owned(), "write \"type\": \"directory\"");
        }
        Some(entry)
    })
}

/// The entries whose text is made from the disk. Their problems are those of [`entries`].
pub(super) fn fstabs(value: &Value<'_>) -> BTreeMap<ImagePath, FstabTag> {
    let Json::Object(fields) = value.json else { return BTreeMap::new() };
    let is_fstab = |json: &Json| json.get("type") == Some(&Json::Text("fstab".to_owned()));
    let tag = |(key, json): &(String, Json)| {
        let path = ImagePath::parse(key.as_bytes()).ok()?;
        let tag = match json.get("by") {
            Some(Json::Text(text)) => FSTAB_TAGS.find(|word| word == text)?,
            _ => FstabTag::Uuid,
        };
        Some((path, tag))
    };
    fields.iter().filter(|(_, json)| is_fstab(json)).filter_map(tag).collect()
}

pub(super) fn attributes(value: &Value<'_>) -> BTreeMap<ImagePath, AttributesPlan> {
    by_path(value, |value, _| {
        let object = value.object(&tables::ATTRIBUTES)?;
        Some(AttributesPlan {
            uid: object.count("uid"),
            gid: object.count("gid"),
            permissions: object.read("mode", |value| value.mode()),
            xattrs: object.read("xattrs", |value| Some(xattrs(value))).unwrap_or_default(),
            recursive: object.flag("recursive"),
        })
    })
}

pub(super) fn selinux(value: &Value<'_>, context: Context<'_>) -> Option<SelinuxPlan> {
    let object = value.object(&tables::SELINUX)?;
    let file_contexts = object.read("fileContexts", |value| context.host_path(value));
    let mount_point = object.read("mountPoint", |value| value.image_path());
    Some(SelinuxPlan { file_contexts: file_contexts?, mount_point })
}

/// Objects by their path in the image.
fn by_path<T>(
    value: &Value<'_>,
    decode: impl Fn(&Value<'_>, &ImagePath) -> Option<T>,
) -> BTreeMap<ImagePath, T> {
    let mut all = BTreeMap::new();
    for (key, json) in value.pairs().into_iter().flatten() {
        let item = value.child(key, json);
        let path = item.parse_image_path(key);
        // The value is decoded even if the path is wrong, so that all problems are reported.
        let decoded = decode(&item, path.as_ref().unwrap_or(&any_path()));
        if let (Some(path), Some(decoded)) = (path, decoded) {
            all.insert(path, decoded);
        }
    }
    all
}

/// A path without further conditions.
fn any_path() -> ImagePath {
    ImagePath::parse(b"/any").unwrap_or_else(|_| ImagePath::root())
}

fn entry(value: &Value<'_>, context: Context<'_>) -> Option<Entry> {
    let fields = value.pairs()?;
    // All tables have the type as their first field.
    let any = value.object_unchecked(fields, EntryType::File.table());
    if any.given("type").is_none() {
        any.check_missing();
        return None;
    }
    let entry_type = any.word("type", &ENTRY_TYPES)?;
    let object = value.object_unchecked(fields, entry_type.table());
    object.check_kind(&ENTRY_TYPES, EntryType::table, "type");
    let kind = kind(entry_type, value, &object, context);
    let entry = Entry {
        permissions: object.read("mode", |value| value.mode()),
        uid: object.count_or_default("uid"),
        gid: object.count_or_default("gid"),
        xattrs: object.read_or_default("xattrs", |value| Some(xattrs(value))),
        keep_holes: entry_type != EntryType::File || object.word_or_default("holes", &KEEP_HOLES),
        kind: kind?,
    };
    Some(entry)
}

/// The entries of a FAT file system.
pub(super) fn fat_entries(value: &Value<'_>, context: Context<'_>) -> BTreeMap<ImagePath, Entry> {
    by_path(value, |value, path| {
        let fields = value.pairs()?;
        // All tables have the type as their first field.
        let any = value.object_unchecked(fields, FatEntryType::File.table());
        if any.given("type").is_none() {
            any.check_missing();
            return None;
        }
        let entry_type = any.word("type", &FAT_ENTRY_TYPES)?;
        let object = value.object_unchecked(fields, entry_type.table());
        object.check_kind(&FAT_ENTRY_TYPES, FatEntryType::table, "type");
        let kind = match entry_type {
            FatEntryType::File if path.is_root() => {
                value.wrong(|| "the root is a directory".to_owned(), "write \"type\": \"directory\"")
            }
            FatEntryType::File => file(value, &object, context),
            FatEntryType::Directory => Some(EntryKind::Directory),
        };
        // FAT has no holes.
        Some(Entry { kind: kind?, permissions: None, uid: 0, gid: 0, xattrs: Vec::new(), keep_holes: false })
    })
}

fn kind(
    entry_type: EntryType,
    value: &Value<'_>,
    object: &Object<'_>,
    context: Context<'_>,
) -> Option<EntryKind> {
    match entry_type {
        EntryType::File => file(value, object, context),
        EntryType::Directory => Some(EntryKind::Directory),
        EntryType::Symlink => object.read("target", |value| value.link_target()).map(EntryKind::Symlink),
        EntryType::Character => device(object).map(|(major, minor)| EntryKind::Character { major, minor }),
        EntryType::Block => device(object).map(|(major, minor)| EntryKind::Block { major, minor }),
        EntryType::Fifo => Some(EntryKind::Fifo),
        // Its text depends on the disk.
        EntryType::Fstab => {
            object.read("by", |value| value.word(&FSTAB_TAGS)).map(|_| EntryKind::Text(Vec::new()))
        }
    }
}

fn file(value: &Value<'_>, object: &Object<'_>, context: Context<'_>) -> Option<EntryKind> {
    let text = object.given("text");
    let source = object.given("source");
    let slot = object.given("slot").map(|_| object.size("slot"));
    let bytes = text.and_then(|text| text.text("a string", "write what the file holds as a string"));
    let path = source.and_then(|source| context.host_path(&source));
    match (text, source, slot) {
        (Some(_), None, None) => bytes.map(|bytes| EntryKind::Text(bytes.as_bytes().to_vec())),
        (None, Some(_), None) => path.map(EntryKind::Source),
        (None, None, Some(size)) => size.map(EntryKind::Slot),
        (None, None, None) => value.wrong(
            || "the file has neither text nor source nor slot".to_owned(),
            "write one of them, \"text\": \"\" makes an empty file",
        ),
        (Some(_), Some(_), _) => {
            value.wrong(|| "the file has both text and source".to_owned(), "keep one of the two")
        }
        (_, _, Some(_)) => value.wrong(
            || "the file has a slot and contents".to_owned(),
            "keep one of the two: a slot is empty until `snugfs stamp` fills it",
        ),
    }
}

fn device(object: &Object<'_>) -> Option<(u32, u32)> {
    let (major, minor) = (object.count("major"), object.count("minor"));
    Some((major?, minor?))
}

fn xattrs(value: &Value<'_>) -> Vec<Xattr> {
    let pairs = value.pairs().unwrap_or_default();
    let mut xattrs: Vec<Xattr> =
        pairs.iter().filter_map(|(key, json)| xattr(&value.child(key, json), key)).collect();
    xattrs.sort();
    xattrs
}

fn xattr(value: &Value<'_>, key: &str) -> Option<Xattr> {
    const HELP: &str = "write the value in base64, with A-Z a-z 0-9 + / and padded with =";
    let name = value.xattr_name(key);
    let bytes = match base64(value.text("base64", HELP)?) {
        Some(bytes) if bytes.len() > MAX_XATTR_VALUE => {
            let what = || format!("the value has {} bytes", bytes.len());
            return value.wrong(what, "write at most 65536, which is the most that Linux reads");
        }
        Some(bytes) => bytes,
        None => return value.not("base64", HELP),
    };
    let name = name?;
    if key == image_tree::SLOT_XATTR {
        return value.wrong(|| format!("{} marks slots", quoted(key)), "make a slot with \"slot\": \"4KiB\"");
    }
    if matches!(name.namespace(), XattrNamespace::PosixAclAccess | XattrNamespace::PosixAclDefault)
        && let Err(invalid) = Acl::parse(&bytes)
    {
        let what = || format!("Linux refuses this access control list: {invalid}");
        return value
            .wrong(what, "set it on a file with setfacl, and copy what getfattr -e base64 prints after 0s");
    }
    Some(Xattr { name, value: bytes })
}
