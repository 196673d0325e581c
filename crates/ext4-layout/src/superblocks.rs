//! The superblock: primary and backups.

use ext4_ondisk::superblock::{
    CHECKSUM_CRC32C, DEFAULT_MOUNT_OPTS, ERRORS_CONTINUE, FLAG_SIGNED_HASH, HASH_HALF_MD4, MAGIC,
    MAX_MOUNT_COUNT, REV_DYNAMIC, STATE_CLEAN,
};
use ext4_ondisk::{Feature, Superblock, feature, inode, low8, low16, low32};
use zerocopy::FromZeros;

use crate::Compatibility;
use crate::geometry::GROUPS_PER_FLEX;
use crate::layout::Layout;
use crate::numbering::{JOURNAL, RESERVED_INODES};
use crate::units::{BLOCK_SIZE, BLOCKS_PER_GROUP, GroupNr, INODE_SIZE, narrow};

/// All features of images, in the order of dumpe2fs.
const FEATURES: [Feature; 15] = [
    feature::HAS_JOURNAL,
    feature::EXT_ATTR,
    feature::RESIZE_INODE,
    feature::DIR_INDEX,
    feature::FILETYPE,
    feature::EXTENT,
    feature::BIT64,
    feature::FLEX_BG,
    feature::SPARSE_SUPER,
    feature::LARGE_FILE,
    feature::HUGE_FILE,
    feature::DIR_NLINK,
    feature::EXTRA_ISIZE,
    feature::METADATA_CSUM,
    feature::READONLY,
];

/// Why counts of inodes fit into 32 bits.
const INODES: &str = "`most_inodes_per_group` keeps all inodes below 2^32";

impl Layout {
    /// The features of this file system.
    fn features(&self) -> impl Iterator<Item = Feature> + '_ {
        FEATURES.into_iter().filter(|&feature| match feature {
            feature::HAS_JOURNAL => self.geometry.journal > 0,
            feature::RESIZE_INODE => self.geometry.reserved_gdt > 0,
            feature::BIT64 | feature::METADATA_CSUM => self.options.compatibility == Compatibility::Current,
            feature::READONLY => self.options.sealed,
            _ => true,
        })
    }

    /// The names of the features, in the order of dumpe2fs.
    pub(crate) fn feature_names(&self) -> Vec<&'static str> {
        self.features().map(|feature| feature.name).collect()
    }

    /// The superblock in a group. As with mke2fs, backups are not marked as clean.
    pub(crate) fn superblock(&self, group: GroupNr) -> Superblock {
        let geometry = &self.geometry;
        let counts = self.counts();
        let mut s = Superblock::new_zeroed();
        s.s_inodes_count = narrow::<u32>(geometry.inodes(), INODES).into();
        s.set_blocks_count(geometry.blocks);
        s.set_reserved_blocks_count(counts.reserved);
        s.set_free_blocks_count(counts.free_blocks);
        s.s_free_inodes_count = narrow::<u32>(counts.free_inodes, INODES).into();
        (s.s_log_block_size, s.s_log_cluster_size) = (2.into(), 2.into());
        let blocks_per_group: u32 = narrow(BLOCKS_PER_GROUP, "a group has 32,768 blocks");
        s.s_blocks_per_group = blocks_per_group.into();
        s.s_clusters_per_group = blocks_per_group.into();
        s.s_inodes_per_group = geometry.inodes_per_group.into();
        s.s_max_mnt_count = MAX_MOUNT_COUNT.into();
        s.s_magic = MAGIC.into();
        s.s_state = if group.0 == 0 { STATE_CLEAN } else { 0 }.into();
        s.s_errors = ERRORS_CONTINUE.into();
        s.s_rev_level = REV_DYNAMIC.into();
        s.s_first_ino = RESERVED_INODES.into();
        s.s_inode_size = narrow::<u16>(INODE_SIZE, "an inode has 256 bytes").into();
        // The field has 16 bits; mke2fs cuts off the rest too.
        s.s_block_group_nr = low16(group.0).into();
        self.features().for_each(|feature| s.set(feature));
        s.s_uuid = self.options.uuid;
        s.s_volume_name = self.options.label;
        s.s_reserved_gdt_blocks = narrow::<u16>(geometry.reserved_gdt, "`MAX_RESERVED_GDT` is 1,024").into();
        s.s_hash_seed = self.options.uuid;
        s.s_def_hash_version = HASH_HALF_MD4;
        if s.has(feature::BIT64) {
            s.s_desc_size = self.options.compatibility.descriptor_size().into();
        }
        s.s_default_mount_opts = DEFAULT_MOUNT_OPTS.into();
        (s.s_min_extra_isize, s.s_want_extra_isize) = (inode::EXTRA_ISIZE.into(), inode::EXTRA_ISIZE.into());
        s.s_flags = FLAG_SIGNED_HASH.into();
        s.s_log_groups_per_flex = narrow(u64::from(GROUPS_PER_FLEX.ilog2()), "the logarithm of 16 is 4");
        // 0 leaves counting to Linux, where a very long journal and the tables together are more than can be said.
        s.s_overhead_clusters = u32::try_from(geometry.overhead()).unwrap_or(0).into();
        self.set_superblock_times(&mut s);
        self.set_journal_fields(&mut s);
        if s.has(feature::METADATA_CSUM) {
            s.s_checksum_type = CHECKSUM_CRC32C;
            s.s_checksum = s.computed_checksum().into();
        }
        s
    }

    /// Sets all times to the same value, of 40 bits.
    fn set_superblock_times(&self, s: &mut Superblock) {
        let time = self.options.timestamp.seconds().cast_unsigned();
        let low = low32(time);
        let high = low8(time >> 32);
        (s.s_wtime, s.s_lastcheck, s.s_mkfs_time) = (low.into(), low.into(), low.into());
        (s.s_wtime_hi, s.s_lastcheck_hi, s.s_mkfs_time_hi) = (high, high, high);
    }

    /// Sets the journal's inode, and the copy of its block map and size for e2fsck.
    fn set_journal_fields(&self, s: &mut Superblock) {
        let Some(journal) = self.placement.journal else { return };
        s.s_journal_inum = JOURNAL.0.into();
        let inode = self.inode(JOURNAL);
        s.set_journal_backup(&inode.i_block, journal.len * BLOCK_SIZE);
    }
}

