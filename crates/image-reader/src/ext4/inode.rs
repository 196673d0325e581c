//! Inodes. Offsets: kernel documentation, ext4 "Index Nodes".

use super::superblock::{Superblock, crc};
use crate::bytes::{Bytes, Checked};
use crate::file_system::{Kind, Node, Place, Time};
use crate::{ReadError, Window};

/// Inode flags.
pub(super) const ENCRYPTED: u32 = 0x800;
pub(super) const EXTENTS: u32 = 0x8_0000;
pub(super) const INLINE_DATA: u32 = 0x1000_0000;

pub(super) fn read(window: &Window, superblock: &Superblock, number: u32) -> Result<Node, ReadError> {
    let place = || format!("inode {number}");
    let damaged = |what: String| ReadError::damaged(place(), what);
    let index = number
        .checked_sub(1)
        .filter(|_| number <= superblock.inodes)
        .ok_or_else(|| damaged(format!("is not one of {}", superblock.inodes)))?;
    let per_group = superblock.inodes_per_group;
    let (group, within) = index
        .checked_div(per_group)
        .zip(index.checked_rem(per_group))
        .ok_or_else(|| damaged("is of no group".to_owned()))?;
    let descriptor = descriptor(window, superblock, group)?;
    let high =
        if superblock.descriptor_size >= 64 { u64::from(Bytes(&descriptor).le32(0x28)) << 32 } else { 0 };
    let table = high | u64::from(Bytes(&descriptor).le32(0x8));
    let offset = superblock
        .offset_of(table, 1)
        .and_then(|table| Checked::of(within).times(superblock.inode_size).plus(table).get())
        .filter(|at| Checked::of(*at).plus(superblock.inode_size).at_most(superblock.bytes()).is_some())
        .ok_or_else(|| damaged("its table is not in the file system".to_owned()))?;
    let raw = window.bytes(offset, superblock.inode_size).map_err(|error| ReadError::io(place(), error))?;
    let bytes = Bytes(&raw);
    if let Some(seed) = superblock.checksum_seed
        && !has_its_checksum(seed, number, &raw)
    {
        return Err(damaged("its checksum is wrong".to_owned()));
    }
    let mode = bytes.le16(0);
    let mut block = [0; 60];
    block.copy_from_slice(bytes.slice(0x28, 60));
    let kind = kind(mode, &block).ok_or_else(|| damaged(format!("has the mode {mode:#o}")))?;
    Ok(Node {
        kind,
        size: bytes.le32_pair(0x4, 0x6c),
        mode: mode & 0o7777,
        uid: u32::from(bytes.le16(0x78)) << 16 | u32::from(bytes.le16(0x2)),
        gid: u32::from(bytes.le16(0x7a)) << 16 | u32::from(bytes.le16(0x18)),
        links: bytes.le16(0x1a).into(),
        modified: modified(bytes, &raw),
        inode: Some(number),
        place: Place::Inode { flags: bytes.le32(0x20), block },
    })
}

fn descriptor(window: &Window, superblock: &Superblock, group: u32) -> Result<Vec<u8>, ReadError> {
    let place = || format!("group {group}");
    let first = Checked::of(superblock.first_data_block).plus(1_u64).times(superblock.block_size).get();
    let offset = first
        .and_then(|first| Checked::of(group).times(superblock.descriptor_size).plus(first).get())
        .ok_or_else(|| ReadError::damaged(place(), "is not in the file system"))?;
    window.bytes(offset, superblock.descriptor_size).map_err(|error| ReadError::io(place(), error))
}

/// The checksum covers the inode's number, its generation and itself, with zeros where the checksum stands.
fn has_its_checksum(seed: u32, number: u32, raw: &[u8]) -> bool {
    let bytes = Bytes(raw);
    let seed = crc(crc(seed, &number.to_le_bytes()), bytes.slice(0x64, 4));
    let mut zeroed = raw.to_vec();
    let wide = raw.len() > 128 && bytes.le16(0x80) >= 4;
    for at in [0x7c, 0x7d].into_iter().chain(wide.then_some([0x82, 0x83]).into_iter().flatten()) {
        if let Some(byte) = zeroed.get_mut(at) {
            *byte = 0;
        }
    }
    let found = crc(seed, &zeroed);
    let low = u32::from(bytes.le16(0x7c));
    if wide { found == (u32::from(bytes.le16(0x82)) << 16 | low) } else { found & 0xffff == low }
}

fn kind(mode: u16, block: &[u8; 60]) -> Option<Kind> {
    let block = Bytes(block);
    // As the kernel reads them: the old form where there is one, else the new one.
    let device = || match (block.le32(0), block.le32(4)) {
        (0, new) => ((new >> 8) & 0xfff, (new & 0xff) | ((new >> 12) & 0xf_ff00)),
        (old, _) => ((old >> 8) & 0xff, old & 0xff),
    };
    Some(match mode >> 12 {
        0o1 => Kind::Fifo,
        0o2 => Kind::Character(device().0, device().1),
        0o4 => Kind::Directory,
        0o6 => Kind::Block(device().0, device().1),
        0o10 => Kind::File,
        0o12 => Kind::Symlink,
        0o14 => Kind::Socket,
        _ => return None,
    })
}

/// 32 signed bits, and, in a large inode, two bits more and nanoseconds.
fn modified(bytes: Bytes<'_>, raw: &[u8]) -> Time {
    let seconds = i64::from(bytes.le32_signed(0x10));
    if raw.len() <= 128 || bytes.le16(0x80) < 0xc {
        return Time { seconds, nanoseconds: 0 };
    }
    let extra = bytes.le32(0x88);
    Time {
        seconds: seconds.saturating_add(i64::from(extra & 3) << 32),
        nanoseconds: (extra >> 2).min(999_999_999),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_an_old_and_a_new_form() {
        let mut block = [0; 60];
        block[..4].copy_from_slice(&0x0501_u32.to_le_bytes());
        assert_eq!(kind(0o20_600, &block), Some(Kind::Character(5, 1)));
        block[..4].fill(0);
        // MKDEV(259, 300) as new_encode_dev has it.
        block[4..8].copy_from_slice(&(0x2c_u32 | 259 << 8 | 1 << 20).to_le_bytes());
        assert_eq!(kind(0o60_600, &block), Some(Kind::Block(259, 300)));
        assert_eq!(kind(0o30_000, &block), None);
    }

    #[test]
    fn times_reach_before_1970_and_beyond_2038() {
        let mut raw = vec![0; 256];
        raw[0x80] = 32;
        for (low, extra, seconds) in
            [(-1, 0, -1), (i32::MIN, 1, i64::from(i32::MIN) + (1 << 32)), (1, (7 << 2) | 3, 1 + (3 << 32))]
        {
            raw[0x10..0x14].copy_from_slice(&low.to_le_bytes());
            raw[0x88..0x8c].copy_from_slice(&u32::to_le_bytes(extra));
            let found = modified(Bytes(&raw), &raw);
            assert_eq!((found.seconds, found.nanoseconds), (seconds, extra >> 2));
        }
    }
}
