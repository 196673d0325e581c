//! The description against e2fsprogs: debugfs sets each field by its name, and the structure must hold the value there.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use ext4_ondisk::superblock::{MAGIC, OFFSET};
use ext4_ondisk::{Feature, GroupDescriptor, Inode, Superblock, feature, inode, read_padded};
use zerocopy::IntoBytes;

/// A file system with every field at hand: group descriptors of 64 bytes, inodes of 256.
fn image(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("image");
    std::fs::File::create(&path).unwrap().set_len(16 << 20).unwrap();
    run_well("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "4096", "-O", "64bit", path.to_str().unwrap()], "");
    path
}

/// Runs a program of e2fsprogs; gives its standard output and its errors without the line of its version.
fn run(program: &str, arguments: &[&str], input: &str) -> (String, String) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let child = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{program}: {error}; install e2fsprogs"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors = errors.lines().filter(|line| !line.starts_with(&format!("{program} 1."))).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), errors)
}

/// Runs it and expects no error.
fn run_well(program: &str, arguments: &[&str], input: &str) {
    let (_, errors) = run(program, arguments, input);
    assert_eq!(errors, "", "{program} {arguments:?}");
}

fn debugfs(image: &Path, commands: &str) -> Vec<u8> {
    run_well("debugfs", &["-w", "-f", "-", image.to_str().unwrap()], commands);
    std::fs::read(image).unwrap()
}

fn superblock(bytes: &[u8]) -> Superblock {
    read_padded(&bytes[OFFSET..])
}

/// Offset of the first group's inode table, in \[bytes\].
fn inode_table(bytes: &[u8]) -> usize {
    let group: GroupDescriptor = read_padded(&bytes[4096..]);
    usize::try_from(group.inode_table()).unwrap() * 4096
}

