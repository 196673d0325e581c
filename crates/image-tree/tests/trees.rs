//! What a finished tree says about its nodes.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use image_tree::{
    Container, DataRun, FileRef, FileSource, FileStamp, FileTree, HOLE_GRAIN, ImagePath, MAX_SLOT, Metadata,
    MetadataId, Name, NodeId, Origin, Permissions, SLOT_XATTR, SpecialKind, Timestamp, TreeContents,
    TreeError, TreeId, TreeWriter, Xattr, XattrName,
};

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

fn metadata() -> Metadata {
    Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE)
}

fn writer(origins: Vec<Origin>) -> (TreeWriter, MetadataId) {
    let mut writer = TreeWriter::new(Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE), origins);
    let meta = writer.metadata(&metadata());
    (writer, meta)
}

fn at(tree: &FileTree, text: &str) -> NodeId {
    tree.find(&path(text)).unwrap()
}

#[test]
fn directories_that_are_open_end_with_the_tree() {
    let (mut writer, meta) = writer(Vec::new());
    // Nothing but the root is open, which only `finish` closes.
    writer.end_directory();
    writer.begin_directory(name("a"), meta).unwrap();
    writer.begin_directory(name("b"), meta).unwrap();
    writer.special(name("c"), meta, SpecialKind::Fifo).unwrap();
    let tree = writer.finish();
    assert_eq!(tree.len(), 4);
    for directory in ["/", "/a", "/a/b"] {
        assert_eq!(tree.end(at(&tree, directory)).index(), 4, "{directory}");
    }
    assert_eq!(tree.path(at(&tree, "/a/b/c")), path("/a/b/c"));
}

#[test]
fn a_symlink_has_at_most_4095_bytes_and_no_nul() {
    let (mut writer, meta) = writer(Vec::new());
    let longest = vec![b'x'; 4095];
    let link = writer.symlink(name("a"), meta, &longest).unwrap();
    for bad in [&[b'x'; 4096][..], b"", b"a\0b"] {
        let error = TreeError::BadTarget { name: "b".to_owned(), len: bad.len() };
        assert_eq!(writer.symlink(name("b"), meta, bad), Err(error));
    }
    let tree = writer.finish();
    let image_tree::NodeKind::Symlink { target } = tree.node(link).kind() else { panic!("it is a symlink") };
    assert_eq!(tree.symlink_target(target), longest);
}

#[test]
fn a_slot_is_an_empty_file_with_room() {
    assert_eq!(MAX_SLOT, 64 << 20);
    let (mut writer, meta) = writer(Vec::new());
    let xattr = |name: &str, value: &[u8]| Xattr {
        name: XattrName::parse(name.as_bytes()).unwrap(),
        value: value.to_vec(),
    };
    // An earlier mark, as a tree of another image has it, is replaced.
    let given =
        Metadata { xattrs: vec![xattr("user.note", b"kept"), xattr(SLOT_XATTR, b"99")], ..metadata() };
    for bytes in [0, MAX_SLOT + 1, u64::MAX] {
        assert_eq!(
            writer.slot(name("a"), &given, bytes),
            Err(TreeError::BadSlot { name: "a".to_owned(), bytes })
        );
    }
    let small = writer.slot(name("a"), &given, 1).unwrap();
    let large = writer.slot(name("b"), &given, MAX_SLOT).unwrap();
    let source = writer.inline(b"text".to_vec());
    let file = writer.file(name("c"), meta, 4, source).unwrap();
    let tree = writer.finish();
    assert_eq!(
        [small, large, file, NodeId::ROOT].map(|id| tree.slot(id)),
        [Some(1), Some(MAX_SLOT), None, None]
    );
    assert_eq!(tree.slots().collect::<Vec<_>>(), [(small, 1), (large, MAX_SLOT)]);
    let xattrs = |id| tree.metadata(tree.node(id).metadata()).xattrs.clone();
    assert_eq!(xattrs(small), [xattr("user.note", b"kept"), xattr(SLOT_XATTR, b"1")]);
    let contents = TreeContents::new(&tree);
    let bytes = |node| contents.bytes(FileRef { tree: TreeId::from_index(0).unwrap(), node });
    assert_eq!([small, file, NodeId::ROOT].map(bytes), [Some(&b""[..]), Some(b"text"), None]);
}

