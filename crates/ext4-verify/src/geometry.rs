//! Which blocks are fixed metadata, by the rules of `sparse_super` and `flex_bg`. Kernel documentation, "Layout" and
//! "Flexible Block Groups".

use std::ops::Range;

use crate::numbers::to_u32;

/// The block size in \[bytes\].
pub(crate) const BLOCK: u64 = 4096;
/// The same as a length in memory.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Blocks in a group.
pub(crate) const GROUP_BLOCKS: u64 = 32768;
/// Groups whose bitmaps and tables are together.
const FLEX: u32 = 16;

/// The numbers that decide where the fixed metadata is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) blocks: u64,
    pub(crate) groups: u32,
    pub(crate) inodes_per_group: u32,
    /// Blocks of descriptors.
    pub(crate) gdt: u64,
    /// Blocks kept for more of them.
    pub(crate) reserved_gdt: u64,
    /// Whether there are no checksums and no high halves of block numbers: neither of the features `metadata_csum` and `64bit`.
    pub(crate) is_legacy: bool,
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "`Geometry::new` bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
impl Geometry {
    /// `None` where the numbers can't be: every group must have some inodes in whole blocks of 16, and the first one
    /// must hold all descriptors.
    pub(crate) fn new(
        blocks: u64,
        inodes_per_group: u32,
        reserved_gdt: u16,
        is_legacy: bool,
    ) -> Option<Self> {
        let groups = u32::try_from(blocks.div_ceil(GROUP_BLOCKS)).ok().filter(|&groups| groups > 0)?;
        let inodes = u64::from(groups) * u64::from(inodes_per_group);
        let geometry = Self {
            blocks,
            groups,
            inodes_per_group,
            gdt: u64::from(groups).div_ceil(BLOCK / if is_legacy { 32 } else { 64 }),
            reserved_gdt: u64::from(reserved_gdt),
            is_legacy,
        };
        let fits = (16..=32768).contains(&inodes_per_group)
            && inodes_per_group.is_multiple_of(16)
            && u32::try_from(inodes).is_ok()
            && reserved_gdt <= 1024
            && geometry.super_blocks() < blocks.min(GROUP_BLOCKS)
            && !(is_legacy && blocks > u64::from(u32::MAX));
        fits.then_some(geometry)
    }

    /// Size of a group descriptor in \[bytes\].
    pub(crate) fn descriptor_bytes(&self) -> usize {
        if self.is_legacy { 32 } else { 64 }
    }

