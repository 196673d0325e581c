//! Compares a file system with the plan's.

use ext4_layout::Layout;
use image_reader::{FileSystem, Window};
use image_tree::{Content, FileRef, FileTree, NodeId, Piece, PieceSource, TreeId, io_reason, to_usize};
use snugfs_compare::{
    Differences, FoundTree, Kind, Pair, Rules, Use, compare_superblocks, compare_trees, fat_tree, shown_path,
};

use closure_registration::{Closure, ClosureError, VerifyError, verify_sizes_then_hashes};

use super::{Subject, contents};
use crate::failure::{Failure, FailureKind};
use crate::parts::{Folder, Volume};
use crate::problem::Problem;
use crate::verity::LateFile;

/// The superblock, in \[bytes\].
const SUPERBLOCK: std::ops::Range<usize> = 1024..2048;

impl Subject<'_> {
    /// Compares an ext4 file system. `found` is its tree.
    pub(super) fn ext4(
        &mut self,
        volume: &Volume<'_>,
        window: &Window,
        found: Option<FoundTree>,
    ) -> Result<(), Failure> {
        let layout = &*volume.layout;
        let mut superblock = vec![0; SUPERBLOCK.len()];
        // Checking ext4 reports a superblock that can't be read.
        if window.read(1024, &mut superblock).is_ok() {
            compare_superblocks(&expected_superblock(layout), &superblock, self.used, &mut self.differences);
        }
        let expected = &volume.scanned.tree;
        let Some(found) = found else {
            self.differences
                .add(Kind::TreeMissing, || ("/".to_owned(), "can't be read in the image".to_owned()));
            return Ok(());
        };
        let is_new = self.used == Use::None;
        let rules = Rules { metadata: true, directory_times: is_new, lost_found: is_new };
        let inode = |node| layout.inode_number(node);
        let pairs = compare_trees(expected, &inode, &found, rules, &mut self.differences);
        let right = match &volume.scanned.closure {
            Some(closure) => self.closure(closure, &found)?,
            None => Vec::new(),
        };
        self.contents((expected, volume.tree), &found, &pairs, &right)
    }

    /// Compares the NAR hashes of a closure, computed from the image's bytes. Returns the store paths of the image that match
    /// their registration.
    fn closure(
        &mut self,
        closure: &Closure,
        found: &FoundTree,
    ) -> Result<Vec<std::ops::Range<NodeId>>, Failure> {
        let tree = &found.tree;
        let open = || |node| found.open(node);
        let outcome = verify_sizes_then_hashes(closure, tree, open, &|bytes| self.observer.advance(bytes));
        let mut wrong = Vec::new();
        match outcome {
            Ok(()) => {}
            Err(VerifyError::Closure(errors)) => {
                for error in &errors {
                    wrong.extend(difference_of(error, &mut self.differences));
                }
            }
            Err(VerifyError::Open(reason) | VerifyError::Read { reason, .. }) => {
                return Err(unreadable(&reason));
            }
            Err(VerifyError::Changed(changed)) => {
                return Err(Failure::of(FailureKind::Source, Problem::from(&changed)));
            }
        }
        wrong.sort();
        let store = tree.find(closure.place());
        let paths = store.into_iter().flat_map(|store| tree.children(store));
        let registered: std::collections::HashSet<&[u8]> =
            closure.paths().iter().map(|info| info.path.as_str().as_bytes()).collect();
        let right = paths.filter(|&node| registered.contains(tree.name(node)));
        let right = right.filter(|&node| wrong.binary_search(&tree.path(node)).is_err());
        Ok(right.map(|node| node..tree.end(node)).collect())
    }

    /// Compares the contents of files with their sources, except in store paths that a hash has proven.
    pub(super) fn contents(
        &mut self,
        (expected, id): (&FileTree, TreeId),
        found: &FoundTree,
        pairs: &[Pair],
        proven: &[std::ops::Range<NodeId>],
    ) -> Result<(), Failure> {
        let is_proven = |pair: &&Pair| {
            let before = proven.partition_point(|range| range.start <= pair.found);
            before
                .checked_sub(1)
                .and_then(|at| proven.get(at))
                .is_some_and(|range| range.contains(&pair.found))
        };
        let pairs: Vec<Pair> = pairs.iter().filter(|pair| !is_proven(pair)).copied().collect();
        let late = |node| {
            let file = FileRef { tree: id, node };
            self.late.iter().find(|late| late.file == file).map(LateFile::bytes)
        };
        for (node, at) in contents::compare((expected, &late), found, &pairs, self.observer)? {
            self.differences.add(Kind::TreeContents, || {
                (shown_path(expected, node), format!("contents differ, first at byte {at}"))
            });
        }
        Ok(())
    }

    /// Compares a FAT file system.
    pub(super) fn fat(&mut self, folder: &Folder<'_>, found: Option<&FileSystem>) -> Result<(), Failure> {
        let (expected, layout) = (&folder.scanned.tree, &*folder.layout);
        let Some(fs @ FileSystem::Fat(fat)) = found else {
            self.differences.add(Kind::FatUnreadable, || {
                ("/".to_owned(), "there is no FAT file system that can be read".to_owned())
            });
            return Ok(());
        };
        let options = layout.options();
        let label = options.label.trim_ascii_end();
        let label = if options.label == fat_layout::NO_LABEL { &[][..] } else { label };
        let is = fat.label();
        if is != label {
            let text = |label: &[u8]| image_tree::escaped(label).to_string();
            self.differences.add(Kind::FatLabel, || {
                (
                    "file system".to_owned(),
                    format!("label is \"{}\", should be \"{}\"", text(&is), text(label)),
                )
            });
        }
        if fat.id() != options.id {
            self.differences.add(Kind::FatNumber, || {
                let (is, should) = (fat.id(), options.id);
                ("file system".to_owned(), format!("number is {is:#010x}, should be {should:#010x}"))
            });
        }
        let found = match fat_tree(fs, expected.len(), &mut self.differences) {
            Ok(found) => found,
            Err(error) => {
                self.differences.add(Kind::FatUnreadable, || ("/".to_owned(), error.to_string()));
                return Ok(());
            }
        };
        let rules = Rules { metadata: false, directory_times: false, lost_found: true };
        let pairs = compare_trees(expected, &|_| 0, &found, rules, &mut self.differences);
        self.contents((expected, folder.tree), &found, &pairs, &[])
    }
}

