//! Compares trees that differ in one way; exactly that difference must be found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::sync::Arc;

use ext4_verify::{Attribute, Found, Kind as NodeType, Observer};
use image_reader::{ReadAt, Window};
use image_tree::{
    FileSource, FileTree, Metadata, Name, NodeId, Permissions, SpecialKind, Timestamp, TreeWriter, Xattr,
    XattrName,
};
use snugfs_compare::{Differences, Ext4Tree, FoundTree, Kind, Rules, compare_trees, shown_path};

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

/// Compares an image with a tree. Gives the differences, and the number of files whose contents are still to be compared.
fn compare_with(expected: &FileTree, entries: &[Entry], rules: Rules) -> (Differences, usize) {
    let inode = |node| u32::try_from(expected.resolve(node).index()).unwrap();
    let mut differences = Differences::default();
    let pairs = compare_trees(expected, &inode, &found(entries), rules, &mut differences);
    (differences, pairs.len())
}

/// The kinds of all differences, and the number of files whose contents are still to be compared.
fn compare(entries: &[Entry], rules: Rules) -> (Vec<(Kind, u64)>, usize) {
    let (differences, pairs) = compare_with(&expected(), entries, rules);
    (differences.counts.into_iter().collect(), pairs)
}

/// The differences as they are shown.
fn shown(expected: &FileTree, entries: &[Entry], rules: Rules) -> Vec<String> {
    compare_with(expected, entries, rules).0.kept.iter().map(ToString::to_string).collect()
}

/// A tree of what the function adds to its root.
fn tree(add: impl FnOnce(&mut TreeWriter, &Metadata)) -> FileTree {
    let metadata = Metadata::root_owned(Permissions::new(0o755).unwrap(), Timestamp::new(1, 0).unwrap());
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    add(&mut writer, &metadata);
    writer.finish()
}

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

