//! The kinds of damage: what it is, how it is done, what verify must call it.

use ext4_verify::Code;

use crate::image::{BLOCK, Image, Names};

pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) expected: Code,
    pub(crate) damage: Box<dyn Fn(&mut Image) + Sync>,
}

/// A field: place, length, what is added to it, name, what verify must say.
type Field = (u64, usize, u64, &'static str, Code);

const SB: u64 = 1024;

const SUPERBLOCK: &[Field] = &[
    (0x00, 4, 16, "s_inodes_count", Code::SuperblockInodes),
    (0x04, 4, 1, "s_blocks_count_lo", Code::ImageTooShort),
    (0x08, 4, 1 << 30, "s_r_blocks_count_lo", Code::SuperblockReserved),
    (0x0c, 4, 1, "s_free_blocks_count_lo", Code::SuperblockFreeBlocks),
    (0x10, 4, 1, "s_free_inodes_count", Code::SuperblockFreeInodes),
    (0x14, 4, 1, "s_first_data_block", Code::SuperblockGeometry),
    (0x18, 4, 1, "s_log_block_size", Code::SuperblockGeometry),
    (0x1c, 4, 1, "s_log_cluster_size", Code::SuperblockGeometry),
    (0x20, 4, 8, "s_blocks_per_group", Code::SuperblockGeometry),
    (0x24, 4, 8, "s_clusters_per_group", Code::SuperblockGeometry),
    (0x28, 4, 1, "s_inodes_per_group", Code::SuperblockBlocks),
    (0x2c, 4, 1, "s_mtime", Code::SuperblockUse),
    (0x30, 4, 1, "s_wtime", Code::SuperblockTimes),
    (0x34, 2, 1, "s_mnt_count", Code::SuperblockUse),
    (0x36, 2, 1, "s_max_mnt_count", Code::SuperblockField),
    (0x38, 2, 1, "s_magic", Code::SuperblockMagic),
    (0x3a, 2, 1, "s_state", Code::SuperblockState),
    (0x3c, 2, 1, "s_errors", Code::SuperblockField),
    (0x3e, 2, 1, "s_minor_rev_level", Code::SuperblockUnused),
    (0x40, 4, 1, "s_lastcheck", Code::SuperblockTimes),
    (0x44, 4, 1, "s_checkinterval", Code::SuperblockField),
    (0x48, 4, 1, "s_creator_os", Code::SuperblockField),
    (0x4c, 4, 1, "s_rev_level", Code::SuperblockGeometry),
    (0x50, 2, 1, "s_def_resuid", Code::SuperblockUnused),
    (0x52, 2, 1, "s_def_resgid", Code::SuperblockUnused),
    (0x54, 4, 1, "s_first_ino", Code::SuperblockField),
    (0x58, 2, 256, "s_inode_size", Code::SuperblockGeometry),
    (0x5a, 2, 1, "s_block_group_nr", Code::SuperblockField),
    (0x5c, 4, 0x200, "s_feature_compat", Code::SuperblockFeatures),
    (0x60, 4, 0x10, "s_feature_incompat", Code::SuperblockFeatures),
    (0x60, 4, 4, "needs_recovery", Code::JournalNotEmpty),
    (0x64, 4, 0x100, "s_feature_ro_compat", Code::SuperblockFeatures),
    (0x68, 1, 1, "s_uuid", Code::SuperblockHashSeed),
    (0x86, 1, 65, "s_volume_name", Code::SuperblockLabel),
    (0x88, 1, 47, "s_last_mounted", Code::SuperblockUse),
    (0xc8, 4, 1, "s_algorithm_usage_bitmap", Code::SuperblockUnused),
    (0xcc, 1, 1, "s_prealloc_blocks", Code::SuperblockUnused),
    (0xcd, 1, 1, "s_prealloc_dir_blocks", Code::SuperblockUnused),
    (0xd0, 1, 1, "s_journal_uuid", Code::SuperblockUnused),
    (0xe0, 4, 1, "s_journal_inum", Code::SuperblockField),
    (0xe4, 4, 1, "s_journal_dev", Code::SuperblockUnused),
    (0xe8, 4, 13, "s_last_orphan", Code::SuperblockState),
    (0xec, 1, 1, "s_hash_seed", Code::SuperblockHashSeed),
    (0xfc, 1, 1, "s_def_hash_version", Code::SuperblockField),
    (0xfd, 1, 1, "s_jnl_backup_type", Code::SuperblockField),
    (0xfe, 2, 64, "s_desc_size", Code::SuperblockGeometry),
    (0x100, 4, 1, "s_default_mount_opts", Code::SuperblockField),
    (0x104, 4, 1, "s_first_meta_bg", Code::SuperblockUnused),
    (0x108, 4, 1, "s_mkfs_time", Code::SuperblockTimes),
    (0x10c, 4, 1, "s_jnl_blocks", Code::JournalBackup),
    (0x148, 4, 1, "s_jnl_blocks, the size", Code::JournalBackup),
    (0x150, 4, 1, "s_blocks_count_hi", Code::ImageTooShort),
    (0x154, 4, 1, "s_r_blocks_count_hi", Code::SuperblockReserved),
    (0x158, 4, 1, "s_free_blocks_count_hi", Code::SuperblockFreeBlocks),
    (0x15c, 2, 4, "s_min_extra_isize", Code::SuperblockField),
    (0x15e, 2, 4, "s_want_extra_isize", Code::SuperblockField),
    (0x160, 4, 1, "s_flags", Code::SuperblockField),
    (0x164, 2, 1, "s_raid_stride", Code::SuperblockUnused),
    (0x166, 2, 1, "s_mmp_interval", Code::SuperblockUnused),
    (0x168, 8, 1, "s_mmp_block", Code::SuperblockUnused),
    (0x170, 4, 1, "s_raid_stripe_width", Code::SuperblockUnused),
    (0x174, 1, 1, "s_log_groups_per_flex", Code::SuperblockField),
    (0x175, 1, 1, "s_checksum_type", Code::SuperblockField),
    (0x176, 2, 1, "s_reserved_pad", Code::SuperblockUnused),
    (0x178, 8, 1, "s_kbytes_written", Code::SuperblockUse),
    (0x180, 4, 1, "s_snapshot_inum", Code::SuperblockUnused),
    (0x194, 4, 1, "s_error_count", Code::SuperblockState),
    (0x198, 4, 1, "s_first_error_time", Code::SuperblockState),
    (0x1cc, 4, 1, "s_last_error_time", Code::SuperblockState),
    (0x200, 1, 1, "s_mount_opts", Code::SuperblockUnused),
    (0x240, 4, 1, "s_usr_quota_inum", Code::SuperblockUnused),
    (0x248, 4, 1, "s_overhead_clusters", Code::SuperblockOverhead),
    (0x24c, 4, 1, "s_backup_bgs", Code::SuperblockUnused),
    (0x254, 4, 1, "s_encrypt_algos", Code::SuperblockUnused),
    (0x268, 4, 1, "s_lpf_ino", Code::SuperblockUnused),
    (0x270, 4, 1, "s_checksum_seed", Code::SuperblockUnused),
    (0x274, 1, 1, "s_wtime_hi", Code::SuperblockTimes),
    (0x275, 1, 1, "s_mtime_hi", Code::SuperblockUse),
    (0x276, 1, 1, "s_mkfs_time_hi", Code::SuperblockTimes),
    (0x277, 1, 1, "s_lastcheck_hi", Code::SuperblockTimes),
    (0x278, 1, 1, "s_first_error_time_hi", Code::SuperblockUnused),
    (0x280, 4, 1, "s_orphan_file_inum", Code::SuperblockUnused),
    (0x300, 4, 1, "s_reserved", Code::SuperblockUnused),
];

const DESCRIPTOR: &[Field] = &[
    (0x00, 4, 1, "bg_block_bitmap_lo", Code::DescriptorLocation),
    (0x04, 4, 1, "bg_inode_bitmap_lo", Code::DescriptorLocation),
    (0x08, 4, 1, "bg_inode_table_lo", Code::DescriptorLocation),
    (0x0c, 2, 1, "bg_free_blocks_count_lo", Code::GroupFreeBlocks),
    (0x0e, 2, 1, "bg_free_inodes_count_lo", Code::GroupFreeInodes),
    (0x10, 2, 1, "bg_used_dirs_count_lo", Code::GroupUsedDirs),
    (0x12, 2, 8, "bg_flags", Code::DescriptorFlags),
    (0x12, 2, 0xfffc, "bg_flags without ITABLE_ZEROED", Code::ItableNotZeroed),
    (0x12, 2, 1, "bg_flags with INODE_UNINIT", Code::InodeUninit),
    (0x12, 2, 2, "bg_flags with BLOCK_UNINIT", Code::BlockUninit),
    (0x14, 4, 1, "bg_exclude_bitmap_lo", Code::DescriptorUnused),
    (0x18, 2, 1, "bg_block_bitmap_csum_lo", Code::BlockBitmapChecksum),
    (0x1a, 2, 1, "bg_inode_bitmap_csum_lo", Code::InodeBitmapChecksum),
    (0x1c, 2, 1, "bg_itable_unused_lo", Code::ItableUnusedHides),
    (0x20, 4, 1, "bg_block_bitmap_hi", Code::DescriptorLocation),
    (0x24, 4, 1, "bg_inode_bitmap_hi", Code::DescriptorLocation),
    (0x28, 4, 1, "bg_inode_table_hi", Code::DescriptorLocation),
    (0x2c, 2, 1, "bg_free_blocks_count_hi", Code::GroupFreeBlocks),
    (0x2e, 2, 1, "bg_free_inodes_count_hi", Code::GroupFreeInodes),
    (0x30, 2, 1, "bg_used_dirs_count_hi", Code::GroupUsedDirs),
    (0x32, 2, 1, "bg_itable_unused_hi", Code::ItableUnusedHides),
    (0x34, 4, 1, "bg_exclude_bitmap_hi", Code::DescriptorUnused),
    (0x38, 2, 1, "bg_block_bitmap_csum_hi", Code::BlockBitmapChecksum),
    (0x3a, 2, 1, "bg_inode_bitmap_csum_hi", Code::InodeBitmapChecksum),
    (0x3c, 4, 1, "bg_reserved", Code::DescriptorUnused),
];

/// Fields of inodes, each with the name of the inode.
const INODES: &[(&str, &[Field])] = &[
    (
        "file",
        &[
            (0x00, 2, 0x1000, "i_mode, no such type", Code::InodeType),
            (0x00, 2, 0x2000, "i_mode, a link", Code::EntryType),
            (0x04, 4, (1 << 32) - 4096, "i_size_lo, a block less", Code::ExtentPastEnd),
            (0x04, 4, (1 << 32) - 1, "i_size_lo, a byte less", Code::SlackNotZero),
            (0x08, 4, 1, "i_atime", Code::InodeTimes),
            (0x0c, 4, 1, "i_ctime", Code::InodeTimes),
            (0x10, 4, 1, "i_mtime", Code::InodeTimes),
            (0x14, 4, 1, "i_dtime", Code::InodeDeleted),
            (0x1a, 2, 1, "i_links_count", Code::InodeLinks),
            (0x1a, 2, 0xffff, "i_links_count, one less", Code::InodeLinks),
            (0x1c, 4, 8, "i_blocks_lo", Code::InodeBlocks),
            (0x20, 4, 0x10, "i_flags, immutable", Code::InodeFlags),
            (0x20, 4, (1 << 32) - 0x8_0000, "i_flags, no extents", Code::InodeFlags),
            (0x24, 4, 1, "i_version", Code::InodeVersion),
            (0x28, 2, 1, "eh_magic", Code::ExtentMagic),
            (0x2a, 2, 4, "eh_entries", Code::ExtentHeader),
            (0x2c, 2, 1, "eh_max", Code::ExtentHeader),
            (0x2e, 2, 6, "eh_depth", Code::ExtentHeader),
            (0x30, 4, 1, "eh_generation", Code::ExtentUnused),
            (0x34, 4, 1, "ee_block", Code::ExtentPastEnd),
            (0x38, 2, 0xfffe, "ee_len, none", Code::ExtentLength),
            (0x38, 2, 0x8000, "ee_len, not written", Code::ExtentUnwritten),
            (0x38, 2, 1, "ee_len, longer", Code::ExtentPastEnd),
            (0x3a, 2, 1, "ee_start_hi", Code::BlockOutside),
            (0x3c, 4, 1 << 31, "ee_start_lo, outside", Code::BlockOutside),
            (0x3c, 4, 0xffff_ffff, "ee_start_lo, one less", Code::BlockShared),
            (0x40, 4, 1, "an unused extent", Code::ExtentUnused),
            (0x64, 4, 1, "i_generation", Code::InodeGeneration),
            (0x68, 4, 1, "i_file_acl_lo", Code::BlockShared),
            (0x70, 4, 1, "i_obso_faddr", Code::InodeUnusedField),
            (0x74, 2, 1, "i_blocks_high", Code::InodeBlocks),
            (0x76, 2, 1, "i_file_acl_high", Code::BlockOutside),
            (0x7e, 2, 1, "i_reserved", Code::InodeUnusedField),
            (0x80, 2, 4, "i_extra_isize", Code::InodeExtraSize),
            (0x84, 4, 4, "i_ctime_extra", Code::InodeTimes),
            (0x88, 4, 4, "i_mtime_extra", Code::InodeTimes),
            (0x8c, 4, 4_000_000_000, "i_atime_extra", Code::InodeTime),
            (0x90, 4, 1, "i_crtime", Code::InodeTimes),
            (0x94, 4, 4, "i_crtime_extra", Code::InodeTimes),
            (0x98, 4, 1, "i_version_hi", Code::InodeVersion),
            (0x9c, 4, 1, "i_projid", Code::InodeUnusedField),
            (0xa0, 4, 1, "attributes without their magic number", Code::XattrMagic),
        ],
    ),
    (
        "sub",
        &[
            (0x04, 4, 4096, "i_size_lo", Code::DirectorySize),
            (0x1a, 2, 1, "i_links_count", Code::InodeLinks),
            (0x1c, 4, 8, "i_blocks_lo", Code::InodeBlocks),
            (0x20, 4, 0x1000, "i_flags, an index", Code::HtreeHeader),
            (0x20, 4, 0x20, "i_flags, append only", Code::InodeFlags),
            (0x34, 4, 1, "ee_block, a hole where . and .. were", Code::DirectoryHole),
            (0x38, 2, 0x8000, "ee_len, not written", Code::DirectoryHole),
            (0x38, 2, 0xffff, "ee_len, no block", Code::ExtentLength),
            (0x00, 2, 0x4000, "i_mode, a file", Code::EntryType),
        ],
    ),
    (
        "index",
        &[
            (0x20, 4, (1 << 32) - 0x1000, "i_flags, no index", Code::DirectoryLinear),
            (0x34, 4, 1, "ee_block, a hole in front", Code::DirectoryHole),
            (0x38, 2, 0xffff, "ee_len, a hole at the end", Code::DirectorySize),
            (0x04, 4, 4096, "i_size_lo", Code::DirectorySize),
        ],
    ),
    (
        "link",
        &[
            (0x04, 4, 0xffff_fffc, "i_size_lo, empty", Code::SymlinkTarget),
            (0x04, 4, 0xffff_ffff, "i_size_lo, shorter", Code::SymlinkTarget),
            (0x04, 4, 1, "i_size_lo, longer", Code::SymlinkTarget),
            (0x04, 4, 60, "i_size_lo, too long for the inode", Code::InodeFlags),
            (0x2a, 1, 0x100 - 0x6c, "a NUL in the target", Code::SymlinkTarget),
            (0x2c, 1, 64, "right behind the target", Code::SymlinkTarget),
            (0x50, 1, 1, "behind the target", Code::SlackNotZero),
            (0x1c, 4, 8, "i_blocks_lo", Code::InodeBlocks),
        ],
    ),
    (
        "longlink",
        &[
            (0x04, 4, 0xffff_ffff, "i_size_lo, shorter", Code::SymlinkTarget),
            (0x04, 4, (1 << 32) - 80, "i_size_lo, short enough for the inode", Code::SymlinkPlace),
            (0x04, 4, 4000, "i_size_lo, too long", Code::SymlinkTarget),
            (0x38, 2, 0x8000, "ee_len, not written", Code::InodeSize),
            (0x20, 4, (1 << 32) - 0x8_0000, "i_flags, no extents", Code::InodeFlags),
        ],
    ),
    (
        "console",
        &[
            (0x2c, 4, 0x100, "the device, twice", Code::DeviceNumber),
            (0x28, 4, 0x1_0000, "the device, too large", Code::DeviceNumber),
            (0x30, 4, 1, "behind the device", Code::DeviceNumber),
            (0x04, 4, 1, "i_size_lo", Code::InodeSize),
            (0x20, 4, 0x8_0000, "i_flags, extents", Code::InodeFlags),
            (0x1a, 2, 1, "i_links_count", Code::InodeLinks),
        ],
    ),
    (
        "fifo",
        &[
            (0x28, 4, 1, "a device", Code::DeviceNumber),
            (0x00, 2, 0xb000, "i_mode, a socket", Code::EntryType),
        ],
    ),
    ("zacl", &[(0x00, 2, 8, "i_mode beside its list", Code::XattrAclMode)]),
    (
        "xattr",
        &[
            (0xa0, 4, 1, "h_magic", Code::XattrMagic),
            (0xa4, 1, 200, "e_name_len", Code::XattrEntry),
            (0xa5, 1, 50, "e_name_index", Code::XattrName),
            (0xa6, 2, 90, "e_value_offs", Code::XattrValue),
            (0xa8, 4, 1, "e_value_inum", Code::XattrValue),
            (0xac, 4, 90, "e_value_size", Code::XattrValue),
            (0xb0, 4, 1, "e_hash", Code::XattrHash),
            (0xd0, 1, 1, "between entries and values", Code::XattrPadding),
            (0x68, 4, 1 << 31, "i_file_acl_lo", Code::BlockOutside),
            (0x6c, 4, 1 << 12, "i_size_high, more than there can be", Code::InodeSize),
            (0x6c, 4, 1 << 31, "i_size_high, negative", Code::InodeSize),
        ],
    ),
];

/// The inodes of fixed meaning.
const RESERVED: &[(u64, &[Field])] = &[
    (1, &[(0x00, 2, 1, "i_mode", Code::ReservedInode)]),
    (
        2,
        &[
            (0x00, 2, 0x4000, "i_mode, a file", Code::InodeType),
            (0x1a, 2, 1, "i_links_count", Code::InodeLinks),
        ],
    ),
    (3, &[(0x30, 4, 1, "something", Code::ReservedInode)]),
    (5, &[(0x1a, 2, 1, "i_links_count", Code::ReservedInode)]),
    (
        7,
        &[
            (0x00, 2, 1, "i_mode", Code::ResizeInode),
            (0x04, 4, 1, "i_size_lo", Code::ResizeInode),
            (0x1a, 2, 1, "i_links_count", Code::ResizeInode),
            (0x1c, 4, 8, "i_blocks_lo", Code::InodeBlocks),
            (0x20, 4, 0x10, "i_flags", Code::ResizeInode),
            (0x28, 4, 9, "a direct pointer", Code::ResizeInode),
            (0x58, 4, 9, "the indirect pointer", Code::ResizeInode),
            (0x5c, 4, 1, "the double-indirect pointer", Code::ResizePointer),
            (0x60, 4, 9, "the triple-indirect pointer", Code::ResizeInode),
        ],
    ),
    (
        8,
        &[
            (0x00, 2, 1, "i_mode", Code::JournalInode),
            (0x04, 4, 4096, "i_size_lo", Code::JournalInode),
            (0x1a, 2, 1, "i_links_count", Code::JournalInode),
            (0x1c, 4, 8, "i_blocks_lo", Code::InodeBlocks),
            (0x02, 2, 1, "i_uid", Code::JournalInode),
            (0x3c, 4, 1, "ee_start_lo", Code::JournalSuperblock),
        ],
    ),
];

const DOTS: &[Field] = &[
    (0, 4, 1, "the inode of .", Code::DirectoryDots),
    (4, 2, 4, "rec_len of .", Code::DirectoryDots),
    (6, 1, 1, "name_len of .", Code::DirectoryDots),
    (7, 1, 1, "type of .", Code::DirectoryDots),
    (8, 1, 1, "name of .", Code::DirectoryDots),
    (9, 1, 1, "right behind .", Code::DirectoryDots),
    (10, 1, 1, "behind .", Code::EntryPadding),
    (12, 4, 1, "the inode of ..", Code::DirectoryParent),
    (16, 2, 3, "rec_len of ..", Code::EntryLength),
    (18, 1, 1, "name_len of ..", Code::DirectoryDots),
    (19, 1, 1, "type of ..", Code::DirectoryDots),
    (22, 1, 1, "right behind ..", Code::DirectoryDots),
    (24, 4, 0x100_0000, "inode of an entry, none such", Code::EntryInode),
    (28, 2, 4, "rec_len of an entry, over the end", Code::EntryLength),
    (28, 2, 0xfff0, "rec_len of an entry, too short", Code::EntryLength),
    (30, 1, 0xfb, "name_len of an entry, none", Code::EntryName),
    (31, 1, 1, "type of an entry", Code::EntryType),
    (32, 1, 0x12f - 0x62, "a slash in a name", Code::EntryName),
    (33, 1, 0x100 - 0x65, "a NUL in a name", Code::EntryName),
    (40, 1, 1, "behind an entry", Code::EntryPadding),
    (4084, 4, 1, "inode of the tail", Code::DirectoryTail),
    (4088, 2, 1, "rec_len of the tail", Code::DirectoryTail),
    (4091, 1, 1, "type of the tail", Code::DirectoryTail),
];

const INDEX: &[Field] = &[
    (0x00, 4, 1, "the inode of .", Code::DirectoryDots),
    (0x0c, 4, 1, "the inode of ..", Code::DirectoryParent),
    (0x10, 2, 4, "rec_len of ..", Code::DirectoryDots),
    (0x18, 4, 1, "reserved_zero", Code::HtreeHeader),
    (0x1c, 1, 2, "hash_version", Code::HtreeHash),
    (0x1d, 1, 1, "info_length", Code::HtreeHeader),
    (0x1e, 1, 3, "indirect_levels", Code::HtreeHeader),
    (0x1f, 1, 1, "unused_flags", Code::HtreeHeader),
    (0x20, 2, 1, "limit", Code::HtreeLimit),
    (0x22, 2, 0xfffe, "count, one less", Code::HtreeUnreached),
    (0x22, 2, 600, "count, too many", Code::HtreeCount),
    (0x24, 4, 1000, "block of the first entry", Code::HtreeBlock),
    (0x28, 4, 1 << 31, "hash of an entry, higher", Code::HtreeOrder),
    (0x28, 4, 0x100_0000, "hash of an entry, a little higher", Code::HtreeRange),
    (0x28, 4, 1, "hash of an entry, continued", Code::HtreeContinued),
    (0x2c, 4, 1, "block of an entry", Code::HtreeBlock),
    (0xf00, 4, 1, "behind the entries", Code::HtreePadding),
];

const NODE: &[Field] = &[
    (0x00, 4, 1, "the empty entry's inode", Code::HtreeNode),
    (0x04, 2, 4, "the empty entry's rec_len", Code::HtreeNode),
    (0x08, 2, 1, "limit", Code::HtreeLimit),
    (0x0a, 2, 600, "count", Code::HtreeCount),
    (0x0c, 4, 5000, "block of the first entry", Code::HtreeBlock),
    (0x10, 4, 1 << 31, "hash of an entry", Code::HtreeOrder),
];

const XATTR_BLOCK: &[Field] = &[
    (0x00, 4, 1, "h_magic", Code::XattrMagic),
    (0x04, 4, 1, "h_refcount", Code::XattrCount),
    (0x04, 4, 1, "h_refcount of several", Code::XattrShared),
    (0x08, 4, 1, "h_blocks", Code::XattrHeader),
    (0x0c, 4, 1, "h_hash", Code::XattrHash),
    (0x14, 4, 1, "h_reserved", Code::XattrHeader),
    (0x20, 1, 250, "e_name_len", Code::XattrPadding),
    (0x21, 1, 1, "e_name_index", Code::XattrName),
    (0x21, 1, 3, "e_name_index, out of order", Code::XattrOrder),
    (0x22, 2, 0x1000, "e_value_offs", Code::XattrValue),
    (0x24, 4, 1, "e_value_inum", Code::XattrValue),
    (0x28, 4, 4096, "e_value_size", Code::XattrValue),
    (0x2c, 4, 1, "e_hash", Code::XattrHash),
    (0x30, 1, 1, "a name", Code::XattrHash),
    (0xfff, 1, 1, "a value", Code::XattrHash),
    (0x200, 1, 1, "between entries and values", Code::XattrPadding),
];

const EXTENT_BLOCK: &[Field] = &[
    (0, 2, 1, "eh_magic", Code::ExtentMagic),
    (2, 2, 400, "eh_entries", Code::ExtentHeader),
    (4, 2, 1, "eh_max", Code::ExtentHeader),
    (6, 2, 1, "eh_depth", Code::ExtentDepth),
    (8, 4, 1, "eh_generation", Code::ExtentUnused),
    (12, 4, 1, "the first ee_block", Code::ExtentIndex),
    (24, 4, 0xffff_ffff, "the second ee_block", Code::ExtentOrder),
    (4080, 4, 1, "an unused entry", Code::ExtentUnused),
];

/// Big-endian: what is added is added to the last byte.
const JOURNAL: &[Field] = &[
    (0x03, 1, 1, "h_magic", Code::JournalSuperblock),
    (0x07, 1, 1, "h_blocktype", Code::JournalSuperblock),
    (0x0b, 1, 1, "h_sequence", Code::JournalSuperblock),
    (0x0f, 1, 1, "s_blocksize", Code::JournalSuperblock),
    (0x13, 1, 1, "s_maxlen", Code::JournalSuperblock),
    (0x17, 1, 1, "s_first", Code::JournalSuperblock),
    (0x1b, 1, 1, "s_sequence", Code::JournalUsed),
    (0x1f, 1, 1, "s_start", Code::JournalNotEmpty),
    (0x23, 1, 1, "s_errno", Code::JournalSuperblock),
    (0x27, 1, 1, "s_feature_compat", Code::JournalUsed),
    (0x2b, 1, 1, "s_feature_incompat", Code::JournalUsed),
    (0x2b, 1, 0x10, "s_feature_incompat, checksums", Code::JournalChecksum),
    (0x30, 1, 1, "s_uuid", Code::JournalSuperblock),
    (0x43, 1, 1, "s_nr_users", Code::JournalSuperblock),
    (0x100, 1, 1, "s_users", Code::MetadataPadding),
    (0x1000, 1, 1, "a block of the journal", Code::JournalUsed),
];

/// Adds the kinds of a table: `at` the structure, `fix` its checksum.
fn table(
    kinds: &mut Vec<Kind>,
    what: &str,
    fields: &[Field],
    at: u64,
    fix: impl Fn(&mut Image) + Clone + Sync + 'static,
) {
    for &(offset, len, more, name, expected) in fields {
        let fix = fix.clone();
        let damage = move |image: &mut Image| {
            image.add(at + offset, len, more);
            fix(image);
        };
        kinds.push(Kind { name: format!("{what}: {name}"), expected, damage: Box::new(damage) });
    }
}

/// A byte that is not zero, or no longer what it was, without any checksum made right.
fn bytes(kinds: &mut Vec<Kind>, places: &[(&str, u64, Code)]) {
    for &(name, at, expected) in places {
        let damage = move |image: &mut Image| image.add(at, 1, 1);
        kinds.push(Kind { name: name.to_owned(), expected, damage: Box::new(damage) });
    }
}

/// All kinds of damage to [`crate::image::full`].
pub(crate) fn all(image: &Image, names: &Names) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let k = &mut kinds;
    table(k, "superblock", SUPERBLOCK, SB, |image| image.fix_super(SB));
    table(k, "descriptor", DESCRIPTOR, Image::desc(0), |image| image.fix_desc(0));
    for (name, fields) in INODES {
        let number = names.of(name);
        table(k, name, fields, image.inode(number), move |image| image.fix_inode(number));
    }
    for &(number, fields) in RESERVED {
        let what = format!("inode {number}");
        table(k, &what, fields, image.inode(number), move |image| image.fix_inode(number));
    }
    let (sub, index, huge, deep) = (names.of("sub"), names.of("index"), names.of("huge"), names.of("deep"));
    let at = image.first(sub);
    table(k, "directory", DOTS, at, move |image| image.fix_directory(sub, at));
    let at = image.first(index);
    table(k, "index", INDEX, at, move |image| image.fix_index(index, at, 0x20));
    let root = image.first(huge);
    let node = root + image.n(root + 0x24, 4) * BLOCK;
    table(k, "index of two levels", NODE, node, move |image| image.fix_index(huge, node, 8));
    let block = image.n(image.inode(names.of("xattr")) + 0x68, 4) * BLOCK;
    table(k, "attribute block", XATTR_BLOCK, block, move |image| image.fix_xattrs(block));
    let tree = image.first(deep);
    table(k, "extent block", EXTENT_BLOCK, tree, move |image| image.fix_extents(deep, tree));
    let journal = image.first(8);
    table(k, "journal", JOURNAL, journal, |_| {});
    bitmaps(k, image);
    let group = 32768 * BLOCK;
    let leaf = image.first(index) + BLOCK;
    let unused_inode = image.inode(names.of("zacl") + 1);
    let gdt = 1 + image.n(SB, 4).div_ceil(image.n(SB + 0x28, 4)).div_ceil(64);
    let resize = image.n(image.inode(7) + 0x5c, 4) * BLOCK;
    bytes(
        k,
        &[
            ("boot block", 100, Code::MetadataPadding),
            ("behind the superblock", 3000, Code::MetadataPadding),
            ("superblock without its checksum", SB + 0x78, Code::SuperblockChecksum),
            ("descriptor without its checksum", Image::desc(1) + 0x0c, Code::DescriptorChecksum),
            ("behind the last descriptor", BLOCK + 4000, Code::MetadataPadding),
            ("copy of the superblock in group 1", group + 0x88, Code::BackupSuperblock),
            ("its checksum", group + 0x3fc, Code::BackupChecksum),
            ("its state", group + 0x3a, Code::BackupState),
            ("its group", group + 0x5a, Code::BackupSuperblock),
            ("behind it", group + 2000, Code::MetadataPadding),
            ("copy of the superblock in group 9", 9 * group + 0x10, Code::BackupSuperblock),
            ("copy of the descriptors in group 1", group + BLOCK + 12, Code::BackupDescriptors),
            ("copy of the descriptors in group 7", 7 * group + BLOCK + 12, Code::BackupDescriptors),
            ("reserve of group 1, first block", group + gdt * BLOCK, Code::ReserveNotZero),
            ("reserve of group 3, last byte", 3 * group + (gdt + 1) * BLOCK - 1, Code::ReserveNotZero),
            ("first pointer to a copy of the reserve", gdt * BLOCK, Code::ResizeBackupPointer),
            ("third pointer to a copy of the reserve", gdt * BLOCK + 8, Code::ResizeBackupPointer),
            ("pointer behind the last", gdt * BLOCK + 4000, Code::ResizeBackupPointer),
            ("pointer to the reserve", resize + 4 * (gdt - 1), Code::ResizePointer),
            ("pointer to no reserve", resize + 4000, Code::ResizePointer),
            ("inode without its checksum", image.inode(names.of("file")) + 2, Code::InodeChecksum),
            ("checksum of an inode", image.inode(names.of("file")) + 0x7c, Code::InodeChecksum),
            ("checksum of the journal's inode", image.inode(8) + 0x7c, Code::InodeChecksum),
            ("checksum of an inode without use", image.inode(4) + 0x7c, Code::InodeChecksum),
            ("unused inode", unused_inode + 0x10, Code::InodeUnusedNotZero),
            ("unused inode with a link", unused_inode + 0x1a, Code::InodeOrphan),
            ("last inode of the table", unused_inode + 40_960, Code::InodeUnusedNotZero),
            ("directory without its checksum", image.first(sub) + 40, Code::DirectoryChecksum),
            ("leaf of an index without its checksum", leaf + 20, Code::DirectoryChecksum),
            ("index without its checksum", image.first(index) + 0x28, Code::HtreeChecksum),
            ("attribute block without its checksum", block + 0xfff, Code::XattrChecksum),
            ("extent block without its checksum", tree + 20, Code::ExtentChecksum),
            ("behind the end of a file", image.first(names.of("file")) + 5000, Code::SlackNotZero),
            ("behind the end of a long target", image.first(names.of("longlink")) + 100, Code::SlackNotZero),
            ("last free block", image.len - 1, Code::FreeBlockNotZero),
            ("a free block", image.len - 40_000_000, Code::FreeBlockNotZero),
        ],
    );
    swaps(k, image, names);
    kinds
}