#[test]
fn holes_are_not_stored() {
    let (mut writer, meta) = writer(Vec::new());
    let grain = HOLE_GRAIN;
    let source = writer.inline(Vec::new());
    let dense = writer.file(name("a"), meta, 12_345, source).unwrap();
    let sparse = writer.file(name("b"), meta, 5 * grain + 7, source).unwrap();
    // One run in the middle, and one up to the end, which is within the last unit.
    writer.data_runs(vec![DataRun { start: 1, len: 2 }, DataRun { start: 4, len: 2 }]).unwrap();
    let holes = writer.file(name("c"), meta, 9 * grain, source).unwrap();
    writer.data_runs(Vec::new()).unwrap();
    let tree = writer.finish();
    assert_eq!(
        [dense, sparse, holes, NodeId::ROOT].map(|id| tree.stored_bytes(id)),
        [12_345, 3 * grain + 7, 0, 0]
    );
}

#[test]
fn a_scanned_file_is_found_on_this_machine() {
    let origin = |source: &str, target: &str| Origin {
        source: PathBuf::from(source),
        target: path(target),
        folder: None,
        container: None,
    };
    let (mut writer, meta) = writer(vec![origin("/home/rootfs", "/"), origin("/srv/data", "/a")]);
    let [first, second] = [0, 1].map(|index| writer.origin(index).unwrap());
    assert_eq!(writer.origin(2), None);
    let stamp = FileStamp::of_mtime(0, 0);
    let scanned = |origin| FileSource::Scanned { origin, stamp };
    writer.begin_directory(name("a"), meta).unwrap();
    writer.file(name("x"), meta, 1, scanned(second)).unwrap();
    writer.end_directory();
    writer.file(name("b"), meta, 1, scanned(first)).unwrap();
    let inline = writer.inline(b"1".to_vec());
    writer.file(name("c"), meta, 1, inline).unwrap();
    let tree = writer.finish();
    assert_eq!(tree.origins().len(), 2);
    assert_eq!(tree.origin(second).source, PathBuf::from("/srv/data"));
    let source = |text: &str| tree.source_path(at(&tree, text));
    assert_eq!(source("/a/x"), Some(PathBuf::from("/srv/data/x")));
    assert_eq!(source("/b"), Some(PathBuf::from("/home/rootfs/b")));
    assert_eq!([source("/c"), source("/a"), source("/")], [None, None, None]);
}

#[test]
fn only_a_file_that_nobody_can_change_has_no_stamp() {
    let container = |stamp| {
        let file = std::fs::File::open("/dev/null").unwrap();
        Container { file: Arc::new(file.into()), stamp, segments: Vec::new() }
    };
    assert!(container(None).is_private());
    assert!(!container(Some((0, FileStamp::of_mtime(0, 0)))).is_private());
}

#[test]
fn times_that_differ_have_other_stamps() {
    let times = (0..40_i64)
        .flat_map(|seconds| (0..40).map(move |nanoseconds| (seconds * 3601, nanoseconds * 1_000_003)));
    let stamps: HashSet<FileStamp> =
        times.map(|(seconds, nanoseconds)| FileStamp::of_mtime(seconds, nanoseconds)).collect();
    assert_eq!(stamps.len(), 1600);
    assert_eq!(FileStamp::of_mtime(-5, 7), FileStamp::of_mtime(-5, 7));
}

#[test]
fn errors_say_what_they_are_about() {
    let file = || "a\nb".to_owned();
    for (error, expected) in [
        (TreeError::OutOfOrder { name: file() }, "a\nb must sort after"),
        (TreeError::BadHardLink { name: file() }, "a\nb must refer to an earlier file"),
        (TreeError::BadTarget { name: file(), len: 9 }, "9 bytes long"),
        (TreeError::BadDevice { name: file(), major: 5000, minor: 3 }, "5000:3"),
        (TreeError::BadSlot { name: file(), bytes: 0 }, "has 0 bytes"),
        (TreeError::BadDataRuns, "data runs"),
        (TreeError::TooMany, "2^32"),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    let of_path = |text: &str| ImagePath::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(of_path("a/b"), "the path \"a/b\" is not absolute");
    assert!(of_path("/a/../b").starts_with("in the path \"/a/../b\" "));
    let of_xattr = |text: &str| XattrName::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(of_xattr("system.x").contains("\"system.x\" is in no namespace of ext4"));
    assert!(of_xattr("user.").contains("\"user.\" must have at least one byte after its namespace"));
}
