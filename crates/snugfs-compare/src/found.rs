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

/// Maximum number of entries that are read from an image, if its tree should have `expected` entries.
pub(crate) fn max_entries(expected: usize) -> usize {
    expected.saturating_mul(2).saturating_add(1 << 20)
}

/// Maximum number of runs of all files, which can share blocks. Each takes 24 bytes of memory. Images made by snugfs have less
/// than two for each file.
const MAX_RUNS: usize = 16 << 20;

/// Collects the runs of the files of an image.
#[derive(Debug)]
pub(crate) struct FileRuns {
    pub(crate) runs: Vec<Run>,
    pub(crate) ranges: Vec<Option<RunRange>>,
    most: usize,
}

impl Default for FileRuns {
    fn default() -> Self {
        Self { runs: Vec::new(), ranges: Vec::new(), most: MAX_RUNS }
    }
}

impl FileRuns {
    /// Adds the runs of a file, and returns its source for the tree. Above the limit, the location of the file is unknown.
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
        let is_known = self.runs.len() <= self.most;
        if !is_known {
            self.runs.truncate(start);
        }
        self.ranges.push(is_known.then_some(start..self.runs.len()));
        FileSource::Inline(u32::try_from(self.ranges.len() - 1).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;

    use image_reader::ReadAt;
    use image_tree::{Metadata, Name, Permissions, Timestamp, TreeWriter, to_u64, to_usize};

    /// An image in memory.
    #[derive(Debug)]
    pub(crate) struct Memory(Vec<u8>);

    impl ReadAt for Memory {
        fn length(&self) -> u64 {
            to_u64(self.0.len())
        }

        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            let at = to_usize(offset);
            buffer.copy_from_slice(self.0.get(at..at + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    impl Memory {
        pub(crate) fn window(bytes: Vec<u8>) -> Window {
            Window::whole(Arc::new(Self(bytes)))
        }
    }

    /// Reads a file to its end, a few bytes at a time.
    pub(crate) fn read(mut file: FileBytes<'_>, size: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut buffer = [0xaa; 3];
        loop {
            let read = file.read(&mut buffer).unwrap();
            if read == 0 {
                return bytes;
            }
            bytes.extend(&buffer[..read]);
            assert!(bytes.len() <= size, "a file ends after its length");
        }
    }

    fn run(at: u64, length: u64, from: u64) -> Run {
        Run { at, length, from }
    }

    /// A tree with a file for each list of runs, all of this length, in an image with the bytes 0 to 99.
    fn image(files: &[&[Run]], size: u64, most: usize) -> FoundTree {
        let metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
        let metadata = writer.metadata(&metadata);
        let mut all = FileRuns { most, ..FileRuns::default() };
        for (number, runs) in files.iter().enumerate() {
            let source = all.add(runs.iter().copied());
            writer.file(Name::new(format!("{number}").as_bytes()).unwrap(), metadata, size, source).unwrap();
        }
        FoundTree {
            tree: writer.finish(),
            inodes: vec![2, 13],
            runs: all.runs,
            ranges: all.ranges,
            window: Memory::window((0..100).collect()),
            cut_short: None,
        }
    }

    fn node(index: usize) -> NodeId {
        NodeId::from_index(index).unwrap()
    }

    #[test]
    fn files_consist_of_their_runs_and_zeros() {
        let cases: [(&[Run], [u8; 10]); 5] = [
            (&[], [0; 10]),
            // The last run goes past the end of the file.
            (&[run(0, 16, 40)], [40, 41, 42, 43, 44, 45, 46, 47, 48, 49]),
            (&[run(2, 3, 40)], [0, 0, 40, 41, 42, 0, 0, 0, 0, 0]),
            (&[run(0, 2, 40), run(4, 2, 20), run(6, 2, 80)], [40, 41, 0, 0, 20, 21, 80, 81, 0, 0]),
            (&[run(0, 4, 40), run(4, 4, 44), run(8, 4, 20)], [40, 41, 42, 43, 44, 45, 46, 47, 20, 21]),
        ];
        let found = image(&cases.map(|(runs, _)| runs), 10, MAX_RUNS);
        for (number, (runs, bytes)) in cases.iter().enumerate() {
            assert_eq!(read(found.open(node(number + 1)).unwrap(), 10), bytes, "{runs:?}");
        }
    }

    #[test]
    fn only_files_can_be_opened() {
        assert!(image(&[], 0, MAX_RUNS).open(NodeId::ROOT).is_err());
    }

    #[test]
    fn holes_reach_to_the_next_run_or_the_end() {
        let found = image(&[&[run(2, 3, 40), run(5, 1, 20), run(8, 1, 80)]], 12, MAX_RUNS);
        let mut file = found.open(node(1)).unwrap();
        for (at, hole) in [2, 1, 0, 0, 0, 0, 2, 1, 0, 3, 2, 1, 0].into_iter().enumerate() {
            assert_eq!(file.hole(), hole, "{at}");
            file.skip(1);
        }
        // A run after the end of the file belongs to no byte of it.
        let found = image(&[&[run(16, 4, 40)]], 10, MAX_RUNS);
        assert_eq!(found.open(node(1)).unwrap().hole(), 10);
    }

    #[test]
    fn reading_goes_on_after_skipped_bytes() {
        let found = image(&[&[run(0, 10, 40)]], 10, MAX_RUNS);
        let mut file = found.open(node(1)).unwrap();
        file.skip(4);
        assert_eq!(read(file, 6), [44, 45, 46, 47, 48, 49]);
    }

    #[test]
    fn runs_are_joined_only_if_consecutive_in_file_and_image() {
        for (second, count) in
            [(run(4, 4, 44), 1), (run(4, 4, 50), 2), (run(6, 4, 44), 2), (run(6, 4, 50), 2)]
        {
            let mut files = FileRuns::default();
            files.add([run(0, 4, 40), second].into_iter());
            assert_eq!(files.runs.len(), count, "{second:?}");
        }
        // Runs of different files stay apart.
        let mut files = FileRuns::default();
        files.add([run(0, 4, 40)].into_iter());
        files.add([run(4, 4, 44)].into_iter());
        assert_eq!((files.runs.len(), files.ranges), (2, vec![Some(0..1), Some(1..2)]));
    }

    #[test]
    fn files_above_the_limit_of_runs_are_not_read() {
        let two = [run(0, 1, 40), run(2, 1, 50)];
        let found = image(&[&two, &two, &[run(0, 1, 60)], &[run(0, 1, 70)]], 3, 3);
        assert_eq!(read(found.open(node(1)).unwrap(), 3), [40, 0, 50]);
        assert!(found.open(node(2)).is_err(), "would have runs 3 and 4");
        assert_eq!(read(found.open(node(3)).unwrap(), 3), [60, 0, 0]);
        assert!(found.open(node(4)).is_err());
    }

    #[test]
    fn without_inodes_their_number_is_zero() {
        let found = image(&[&[], &[]], 0, MAX_RUNS);
        assert_eq!([0, 1, 2].map(|index| found.inode(node(index))), [2, 13, 0]);
    }
}
