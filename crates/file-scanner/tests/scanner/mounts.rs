//! Other file systems that are mounted below a tree.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{World, own_lines, skipped_without_root};

/// A mount that ends with the test.
struct Mount(PathBuf);

impl Mount {
    fn new(arguments: &[&str], at: &Path) -> Self {
        let status = Command::new("mount").args(arguments).arg(at).status().unwrap();
        assert!(status.success(), "mount {arguments:?} {}", at.display());
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_mounted_file_system_is_taken_in_with_a_word_or_left_out() {
    if skipped_without_root() {
        return;
    }
    let mut world = World::new();
    world.write("tree/file", "");
    let at = world.mkdir("tree/sub/secrets", 0o700);
    let _mount = Mount::new(&["-t", "tmpfs", "-o", "mode=0711", "none"], &at);
    world.write("tree/sub/secrets/key", "s3cret");
    world.tree("tree", "/").one_file_system = None;

    let scan = world.scan().unwrap();
    let [warning] = &scan.warnings[..] else { panic!("{:?}", scan.warnings) };
    assert!(
        warning.starts_with("plan.trees[0]: takes in other file systems that are mounted at "),
        "{warning}"
    );
    assert!(warning.contains(&format!("{}; set \"oneFileSystem\"", at.display())), "{warning}");

    world.trees[0].one_file_system = Some(false);
    let scan = world.scan().unwrap();
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
    assert!(world.dump().contains("/sub/secrets/key"));

    world.trees[0].one_file_system = Some(true);
    assert!(world.scan().unwrap().warnings.is_empty());
    // The mount point is there, as it looks from above, and empty.
    let expected = [
        "/file 0644 0:0 42.0 file 0",
        "/sub 0755 0:0 42.0 directory",
        "/sub/secrets 0711 0:0 42.0 directory",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn what_is_wrong_in_a_mounted_file_system_is_one_line() {
    if skipped_without_root() {
        return;
    }
    let mut world = World::new();
    let at = world.mkdir("tree/proc", 0o755);
    let _mount = Mount::new(&["-t", "proc", "none"], &at);
    world.tree("tree", "/");
    let errors = world.scan().unwrap_err();
    assert_eq!((errors.errors().len(), errors.omitted()), (1, 0), "{errors}");
    let text = errors.to_string();
    assert!(
        text.starts_with(&format!("{}: another file system is mounted here, and ", at.display())),
        "{text}"
    );
    assert!(text.ends_with("set \"oneFileSystem\" of the tree to true to leave it out"), "{text}");
    world.trees[0].one_file_system = Some(true);
    assert_eq!(own_lines(&world.dump()), ["/proc 0555 0:0 42.0 directory"]);
}
