use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::CWD;

use super::*;
use crate::listing::Listing;

/// An open folder with a file, an empty file, a directory, a symlink to the file and a FIFO.
fn folder() -> (tempfile::TempDir, OpenDirectory<'static>) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("file"), "bytes").unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    std::os::unix::fs::symlink("file", folder.path().join("symlink")).unwrap();
    rustix::fs::mknodat(CWD, folder.path().join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let fd = OwnedFd::from(File::open(folder.path()).unwrap());
    let listing = Listing::read(fd.as_fd()).unwrap();
    let directory = OpenDirectory {
        id: DirectoryId(0),
        policy: Policy::Store,
        top_of_store: false,
        fd: Arc::new(fd),
        listing: Arc::new(listing),
        device: 0,
        exclude: None,
    };
    (folder, directory)
}

fn stat_of(path: impl AsRef<Path>) -> Stat {
    rustix::fs::lstat(path.as_ref()).unwrap()
}

#[test]
fn what_replaced_a_file_of_a_store_path_is_noticed() {
    let (_folder, directory) = folder();
    for (name, listed, expected) in [
        (c"file", FileType::RegularFile, "File"),
        (c"file", FileType::Unknown, "File"),
        (c"file", FileType::Symlink, "Changed"),
        (c"directory", FileType::Directory, "Directory"),
        (c"directory", FileType::Unknown, "Directory"),
        (c"directory", FileType::RegularFile, "Changed"),
        (c"symlink", FileType::Symlink, "Symlink"),
        (c"symlink", FileType::Unknown, "Symlink"),
        (c"symlink", FileType::RegularFile, "Changed"),
        (c"fifo", FileType::Fifo, "SpecialInStore"),
        (c"fifo", FileType::Unknown, "SpecialInStore"),
        (c"fifo", FileType::RegularFile, "Changed"),
        (c"missing", FileType::RegularFile, "System"),
    ] {
        let shown = match store_entry(&directory, name, listed, &mut Part::default()) {
            Ok(kind) => format!("{kind:?}"),
            Err(problem) => format!("{problem:?}"),
        };
        let kind = shown.split(['(', ' ']).next();
        assert_eq!(kind, Some(expected), "{name:?} listed as {listed:?}: {shown}");
    }
}

/// A symlink or a FIFO can replace the file before it is opened.
#[test]
fn only_a_regular_file_has_contents() {
    let (folder, _) = folder();
    for (name, expected) in [
        ("file", true),
        ("empty", false),
        ("symlink", false),
        ("fifo", false),
        ("directory", false),
        ("missing", false),
    ] {
        assert_eq!(has_contents(CWD, folder.path().join(name)), expected, "{name}");
    }
}

/// Calls a function as a user without the rights of root. Its group stays.
fn without_root<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    let drop_rights = || {
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::thread::Uid::from_raw(65534);
            // Of this thread only.
            let set = rustix::thread::set_thread_res_uid(nobody, nobody, nobody);
            set.expect("the user namespace of the tests has a user 65534");
        }
        call()
    };
    std::thread::scope(|scope| scope.spawn(drop_rights).join().unwrap())
}

#[test]
fn a_file_is_readable_unless_the_system_refuses() {
    let (folder, directory) = folder();
    let path = folder.path().join("file");
    for (mode, expected) in [
        (0o444, true),
        (0o777, true),
        (0o644, true),
        (0o640, true),
        (0o222, false),
        (0o111, false),
        (0, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let stat = stat_of(&path);
        let (readable, kind) = without_root(|| {
            (
                is_readable(&*directory.fd, c"file", &stat),
                readable_file(&directory.fd, c"file", &stat).is_ok(),
            )
        });
        assert_eq!((readable, kind), (expected, expected), "{mode:o}");
    }
    let stat = stat_of(&path);
    assert!(without_root(|| is_readable(&*directory.fd, c"missing", &stat)), "another error follows");
}

#[test]
fn only_inodes_with_several_names_are_links() {
    let (folder, _) = folder();
    let mut stat = stat_of(folder.path().join("file"));
    for (names, expected) in [(1, 0), (2, 1), (3, 1)] {
        stat.st_nlink = names;
        let mut tree = TreePart::default();
        tree_extras(&mut tree, 5, &stat);
        assert_eq!((tree.metadata.len(), tree.links.len()), (1, expected), "{names}");
        assert!(tree.links.iter().all(|link| *link == (5, own::inode(&stat))));
    }
}

#[test]
fn a_file_is_executable_if_its_owner_can_execute_it() {
    let mut stat = stat_of("/");
    stat.st_size = 9;
    for (mode, expected) in [(0o100, true), (0o755, true), (0o677, false), (0o011, false), (0o4600, false)] {
        stat.st_mode = mode;
        let Ok(Kind::File { size: 9, executable, .. }) = file(&stat) else { panic!("a file") };
        assert_eq!(executable, expected, "{mode:o}");
    }
    stat.st_size = -1;
    assert!(matches!(file(&stat), Err(Problem::Changed)));
}

#[test]
fn a_symlink_target_has_up_to_4095_bytes() {
    for (len, is_possible) in [(0, false), (1, true), (4095, true), (4096, false), (70_000, false)] {
        match target_len(len) {
            Ok(known) => assert!(is_possible && usize::from(known) == len, "{len}"),
            Err(Problem::Target(told)) => assert!(!is_possible && told == len, "{len}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn long_targets_are_read_whole_one_after_another() {
    let (folder, mut directory) = folder();
    let long = "x".repeat(4000);
    for (name, target) in [("a", "short"), ("b", &long), ("c", "last")] {
        std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
    }
    directory.listing = Arc::new(Listing::read(directory.fd.as_fd()).unwrap());
    let mut part = Part::default();
    for (name, start, len) in [(c"a", 0, 5), (c"b", 5, 4000), (c"c", 4005, 4)] {
        let kind = symlink(&directory, name, &mut part).unwrap();
        assert!(matches!(kind, Kind::Symlink { start: at, len: of } if at == start && of == len), "{kind:?}");
    }
    assert_eq!(part.targets, format!("short{long}last").into_bytes());
}

#[test]
fn device_numbers_are_those_of_ext4() {
    let mut stat = stat_of("/");
    for (major, minor, is_possible) in [
        (0, 0, true),
        (4, 300, true),
        (4095, 1_048_575, true),
        (4096, 0, false),
        (0, 1_048_576, false),
        (4096, 1_048_576, false),
        (70_000, 5, false),
    ] {
        stat.st_rdev = rustix::fs::makedev(major, minor);
        match device(&stat) {
            Ok(numbers) => assert!(is_possible && numbers == (major, minor), "{major}:{minor}"),
            Err(Problem::DeviceNumber) => assert!(!is_possible, "{major}:{minor}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}
