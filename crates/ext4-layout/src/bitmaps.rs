//! Block and inode bitmaps. They follow from the used parts of data space and the used inodes.

use std::ops::Range;

use crate::Compatibility;
use crate::dataspace::DataSpace;
use crate::geometry::Geometry;
use crate::numbering::Numbering;
use crate::placement::Placement;
use crate::units::{BLOCKS_PER_GROUP, BlockNr, DataNr, GroupNr, InodeNr, clamp, index, narrow};

/// The used part of a file system.
#[derive(Clone, Debug)]
pub(crate) struct Fill {
    /// The used parts of data space, as in [`Placement::used`].
    used: Vec<Range<u64>>,
    /// By group.
    inodes: Vec<GroupInodes>,
    /// Whether bitmaps that the kernel can compute are not written. Without checksums of the descriptors, the kernel reads all of
    /// them.
    skips_bitmaps: bool,
}

/// The used inodes of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupInodes {
    /// Number of used inodes.
    pub(crate) used: u32,
    /// Number of inodes up to the last used one.
    pub(crate) end: u32,
}

impl Fill {
    pub(crate) fn of(
        geometry: &Geometry,
        numbering: &Numbering,
        placement: &Placement,
        compatibility: Compatibility,
    ) -> Self {
        let per_group = u64::from(geometry.inodes_per_group);
        let mut inodes = vec![GroupInodes::default(); index(u64::from(geometry.groups))];
        for (group, first) in inodes.iter_mut().zip((0_u64..).map(|group| group * per_group)) {
            for at in first..numbering.last().min(first + per_group) {
                if numbering.is_used(InodeNr(narrow(at + 1, "inodes have 32 bits"))) {
                    group.used += 1;
                    group.end = narrow(at - first + 1, "a group has less than 2^32 inodes");
                }
            }
        }
        Self { used: placement.used.clone(), inodes, skips_bitmaps: compatibility.has_checksums() }
    }

    /// The used parts of a group's data space, and that itself.
    fn data_of(&self, geometry: &Geometry, space: &DataSpace, group: GroupNr) -> (&[Range<u64>], Range<u64>) {
        let range = geometry.group_range(group);
        let data = space.before(BlockNr(range.start))..space.before(BlockNr(range.end));
        let from = self.used.partition_point(|used| used.end <= data.start);
        let to = self.used.partition_point(|used| used.start < data.end);
        (self.used.get(from..to).unwrap_or_default(), data)
    }

    /// Number of free blocks in a group.
    pub(crate) fn free_blocks(&self, geometry: &Geometry, space: &DataSpace, group: GroupNr) -> u64 {
        let (used, data) = self.data_of(geometry, space, group);
        let blocks = |range: Range<u64>| range.end - range.start;
        let used: u64 = used.iter().map(|range| blocks(clamp(range, &data))).sum();
        blocks(data) - used
    }

    /// Whether a group has only its own fixed metadata, so that the kernel can compute its bitmap without
    /// reading it. Never set for the last group (e2fsck, `PR_0_BB_UNINIT_LAST`) and for groups with tables.
    pub(crate) fn is_block_bitmap_unwritten(
        &self,
        geometry: &Geometry,
        space: &DataSpace,
        group: GroupNr,
    ) -> bool {
        let holds_tables = group.0.is_multiple_of(crate::geometry::GROUPS_PER_FLEX);
        let is_used = !self.data_of(geometry, space, group).0.is_empty();
        self.skips_bitmaps && !is_used && !holds_tables && group.0 + 1 < geometry.groups
    }

    /// Whether a group has no inode in use, and its inode bitmap is not written.
    pub(crate) fn is_inode_bitmap_unwritten(&self, group: GroupNr) -> bool {
        self.skips_bitmaps && self.inodes_in(group).used == 0
    }

    /// The used inodes of a group.
    pub(crate) fn inodes_in(&self, group: GroupNr) -> GroupInodes {
        self.inodes.get(index(u64::from(group.0))).copied().unwrap_or_default()
    }

