//! Attributes of the plan: what they apply to, and what they may not change.

use std::fs;

use file_scanner::ErrorKind;
use snugfs_plan::{AttributesPlan, Entry, EntryKind};

use crate::support::{World, attributes, entry, own_lines, path, text, xattr};

#[test]
fn attributes_are_applied_parents_first_and_never_to_the_mode_of_a_symlink() {
    let mut world = World::new();
    world.write("tree/home/pi/.profile", "");
    world.write("tree/home/pi/sub/x", "");
    world.symlink("tree/home/pi/link", "x");
    world.tree("tree", "/");
    world.entry("/home/pi/text", text(""));
    let user =
        AttributesPlan { xattrs: vec![xattr("user.a", b"1")], ..attributes(Some(1000), Some(0o700), true) };
    world.attributes.insert(path("/home/pi"), user);
    world.attributes.insert(path("/home/pi/sub"), attributes(None, Some(0o711), true));
    world.attributes.insert(path("/home/pi/sub/x"), attributes(Some(5), None, false));
    world.attributes.insert(path("/"), attributes(None, Some(0o711), false));
    let dump = world.dump();
    assert!(dump.starts_with("/ 0711 0:0"), "{dump}");
    let expected = [
        "/home 0755 0:0 42.0 directory",
        "/home/pi 0700 1000:0 42.0 directory user.a=1",
        "/home/pi/.profile 0700 1000:0 42.0 file 0 user.a=1",
        "/home/pi/link 0777 1000:0 42.0 symlink x",
        "/home/pi/sub 0711 1000:0 42.0 directory user.a=1",
        "/home/pi/sub/x 0711 5:0 42.0 file 0 user.a=1",
        "/home/pi/text 0700 1000:0 42.0 text 0  user.a=1",
    ];
    assert_eq!(own_lines(&dump), expected);
}

#[test]
fn refuses_attributes_that_linux_does_not_allow_for_an_entry() {
    let mut world = World::new();
    let with = |kind, names: &[&str]| Entry {
        xattrs: names.iter().map(|name| xattr(name, b"1")).collect(),
        ..entry(kind)
    };
    world.entry("/directory", with(EntryKind::Directory, &["user.a", "system.posix_acl_default"]));
    world.entry("/fifo", with(EntryKind::Fifo, &["user.a"]));
    world.entry("/file", with(EntryKind::Text(Vec::new()), &["user.a", "system.posix_acl_default"]));
    world.entry("/symlink", with(EntryKind::Symlink(b"x".to_vec()), &["user.a", "security.x"]));
    let refused = |path: &str, name: &str, what: &str| {
        format!(
            "the attribute {name} of the entry {path}: Linux lets no {what} have this attribute; leave it out"
        )
    };
    let expected = [
        refused("/fifo", "user.a", "FIFO"),
        refused("/file", "system.posix_acl_default", "file"),
        refused("/symlink", "user.a", "symlink"),
    ];
    assert_eq!(world.errors(), expected);
}

#[test]
fn attributes_do_not_change_modes_in_store_paths() {
    for (at, recursive, refused) in [
        ("/nix/store/aaa-x/bin", false, true),
        ("/nix/store/aaa-x", false, true),
        ("/nix", true, true),
        ("/", true, true),
        ("/nix/store", false, false),
        ("/nix/store/beside", false, false),
    ] {
        let mut world = World::new();
        world.write("store/aaa-x/bin/run", "#!");
        world.store("store", &["aaa-x"]);
        world.entry("/nix/store/beside", text(""));
        world.attributes.insert(path(at), attributes(None, Some(0o700), recursive));
        let errors =
            if refused { world.errors() } else { world.dump().lines().take(0).map(str::to_owned).collect() };
        let expected = format!(
            "the mode of the attributes of {at}: reaches into store paths, whose modes belong to their hashes; leave it out, or name paths outside /nix/store"
        );
        assert_eq!(errors, if refused { vec![expected] } else { Vec::new() }, "{at}");
    }
}