    /// What a block of a directory has for entries, in \[bytes\]: all but the twelve of its checksum.
    pub(crate) fn entry_bytes(&self) -> usize {
        if self.is_legacy { BLOCK_BYTES } else { BLOCK_BYTES - 12 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(BLOCK)
    }

    pub(crate) fn inodes(&self) -> u64 {
        u64::from(self.groups) * u64::from(self.inodes_per_group)
    }

    /// Blocks of a group's inode table.
    pub(crate) fn table_blocks(&self) -> u64 {
        u64::from(self.inodes_per_group / 16)
    }

    /// Blocks of a superblock with all its descriptors, present and reserved.
    pub(crate) fn super_blocks(&self) -> u64 {
        1 + self.gdt + self.reserved_gdt
    }

    /// The blocks of a group.
    pub(crate) fn group(&self, group: u32) -> Range<u64> {
        let start = u64::from(group) * GROUP_BLOCKS;
        start..(start + GROUP_BLOCKS).min(self.blocks)
    }

    /// The groups behind the first that hold a copy of the superblock.
    pub(crate) fn backups(&self) -> impl Iterator<Item = u32> {
        (1..self.groups).filter(|&group| has_super(group))
    }

    /// Where block bitmap, inode bitmap and inode table of a group are by the usual rule: for sixteen groups together, behind
    /// what the first of them has of superblock and descriptors.
    pub(crate) fn usual_tables(&self, group: u32) -> [u64; 3] {
        let leader = group / FLEX * FLEX;
        let (members, own) = (u64::from(FLEX.min(self.groups - leader)), u64::from(group - leader));
        let start = self.group(leader).start + if has_super(leader) { self.super_blocks() } else { 0 };
        [start + own, start + members + own, start + 2 * members + own * self.table_blocks()]
    }

    /// The group and the index in it of an inode.
    pub(crate) fn place_of(&self, inode: u32) -> (u32, u32) {
        let index = inode.saturating_sub(1);
        (index / self.inodes_per_group, index % self.inodes_per_group)
    }

    /// The first inode of a group.
    pub(crate) fn first_inode(&self, group: u32) -> u32 {
        to_u32(u64::from(group) * u64::from(self.inodes_per_group) + 1)
    }
}

/// Whether a group holds the superblock or a copy of it: 0, 1, and the powers of 3, 5 and 7.
#[expect(clippy::arithmetic_side_effects, reason = "powers below 2^32 and the next one")]
pub(crate) fn has_super(group: u32) -> bool {
    let is_power_of = |base: u64| {
        let mut power = base;
        while power < u64::from(group) {
            power *= base;
        }
        power == u64::from(group)
    };
    group <= 1 || [3, 5, 7].into_iter().any(is_power_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_where_the_kernel_looks_for_them() {
        let found: Vec<u32> = (0..400).filter(|&group| has_super(group)).collect();
        assert_eq!(found, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343]);
    }

    /// `dumpe2fs` of 20 GiB made by mke2fs 1.47.0: tables of group 16 begin at 524288.
    #[test]
    fn tables_are_where_mke2fs_puts_them() {
        let geometry = Geometry::new(5_242_880, 8192, 1024, false).unwrap();
        assert_eq!(geometry.usual_tables(16), [524_288, 524_304, 524_320]);
        assert_eq!(geometry.usual_tables(0), [1028, 1044, 1060]);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for (blocks, inodes, reserved) in [
            (0, 16, 0),
            (1000, 0, 0),
            (1000, 15, 0),
            (1000, 65536, 0),
            (u64::MAX, 16, 0),
            (100, 16, 100),
            (1 << 45, 8192, 0),
        ] {
            for is_legacy in [false, true] {
                let geometry = Geometry::new(blocks, inodes, reserved, is_legacy);
                assert!(geometry.is_none(), "{blocks} {inodes} {reserved}");
            }
        }
        for blocks in [(1 << 32) - 1, 1 << 32] {
            let possible = [false, true].map(|legacy| Geometry::new(blocks, 8192, 0, legacy).is_some());
            assert_eq!(possible, [true, blocks < 1 << 32], "{blocks}");
        }
    }

    fn is_possible(blocks: u64, inodes_per_group: u32, reserved: u16) -> bool {
        Geometry::new(blocks, inodes_per_group, reserved, false).is_some()
    }

    #[test]
    fn groups_have_whole_blocks_of_inodes_up_to_one_for_each_block() {
        for (inodes, possible) in
            [(0, false), (8, false), (16, true), (24, false), (32, true), (32768, true), (32784, false)]
        {
            assert_eq!(is_possible(1000, inodes, 0), possible, "{inodes}");
        }
        // Inodes have numbers of 32 bits.
        assert!(is_possible(131_071 * GROUP_BLOCKS, 32768, 0));
        assert!(!is_possible(131_072 * GROUP_BLOCKS, 32768, 0));
        assert!(is_possible(131_072 * GROUP_BLOCKS, 32752, 0));
    }

    #[test]
    fn a_group_holds_superblock_descriptors_and_reserve() {
        for (blocks, reserved, possible) in [
            (2, 0, false),
            (3, 0, true),
            (102, 100, false),
            (103, 100, true),
            (GROUP_BLOCKS, 1024, true),
            (GROUP_BLOCKS, 1025, false),
        ] {
            assert_eq!(is_possible(blocks, 16, reserved), possible, "{blocks} {reserved}");
        }
    }

    #[test]
    fn descriptors_of_64_bytes_take_twice_the_room() {
        let sizes = |groups: u64, is_legacy| {
            let geometry = Geometry::new(groups * GROUP_BLOCKS, 16, 10, is_legacy).unwrap();
            (geometry.descriptor_bytes(), geometry.gdt, geometry.super_blocks())
        };
        assert_eq!((sizes(64, false), sizes(65, false)), ((64, 1, 12), (64, 2, 13)));
        assert_eq!((sizes(128, true), sizes(129, true)), ((32, 1, 12), (32, 2, 13)));
    }

    #[test]
    fn inodes_are_numbered_from_1_on_through_all_groups() {
        let geometry = Geometry::new(2 * GROUP_BLOCKS + 5, 1024, 0, false).unwrap();
        assert_eq!((geometry.groups, geometry.inodes(), geometry.table_blocks()), (3, 3072, 64));
        for (inode, place) in [(1, (0, 0)), (1024, (0, 1023)), (1025, (1, 0)), (3072, (2, 1023))] {
            assert_eq!(geometry.place_of(inode), place, "{inode}");
        }
        assert_eq!([0, 1, 2].map(|group| geometry.first_inode(group)), [1, 1025, 2049]);
        assert_eq!([0, 1, 2].map(|group| geometry.group(group)), [0..32768, 32768..65536, 65536..65541]);
        assert_eq!(geometry.bytes(), 65541 * 4096);
        assert_eq!(geometry.backups().collect::<Vec<_>>(), [1]);
    }

    /// Tables of sixteen groups together, or of fewer at the end.
    #[test]
    fn tables_of_the_last_groups_are_closer_together() {
        let geometry = Geometry::new(20 * GROUP_BLOCKS, 1024, 0, false).unwrap();
        // Group 16 has no copy, its four members have 64 blocks of inodes each.
        let start = 16 * GROUP_BLOCKS;
        assert_eq!(geometry.usual_tables(16), [start, start + 4, start + 8]);
        assert_eq!(geometry.usual_tables(19), [start + 3, start + 7, start + 8 + 3 * 64]);
        assert_eq!(geometry.usual_tables(15), [17, 33, 34 + 15 * 64]);
    }
}
