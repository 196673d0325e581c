//! Which blocks are fixed metadata: superblocks, descriptors, bitmaps and inode tables.
//!
//! The same recipe as mke2fs with `flex_bg` and `sparse_super`: the tables of sixteen groups stand together at the start
//! of the first of them, copies of superblock and descriptors in groups 1 and the powers of 3, 5 and 7.

use std::mem::size_of;
use std::ops::Range;

use ext4_ondisk::GroupDescriptor;

use crate::units::{BLOCK_SIZE, BLOCKS_PER_GROUP, BlockNr, GroupNr, INODES_PER_BLOCK, wide};

/// Groups whose tables stand together; `s_log_groups_per_flex` is 4.
pub(crate) const GROUPS_PER_FLEX: u32 = 16;
/// Group descriptors in a block.
pub(crate) const DESCS_PER_BLOCK: u64 = BLOCK_SIZE / wide(size_of::<GroupDescriptor>());
/// The most blocks that the resize inode can keep for descriptors: pointers in a block.
pub(crate) const MAX_RESERVED_GDT: u64 = BLOCK_SIZE / 4;

/// The numbers that decide where fixed metadata is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Length of the file system in \[blocks\].
    pub(crate) blocks: u64,
    /// Block groups, the last of which may be short.
    pub(crate) groups: u32,
    /// A multiple of 16, so that inode tables are whole blocks.
    pub(crate) inodes_per_group: u32,
    /// Blocks of group descriptors.
    pub(crate) gdt: u64,
    /// Blocks kept for more of them, `s_reserved_gdt_blocks`.
    pub(crate) reserved_gdt: u64,
    /// Length of the journal in \[blocks\]; 0 for none.
    pub(crate) journal: u64,
}

impl Geometry {
    /// Blocks of one group's inode table.
    pub(crate) fn itable_blocks(&self) -> u64 {
        u64::from(self.inodes_per_group / INODES_PER_BLOCK)
    }

    /// Blocks of a copy of the superblock with all descriptors, present and reserved.
    pub(crate) fn super_blocks(&self) -> u64 {
        1 + self.gdt + self.reserved_gdt
    }

    /// The groups that hold a copy of the superblock, without the first.
    pub(crate) fn backups(&self) -> impl Iterator<Item = GroupNr> {
        (1..self.groups).map(GroupNr).filter(|&group| has_superblock(group))
    }

    /// Inodes of the whole file system.
    pub(crate) fn inodes(&self) -> u64 {
        u64::from(self.groups) * u64::from(self.inodes_per_group)
    }

    /// Length of a group in \[blocks\].
    pub(crate) fn group_range(&self, group: GroupNr) -> Range<u64> {
        let start = group.first_block().0;
        start..(start + BLOCKS_PER_GROUP).min(self.blocks)
    }

    /// The first group of the sixteen that share a place for their tables, and how many they are.
    pub(crate) fn flex(&self, group: GroupNr) -> (GroupNr, u32) {
        let leader = group.0 / GROUPS_PER_FLEX * GROUPS_PER_FLEX;
        (GroupNr(leader), GROUPS_PER_FLEX.min(self.groups - leader))
    }

    /// Where the tables of a leader's groups begin.
    fn flex_start(&self, leader: GroupNr) -> u64 {
        let behind = if has_superblock(leader) { self.super_blocks() } else { 0 };
        leader.first_block().0 + behind
    }

    /// A group's block bitmap.
    pub(crate) fn block_bitmap(&self, group: GroupNr) -> BlockNr {
        let (leader, _) = self.flex(group);
        BlockNr(self.flex_start(leader) + u64::from(group.0 - leader.0))
    }

    /// A group's inode bitmap.
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

    /// The fixed metadata that begins in a group; empty for most.
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

    /// What mke2fs calls overhead: all fixed metadata and the journal, in \[blocks\] (`s_overhead_clusters`).
    pub(crate) fn overhead(&self) -> u64 {
        let copies = 1 + u64::from(backup_count(self.groups));
        copies * self.super_blocks() + u64::from(self.groups) * (2 + self.itable_blocks()) + self.journal
    }
}

/// Whether a group holds a copy of the superblock (`sparse_super`).
pub(crate) fn has_superblock(group: GroupNr) -> bool {
    group.0 <= 1 || [3, 5, 7].into_iter().any(|base| is_power(group.0, base))
}

fn is_power(mut n: u32, base: u32) -> bool {
    while n.is_multiple_of(base) {
        n /= base;
    }
    n == 1
}

/// How many groups below `groups` hold a backup: group 1 and the powers of 3, 5 and 7.
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

/// The length of a journal that mke2fs gives a file system of so many blocks, in \[blocks\]
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

    /// `mke2fs -b 4096` of e2fsprogs 1.47.0 on 2 GiB: 16 groups, 255 reserved blocks, 8192 inodes a group, a journal of
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
