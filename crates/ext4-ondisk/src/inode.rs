//! The inode (`struct ext4_inode`): 256 bytes, of which an inode of 128 bytes has the first half.
//!
//! Source: kernel documentation, "Index Nodes".

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::halves::{high16, high32, join32, join64};
use crate::{Checksum, InodeTime, device, low16, low32, read_padded};

/// Bit of `i_flags`: the contents are encrypted.
pub const FLAG_ENCRYPT: u32 = 0x0000_0800;
/// Bit of `i_flags`: the directory is indexed by hash.
pub const FLAG_INDEX: u32 = 0x0000_1000;
/// Bit of `i_flags`: `i_block` holds an extent tree.
pub const FLAG_EXTENTS: u32 = 0x0008_0000;
/// Bit of `i_flags`: `i_block` and the attribute `system.data` hold the contents.
pub const FLAG_INLINE_DATA: u32 = 0x1000_0000;

/// Number of the inode of bad blocks (`EXT4_BAD_INO`).
pub const BAD_BLOCKS: u32 = 1;
/// Number of the root directory's inode (`EXT4_ROOT_INO`).
pub const ROOT: u32 = 2;
/// Number of the inode that keeps blocks for more group descriptors (`EXT4_RESIZE_INO`).
pub const RESIZE: u32 = 7;
/// Number of the journal's inode (`EXT4_JOURNAL_INO`).
pub const JOURNAL: u32 = 8;
/// First number without a fixed meaning (`EXT4_GOOD_OLD_FIRST_INO`). mke2fs gives it to `lost+found`.
pub const FIRST: u32 = 11;
/// The most names of an inode (`EXT4_LINK_MAX`).
pub const MAX_LINKS: u32 = 65_000;

/// Size of the part that every inode has, in \[bytes\] (`EXT4_GOOD_OLD_INODE_SIZE`).
const BASE_SIZE: usize = 128;
/// Value of `i_extra_isize` in \[bytes\] that covers all fields.
pub const EXTRA_ISIZE: u16 = 32;
/// Offset of extended attributes in an inode with [`EXTRA_ISIZE`], in \[bytes\].
pub const XATTR_OFFSET: usize = 160;
/// Space for extended attributes in an inode of 256 bytes with [`EXTRA_ISIZE`], in \[bytes\].
pub const XATTR_SIZE: usize = 96;
/// The longest symlink target that is stored in `i_block`, in \[bytes\]; the 60th is for the kernel's NUL.
pub const FAST_SYMLINK_MAX: usize = 59;
/// Unit of `i_blocks` in \[bytes\], without `EXT4_HUGE_FILE_FL`.
pub const SECTOR: u64 = 512;
/// Block pointers in `i_block` that lead directly to data (`EXT4_NDIR_BLOCKS`). The three after them lead through one, two
/// and three blocks of pointers. Source: kernel documentation, "Direct/Indirect Block Addressing".
pub const DIRECT_BLOCKS: u32 = 12;
/// Offset of the pointer to the double-indirect block in `i_block`, in \[bytes\].
pub const DOUBLE_INDIRECT: usize = 52;

/// Type bits of `i_mode`.
pub mod mode {
    /// Mask of the type bits (`S_IFMT`).
    pub const TYPE_MASK: u16 = 0xf000;
    /// Mask of permissions, setuid, setgid and sticky bit.
    pub const PERMISSIONS_MASK: u16 = 0x0fff;
    /// Named pipe.
    pub const FIFO: u16 = 0x1000;
    /// Character device.
    pub const CHARACTER: u16 = 0x2000;
    /// Directory.
    pub const DIRECTORY: u16 = 0x4000;
    /// Block device.
    pub const BLOCK: u16 = 0x6000;
    /// Regular file.
    pub const REGULAR: u16 = 0x8000;
    /// Symbolic link.
    pub const SYMLINK: u16 = 0xa000;
    /// Socket.
    pub const SOCKET: u16 = 0xc000;
}

