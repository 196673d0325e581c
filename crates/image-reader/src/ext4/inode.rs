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
    use super::*;

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
