//! The text of entries with the type `fstab`: a line for each partition that has a mount or a swap area.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use disk_layout::Disk;
use image_tree::{ImagePath, Uuid};
use snugfs_plan::{
    Entry, EntryKind, FilesystemPlan, FstabTag, Location, PartitionContent, PartitionPlan, Plan, VolumePlan,
};

use crate::failure::{Failure, FailureKind};
use crate::{boot, parts, prepare, verity};

/// A file system that is mounted, or a swap area.
struct Mount<'p> {
    partition: usize,
    /// `None` for a swap area.
    path: Option<&'p ImagePath>,
    kind: &'static str,
    options: Cow<'p, str>,
    label: String,
    uuid: String,
    part_uuid: String,
    /// Whether `part_uuid` will be another one, once the root hash is known.
    has_guid_of_root_hash: bool,
}

/// The type of swap areas in an fstab.
const SWAP: &str = "swap";

impl Mount<'_> {
    fn what(&self) -> &'static str {
        if self.path.is_some() { "file system" } else { "swap area" }
    }
}

/// The entries of a file system at `volume`, with the text of each fstab.
pub(crate) fn entries<'p>(
    plan: &Plan,
    of: &'p VolumePlan,
    volume: &Location,
) -> Result<Cow<'p, BTreeMap<ImagePath, Entry>>, Failure> {
    if of.fstabs.is_empty() {
        return Ok(Cow::Borrowed(&of.entries));
    }
    let mut entries = of.entries.clone();
    for (path, tag) in &of.fstabs {
        let at = volume.key("entries").key(String::from_utf8_lossy(path.as_bytes()));
        let text = text(plan, *tag, &at)?;
        if let Some(entry) = entries.get_mut(path) {
            entry.kind = EntryKind::Text(text.into_bytes());
        }
    }
    Ok(Cow::Owned(entries))
}

fn text(plan: &Plan, tag: FstabTag, at: &Location) -> Result<String, Failure> {
    let failed = |what: String, help: &str| Failure::new(FailureKind::Plan, at, what, help);
    let mut mounts = mounts(plan);
    if mounts.is_empty() {
        return Err(failed("the image has no partitions to mount".to_owned(), "add \"disk\""));
    }
    // A directory is mounted before those in it. Swap comes last.
    mounts.sort_by_key(|mount| {
        (mount.path.is_none(), mount.path.map(|path| path.parts().count()), mount.partition)
    });
    let mut text = String::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for mount in &mounts {
        let number = mount.partition + 1;
        let tag = match tag {
            FstabTag::Uuid => format!("UUID={}", mount.uuid),
            // Linux and libblkid give partitions of a disk without an identifier no PARTUUID.
            FstabTag::PartUuid if mount.part_uuid.starts_with("00000000-") && mount.part_uuid.len() < 12 => {
                let help = "set plan.disk.id to another number, or write \"by\": \"uuid\"";
                return Err(failed(
                    "the disk has the identifier 0, so its partitions have no PARTUUID".to_owned(),
                    help,
                ));
            }
            FstabTag::PartUuid if mount.has_guid_of_root_hash => {
                let what = format!(
                    "the PARTUUID of partition {number} is half of its root hash, which is not known yet"
                );
                return Err(failed(what, "give the partition a \"guid\", or write \"by\": \"uuid\""));
            }
            FstabTag::PartUuid => format!("PARTUUID={}", mount.part_uuid),
            FstabTag::Label if mount.label.is_empty() => {
                let help = "add a label, or write \"by\": \"uuid\"";
                return Err(failed(format!("the {} of partition {number} has no label", mount.what()), help));
            }
            // libblkid leaves out spaces at the end, and libmount quotes.
            FstabTag::Label
                if mount.label.ends_with(char::is_whitespace) || mount.label.contains(['"', '\'']) =>
            {
                let what = format!(
                    "the label of partition {number} ends with a space or has quotes, and can't be found by it"
                );
                return Err(failed(what, "choose another label, or write \"by\": \"uuid\""));
            }
            FstabTag::Label => format!("LABEL={}", mount.label),
        };
        if let Some(other) = seen.insert(tag.clone(), number) {
            let what = format!("partitions {other} and {number} have the same {tag}");
            return Err(failed(what, "give each its own, or write another \"by\""));
        }
        let Some(path) = mount.path else {
            let _ = writeln!(text, "{} none {} {} 0 0", escaped(&tag), mount.kind, mount.options);
            continue;
        };
        if let Some(other) =
            mounts.iter().find(|other| other.path == mount.path && other.partition != mount.partition)
        {
            let other = other.partition + 1;
            return Err(failed(
                format!("partitions {number} and {other} are both mounted at {path}"),
                "change one",
            ));
        }
        // fsck checks the root first.
        let pass = if path.is_root() { 1 } else { 2 };
        let path = escaped(&String::from_utf8_lossy(path.as_bytes()));
        let _ = writeln!(text, "{} {path} {} {} 0 {pass}", escaped(&tag), mount.kind, mount.options);
    }
    Ok(text)
}

fn mounts(plan: &Plan) -> Vec<Mount<'_>> {
    let Some(disk) = &plan.disk else { return Vec::new() };
    let part_uuids = Disk::partition_uuids(&prepare::table_of(plan, disk));
    parts::partitions(plan)
        .zip(part_uuids)
        .filter_map(|((partition, planned), part_uuid)| mount(plan, partition, planned, part_uuid))
        .collect()
}

fn mount<'p>(
    plan: &'p Plan,
    partition: usize,
    planned: &'p PartitionPlan,
    part_uuid: String,
) -> Option<Mount<'p>> {
    let path = planned.mount.as_ref();
    let ext4 = |plan: &FilesystemPlan| {
        let label = String::from_utf8_lossy(&plan.label).into_owned();
        ("ext4", label, Uuid(plan.uuid).to_string(), plan.sealed)
    };
    let (kind, label, uuid, sealed) = match &planned.content {
        PartitionContent::Root => ext4(&plan.root.filesystem),
        PartitionContent::Ext4(volume) => ext4(&volume.filesystem),
        PartitionContent::Fat(fat) => {
            let (label, uuid) = boot::fat_names(plan, fat, partition);
            ("vfat", label, uuid, false)
        }
        PartitionContent::Swap(swap) => {
            let label = String::from_utf8_lossy(&swap.label).into_owned();
            (SWAP, label, Uuid(parts::swap_uuid(plan, swap, partition)).to_string(), false)
        }
        PartitionContent::Empty | PartitionContent::Raw(_) | PartitionContent::Verity(_) => return None,
    };
    if path.is_none() && kind != SWAP {
        return None;
    }
    let options = planned.mount_options.as_deref();
    let options = Cow::Borrowed(options.unwrap_or(if sealed { "ro" } else { "defaults" }));
    let has_guid_of_root_hash = verity::has_late_guid(plan, planned);
    Some(Mount { partition, path, kind, options, label, uuid, part_uuid, has_guid_of_root_hash })
}

/// A field of an fstab: white space and backslashes as octal numbers (`fstab(5)`).
fn escaped(field: &str) -> String {
    let mut text = String::new();
    for character in field.chars() {
        match character {
            ' ' | '\t' | '\n' | '\\' | '#' => {
                let _ = write!(text, "\\{:03o}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn white_space_is_escaped() {
        assert_eq!(escaped("LABEL=a b\\#\t"), "LABEL=a\\040b\\134\\043\\011");
    }
}
