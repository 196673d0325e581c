//! From the root to everything that a name leads to.

use crate::checker::{Checker, Links};
use crate::codes::Code;
use crate::extents::Run;
use crate::geometry::BLOCK;
use crate::inode::{FLAG_EXTENTS, FLAG_INDEX, Inode, Kind};
use crate::numbers::le32;
use crate::observer::{Attribute, Found};
use crate::problem::Place;
use crate::source::Unreadable;

const ROOT: u32 = 2;
const LOST_FOUND: u32 = 11;
/// The most links that an inode counts (`EXT4_LINK_MAX`).
const MOST_LINKS: u64 = 65_000;
/// The longest path in messages, in \[bytes\].
pub(crate) const LONGEST_PATH: usize = 1024;

/// What an inode is beside its fields.
#[derive(Default)]
struct Body {
    runs: Vec<Run>,
    target: Vec<u8>,
}

/// A directory that a name leads to.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) inode: u32,
    /// The index of the one that holds it; the root's own for the root.
    pub(crate) parent: usize,
    pub(crate) name: Box<[u8]>,
}

impl Checker<'_> {
    /// Visits everything, from the root down.
    pub(crate) fn walk(&mut self) -> Result<(), Unreadable> {
        self.inodes.insert(u64::from(ROOT));
        self.here = (ROOT, 0, Vec::new());
        let root = self.inode(ROOT)?;
        if root.kind != Some(Kind::Directory) {
            self.at_inode(Code::InodeType, ROOT, "is the root, and no directory");
            return Ok(());
        }
        self.directories.push(Directory { inode: ROOT, parent: 0, name: Box::default() });
        self.visit(&root)?;
        let mut pending = vec![0];
        let mut has_lost_found = false;
        while let Some(index) = pending.pop() {
            let first_new = self.directories.len();
            self.directory(index)?;
            // Depth first and in the order of the entries, as tables and blocks are.
            pending.extend((first_new..self.directories.len()).rev());
            if index == 0 {
                has_lost_found = self.has_lost_found();
            }
        }
        if !has_lost_found {
            self.problem(Code::LostFound, Place::Path(b"/lost+found".to_vec()), "is not there as inode 11");
        }
        Ok(())
    }

    fn has_lost_found(&self) -> bool {
        self.directories.iter().any(|entry| entry.inode == LOST_FOUND && entry.name.as_ref() == b"lost+found")
    }

    /// Follows an entry of a directory: the inode behind it, if it is the first name of it. Whether it is a directory.
    pub(crate) fn entry(
        &mut self,
        directory: usize,
        number: u32,
        kind: u8,
        name: &[u8],
    ) -> Result<bool, Unreadable> {
        let is_new = self.inodes.insert(u64::from(number));
        self.here.0 = number;
        self.here.1 = directory;
        self.here.2.clear();
        self.here.2.extend_from_slice(name);
        let inode = self.inode(number)?;
        let Some(found) = inode.kind else {
            let text = format!("a name leads to it, but its mode is {:#o}", le32(&inode.raw, 0) & 0xffff);
            self.at_inode(Code::InodeType, number, text);
            return Ok(false);
        };
        if kind != found.entry_type() {
            let text =
                format!("its name says type {kind}, but it is {} ({})", found.name(), found.entry_type());
            self.at_inode(Code::EntryType, number, text);
        }
        let is_directory = found == Kind::Directory;
        if is_new {
            if is_directory {
                let entry = Directory { inode: number, parent: directory, name: name.into() };
                self.directories.push(entry);
            } else if inode.links != 1 {
                self.links.insert(number, Links { said: inode.links, counted: 1 });
            }
            self.visit(&inode)?;
        } else if is_directory {
            self.at_inode(Code::DirectoryLinkedTwice, number, "has two names, or contains itself");
        } else {
            let links = self.links.entry(number).or_insert(Links { said: 1, counted: 1 });
            links.counted = links.counted.saturating_add(1);
            self.show(&inode, &[], &Body::default());
        }
        Ok(is_directory)
    }

    /// Judges an inode by itself; directories are read later.
    fn visit(&mut self, inode: &Inode) -> Result<(), Unreadable> {
        self.inode_fields(inode);
        let (own, attributes) = self.xattrs(inode)?;
        let Some(kind) = inode.kind else { return Ok(()) };
        let allowed = match kind {
            Kind::Directory => FLAG_EXTENTS | FLAG_INDEX,
            Kind::File | Kind::Symlink => FLAG_EXTENTS,
            _ => 0,
        };
        let needed = if matches!(kind, Kind::Directory | Kind::File) { FLAG_EXTENTS } else { 0 };
        if inode.flags & !allowed != 0 || inode.flags & needed != needed {
            let text = format!("flags are {:#x}, which {} can't have", inode.flags, kind.name());
            self.at_inode(Code::InodeFlags, inode.number, text);
            if inode.flags & needed != needed {
                return Ok(());
            }
        }
        let mut body = Body::default();
        let contents = match kind {
            Kind::File => {
                let mapped = self.file_contents(inode)?;
                body.runs = mapped.runs;
                body.runs.iter().map(|run| run.len).sum::<u64>() + mapped.nodes
            }
            Kind::Symlink => {
                let (blocks, target) = self.symlink(inode)?;
                body.target = target;
                blocks
            }
            // Its blocks are counted with what it holds.
            Kind::Directory => {
                self.show(inode, &attributes, &body);
                return Ok(());
            }
            Kind::Character | Kind::Block => {
                self.special(inode, true);
                0
            }
            Kind::Fifo | Kind::Socket => {
                self.special(inode, false);
                0
            }
        };
        self.inode_blocks(inode, own + contents);
        self.show(inode, &attributes, &body);
        Ok(())
    }

    /// Shows the observer what the entry that is looked at leads to.
    fn show(&mut self, inode: &Inode, attributes: &[Attribute], body: &Body) {
        let (Some(kind), Some(observer)) = (inode.kind, &mut self.observer) else { return };
        let (_, directory, name) = &self.here;
        // Not the path: directories can be so deep that paths alone would fill the memory.
        observer.found(Found {
            directory: self.directories.get(*directory).map_or(ROOT, |directory| directory.inode),
            name,
            inode: inode.number,
            kind,
            permissions: inode.permissions(),
            uid: inode.uid(),
            gid: inode.gid(),
            modified: inode.mtime(),
            size: inode.size,
            target: &body.target,
            device: inode.device(),
            runs: &body.runs,
            attributes,
        });
    }

    /// Reads a directory and follows its entries.
    fn directory(&mut self, index: usize) -> Result<(), Unreadable> {
        let Some((number, parent)) = self.directories.get(index).map(|entry| (entry.inode, entry.parent))
        else {
            return Ok(());
        };
        let name = self.directories.get(index).map(|entry| entry.name.to_vec()).unwrap_or_default();
        self.here = (number, parent, name.clone());
        let inode = self.inode(number)?;
        if let Some(group) = self.group_mut(number) {
            group.directories += 1;
        }
        if !inode.has(FLAG_EXTENTS) {
            return Ok(());
        }
        let mapped = self.extents(&inode)?;
        self.inode_blocks(&inode, mapped.blocks() + mapped.nodes + u64::from(inode.xattr_block != 0));
        if !mapped.is_whole() {
            let text = format!("{} of its {} blocks are there and written", mapped.blocks(), mapped.end);
            self.at_inode(Code::DirectoryHole, number, text);
        }
        if mapped.end == 0 || mapped.end.checked_mul(BLOCK) != Some(inode.size) {
            let text = format!("{} bytes do not go with {} blocks", inode.size, mapped.end);
            self.at_inode(Code::DirectorySize, number, text);
        }
        if number == LOST_FOUND && mapped.end < 4 && !self.sb.is_read_only() {
            let text = format!("has {} blocks, less than the four that e2fsck needs", mapped.end);
            self.at_inode(Code::LostFoundShort, number, text);
        }
        let subdirectories = self.directory_blocks(index, &inode, &mapped)?;
        self.here = (number, parent, name);
        let counted = subdirectories.saturating_add(2);
        let wanted = if counted > MOST_LINKS { 1 } else { counted };
        if u64::from(inode.links) != wanted {
            let text = format!("says {} links, should be {wanted}", inode.links);
            self.at_inode(Code::InodeLinks, number, text);
        }
        Ok(())
    }

    /// The inode of the directory that holds one.
    pub(crate) fn parent_inode(&self, index: usize) -> u32 {
        let parent = self.directories.get(index).and_then(|entry| self.directories.get(entry.parent));
        parent.map_or(ROOT, |parent| parent.inode)
    }

    /// Whether inodes and attribute blocks are used as often as they say.
    pub(crate) fn counted_links(&mut self) {
        let mut links: Vec<_> = self.links.drain().collect();
        links.sort_unstable_by_key(|(number, _)| *number);
        for (number, Links { said, counted }) in links {
            if said != counted {
                self.at_inode(
                    Code::InodeLinks,
                    number,
                    format!("says {said} links, but has {counted} names"),
                );
            }
        }
        let mut shared: Vec<_> = self.shared_xattrs.drain().collect();
        shared.sort_unstable_by_key(|(block, _)| *block);
        for (block, Links { said, counted }) in shared {
            if said != counted {
                let text = format!("says {said} users of its attributes, but has {counted}");
                self.problem(Code::XattrCount, Place::Block(block), text);
            }
        }
    }

    /// The path of the entry that is looked at, without its middle where it is longer than \[bytes\].
    pub(crate) fn path_of_entry(&self, longest: usize) -> Vec<u8> {
        let (number, directory, name) = &self.here;
        if *number == ROOT {
            return b"/".to_vec();
        }
        let mut parts = vec![name.as_slice()];
        let mut length = name.len();
        let mut at = *directory;
        while at != 0 {
            let Some(entry) = self.directories.get(at) else { break };
            length += 1 + entry.name.len();
            if length > longest {
                parts.push(b"...");
                break;
            }
            parts.push(&entry.name);
            at = entry.parent;
        }
        let mut path = Vec::with_capacity(length + 1);
        for part in parts.into_iter().rev() {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        path
    }

    /// Inodes that are in use, as their number says.
    pub(crate) fn is_used(&self, number: u32) -> bool {
        self.inodes.contains(u64::from(number))
    }

    /// How many inodes there are.
    pub(crate) fn last_inode(&self) -> u32 {
        crate::numbers::to_u32(self.geometry().inodes())
    }
}
