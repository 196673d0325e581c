//! Compares digests of images with stored ones. The same options and contents must give the same bytes in all versions;
//! exceptions are in CHANGELOG.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ext4_layout::{Compatibility, Options};
use image_tree::{FileTree, Metadata, Name, Permissions, SpecialKind, Timestamp, Xattr, XattrName};
use sha2::{Digest, Sha256};

use crate::support::{Tree, checked, folder, options};

/// Name, tree, options.
fn cases() -> Vec<(&'static str, FileTree, Options)> {
    let growing = options().with_free_space(1 << 20).with_free_inodes(100).with_grow_to(Some(1 << 40));
    let mut cases = Vec::new();

    let mut tree = Tree::new();
    tree.lost_found();
    cases.push(("empty", tree.finish(), growing.clone()));

    let mut tree = Tree::new();
    tree.directory("etc", |tree| {
        tree.text("hostname", b"board\n").text("motd", &[b'm'; 5000]);
    });
    for (name, kind) in [("fifo", SpecialKind::Fifo), ("full", SpecialKind::Character { major: 1, minor: 7 })]
    {
        tree.writer.special(Name::new(name.as_bytes()).unwrap(), tree.plain, kind).unwrap();
    }
    tree.writer.symlink(Name::new(b"link-long").unwrap(), tree.plain, &[b'l'; 60]).unwrap();
    tree.writer.symlink(Name::new(b"link-short").unwrap(), tree.plain, b"etc/hostname").unwrap();
    tree.lost_found();
    cases.push(("kinds", tree.finish(), growing.clone()));

    let mut tree = Tree::new();
    tree.directory("indexed", |tree| {
        for i in 0..3_000 {
            tree.blank(&format!("{i:04}"), 0);
        }
    });
    tree.lost_found();
    tree.directory("names", |tree| {
        for byte in 0xf0..=0xff_u8 {
            let source = tree.writer.inline(vec![byte]);
            tree.writer.file(Name::new(&[byte; 255]).unwrap(), tree.plain, 1, source).unwrap();
        }
    });
    cases.push(("directories", tree.finish(), growing.clone()));

    let mut tree = Tree::new();
    tree.blank("extents", 700 << 20);
    let source = tree.writer.inline(b"shared".to_vec());
    let first = tree.writer.file(Name::new(b"first").unwrap(), tree.plain, 6, source).unwrap();
    tree.writer.hard_link(Name::new(b"later").unwrap(), first).unwrap();
    tree.lost_found();
    cases.push(("extents", tree.finish(), growing.clone()));

    let late = Timestamp::new(Timestamp::MAX_SECONDS, 999_999_999).unwrap();
    let mut metadata = Metadata::root_owned(Permissions::new(0o2750).unwrap(), late);
    (metadata.uid, metadata.gid) = (100_000, 200_000);
    metadata.xattrs = [("user.long", 900), ("user.short", 9), ("security.capability", 20)]
        .map(|(name, len)| Xattr { name: XattrName::parse(name.as_bytes()).unwrap(), value: vec![b'v'; len] })
        .to_vec();
    let mut tree = Tree::new();
    let id = tree.writer.metadata(&metadata);
    let source = tree.writer.inline(b"x".to_vec());
    tree.writer.file(Name::new(b"attributes").unwrap(), id, 1, source).unwrap();
    tree.lost_found();
    let legacy = growing.clone().with_compatibility(Compatibility::Legacy);
    let without_growth = growing.with_grow_to(None).with_journal_size(Some(0)).with_size(Some(32 << 20));
    cases.push(("attributes", tree.finish(), without_growth));

    // Everything that has a checksum elsewhere: attributes, extent tree, index, leaves, bitmaps that are otherwise not written.
    let mut tree = Tree::new();
    let id = tree.writer.metadata(&metadata);
    let source = tree.writer.inline(b"x".to_vec());
    tree.writer.file(Name::new(b"attributes").unwrap(), id, 1, source).unwrap();
    tree.blank("extents", 700 << 20);
    tree.directory("indexed", |tree| {
        for i in 0..3_000 {
            tree.blank(&format!("{i:04}"), 0);
        }
    });
    tree.lost_found();
    cases.push(("legacy", tree.finish(), legacy.with_free_space(1 << 30)));
    cases
}

fn digest(image: &Path) -> String {
    let mut file = std::fs::File::open(image).unwrap();
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).unwrap() {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn images_have_the_stored_digests() {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/layouts.sha256");
    let mut found = BTreeMap::new();
    for (name, tree, options) in cases() {
        let folder = folder();
        found.insert(name, digest(&checked(&tree, &options, folder.path())));
    }
    let text = found.iter().fold(String::new(), |text, (name, digest)| text + digest + "  " + name + "\n");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&pinned, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&pinned).unwrap();
    assert_eq!(
        text, expected,
        "the bytes of images changed; if that is meant, run with UPDATE_EXPECTED=1 and say so in CHANGELOG.md"
    );
}

#[test]
fn a_second_or_a_byte_of_a_name_changes_the_image() {
    let folder = folder();
    let image = |name: &str, seconds| {
        let mut tree = Tree::new();
        tree.text(name, b"text").lost_found();
        let timestamp = Timestamp::new(seconds, 0).unwrap();
        digest(&checked(&tree.finish(), &options().with_timestamp(timestamp), folder.path()))
    };
    assert_eq!(image("a", 1), image("a", 1));
    assert_ne!(image("a", 1), image("b", 1));
    assert_ne!(image("a", 1), image("a", 2));
}
