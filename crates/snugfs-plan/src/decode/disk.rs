//! `plan.disk`.

use image_tree::{ImagePath, SectorSize};

use super::contents;
use super::context::Context;
use super::volume::volume;
use crate::conflicts;
use crate::disk_tables::{
    self, CONTENT_KINDS, ContentKind, FAT_BITS, FILL, MAX_FAT_LABEL, MAX_PARTITION_NAME, MAX_SWAP_LABEL,
    MIN_SWAP, MOST_GPT, MOST_MBR, POWER_OF_TWO, SECTOR_SIZES, SOME_SECTORS, TABLE_KINDS, TableKind,
};
use crate::json::Json;
use crate::location::Place;
use crate::nearest::nearest;
use crate::object::Object;
use crate::partition_types;
use crate::plan::{
    BlobPlan, DiskPlan, FatPlan, PartitionContent, PartitionPlan, PartitionType, RoundTo, SwapPlan,
    TablePlan, VolumeRef,
};
use crate::problem::Log;
use crate::scalars;
use crate::tables::FILESYSTEM_SIZE;
use crate::value::{SizeOr, Value};

pub(super) fn disk(value: &Value<'_>, context: Context<'_>) -> Option<DiskPlan> {
    let object = value.object(&disk_tables::DISK)?;
    // Without a table, fields that depend on it can't be checked.
    let kind = object.word("table", &TABLE_KINDS);
    let table = kind.map(|kind| match kind {
        TableKind::Mbr => TablePlan::Mbr { id: object.read("id", number_id) },
        TableKind::Gpt => TablePlan::Gpt { guid: object.read("id", |value| value.uuid()) },
    });
    let sector = object.number_or_default("sectorSize", &SECTOR_SIZES);
    let size = in_sectors(&object, sector, "size");
    let round_to = object.read("roundTo", |value| round_to(value, &object, sector)).unwrap_or_default();
    let has_size = object.given("size").is_some();
    let partitions = object.read("partitions", |list| {
        Some(partitions(list, &Around { table: kind, sector, has_size }, context))
    });
    let blobs = object.read_or_default("blobs", |list| {
        let items = list.items("objects with source and offset");
        Some(items.filter_map(|item| blob(&item, context)).collect())
    });
    Some(DiskPlan { table: table?, sector, size, round_to, partitions: partitions?, blobs })
}

/// What a partition has to know of its disk.
struct Around {
    table: Option<TableKind>,
    sector: SectorSize,
    has_size: bool,
}

fn round_to(value: &Value<'_>, disk: &Object<'_>, sector: SectorSize) -> Option<RoundTo> {
    if disk.given("size").is_some() {
        return value
            .wrong(|| "the disk has a size, which is not rounded".to_owned(), "leave out one of the two");
    }
    match value.size_or(&SOME_SECTORS, POWER_OF_TWO)? {
        SizeOr::Word => Some(RoundTo::PowerOfTwo),
        SizeOr::Size(size) => whole_sectors(value, size, sector).map(RoundTo::Multiple),
    }
}

/// Checks that a size is a multiple of the sector. The field's own rule assumes sectors of 512 bytes.
fn in_sectors(object: &Object<'_>, sector: SectorSize, field: &'static str) -> Option<u64> {
    whole_sectors(&object.given(field)?, object.size(field)?, sector)
}

fn whole_sectors(value: &Value<'_>, size: u64, sector: SectorSize) -> Option<u64> {
    let bytes = sector.bytes();
    if size.is_multiple_of(bytes) {
        return Some(size);
    }
    let what = || format!("{} is not a multiple of the disk's sectors of {bytes} bytes", value.shown());
    value.wrong(what, "write a multiple")
}