/// An inode as stored. [`read_padded`] gives an inode of 128 bytes an `i_extra_isize` of 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Inode {
    /// 0x00: Type, a constant of [`mode`], and permissions.
    pub i_mode: U16,
    /// 0x02: Owner, low half.
    pub i_uid: U16,
    /// 0x04: Size in \[bytes\], low half.
    pub i_size_lo: U32,
    /// 0x08: Time of access, seconds word; see [`InodeTime`].
    pub i_atime: U32,
    /// 0x0c: Time of change, seconds word.
    pub i_ctime: U32,
    /// 0x10: Time of modification, seconds word.
    pub i_mtime: U32,
    /// 0x14: Time of deletion in \[seconds\] since 1970; 0 for an inode in use.
    pub i_dtime: U32,
    /// 0x18: Group, low half.
    pub i_gid: U16,
    /// 0x1a: Names of the inode; see [`MAX_LINKS`].
    pub i_links_count: U16,
    /// 0x1c: Blocks in use in \[512 bytes\], low 32 bits.
    pub i_blocks_lo: U32,
    /// 0x20: [`FLAG_EXTENTS`] and others.
    pub i_flags: U32,
    /// 0x24: Version, low half.
    pub i_version: U32,
    /// 0x28: Root of the extent tree, block map, target of a short symlink or device number.
    pub i_block: [u8; 60],
    /// 0x64: Generation, which checksums cover.
    pub i_generation: U32,
    /// 0x68: Block of extended attributes, low 32 bits; 0 for none.
    pub i_file_acl_lo: U32,
    /// 0x6c: Size in \[bytes\], high half.
    pub i_size_high: U32,
    /// 0x70: Address of a fragment; unused.
    pub i_obso_faddr: U32,
    /// 0x74: Blocks in use in \[512 bytes\], bits 32 to 47.
    pub i_blocks_high: U16,
    /// 0x76: Block of extended attributes, bits 32 to 47.
    pub i_file_acl_high: U16,
    /// 0x78: Owner, high half.
    pub i_uid_high: U16,
    /// 0x7a: Group, high half.
    pub i_gid_high: U16,
    /// 0x7c: Checksum, low half; see [`computed_checksum`].
    pub i_checksum_lo: U16,
    /// 0x7e: Zero.
    pub i_reserved: U16,
    /// 0x80: Bytes of fields from here on that are in use; 0 in an inode of 128 bytes.
    pub i_extra_isize: U16,
    /// 0x82: Checksum, high half, if `i_extra_isize` covers it.
    pub i_checksum_hi: U16,
    /// 0x84: Time of change, extra word.
    pub i_ctime_extra: U32,
    /// 0x88: Time of modification, extra word.
    pub i_mtime_extra: U32,
    /// 0x8c: Time of access, extra word.
    pub i_atime_extra: U32,
    /// 0x90: Time of creation, seconds word.
    pub i_crtime: U32,
    /// 0x94: Time of creation, extra word.
    pub i_crtime_extra: U32,
    /// 0x98: Version, high half.
    pub i_version_hi: U32,
    /// 0x9c: Project.
    pub i_projid: U32,
    /// 0xa0: Extended attributes in the inode.
    pub tail: [u8; 96],
}

impl Inode {
    /// Size in \[bytes\].
    pub fn size(&self) -> u64 {
        join64(self.i_size_lo.get(), self.i_size_high.get())
    }

    /// Sets the size in \[bytes\].
    pub fn set_size(&mut self, bytes: u64) {
        self.i_size_lo = low32(bytes).into();
        self.i_size_high = high32(bytes).into();
    }

    /// Sets the blocks in use in [`SECTOR`]s, 48 bits.
    pub fn set_sectors(&mut self, sectors: u64) {
        self.i_blocks_lo = low32(sectors).into();
        self.i_blocks_high = low16(high32(sectors)).into();
    }

    /// Owner.
    pub fn uid(&self) -> u32 {
        join32(self.i_uid.get(), self.i_uid_high.get())
    }

    /// Sets the owner.
    pub fn set_uid(&mut self, uid: u32) {
        self.i_uid = low16(uid).into();
        self.i_uid_high = high16(uid).into();
    }

