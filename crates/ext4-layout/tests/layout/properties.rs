//! Lays out random trees. e2fsck must find nothing, and an independent reader must find the same tree.

use std::collections::BTreeMap;
use std::path::Path;

use ext4_layout::{Compatibility, Layout, Options};
use ext4_view::{Ext4, FileType};
use image_tree::{
    DataRun, FileSource, FileTree, Metadata, Name, NodeId, NodeKind, Permissions, SpecialKind, Timestamp,
    TreeWriter, Xattr, XattrName,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::support::{checked, folder, options};

/// A node of a random tree.
#[derive(Clone, Debug)]
pub(crate) enum Random {
    Directory(u8, BTreeMap<Vec<u8>, Random>),
    File(u8, usize),
    /// A file with data in these blocks and holes elsewhere; the last block is not full.
    Sparse(Vec<bool>),
    Symlink(usize),
    Special(SpecialKind),
    /// Another name for the file with this index among the earlier ones, if there is one.
    Link(prop::sample::Index),
}

pub(crate) fn name() -> impl Strategy<Value = Vec<u8>> {
    // Every byte but NUL and the slash.
    let byte = prop_oneof![1..b'/', b'/' + 1..=255];
    let bytes =
        prop_oneof![8 => vec(byte.clone(), 1..12), 2 => vec(byte.clone(), 12..255), 1 => vec(byte, 255)];
    bytes.prop_filter("dots", |name| Name::new(name).is_ok() && name != b"lost+found")
}

fn leaf() -> impl Strategy<Value = Random> {
    let size = prop_oneof![0..200_usize, 4090..4100_usize, 8190..8195_usize, 0..60_000_usize];
    let target = prop_oneof![1..58_usize, 58..62_usize, 4000..4095_usize];
    let special = prop_oneof![
        (0..4096_u32, 0..1_048_576_u32).prop_map(|(major, minor)| SpecialKind::Character { major, minor }),
        (0..300_u32, 0..300_u32).prop_map(|(major, minor)| SpecialKind::Block { major, minor }),
        Just(SpecialKind::Fifo),
        Just(SpecialKind::Socket),
    ];
    prop_oneof![
        5 => (any::<u8>(), size).prop_map(|(meta, size)| Random::File(meta, size)),
        1 => vec(any::<bool>(), 1..40).prop_map(Random::Sparse),
        2 => target.prop_map(Random::Symlink),
        1 => special.prop_map(Random::Special),
        2 => any::<prop::sample::Index>().prop_map(Random::Link),
    ]
}

pub(crate) fn tree() -> impl Strategy<Value = BTreeMap<Vec<u8>, Random>> {
    let node = leaf().prop_recursive(4, 300, 60, |inner| {
        (any::<u8>(), btree_map(name(), inner, 0..60))
            .prop_map(|(meta, entries)| Random::Directory(meta, entries))
    });
    btree_map(name(), node, 0..40)
}

pub(crate) fn random_options() -> impl Strategy<Value = Options> {
    let promises = (0..80_000_u64, 0..5_000_u64);
    let growth = prop_oneof![Just(None), Just(Some(1 << 40)), Just(Some(64 << 30))];
    let journal = prop_oneof![Just(None), Just(Some(0)), Just(Some(5 << 20))];
    let density = prop_oneof![Just(4096), Just(16384), Just(1 << 20)];
    let compatibility = prop_oneof![Just(Compatibility::Current), Just(Compatibility::Legacy)];
    let times = 0..1_700_000_000_i64;
    (any::<[u8; 16]>(), promises, growth, journal, density, times, compatibility).prop_map(
        |(uuid, (free_blocks, free_inodes), grow_to, journal_size, bytes_per_inode, time, compatibility)| {
            options()
                .with_sealed(grow_to.is_none() && journal_size == Some(0))
                .with_compatibility(compatibility)
                .with_uuid(uuid)
                .with_free_space(free_blocks * 4096)
                .with_free_inodes(free_inodes)
                .with_grow_to(grow_to)
                .with_journal_size(journal_size)
                .with_bytes_per_inode(bytes_per_inode)
                .with_timestamp(Timestamp::new(time, 0).unwrap())
        },
    )
}

/// A choice of a few metadata, some with attributes.
fn metadata(choice: u8) -> Metadata {
    // Only the first half of each epoch: the reader rejects times whose low 32 bits are negative.
    let seconds = (i64::from(choice % 128) << 24) + (i64::from(choice / 128) << 32);
    let time = Timestamp::new(seconds, u32::from(choice) * 1000).unwrap();
    let permissions = Permissions::from_mode(u16::from(choice) << 4 | 0o7);
    let mut metadata = Metadata::root_owned(permissions, time);
    metadata.uid = u32::from(choice) * 1000;
    metadata.gid = u32::from(choice % 7) * 30_000;
    let sizes: &[usize] = match choice % 8 {
        0 => &[20],
        1 => &[0, 30, 30],
        2 => &[100, 2000, 7, 7, 7],
        _ => &[],
    };
    metadata.xattrs = sizes
        .iter()
        .enumerate()
        .map(|(i, &len)| Xattr {
            name: XattrName::parse(format!("user.n{i}").as_bytes()).unwrap(),
            value: vec![choice; len],
        })
        .collect();
    metadata
}

fn contents(name: &[u8], size: usize) -> Vec<u8> {
    name.iter().copied().cycle().take(size).collect()
}

fn write(writer: &mut TreeWriter, files: &mut Vec<NodeId>, bytes: &[u8], node: &Random) {
    let name = Name::new(bytes).unwrap();
    let plain = writer.metadata(&metadata(3));
    match node {
        Random::Directory(meta, entries) => {
            let id = writer.metadata(&metadata(*meta));
            writer.begin_directory(name, id).unwrap();
            for (name, node) in entries {
                write(writer, files, name, node);
            }
            writer.end_directory();
        }
        Random::Symlink(len) => {
            writer.symlink(name, plain, &contents(b"tar/get", *len)).unwrap();
        }
        Random::Special(kind) => {
            writer.special(name, plain, *kind).unwrap();
        }
        Random::Link(index) if !files.is_empty() => {
            writer.hard_link(name, *index.get(files)).unwrap();
        }
        Random::Link(_) => write(writer, files, bytes, &Random::File(0, 5)),
        Random::File(meta, size) => {
            let id = writer.metadata(&metadata(*meta));
            let source = writer.inline(contents(bytes, *size));
            files.push(writer.file(name, id, u64::try_from(*size).unwrap(), source).unwrap());
        }
        Random::Sparse(blocks) => {
            let mut text = contents(bytes, blocks.len() * 4096 - 7);
            let mut runs: Vec<DataRun> = Vec::new();
            for ((block, is_data), start) in text.chunks_mut(4096).zip(blocks).zip(0..) {
                match runs.last_mut() {
                    Some(run) if *is_data && run.end() == u64::from(start) => run.len += 1,
                    _ if *is_data => runs.push(DataRun { start, len: 1 }),
                    _ => block.fill(0),
                }
            }
            let size = u64::try_from(text.len()).unwrap();
            let source = writer.inline(text);
            files.push(writer.file(name, plain, size, source).unwrap());
            writer.data_runs(runs).unwrap();
        }
    }
}

pub(crate) fn build(entries: &BTreeMap<Vec<u8>, Random>) -> FileTree {
    let mut writer =
        TreeWriter::new(Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE), Vec::new());
    let mut files = Vec::new();
    let lost_found = (b"lost+found".to_vec(), Random::Directory(4, BTreeMap::new()));
    let all: BTreeMap<_, _> = entries.clone().into_iter().chain([lost_found]).collect();
    for (name, node) in &all {
        write(&mut writer, &mut files, name, node);
    }
    writer.finish()
}

