//! Data space: the blocks of the file system that are not fixed metadata, numbered without gaps.
//!
//! Contents fill data space from 0 upwards, so an allocation is only a start and a length. This module finds the extents
//! into which islands of fixed metadata split it.

use crate::geometry::Geometry;
use crate::units::{BlockNr, DataNr, GroupNr};
use ext4_ondisk::extent::MAX_EXTENT;

/// Consecutive blocks on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockRun {
    pub(crate) start: BlockNr,
    /// Length in \[blocks\], at least 1.
    pub(crate) len: u64,
}

/// The map between data space and the file system.
#[derive(Debug)]
pub(crate) struct DataSpace {
    /// Ascending in data space and on disk, none empty. The last one ends with the file system.
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    data: DataNr,
    block: BlockNr,
    len: u64,
}

impl DataSpace {
    /// The data space of a geometry: all blocks between its islands.
    pub(crate) fn of(geometry: &Geometry) -> Self {
        let mut runs = Vec::new();
        let mut data = DataNr(0);
        let mut at = 0;
        let islands =
            (0..geometry.groups).map(|group| geometry.island(GroupNr(group))).filter(|i| !i.is_empty());
        for island in islands.chain(std::iter::once(geometry.blocks..geometry.blocks)) {
            if island.start > at {
                let len = island.start - at;
                runs.push(Run { data, block: BlockNr(at), len });
                data = data.plus(len);
            }
            at = at.max(island.end);
        }
        Self { runs }
    }

    /// Length of data space in \[blocks\].
    pub(crate) fn len(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.data.0 + run.len)
    }

    fn run_at(&self, data: DataNr) -> usize {
        self.runs.partition_point(|run| run.data <= data).saturating_sub(1)
    }

    /// The block on disk of a block of data space.
    pub(crate) fn block(&self, data: DataNr) -> BlockNr {
        let run = self.runs.get(self.run_at(data)).filter(|run| data.0 - run.data.0 < run.len);
        let run = run.expect("invariant: the solver makes data space as long as what is placed in it");
        run.block.plus(data.0 - run.data.0)
    }

    /// The block of data space of a block on disk; `None` for fixed metadata.
    pub(crate) fn data(&self, block: BlockNr) -> Option<DataNr> {
        let run = self.runs.get(self.runs.partition_point(|run| run.block <= block).checked_sub(1)?)?;
        let inside = block.0 - run.block.0;
        (inside < run.len).then(|| run.data.plus(inside))
    }

    /// Number of blocks of data space before a block on disk.
    pub(crate) fn before(&self, block: BlockNr) -> u64 {
        let index = self.runs.partition_point(|run| run.block <= block);
        let run = index.checked_sub(1).and_then(|index| self.runs.get(index));
        run.map_or(0, |run| run.data.0 + (block.0 - run.block.0).min(run.len))
    }

    /// The runs on disk of a range of data space, as long as possible. There are none after the end.
    pub(crate) fn runs(&self, start: DataNr, len: u64) -> impl Iterator<Item = BlockRun> + '_ {
        let mut index = self.run_at(start);
        let mut at = start;
        let mut left = len;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let run = self.runs.get(index)?;
            let inside = at.0 - run.data.0;
            // After the end: the geometry is too small, as some that the solver tries.
            let room = run.len.checked_sub(inside).filter(|&room| room > 0)?;
            let len = left.min(room);
            (index, at, left) = (index + 1, at.plus(len), left - len);
            Some(BlockRun { start: run.block.plus(inside), len })
        })
    }

    /// The same, split to the maximum length of an extent.
    pub(crate) fn extents(&self, start: DataNr, len: u64) -> impl Iterator<Item = BlockRun> + '_ {
        let longest = u64::from(MAX_EXTENT);
        self.runs(start, len).flat_map(move |run| {
            (0..run.len.div_ceil(longest)).map(move |i| BlockRun {
                start: run.start.plus(i * longest),
                len: longest.min(run.len - i * longest),
            })
        })
    }

    /// Number of extents of a range of data space.
    pub(crate) fn extent_count(&self, start: DataNr, len: u64) -> u64 {
        self.runs(start, len).map(|run| run.len.div_ceil(MAX_EXTENT.into())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> DataSpace {
        DataSpace::of(&Geometry {
            blocks: 100_000,
            groups: 4,
            inodes_per_group: 8192,
            gdt: 1,
            reserved_gdt: 127,
            journal: 0,
        })
    }

    #[test]
    fn data_space_has_no_gaps_and_no_metadata() {
        let space = space();
        let first = 129 + 4 * 514;
        assert_eq!(space.block(DataNr(0)), BlockNr(first));
        assert_eq!(space.len(), 100_000 - first - 2 * 129);
        for data in [0, 1, 30_000, 32_768 - first - 1, 32_768 - first, 95_000] {
            assert_eq!(space.data(space.block(DataNr(data))), Some(DataNr(data)));
        }
        assert_eq!(space.data(BlockNr(32_768)), None);
        assert_eq!(space.data(BlockNr(100_000)), None);
        assert!(space.runs.iter().all(|run| run.len > 0));
        assert_eq!(space.block(DataNr(32_768 - first)), BlockNr(32_768 + 129));
    }

    #[test]
    fn islands_and_the_longest_extent_cut_runs() {
        let space = space();
        let runs: Vec<_> = space.runs(DataNr(0), 97_000).collect();
        assert_eq!(runs.len(), 3);
        assert_eq!(runs.iter().map(|r| r.len).sum::<u64>(), 97_000);
        assert_eq!(space.extents(DataNr(0), 97_000).count(), 4);
        assert_eq!(space.extent_count(DataNr(0), 97_000), 4);
        assert_eq!(space.extent_count(DataNr(5), 0), 0);
        assert_eq!(space.runs(DataNr(space.len() - 1), 10).map(|run| run.len).sum::<u64>(), 1);
        assert_eq!(space.runs(DataNr(space.len()), 10).count(), 0);
        assert_eq!(space.extent_count(DataNr(space.len() + 7), 10), 0);
    }

    #[test]
    #[should_panic(expected = "invariant: the solver makes data space as long as what is placed in it")]
    fn no_block_is_after_the_end() {
        let space = space();
        space.block(DataNr(space.len()));
    }
}
