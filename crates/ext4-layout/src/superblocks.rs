//! The superblock, primary and backups.

use zerocopy::{FromZeros, IntoBytes};

use crate::checksum::Checksum;
use crate::geometry::GROUPS_PER_FLEX;
use crate::layout::Layout;
use crate::numbering::{JOURNAL, RESERVED_INODES};
use crate::ondisk::group_desc::DESC_SIZE;
use crate::ondisk::inode::EXTRA_ISIZE;
use crate::ondisk::superblock::{
    CHECKSUM_CRC32C, DEFAULT_MOUNT_OPTS, ERRORS_CONTINUE, FLAG_SIGNED_HASH, HASH_HALF_MD4,
    JOURNAL_BACKUP_BLOCKS, MAGIC, MAX_MOUNT_COUNT, REV_DYNAMIC, RawSuperblock, STATE_CLEAN,
};
use crate::units::{BLOCKS_PER_GROUP, GroupNr, INODE_SIZE, high32, low8, low16, low32};

/// A feature's word in the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Compat,
    Incompat,
    RoCompat,
}

/// All features that we ever set: word, bit, name as dumpe2fs tells it.
const FEATURES: [(Word, u32, &str); 15] = [
    (Word::Compat, 0x4, "has_journal"),
    (Word::Compat, 0x8, "ext_attr"),
    (Word::Compat, 0x10, "resize_inode"),
    (Word::Compat, 0x20, "dir_index"),
    (Word::Incompat, 0x2, "filetype"),
    (Word::Incompat, 0x40, "extent"),
    (Word::Incompat, 0x80, "64bit"),
    (Word::Incompat, 0x200, "flex_bg"),
    (Word::RoCompat, 0x1, "sparse_super"),
    (Word::RoCompat, 0x2, "large_file"),
    (Word::RoCompat, 0x8, "huge_file"),
    (Word::RoCompat, 0x20, "dir_nlink"),
    (Word::RoCompat, 0x40, "extra_isize"),
    (Word::RoCompat, 0x400, "metadata_csum"),
    (Word::RoCompat, 0x1000, "read-only"),
];

impl Layout {
    /// The features of this file system.
    fn features(&self) -> impl Iterator<Item = (Word, u32, &'static str)> + '_ {
        FEATURES.into_iter().filter(|&(_, _, name)| match name {
            "has_journal" => self.geometry.journal > 0,
            "resize_inode" => self.geometry.reserved_gdt > 0,
            "read-only" => self.options.sealed,
            _ => true,
        })
    }

    /// Their names, in the order of dumpe2fs.
    pub(crate) fn feature_names(&self) -> Vec<&'static str> {
        self.features().map(|(_, _, name)| name).collect()
    }

    fn feature_bits(&self, word: Word) -> u32 {
        self.features().filter(|feature| feature.0 == word).fold(0, |bits, (_, bit, _)| bits | bit)
    }

    /// The superblock as it stands in a group. Backups do not say that the file system is clean, as with mke2fs.
    pub(crate) fn superblock(&self, group: GroupNr) -> RawSuperblock {
        let geometry = &self.geometry;
        let counts = self.counts();
        let mut s = RawSuperblock::new_zeroed();
        s.s_inodes_count = low32(geometry.inodes()).into();
        (s.s_blocks_count_lo, s.s_blocks_count_hi) =
            (low32(geometry.blocks).into(), high32(geometry.blocks).into());
        (s.s_r_blocks_count_lo, s.s_r_blocks_count_hi) =
            (low32(counts.reserved).into(), high32(counts.reserved).into());
        s.s_free_blocks_count_lo = low32(counts.free_blocks).into();
        s.s_free_blocks_count_hi = high32(counts.free_blocks).into();
        s.s_free_inodes_count = low32(counts.free_inodes).into();
        (s.s_log_block_size, s.s_log_cluster_size) = (2.into(), 2.into());
        s.s_blocks_per_group = low32(BLOCKS_PER_GROUP).into();
        s.s_clusters_per_group = low32(BLOCKS_PER_GROUP).into();
        s.s_inodes_per_group = geometry.inodes_per_group.into();
        s.s_max_mnt_count = MAX_MOUNT_COUNT.into();
        s.s_magic = MAGIC.into();
        s.s_state = if group.0 == 0 { STATE_CLEAN } else { 0 }.into();
        s.s_errors = ERRORS_CONTINUE.into();
        s.s_rev_level = REV_DYNAMIC.into();
        s.s_first_ino = RESERVED_INODES.into();
        s.s_inode_size = low16(low32(INODE_SIZE)).into();
        s.s_block_group_nr = low16(group.0).into();
        s.s_feature_compat = self.feature_bits(Word::Compat).into();
        s.s_feature_incompat = self.feature_bits(Word::Incompat).into();
        s.s_feature_ro_compat = self.feature_bits(Word::RoCompat).into();
        s.s_uuid = self.options.uuid;
        s.s_volume_name = self.options.label;
        s.s_reserved_gdt_blocks = low16(low32(geometry.reserved_gdt)).into();
        s.s_hash_seed = self.options.uuid;
        s.s_def_hash_version = HASH_HALF_MD4;
        s.s_desc_size = DESC_SIZE.into();
        s.s_default_mount_opts = DEFAULT_MOUNT_OPTS.into();
        (s.s_min_extra_isize, s.s_want_extra_isize) = (EXTRA_ISIZE.into(), EXTRA_ISIZE.into());
        s.s_flags = FLAG_SIGNED_HASH.into();
        s.s_log_groups_per_flex = low8(u64::from(GROUPS_PER_FLEX.ilog2()));
        s.s_checksum_type = CHECKSUM_CRC32C;
        s.s_overhead_clusters = low32(geometry.overhead()).into();
        self.set_superblock_times(&mut s);
        self.set_journal_fields(&mut s);
        let bytes = s.as_bytes();
        s.s_checksum = Checksum::START.over(&bytes[..bytes.len() - 4]).value().into();
        s
    }

    /// One time for all, 40 bits of it.
    fn set_superblock_times(&self, s: &mut RawSuperblock) {
        let time = self.options.timestamp.seconds().cast_unsigned();
        let low = low32(time);
        let high = low8(time >> 32);
        (s.s_wtime, s.s_lastcheck, s.s_mkfs_time) = (low.into(), low.into(), low.into());
        (s.s_wtime_hi, s.s_lastcheck_hi, s.s_mkfs_time_hi) = (high, high, high);
    }

    /// The journal's inode, and a copy of its block map and size for e2fsck.
    fn set_journal_fields(&self, s: &mut RawSuperblock) {
        let Some(journal) = self.placement.journal else { return };
        s.s_journal_inum = JOURNAL.0.into();
        s.s_jnl_backup_type = JOURNAL_BACKUP_BLOCKS;
        let inode = self.inode(JOURNAL);
        for (word, bytes) in s.s_jnl_blocks.iter_mut().zip(inode.i_block.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into();
        }
        let size = journal.len * crate::units::BLOCK_SIZE;
        s.s_jnl_blocks[15] = high32(size).into();
        s.s_jnl_blocks[16] = low32(size).into();
    }
}
