//! The single files that a plan reads. Outputs must not replace them.

use std::collections::BTreeMap;
use std::path::Path;

use image_tree::ImagePath;
use snugfs_core::{PlannedVolume, boot_files, closure_files, planned_files, planned_volumes};
use snugfs_plan::{Entry, EntryKind, Location, Plan};

/// Every file of this machine that a plan reads, except what is in folders, with the field that names it.
pub(super) fn files(plan: &Plan) -> impl Iterator<Item = (Location, &Path)> {
    let of_disk = planned_files(plan).map(|(at, path)| (at.key("source"), path));
    let at = |index| Location::plan().key("variants").index(index);
    let variants = plan.variants.iter().enumerate();
    let of_variants = variants.flat_map(move |(index, variant)| of_entries(&variant.entries, &at(index)));
    let of_volumes = planned_volumes(plan).flat_map(|planned| of_volume(&planned));
    of_volumes.chain(of_disk).chain(boot_files(plan)).chain(of_variants)
}

fn of_volume<'p>(planned: &PlannedVolume<'p>) -> Vec<(Location, &'p Path)> {
    let mut files = closure_files(planned.plan, &planned.at);
    if let Some(record) = &planned.plan.filesystem.layout_like {
        files.push((planned.at.key("filesystem").key("layoutLike"), record));
    }
    if let Some(selinux) = &planned.plan.selinux {
        files.push((planned.at.key("selinux").key("fileContexts"), &selinux.file_contexts));
    }
    // Archives; no output is a folder.
    for (index, tree) in planned.plan.trees.iter().enumerate() {
        files.push((planned.at.key("trees").index(index).key("source"), &tree.source));
    }
    files.extend(of_entries(&planned.plan.entries, &planned.at));
    files
}

fn of_entries<'p>(
    entries: &'p BTreeMap<ImagePath, Entry>,
    at: &Location,
) -> impl Iterator<Item = (Location, &'p Path)> + use<'p> {
    let entries_at = at.key("entries");
    entries.iter().filter_map(move |(target, entry)| match &entry.kind {
        EntryKind::Source(source) => {
            let at = entries_at.key(String::from_utf8_lossy(target.as_bytes())).key("source");
            Some((at, source.as_path()))
        }
        _ => None,
    })
}