fn bitmaps(kinds: &mut Vec<Kind>, image: &Image) {
    let mut add = |name: &str, expected: Code, damage: Box<dyn Fn(&mut Image) + Sync>| {
        kinds.push(Kind { name: format!("bitmap: {name}"), expected, damage });
    };
    let last = image.len.div_ceil(32768 * BLOCK) - 1;
    let (blocks, inodes) = (image.bitmap(0, 0), image.bitmap(0, 4));
    add(
        "a used block as free",
        Code::BlockNotMarked,
        Box::new(move |image| {
            image.add(blocks, 1, 0xfe);
            image.fix_block_bitmap(0);
        }),
    );
    let tail = image.bitmap(last, 0);
    let in_last = image.len / BLOCK - last * 32768;
    add(
        "a free block as used",
        Code::BlockLeaked,
        Box::new(move |image| {
            image.put(tail + (in_last - 8) / 8, &[0xff]);
            image.fix_block_bitmap(last);
        }),
    );
    add(
        "behind the last block",
        Code::BlockBitmapPadding,
        Box::new(move |image| {
            image.put(tail + 4095, &[0x7f]);
            image.fix_block_bitmap(last);
        }),
    );
    add(
        "blocks without checksum",
        Code::BlockBitmapChecksum,
        Box::new(move |image| {
            image.add(blocks, 1, 1);
        }),
    );
    add(
        "a used inode as free",
        Code::InodeNotMarked,
        Box::new(move |image| {
            image.add(inodes + 1, 1, 0xf0);
            image.fix_inode_bitmap(0);
        }),
    );
    let group = image.n(SB, 4) / image.n(SB + 0x28, 4) - 1;
    let used_group = (0..group).rev().find(|&group| image.n(Image::desc(group) + 0x12, 2) & 1 == 0).unwrap();
    let used = image.bitmap(used_group, 4);
    let per_group = image.n(SB + 0x28, 4);
    add(
        "a free inode as used",
        Code::InodeLeaked,
        Box::new(move |image| {
            image.put(used + per_group / 8 - 1, &[0x80]);
            image.fix_inode_bitmap(used_group);
        }),
    );
    add(
        "behind the last inode",
        Code::InodeBitmapPadding,
        Box::new(move |image| {
            image.put(used + 4095, &[0x7f]);
            image.fix_inode_bitmap(used_group);
        }),
    );
    add(
        "inodes without checksum",
        Code::InodeBitmapChecksum,
        Box::new(move |image| {
            image.add(inodes, 1, 0xff);
        }),
    );
    let unwritten = image.bitmap(group, 4);
    add("inodes that are not written", Code::UninitBitmap, Box::new(move |image| image.put(unwritten, &[1])));
}

