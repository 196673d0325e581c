//! Checks that sizes add up for any file system.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::fmt::Write;

use closure_registration::{Closure, Source};
use ext4_layout::{Layout, Options};
use image_explain::{FileSystem, Kind, fold, store_path_sizes};
use image_tree::{
    FileSource, FileTree, ImagePath, Metadata, Name, NodeId, NodeKind, Permissions, PieceSource, Timestamp,
    TreeWriter,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A store path: sizes of its files, whether it contains the shared file, and indexes of its references.
type Path = (Vec<u64>, bool, Vec<usize>);

fn base_name(path: usize) -> String {
    format!("{path:032}-path-{path}")
}

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

/// The tree of some store paths and of other files.
fn tree(paths: &[Path], elsewhere: &[u64]) -> FileTree {
    let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let plain = writer.metadata(&metadata);
    writer.begin_directory(name("a"), plain).unwrap();
    for (number, &size) in elsewhere.iter().enumerate() {
        writer.file(name(&format!("f{number:03}")), plain, size, FileSource::Inline(0)).unwrap();
    }
    writer.end_directory();
    writer.begin_directory(name("lost+found"), plain).unwrap();
    writer.end_directory();
    writer.begin_directory(name("store"), plain).unwrap();
    let mut shared = None;
    for (path, (files, shares, _)) in paths.iter().enumerate() {
        writer.begin_directory(name(&base_name(path)), plain).unwrap();
        for (number, &size) in files.iter().enumerate() {
            writer.file(name(&format!("f{number:03}")), plain, size, FileSource::Inline(0)).unwrap();
        }
        match shared {
            _ if !shares => {}
            Some(file) => drop(writer.hard_link(name("shared"), file).unwrap()),
            None => {
                shared = Some(writer.file(name("shared"), plain, 10_000, FileSource::Inline(0)).unwrap());
            }
        }
        writer.symlink(name("z"), plain, &[b't'; 70]).unwrap();
        writer.end_directory();
    }
    writer.finish()
}

fn closure(paths: &[Path]) -> Closure {
    let mut text = String::new();
    for (path, (_, _, references)) in paths.iter().enumerate() {
        let mut references: Vec<usize> = references.iter().map(|reference| reference % paths.len()).collect();
        references.sort_unstable();
        references.dedup();
        let _ = write!(
            text,
            "/store/{}\nsha256:{}\n1\n\n{}\n",
            base_name(path),
            "0".repeat(52),
            references.len()
        );
        for reference in references {
            let _ = writeln!(text, "/store/{}", base_name(reference));
        }
    }
    let source = Source { name: "registration", bytes: text.as_bytes() };
    Closure::from_registration(source, None, &ImagePath::parse(b"/store").unwrap()).unwrap()
}

fn options() -> Options {
    Options::default()
        .with_sealed(false)
        .with_label_bytes([0; 16])
        .with_uuid(*b"snugfs test uuid")
        .with_free_space(123_456)
        .with_free_inodes(10)
        .with_size(None)
        .with_grow_to(Some(1 << 36))
        .with_bytes_per_inode(16384)
        .with_journal_size(None)
        .with_reserved(None)
        .with_timestamp(Timestamp::STORE)
}

fn paths() -> impl Strategy<Value = Vec<Path>> {
    let files = vec(prop_oneof![Just(0), 1..5000_u64, 1..3_000_000_u64], 0..5);
    vec((files, any::<bool>(), vec(0..100_usize, 0..3)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_and_paths_add_up(
        paths in paths(),
        elsewhere in vec(0..1_000_000_u64, 0..20),
        whole in any::<bool>(),
        most in 0..60_usize,
    ) {
        let tree = tree(&paths, &elsewhere);
        let closure = closure(&paths);
        let mut options = options();
        // With and without bytes after the last block group.
        options.size = whole.then_some((129 << 20) + 8192);
        let layout = Layout::plan(&tree, &options).unwrap();
        let found = FileSystem::of(&layout, Some(&closure));
        let parts: u64 = found.parts.iter().map(|part| part.bytes).sum();
        prop_assert_eq!(parts, layout.len());
        prop_assert_eq!(found.bytes, layout.len());
        let own: Vec<u64> = found.store_paths.iter().map(|path| path.own).collect();
        prop_assert_eq!(own.iter().sum::<u64>(), found.part(Kind::StorePaths));
        prop_assert_eq!(&own, &store_path_sizes(&layout, &closure));
        prop_assert_eq!(found.part(Kind::StorePaths) + found.part(Kind::OtherFiles), found.usage.total());

        // Each path counts exactly once in the exclusive sizes of paths without a dominator; except the shared file, which
        // may belong to several of them.
        let tops = found.store_paths.iter().filter(|path| path.only_through.is_none());
        let leaving: u64 = tops.map(|path| path.exclusive).sum();
        let shares = paths.iter().any(|(_, shares, _)| *shares);
        prop_assert!(leaving == own.iter().sum::<u64>() || shares && leaving + 12_288 == own.iter().sum::<u64>());

        let folded = fold(&tree, &found.usage, most);
        prop_assert!(folded.len() <= most.max(1));
        for (index, node) in folded.iter().enumerate() {
            let below = folded.iter().skip(1).filter(|other| other.parent == index && other.node != node.node);
            let below: u64 = below.map(|other| other.bytes).sum();
            let itself = node.bytes - node.folded_bytes - below;
            // Only a directory's own blocks remain.
            let is_directory = matches!(tree.node(node.node).kind(), NodeKind::Directory { .. });
            prop_assert!(itself >= 4096 || !is_directory, "{:?} of {:?}", node, folded);
            prop_assert!(index == 0 || node.parent < index);
        }
    }

    /// Compares a path's exclusive size with that of a layout without the path.
    #[test]
    fn exclusive_size_is_what_removing_a_path_saves(paths in paths(), pick in any::<prop::sample::Index>()) {
        let (tree, closure) = (tree(&paths, &[]), closure(&paths));
        let layout = Layout::plan(&tree, &options()).unwrap();
        let found = FileSystem::of(&layout, Some(&closure));
        let picked = pick.index(paths.len());
        let mut kept = vec![false; paths.len()];
        let roots = found.references.roots().iter().copied();
        let mut open: Vec<usize> = roots.filter(|&root| root != picked).collect();
        while let Some(path) = open.pop() {
            if path != picked && !std::mem::replace(&mut kept[path], true) {
                open.extend(found.references.references(path));
            }
        }
        let rest: Vec<Path> = paths.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(path, _)| path.clone()).collect();
        let smaller = crate::tree(&rest, &[]);
        let smaller = Layout::plan(&smaller, &options()).unwrap();
        let taken = |layout: &Layout| layout.blocks_by_node().iter().sum::<u64>() * 4096;
        prop_assert_eq!(taken(&layout) - taken(&smaller), found.store_paths[picked].exclusive);
    }
}

#[test]
fn largest_directories_are_beside_store_paths_and_have_several_entries() {
    let paths = [(vec![3_000_000, 5], false, vec![]), (vec![7], false, vec![])];
    let (tree, closure) = (tree(&paths, &[9_000, 9_000]), closure(&paths));
    let layout = Layout::plan(&tree, &options()).unwrap();
    let found = FileSystem::of(&layout, Some(&closure));
    let path = |node: NodeId| tree.path(node).to_string();
    let directories: Vec<String> = found.largest_directories(9).into_iter().map(path).collect();
    assert_eq!(directories, ["/a", "/lost+found"]);
    let files: Vec<String> = found.largest_files(2).into_iter().map(path).collect();
    assert_eq!(files, [format!("/store/{}/f000", base_name(0)), "/a/f000".to_owned()]);
    assert_eq!(found.equal_paths(), [[0, 1]], "one hash");
}
