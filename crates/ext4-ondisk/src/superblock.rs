//! The superblock, 1024 bytes (`struct ext4_super_block`).
//!
//! Source: kernel documentation, "The Super Block".

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::feature::{self, Feature, Word};
use crate::group::SHORT_SIZE;
use crate::halves::{high32, join64};
use crate::{Checksum, low32};

/// Offset of the superblock in the file system in \[bytes\]. A backup is at the start of its block.
pub const OFFSET: usize = 1024;
/// Value of `s_magic`.
pub const MAGIC: u16 = 0xef53;
/// Bit of `s_state`: cleanly unmounted.
pub const STATE_CLEAN: u16 = 1;
/// Value of `s_errors`: continue.
pub const ERRORS_CONTINUE: u16 = 1;
/// Value of `s_rev_level`: inodes of any size, and features.
pub const REV_DYNAMIC: u32 = 1;
/// Value of `s_def_hash_version`: half MD4.
pub const HASH_HALF_MD4: u8 = 1;
/// Bit of `s_flags`: directory hashes are over signed characters.
pub const FLAG_SIGNED_HASH: u32 = 1;
/// Value of `s_checksum_type`: CRC-32C.
pub const CHECKSUM_CRC32C: u8 = 1;
/// Bits of `s_default_mount_opts`: `user_xattr` and `acl`.
pub const DEFAULT_MOUNT_OPTS: u32 = 0x0c;
/// Value of `s_max_mnt_count`: never check because of the number of mounts.
pub const MAX_MOUNT_COUNT: u16 = 0xffff;
/// Value of `s_jnl_backup_type`: `s_jnl_blocks` holds the journal inode's block map and size.
pub const JOURNAL_BACKUP_BLOCKS: u8 = 1;
/// Largest `s_log_block_size`: blocks of 64 KiB (`EXT4_MAX_BLOCK_LOG_SIZE` − 10).
const MAX_LOG_BLOCK_SIZE: u32 = 6;

