//! Damage of every kind to good images: each is found, and called by its name. Where a checksum would tell of the damage,
//! it is made right again, so that the check that is meant has to find it.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod counts;
mod fields;
mod image;
mod kinds;
mod linux;
mod names;
mod observed;
mod random;
mod reserved;
mod slots;
mod superblock;
mod used;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use ext4_layout::Compatibility::{Current, Legacy};
use ext4_verify::{Code, Unused, check};

use crate::image::{Image, full, tiny, two_levels};
use crate::kinds::Kind;

/// Fewer kinds than these would be a loss.
const KINDS: usize = 200;

#[test]
fn good_images_have_no_problem() {
    for compatibility in [Current, Legacy] {
        for image in [tiny(compatibility), full(compatibility).0, two_levels(compatibility).0] {
            let findings = check(&image, Unused::Zeros).unwrap();
            assert!(findings.is_empty(), "{:#?}", findings.problems);
        }
    }
}

/// The codes that an image is reported with, in the order of the documentation.
fn codes(image: &Image) -> Vec<&'static str> {
    check(image, Unused::Zeros).unwrap().counts.keys().map(|code| code.name()).collect()
}

/// Each kind of damage is reported with its own code, and with exactly the further ones in `codes.expected`: what is reported
/// beside it follows from the damage. `UPDATE_EXPECTED=1` writes that file; review the difference.
#[test]
fn every_kind_of_damage_is_reported_with_exactly_its_codes() {
    let (good, names) = full(Current);
    let (large, large_names) = two_levels(Current);
    let (kinds, of_levels) = (kinds::all(&good, &names), kinds::two_levels(&large, &large_names));
    assert_codes(&[(good, kinds), (large, of_levels)], "codes.expected");
}

/// The same without checksums.
#[test]
fn every_kind_of_damage_is_reported_without_checksums_too() {
    let (good, names) = full(Legacy);
    let (large, large_names) = two_levels(Legacy);
    let (kinds, of_levels) = (kinds::legacy(&good, &names), kinds::two_levels(&large, &large_names));
    assert_codes(&[(good, kinds), (large, of_levels)], "legacy-codes.expected");
}

/// Damages good images in every way that goes with them.
fn assert_codes(cases: &[(Image, Vec<Kind>)], expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corruption").join(expected);
    let is_update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let known = if is_update { String::new() } else { std::fs::read_to_string(&path).unwrap() };
    let mut lines = known.lines();
    let mut text = String::new();
    let mut distinct = BTreeSet::new();
    for (good, kind) in cases.iter().flat_map(|(good, kinds)| kinds.iter().map(move |kind| (good, kind))) {
        let mut image = good.clone();
        (kind.damage)(&mut image);
        let codes = codes(&image);
        assert!(
            codes.contains(&kind.expected.name()),
            "{}: expected {}, found {codes:?}",
            kind.name,
            kind.expected
        );
        let line = format!("{}: {}", kind.name, codes.join(" "));
        if !is_update {
            let hint = "if that is meant, run with UPDATE_EXPECTED=1 and review the difference";
            assert_eq!(Some(line.as_str()), lines.next(), "{hint}");
        }
        writeln!(text, "{line}").unwrap();
        assert!(distinct.insert(&kind.name), "{}: each kind has a name of its own", kind.name);
    }
    assert_eq!(lines.next(), None, "each line of {expected} is of a kind");
    assert!(distinct.len() >= KINDS, "only {} kinds", distinct.len());
    if is_update {
        std::fs::write(path, text).unwrap();
    }
}

/// Linux writes these fields of a journal; those that it never writes stay zero.
#[test]
fn fields_of_a_used_journal_are_no_damage() {
    const CHECKSUM_V3: u32 = 0x10;
    const FAST_COMMIT: u32 = 0x20;
    let (good, _) = full(Legacy);
    let journal = good.first(8);
    let last = u32::try_from(good.n(good.inode(8) + 4, 4) / image::BLOCK).unwrap() - 1;
    let with = |fields: &[(u64, u32)]| {
        let mut image = good.clone();
        for &(at, value) in fields {
            image.put(journal + at, &value.to_be_bytes());
        }
        codes(&image)
    };
    assert_eq!(with(&[(0x58, last)]), ["journal-used"]);
    assert_eq!(with(&[(0x58, last + 1)]), ["journal-superblock"]);
    assert_eq!(with(&[(0x24, 1), (0x58, 1)]), ["journal-used"]);
    assert_eq!(with(&[(0x28, FAST_COMMIT), (0x54, 256)]), ["journal-used"]);
    assert_eq!(with(&[(0x28, FAST_COMMIT), (0x5c, 1)]), ["metadata-padding", "journal-used"]);
    // With the feature, the checksum covers the rest, which stays zero.
    let checked = [(0x28, CHECKSUM_V3), (0x50, 4 << 24), (0x44, 1)];
    assert_eq!(with(&checked), ["metadata-padding", "journal-checksum", "journal-used"]);
}

