//! Follows names from the root to every inode.

use crate::claims::{Claims, Links, Named};
use crate::codes::Code;
use crate::context::InodeContext;
use crate::directory::{self, Entry, LOST_FOUND, Names};
use crate::extents::{self, Mapped};
use crate::fields;
use crate::geometry::BLOCK;
use crate::htree::{self, Index};
use crate::image::Image;
use crate::inode::{FLAG_EXTENTS, FLAG_INDEX, Inode, Kind};
use crate::numbers::{le32, to_u32, to_usize};
use crate::observer::Observer;
use crate::paths::{Directories, ROOT};
use crate::problem::{Findings, Place};
use crate::source::Unreadable;
use crate::visit::Visitor;

/// The most links that an inode counts (`EXT4_LINK_MAX`).
const MOST_LINKS: u64 = 65_000;

/// Visits every inode that a name leads to, from the root down.
pub(crate) fn walk<'c>(
    image: &'c Image<'c>,
    claims: &'c mut Claims,
    findings: &'c mut Findings,
    observer: Option<&mut dyn Observer>,
) -> Result<(), Unreadable> {
    let visitor = Visitor { image, claims, findings, observer };
    Walk { visitor, directories: Directories::default() }.run()
}

/// Reports the attribute blocks whose number of users is wrong.
pub(crate) fn attribute_users(claims: &mut Claims, findings: &mut Findings) {
    for (block, Links { said, counted }) in claims.take_xattr_blocks() {
        if said != counted {
            let text = format!("says {said} users of its attributes, but has {counted}");
            findings.add(Code::XattrCount, Place::Block(block), text);
        }
    }
}

/// The links of a directory: its name, its dot, and the dots of the directories in it; 1 if these are too many to count.
fn links_of_directory(subdirectories: u64) -> u64 {
    let links = subdirectories.saturating_add(2);
    if links > MOST_LINKS { 1 } else { links }
}

/// `1 name`, `2 names`.
fn names(count: u32) -> String {
    format!("{count} {}", if count == 1 { "name" } else { "names" })
}

/// A walk and the directories that it came to.
struct Walk<'c, 'o> {
    visitor: Visitor<'c, 'o>,
    directories: Directories,
}

impl Walk<'_, '_> {
    fn run(&mut self) -> Result<(), Unreadable> {
        self.visitor.claims.claim_inode(ROOT);
        let root = self.visitor.image.inode(ROOT)?;
        self.directories.add(0, b"", ROOT);
        let at = self.directories.at(0);
        if root.kind != Some(Kind::Directory) {
            self.visitor.context(&root, at).problem(Code::InodeType, "is the root, and no directory");
            return Ok(());
        }
        self.visitor.visit(&root, at)?;
        let mut pending = vec![0];
        let mut has_lost_found = false;
        while let Some(position) = pending.pop() {
            let first_new = self.directories.len();
            self.directory(position)?;
            // Depth first and in the order of the entries: snugfs stores inodes and blocks in this order.
            pending.extend((first_new..self.directories.len()).rev());
            if position == 0 {
                has_lost_found = self.directories.contains(LOST_FOUND, b"lost+found");
            }
        }
        if !has_lost_found {
            let place = Place::Path(b"/lost+found".to_vec());
            self.visitor.findings.add(Code::LostFound, place, "is not there as inode 11");
        }
        self.counted_links()
    }

    /// Reports the inodes that do not have as many names as they say.
    fn counted_links(&mut self) -> Result<(), Unreadable> {
        for (number, Named { links, directory }) in self.visitor.claims.take_links() {
            let Links { said, counted } = links;
            if said == counted {
                continue;
            }
            let text = format!("link count is {said}, but it has {}", names(counted));
            let place = if self.visitor.findings.keeps_another(Code::InodeLinks) {
                self.place_in(directory, number)?
            } else {
                Place::Inode(number, None)
            };
            self.visitor.findings.add(Code::InodeLinks, place, text);
        }
        Ok(())
    }

    /// The place of an inode with one of its names in the directory at a position. Names of files are not kept, so this
    /// reads the directory again.
    fn place_in(&self, position: usize, number: u32) -> Result<Place, Unreadable> {
        let image = self.visitor.image;
        let inode = image.inode(self.directories.inode(position))?;
        // The directory was checked before; what is found now is not reported again.
        let (mut claims, mut findings) = (Claims::new(image.geometry()), Findings::default());
        let at = self.directories.at(position);
        let (claims, findings) = (&mut claims, &mut findings);
        let mut cx = InodeContext { image, claims, findings, inode: &inode, at };
        let mapped = extents::extents(&mut cx)?;
        for run in &mapped.runs {
            for (logical, block) in (run.logical..).zip(run.start..).take(to_usize(run.len)) {
                let bytes = image.block(block)?;
                let entries = directory::read_block(&mut cx, ROOT, None, logical, &bytes);
                if let Some(entry) = entries.iter().find(|entry| entry.inode == number) {
                    return Ok(self.directories.entry(position, entry.name, number).place());
                }
            }
        }
        Ok(Place::Inode(number, None))
    }