fn partitions(list: &Value<'_>, around: &Around, context: Context<'_>) -> Vec<PartitionPlan> {
    let most = match around.table {
        Some(TableKind::Mbr) => MOST_MBR,
        _ => MOST_GPT,
    };
    let mut partitions: Vec<PartitionPlan> = Vec::new();
    let (mut count, mut roots, mut whole) = (0_usize, 0, true);
    for item in list.items("partitions") {
        count = count.saturating_add(1);
        let read = partition(&item, count, around, context);
        let is_root = read.as_ref().is_some_and(|read| read.content == PartitionContent::Root);
        roots += usize::from(is_root);
        if is_root && roots > 1 {
            item.child("content", item.json).wrong::<()>(
                || "the root is in a partition before this one already".to_owned(),
                "give this one a file system of its own: \"kind\": \"ext4\"",
            );
        }
        if let Some(guid) = read.as_ref().and_then(|read| read.guid)
            && let Some(index) = partitions.iter().position(|other| other.guid == Some(guid))
        {
            item.child("guid", item.json).wrong::<()>(
                || format!("partitions[{index}] has this GUID already"),
                "give each its own, or leave them out",
            );
        }
        whole &= read.is_some();
        partitions.extend(read);
    }
    if count > most {
        let help =
            if most == MOST_MBR { "leave some out, or write \"table\": \"gpt\"" } else { "leave some out" };
        list.wrong::<()>(|| format!("there are {count} partitions, the table has room for {most}"), help);
    }
    // An invalid partition may be the one with the root.
    if roots == 0 && whole && matches!(list.json, Json::List(_)) {
        let help = "add one with \"content\": { \"kind\": \"root\" }";
        list.wrong::<()>(|| "none of them has the root file system".to_owned(), help);
    }
    partitions
}

fn partition(
    value: &Value<'_>,
    number: usize,
    &Around { table, sector, has_size }: &Around,
    context: Context<'_>,
) -> Option<PartitionPlan> {
    let object = value.object(&disk_tables::PARTITION)?;
    let kind = object.read("type", |value| partition_type(value, table?));
    let start = in_sectors(&object, sector, "start");
    // The default suits sectors of every size.
    let align =
        object.read_or_default("align", |value| whole_sectors(value, value.size(&SOME_SECTORS)?, sector));
    if let (Some(place), Some(value)) = (start, object.given("align"))
        && !place.is_multiple_of(align)
    {
        value.wrong::<()>(
            || format!("the start of the partition is not a multiple of {}", value.shown()),
            "leave out \"start\", or write a multiple",
        );
    }
    let sizes = object.read("size", |value| value.size_or(&SOME_SECTORS, FILL));
    let size = match sizes {
        Some(SizeOr::Size(size)) => {
            object.given("size").and_then(|value| whole_sectors(&value, size, sector))
        }
        _ => None,
    };
    let fill = (sizes == Some(SizeOr::Word)).then(|| object.count("weight").unwrap_or(1));
    if fill.is_some()
        && !has_size
        && let Some(value) = object.given("size")
    {
        let what = "the disk has no size of which this partition could take the rest";
        value.wrong::<()>(|| what.to_owned(), "write \"size\" of the disk, or a size here");
    }
    if fill.is_none()
        && let Some(value) = object.given("weight")
    {
        let what = "only a partition that takes the rest of the disk has a weight";
        value.wrong::<()>(|| what.to_owned(), "write \"size\": \"fill\", or leave it out");
    }
    let name = object.read("name", |value| only_gpt(value, table, "name").and_then(|()| name(value)));
    let guid = object.read("guid", |value| only_gpt(value, table, "guid").and_then(|()| value.uuid()));
    let held = match object.given("content") {
        Some(value) => content(&value, number, context),
        None => Some(PartitionContent::Empty),
    };
    if object.given("size").is_none() && held == Some(PartitionContent::Empty) {
        value.wrong::<()>(|| "an empty partition has no size of its own".to_owned(), "write \"size\"");
    }
    let is_swap = matches!(held, Some(PartitionContent::Swap(_)));
    if is_swap {
        check_swap_size(value, &object, size);
    }
    if let (Some(size), Some(PartitionContent::Root | PartitionContent::Ext4(_))) = (size, &held)
        && size < FILESYSTEM_SIZE.min
    {
        value.wrong::<()>(
            || format!("a partition of {size} bytes has no room for a file system"),
            "write a larger \"size\", or none for as much as it needs",
        );
    }
    let mount = object.read("mount", |value| {
        let has_files = !matches!(
            held,
            Some(
                PartitionContent::Empty
                    | PartitionContent::Raw(_)
                    | PartitionContent::Swap(_)
                    | PartitionContent::Verity(_)
            )
        );
        let what = || "this partition has no file system of the plan to mount".to_owned();
        if has_files { value.image_path() } else { value.wrong(what, "leave it out, or write a \"content\"") }
    });
    let is_root = held == Some(PartitionContent::Root);
    let mount = mount.or_else(|| is_root.then(ImagePath::root));
    // A wrong mount is one problem, and not a missing one too.
    let has_mount = mount.is_some() || object.given("mount").is_some();
    let mount_options = object.read("mountOptions", |value| mount_options(value, has_mount || is_swap));
    Some(PartitionPlan {
        mount,
        mount_options,
        start,
        align,
        size,
        fill,
        kind: kind?,
        bootable: object.flag("bootable"),
        name,
        guid,
        content: held?,
    })
}

