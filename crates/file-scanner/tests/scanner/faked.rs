//! Libraries that show other owners than the system.

use std::process::Command;

use snugfs_plan::TreeKind;

use crate::support::{World, tar, text};

const LIBRARY: &str = "/nowhere/libfakeroot.so";

/// A folder and an archive as trees.
fn world() -> World {
    let mut world = World::new();
    world.write("folder/a", "");
    world.write("files/b", "");
    tar(&world, "files", "x.tar", &[]);
    world.tree("x.tar", "/");
    world.tree("folder", "/");
    world.entry("/c", text(""));
    world
}

/// Runs itself with `LD_PRELOAD`.
#[test]
fn folders_are_refused_if_fakeroot_is_preloaded_without_effect() {
    let mut world = world();
    if std::env::var("LD_PRELOAD").is_ok_and(|value| value == LIBRARY) {
        let [error] = &world.errors()[..] else { panic!("one error") };
        assert!(error.starts_with("tree 1: fakeroot is in LD_PRELOAD but is not loaded, so"), "{error}");
        world.trees.truncate(1);
        assert_eq!(world.trees[0].kind.get_or_insert(TreeKind::Tar), &TreeKind::Tar);
        assert!(world.scan().is_ok());
        return;
    }
    assert!(world.scan().is_ok());
    let name = "faked::folders_are_refused_if_fakeroot_is_preloaded_without_effect";
    let mut itself = Command::new(std::env::current_exe().unwrap());
    let output = itself.args(["--exact", name]).env("LD_PRELOAD", LIBRARY).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