    /// Writes a group's block bitmap. `out` is zero and a block long. Bits past the end of the file system are set.
    pub(crate) fn write_block_bitmap(
        &self,
        geometry: &Geometry,
        space: &DataSpace,
        group: GroupNr,
        out: &mut [u8],
    ) {
        let range = geometry.group_range(group);
        let start = range.start;
        let (used, data) = self.data_of(geometry, space, group);
        for part in used.iter().map(|part| clamp(part, &data)) {
            for run in space.runs(DataNr(part.start), part.end - part.start) {
                set_bits(out, run.start.0 - start, run.start.0 + run.len - start);
            }
        }
        let island = clamp(&geometry.island(group), &range);
        set_bits(out, island.start - start, island.end - start);
        set_bits(out, range.end - start, BLOCKS_PER_GROUP);
    }

    /// Writes a group's inode bitmap. `out` is zero and a block long. Bits past the group's inodes are set.
    pub(crate) fn write_inode_bitmap(
        &self,
        geometry: &Geometry,
        group: GroupNr,
        numbering: &Numbering,
        out: &mut [u8],
    ) {
        let GroupInodes { used, end } = self.inodes_in(group);
        if used == end {
            set_bits(out, 0, u64::from(used));
        } else {
            let first = group.0 * geometry.inodes_per_group;
            for at in (0..end).filter(|&at| numbering.is_used(InodeNr(first + at + 1))) {
                set_bits(out, u64::from(at), u64::from(at) + 1);
            }
        }
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
    use crate::Options;
    use crate::inventory::Inventory;
    use crate::previous::{Place, Previous, Recorded};

    /// 20 groups; the last one has 100 blocks. Groups 0 and 16 have tables, groups 1, 3, 5, 7 and 9 copies of the superblock.
    fn geometry() -> Geometry {
        Geometry {
            blocks: 19 * BLOCKS_PER_GROUP + 100,
            groups: 20,
            inodes_per_group: 32,
            gdt: 1,
            reserved_gdt: 3,
            journal: 0,
        }
    }

    /// What is used: these parts of the blocks on disk, from the start to before the end.
    fn fill(space: &DataSpace, blocks: &[Range<u64>], skips_bitmaps: bool) -> Fill {
        let data = |block| space.before(BlockNr(block));
        let used = blocks.iter().map(|range| data(range.start)..data(range.end)).collect();
        Fill { used, inodes: Vec::new(), skips_bitmaps }
    }

    #[test]
    fn a_block_is_free_if_it_is_neither_metadata_nor_used() {
        let geometry = geometry();
        let space = DataSpace::of(&geometry);
        let start = |group: u64| group * BLOCKS_PER_GROUP;
        let used = [500..600, start(1) - 10..start(1) + 50, start(4) - 3..start(4) + 3, start(6)..start(7)];
        let fill = fill(&space, &used, true);
        for group in (0..20).map(GroupNr) {
            let range = geometry.group_range(group);
            let mut bitmap = vec![0; 4096];
            fill.write_block_bitmap(&geometry, &space, group, &mut bitmap);
            let is_set = |bit: u64| bitmap[index(bit / 8)] >> (bit % 8) & 1 == 1;
            let is_metadata = |block| geometry.island(group).contains(&block);
            let is_used = |block| is_metadata(block) || used.iter().any(|range| range.contains(&block));
            for block in range.clone() {
                assert_eq!(is_set(block - range.start), is_used(block), "block {block} of {group:?}");
            }
            assert!((range.end - range.start..BLOCKS_PER_GROUP).all(is_set), "no blocks are after the end");
            let free = range.filter(|&block| !is_used(block)).count();
            assert_eq!(fill.free_blocks(&geometry, &space, group), crate::units::wide(free), "{group:?}");
        }
    }

    #[test]
    fn a_bitmap_is_not_written_for_a_group_with_nothing_but_its_own_metadata() {
        let geometry = geometry();
        let space = DataSpace::of(&geometry);
        let start = |group: u64| group * BLOCKS_PER_GROUP;
        // Up to the end of group 3; all of group 7, one block of group 9, the first one of group 11, the last one of group 13.
        let used = [
            start(2)..start(4),
            start(7) + 5..start(8),
            start(9) + 700..start(9) + 701,
            start(11)..start(11) + 1,
            start(14) - 1..start(14),
        ];
        let unwritten = |skips_bitmaps| {
            let fill = fill(&space, &used, skips_bitmaps);
            let is_unwritten =
                |&group: &u32| fill.is_block_bitmap_unwritten(&geometry, &space, GroupNr(group));
            (0..20).filter(is_unwritten).collect::<Vec<_>>()
        };
        // Groups 0 and 16 have tables, and the last group always has a bitmap.
        assert_eq!(unwritten(true), [1, 4, 5, 6, 8, 10, 12, 14, 15, 17, 18]);
        assert_eq!(unwritten(false), []);
    }

    #[test]
    fn used_inodes_are_counted_and_marked_by_group() {
        let mut tree = image_tree::TreeBuilder::new();
        tree.lost_found().unwrap();
        for number in 10..40 {
            tree.file(format!("/{number}"), "").unwrap();
        }
        let (tree, options) = (tree.finish().unwrap(), Options::default());
        let inventory = Inventory::of(&tree, &options, None).unwrap();
        let geometry = geometry();
        let space = DataSpace::of(&geometry);
        let placement = Placement::of(&inventory, &geometry, &space);
        let fill = Fill::of(&geometry, &inventory.numbering, &placement, options.compatibility);
        // Eleven and 30 inodes: 32 in the first group, nine in the second.
        let counts: Vec<_> = (0..3)
            .map(|group| fill.inodes_in(GroupNr(group)))
            .map(|inodes| (inodes.used, inodes.end))
            .collect();
        assert_eq!(counts, [(32, 32), (9, 9), (0, 0)]);
        let unwritten: Vec<_> = (0..3).map(|group| fill.is_inode_bitmap_unwritten(GroupNr(group))).collect();
        assert_eq!(unwritten, [false, false, true]);
        let bitmap = |fill: &Fill, inventory: &Inventory, group| {
            let mut bitmap = vec![0; 4096];
            fill.write_inode_bitmap(&geometry, GroupNr(group), &inventory.numbering, &mut bitmap);
            assert!(bitmap[4..].iter().all(|&byte| byte == 0xff), "no inodes are after the 32");
            [bitmap[0], bitmap[1], bitmap[2], bitmap[3]]
        };
        assert_eq!(bitmap(&fill, &inventory, 0), [0xff; 4]);
        assert_eq!(bitmap(&fill, &inventory, 1), [0xff, 1, 0, 0]);
        assert_eq!(bitmap(&fill, &inventory, 2), [0; 4]);
        // The first two files keep inodes of the second group: 33 to 39 are of other files, 40 to 42 and 44 are free.
        let recorded = Recorded {
            blocks: geometry.blocks,
            groups: geometry.groups,
            inodes_per_group: geometry.inodes_per_group,
            reserved_gdt_blocks: geometry.reserved_gdt,
            journal_blocks: geometry.journal,
            compatibility: options.compatibility,
        };
        let places = [None, Some(Place::new(43, 0, 0)), Some(Place::new(45, 0, 0))];
        let previous = Previous::new(recorded, places.to_vec(), 0).unwrap();
        let inventory = Inventory::of(&tree, &options, Some(&previous)).unwrap();
        let fill = Fill::of(&geometry, &inventory.numbering, &placement, options.compatibility);
        let inodes = fill.inodes_in(GroupNr(1));
        assert_eq!((inodes.used, inodes.end), (9, 13));
        assert_eq!(bitmap(&fill, &inventory, 1), [0b111_1111, 0b1_0100, 0, 0]);
        let legacy = Fill::of(&geometry, &inventory.numbering, &placement, Compatibility::Legacy);
        assert!(!legacy.is_inode_bitmap_unwritten(GroupNr(2)), "old kernels read all bitmaps");
    }

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
