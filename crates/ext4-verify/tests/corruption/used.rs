//! File systems that were mounted, tuned or sealed, and bytes that they do not use.

use ext4_layout::Compatibility::{Current, Legacy};
use ext4_verify::{Code, Unused, check};

use crate::fields::SB;
use crate::image::{BLOCK, Image, full, small, tiny};
use crate::{codes, first};

const GROUP: u64 = 32768 * BLOCK;

/// Counts a mount, as Linux does in the first superblock only.
fn mounted(good: &Image) -> Image {
    let mut image = good.clone();
    image.put(SB + 0x34, &[1, 0]);
    image.fix_super(SB);
    image
}

/// The codes of an image with other bytes at some places of its first superblock.
fn with(good: &Image, fields: &[(u64, &[u8])]) -> Vec<&'static str> {
    let mut image = good.clone();
    for (at, bytes) in fields {
        image.put(SB + at, bytes);
    }
    image.fix_super(SB);
    codes(&image)
}

#[test]
fn copies_of_a_used_file_system_may_be_older_than_the_first() {
    for compatibility in [Current, Legacy] {
        let used = mounted(&full(compatibility).0);
        assert_eq!(codes(&used), ["superblock-use", "backup-old"]);
        // Free counts, errors, the label; the UUID and features are changed in all copies.
        for (at, expected) in [
            (0x0b, vec!["superblock-reserved-blocks", "superblock-use", "backup-old"]),
            (0x0c, vec!["superblock-free-blocks", "superblock-use", "backup-old"]),
            (0x13, vec!["superblock-free-inodes", "superblock-use", "backup-old"]),
            (0x54, vec!["superblock-field", "superblock-use", "backup-superblock"]),
            (0x78, vec!["superblock-use", "backup-old"]),
            (0xc7, vec!["superblock-use", "backup-old"]),
            (0xc8, vec!["superblock-unused", "superblock-use", "backup-superblock"]),
            (0x24b, vec!["superblock-overhead", "superblock-use", "backup-old"]),
            (0x24c, vec!["superblock-unused", "superblock-use", "backup-superblock"]),
        ] {
            let byte = used.get(SB + at, 1)[0] ^ 0x40;
            assert_eq!(with(&used, &[(at, &[byte])]), expected, "{at:#x}");
        }
        // What is at use in a descriptor: counts, but not places.
        for (at, expected) in [
            (0x0c, &["backup-old"][..]),
            (0x13, &["backup-old"]),
            (0x14, &["backup-descriptors", "backup-old"]),
        ] {
            let mut image = used.clone();
            image.add(image.desc(1) + at, 1, 1);
            image.fix_desc(1);
            let codes: Vec<_> =
                codes(&image).into_iter().filter(|code| code.starts_with("backup-")).collect();
            assert_eq!(codes, expected, "{at:#x}");
        }
    }
}

/// Times of mounts and writes, the count of mounts, and the kilobytes written.
#[test]
fn each_sign_of_use_explains_copies_that_are_older() {
    let (good, _) = full(Current);
    for (at, code) in [
        (0x2c, "superblock-use"),
        (0x275, "superblock-use"),
        (0x34, "superblock-use"),
        (0x178, "superblock-use"),
        (0x30, "superblock-times"),
        (0x274, "superblock-times"),
    ] {
        assert_eq!(with(&good, &[(at, &[7])]), [code, "backup-old"], "{at:#x}");
    }
}

/// Linux writes checksums for the groups that it adds.
#[test]
fn a_bitmap_that_is_not_written_may_be_other_than_zero_after_use() {
    let (good, _) = full(Current);
    let last = good.len.div_ceil(GROUP) - 1;
    for (image, expected) in [(good.clone(), "uninit-bitmap"), (mounted(&good), "uninit-bitmap-used")] {
        let mut image = image;
        let bitmap = image.bitmap(last, 4);
        image.put(bitmap, &[1]);
        assert!(codes(&image).contains(&expected), "{expected}");
        image.put(bitmap, &[0]);
        assert!(!codes(&image).contains(&expected), "{expected}");
        // Its checksum.
        image.add(image.desc(last) + 0x3a, 2, 1);
        image.fix_desc(last);
        assert!(codes(&image).contains(&expected), "{expected}");
    }
}

