//! Generates trees from bytes.

use std::collections::BTreeMap;

use image_tree::{
    DataRun, FileSource, FileTree, HOLE_GRAIN, Metadata, Name, NodeId, Permissions, SpecialKind, Timestamp,
    TreeWriter, Xattr, XattrName,
};

use crate::Choices;

/// The kinds of files that a tree may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// All kinds, with files of any length without bytes.
    Any,
    /// All kinds, with short files that have bytes.
    Short,
    /// Directories and short files.
    Firmware,
}

#[derive(Debug)]
enum Item<'a> {
    Directory(u8, BTreeMap<Vec<u8>, Item<'a>>),
    Text(u8, Vec<u8>),
    /// A file with a length, but without bytes.
    Blank(u8, u64),
    /// A sparse file with a length and data runs, but without bytes.
    Sparse(u8, u64, &'a [u8]),
    Symlink(Vec<u8>),
    Special(SpecialKind),
    /// Another name of an earlier file.
    Link(u8),
    /// A directory with this number of files.
    Crowd(u16, &'a [u8]),
}

/// Maximum number of entries that are chosen one by one.
const MOST: usize = 300;

/// Generates a tree.
pub(crate) fn tree(choices: &mut Choices<'_>, flavour: Flavour) -> FileTree {
    let mut left = MOST;
    let mut items = directory(choices, flavour, 0, &mut left);
    if flavour != Flavour::Firmware {
        items.insert(b"lost+found".to_vec(), Item::Directory(0, BTreeMap::new()));
    }
    let root = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut writing = Writing { tree: TreeWriter::new(root, Vec::new()), files: Vec::new() };
    for (name, item) in &items {
        writing.item(name, item);
    }
    writing.tree.finish()
}

fn directory<'a>(
    choices: &mut Choices<'a>,
    flavour: Flavour,
    depth: u8,
    left: &mut usize,
) -> BTreeMap<Vec<u8>, Item<'a>> {
    let mut items = BTreeMap::new();
    let count = choices.below(24);
    for _ in 0..count {
        if choices.is_over() || *left == 0 {
            break;
        }
        *left -= 1;
        let name = name(choices, flavour);
        let item = item(choices, flavour, depth, left);
        items.insert(name, item);
    }
    items
}

fn name(choices: &mut Choices<'_>, flavour: Flavour) -> Vec<u8> {
    let mut name = choices.bytes(if flavour == Flavour::Firmware { 40 } else { 12 }).to_vec();
    // Long names repeat a character, so that they use few choices.
    let times = match choices.below(8) {
        0 => 255_usize.checked_div(name.len()).unwrap_or(1),
        1 => 10,
        _ => 1,
    };
    name = name.repeat(times.max(1));
    name.truncate(255);
    if Name::new(&name).is_ok() { name } else { format!("name{}", choices.byte()).into_bytes() }
}

fn item<'a>(choices: &mut Choices<'a>, flavour: Flavour, depth: u8, left: &mut usize) -> Item<'a> {
    let metadata = choices.byte();
    let kinds = if flavour == Flavour::Firmware { 5 } else { 10 };
    match choices.below(kinds) {
        0 if depth < 12 => Item::Directory(metadata, directory(choices, flavour, depth + 1, left)),
        1 if depth < 12 => Item::Crowd(u16::from(choices.byte()) * 4, choices.bytes(200)),
        2 if flavour == Flavour::Any => Item::Blank(metadata, choices.size()),
        3 | 2 => {
            let bytes = choices.bytes(255);
            Item::Text(metadata, bytes.repeat(usize::from(choices.below(80))))
        }
        5 | 6 => {
            let target = choices.bytes(100).repeat(usize::from(choices.below(60)).max(1));
            let fits = !target.is_empty() && target.len() < 4096 && !target.contains(&0);
            Item::Symlink(if fits { target } else { b"target".to_vec() })
        }
        7 => Item::Special(match choices.below(4) {
            0 => SpecialKind::Fifo,
            1 => SpecialKind::Socket,
            2 => SpecialKind::Block { major: choices.byte().into(), minor: choices.byte().into() },
            _ => SpecialKind::Character { major: 4095, minor: 0xf_ff00 | u32::from(choices.byte()) },
        }),
        8 => Item::Link(choices.byte()),
        9 if flavour == Flavour::Any => Item::Sparse(metadata, choices.size(), choices.bytes(40)),
        9 => Item::Sparse(metadata, u64::from(choices.byte()) << 12, choices.bytes(40)),
        _ => Item::Text(metadata, choices.bytes(255).to_vec()),
    }
}

