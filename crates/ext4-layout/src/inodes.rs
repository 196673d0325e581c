//! The inodes, made as they are written.

use image_tree::{NodeKind, SpecialKind, Timestamp};
use zerocopy::{FromZeros, IntoBytes};

use crate::checksum::Checksum;
use crate::inventory::FAST_SYMLINK_BYTES;
use crate::layout::Layout;
use crate::numbering::{JOURNAL, MAX_LINKS, RESIZE, Slot};
use crate::ondisk::inode::{EXTRA_ISIZE, FLAG_EXTENTS, FLAG_INDEX, RawInode, mode};
use crate::placement::Object;
use crate::units::{BLOCK_SIZE, InodeNr, high16, high32, low8, low16, low32, wide};

/// What `stat` counts blocks in, in \[bytes\].
const SECTOR: u64 = 512;
/// The bad blocks inode, which has times and nothing else.
const BAD_BLOCKS: InodeNr = InodeNr(1);
/// `i_size` of the resize inode: all blocks that direct, indirect and double-indirect pointers can name.
const RESIZE_SIZE: u64 = (12 + 1024 + 1024 * 1024) * BLOCK_SIZE;

impl Layout {
    /// One inode with its checksum; all zero but for it where the number has no use.
    pub(crate) fn inode(&self, number: InodeNr) -> RawInode {
        let mut inode = match (Slot::of(number), number) {
            (Some(slot), _) => self.tree_inode(slot),
            (None, BAD_BLOCKS) => self.bad_blocks_inode(),
            (None, RESIZE) => self.resize_inode(),
            (None, JOURNAL) => self.journal_inode(),
            _ => RawInode::new_zeroed(),
        };
        let checksum = Checksum::of_inode(self.filesystem, number).over(inode.as_bytes()).value();
        inode.i_checksum_lo = low16(checksum).into();
        if inode.i_extra_isize.get() >= 4 {
            inode.i_checksum_hi = high16(checksum).into();
        }
        inode
    }

    fn bad_blocks_inode(&self) -> RawInode {
        let mut inode = RawInode::new_zeroed();
        let time = low32(self.options.timestamp.seconds().cast_unsigned());
        (inode.i_atime, inode.i_ctime, inode.i_mtime) = (time.into(), time.into(), time.into());
        inode
    }

    fn resize_inode(&self) -> RawInode {
        let Some(map) = self.placement.resize else { return RawInode::new_zeroed() };
        let mut inode = self.own_inode(RESIZE_SIZE);
        let copies = 1 + wide(self.geometry.backups().count());
        set_blocks(&mut inode, 1 + self.geometry.reserved_gdt * copies);
        // Pointer 13: the double-indirect block, always below 2^32 as it begins data space.
        inode.i_block[52..56].copy_from_slice(&low32(self.space.block(map).0).to_le_bytes());
        inode
    }

    fn journal_inode(&self) -> RawInode {
        let Some(journal) = self.placement.journal else { return RawInode::new_zeroed() };
        let mut inode = self.own_inode(journal.len * BLOCK_SIZE);
        set_blocks(&mut inode, journal.blocks());
        inode.i_flags = FLAG_EXTENTS.into();
        inode.i_block = journal.root(&self.space);
        inode
    }

    /// What the resize inode and the journal have in common.
    fn own_inode(&self, size: u64) -> RawInode {
        let mut inode = RawInode::new_zeroed();
        inode.i_mode = (mode::REGULAR | 0o600).into();
        inode.i_links_count = 1.into();
        inode.i_extra_isize = EXTRA_ISIZE.into();
        set_size(&mut inode, size);
        set_times(&mut inode, self.options.timestamp);
        inode
    }

    fn tree_inode(&self, slot: Slot) -> RawInode {
        let tree = &self.inventory.tree;
        let node = self.inventory.numbering.owner(slot);
        let metadata = tree.metadata(tree.node(node).metadata());
        let object = self.placement.object(&self.inventory, &self.space, slot, node);
        let mut inode = RawInode::new_zeroed();
        inode.i_uid = low16(metadata.uid).into();
        inode.i_uid_high = high16(metadata.uid).into();
        inode.i_gid = low16(metadata.gid).into();
        inode.i_gid_high = high16(metadata.gid).into();
        inode.i_extra_isize = EXTRA_ISIZE.into();
        set_times(&mut inode, metadata.mtime);
        let links = self.inventory.numbering.links(slot.inode());
        inode.i_links_count = low16(links).into();
        let kind = self.describe_contents(&object, &mut inode);
        inode.i_mode = (kind | metadata.permissions.bits()).into();
        self.attach_xattrs(&object, &mut inode);
        set_blocks(&mut inode, object.blocks());
        inode
    }