/// Fields by their names in debugfs.
type Fields<T> = Vec<(&'static str, fn(&T) -> u64)>;

/// Fields that can be set without making the image unreadable. libext2fs sets `block_group_nr` itself.
fn superblock_fields() -> Fields<Superblock> {
    vec![
        ("r_blocks_count_lo", |s| s.s_r_blocks_count_lo.get().into()),
        ("r_blocks_count_hi", |s| s.s_r_blocks_count_hi.get().into()),
        ("free_blocks_count_lo", |s| s.s_free_blocks_count_lo.get().into()),
        ("free_blocks_count_hi", |s| s.s_free_blocks_count_hi.get().into()),
        ("free_inodes_count", |s| s.s_free_inodes_count.get().into()),
        ("mnt_count", |s| s.s_mnt_count.get().into()),
        ("max_mnt_count", |s| s.s_max_mnt_count.get().into()),
        ("state", |s| s.s_state.get().into()),
        ("errors", |s| s.s_errors.get().into()),
        ("minor_rev_level", |s| s.s_minor_rev_level.get().into()),
        ("checkinterval", |s| s.s_checkinterval.get().into()),
        ("creator_os", |s| s.s_creator_os.get().into()),
        ("def_resuid", |s| s.s_def_resuid.get().into()),
        ("def_resgid", |s| s.s_def_resgid.get().into()),
        ("algorithm_usage_bitmap", |s| s.s_algorithm_usage_bitmap.get().into()),
        ("prealloc_blocks", |s| s.s_prealloc_blocks.into()),
        ("prealloc_dir_blocks", |s| s.s_prealloc_dir_blocks.into()),
        ("reserved_gdt_blocks", |s| s.s_reserved_gdt_blocks.get().into()),
        ("journal_inum", |s| s.s_journal_inum.get().into()),
        ("journal_dev", |s| s.s_journal_dev.get().into()),
        ("last_orphan", |s| s.s_last_orphan.get().into()),
        ("jnl_backup_type", |s| s.s_jnl_backup_type.into()),
        ("default_mount_opts", |s| s.s_default_mount_opts.get().into()),
        ("jnl_blocks[0]", |s| s.s_jnl_blocks[0].get().into()),
        ("jnl_blocks[16]", |s| s.s_jnl_blocks[16].get().into()),
        ("min_extra_isize", |s| s.s_min_extra_isize.get().into()),
        ("want_extra_isize", |s| s.s_want_extra_isize.get().into()),
        ("flags", |s| s.s_flags.get().into()),
        ("raid_stride", |s| s.s_raid_stride.get().into()),
        ("mmp_interval", |s| s.s_mmp_interval.get().into()),
        ("mmp_block", |s| s.s_mmp_block.get()),
        ("raid_stripe_width", |s| s.s_raid_stripe_width.get().into()),
        ("encryption_level", |s| s.s_encryption_level.into()),
        ("kbytes_written", |s| s.s_kbytes_written.get()),
        ("snapshot_inum", |s| s.s_snapshot_inum.get().into()),
        ("snapshot_id", |s| s.s_snapshot_id.get().into()),
        ("snapshot_r_blocks_count", |s| s.s_snapshot_r_blocks_count.get()),
        ("snapshot_list", |s| s.s_snapshot_list.get().into()),
        ("error_count", |s| s.s_error_count.get().into()),
        ("first_error_ino", |s| s.s_first_error_ino.get().into()),
        ("first_error_block", |s| s.s_first_error_block.get()),
        ("first_error_line", |s| s.s_first_error_line.get().into()),
        ("last_error_ino", |s| s.s_last_error_ino.get().into()),
        ("last_error_block", |s| s.s_last_error_block.get()),
        ("last_error_line", |s| s.s_last_error_line.get().into()),
        ("usr_quota_inum", |s| s.s_usr_quota_inum.get().into()),
        ("grp_quota_inum", |s| s.s_grp_quota_inum.get().into()),
        ("prj_quota_inum", |s| s.s_prj_quota_inum.get().into()),
        ("overhead_clusters", |s| s.s_overhead_clusters.get().into()),
        ("backup_bgs[0]", |s| s.s_backup_bgs[0].get().into()),
        ("backup_bgs[1]", |s| s.s_backup_bgs[1].get().into()),
        ("encrypt_algos[0]", |s| s.s_encrypt_algos[0].into()),
        ("encrypt_algos[3]", |s| s.s_encrypt_algos[3].into()),
        ("lpf_ino", |s| s.s_lpf_ino.get().into()),
        ("checksum_seed", |s| s.s_checksum_seed.get().into()),
        ("orphan_file_inum", |s| s.s_orphan_file_inum.get().into()),
    ]
}

fn group_fields() -> Fields<GroupDescriptor> {
    vec![
        ("block_bitmap_lo", |g| g.bg_block_bitmap_lo.get().into()),
        ("block_bitmap_hi", |g| g.bg_block_bitmap_hi.get().into()),
        ("inode_bitmap_lo", |g| g.bg_inode_bitmap_lo.get().into()),
        ("inode_bitmap_hi", |g| g.bg_inode_bitmap_hi.get().into()),
        ("inode_table_lo", |g| g.bg_inode_table_lo.get().into()),
        ("inode_table_hi", |g| g.bg_inode_table_hi.get().into()),
        ("free_blocks_count_lo", |g| g.bg_free_blocks_count_lo.get().into()),
        ("free_blocks_count_hi", |g| g.bg_free_blocks_count_hi.get().into()),
        ("free_inodes_count_lo", |g| g.bg_free_inodes_count_lo.get().into()),
        ("free_inodes_count_hi", |g| g.bg_free_inodes_count_hi.get().into()),
        ("used_dirs_count_lo", |g| g.bg_used_dirs_count_lo.get().into()),
        ("used_dirs_count_hi", |g| g.bg_used_dirs_count_hi.get().into()),
        ("flags", |g| g.bg_flags.get().into()),
        ("exclude_bitmap_lo", |g| g.bg_exclude_bitmap_lo.get().into()),
        ("exclude_bitmap_hi", |g| g.bg_exclude_bitmap_hi.get().into()),
        ("block_bitmap_csum_lo", |g| g.bg_block_bitmap_csum_lo.get().into()),
        ("block_bitmap_csum_hi", |g| g.bg_block_bitmap_csum_hi.get().into()),
        ("inode_bitmap_csum_lo", |g| g.bg_inode_bitmap_csum_lo.get().into()),
        ("inode_bitmap_csum_hi", |g| g.bg_inode_bitmap_csum_hi.get().into()),
        ("itable_unused_lo", |g| g.bg_itable_unused_lo.get().into()),
        ("itable_unused_hi", |g| g.bg_itable_unused_hi.get().into()),
    ]
}

fn inode_fields() -> Fields<Inode> {
    vec![
        // In the order of their places: debugfs 1.47.0 writes 32 bits into `blocks_hi` and `file_acl_hi`.
        ("blocks_lo", |i| i.i_blocks_lo.get().into()),
        ("blocks_hi", |i| i.i_blocks_high.get().into()),
        ("file_acl_lo", |i| i.i_file_acl_lo.get().into()),
        ("file_acl_hi", |i| i.i_file_acl_high.get().into()),
        ("mode", |i| i.i_mode.get().into()),
        ("uid_lo", |i| i.i_uid.get().into()),
        ("uid_hi", |i| i.i_uid_high.get().into()),
        ("gid_lo", |i| i.i_gid.get().into()),
        ("gid_hi", |i| i.i_gid_high.get().into()),
        ("size_lo", |i| i.i_size_lo.get().into()),
        ("size_hi", |i| i.i_size_high.get().into()),
        ("links_count", |i| i.i_links_count.get().into()),
        ("flags", |i| i.i_flags.get().into()),
        ("version_lo", |i| i.i_version.get().into()),
        ("version_hi", |i| i.i_version_hi.get().into()),
        ("block[0]", |i| u32::from_le_bytes(i.i_block[..4].try_into().unwrap()).into()),
        ("block[DIND]", |i| {
            u32::from_le_bytes(i.i_block[inode::DOUBLE_INDIRECT..][..4].try_into().unwrap()).into()
        }),
        ("generation", |i| i.i_generation.get().into()),
        ("faddr", |i| i.i_obso_faddr.get().into()),
        ("ctime_extra", |i| i.i_ctime_extra.get().into()),
        ("mtime_extra", |i| i.i_mtime_extra.get().into()),
        ("atime_extra", |i| i.i_atime_extra.get().into()),
        ("crtime_extra", |i| i.i_crtime_extra.get().into()),
        ("projid", |i| i.i_projid.get().into()),
    ]
}

/// Values that differ from field to field and fit the narrowest.
fn values() -> impl Iterator<Item = u64> {
    0x21..
}

/// The commands of debugfs that set all fields.
fn set<T>(command: &str, fields: &Fields<T>) -> String {
    let lines = values().zip(fields).map(|(value, (name, _))| format!("{command} {name} {value}"));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn assert_set<T>(structure: &T, fields: &Fields<T>) {
    for (value, (name, read)) in values().zip(fields) {
        assert_eq!(read(structure), value, "{name}");
    }
}

#[test]
fn fields_are_where_debugfs_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    let (inodes, groups, superblocks) = (inode_fields(), group_fields(), superblock_fields());
    let table = inode_table(&std::fs::read(&image).unwrap());
    // Inode 12 is unused. The descriptor of its group comes later, as it is needed to find it.
    let commands = [
        set("set_inode_field <12>", &inodes),
        set("set_block_group 0", &groups),
        set("set_super_value", &superblocks),
    ];
    let bytes = debugfs(&image, &commands.concat());
    assert_set(&read_padded(&bytes[table + 11 * 256..]), &inodes);
    assert_set(&read_padded(&bytes[4096..]), &groups);
    assert_set(&superblock(&bytes), &superblocks);
}

#[test]
fn times_are_those_that_debugfs_sets() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    // 1.47.0 sets 32 bits of the superblock's times, and 34 of an inode's.
    let bytes = debugfs(
        &image,
        "set_inode_field <12> extra_isize 32\nset_inode_field <12> mtime @10000000000\n\
         set_super_value mkfs_time @4000000000\n",
    );
    assert_eq!(superblock(&bytes).mkfs_time(), 4_000_000_000);
    let inode: Inode = read_padded(&bytes[inode_table(&bytes) + 11 * 256..]);
    assert_eq!(inode.modified().seconds, 10_000_000_000);
}

