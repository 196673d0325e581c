use std::fs;

use file_scanner::{ErrorKind, InlineFile};
use image_tree::Permissions;
use snugfs_plan::{AttributesPlan, Entry, EntryKind};

use crate::support::{World, attributes, entry, own_lines, path, text, xattr};

#[test]
fn an_empty_plan_has_its_root_and_lost_and_found() {
    assert_eq!(World::new().dump(), "/ 0755 0:0 42.0 directory\n/lost+found 0700 0:0 42.0 directory\n");
}

#[test]
fn entries_have_their_types_and_missing_parents_are_created() {
    let mut world = World::new();
    let source = world.write("kernel", "12345");
    crate::support::chmod(&source, 0o4751);
    world.symlink("latest", "kernel");
    world.entry("/boot/kernel", entry(EntryKind::Source(world.at("latest"))));
    world.entry("/etc/hostname", text("board\n"));
    world.entry("/var/empty", entry(EntryKind::Directory));
    world.entry("/bin/sh", entry(EntryKind::Symlink(b"/run/sh".to_vec())));
    let mut console = entry(EntryKind::Character { major: 5, minor: 1 });
    (console.permissions, console.uid) = (Permissions::new(0o600), 7);
    world.entry("/dev/console", console);
    world.entry("/dev/pipe", entry(EntryKind::Fifo));
    world.inline.push(InlineFile {
        path: path("/registration"),
        bytes: b"r".to_vec(),
        permissions: Permissions::STORE_FILE,
    });
    let dump = world.dump();
    let expected = [
        "/bin 0755 0:0 42.0 directory",
        "/bin/sh 0777 0:0 42.0 symlink /run/sh",
        "/boot 0755 0:0 42.0 directory",
        "/boot/kernel 0751 0:0 42.0 file 5",
        "/dev 0755 0:0 42.0 directory",
        "/dev/console 0600 7:0 42.0 Character { major: 5, minor: 1 }",
        "/dev/pipe 0644 0:0 42.0 Fifo",
        "/etc 0755 0:0 42.0 directory",
        "/etc/hostname 0644 0:0 42.0 text 6 board\\x0a",
        "/registration 0444 0:0 42.0 text 1 r",
        "/var 0755 0:0 42.0 directory",
        "/var/empty 0755 0:0 42.0 directory",
    ];
    assert_eq!(own_lines(&dump), expected);
}

#[test]
fn directories_are_merged_with_the_metadata_of_the_last_source() {
    let mut world = World::new();
    for (folder, mode) in [("one", 0o700), ("two", 0o750)] {
        world.mkdir(&format!("{folder}/both"), mode);
        world.mkdir(&format!("{folder}/entered"), mode);
        world.mkdir(&format!("{folder}/attributed"), mode);
        world.write(&format!("{folder}/both/{folder}"), "");
        world.mkdir(folder, 0o711);
        world.tree(folder, "/");
    }
    let mut entered = entry(EntryKind::Directory);
    entered.permissions = Permissions::new(0o711);
    world.entry("/entered", entered.clone());
    world.entry("/attributed", entered);
    world.entry("/both/three", text(""));
    world.attributes.insert(path("/attributed"), attributes(Some(9), Some(0o1777), false));
    let dump = world.dump();
    assert!(dump.starts_with("/ 0755 0:0 42.0 directory\n"), "a source lends only its contents: {dump}");
    let expected = [
        "/attributed 1777 9:0 42.0 directory",
        "/both 0750 0:0 42.0 directory",
        "/both/one 0644 0:0 42.0 file 0",
        "/both/three 0644 0:0 42.0 text 0 ",
        "/both/two 0644 0:0 42.0 file 0",
        "/entered 0711 0:0 42.0 directory",
    ];
    assert_eq!(own_lines(&dump), expected);
}

