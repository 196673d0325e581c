//! The superblock. Kernel documentation, "The Super Block" (`struct ext4_super_block`).

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Where the superblock lies in the first block of the file system, in \[bytes\]; in a backup's block it is at 0.
pub(crate) const PRIMARY_OFFSET: usize = 1024;
/// `s_magic`
pub(crate) const MAGIC: u16 = 0xef53;
/// `s_state`: cleanly unmounted.
pub(crate) const STATE_CLEAN: u16 = 1;
/// `s_errors`: continue.
pub(crate) const ERRORS_CONTINUE: u16 = 1;
/// `s_rev_level`: with inode size and features.
pub(crate) const REV_DYNAMIC: u32 = 1;
/// `s_def_hash_version`: half MD4.
pub(crate) const HASH_HALF_MD4: u8 = 1;
/// `s_flags`: directory hashes are over signed characters.
pub(crate) const FLAG_SIGNED_HASH: u32 = 1;
/// `s_checksum_type`: CRC-32C.
pub(crate) const CHECKSUM_CRC32C: u8 = 1;
/// `s_default_mount_opts`: `user_xattr` and acl.
pub(crate) const DEFAULT_MOUNT_OPTS: u32 = 0x0c;
/// `s_max_mnt_count`: no check after a number of mounts.
pub(crate) const MAX_MOUNT_COUNT: u16 = 0xffff;
/// `s_jnl_backup_type`: `s_jnl_blocks` holds the journal inode's block map and size.
pub(crate) const JOURNAL_BACKUP_BLOCKS: u8 = 1;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawSuperblock {
    /// 0x00
    pub(crate) s_inodes_count: U32,
    pub(crate) s_blocks_count_lo: U32,
    pub(crate) s_r_blocks_count_lo: U32,
    pub(crate) s_free_blocks_count_lo: U32,
    /// 0x10
    pub(crate) s_free_inodes_count: U32,
    pub(crate) s_first_data_block: U32,
    pub(crate) s_log_block_size: U32,
    pub(crate) s_log_cluster_size: U32,
    /// 0x20
    pub(crate) s_blocks_per_group: U32,
    pub(crate) s_clusters_per_group: U32,
    pub(crate) s_inodes_per_group: U32,
    pub(crate) s_mtime: U32,
    /// 0x30
    pub(crate) s_wtime: U32,
    pub(crate) s_mnt_count: U16,
    pub(crate) s_max_mnt_count: U16,
    pub(crate) s_magic: U16,
    pub(crate) s_state: U16,
    pub(crate) s_errors: U16,
    pub(crate) s_minor_rev_level: U16,
    /// 0x40
    pub(crate) s_lastcheck: U32,
    pub(crate) s_checkinterval: U32,
    pub(crate) s_creator_os: U32,
    pub(crate) s_rev_level: U32,
    /// 0x50
    pub(crate) s_def_resuid: U16,
    pub(crate) s_def_resgid: U16,
    pub(crate) s_first_ino: U32,
    pub(crate) s_inode_size: U16,
    pub(crate) s_block_group_nr: U16,
    pub(crate) s_feature_compat: U32,
    /// 0x60
    pub(crate) s_feature_incompat: U32,
    pub(crate) s_feature_ro_compat: U32,
    pub(crate) s_uuid: [u8; 16],
    /// 0x78
    pub(crate) s_volume_name: [u8; 16],
    /// 0x88
    pub(crate) s_last_mounted: [u8; 64],
    /// 0xC8
    pub(crate) s_algorithm_usage_bitmap: U32,
    pub(crate) s_prealloc_blocks: u8,
    pub(crate) s_prealloc_dir_blocks: u8,
    pub(crate) s_reserved_gdt_blocks: U16,
    /// 0xD0
    pub(crate) s_journal_uuid: [u8; 16],
    /// 0xE0
    pub(crate) s_journal_inum: U32,
    pub(crate) s_journal_dev: U32,
    pub(crate) s_last_orphan: U32,
    pub(crate) s_hash_seed: [u8; 16],
    /// 0xFC
    pub(crate) s_def_hash_version: u8,
    pub(crate) s_jnl_backup_type: u8,
    pub(crate) s_desc_size: U16,
    /// 0x100
    pub(crate) s_default_mount_opts: U32,
    pub(crate) s_first_meta_bg: U32,
    pub(crate) s_mkfs_time: U32,
    /// 0x10C
    pub(crate) s_jnl_blocks: [U32; 17],
    /// 0x150
    pub(crate) s_blocks_count_hi: U32,
    pub(crate) s_r_blocks_count_hi: U32,
    pub(crate) s_free_blocks_count_hi: U32,
    pub(crate) s_min_extra_isize: U16,
    pub(crate) s_want_extra_isize: U16,
    /// 0x160
    pub(crate) s_flags: U32,
    pub(crate) s_raid_stride: U16,
    pub(crate) s_mmp_interval: U16,
    pub(crate) s_mmp_block: U64,
    /// 0x170
    pub(crate) s_raid_stripe_width: U32,
    pub(crate) s_log_groups_per_flex: u8,
    pub(crate) s_checksum_type: u8,
    pub(crate) s_reserved_pad: U16,
    pub(crate) s_kbytes_written: U64,
    /// 0x180: snapshots and the record of errors, never used by us
    pub(crate) s_unused_180: [u8; 0xc8],
    /// 0x248
    pub(crate) s_overhead_clusters: U32,
    pub(crate) s_backup_bgs: [U32; 2],
    pub(crate) s_unused_254: [u8; 0x20],
    /// 0x274
    pub(crate) s_wtime_hi: u8,
    pub(crate) s_mtime_hi: u8,
    pub(crate) s_mkfs_time_hi: u8,
    pub(crate) s_lastcheck_hi: u8,
    /// 0x278
    pub(crate) s_unused_278: [u8; 0x184],
    /// 0x3FC
    pub(crate) s_checksum: U32,
}

const _: () = {
    assert!(size_of::<RawSuperblock>() == 1024);
    assert!(offset_of!(RawSuperblock, s_magic) == 0x38);
    assert!(offset_of!(RawSuperblock, s_uuid) == 0x68);
    assert!(offset_of!(RawSuperblock, s_reserved_gdt_blocks) == 0xce);
    assert!(offset_of!(RawSuperblock, s_hash_seed) == 0xec);
    assert!(offset_of!(RawSuperblock, s_desc_size) == 0xfe);
    assert!(offset_of!(RawSuperblock, s_jnl_blocks) == 0x10c);
    assert!(offset_of!(RawSuperblock, s_flags) == 0x160);
    assert!(offset_of!(RawSuperblock, s_kbytes_written) == 0x178);
    assert!(offset_of!(RawSuperblock, s_overhead_clusters) == 0x248);
    assert!(offset_of!(RawSuperblock, s_wtime_hi) == 0x274);
    assert!(offset_of!(RawSuperblock, s_checksum) == 0x3fc);
};
