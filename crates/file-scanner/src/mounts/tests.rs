use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use super::*;
use crate::found::FoundDirectory;

#[test]
fn names_are_the_last_parts_of_mount_points_without_their_escapes() {
    let table =
        b"22 1 0:5 / / rw - ext4 /dev/vda rw\n23 22 0:6 / /a/b\\040c rw,nosuid shared:1 - tmpfs none rw\n\
        24 22 0:7 /etc/hosts /x\\134y\\012 ro - ext4 /dev/vda ro\n";
    let below = |folders: &[&str]| -> Vec<String> {
        let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
        let names = names(table, &folders).into_iter();
        names.map(|name| String::from_utf8(name).unwrap()).collect()
    };
    assert_eq!(below(&["/"]), ["b c", "x\\y\n"]);
    assert_eq!(below(&["/a", "/b"]), ["b c"]);
    assert_eq!(below(&["/a/b"]), [""; 0]);
    assert_eq!(unescaped(b"\\04"), b"\\04");
}

/// A store, and a tree with directories `a`, `a/b`, `c` and a file `f`.
fn found(mounts: Vec<Mount>) -> Found {
    let directory = |parent, in_parent, names: &[&str]| {
        let mut directory = FoundDirectory::new(DirectoryId(parent), in_parent);
        let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        directory.listing = Some(Arc::new(Listing::of_names(&names).unwrap()));
        directory
    };
    let directories = vec![
        directory(0, 0, &[]),
        directory(1, 0, &["a", "c", "f"]),
        directory(1, 0, &["b"]),
        directory(2, 0, &["x", "y"]),
        directory(1, 1, &[]),
    ];
    Found { directories, sources: vec!["/store".into(), "/tree".into()], mounts, own: Vec::new() }
}

fn mount(directory: u32, entry: Option<usize>) -> Mount {
    Mount { directory: DirectoryId(directory), entry }
}

#[test]
fn mounts_of_a_tree_are_in_one_warning_that_names_five() {
    let mounts = vec![mount(4, None), mount(1, Some(2)), mount(2, None)];
    let [warning] = &warnings(&found(mounts), 1)[..] else { panic!("one warning") };
    let names = ["/tree/a", "/tree/c", "/tree/f"].map(str::to_owned).to_vec();
    let mounts = NamedFiles { first: names, count: 3 };
    assert_eq!(*warning, Warning::Mounts { tree: 0, mounts });
    let many = vec![mount(3, Some(1)), mount(3, Some(0)), mount(3, None), mount(2, None), mount(4, None)];
    let many = [many, vec![mount(1, Some(2))]].concat();
    let [Warning::Mounts { mounts, .. }] = &warnings(&found(many), 1)[..] else { panic!("one warning") };
    assert_eq!(mounts.first, ["/tree/a", "/tree/a/b", "/tree/a/b/x", "/tree/a/b/y", "/tree/c"]);
    assert_eq!(mounts.count, 6);
    assert_eq!(warnings(&found(Vec::new()), 1), []);
}

#[test]
fn problems_below_a_mount_are_counted_at_the_mount() {
    let found = found(vec![mount(2, None), mount(1, Some(2))]);
    let problem = |directory| (DirectoryId(directory), Some(0), Problem::Changed);
    let mut problems = vec![problem(1), problem(3), problem(2), problem(4), problem(3), problem(0)];
    let errors = errors(&found, &mut problems);
    let path = PathBuf::from("/tree/a");
    assert_eq!(errors, [(1, path, ScanError::InMount { path: "/tree/a".to_owned(), count: 3 })]);
    let left: Vec<DirectoryId> = problems.iter().map(|problem| problem.0).collect();
    assert_eq!(left, [DirectoryId(1), DirectoryId(4), DirectoryId(0)]);
}

#[test]
fn an_entry_of_another_device_is_mounted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let device = rustix::fs::stat(folder.path()).unwrap().st_dev;
    let fd = rustix::fs::openat(CWD, folder.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for (name, device, expected) in
        [(c"file", device, false), (c"file", device + 1, true), (c"missing", device + 1, false)]
    {
        assert_eq!(is_of_another_device(fd.as_fd(), name, device), expected, "{name:?}");
    }
}

#[test]
fn every_entry_is_examined_if_the_mount_points_are_unknown() {
    let root = rustix::fs::openat(CWD, "/", OFlags::DIRECTORY, Mode::empty()).unwrap();
    let device = rustix::fs::fstat(&root).unwrap().st_dev;
    let listing = Listing::of_names(&[b"missing".to_vec(), b"proc".to_vec()]).unwrap();
    let unknown = MountPoints { names: None };
    assert!(unknown.is_mounted(&root, c"proc", device));
    assert!(!unknown.is_mounted(&root, c"missing", device));
    assert_eq!(unknown.files_in(&root, &listing, device), [1]);
    let named = |name: &str| MountPoints { names: Some(BTreeSet::from([name.as_bytes().to_vec()])) };
    assert!(named("proc").is_mounted(&root, c"proc", device));
    assert!(!named("other").is_mounted(&root, c"proc", device));
    assert_eq!(named("proc").files_in(&root, &listing, device), [1]);
    assert_eq!(named("other").files_in(&root, &listing, device), [0; 0]);
    // A directory is examined when it is opened.
    let listing = Listing::read(root.as_fd()).unwrap();
    assert_eq!(listing.file_type(listing.position(b"proc").unwrap()), FileType::Directory);
    assert_eq!(named("proc").files_in(&root, &listing, device), [0; 0]);
}
