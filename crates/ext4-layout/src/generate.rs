//! Generates the bytes of metadata from the layout.

use std::ops::Range;

use ext4_ondisk::journal::{MAGIC, SUPERBLOCK_V2};
use ext4_ondisk::{JournalSuperblock, superblock};
use image_tree::{NodeKind, Piece, PieceSource};
use zerocopy::IntoBytes;

use crate::directory::{Directories, put, put_bytes};
use crate::extents::Extents;
use crate::geometry::has_superblock;
use crate::layout::Layout;
use crate::numbering::JOURNAL;
use crate::placement::Object;
use crate::units::{
    BLOCK_BYTES, BLOCK_SIZE, BlockNr, DataNr, GroupNr, INODES_PER_BLOCK, InodeNr, clamp, index, narrow, wide,
};

/// Why block numbers in the map of the resize inode fit into their 32 bits.
const BACKUPS: &str = "the solver keeps blocks for growth only if all backups are below block 2^32";

impl PieceSource for Layout {
    fn len(&self) -> u64 {
        self.bytes()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        Box::new(self.all_pieces())
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let first = BlockNr::of_byte(piece.offset);
        if let Some(data) = self.space.data(first) {
            let blocks = wide(buffer.len()) / BLOCK_SIZE;
            self.generate_data(data.0..data.0 + blocks, buffer);
        } else {
            for (block, number) in buffer.chunks_exact_mut(BLOCK_BYTES).zip(first.0..) {
                self.generate_fixed(BlockNr(number), block);
            }
        }
    }
}

impl Layout {
    /// Generates a block of an island.
    fn generate_fixed(&self, number: BlockNr, block: &mut [u8]) {
        let geometry = &self.geometry;
        let group = number.group();
        let inside = number.0 - group.first_block().0;
        if has_superblock(group) && inside < geometry.super_blocks() {
            self.generate_super(group, inside, block);
            return;
        }
        let (leader, members) = geometry.flex(group);
        let at = number.0 - geometry.block_bitmap(leader).0;
        let members = u64::from(members);
        let member = |n: u64| GroupNr(leader.0 + narrow::<u32>(n, "sixteen groups share a place"));
        if at < members {
            if !self.fill.is_block_bitmap_unwritten(geometry, &self.space, member(at)) {
                self.fill.write_block_bitmap(geometry, &self.space, member(at), block);
            }
        } else if at < 2 * members {
            let group = member(at - members);
            if !self.fill.is_inode_bitmap_unwritten(group) {
                self.fill.write_inode_bitmap(geometry, group, &self.inventory.numbering, block);
            }
        } else {
            let table_block = at - 2 * members;
            let group = member(table_block / geometry.itable_blocks());
            let table_block =
                narrow(table_block % geometry.itable_blocks(), "a table has less than 2^32 blocks");
            self.generate_inodes(group, table_block, block);
        }
    }

    /// Generates a block of a superblock copy: the superblock, a block of descriptors, or a reserved descriptor block.
    fn generate_super(&self, group: GroupNr, inside: u64, block: &mut [u8]) {
        let geometry = &self.geometry;
        if inside == 0 {
            let offset = if group.0 == 0 { superblock::OFFSET } else { 0 };
            put(block, offset, &self.superblock(group));
        } else if inside <= geometry.gdt {
            let table = self.descriptors.chunks(BLOCK_BYTES).nth(index(inside - 1));
            let table = table.expect("invariant: `gdt` blocks are those that the descriptors take");
            put_bytes(block, 0, table);
        } else {
            // In group 0, it is an indirect block of the resize inode, with the numbers of its copies in the backups.
            for (entry, backup) in geometry.backups().enumerate() {
                let copy = backup.first_block().0 + inside;
                put_bytes(block, 4 * entry, &narrow::<u32>(copy, BACKUPS).to_le_bytes());
            }
        }
    }

    fn generate_inodes(&self, group: GroupNr, table_block: u32, block: &mut [u8]) {
        let before = group.0 * self.geometry.inodes_per_group + table_block * INODES_PER_BLOCK;
        let bytes = block.len() / index(u64::from(INODES_PER_BLOCK));
        for (inode, number) in block.chunks_exact_mut(bytes).zip(before + 1..) {
            if u64::from(number) <= self.inventory.numbering.last() {
                put(inode, 0, &self.inode(InodeNr(number)));
            }
        }
    }

