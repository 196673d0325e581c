//! The judge of images (`ext4-verify`) must not share this description: it would not find a mistake in it. It has its own
//! rules, and is built from neither this crate nor the writer and the reader that use it.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const JUDGE: &str = "ext4-verify";
/// The crates that the judge must not be built from.
const FOREIGN: [&str; 3] = ["ext4-ondisk", "ext4-layout", "image-reader"];
/// The crates that its tests must not use either. `ext4-layout` makes the images that they damage.
const FOREIGN_TO_TESTS: [&str; 2] = ["ext4-ondisk", "image-reader"];

/// The direct dependencies of each crate of the workspace, those of its tests apart.
struct Workspace {
    normal: BTreeMap<String, BTreeSet<String>>,
    dev: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    fn read() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
            .arg(manifest)
            .output()
            .expect("cargo is missing; install Rust");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut workspace = Self { normal: BTreeMap::new(), dev: BTreeMap::new() };
        for package in metadata["packages"].as_array().unwrap() {
            let name = package["name"].as_str().unwrap();
            for dependency in package["dependencies"].as_array().unwrap() {
                let is_dev = dependency["kind"] == "dev";
                let kind = if is_dev { &mut workspace.dev } else { &mut workspace.normal };
                // `name` is the package's own, whatever it is renamed to.
                let used = dependency["name"].as_str().unwrap().to_owned();
                kind.entry(name.to_owned()).or_default().insert(used);
            }
        }
        workspace
    }

    /// All that a crate is built from, directly or not. Crates of others depend on none of ours.
    fn reached<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(name) = open.pop() {
            let used = self.normal.get(name).into_iter().flatten();
            open.extend(used.map(String::as_str).filter(|used| reached.insert(*used)));
        }
        reached
    }
}

#[test]
fn the_judge_is_built_from_none_of_the_crates_that_it_judges() {
    let workspace = Workspace::read();
    let judge = workspace.reached(JUDGE);
    assert!(judge.contains("image-tree"), "the judge was not found: {judge:?}");
    for foreign in FOREIGN {
        assert!(!judge.contains(foreign), "{JUDGE} is built from {foreign}");
    }
    for foreign in FOREIGN_TO_TESTS {
        assert!(!workspace.dev[JUDGE].contains(foreign), "tests of {JUDGE} use {foreign}");
    }
    // All others share the description; that the walk finds it also shows that it would find it from the judge.
    for user in ["ext4-layout", "image-reader", "snugfs-compare", "fuzz-bodies", "snugfs"] {
        assert!(workspace.reached(user).contains("ext4-ondisk"), "{user} does not use ext4-ondisk");
    }
}

/// Whatever its tests are built from, the judge's own code does not name it.
#[test]
fn the_judge_names_none_of_them() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ext4-verify/src");
    let mut open = vec![sources];
    let mut read = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for foreign in FOREIGN {
            let named = foreign.replace('-', "_");
            assert!(!text.contains(&format!("{named}::")), "{} uses {foreign}", path.display());
        }
        read += 1;
    }
    assert!(read > 10, "{read} files");
}
