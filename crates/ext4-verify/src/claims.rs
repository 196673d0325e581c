//! What is in use: blocks and inodes, each claimed by its user, and how often inodes and attribute blocks are referred to.

use std::collections::HashMap;

use crate::codes::Code;
use crate::geometry::Geometry;
use crate::numbers::to_usize;
use crate::problem::{Findings, Place};
use crate::sets::Set;

/// How often something is referred to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    /// By what it says itself.
    pub(crate) said: u32,
    /// By what was found.
    pub(crate) counted: u32,
}

/// The names of an inode that is no directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub(crate) links: Links,
    /// The position of a directory that has one of the names.
    pub(crate) directory: usize,
}

/// Everything that was found to be in use.
#[derive(Debug)]
pub(crate) struct Claims {
    geometry: Geometry,
    /// The blocks that something uses.
    pub(crate) blocks: Set,
    /// The inodes that a name leads to, or that have a fixed meaning.
    pub(crate) inodes: Set,
    /// The inodes that are no directories and say that they have several names, or turn out to.
    links: HashMap<u32, Named>,
    /// Attribute blocks that were read, with their users.
    xattr_blocks: HashMap<u64, Links>,
    /// Directories of each group.
    directories: Vec<u32>,
    /// Blocks of the journal's contents.
    pub(crate) journal_blocks: u64,
}

impl Claims {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            blocks: Set::below(geometry.blocks),
            inodes: Set::below(geometry.inodes().saturating_add(1)),
            links: HashMap::new(),
            xattr_blocks: HashMap::new(),
            directories: Vec::new(),
            journal_blocks: 0,
        }
    }

    /// Claims blocks; reports a problem and gives false where one of them is in use already or does not exist. `what` names
    /// the user.
    pub(crate) fn claim(
        &mut self,
        findings: &mut Findings,
        start: u64,
        len: u64,
        what: &dyn Fn() -> String,
    ) -> bool {
        let end = start.checked_add(len).filter(|&end| end <= self.geometry.blocks);
        let Some(end) = end.filter(|_| start > 0 || len == 0) else {
            let text = format!(
                "{} is outside: blocks {start} to {}",
                what(),
                start.saturating_add(len).saturating_sub(1)
            );
            findings.add(Code::BlockOutside, Place::Block(start), text);
            return false;
        };
        // It ends at the first block that is in use: so the work stays in proportion to the image, however often it names
        // the same blocks.
        if let Err(at) = self.blocks.insert_range(start, end) {
            let text = format!("is used twice, the second time as {}", what());
            findings.add(Code::BlockShared, Place::Block(at), text);
            return false;
        }
        true
    }

    /// Whether an inode is in use.
    pub(crate) fn has_inode(&self, number: u32) -> bool {
        self.inodes.contains(u64::from(number))
    }

    /// Claims an inode; false where it is in use already.
    pub(crate) fn claim_inode(&mut self, number: u32) -> bool {
        self.inodes.insert(u64::from(number))
    }

    /// Counts the first name of an inode that is no directory and says that it has `said` names. It is in the directory at a
    /// position.
    pub(crate) fn first_name(&mut self, number: u32, said: u32, directory: usize) {
        if said != 1 {
            self.links.insert(number, Named { links: Links { said, counted: 1 }, directory });
        }
    }

    /// Counts another name of an inode that is no directory, in the directory at a position.
    pub(crate) fn another_name(&mut self, number: u32, directory: usize) {
        let new = Named { links: Links { said: 1, counted: 1 }, directory };
        let links = &mut self.links.entry(number).or_insert(new).links;
        links.counted = links.counted.saturating_add(1);
    }

    /// The inodes with several names, by number. They are no longer known here.
    pub(crate) fn take_links(&mut self) -> Vec<(u32, Named)> {
        let mut links: Vec<_> = self.links.drain().collect();
        links.sort_unstable_by_key(|(number, _)| *number);
        links
    }

    /// Counts the first user of an attribute block that says that it has `said` users.
    pub(crate) fn first_user(&mut self, block: u64, said: u32) {
        self.xattr_blocks.insert(block, Links { said, counted: 1 });
    }

    /// Counts another user of an attribute block; false for a block that none of them has used.
    pub(crate) fn another_user(&mut self, block: u64) -> bool {
        let Some(users) = self.xattr_blocks.get_mut(&block) else { return false };
        users.counted = users.counted.saturating_add(1);
        true
    }

    /// The attribute blocks, by number. They are no longer known here.
    pub(crate) fn take_xattr_blocks(&mut self) -> Vec<(u64, Links)> {
        let mut blocks: Vec<_> = self.xattr_blocks.drain().collect();
        blocks.sort_unstable_by_key(|(block, _)| *block);
        blocks
    }

    /// Counts a directory.
    pub(crate) fn add_directory(&mut self, number: u32) {
        let (group, _) = self.geometry.place_of(number);
        let group = to_usize(u64::from(group));
        if group < to_usize(u64::from(self.geometry.groups)) {
            if group >= self.directories.len() {
                self.directories.resize(group.saturating_add(1), 0);
            }
            if let Some(count) = self.directories.get_mut(group) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// The directories of a group.
    pub(crate) fn directories(&self, group: u32) -> u32 {
        self.directories.get(to_usize(u64::from(group))).copied().unwrap_or(0)
    }
}
