use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::process::Command;

use file_scanner::{ErrorKind, Opener, ScannedFiles, check_unchanged};
use image_tree::{Contents, FileBytes, NodeId};
use snugfs_plan::{EntryKind, TreeKind};

use crate::support::{World, attributes, chmod, entry, own_lines, path, tar, text, xattr};

fn world() -> World {
    let world = World::new();
    world.write("files/etc/hostname", "host");
    world.write("files/etc/ssl/key", "key");
    chmod(&world.write("files/bin/su", "su"), 0o4755);
    world.symlink("files/lib", "usr/lib");
    std::fs::hard_link(world.at("files/etc/hostname"), world.at("files/name")).unwrap();
    world
}

#[test]
fn an_archive_is_a_tree_with_its_own_owners_and_times() {
    let mut world = world();
    tar(&world, "files", "x.tar", &["--mode=u+rwX"]);
    world.tree("x.tar", "/");
    let scan = world.scan().unwrap();
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
    let dump = crate::support::dump(&scan.tree);
    let lines = own_lines(&dump);
    for line in [
        "/bin/su 4755 5:6 77.0 range 2",
        "/etc/hostname 0644 5:6 77.0 range 4",
        "/lib 0777 5:6 77.0 symlink usr/lib",
        "/name 0644 5:6 77.0 link /etc/hostname",
    ] {
        assert!(lines.contains(&line), "{line} in {lines:?}");
    }
    // What the plan says takes precedence.
    let tree = &mut world.trees[0];
    (tree.keep_owner, tree.keep_times) = (Some(false), Some(false));
    let scan = world.scan().unwrap();
    assert!(
        scan.warnings[0].to_string().starts_with("tree 0: setuid and setgid bits are dropped from /bin/su")
    );
    assert!(crate::support::dump(&scan.tree).contains("/etc/hostname 0644 0:0 42.0 range 4"));
}

#[test]
fn archives_are_merged_with_everything_else() {
    let mut world = world();
    tar(&world, "files", "x.tar", &[]);
    world.write("more/etc/passwd", "root");
    world.tree("x.tar", "/");
    world.tree("more", "/");
    world.entry("/etc/motd", text("hello"));
    world.attributes.insert(path("/etc"), attributes(Some(9), None, true));
    let dump = world.dump();
    for line in [
        "/etc/hostname 0644 9:6 77.0 range 4",
        "/etc/motd 0644 9:0 42.0 text",
        "/etc/passwd 0644 9:0 42.0 file 4",
    ] {
        assert!(dump.contains(line), "{line} in {dump}");
    }
    world.entry("/bin/su", text("another"));
    world.entry("/lib/x", entry(EntryKind::Fifo));
    let errors = world.errors().join("\n");
    assert!(errors.contains("the entry /bin/su: tree 0 makes /bin/su too"), "{errors}");
    assert!(errors.contains("tree 0: makes /lib, but not as the directory that"), "{errors}");
}

#[test]
fn contents_are_ranges_of_the_archive_until_it_changes() {
    let mut world = world();
    tar(&world, "files", "x.tar", &[]);
    world.tree("x.tar", "/");
    let tree = world.scan().unwrap().tree;
    let files = ScannedFiles::new(&tree);
    let node = tree.find(&path("/etc/hostname")).unwrap();
    let mut reader = files.reader();
    let Ok(FileBytes::Range { fd, offset }) = reader.open(node.into()) else { panic!("a range") };
    let mut bytes = [0; 4];
    rustix::io::pread(fd, &mut bytes, offset).unwrap();
    assert_eq!(&bytes, b"host");
    assert!(files.check(node.into(), fd).is_ok());
    assert_eq!(files.shown(node.into()), format!("{}: /etc/hostname", world.at("x.tar").display()));
    let link = tree.find(&path("/name")).unwrap();
    assert!(Opener::new(&tree).cursor().open(link).is_ok());
    let mut archive = OpenOptions::new().append(true).open(world.at("x.tar")).unwrap();
    archive.write_all(b"more").unwrap();
    let error = files.check(node.into(), fd).unwrap_err().to_string();
    assert!(error.contains("x.tar: /etc/hostname: changed after the scan"), "{error}");
    assert!(check_unchanged(&tree, node, archive.as_fd()).is_err());
    assert!(Opener::new(&tree).cursor().open(NodeId::ROOT).is_err());
}