    /// Fills in size, block map and flags; gives the type bits of the mode.
    fn describe_contents(&self, object: &Object<'_>, inode: &mut RawInode) -> u16 {
        let tree = &self.inventory.tree;
        match tree.node(object.node).kind() {
            NodeKind::Directory { .. } => {
                set_size(inode, object.contents.len * BLOCK_SIZE);
                if let Some(record) = self.inventory.directory(object.node) {
                    let links = u64::from(record.subdirectories) + 2;
                    // dir_nlink: 1 says that there are more than can be counted.
                    let links = if links > u64::from(MAX_LINKS) { 1 } else { links };
                    inode.i_links_count = low16(low32(links)).into();
                    if record.shape.is_indexed() {
                        inode.i_flags = FLAG_INDEX.into();
                    }
                }
                self.map_contents(object, inode);
                mode::DIRECTORY
            }
            NodeKind::File { size, .. } => {
                set_size(inode, size);
                self.map_contents(object, inode);
                mode::REGULAR
            }
            NodeKind::Symlink { target } => {
                let target = tree.symlink_target(target);
                set_size(inode, wide(target.len()));
                if target.len() <= FAST_SYMLINK_BYTES {
                    inode.i_block[..target.len()].copy_from_slice(target);
                } else {
                    self.map_contents(object, inode);
                }
                mode::SYMLINK
            }
            NodeKind::Special(kind) => describe_special(kind, inode),
            // An owner is never a link; see `Numbering`.
            NodeKind::HardLink { .. } => 0,
        }
    }

    fn map_contents(&self, object: &Object<'_>, inode: &mut RawInode) {
        inode.i_flags = (inode.i_flags.get() | FLAG_EXTENTS).into();
        inode.i_block = object.contents.root(&self.space);
    }

    fn attach_xattrs(&self, object: &Object<'_>, inode: &mut RawInode) {
        if let Some(area) = &self.inventory.xattrs(object.node).in_inode {
            inode.tail = **area;
        }
        if object.xattr_blocks > 0 {
            let block = self.space.block(object.start).0;
            inode.i_file_acl_lo = low32(block).into();
            inode.i_file_acl_high = low16(high32(block)).into();
        }
    }
}

fn describe_special(kind: SpecialKind, inode: &mut RawInode) -> u16 {
    let (kind, major, minor) = match kind {
        SpecialKind::Character { major, minor } => (mode::CHARACTER, major, minor),
        SpecialKind::Block { major, minor } => (mode::BLOCK, major, minor),
        SpecialKind::Fifo => return mode::FIFO,
        SpecialKind::Socket => return mode::SOCKET,
    };
    // `old_encode_dev` in the first word where it fits, else `new_encode_dev` in the second.
    if major < 256 && minor < 256 {
        inode.i_block[..4].copy_from_slice(&((major << 8) | minor).to_le_bytes());
    } else {
        let device = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
        inode.i_block[4..8].copy_from_slice(&device.to_le_bytes());
    }
    kind
}

fn set_size(inode: &mut RawInode, size: u64) {
    inode.i_size_lo = low32(size).into();
    inode.i_size_high = high32(size).into();
}

fn set_blocks(inode: &mut RawInode, blocks: u64) {
    let sectors = blocks * (BLOCK_SIZE / SECTOR);
    inode.i_blocks_lo = low32(sectors).into();
    inode.i_blocks_high = low16(high32(sectors)).into();
}

/// All four times are the time of modification. Two bits of the extra word carry on the seconds past 2038.
fn set_times(inode: &mut RawInode, time: Timestamp) {
    let seconds = low32(time.seconds().cast_unsigned());
    let epoch = (time.seconds() - i64::from(seconds.cast_signed())) >> 32;
    let extra = (time.nanoseconds() << 2) | (u32::from(low8(epoch.cast_unsigned())) & 3);
    (inode.i_atime, inode.i_ctime) = (seconds.into(), seconds.into());
    (inode.i_mtime, inode.i_crtime) = (seconds.into(), seconds.into());
    (inode.i_atime_extra, inode.i_ctime_extra) = (extra.into(), extra.into());
    (inode.i_mtime_extra, inode.i_crtime_extra) = (extra.into(), extra.into());
}
