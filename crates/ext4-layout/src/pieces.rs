//! The image as a list of pieces: the islands of fixed metadata and the runs of data space, merged by offset.

use image_tree::{Content, NodeId, NodeKind, Piece};

use crate::geometry::{GROUPS_PER_FLEX, has_superblock};
use crate::layout::Layout;
use crate::placement::Object;
use crate::units::{BLOCK_SIZE, BlockNr, DataNr, GroupNr, INODES_PER_BLOCK};

/// Maximum length of a metadata piece in \[blocks\]; a large directory is one longer piece.
const BATCH_BLOCKS: u64 = 256;

/// A range of data space, and its content.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: DataNr,
    /// Length in \[blocks\], at least 1.
    blocks: u64,
    content: PartContent,
}

#[derive(Clone, Copy, Debug)]
enum PartContent {
    Metadata,
    /// A part of a file from this offset in \[bytes\], which is less than the length of the file.
    File {
        node: NodeId,
        from: u64,
        size: u64,
    },
    Zeros,
    /// Free.
    Free,
}

impl Layout {
    /// All pieces in ascending order.
    pub(crate) fn all_pieces(&self) -> impl Iterator<Item = Piece> + Send + '_ {
        let islands = (0..self.geometry.groups).flat_map(|group| self.island_pieces(GroupNr(group)));
        let end = self.geometry.blocks * BLOCK_SIZE;
        let filesystem = merged(islands, DataPieces::new(self, self.parts())).flat_map(move |piece| {
            let is_free = piece.content == Content::Unused;
            let free = is_free.then(|| Piece::unused(piece.offset, piece.offset + piece.len, end));
            free.into_iter().flatten().chain((!is_free).then_some(piece))
        });
        let rest = self.bytes() - end;
        filesystem.chain((rest > 0).then_some(Piece { offset: end, len: rest, content: Content::Zeros }))
    }

    /// The fixed metadata that starts in a group.
    fn island_pieces(&self, group: GroupNr) -> Vec<Piece> {
        let mut island = Island { at: group.first_block(), pieces: Vec::new() };
        let geometry = &self.geometry;
        if has_superblock(group) {
            island.add(1 + geometry.gdt, Content::Metadata);
            // Only the reserved blocks of the primary have data: the numbers of those in the backups.
            let maps = if group.0 == 0 && geometry.groups > 1 { Content::Metadata } else { Content::Zeros };
            island.add(geometry.reserved_gdt, maps);
        }
        if group.0.is_multiple_of(GROUPS_PER_FLEX) {
            let (leader, members) = geometry.flex(group);
            island.add(2 * u64::from(members), Content::Metadata);
            for member in (leader.0..leader.0 + members).map(GroupNr) {
                let used = u64::from(self.fill.inodes_in(member).end.div_ceil(INODES_PER_BLOCK));
                for batch in 0..used.div_ceil(BATCH_BLOCKS) {
                    island.add(BATCH_BLOCKS.min(used - batch * BATCH_BLOCKS), Content::Metadata);
                }
                island.add(geometry.itable_blocks() - used, Content::Zeros);
            }
        }
        island.pieces
    }

    /// All of data space in order.
    fn parts(&self) -> impl Iterator<Item = Part> + Send + '_ {
        self.own_parts().into_iter().chain(self.object_parts())
    }

    /// The block map of the resize inode, and the journal: a superblock, zeros, its extent tree.
    fn own_parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(start) = self.placement.resize {
            parts.push(Part { start, blocks: 1, content: PartContent::Metadata });
        }
        if let Some(journal) = self.placement.journal {
            parts.push(Part { start: journal.start, blocks: 1, content: PartContent::Metadata });
            parts.push(Part {
                start: journal.start.plus(1),
                blocks: journal.len - 1,
                content: PartContent::Zeros,
            });
            parts.push(Part {
                start: journal.nodes_start(),
                blocks: journal.nodes,
                content: PartContent::Metadata,
            });
        }
        parts
    }

    /// Everything after the journal. Adjacent directories, long symlinks and attributes without contents are one part of
    /// complete objects; a regular file is preceded by its attributes and followed by its extent tree.
    fn object_parts(&self) -> impl Iterator<Item = Part> + Send + '_ {
        self.items().flat_map(move |item| {
            let metadata = |start, blocks| Part { start, blocks, content: PartContent::Metadata };
            let (first, file) = match item {
                Item::Part(part) => (part, None),
                Item::File { object, size } => {
                    (metadata(object.start, object.xattr_blocks), Some((object, size)))
                }
            };
            let stretches = file.into_iter().flat_map(move |(object, size)| {
                let node = object.node;
                let is_slot = self.inventory.tree.slot(node).is_some();
                object.contents.stretches().map(move |(logical, start, blocks)| {
                    let content = if is_slot {
                        PartContent::Zeros
                    } else {
                        PartContent::File { node, from: logical * BLOCK_SIZE, size }
                    };
                    Part { start, blocks, content }
                })
            });
            let nodes =
                file.map(|(object, _)| metadata(object.contents.nodes_start(), object.contents.nodes));
            std::iter::once(first).chain(stretches).chain(nodes)
        })
    }

    /// The same, with whole files.
    fn items(&self) -> impl Iterator<Item = Item<'_>> + Send + '_ {
        let tree = &self.inventory.tree;
        let objects = self.placement.order.iter().filter_map(move |&slot| {
            let node = self.inventory.numbering.owner(slot)?;
            let object = self.placement.object(&self.inventory, &self.space, slot, node);
            let size = match tree.node(node).kind() {
                NodeKind::File { size, .. } => Some(size),
                _ => None,
            };
            Some((object, size))
        });
        let mut objects = objects.peekable();
        let mut at = self.placement.own_end();
        let end = DataNr(self.space.len());
        std::iter::from_fn(move || {
            let next = objects.peek().map_or(end, |(object, _)| object.start);
            if next > at {
                let free = Part { start: at, blocks: next.0 - at.0, content: PartContent::Free };
                at = next;
                return Some(Item::Part(free));
            }
            let (object, size) = objects.next()?;
            at = object.start.plus(object.blocks());
            if let Some(size) = size {
                return Some(Item::File { object, size });
            }
            let start = object.start;
            while let Some((next, _)) = objects.next_if(|(next, size)| {
                size.is_none() && next.start == at && next.start.0 - start.0 < BATCH_BLOCKS
            }) {
                at = next.start.plus(next.blocks());
            }
            Some(Item::Part(Part { start, blocks: at.0 - start.0, content: PartContent::Metadata }))
        })
    }
}

