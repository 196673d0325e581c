//! Slots of ext4: a file with an attribute that marks it, and blocks for all of its room. Those after the end of its contents
//! are unwritten extents, as `fallocate` with `FALLOC_FL_KEEP_SIZE` leaves them: Linux reads them as zeros, and e2fsck accepts them.

use ext4_ondisk::extent::{self, ENTRY_SIZE, INODE_ENTRIES, MAX_EXTENT};
use ext4_ondisk::inode::{self, FLAG_ENCRYPT, FLAG_EXTENTS, FLAG_INLINE_DATA, XATTR_OFFSET};
use ext4_ondisk::xattr::{self, XattrEntry, name_index};
use ext4_ondisk::{Extent, ExtentHeader, Inode, Superblock, read_padded, superblock};
use image_reader::{Ext4, Node, RawInode, ReadError};
use image_tree::{MAX_SLOT, to_u64};
use zerocopy::IntoBytes;

use crate::error::StampError;
use crate::steps::{Changes, Fill, Write, spread};

/// The name that [`image_tree::SLOT_XATTR`] has after its namespace.
const NAME: &[u8] = b"snugfs.slot";
/// Bit of `i_flags`: the contents are protected by fs-verity (`EXT4_VERITY_FL`).
const FLAG_VERITY: u32 = 0x0010_0000;

/// The room of a file in \[bytes\] if its attributes mark it as a slot.
pub(crate) fn room(fs: &Ext4, node: &Node) -> Result<Option<u64>, ReadError> {
    let raw = fs.raw_inode(node)?;
    let area = raw.bytes.get(XATTR_OFFSET..).unwrap_or_default();
    let in_inode = match area.split_at_checked(xattr::INODE_HEADER_SIZE) {
        Some((magic, list)) if magic == xattr::MAGIC.to_le_bytes() => value_of(list, 0),
        _ => None,
    };
    let value = match (in_inode, block_of(&raw)) {
        (Some(value), _) => Some(value.to_vec()),
        (None, Some(block)) => {
            let bytes = match fs.offset_of(block, 1) {
                Some(offset) => window(fs, offset, fs.block_size())?,
                None => Vec::new(),
            };
            let is_list = bytes.starts_with(&xattr::MAGIC.to_le_bytes());
            value_of(&bytes, xattr::HEADER_SIZE).filter(|_| is_list).map(<[u8]>::to_vec)
        }
        (None, None) => None,
    };
    let digits = value.and_then(|value| String::from_utf8(value).ok());
    let room = digits.and_then(|digits| digits.parse().ok());
    Ok(room.filter(|room| (1..=MAX_SLOT).contains(room)))
}

fn window(fs: &Ext4, offset: u64, length: u64) -> Result<Vec<u8>, ReadError> {
    let io = |reason| ReadError::Io { place: "attributes".to_owned(), reason };
    fs.volume().bytes(offset, length).map_err(io)
}

fn block_of(raw: &RawInode) -> Option<u64> {
    let inode: Inode = read_padded(&raw.bytes);
    let block = u64::from(inode.i_file_acl_lo.get()) | u64::from(inode.i_file_acl_high.get()) << 32;
    (block > 0).then_some(block)
}

/// The value of the attribute that marks slots. Entries begin at `at`; offsets of values count from the start of `list`.
fn value_of(list: &[u8], at: usize) -> Option<&[u8]> {
    let mut rest = list.get(at..)?;
    loop {
        if rest.get(..xattr::END_SIZE)?.iter().all(|byte| *byte == 0) {
            return None;
        }
        let entry: XattrEntry = read_padded(rest.get(..xattr::ENTRY_SIZE)?);
        let after = rest.get(xattr::ENTRY_SIZE..)?;
        let name = after.get(..entry.e_name_len.into())?;
        if entry.e_name_index == name_index::TRUSTED && name == NAME && entry.e_value_inum.get() == 0 {
            let from = usize::from(entry.e_value_offs.get());
            let end = from.checked_add(usize::try_from(entry.e_value_size.get()).ok()?)?;
            return list.get(from..end);
        }
        rest = after.get(name.len().checked_next_multiple_of(xattr::ALIGNMENT)?..)?;
    }
}

/// Whether the file system was unmounted. Without a journal, Linux clears this bit of the superblock while it is mounted.
fn is_clean(fs: &Ext4) -> Result<bool, ReadError> {
    let bytes = window(fs, to_u64(superblock::OFFSET), to_u64(size_of::<Superblock>()))?;
    let superblock: Superblock = read_padded(&bytes);
    Ok(superblock.s_state.get() & superblock::STATE_CLEAN != 0)
}