#[cfg(test)]
mod tests {
    use image_tree::{FileTree, Timestamp, TreeBuilder};

    use super::*;
    use crate::Options;

    fn tree() -> FileTree {
        let mut tree = TreeBuilder::new();
        tree.lost_found().unwrap();
        tree.finish().unwrap()
    }

    fn superblock(options: &Options, group: u32) -> Superblock {
        Layout::plan(&tree(), options).unwrap().superblock(GroupNr(group))
    }

    #[test]
    fn all_times_have_the_40_bits_of_the_options() {
        for (seconds, low, high) in
            [(1, 1, 0), (0x5000_0007, 0x5000_0007, 0), (0x3_1234_5678, 0x1234_5678, 3)]
        {
            let time = Timestamp::new(seconds, 0).unwrap();
            let s = superblock(&Options::default().with_timestamp(time), 0);
            assert_eq!([s.s_wtime, s.s_lastcheck, s.s_mkfs_time], [low; 3]);
            assert_eq!([s.s_wtime_hi, s.s_lastcheck_hi, s.s_mkfs_time_hi], [high; 3]);
        }
    }

    /// The numbers of `mke2fs -O metadata_csum,64bit`; the state and the number of the group differ in copies.
    #[test]
    fn copies_are_not_clean_and_know_their_group() {
        let options = Options::default().with_free_space(1 << 30);
        let [first, copy] = [0, 3].map(|group| superblock(&options, group));
        assert_eq!((first.s_state, copy.s_state), (STATE_CLEAN.into(), 0.into()));
        assert_eq!((first.s_block_group_nr, copy.s_block_group_nr), (0.into(), 3.into()));
        assert_eq!(first.s_checksum, first.computed_checksum());
        assert_eq!(copy.s_checksum, copy.computed_checksum());
        for s in [first, copy] {
            assert_eq!((s.s_first_ino, s.s_inode_size, s.s_desc_size), (11.into(), 256.into(), 64.into()));
            assert_eq!((s.s_log_block_size, s.s_blocks_per_group), (2.into(), 32_768.into()));
            assert_eq!((s.s_log_groups_per_flex, s.s_def_hash_version), (4, 1));
            assert_eq!((s.s_uuid, s.s_hash_seed), (options.uuid, options.uuid));
        }
    }

    /// e2fsck finds the journal by this copy, if the inode is lost: 15 words of the inode's map, and its size.
    #[test]
    fn the_superblock_has_a_copy_of_the_map_of_the_journal() {
        let options = Options::default().with_journal_size(Some(8 << 20));
        let layout = Layout::plan(&tree(), &options).unwrap();
        let s = layout.superblock(GroupNr(0));
        assert_eq!(s.s_journal_inum, 8);
        let bytes = zerocopy::IntoBytes::as_bytes(&s.s_jnl_blocks);
        assert_eq!(bytes[..60], layout.inode(JOURNAL).i_block);
        assert_eq!(bytes[60..], [0, 0, 0, 0, 0, 0, 0x80, 0], "the high half of the size is first");
        let without = superblock(&options.with_journal_size(Some(0)), 0);
        assert_eq!(without.s_journal_inum, 0);
        assert!(zerocopy::IntoBytes::as_bytes(&without.s_jnl_blocks).iter().all(|&byte| byte == 0));
    }
}