/// The superblock as stored.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Superblock {
    /// 0x00: Inodes of the file system.
    pub s_inodes_count: U32,
    /// 0x04: Length of the file system in \[blocks\], low half; see [`Superblock::blocks_count`].
    pub s_blocks_count_lo: U32,
    /// 0x08: Blocks reserved for root, low half.
    pub s_r_blocks_count_lo: U32,
    /// 0x0c: Free blocks, low half.
    pub s_free_blocks_count_lo: U32,
    /// 0x10: Free inodes.
    pub s_free_inodes_count: U32,
    /// 0x14: Block of the superblock: 1 if blocks are 1024 bytes, otherwise 0.
    pub s_first_data_block: U32,
    /// 0x18: Block size: 2^(10 + this) bytes.
    pub s_log_block_size: U32,
    /// 0x1c: Cluster size, equal to `s_log_block_size` without `bigalloc`.
    pub s_log_cluster_size: U32,
    /// 0x20: Blocks of a group, at most the bits of a block.
    pub s_blocks_per_group: U32,
    /// 0x24: Clusters of a group, equal to `s_blocks_per_group` without `bigalloc`.
    pub s_clusters_per_group: U32,
    /// 0x28: Inodes of a group.
    pub s_inodes_per_group: U32,
    /// 0x2c: Time of the last mount in \[seconds\] since 1970, low 32 bits; 0 for never.
    pub s_mtime: U32,
    /// 0x30: Time of the last write in \[seconds\], low 32 bits.
    pub s_wtime: U32,
    /// 0x34: Mounts since the last check.
    pub s_mnt_count: U16,
    /// 0x36: Mounts after which to check; [`MAX_MOUNT_COUNT`] for never.
    pub s_max_mnt_count: U16,
    /// 0x38: [`MAGIC`].
    pub s_magic: U16,
    /// 0x3a: [`STATE_CLEAN`], or 2 for errors, 4 for orphans.
    pub s_state: U16,
    /// 0x3c: What to do on errors; [`ERRORS_CONTINUE`].
    pub s_errors: U16,
    /// 0x3e: Minor revision, 0.
    pub s_minor_rev_level: U16,
    /// 0x40: Time of the last check in \[seconds\], low 32 bits.
    pub s_lastcheck: U32,
    /// 0x44: Longest time between checks in \[seconds\]; 0 for any.
    pub s_checkinterval: U32,
    /// 0x48: System that made the file system; 0 for Linux.
    pub s_creator_os: U32,
    /// 0x4c: Revision: 0 or [`REV_DYNAMIC`].
    pub s_rev_level: U32,
    /// 0x50: User that may use reserved blocks.
    pub s_def_resuid: U16,
    /// 0x52: Group that may use reserved blocks.
    pub s_def_resgid: U16,
    /// 0x54: First inode without a fixed meaning.
    pub s_first_ino: U32,
    /// 0x58: Size of an inode in \[bytes\]; see [`Superblock::inode_size`].
    pub s_inode_size: U16,
    /// 0x5a: Group of this copy of the superblock.
    pub s_block_group_nr: U16,
    /// 0x5c: Bits of [`Word::Compat`].
    pub s_feature_compat: U32,
    /// 0x60: Bits of [`Word::Incompat`].
    pub s_feature_incompat: U32,
    /// 0x64: Bits of [`Word::RoCompat`].
    pub s_feature_ro_compat: U32,
    /// 0x68: UUID, in the order of its text.
    pub s_uuid: [u8; 16],
    /// 0x78: Label, padded with NUL.
    pub s_volume_name: [u8; 16],
    /// 0x88: Folder where the file system was last mounted, padded with NUL.
    pub s_last_mounted: [u8; 64],
    /// 0xc8: Compression algorithms; unused.
    pub s_algorithm_usage_bitmap: U32,
    /// 0xcc: Blocks to preallocate for files; unused.
    pub s_prealloc_blocks: u8,
    /// 0xcd: Blocks to preallocate for directories; unused.
    pub s_prealloc_dir_blocks: u8,
    /// 0xce: Blocks kept for more group descriptors in each group with a superblock.
    pub s_reserved_gdt_blocks: U16,
    /// 0xd0: UUID of an external journal.
    pub s_journal_uuid: [u8; 16],
    /// 0xe0: Inode of the journal; 0 for none.
    pub s_journal_inum: U32,
    /// 0xe4: Device number of an external journal.
    pub s_journal_dev: U32,
    /// 0xe8: First inode of the list of orphans; 0 for none.
    pub s_last_orphan: U32,
    /// 0xec: Seed of directory hashes; see [`HashSeed`](crate::dirhash::HashSeed).
    pub s_hash_seed: [u8; 16],
    /// 0xfc: Default algorithm of directory hashes; [`HASH_HALF_MD4`].
    pub s_def_hash_version: u8,
    /// 0xfd: What `s_jnl_blocks` holds; [`JOURNAL_BACKUP_BLOCKS`].
    pub s_jnl_backup_type: u8,
    /// 0xfe: Size of a group descriptor in \[bytes\] with `64bit`; see [`Superblock::descriptor_size`].
    pub s_desc_size: U16,
    /// 0x100: Default mount options; [`DEFAULT_MOUNT_OPTS`].
    pub s_default_mount_opts: U32,
    /// 0x104: First group with `meta_bg`.
    pub s_first_meta_bg: U32,
    /// 0x108: Time of creation in \[seconds\], low 32 bits; see [`Superblock::mkfs_time`].
    pub s_mkfs_time: U32,
    /// 0x10c: Copy of the journal inode: its `i_block`, then `i_size_high` and `i_size_lo`.
    pub s_jnl_blocks: [U32; 17],
    /// 0x150: Length of the file system in \[blocks\], high half.
    pub s_blocks_count_hi: U32,
    /// 0x154: Blocks reserved for root, high half.
    pub s_r_blocks_count_hi: U32,
    /// 0x158: Free blocks, high half.
    pub s_free_blocks_count_hi: U32,
    /// 0x15c: Extra bytes that every inode has.
    pub s_min_extra_isize: U16,
    /// 0x15e: Extra bytes that new inodes should have.
    pub s_want_extra_isize: U16,
    /// 0x160: Flags; [`FLAG_SIGNED_HASH`].
    pub s_flags: U32,
    /// 0x164: Blocks read from one disk of a RAID before the next.
    pub s_raid_stride: U16,
    /// 0x166: Seconds between checks of multiple-mount protection.
    pub s_mmp_interval: U16,
    /// 0x168: Block of multiple-mount protection.
    pub s_mmp_block: U64,
    /// 0x170: Blocks of a stripe of a RAID.
    pub s_raid_stripe_width: U32,
    /// 0x174: Groups of a flexible group: 2^this.
    pub s_log_groups_per_flex: u8,
    /// 0x175: Algorithm of checksums; [`CHECKSUM_CRC32C`].
    pub s_checksum_type: u8,
    /// 0x176: Version of encryption.
    pub s_encryption_level: u8,
    /// 0x177: Padding.
    pub s_reserved_pad: u8,
    /// 0x178: KiB written in the file system's life.
    pub s_kbytes_written: U64,
    /// 0x180: Inode of the active snapshot; unused.
    pub s_snapshot_inum: U32,
    /// 0x184: Number of the active snapshot; unused.
    pub s_snapshot_id: U32,
    /// 0x188: Blocks reserved for the active snapshot; unused.
    pub s_snapshot_r_blocks_count: U64,
    /// 0x190: Inode of the list of snapshots; unused.
    pub s_snapshot_list: U32,
    /// 0x194: Errors seen.
    pub s_error_count: U32,
    /// 0x198: Time of the first error in \[seconds\].
    pub s_first_error_time: U32,
    /// 0x19c: Inode of the first error.
    pub s_first_error_ino: U32,
    /// 0x1a0: Block of the first error.
    pub s_first_error_block: U64,
    /// 0x1a8: Function of the kernel that saw the first error.
    pub s_first_error_func: [u8; 32],
    /// 0x1c8: Line of the kernel's source that saw the first error.
    pub s_first_error_line: U32,
    /// 0x1cc: Time of the latest error in \[seconds\].
    pub s_last_error_time: U32,
    /// 0x1d0: Inode of the latest error.
    pub s_last_error_ino: U32,
    /// 0x1d4: Line of the kernel's source that saw the latest error.
    pub s_last_error_line: U32,
    /// 0x1d8: Block of the latest error.
    pub s_last_error_block: U64,
    /// 0x1e0: Function of the kernel that saw the latest error.
    pub s_last_error_func: [u8; 32],
    /// 0x200: Mount options as text, padded with NUL.
    pub s_mount_opts: [u8; 64],
    /// 0x240: Inode of user quotas.
    pub s_usr_quota_inum: U32,
    /// 0x244: Inode of group quotas.
    pub s_grp_quota_inum: U32,
    /// 0x248: Clusters of fixed metadata and journal; 0 if the kernel shall count them.
    pub s_overhead_clusters: U32,
    /// 0x24c: Groups with a superblock, with `sparse_super2`.
    pub s_backup_bgs: [U32; 2],
    /// 0x254: Algorithms of encryption.
    pub s_encrypt_algos: [u8; 4],
    /// 0x258: Salt of passwords.
    pub s_encrypt_pw_salt: [u8; 16],
    /// 0x268: Inode of `lost+found`; unused.
    pub s_lpf_ino: U32,
    /// 0x26c: Inode of project quotas.
    pub s_prj_quota_inum: U32,
    /// 0x270: Seed of checksums with `metadata_csum_seed`; see [`Superblock::checksum_seed`].
    pub s_checksum_seed: U32,
    /// 0x274: Bits 32 to 39 of `s_wtime`.
    pub s_wtime_hi: u8,
    /// 0x275: Bits 32 to 39 of `s_mtime`.
    pub s_mtime_hi: u8,
    /// 0x276: Bits 32 to 39 of `s_mkfs_time`.
    pub s_mkfs_time_hi: u8,
    /// 0x277: Bits 32 to 39 of `s_lastcheck`.
    pub s_lastcheck_hi: u8,
    /// 0x278: Bits 32 to 39 of `s_first_error_time`.
    pub s_first_error_time_hi: u8,
    /// 0x279: Bits 32 to 39 of `s_last_error_time`.
    pub s_last_error_time_hi: u8,
    /// 0x27a: Codes of the first and of the latest error (`s_first_error_errcode`, `s_last_error_errcode`).
    pub s_error_codes: [u8; 2],
    /// 0x27c: Encoding of names with `casefold`.
    pub s_encoding: U16,
    /// 0x27e: Flags of the encoding.
    pub s_encoding_flags: U16,
    /// 0x280: Inode of the orphan file.
    pub s_orphan_file_inum: U32,
    /// 0x284: Zero.
    pub s_reserved: [U32; 94],
    /// 0x3fc: Checksum; see [`Superblock::computed_checksum`].
    pub s_checksum: U32,
}