/// Adds the changes that fill a slot.
pub(crate) fn plan(fs: &Ext4, fill: Fill<'_>, changes: &mut Changes) -> Result<(), StampError> {
    if fs.needs_recovery() || !is_clean(fs)? {
        return Err(StampError::Unclean);
    }
    let slot = fill.slot;
    let raw = fs.raw_inode(&slot.node)?;
    let block = fs.block_size();
    let refused = |what| StampError::Changed { path: slot.path.clone(), what };
    let inode: Inode = read_padded(&raw.bytes);
    let flags = inode.i_flags.get();
    if flags & FLAG_EXTENTS == 0 || flags & (FLAG_ENCRYPT | FLAG_INLINE_DATA | FLAG_VERITY) != 0 {
        return Err(refused("it is encrypted, protected by fs-verity, or stored without extents"));
    }
    let runs = runs(&inode).ok_or_else(|| refused("its blocks are not those that were reserved"))?;
    let blocks: u64 = runs.iter().map(|run| run.1).fold(0, u64::saturating_add);
    let wanted = slot.room.checked_div(block).unwrap_or(0);
    let wanted = wanted.saturating_add(u64::from(slot.room.checked_rem(block).is_some_and(|rest| rest > 0)));
    if blocks != wanted {
        return Err(refused("it has other blocks than those that were reserved"));
    }
    let size = to_u64(fill.contents.len());
    let filled =
        with_size(&raw, &runs, (size, block)).ok_or_else(|| refused("its blocks are in too many places"))?;
    let places = runs.iter().map(|&(start, len)| {
        let offset =
            fs.offset_of(start, len).ok_or_else(|| refused("its blocks are outside of the file system"))?;
        Ok((offset, len.saturating_mul(block)))
    });
    let places: Vec<_> = places.collect::<Result<_, StampError>>()?;
    let before = changes.contents.len();
    let io = |reason| ReadError::Io { place: "contents".to_owned(), reason };
    spread(changes, fs.volume(), fill.contents, places.into_iter()).map_err(io)?;
    let is_same = changes.contents.len() == before && filled == raw.bytes;
    if is_same {
        return Ok(());
    }
    if inode.size() > 0 {
        let empty =
            with_size(&raw, &runs, (0, block)).ok_or_else(|| refused("its blocks are in too many places"))?;
        changes.clear.push(Write::new(raw.offset, empty));
    }
    if size > 0 {
        changes.lengths.push(Write::new(raw.offset, filled));
    }
    Ok(())
}

/// The runs of blocks of a slot, in order: start and length. `None` if the extents are not in the inode, or not one after the other
/// from the first block.
fn runs(inode: &Inode) -> Option<Vec<(u64, u64)>> {
    let header: ExtentHeader = read_padded(&inode.i_block);
    let entries = header.eh_entries.get();
    if header.eh_magic.get() != extent::MAGIC || header.eh_depth.get() != 0 || entries > INODE_ENTRIES {
        return None;
    }
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut next = 0_u64;
    for raw in inode.i_block.chunks_exact(ENTRY_SIZE).skip(1).take(entries.into()) {
        let found: Extent = read_padded(raw);
        let (start, len) = (found.start(), u64::from(found.blocks()));
        if u64::from(found.ee_block.get()) != next || len == 0 {
            return None;
        }
        next = next.checked_add(len)?;
        match runs.last_mut() {
            Some(last) if last.0.checked_add(last.1)? == start => last.1 = last.1.checked_add(len)?,
            _ => runs.push((start, len)),
        }
    }
    Some(runs)
}

/// The inode with another size in \[bytes\], and with written extents up to it. `None` if they don't fit into the inode.
fn with_size(raw: &RawInode, runs: &[(u64, u64)], (size, block): (u64, u64)) -> Option<Vec<u8>> {
    let mut written = size.checked_add(block.checked_sub(1)?)?.checked_div(block)?;
    let mut extents = Vec::new();
    let mut logical = 0_u64;
    for &(mut start, mut len) in runs {
        while len > 0 {
            let is_written = written > 0;
            let most = if is_written {
                written.min(MAX_EXTENT.into())
            } else {
                u64::from(MAX_EXTENT).checked_sub(1)?
            };
            let part = len.min(most);
            let make = if is_written { Extent::new } else { Extent::unwritten };
            extents.push(make(logical.try_into().ok()?, start, part.try_into().ok()?));
            written = written.saturating_sub(part);
            (logical, start, len) =
                (logical.checked_add(part)?, start.checked_add(part)?, len.checked_sub(part)?);
        }
    }
    if extents.len() > INODE_ENTRIES.into() {
        return None;
    }
    let mut changed: Inode = read_padded(&raw.bytes);
    let mut header: ExtentHeader = read_padded(&changed.i_block);
    header.eh_entries = u16::try_from(extents.len()).ok()?.into();
    changed.i_block.fill(0);
    let (head, rest) = changed.i_block.split_at_mut_checked(ENTRY_SIZE)?;
    head.copy_from_slice(header.as_bytes());
    for (place, extent) in rest.chunks_exact_mut(ENTRY_SIZE).zip(&extents) {
        place.copy_from_slice(extent.as_bytes());
    }
    changed.set_size(size);
    let mut bytes = raw.bytes.clone();
    put(&mut bytes, &changed);
    if let Some(seed) = raw.seed {
        changed.set_checksum(inode::computed_checksum(seed, raw.number, &bytes));
        put(&mut bytes, &changed);
    }
    Some(bytes)
}

/// Overwrites the fields of an inode of any size.
fn put(bytes: &mut [u8], inode: &Inode) {
    for (to, from) in bytes.iter_mut().zip(inode.as_bytes()) {
        *to = *from;
    }
}
