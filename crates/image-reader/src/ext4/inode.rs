//! Reads inodes, by their group descriptors.

use ext4_ondisk::inode::{self, mode};
use ext4_ondisk::{Checksum, GroupDescriptor, Inode, read_padded};

use super::superblock::Superblock;
use crate::bytes::Checked;
use crate::file_system::{Kind, Node, Place, Time};
use crate::{ReadError, Window};

/// An inode as it is stored.
#[derive(Clone, Debug)]
pub struct RawInode {
    /// Offset in the volume in \[bytes\].
    pub offset: u64,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Its number.
    pub number: u32,
    /// The seed of checksums; `None` without `metadata_csum`.
    pub seed: Option<Checksum>,
}

/// Reads an inode, and compares its checksum.
pub(super) fn read_raw(window: &Window, superblock: &Superblock, number: u32) -> Result<RawInode, ReadError> {
    let place = || format!("inode {number}");
    let damaged = |what: String| ReadError::damaged(place(), what);
    let index = number
        .checked_sub(1)
        .filter(|_| number <= superblock.inodes)
        .ok_or_else(|| damaged(format!("does not exist; there are {} inodes", superblock.inodes)))?;
    let per_group = superblock.inodes_per_group;
    let (group, within) = index
        .checked_div(per_group)
        .zip(index.checked_rem(per_group))
        .ok_or_else(|| damaged("does not belong to any group".to_owned()))?;
    let table = descriptor(window, superblock, group)?.inode_table();
    let offset = superblock
        .offset_of(table, 1)
        .and_then(|table| Checked::of(within).times(superblock.inode_size).plus(table).get())
        .filter(|at| Checked::of(*at).plus(superblock.inode_size).at_most(superblock.bytes()).is_some())
        .ok_or_else(|| damaged("its table is not in the file system".to_owned()))?;
    let raw = window.bytes(offset, superblock.inode_size).map_err(|error| ReadError::io(place(), error))?;
    let inode: Inode = read_padded(&raw);
    if let Some(seed) = superblock.checksum_seed
        && inode::computed_checksum(seed, number, &raw) != inode.checksum()
    {
        return Err(damaged("its checksum is wrong".to_owned()));
    }
    Ok(RawInode { offset, bytes: raw, number, seed: superblock.checksum_seed })
}

pub(super) fn read(window: &Window, superblock: &Superblock, number: u32) -> Result<Node, ReadError> {
    let raw = read_raw(window, superblock, number)?;
    let damaged = |what: String| ReadError::damaged(format!("inode {number}"), what);
    let inode: Inode = read_padded(&raw.bytes);
    let mode = inode.i_mode.get();
    let kind = kind(&inode).ok_or_else(|| damaged(format!("has the mode {mode:#o}")))?;
    Ok(Node {
        kind,
        size: inode.size(),
        mode: mode & mode::PERMISSIONS_MASK,
        uid: inode.uid(),
        gid: inode.gid(),
        links: inode.i_links_count.get().into(),
        modified: modified(&inode),
        inode: Some(number),
        place: Place::Inode { flags: inode.i_flags.get(), block: inode.i_block },
    })
}

fn descriptor(window: &Window, superblock: &Superblock, group: u32) -> Result<GroupDescriptor, ReadError> {
    let place = || format!("group {group}");
    let first = Checked::of(superblock.first_data_block).plus(1_u64).times(superblock.block_size).get();
    let offset = first
        .and_then(|first| Checked::of(group).times(superblock.descriptor_size).plus(first).get())
        .ok_or_else(|| ReadError::damaged(place(), "is not in the file system"))?;
    let raw = window.bytes(offset, superblock.descriptor_size);
    raw.map(|raw| read_padded(&raw)).map_err(|error| ReadError::io(place(), error))
}

fn kind(inode: &Inode) -> Option<Kind> {
    let (major, minor) = inode.device();
    Some(match inode.i_mode.get() & mode::TYPE_MASK {
        mode::FIFO => Kind::Fifo,
        mode::CHARACTER => Kind::Character(major, minor),
        mode::DIRECTORY => Kind::Directory,
        mode::BLOCK => Kind::Block(major, minor),
        mode::REGULAR => Kind::File,
        mode::SYMLINK => Kind::Symlink,
        mode::SOCKET => Kind::Socket,
        _ => return None,
    })
}

