//! Conflicts within a plan, found before any source is read: paths that would have to be a directory and something
//! else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use image_tree::ImagePath;

use crate::location::{Place, quoted};
use crate::plan::{ClosurePlan, Entry, EntryKind, TreePlan, VolumePlan};
use crate::problem::Log;

/// Reports the conflicts within the file system that the plan describes at `at`.
pub(crate) fn check(volume: &VolumePlan, at: &Place<'_>, log: &Log) {
    let leaves = Leaves::of(&volume.entries, at, log);
    let files = volume.closure.as_ref().map(ClosurePlan::files).unwrap_or_default();
    if let Some(closure) = &volume.closure {
        let field = if closure.place == closure.store_dir { "storeDir" } else { "place" };
        needs_directory(&at.key("closure").key(field), &closure.place, &leaves, &files, log);
    }
    for (index, file) in files.iter().enumerate() {
        check_file(*file, &files[..index], &volume.entries, &leaves, log);
    }
    check_trees(&volume.trees, &leaves, &files, log);
}

/// Reports entries below a file, in the file system at `at`.
pub(crate) fn check_entries(entries: &BTreeMap<ImagePath, Entry>, at: &Place<'_>, log: &Log) {
    Leaves::of(entries, at, log);
}

/// The entries that are not directories, except those below others. None is below another.
struct Leaves<'a> {
    /// Place of the volume in the plan.
    at: &'a Place<'a>,
    list: Vec<(&'a ImagePath, &'static str)>,
}

impl<'a> Leaves<'a> {
    /// Reports entries below one that is not a directory. The order of entries is that of the tree, so
    /// entries below another one follow it immediately.
    fn of(entries: &'a BTreeMap<ImagePath, Entry>, at: &'a Place<'a>, log: &Log) -> Self {
        let entries_at = at.key("entries");
        let mut leaves: Vec<(&ImagePath, &'static str)> = Vec::new();
        for (path, entry) in entries {
            match leaves.last() {
                Some((above, kind)) if path.starts_with(above) => {
                    log.add(&entries_at.key(&text(path)), || {
                        let what = format!("it lies below {}, which is {kind}", place_of(above, at));
                        (what, "make that a directory, or move one of the two".to_owned())
                    });
                }
                _ => leaves.extend(not_a_directory(entry).map(|kind| (path, kind))),
            }
        }
        Self { at, list: leaves }
    }

    /// The leaf at a path or above it. Only entries below it can come between it and the path, so it is
    /// the last one that is not after the path.
    fn on_the_way(&self, path: &ImagePath) -> Option<(&'a ImagePath, &'static str)> {
        let after = self.list.partition_point(|(leaf, _)| *leaf <= path);
        let last = self.list.get(after.checked_sub(1)?)?;
        path.starts_with(last.0).then_some(*last)
    }
}

/// A file that the closure adds, and the name of its field.
type ClosureFile<'a> = (&'a ImagePath, &'static str);

fn check_file(
    (target, field): ClosureFile<'_>,
    before: &[ClosureFile<'_>],
    entries: &BTreeMap<ImagePath, Entry>,
    leaves: &Leaves<'_>,
    log: &Log,
) {
    let closure_at = leaves.at.key("closure");
    let at = closure_at.key(field);
    let shown = quoted(&text(target));
    let help = || {
        let help = if field == "nixDatabase" {
            "move the other, or leave the database out"
        } else {
            "name another file, or write null for none"
        };
        help.to_owned()
    };
    if let Some((path, kind)) = leaves.on_the_way(target).filter(|(path, _)| *path != target) {
        log.add(&at, || {
            (format!("{shown} lies below {}, which is {kind}", place_of(path, leaves.at)), help())
        });
    }
    // The target itself, or the first entry below it.
    if let Some((path, _)) = entries.range(target..).next().filter(|(path, _)| path.starts_with(target)) {
        let what = if path == target { "is also" } else { "is a file, and below it is" };
        log.add(&at, || (format!("{shown} {what} {}", place_of(path, leaves.at)), help()));
    }
    for (other, of) in
        before.iter().filter(|(other, _)| other.starts_with(target) || target.starts_with(other))
    {
        log.add(&at, || {
            let other = quoted(&text(other));
            (format!("{shown} and {other} of {closure_at}.{of} can't both be files"), help())
        });
    }
}

fn check_trees(trees: &[TreePlan], leaves: &Leaves<'_>, files: &[ClosureFile<'_>], log: &Log) {
    let list = leaves.at.key("trees");
    for (index, tree) in trees.iter().enumerate() {
        let item = list.index(index);
        needs_directory(&item.key("target"), &tree.target, leaves, files, log);
    }
}

/// Reports a file at or above a path that must be a directory.
fn needs_directory(
    at: &Place<'_>,
    directory: &ImagePath,
    leaves: &Leaves<'_>,
    files: &[ClosureFile<'_>],
    log: &Log,
) {
    let shown = || quoted(&text(directory));
    let help = || "name another directory, or leave the other out".to_owned();
    if let Some((path, kind)) = leaves.on_the_way(directory) {
        log.add(at, || {
            (format!("{} must be a directory, but {} is {kind}", shown(), place_of(path, leaves.at)), help())
        });
    }
    if let Some((file, field)) = files.iter().find(|(file, _)| directory.starts_with(file)) {
        log.add(at, || {
            let what = format!("must be a directory, but {}.closure.{field} makes the file", leaves.at);
            (format!("{} {what} {}", shown(), quoted(&text(file))), help())
        });
    }
}

fn not_a_directory(entry: &Entry) -> Option<&'static str> {
    match entry.kind {
        EntryKind::Directory => None,
        EntryKind::Text(_) | EntryKind::Source(_) | EntryKind::Slot(_) => Some("a file"),
        EntryKind::Symlink(_) => Some("a symlink"),
        EntryKind::Character { .. } => Some("a character device"),
        EntryKind::Block { .. } => Some("a block device"),
        EntryKind::Fifo => Some("a fifo"),
    }
}

fn text(path: &ImagePath) -> Cow<'_, str> {
    String::from_utf8_lossy(path.as_bytes())
}

fn place_of(path: &ImagePath, volume: &Place<'_>) -> String {
    format!("{volume}.entries.{}", quoted(&text(path)))
}
