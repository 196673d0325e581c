//! A second scan of the same sources does not walk them.

use file_scanner::{ScanOptions, Sources, Walked, scan_again};
use image_tree::Timestamp;
use snugfs_plan::TreeKind;

use crate::support::{World, dump, path, tar, text};

fn world() -> World {
    let mut world = World::new();
    world.write("folder/a", "");
    world.write("store/aaa-x", "");
    world.write("store/bbb-y", "");
    tar(&world, "folder", "x.tar", &[]);
    world.store("store", &["aaa-x"]);
    world.tree("folder", "/folder");
    world.tree("x.tar", "/archive").kind = Some(TreeKind::Tar);
    world
}

/// The tree of another scan, and whether the folder was walked for it.
fn again(world: &World, sources: &Sources<'_>, walked: Option<&Walked>) -> (String, bool) {
    let new = world.write("folder/new", "");
    let mut walked = walked.cloned();
    let tree = scan_again(sources, &ScanOptions::default(), &mut walked).unwrap().tree;
    assert!(walked.unwrap().is_of(sources));
    std::fs::remove_file(new).unwrap();
    let is_walked = tree.find(&path("/folder/new")).is_some();
    (dump(&tree), is_walked)
}

#[test]
fn only_sources_with_the_same_store_trees_and_time_are_not_walked_again() {
    let mut world = world();
    let mut walked = None;
    let first = dump(&scan_again(&world.sources(), &ScanOptions::default(), &mut walked).unwrap().tree);
    assert!(walked.as_ref().unwrap().is_of(&world.sources()));
    assert_eq!(again(&world, &world.sources(), walked.as_ref()), (first.clone(), false));

    let time = Timestamp::new(43, 0).unwrap();
    assert!(
        again(&world, &Sources { timestamp: time, ..world.sources() }, walked.as_ref()).1,
        "another time"
    );
    world.store("store", &["aaa-x", "bbb-y"]);
    assert!(again(&world, &world.sources(), walked.as_ref()).1, "another store");
    world.store("store", &["aaa-x"]);
    world.trees[1].keep_owner = Some(false);
    assert!(again(&world, &world.sources(), walked.as_ref()).1, "another tree");
    world.trees[1].keep_owner = None;

    // The rest can be different.
    world.entry("/text", text(""));
    let (other, is_walked) = again(&world, &world.sources(), walked.as_ref());
    assert!(!is_walked && other.contains("/text 0644"), "{other}");
    let lines = |dump: &str| dump.lines().filter(|line| !line.starts_with("/text ")).count();
    assert_eq!(lines(&other), lines(&first));
}
