//! The single files that a plan reads. Outputs must not replace them.

use std::path::Path;

use snugfs_core::{PlannedVolume, boot_files, closure_files, planned_files, planned_volumes};
use snugfs_plan::{EntryKind, Location, Plan};

/// Every file of this machine that a plan reads, except what is in folders, with the field that names it.
pub(super) fn files(plan: &Plan) -> impl Iterator<Item = (Location, &Path)> {
    let of_disk = planned_files(plan).map(|(at, path)| (at.key("source"), path));
    planned_volumes(plan).flat_map(|planned| of_volume(&planned)).chain(of_disk).chain(boot_files(plan))
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
    for (target, entry) in &planned.plan.entries {
        if let EntryKind::Source(source) = &entry.kind {
            let entry = planned.at.key("entries").key(String::from_utf8_lossy(target.as_bytes()));
            files.push((entry.key("source"), source));
        }
    }
    files
}
