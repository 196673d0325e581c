//! The purpose of each block of a file system, for reports and maps.

use crate::Layout;
use crate::dataspace::BlockRun;
use crate::geometry::{GROUPS_PER_FLEX, has_superblock};
use crate::units::{BLOCK_SIZE, DataNr, GroupNr};
use image_tree::NodeKind;

/// The purpose of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A superblock or a copy of it.
    Superblock,
    /// Group descriptors or a copy of them.
    GroupDescriptors,
    /// Blocks reserved for the group descriptors of a larger file system, and the block map of these blocks.
    GrowthReserve,
    /// Block and inode bitmaps.
    Bitmaps,
    /// Inode tables.
    InodeTables,
    /// The journal, with its extent tree.
    Journal,
    /// Directories and long symlinks; attributes and extent trees of everything except regular files.
    Directories,
    /// Regular files, with their attributes and extent trees.
    Files,
    /// Free.
    Free,
    /// After the last block group: too few for another one.
    BeyondGroups,
}

/// Consecutive blocks with one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Area {
    /// The first block.
    pub start: u64,
    /// Number of blocks, at least 1.
    pub blocks: u64,
    /// Their purpose.
    pub purpose: Purpose,
}

impl Layout {
    /// The purposes of all blocks: ascending, without gaps, neighbours with the same purpose merged.
    pub fn areas(&self) -> Vec<Area> {
        let islands = (0..self.geometry.groups).flat_map(|group| self.island_areas(GroupNr(group)));
        let mut areas: Vec<Area> = islands.chain(self.data_areas()).collect();
        let beyond = self.bytes() / BLOCK_SIZE - self.geometry.blocks;
        areas.push(Area { start: self.geometry.blocks, blocks: beyond, purpose: Purpose::BeyondGroups });
        areas.retain(|area| area.blocks > 0);
        areas.sort_by_key(|area| area.start);
        areas.dedup_by(|next, area| {
            let continues = area.purpose == next.purpose;
            area.blocks += if continues { next.blocks } else { 0 };
            continues
        });
        areas
    }

    /// The size of each inode in data space in \[blocks\] (contents, attributes and extent tree), by the node that describes
    /// the inode. Other nodes, such as hard links, have 0.
    pub fn blocks_by_node(&self) -> Vec<u64> {
        let mut blocks = vec![0; self.inventory.tree.len()];
        for (slot, node) in self.inventory.numbering.slots() {
            blocks[node.index()] += self.placement.object(&self.inventory, &self.space, slot, node).blocks();
        }
        blocks
    }

    /// The fixed metadata that starts in a group.
    fn island_areas(&self, group: GroupNr) -> Vec<Area> {
        let geometry = &self.geometry;
        let mut start = group.first_block().0;
        let mut areas = Vec::new();
        let mut add = |blocks, purpose| {
            areas.push(Area { start, blocks, purpose });
            start += blocks;
        };
        if has_superblock(group) {
            add(1, Purpose::Superblock);
            add(geometry.gdt, Purpose::GroupDescriptors);
            add(geometry.reserved_gdt, Purpose::GrowthReserve);
        }
        if group.0.is_multiple_of(GROUPS_PER_FLEX) {
            let (_, members) = geometry.flex(group);
            add(2 * u64::from(members), Purpose::Bitmaps);
            add(u64::from(members) * geometry.itable_blocks(), Purpose::InodeTables);
        }
        areas
    }

    /// All of data space, split at islands. Each range has its purpose; neighbours are not merged.
    fn data_areas(&self) -> impl Iterator<Item = Area> + '_ {
        let resize = u64::from(self.placement.resize.is_some());
        let own_end = self.placement.own_end().0;
        let own = [(0..resize, Purpose::GrowthReserve), (resize..own_end, Purpose::Journal)];
        let mut at = own_end;
        let objects = self.placement.order.iter().filter_map(|&slot| {
            let node = self.inventory.numbering.owner(slot)?;
            let object = self.placement.object(&self.inventory, &self.space, slot, node);
            let is_file = matches!(self.inventory.tree.node(node).kind(), NodeKind::File { .. });
            let purpose = if is_file { Purpose::Files } else { Purpose::Directories };
            Some((object.start.0..object.start.0 + object.blocks(), purpose))
        });
        let end = self.space.len();
        let ranges = objects.chain([(end..end, Purpose::Free)]).flat_map(move |(range, purpose)| {
            let gap = at..range.start;
            at = range.end;
            [(gap, Purpose::Free), (range, purpose)]
        });
        own.into_iter().chain(ranges).flat_map(|(range, purpose)| {
            let area = move |BlockRun { start, len }| Area { start: start.0, blocks: len, purpose };
            self.space.runs(DataNr(range.start), range.end - range.start).map(area)
        })
    }
}
