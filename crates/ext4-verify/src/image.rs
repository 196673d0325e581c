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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Group;
    use crate::sample::{Blocks, superblock};

    /// A file system of two groups, with inode tables at the blocks 10 and 200.
    fn with_image<T>(source: &dyn Source, check: impl FnOnce(&Image<'_>) -> T) -> T {
        let geometry = Geometry::new(40_000, 1024, 0, true).unwrap();
        let mut image = Image::new(source, superblock(geometry));
        image.groups = [10, 200].map(|table| Group { table, ..Group::parse(&[]) }).to_vec();
        check(&image)
    }

    /// Blocks that hold their own number in each of their inodes.
    fn numbered(blocks: &[u64]) -> Blocks {
        let block = |number: u64| -> Vec<u8> {
            let inode = |index: u8| [vec![u8::try_from(number).unwrap(), index], vec![0; 254]].concat();
            (0..16).flat_map(inode).collect()
        };
        Blocks(blocks.iter().map(|&number| (number, block(number))).collect())
    }

    #[test]
    fn inodes_are_in_the_table_of_their_group() {
        let source = numbered(&[10, 11, 73, 200, 201]);
        with_image(&source, |image| {
            // The first and the last of a block, of a group; one block after the other, and back.
            for (number, block, index) in [
                (1, 10, 0),
                (16, 10, 15),
                (17, 11, 0),
                (2, 10, 1),
                (1024, 73, 15),
                (1025, 200, 0),
                (1041, 201, 0),
            ] {
                let inode = image.inode(number).unwrap();
                assert_eq!(
                    (inode.number, inode.raw.len(), &inode.raw[..2]),
                    (number, 256, &[block, index][..])
                );
            }
        });
    }

    #[test]
    fn bytes_are_read_from_a_place_in_a_block() {
        with_image(&numbered(&[11]), |image| {
            assert_eq!(image.bytes(11, 256, 3).unwrap(), [11, 1, 0]);
            assert_eq!(image.block(11).unwrap()[..2], [11, 0]);
        });
    }

    /// One byte in a hole: data begins a few bytes before it.
    struct Hole {
        at: u64,
    }

    impl Source for Hole {
        fn length(&self) -> u64 {
            1 << 40
        }

        fn read(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            buffer.fill(0);
            let within = self.at.checked_sub(offset).map(to_usize);
            if let Some(byte) = within.and_then(|within| buffer.get_mut(within)) {
                *byte = 1;
            }
            Ok(())
        }

        fn next_data(&self, offset: u64) -> u64 {
            if offset > self.at { u64::MAX } else { offset.max(self.at.saturating_sub(5)) }
        }
    }

    #[test]
    fn the_first_byte_that_is_not_zero_is_found_between_two_places() {
        const FAR: u64 = 1 << 39;
        for (at, from, to, found) in [
            (100, 0, 101, true),
            (100, 0, 100, false),
            (100, 100, 101, true),
            (100, 101, 200, false),
            (100, 100, 100, false),
            (FAR, 0, FAR + 1, true),
            (FAR, 0, FAR, false),
            (FAR, FAR - (3 << 20), FAR + 1, true),
        ] {
            let wanted = found.then_some(at);
            with_image(&Hole { at }, |image| {
                assert_eq!(image.first_not_zero(from, to).unwrap(), wanted, "{at}: {from} to {to}");
            });
        }
    }
}
