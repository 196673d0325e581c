//! Layouts that follow earlier ones.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ext4_layout::{Compatibility, Layout, Likeness, Options, Place, Previous, Reason, Recorded};
use image_tree::{FileTree, ImagePath};
use proptest::prelude::*;

use crate::properties::{Random, assert_same, build, random_options, tree};
use crate::support::*;

type Entries = BTreeMap<Vec<u8>, Random>;

/// The places of the entries of a layout, by path.
fn places(layout: &Layout) -> HashMap<ImagePath, Place> {
    let tree = layout.tree();
    tree.iter().filter_map(|(node, _)| Some((tree.path(node), layout.place(node)?))).collect()
}

fn previous(tree: &FileTree, old: &Layout, slack: u32) -> Previous {
    let old_places = places(old);
    let of_new = tree.iter().map(|(node, _)| old_places.get(&tree.path(node)).copied());
    Previous::new(old.recorded(), of_new.collect(), slack).unwrap()
}

/// Lays out like an earlier layout, and checks the image and that all that could stay has stayed.
fn follow(tree: &FileTree, options: &Options, old: &Layout, folder: &Path) -> Layout {
    let like = previous(tree, old, 1000);
    let layout = Layout::plan_like(tree, options, &like).unwrap();
    checked_layout(&layout, options, folder);
    let again = Layout::plan_like(tree, options, &like).unwrap();
    assert_eq!((places(&again), again.likeness()), (places(&layout), layout.likeness()));
    let (now, then) = (layout.recorded(), old.recorded());
    let is_same_geometry = Recorded { blocks: 0, ..now } == Recorded { blocks: 0, ..then };
    if is_same_geometry && matches!(layout.likeness(), Some(Likeness::Kept { .. })) {
        let before = places(old);
        for (path, place) in places(&layout) {
            let Some(old) = before.get(&path).filter(|old| old.blocks > 0 && place.blocks > 0) else {
                continue;
            };
            if place.blocks <= old.blocks {
                assert_eq!(place.start, old.start, "{path}: {old:?}");
            }
        }
    }
    layout
}

fn files(names: &[(&str, u64)]) -> FileTree {
    let mut tree = Tree::new();
    let mut names = names.to_vec();
    names.push(("lost+found", 0));
    names.sort_unstable();
    for (name, blocks) in names {
        if name == "lost+found" {
            tree.lost_found();
        } else {
            tree.blank(name, blocks * 4096);
        }
    }
    tree.finish()
}

fn place_of(layout: &Layout, name: &str) -> Place {
    *places(layout).iter().find(|(path, _)| path.as_bytes() == name.as_bytes()).unwrap().1
}

#[test]
fn a_file_stays_when_others_come_and_go() {
    let folder = folder();
    let old = Layout::plan(&files(&[("b", 3), ("c", 10), ("d", 2)]), &options()).unwrap();
    let tree = files(&[("a", 4), ("b", 3), ("d", 2), ("e", 7)]);
    let new = follow(&tree, &options(), &old, folder.path());
    let moved = new.likeness();
    assert_eq!(moved, Some(Likeness::Kept { moved: 2 }));
    for name in ["/b", "/d"] {
        assert_eq!(place_of(&new, name), place_of(&old, name));
    }
    // New files get the inode and the blocks that became free, then what is after the end.
    let (c, a, e) = (place_of(&old, "/c"), place_of(&new, "/a"), place_of(&new, "/e"));
    assert_eq!((a.inode, a.start), (c.inode, c.start));
    assert_eq!(e.inode, place_of(&old, "/d").inode + 1);
    assert_eq!(e.start, place_of(&old, "/d").start + 2);
    assert_eq!(new.recorded().blocks, old.recorded().blocks + 7);
    // With free space, what is free between files counts.
    let roomy = options().with_free_space(1 << 20);
    let old = Layout::plan(old.tree(), &roomy).unwrap();
    let new = follow(&tree, &roomy, &old, folder.path());
    assert_eq!(new.recorded().blocks, old.recorded().blocks + 1);
}

#[test]
fn only_inodes_with_blocks_can_move() {
    let old = Layout::plan(&files(&[("a", 3), ("b", 0)]), &options()).unwrap();
    let tree = files(&[("a", 0), ("b", 0), ("c", 0), ("d", 1)]);
    let new = Layout::plan_like(&tree, &options(), &previous(&tree, &old, 0)).unwrap();
    assert_eq!(new.likeness(), Some(Likeness::Kept { moved: 1 }));
    assert_eq!(place_of(&new, "/d").start, place_of(&old, "/a").start);
    assert_eq!(place_of(&new, "/a"), Place::new(12, 0, 0));
}

