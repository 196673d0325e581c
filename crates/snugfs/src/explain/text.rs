//! The explanation as tables of at most 80 columns.

use std::fmt::Write;

use image_explain::{BLOCK, FileSystem, Kind, Part};
use image_tree::{NodeId, escaped};

use snugfs_core::explain::store_name;

use super::rows::{COLUMNS, fit, kind_name, path_of};
use snugfs_core::explain::ExplainedVolume;

use super::Explained;
use snugfs_core::human::{counted, grouped, percent, size, wrapped};

/// The whole explanation, with at most `limit` rows per table.
pub(super) fn text(image: &Explained<'_>, limit: usize) -> String {
    let bytes = image.report.image.bytes;
    let mut text = format!("{:<8} {} ({})\n", "image", counted(bytes, "byte"), size(bytes));
    if let Some(disk) = &image.report.disk {
        text.push_str(&disk.table());
    }
    for system in &image.systems {
        if image.report.disk.is_some() {
            let label = escaped(system.label.as_bytes()).to_string();
            let _ = writeln!(text, "\n== {} ({label})", system.place);
        }
        parts(&mut text, system);
        store_paths(&mut text, &system.explained, limit);
        directories(&mut text, &system.explained, limit);
        files(&mut text, &system.explained, limit);
        savings(&mut text, system, limit);
    }
    text
}

fn parts(text: &mut String, system: &ExplainedVolume<'_>) {
    let explained = &system.explained;
    let _ = writeln!(text, "\n{:<22}{:>18}", "parts", "bytes");
    for Part { kind, bytes } in &explained.parts {
        if *bytes == 0 && *kind == Kind::BeyondGroups {
            continue;
        }
        let note = note(system, *kind);
        let share = percent(*bytes, explained.bytes);
        let row = format!(
            "  {:<20}{:>18}{:>12}{share:>9}  {note}",
            kind_name(*kind),
            grouped(*bytes),
            size(*bytes)
        );
        let _ = writeln!(text, "{}", row.trim_end());
    }
    let total = grouped(explained.bytes);
    let _ = writeln!(text, "  {:<20}{total:>18}{:>12}", "total", size(explained.bytes));
    for line in wrapped(&contents(system), COLUMNS - 2) {
        let _ = writeln!(text, "  {line}");
    }
}

/// A remark about a part, of at most 17 characters.
fn note(system: &ExplainedVolume<'_>, kind: Kind) -> String {
    let planned = &system.volume.scanned.planned.plan.filesystem;
    match kind {
        Kind::StorePaths => {
            counted(u64::try_from(system.explained.store_paths.len()).unwrap_or(u64::MAX), "path")
        }
        Kind::Free => format!("promised {}", size(planned.free_space)),
        Kind::GrowthReserve => {
            planned.grow_to.map_or_else(String::new, |bytes| format!("up to {}", size(bytes)))
        }
        _ => String::new(),
    }
}

/// The parts of store paths and other files, in one sentence.
fn contents(system: &ExplainedVolume<'_>) -> String {
    let tree = system.explained.tree;
    let lengths = tree.iter().map(|(id, _)| tree.stored_bytes(id));
    let padding = (system.file_blocks * BLOCK).saturating_sub(lengths.sum());
    let mut text =
        format!("Store paths and other files contain: file contents {}", size(system.file_blocks * BLOCK));
    if padding > 0 {
        let _ = write!(text, " (including {} to fill last blocks)", size(padding));
    }
    let kinds = [
        ("directories", "directories"),
        ("symlinks", "long symlinks"),
        ("extendedAttributes", "attributes"),
        ("extentTrees", "extent trees"),
    ];
    for (key, name) in kinds {
        let blocks = system.overhead.iter().find(|(kind, _)| *kind == key).map_or(0, |(_, blocks)| *blocks);
        if blocks > 0 {
            let _ = write!(text, ", {name} {}", size(blocks * BLOCK));
        }
    }
    text + "."
}

fn store_paths(text: &mut String, explained: &FileSystem<'_>, limit: usize) {
    const NAME: usize = 33;
    const REFERRER: usize = 19;
    let sorted = explained.largest_paths();
    if sorted.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{:<35}{:>11}{:>11}  referred to by", "store paths", "itself", "exclusive");
    for &path in sorted.iter().take(limit) {
        let found = &explained.store_paths[path];
        let _ = writeln!(
            text,
            "  {:<NAME$}{:>11}{:>11}  {}",
            fit(&store_name(explained, path), NAME),
            size(found.own),
            size(found.exclusive),
            referrers(explained, path, REFERRER)
        );
    }
    let smaller = sorted.get(limit..).unwrap_or_default();
    if !smaller.is_empty() {
        let sum = smaller.iter().map(|&path| explained.store_paths[path].own).sum();
        let count = counted(u64::try_from(smaller.len()).unwrap_or(u64::MAX), "smaller path");
        let _ = writeln!(text, "  {count:<NAME$}{:>11}", size(sum));
    }
    text.push_str("itself: the size of the path. exclusive: what would leave the image with it,\n");
    text.push_str("including paths that only it needs. Details of a path: --why NAME\n");
}

/// Paths that refer to a path: the one on the shortest chain from a root, and the number of others.
fn referrers(explained: &FileSystem<'_>, path: usize, width: usize) -> String {
    let Some(before) = explained.references.before(path) else { return "none (a root)".to_owned() };
    let more = explained.references.referrers(path).len() - 1;
    let more = if more > 0 { format!(" +{more}") } else { String::new() };
    fit(&store_name(explained, before), width - more.len()) + &more
}

fn directories(text: &mut String, explained: &FileSystem<'_>, limit: usize) {
    nodes(text, explained, "largest directories outside of the store", &explained.largest_directories(limit));
}

fn files(text: &mut String, explained: &FileSystem<'_>, limit: usize) {
    nodes(text, explained, "largest files (without hashes of store paths)", &explained.largest_files(limit));
}

fn nodes(text: &mut String, explained: &FileSystem<'_>, what: &str, nodes: &[NodeId]) {
    const NAME: usize = 58;
    if nodes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{what}");
    for &node in nodes {
        let bytes = explained.usage.bytes(node);
        let _ = writeln!(
            text,
            "  {:<NAME$}{:>11}{:>9}",
            fit(&path_of(explained, node), NAME),
            size(bytes),
            percent(bytes, explained.bytes)
        );
    }
}

fn savings(text: &mut String, system: &ExplainedVolume<'_>, limit: usize) {
    const WHAT: usize = 66;
    if system.savings.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nways to make the image smaller");
    for saving in system.savings.iter().take(limit) {
        let mut lines = wrapped(&saving.what, WHAT).into_iter();
        let first = fit(&lines.next().unwrap_or_default(), WHAT);
        let _ = writeln!(text, "{:>12}  {first}", size(saving.bytes));
        for line in lines {
            let _ = writeln!(text, "{:>12}  {}", "", fit(&line, WHAT));
        }
    }
}