/// Adds a closure's error as a difference. Returns its path.
fn difference_of(error: &ClosureError, differences: &mut Differences) -> Option<image_tree::ImagePath> {
    let (kind, path, text) = match error {
        ClosureError::NotInTree { path } => {
            (Kind::StorePathMissing, path, "is registered, but not in the image".to_owned())
        }
        ClosureError::NotInNar { path } => {
            (Kind::StorePathKind, path, "is neither file, directory nor symlink".to_owned())
        }
        ClosureError::SizeDiffers { path, registered, actual } => (
            Kind::StorePathSize,
            path,
            format!("its NAR has {actual} bytes, but {registered} are registered"),
        ),
        ClosureError::HashDiffers { path, registered, actual } => {
            (Kind::StorePathHash, path, format!("its NAR hash is {actual}, but {registered} is registered"))
        }
        _ => return None,
    };
    differences.add(kind, || (path.to_string(), text));
    Some(path.clone())
}

/// The superblock of a layout.
fn expected_superblock(layout: &Layout) -> Vec<u8> {
    let first: Option<Piece> = layout.pieces().next().filter(|piece| piece.content == Content::Metadata);
    let first = first.expect("invariant: ext4 begins with its superblock");
    let mut bytes = vec![0; to_usize(first.len)];
    layout.generate(&first, &mut bytes);
    bytes[SUPERBLOCK].to_vec()
}

pub(super) fn unreadable(error: &std::io::Error) -> Failure {
    let what = format!("can't be read: {}", io_reason(error));
    Failure::new(FailureKind::Source, "image", what, "check its disk")
}
