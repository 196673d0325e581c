//! A small model of a store: as a tree, as NARs written the simple way, and as a closure.

use std::collections::BTreeMap;
use std::io::Cursor;

use closure_registration::{Closure, NarHash, NarHasher, Source};
use image_tree::{
    FileSource, FileTree, ImagePath, Metadata, Name, NodeId, NodeKind, Permissions, Timestamp, TreeWriter,
};

#[derive(Clone, Debug)]
pub(crate) enum Item {
    File { executable: bool, bytes: Vec<u8> },
    Symlink(Vec<u8>),
    Directory(Items),
}

pub(crate) type Items = BTreeMap<Vec<u8>, Item>;

pub(crate) fn file(bytes: &[u8]) -> Item {
    Item::File { executable: false, bytes: bytes.to_vec() }
}

pub(crate) fn directory<const N: usize>(items: [(&[u8], Item); N]) -> Item {
    Item::Directory(items.into_iter().map(|(name, item)| (name.to_vec(), item)).collect())
}

pub(crate) fn store_dir() -> ImagePath {
    ImagePath::parse(b"/nix/store").unwrap()
}

/// A tree with the items in its store.
pub(crate) fn tree(items: &Items) -> FileTree {
    let metadata = |permissions| Metadata::root_owned(permissions, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata(Permissions::DIRECTORY), Vec::new());
    for name in [b"nix", &b"store"[..]] {
        let metadata = writer.metadata(&metadata(Permissions::DIRECTORY));
        writer.begin_directory(Name::new(name).unwrap(), metadata).unwrap();
    }
    add(&mut writer, items);
    writer.finish()
}

fn add(writer: &mut TreeWriter, items: &Items) {
    let metadata = |permissions| Metadata::root_owned(permissions, Timestamp::STORE);
    let executable = writer.metadata(&metadata(Permissions::STORE_EXECUTABLE));
    let plain = writer.metadata(&metadata(Permissions::STORE_FILE));
    for (name, item) in items {
        let name = Name::new(name).unwrap();
        match item {
            Item::File { executable: x, bytes } => {
                let source = writer.inline(bytes.clone());
                let size = u64::try_from(bytes.len()).unwrap();
                writer.file(name, if *x { executable } else { plain }, size, source).unwrap();
            }
            Item::Symlink(target) => {
                let metadata = writer.metadata(&metadata(Permissions::SYMLINK));
                writer.symlink(name, metadata, target).unwrap();
            }
            Item::Directory(items) => {
                writer.begin_directory(name, executable).unwrap();
                add(writer, items);
                writer.end_directory();
            }
        }
    }
}

/// The NAR of an item, written the simple way: in memory, by recursion.
pub(crate) fn nar(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, b"nix-archive-1");
    node(&mut out, item);
    out
}

fn node(out: &mut Vec<u8>, item: &Item) {
    string(out, b"(");
    string(out, b"type");
    match item {
        Item::File { executable, bytes } => {
            string(out, b"regular");
            if *executable {
                string(out, b"executable");
                string(out, b"");
            }
            string(out, b"contents");
            string(out, bytes);
        }
        Item::Symlink(target) => {
            string(out, b"symlink");
            string(out, b"target");
            string(out, target);
        }
        Item::Directory(items) => {
            string(out, b"directory");
            for (name, item) in items {
                string(out, b"entry");
                string(out, b"(");
                string(out, b"name");
                string(out, name);
                string(out, b"node");
                node(out, item);
                string(out, b")");
            }
        }
    }
    string(out, b")");
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u64::try_from(bytes.len()).unwrap().to_le_bytes());
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(8), 0);
}

pub(crate) fn hash(nar: &[u8]) -> NarHash {
    let mut hasher = NarHasher::new();
    hasher.update(nar);
    hasher.finish()
}

/// The registration of these items. Each of them refers to itself and to the first.
pub(crate) fn registration(items: &Items) -> String {
    let shown = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
    let first = items.keys().next().map(|name| shown(name)).unwrap_or_default();
    let record = |(name, item): (&Vec<u8>, &Item)| {
        let (nar, name) = (nar(item), shown(name));
        let references = if name == first {
            format!("1\n/nix/store/{name}\n")
        } else {
            format!("2\n/nix/store/{first}\n/nix/store/{name}\n")
        };
        format!("/nix/store/{name}\n{}\n{}\n\n{references}", hash(&nar), nar.len())
    };
    items.iter().map(record).collect()
}

pub(crate) fn closure(registration: &str) -> Closure {
    let source = Source { name: "registration", bytes: registration.as_bytes() };
    Closure::from_registration(source, None, &store_dir()).unwrap()
}

/// The contents of a file of [`tree`].
pub(crate) fn open(tree: &FileTree, node: NodeId) -> Cursor<Vec<u8>> {
    match tree.node(node).kind() {
        NodeKind::File { source: FileSource::Inline(index), .. } => Cursor::new(tree.inline(index).to_vec()),
        other => panic!("{other:?} is not a file of this tree"),
    }
}

/// A base name for tests: the digit 32 times and a name.
pub(crate) fn base_name(digit: char, name: &str) -> Vec<u8> {
    format!("{}-{name}", String::from(digit).repeat(32)).into_bytes()
}
