//! The geometry of a file system: the blocks of superblocks, descriptors, bitmaps and inode tables.
//!
//! As with `flex_bg` and `sparse_super` of mke2fs, the tables of sixteen groups are together at the start
//! of the first of them, and groups 1 and the powers of 3, 5 and 7 have copies of superblock and descriptors.

use std::ops::Range;

use crate::units::{BLOCK_SIZE, BLOCKS_PER_GROUP, BlockNr, GroupNr, INODES_PER_BLOCK};

/// Number of groups whose tables are together; `s_log_groups_per_flex` is 4.
pub(crate) const GROUPS_PER_FLEX: u32 = 16;
/// Maximum number of descriptor blocks that the resize inode can reserve: the pointers in a block.
pub(crate) const MAX_RESERVED_GDT: u64 = BLOCK_SIZE / 4;

/// The numbers that determine the fixed metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Length of the file system in \[blocks\].
    pub(crate) blocks: u64,
    /// Number of block groups; the last one may be short.
    pub(crate) groups: u32,
    /// Inodes per group, a multiple of 16, so that inode tables are whole blocks.
    pub(crate) inodes_per_group: u32,
    /// Number of blocks of group descriptors.
    pub(crate) gdt: u64,
    /// Number of reserved descriptor blocks, `s_reserved_gdt_blocks`.
    pub(crate) reserved_gdt: u64,
    /// Length of the journal in \[blocks\]; 0 for none.
    pub(crate) journal: u64,
}

impl Geometry {
    /// Length of a group's inode table in \[blocks\].
    pub(crate) fn itable_blocks(&self) -> u64 {
        u64::from(self.inodes_per_group / INODES_PER_BLOCK)
    }

    /// Length of a superblock copy with all descriptor blocks, used and reserved, in \[blocks\].
    pub(crate) fn super_blocks(&self) -> u64 {
        1 + self.gdt + self.reserved_gdt
    }

    /// The groups with a copy of the superblock, without the first group.
    pub(crate) fn backups(&self) -> impl Iterator<Item = GroupNr> {
        (1..self.groups).map(GroupNr).filter(|&group| has_superblock(group))
    }

    /// Number of inodes of the file system.
    pub(crate) fn inodes(&self) -> u64 {
        u64::from(self.groups) * u64::from(self.inodes_per_group)
    }

    /// Length of a group in \[blocks\].
    pub(crate) fn group_range(&self, group: GroupNr) -> Range<u64> {
        let start = group.first_block().0;
        start..(start + BLOCKS_PER_GROUP).min(self.blocks)
    }

    /// The first group of the sixteen whose tables are together, and the number of these groups.
    pub(crate) fn flex(&self, group: GroupNr) -> (GroupNr, u32) {
        let leader = group.0 / GROUPS_PER_FLEX * GROUPS_PER_FLEX;
        (GroupNr(leader), GROUPS_PER_FLEX.min(self.groups - leader))
    }

    /// The first block of the tables of a first group and its followers.
    fn flex_start(&self, leader: GroupNr) -> u64 {
        let behind = if has_superblock(leader) { self.super_blocks() } else { 0 };
        leader.first_block().0 + behind
    }

    /// The block bitmap of a group.
    pub(crate) fn block_bitmap(&self, group: GroupNr) -> BlockNr {
        let (leader, _) = self.flex(group);
        BlockNr(self.flex_start(leader) + u64::from(group.0 - leader.0))
    }

    /// The inode bitmap of a group.
    pub(crate) fn inode_bitmap(&self, group: GroupNr) -> BlockNr {
        let (leader, members) = self.flex(group);
        BlockNr(self.flex_start(leader) + u64::from(members) + u64::from(group.0 - leader.0))
    }

    /// The first block of a group's inode table.
    pub(crate) fn inode_table(&self, group: GroupNr) -> BlockNr {
        let (leader, members) = self.flex(group);
        let before = u64::from(group.0 - leader.0) * self.itable_blocks();
        BlockNr(self.flex_start(leader) + 2 * u64::from(members) + before)
    }

    /// The fixed metadata that starts in a group; empty for most.
    pub(crate) fn island(&self, group: GroupNr) -> Range<u64> {
        let start = group.first_block().0;
        let mut end = start;
        if has_superblock(group) {
            end += self.super_blocks();
        }
        if group.0.is_multiple_of(GROUPS_PER_FLEX) {
            let (_, members) = self.flex(group);
            end += u64::from(members) * (2 + self.itable_blocks());
        }
        start..end
    }