/// Compares the blocks of files with those that have data.
fn assert_no_holes_stored(tree: &FileTree, options: &Options) {
    let layout = Layout::plan(tree, options).unwrap();
    let stored: u64 = tree
        .iter()
        .map(|(id, node)| match node.kind() {
            NodeKind::File { size, .. } => tree
                .data_runs(id)
                .map_or(size.div_ceil(4096), |runs| runs.iter().map(|run| u64::from(run.len)).sum()),
            _ => 0,
        })
        .sum();
    assert_eq!(layout.summary().file_blocks, stored);
}

/// Compares every node with the file that the reader finds at its path.
pub(crate) fn assert_same(tree: &FileTree, image: &Path) {
    let reader = Ext4::load_from_path(image).unwrap();
    for (id, node) in tree.iter() {
        let path = tree.path(id);
        let path = ext4_view::Path::try_from(path.as_bytes()).unwrap();
        let found = reader.symlink_metadata(path).unwrap();
        let owner = tree.resolve(id);
        let expected = tree.metadata(tree.node(owner).metadata());
        assert_eq!(found.mode() & 0o7777, expected.permissions.bits(), "{}", path.display());
        assert_eq!((found.uid(), found.gid()), (expected.uid, expected.gid), "{}", path.display());
        let (seconds, nanoseconds) = (found.modified().seconds(), found.modified().nanoseconds());
        assert_eq!(Timestamp::new(seconds, nanoseconds), Some(expected.mtime), "{}", path.display());
        let kind = match tree.node(owner).kind() {
            NodeKind::Directory { .. } => {
                let mut names: Vec<Vec<u8>> = reader
                    .read_dir(path)
                    .unwrap()
                    .map(|e| e.unwrap().file_name().as_ref().to_vec())
                    .collect();
                names.retain(|name| name != b"." && name != b"..");
                names.sort();
                let children: Vec<&[u8]> = tree.children(id).map(|child| tree.name(child)).collect();
                assert_eq!(names, children, "{}", path.display());
                FileType::Directory
            }
            NodeKind::File { source: FileSource::Inline(index), .. } => {
                assert!(reader.read(path).unwrap() == tree.inline(index), "contents of {}", path.display());
                FileType::Regular
            }
            NodeKind::Symlink { target } => {
                let found = reader.read_link(path).unwrap();
                assert_eq!(AsRef::<[u8]>::as_ref(&found), tree.symlink_target(target), "{}", path.display());
                FileType::Symlink
            }
            NodeKind::Special(SpecialKind::Character { .. }) => FileType::CharacterDevice,
            NodeKind::Special(SpecialKind::Block { .. }) => FileType::BlockDevice,
            NodeKind::Special(SpecialKind::Fifo) => FileType::Fifo,
            NodeKind::Special(SpecialKind::Socket) => FileType::Socket,
            other => panic!("{other:?} of {node:?} is not of this test's trees"),
        };
        assert_eq!(found.file_type(), kind, "{}", path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back_as_it_went_in(entries in tree(), options in random_options()) {
        let folder = folder();
        let tree = build(&entries);
        let image = checked(&tree, &options, folder.path());
        assert_same(&tree, &image);
        assert_no_holes_stored(&tree, &options);
        let again = Layout::plan(&tree, &options).unwrap();
        prop_assert_eq!(again.summary().blocks * 4096, std::fs::metadata(&image).unwrap().len());
    }
}