#[test]
fn a_file_system_is_sealed_only_without_journal_and_reserve() {
    const READ_ONLY: &[u8] = &[0x6b, 0x14];
    let sealed: (u64, &[u8]) = (0x64, READ_ONLY);
    assert_eq!(with(&tiny(Current), &[sealed]), [""; 0]);
    let (good, _) = full(Current);
    assert_eq!(with(&good, &[sealed]), ["superblock-features", "backup-superblock"]);
    // Only a journal, only a reserve for growth.
    for compatible in [0x2c, 0x38] {
        let codes = with(&good, &[sealed, (0x5c, &[compatible])]);
        assert!(codes.contains(&"superblock-features"), "{compatible:#x}: {codes:?}");
    }
}

/// Growth uses reserved blocks up; the feature stays.
#[test]
fn after_growth_no_reserved_descriptor_block_may_be_left() {
    let (good, _) = full(Current);
    let none: (u64, &[u8]) = (0xce, &[0, 0]);
    assert!(with(&good, &[none]).contains(&"superblock-features"));
    let codes = with(&mounted(&good), &[none]);
    assert!(codes.contains(&"superblock-use") && !codes.contains(&"superblock-features"), "{codes:?}");
}

#[test]
fn without_a_journal_the_superblock_knows_of_none() {
    let good = tiny(Current);
    assert_eq!(with(&good, &[(0xe0, &[8])]), ["superblock-field"]);
    // tune2fs leaves the type of the copy.
    assert_eq!(with(&good, &[(0xfd, &[1])]), ["superblock-tuned"]);
    assert_eq!(with(&good, &[(0xfd, &[2])]), ["superblock-field"]);
    for at in [0x10c, 0x14f] {
        assert_eq!(with(&good, &[(at, &[1])]), ["superblock-unused"], "{at:#x}");
    }
    let (good, _) = full(Current);
    for (at, byte) in [(0xe0, 0), (0xfd, 0), (0xfd, 2)] {
        assert_eq!(with(&good, &[(at, &[byte])]), ["superblock-field", "backup-superblock"], "{at:#x}");
    }
}