fn root() -> Entry {
    entry(ROOT, "", ROOT, NodeType::Directory)
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

#[test]
fn names_of_one_file_must_be_separate_files_if_the_plan_says_so() {
    let mut entries = image();
    let file = entries.iter().find(|entry| entry.name == "file").unwrap().clone();
    *entries.iter_mut().find(|entry| entry.name == "twin").unwrap() = Entry { name: "twin", ..file };
    // The file has an attribute, which a separate file would not have.
    let rules = ["has the attribute user.a, which is not in the plan (tree-xattr)"];
    let link = "/twin: is a hard link to /file, should be a separate file (tree-links)";
    assert_eq!(shown(&expected(), &entries, ALL), [&format!("/twin: {}", rules[0]), link]);
}

#[test]
fn contents_are_compared_for_each_file_of_plan_and_image() {
    let pairs = |change: Change, name| {
        let mut entries = image();
        change(entries.iter_mut().find(|entry| entry.name == name).unwrap());
        compare(&entries, ALL).1
    };
    assert_eq!(pairs(|_| {}, "file"), 2, "two files, and a link to the first");
    assert_eq!(
        pairs(|entry| entry.inode = 18, "hard"),
        3,
        "two names of a file are files of their own in the image"
    );
    assert_eq!(pairs(|entry| entry.inode = 13, "twin"), 2, "two files of the plan are one in the image");
}

#[test]
fn only_use_may_fill_lost_found() {
    let plain = tree(|writer, metadata| {
        let metadata = writer.metadata(metadata);
        for directory in ["dir", "lost+found"] {
            writer.begin_directory(name(directory), metadata).unwrap();
            // Another directory of that name is an ordinary one.
            if directory == "dir" {
                writer.begin_directory(name("lost+found"), metadata).unwrap();
                writer.end_directory();
            }
            writer.end_directory();
        }
    });
    let directory =
        |parent, name, inode| Entry { modified: (9, 0), ..entry(parent, name, inode, NodeType::Directory) };
    let file = |parent, name| entry(parent, name, 20, NodeType::File);
    let image = |parent, name| {
        let root = Entry { modified: (9, 0), ..root() };
        [
            root,
            directory(ROOT, "dir", 12),
            directory(12, "lost+found", 13),
            directory(ROOT, "lost+found", 11),
            file(parent, name),
        ]
    };
    let used = Rules { directory_times: false, lost_found: false, ..ALL };
    let new = Rules { lost_found: true, ..used };
    let extra = |path: &str| vec![format!("{path}: is a file, but is not in the plan (tree-extra)")];
    assert_eq!(shown(&plain, &image(11, "#20"), used), [""; 0]);
    assert_eq!(shown(&plain, &image(11, "#20"), new), extra("/lost+found/#20"));
    for (parent, path) in [(ROOT, "/#20"), (12, "/dir/#20"), (13, "/dir/lost+found/#20")] {
        assert_eq!(shown(&plain, &image(parent, "#20"), used), extra(path));
    }
    // The time of /lost+found, too, may change only by use.
    let times = |rules| {
        let shown = shown(&plain, &image(11, "#20"), Rules { directory_times: true, ..rules });
        shown.into_iter().filter(|text| text.contains("time is 9, should be 1")).collect::<Vec<_>>()
    };
    let at = |path: &str| format!("{path}: time is 9, should be 1 (tree-time)");
    assert_eq!(times(used), [at("/"), at("/dir"), at("/dir/lost+found")]);
    assert_eq!(times(new), [at("/"), at("/dir"), at("/dir/lost+found"), at("/lost+found")]);
}

#[test]
fn a_slot_holds_up_to_its_room() {
    let slot = tree(|writer, metadata| {
        writer.slot(name("slot"), metadata, 100).unwrap();
    });
    let rules = Rules { metadata: false, ..ALL };
    for (size, differences) in [
        (0, vec![]),
        (1, vec![]),
        (100, vec![]),
        (101, vec!["/slot: has 101 bytes, but is a slot of 100 (tree-size)"]),
    ] {
        let entries = [root(), Entry { size, ..entry(ROOT, "slot", 12, NodeType::File) }];
        assert_eq!(shown(&slot, &entries, rules), differences, "{size}");
        // A stamp fills it with bytes that are not in the plan.
        assert_eq!(compare_with(&slot, &entries, rules).1, 0);
    }
}

#[test]
fn whole_directories_are_one_difference_with_their_number_of_entries() {
    let plan = tree(|writer, metadata| {
        let metadata = writer.metadata(metadata);
        for (directory, names) in [("a", &[][..]), ("b", &["x"]), ("c", &["x", "y"]), ("d", &["x", "y"])] {
            writer.begin_directory(name(directory), metadata).unwrap();
            for text in names {
                writer.special(name(text), metadata, SpecialKind::Fifo).unwrap();
            }
            writer.end_directory();
        }
    });
    let entries = [
        root(),
        entry(ROOT, "d", 12, NodeType::Socket),
        entry(ROOT, "e", 13, NodeType::Directory),
        entry(13, "x", 14, NodeType::Fifo),
    ];
    assert_eq!(
        shown(&plan, &entries, ALL),
        [
            "/a: is not in the image, should be a directory (tree-missing)",
            "/b: is not in the image, should be a directory with 1 entry below it (tree-missing)",
            "/c: is not in the image, should be a directory with 2 entries below it (tree-missing)",
            "/d: is a socket, should be a directory with 2 entries below it (tree-kind)",
            "/e: is a directory with 1 entry below it, but is not in the plan (tree-extra)",
        ]
    );
}

#[test]
fn long_targets_are_shortened_at_their_end() {
    let link = |target: &[u8]| {
        tree(|writer, metadata| {
            let metadata = writer.metadata(metadata);
            writer.symlink(name("link"), metadata, target).unwrap();
        })
    };
    let entries = [root(), Entry { target: b"is", ..entry(ROOT, "link", 12, NodeType::Symlink) }];
    for (length, text) in [
        (3, "x".repeat(3)),
        (1024, "x".repeat(1024)),
        (1025, "x".repeat(1024) + "..."),
        (4095, "x".repeat(1024) + "..."),
    ] {
        let differences = shown(&link(&vec![b'x'; length]), &entries, ALL);
        assert_eq!(differences, [format!("/link: target is \"is\", should be \"{text}\" (tree-target)")]);
    }
}

#[test]
fn long_paths_lose_their_first_directories() {
    let long = "d".repeat(255);
    // Four of these names, with their slashes, have 1,024 bytes.
    for (names, path) in [
        (vec!["a"], "/a".to_owned()),
        (vec![&long; 4], format!("/{long}").repeat(4)),
        (vec!["a", &long, &long, &long, &long], "/...".to_owned() + &format!("/{long}").repeat(4)),
        (vec![&long, &long, &long, &long, "a"], "/...".to_owned() + &format!("/{long}").repeat(3) + "/a"),
        (vec!["new\nline"], "/new\\x0aline".to_owned()),
    ] {
        let plan = tree(|writer, metadata| {
            let metadata = writer.metadata(metadata);
            for text in &names {
                writer.begin_directory(name(text), metadata).unwrap();
            }
        });
        let node = NodeId::from_index(names.len()).unwrap();
        assert_eq!(shown_path(&plan, node), path);
        assert_eq!(shown_path(&plan, NodeId::ROOT), "/");
    }
}