    /// Group.
    pub fn gid(&self) -> u32 {
        join32(self.i_gid.get(), self.i_gid_high.get())
    }

    /// Sets the group.
    pub fn set_gid(&mut self, gid: u32) {
        self.i_gid = low16(gid).into();
        self.i_gid_high = high16(gid).into();
    }

    /// Sets the block of extended attributes, 48 bits.
    pub fn set_xattr_block(&mut self, block: u64) {
        self.i_file_acl_lo = low32(block).into();
        self.i_file_acl_high = low16(high32(block)).into();
    }

    /// Time of modification. Without its extra word, it has 32 bits of seconds and no nanoseconds.
    pub fn modified(&self) -> InodeTime {
        let extra = if self.has_extra(MTIME_EXTRA_END) { self.i_mtime_extra.get() } else { 0 };
        InodeTime::from_words(self.i_mtime.get(), extra)
    }

    /// Sets the times of access, change, modification and creation to one time.
    pub fn set_times(&mut self, time: InodeTime) {
        let (seconds, extra) = time.to_words();
        (self.i_atime, self.i_ctime) = (seconds.into(), seconds.into());
        (self.i_mtime, self.i_crtime) = (seconds.into(), seconds.into());
        (self.i_atime_extra, self.i_ctime_extra) = (extra.into(), extra.into());
        (self.i_mtime_extra, self.i_crtime_extra) = (extra.into(), extra.into());
    }

    /// Major and minor number of a device.
    pub fn device(&self) -> (u32, u32) {
        let (words, _) = self.i_block.as_chunks();
        let word = |index: usize| words.get(index).map_or(0, |bytes| u32::from_le_bytes(*bytes));
        device::decode([word(0), word(1)])
    }

    /// Sets the major number, 12 bits, and the minor number, 20 bits, of a device.
    pub fn set_device(&mut self, major: u32, minor: u32) {
        for (bytes, word) in self.i_block.as_chunks_mut().0.iter_mut().zip(device::encode(major, minor)) {
            *bytes = word.to_le_bytes();
        }
    }

    /// The stored checksum: the low 16 bits only, unless `i_extra_isize` covers the high half.
    pub fn checksum(&self) -> u32 {
        let high = if self.has_extra(CHECKSUM_END) { self.i_checksum_hi.get() } else { 0 };
        join32(self.i_checksum_lo.get(), high)
    }

    /// Stores a checksum: its low 16 bits, and the others if `i_extra_isize` covers the high half.
    pub fn set_checksum(&mut self, checksum: u32) {
        self.i_checksum_lo = low16(checksum).into();
        if self.has_extra(CHECKSUM_END) {
            self.i_checksum_hi = high16(checksum).into();
        }
    }

    /// Whether `i_extra_isize` covers the fields up to an offset from 128 (`EXT4_FITS_IN_INODE`).
    const fn has_extra(&self, end: u16) -> bool {
        self.i_extra_isize.get() >= end
    }
}

/// End of `i_checksum_hi` from offset 128, in \[bytes\].
const CHECKSUM_END: u16 = 4;
/// End of `i_mtime_extra` from offset 128, in \[bytes\].
const MTIME_EXTRA_END: u16 = 12;

/// Computes the checksum of an inode of any size: over its number, its generation and all its bytes, the fields of the
/// checksum being 0 (`ext4_inode_csum`). If `i_extra_isize` does not cover the high half, that half is 0 in the result.
pub fn computed_checksum(filesystem: Checksum, number: u32, bytes: &[u8]) -> u32 {
    const LOW: usize = offset_of!(Inode, i_checksum_lo);
    const HIGH: usize = offset_of!(Inode, i_checksum_hi);
    let inode: Inode = read_padded(bytes);
    let part = |from: usize, to: usize| bytes.get(from..to.min(bytes.len())).unwrap_or_default();
    let mut checksum = Checksum::of_inode(filesystem, number, inode.i_generation.get())
        .over(part(0, LOW))
        .over(&[0; 2])
        .over(part(LOW + 2, HIGH));
    if inode.has_extra(CHECKSUM_END) {
        checksum = checksum.over(&[0; 2]).over(part(HIGH + 2, bytes.len()));
        checksum.value()
    } else {
        low16(checksum.over(part(HIGH, bytes.len())).value()).into()
    }
}

