//! Places all contents in data space.

use std::collections::BTreeMap;
use std::ops::Range;

use image_tree::{NodeId, NodeKind};

use crate::dataspace::DataSpace;
use crate::extents::{Extents, Map};
use crate::geometry::Geometry;
use crate::inventory::Inventory;
use crate::numbering::Slot;
use crate::previous::{Place, Previous};
use crate::units::{BlockNr, DataNr};

/// The start of each inode's blocks in data space.
#[derive(Debug)]
pub(crate) struct Placement {
    /// The double-indirect block of the resize inode, if there is one.
    pub(crate) resize: Option<DataNr>,
    /// The journal, if there is one.
    pub(crate) journal: Option<Extents<'static>>,
    /// The blocks of each inode, by slot.
    starts: Vec<DataNr>,
    /// The inodes with blocks, in the order of their starts.
    pub(crate) order: Vec<Slot>,
    /// The used parts of data space: ascending, not adjacent. There is at least one, because the root directory has a block.
    pub(crate) used: Vec<Range<u64>>,
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

impl<'t> Object<'t> {
    /// An inode's blocks if they start here.
    fn at(start: DataNr, inventory: &'t Inventory, space: &DataSpace, (slot, node): (Slot, NodeId)) -> Self {
        let xattr_blocks = inventory.xattrs(node).blocks();
        let contents = Extents::at(start.plus(xattr_blocks), inventory.content_map(node), space);
        Self { slot, node, start, xattr_blocks, contents }
    }

    /// Total length in \[blocks\].
    pub(crate) fn blocks(&self) -> u64 {
        self.xattr_blocks + self.contents.blocks()
    }

    /// The blocks in data space.
    fn range(&self) -> Range<u64> {
        self.start.0..self.start.0 + self.blocks()
    }

    /// Whether some of the blocks, of which there is at least one, are metadata. `is_file`: whether the inode is a regular file.
    fn has_metadata(&self, is_file: bool) -> bool {
        !is_file || self.xattr_blocks + self.contents.nodes > 0
    }
}

impl Placement {
    /// Places everything without gaps, in the order of [`Inventory::objects`].
    pub(crate) fn of(inventory: &Inventory, geometry: &Geometry, space: &DataSpace) -> Self {
        let mut placement = Self::empty(inventory, geometry, space);
        let mut at = placement.own_end();
        for (slot, node) in inventory.objects() {
            let object = Object::at(at, inventory, space, (slot, node));
            placement.put(inventory, &object);
            at = at.plus(object.blocks());
        }
        placement.finish(inventory, space);
        placement
    }

    /// Places everything where it was in an earlier image, and what is new or does not fit there into gaps or after the end.
    /// Also returns how many inodes with blocks were not kept. `None` if data space is too short.
    pub(crate) fn like(
        inventory: &Inventory,
        geometry: &Geometry,
        space: &DataSpace,
        previous: &Previous,
    ) -> Option<(Self, u64)> {
        let mut placement = Self::empty(inventory, geometry, space);
        let mut gaps = Gaps::of(placement.own_end().0..space.len());
        let former = Former { old: DataSpace::of(previous.geometry()), new: space };
        // First what fits into its old place, so that nothing takes it; then what grew and has room after its old place.
        let mut grown = Vec::new();
        let mut rest = Vec::new();
        for (slot, node) in inventory.objects() {
            let object = |start| Object::at(start, inventory, space, (slot, node));
            let old = previous.place(node);
            let start = old.and_then(|place| former.start(place));
            match (start, old) {
                _ if object(placement.own_end()).blocks() == 0 => {}
                (Some(start), Some(old)) if object(start).blocks() <= old.blocks => {
                    let object = object(start);
                    if gaps.take(object.range()) {
                        placement.put(inventory, &object);
                    } else {
                        rest.push((slot, node));
                    }
                }
                (Some(start), _) => grown.push((start, slot, node)),
                (None, _) => rest.push((slot, node)),
            }
        }
        for (start, slot, node) in grown {
            let object = Object::at(start, inventory, space, (slot, node));
            if gaps.take(object.range()) {
                placement.put(inventory, &object);
            } else {
                rest.push((slot, node));
            }
        }
        let mut moved = 0;
        for (slot, node) in rest {
            let range =
                gaps.find(|start| Object::at(DataNr(start), inventory, space, (slot, node)).blocks())?;
            let object = Object::at(DataNr(range.start), inventory, space, (slot, node));
            gaps.take(range).then_some(())?;
            placement.put(inventory, &object);
            moved += 1;
        }
        placement.finish(inventory, space);
        Some((placement, moved))
    }

