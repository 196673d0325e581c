//! Places all contents in data space.

use image_tree::{NodeId, NodeKind};

use crate::dataspace::DataSpace;
use crate::extents::{Extents, Map};
use crate::geometry::Geometry;
use crate::inventory::Inventory;
use crate::numbering::Slot;
use crate::units::DataNr;

/// The start of each inode's blocks in data space.
#[derive(Debug)]
pub(crate) struct Placement {
    /// The double-indirect block of the resize inode, if there is one.
    pub(crate) resize: Option<DataNr>,
    /// The journal, if there is one.
    pub(crate) journal: Option<Extents<'static>>,
    /// The blocks of each inode, by slot.
    starts: Vec<DataNr>,
    /// Start of the first regular file's blocks.
    pub(crate) files_start: DataNr,
    /// End of all contents.
    pub(crate) end: DataNr,
    /// The objects with metadata in data space, ascending.
    pub(crate) with_metadata: Vec<(DataNr, Slot)>,
}

/// One inode's blocks in data space: attributes, then contents, then the extent tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'t> {
    pub(crate) slot: Slot,
    pub(crate) node: NodeId,
    pub(crate) start: DataNr,
    pub(crate) xattr_blocks: u64,
    pub(crate) contents: Extents<'t>,
}

impl Object<'_> {
    /// Total length in \[blocks\].
    pub(crate) fn blocks(&self) -> u64 {
        self.xattr_blocks + self.contents.blocks()
    }
}

impl Placement {
    /// Places everything, in the order of [`Inventory::objects`].
    pub(crate) fn of(inventory: &Inventory, geometry: &Geometry, space: &DataSpace) -> Self {
        let resize = (geometry.reserved_gdt > 0).then_some(DataNr(0));
        let mut at = DataNr(u64::from(resize.is_some()));
        let journal = (geometry.journal > 0).then(|| Extents::at(at, Map::Dense(geometry.journal), space));
        at = at.plus(journal.map_or(0, |journal| journal.blocks()));
        let mut placement = Self {
            resize,
            journal,
            starts: vec![DataNr(0); inventory.numbering.slots().count()],
            files_start: at,
            end: at,
            with_metadata: Vec::new(),
        };
        for (slot, node) in inventory.objects() {
            placement.starts[slot.index()] = at;
            let object = placement.object(inventory, space, slot, node);
            let is_file = matches!(inventory.tree.node(node).kind(), NodeKind::File { .. });
            let contents_are_metadata = !is_file && object.contents.len > 0;
            if contents_are_metadata || object.xattr_blocks + object.contents.nodes > 0 {
                placement.with_metadata.push((at, slot));
            }
            at = at.plus(object.blocks());
            if !is_file {
                placement.files_start = at;
            }
        }
        placement.end = at;
        placement
    }

    /// The blocks of an inode.
    pub(crate) fn object<'t>(
        &self,
        inventory: &'t Inventory,
        space: &DataSpace,
        slot: Slot,
        node: NodeId,
    ) -> Object<'t> {
        let start = self.starts[slot.index()];
        let xattr_blocks = inventory.xattrs(node).blocks();
        let contents = Extents::at(start.plus(xattr_blocks), inventory.content_map(node), space);
        Object { slot, node, start, xattr_blocks, contents }
    }
}