#[test]
fn every_conflict_is_listed_with_both_of_its_sources() {
    let mut world = World::new();
    world.write("one/etc/hostname", "");
    world.write("one/file", "");
    world.write("one/lost+found", "");
    world.write("two/etc/hostname", "");
    world.mkdir("two/file", 0o755);
    world.tree("one", "/");
    world.tree("two", "/");
    world.entry("/etc/hostname", text(""));
    world.entry("/a", text(""));
    world.entry("/a/b", text(""));
    world.entry("/z", text(""));
    world.inline.push(InlineFile {
        path: path("/z"),
        bytes: Vec::new(),
        permissions: Permissions::STORE_FILE,
    });
    assert_eq!(world.errors(), ["the file /z: the entry /z makes /z too; leave one out"]);
    world.inline.clear();
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Plan);
    let needs = "but not as the directory that";
    assert_eq!(
        world.errors(),
        [
            format!("the entry /a: makes /a, {needs} the entry /a/b needs there; leave one out"),
            "tree 1: tree 0 makes /etc/hostname too; leave one out".to_owned(),
            "the entry /etc/hostname: tree 0 makes /etc/hostname too; leave one out".to_owned(),
            format!("tree 0: makes /file, {needs} tree 1 needs there; leave one out"),
            format!("tree 0: makes /lost+found, {needs} the file system needs there; leave one out"),
        ]
    );
}

#[test]
fn a_tree_does_not_follow_a_symlink_of_another_tree() {
    let mut world = World::new();
    world.symlink("one/var", "/etc");
    world.write("two/log", "");
    world.tree("one", "/");
    world.tree("two", "/var/lib");
    let errors = world.errors();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("tree 0: makes /var,") && errors[0].contains("tree 1"), "{errors:?}");
}

#[test]
fn nothing_goes_into_a_store_path() {
    let mut world = World::new();
    world.write("store/aaa-x/bin/x", "");
    world.write("store/bbb-y", "");
    world.store("store", &["aaa-x", "bbb-y"]);
    world.mkdir("tree/nix/store/aaa-x", 0o755);
    world.tree("tree", "/");
    world.entry("/nix/store/bbb-y/z", text(""));
    let stays = "which stays as it is; choose another place";
    assert_eq!(
        world.errors(),
        [
            format!("tree 0: would change the store path /nix/store/aaa-x, {stays}"),
            format!("the entry /nix/store/bbb-y/z: would change the store path /nix/store/bbb-y, {stays}"),
        ]
    );
    world.trees.clear();
    world.entries.clear();
    world.entry("/nix/store/.keep", text(""));
    assert!(world.dump().contains("/nix/store/.keep 0644"), "beside the store paths there is room");
}

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

