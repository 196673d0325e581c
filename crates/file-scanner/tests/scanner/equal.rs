use std::collections::BTreeSet;

use file_scanner::{Alike, SourceError};
use image_tree::{FileTree, NodeId};

use crate::support::{World, path};

fn equal(tree: &FileTree, names: usize) -> Result<BTreeSet<(String, String)>, SourceError> {
    let store = tree.find(&path("/nix/store")).unwrap();
    let pairs = Alike::below(tree, tree.children(store)).equal(names, &|_| ())?;
    let name = |node: NodeId| String::from_utf8_lossy(tree.name(node)).into_owned();
    Ok(pairs.into_iter().map(|(file, first)| (name(file), name(first))).collect())
}

fn world(files: &[(&str, &str)]) -> World {
    let mut world = World::new();
    for (name, text) in files {
        world.write(&format!("store/{name}"), text);
    }
    let names: Vec<&str> = files.iter().map(|file| file.0).collect();
    world.store("store", &names);
    world
}

fn pairs(of: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    of.iter().map(|&(file, first)| (file.to_owned(), first.to_owned())).collect()
}

#[test]
fn keeps_the_first_file_in_the_order_of_the_tree() {
    let world = world(&[("a", "1"), ("b", "2"), ("c", "1"), ("d", ""), ("e", ""), ("f", "1"), ("g", "11")]);
    let tree = world.scan().unwrap().tree;
    assert_eq!(equal(&tree, 65_000).unwrap(), pairs(&[("c", "a"), ("e", "d"), ("f", "a")]));
}

#[test]
fn no_inode_gets_more_names_than_it_can_have() {
    let world = world(&[("a", "x"), ("b", "x"), ("c", "x"), ("d", "x"), ("e", "x"), ("f", "x"), ("g", "x")]);
    let tree = world.scan().unwrap().tree;
    assert_eq!(equal(&tree, 3).unwrap(), pairs(&[("b", "a"), ("c", "a"), ("e", "d"), ("f", "d")]));
}

#[test]
fn reads_only_files_that_can_be_equal() {
    let world = world(&[("a", "1"), ("b", "2"), ("c", "unread"), ("d", ""), ("e", "")]);
    let tree = world.scan().unwrap().tree;
    let store = tree.find(&path("/nix/store")).unwrap();
    assert_eq!(Alike::below(&tree, tree.children(store)).bytes(), 2);
}

#[test]
fn a_file_that_changes_meanwhile_is_named() {
    let world = world(&[("a", "1"), ("b", "1"), ("c", "11")]);
    let tree = world.scan().unwrap().tree;
    world.write("store/b", "two");
    world.write("store/c", "three");
    let error = equal(&tree, 65_000).unwrap_err();
    assert_eq!(error, SourceError::Changed { path: world.at("store/b").to_string_lossy().into_owned() });
}
