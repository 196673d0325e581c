//! Sizes of the nodes of a tree with their descendants.

use image_tree::{FileTree, NodeId};

/// Sizes of the nodes of a tree, in \[bytes\], whole blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// By node: size with all descendants.
    bytes: Vec<u64>,
    /// By node: number of descendants and itself.
    entries: Vec<u64>,
}

impl Usage {
    /// Sums up the given sizes of the nodes without descendants.
    pub fn of(tree: &FileTree, mut bytes: Vec<u64>) -> Self {
        bytes.resize(tree.len(), 0);
        let mut entries = vec![1; tree.len()];
        // A directory comes before its entries.
        let parents: Vec<NodeId> = tree.iter().map(|(_, node)| node.parent()).collect();
        for (index, parent) in parents.iter().map(|parent| parent.index()).enumerate().skip(1).rev() {
            bytes[parent] += bytes[index];
            entries[parent] += entries[index];
        }
        Self { bytes, entries }
    }

    /// The size of a node with all descendants, in \[bytes\].
    pub fn bytes(&self, node: NodeId) -> u64 {
        self.bytes.get(node.index()).copied().unwrap_or_default()
    }

    /// Number of descendants of a node, and itself.
    pub fn entries(&self, node: NodeId) -> u64 {
        self.entries.get(node.index()).copied().unwrap_or_default()
    }

    /// The size of the tree in \[bytes\].
    pub fn total(&self) -> u64 {
        self.bytes(NodeId::ROOT)
    }

    /// The `most` largest of some nodes, largest first. Equal ones are in tree order; those of size 0 are left out.
    pub fn largest(&self, nodes: impl Iterator<Item = NodeId>, most: usize) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = nodes.filter(|&node| self.bytes(node) > 0).collect();
        let by_size = |node: &NodeId| (std::cmp::Reverse(self.bytes(*node)), *node);
        if nodes.len() > most && most > 0 {
            nodes.select_nth_unstable_by_key(most, by_size);
        }
        nodes.truncate(most);
        nodes.sort_unstable_by_key(by_size);
        nodes
    }
}
