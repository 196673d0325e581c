//! The group descriptors.

use ext4_ondisk::group::{BLOCK_UNINIT, INODE_UNINIT, ITABLE_ZEROED};
use ext4_ondisk::{Checksum, GroupDescriptor, group};
use zerocopy::{FromZeros, IntoBytes};

use crate::bitmaps::Fill;
use crate::dataspace::DataSpace;
use crate::geometry::Geometry;
use crate::inventory::Inventory;
use crate::numbering::Numbering;
use crate::units::{BLOCK_BYTES, GroupNr, index, narrow};

/// All descriptors, as in the primary table and in each backup.
pub(crate) fn describe(
    geometry: &Geometry,
    space: &DataSpace,
    fill: &Fill,
    inventory: &Inventory,
    filesystem: Option<Checksum>,
) -> Vec<u8> {
    let directories = directories_by_group(geometry, inventory);
    let size = if filesystem.is_some() { group::SIZE } else { group::SHORT_SIZE };
    let mut table = Vec::with_capacity(index(u64::from(geometry.groups) * u64::from(size)));
    for (group, directories) in (0..geometry.groups).map(GroupNr).zip(directories) {
        let mut desc =
            descriptor((geometry, space), (fill, &inventory.numbering), group, directories, filesystem);
        if let Some(filesystem) = filesystem {
            desc.bg_checksum = desc.computed_checksum(filesystem, group.0).into();
        }
        table.extend_from_slice(&desc.as_bytes()[..usize::from(size)]);
    }
    table
}

fn directories_by_group(geometry: &Geometry, inventory: &Inventory) -> Vec<u32> {
    let mut counts = vec![0_u32; index(u64::from(geometry.groups))];
    for record in &inventory.directories {
        let group = (record.slot.inode().0 - 1) / geometry.inodes_per_group;
        counts[index(u64::from(group))] += 1;
    }
    counts
}

fn descriptor(
    (geometry, space): (&Geometry, &DataSpace),
    (fill, numbering): (&Fill, &Numbering),
    group: GroupNr,
    directories: u32,
    filesystem: Option<Checksum>,
) -> GroupDescriptor {
    let mut desc = GroupDescriptor::new_zeroed();
    let mut flags = ITABLE_ZEROED;

    desc.set_block_bitmap(geometry.block_bitmap(group).0);
    if fill.is_block_bitmap_unwritten(geometry, space, group) {
        flags |= BLOCK_UNINIT;
    } else {
        let mut bitmap = [0; BLOCK_BYTES];
        fill.write_block_bitmap(geometry, space, group, &mut bitmap);
        if let Some(filesystem) = filesystem {
            desc.set_block_bitmap_checksum(filesystem, &bitmap);
        }
    }
    desc.set_free_blocks_count(narrow(fill.free_blocks(geometry, space, group), "a group has 32,768 blocks"));

    desc.set_inode_bitmap(geometry.inode_bitmap(group).0);
    desc.set_inode_table(geometry.inode_table(group).0);
    let inodes = fill.inodes_in(group);
    if fill.is_inode_bitmap_unwritten(group) {
        flags |= INODE_UNINIT;
    } else {
        let mut bitmap = [0; BLOCK_BYTES];
        fill.write_inode_bitmap(geometry, group, numbering, &mut bitmap);
        let bytes = index(u64::from(geometry.inodes_per_group / 8));
        if let Some(filesystem) = filesystem {
            desc.set_inode_bitmap_checksum(filesystem, &bitmap[..bytes]);
        }
    }
    desc.set_free_inodes_count(geometry.inodes_per_group - inodes.used);
    // Only checksums of the descriptors give this field a meaning.
    if filesystem.is_some() {
        desc.set_itable_unused(geometry.inodes_per_group - inodes.end);
    }
    desc.set_used_dirs_count(directories);
    desc.bg_flags = flags.into();
    desc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn directories_are_counted_in_the_group_of_their_inode() {
        let mut tree = image_tree::TreeBuilder::new();
        tree.lost_found().unwrap();
        for number in 10..32 {
            tree.directory(format!("/{number}")).unwrap();
        }
        let inventory = Inventory::of(&tree.finish().unwrap(), &Options::default(), None).unwrap();
        let geometry = Geometry {
            blocks: 100_000,
            groups: 4,
            inodes_per_group: 16,
            gdt: 1,
            reserved_gdt: 0,
            journal: 0,
        };
        // The root is inode 2, lost+found 11, and the others are 12 to 33.
        assert_eq!(directories_by_group(&geometry, &inventory), [7, 16, 1, 0]);
    }
}
