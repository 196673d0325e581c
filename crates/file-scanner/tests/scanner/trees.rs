use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use file_scanner::{ErrorKind, InTree, Inode, OwnFile};
use rustix::fs::{AtFlags, CWD, FileType, Mode, RenameFlags, Timespec, Timestamps, XattrFlags};
use snugfs_plan::XattrPattern;

use crate::support::{
    World, attributes, chmod, chown, dump, entry, own_lines, path, skipped_without_root, wildcard,
};

#[test]
fn everything_in_a_folder_is_copied_as_roots_with_the_plans_time() {
    let mut world = World::new();
    world.write("tree/.hidden/file", "abc");
    chmod(&world.write("tree/script", ""), 0o750);
    world.symlink("tree/dangling", "/nowhere");
    world.mkdir("tree/sticky", 0o1777);
    rustix::fs::mknodat(CWD, world.at("tree/fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = UnixListener::bind(world.at("tree/socket")).unwrap();
    chmod(&world.at("tree/socket"), 0o700);
    chown(&world.at("tree/script"), 5, 6);
    world.write_bytes(b"tree/\xff\xfe", "");
    world.tree("tree", "/opt");
    let expected = [
        "/opt 0755 0:0 42.0 directory",
        "/opt/.hidden 0755 0:0 42.0 directory",
        "/opt/.hidden/file 0644 0:0 42.0 file 3",
        "/opt/dangling 0777 0:0 42.0 symlink /nowhere",
        "/opt/fifo 0400 0:0 42.0 Fifo",
        "/opt/script 0750 0:0 42.0 file 0",
        "/opt/socket 0700 0:0 42.0 Socket",
        "/opt/sticky 1777 0:0 42.0 directory",
        "/opt/\\xff\\xfe 0644 0:0 42.0 file 0",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn set_id_bits_and_owners_are_dropped_unless_kept() {
    if skipped_without_root() {
        return;
    }
    let mut world = World::new();
    for index in 0..12 {
        let file = world.write(&format!("tree/bin/su{index:02}"), "");
        chown(&file, 3, 4);
        chmod(&file, 0o6755);
    }
    world.mkdir("tree/bin", 0o2755);
    world.tree("tree", "/");
    let scan = world.scan().unwrap();
    assert_eq!(scan.warnings.len(), 1);
    let warning = scan.warnings[0].to_string();
    assert!(
        warning.starts_with("tree 0: setuid and setgid bits are dropped from /bin, /bin/su00, "),
        "{warning}"
    );
    assert!(warning.contains("/bin/su08 and 3 more;"), "{warning}");
    assert!(dump(&scan.tree).contains("/bin/su00 0755 0:0"));
    world.trees[0].keep_owner = Some(true);
    let scan = world.scan().unwrap();
    assert!(scan.warnings.is_empty());
    assert!(dump(&scan.tree).contains("/bin 2755 "));
    let owner = fs::metadata(world.at("tree/bin/su11")).unwrap();
    assert!(dump(&scan.tree).contains(&format!("/bin/su11 6755 {}:{}", owner.uid(), owner.gid())));
}

#[test]
fn set_id_bits_that_the_plan_sets_again_cause_no_warning() {
    if skipped_without_root() {
        return;
    }
    let mut world = World::new();
    for name in ["ping", "other"] {
        let file = world.write(&format!("tree/bin/{name}"), "");
        chmod(&file, 0o4755);
    }
    fs::hard_link(world.at("tree/bin/ping"), world.at("tree/bin/a-ping")).unwrap();
    world.tree("tree", "/");
    world.attributes.insert(path("/bin/ping"), attributes(None, Some(0o4755), false));
    let scan = world.scan().unwrap();
    let warnings: Vec<_> = scan.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["tree 0: setuid and setgid bits are dropped from /bin/other; keep owners to keep them"]
    );
    assert!(dump(&scan.tree).contains("/bin/ping 4755 0:0"));
}

#[test]
fn devices_keep_their_numbers() {
    if skipped_without_root() {
        return;
    }
    let mut world = World::new();
    world.mkdir("tree", 0o755);
    for (name, kind, device) in [
        ("tty", FileType::CharacterDevice, rustix::fs::makedev(4, 300)),
        ("disk", FileType::BlockDevice, rustix::fs::makedev(4095, 1_048_575)),
    ] {
        rustix::fs::mknodat(CWD, world.at("tree").join(name), kind, Mode::RUSR, device).unwrap();
    }
    world.tree("tree", "/");
    let expected = [
        "/disk 0400 0:0 42.0 Block { major: 4095, minor: 1048575 }",
        "/tty 0400 0:0 42.0 Character { major: 4, minor: 300 }",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

fn set_time(world: &World, relative: &str, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, world.at(relative), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn times_are_kept_on_request_if_ext4_can_hold_them() {
    let mut world = World::new();
    world.write("tree/d/file", "");
    world.symlink("tree/link", "x");
    set_time(&world, "tree/d/file", 1000, 5);
    set_time(&world, "tree/link", -7, 0);
    set_time(&world, "tree/d", 3000, 0);
    world.tree("tree", "/").keep_times = Some(true);
    let dump = world.dump();
    let expected =
        ["/d 0755 0:0 3000.0 directory", "/d/file 0644 0:0 1000.5 file 0", "/link 0777 0:0 -7.0 symlink x"];
    assert_eq!(own_lines(&dump), expected);
}

#[test]
fn a_time_that_ext4_cannot_hold_is_an_error_where_the_host_can() {
    let mut world = World::in_memory();
    world.write("tree/a\nb", "");
    set_time(&world, "tree/a\nb", 1 << 40, 0);
    world.tree("tree", "/").keep_times = Some(true);
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Limit);
    assert!(
        world.errors()[0].starts_with("FOLDER/tree/a\\x0ab: its time is outside"),
        "{:?}",
        world.errors()
    );
    world.trees[0].keep_times = Some(false);
    assert_eq!(world.errors(), [""; 0]);
}

#[test]
fn hard_links_within_one_tree_stay_links_and_the_first_path_is_the_file() {
    let mut world = World::new();
    world.write("tree/z/original", "xy");
    world.write("tree/b", "");
    fs::hard_link(world.at("tree/z/original"), world.at("tree/a-later")).unwrap();
    fs::hard_link(world.at("tree/z/original"), world.at("tree/c")).unwrap();
    world.symlink("tree/s1", "x");
    fs::hard_link(world.at("tree/s1"), world.at("tree/s2")).unwrap();
    world.mkdir("other", 0o755);
    fs::hard_link(world.at("tree/b"), world.at("other/elsewhere")).unwrap();
    world.tree("tree", "/");
    world.tree("other", "/");
    let expected = [
        "/a-later 0644 0:0 42.0 file 2",
        "/b 0644 0:0 42.0 file 0",
        "/c 0644 0:0 42.0 link /a-later",
        "/elsewhere 0644 0:0 42.0 file 0",
        "/s1 0777 0:0 42.0 symlink x",
        "/s2 0777 0:0 42.0 link /s1",
        "/z 0755 0:0 42.0 directory",
        "/z/original 0644 0:0 42.0 link /a-later",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn attributes_apply_to_an_inode_by_any_of_its_names() {
    let mut world = World::new();
    world.write("tree/a", "");
    world.mkdir("tree/later", 0o755);
    fs::hard_link(world.at("tree/a"), world.at("tree/later/b")).unwrap();
    world.tree("tree", "/");
    world.attributes.insert(path("/later"), attributes(Some(8), None, true));
    world.attributes.insert(path("/later/b"), attributes(None, Some(0o600), false));
    let expected =
        ["/a 0600 8:0 42.0 file 0", "/later 0755 8:0 42.0 directory", "/later/b 0600 8:0 42.0 link /a"];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn extended_attributes_are_kept_only_by_pattern() {
    let mut world = World::new();
    let file = world.write("tree/d/file", "");
    world.symlink("tree/link", "d/file");
    set_xattr(&file, "user.long", &[b'x'; 1000]);
    set_xattr(&file, "user.a", b"1");
    set_xattr(&file, "user.b", b"2");
    set_xattr(&world.at("tree/d"), "user.d", b"");
    world.tree("tree", "/");
    assert!(!world.dump().contains('='));
    world.trees[0].xattrs =
        Some(vec![wildcard("user.l"), XattrPattern { prefix: "user.a".into(), wildcard: false }]);
    let dump = world.dump();
    let expected = [
        "/d 0755 0:0 42.0 directory".to_owned(),
        format!("/d/file 0644 0:0 42.0 file 0 user.a=1 user.long={}", "x".repeat(1000)),
        "/link 0777 0:0 42.0 symlink d/file".to_owned(),
    ];
    assert_eq!(own_lines(&dump), expected);
    world.trees[0].xattrs = Some(vec![wildcard("user.d")]);
    assert!(world.dump().contains("/d 0755 0:0 42.0 directory user.d=\n"));
}

#[test]
fn keeps_the_extended_attributes_of_a_symlink_and_not_those_of_its_target() {
    if skipped_without_root() {
        return;
    }
    let mut world = World::new();
    let file = world.write("tree/file", "");
    world.symlink("tree/link", "file");
    set_xattr(&file, "trusted.f", b"1");
    set_xattr(&world.at("tree/link"), "trusted.l", b"2");
    world.tree("tree", "/").xattrs = Some(vec![wildcard("")]);
    let expected = ["/file 0644 0:0 42.0 file 0 trusted.f=1", "/link 0777 0:0 42.0 symlink file trusted.l=2"];
    assert_eq!(own_lines(&world.dump()), expected);
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

#[test]
fn access_control_lists_are_kept_unchanged() {
    let mut world = World::new();
    let file = world.write("tree/file", "");
    // Version 2; user::rw-, user 1000 r--, group::r--, mask::r--, other::r-- (acl(5), linux/posix_acl_xattr.h).
    let mut acl = vec![2, 0, 0, 0];
    for (tag, rights, id) in
        [(1_u16, 6_u16, u32::MAX), (2, 4, 1000), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 4, u32::MAX)]
    {
        acl.extend_from_slice(&tag.to_le_bytes());
        acl.extend_from_slice(&rights.to_le_bytes());
        acl.extend_from_slice(&id.to_le_bytes());
    }
    rustix::fs::setxattr(&file, "system.posix_acl_access", &acl, XattrFlags::empty()).unwrap();
    world.tree("tree", "/").xattrs = Some(vec![wildcard("system.")]);
    let scan = world.scan().unwrap();
    let node = scan.tree.find(&path("/file")).unwrap();
    let metadata = scan.tree.metadata(scan.tree.node(node).metadata());
    assert_eq!(metadata.xattrs, [crate::support::xattr("system.posix_acl_access", &acl)]);
}

#[test]
fn only_the_top_of_a_tree_may_be_a_symlink() {
    let mut world = World::new();
    world.write("real/file", "");
    world.write("outside/secret", "");
    world.symlink("real/inner", "../outside");
    world.symlink("tree", "real");
    world.tree("tree", "/");
    let expected = ["/file 0644 0:0 42.0 file 0", "/inner 0777 0:0 42.0 symlink ../outside"];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn all_missing_sources_are_named() {
    let mut world = World::new();
    world.write("file", "");
    world.mkdir("folder", 0o755);
    world.tree("absent", "/");
    world.tree("file", "/");
    world.symlink("loop", "loop");
    world.tree("loop", "/");
    world.entry("/a", entry(snugfs_plan::EntryKind::Source(world.at("folder"))));
    world.entry("/b", entry(snugfs_plan::EntryKind::Source(world.at("gone"))));
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Source);
    assert_eq!(
        world.errors(),
        [
            "tree 0: FOLDER/absent does not exist; create it or correct the path",
            "FOLDER/loop: can't be read: a symlink is in the way; name what the symlink leads to",
            "FOLDER/file: is not a tar archive, plain or compressed with gzip, zstd or xz; give a folder or such an \
             archive",
            "the entry /a: FOLDER/folder is not a regular file; name one",
            "the entry /b: FOLDER/gone does not exist; create it or correct the path",
        ]
    );
}

#[test]
fn does_not_follow_a_symlink_that_replaced_a_folder_during_the_scan() {
    let mut world = World::in_memory();
    for index in 0..300 {
        world.write(&format!("tree/{index}/inside"), "");
    }
    world.write("outside/secret", "");
    world.symlink("tree/swapped", "../outside");
    world.tree("tree", "/");
    let done = AtomicBool::new(false);
    let swap = || {
        let (one, other) = (world.at("tree/150"), world.at("tree/swapped"));
        while !done.load(Ordering::Relaxed) {
            rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
        }
    };
    let mut scanned = 0;
    std::thread::scope(|scope| {
        scope.spawn(swap);
        for _ in 0..300 {
            match world.scan() {
                Ok(scan) => {
                    scanned += 1;
                    assert!(!dump(&scan.tree).contains("secret"));
                }
                Err(errors) => {
                    assert_eq!(errors.kind(), ErrorKind::Source);
                    assert!(errors.to_string().contains("changed during the scan"), "{errors}");
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(scanned > 0);
}

#[test]
fn output_files_are_in_no_tree_that_contains_their_folder() {
    let mut world = World::new();
    for name in ["a/deep/x.img", "a/deep/.x.img.snugfs-7-0", "a/deep/.x.img", "a/x.img", "b/y"] {
        world.write(name, "");
    }
    // More than one batch of a large folder.
    for number in 0..1000 {
        world.write(&format!("a/deep/{number:04}"), "");
    }
    fs::hard_link(world.at("a/deep/x.img"), world.at("a/linked")).unwrap();
    let folder = fs::metadata(world.at("a/deep")).unwrap();
    let own = |name: &[u8]| OwnFile {
        folder: Inode { device: folder.dev(), number: folder.ino() },
        name: name.to_vec(),
        temporary_prefix: Some([b".", name, b".snugfs-"].concat()),
    };
    let files = [own(b"absent"), own(b"x.img")];
    world.tree("b", "/b");
    world.tree("a", "/a");
    world.tree("a/deep", "/deep");
    let scan = world.scan_except(&files).unwrap();
    let here = |tree, file, is_deep| InTree { tree, file, is_deep };
    assert_eq!(scan.own, [here(1, 0, true), here(1, 1, true), here(2, 0, false), here(2, 1, false)]);
    let dump = dump(&scan.tree);
    for (path, is_there) in [
        ("/a/deep/x.img ", false),
        ("/deep/x.img ", false),
        ("/a/deep/.x.img.snugfs-7-0 ", false),
        ("/a/deep/.x.img ", true),
        ("/a/deep/0999 ", true),
        ("/a/x.img ", true),
        ("/a/linked ", true),
        ("/b/y ", true),
    ] {
        assert_eq!(dump.lines().any(|line| line.starts_with(path)), is_there, "{path}");
    }
    assert!(world.scan().unwrap().own.is_empty());
}