#[test]
fn attributes_apply_to_store_paths_too() {
    let mut world = World::new();
    world.write("store/aaa-x/bin/x", "");
    world.store("store", &["aaa-x"]);
    world.attributes.insert(path("/nix/store"), attributes(None, Some(0o1775), false));
    world.attributes.insert(path("/nix/store/aaa-x/bin"), attributes(Some(3), None, true));
    let expected = [
        "/nix 0755 0:0 42.0 directory",
        "/nix/store 1775 0:0 42.0 directory",
        "/nix/store/aaa-x 0555 0:0 1.0 directory",
        "/nix/store/aaa-x/bin 0555 3:0 1.0 directory",
        "/nix/store/aaa-x/bin/x 0444 3:0 1.0 file 0",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn attributes_of_a_missing_path_are_errors() {
    let mut world = World::new();
    world.entry("/etc/hostname", text(""));
    for absent in ["/etc/hostname/x", "/etc/x", "/home", "/home/pi"] {
        world.attributes.insert(path(absent), attributes(Some(1), None, false));
    }
    let errors = world.scan().unwrap_err();
    assert_eq!(errors.kind(), ErrorKind::Plan);
    let expected = ["/etc/hostname/x", "/etc/x", "/home", "/home/pi"].map(|absent| {
        format!("the attributes of {absent}: nothing makes this path; add an entry for it or leave it out")
    });
    assert_eq!(world.errors(), expected);
}

#[test]
fn attributes_that_a_path_cannot_have_are_left_out_with_a_warning() {
    let mut world = World::new();
    world.entry("/link", entry(EntryKind::Symlink(b"x".to_vec())));
    let user = AttributesPlan { xattrs: vec![xattr("user.a", b"1")], ..attributes(None, None, false) };
    world.attributes.insert(path("/link"), user);
    let scan = world.scan().unwrap();
    assert_eq!(scan.warnings.len(), 1);
    assert_eq!(scan.warnings, [file_scanner::Warning::Xattrs { path: path("/link") }]);
    assert!(!crate::support::dump(&scan.tree).contains("user.a"));
}

#[test]
fn patterns_of_attributes_apply_before_more_specific_ones_and_exact_paths() {
    let mut world = World::new();
    for file in ["home/a/.ssh/key", "home/b/.ssh/key", "home/b/notes", "etc/x.key", "etc/[x]"] {
        world.write(&format!("tree/{file}"), "");
    }
    world.tree("tree", "/");
    world.entry("/etc/y.key", text(""));
    world.attributes.insert(path("/**/*.key"), attributes(Some(1), Some(0o640), false));
    world.attributes.insert(path("/etc/*.key"), attributes(Some(2), None, false));
    world.attributes.insert(path("/etc/y.key"), attributes(None, Some(0o600), false));
    world.attributes.insert(path("/etc/\\[x]"), attributes(Some(3), None, false));
    // Both directories, with everything below them.
    world.attributes.insert(path("/home/{a,b}"), attributes(Some(7), None, true));
    world.attributes.insert(path("/home/*/.ssh"), attributes(None, Some(0o700), true));
    world.attributes.insert(path("/home/b"), attributes(Some(8), None, true));
    let expected = [
        "/etc 0755 0:0 42.0 directory",
        "/etc/[x] 0644 3:0 42.0 file 0",
        "/etc/x.key 0640 2:0 42.0 file 0",
        "/etc/y.key 0600 2:0 42.0 text 0 ",
        "/home 0755 0:0 42.0 directory",
        "/home/a 0755 7:0 42.0 directory",
        "/home/a/.ssh 0700 7:0 42.0 directory",
        "/home/a/.ssh/key 0700 7:0 42.0 file 0",
        "/home/b 0755 8:0 42.0 directory",
        "/home/b/.ssh 0700 8:0 42.0 directory",
        "/home/b/.ssh/key 0700 8:0 42.0 file 0",
        "/home/b/notes 0644 8:0 42.0 file 0",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
}

#[test]
fn a_pattern_that_matches_nothing_or_is_none_is_an_error() {
    let mut world = World::new();
    world.write("tree/etc/x", "");
    world.tree("tree", "/");
    world.attributes.insert(path("/etc/?"), attributes(Some(1), None, false));
    world.attributes.insert(path("/etc/*/x"), attributes(Some(1), None, false));
    // The root is no match.
    world.attributes.insert(path("/{,x}"), attributes(Some(1), None, false));
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Plan);
    let expected = ["/etc/*/x", "/{,x}"].map(|pattern| {
        format!(
            "the attributes of {pattern}: the pattern matches nothing in the image; correct it or leave it out"
        )
    });
    let mut errors = world.errors();
    errors.sort();
    assert_eq!(errors, expected);
    world.attributes.clear();
    world.attributes.insert(path("/etc/["), attributes(Some(1), None, false));
    let error = world.errors().join("\n");
    assert!(
        error.starts_with("the attributes of /etc/[: is not a valid pattern: \"[\" has no \"]\"; "),
        "{error}"
    );
}

#[test]
fn patterns_reach_names_of_hard_links_and_store_paths_but_not_modes_there() {
    let mut world = World::new();
    world.write("tree/a", "");
    fs::hard_link(world.at("tree/a"), world.at("tree/b.key")).unwrap();
    world.tree("tree", "/");
    world.write("store/aaa-x/bin/run", "#!");
    world.store("store", &["aaa-x"]);
    world.attributes.insert(path("/*.key"), attributes(None, Some(0o600), false));
    world.attributes.insert(path("/nix/store/*-x/**"), attributes(Some(3), None, false));
    let expected = [
        "/a 0600 0:0 42.0 file 0",
        "/b.key 0600 0:0 42.0 link /a",
        "/nix 0755 0:0 42.0 directory",
        "/nix/store 0755 0:0 42.0 directory",
        "/nix/store/aaa-x 0555 0:0 1.0 directory",
        "/nix/store/aaa-x/bin 0555 3:0 1.0 directory",
        "/nix/store/aaa-x/bin/run 0444 3:0 1.0 file 2",
    ];
    assert_eq!(own_lines(&world.dump()), expected);
    for (pattern, recursive) in [("/**/run", false), ("/n*", true), ("/nix/store/a*", false)] {
        world.attributes.clear();
        world.attributes.insert(path(pattern), attributes(None, Some(0o755), recursive));
        let error = format!(
            "the mode of the attributes of {pattern}: reaches into store paths, whose modes belong to their hashes; leave it out, or name paths outside /nix/store"
        );
        assert_eq!(world.errors(), [error]);
    }
}

#[test]
fn only_attributes_of_the_path_itself_warn_about_what_it_cannot_have() {
    let mut world = World::new();
    world.symlink("tree/link", "x");
    world.write("tree/file", "");
    world.tree("tree", "/home");
    let user = AttributesPlan { xattrs: vec![xattr("user.a", b"1")], ..attributes(None, None, true) };
    world.attributes.insert(path("/home"), user.clone());
    world.attributes.insert(path("/home/*"), user.clone());
    let scan = world.scan().unwrap();
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
    world.attributes.insert(path("/home/file"), user.clone());
    assert!(world.scan().unwrap().warnings.is_empty());
    world.attributes.insert(path("/home/link"), user);
    let expected = [file_scanner::Warning::Xattrs { path: path("/home/link") }];
    assert_eq!(world.scan().unwrap().warnings, expected);
}

#[test]
fn modes_outside_of_store_paths_can_be_set() {
    let mut world = World::new();
    world.write("store/aaa-x", "");
    world.write("tree/aaa-x", "");
    world.store("store", &["aaa-x"]);
    // The same name as that of a store path, as deep as one.
    world.tree("tree", "/opt/store");
    world.attributes.insert(path("/opt/store/aaa-x"), attributes(None, Some(0o600), false));
    world.attributes.insert(path("/opt"), attributes(None, Some(0o711), true));
    assert!(world.dump().contains("/opt/store/aaa-x 0600 0:0 42.0 file 0"), "{}", world.dump());
    // A store without store paths is a directory as others.
    world.store("store", &[]);
    world.attributes.insert(path("/"), attributes(None, Some(0o711), true));
    assert!(world.dump().contains("/nix/store 0711 0:0 42.0 directory"), "{}", world.dump());
}

#[test]
fn modes_in_store_paths_are_refused_before_the_store_is_read() {
    for (at, recursive) in [
        ("/nix/store/aaa-x/missing", false),
        ("/nix/store/aaa-x/missing", true),
        ("/nix/store/aaa-x", false),
        ("/nix/store", true),
        ("/", true),
    ] {
        let mut world = World::new();
        world.mkdir("store", 0o755);
        world.store("store", &["aaa-x"]);
        world.attributes.insert(path(at), attributes(None, Some(0o700), recursive));
        let errors = world.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        let expected = format!("the mode of the attributes of {at}: reaches into store paths");
        assert!(errors[0].starts_with(&expected), "{errors:?}");
    }
    // Owners can be set, and modes beside store paths.
    for (at, uid, mode, recursive) in [
        ("/nix/store/aaa-x", Some(5), None, true),
        ("/", Some(5), None, true),
        ("/nix", None, Some(0o711), false),
    ] {
        let mut world = World::new();
        world.mkdir("store/aaa-x", 0o755);
        world.store("store", &["aaa-x"]);
        world.attributes.insert(path(at), attributes(uid, mode, recursive));
        assert_eq!(world.errors(), [""; 0], "{at}");
    }
}
