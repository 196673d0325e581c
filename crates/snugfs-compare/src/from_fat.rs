//! Reads the tree of a FAT file system: names, lengths and locations of bytes. FAT has no owners and no inodes.

use image_reader::{Contents, Entry, FileSystem, Node, ReadError};
use image_tree::{
    Metadata, MetadataId, Name, NodeId, Permissions, Timestamp, TreeError, TreeWriter, escaped,
};

use crate::found::{FileRuns, max_entries};
use crate::{Differences, FoundTree, Kind};

/// Reads a FAT file system. What can't be read is a difference. A tree of far more entries than `expected` is cut
/// short.
pub fn fat_tree(
    fs: &FileSystem,
    expected: usize,
    differences: &mut Differences,
) -> Result<FoundTree, ReadError> {
    limited_tree(fs, max_entries(expected), differences)
}

/// Reads a file system with at most this number of entries.
fn limited_tree(fs: &FileSystem, most: usize, differences: &mut Differences) -> Result<FoundTree, ReadError> {
    let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
    let plain = writer.metadata(&metadata);
    let mut walk = Walk { fs, writer, plain, files: FileRuns::default() };
    let mut cut_short = None;
    let mut visits = fs.visits();
    let (entries, errors) = visits.entries(fs, &fs.root()?)?;
    add_errors(errors, "/", differences);
    let mut listed = entries.len();
    let mut open = vec![entries.into_iter()];
    while let Some(entries) = open.last_mut() {
        let Some(entry) = entries.next() else {
            open.pop();
            walk.writer.end_directory();
            continue;
        };
        // The entries of all open directories are in memory, and directories can share clusters.
        if listed > most {
            cut_short = Some(format!("has more than {most} entries; the rest is not compared"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::tests::{Memory, read};
    use image_reader::Fat;

    const SECTOR: usize = 512;
    const DIRECTORY: u8 = 0x10;

    /// An entry of a directory: short name, attributes, first cluster, length.
    type Raw = (&'static [u8; 11], u8, u8, u8);

    /// A FAT12 of 60 clusters of a sector. `directories` are those in the root and in clusters; every cluster is the last of its
    /// file.
    fn image(root: &[Raw], clusters: &[(usize, &[Raw])]) -> Vec<u8> {
        let mut bytes = vec![0; 63 * SECTOR];
        bytes[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        let fields =
            [(0x0c, 2), (0x0d, 1), (0x0e, 1), (0x10, 1), (0x11, 16), (0x13, 63), (0x15, 0xf8), (0x16, 1)];
        for (at, value) in fields {
            bytes[at] = value;
        }
        bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        bytes[SECTOR..SECTOR + 3 * 31].fill(0xff);
        bytes[SECTOR] = 0xf8;
        let mut put = |sector: usize, entries: &[Raw]| {
            for (at, (name, attributes, cluster, length)) in (sector * SECTOR..).step_by(32).zip(entries) {
                bytes[at..at + 11].copy_from_slice(*name);
                bytes[at + 0xb] = *attributes;
                bytes[at + 0x1a] = *cluster;
                bytes[at + 0x1c] = *length;
            }
        };
        put(2, root);
        for (cluster, entries) in clusters {
            put(cluster + 1, entries);
        }
        bytes
    }

    fn open(bytes: Vec<u8>) -> FileSystem {
        FileSystem::Fat(Fat::open(Memory::window(bytes)).unwrap())
    }

    fn paths(found: &FoundTree) -> Vec<String> {
        found.tree.iter().map(|(node, _)| found.tree.path(node).to_string()).collect()
    }

    #[test]
    fn the_tree_has_all_names_and_bytes() {
        let mut bytes = image(
            &[(b"A          ", DIRECTORY, 2, 0), (b"Z          ", 0, 5, 4)],
            &[
                (
                    2,
                    &[
                        (b"B          ", DIRECTORY, 3, 0),
                        (b"C          ", 0, 4, 4),
                        (b"D          ", 0, 0, 0),
                    ],
                ),
                (3, &[]),
            ],
        );
        bytes[5 * SECTOR..][..4].copy_from_slice(b"in A");
        bytes[6 * SECTOR..][..4].copy_from_slice(b"last");
        let mut differences = Differences::default();
        // The limit of entries leaves room for many that are not expected.
        let found = fat_tree(&open(bytes), 0, &mut differences).unwrap();
        assert!(differences.is_empty(), "{:?}", differences.kept);
        assert_eq!(found.cut_short, None);
        assert_eq!(paths(&found), ["/", "/A", "/A/B", "/A/C", "/A/D", "/Z"]);
        for (path, text) in [("/A/C", "in A"), ("/A/D", ""), ("/Z", "last")] {
            let node = found.tree.find(&image_tree::ImagePath::parse(path.as_bytes()).unwrap()).unwrap();
            assert_eq!(read(found.open(node).unwrap(), 4), text.as_bytes(), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_difference_and_the_rest_is_compared() {
        let name: &[Raw] = &[(b"BAD/NAME   ", 0, 0, 0), (b"GOOD       ", 0, 0, 0)];
        // Clusters after the last one, a cluster that is the directory itself, and a name twice.
        let other: [Raw; 5] = [
            (b"FAR        ", DIRECTORY, 200, 0),
            (b"FARFILE    ", 0, 200, 1),
            (b"SAME       ", DIRECTORY, 2, 0),
            (b"TWIN       ", 0, 0, 0),
            (b"TWIN       ", 0, 0, 0),
        ];
        let root: Vec<Raw> = [(b"A          ", DIRECTORY, 2, 0)].into_iter().chain(other).collect();
        for (root, clusters, shown, names) in [
            (name, &[][..], vec!["/: "], vec!["/", "/GOOD"]),
            (
                &root,
                &[(2, name)],
                vec!["A: ", "FAR: ", "FARFILE: ", "SAME: ", "TWIN: another entry has the same name"],
                vec!["/", "/A", "/A/GOOD", "/FAR", "/SAME", "/TWIN"],
            ),
        ] {
            let mut differences = Differences::default();
            let found = fat_tree(&open(image(root, clusters)), 0, &mut differences).unwrap();
            assert_eq!(paths(&found), names);
            assert_eq!(differences.kept.len(), shown.len(), "{:?}", differences.kept);
            for (difference, start) in differences.kept.iter().zip(shown) {
                assert_eq!(difference.kind, Kind::FatUnreadable);
                assert!(difference.to_string().starts_with(start), "{difference}");
            }
        }
    }

    #[test]
    fn a_tree_of_too_many_entries_is_cut_short() {
        let fs = open(image(
            &[(b"A          ", DIRECTORY, 2, 0), (b"B          ", 0, 0, 0)],
            &[(2, &[(b"C          ", 0, 0, 0)])],
        ));
        let limited = |most| {
            let mut differences = Differences::default();
            let found = limited_tree(&fs, most, &mut differences).unwrap();
            assert!(differences.is_empty());
            (paths(&found), found.cut_short)
        };
        let text = |most| Some(format!("has more than {most} entries; the rest is not compared"));
        assert_eq!(limited(3), (["/", "/A", "/A/C", "/B"].map(str::to_owned).to_vec(), None));
        assert_eq!(limited(2), (["/", "/A"].map(str::to_owned).to_vec(), text(2)));
        assert_eq!(limited(1), (vec!["/".to_owned()], text(1)));
    }
}