fn check_swap_size(value: &Value<'_>, object: &Object<'_>, size: Option<u64>) {
    match (object.given("size"), size) {
        (None, _) => {
            value.wrong::<()>(|| "a swap area has no size of its own".to_owned(), "write \"size\"");
        }
        (Some(given), Some(bytes)) if bytes < MIN_SWAP => {
            let what = || format!("a partition of {bytes} bytes has no room for a swap area");
            given.wrong::<()>(what, "write at least \"40KiB\"");
        }
        _ => {}
    }
}

fn mount_options(value: &Value<'_>, has_mount: bool) -> Option<String> {
    const HELP: &str = "write options separated by commas, such as \"noatime,nodev\"";
    let text = value.text("a string", HELP)?;
    if !has_mount {
        return value.wrong(|| "this partition has no mount".to_owned(), "add \"mount\", or leave it out");
    }
    let is_allowed = |character: char| !character.is_whitespace() && !character.is_control();
    if text.is_empty() || !text.chars().all(is_allowed) {
        return value.not("a list of options", HELP);
    }
    Some(text.to_owned())
}

fn only_gpt(value: &Value<'_>, table: Option<TableKind>, what: &str) -> Option<()> {
    match table {
        Some(TableKind::Mbr) => value.wrong(
            || format!("partitions of an mbr have no {what}"),
            "leave it out, or write \"table\": \"gpt\"",
        ),
        _ => Some(()),
    }
}

fn partition_type(value: &Value<'_>, table: TableKind) -> Option<PartitionType> {
    match table {
        TableKind::Mbr => mbr_type(value),
        TableKind::Gpt => gpt_type(value),
    }
}

fn mbr_type(value: &Value<'_>) -> Option<PartitionType> {
    const HELP: &str =
        "write two hexadecimal digits as a string, such as \"83\" for Linux or \"0c\" for FAT32";
    let text = value.text("a partition type", HELP)?;
    match partition_types::mbr(text) {
        Some(0) => value.wrong(|| "type 0 means that there is no partition".to_owned(), HELP),
        Some(number) if partition_types::EXTENDED.contains(&number) => value.wrong(
            || format!("type {number:02x} is an extended partition, which is not made"),
            "write \"table\": \"gpt\" for more than four partitions",
        ),
        Some(partition_types::PROTECTIVE) => value.wrong(
            || "type ee says that the disk has a GPT, so that Linux would see no partition".to_owned(),
            "write \"table\": \"gpt\", or another type",
        ),
        Some(number) => Some(PartitionType::Mbr(number)),
        None => unknown_type(value, text, partition_types::MBR.iter().map(|&(name, _)| name), HELP),
    }
}

fn gpt_type(value: &Value<'_>) -> Option<PartitionType> {
    const HELP: &str = "write a name such as \"esp\", \"linux\" or \"root-arm64\", or a type GUID";
    let text = value.text("a partition type", HELP)?;
    match partition_types::gpt(text) {
        Some(guid) if guid == [0; 16] => {
            value.wrong(|| "this type means that there is no partition".to_owned(), HELP)
        }
        Some(guid) => Some(PartitionType::Gpt(guid)),
        None => unknown_type(value, text, partition_types::GPT.iter().map(|&(name, _)| name), HELP),
    }
}

fn unknown_type<'n>(
    value: &Value<'_>,
    text: &str,
    known: impl Iterator<Item = &'n str>,
    help: &str,
) -> Option<PartitionType> {
    let near = nearest(text, known).map(|name| format!("did you mean \"{name}\"?"));
    value.not("a partition type", near.as_deref().unwrap_or(help))
}

/// A number of 32 bits: a whole number, or a string of hexadecimal digits after `0x`.
fn number_id(value: &Value<'_>) -> Option<u32> {
    let number = match value.json {
        Json::Whole(number) => u32::try_from(*number).ok(),
        Json::Text(text) => text.strip_prefix("0x").and_then(scalars::hexadecimal_u32),
        _ => None,
    };
    number.or_else(|| value.not("a number of 32 bits", "write one such as \"0x2178694e\""))
}

