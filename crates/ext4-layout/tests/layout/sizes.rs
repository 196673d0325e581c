//! Lays out sizes on both sides of boundaries, and file systems too large to write.

use crate::support::{Tree, assemble, assert_clean, checked, debugfs, folder, options};
use ext4_layout::{Compatibility, Layout, LayoutError, LayoutWarning, Options};
use image_tree::{FileTree, PieceSource};
use proptest::collection::vec;
use proptest::prelude::*;

fn one_file(size: u64) -> FileTree {
    let mut tree = Tree::new();
    tree.blank("file", size).lost_found();
    tree.finish()
}

const GROUP: u64 = 128 << 20;

#[test]
fn a_file_of_many_extents_has_a_tree() {
    let gib = 1 << 30;
    for (size, levels) in [(5 * gib, 1), (100 * gib, 1), (200 * gib, 2), (15 << 40, 2)] {
        let folder = folder();
        let options = options().with_grow_to(None).with_free_space(1 << 20);
        let image = checked(&one_file(size), &options, folder.path());
        let extents = debugfs(&image, "extents /file");
        assert!(extents.contains(&format!(" 0/ {levels}")), "{size}: {}", &extents[..300.min(extents.len())]);
    }
}

#[test]
fn files_around_the_maximum_extent_length_are_complete() {
    let mib = 1 << 20;
    for size in [127 * mib, 128 * mib - 1, 128 * mib, 128 * mib + 1, 129 * mib, 640 * mib] {
        let folder = folder();
        checked(&one_file(size), &options(), folder.path());
    }
}

/// Varies the free space, so that the end of the file system crosses each boundary of a group by a few blocks.
#[test]
fn every_size_around_a_group_boundary_is_valid() {
    let folder = folder();
    let base =
        options().with_grow_to(Some(1 << 40)).with_journal_size(Some(4 << 20)).with_bytes_per_inode(1 << 20);
    let tree = one_file(1 << 20);
    for groups in 1..=30_u64 {
        let around = Layout::plan(&tree, &base.clone().with_free_space(groups * GROUP)).unwrap().summary();
        // With this number of free blocks, the file system ends exactly with the previous group.
        let extra = around.blocks - (u64::from(around.groups) - 1) * 32_768;
        let exact = groups * 32_768 - extra;
        for off in [-1_i64, 0, 1, 2, 100, 129, 130, 300] {
            let blocks = exact.checked_add_signed(off).unwrap();
            let options = base.clone().with_free_space(blocks * 4096);
            let layout = Layout::plan(&tree, &options).unwrap();
            let image = folder.path().join("image");
            assemble(&layout, &image);
            assert_clean(&image);
            let summary = layout.summary();
            assert!(summary.free_blocks >= blocks, "{groups} {off}");
            let metadata = 1 + summary.reserved_gdt_blocks + 1 + 2 + 8;
            assert!(
                summary.free_blocks <= blocks + metadata,
                "{groups} {off}: {} of {blocks}",
                summary.free_blocks
            );
        }
    }
}

