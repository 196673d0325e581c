//! The file system under check, as it can be read. Nothing here changes while it is checked.

use std::cell::RefCell;

use crate::checksum::Crc;
use crate::geometry::{BLOCK, BLOCK_BYTES, Geometry};
use crate::group::Group;
use crate::inode::Inode;
use crate::numbers::{is_zero, part, to_u64, to_usize};
use crate::source::{Source, Unreadable};
use crate::superblock::Superblock;

/// Inodes in a block of a table.
pub(crate) const INODES_PER_BLOCK: u32 = 16;
/// The length of an inode in \[bytes\].
const INODE_BYTES: usize = 256;

/// Bytes, superblock and descriptors of a file system.
pub(crate) struct Image<'s> {
    pub(crate) source: &'s dyn Source,
    pub(crate) sb: Superblock,
    /// One for each group, in their order.
    pub(crate) groups: Vec<Group>,
    /// The block of an inode table that was read last: inodes that follow each other are often in one block.
    table_block: RefCell<(u64, Vec<u8>)>,
}

pub(crate) fn read(source: &dyn Source, offset: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = vec![0; length];
    source.read(offset, &mut bytes).map_err(|error| Unreadable { offset, error })?;
    Ok(bytes)
}

impl<'s> Image<'s> {
    /// An image whose descriptors are still to be read.
    pub(crate) fn new(source: &'s dyn Source, sb: Superblock) -> Self {
        Self { source, sb, groups: Vec::new(), table_block: RefCell::new((u64::MAX, Vec::new())) }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.sb.geometry
    }

    /// What all checksums but that of the superblock begin with.
    pub(crate) fn seed(&self) -> Crc {
        self.sb.seed
    }

    /// A block of the file system; callers have checked its number.
    pub(crate) fn block(&self, number: u64) -> Result<Vec<u8>, Unreadable> {
        self.bytes(number, 0, BLOCK_BYTES)
    }

    /// Bytes of a block, from `from` on.
    pub(crate) fn bytes(&self, block: u64, from: usize, len: usize) -> Result<Vec<u8>, Unreadable> {
        read(self.source, block.saturating_mul(BLOCK).saturating_add(to_u64(from)), len)
    }

    /// An inode of a number that exists.
    pub(crate) fn inode(&self, number: u32) -> Result<Inode, Unreadable> {
        let (group, index) = self.geometry().place_of(number);
        let table = self.groups.get(to_usize(u64::from(group))).map_or(0, |group| group.table);
        let block = table.saturating_add(u64::from(index / INODES_PER_BLOCK));
        let mut last = self.table_block.borrow_mut();
        if last.0 != block {
            *last = (block, self.block(block)?);
        }
        let within = to_usize(u64::from(index % INODES_PER_BLOCK)).saturating_mul(INODE_BYTES);
        Ok(Inode::parse(number, part(&last.1, within, INODE_BYTES).to_vec(), self.seed()))
    }

    /// The first byte that is not zero between two places, in \[bytes\].
    pub(crate) fn first_not_zero(&self, from: u64, to: u64) -> Result<Option<u64>, Unreadable> {
        const CHUNK: u64 = 1 << 20;
        let mut at = from;
        let mut buffer = Vec::new();
        loop {
            at = self.source.next_data(at).max(at);
            if at >= to {
                return Ok(None);
            }
            let len = to_usize(CHUNK.min(to.saturating_sub(at)));
            buffer.resize(len, 0);
            let chunk = buffer.as_mut_slice();
            self.source.read(at, chunk).map_err(|error| Unreadable { offset: at, error })?;
            if !is_zero(chunk) {
                let found = chunk.iter().position(|&byte| byte != 0).unwrap_or(0);
                return Ok(Some(at.saturating_add(to_u64(found))));
            }
            at = at.saturating_add(CHUNK);
        }
    }
}
