//! Reduces a tree to a bounded size: its largest nodes, with sums for the others.

use image_tree::{FileTree, NodeId};

use crate::Usage;

/// A node of the reduced tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The node.
    pub node: NodeId,
    /// Index of its directory in the list; 0 for the root.
    pub parent: usize,
    /// Size with all its descendants, in \[bytes\].
    pub bytes: u64,
    /// Size of the entries that are not in the list, because they are too small.
    pub folded_bytes: u64,
    /// Number of these entries, with all their descendants.
    pub folded_entries: u64,
}

/// Returns the `most` largest nodes of a tree, at least the root, in tree order. The parent of each returned node is
/// returned too.
pub fn fold(tree: &FileTree, usage: &Usage, most: usize) -> Vec<Folded> {
    // A directory is at least as large as its entries, and comes before them. So it is chosen if one of them is.
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
