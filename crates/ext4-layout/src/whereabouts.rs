//! Finds the inode of a name, and the name of a block, to inspect an image.

use std::ops::Range;

use image_tree::NodeId;

use crate::layout::Layout;
use crate::numbering::Slot;
use crate::units::{BLOCK_SIZE, BlockNr, GroupNr, INODE_SIZE};

impl Layout {
    /// The inode of a name. All names of a file have the same, unless there are too many for one inode.
    pub fn inode_number(&self, node: NodeId) -> u32 {
        self.inventory.numbering.inode(node).0
    }

    /// The node whose contents, attributes or extent tree are in a block of the file system. Walks
    /// over all nodes.
    pub fn node_at(&self, block: u64) -> Option<NodeId> {
        let data = self.space.data(BlockNr(block))?;
        let objects = self
            .inventory
            .objects()
            .map(|(slot, node)| self.placement.object(&self.inventory, &self.space, slot, node));
        let mut within =
            objects.filter(|object| object.start <= data && data.0 < object.start.0 + object.blocks());
        within.next().map(|object| object.node)
    }

    /// The bytes that a stamp of the slots changes: their inodes and their blocks. Ascending; empty without slots.
    pub fn stampable(&self) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        for (node, _) in self.inventory.tree.slots() {
            let inode = self.inventory.numbering.inode(node);
            let per_group = self.geometry.inodes_per_group;
            let table = self.geometry.inode_table(GroupNr((inode.0 - 1) / per_group));
            let at = table.byte_offset() + u64::from((inode.0 - 1) % per_group) * INODE_SIZE;
            ranges.push(at..at + INODE_SIZE);
            let slot =
                Slot::of(inode).expect("invariant: a file of the tree has an inode after the reserved ones");
            let contents = self.placement.object(&self.inventory, &self.space, slot, node).contents;
            for run in self.space.runs(contents.start, contents.len) {
                let at = run.start.byte_offset();
                ranges.push(at..at + run.len * BLOCK_SIZE);
            }
        }
        ranges.sort_by_key(|range| range.start);
        ranges
    }
}
