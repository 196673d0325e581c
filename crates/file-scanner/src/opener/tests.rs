use std::collections::BTreeMap;

use image_tree::{ImagePath, Metadata, Name, Permissions, Timestamp, TreeWriter};

use super::*;
use crate::{Sources, scan};

#[test]
fn without_openat2_symlinks_are_refused_just_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/b/c");
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::write(inner.join("file"), "").unwrap();
    let tree = snugfs_plan::TreePlan::new(folder.path().to_owned(), ImagePath::root());
    let sources = Sources {
        store: None,
        trees: &[tree],
        entries: &BTreeMap::new(),
        attributes: &BTreeMap::new(),
        inline: Vec::new(),
        folders: Vec::new(),
        lost_and_found: true,
        timestamp: Timestamp::STORE,
    };
    let tree = scan(&sources, &|_| {}).unwrap().tree;
    let file = tree.find(&ImagePath::parse(b"/a/b/c/file").unwrap()).unwrap();
    let opener = Opener::new(&tree);
    opener.no_openat2.store(true, Ordering::Relaxed);
    assert!(opener.cursor().open(file).is_ok());
    std::fs::rename(folder.path().join("a/b"), folder.path().join("moved")).unwrap();
    std::os::unix::fs::symlink("../moved", folder.path().join("a/b")).unwrap();
    assert!(matches!(opener.cursor().open(file), Err(SourceError::Replaced { .. })));
}

#[test]
fn a_path_has_up_to_3999_bytes_and_whole_names() {
    let name = |len: usize| vec![b'n'; len];
    for (lengths, taken, len) in [
        (vec![], 0, 0),
        (vec![1], 1, 1),
        (vec![255, 255], 2, 511),
        (vec![255; 20], 15, 3839),
        ([vec![255; 15], vec![160]].concat(), 16, 4000),
        ([vec![255; 15], vec![161]].concat(), 15, 3839),
        (vec![1; 5000], 2000, 3999),
    ] {
        let names: Vec<Vec<u8>> = lengths.iter().map(|len| name(*len)).collect();
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let (count, path) = path_of(&names);
        assert_eq!((count, path.len()), (taken, len), "{lengths:?}");
        assert_eq!(path, names[..taken].join(&b'/'));
    }
}

/// A tree of another program can have other files.
#[test]
fn only_files_of_a_scan_are_checked() {
    let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let id = writer.metadata(&metadata);
    let name = |text: &'static str| Name::new(text.as_bytes()).unwrap();
    let external = writer.file(name("external"), id, 3, FileSource::External(7)).unwrap();
    let source = writer.inline(b"abc".to_vec());
    let inline = writer.file(name("inline"), id, 3, source).unwrap();
    let slot = writer.slot(name("slot"), &metadata, 4096).unwrap();
    let tree = writer.finish();
    let file = tempfile::tempfile().unwrap();
    let check = |node| check_unchanged(&tree, node, file.as_fd());
    assert_eq!(check(inline), Ok(()));
    assert_eq!(check(slot), Ok(()));
    assert_eq!(check(external), Err(SourceError::NotAFile { path: "/external".to_owned() }));
    assert_eq!(check(NodeId::ROOT), Err(SourceError::NotAFile { path: "/".to_owned() }));
    let opener = Opener::new(&tree);
    let mut cursor = opener.cursor();
    assert!(matches!(cursor.open(inline), Ok(OpenFile::Inline(b"abc"))));
    assert!(matches!(cursor.open(slot), Ok(OpenFile::Inline(b""))));
    assert!(matches!(cursor.open(external), Err(SourceError::NotAFile { .. })));
}
