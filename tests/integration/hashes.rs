//! `verify: hash`: contents that differ from their registration never become an image, for every kind of output.

use crate::support::{Workspace, assert_sound};

/// A file of the example's closure.
const FILE: &str = "store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0/share/greeting/en.txt";

/// A plain file, a compressed file and standard output.
const WAYS: [&str; 3] = ["out.img", "out.img.zst", "-"];

#[test]
fn a_store_path_with_one_wrong_byte_is_refused_for_every_output() {
    let workspace = Workspace::with_small_example();
    let mut bytes = workspace.read(FILE);
    *bytes.last_mut().unwrap() ^= 1;
    workspace.write(FILE, bytes);
    for way in WAYS {
        let before = workspace.names();
        let run = workspace.snugfs(["build", "plan.json", "-o", way]);
        assert_eq!(run.code, 4, "{way}: {}", run.stderr);
        let named = "snugfs: /nix/store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0: its NAR hash is";
        assert!(run.stderr.lines().any(|line| line.starts_with(named)), "{way}: {}", run.stderr);
        assert_eq!(workspace.names(), before, "{way}: nothing is left");
    }
    workspace.snugfs(["check", "plan.json"]).failed_with(4);
}

#[test]
fn a_correct_closure_passes_for_every_output_and_gives_the_same_image() {
    let workspace = Workspace::with_small_example();
    workspace.snugfs(["build", "plan.json", "-o", "out.img"]).succeeded();
    assert_sound(&workspace.path("out.img"));
    let raw = workspace.read("out.img");
    workspace.snugfs(["build", "plan.json", "-o", "out.img.zst"]).succeeded();
    assert!(zstd::decode_all(&workspace.read("out.img.zst")[..]).unwrap() == raw);
    assert!(workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded().stdout == raw);
}