/// What is placed in data space.
#[derive(Clone, Copy)]
enum Item<'l> {
    Part(Part),
    File { object: Object<'l>, size: u64 },
}

/// Collects an island's pieces.
struct Island {
    at: BlockNr,
    pieces: Vec<Piece>,
}

impl Island {
    fn add(&mut self, blocks: u64, content: Content) {
        if blocks > 0 {
            self.pieces.push(Piece { offset: self.at.byte_offset(), len: blocks * BLOCK_SIZE, content });
            self.at = self.at.plus(blocks);
        }
    }
}

/// Splits parts at islands.
struct DataPieces<'l, P> {
    layout: &'l Layout,
    parts: P,
    open: Option<Open>,
    /// The zeros after the end of a file in its last block.
    padding: Option<Piece>,
}

struct Open {
    part: Part,
    /// Length done in \[blocks\].
    done: u64,
}

impl<'l, P: Iterator<Item = Part>> DataPieces<'l, P> {
    fn new(layout: &'l Layout, parts: P) -> Self {
        Self { layout, parts, open: None, padding: None }
    }
}

impl<P: Iterator<Item = Part>> Iterator for DataPieces<'_, P> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if let Some(padding) = self.padding.take() {
            return Some(padding);
        }
        loop {
            if let Some(Open { part, done }) = &mut self.open
                && *done < part.blocks
            {
                let run = self.layout.space.runs(part.start.plus(*done), part.blocks - *done).next()?;
                let begin = *done * BLOCK_SIZE;
                *done += run.len;
                let (offset, len) = (run.start.byte_offset(), run.len * BLOCK_SIZE);
                let content = match part.content {
                    PartContent::Metadata => Content::Metadata,
                    PartContent::Zeros => Content::Zeros,
                    PartContent::Free => Content::Unused,
                    PartContent::File { node, from, size } => {
                        let offset_in_file = from + begin;
                        let bytes = len.min(size - offset_in_file);
                        if bytes < len {
                            self.padding = Some(Piece {
                                offset: offset + bytes,
                                len: len - bytes,
                                content: Content::Zeros,
                            });
                        }
                        return Some(Piece {
                            offset,
                            len: bytes,
                            content: Content::File { file: node.into(), offset: offset_in_file },
                        });
                    }
                };
                return Some(Piece { offset, len, content });
            }
            self.open = Some(Open { part: self.parts.next()?, done: 0 });
        }
    }
}

/// Merges two ascending lists.
fn merged<A, B>(a: A, b: B) -> impl Iterator<Item = Piece> + Send
where
    A: Iterator<Item = Piece> + Send,
    B: Iterator<Item = Piece> + Send,
{
    let mut a = a.peekable();
    let mut b = b.peekable();
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x.offset < y.offset => a.next(),
        (_, Some(_)) => b.next(),
        (_, None) => a.next(),
    })
}