#[test]
fn holes_of_an_archive_are_kept_or_filled() {
    let mut world = World::new();
    let file = world.write("files/sparse", "");
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"data", 40_960).unwrap();
    tar(&world, "files", "x.tar", &["--sparse"]);
    world.tree("x.tar", "/");
    let tree = world.scan().unwrap().tree;
    let node = tree.find(&path("/sparse")).unwrap();
    assert!(tree.stored_bytes(node) <= 8192, "{}", tree.stored_bytes(node));
    let files = ScannedFiles::new(&tree);
    let mut reader = files.reader();
    let Ok(FileBytes::Reader(mut bytes)) = reader.open(node.into()) else { panic!("segments") };
    let mut all = vec![7; 1 << 20];
    let mut at = 0;
    while at < all.len() {
        let read = bytes.read_at(&mut all[at..], u64::try_from(at).unwrap()).unwrap();
        assert!(read > 0);
        at += read;
    }
    assert_eq!(bytes.read_at(&mut [0; 9], 1 << 20).unwrap(), 0);
    assert!(&all[40_960..40_964] == b"data" && all.iter().filter(|&&byte| byte != 0).count() == 4);
    world.trees[0].keep_holes = false;
    let tree = world.scan().unwrap().tree;
    assert_eq!(tree.stored_bytes(tree.find(&path("/sparse")).unwrap()), 1 << 20);
}

#[test]
fn attributes_that_ext4_does_not_have_are_left_out_with_a_warning() {
    let mut world = World::new();
    world.write("files/f", "");
    world.symlink("files/l", "f");
    tar(&world, "files", "x.tar", &["--pax-option=SCHILY.xattr.user.a:=1,SCHILY.xattr.com.apple.x:=2"]);
    world.tree("x.tar", "/");
    let scan = world.scan().unwrap();
    let node = scan.tree.find(&path("/f")).unwrap();
    assert_eq!(scan.tree.metadata(scan.tree.node(node).metadata()).xattrs, [xattr("user.a", b"1")]);
    let warning = scan.warnings[0].to_string();
    assert!(
        warning.starts_with(
            "tree 0: the extended attributes com.apple.x, user.a of f, l and 1 more are left out"
        ) || warning
            .starts_with("tree 0: the extended attributes com.apple.x, user.a of f, l, l are left out"),
        "{warning}"
    );
    world.trees[0].xattrs = Some(Vec::new());
    let scan = world.scan().unwrap();
    assert!(
        scan.warnings.is_empty() && scan.tree.all_metadata().all(|(_, metadata)| metadata.xattrs.is_empty())
    );
}

#[test]
fn patterns_leave_out_the_same_of_folders_and_archives() {
    let mut world = world();
    tar(&world, "files", "x.tar", &[]);
    // It can't be listed, and is not.
    chmod(&world.mkdir("files/secret/inner", 0o755), 0o000);
    let patterns = ["/etc/*", "!/etc/hostname", "secret/", "*.none", "lib"].map(str::to_owned);
    for source in ["files", "x.tar"] {
        world.trees.clear();
        world.tree(source, "/").exclude = patterns.to_vec();
        let scan = world.scan().unwrap();
        let paths: Vec<String> = scan.tree.iter().map(|(node, _)| scan.tree.path(node).to_string()).collect();
        assert_eq!(paths, ["/", "/bin", "/bin/su", "/etc", "/etc/hostname", "/lost+found", "/name"]);
        let warnings: Vec<String> = scan.warnings.iter().map(ToString::to_string).collect();
        let unused = |pattern: &str| {
            format!("tree 0: the pattern \"{pattern}\" leaves out nothing; correct it or leave it out")
        };
        assert!(warnings.contains(&unused("*.none")), "{warnings:?}");
        assert_eq!(warnings.contains(&unused("secret/")), source == "x.tar");
    }
    chmod(&world.at("files/secret/inner"), 0o755);
    world.trees[0].exclude = vec!["[z-a]".to_owned()];
    let errors = world.scan().unwrap_err();
    assert_eq!(errors.kind(), ErrorKind::Plan);
    assert!(
        errors.to_string().starts_with("tree 0: the pattern \"[z-a]\" is not one of gitignore: the range z-a ends before it begins; write a-z"),
        "{errors}"
    );
}

