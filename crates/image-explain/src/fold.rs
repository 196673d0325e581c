//! A tree of bounded size: the largest nodes of another, and of the others their sums.

use image_tree::{FileTree, NodeId};

use crate::Usage;

/// A node that is large enough to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The node.
    pub node: NodeId,
    /// The position of its directory in the list; the root's is its own, 0.
    pub parent: usize,
    /// What it takes with all below it, in \[bytes\].
    pub bytes: u64,
    /// Of these, what is not told singly: the entries of a directory that are too small.
    pub folded_bytes: u64,
    /// How many nodes these are, with all below them.
    pub folded_entries: u64,
}

/// The largest nodes of a tree, at most so many and at least the root, in the order of the tree. Whatever is told, its
/// directory is told, too.
pub fn fold(tree: &FileTree, usage: &Usage, most: usize) -> Vec<Folded> {
    // A directory is at least as large as what it holds, and comes before it.
    let all = tree.iter().map(|(id, _)| id).filter(|&id| id != NodeId::ROOT);
    let mut chosen = usage.largest(all, most.saturating_sub(1));
    chosen.push(NodeId::ROOT);
    chosen.sort_unstable();
    let position = |node: NodeId| chosen.binary_search(&node).ok();
    let mut folded: Vec<Folded> = Vec::with_capacity(chosen.len());
    for &node in &chosen {
        let parent = position(tree.node(node).parent()).unwrap_or_default();
        let (mut folded_bytes, mut folded_entries) = (0, 0);
        for child in tree.children(node).filter(|&child| position(child).is_none()) {
            folded_bytes += usage.bytes(child);
            folded_entries += usage.entries(child);
        }
        folded.push(Folded { node, parent, bytes: usage.bytes(node), folded_bytes, folded_entries });
    }
    folded
}