/// Files of /proc have the length 0.
#[test]
fn a_file_of_length_0_with_contents_is_an_error() {
    let mut world = World::new();
    world.entry("/version", entry(EntryKind::Source("/proc/version".into())));
    let says = |path: &str| {
        format!(
            "{path}: has contents, but the system says that its length is 0; copy it to a regular file first"
        )
    };
    assert_eq!(world.errors(), [says("/proc/version")]);
    let mut world = World::new();
    std::fs::write(world.at("empty"), "").unwrap();
    world.entry("/empty", entry(EntryKind::Source(world.at("empty"))));
    assert!(world.scan().is_ok());
    let mut world = World::new();
    world.tree("unused", "/random").source = "/proc/sys/kernel/random".into();
    assert!(world.errors().contains(&says("/proc/sys/kernel/random/boot_id")));
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
fn lost_and_found_has_the_metadata_of_its_source() {
    let mut world = World::new();
    world.mkdir("tree/lost+found", 0o711);
    world.tree("tree", "/");
    assert!(world.dump().contains("/lost+found 0711 0:0 42.0 directory"));
    world.trees.clear();
    world.entry("/lost+found/x", text(""));
    assert!(world.dump().contains("/lost+found 0700 0:0 42.0 directory\n/lost+found/x 0644"));
}

#[test]
fn a_folder_of_the_program_is_created_unless_something_else_is_there() {
    let mut world = World::new();
    world.folders = vec![path("/state/a/b"), path("/nix/store/.links")];
    let dump = |world: &World| {
        let dump = world.dump();
        dump.lines()
            .filter(|line| line.starts_with("/state"))
            .fold(String::new(), |text, line| text + line + "\n")
    };
    let alone = "/state 0755 0:0 42.0 directory\n/state/a 0755 0:0 42.0 directory\n/state/a/b 0755 0:0 42.0 directory\n";
    assert_eq!(dump(&world), alone);
    assert!(world.dump().contains("/nix/store/.links 0755 0:0 42.0 directory"));

    // The source that has one of them sets its metadata, and others can add entries to it.
    world.mkdir("tree/a/b", 0o700);
    world.tree("tree", "/state");
    world.entry("/state/a/b/file", text(""));
    world.attributes.insert(path("/state/a"), attributes(None, Some(0o711), false));
    let described = "/state 0755 0:0 42.0 directory\n/state/a 0711 0:0 42.0 directory\n\
                     /state/a/b 0700 0:0 42.0 directory\n/state/a/b/file 0644 0:0 42.0 text 0 \n";
    assert_eq!(dump(&world), described);

    // Other files stay, at the path of the folder and above it.
    for at in ["/state/a/b", "/state/a", "/state"] {
        let mut world = World::new();
        world.folders = vec![path("/state/a/b")];
        world.entry(at, entry(EntryKind::Symlink(b"/elsewhere".to_vec())));
        let dump = dump(&world);
        assert!(dump.lines().last().unwrap().starts_with(&format!("{at} 0777")), "{dump}");
    }

    // Attributes apply to it as to entries of the plan.
    let mut world = World::new();
    world.folders = vec![path("/state/a/b")];
    world.attributes.insert(path("/state/a/b"), attributes(None, Some(0o1777), false));
    assert!(dump(&world).ends_with("/state/a/b 1777 0:0 42.0 directory\n"));
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
fn files_of_a_later_tree_replace_those_of_earlier_ones_if_it_says_so() {
    let mut world = World::new();
    world.write("one/a", "1");
    world.write("one/linked", "12");
    fs::hard_link(world.at("one/linked"), world.at("one/other-name")).unwrap();
    world.write("one/only", "1");
    world.write("two/a", "123");
    world.write("two/dir/b", "1");
    world.symlink("three/a", "target");
    world.write("three/linked", "1234");
    world.write("three/dir/b", "12345");
    for source in ["one", "two", "three"] {
        world.tree(source, "/").later_wins = source != "one";
    }
    let scan = world.scan().unwrap();
    let expected = [
        "/a 0777 0:0 42.0 symlink target",
        "/dir 0755 0:0 42.0 directory",
        "/dir/b 0644 0:0 42.0 file 5",
        "/linked 0644 0:0 42.0 file 4",
        "/only 0644 0:0 42.0 file 1",
        "/other-name 0644 0:0 42.0 file 2",
    ];
    assert_eq!(own_lines(&crate::support::dump(&scan.tree)), expected);
    let replaced: Vec<_> =
        scan.replaced.iter().map(|file| (file.path.as_str(), file.tree, file.by)).collect();
    assert_eq!(replaced, [("/a", 0, 1), ("/a", 1, 2), ("/dir/b", 1, 2), ("/linked", 0, 2)]);
    // Only what says so, and only what comes later.
    world.trees[2].later_wins = false;
    assert_eq!(world.errors().len(), 3);
}

#[test]
fn a_later_tree_replaces_no_directory_no_entry_and_no_store_path() {
    let mut world = World::new();
    world.write("one/dir/x", "");
    world.write("one/file", "");
    world.write("two/dir", "");
    world.write("two/file/x", "");
    world.write("two/entry", "");
    world.write("two/nix/store/aaa-x", "");
    world.write("store/aaa-x/x", "");
    world.tree("one", "/");
    world.tree("two", "/").later_wins = true;
    world.entry("/entry", text(""));
    world.store("store", &["aaa-x"]);
    let errors = world.errors();
    assert_eq!(errors.len(), 4, "{errors:#?}");
    for path in ["/dir", "/file", "/entry", "aaa-x"] {
        assert!(errors.iter().any(|error| error.contains(path)), "{path}: {errors:#?}");
    }
}

#[test]
fn the_root_has_the_metadata_of_its_entry() {
    let mut world = World::new();
    let mut root = entry(EntryKind::Directory);
    (root.permissions, root.uid, root.gid) = (Permissions::new(0o750), 3, 4);
    world.entry("/", root);
    assert!(world.dump().starts_with("/ 0750 3:4 42.0 directory\n"), "{}", world.dump());
    world.attributes.insert(path("/"), attributes(Some(5), None, false));
    assert!(world.dump().starts_with("/ 0750 5:4 42.0 directory\n"), "{}", world.dump());
    world.entry("/", text("no directory"));
    assert_eq!(
        world.errors(),
        ["the entry /: makes /, but not as the directory that the file system needs there; leave one out"]
    );
}

#[test]
fn only_the_folder_of_the_root_for_lost_files_is_special() {
    let mut world = World::new();
    world.entry("/var/lost+found/x", text(""));
    world.entry("/other/y", text(""));
    let dump = world.dump();
    for line in ["/lost+found 0700", "/var/lost+found 0755", "/other 0755"] {
        assert!(dump.lines().any(|found| found.starts_with(line)), "{line} in {dump}");
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
