//! Helpers for tables: names that fit a column, sizes with a sign.

use image_explain::{FileSystem, Kind};
use image_tree::{NodeId, escaped};

use snugfs_core::human;

/// The width of tables.
pub(super) const COLUMNS: usize = 80;

/// Shortens a text to `width` characters by cutting its middle.
pub(super) fn fit(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail = kept / 2;
    let head: String = text.chars().take(kept - tail).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

/// A size with a sign: `+1.5 MiB`, `-12 bytes`.
pub(super) fn signed(bytes: i128) -> String {
    let sign = match bytes.signum() {
        0 => "",
        1 => "+",
        _ => "-",
    };
    format!("{sign}{}", human::size(u64::try_from(bytes.unsigned_abs()).unwrap_or(u64::MAX)))
}

/// The path of a node, escaped. In a store path, it begins with the name of the store path.
pub(super) fn path_of(system: &FileSystem<'_>, node: NodeId) -> String {
    let path = escaped(system.tree.path(node).as_bytes()).to_string();
    let Some(holder) = system.holder(node) else { return path };
    let store = escaped(system.tree.path(system.store_paths[holder].node).as_bytes()).to_string();
    format!("{}{}", system.name(holder).full, path.strip_prefix(&store).unwrap_or_default())
}

/// The name of a kind of parts.
pub(super) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::StorePaths => "store paths",
        Kind::OtherFiles => "other files",
        Kind::Journal => "journal",
        Kind::InodeTables => "inode tables",
        Kind::Bitmaps => "bitmaps",
        Kind::Superblocks => "superblocks",
        Kind::GroupDescriptors => "group descriptors",
        Kind::GrowthReserve => "reserve for growth",
        Kind::Free => "free",
        Kind::BeyondGroups => "after the last group",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("größer als der Platz", 9), "größ…latz");
        assert_eq!(fit("abcdef", 1), "…");
    }

    #[test]
    fn changes_have_a_sign() {
        assert_eq!([0, 1536, -1536].map(signed), ["0 bytes", "+1.5 KiB", "-1.5 KiB"]);
    }
}
