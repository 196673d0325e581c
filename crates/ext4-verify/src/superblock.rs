//! The superblock: its fields and the checks of them. Kernel documentation, "The Super Block".

use std::ops::Range;

use crate::checksum::Crc;
use crate::codes::Code;
use crate::geometry::Geometry;
use crate::numbers::{byte, id, is_zero, le, le16, le32, le32_pair, part};
use crate::problem::{Findings, Place};

/// Its length in \[bytes\].
pub(crate) const BYTES: usize = 1024;
/// Where its checksum is.
pub(crate) const CHECKSUM: usize = 0x3fc;
pub(crate) const STATE: usize = 0x3a;
pub(crate) const GROUP_NR: usize = 0x5a;

/// The features that snugfs always uses.
const COMPAT: u32 = 0x28;
const INCOMPAT: u32 = 0x2c2;
const RO_COMPAT: u32 = 0x46b;
/// The features among them that old systems do not know: `64bit` and `metadata_csum`. An image has both or neither.
const BIT64: u32 = 0x80;
const METADATA_CSUM: u32 = 0x400;
/// The features of a journal and of a reserve for growth.
const HAS_JOURNAL: u32 = 0x4;
const RESIZE_INODE: u32 = 0x10;
/// The feature of a sealed file system, which Linux will only mount read-only.
const READ_ONLY: u32 = 0x1000;
/// The feature of a journal that has to be replayed.
const RECOVER: u32 = 0x4;

/// The parts of a superblock that the other checks need.
#[derive(Clone, Debug)]
pub(crate) struct Superblock {
    pub(crate) geometry: Geometry,
    pub(crate) raw: Vec<u8>,
    /// The start of all checksums except its own.
    pub(crate) seed: Crc,
    pub(crate) hash_seed: [u32; 4],
    /// Whether directory hashes are over signed characters.
    pub(crate) signed_hash: bool,
    pub(crate) has_journal: bool,
    pub(crate) has_resize_inode: bool,
}

impl Superblock {
    /// Whether it was mounted, or written by a tool, since it was made.
    pub(crate) fn was_used(&self) -> bool {
        was_used(&self.raw)
    }

    /// Whether it is sealed: Linux will only mount it read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        le32(&self.raw, 0x64) & READ_ONLY != 0
    }
}

fn was_used(raw: &[u8]) -> bool {
    let never = |at, len| is_zero(part(raw, at, len));
    // s_wtime and s_mkfs_time
    let time = |low, high| (le32(raw, low), byte(raw, high));
    let was_written = time(0x30, 0x274) != time(0x108, 0x276);
    // s_mtime and s_mtime_hi, s_mnt_count, s_kbytes_written
    was_written || !(never(0x2c, 4) && never(0x275, 1) && never(0x34, 2) && never(0x178, 8))
}

