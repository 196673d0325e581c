//! The partitions and file systems of an image, as a table of at most 80 columns.

use std::fmt::Write;

use image_reader::{Container, FileSystem, Image, Overview, TableKind, Volume, VolumeContent};
use image_tree::escaped;

use snugfs_core::human::{counted, grouped, percent, size};
use snugfs_core::{one_line, verify};

/// The most characters of a label.
const NAME: usize = 16;

pub(super) fn table(image: &Image, overview: &Overview) -> String {
    let mut text = String::new();
    let bytes = image.window.length();
    let mut image_line = format!("{} ({})", counted(bytes, "byte"), size(bytes));
    let compression = match image.container {
        Container::Raw => None,
        Container::Zstd { compressed, seekable: false } => Some(("zstd", compressed)),
        Container::Zstd { compressed, seekable: true } => Some(("seekable zstd", compressed)),
        Container::Gzip { compressed } => Some(("gzip", compressed)),
        Container::Xz { compressed } => Some(("xz", compressed)),
    };
    if let Some((how, compressed)) = compression {
        let _ = write!(image_line, ", as {how} {} ({})", size(compressed), percent(compressed, bytes));
    }
    let _ = writeln!(text, "{:<8} {image_line}", "image");
    if let Some(table) = &overview.table {
        let kind = match table.kind {
            TableKind::Mbr(id) => format!("mbr, id {id:#010x}"),
            TableKind::Gpt(guid) => format!("gpt, GUID {guid}"),
        };
        let _ = writeln!(text, "{:<8} {kind}", "table");
        let _ = writeln!(text, "\n{:>3}{:>18}{:>11}  {:<19} contents", "", "start", "size", "type");
        for volume in &overview.volumes {
            partition(&mut text, volume);
        }
        if !overview.gaps.is_empty() {
            let sum = overview.gaps.iter().fold(0_u64, |sum, gap| sum.saturating_add(gap.size));
            let _ = writeln!(text, "\nin no partition: {}", size(sum));
            for gap in &overview.gaps {
                let _ = writeln!(text, "{:>3}{:>18}{:>11}", "", grouped(gap.start), size(gap.size));
            }
        }
    }
    for volume in &overview.volumes {
        file_system(&mut text, volume);
        hash_tree(&mut text, volume);
        swap(&mut text, volume);
    }
    if let Some(table) = &overview.table {
        for warning in &table.warnings {
            let _ = writeln!(text, "\nwarning: {}", one_line(warning));
        }
        if let Some(note) = table.note() {
            let _ = writeln!(text, "\nnote: partition table: {note}");
        }
    }
    text
}

fn partition(text: &mut String, volume: &Volume) {
    let Some(partition) = &volume.partition else { return };
    let kind = partition.kind.name();
    // A GUID is longer than the column, so it goes below.
    let (kind, below) = if kind.len() > 18 { ("(see below)".to_owned(), Some(kind)) } else { (kind, None) };
    let mut contents = match &volume.content {
        VolumeContent::FileSystem(fs) => name(fs),
        VolumeContent::Unreadable(_) => "unreadable".to_owned(),
        VolumeContent::Other(name) => (*name).to_owned(),
        VolumeContent::Unknown => "-".to_owned(),
    };
    if partition.bootable {
        contents += ", bootable";
    }
    let _ = writeln!(
        text,
        "{:>3}{:>18}{:>11}  {kind:<19} {contents}",
        partition.number,
        grouped(partition.start),
        size(partition.size),
    );
    if !partition.name.is_empty() {
        let _ = writeln!(text, "{:>34}name {}", "", escaped(partition.name.as_bytes()));
    }
    if let Some(kind) = below {
        let _ = writeln!(text, "{:>34}type {kind}", "");
    }
}

/// The kind of a file system.
pub(super) fn name(fs: &FileSystem) -> String {
    match fs {
        FileSystem::Ext4(ext4) => ext4.generation().to_owned(),
        FileSystem::Fat(fat) => format!("FAT{}", fat.bits()),
    }
}

/// The label of a file system, unescaped.
pub(super) fn label(fs: &FileSystem) -> Vec<u8> {
    match fs {
        FileSystem::Ext4(ext4) => ext4.label().to_vec(),
        FileSystem::Fat(fat) => fat.label(),
    }
}

/// The UUID or serial number of a file system.
pub(super) fn id(fs: &FileSystem) -> String {
    match fs {
        FileSystem::Ext4(ext4) => ext4.uuid().to_string(),
        FileSystem::Fat(fat) => format!("{:04X}-{:04X}", fat.id() >> 16, fat.id() & 0xffff),
    }
}

pub(super) fn warnings(fs: &FileSystem) -> &[String] {
    match fs {
        FileSystem::Ext4(ext4) => ext4.warnings(),
        FileSystem::Fat(fat) => fat.warnings(),
    }
}

fn swap(text: &mut String, volume: &Volume) {
    let Some(swap) = volume.swap() else { return };
    let place = volume.partition.as_ref().map_or_else(String::new, |p| format!("{}: ", p.number));
    let label = if swap.label.is_empty() { "no label".to_owned() } else { escaped(&swap.label).to_string() };
    let _ = writeln!(text, "\n{place}swap, {label:.NAME$}, {}", swap.uuid);
    let _ = writeln!(text, "  size     {}", counted(swap.bytes(), "byte"));
    for problem in swap.problems(volume.window.length()) {
        let _ = writeln!(text, "  warning: {problem}");
    }
}

/// A hash tree of dm-verity, in a partition or after the file system.
fn hash_tree(text: &mut String, volume: &Volume) {
    let Some(tree) = verify::hash_tree(volume) else { return };
    let place = volume.partition.as_ref().map_or_else(String::new, |p| format!("{}: ", p.number));
    let _ = writeln!(text, "\n{place}hash tree of dm-verity, {}", tree.uuid);
    let _ = writeln!(text, "  size     {}", counted(tree.bytes, "byte"));
    let _ = writeln!(text, "  data     {}", counted(tree.data_bytes, "byte"));
    let _ = writeln!(text, "  root     {}", tree.root_hash);
}

fn file_system(text: &mut String, volume: &Volume) {
    let VolumeContent::FileSystem(fs) = &volume.content else { return };
    let place = volume.partition.as_ref().map_or_else(String::new, |p| format!("{}: ", p.number));
    let (usage, label) = (fs.usage(), label(fs));
    let label = if label.is_empty() { "no label".to_owned() } else { escaped(&label).to_string() };
    let _ = writeln!(text, "\n{place}{}, {label:.NAME$}, {}", name(fs), id(fs));
    let used = usage.bytes.saturating_sub(usage.free);
    let free = percent(usage.free, usage.bytes);
    let _ = writeln!(text, "  size     {}", counted(usage.bytes, "byte"));
    let _ = writeln!(text, "  free     {} ({free}), used {}", counted(usage.free, "byte"), size(used));
    if let Some((inodes, free)) = usage.inodes {
        let _ =
            writeln!(text, "  inodes   {}, {} of them free", grouped(inodes.into()), grouped(free.into()));
    }
    let tree = verify::hash_tree(volume).map_or(0, |tree| tree.bytes);
    let rest = volume.window.length().saturating_sub(usage.bytes).saturating_sub(tree);
    if rest > 0 {
        let _ = writeln!(text, "  beyond   {} after the file system", counted(rest, "byte"));
    }
    for warning in warnings(fs) {
        let _ = writeln!(text, "  warning: {}", one_line(warning));
    }
}