fn name(value: &Value<'_>) -> Option<String> {
    let name = value.text("a name", "write a string")?;
    let units = name.encode_utf16().count();
    if units > MAX_PARTITION_NAME {
        return value.wrong(|| format!("the name has {units} UTF-16 units"), "write at most 36");
    }
    if name.contains('\0') {
        return value.wrong(|| format!("{} has a NUL", value.shown()), "leave it out");
    }
    Some(name.to_owned())
}

fn blob(value: &Value<'_>, context: Context<'_>) -> Option<BlobPlan> {
    let object = value.object(&disk_tables::BLOB)?;
    let source = object.read("source", |value| context.host_path(value));
    let offset = object.size("offset");
    Some(BlobPlan { source: source?, offset: offset? })
}

fn content(value: &Value<'_>, number: usize, context: Context<'_>) -> Option<PartitionContent> {
    let fields = value.pairs()?;
    // All tables have the kind.
    let any = value.object_unchecked(fields, ContentKind::Root.table());
    if any.given("kind").is_none() {
        any.check_missing();
        return None;
    }
    let kind = any.word("kind", &CONTENT_KINDS)?;
    let object = value.object(kind.table())?;
    match kind {
        ContentKind::Root => Some(PartitionContent::Root),
        ContentKind::Ext4 => {
            let volume = volume(&object, &value.at, Some(number), context, value.log);
            Some(PartitionContent::Ext4(Box::new(volume)))
        }
        ContentKind::Fat => Some(PartitionContent::Fat(fat(&object, &value.at, context, value.log))),
        ContentKind::Raw => {
            object.read("source", |value| context.host_path(value)).map(PartitionContent::Raw)
        }
        ContentKind::Swap => Some(PartitionContent::Swap(SwapPlan {
            label: object.read_or_default("label", |value| value.label(MAX_SWAP_LABEL)),
            uuid: object.read("uuid", |value| value.uuid()),
        })),
        ContentKind::Verity => object.read("of", volume_ref).map(PartitionContent::Verity),
    }
}

/// Whether the partition exists and has a hash tree is known when all are read.
fn volume_ref(value: &Value<'_>) -> Option<VolumeRef> {
    match value.json {
        Json::Text(text) if text == "root" => Some(VolumeRef::Root),
        Json::Whole(index) if usize::try_from(*index).is_ok_and(|index| index < MOST_GPT) => {
            usize::try_from(*index).ok().map(VolumeRef::Partition)
        }
        _ => value.not("a file system", "write \"root\", or the index of a partition of the disk, from 0"),
    }
}

fn fat(object: &Object<'_>, at: &Place<'_>, context: Context<'_>, log: &Log) -> FatPlan {
    let entries = object.read_or_default("entries", |value| Some(contents::fat_entries(value, context)));
    conflicts::check_entries(&entries, at, log);
    FatPlan {
        entries,
        source: object.read("source", |value| context.host_path(value)),
        label: object.read("label", fat_label).unwrap_or(NO_LABEL),
        id: object.read("id", number_id),
        free_space: object.size_or_default("freeSpace"),
        bits: object.number("bits", &FAT_BITS),
    }
}

/// The label of a FAT file system without a label.
const NO_LABEL: [u8; MAX_FAT_LABEL] = *b"NO NAME    ";

/// Whether mkfs.vfat accepts a character: no control characters, none of `*?.,;:/\|+=<>[]"`.
fn fat_label(value: &Value<'_>) -> Option<[u8; MAX_FAT_LABEL]> {
    const HELP: &str = "write a string of at most 11 letters, digits, spaces and hyphens";
    let text = value.text("a label", HELP)?;
    let is_allowed = |byte: u8| (b' '..0x7f).contains(&byte) && !b"*?.,;:/\\|+=<>[]\"".contains(&byte);
    if text.len() > MAX_FAT_LABEL {
        return value.wrong(|| format!("{} has {} bytes", value.shown(), text.len()), HELP);
    }
    if !text.bytes().all(is_allowed) || text.starts_with(' ') {
        return value.not("a label that FAT can have", HELP);
    }
    if text.is_empty() {
        return Some(NO_LABEL);
    }
    let mut label = [b' '; MAX_FAT_LABEL];
    for (to, from) in label.iter_mut().zip(text.bytes()) {
        *to = from.to_ascii_uppercase();
    }
    Some(label)
}