/// A field whose value is known beforehand: where, how long in \[bytes\], value, name.
type Fixed = (usize, usize, u64, &'static str);

/// Without these, nothing else can be found.
const GEOMETRY: [Fixed; 7] = [
    (0x14, 4, 0, "s_first_data_block"),
    (0x18, 4, 2, "s_log_block_size"),
    (0x1c, 4, 2, "s_log_cluster_size"),
    (0x20, 4, 32768, "s_blocks_per_group"),
    (0x24, 4, 32768, "s_clusters_per_group"),
    (0x4c, 4, 1, "s_rev_level"),
    (0x58, 2, 256, "s_inode_size"),
];

/// Fields that are the same in every new file system.
const FIXED: [Fixed; 6] = [
    (0x48, 4, 0, "s_creator_os"),
    (0x54, 4, 11, "s_first_ino"),
    (GROUP_NR, 2, 0, "s_block_group_nr"),
    (0x15c, 2, 32, "s_min_extra_isize"),
    (0x15e, 2, 32, "s_want_extra_isize"),
    (0x174, 1, 4, "s_log_groups_per_flex"),
];

/// A field that tune2fs changes: where, how long in \[bytes\], its value in a new file system, whether another one is valid,
/// name.
type Setting = (usize, usize, u64, fn(u64) -> bool, &'static str);

/// Settings. Their values are those that tune2fs, mke2fs and Linux take.
const SETTINGS: [Setting; 10] = [
    (0x36, 2, 0xffff, |_| true, "s_max_mnt_count"),
    // Continue, remount read-only, panic.
    (0x3c, 2, 1, |behaviour| (1..=3).contains(&behaviour), "s_errors"),
    (0x44, 4, 0, |_| true, "s_checkinterval"),
    (0x50, 2, 0, |_| true, "s_def_resuid"),
    (0x52, 2, 0, |_| true, "s_def_resgid"),
    // Legacy, half MD4, TEA.
    (0xfc, 1, 1, |version| version <= 2, "s_def_hash_version"),
    // `EXT4_DEFM_*`
    (0x100, 4, 0x0c, |options| options & !0xf7f == 0, "s_default_mount_opts"),
    // Hashes over signed or over unsigned characters, and the flag of file systems for tests.
    (0x160, 4, 1, |flags| matches!(flags, 1 | 2 | 5 | 6), "s_flags"),
    (0x164, 2, 0, |_| true, "s_raid_stride"),
    (0x170, 4, 0, |_| true, "s_raid_stripe_width"),
];
/// The mount options that tune2fs stores as text.
const MOUNT_OPTIONS: (usize, usize) = (0x200, 64);
/// The number of blocks of the overhead, 0 if Linux has to count them.
pub(crate) const OVERHEAD: usize = 0x248;

/// Where tune2fs and resize2fs change the first superblock but not always its copies, in \[bytes\]: blocks kept for root, mount
/// counts, settings, label, mount point, the journal's inode and its copy, overhead.
pub(crate) const TUNED: [Range<usize>; 16] = [
    0x08..0x0c,
    0x34..0x38,
    0x3c..0x3e,
    0x40..0x48,
    0x50..0x54,
    0x78..0xc8,
    0xe0..0xe4,
    0xfc..0xfe,
    0x100..0x104,
    0x10c..0x150,
    0x154..0x158,
    0x160..0x166,
    0x170..0x174,
    0x200..0x240,
    OVERHEAD..0x24c,
    0x277..0x278,
];

/// Fields without use with these features, as (from, to, name).
const UNUSED: [(usize, usize, &str); 11] = [
    (0x3e, 0x40, "s_minor_rev_level"),
    (0xc8, 0xce, "s_algorithm_usage_bitmap, s_prealloc_blocks"),
    (0xd0, 0xe0, "s_journal_uuid"),
    (0xe4, 0xe8, "s_journal_dev"),
    (0x104, 0x108, "s_first_meta_bg"),
    (0x166, 0x170, "s_mmp_interval, s_mmp_block"),
    (0x176, 0x178, "s_reserved_pad"),
    (0x180, 0x194, "s_snapshot_inum to s_snapshot_list"),
    (0x240, 0x248, "s_usr_quota_inum, s_grp_quota_inum"),
    (0x24c, 0x274, "s_backup_bgs to s_checksum_seed"),
    (0x278, CHECKSUM, "the rest of the superblock"),
];

/// Checks the superblock; `None` where nothing else can be checked.
pub(crate) fn check(raw: Vec<u8>, length: u64, findings: &mut Findings) -> Option<Superblock> {
    if le16(&raw, 0x38) != 0xef53 {
        findings.add(
            Code::SuperblockMagic,
            Place::Superblock,
            "has no magic number: it is damaged, or this is no ext4; see what it is with `snugfs inspect`",
        );
        return None;
    }
    let start = Crc::start(!is_legacy(&raw));
    let computed = start.over(part(&raw, 0, CHECKSUM)).value();
    if le32(&raw, CHECKSUM) != computed {
        let text = format!("checksum is {:#010x}, should be {computed:#010x}", le32(&raw, CHECKSUM));
        findings.add(Code::SuperblockChecksum, Place::Superblock, text);
    }
    let mut readable = features(&raw, findings);
    readable &= fixed(&raw, &GEOMETRY, Code::SuperblockGeometry, findings);
    let desc_size = [(0xfe, 2, if is_legacy(&raw) { 0 } else { 64 }, "s_desc_size")];
    readable &= fixed(&raw, &desc_size, Code::SuperblockGeometry, findings);
    if !readable {
        return None;
    }
    let geometry = geometry(&raw, length, findings)?;
    fixed(&raw, &FIXED, Code::SuperblockField, findings);
    let checksum_type = [(0x175, 1, u64::from(!is_legacy(&raw)), "s_checksum_type")];
    fixed(&raw, &checksum_type, Code::SuperblockField, findings);
    settings(&raw, findings);
    for (from, to, name) in UNUSED {
        if !is_zero(raw.get(from..to).unwrap_or_default()) {
            findings.add(Code::SuperblockUnused, Place::Superblock, format!("{name} is not zero"));
        }
    }
    state(&raw, findings);
    identity(&raw, findings);
    journal(&raw, findings);
    let hash_seed = [0xec, 0xf0, 0xf4, 0xf8].map(|at| le32(&raw, at));
    Some(Superblock {
        geometry,
        seed: start.over(&id(&raw, 0x68)),
        hash_seed,
        signed_hash: le32(&raw, 0x160) & 2 == 0,
        has_journal: le32(&raw, 0x5c) & HAS_JOURNAL != 0,
        has_resize_inode: le32(&raw, 0x5c) & RESIZE_INODE != 0,
        raw,
    })
}

/// Whether it has no checksums and no high halves of block numbers.
fn is_legacy(raw: &[u8]) -> bool {
    le32(raw, 0x60) & BIT64 == 0 && le32(raw, 0x64) & METADATA_CSUM == 0
}

/// Checks the features; false where the rest can't be read with them.
fn features(raw: &[u8], findings: &mut Findings) -> bool {
    let without = if is_legacy(raw) { (BIT64, METADATA_CSUM) } else { (0, 0) };
    let words = [
        ("compatible", 0x5c, COMPAT, HAS_JOURNAL | RESIZE_INODE),
        ("incompatible", 0x60, INCOMPAT & !without.0, RECOVER),
        ("read-only compatible", 0x64, RO_COMPAT & !without.1, READ_ONLY),
    ];
    let mut readable = true;
    for (name, at, always, sometimes) in words {
        let found = le32(raw, at);
        if found & !sometimes != always {
            let (more, less) = (found & !sometimes & !always, always & !found);
            let text = format!(
                "{name} features are {found:#x}: beyond those of snugfs {more:#x}, missing {less:#x}; \
                 nothing that depends on them was checked"
            );
            findings.add(Code::SuperblockFeatures, Place::Superblock, text);
            // What is merely compatible changes no structure that is read here.
            readable &= at == 0x5c;
        }
    }
    if le32(raw, 0x60) & RECOVER != 0 {
        let text = "the journal waits to be replayed; mount the file system once, or run e2fsck";
        findings.add(Code::JournalNotEmpty, Place::Superblock, text);
    }
    let sealed = le32(raw, 0x64) & READ_ONLY != 0;
    if sealed && le32(raw, 0x5c) & (HAS_JOURNAL | RESIZE_INODE) != 0 {
        let text = "a journal and a reserve for growth do not go with the feature read-only";
        findings.add(Code::SuperblockFeatures, Place::Superblock, text);
    }
    let reserve = le16(raw, 0xce);
    let has_resize_inode = le32(raw, 0x5c) & RESIZE_INODE != 0;
    if has_resize_inode && reserve == 0 && was_used(raw) {
        findings.add(Code::SuperblockUse, Place::Superblock, "growth used up all reserved descriptor blocks");
    } else if has_resize_inode != (reserve > 0) {
        let text = format!("{reserve} reserved descriptor blocks do not go with the feature resize_inode");
        findings.add(Code::SuperblockFeatures, Place::Superblock, text);
    }
    readable
}

fn fixed(raw: &[u8], fields: &[Fixed], code: Code, findings: &mut Findings) -> bool {
    let mut right = true;
    for &(at, len, wanted, name) in fields {
        let found = le(raw, at, len);
        if found != wanted {
            findings.add(code, Place::Superblock, format!("{name} is {found}, should be {wanted}"));
            right = false;
        }
    }
    right
}

fn settings(raw: &[u8], findings: &mut Findings) {
    for (at, len, new, is_valid, name) in SETTINGS {
        let found = le(raw, at, len);
        if found != new {
            let code = if is_valid(found) { Code::SuperblockTuned } else { Code::SuperblockField };
            findings.add(
                code,
                Place::Superblock,
                format!("{name} is {found}, is {new} in a new file system"),
            );
        }
    }
    let (from, len) = MOUNT_OPTIONS;
    if !is_zero(part(raw, from, len)) {
        findings.add(Code::SuperblockTuned, Place::Superblock, "s_mount_opts is not empty");
    }
}

fn geometry(raw: &[u8], length: u64, findings: &mut Findings) -> Option<Geometry> {
    let blocks = le32_pair(raw, 0x04, 0x150);
    let geometry = Geometry::new(blocks, le32(raw, 0x28), le16(raw, 0xce), is_legacy(raw));
    let Some(geometry) = geometry else {
        let text = format!(
            "impossible geometry: {blocks} blocks, {} inodes per group, {} blocks reserved for descriptors",
            le32(raw, 0x28),
            le16(raw, 0xce)
        );
        findings.add(Code::SuperblockBlocks, Place::Superblock, text);
        return None;
    };
    if geometry.bytes() > length {
        let text = format!("says {} bytes, but there are only {length}", geometry.bytes());
        findings.add(Code::ImageTooShort, Place::Superblock, text);
        return None;
    }
    if u64::from(le32(raw, 0)) != geometry.inodes() {
        let text = format!("s_inodes_count is {}, should be {}", le32(raw, 0), geometry.inodes());
        findings.add(Code::SuperblockInodes, Place::Superblock, text);
    }
    let reserved = le32_pair(raw, 0x08, 0x154);
    if reserved > blocks / 2 {
        let text = format!("{reserved} of {blocks} blocks are kept for root, more than half");
        findings.add(Code::SuperblockReserved, Place::Superblock, text);
    }
    Some(geometry)
}

fn state(raw: &[u8], findings: &mut Findings) {
    let state = le16(raw, STATE);
    if state != 1 {
        let text = format!("s_state is {state}, should be 1 for clean");
        findings.add(Code::SuperblockState, Place::Superblock, text);
    }
    if le32(raw, 0xe8) != 0 {
        let text = format!("s_last_orphan is {}, should be 0", le32(raw, 0xe8));
        findings.add(Code::SuperblockState, Place::Superblock, text);
    }
    if !is_zero(part(raw, 0x194, 0x200 - 0x194)) {
        findings.add(Code::SuperblockState, Place::Superblock, "has a record of errors");
    }
    let used = [
        (0x2c, 4, "s_mtime"),
        (0x34, 2, "s_mnt_count"),
        (0x88, 64, "s_last_mounted"),
        (0x178, 8, "s_kbytes_written"),
        (0x275, 1, "s_mtime_hi"),
    ];
    for (at, len, name) in used {
        if !is_zero(part(raw, at, len)) {
            findings.add(Code::SuperblockUse, Place::Superblock, format!("{name} is not zero"));
        }
    }
    let times = [(0x30, 0x274), (0x40, 0x277), (0x108, 0x276)];
    let times = times.map(|(low, high)| le(raw, high, 1) << 32 | u64::from(le32(raw, low)));
    if times.iter().any(|time| *time != times[0]) {
        let [written, checked, made] = times;
        let text = format!("was made at {made}, written at {written}, checked at {checked}");
        findings.add(Code::SuperblockTimes, Place::Superblock, text);
    }
}

fn identity(raw: &[u8], findings: &mut Findings) {
    let label = part(raw, 0x78, 16);
    let end = label.iter().position(|&byte| byte == 0).unwrap_or(label.len());
    if !is_zero(label.get(end..).unwrap_or_default()) {
        findings.add(Code::SuperblockLabel, Place::Superblock, "the label goes on behind its end");
    }
    if is_zero(part(raw, 0x68, 16)) {
        findings.add(Code::SuperblockField, Place::Superblock, "s_uuid is zero");
    }
    if part(raw, 0xec, 16) != part(raw, 0x68, 16) {
        findings.add(Code::SuperblockHashSeed, Place::Superblock, "s_hash_seed is not s_uuid");
    }
}

fn journal(raw: &[u8], findings: &mut Findings) {
    let has = le32(raw, 0x5c) & HAS_JOURNAL != 0;
    fixed(raw, &[(0xe0, 4, if has { 8 } else { 0 }, "s_journal_inum")], Code::SuperblockField, findings);
    let backup = byte(raw, 0xfd);
    if backup == 1 && !has {
        let text = "s_jnl_backup_type is 1 without a journal, as tune2fs leaves it";
        findings.add(Code::SuperblockTuned, Place::Superblock, text);
    } else {
        let wanted = [(0xfd, 1, u64::from(has), "s_jnl_backup_type")];
        fixed(raw, &wanted, Code::SuperblockField, findings);
    }
    if !has && !is_zero(part(raw, 0x10c, 68)) {
        findings.add(Code::SuperblockUnused, Place::Superblock, "s_jnl_blocks is not zero without a journal");
    }
}
