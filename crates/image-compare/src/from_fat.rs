//! From a FAT file system to its tree: names, lengths and where the bytes are. It has no owners and no inodes.

use image_reader::{Contents, Entry, FileSystem, Node, ReadError};
use image_tree::{
    Metadata, MetadataId, Name, NodeId, Permissions, Timestamp, TreeError, TreeWriter, escaped,
};

use crate::found::Places;
use crate::{Differences, FoundTree, Kind};

/// The most pieces of all files, which can share their clusters; each takes 24 bytes of memory.
const MOST_RUNS: usize = 1 << 24;

/// Reads all of a FAT file system; what can't be read is a difference. A tree of far more entries than are `expected` is cut
/// short.
pub fn fat_tree(
    fs: &FileSystem,
    expected: usize,
    differences: &mut Differences,
) -> Result<FoundTree, ReadError> {
    let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let plain = writer.metadata(&metadata);
    let mut walk = Walk { fs, writer, plain, places: Places::default() };
    let most = expected.saturating_mul(2).saturating_add(1 << 20);
    let mut cut_short = None;
    let mut visits = fs.visits();
    let (entries, errors) = visits.entries(fs, &fs.root()?)?;
    told(errors, "/", differences);
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
        // All entries of the directories that are open are in memory, and directories can share their clusters.
        if listed > most {
            cut_short = Some(format!("has more than {most} entries, the rest is not compared"));
            break;
        }
        if walk.places.runs.len() > MOST_RUNS {
            cut_short = Some(format!("is in more than {MOST_RUNS} pieces, the rest is not compared"));
            break;
        }
        let shown = escaped(&entry.name).to_string();
        match walk.add(&entry) {
            Ok(Some(directory)) => match visits.entries(fs, &directory) {
                Ok((entries, errors)) => {
                    told(errors, &shown, differences);
                    listed = listed.saturating_add(entries.len());
                    open.push(entries.into_iter());
                }
                Err(error) => {
                    told(vec![error], &shown, differences);
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
        runs: walk.places.runs,
        places: walk.places.places,
        window: fs.window().clone(),
        cut_short,
    })
}

fn told(errors: Vec<ReadError>, place: &str, differences: &mut Differences) {
    for error in errors {
        differences.add(Kind::FatUnreadable, || (place.to_owned(), error.to_string()));
    }
}

struct Walk<'f> {
    fs: &'f FileSystem,
    writer: TreeWriter,
    plain: MetadataId,
    places: Places,
}

impl Walk<'_> {
    /// Writes an entry; if it is a directory, that is open and given.
    fn add(&mut self, entry: &Entry) -> Result<Option<Node>, String> {
        let node = self.fs.node(entry).map_err(|error| error.to_string())?;
        let name = Name::new(&entry.name).map_err(|error| error.to_string())?;
        let tree = |outcome: Result<NodeId, TreeError>| {
            outcome.map_err(|_| "a second entry has this name".to_owned())
        };
        if node.is_directory() {
            tree(self.writer.begin_directory(name, self.plain))?;
            return Ok(Some(node));
        }
        let runs = match self.fs.contents(&node).map_err(|error| error.to_string())? {
            Contents::Runs(runs) => runs,
            Contents::Inline(_) => Vec::new(),
        };
        let source = self.places.add(runs.into_iter());
        tree(self.writer.file(name, self.plain, node.size, source))?;
        Ok(None)
    }
}
