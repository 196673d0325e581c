//! Generates inodes.

use ext4_ondisk::inode::{
    self, BAD_BLOCKS, DIRECT_BLOCKS, DOUBLE_INDIRECT, EXTRA_ISIZE, FAST_SYMLINK_MAX, FLAG_EXTENTS,
    FLAG_INDEX, SECTOR, mode,
};
use ext4_ondisk::{Inode, InodeTime};
use image_tree::{NodeId, NodeKind, SpecialKind, Timestamp};
use zerocopy::{FromZeros, IntoBytes};

use crate::layout::Layout;
use crate::numbering::{JOURNAL, MAX_LINKS, RESIZE, Slot};
use crate::placement::Object;
use crate::units::{BLOCK_SIZE, InodeNr, narrow, wide};

/// Number of block pointers in a block.
const POINTERS: u64 = BLOCK_SIZE / 4;

/// Why counts of links fit into 16 bits.
const LINKS: &str = "`MAX_LINKS` is 65,000";

impl Layout {
    /// Generates an inode. Reserved inodes that are not used are zeros, except the checksum; free ones are
    /// zeros.
    pub(crate) fn inode(&self, number: InodeNr) -> Inode {
        let mut inode = match (Slot::of(number), number) {
            (Some(slot), _) => match self.inventory.numbering.owner(slot) {
                Some(node) => self.tree_inode(slot, node),
                None => return Inode::new_zeroed(),
            },
            (None, InodeNr(BAD_BLOCKS)) => self.bad_blocks_inode(),
            (None, RESIZE) => self.resize_inode(),
            (None, JOURNAL) => self.journal_inode(),
            _ => Inode::new_zeroed(),
        };
        if let Some(filesystem) = self.filesystem {
            inode.set_checksum(inode::computed_checksum(filesystem, number.0, inode.as_bytes()));
        }
        inode
    }

    fn bad_blocks_inode(&self) -> Inode {
        let mut inode = Inode::new_zeroed();
        // The low half of it: such an inode has no room for more.
        let time = ext4_ondisk::low32(self.options.timestamp.seconds().cast_unsigned());
        (inode.i_atime, inode.i_ctime, inode.i_mtime) = (time.into(), time.into(), time.into());
        inode
    }

    fn resize_inode(&self) -> Inode {
        let Some(map) = self.placement.resize else { return Inode::new_zeroed() };
        // All blocks that direct, indirect and double-indirect pointers can address.
        let blocks = u64::from(DIRECT_BLOCKS) + POINTERS + POINTERS * POINTERS;
        let mut inode = self.own_inode(blocks * BLOCK_SIZE);
        let copies = 1 + wide(self.geometry.backups().count());
        set_blocks(&mut inode, 1 + self.geometry.reserved_gdt * copies);
        inode.i_block[DOUBLE_INDIRECT..DOUBLE_INDIRECT + 4].copy_from_slice(
            &narrow::<u32>(self.space.block(map).0, "data space begins below block 2^32").to_le_bytes(),
        );
        inode
    }

    fn journal_inode(&self) -> Inode {
        let Some(journal) = self.placement.journal else { return Inode::new_zeroed() };
        let mut inode = self.own_inode(journal.len * BLOCK_SIZE);
        set_blocks(&mut inode, journal.blocks());
        inode.i_flags = FLAG_EXTENTS.into();
        inode.i_block = journal.root(&self.space);
        inode
    }

    /// The common fields of the resize inode and the journal.
    fn own_inode(&self, size: u64) -> Inode {
        let mut inode = Inode::new_zeroed();
        inode.i_mode = (mode::REGULAR | 0o600).into();
        inode.i_links_count = 1.into();
        inode.i_extra_isize = EXTRA_ISIZE.into();
        inode.set_size(size);
        inode.set_times(inode_time(self.options.timestamp));
        inode
    }

