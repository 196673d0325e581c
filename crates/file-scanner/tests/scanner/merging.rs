use std::fs;

use file_scanner::{ErrorKind, InlineFile};
use image_tree::Permissions;
use snugfs_plan::EntryKind;

use crate::support::{World, attributes, entry, own_lines, path, text};

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