    /// Reads the directory at a position and follows its entries.
    fn directory(&mut self, position: usize) -> Result<(), Unreadable> {
        let number = self.directories.inode(position);
        let inode = self.visitor.image.inode(number)?;
        self.visitor.claims.add_directory(number);
        if !inode.has(FLAG_EXTENTS) {
            return Ok(());
        }
        let parent = self.directories.parent_inode(position);
        let is_read_only = self.visitor.image.sb.is_read_only();
        let mut cx = self.visitor.context(&inode, self.directories.at(position));
        let mapped = extents::extents(&mut cx)?;
        fields::blocks(&mut cx, mapped.all_blocks().saturating_add(u64::from(inode.xattr_block != 0)));
        if !mapped.is_whole() {
            let text = format!("{} of its {} blocks are there and written", mapped.blocks(), mapped.end);
            cx.problem(Code::DirectoryHole, text);
        }
        if mapped.end == 0 || mapped.end.checked_mul(BLOCK) != Some(inode.size) {
            let text = format!("{} bytes do not go with {} blocks", inode.size, mapped.end);
            cx.problem(Code::DirectorySize, text);
        }
        if number == LOST_FOUND && mapped.end < 4 && !is_read_only {
            let text = format!("has {} blocks, less than the four that e2fsck needs", mapped.end);
            cx.problem(Code::LostFoundShort, text);
        }
        let index = if inode.has(FLAG_INDEX) { Some(htree::index(&mut cx, parent, &mapped)?) } else { None };
        if index.is_none() && mapped.end > 1 && number != LOST_FOUND {
            let text = format!("has {} blocks without an index", mapped.end);
            cx.problem(Code::DirectoryLinear, text);
        }
        let subdirectories = self.directory_blocks(position, &inode, &mapped, index.as_ref())?;
        let wanted = links_of_directory(subdirectories);
        if u64::from(inode.links) != wanted {
            let text = format!("link count is {}, should be {wanted}", inode.links);
            self.visitor.context(&inode, self.directories.at(position)).problem(Code::InodeLinks, text);
        }
        Ok(())
    }

    /// Reads all blocks of a directory and follows their entries; gives the number of directories among them.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "these blocks are claimed, so they are in the file system"
    )]
    fn directory_blocks(
        &mut self,
        position: usize,
        inode: &Inode,
        mapped: &Mapped,
        index: Option<&Index>,
    ) -> Result<u64, Unreadable> {
        let image = self.visitor.image;
        let (parent, last_inode) =
            (self.directories.parent_inode(position), to_u32(image.geometry().inodes()));
        let mut names = Names::default();
        let mut subdirectories = 0;
        for run in &mapped.runs {
            for (logical, block) in (run.logical..run.logical + run.len).zip(run.start..) {
                if index.is_some_and(|index| index.is_node(logical)) {
                    continue;
                }
                let bytes = image.block(block)?;
                let mut cx = self.visitor.context(inode, self.directories.at(position));
                for entry in directory::read_block(&mut cx, parent, index, logical, &bytes) {
                    let mut cx = self.visitor.context(inode, self.directories.at(position));
                    if directory::is_possible(&mut cx, &entry, last_inode) {
                        names.add(entry.name);
                        subdirectories += u64::from(self.entry(position, &entry)?);
                    }
                }
            }
        }
        names.check_repeated(&mut self.visitor.context(inode, self.directories.at(position)));
        Ok(subdirectories)
    }

    /// Follows an entry of the directory at a position: visits the inode unless another name led to it before. Gives
    /// whether it is a directory.
    fn entry(&mut self, position: usize, entry: &Entry<'_>) -> Result<bool, Unreadable> {
        let number = entry.inode;
        let is_new = self.visitor.claims.claim_inode(number);
        let inode = self.visitor.image.inode(number)?;
        let at = self.directories.entry(position, entry.name, number);
        let mut cx = self.visitor.context(&inode, at);
        let Some(kind) = inode.kind else {
            let text = format!("a name leads to it, but its mode is {:#o}", le32(&inode.raw, 0) & 0xffff);
            cx.problem(Code::InodeType, text);
            return Ok(false);
        };
        if entry.kind != kind.entry_type() {
            let (name, number) = (kind.name(), kind.entry_type());
            let text = format!("its name says type {}, but it is {name} ({number})", entry.kind);
            cx.problem(Code::EntryType, text);
        }
        let is_directory = kind == Kind::Directory;
        if is_new {
            if !is_directory {
                self.visitor.claims.first_name(number, inode.links, position);
            }
            self.visitor.visit(&inode, at)?;
            if is_directory {
                self.directories.add(position, entry.name, number);
            }
        } else if is_directory {
            let text = "has two names, or contains itself";
            self.visitor.context(&inode, at).problem(Code::DirectoryLinkedTwice, text);
        } else {
            self.visitor.claims.another_name(number, position);
            self.visitor.show_again(&inode, at);
        }
        Ok(is_directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_more_links_than_linux_counts_has_one() {
        assert_eq!([0, 1, 64_998, 64_999, u64::MAX].map(links_of_directory), [2, 3, 65_000, 1, 1]);
    }

    #[test]
    fn names_are_counted_in_words() {
        assert_eq!([0, 1, 2].map(names), ["0 names", "1 name", "2 names"]);
    }
}