impl Superblock {
    /// Whether the feature's bit is set.
    pub const fn has(&self, feature: Feature) -> bool {
        self.features(feature.word) & feature.bit != 0
    }

    /// Sets the feature's bit.
    pub fn set(&mut self, feature: Feature) {
        let word = match feature.word {
            Word::Compat => &mut self.s_feature_compat,
            Word::Incompat => &mut self.s_feature_incompat,
            Word::RoCompat => &mut self.s_feature_ro_compat,
        };
        word.set(word.get() | feature.bit);
    }

    /// The bits of one word of features.
    pub const fn features(&self, word: Word) -> u32 {
        match word {
            Word::Compat => self.s_feature_compat.get(),
            Word::Incompat => self.s_feature_incompat.get(),
            Word::RoCompat => self.s_feature_ro_compat.get(),
        }
    }

    /// Joins two halves. The high half counts only with `64bit` (`ext2fs_blocks_count` of libext2fs).
    fn join(&self, low: U32, high: U32) -> u64 {
        join64(low.get(), if self.has(feature::BIT64) { high.get() } else { 0 })
    }

    /// Length of the file system in \[blocks\].
    pub fn blocks_count(&self) -> u64 {
        self.join(self.s_blocks_count_lo, self.s_blocks_count_hi)
    }

