//! The group descriptors.

use zerocopy::{FromZeros, IntoBytes};

use crate::bitmaps::Fill;
use crate::checksum::Checksum;
use crate::geometry::Geometry;
use crate::inventory::Inventory;
use crate::ondisk::group_desc::{BLOCK_UNINIT, INODE_UNINIT, ITABLE_ZEROED, RawGroupDesc};
use crate::units::{BLOCK_BYTES, GroupNr, high16, high32, index, low16, low32};

/// All descriptors, as they stand in the primary table and in each backup.
pub(crate) fn describe(
    geometry: &Geometry,
    fill: &Fill,
    inventory: &Inventory,
    filesystem: Checksum,
) -> Vec<u8> {
    let directories = directories_by_group(geometry, inventory);
    let mut table = Vec::with_capacity(index(u64::from(geometry.groups) * 64));
    for (group, directories) in (0..geometry.groups).map(GroupNr).zip(directories) {
        let mut desc = descriptor(geometry, fill, group, directories, filesystem);
        let checksum = filesystem.over(&group.0.to_le_bytes()).over(desc.as_bytes());
        desc.bg_checksum = low16(checksum.value()).into();
        table.extend_from_slice(desc.as_bytes());
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
    geometry: &Geometry,
    fill: &Fill,
    group: GroupNr,
    directories: u32,
    filesystem: Checksum,
) -> RawGroupDesc {
    let mut desc = RawGroupDesc::new_zeroed();
    let mut flags = ITABLE_ZEROED;

    let block_bitmap = geometry.block_bitmap(group).0;
    desc.bg_block_bitmap_lo = low32(block_bitmap).into();
    desc.bg_block_bitmap_hi = high32(block_bitmap).into();
    if fill.is_block_bitmap_unwritten(geometry, group) {
        flags |= BLOCK_UNINIT;
    } else {
        let mut bitmap = [0; BLOCK_BYTES];
        fill.write_block_bitmap(geometry, group, &mut bitmap);
        let checksum = filesystem.over(&bitmap).value();
        desc.bg_block_bitmap_csum_lo = low16(checksum).into();
        desc.bg_block_bitmap_csum_hi = high16(checksum).into();
    }
    let free_blocks = low32(fill.free_blocks(geometry, group));
    desc.bg_free_blocks_count_lo = low16(free_blocks).into();
    desc.bg_free_blocks_count_hi = high16(free_blocks).into();

    let inode_bitmap = geometry.inode_bitmap(group).0;
    desc.bg_inode_bitmap_lo = low32(inode_bitmap).into();
    desc.bg_inode_bitmap_hi = high32(inode_bitmap).into();
    let inode_table = geometry.inode_table(group).0;
    desc.bg_inode_table_lo = low32(inode_table).into();
    desc.bg_inode_table_hi = high32(inode_table).into();
    let used = fill.inodes_in(geometry, group);
    if used == 0 {
        flags |= INODE_UNINIT;
    } else {
        let mut bitmap = [0; BLOCK_BYTES];
        fill.write_inode_bitmap(geometry, group, &mut bitmap);
        // Unlike that of blocks, this checksum ends with the group's inodes.
        let bytes = index(u64::from(geometry.inodes_per_group / 8));
        let checksum = filesystem.over(&bitmap[..bytes]).value();
        desc.bg_inode_bitmap_csum_lo = low16(checksum).into();
        desc.bg_inode_bitmap_csum_hi = high16(checksum).into();
    }
    let unused = geometry.inodes_per_group - used;
    desc.bg_free_inodes_count_lo = low16(unused).into();
    desc.bg_free_inodes_count_hi = high16(unused).into();
    desc.bg_itable_unused_lo = low16(unused).into();
    desc.bg_itable_unused_hi = high16(unused).into();
    desc.bg_used_dirs_count_lo = low16(directories).into();
    desc.bg_used_dirs_count_hi = high16(directories).into();
    desc.bg_flags = flags.into();
    desc
}
