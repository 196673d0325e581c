//! Other file systems that are mounted below a tree.

use std::path::{Path, PathBuf};
use std::process::Command;

use file_scanner::Warning;

use crate::support::{World, own_lines, skipped_without_root};

/// A mount that is removed at the end of the test.
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
fn a_mounted_file_system_is_included_with_a_warning_or_left_out() {
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
    let [warning @ Warning::Mounts { .. }] = &scan.warnings[..] else { panic!("{:?}", scan.warnings) };
    let warning = warning.to_string();
    assert!(warning.starts_with("tree 0: takes in what is mounted at "), "{warning}");
    let help = format!("{}; decide whether it stays on one file system", at.display());
    assert!(warning.ends_with(&help), "{warning}");

    world.trees[0].one_file_system = Some(false);
    let scan = world.scan().unwrap();
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
    assert!(world.dump().contains("/sub/secrets/key"));

    world.trees[0].one_file_system = Some(true);
    assert!(world.scan().unwrap().warnings.is_empty());
    // The mount point is in the tree, empty, with the metadata of the mounted root.
    let expected = [
        "/file 0644 0:0 42.0 file 0",
        "/sub 0755 0:0 42.0 directory",
        "/sub/secrets 0711 0:0 42.0 directory",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn problems_in_a_mounted_file_system_are_one_line() {
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
    assert!(text.ends_with("unmount it, or take in one file system only"), "{text}");
    world.trees[0].one_file_system = Some(true);
    assert_eq!(own_lines(&world.dump()), ["/proc 0555 0:0 42.0 directory"]);
}

#[test]
fn mounted_files_and_folders_of_the_same_file_system_count_too() {
    if skipped_without_root() {
        return;
    }
    let mut world = World::new();
    let secret = world.write("secret", "s3cret");
    let folder = world.mkdir("folder", 0o750);
    world.write("folder/inner", "");
    let source = |path: &Path| path.to_str().unwrap().to_owned();
    let (at_file, at_folder) =
        (world.write("tree/etc/resolv.conf", ""), world.mkdir("tree/var/lib x", 0o755));
    world.write("tree/etc/hosts", "");
    // The same names without a mount.
    world.write("tree/resolv.conf", "");
    world.write("tree/lib x/file", "");
    let at_root = world.write("tree/top", "");
    let _mounts = [(&secret, &at_file), (&folder, &at_folder), (&secret, &at_root)]
        .map(|(from, at)| Mount::new(&["--bind", &source(from)], at));
    world.tree("tree", "/").one_file_system = None;

    let scan = world.scan().unwrap();
    let [warning @ Warning::Mounts { .. }] = &scan.warnings[..] else { panic!("{:?}", scan.warnings) };
    let warning = warning.to_string();
    let places = [&at_file, &at_root, &at_folder].map(|path| source(path)).join(", ");
    assert!(
        warning.starts_with(&format!("tree 0: takes in what is mounted at {places}; decide")),
        "{warning}"
    );

    world.trees[0].one_file_system = Some(false);
    assert!(world.scan().unwrap().warnings.is_empty());
    assert!(world.dump().contains("/etc/resolv.conf 0644 0:0 42.0 file 6"), "{}", world.dump());

    world.trees[0].one_file_system = Some(true);
    assert!(world.scan().unwrap().warnings.is_empty());
    let expected = [
        "/etc 0755 0:0 42.0 directory",
        "/etc/hosts 0644 0:0 42.0 file 0",
        "/lib x 0755 0:0 42.0 directory",
        "/lib x/file 0644 0:0 42.0 file 0",
        "/resolv.conf 0644 0:0 42.0 file 0",
        "/var 0755 0:0 42.0 directory",
        "/var/lib x 0750 0:0 42.0 directory",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}
