//! Finds the size: the smallest file system with room for contents, free space and free inodes. Checks fixed sizes.
//!
//! The number of groups determines everything else, and more groups never make the file system smaller. So the first
//! number of groups that suffices is the result.

use crate::dataspace::DataSpace;
use crate::extents::{Extents, Map};
use crate::geometry::{GROUPS_PER_FLEX, Geometry, MAX_RESERVED_GDT, default_journal, has_superblock};
use crate::inventory::Inventory;
use crate::placement::Placement;
use crate::previous::Previous;
use crate::units::{BLOCK_SIZE, BLOCKS_PER_GROUP, DataNr, GroupNr, INODES_PER_BLOCK, blocks_for, narrow};
use crate::{LayoutError, LayoutWarning, Options};

/// Maximum number of inodes in a group: sixteen inode tables and their bitmaps must fit into one group. Kernels before
/// 3.11 could not grow file systems whose tables reach into the next one.
pub(crate) const MAX_INODES_PER_GROUP: u64 = 32_640;
/// Maximum number of inodes: their numbers are below 2^32, and inode tables are whole blocks.
const MAX_INODES: u64 = 0xffff_fff0;
/// Limit for the resize inode, whose map has 32-bit block numbers, with blocks in every backup.
const MAX_GROWTH_BLOCKS: u64 = 1 << 32;
/// Minimum length of a journal in \[blocks\] (`JBD2_MIN_JOURNAL_BLOCKS`).
const MIN_JOURNAL: u64 = 1024;

/// The usual lengths of journals, in \[blocks\]; see [`default_journal`].
const JOURNALS: [u64; 8] = [1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144];

/// The result: a geometry, and warnings.
#[derive(Debug)]
pub(crate) struct Solution {
    pub(crate) geometry: Geometry,
    pub(crate) warnings: Vec<LayoutWarning>,
}

/// The inputs of the solver.
struct Task<'a> {
    inventory: &'a Inventory,
    options: &'a Options,
    /// Promised free space in \[blocks\].
    free_blocks: u64,
    /// Number of used and promised inodes.
    inodes: u64,
}

/// The result of trying a number of groups.
struct Candidate {
    geometry: Geometry,
    /// Contents, fixed metadata, and the promised free blocks.
    needed: u64,
    /// If growing to `grow_to` needs more reserved blocks than possible: the size that can be reached, in \[bytes\].
    out_of_reach: Option<u64>,
}

impl Candidate {
    /// Returns this candidate as the result. Fails if it can't grow to `grow_to`.
    fn accept(&self, options: &Options) -> Result<(), LayoutError> {
        match (self.out_of_reach, options.grow_to) {
            (Some(reachable), Some(wanted)) => Err(LayoutError::GrowthOutOfReach { wanted, reachable }),
            _ => Ok(()),
        }
    }
}

/// Decides the geometry.
pub(crate) fn solve(inventory: &Inventory, options: &Options) -> Result<Solution, LayoutError> {
    let inodes = inventory.numbering.used().saturating_add(options.free_inodes);
    if inodes > MAX_INODES {
        return Err(LayoutError::TooManyInodes { wanted: inodes });
    }
    if let Some(size) = options.journal_size
        && size != 0
        && !(MIN_JOURNAL..=u64::from(u32::MAX)).contains(&(size / BLOCK_SIZE))
    {
        return Err(LayoutError::JournalSize { size });
    }
    let task = Task { inventory, options, free_blocks: blocks_for(options.free_space), inodes };
    let geometry = match options.size {
        Some(size) => task.fixed(size)?,
        None => task.smallest()?,
    };
    Ok(Solution { geometry, warnings: task.warnings(&geometry) })
}

/// A geometry in which everything has the place that it had in an earlier image.
pub(crate) struct Alike {
    pub(crate) solution: Solution,
    pub(crate) placement: Placement,
    /// Number of inodes with blocks that were not kept.
    pub(crate) moved: u64,
}