#[test]
fn a_file_that_grows_stays_if_there_is_room_behind_it() {
    let folder = folder();
    let old = Layout::plan(&files(&[("a", 3), ("b", 10), ("c", 2)]), &options()).unwrap();
    // Without b, a has room.
    let new = follow(&files(&[("a", 13), ("c", 2)]), &options(), &old, folder.path());
    assert_eq!(place_of(&new, "/a").start, place_of(&old, "/a").start);
    // With b, it has not; b stays.
    let new = follow(&files(&[("a", 4), ("b", 10), ("c", 2)]), &options(), &old, folder.path());
    assert_eq!(place_of(&new, "/a").start, place_of(&old, "/c").start + 2);
    assert_eq!(place_of(&new, "/b"), place_of(&old, "/b"));
}

#[test]
fn an_image_that_would_be_too_long_is_laid_out_anew() {
    let folder = folder();
    let sealed = options().with_sealed(true).with_free_space(0);
    let old = Layout::plan(&files(&[("a", 1000), ("b", 3)]), &sealed).unwrap();
    let tree = files(&[("b", 3)]);
    let like = |slack| Layout::plan_like(&tree, &sealed, &previous(&tree, &old, slack)).unwrap();
    let anew = Layout::plan(&tree, &sealed).unwrap();
    let short = like(5);
    assert!(matches!(short.likeness(), Some(Likeness::Anew(Reason::TooLong { blocks })) if blocks > 1000));
    assert_eq!((places(&short), short.recorded()), (places(&anew), anew.recorded()));
    assert_eq!(like(1000).likeness(), Some(Likeness::Kept { moved: 0 }));
    follow(&tree, &sealed, &old, folder.path());
}

/// The image is as many blocks longer as the file before the one that stays had.
#[test]
fn an_image_may_be_longer_by_exactly_the_slack() {
    let sealed = options().with_sealed(true).with_free_space(0);
    let tree = files(&[("b", 3)]);
    let anew = Layout::plan(&tree, &sealed).unwrap().recorded().blocks;
    for slack in [0, 1, 10, 50, 100] {
        let most = anew * u64::from(slack) / 100;
        let like = |blocks| {
            let old = Layout::plan(&files(&[("a", blocks), ("b", 3)]), &sealed).unwrap();
            Layout::plan_like(&tree, &sealed, &previous(&tree, &old, slack)).unwrap()
        };
        let (longest, longer) = (like(most), like(most + 1));
        assert_eq!(longest.likeness(), Some(Likeness::Kept { moved: 0 }), "{slack}");
        assert_eq!(longest.recorded().blocks, anew + most);
        let reason = Reason::TooLong { blocks: anew + most + 1 };
        assert_eq!((longer.likeness(), longer.recorded().blocks), (Some(Likeness::Anew(reason)), anew));
    }
}

#[test]
fn other_numbers_of_groups_keep_what_is_not_in_the_way() {
    let folder = folder();
    let plain = options();
    let sizes = [30_000, 70_000, 20_000, 90_000, 400_000, 60_000];
    let mut old = Layout::plan(&files(&[("a", 100), ("m", sizes[0]), ("z", 5)]), &plain).unwrap();
    for size in sizes {
        let tree = files(&[("a", 100), ("m", size), ("z", 5)]);
        let new = follow(&tree, &plain, &old, folder.path());
        assert!(matches!(new.likeness(), Some(Likeness::Kept { .. })), "{:?}", new.likeness());
        let anew = Layout::plan(&tree, &plain).unwrap();
        assert!(new.recorded().blocks >= anew.recorded().blocks.min(new.recorded().blocks));
        old = new;
    }
}

/// The contents are in the first of two groups, but one group has too few inodes.
#[test]
fn an_image_with_groups_for_its_inodes_follows_itself() {
    let folder = folder();
    let promised = options().with_free_inodes(40_000);
    let old = Layout::plan(&files(&[("a", 3)]), &promised).unwrap();
    let new = follow(&files(&[("a", 3), ("b", 1)]), &promised, &old, folder.path());
    assert_eq!((new.likeness(), new.recorded()), (Some(Likeness::Kept { moved: 1 }), old.recorded()));
    // An image of one group gets another one if more inodes are promised.
    let old = Layout::plan(old.tree(), &options()).unwrap();
    let new = follow(old.tree(), &promised, &old, folder.path());
    assert!(matches!(new.likeness(), Some(Likeness::Kept { .. })), "{:?}", new.likeness());
    assert_eq!((old.recorded().groups, new.recorded().groups), (1, 2));
}