#[test]
fn checksums_are_those_of_mke2fs() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(image(folder.path())).unwrap();
    let superblock = superblock(&bytes);
    assert_eq!((superblock.s_magic.get(), superblock.has(feature::METADATA_CSUM)), (MAGIC, true));
    assert_eq!(superblock.computed_checksum(), superblock.s_checksum.get());
    let seed = superblock.checksum_seed();
    let group: GroupDescriptor = read_padded(&bytes[4096..]);
    assert_eq!(group.computed_checksum(seed, 0), group.bg_checksum.get());
    let table = inode_table(&bytes);
    for number in [inode::ROOT, inode::RESIZE, inode::JOURNAL, inode::FIRST] {
        let raw = &bytes[table + usize::try_from(number - 1).unwrap() * 256..][..256];
        let inode: Inode = read_padded(raw);
        assert!(inode.i_mode.get() != 0, "{number}");
        assert_eq!(inode.checksum(), inode::computed_checksum(seed, number, raw), "inode {number}");
    }
}

#[test]
fn features_have_the_names_that_dumpe2fs_prints() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path());
    let plain = std::fs::read(&path).unwrap();
    let printed = |feature: Feature| {
        let mut superblock = superblock(&plain);
        (superblock.s_feature_compat, superblock.s_feature_ro_compat) = (0.into(), 0.into());
        superblock.s_feature_incompat = 0.into();
        superblock.set(feature);
        superblock.s_checksum = superblock.computed_checksum().into();
        let mut bytes = plain.clone();
        bytes[OFFSET..][..1024].copy_from_slice(superblock.as_bytes());
        std::fs::write(&path, bytes).unwrap();
        // It may complain of what the feature needs and the image lacks, after the features.
        let (text, errors) = run("dumpe2fs", &["-f", "-h", path.to_str().unwrap()], "");
        let line = text.lines().find_map(|line| line.strip_prefix("Filesystem features:"));
        line.unwrap_or_else(|| panic!("{feature:?}: {errors}")).trim().to_owned()
    };
    for &feature in feature::ALL {
        assert_eq!(printed(feature), feature.name);
    }
}
