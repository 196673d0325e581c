//! Ways to make a file system smaller. For fields of the plan, the difference is exact: from a second layout with another
//! value. For store paths, it is the size that would leave the image with them.

use std::collections::BTreeMap;

use ext4_layout::{Layout, Options};
use image_explain::{BLOCK, FileSystem};
use image_tree::{PieceSource, to_u64};

use super::store_name;
use crate::human::counted;
use crate::parts::Volume;

/// The most store paths that are suggested.
const MOST_PATHS: usize = 6;
/// A density of inodes with almost no unused inodes.
const SPARSE: u64 = 64 << 20;

/// A way to make a file system smaller, and by how much.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saving {
    /// In \[bytes\].
    pub bytes: u64,
    /// The kind of change.
    pub way: Way,
    /// What to do, as text.
    pub what: String,
}

/// The kind of change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Remove all references to a store path, by its position.
    Path(usize),
    /// Keep one of several paths with equal contents.
    Equal(Vec<usize>),
    /// Keep one version of a name.
    Versions(Vec<usize>),
    /// Change fields of the plan.
    Fields(Vec<&'static str>),
}

/// All suggestions, the largest first.
pub(super) fn savings(volume: &Volume<'_>, explained: &FileSystem<'_>) -> Vec<Saving> {
    let mut savings = of_fields(&volume.scanned.planned.layout_options(), &volume.layout);
    savings.extend(of_paths(explained));
    savings.extend(of_equal_paths(explained));
    savings.extend(of_versions(explained));
    savings.retain(|saving| saving.bytes >= BLOCK);
    savings.sort_by_key(|saving| std::cmp::Reverse(saving.bytes));
    savings
}

fn of_paths(explained: &FileSystem<'_>) -> Vec<Saving> {
    let largest = explained.largest_exclusive().into_iter().take(MOST_PATHS);
    let saving = |path| {
        let name = store_name(explained, path);
        let what = match *explained.references.referrers(path) {
            [one] => format!("if {} did not refer to {name}", store_name(explained, one)),
            ref several => {
                format!("if nothing referred to {name} ({} now)", does(to_u64(several.len())))
            }
        };
        Saving { bytes: explained.store_paths[path].exclusive, way: Way::Path(path), what }
    };
    largest.map(saving).collect()
}

fn does(count: u64) -> String {
    format!("{} {}", counted(count, "path"), if count == 1 { "does" } else { "do" })
}

/// Paths with the same NAR hash: all except one could go.
fn of_equal_paths(explained: &FileSystem<'_>) -> Vec<Saving> {
    let saving = |paths: Vec<usize>| {
        let own = |path: &usize| explained.store_paths[*path].own;
        let all: u64 = paths.iter().map(own).sum();
        let names = listed(explained, &paths);
        let largest = paths.iter().map(own).max().expect("invariant: several paths are equal");
        Saving {
            bytes: all - largest,
            what: format!("with one path instead of {names} (equal contents)"),
            way: Way::Equal(paths),
        }
    };
    explained.equal_paths().into_iter().map(saving).collect()
}

/// Several versions of one name and output: all except the largest could go.
fn of_versions(explained: &FileSystem<'_>) -> Vec<Saving> {
    let mut versions: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for path in 0..explained.paths().len() {
        let name = explained.name(path);
        if !name.version.is_empty() {
            versions.entry((name.name, name.output)).or_default().push(path);
        }
    }
    let several = |paths: &Vec<usize>| {
        let mut names: Vec<&str> = paths.iter().map(|&path| explained.name(path).full).collect();
        names.dedup();
        names.len() > 1
    };
    let saving = |paths: Vec<usize>| {
        let own = |path: &usize| explained.store_paths[*path].own;
        let all: u64 = paths.iter().map(own).sum();
        let largest = paths.iter().map(own).max().expect("invariant: there are several versions");
        let names = listed(explained, &paths);
        Saving {
            bytes: all - largest,
            what: format!("with one version instead of {names}"),
            way: Way::Versions(paths),
        }
    };
    versions.into_values().filter(several).map(saving).collect()
}

/// The names of a few paths.
fn listed(explained: &FileSystem<'_>, paths: &[usize]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<String> = paths.iter().take(NAMED).map(|&path| store_name(explained, path)).collect();
    if paths.len() > NAMED {
        names.push(format!("{} more", paths.len() - NAMED));
    }
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) }
}

/// A field, its text, and the change of the options.
type Change = (&'static str, &'static str, fn(&mut Options));

/// Changes that make the file system smaller.
fn changes(options: &Options, layout: &Layout) -> Vec<Change> {
    if options.size.is_some() {
        return vec![("size", "size null: as large as needed", |options| {
            options.size = None;
        })];
    }
    let mut changes: Vec<Change> = Vec::new();
    if options.free_space > 0 {
        changes.push(("freeSpace", "freeSpace 0: no space for new data", |options| options.free_space = 0));
    }
    if layout.summary().journal_blocks > 0 {
        changes.push(("journalSize", "journalSize 0: no journal", |options| options.journal_size = Some(0)));
    }
    if options.grow_to.is_some() {
        changes.push(("growTo", "growTo null: no reserve for growth", |options| options.grow_to = None));
    }
    if options.bytes_per_inode < SPARSE {
        changes.push(("bytesPerInode", "bytesPerInode \"64MiB\": few free inodes", |options| {
            options.bytes_per_inode = SPARSE;
        }));
    }
    if options.free_inodes > 0 {
        changes.push(("freeInodes", "freeInodes 0: no new files", |options| options.free_inodes = 0));
    }
    changes
}

fn of_fields(options: &Options, layout: &Layout) -> Vec<Saving> {
    let changes = changes(options, layout);
    let saved = |changes: &[Change]| {
        let mut options = options.clone();
        for (_, _, change) in changes {
            change(&mut options);
        }
        let smaller = Layout::plan(layout.tree(), &options).ok()?;
        layout.len().checked_sub(smaller.len())
    };
    let mut savings: Vec<Saving> = Vec::new();
    let mut add = |changes: &[Change], what: String| {
        let fields = changes.iter().map(|&(field, _, _)| field).collect();
        savings.extend(saved(changes).map(|bytes| Saving { bytes, way: Way::Fields(fields), what }));
    };
    for change in &changes {
        add(std::slice::from_ref(change), change.1.to_owned());
    }
    if changes.len() > 1 {
        add(&changes, "all of these fields together".to_owned());
    }
    savings
}
