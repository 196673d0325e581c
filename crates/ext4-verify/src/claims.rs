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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two groups with 1024 inodes each.
    fn claims() -> Claims {
        Claims::new(Geometry::new(40_000, 1024, 0, false).unwrap())
    }

    /// Claims blocks; gives whether that was possible, and the problem.
    fn claim(claims: &mut Claims, start: u64, len: u64) -> (bool, Option<String>) {
        let mut findings = Findings::default();
        let possible = claims.claim(&mut findings, start, len, &|| "contents".to_owned());
        (possible, findings.problems.first().map(ToString::to_string))
    }

    #[test]
    fn a_block_has_one_user() {
        let mut claims = claims();
        assert_eq!(claim(&mut claims, 1000, 10), (true, None));
        let shared = "block 1009: is used twice, the second time as contents (block-shared)";
        assert_eq!(claim(&mut claims, 1009, 1), (false, Some(shared.to_owned())));
        assert_eq!(claim(&mut claims, 1010, 1), (true, None));
    }

    #[test]
    fn a_claim_is_inside_of_the_file_system_and_not_at_its_superblock() {
        let mut claims = claims();
        assert_eq!(claim(&mut claims, 39_990, 10), (true, None));
        assert_eq!(claim(&mut claims, 0, 0), (true, None));
        for (start, len, text) in [
            (39_999, 2, "block 39999: contents is outside: blocks 39999 to 40000 (block-outside)"),
            (0, 1, "block 0: contents is outside: blocks 0 to 0 (block-outside)"),
            (
                u64::MAX,
                2,
                "block 18446744073709551615: contents is outside: blocks 18446744073709551615 to \
                 18446744073709551614 (block-outside)",
            ),
        ] {
            assert_eq!(claim(&mut claims, start, len), (false, Some(text.to_owned())));
        }
    }

    #[test]
    fn names_are_counted_unless_an_inode_has_the_one_that_it_says() {
        let mut claims = claims();
        claims.first_name(20, 1, 0);
        claims.first_name(19, 3, 1);
        claims.another_name(19, 2);
        claims.first_name(18, 1, 3);
        claims.another_name(18, 4);
        claims.another_name(18, 5);
        claims.first_name(17, 0, 6);
        let links = claims.take_links();
        let links: Vec<_> =
            links.iter().map(|(number, named)| (*number, named.links.said, named.links.counted)).collect();
        assert_eq!(links, [(17, 0, 1), (18, 1, 3), (19, 3, 2)]);
        assert!(claims.take_links().is_empty());
    }

    #[test]
    fn users_of_attribute_blocks_are_counted() {
        let mut claims = claims();
        assert!(!claims.another_user(500));
        claims.first_user(500, 3);
        claims.first_user(400, 1);
        assert!(claims.another_user(500));
        let blocks = claims.take_xattr_blocks();
        let blocks: Vec<_> =
            blocks.iter().map(|(block, users)| (*block, users.said, users.counted)).collect();
        assert_eq!(blocks, [(400, 1, 1), (500, 3, 2)]);
        assert!(claims.take_xattr_blocks().is_empty());
    }

    #[test]
    fn directories_are_counted_by_group() {
        let mut claims = claims();
        // The last of the first group, the first and the last of the second, and one that does not exist.
        for number in [1024, 1025, 2048, 2049] {
            claims.add_directory(number);
        }
        assert_eq!([0, 1, 2].map(|group| claims.directories(group)), [1, 2, 0]);
    }

    #[test]
    fn an_inode_is_claimed_once() {
        let mut claims = claims();
        assert!(!claims.has_inode(2048) && claims.claim_inode(2048) && claims.has_inode(2048));
        assert!(!claims.claim_inode(2048));
    }
}