/// One block more than half of all is too many for root.
#[test]
fn half_of_all_blocks_may_be_reserved() {
    let good = tiny(Current);
    let half = good.n(1024 + 0x04, 4) / 2;
    for (reserved, codes) in [(half, vec![]), (half + 1, vec!["superblock-reserved-blocks"])] {
        let mut image = good.clone();
        image.put(1024 + 0x08, &u32::try_from(reserved).unwrap().to_le_bytes());
        image.fix_super(1024);
        assert_eq!(self::codes(&image), codes, "{reserved}");
    }
}

/// A small generator (splitmix64): the same inputs every time.
struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Damages some bytes of blocks that hold something, and checks the image: that must end without a panic.
fn check_random(good: &Image, data: &[u64], seed: u64) {
    let mut random = Random(seed);
    let mut image = good.clone();
    for _ in 0..=random.below(4) {
        let block = data[image::narrow(random.below(image::wide(data.len())))];
        let at = block * image::BLOCK + random.below(image::BLOCK);
        match random.below(3) {
            0 => image.add(at, 1, 1 << random.below(8)),
            1 => image.put(at, &[0xff]),
            _ => image.put(at, &[0]),
        }
    }
    image.fix_super(1024);
    check(&image, Unused::Zeros).unwrap();
}

#[test]
fn whatever_an_image_says_its_check_ends() {
    let inputs = std::env::var("SNUGFS_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(5000);
    for good in [tiny(Current), tiny(Legacy)] {
        let data = good.data();
        for seed in 0..inputs {
            check_random(&good, &data, seed);
        }
    }
    println!("{inputs} damaged images of each kind checked");
}

/// The first problem with a code, as `verify` prints it.
fn first(image: &Image, code: Code) -> String {
    let findings = check(image, Unused::Zeros).unwrap();
    findings.problems.iter().find(|problem| problem.code == code).unwrap().to_string()
}

/// A wrong number of names is reported with a path, although names of files are not kept.
#[test]
fn a_wrong_link_count_is_reported_with_a_path() {
    let (good, names) = full(Current);
    for (name, more, text) in [
        ("console", 1, "(/console): link count is 2, but it has 1 name"),
        ("console", 0xffff, "(/console): link count is 0, but it has 1 name"),
        ("file", 1, "(/file): link count is 3, but it has 2 names"),
        ("file", 0xffff, "(/file): link count is 1, but it has 2 names"),
        ("sub", 1, "(/sub): link count is 4, should be 3"),
    ] {
        let (mut image, number) = (good.clone(), names.of(name));
        image.add(image.inode(number) + 0x1a, 2, more);
        image.fix_inode(number);
        let expected = format!("inode {number} {text} (inode-links)");
        assert_eq!(first(&image, Code::InodeLinks), expected);
    }
    // In a directory with an index of two levels, and for ten inodes only.
    let (mut image, names) = two_levels(Current);
    let first = names.of("huge") + 1;
    for number in first..first + 13 {
        image.add(image.inode(number) + 0x1a, 2, 1);
        image.fix_inode(number);
    }
    let findings = check(&image, Unused::Zeros).unwrap();
    let texts: Vec<_> = findings.problems.iter().map(ToString::to_string).collect();
    assert_eq!((texts.len(), findings.counts[&Code::InodeLinks]), (10, 13));
    for text in texts {
        assert!(text.contains(" (/huge/0000"), "{text}");
    }
}

#[test]
fn problems_are_in_words() {
    let (good, _) = full(Current);
    let mut image = good.clone();
    let bitmap = image.n(image.desc(0) + 4, 4);
    image.add(image.desc(0) + 4, 4, 1);
    image.fix_desc(0);
    let expected = format!("inode bitmap is at block {}, usually at {bitmap}", bitmap + 1);
    assert_eq!(first(&image, Code::TablesElsewhere), format!("group 0: {expected} (tables-elsewhere)"));

    let mut image = good.clone();
    image.put(1024 + 0x28, &[0; 4]);
    image.fix_super(1024);
    let text = first(&image, Code::SuperblockBlocks);
    assert!(text.starts_with("superblock: impossible geometry: "), "{text}");
    assert!(text.contains(" blocks, 0 inodes per group, "), "{text}");

    let mut image = good.clone();
    let journal = image.first(8);
    image.add(journal + 5 * image::BLOCK, 1, 1);
    let block = journal / image::BLOCK + 5;
    assert_eq!(
        first(&image, Code::JournalUsed),
        format!("inode 8: the journal has been used (block {block} is not zero) (journal-used)")
    );

    let mut image = good;
    image.put(journal + 0x28, &0x12_u32.to_be_bytes());
    let text = first(&image, Code::JournalUsed);
    assert!(
        text.contains("the journal has been used (features journal_64bit, journal_checksum_v3)"),
        "{text}"
    );
}
