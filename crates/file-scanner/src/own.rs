//! Files that the program itself writes: a tree that has one of them leaves it out of the image.

use std::collections::BTreeSet;

use image_tree::{Inode, OwnFile};
use rustix::fs::Stat;

use crate::listing::Listing;

/// A file of the program whose folder is part of a tree. Nothing of that name is in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InTree {
    /// The position among `plan.trees`.
    pub tree: usize,
    /// The position among the files that were named to the scan.
    pub file: usize,
    /// Whether its folder is below the tree's own: then that folder's times are part of the image where a tree keeps times,
    /// and they change when the file is made.
    pub is_deep: bool,
}

/// The inode that `stat` found.
pub(crate) fn inode(stat: &Stat) -> Inode {
    Inode { device: stat.st_dev, number: stat.st_ino }
}

/// Takes the own files out of the listing of a folder; the positions of those that belong there, whether they exist or not.
pub(crate) fn leave_out(own: &[OwnFile], folder: Inode, listing: &mut Listing) -> BTreeSet<usize> {
    let here: BTreeSet<usize> = own
        .iter()
        .enumerate()
        .filter(|(_, file)| file.folder == folder)
        .map(|(position, _)| position)
        .collect();
    if !here.is_empty() {
        let is_own = |name: &[u8]| here.iter().filter_map(|at| own.get(*at)).any(|file| file.is_named(name));
        listing.retain(|name| !is_own(name));
    }
    here
}