#[test]
fn what_is_no_archive_is_named() {
    let mut world = World::new();
    world.write("text", "this is no archive");
    world.tree("text", "/");
    assert_eq!(
        world.errors(),
        [
            "FOLDER/text: is not a tar archive, plain or compressed with gzip, zstd or xz; give a folder or such an archive"
        ]
    );
    world.trees[0].kind = Some(TreeKind::Folder);
    assert_eq!(world.errors(), ["tree 0: FOLDER/text is not a folder; name one"]);
    world.trees[0].kind = Some(TreeKind::Oci);
    assert!(world.errors()[0].starts_with("FOLDER/text: is not a tar archive"));
    world.mkdir("folder", 0o755);
    world.trees.clear();
    world.tree("folder", "/").kind = Some(TreeKind::Tar);
    assert_eq!(world.errors(), ["FOLDER/folder: is neither a file nor a folder; give an existing one"]);
    world.trees[0].kind = Some(TreeKind::Oci);
    assert!(world.errors()[0].contains("has neither the index.json of an OCI image nor"));
    world.trees.clear();
    world.tree("missing", "/").kind = Some(TreeKind::Tar);
    assert_eq!(world.errors(), ["FOLDER/missing: does not exist; give an existing one"]);
}

#[test]
fn the_archive_of_an_image_is_noticed() {
    let mut world = World::new();
    world.write("files/oci-layout", "{}");
    tar(&world, "files", "x.tar", &[]);
    world.tree("x.tar", "/");
    let warnings = world.scan().unwrap().warnings;
    assert!(warnings[0].to_string().contains("copies the files of a container image"), "{warnings:?}");
}

#[test]
fn a_warning_names_five_attributes_that_ext4_does_not_have() {
    let mut world = World::new();
    world.write("files/f", "");
    let option = ["a", "b", "c", "d", "e", "f", "g"].map(|name| format!("SCHILY.xattr.com.apple.{name}:=1"));
    tar(&world, "files", "x.tar", &[&format!("--pax-option={}", option.join(","))]);
    world.tree("x.tar", "/");
    let warning = world.scan().unwrap().warnings[0].to_string();
    assert_eq!(warning.matches("com.apple.").count(), 5, "{warning}");
}

#[test]
fn an_entry_of_a_large_directory_is_named() {
    let mut world = World::new();
    for number in 0..600 {
        world.mkdir(&format!("files/{number}"), 0o755);
    }
    tar(&world, "files", "x.tar", &["--exclude=./599"]);
    // It is too far in the future for ext4.
    let mut append = Command::new("tar");
    append.args(["--format=posix", "--mtime=@1099511627776", "-C"]).arg(world.at("files"));
    append.arg("-rf").arg(world.at("x.tar")).arg("./599");
    assert!(append.status().unwrap().success());
    world.tree("x.tar", "/");
    let [error] = &world.errors()[..] else { panic!("one error") };
    assert!(error.starts_with("FOLDER/x.tar/599: its time is outside 1901-12-13"), "{error}");
}

#[test]
fn archives_and_folders_go_beside_a_store() {
    let mut world = world();
    tar(&world, "files", "x.tar", &[]);
    world.write("store/aaa-x", "");
    world.write("folder/a", "");
    world.store("store", &["aaa-x"]);
    world.tree("folder", "/folder");
    world.tree("x.tar", "/archive");
    let dump = world.dump();
    for line in [
        "/archive/etc/hostname 0644 5:6 77.0 range 4",
        "/archive/etc/ssl/key 0644 5:6 77.0 range 3",
        "/folder/a 0644 0:0 42.0 file 0",
        "/nix/store/aaa-x 0444 0:0 1.0 file 0",
    ] {
        assert!(own_lines(&dump).contains(&line), "{line} in {dump}");
    }
}
