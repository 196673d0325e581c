//! An ext4 file system with its contents: the plan itself, or a partition of its disk.

use super::context::Context;
use super::{closure, contents, filesystem};
use crate::conflicts;
use crate::location::Place;
use crate::object::Object;
use crate::plan::VolumePlan;
use crate::problem::Log;

/// The file system that an object describes: the plan itself, or the content of the partition of a number.
pub(super) fn volume(
    object: &Object<'_>,
    at: &Place<'_>,
    partition: Option<usize>,
    context: Context<'_>,
    log: &Log,
) -> VolumePlan {
    let volume = VolumePlan {
        closure: object.read("closure", |value| closure::closure(value, context)),
        trees: object.read_or_default("trees", |value| Some(contents::trees(value, context))),
        entries: object.read_or_default("entries", |value| Some(contents::entries(value, context))),
        fstabs: object.read_or_default("entries", |value| Some(contents::fstabs(value))),
        attributes: object.read_or_default("attributes", |value| Some(contents::attributes(value))),
        selinux: object.read("selinux", |value| contents::selinux(value, context)),
        filesystem: object
            .read_or_default("filesystem", |value| filesystem::filesystem(value, partition, context)),
    };
    conflicts::check(&volume, at, log);
    volume
}
