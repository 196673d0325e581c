//! The report as text: the image's contents, and its parts, whose sizes add up to its length.

use std::fmt::Write;

use snugfs_core::human::{counted, grouped, size};
use snugfs_core::{DiskReport, Report};

/// The report as a table of at most 80 columns.
pub(crate) fn table(report: &Report) -> String {
    let (image, filesystem, contents) = (&report.image, &report.filesystem, &report.contents);
    let mut table = String::new();
    for (what, value) in [
        ("image", format!("{} ({})", counted(image.bytes, "byte"), size(image.bytes))),
        (
            "blocks",
            format!(
                "{} of {}, {}",
                grouped(filesystem.blocks),
                counted(filesystem.block_size.into(), "byte"),
                counted(filesystem.groups, "group")
            ),
        ),
        (
            "inodes",
            format!("{}, {} of them free", grouped(filesystem.inodes), grouped(filesystem.free_inodes)),
        ),
    ] {
        let _ = writeln!(table, "{what:<8} {value}");
    }
    let _ = writeln!(table, "\n{:<22}{:>14}{:>20}", "contents", "number", "bytes");
    let bytes = grouped(contents.bytes);
    let saved = contents.deduplicated.unwrap_or_default();
    let saved_bytes = grouped(saved.bytes);
    let rows = [
        ("files", contents.files, bytes.as_str()),
        ("directories", contents.directories, ""),
        ("symlinks", contents.symlinks, ""),
        ("hard links", contents.hard_links, ""),
        ("others", contents.others, ""),
        ("store paths", contents.store_paths, ""),
        ("deduplicated", saved.files, saved_bytes.as_str()),
    ];
    let shown = rows.len() - usize::from(contents.deduplicated.is_none());
    for (what, number, bytes) in rows.into_iter().take(shown) {
        let row = format!("  {what:<20}{:>14}{bytes:>20}", grouped(number));
        let _ = writeln!(table, "{}", row.trim_end());
    }
    table.push_str(&parts_table(report));
    if let Some(bytes) = report.hash_tree_bytes {
        let block = u64::from(report.filesystem.block_size).max(1);
        let (blocks, grouped_bytes) = (grouped(bytes / block), grouped(bytes));
        let _ = writeln!(table, "  {:<20}{blocks:>14}{grouped_bytes:>20}{:>14}", "hash tree", size(bytes));
    }
    table.extend(report.disk.as_ref().map(DiskReport::table));
    if let Some(variants) = &report.variants {
        let _ = writeln!(table, "\nvariants {}, {}", counted(variants.images, "image"), size(variants.bytes));
    }
    table
}

fn parts_table(report: &Report) -> String {
    let block = u64::from(report.filesystem.block_size).max(1);
    let mut table = format!("\n{:<22}{:>14}{:>20}\n", "parts", "blocks", "bytes");
    for (what, blocks) in parts(report, block) {
        let bytes = blocks.saturating_mul(block);
        let _ =
            writeln!(table, "  {what:<20}{:>14}{:>20}{:>14}", grouped(blocks), grouped(bytes), size(bytes));
    }
    table
}

/// The parts of the root file system in blocks, and their sum.
fn parts(report: &Report, block: u64) -> Vec<(String, u64)> {
    let all = report.root_bytes / block;
    let overhead =
        report.overhead.iter().filter_map(|(kind, blocks)| Some((readable(kind), blocks.as_u64()?)));
    let mut parts = vec![("file contents".to_owned(), report.file_blocks)];
    parts.extend(overhead);
    parts.push(("free".to_owned(), report.filesystem.free_blocks));
    // Space of a fixed size after the last group.
    let unused = all.saturating_sub(report.filesystem.blocks);
    if unused > 0 {
        parts.push(("after the last group".to_owned(), unused));
    }
    parts.push(("total".to_owned(), all));
    parts
}

/// `groupDescriptors` as `group descriptors`.
fn readable(kind: &str) -> String {
    if kind == "growthReserve" {
        return "reserve for growth".to_owned();
    }
    let mut words = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_shown_as_words() {
        let shown = ["journal", "groupDescriptors", "growthReserve"].map(readable);
        assert_eq!(shown, ["journal", "group descriptors", "reserve for growth"]);
    }
}