/// Decides the geometry of a file system that follows an earlier one. `None` if there is none.
pub(crate) fn solve_like(
    inventory: &Inventory,
    options: &Options,
    previous: &Previous,
    anew: &Geometry,
) -> Option<Alike> {
    let inodes = inventory.numbering.used().saturating_add(options.free_inodes);
    let task = Task { inventory, options, free_blocks: blocks_for(options.free_space), inodes };
    let mut groups = match options.size {
        Some(size) => u64::from(task.fitting(size).ok()??.groups),
        None => u64::from(previous.geometry().groups),
    };
    // The largest number of groups that was too few. Each number above it is tried once, so this ends.
    let mut too_few = 0;
    loop {
        let Some(mut geometry) = task.geometry_like(groups, previous, anew) else {
            // So few groups may be too few for the promised inodes, or for growth.
            if options.size.is_none() && groups < u64::from(anew.groups) {
                too_few = groups;
                groups += 1;
                continue;
            }
            return None;
        };
        if let Some(size) = options.size {
            geometry.blocks = geometry.blocks.min(size / BLOCK_SIZE);
        }
        let space = DataSpace::of(&geometry);
        let placed = Placement::like(inventory, &geometry, &space, previous);
        let needed = placed.as_ref().map(|(placement, _)| {
            placement.end().0.max(placement.used_blocks().saturating_add(task.free_blocks))
        });
        let needed =
            needed.filter(|&needed| needed <= space.len() && inventory.numbering.last() <= geometry.inodes());
        let (Some((placement, moved)), Some(needed)) = (placed, needed) else {
            if options.size.is_some() {
                return None;
            }
            too_few = groups;
            groups += 1;
            continue;
        };
        if options.size.is_none() {
            geometry.blocks = shortest(&geometry, space.block(DataNr(needed - 1)).0 + 1);
        }
        if shortest(&geometry, 0) > geometry.blocks {
            return None;
        }
        // The last group goes if nothing is in it and the others were not too few already.
        let used_groups = u64::from(space.block(DataNr(needed - 1)).group().0 + 1);
        if options.size.is_none() && used_groups < groups && groups - 1 > too_few {
            groups -= 1;
            continue;
        }
        let solution = Solution { geometry, warnings: task.warnings(&geometry) };
        return Some(Alike { solution, placement, moved });
    }
}

