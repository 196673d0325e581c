//! Files that the program itself writes: a tree that has one of them leaves it out of the image.

use std::collections::BTreeSet;

use rustix::fs::Stat;

use crate::listing::Listing;

/// A file or a folder of this machine, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode {
    /// The number of the file system that it is in (`st_dev`).
    pub device: u64,
    /// Its number there (`st_ino`).
    pub number: u64,
}

impl Inode {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, number: stat.st_ino }
    }
}

/// A name in a folder that the program writes to, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    /// The folder.
    pub folder: Inode,
    /// The name in it.
    pub name: Vec<u8>,
    /// What the temporary names begin with that the file has until it is complete, never empty; two numbers with a hyphen
    /// follow, of the process and of the try.
    pub temporary_prefix: Option<Vec<u8>>,
}

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

impl OwnFile {
    fn is_named(&self, name: &[u8]) -> bool {
        let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let is_temporary = |prefix: &Vec<u8>| {
            let mut numbers = name
                .strip_prefix(prefix.as_slice())
                .into_iter()
                .flat_map(|rest| rest.splitn(2, |&byte| byte == b'-'));
            !prefix.is_empty()
                && numbers.next().is_some_and(is_number)
                && numbers.next().is_some_and(is_number)
        };
        name == self.name || self.temporary_prefix.as_ref().is_some_and(is_temporary)
    }
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
