//! Reads the tree of a FAT file system: names, lengths and locations of bytes. FAT has no owners and no inodes.

use image_reader::{Contents, Entry, FileSystem, Node, ReadError};
use image_tree::{
    Metadata, MetadataId, Name, NodeId, Permissions, Timestamp, TreeError, TreeWriter, escaped,
};

use crate::found::FileRuns;
use crate::{Differences, FoundTree, Kind};

/// Maximum number of runs of all files, which can share clusters. Each takes 24 bytes of memory.
const MAX_RUNS: usize = 1 << 24;

/// Reads a FAT file system. What can't be read is a difference. A tree of far more entries than `expected` is cut
/// short.
pub fn fat_tree(
    fs: &FileSystem,
    expected: usize,
    differences: &mut Differences,
) -> Result<FoundTree, ReadError> {
    let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let plain = writer.metadata(&metadata);
    let mut walk = Walk { fs, writer, plain, files: FileRuns::default() };
    let most = expected.saturating_mul(2).saturating_add(1 << 20);
    let mut cut_short = None;
    let mut visits = fs.visits();
    let (entries, errors) = visits.entries(fs, &fs.root()?)?;
    add_errors(errors, "/", differences);
    let mut listed = entries.len();
    let mut open = vec![entries.into_iter()];
    while let Some(entries) = open.last_mut() {
        let Some(entry) = entries.next() else {
            open.pop();
            if !open.is_empty() {
                walk.writer.end_directory();
            }
            continue;
        };
        // The entries of all open directories are in memory, and directories can share clusters.
        if listed > most {
            cut_short = Some(format!("has more than {most} entries; the rest is not compared"));
            break;
        }
        if walk.files.runs.len() > MAX_RUNS {
            cut_short = Some(format!("has more than {MAX_RUNS} extents; the rest is not compared"));
            break;
        }
        let shown = escaped(&entry.name).to_string();
        match walk.add(&entry) {
            Ok(Some(directory)) => match visits.entries(fs, &directory) {
                Ok((entries, errors)) => {
                    add_errors(errors, &shown, differences);
                    listed = listed.saturating_add(entries.len());
                    open.push(entries.into_iter());
                }
                Err(error) => {
                    add_errors(vec![error], &shown, differences);
                    open.push(Vec::new().into_iter());
                }
            },
            Ok(None) => {}
            Err(text) => differences.add(Kind::FatUnreadable, || (shown, text)),
        }
    }
    Ok(FoundTree {
        tree: walk.writer.finish(),
        inodes: Vec::new(),
        runs: walk.files.runs,
        ranges: walk.files.ranges,
        window: fs.window().clone(),
        cut_short,
    })
}

fn add_errors(errors: Vec<ReadError>, place: &str, differences: &mut Differences) {
    for error in errors {
        differences.add(Kind::FatUnreadable, || (place.to_owned(), error.to_string()));
    }
}

struct Walk<'f> {
    fs: &'f FileSystem,
    writer: TreeWriter,
    plain: MetadataId,
    files: FileRuns,
}

impl Walk<'_> {
    /// Writes an entry. If it is a directory, opens and returns it.
    fn add(&mut self, entry: &Entry) -> Result<Option<Node>, String> {
        let node = self.fs.node(entry).map_err(|error| error.to_string())?;
        let name = Name::new(&entry.name).map_err(|error| error.to_string())?;
        let tree = |outcome: Result<NodeId, TreeError>| {
            outcome.map_err(|_| "another entry has the same name".to_owned())
        };
        if node.is_directory() {
            tree(self.writer.begin_directory(name, self.plain))?;
            return Ok(Some(node));
        }
        let runs = match self.fs.contents(&node).map_err(|error| error.to_string())? {
            Contents::Runs(runs) => runs,
            Contents::Inline(_) => Vec::new(),
        };
        let source = self.files.add(runs.into_iter());
        tree(self.writer.file(name, self.plain, node.size, source))?;
        Ok(None)
    }
}