    /// Sets the length of the file system in \[blocks\].
    pub fn set_blocks_count(&mut self, blocks: u64) {
        self.s_blocks_count_lo = low32(blocks).into();
        self.s_blocks_count_hi = high32(blocks).into();
    }

    /// Blocks reserved for root.
    pub fn reserved_blocks_count(&self) -> u64 {
        self.join(self.s_r_blocks_count_lo, self.s_r_blocks_count_hi)
    }

    /// Sets the blocks reserved for root.
    pub fn set_reserved_blocks_count(&mut self, blocks: u64) {
        self.s_r_blocks_count_lo = low32(blocks).into();
        self.s_r_blocks_count_hi = high32(blocks).into();
    }

    /// Free blocks.
    pub fn free_blocks_count(&self) -> u64 {
        self.join(self.s_free_blocks_count_lo, self.s_free_blocks_count_hi)
    }

    /// Sets the free blocks.
    pub fn set_free_blocks_count(&mut self, blocks: u64) {
        self.s_free_blocks_count_lo = low32(blocks).into();
        self.s_free_blocks_count_hi = high32(blocks).into();
    }

    /// Block size in \[bytes\]; `None` if it exceeds 64 KiB.
    pub fn block_size(&self) -> Option<u64> {
        let log = self.s_log_block_size.get();
        (log <= MAX_LOG_BLOCK_SIZE).then(|| 1024 << log)
    }

    /// Size of an inode in \[bytes\]: 128 before [`REV_DYNAMIC`] (`EXT4_INODE_SIZE`).
    pub const fn inode_size(&self) -> u16 {
        if self.s_rev_level.get() == 0 { 128 } else { self.s_inode_size.get() }
    }

    /// Size of a group descriptor in \[bytes\]: 32 without `64bit` (`EXT4_DESC_SIZE`).
    pub const fn descriptor_size(&self) -> u16 {
        if self.has(feature::BIT64) { self.s_desc_size.get() } else { SHORT_SIZE }
    }

    /// Time of creation in \[seconds\] since 1970, 40 bits.
    pub fn mkfs_time(&self) -> u64 {
        join64(self.s_mkfs_time.get(), self.s_mkfs_time_hi.into())
    }

    /// Length of the journal in \[bytes\], from the copy of its inode; 0 without journal.
    pub fn journal_size(&self) -> u64 {
        let [.., high, low] = self.s_jnl_blocks;
        join64(low.get(), high.get())
    }

