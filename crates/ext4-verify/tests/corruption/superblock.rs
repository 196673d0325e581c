//! What the superblock says, in words.

use ext4_layout::Compatibility::{Current, Legacy};
use ext4_verify::{Unused, check};

use crate::fields::SB;
use crate::image::{Image, full, tiny};

/// The problems of an image with other bytes at a place of its superblock, except those of copies.
fn texts(good: &Image, at: u64, bytes: &[u8]) -> Vec<String> {
    let mut image = good.clone();
    image.put(SB + at, bytes);
    image.fix_super(SB);
    let problems = check(&image, Unused::Zeros).unwrap().problems;
    let texts = problems.iter().map(ToString::to_string).filter(|text| text.starts_with("superblock: "));
    texts.map(|text| text.trim_start_matches("superblock: ").to_owned()).collect()
}

#[test]
fn features_are_named_by_their_bits() {
    let good = tiny(Current);
    let rest = "nothing that depends on them was checked (superblock-features)";
    for (at, bytes, text) in [
        (0x5c, [0x29, 0], "compatible features are 0x29: beyond those of snugfs 0x1, missing 0x0"),
        (0x5c, [0x20, 0], "compatible features are 0x20: beyond those of snugfs 0x0, missing 0x8"),
        (0x60, [0xc3, 2], "incompatible features are 0x2c3: beyond those of snugfs 0x1, missing 0x0"),
        (0x60, [0xc0, 2], "incompatible features are 0x2c0: beyond those of snugfs 0x0, missing 0x2"),
        (0x64, [0x6a, 4], "read-only compatible features are 0x46a: beyond those of snugfs 0x0, missing 0x1"),
        (0x64, [0x6f, 4], "read-only compatible features are 0x46f: beyond those of snugfs 0x4, missing 0x0"),
    ] {
        assert_eq!(texts(&good, at, &bytes), [format!("{text}; {rest}")], "{at:#x}");
    }
    // A journal and a reserve are possible; here they are not there.
    let reserve =
        "0 reserved descriptor blocks do not go with the feature resize_inode (superblock-features)";
    assert_eq!(texts(&good, 0x5c, &[0x38]), [reserve]);
    let (good, _) = full(Current);
    let reserve = good.n(SB + 0xce, 2);
    let text = format!("{reserve} reserved descriptor blocks do not go with the feature resize_inode");
    assert!(texts(&good, 0x5c, &[0x2c]).contains(&format!("{text} (superblock-features)")));
}

#[test]
fn numbers_that_cannot_be_are_reported_with_those_that_should_be() {
    let good = tiny(Current);
    let (blocks, inodes) = (good.n(SB + 4, 4), good.n(SB, 4));
    for (at, bytes, text) in [
        (0x00, [0, 0, 1, 0], format!("s_inodes_count is 65536, should be {inodes} (superblock-inodes)")),
        (0x3a, [3, 0, 1, 0], "s_state is 3, should be 1 for clean (superblock-state)".to_owned()),
        (0xe8, [1, 2, 0, 0], "s_last_orphan is 513, should be 0 (superblock-state)".to_owned()),
        (0x54, [12, 0, 0, 0], "s_first_ino is 12, should be 11 (superblock-field)".to_owned()),
        (
            0x08,
            [0, 1, 0, 1],
            format!(
                "16777472 of {blocks} blocks are kept for root, more than half (superblock-reserved-blocks)"
            ),
        ),
        (
            0x44,
            [1, 2, 0, 0],
            "s_checkinterval is 513, is 0 in a new file system (superblock-tuned)".to_owned(),
        ),
    ] {
        assert_eq!(texts(&good, at, &bytes), [text], "{at:#x}");
    }
}

