//! The ext4 writer as another project uses it: `tests/external-writer`, a program outside of the workspace.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Maximum number of lines of the program, and of its crates, including itself and build dependencies.
const MOST_LINES: usize = 40;
const MOST_CRATES: usize = 20;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

fn cargo(arguments: &[&str], manifest: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).args(["--offline", "--locked", "--manifest-path"]).arg(manifest);
    command
}

/// The names in the output of `cargo tree --prefix none`.
fn crates(tree: &str) -> BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_short_program_of_few_crates_writes_an_image() {
    let program = folder("tests/external-writer");
    let manifest = program.join("Cargo.toml");
    let source = std::fs::read_to_string(program.join("src/main.rs")).unwrap();
    assert!(source.lines().count() <= MOST_LINES, "{} lines", source.lines().count());

    let tree = output(&mut cargo(&["tree", "--prefix", "none"], &manifest));
    let crates = crates(&tree);
    assert!(crates.contains("ext4-layout") && crates.len() <= MOST_CRATES, "{}: {crates:?}", crates.len());

    // Kept between runs.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("external-writer");
    let image = tempfile::NamedTempFile::new().unwrap();
    output(
        cargo(&["run", "--quiet"], &manifest).arg("--target-dir").arg(&target).arg("--").arg(image.path()),
    );
    let text = output(Command::new("e2fsck").arg("-fn").arg(image.path()));
    let is_usual = |line: &str| line.starts_with("Pass ") || line.contains(" files (");
    assert!(text.lines().all(is_usual), "{text}");
    let cat =
        |path: &str| output(Command::new("debugfs").args(["-R", &format!("cat {path}")]).arg(image.path()));
    assert_eq!(cat("/etc/hostname"), "snug\n");
    assert!(cat("/large") == "x".repeat(5 << 20));
}

/// With all features, too, the writer does not depend on plans or JSON.
#[test]
fn the_writer_knows_neither_plans_nor_json() {
    let manifest = folder("Cargo.toml");
    for name in ["image-tree", "ext4-ondisk", "ext4-layout", "image-assembly"] {
        let arguments = ["tree", "--prefix", "none", "--edges", "normal,build", "--all-features", "-p", name];
        let tree = output(&mut cargo(&arguments, &manifest));
        let crates = crates(&tree);
        assert!(crates.contains(name), "{crates:?}");
        for foreign in ["snugfs-plan", "file-scanner", "closure-registration", "serde", "serde_json"] {
            assert!(!crates.contains(foreign), "{name} is built from {foreign}");
        }
    }
}