    /// Copies `i_block` and `i_size` (in \[bytes\]) of the journal's inode.
    pub fn set_journal_backup(&mut self, i_block: &[u8; 60], size: u64) {
        for (word, bytes) in self.s_jnl_blocks.iter_mut().zip(i_block.as_chunks().0) {
            *word = U32::from_bytes(*bytes);
        }
        let [.., high, low] = &mut self.s_jnl_blocks;
        (*high, *low) = (high32(size).into(), low32(size).into());
        self.s_jnl_backup_type = JOURNAL_BACKUP_BLOCKS;
    }

    /// The seed of all metadata's checksums: `s_checksum_seed` with `metadata_csum_seed`, otherwise from the UUID.
    pub fn checksum_seed(&self) -> Checksum {
        if self.has(feature::CSUM_SEED) {
            Checksum::from_seed(self.s_checksum_seed.get())
        } else {
            Checksum::of_filesystem(&self.s_uuid)
        }
    }

    /// Computes `s_checksum`: over all bytes before it, without a seed.
    pub fn computed_checksum(&self) -> u32 {
        let (before, _) = self.as_bytes().split_at(offset_of!(Self, s_checksum));
        Checksum::START.over(before).value()
    }
}

const _: () = {
    assert!(size_of::<Superblock>() == 1024);
    assert!(offset_of!(Superblock, s_magic) == 0x38);
    assert!(offset_of!(Superblock, s_uuid) == 0x68);
    assert!(offset_of!(Superblock, s_reserved_gdt_blocks) == 0xce);
    assert!(offset_of!(Superblock, s_hash_seed) == 0xec);
    assert!(offset_of!(Superblock, s_desc_size) == 0xfe);
    assert!(offset_of!(Superblock, s_jnl_blocks) == 0x10c);
    assert!(offset_of!(Superblock, s_flags) == 0x160);
    assert!(offset_of!(Superblock, s_kbytes_written) == 0x178);
    assert!(offset_of!(Superblock, s_mount_opts) == 0x200);
    assert!(offset_of!(Superblock, s_overhead_clusters) == 0x248);
    assert!(offset_of!(Superblock, s_checksum_seed) == 0x270);
    assert!(offset_of!(Superblock, s_wtime_hi) == 0x274);
    assert!(offset_of!(Superblock, s_checksum) == 0x3fc);
};

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn high_halves_count_only_with_64bit() {
        let mut s = Superblock::new_zeroed();
        let n = 0x0001_0002_0003_0004;
        s.set_blocks_count(n);
        s.set_free_blocks_count(n + 1);
        s.set_reserved_blocks_count(n + 2);
        s.s_desc_size = 64.into();
        assert_eq!((s.blocks_count(), s.free_blocks_count()), (0x0003_0004, 0x0003_0005));
        assert_eq!((s.reserved_blocks_count(), s.descriptor_size()), (0x0003_0006, 32));
        s.set(feature::BIT64);
        assert_eq!((s.blocks_count(), s.free_blocks_count()), (n, n + 1));
        assert_eq!((s.reserved_blocks_count(), s.descriptor_size()), (n + 2, 64));
    }

    #[test]
    fn sizes_of_old_revisions_and_absurd_blocks() {
        let mut s = Superblock::new_zeroed();
        s.s_inode_size = 256.into();
        assert_eq!((s.inode_size(), s.block_size()), (128, Some(1024)));
        s.s_rev_level = REV_DYNAMIC.into();
        s.s_log_block_size = MAX_LOG_BLOCK_SIZE.into();
        assert_eq!((s.inode_size(), s.block_size()), (256, Some(65_536)));
        s.s_log_block_size = (MAX_LOG_BLOCK_SIZE + 1).into();
        assert_eq!(s.block_size(), None);
    }

    #[test]
    fn a_feature_is_one_bit_of_its_own_word() {
        for &feature in feature::ALL {
            let mut s = Superblock::new_zeroed();
            s.set(feature);
            let set: Vec<_> = feature::ALL.iter().filter(|&&other| s.has(other)).collect();
            assert_eq!(set, [&feature]);
            assert!(feature.bit.is_power_of_two());
        }
    }
}
