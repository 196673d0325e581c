//! What each node of a tree takes, with all that is below it.

use image_tree::{FileTree, NodeId};

/// Sizes of the nodes of a tree, in \[bytes\] of whole blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// By node: with all below it.
    bytes: Vec<u64>,
    /// By node: how many nodes these are.
    entries: Vec<u64>,
}

impl Usage {
    /// Takes what each node takes alone.
    pub fn of(tree: &FileTree, mut bytes: Vec<u64>) -> Self {
        bytes.resize(tree.len(), 0);
        let mut entries = vec![1; tree.len()];
        // A directory comes before what it holds.
        let parents: Vec<NodeId> = tree.iter().map(|(_, node)| node.parent()).collect();
        for (index, parent) in parents.iter().map(|parent| parent.index()).enumerate().skip(1).rev() {
            bytes[parent] += bytes[index];
            entries[parent] += entries[index];
        }
        Self { bytes, entries }
    }

    /// What a node takes with all below it.
    pub fn bytes(&self, node: NodeId) -> u64 {
        self.bytes.get(node.index()).copied().unwrap_or_default()
    }

    /// The node and how many are below it.
    pub fn entries(&self, node: NodeId) -> u64 {
        self.entries.get(node.index()).copied().unwrap_or_default()
    }

    /// All of the tree.
    pub fn total(&self) -> u64 {
        self.bytes(NodeId::ROOT)
    }

    /// The largest of some nodes, at most so many; of equals the first in the order of the tree. None that takes nothing.
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
