//! Texts with root hashes: `${rootHash:NAME}` becomes 64 hexadecimal digits, so lengths are known before the hashes are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use dm_verity::RootHash;
use image_tree::{
    Contents, ContentsError, FileBytes, FileReader, FileRef, FileTree, ImagePath, Spool, TreeId,
};
use snugfs_plan::{Entry, EntryKind, Location, Plan, VolumeRef};

use crate::failure::{Failure, FailureKind};

const START: &[u8] = b"${rootHash:";

/// A text of an entry, with the places of root hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HashText {
    path: ImagePath,
    at: Location,
    /// With zeros in these places.
    bytes: Vec<u8>,
    /// Offsets, and the file systems whose root hash goes there.
    places: Vec<(usize, VolumeRef)>,
}

/// A file of the image with such a text.
#[derive(Debug)]
pub(crate) struct LateFile {
    pub(crate) file: FileRef,
    pub(crate) at: Location,
    /// The file system with a hash tree that it is in, if it is in one.
    pub(crate) inside: Option<VolumeRef>,
    bytes: Vec<u8>,
    places: Vec<(usize, VolumeRef)>,
    complete: OnceLock<Vec<u8>>,
}

/// Finds the texts with root hashes, and makes room for these. `at` gives the place of an entry in the plan.
pub(crate) fn expand(
    entries: &mut Cow<'_, BTreeMap<ImagePath, Entry>>,
    plan: &Plan,
    at: impl Fn(&ImagePath) -> Location,
) -> Result<Vec<HashText>, Failure> {
    let mut found = Vec::new();
    for (path, entry) in entries.iter() {
        let EntryKind::Text(text) = &entry.kind else { continue };
        if let Some((bytes, places)) = parts(text, plan, || at(path))? {
            found.push(HashText { path: path.clone(), at: at(path), bytes, places });
        }
    }
    for text in &found {
        if let Some(entry) = entries.to_mut().get_mut(&text.path) {
            entry.kind = EntryKind::Text(text.bytes.clone());
        }
    }
    Ok(found)
}

type Parts = (Vec<u8>, Vec<(usize, VolumeRef)>);

/// The text with zeros in the places of root hashes; `None` if it has no such place.
fn parts(text: &[u8], plan: &Plan, at: impl Fn() -> Location) -> Result<Option<Parts>, Failure> {
    let (mut rest, mut bytes, mut places) = (text, Vec::new(), Vec::new());
    while let Some(start) = rest.windows(START.len()).position(|part| part == START) {
        let (before, after) = rest.split_at(start);
        let after = &after[START.len()..];
        bytes.extend(before);
        rest = after;
        let Some(name) = name(after) else {
            // A form that shells know, such as a default, is left as it is.
            bytes.extend(START);
            continue;
        };
        places.push((bytes.len(), volume(name, plan).ok_or_else(|| unknown(name, plan, &at()))?));
        bytes.extend([b'0'; RootHash::DIGITS]);
        rest = &rest[name.len() + 1..];
    }
    bytes.extend(rest);
    Ok((!places.is_empty()).then_some((bytes, places)))
}

/// The name at the start of a text, up to its brace: letters, digits, `_` and `-`, and no `-` at its start.
fn name(text: &[u8]) -> Option<&str> {
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"_-".contains(byte))?;
    let name = std::str::from_utf8(&text[..end]).ok()?;
    (text[end] == b'}' && name.starts_with(|first: char| first.is_ascii_alphanumeric())).then_some(name)
}

/// The file system of a name, if it has a hash tree.
pub(crate) fn volume(name: &str, plan: &Plan) -> Option<VolumeRef> {
    let of = if name == "root" { VolumeRef::Root } else { VolumeRef::Partition(name.parse().ok()?) };
    let of = super::canonical(plan, of);
    plan.filesystem(of)?.verity.as_ref().map(|_| of)
}

fn unknown(name: &str, plan: &Plan, at: &Location) -> Failure {
    let names: Vec<String> = super::volumes(plan).map(|of| format!("${{rootHash:{of}}}")).collect();
    let help = if names.is_empty() {
        "write \"verity\": true in the \"filesystem\" of the one meant".to_owned()
    } else {
        format!("write {}", names.join(" or "))
    };
    let what = format!("${{rootHash:{name}}}: no file system of this name has a hash tree");
    Failure::new(FailureKind::Plan, at.key("text"), what, help)
}

impl LateFile {
    /// The files of texts in a tree.
    pub(crate) fn all(
        texts: Vec<HashText>,
        (tree, id): (&FileTree, TreeId),
        inside: Option<VolumeRef>,
    ) -> Result<Vec<Self>, Failure> {
        let file = |text: HashText| {
            let node = tree.find(&text.path);
            let node = node.ok_or_else(|| Failure::internal(&text.at, "its file is not in the tree"))?;
            if let Some((_, of)) = text.places.iter().find(|(_, of)| inside == Some(*of)) {
                let what = format!("the root hash of {of} can't be inside of {of}: it would need itself");
                let help = "put it into another file system, such as that of the boot loader";
                return Err(Failure::new(FailureKind::Plan, text.at.key("text"), what, help));
            }
            Ok(Self {
                file: FileRef { tree: id, node },
                at: text.at,
                inside,
                bytes: text.bytes,
                places: text.places,
                complete: OnceLock::new(),
            })
        };
        texts.into_iter().map(file).collect()
    }

    /// The file systems whose root hashes it has.
    pub(crate) fn needs(&self) -> impl Iterator<Item = VolumeRef> {
        self.places.iter().map(|(_, of)| *of)
    }

    /// Whether the hashes are in it.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.get().is_some()
    }

    /// Puts the hashes in, if all of them are known.
    pub(crate) fn complete(&self, root_hash: impl Fn(VolumeRef) -> Option<RootHash>) {
        let mut bytes = self.bytes.clone();
        for &(place, of) in &self.places {
            let Some(hash) = root_hash(of) else { return };
            let digits = hash.to_string();
            bytes[place..place + RootHash::DIGITS].copy_from_slice(digits.as_bytes());
        }
        // Several threads would come to the same bytes.
        let _ = self.complete.set(bytes);
    }

    /// Its bytes; with zeros in place of hashes that are not known yet.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.complete.get().unwrap_or(&self.bytes)
    }
}

/// The contents of an image, with root hashes in texts.
pub(crate) struct LateContents<'c> {
    pub(crate) files: &'c dyn Contents,
    /// Ascending by file.
    pub(crate) late: &'c [LateFile],
}

impl LateContents<'_> {
    fn late(&self, file: FileRef) -> Option<&LateFile> {
        let at = self.late.binary_search_by_key(&file, |late| late.file).ok()?;
        self.late.get(at)
    }
}

impl Contents for LateContents<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(LateReader { contents: self, reader: self.files.reader() })
    }

    fn check(&self, file: FileRef, fd: BorrowedFd<'_>) -> Result<(), ContentsError> {
        self.files.check(file, fd)
    }

    fn shown(&self, file: FileRef) -> String {
        self.files.shown(file)
    }

    fn spool(&self) -> Option<&dyn Spool> {
        // Texts are never in a temporary file.
        self.files.spool()
    }
}

struct LateReader<'c> {
    contents: &'c LateContents<'c>,
    reader: Box<dyn FileReader + 'c>,
}

impl FileReader for LateReader<'_> {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        match self.contents.late(file) {
            Some(late) => Ok(FileBytes::Memory(late.bytes())),
            None => self.reader.open(file),
        }
    }
}