    /// Only the resize inode and the journal.
    fn empty(inventory: &Inventory, geometry: &Geometry, space: &DataSpace) -> Self {
        let resize = (geometry.reserved_gdt > 0).then_some(DataNr(0));
        let at = DataNr(u64::from(resize.is_some()));
        let journal = (geometry.journal > 0).then(|| Extents::at(at, Map::Dense(geometry.journal), space));
        let starts = vec![DataNr(0); inventory.numbering.slot_count()];
        Self { resize, journal, starts, order: Vec::new(), used: Vec::new(), with_metadata: Vec::new() }
    }

    /// End of the resize inode's block and the journal.
    pub(crate) fn own_end(&self) -> DataNr {
        let resize = DataNr(u64::from(self.resize.is_some()));
        resize.plus(self.journal.map_or(0, |journal| journal.blocks()))
    }

    fn put(&mut self, inventory: &Inventory, object: &Object<'_>) {
        self.starts[object.slot.index()] = object.start;
        if object.blocks() == 0 {
            return;
        }
        self.order.push(object.slot);
        let is_file = matches!(inventory.tree.node(object.node).kind(), NodeKind::File { .. });
        if object.has_metadata(is_file) {
            self.with_metadata.push((object.start, object.slot));
        }
    }

    /// Sorts everything by place.
    fn finish(&mut self, inventory: &Inventory, space: &DataSpace) {
        let starts = &self.starts;
        self.order.sort_unstable_by_key(|slot| starts[slot.index()]);
        self.with_metadata.sort_unstable_by_key(|&(start, _)| start);
        let own = 0..self.own_end().0;
        let mut used: Vec<Range<u64>> = Vec::new();
        let objects = self.order.iter().filter_map(|&slot| {
            let node = inventory.numbering.owner(slot)?;
            Some(self.object(inventory, space, slot, node).range())
        });
        for range in std::iter::once(own).chain(objects).filter(|range| !range.is_empty()) {
            match used.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => used.push(range),
            }
        }
        self.used = used;
    }

    /// End of all contents.
    pub(crate) fn end(&self) -> DataNr {
        DataNr(self.used.last().map_or(0, |range| range.end))
    }

    /// Number of used blocks of data space.
    pub(crate) fn used_blocks(&self) -> u64 {
        self.used.iter().map(|range| range.end - range.start).sum()
    }

    /// The blocks of an inode.
    pub(crate) fn object<'t>(
        &self,
        inventory: &'t Inventory,
        space: &DataSpace,
        slot: Slot,
        node: NodeId,
    ) -> Object<'t> {
        Object::at(self.starts[slot.index()], inventory, space, (slot, node))
    }
}

/// Where the blocks of an earlier image are in the data space of the new one.
struct Former<'s> {
    old: DataSpace,
    new: &'s DataSpace,
}

impl Former<'_> {
    /// The start in the new data space of what had this place, if all of it is there in the same blocks.
    fn start(&self, place: Place) -> Option<DataNr> {
        let block = BlockNr(place.start);
        let (old, start) = (self.old.data(block)?, self.new.data(block)?);
        let is_there = self.old.runs(old, place.blocks).eq(self.new.runs(start, place.blocks));
        is_there.then_some(start)
    }
}

/// The free parts of data space.
struct Gaps {
    /// Ends by starts; not empty.
    ranges: BTreeMap<u64, u64>,
    /// Nothing of this length or longer was found in the gaps before the last one.
    too_long: u64,
}

impl Gaps {
    fn of(range: Range<u64>) -> Self {
        let ranges =
            if range.is_empty() { BTreeMap::new() } else { BTreeMap::from([(range.start, range.end)]) };
        Self { ranges, too_long: u64::MAX }
    }

    /// Takes a range if it is free.
    fn take(&mut self, range: Range<u64>) -> bool {
        let Some((&start, &end)) = self.ranges.range(..=range.start).next_back() else { return false };
        if range.end > end {
            return false;
        }
        self.ranges.remove(&start);
        if start < range.start {
            self.ranges.insert(start, range.start);
        }
        if range.end < end {
            self.ranges.insert(range.end, end);
        }
        true
    }

    /// The first free range for something whose length depends on its start (islands lengthen extent trees).
    fn find(&mut self, length: impl Fn(u64) -> u64) -> Option<Range<u64>> {
        let (&last, &last_end) = self.ranges.last_key_value()?;
        let wanted = length(last);
        let fits = |start: u64, end: u64| {
            let length = length(start);
            (length <= end - start).then(|| start..start + length)
        };
        if wanted < self.too_long {
            let mut before = self.ranges.range(..last);
            if let Some(range) = before.find_map(|(&start, &end)| fits(start, end)) {
                return Some(range);
            }
            self.too_long = wanted;
        }
        fits(last, last_end)
    }
}

#[cfg(test)]
mod tests;