    /// Generates a range of data space that has only metadata.
    fn generate_data(&self, range: Range<u64>, buffer: &mut [u8]) {
        let mut canvas = Canvas { range, buffer };
        if let Some(start) = self.placement.resize {
            canvas.draw(start, 1, |out| self.write_resize_map(out));
        }
        if let Some(journal) = self.placement.journal {
            canvas.draw(journal.start, 1, |out| put(out, 0, &self.journal_superblock(&journal)));
            self.draw_extent_tree(&mut canvas, &journal, JOURNAL);
        }
        let objects = &self.placement.with_metadata;
        let first = objects.partition_point(|&(start, _)| start.0 <= canvas.range.start).saturating_sub(1);
        for &(start, slot) in &objects[first..] {
            if start.0 >= canvas.range.end {
                break;
            }
            let Some(node) = self.inventory.numbering.owner(slot) else { continue };
            let object = self.placement.object(&self.inventory, &self.space, slot, node);
            self.draw_object(&mut canvas, &object);
        }
    }

    fn draw_object(&self, canvas: &mut Canvas<'_>, object: &Object<'_>) {
        canvas.draw(object.start, object.xattr_blocks, |out| {
            self.inventory.xattrs(object.node).write_block(
                self.space.block(object.start),
                self.filesystem,
                out,
            );
        });
        let tree = &self.inventory.tree;
        let contents = object.contents;
        match tree.node(object.node).kind() {
            NodeKind::Directory { .. } => canvas.draw(contents.start, contents.len, |out| {
                let shape = self.inventory.directory(object.node).shape;
                let directories =
                    Directories { tree, seed: self.inventory.seed, has_checksums: self.filesystem.is_some() };
                directories.write(object.node, shape, &self.inventory.numbering, self.filesystem, out);
            }),
            NodeKind::Symlink { target } => {
                canvas
                    .draw(contents.start, contents.len, |out| put_bytes(out, 0, tree.symlink_target(target)));
            }
            NodeKind::File { .. } | NodeKind::HardLink { .. } | NodeKind::Special(_) => {}
        }
        self.draw_extent_tree(canvas, &contents, object.slot.inode());
    }

    fn draw_extent_tree(&self, canvas: &mut Canvas<'_>, extents: &Extents<'_>, inode: InodeNr) {
        let seed = self.filesystem.map(|filesystem| inode.checksum_seed(filesystem));
        canvas.draw(extents.nodes_start(), extents.nodes, |out| extents.write_nodes(&self.space, seed, out));
    }

    /// Generates the double-indirect block of the resize inode. The index of a pointer follows from the number of its block
    /// (`ext2fs_create_resize_inode` of libext2fs, `verify_reserved_gdb` of the kernel).
    fn write_resize_map(&self, out: &mut [u8]) {
        let first = 1 + self.geometry.gdt;
        for reserved in 0..self.geometry.reserved_gdt {
            let entry = (self.geometry.gdt + reserved) % (BLOCK_SIZE / 4);
            put_bytes(out, index(4 * entry), &narrow::<u32>(first + reserved, BACKUPS).to_le_bytes());
        }
    }

    fn journal_superblock(&self, journal: &Extents<'_>) -> impl IntoBytes + zerocopy::Immutable + use<> {
        JournalSuperblock {
            h_magic: MAGIC.into(),
            h_blocktype: SUPERBLOCK_V2.into(),
            h_sequence: 0.into(),
            s_blocksize: narrow::<u32>(BLOCK_SIZE, "a block has 4096 bytes").into(),
            s_maxlen: narrow::<u32>(journal.len, "the solver refuses a longer journal").into(),
            s_first: 1.into(),
            s_sequence: 1.into(),
            s_start: 0.into(),
            s_errno: 0.into(),
            s_features: [0.into(); 3],
            s_uuid: self.options.uuid,
            s_nr_users: 1.into(),
        }
    }
}

/// A range of data space, and its bytes.
struct Canvas<'b> {
    range: Range<u64>,
    buffer: &'b mut [u8],
}

impl Canvas<'_> {
    /// Generates an area as far as it is in the range. If only a part is, generates all of it in a temporary buffer.
    fn draw(&mut self, start: DataNr, blocks: u64, write: impl FnOnce(&mut [u8])) {
        let area = start.0..start.0 + blocks;
        let seen = clamp(&area, &self.range);
        if seen.is_empty() {
            return;
        }
        let bytes = |from: u64, to: u64| index((to - from) * BLOCK_SIZE);
        let target = bytes(self.range.start, seen.start)..bytes(self.range.start, seen.end);
        if seen == area {
            write(&mut self.buffer[target]);
        } else {
            let mut whole = vec![0; bytes(area.start, area.end)];
            write(&mut whole);
            let part = bytes(area.start, seen.start)..bytes(area.start, seen.end);
            self.buffer[target].copy_from_slice(&whole[part]);
        }
    }
}
