//! Recognises partitions whose ext4 has a damaged superblock.

use image_reader::{ReadError, Volume, Window};
use image_tree::{to_u64, to_usize};

/// Offset of the superblock, in \[bytes\].
const SUPERBLOCK: u64 = 1024;
/// Length of a superblock, in \[bytes\].
const LENGTH: usize = 1024;
/// Offsets of fields within a superblock: magic number, logarithm of the block size, number of the copy's group, creator.
const MAGIC: usize = 0x38;
const LOG_BLOCK_SIZE: usize = 0x18;
const GROUP: usize = 0x5a;
const UUID: std::ops::Range<usize> = 0x68..0x78;
/// The first copies, of group 1: their offset in \[bytes\], and the logarithm of their block size in \[KiB\].
const COPIES: [(u64, u8); 3] = [(8193 << 10, 0), (16384 << 11, 1), (32768 << 12, 2)];
/// The start of a partition that is searched for anything but zeros, in \[bytes\].
const SEARCHED: u64 = 16 << 20;
const BUFFER: u64 = 64 << 10;

/// Whether a volume without a magic number is ext4 all the same: a copy of its superblock is there, or all other fields of the
/// superblock are plausible.
pub(super) fn is_ext4(window: &Window) -> Result<bool, ReadError> {
    for (offset, log) in COPIES {
        if offset + to_u64(LENGTH) <= window.length() && is_copy(&read(window, offset, LENGTH)?, log) {
            return Ok(true);
        }
    }
    if window.length() < SUPERBLOCK + to_u64(LENGTH) {
        return Ok(false);
    }
    // Only the magic number is damaged: the other fields are those of a file system that fits.
    let superblock = read(window, SUPERBLOCK, LENGTH)?;
    let blocks = u64::from(u32_at(&superblock, 4));
    let log = u32_at(&superblock, LOG_BLOCK_SIZE);
    let bytes = 1024_u64.checked_shl(log).filter(|_| log <= 6).and_then(|size| blocks.checked_mul(size));
    let per_group = u32_at(&superblock, 0x20);
    let is_plausible = per_group > 0
        && per_group <= 8192 << log.min(6)
        && u32_at(&superblock, 0x28) > 0
        && u32_at(&superblock, 0x4c) == 1
        && superblock[UUID].iter().any(|byte| *byte != 0);
    Ok(is_plausible && bytes.is_some_and(|bytes| bytes > 0 && bytes <= window.length()))
}

/// A warning about a partition for Linux with unknown contents.
pub(super) fn warning(volume: &Volume) -> Result<Option<String>, ReadError> {
    let Some(partition) = &volume.partition else { return Ok(None) };
    let kind = partition.kind.name();
    if !partition.kind.is_for_files() || is_blank(&volume.window)? {
        return Ok(None);
    }
    Ok(Some(format!(
        "partition {} ({kind}): was not checked, because it has no file system that snugfs knows; if it should have ext4, \
         its start is damaged",
        partition.number
    )))
}

/// Whether bytes are the copy of a superblock in group 1 of a file system with this block size.
fn is_copy(bytes: &[u8], log: u8) -> bool {
    bytes[MAGIC..].starts_with(&[0x53, 0xef])
        && u32_at(bytes, LOG_BLOCK_SIZE) == u32::from(log)
        && bytes[GROUP..].starts_with(&[1, 0])
}

/// Whether the start of a volume has only zeros, as an empty partition has.
fn is_blank(window: &Window) -> Result<bool, ReadError> {
    let end = window.length().min(SEARCHED);
    let mut at = window.next_data(0);
    while at < end {
        let bytes = read(window, at, to_usize(BUFFER.min(end - at)))?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at = window.next_data(at + to_u64(bytes.len()));
    }
    Ok(true)
}

fn read(window: &Window, offset: u64, length: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; length];
    window
        .read(offset, &mut bytes)
        .map_err(|reason| ReadError::Io { place: format!("byte {offset}"), reason })?;
    Ok(bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}
