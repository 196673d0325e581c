//! The nodes of the treemap, as one list of bounded length.

use image_explain::{Folded, Kind, Usage, fold};
use image_tree::{FileTree, NodeId, NodeKind, escaped};
use serde_json::{Value, json};

use super::before::Before;
use crate::explain::rows::kind_name;
use snugfs_core::explain::ExplainedVolume;
use snugfs_core::human::counted;

/// The most nodes shown for a file system: a page of about a megabyte.
const MOST: usize = 8000;

/// The kinds of nodes: those of [`Kind`], and more.
pub(super) const KINDS: [&str; 17] = [
    "storePaths",
    "otherFiles",
    "journal",
    "inodeTables",
    "bitmaps",
    "superblocks",
    "groupDescriptors",
    "growthReserve",
    "free",
    "beyondGroups",
    "image",
    "partition",
    "storePath",
    "directory",
    "file",
    "folded",
    "other",
];

/// The nodes of a treemap, each after its parent.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    list: Vec<Value>,
}

impl Nodes {
    /// Adds a node of some \[bytes\], and returns its number. The first node is its own parent.
    pub(super) fn add(&mut self, parent: usize, name: &str, bytes: u64, kind: &str) -> usize {
        self.push(parent, name, bytes, kind, None)
    }

    fn push(&mut self, parent: usize, name: &str, bytes: u64, kind: &str, path: Option<usize>) -> usize {
        let kind = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len() - 1);
        self.list.push(match path {
            Some(path) => json!([parent, name, bytes, kind, path]),
            None => json!([parent, name, bytes, kind]),
        });
        self.list.len() - 1
    }

    /// Sets the size of a node in the older image, in \[bytes\].
    pub(super) fn set_before(&mut self, node: usize, before: Option<u64>) {
        if let (Some(before), Some(Value::Array(fields))) = (before, self.list.get_mut(node)) {
            fields.resize(5, json!(-1));
            fields.push(before.into());
        }
    }

    /// Adds the parts of a file system, and the tree in it. `paths` has the numbers of store paths.
    pub(super) fn add_system(
        &mut self,
        parent: usize,
        system: &ExplainedVolume<'_>,
        paths: &[Option<usize>],
        before: &Before<'_>,
    ) {
        let explained = &system.explained;
        let before = (system.is_root).then_some(before);
        let mut homes = (parent, parent);
        for part in &explained.parts {
            let node = self.add(parent, kind_name(part.kind), part.bytes, part.kind.key());
            self.set_before(node, before.and_then(|before| before.part(part.kind)));
            match part.kind {
                Kind::StorePaths => homes.0 = node,
                Kind::OtherFiles => homes.1 = node,
                _ => {}
            }
        }
        self.add_tree(system, homes, paths, before);
    }

    /// Adds a tree: store paths to the node `in_store`, other files to `elsewhere`.
    fn add_tree(
        &mut self,
        system: &ExplainedVolume<'_>,
        (in_store, elsewhere): (usize, usize),
        paths: &[Option<usize>],
        before: Option<&Before<'_>>,
    ) {
        let explained = &system.explained;
        let tree = explained.tree;
        let folded = fold(tree, &explained.usage, MOST);
        let path_at = |node| explained.store_paths.binary_search_by_key(&node, |found| found.node).ok();
        let shown: Vec<usize> = folded.iter().filter_map(|found| path_at(found.node)).collect();
        let all = explained.part(Kind::StorePaths);
        let small = all - shown.iter().map(|&path| explained.store_paths[path].own).sum::<u64>();
        // Store paths have a node of their own, so the directories above them are shown without them.
        let leads_to_paths = |node: NodeId| {
            explained.store_paths.first().is_some_and(|first| (node..tree.end(node)).contains(&first.node))
        };
        let last =
            folded.iter().rposition(|found| leads_to_paths(found.node) && path_at(found.node).is_none());
        let mut numbers: Vec<usize> = Vec::with_capacity(folded.len());
        for (index, found) in folded.iter().enumerate() {
            let path = path_at(found.node);
            let number = match path {
                _ if index == 0 => elsewhere,
                Some(path) => {
                    let name = explained.name(path).full;
                    let node = self.push(in_store, name, found.bytes, "storePath", paths[path]);
                    let before = before.and_then(|before| before.path(base_name(system, path)?));
                    self.set_before(node, before);
                    node
                }
                None => {
                    let inside = numbers[found.parent];
                    let bytes = found.bytes - if leads_to_paths(found.node) { all } else { 0 };
                    self.add(inside, &name(tree, found.node), bytes, kind(tree, found.node))
                }
            };
            numbers.push(number);
            let apart = if Some(index) == last { small } else { 0 };
            self.add_folded(number, found, found.folded_bytes - apart);
        }
        let count = explained.store_paths.len() - shown.len();
        if count > 0 {
            self.add(in_store, &counted_usize(count, "smaller path"), small, "folded");
        }
    }

    fn add_folded(&mut self, parent: usize, found: &Folded, bytes: u64) {
        if bytes > 0 {
            self.add(parent, &counted(found.folded_entries, "smaller item"), bytes, "folded");
        }
    }

    /// Adds the files of a file system with clusters of `cluster` \[bytes\], and returns their size.
    pub(super) fn add_clusters(&mut self, parent: usize, tree: &FileTree, cluster: u64) -> u64 {
        let bytes = |id: NodeId| match tree.node(tree.resolve(id)).kind() {
            NodeKind::File { size, .. } => size.div_ceil(cluster).saturating_mul(cluster),
            _ => 0,
        };
        let usage = Usage::of(tree, tree.iter().map(|(id, _)| bytes(id)).collect());
        let mut numbers = Vec::new();
        for found in fold(tree, &usage, MOST) {
            let number = match numbers.get(found.parent) {
                None => parent,
                Some(&inside) => {
                    self.add(inside, &name(tree, found.node), found.bytes, kind(tree, found.node))
                }
            };
            numbers.push(number);
            self.add_folded(number, &found, found.folded_bytes);
        }
        usage.total()
    }

    /// The list for the page: parent, name, bytes, kind, and the number of a store path.
    pub(super) fn into_value(self) -> Value {
        self.list.into()
    }
}

/// Hash and name of a store path.
fn base_name<'s>(system: &'s ExplainedVolume<'_>, path: usize) -> Option<&'s str> {
    let closure = system.volume.scanned.closure.as_ref()?;
    closure.paths().get(path).map(|info| info.path.as_str())
}

fn name(tree: &FileTree, node: NodeId) -> String {
    escaped(tree.name(node)).to_string()
}

fn kind(tree: &FileTree, node: NodeId) -> &'static str {
    match tree.node(node).kind() {
        NodeKind::Directory { .. } => "directory",
        _ => "file",
    }
}

fn counted_usize(count: usize, noun: &str) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), noun)
}
