//! Block and inode bitmaps. They follow from the used length of data space and the last used inode.

use crate::geometry::Geometry;
use crate::units::{BLOCKS_PER_GROUP, BlockNr, GroupNr, clamp, index, narrow};

/// The used part of a file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    /// All blocks before this one are used. From here, only fixed metadata is used.
    pub(crate) used_until: BlockNr,
    /// Inodes 1 to this one are used.
    pub(crate) used_inodes: u64,
}

impl Fill {
    /// Number of free blocks in a group.
    pub(crate) fn free_blocks(&self, geometry: &Geometry, group: GroupNr) -> u64 {
        let range = geometry.group_range(group);
        let rest = range.start.max(self.used_until.0).min(range.end)..range.end;
        let island = clamp(&clamp(&geometry.island(group), &range), &rest);
        (rest.end - rest.start) - (island.end - island.start)
    }

    /// Whether a group has only its own fixed metadata, so that the kernel can compute its bitmap without
    /// reading it. Never set for the last group (e2fsck, `PR_0_BB_UNINIT_LAST`) and for groups with tables.
    pub(crate) fn is_block_bitmap_unwritten(&self, geometry: &Geometry, group: GroupNr) -> bool {
        let start = group.first_block();
        let holds_tables = group.0.is_multiple_of(crate::geometry::GROUPS_PER_FLEX);
        self.used_until <= start && !holds_tables && group.0 + 1 < geometry.groups
    }

    /// Number of used inodes in a group, which are its first ones.
    pub(crate) fn inodes_in(&self, geometry: &Geometry, group: GroupNr) -> u32 {
        let per_group = u64::from(geometry.inodes_per_group);
        let before = u64::from(group.0) * per_group;
        narrow(self.used_inodes.saturating_sub(before).min(per_group), "a group has less than 2^32 inodes")
    }

    /// Writes a group's block bitmap. `out` is zero and a block long. Bits past the end of the file system are set.
    pub(crate) fn write_block_bitmap(&self, geometry: &Geometry, group: GroupNr, out: &mut [u8]) {
        let range = geometry.group_range(group);
        let start = range.start;
        set_bits(out, 0, self.used_until.0.clamp(range.start, range.end) - start);
        let island = clamp(&geometry.island(group), &range);
        set_bits(out, island.start - start, island.end - start);
        set_bits(out, range.end - start, BLOCKS_PER_GROUP);
    }

    /// Writes a group's inode bitmap. `out` is zero and a block long. Bits past the group's inodes are set.
    pub(crate) fn write_inode_bitmap(&self, geometry: &Geometry, group: GroupNr, out: &mut [u8]) {
        set_bits(out, 0, u64::from(self.inodes_in(geometry, group)));
        set_bits(out, u64::from(geometry.inodes_per_group), BLOCKS_PER_GROUP);
    }
}

fn set_bits(bitmap: &mut [u8], from: u64, to: u64) {
    let mut at = from;
    while at < to {
        let byte = &mut bitmap[index(at / 8)];
        if at.is_multiple_of(8) && to - at >= 8 {
            *byte = 0xff;
            at += 8;
        } else {
            *byte |= 1 << (at % 8);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_from_one_to_before_the_other() {
        for (from, to) in [(0, 0), (0, 8), (3, 5), (3, 17), (0, 64), (63, 64)] {
            let mut bitmap = [0; 8];
            set_bits(&mut bitmap, from, to);
            for bit in 0..64 {
                let set = bitmap[index(bit / 8)] >> (bit % 8) & 1 == 1;
                assert_eq!(set, (from..to).contains(&bit), "bit {bit} of {from}..{to}");
            }
        }
    }
}