/// What stands in another's place, everything right but that.
#[expect(clippy::too_many_lines, reason = "a list of kinds, one behind the other")]
fn swaps(kinds: &mut Vec<Kind>, image: &Image, names: &Names) {
    let mut add = |name: &str, expected: Code, damage: Box<dyn Fn(&mut Image) + Sync>| {
        kinds.push(Kind { name: format!("swap: {name}"), expected, damage });
    };
    add(
        "two descriptors",
        Code::DescriptorChecksum,
        Box::new(|image| {
            let (a, b) = (image.get(Image::desc(1), 64), image.get(Image::desc(2), 64));
            image.put(Image::desc(1), &b);
            image.put(Image::desc(2), &a);
        }),
    );
    let (file, link, fifo) = (names.of("file"), names.of("link"), names.of("fifo"));
    add(
        "two inodes",
        Code::EntryType,
        Box::new(move |image| {
            let (a, b) = (image.get(image.inode(file), 256), image.get(image.inode(fifo), 256));
            let (at_a, at_b) = (image.inode(file), image.inode(fifo));
            image.put(at_a, &b);
            image.put(at_b, &a);
            image.fix_inode(file);
            image.fix_inode(fifo);
        }),
    );
    add(
        "an inode for another",
        Code::InodeChecksum,
        Box::new(move |image| {
            let other = image.get(image.inode(link), 256);
            let at = image.inode(fifo);
            image.put(at, &other);
        }),
    );
    let (index, leaf) = (names.of("index"), image.first(names.of("index")) + BLOCK);
    add(
        "two leaves of an index",
        Code::HtreeRange,
        Box::new(move |image| {
            let (a, b) = (image.get(leaf, 4096), image.get(leaf + BLOCK, 4096));
            image.put(leaf, &b);
            image.put(leaf + BLOCK, &a);
        }),
    );
    add(
        "two blocks of an index, by number",
        Code::HtreeRange,
        Box::new(move |image| {
            let root = image.first(index);
            let (a, b) = (image.get(root + 0x24, 4), image.get(root + 0x2c, 4));
            image.put(root + 0x24, &b);
            image.put(root + 0x2c, &a);
            image.fix_index(index, root, 0x20);
        }),
    );
    add(
        "two entries of the same name",
        Code::EntryDuplicate,
        Box::new(move |image| {
            // Names of the same length, one behind the other.
            let name = image.get(leaf + 8, 10);
            image.put(leaf + 28, &name);
            image.fix_directory(index, leaf);
        }),
    );
    let sub = names.of("sub");
    add(
        "a directory in itself",
        Code::DirectoryLinkedTwice,
        Box::new(move |image| {
            let at = image.first(sub);
            image.put(at + 24, &u32::try_from(sub).unwrap().to_le_bytes());
            image.fix_directory(sub, at);
        }),
    );
    add(
        "an entry that is unused",
        Code::EntryUnused,
        Box::new(move |image| {
            let at = image.first(sub);
            image.put(at + 24, &[0; 4]);
            image.fix_directory(sub, at);
        }),
    );
    let deep = names.of("deep");
    add(
        "two extents",
        Code::ExtentOrder,
        Box::new(move |image| {
            let at = image.first(deep);
            let (a, b) = (image.get(at + 12, 12), image.get(at + 24, 12));
            image.put(at + 12, &b);
            image.put(at + 24, &a);
            image.fix_extents(deep, at);
        }),
    );
    add(
        "an extent tree that leads to itself",
        Code::BlockShared,
        Box::new(move |image| {
            let at = image.first(deep);
            image.put(at + 6, &[1, 0]);
            let number = (at / BLOCK).to_le_bytes();
            image.put(at + 16, &number[..6]);
            let inode = image.inode(deep);
            image.put(inode + 0x2e, &[2, 0]);
            image.fix_extents(deep, at);
            image.fix_inode(deep);
        }),
    );
    add("a shorter image", Code::ImageTooShort, Box::new(|image| image.len -= BLOCK));
    add(
        "something behind the end",
        Code::TrailingData,
        Box::new(|image| {
            image.len += BLOCK;
            let at = image.len - 1;
            image.put(at, &[1]);
        }),
    );
}