    /// The overhead as defined by mke2fs: all fixed metadata and the journal, in \[blocks\] (`s_overhead_clusters`).
    pub(crate) fn overhead(&self) -> u64 {
        let copies = 1 + u64::from(backup_count(self.groups));
        copies * self.super_blocks() + u64::from(self.groups) * (2 + self.itable_blocks()) + self.journal
    }
}

/// Whether a group has a copy of the superblock (`sparse_super`).
pub(crate) fn has_superblock(group: GroupNr) -> bool {
    group.0 <= 1 || [3, 5, 7].into_iter().any(|base| is_power(group.0, base))
}

fn is_power(mut n: u32, base: u32) -> bool {
    while n.is_multiple_of(base) {
        n /= base;
    }
    n == 1
}

/// Number of groups below `groups` with a backup: group 1 and the powers of 3, 5 and 7.
pub(crate) fn backup_count(groups: u32) -> u32 {
    let powers = |base: u32| {
        let mut power = u64::from(base);
        let mut count = 0;
        while power < u64::from(groups) {
            count += 1;
            power *= u64::from(base);
        }
        count
    };
    u32::from(groups > 1) + powers(3) + powers(5) + powers(7)
}

/// The length in \[blocks\] of the journal that mke2fs gives a file system of this number of blocks
/// (`ext2fs_default_journal_size` of libext2fs).
pub(crate) fn default_journal(blocks: u64) -> u64 {
    const TIERS: [(u64, u64); 8] = [
        (2_048, 0),
        (32_768, 1_024),
        (262_144, 4_096),
        (524_288, 8_192),
        (4_194_304, 16_384),
        (8_388_608, 32_768),
        (16_777_216, 65_536),
        (33_554_432, 131_072),
    ];
    TIERS.into_iter().find(|&(below, _)| blocks < below).map_or(262_144, |(_, journal)| journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_in_group_1_and_powers_of_3_5_and_7() {
        let found: Vec<u32> = (0..400).filter(|&g| has_superblock(GroupNr(g))).collect();
        assert_eq!(found, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343]);
        for groups in 1..400_u32 {
            let counted = (1..groups).filter(|&g| has_superblock(GroupNr(g))).count();
            assert_eq!(usize::try_from(backup_count(groups)).unwrap(), counted);
        }
    }

    /// `ext2fs_default_journal_size`: the length changes at these numbers of blocks.
    #[test]
    fn journals_have_the_lengths_of_mke2fs() {
        let mut before = 0;
        for (from, journal) in [
            (2_048, 1_024),
            (32_768, 4_096),
            (262_144, 8_192),
            (524_288, 16_384),
            (4_194_304, 32_768),
            (8_388_608, 65_536),
            (16_777_216, 131_072),
            (33_554_432, 262_144),
        ] {
            assert_eq!((default_journal(from - 1), default_journal(from)), (before, journal), "{from}");
            before = journal;
        }
        assert_eq!((default_journal(0), default_journal(u64::MAX)), (0, 262_144));
    }

    /// `mke2fs -b 4096` of e2fsprogs 1.47.0 on 2 GiB: 16 groups, 255 reserved blocks, 8192 inodes per group, a journal of
    /// 16384 blocks: overhead 26150; bitmaps from 257 and 273, tables from 289.
    #[test]
    fn tables_are_where_mke2fs_puts_them() {
        let g = Geometry {
            blocks: 524_288,
            groups: 16,
            inodes_per_group: 8192,
            gdt: 1,
            reserved_gdt: 255,
            journal: default_journal(524_288),
        };
        assert_eq!(g.overhead(), 26_150);
        assert_eq!(g.block_bitmap(GroupNr(0)), BlockNr(257));
        assert_eq!(g.inode_bitmap(GroupNr(15)), BlockNr(288));
        assert_eq!(g.inode_table(GroupNr(0)), BlockNr(289));
        assert_eq!(g.island(GroupNr(0)), 0..257 + 16 * 514);
        assert_eq!(g.island(GroupNr(1)), 32_768..32_768 + 257);
        assert!(g.island(GroupNr(2)).is_empty());
    }
}
