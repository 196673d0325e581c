use std::fs;
use std::os::unix::net::UnixListener;

use file_scanner::ErrorKind;
use rustix::fs::{CWD, Timespec, Timestamps, XattrFlags};

use crate::support::{World, chmod, chown, own_lines, wildcard};

#[test]
fn store_paths_are_canonical_whatever_the_metadata_on_the_host() {
    let mut world = World::new();
    chmod(&world.write("store/aaa-x/bin/run", "#!"), 0o4755);
    chmod(&world.write("store/aaa-x/group-executable", ""), 0o610);
    fs::hard_link(world.at("store/aaa-x/bin/run"), world.at("store/aaa-x/again")).unwrap();
    world.mkdir("store/aaa-x/empty", 0o2700);
    world.symlink("store/aaa-x/link", "bin/run");
    world.write("store/bbb-file", "file");
    world.symlink("store/ccc-link", "/nix/store/aaa-x");
    world.write("store/ddd-not-listed", "");
    rustix::fs::setxattr(world.at("store/bbb-file"), "user.x", b"1", XattrFlags::empty()).unwrap();
    let late = Timespec { tv_sec: 1 << 40, tv_nsec: 5 };
    let times = Timestamps { last_access: late, last_modification: late };
    let _ = rustix::fs::utimensat(CWD, world.at("store/aaa-x/bin/run"), &times, rustix::fs::AtFlags::empty());
    chown(&world.at("store/bbb-file"), 5, 5);
    world.store("store", &["aaa-x", "bbb-file", "ccc-link"]);
    let expected = [
        "/nix 0755 0:0 42.0 directory",
        "/nix/store 0755 0:0 42.0 directory",
        "/nix/store/aaa-x 0555 0:0 1.0 directory",
        "/nix/store/aaa-x/again 0555 0:0 1.0 file 2",
        "/nix/store/aaa-x/bin 0555 0:0 1.0 directory",
        "/nix/store/aaa-x/bin/run 0555 0:0 1.0 file 2",
        "/nix/store/aaa-x/empty 0555 0:0 1.0 directory",
        "/nix/store/aaa-x/group-executable 0444 0:0 1.0 file 0",
        "/nix/store/aaa-x/link 0777 0:0 1.0 symlink bin/run",
        "/nix/store/bbb-file 0444 0:0 1.0 file 4",
        "/nix/store/ccc-link 0777 0:0 1.0 symlink /nix/store/aaa-x",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn every_missing_store_path_is_named() {
    let mut world = World::new();
    world.write("store/bbb-y/x", "");
    world.store("store", &["aaa-x", "bbb-y", "ccc-z"]);
    let errors = world.scan().unwrap_err();
    assert_eq!(errors.kind(), ErrorKind::Closure);
    let missing =
        "the store path is registered but missing; put it there, or correct the folder of the store";
    assert_eq!(
        world.errors(),
        [format!("FOLDER/store/aaa-x: {missing}"), format!("FOLDER/store/ccc-z: {missing}")]
    );
}

#[test]
fn sockets_and_pipes_are_not_part_of_a_store() {
    let mut world = World::new();
    world.mkdir("store/aaa-x", 0o755);
    world.store("store", &["aaa-x", "bbb-y"]);
    let _socket = UnixListener::bind(world.at("store/aaa-x/socket")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(CWD, world.at("store/bbb-y"), fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Source);
    let errors = world.errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("FOLDER/store/aaa-x/socket: is neither"), "{errors:?}");
    assert!(errors[1].starts_with("FOLDER/store/bbb-y: is neither"), "{errors:?}");
}

#[test]
fn an_empty_closure_needs_no_store() {
    let mut world = World::new();
    world.store("absent", &[]);
    assert_eq!(own_lines(&world.dump()).last(), Some(&"/nix/store 0755 0:0 42.0 directory"));
    world.store("absent", &["aaa-x"]);
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Source);
}

#[test]
fn an_invalid_store_name_is_an_error_of_the_closure() {
    for bad in ["..", "", "a/b"] {
        let mut world = World::new();
        world.mkdir("store", 0o755);
        world.store("store", &[bad]);
        assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Closure, "{bad:?}");
    }
}

#[test]
fn targets_of_sources_can_be_in_any_order() {
    let mut world = World::new();
    world.write("store/aaa-x", "");
    world.write("tree/in-tree", "");
    world.store("store", &["aaa-x"]);
    world.tree("tree", "/nix/store").xattrs = Some(vec![wildcard("user.")]);
    world.tree("tree", "/nix");
    let dump = world.dump();
    let paths: Vec<&str> = own_lines(&dump).iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(paths, ["/nix", "/nix/in-tree", "/nix/store", "/nix/store/aaa-x", "/nix/store/in-tree"]);
}
