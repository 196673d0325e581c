//! Data space: the blocks of the file system that are not fixed metadata, numbered without gaps.
//!
//! What is stored fills data space from 0 upwards. An allocation is therefore just a start and a length; where the islands
//! of fixed metadata cut it into several extents is looked up here.

use crate::geometry::Geometry;
use crate::units::{BlockNr, DataNr, GroupNr};
use ext4_ondisk::extent::MAX_EXTENT;

/// Blocks that follow one another on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockRun {
    pub(crate) start: BlockNr,
    /// In \[blocks\], at least 1.
    pub(crate) len: u64,
}

/// The map between data space and the file system.
#[derive(Debug)]
pub(crate) struct DataSpace {
    /// Ascending in both, the last one reaching to the end of the file system.
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    data: DataNr,
    block: BlockNr,
    len: u64,
}

impl DataSpace {
    /// Everything between the islands of a geometry.
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

    /// How many blocks there are.
    pub(crate) fn len(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.data.0 + run.len)
    }

    fn run_at(&self, data: DataNr) -> usize {
        self.runs.partition_point(|run| run.data <= data).saturating_sub(1)
    }

    /// Where a block of data space is on disk.
    pub(crate) fn block(&self, data: DataNr) -> BlockNr {
        let run = self.runs.get(self.run_at(data)).filter(|run| data.0 - run.data.0 < run.len);
        let run = run.expect("invariant: the solver makes data space as long as what is placed in it");
        run.block.plus(data.0 - run.data.0)
    }

    /// Which block of data space a block on disk is, if it is one.
    pub(crate) fn data(&self, block: BlockNr) -> Option<DataNr> {
        let run = self.runs.get(self.runs.partition_point(|run| run.block <= block).checked_sub(1)?)?;
        let inside = block.0 - run.block.0;
        (inside < run.len).then(|| run.data.plus(inside))
    }

    /// The runs on disk of a stretch of data space, as long as they can be; past its end there are none.
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
            // Nothing is left past the end: a geometry that is too small, as the solver weighs some.
            let room = run.len.checked_sub(inside).filter(|&room| room > 0)?;
            let len = left.min(room);
            (index, at, left) = (index + 1, at.plus(len), left - len);
            Some(BlockRun { start: run.block.plus(inside), len })
        })
    }

    /// The same, cut to the lengths that an extent can have.
    pub(crate) fn extents(&self, start: DataNr, len: u64) -> impl Iterator<Item = BlockRun> + '_ {
        let longest = u64::from(MAX_EXTENT);
        self.runs(start, len).flat_map(move |run| {
            (0..run.len.div_ceil(longest)).map(move |i| BlockRun {
                start: run.start.plus(i * longest),
                len: longest.min(run.len - i * longest),
            })
        })
    }

    /// How many extents a stretch of data space takes.
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
        assert_eq!(space.extent_count(DataNr(space.len() + 7), 10), 0);
    }
}
