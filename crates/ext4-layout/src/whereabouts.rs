//! Finds the inode of a name, and the name of a block, to inspect an image.

use image_tree::NodeId;

use crate::layout::Layout;
use crate::units::BlockNr;

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
}
