use std::collections::BTreeMap;
use std::path::PathBuf;

use image_tree::{FileTree, ImagePath, Permissions, Timestamp};
use snugfs_plan::{AttributesPlan, Entry, TreePlan};

use crate::own::InTree;
use crate::warnings::Warning;

/// All sources of an image.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// The store paths of the closure, if there is one.
    pub store: Option<StoreSource>,
    /// `plan.trees`
    pub trees: &'a [TreePlan],
    /// `plan.entries`
    pub entries: &'a BTreeMap<ImagePath, Entry>,
    /// `plan.attributes`
    pub attributes: &'a BTreeMap<ImagePath, AttributesPlan>,
    /// Files with bytes from the program.
    pub inline: Vec<InlineFile>,
    /// Directories that are created if no source has them, with those above them.
    pub folders: Vec<ImagePath>,
    /// Whether to create `/lost+found` if no source has it. e2fsck expects it in every ext4 file system.
    pub lost_and_found: bool,
    /// The time of everything without a time of its own.
    pub timestamp: Timestamp,
}

/// Store paths, and the directories of their store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSource {
    /// The store on this machine.
    pub source_dir: PathBuf,
    /// The store in the image.
    pub store_dir: ImagePath,
    /// The store paths without the store, `hash-name`, sorted.
    pub base_names: Vec<Vec<u8>>,
}

/// A file with bytes from the program, such as the registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineFile {
    /// In the image.
    pub path: ImagePath,
    /// The contents.
    pub bytes: Vec<u8>,
    /// Permission bits; the owner is root.
    pub permissions: Permissions,
}

/// A file that was replaced by one of a later tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// In the image, escaped.
    pub path: String,
    /// The position of the tree whose file is left out.
    pub tree: usize,
    /// The position of the tree whose file is in the image.
    pub by: usize,
}

/// The result of a scan.
#[derive(Debug)]
#[non_exhaustive]
pub struct Scan {
    /// The contents of the image.
    pub tree: FileTree,
    /// Warnings, in a fixed order.
    pub warnings: Vec<Warning>,
    /// Files that were replaced by those of a later tree, in the order of the tree.
    pub replaced: Vec<Replaced>,
    /// The output files of the program whose folders are part of a tree, sorted, once per tree.
    pub own: Vec<InTree>,
}