/// The whole range of what tune2fs takes.
#[test]
fn settings_are_those_of_tune2fs() {
    let good = tiny(Current);
    for (at, valid, invalid) in
        [(0x3c, &[2, 3][..], &[0, 4][..]), (0xfc, &[0, 2], &[3]), (0x160, &[2, 5, 6], &[0, 3, 4, 7])]
    {
        for byte in valid {
            assert_eq!(with(&good, &[(at, &[*byte])]), ["superblock-tuned"], "{at:#x} {byte}");
        }
        for byte in invalid {
            assert_eq!(with(&good, &[(at, &[*byte])]), ["superblock-field"], "{at:#x} {byte}");
        }
    }
    // Bits 0 to 6 and 8 to 11 are options.
    for bit in 0..32 {
        let options = (0x0c_u32 ^ 1 << bit).to_le_bytes();
        let expected = if bit < 12 && bit != 7 { "superblock-tuned" } else { "superblock-field" };
        assert_eq!(with(&good, &[(0x100, &options)]), [expected], "{bit}");
    }
    for (at, bytes, code) in [
        // A label of 16 bytes, and one that ends before its last byte.
        (0x78, *b"sixteen bytes ok", None),
        (0x78, *b"fifteen bytes ok", None),
        (0x78, *b"five\0bytes\0\0\0\0\0\0", Some("superblock-label")),
        (0x78, *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", Some("superblock-label")),
        (0x200, *b"noatime\0\0\0\0\0\0\0\0\0", Some("superblock-tuned")),
        (0x230, *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", Some("superblock-tuned")),
    ] {
        assert_eq!(with(&good, &[(at, &bytes)]), code.into_iter().collect::<Vec<_>>(), "{at:#x}");
    }
}

#[test]
fn a_uuid_of_zeros_is_none() {
    assert!(with(&tiny(Legacy), &[(0x68, &[0; 16])]).contains(&"superblock-field"));
}

/// 0 lets Linux count the overhead.
#[test]
fn the_overhead_may_be_left_to_linux() {
    let good = tiny(Current);
    assert_eq!(with(&good, &[(0x248, &[0; 4])]), ["superblock-tuned"]);
    let wanted = good.n(SB + 0x248, 4);
    let other = u32::try_from(wanted + 1).unwrap().to_le_bytes();
    assert_eq!(with(&good, &[(0x248, &other)]), ["superblock-overhead"]);
}

#[test]
fn unused_bytes_are_zero_where_the_caller_says_so() {
    let good = small(
        |options| options.with_free_space(16 * BLOCK).with_reserved(Some(0)),
        |tree| tree.directory("lost+found", |_| {}),
    );
    assert_eq!(codes(&good), [""; 0]);
    let (mut free, mut behind) = (good.clone(), good.clone());
    free.put(good.len - 1, &[1]);
    behind.len += 10;
    behind.put(good.len + 9, &[1]);
    for (unused, in_free, at_the_end) in [
        (Unused::Zeros, &[Code::FreeBlockNotZero][..], &[Code::TrailingData][..]),
        (Unused::AnythingBehind, &[Code::FreeBlockNotZero], &[]),
        (Unused::Anything, &[], &[]),
    ] {
        let codes = |image: &Image| check(image, unused).unwrap().counts.into_keys().collect::<Vec<_>>();
        assert_eq!((codes(&free), codes(&behind)), (in_free.to_vec(), at_the_end.to_vec()), "{unused:?}");
    }
    let text = first(&free, Code::FreeBlockNotZero);
    assert_eq!(text, format!("block {}: is free and not zero (free-block-not-zero)", good.len / BLOCK - 1));
    let text = first(&behind, Code::TrailingData);
    assert_eq!(
        text,
        format!("file system: byte {} is behind its end and not zero (trailing-data)", good.len + 9)
    );
}

/// Every byte of a long run of free blocks is looked at, in the source's own order of holes.
#[test]
fn data_is_found_at_the_borders_of_what_is_read_at_once() {
    let good = tiny(Current);
    for at in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) - 1, 2 << 20] {
        // Without holes, and with them.
        let mut bytes = good.get(0, crate::image::narrow(good.len));
        bytes.resize(bytes.len() + (3 << 20), 0);
        bytes[crate::image::narrow(good.len + at)] = 1;
        let findings = check(&bytes, Unused::Zeros).unwrap();
        let texts: Vec<_> = findings.problems.iter().map(ToString::to_string).collect();
        let expected =
            format!("file system: byte {} is behind its end and not zero (trailing-data)", good.len + at);
        assert_eq!(texts, [expected]);
    }
}

#[test]
fn a_short_image_has_no_superblock() {
    let good = tiny(Current);
    for len in [0, 1024, 2047] {
        let mut image = good.clone();
        image.len = len;
        let findings = check(&image, Unused::Zeros).unwrap();
        let texts: Vec<_> = findings.problems.iter().map(ToString::to_string).collect();
        let text = format!("file system: {len} bytes can't hold a file system; is this the right image?");
        assert_eq!(texts, [format!("{text} (image-too-short)")]);
    }
    let mut image = good.clone();
    image.len = 2048;
    let text = first(&image, Code::ImageTooShort);
    assert!(
        text.starts_with("superblock: says ") && text.contains(" bytes, but there are only 2048"),
        "{text}"
    );
}
