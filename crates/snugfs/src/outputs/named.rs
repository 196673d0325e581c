//! The single files that a plan names: what an output must not replace.

use std::path::Path;

use build_plan::{ClosureSource, EntryKind, PartitionContent, Plan, VolumePlan};

use crate::disk;

/// Every file of this machine that a plan reads, except folders and what is in them, with the field that names it.
pub(super) fn files(plan: &Plan) -> impl Iterator<Item = (String, &Path)> {
    let (root, others) = disk::file_systems(plan);
    let volumes = std::iter::once(root).chain(others);
    volumes.flat_map(|planned| of_volume(planned.volume, &planned.place)).chain(of_disk(plan))
}

fn of_volume<'p>(volume: &'p VolumePlan, place: &str) -> Vec<(String, &'p Path)> {
    let mut files = Vec::new();
    let mut add = |field: String, path: &'p Path| files.push((format!("{place}.{field}"), path));
    match volume.closure.as_ref().map(|closure| &closure.source) {
        Some(ClosureSource::Registration { registration, store_paths }) => {
            add("closure.registration".to_owned(), registration);
            if let Some(list) = store_paths {
                add("closure.storePaths".to_owned(), list);
            }
        }
        Some(ClosureSource::GraphFile(graph)) => add("closure.graph".to_owned(), graph),
        Some(ClosureSource::Graph(_)) | None => {}
    }
    for (target, entry) in &volume.entries {
        if let EntryKind::Source(source) = &entry.kind {
            add(format!("entries.\"{target}\".source"), source);
        }
    }
    files
}

fn of_disk(plan: &Plan) -> impl Iterator<Item = (String, &Path)> {
    let partitions = plan.disk.iter().flat_map(|disk| disk.partitions.iter().enumerate());
    let raw = partitions.filter_map(|(index, partition)| match &partition.content {
        PartitionContent::Raw(source) => {
            Some((format!("plan.disk.partitions[{index}].content.source"), source.as_path()))
        }
        _ => None,
    });
    let blobs = plan.disk.iter().flat_map(|disk| disk.blobs.iter().enumerate());
    raw.chain(blobs.map(|(index, blob)| (format!("plan.disk.blobs[{index}].source"), blob.source.as_path())))
}