/// Each of the three times has a byte for the years after 2106.
#[test]
fn making_writing_and_checking_are_at_one_time() {
    let good = tiny(Current);
    let later = (1_u64 << 32) + 1;
    for (low, high, [made, written, checked]) in
        [(0x30, 0x274, [0, 1, 0]), (0x40, 0x277, [0, 0, 1]), (0x108, 0x276, [1, 0, 0])]
    {
        for (at, byte, time) in [(low, 9, 9), (high, 1, later)] {
            let time = |changed| if changed == 1 { time } else { 1 };
            let (made, written, checked) = (time(made), time(written), time(checked));
            let text =
                format!("was made at {made}, written at {written}, checked at {checked} (superblock-times)");
            assert_eq!(texts(&good, at, &[byte]), [text], "{at:#x}");
        }
    }
}

/// A record of errors has 108 bytes.
#[test]
fn records_of_errors_are_empty() {
    let good = tiny(Current);
    for (at, expected) in [
        (0x193, "s_snapshot_inum to s_snapshot_list is not zero (superblock-unused)"),
        (0x194, "has a record of errors (superblock-state)"),
        (0x1ff, "has a record of errors (superblock-state)"),
        (0x200, "s_mount_opts is not empty (superblock-tuned)"),
        (0x23f, "s_mount_opts is not empty (superblock-tuned)"),
        (0x240, "s_usr_quota_inum, s_grp_quota_inum is not zero (superblock-unused)"),
        (0x87, "the label goes on behind its end (superblock-label)"),
        (0x88, "s_last_mounted is not zero (superblock-use)"),
        (0xc7, "s_last_mounted is not zero (superblock-use)"),
        (0xc8, "s_algorithm_usage_bitmap, s_prealloc_blocks is not zero (superblock-unused)"),
        (0x3fb, "the rest of the superblock is not zero (superblock-unused)"),
    ] {
        let mut good = good.clone();
        good.put(SB + 0x78, &[0; 16]);
        assert_eq!(texts(&good, at, &[0x40]), [expected], "{at:#x}");
    }
}

/// Only where growth is possible can it have used up the reserve.
#[test]
fn a_mount_is_no_growth() {
    for good in [tiny(Current), full(Current).0] {
        assert_eq!(texts(&good, 0x34, &[1]), ["s_mnt_count is not zero (superblock-use)"]);
    }
}

/// An image for old systems has neither checksums nor block numbers of 64 bits.
#[test]
fn checksums_and_64_bits_go_together() {
    let good = tiny(Legacy);
    for (at, byte, text) in [
        (0x60, 0xc2, "read-only compatible features are 0x6b: beyond those of snugfs 0x0, missing 0x400"),
        (0x65, 0x04, "incompatible features are 0x242: beyond those of snugfs 0x0, missing 0x80"),
    ] {
        let found = texts(&good, at, &[byte]);
        assert!(found.iter().any(|found| found.starts_with(text)), "{at:#x}: {found:?}");
    }
}

/// The codes of an image with other bytes at two places of its superblock.
fn codes_of_two(one: (u64, u8), other: (u64, u8)) -> Vec<&'static str> {
    let mut image = tiny(Current);
    for (at, byte) in [one, other] {
        image.put(SB + at, &[byte]);
    }
    image.fix_super(SB);
    crate::codes(&image)
}

#[test]
fn nothing_else_is_read_where_features_or_sizes_are_unknown() {
    const FIRST_INODE: (u64, u8) = (0x54, 12);
    // A compatible feature changes no structure.
    assert_eq!(codes_of_two((0x5c, 0x29), FIRST_INODE), ["superblock-features", "superblock-field"]);
    for one in [(0x60, 0xc3), (0x64, 0x6f)] {
        assert_eq!(codes_of_two(one, FIRST_INODE), ["superblock-features"], "{:#x}", one.0);
    }
    for one in [(0x18, 1), (0xfe, 32)] {
        assert_eq!(codes_of_two(one, FIRST_INODE), ["superblock-geometry"], "{:#x}", one.0);
    }
    assert_eq!(codes_of_two((0x28, 1), FIRST_INODE), ["superblock-blocks"]);
    assert_eq!(codes_of_two((0x06, 1), FIRST_INODE), ["image-too-short"]);
}
