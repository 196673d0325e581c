//! Hash trees: each belongs to one file system of the plan, and on a disk to one partition.

use std::collections::BTreeMap;

use crate::location::Place;
use crate::plan::{PartitionContent, Plan, VolumeRef};
use crate::problem::Log;

/// Reports trees without a file system, and file systems without a partition for their tree.
pub(super) fn check(plan: &Plan, log: &Log) {
    let Some(disk) = &plan.disk else { return };
    let disk_at = Place::PLAN.key("disk");
    let list_at = disk_at.key("partitions");
    let mut trees: BTreeMap<VolumeRef, usize> = BTreeMap::new();
    for (index, partition) in disk.partitions.iter().enumerate() {
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