/// The maximum number of free blocks for a number of groups fills the last group completely.
#[test]
fn groups_are_filled_before_another_is_added() {
    let tree = one_file(1 << 20);
    let summary = |free: u64| {
        let options = options().with_free_space(free * 4096).with_journal_size(Some(4 << 20));
        Layout::plan(&tree, &options).unwrap().summary()
    };
    for groups in [1, 2, 17] {
        let (mut fits, mut too_many) = (0, u64::from(groups) * 32_768);
        while too_many - fits > 1 {
            let middle = fits.midpoint(too_many);
            if summary(middle).groups <= groups {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        let full = summary(fits);
        assert_eq!((full.blocks, full.free_blocks), (u64::from(groups) * 32_768, fits), "{groups} groups");
    }
}

#[test]
fn free_space_is_exact_unless_the_last_group_is_too_short() {
    for free in [0, 1, 100, 4096, 30_000] {
        let folder = folder();
        let options = options().with_free_space(free * 4096).with_grow_to(Some(1 << 40));
        let tree = one_file(50 << 20);
        checked(&tree, &options, folder.path());
        assert_eq!(Layout::plan(&tree, &options).unwrap().summary().free_blocks, free);
    }
}

/// With 16 MiB free of 1 GiB, not even root can create a directory, because Linux reserves 2 %, at most 16 MiB.
#[test]
fn warns_of_free_space_that_can_not_be_used() {
    let cases = [
        (1 << 30, 16 << 20, true),
        (1 << 30, (16 << 20) + 4096, false),
        (1 << 20, 16 << 20, false),
        (1 << 30, 0, false),
    ];
    for (size, free_space, warned) in cases {
        let tree = one_file(size);
        let layout = Layout::plan(&tree, &options().with_free_space(free_space)).unwrap();
        let warnings = layout.summary().warnings;
        assert_eq!(
            warnings.iter().any(|warning| matches!(warning, LayoutWarning::UnusableFreeSpace { .. })),
            warned,
            "{warnings:?}"
        );
    }
}

#[test]
fn inodes_can_determine_the_size() {
    let folder = folder();
    let options = options().with_free_inodes(500_000);
    checked(&one_file(1), &options, folder.path());
    let dense = options.with_bytes_per_inode(1024);
    let tree = one_file(1);
    assert_eq!(Layout::plan(&tree, &dense).unwrap().summary().warnings.len(), 1);
    checked(&tree, &dense, folder.path());
}

#[test]
fn a_fixed_size_is_exact_or_fails_with_the_minimum() {
    let folder = folder();
    let tree = one_file(40 << 20);
    for size in [
        64 << 20,
        GROUP,
        GROUP + 4096,
        GROUP + (1 << 20),
        3 * GROUP + 4096,
        17 * GROUP - 4096,
        16 * GROUP + 4096,
    ] {
        let options = options().with_size(Some(size)).with_free_space(1 << 20).with_grow_to(Some(1 << 40));
        let image = checked(&tree, &options, folder.path());
        assert_eq!(std::fs::metadata(image).unwrap().len(), size);
    }
    let options = options().with_size(Some(20 << 20));
    let Err(LayoutError::SizeTooSmall { needed, .. }) = Layout::plan(&tree, &options) else {
        panic!("refused")
    };
    checked(&tree, &options.clone().with_size(Some(needed)), folder.path());
    assert!(Layout::plan(&tree, &options.with_size(Some(needed - 4096))).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// A fixed size may shorten the journal. The size in the error does so too, and a block less is too little.
    #[test]
    fn the_size_in_the_error_is_the_smallest_that_suffices(
        free_space in prop_oneof![Just(0), 0..64_u64 << 20, 0..6_u64 << 30],
        contents in 0..200_u64 << 20,
        grow_to in prop_oneof![Just(None), Just(Some(1_u64 << 30)), Just(Some(1 << 40)), Just(Some(8 << 40))],
        bytes_per_inode in prop_oneof![Just(1024_u64), Just(16_384)],
        journal_size in prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(4_u64 << 20))],
    ) {
        let tree = one_file(contents);
        let base = options().with_free_space(free_space).with_grow_to(grow_to).with_bytes_per_inode(bytes_per_inode).with_journal_size(journal_size);
        let with = |size| Layout::plan(&tree, &base.clone().with_size(Some(size)));
        let Err(LayoutError::SizeTooSmall { needed, .. }) = with(4096) else { panic!("refused") };
        prop_assert!(with(needed).is_ok(), "{needed}");
        let shorter = with(needed - 4096);
        prop_assert!(matches!(shorter, Err(LayoutError::SizeTooSmall { .. })), "{needed}: {shorter:?}");
        // No file system without a fixed size is smaller.
        prop_assert!(needed <= Layout::plan(&tree, &base).unwrap().len());
    }
}

/// 300 small files and 5 GiB: a size with the default journal has 28 MiB more free space than promised.
#[test]
fn the_size_in_the_error_counts_a_shorter_journal() {
    let mut tree = Tree::new();
    for index in 0..300 {
        tree.text(&format!("f{index:03}"), b"tiny");
    }
    tree.lost_found();
    let tree = tree.finish();
    let options = options()
        .with_free_space(5 << 30)
        .with_free_inodes(1024)
        .with_grow_to(Some(1 << 30))
        .with_bytes_per_inode(1024)
        .with_size(Some(4096));
    let Err(LayoutError::SizeTooSmall { needed, .. }) = Layout::plan(&tree, &options) else {
        panic!("refused")
    };
    let smallest = Layout::plan(&tree, &options.clone().with_size(None)).unwrap().len();
    assert!(needed < smallest, "{needed} {smallest}");
    let folder = folder();
    checked(&tree, &options.with_size(Some(needed)), folder.path());
}

#[test]
fn journals_have_the_requested_length() {
    let folder = folder();
    let tree = one_file(1 << 20);
    for journal in [0, 4 << 20, 5 << 20, 128 << 20, 1 << 30] {
        let options = options().with_journal_size(Some(journal)).with_grow_to(Some(1 << 40));
        let image = checked(&tree, &options, folder.path());
        let features = debugfs(&image, "features");
        assert_eq!(features.contains("has_journal"), journal > 0, "{features}");
    }
    let short = options().with_journal_size(Some(4096));
    assert_eq!(Layout::plan(&tree, &short).unwrap_err(), LayoutError::JournalSize { size: 4096 });
}

/// Linux converts a file system without a resize inode to `meta_bg` when it grows.
#[test]
fn file_systems_that_grow_have_a_resize_inode() {
    let folder = folder();
    for (grow_to, free, reserved) in [
        (Some(4 << 30), 1 << 20, 1),
        (Some(8 << 30), 1 << 20, 1),
        (Some(9 << 30), 1 << 20, 1),
        (Some(16 << 30), 9 << 30, 1),
        (Some(1 << 20), 1 << 30, 0),
        (None, 1 << 20, 0),
    ] {
        let options = options().with_grow_to(grow_to).with_free_space(free);
        let image = checked(&one_file(1), &options, folder.path());
        assert_eq!(debugfs(&image, "features").contains("resize_inode"), reserved > 0, "{grow_to:?}");
        assert_eq!(Layout::plan(&one_file(1), &options).unwrap().summary().reserved_gdt_blocks, reserved);
    }
}

/// Linux changes every reserved block in one transaction when it adds groups.
#[test]
fn a_journal_is_long_enough_for_growth() {
    let tree = one_file(1);
    let plan = |grow_to, journal_size| {
        let options =
            options().with_grow_to(Some(grow_to)).with_journal_size(journal_size).with_free_space(32 << 20);
        Layout::plan(&tree, &options).unwrap().summary()
    };
    assert_eq!(plan(1 << 40, None).journal_blocks, 1024);
    assert_eq!(plan(1920 << 30, None).journal_blocks, 1024);
    assert_eq!(plan(2 << 40, None).journal_blocks, 4096);
    assert_eq!(plan(8 << 40, None).journal_blocks, 8192);
    let warned = |summary: ext4_layout::Summary| {
        summary.warnings.iter().any(|w| matches!(w, LayoutWarning::JournalTooShortToGrow { .. }))
    };
    assert!(warned(plan(2 << 40, Some(4 << 20))));
    assert!(!warned(plan(2 << 40, Some(16 << 20))) && !warned(plan(8 << 40, Some(0))));
}

#[test]
fn a_fixed_size_may_have_a_shorter_journal_than_usual() {
    let folder = folder();
    let tree = one_file(1);
    for (size, free_space) in [(1 << 30, 980 << 20), (GROUP, 118 << 20)] {
        let options = options().with_size(Some(size)).with_free_space(free_space);
        checked(&tree, &options, folder.path());
    }
    // A second block of descriptors brings it into reach. The map of the 1,024 reserved ones begins in its middle.
    checked(&tree, &options().with_free_space(8128 << 20).with_grow_to(Some(8208 << 30)), folder.path());
}

#[test]
fn rejects_options_out_of_range() {
    let too_large = Layout::plan(&one_file(1 << 44), &options()).unwrap_err();
    assert!(matches!(too_large, LayoutError::FileTooLarge { .. }), "{too_large}");
    let far = options().with_grow_to(Some(16 << 40));
    let Err(LayoutError::GrowthOutOfReach { reachable, .. }) = Layout::plan(&one_file(1), &far) else {
        panic!("refused")
    };
    assert!(Layout::plan(&one_file(1), &far.with_grow_to(Some(reachable))).is_ok());
    let inodes = options().with_free_inodes(1 << 32);
    assert!(matches!(Layout::plan(&one_file(1), &inodes), Err(LayoutError::TooManyInodes { .. })));
    let huge = options().with_free_space(200 << 40);
    assert!(matches!(Layout::plan(&one_file(1), &huge), Err(LayoutError::TooLarge { .. })));
}

/// Without 64bit, all block numbers are below 2^32.
#[test]
fn a_legacy_file_system_ends_and_grows_before_16_tib() {
    const MOST: u64 = (16 << 40) - GROUP;
    let legacy = options().with_compatibility(Compatibility::Legacy);
    let tree = one_file(1);
    let far = legacy.clone().with_grow_to(Some(MOST + 4096));
    match Layout::plan(&tree, &far).unwrap_err() {
        LayoutError::GrowthOutOfReach { reachable, .. } => assert_eq!(reachable, MOST),
        other => panic!("{other}"),
    }
    let folder = folder();
    checked(&tree, &legacy.clone().with_grow_to(Some(MOST)), folder.path());
    // A block has twice as many of the shorter descriptors.
    let reserved = |options: &Options| {
        let options = options.clone().with_grow_to(Some(1 << 40));
        Layout::plan(&tree, &options).unwrap().summary().reserved_gdt_blocks
    };
    assert_eq!((reserved(&options()), reserved(&legacy)), (127, 63));
    let largest = legacy.clone().with_size(Some(MOST)).with_bytes_per_inode(64 << 20);
    assert_eq!(Layout::plan(&tree, &largest).unwrap().summary().blocks, MOST / 4096);
    let larger = legacy.with_size(Some(MOST + 4096)).with_bytes_per_inode(64 << 20);
    let error = Layout::plan(&tree, &larger).unwrap_err();
    assert!(matches!(error, LayoutError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("without the feature 64bit"), "{error}");
}

/// Regression: a file started after the end of a size that the solver tried.
#[test]
fn handles_a_small_file_after_a_large_one() {
    let mut tree = Tree::new();
    tree.blank("a", 4074 << 20).blank("b", 20 << 20).lost_found();
    let tree = tree.finish();
    assert_eq!(Layout::plan(&tree, &options().with_grow_to(Some(1 << 40))).unwrap().summary().free_blocks, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The size found is the minimum: as a fixed size it suffices, and with a block less it does not.
    #[test]
    fn no_smaller_size_would_do(
        sizes in vec(prop_oneof![0..100_000_u64, 0..3_000_000_000_u64, 0..60_000_000_000_u64], 1..12),
        free_blocks in prop_oneof![Just(0), 0..40_000_u64],
        free_inodes in prop_oneof![0..1000_u64, 0..200_000_u64],
        grow_to in prop_oneof![Just(None), Just(Some(1 << 40)), Just(Some(8 << 40))],
        bytes_per_inode in prop_oneof![Just(16384_u64), Just(4096), Just(1 << 20)],
        journal_size in prop_oneof![Just(None), Just(Some(0)), Just(Some(64 << 20))],
    ) {
        let mut tree = Tree::new();
        for (i, &size) in sizes.iter().enumerate() {
            tree.blank(&format!("{i:02}"), size);
        }
        tree.lost_found();
        let tree = tree.finish();
        let free_space = free_blocks * 4096;
        let smallest = options()
            .with_free_space(free_space)
            .with_free_inodes(free_inodes)
            .with_grow_to(grow_to)
            .with_bytes_per_inode(bytes_per_inode)
            .with_journal_size(journal_size);
        let layout = Layout::plan(&tree, &smallest).unwrap();
        let summary = layout.summary();
        prop_assert!(summary.free_blocks >= free_blocks && summary.free_inodes >= free_inodes);
        prop_assert_eq!(layout.pieces().map(|piece| piece.len).sum::<u64>(), layout.len());
        // The default journal depends on the size; with a fixed one, both computations are equal.
        let journal_size = Some(summary.journal_blocks * 4096);
        let fixed = smallest.clone().with_journal_size(journal_size).with_size(Some(layout.len()));
        prop_assert_eq!(Layout::plan(&tree, &fixed).unwrap().summary().free_blocks, summary.free_blocks);
        let less = fixed.with_size(Some(layout.len() - 4096));
        prop_assert!(Layout::plan(&tree, &less).is_err());
    }
}

/// The map of the resize inode has 32-bit numbers of blocks, and the last backup of such a file system is past them.
#[test]
fn past_16_tib_no_blocks_are_kept_for_growth() {
    let tree = one_file(1);
    let large = |grow_to| {
        options()
            .with_size(Some(24 << 40))
            .with_grow_to(grow_to)
            .with_bytes_per_inode(64 << 20)
            .with_journal_size(Some(0))
    };
    let Err(LayoutError::GrowthOutOfReach { wanted, reachable }) =
        Layout::plan(&tree, &large(Some(24 << 40)))
    else {
        panic!("growth is promised that the map of the resize inode cannot name");
    };
    assert_eq!((wanted, reachable), (24 << 40, 16 << 40));
    assert!(Layout::plan(&tree, &large(Some(reachable))).is_ok());
}