impl Task<'_> {
    /// The geometry of this number of whole groups that follows an earlier one: its density of inodes and its journal are kept
    /// if the options allow them. `anew` is the geometry without an earlier one.
    fn geometry_like(&self, groups: u64, previous: &Previous, anew: &Geometry) -> Option<Geometry> {
        let old = previous.geometry();
        let first = self.weigh_for(groups, old.journal).ok()??;
        first.accept(self.options).ok()?;
        let reserved = first.geometry.reserved_gdt;
        let keeps_journal = self.options.journal_size.is_none()
            && (old.journal > 0) == (anew.journal > 0)
            && growth_fits(old.journal, reserved);
        let journal = if keeps_journal { old.journal } else { anew.journal };
        let most = most_inodes_per_group(groups, first.geometry.gdt + reserved);
        let inodes_per_group = first.geometry.inodes_per_group;
        let kept = inodes_per_group.max(old.inodes_per_group);
        let inodes_per_group = if u64::from(kept) <= most { kept } else { inodes_per_group };
        Some(Geometry { inodes_per_group, journal, ..first.geometry })
    }

    /// Finds the smallest sufficient geometry.
    fn smallest(&self) -> Result<Geometry, LayoutError> {
        let stored = self.inventory.least_blocks().saturating_add(self.free_blocks);
        let mut groups =
            stored.div_ceil(BLOCKS_PER_GROUP).max(self.inodes.div_ceil(MAX_INODES_PER_GROUP)).max(1);
        loop {
            let Some(candidate) = self.weigh(groups, None)? else {
                groups += 1;
                continue;
            };
            let available = groups * BLOCKS_PER_GROUP;
            if candidate.needed <= available {
                candidate.accept(self.options)?;
                return self.trim(&candidate);
            }
            // Rounding up inode tables makes a count of groups differ from the next by two blocks a group at most,
            // so no size in between is skipped.
            let at_least = (candidate.needed - (2 * groups).min(candidate.needed)).div_ceil(BLOCKS_PER_GROUP);
            groups = at_least.max(groups + 1);
        }
    }

    /// Shortens the last group to what is needed, but not below its own metadata.
    fn trim(&self, candidate: &Candidate) -> Result<Geometry, LayoutError> {
        let geometry =
            Geometry { blocks: shortest(&candidate.geometry, candidate.needed), ..candidate.geometry };
        let journal = self.journal(geometry.blocks, geometry.reserved_gdt);
        if journal <= geometry.journal {
            return Ok(geometry);
        }
        // The metadata of the last group made the file system long enough for a longer journal.
        match self.weigh(u64::from(geometry.groups), Some(journal))? {
            Some(longer) if longer.needed <= u64::from(geometry.groups) * BLOCKS_PER_GROUP => {
                Ok(Geometry { blocks: shortest(&longer.geometry, longer.needed), ..longer.geometry })
            }
            _ => Ok(geometry),
        }
    }

    /// Finds the geometry for a fixed size.
    fn fixed(&self, size: u64) -> Result<Geometry, LayoutError> {
        if let Some(geometry) = self.fitting(size)? {
            return Ok(geometry);
        }
        let needed = self.smallest_fixed(size)?;
        Err(LayoutError::SizeTooSmall { size, needed, free_space: self.options.free_space })
    }

    /// The geometry for a fixed size; `None` if that is too small.
    fn fitting(&self, size: u64) -> Result<Option<Geometry>, LayoutError> {
        let blocks = size / BLOCK_SIZE;
        let mut groups = blocks.div_ceil(BLOCKS_PER_GROUP);
        while groups > 0 {
            let Some(candidate) = self.weigh_fixed(groups, blocks)? else { break };
            let geometry = Geometry { blocks: blocks.min(groups * BLOCKS_PER_GROUP), ..candidate.geometry };
            candidate.accept(self.options)?;
            if shortest(&geometry, 0) <= geometry.blocks {
                return Ok(Some(geometry));
            }
            // The last group is too short for its own metadata; like mke2fs, leave it out.
            groups -= 1;
        }
        Ok(None)
    }

    /// The smallest fixed size above `size` that is sufficient, in \[bytes\]. A fixed size may have a shorter journal than the
    /// default one, so it can be below the size of the smallest file system with that.
    fn smallest_fixed(&self, size: u64) -> Result<u64, LayoutError> {
        let with_default = self.smallest()?.blocks.saturating_mul(BLOCK_SIZE);
        if self.options.journal_size.is_some() {
            return Ok(with_default);
        }
        let with_journal = |journal: u64| {
            let options = Options { journal_size: Some(journal * BLOCK_SIZE), ..self.options.clone() };
            let bytes =
                Task { options: &options, ..*self }.smallest().ok()?.blocks.checked_mul(BLOCK_SIZE)?;
            let is_sufficient = bytes > size && matches!(self.fitting(bytes), Ok(Some(_)));
            is_sufficient.then_some(bytes)
        };
        let shorter = std::iter::once(0).chain(JOURNALS).filter_map(with_journal).min();
        Ok(shorter.map_or(with_default, |shorter| shorter.min(with_default)))
    }

    /// Tries the groups of a fixed size; `None` if they are too small. If the default journal of such a size
    /// does not fit, tries shorter ones.
    fn weigh_fixed(&self, groups: u64, blocks: u64) -> Result<Option<Candidate>, LayoutError> {
        let room = blocks.min(groups * BLOCKS_PER_GROUP);
        let Some(first) = self.weigh_for(groups, self.journal(blocks, 0))? else { return Ok(None) };
        let reserved = first.geometry.reserved_gdt;
        let usual = self.journal(blocks, reserved);
        let shorter = JOURNALS.into_iter().rev().filter(|&journal| {
            self.options.journal_size.is_none() && journal < usual && growth_fits(journal, reserved)
        });
        for journal in std::iter::once(usual).chain(shorter) {
            match self.weigh_for(groups, journal)? {
                Some(candidate) if candidate.needed <= room => return Ok(Some(candidate)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Tries a number of groups; `None` if they can't have enough inodes. The journal has at least `journal` \[blocks\].
    fn weigh(&self, groups: u64, journal: Option<u64>) -> Result<Option<Candidate>, LayoutError> {
        let mut journal = journal.unwrap_or_else(|| self.journal(0, 0));
        loop {
            let Some(candidate) = self.weigh_for(groups, journal)? else {
                return Ok(None);
            };
            // A longer journal makes the file system longer, which can require a longer journal, but never a shorter one.
            let wanted = self.journal(candidate.needed, candidate.geometry.reserved_gdt);
            if wanted <= journal {
                return Ok(Some(candidate));
            }
            journal = wanted;
        }
    }

    fn weigh_for(&self, groups: u64, journal: u64) -> Result<Option<Candidate>, LayoutError> {
        let compatibility = self.options.compatibility;
        if groups > compatibility.most_groups() {
            let bytes = groups.saturating_mul(BLOCKS_PER_GROUP * BLOCK_SIZE);
            return Err(LayoutError::TooLarge { bytes, compatibility });
        }
        let gdt = groups.div_ceil(compatibility.descriptors_per_block());
        let (reserved_gdt, out_of_reach) = self.reserved_gdt(groups, gdt);
        let Some(inodes_per_group) = self.inodes_per_group(groups, gdt + reserved_gdt) else {
            return Ok(None);
        };
        let geometry = Geometry {
            blocks: groups * BLOCKS_PER_GROUP,
            groups: narrow(groups, "more than `most_groups` are refused above"),
            inodes_per_group,
            gdt,
            reserved_gdt,
            journal,
        };
        let space = DataSpace::of(&geometry);
        let before = own_blocks(&geometry, &space);
        let stored = before + self.inventory.blocks_from(DataNr(before), &space);
        // The overhead includes the journal's blocks, which `before` has already.
        let needed = (geometry.overhead() - journal).saturating_add(stored).saturating_add(self.free_blocks);
        Ok(Some(Candidate { geometry, needed, out_of_reach }))
    }

    /// The length in \[blocks\] of the journal of a file system with this number of blocks and reserved descriptor blocks.
    fn journal(&self, blocks: u64, reserved_gdt: u64) -> u64 {
        if let Some(size) = self.options.journal_size {
            return size / BLOCK_SIZE;
        }
        match default_journal(blocks) {
            0 => 0,
            usual => usual.max(shortest_for_growth(reserved_gdt)),
        }
    }

    /// The number of descriptor blocks to reserve for growing to `grow_to`, and the reachable size if that is smaller.
    fn reserved_gdt(&self, groups: u64, gdt: u64) -> (u64, Option<u64>) {
        let Some(target) = self.options.grow_to else { return (0, None) };
        let target_groups = (target / BLOCK_SIZE).div_ceil(BLOCKS_PER_GROUP);
        if target_groups < groups {
            return (0, None);
        }
        let compatibility = self.options.compatibility;
        let wanted = target_groups.div_ceil(compatibility.descriptors_per_block());
        let blocks_each = compatibility.descriptors_per_block() * BLOCKS_PER_GROUP;
        // Like mke2fs: with blocks past 2^32, there is no resize inode.
        let reachable = (gdt + MAX_RESERVED_GDT).min(MAX_GROWTH_BLOCKS / blocks_each);
        let most_blocks = compatibility.most_groups() * BLOCKS_PER_GROUP;
        if target_groups > compatibility.most_groups() || wanted > reachable {
            let bytes = (reachable * blocks_each).min(most_blocks) * BLOCK_SIZE;
            return (reachable.saturating_sub(gdt), Some(bytes));
        }
        // At least one: Linux converts a file system without a resize inode to meta_bg when it grows.
        (wanted.saturating_sub(gdt).max(1), None)
    }

    /// The inodes per group for density and promise, in whole blocks of the table; `None` if that is too many.
    fn inodes_per_group(&self, groups: u64, descriptor_blocks: u64) -> Option<u32> {
        let per_block = u64::from(INODES_PER_BLOCK);
        let limit = most_inodes_per_group(groups, descriptor_blocks);
        let needed = self.inodes.div_ceil(groups).next_multiple_of(per_block);
        let wanted = needed.max(self.density().next_multiple_of(per_block).min(limit));
        (needed <= limit).then(|| narrow(wanted, "`most_inodes_per_group` is less than 2^32"))
    }

    /// Number of inodes for a group of 128 MiB, by `bytes_per_inode`.
    fn density(&self) -> u64 {
        (BLOCKS_PER_GROUP * BLOCK_SIZE).div_ceil(self.options.bytes_per_inode.max(1))
    }

    fn warnings(&self, geometry: &Geometry) -> Vec<LayoutWarning> {
        let mut warnings = Vec::new();
        if u64::from(geometry.inodes_per_group) < self.density() {
            let possible = (BLOCKS_PER_GROUP * BLOCK_SIZE).div_ceil(u64::from(geometry.inodes_per_group));
            let bytes_per_inode = self.options.bytes_per_inode;
            warnings.push(LayoutWarning::InodesPerGroup { bytes_per_inode, possible });
        }
        if !growth_fits(geometry.journal, geometry.reserved_gdt) {
            warnings.push(LayoutWarning::JournalTooShortToGrow {
                journal: geometry.journal * BLOCK_SIZE,
                needed: shortest_for_growth(geometry.reserved_gdt) * BLOCK_SIZE,
            });
        }
        let blocks = self.options.size.map_or(geometry.blocks, |size| size / BLOCK_SIZE);
        if geometry.blocks < blocks {
            warnings.push(LayoutWarning::UnusedEnd { bytes: (blocks - geometry.blocks) * BLOCK_SIZE });
        }
        warnings
    }
}

/// Whether Linux can grow a file system online with this journal and reserve. It adds groups in one transaction that
/// may change every reserved block, and a transaction may take a quarter of the journal, minus its own descriptors
/// (`ext4_flex_group_add`, `jbd2_max_user_trans_buffers`; tested on both sides of the limit). Without a journal
/// there is no such limit.
fn growth_fits(journal: u64, reserved_gdt: u64) -> bool {
    const OTHER_BLOCKS: u64 = 8;
    journal == 0 || (journal / 4).saturating_sub(journal / 1000 + OTHER_BLOCKS) >= reserved_gdt + OTHER_BLOCKS
}

/// The shortest usual journal length with which a file system can grow, in \[blocks\].
fn shortest_for_growth(reserved_gdt: u64) -> u64 {
    let fits = |&journal: &u64| growth_fits(journal, reserved_gdt);
    JOURNALS.into_iter().find(fits).expect("invariant: 32 MiB of journal do for `MAX_RESERVED_GDT`")
}

/// Maximum number of inodes in a group: the tables of sixteen groups must fit into the first of them.
fn most_inodes_per_group(groups: u64, descriptor_blocks: u64) -> u64 {
    let sharing = groups.min(u64::from(GROUPS_PER_FLEX));
    let room = BLOCKS_PER_GROUP.saturating_sub(1 + descriptor_blocks) / sharing;
    let per_block = u64::from(INODES_PER_BLOCK);
    let numbered = u64::from(u32::MAX) / groups / per_block * per_block;
    (room.saturating_sub(2) * per_block).min(MAX_INODES_PER_GROUP).min(numbered)
}

/// Number of blocks in data space of the resize inode and the journal.
pub(crate) fn own_blocks(geometry: &Geometry, space: &DataSpace) -> u64 {
    let resize = u64::from(geometry.reserved_gdt > 0);
    resize + Extents::at(DataNr(resize), Map::Dense(geometry.journal), space).blocks()
}

/// The minimum length, at least `needed`, with which the last group has room for its own metadata. Without this rule,
/// e2fsck accepts the file system, but the kernel can't grow it.
fn shortest(geometry: &Geometry, needed: u64) -> u64 {
    let last = GroupNr(geometry.groups - 1);
    let start = last.first_block().0;
    let mut tail = 1;
    if has_superblock(last) {
        tail = tail.max(geometry.super_blocks());
    }
    if last.0.is_multiple_of(GROUPS_PER_FLEX) {
        tail = tail.max(geometry.island(last).end - start);
    }
    needed.max(start + tail)
}

#[cfg(test)]
mod tests;
