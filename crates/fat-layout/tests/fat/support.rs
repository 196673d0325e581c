//! Trees, options, and images in files.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fat_layout::{Bits, FatLayout, Options};
use image_tree::{
    Content, FileSource, FileTree, Metadata, Name, Permissions, PieceSource, SectorSize, SpecialKind,
    Timestamp, TreeWriter,
};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

pub(crate) fn options(bytes: u64, bits: Option<Bits>) -> Options {
    let sector = SectorSize::Bytes512;
    Options { bytes, free_space: 0, label: *b"FIRMWARE   ", id: 0x2178_694e, bits, sector }
}

pub(crate) fn of_4096(bytes: u64, bits: Option<Bits>) -> Options {
    Options { sector: SectorSize::Bytes4096, ..options(bytes, bits) }
}

/// Files by path; directories have no contents. Parents come before their children.
pub(crate) type Files = BTreeMap<Vec<String>, Option<Vec<u8>>>;

pub(crate) fn tree_of(files: &Files) -> FileTree {
    let meta = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(meta.clone(), Vec::new());
    let meta = writer.metadata(&meta);
    let mut open = 0;
    for (path, bytes) in files {
        let (name, parents) = path.split_last().unwrap();
        while open > parents.len() {
            writer.end_directory();
            open -= 1;
        }
        let name = Name::new(name.as_bytes()).unwrap();
        if let Some(bytes) = bytes {
            let len = u64::try_from(bytes.len()).unwrap();
            let source = writer.inline(bytes.clone());
            writer.file(name, meta, len, source).unwrap();
        } else {
            writer.begin_directory(name, meta).unwrap();
            open += 1;
        }
    }
    while open > 0 {
        writer.end_directory();
        open -= 1;
    }
    writer.finish()
}

pub(crate) fn files(list: &[(&str, Option<usize>)]) -> Files {
    let path = |text: &str| text.split('/').map(str::to_owned).collect();
    let bytes = |len: usize| (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
    list.iter().map(|&(name, len)| (path(name), len.map(bytes))).collect()
}

/// A tree of files that nobody reads, in two directories.
pub(crate) fn blank(sizes: &[u64]) -> FileTree {
    let meta = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(meta.clone(), Vec::new());
    let meta = writer.metadata(&meta);
    for (directory, half) in [("a", &sizes[..sizes.len() / 2]), ("b", &sizes[sizes.len() / 2..])] {
        writer.begin_directory(Name::new(directory.as_bytes()).unwrap(), meta).unwrap();
        for (index, size) in half.iter().enumerate() {
            let name = format!("file-{index:06}");
            let source = FileSource::External(0);
            writer.file(Name::new(name.as_bytes()).unwrap(), meta, *size, source).unwrap();
        }
        writer.end_directory();
    }
    writer.finish()
}

/// Anything that a tree may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Directory,
    /// A file that nobody reads, and its length.
    File(u64),
    /// The room of a slot.
    Slot(u64),
    /// Another name of the file with this path.
    Link(&'static str),
    Symlink,
    Fifo,
}

/// The tree with these entries. Parents come before their children.
pub(crate) fn tree_with(entries: &[(&str, Entry)]) -> FileTree {
    let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let meta = writer.metadata(&metadata);
    let mut nodes = BTreeMap::new();
    let mut open = 0;
    let sorted: BTreeMap<Vec<&str>, Entry> =
        entries.iter().map(|(path, entry)| (path.split('/').collect(), *entry)).collect();
    for (path, entry) in sorted {
        let (name, parents) = path.split_last().unwrap();
        while open > parents.len() {
            writer.end_directory();
            open -= 1;
        }
        let name = Name::new(name.as_bytes()).unwrap();
        let node = match entry {
            Entry::Directory => {
                open += 1;
                writer.begin_directory(name, meta)
            }
            Entry::File(len) => writer.file(name, meta, len, FileSource::External(0)),
            Entry::Slot(room) => writer.slot(name, &metadata, room),
            Entry::Link(to) => writer.hard_link(name, nodes[to]),
            Entry::Symlink => writer.symlink(name, meta, b"target"),
            Entry::Fifo => writer.special(name, meta, SpecialKind::Fifo),
        };
        nodes.insert(path.join("/"), node.unwrap());
    }
    writer.finish()
}

/// Writes the image. The pieces must be consecutive and cover all of it.
pub(crate) fn write(layout: &FatLayout, files: &Files, path: &Path) {
    let tree = layout.tree();
    let file = File::create(path).unwrap();
    file.set_len(layout.len()).unwrap();
    let mut at = 0;
    for piece in layout.pieces() {
        assert_eq!(piece.offset, at);
        assert!(piece.len > 0);
        at += piece.len;
        match piece.content {
            Content::Zeros | Content::Unused | Content::FileZeros { .. } => {}
            Content::Metadata => {
                let mut buffer = vec![0; usize::try_from(piece.len).unwrap()];
                layout.generate(&piece, &mut buffer);
                file.write_all_at(&buffer, piece.offset).unwrap();
            }
            Content::File { file: of, offset } => {
                assert_eq!(offset, 0);
                let path = tree.path(of.node).to_string();
                let key: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
                let bytes = files[&key].as_ref().unwrap();
                assert_eq!(u64::try_from(bytes.len()).unwrap(), piece.len);
                file.write_all_at(bytes, piece.offset).unwrap();
            }
        }
    }
    assert_eq!(at, layout.len());
}
