//! Compares trees that differ in one way; exactly that difference must be found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::sync::Arc;

use ext4_verify::{Attribute, Found, Kind as NodeType, Observer};
use image_reader::{ReadAt, Window};
use image_tree::{
    FileSource, FileTree, Metadata, Name, Permissions, SpecialKind, Timestamp, TreeWriter, Xattr, XattrName,
};
use snugfs_compare::{Differences, Ext4Tree, FoundTree, Kind, Rules, compare_trees};

/// An image without bytes, of which only names are compared.
#[derive(Debug)]
struct NoBytes;

impl ReadAt for NoBytes {
    fn length(&self) -> u64 {
        0
    }

    fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

const ROOT: u32 = 2;
const FOLDER: u32 = 12;

/// A name in an image, as `ext4_verify` reports it.
#[derive(Clone)]
struct Entry {
    directory: u32,
    name: &'static str,
    inode: u32,
    kind: NodeType,
    permissions: u16,
    uid: u32,
    gid: u32,
    modified: (i64, u32),
    size: u64,
    target: &'static [u8],
    device: (u32, u32),
    attributes: Vec<Attribute>,
}

fn entry(directory: u32, name: &'static str, inode: u32, kind: NodeType) -> Entry {
    let (permissions, modified) = (0o755, (1, 0));
    let (target, attributes): (&[u8], _) = (b"", Vec::new());
    let (uid, gid, size, device) = (0, 0, 0, (0, 0));
    Entry { directory, name, inode, kind, permissions, uid, gid, modified, size, target, device, attributes }
}

/// An image with the contents of [`expected`].
fn image() -> Vec<Entry> {
    let attribute = Attribute { name: b"user.a".to_vec(), value: b"1".to_vec() };
    let file = Entry { size: 5000, attributes: vec![attribute], ..entry(ROOT, "file", 13, NodeType::File) };
    vec![
        entry(ROOT, "", ROOT, NodeType::Directory),
        entry(ROOT, "dir", FOLDER, NodeType::Directory),
        entry(FOLDER, "inner", 15, NodeType::Fifo),
        file.clone(),
        Entry { name: "hard", ..file },
        Entry { device: (5, 1), ..entry(ROOT, "tty", 14, NodeType::Character) },
        Entry { target: b"file", ..entry(ROOT, "sym", 16, NodeType::Symlink) },
        Entry { size: 5000, ..entry(ROOT, "twin", 17, NodeType::File) },
    ]
}

fn found(entries: &[Entry]) -> FoundTree {
    let mut tree = Ext4Tree::new(Window::whole(Arc::new(NoBytes)), entries.len());
    for entry in entries {
        tree.found(Found {
            directory: entry.directory,
            name: entry.name.as_bytes(),
            inode: entry.inode,
            kind: entry.kind,
            permissions: entry.permissions,
            uid: entry.uid,
            gid: entry.gid,
            modified: entry.modified,
            size: entry.size,
            target: entry.target,
            device: entry.device,
            runs: &[],
            attributes: &entry.attributes,
        });
    }
    tree.finish().unwrap()
}

fn expected() -> FileTree {
    let name = |text: &'static str| Name::new(text.as_bytes()).unwrap();
    let metadata = Metadata::root_owned(Permissions::new(0o755).unwrap(), Timestamp::new(1, 0).unwrap());
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let plain = writer.metadata(&metadata);
    let xattr = Xattr { name: XattrName::parse(b"user.a").unwrap(), value: b"1".to_vec() };
    let attributed = writer.metadata(&Metadata { xattrs: vec![xattr], ..metadata });
    writer.begin_directory(name("dir"), plain).unwrap();
    writer.special(name("inner"), plain, SpecialKind::Fifo).unwrap();
    writer.end_directory();
    let file = writer.file(name("file"), attributed, 5000, FileSource::Inline(0)).unwrap();
    writer.hard_link(name("hard"), file).unwrap();
    writer.symlink(name("sym"), plain, b"file").unwrap();
    writer.special(name("tty"), plain, SpecialKind::Character { major: 5, minor: 1 }).unwrap();
    writer.file(name("twin"), plain, 5000, FileSource::Inline(0)).unwrap();
    writer.finish()
}

const ALL: Rules = Rules { metadata: true, directory_times: true, lost_found: true };

/// The kinds of all differences, and the number of files whose contents are still to be compared.
fn compare(entries: &[Entry], rules: Rules) -> (Vec<(Kind, u64)>, usize) {
    let expected = expected();
    let inode = |node| u32::try_from(expected.resolve(node).index()).unwrap();
    let mut differences = Differences::default();
    let pairs = compare_trees(&expected, &inode, &found(entries), rules, &mut differences);
    (differences.counts.into_iter().collect(), pairs.len())
}

/// A change of an entry.
type Change = fn(&mut Entry);

#[test]
fn finds_exactly_the_difference_of_an_entry() {
    let cases: [(&str, Change, &[Kind]); 12] = [
        ("file", |_| {}, &[]),
        ("twin", |entry| entry.uid = 1, &[Kind::TreeOwner]),
        ("dir", |entry| entry.gid = 1, &[Kind::TreeGroup]),
        ("twin", |entry| entry.permissions = 0o4755, &[Kind::TreeMode]),
        ("sym", |entry| entry.modified.1 = 1, &[Kind::TreeTime]),
        ("dir", |entry| entry.modified.0 = 2, &[Kind::TreeTime]),
        ("sym", |entry| entry.target = b"fill", &[Kind::TreeTarget]),
        ("tty", |entry| entry.device = (5, 0), &[Kind::TreeDevice]),
        ("twin", |entry| entry.size = 5001, &[Kind::TreeSize]),
        ("inner", |entry| entry.kind = NodeType::Socket, &[Kind::TreeKind]),
        ("hard", |entry| entry.inode = 18, &[Kind::TreeLinks]),
        // An added and a missing name.
        ("twin", |entry| entry.name = "twix", &[Kind::TreeMissing, Kind::TreeExtra]),
    ];
    for (name, change, kinds) in cases {
        let mut entries = image();
        let entry = entries.iter_mut().find(|entry| entry.name == name).unwrap();
        change(entry);
        let (counts, _) = compare(&entries, ALL);
        assert_eq!(counts, kinds.iter().map(|&kind| (kind, 1)).collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(compare(&image(), ALL).1, 2, "two files have contents, the third is a link");
}

#[test]
fn compares_attributes_by_name_and_value() {
    let changes: [fn(&mut Vec<Attribute>); 3] = [
        Vec::clear,
        |attributes| attributes[0].value = b"2".to_vec(),
        |attributes| attributes.push(Attribute { name: b"user.b".to_vec(), value: Vec::new() }),
    ];
    for change in changes {
        let mut entries = image();
        // Attributes come with the first name of the inode.
        change(&mut entries.iter_mut().find(|entry| entry.name == "file").unwrap().attributes);
        let (counts, _) = compare(&entries, ALL);
        assert!(counts.iter().all(|(kind, _)| *kind == Kind::TreeXattr), "{counts:?}");
        // Once for each name of the file.
        assert_eq!(counts, [(Kind::TreeXattr, 2)]);
    }
}

#[test]
fn rules_exclude_what_fat_lacks_and_what_use_changes() {
    let mut entries = image();
    for entry in &mut entries {
        (entry.uid, entry.gid, entry.permissions, entry.modified) = (7, 7, 0o700, (9, 9));
        entry.attributes.clear();
    }
    assert_eq!(compare(&entries, Rules { metadata: false, ..ALL }), (Vec::new(), 2));
    let mut used = image();
    for entry in used.iter_mut().filter(|entry| entry.kind == NodeType::Directory) {
        entry.modified = (9, 9);
    }
    assert_eq!(compare(&used, Rules { directory_times: false, ..ALL }).0, []);
    assert_eq!(compare(&used, ALL).0, [(Kind::TreeTime, 2)]);
}

#[test]
fn an_incomplete_tree_is_a_difference() {
    let mut tree = found(&image());
    tree.cut_short = Some("has too many names".to_owned());
    let expected = expected();
    let inode = |node| u32::try_from(expected.resolve(node).index()).unwrap();
    let mut differences = Differences::default();
    compare_trees(&expected, &inode, &tree, ALL, &mut differences);
    assert_eq!(differences.kept.len(), 1);
    assert_eq!(differences.kept[0].to_string(), "/: has too many names (tree-extra)");
}