struct Writing {
    tree: TreeWriter,
    files: Vec<NodeId>,
}

impl Writing {
    fn item(&mut self, name: &[u8], item: &Item<'_>) {
        let Ok(name) = Name::new(name) else { return };
        let plain = self.tree.metadata(&metadata(3));
        let added = match item {
            Item::Directory(choice, items) => {
                let metadata = self.tree.metadata(&metadata(*choice));
                let begun = self.tree.begin_directory(name, metadata);
                for (name, item) in items {
                    self.item(name, item);
                }
                self.tree.end_directory();
                begun
            }
            Item::Crowd(count, stem) => {
                let begun = self.tree.begin_directory(name, plain);
                for number in 0..*count {
                    let stem: String = stem.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
                    self.text(format!("{number:04}{stem}").as_bytes(), 3, Vec::new());
                }
                self.tree.end_directory();
                begun
            }
            Item::Text(choice, bytes) => return self.text(name.as_bytes(), *choice, bytes.clone()),
            Item::Blank(choice, size) => {
                let metadata = self.tree.metadata(&metadata(*choice));
                let source = self.tree.inline(Vec::new());
                self.tree.file(name, metadata, *size, source)
            }
            Item::Sparse(choice, size, places) => {
                let metadata = self.tree.metadata(&metadata(*choice));
                let source = self.tree.inline(vec![0; image_tree::to_usize((*size).min(1 << 20))]);
                let file = self.tree.file(name, metadata, *size, source);
                let runs = self.tree.data_runs(data_runs(*size, places));
                assert!(runs.is_ok(), "{runs:?}");
                file
            }
            Item::Symlink(target) => self.tree.symlink(name, plain, target),
            Item::Special(kind) => self.tree.special(name, plain, *kind),
            Item::Link(to) => match self.files.get(usize::from(*to) % self.files.len().max(1)) {
                Some(file) => self.tree.hard_link(name, *file),
                None => return,
            },
        };
        assert!(added.is_ok(), "{added:?}");
    }

    fn text(&mut self, name: &[u8], choice: u8, bytes: Vec<u8>) {
        let metadata = self.tree.metadata(&metadata(choice));
        let size = image_tree::to_u64(bytes.len());
        let source: FileSource = self.tree.inline(bytes);
        if let Ok(file) = Name::new(name).map(|name| self.tree.file(name, metadata, size, source)) {
            self.files.extend(file);
        }
    }
}

/// A hole and a data run for each pair of bytes, up to the end of the file.
fn data_runs(size: u64, places: &[u8]) -> Vec<DataRun> {
    let units = u32::try_from(size.div_ceil(HOLE_GRAIN)).unwrap_or(u32::MAX);
    let mut runs = Vec::new();
    let mut at = 0_u32;
    for (place, pair) in places.chunks_exact(2).enumerate() {
        let hole = u32::from(pair[0]).max(u32::from(place > 0));
        let Some(start) = at.checked_add(hole).filter(|start| *start < units) else { break };
        let len = u32::from(pair[1]).max(1).min(units - start);
        runs.push(DataRun { start, len });
        at = start + len;
    }
    runs
}

/// A choice of 256 metadata, some with attributes.
fn metadata(choice: u8) -> Metadata {
    let seconds = (i64::from(choice) << 25) - (1 << 30);
    let time = Timestamp::new(seconds, u32::from(choice) * 1000).unwrap_or(Timestamp::STORE);
    let mut metadata = Metadata::root_owned(Permissions::from_mode(u16::from(choice) << 4 | 0o7), time);
    // Not 4294967295, which is refused.
    metadata.uid = u32::from(choice) * 0x0101_0100;
    let sizes: &[usize] = match choice % 16 {
        0 => &[20],
        1 => &[0, 30, 30],
        2 => &[100, 2000, 7, 7, 7],
        4 => &[4000],
        8 => &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        _ => &[],
    };
    // Files of every type can have these.
    metadata.xattrs = sizes
        .iter()
        .enumerate()
        .filter_map(|(index, &len)| {
            let name = XattrName::parse(format!("trusted.n{index}").as_bytes()).ok()?;
            Some(Xattr { name, value: vec![choice; len] })
        })
        .collect();
    metadata
}
