//! Holes of sparse files, and the warning if they are filled.

use std::fs::File;
use std::os::unix::fs::FileExt;

use image_tree::DataRun;
use snugfs_plan::EntryKind;

use file_scanner::Warning;

use crate::support::{World, entry, path};

/// A file of 10 GiB with a byte at the end of each of the first gibibytes.
fn sparse(world: &World, relative: &str) {
    let file = File::create(world.write(relative, "")).unwrap();
    file.set_len(10 << 30).unwrap();
    for gigabyte in 1..4 {
        file.write_all_at(b"x", (gigabyte << 30) - 1).unwrap();
    }
}

fn expected() -> Vec<DataRun> {
    (1..4_u32).map(|gigabyte| DataRun { start: (gigabyte << 18) - 1, len: 1 }).collect()
}

#[test]
fn a_sparse_file_of_a_tree_or_an_entry_keeps_its_holes() {
    let mut world = World::new();
    sparse(&world, "tree/a/log");
    world.write("tree/a/z", "dense");
    world.tree("tree", "/");
    let source = world.at("tree/a/log");
    world.entry("/one", entry(EntryKind::Source(source)));
    let scan = world.scan().unwrap();
    for (at, runs) in [("/a/log", Some(expected())), ("/one", Some(expected())), ("/a/z", None)] {
        let node = scan.tree.find(&path(at)).unwrap();
        assert_eq!(scan.tree.data_runs(node).map(<[DataRun]>::to_vec), runs, "{at}");
    }
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
}

#[test]
fn filled_holes_are_a_warning_with_the_largest_files() {
    let mut world = World::new();
    sparse(&world, "tree/a/log");
    sparse(&world, "store/x-y");
    world.tree("tree", "/").keep_holes = false;
    world.store("store", &["x-y"]);
    let scan = world.scan().unwrap();
    for at in ["/a/log", "/nix/store/x-y"] {
        let node = scan.tree.find(&path(at)).unwrap();
        assert_eq!(scan.tree.data_runs(node), None, "{at}");
    }
    let [warning @ Warning::Room { .. }] = &scan.warnings[..] else { panic!("{:?}", scan.warnings) };
    let warning = warning.to_string();
    assert!(
        warning.starts_with("the contents: 21474836480 bytes are stored for files that take "),
        "{warning}"
    );
    let (store, tree) = (world.at("store/x-y"), world.at("tree/a/log"));
    assert!(
        warning.contains(&format!("the largest are {}, {};", store.display(), tree.display())),
        "{warning}"
    );
}

#[test]
fn an_entry_can_be_filled() {
    let mut world = World::new();
    sparse(&world, "log");
    let mut filled = entry(EntryKind::Source(world.at("log")));
    filled.keep_holes = false;
    world.entry("/one", filled);
    let scan = world.scan().unwrap();
    assert_eq!(scan.tree.data_runs(scan.tree.find(&path("/one")).unwrap()), None);
    assert_eq!(scan.warnings.len(), 1);
}
