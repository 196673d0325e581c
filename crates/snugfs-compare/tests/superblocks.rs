//! Compares superblocks that differ in one field, of new images and of mounted ones.

use snugfs_compare::{Differences, Kind, Use, compare_superblocks};

/// Offset of a field in \[bytes\].
type Field = usize;

const BLOCKS: Field = 0x04;
const BLOCKS_HIGH: Field = 0x150;
const INODES: Field = 0x00;
const INODES_PER_GROUP: Field = 0x28;
const FREE_BLOCKS: Field = 0x0c;
const FREE_INODES: Field = 0x10;
const RESERVED: Field = 0x08;
const JOURNAL: Field = 0x14c;
const FEATURES: Field = 0x64;
const INCOMPATIBLE_FEATURES: Field = 0x60;
const GROWTH: Field = 0xce;
const LABEL: Field = 0x78;
const UUID: Field = 0x68;
const CREATED: Field = 0x108;

/// A superblock in which every field of these tests is 100.
fn superblock() -> Vec<u8> {
    let mut raw = vec![0; 1024];
    for at in [BLOCKS, INODES, INODES_PER_GROUP, FREE_BLOCKS, FREE_INODES, RESERVED] {
        raw[at] = 100;
    }
    for at in [JOURNAL, FEATURES, GROWTH, LABEL, UUID, CREATED] {
        raw[at] = 100;
    }
    // Only with the feature 64bit, counts of blocks have high halves.
    raw[INCOMPATIBLE_FEATURES] = 0x80;
    raw
}

/// The kinds of differences if a field is larger by this (smaller, if negative).
fn changed(at: Field, by: i8, used: Use) -> Vec<Kind> {
    let expected = superblock();
    let mut found = expected.clone();
    found[at] = found[at].wrapping_add_signed(by);
    let mut differences = Differences::default();
    compare_superblocks(&expected, &found, used, &mut differences);
    differences.counts.into_keys().collect()
}

#[test]
fn compares_all_fields_of_a_new_image() {
    for (field, kind) in [
        (BLOCKS, Kind::FilesystemSize),
        (INODES, Kind::FilesystemInodes),
        (INODES_PER_GROUP, Kind::FilesystemInodes),
        (FREE_BLOCKS, Kind::FilesystemFreeSpace),
        (FREE_INODES, Kind::FilesystemFreeInodes),
        (RESERVED, Kind::FilesystemReserved),
        (JOURNAL, Kind::FilesystemJournal),
        (FEATURES, Kind::FilesystemFeatures),
        (GROWTH, Kind::FilesystemGrowth),
        (LABEL, Kind::FilesystemLabel),
        (UUID, Kind::FilesystemUuid),
        (CREATED, Kind::FilesystemTime),
    ] {
        assert_eq!(changed(field, 1, Use::None), [kind], "{field:#x}");
        assert_eq!(changed(field, -1, Use::None), [kind], "{field:#x}");
        assert_eq!(changed(field, 0, Use::None), [], "{field:#x}");
    }
    assert_eq!(changed(BLOCKS_HIGH, 1, Use::None), [Kind::FilesystemSize]);
}

#[test]
fn a_mounted_image_may_be_larger_and_fuller_but_not_smaller() {
    for (field, kind) in [(BLOCKS, Kind::FilesystemSize), (INODES, Kind::FilesystemInodes)] {
        assert_eq!(changed(field, 1, Use::Mounted), [], "{field:#x}");
        assert_eq!(changed(field, -1, Use::Mounted), [kind], "{field:#x}");
    }
    for field in [FREE_BLOCKS, FREE_INODES, RESERVED] {
        for by in [-1, 1] {
            assert_eq!(changed(field, by, Use::Mounted), [], "{field:#x}");
        }
    }
    for (field, kind) in [
        (INODES_PER_GROUP, Kind::FilesystemInodes),
        (JOURNAL, Kind::FilesystemJournal),
        (LABEL, Kind::FilesystemLabel),
        (UUID, Kind::FilesystemUuid),
        // Without growth, the reserved blocks stay.
        (GROWTH, Kind::FilesystemGrowth),
    ] {
        assert_eq!(changed(field, 1, Use::Mounted), [kind], "{field:#x}");
    }
}

#[test]
fn growth_may_use_reserved_blocks() {
    let expected = superblock();
    let mut found = expected.clone();
    found[BLOCKS] += 1;
    found[GROWTH] -= 1;
    let mut differences = Differences::default();
    compare_superblocks(&expected, &found, Use::Mounted, &mut differences);
    assert!(differences.is_empty(), "{:?}", differences.kept);
}

#[test]
fn messages_have_lengths_in_bytes_and_features_in_hexadecimal() {
    let mut found = superblock();
    found[BLOCKS] += 1;
    found[FEATURES] += 1;
    let mut differences = Differences::default();
    compare_superblocks(&superblock(), &found, Use::None, &mut differences);
    let shown: Vec<_> = differences.kept.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "file system: has 413696 bytes, should have 409600 (filesystem-size)",
            "file system: read-only compatible features are 0x65, should be 0x64 (filesystem-features)",
        ]
    );
}
