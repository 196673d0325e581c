//! Container images, and archives that are decompressed into temporary files.

use std::fmt::Write;
use std::fs;

use file_scanner::{ErrorKind, ScannedFiles};
use image_tree::{Contents, FileBytes, FileRef, NodeId, TreeId};
use sha2::{Digest, Sha256};
use snugfs_plan::{EntryKind, TreeKind};

use crate::support::{World, entry, own_lines, path, tar, text};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// An image of these layers as `docker save` writes it, in the folder `image`. The layers are folders of the world.
fn image(world: &World, layers: &[&str]) {
    world.mkdir("image", 0o755);
    let names: Vec<String> = layers.iter().map(|layer| format!("{layer}.tar")).collect();
    let digests: Vec<String> = (layers.iter().zip(&names))
        .map(|(layer, name)| {
            tar(world, layer, &format!("image/{name}"), &[]);
            sha256(&fs::read(world.at("image").join(name)).unwrap())
        })
        .collect();
    let manifest = format!(r#"[{{"Config":"c.json","RepoTags":["web:1"],"Layers":{names:?}}}]"#);
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","config":{{"User":"web"}},"rootfs":{{"diff_ids":{digests:?}}}}}"#
    );
    world.write("image/manifest.json", &manifest);
    world.write("image/c.json", &config);
}

fn world() -> World {
    let mut world = World::new();
    world.write("one/a", "first");
    world.write("one/b", "below");
    world.write("two/b", "above it");
    world.write("three/c", "the last one");
    image(&world, &["one", "two", "three"]);
    world.tree("image", "/").kind = Some(TreeKind::Oci);
    world
}

/// The bytes of a file that is a part of another file.
fn range(contents: &ScannedFiles<'_>, file: FileRef, len: usize) -> Vec<u8> {
    let mut reader = contents.reader();
    let Ok(FileBytes::Range { fd, offset }) = reader.open(file) else { panic!("a range") };
    let mut bytes = vec![0; len];
    assert_eq!(rustix::io::pread(fd, &mut bytes, offset).unwrap(), len);
    bytes
}

#[test]
fn files_have_the_bytes_of_their_layer() {
    let mut world = world();
    // Other sources come before the layers.
    world.write("folder/d", "");
    world.tree("folder", "/");
    let scan = world.scan().unwrap();
    assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
    let contents = ScannedFiles::new(&scan.tree);
    for (at, layer, expected) in
        [("/a", "one", "first"), ("/b", "two", "above it"), ("/c", "three", "the last one")]
    {
        let node = scan.tree.find(&path(at)).unwrap();
        assert_eq!(range(&contents, node.into(), expected.len()), expected.as_bytes());
        let shown = format!("{}/{layer}.tar: {at}", world.at("image").display());
        assert_eq!(contents.shown(node.into()), shown);
    }
}

#[test]
fn the_configuration_of_an_image_is_a_file_where_the_plan_says_so() {
    let mut world = world();
    let lines = ["/a 0644 5:6 77.0 range 5", "/b 0644 5:6 77.0 range 8", "/c 0644 5:6 77.0 range 12"];
    assert_eq!(own_lines(&world.dump()), lines);
    world.trees[0].config_target = Some(path("/etc/image.json"));
    let dump = world.dump();
    let expected = "/etc/image.json 0644 0:0 42.0 text 20 {\\x0a  \"User\": \"web\"\\x0a}\\x0a";
    assert!(own_lines(&dump).contains(&expected), "{dump}");
    // It is a source like others.
    world.entry("/etc/image.json", text("another"));
    assert!(world.errors()[0].starts_with("the file /etc/image.json: the entry /etc/image.json makes"));
}

#[test]
fn a_wrong_choice_is_an_error_of_the_plan() {
    let mut world = world();
    world.trees[0].image = Some("web:2".to_owned());
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Plan);
    assert_eq!(
        world.errors(),
        ["tree 0: has no image that matches, only web:1 for linux/amd64; correct \"image\" or \"platform\""]
    );
    // The file of a layer is not.
    world.trees[0].image = None;
    fs::remove_file(world.at("image/two.tar")).unwrap();
    assert_eq!(world.scan().unwrap_err().kind(), ErrorKind::Source);
    assert!(world.errors()[0].starts_with("FOLDER/image: "), "{:?}", world.errors());
}

#[test]
fn files_of_a_compressed_archive_are_in_a_temporary_file() {
    let mut world = World::new();
    world.write("files/a", "first");
    world.write("files/b", "second");
    fs::hard_link(world.at("files/b"), world.at("files/c")).unwrap();
    world.symlink("files/l", "a");
    world.write("one", "");
    tar(&world, "files", "plain.tar", &[]);
    tar(&world, "files", "x.tar.gz", &["-z"]);
    world.tree("plain.tar", "/plain");
    world.tree("x.tar.gz", "/packed");
    world.entry("/text", text("text"));
    world.entry("/one", entry(EntryKind::Source(world.at("one"))));
    let tree = world.scan().unwrap().tree;
    let contents = ScannedFiles::new(&tree);
    let spool = contents.spool().unwrap();
    let node = |at: &str| -> FileRef { tree.find(&path(at)).unwrap().into() };
    for (at, bytes) in [("/packed/a", "first"), ("/packed/b", "second"), ("/packed/c", "second")] {
        let place = spool.place(node(at)).unwrap();
        let mut found = vec![0; bytes.len()];
        rustix::io::pread(place.fd, &mut found, place.offset).unwrap();
        assert_eq!(found, bytes.as_bytes(), "{at}");
        assert!(contents.check(node(at), place.fd).is_ok());
    }
    for at in ["/plain/a", "/plain/c", "/packed/l", "/text", "/one", "/packed"] {
        assert!(spool.place(node(at)).is_none(), "{at}");
    }
    let missing = FileRef { tree: TreeId::from_index(1).unwrap(), node: NodeId::ROOT };
    assert!(spool.place(missing).is_none());
    assert_eq!(contents.shown(missing), "");

    // Only the last one who reads may shorten it.
    assert!(!spool.is_last_use());
    for is_last_use in [true, false] {
        let contents = ScannedFiles::new(&tree).last_use(is_last_use);
        assert_eq!(contents.spool().unwrap().is_last_use(), is_last_use);
    }
    world.trees.truncate(1);
    let tree = world.scan().unwrap().tree;
    assert!(ScannedFiles::new(&tree).spool().is_none());
}