#[test]
fn a_fixed_size_is_kept_and_a_full_one_is_laid_out_anew() {
    let folder = folder();
    let fixed = options().with_size(Some(64 << 20)).with_free_space(0).with_journal_size(Some(0));
    let old = Layout::plan(&files(&[("a", 5000), ("b", 5000)]), &fixed).unwrap();
    let new = follow(&files(&[("b", 5000), ("c", 4000)]), &fixed, &old, folder.path());
    assert_eq!(new.recorded().blocks, old.recorded().blocks);
    assert_eq!(new.likeness(), Some(Likeness::Kept { moved: 1 }));
    // 10,000 blocks fit, but not in one piece beside b.
    let tree = files(&[("b", 5000), ("c", 10_000)]);
    let new = Layout::plan_like(&tree, &fixed, &previous(&tree, &old, 5)).unwrap();
    assert_eq!(new.likeness(), Some(Likeness::Anew(Reason::NoRoom)));
}

#[test]
fn a_legacy_layout_follows_and_is_followed() {
    let folder = folder();
    let of = |compatibility| {
        options().with_compatibility(compatibility).with_grow_to(Some(1 << 40)).with_free_space(80 << 20)
    };
    let both = [Compatibility::Current, Compatibility::Legacy];
    for (then, now) in both.into_iter().flat_map(|then| both.map(|now| (then, now))) {
        let old = Layout::plan(&files(&[("a", 50), ("b", 50), ("c", 9000)]), &of(then)).unwrap();
        let new = follow(&files(&[("b", 50), ("c", 9000), ("d", 70)]), &of(now), &old, folder.path());
        if then == now {
            assert_eq!(new.likeness(), Some(Likeness::Kept { moved: 1 }));
            assert_eq!(place_of(&new, "/c"), place_of(&old, "/c"));
        }
    }
}

#[test]
fn impossible_numbers_are_refused_and_wrong_places_are_ignored() {
    let tree = files(&[("a", 3), ("b", 4)]);
    let old = Layout::plan(&tree, &options()).unwrap();
    let good = old.recorded();
    let is_refused = |recorded| Previous::new(recorded, Vec::new(), 5).is_none();
    assert!(!is_refused(good));
    for bad in [
        Recorded { groups: 0, ..good },
        Recorded { groups: u32::MAX, ..good },
        Recorded { blocks: 0, ..good },
        Recorded { blocks: u64::MAX, ..good },
        Recorded { inodes_per_group: 0, ..good },
        Recorded { inodes_per_group: 8, ..good },
        Recorded { inodes_per_group: u32::MAX - 15, ..good },
        Recorded { reserved_gdt_blocks: 1025, ..good },
        Recorded { journal_blocks: u64::MAX, ..good },
    ] {
        assert!(is_refused(bad), "{bad:?}");
    }
    let folder = folder();
    for start in [0, 1, 40, 3000, good.blocks - 1, good.blocks, u64::MAX] {
        for blocks in [0, 1, 4, 100_000, u64::MAX] {
            for inode in [0, 1, 2, 8, 11, 12, 13, 8192, 1 << 20, u32::MAX] {
                let places = vec![Some(Place::new(inode, start, blocks)); tree.len()];
                let like = Previous::new(good, places, 5).unwrap();
                let layout = Layout::plan_like(&tree, &options(), &like).unwrap();
                if blocks != 100_000 && inode % 3 == 0 {
                    checked_layout(&layout, &options(), folder.path());
                }
            }
        }
    }
}

/// A tree in which a part of the top entries is replaced.
fn next(old: &Entries, new: Entries, keep: usize) -> Entries {
    let kept = old.iter().enumerate().filter(|(index, _)| index % 4 < keep);
    let mut all = new;
    all.extend(kept.map(|(_, (name, node))| (name.clone(), node.clone())));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_generations_are_sound(
        first in tree(),
        later in prop::collection::vec((tree(), 0..5_usize, any::<bool>(), random_options()), 1..5),
        options in random_options(),
    ) {
        let folder = folder();
        let mut entries = first;
        let mut old = Layout::plan(&build(&entries), &options).unwrap();
        for (new, keep, changes_options, others) in later {
            entries = next(&entries, new, keep);
            let options = if changes_options { &others } else { &options };
            let tree = build(&entries);
            old = follow(&tree, options, &old, folder.path());
            assert_same(&tree, &folder.path().join("image"));
        }
    }
}
