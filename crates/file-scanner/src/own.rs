//! Output files of the program. They are left out of a tree that contains them.

use std::collections::BTreeSet;

use image_tree::{Inode, OwnFile};
use rustix::fs::Stat;

use crate::listing::Listing;

/// An output file whose folder is part of a tree. It is not in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InTree {
    /// The position among `plan.trees`.
    pub tree: usize,
    /// The position among the output files passed to the scan.
    pub file: usize,
    /// Whether its folder is below the folder of the tree. Then its modification time, which the new file changes, is in the
    /// image if the tree keeps times.
    pub is_deep: bool,
}

/// The inode that `stat` found.
pub(crate) fn inode(stat: &Stat) -> Inode {
    Inode { device: stat.st_dev, number: stat.st_ino }
}

/// Removes output files from the listing of a folder. Returns the positions of those in this folder, even if they don't exist
/// yet.
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