/// The modification time, with nanoseconds limited to less than a second.
fn modified(inode: &Inode) -> Time {
    let time = inode.modified();
    Time { seconds: time.seconds, nanoseconds: time.nanoseconds.min(999_999_999) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Image;
    use super::*;

    /// Reads an inode; an error is the first part of its message.
    fn read_of(image: Image, number: u32) -> Result<Node, String> {
        let window = image.window();
        let superblock = Superblock::read(&window).unwrap();
        let found = read(&window, &superblock, number);
        found.map_err(|error| error.to_string().split("; ").next().unwrap_or_default().to_owned())
    }

    #[test]
    fn nodes_have_the_fields_of_their_inode() {
        let mut image = Image::new();
        image.inode(32, 0o105_711, 5 << 32 | 7, 0, &[]);
        let at = 5 * 1024 + 31 * 128;
        image.bytes[at + 2] = 3;
        image.bytes[at + 0x10] = 9;
        image.bytes[at + 0x18] = 4;
        image.bytes[at + 0x1a] = 2;
        let node = read_of(image, 32).unwrap();
        assert_eq!((node.kind, node.mode, node.size), (Kind::File, 0o5711, 5 << 32 | 7));
        assert_eq!((node.uid, node.gid, node.links, node.inode), (3, 4, 2, Some(32)));
        assert_eq!(node.modified, Time { seconds: 9, nanoseconds: 0 });
    }

    #[test]
    fn inodes_are_numbered_from_one() {
        for (number, error) in [
            (0, "inode 0: does not exist, there are 32 inodes"),
            (33, "inode 33: does not exist, there are 32 inodes"),
            (1, "inode 1: has the mode 0o0"),
        ] {
            let found = read_of(Image::new(), number).unwrap_err();
            assert!(found.starts_with(error.split(',').next().unwrap_or_default()), "{found}");
        }
    }

    #[test]
    fn every_group_has_a_table() {
        // 16 inodes in each of two groups: the second table is in block 20.
        let mut image = Image::new().field(0x28, 16);
        image.put(2048 + 32 + 8, 20);
        image.bytes[20 * 1024..][..2].copy_from_slice(&0o100_600_u16.to_le_bytes());
        assert_eq!(read_of(image, 17).unwrap().mode, 0o600);
    }

    #[test]
    fn tables_are_in_the_file_system() {
        // Four inodes are in a part of the last block.
        for (table, number, is_there) in [(63, 8, true), (63, 9, false), (64, 1, false), (0, 1, false)] {
            let mut image = Image::new();
            image.put(2048 + 8, table);
            let found = read_of(image, number).unwrap_err();
            let mode = format!("inode {number}: has the mode 0o0");
            let gone = format!("inode {number}: its table is not in the file system");
            assert_eq!(found, if is_there { mode } else { gone }, "{table}");
        }
    }

    #[test]
    fn checksums_of_inodes_are_compared() {
        let image = || {
            let mut image = Image::new().field(0x64, 0x400);
            image.extents(12, 0o100_644, 0, &[]);
            image
        };
        let at = 5 * 1024 + 11 * 128;
        let mut right = image();
        let superblock = Superblock::read(&Window::whole(std::sync::Arc::new(right.bytes.clone()))).unwrap();
        let seed = superblock.checksum_seed.unwrap();
        let sum = inode::computed_checksum(seed, 12, &right.bytes[at..at + 128]);
        // Inodes of 128 bytes have only half of it.
        right.bytes[at + 0x7c..at + 0x7e].copy_from_slice(&sum.to_le_bytes()[..2]);
        assert!(read_of(right, 12).is_ok());
        let wrong = |byte: usize| {
            let mut image = image();
            image.bytes[at + 0x7c] = byte.to_le_bytes()[0];
            read_of(image, 12)
        };
        let errors = [1, 2].map(|byte| wrong(byte).unwrap_err());
        assert_eq!(errors, ["inode 12: its checksum is wrong"; 2]);
    }

    #[test]
    fn the_kind_comes_from_the_mode() {
        let kind_of = |mode: u16| {
            let mut inode: Inode = read_padded(&[]);
            inode.set_device(259, 300);
            inode.i_mode = mode.into();
            kind(&inode)
        };
        for (mode, kind) in [
            (0o010_644, Some(Kind::Fifo)),
            (0o020_600, Some(Kind::Character(259, 300))),
            (0o040_755, Some(Kind::Directory)),
            (0o060_600, Some(Kind::Block(259, 300))),
            (0o100_644, Some(Kind::File)),
            (0o120_777, Some(Kind::Symlink)),
            (0o140_755, Some(Kind::Socket)),
            (0, None),
            (0o030_000, None),
            (0o170_000, None),
        ] {
            assert_eq!(kind_of(mode), kind, "{mode:o}");
        }
    }

    #[test]
    fn nanoseconds_are_less_than_a_second() {
        let mut inode: Inode = read_padded(&[]);
        inode.i_extra_isize = 32.into();
        (inode.i_mtime, inode.i_mtime_extra) = (1.into(), u32::MAX.into());
        assert_eq!(modified(&inode), Time { seconds: 1 + (3 << 32), nanoseconds: 999_999_999 });
    }
}
