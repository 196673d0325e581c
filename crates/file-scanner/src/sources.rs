use std::collections::BTreeMap;
use std::path::PathBuf;

use build_plan::{AttributesPlan, Entry, TreePlan};
use image_tree::{FileTree, ImagePath, Permissions, Timestamp};

use crate::own::InTree;
use crate::warnings::Warning;

/// All that an image is made of.
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
    /// Files that the program itself writes.
    pub inline: Vec<InlineFile>,
    /// Directories that are there unless something else is, with those above them.
    pub folders: Vec<ImagePath>,
    /// Whether there is a `/lost+found` even if no source has one, as e2fsck wants it in every ext4 file system.
    pub lost_and_found: bool,
    /// The time of everything that has no other.
    pub timestamp: Timestamp,
}

/// Store paths, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSource {
    /// Where this machine has the store.
    pub source_dir: PathBuf,
    /// Where the image has it.
    pub store_dir: ImagePath,
    /// The store paths without the store, `hash-name`, sorted.
    pub base_names: Vec<Vec<u8>>,
}

/// A file whose bytes come from the program, such as the registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineFile {
    /// In the image.
    pub path: ImagePath,
    /// The contents.
    pub bytes: Vec<u8>,
    /// Permission bits; the owner is root.
    pub permissions: Permissions,
}

/// What a scan gives.
#[derive(Debug)]
pub struct Scan {
    /// Everything that the image shall hold.
    pub tree: FileTree,
    /// In a fixed order.
    pub warnings: Vec<Warning>,
    /// The files of the program whose folders are part of a tree, sorted, each once a tree.
    pub own: Vec<InTree>,
}
