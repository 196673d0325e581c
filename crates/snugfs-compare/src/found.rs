//! The tree of an image, and the location of its files' bytes.

use std::io::{self, Read};

use image_reader::{Run, Window};
use image_tree::{FileSource, FileTree, NodeId, NodeKind};

/// The runs of one file, as a range in [`FoundTree::runs`].
pub(crate) type RunRange = std::ops::Range<usize>;

/// The contents of an image.
#[derive(Debug)]
pub struct FoundTree {
    /// The tree. Its contents can be read only by [`Self::open`].
    pub tree: FileTree,
    pub(crate) inodes: Vec<u32>,
    pub(crate) runs: Vec<Run>,
    /// The runs of each file, by its number in the tree ([`FileSource::Inline`]); `None` if unknown.
    pub(crate) ranges: Vec<Option<RunRange>>,
    pub(crate) window: Window,
    /// Why the tree is incomplete, if it is.
    pub cut_short: Option<String>,
}

impl FoundTree {
    /// The inode of a name; 0 if the file system has no inodes.
    pub fn inode(&self, node: NodeId) -> u32 {
        self.inodes.get(node.index()).copied().unwrap_or(0)
    }

    /// Opens a regular file for reading.
    pub fn open(&self, node: NodeId) -> io::Result<FileBytes<'_>> {
        let node = self.tree.resolve(node);
        let place = match self.tree.node(node).kind() {
            NodeKind::File { size, source: FileSource::Inline(number) } => usize::try_from(number)
                .ok()
                .and_then(|number| self.ranges.get(number)?.clone())
                .and_then(|place| Some((size, self.runs.get(place)?))),
            _ => None,
        };
        let (size, runs) = place.ok_or_else(|| {
            io::Error::other("the location of its contents is unknown; see the other problems")
        })?;
        Ok(FileBytes { runs, window: &self.window, at: 0, size })
    }
}

/// A reader of a file in an image. Holes read as zeros.
#[derive(Debug)]
pub struct FileBytes<'f> {
    runs: &'f [Run],
    window: &'f Window,
    at: u64,
    size: u64,
}

impl FileBytes<'_> {
    /// Length in \[bytes\] of the hole at the current position; 0 if there is none.
    pub fn hole(&self) -> u64 {
        let next = self.runs.iter().find(|run| run.at.saturating_add(run.length) > self.at);
        next.map_or(self.size, |run| run.at.min(self.size)).saturating_sub(self.at)
    }

    /// Skips this number of \[bytes\].
    pub fn skip(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
    }
}

impl Read for FileBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.runs.first().is_some_and(|run| run.at.saturating_add(run.length) <= self.at) {
            self.runs = self.runs.get(1..).unwrap_or_default();
        }
        let (from, end) = match self.runs.first() {
            Some(run) if run.at <= self.at => {
                (Some(run.from.saturating_add(self.at - run.at)), run.at.saturating_add(run.length))
            }
            Some(run) => (None, run.at),
            None => (None, u64::MAX),
        };
        let left = end.min(self.size).saturating_sub(self.at);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..length) else { return Ok(0) };
        match from {
            Some(from) => self.window.read(from, buffer)?,
            None => buffer.fill(0),
        }
        self.at += u64::try_from(length).unwrap_or(0);
        Ok(length)
    }
}

/// Collects the runs of the files of an image.
#[derive(Debug, Default)]
pub(crate) struct FileRuns {
    pub(crate) runs: Vec<Run>,
    pub(crate) ranges: Vec<Option<RunRange>>,
}

/// Maximum number of runs in memory. Images made by snugfs have less than two for each file.
const MAX_RUNS: usize = 16 << 20;

impl FileRuns {
    /// Adds the runs of a file, and returns its source for the tree.
    pub(crate) fn add(&mut self, runs: impl Iterator<Item = Run>) -> FileSource {
        let start = self.runs.len();
        for run in runs {
            match self.runs.get_mut(start..).and_then(<[_]>::last_mut) {
                Some(last)
                    if last.at.checked_add(last.length) == Some(run.at)
                        && last.from.checked_add(last.length) == Some(run.from) =>
                {
                    last.length = last.length.saturating_add(run.length);
                }
                _ => self.runs.push(run),
            }
        }
        let is_known = self.runs.len() <= MAX_RUNS;
        if !is_known {
            self.runs.truncate(start);
        }
        self.ranges.push(is_known.then_some(start..self.runs.len()));
        FileSource::Inline(u32::try_from(self.ranges.len() - 1).unwrap_or(u32::MAX))
    }
}