const _: () = {
    assert!(size_of::<Inode>() == 256);
    assert!(offset_of!(Inode, i_block) == 0x28);
    assert!(offset_of!(Inode, i_file_acl_lo) == 0x68);
    assert!(offset_of!(Inode, i_checksum_lo) == 0x7c);
    assert!(offset_of!(Inode, i_extra_isize) == BASE_SIZE);
    assert!(offset_of!(Inode, i_checksum_hi) == 0x82);
    assert!(offset_of!(Inode, i_atime_extra) == 0x8c);
    assert!(offset_of!(Inode, i_crtime) == 0x90);
    assert!(offset_of!(Inode, tail) == XATTR_OFFSET);
};

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn what_is_set_is_read() {
        let mut inode = Inode::new_zeroed();
        inode.set_size(0x0123_4567_89ab_cdef);
        inode.set_uid(0x0123_4567);
        inode.set_gid(0x89ab_cdef);
        inode.set_device(259, 300);
        inode.i_extra_isize = EXTRA_ISIZE.into();
        let time = InodeTime { seconds: 1 << 33, nanoseconds: 7 };
        inode.set_times(time);
        inode.set_checksum(0x0123_4567);
        assert_eq!((inode.size(), inode.device()), (0x0123_4567_89ab_cdef, (259, 300)));
        assert_eq!((inode.uid(), inode.gid(), inode.modified()), (0x0123_4567, 0x89ab_cdef, time));
        assert_eq!(inode.checksum(), 0x0123_4567);
        assert_eq!(inode.i_block[..8], [0, 0, 0, 0, 0x2c, 3, 0x11, 0]);
    }

    #[test]
    fn a_small_inode_has_only_the_low_half_of_checksum_and_time() {
        let mut inode = Inode::new_zeroed();
        inode.i_extra_isize = EXTRA_ISIZE.into();
        inode.set_times(InodeTime { seconds: 1 << 33, nanoseconds: 7 });
        inode.i_extra_isize = 3.into();
        inode.set_checksum(0x0123_4567);
        assert_eq!((inode.checksum(), inode.modified()), (0x4567, InodeTime::default()));
        let small: Inode = read_padded(&inode.as_bytes()[..BASE_SIZE]);
        assert_eq!((small.checksum(), small.i_extra_isize.get()), (0x4567, 0));
    }

    /// The checksum is that of the bytes with its own fields zero, whatever they hold; shorter inodes are covered whole.
    #[test]
    fn the_checksum_skips_its_own_fields() {
        let bytes: Vec<u8> = (0..=255).collect();
        let seed = Checksum::of_filesystem(&[7; 16]);
        let expected = |zero: &[usize], len: usize| {
            let mut bytes = bytes[..len].to_vec();
            for &at in zero {
                bytes[at] = 0;
            }
            seed.over(&12_u32.to_le_bytes()).over(&bytes[0x64..0x68]).over(&bytes).value()
        };
        assert_eq!(computed_checksum(seed, 12, &bytes), expected(&[0x7c, 0x7d, 0x82, 0x83], 256));
        assert_eq!(computed_checksum(seed, 12, &bytes[..128]), expected(&[0x7c, 0x7d], 128) & 0xffff);
        // With an `i_extra_isize` of 0 the high half is no checksum, and covered.
        let mut old = bytes.clone();
        old[0x80..0x82].fill(0);
        let low = expected(&[0x7c, 0x7d, 0x80, 0x81], 256) & 0xffff;
        assert_eq!(computed_checksum(seed, 12, &old), low);
        // Too short to be an inode: no panic.
        computed_checksum(seed, 12, &[]);
        computed_checksum(seed, 12, &bytes[..0x7d]);
    }
}