    fn tree_inode(&self, slot: Slot, node: NodeId) -> Inode {
        let tree = &self.inventory.tree;
        let metadata = tree.metadata(tree.node(node).metadata());
        let object = self.placement.object(&self.inventory, &self.space, slot, node);
        let mut inode = Inode::new_zeroed();
        inode.set_uid(metadata.uid);
        inode.set_gid(metadata.gid);
        inode.i_extra_isize = EXTRA_ISIZE.into();
        inode.set_times(inode_time(metadata.mtime));
        let links = self.inventory.numbering.links(slot.inode());
        inode.i_links_count = narrow::<u16>(links.into(), LINKS).into();
        let kind = self.describe_contents(&object, &mut inode);
        inode.i_mode = (kind | metadata.permissions.bits()).into();
        self.attach_xattrs(&object, &mut inode);
        set_blocks(&mut inode, object.blocks());
        inode
    }

    /// Sets size, block map and flags, and returns the type bits of the mode.
    fn describe_contents(&self, object: &Object<'_>, inode: &mut Inode) -> u16 {
        let tree = &self.inventory.tree;
        match tree.node(object.node).kind() {
            NodeKind::Directory { .. } => {
                inode.set_size(object.contents.len * BLOCK_SIZE);
                let record = self.inventory.directory(object.node);
                inode.i_links_count = directory_links(record.subdirectories).into();
                if record.shape.is_indexed() {
                    inode.i_flags = FLAG_INDEX.into();
                }
                self.map_contents(object, inode);
                mode::DIRECTORY
            }
            NodeKind::File { size, .. } => {
                inode.set_size(size);
                self.map_contents(object, inode);
                mode::REGULAR
            }
            NodeKind::Symlink { target } => {
                let target = tree.symlink_target(target);
                inode.set_size(wide(target.len()));
                if target.len() <= FAST_SYMLINK_MAX {
                    inode.i_block[..target.len()].copy_from_slice(target);
                } else {
                    self.map_contents(object, inode);
                }
                mode::SYMLINK
            }
            NodeKind::Special(kind) => describe_special(kind, inode),
            // The node that describes an inode is never a hard link; see `Numbering`.
            NodeKind::HardLink { .. } => 0,
        }
    }

    fn map_contents(&self, object: &Object<'_>, inode: &mut Inode) {
        inode.i_flags = (inode.i_flags.get() | FLAG_EXTENTS).into();
        inode.i_block = object.contents.root(&self.space);
    }

    fn attach_xattrs(&self, object: &Object<'_>, inode: &mut Inode) {
        if let Some(area) = &self.inventory.xattrs(object.node).in_inode {
            inode.tail = **area;
        }
        if object.xattr_blocks > 0 {
            inode.set_xattr_block(self.space.block(object.start).0);
        }
    }
}

/// Link count of a directory: its name, `.`, and `..` of each subdirectory. With `dir_nlink`, 1 means that there are too many to
/// count.
fn directory_links(subdirectories: u32) -> u16 {
    let links = u64::from(subdirectories) + 2;
    if links > u64::from(MAX_LINKS) { 1 } else { narrow(links, LINKS) }
}

fn describe_special(kind: SpecialKind, inode: &mut Inode) -> u16 {
    let (kind, major, minor) = match kind {
        SpecialKind::Character { major, minor } => (mode::CHARACTER, major, minor),
        SpecialKind::Block { major, minor } => (mode::BLOCK, major, minor),
        SpecialKind::Fifo => return mode::FIFO,
        SpecialKind::Socket => return mode::SOCKET,
    };
    inode.set_device(major, minor);
    kind
}

fn set_blocks(inode: &mut Inode, blocks: u64) {
    inode.set_sectors(blocks * (BLOCK_SIZE / SECTOR));
}

fn inode_time(time: Timestamp) -> InodeTime {
    InodeTime { seconds: time.seconds(), nanoseconds: time.nanoseconds() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_up_to_65000_links() {
        let links = [0, 1, 64_998, 64_999, u32::MAX].map(directory_links);
        assert_eq!(links, [2, 3, 65_000, 1, 1]);
    }
}
