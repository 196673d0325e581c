//! The tree of an image, and where the bytes of its files lie.

use std::io::{self, Read};

use image_reader::{Run, Window};
use image_tree::{FileSource, FileTree, NodeId, NodeKind};

/// Where the bytes of one file lie.
pub(crate) type Place = std::ops::Range<usize>;

/// What an image holds.
#[derive(Debug)]
pub struct FoundTree {
    /// The tree. Contents are read by [`Self::open`], and by nothing else.
    pub tree: FileTree,
    pub(crate) inodes: Vec<u32>,
    pub(crate) runs: Vec<Run>,
    /// By the number that stands for the contents in the tree; `None` where they are not known.
    pub(crate) places: Vec<Option<Place>>,
    pub(crate) window: Window,
    /// Why the tree is not all that the image has, if it is not.
    pub cut_short: Option<String>,
}

impl FoundTree {
    /// The inode of a name; 0 where the file system has none.
    pub fn inode(&self, node: NodeId) -> u32 {
        self.inodes.get(node.index()).copied().unwrap_or(0)
    }

    /// The bytes of a regular file, from its start.
    pub fn open(&self, node: NodeId) -> io::Result<FileBytes<'_>> {
        let node = self.tree.resolve(node);
        let place = match self.tree.node(node).kind() {
            NodeKind::File { size, source: FileSource::Inline(number) } => usize::try_from(number)
                .ok()
                .and_then(|number| self.places.get(number)?.clone())
                .and_then(|place| Some((size, self.runs.get(place)?))),
            _ => None,
        };
        let (size, runs) = place
            .ok_or_else(|| io::Error::other("where its contents are is not known; see the other problems"))?;
        Ok(FileBytes { runs, window: &self.window, at: 0, size })
    }
}

/// The bytes of a file of an image, in order; holes are zeros.
#[derive(Debug)]
pub struct FileBytes<'f> {
    runs: &'f [Run],
    window: &'f Window,
    at: u64,
    size: u64,
}

impl FileBytes<'_> {
    /// How many \[bytes\] from here on are a hole.
    pub fn hole(&self) -> u64 {
        let behind = self.runs.iter().find(|run| run.at.saturating_add(run.length) > self.at);
        behind.map_or(self.size, |run| run.at.min(self.size)).saturating_sub(self.at)
    }

    /// Goes on so many \[bytes\] behind here.
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

/// Collects where the files of an image lie.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) runs: Vec<Run>,
    pub(crate) places: Vec<Option<Place>>,
}

/// So many pieces of files are kept in memory; an image that snugfs made has less than two for each file.
const MOST_RUNS: usize = 16 << 20;

impl Places {
    /// Keeps the runs of a file, and gives what stands for them in a tree.
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
        let is_known = self.runs.len() <= MOST_RUNS;
        if !is_known {
            self.runs.truncate(start);
        }
        self.places.push(is_known.then_some(start..self.runs.len()));
        FileSource::Inline(u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX))
    }
}
