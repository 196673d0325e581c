//! Hash trees: each belongs to one file system of the plan, and on a disk to one partition. Nothing may change what they cover.

use std::collections::BTreeMap;

use crate::location::Place;
use crate::plan::{EntryKind, PartitionContent, Plan, VolumePlan, VolumeRef};
use crate::problem::Log;

/// Reports trees without a file system, and file systems without a partition for their tree.
pub(super) fn check(plan: &Plan, log: &Log) {
    check_slots(&plan.root, &Place::PLAN, log);
    let partitions = plan.disk.iter().flat_map(|disk| &disk.partitions);
    let has_tree = plan.root.filesystem.verity.is_some()
        || partitions.into_iter().any(|partition| {
            matches!(&partition.content, PartitionContent::Ext4(volume) if volume.filesystem.verity.is_some())
        });
    if has_tree && !plan.variants.is_empty() {
        log.add(&Place::PLAN.key("variants"), || {
            let what = "variants of an image with a hash tree can't be written".to_owned();
            (what, "write a plan for each, or leave out \"verity\"".to_owned())
        });
    }
    let Some(disk) = &plan.disk else { return };
    let disk_at = Place::PLAN.key("disk");
    let list_at = disk_at.key("partitions");
    let mut trees: BTreeMap<VolumeRef, usize> = BTreeMap::new();
    for (index, partition) in disk.partitions.iter().enumerate() {
        if let PartitionContent::Ext4(volume) = &partition.content {
            check_slots(volume, &list_at.index(index).key("content"), log);
        }
        let PartitionContent::Verity(of) = partition.content else { continue };
        // The partition of the root has two names.
        let is_root = matches!(of, VolumeRef::Partition(other)
            if disk.partitions.get(other).is_some_and(|other| other.content == PartitionContent::Root));
        let of = if is_root { VolumeRef::Root } else { of };
        let partition_at = list_at.index(index);
        let content_at = partition_at.key("content");
        let at = content_at.key("of");
        match plan.filesystem(of) {
            Some(filesystem) if filesystem.verity.is_some() => {}
            Some(_) => log.add(&at, || {
                let what = "this file system has no hash tree".to_owned();
                (what, "write \"verity\": true in its \"filesystem\"".to_owned())
            }),
            None => log.add(&at, || {
                let what = format!("partitions[{of}] is no ext4 file system of the plan");
                (what, "write \"root\", or the index of a partition with one".to_owned())
            }),
        }
        if let Some(other) = trees.insert(of, index) {
            log.add(&at, || {
                let what = format!("partitions[{other}] has the tree of this file system already");
                (what, "leave one of the two out".to_owned())
            });
        }
    }
    let partitions = disk.partitions.iter().enumerate().map(|(index, partition)| match &partition.content {
        PartitionContent::Root => (index, Some((VolumeRef::Root, &plan.root.filesystem))),
        PartitionContent::Ext4(volume) => (index, Some((VolumeRef::Partition(index), &volume.filesystem))),
        _ => (index, None),
    });
    for (index, found) in partitions {
        let Some((of, filesystem)) = found else { continue };
        if filesystem.verity.is_some() && !trees.contains_key(&of) {
            log.add(&list_at.index(index), || {
                let of = if of == VolumeRef::Root { "\"root\"".to_owned() } else { of.to_string() };
                let what =
                    "its file system has a hash tree, but the disk has no partition for that".to_owned();
                (what, format!("add one with \"content\": {{ \"kind\": \"verity\", \"of\": {of} }}"))
            });
        }
    }
}

/// Reports slots that a stamp could not fill without breaking the hash tree.
fn check_slots(volume: &VolumePlan, at: &Place<'_>, log: &Log) {
    if volume.filesystem.verity.is_none() {
        return;
    }
    for (path, _) in volume.entries.iter().filter(|(_, entry)| matches!(entry.kind, EntryKind::Slot(_))) {
        let path = String::from_utf8_lossy(path.as_bytes());
        log.add(&at.key("entries").key(&path).key("slot"), || {
            let what = "a stamp would break the hash tree of this file system".to_owned();
            (what, "put the slot into another partition, or leave out \"verity\"".to_owned())
        });
    }
}
