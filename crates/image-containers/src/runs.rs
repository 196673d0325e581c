//! Classifies the blocks of an image (data, zeros, unused), and moves its pieces to other offsets.

use image_tree::{Content, Piece, PieceSource};

/// Consecutive blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first block in the image.
    pub(crate) first: u64,
    /// Number of blocks.
    pub(crate) count: u64,
}

impl Run {
    pub(crate) fn end(self) -> u64 {
        self.first + self.count
    }
}

/// Approximate maximum length of a data run in \[bytes\], to limit the memory for its pieces.
const LONG_RUN: u64 = 256 << 20;

/// The contents of a block as known before the image is written. A block with several kinds has the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Never read.
    Unused,
    /// Zeros that readers rely on.
    Zeros,
    /// Any bytes.
    Data,
}

impl Kind {
    fn of(content: Content) -> Self {
        match content {
            Content::Unused => Self::Unused,
            Content::Zeros | Content::FileZeros { .. } => Self::Zeros,
            Content::Metadata | Content::File { .. } => Self::Data,
        }
    }
}

/// Returns the blocks that a copy of the image must write to a used device: all except those that are only
/// [`Content::Unused`]. Blocks have `block` \[bytes\]; the result is a list of first block and number of blocks, ascending.
pub fn needed_blocks(image: &dyn PieceSource, block: u64) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (run, _) in runs(image, block).into_iter().filter(|(_, kind)| *kind != Kind::Unused) {
        match all.last_mut() {
            Some((first, count)) if *first + *count == run.first => *count += run.count,
            _ => all.push((run.first, run.count)),
        }
    }
    all
}

/// Divides the blocks of an image into runs of one kind, in order. Data runs are not much longer than [`LONG_RUN`].
/// A metadata piece is never split between runs.
pub(crate) fn runs(image: &dyn PieceSource, block: u64) -> Vec<(Run, Kind)> {
    let mut runs = Runs { list: Vec::new(), max_blocks: LONG_RUN / block };
    for piece in image.pieces() {
        let first = piece.offset / block;
        let end = (piece.offset + piece.len).div_ceil(block);
        runs.add(first, end, Kind::of(piece.content), matches!(piece.content, Content::Metadata));
    }
    runs.list
}

/// The blocks of an image that have data, which a container stores one after another, in the order of the image.
#[derive(Clone)]
pub(crate) struct DataBlocks {
    /// Length of a block in \[bytes\].
    block: u64,
    /// Their runs, each with the number of data blocks before it.
    runs: Vec<(Run, u64)>,
    count: u64,
}

impl DataBlocks {
    pub(crate) fn of(image: &dyn PieceSource, block: u64) -> Self {
        let mut count = 0;
        let with_count = |(run, kind): (Run, Kind)| {
            let before = count;
            let is_data = kind == Kind::Data;
            count += if is_data { run.count } else { 0 };
            is_data.then_some((run, before))
        };
        let runs = runs(image, block).into_iter().filter_map(with_count).collect();
        Self { block, runs, count }
    }

    /// Number of blocks with data.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Number of data blocks before a block of the image; `None` if that block has no data.
    pub(crate) fn before(&self, block: u64) -> Option<u64> {
        let after = self.runs.partition_point(|(run, _)| run.first <= block);
        let (run, before) = self.runs.get(after.checked_sub(1)?)?;
        (block < run.end()).then(|| before + block - run.first)
    }

    /// The pieces of all data blocks in a file where the first is at offset `at`.
    pub(crate) fn pieces<'s>(
        &'s self,
        image: &'s dyn PieceSource,
        at: u64,
    ) -> impl Iterator<Item = Piece> + Send + 's {
        let mut mover = PieceMover::of(image);
        self.runs
            .iter()
            .flat_map(move |(run, before)| mover.moved(*run, self.block, at + before * self.block))
    }

    /// Has the image generate a piece that begins `offset` \[bytes\] after the start of the first data block.
    pub(crate) fn generate(&self, image: &dyn PieceSource, piece: &Piece, offset: u64, buffer: &mut [u8]) {
        let after = self.runs.partition_point(|(_, before)| *before <= offset / self.block);
        let run = after.checked_sub(1).and_then(|position| self.runs.get(position));
        let (run, before) = run.expect("invariant: all blocks after the tables are in a run");
        let offset = run.first * self.block + (offset - before * self.block);
        image.generate(&Piece { offset, ..*piece }, buffer);
    }
}

struct Runs {
    list: Vec<(Run, Kind)>,
    /// Maximum length of a data run in \[blocks\].
    max_blocks: u64,
}

impl Runs {
    /// Adds the blocks of a piece. Only its first block may be in the list already, from the previous piece.
    fn add(&mut self, mut first: u64, end: u64, kind: Kind, is_indivisible: bool) {
        if let Some((last, last_kind)) = self.list.last_mut()
            && first < last.end()
        {
            match (*last_kind).cmp(&kind) {
                std::cmp::Ordering::Less => {
                    last.count -= 1;
                    if last.count == 0 {
                        self.list.pop();
                    }
                }
                // Metadata is not split, so this run also gets the rest of the piece.
                std::cmp::Ordering::Equal if is_indivisible => {
                    last.count = end - last.first;
                    return;
                }
                std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => first += 1,
            }
        }
        while first < end {
            let most = if kind == Kind::Data { self.max_blocks } else { u64::MAX };
            let wanted = end - first;
            match self.list.last_mut() {
                Some((last, last_kind)) if *last_kind == kind && last.end() == first && last.count < most => {
                    let taken = if is_indivisible { wanted } else { wanted.min(most - last.count) };
                    last.count += taken;
                    first += taken;
                }
                _ => {
                    let count = if is_indivisible { wanted } else { wanted.min(most) };
                    self.list.push((Run { first, count }, kind));
                    first += count;
                }
            }
        }
    }
}

/// Takes pieces from an image, split at the ends of runs.
pub(crate) struct PieceMover<'i> {
    pieces: Box<dyn Iterator<Item = Piece> + Send + 'i>,
    rest: Option<Piece>,
}

impl<'i> PieceMover<'i> {
    pub(crate) fn of(image: &'i dyn PieceSource) -> Self {
        Self { pieces: image.pieces(), rest: None }
    }

    /// Returns the pieces of a run, moved so that the run starts at offset `at`. If the image ends within a block, the rest is
    /// zeros. Runs must be given in order.
    pub(crate) fn moved(&mut self, run: Run, block: u64, at: u64) -> Vec<Piece> {
        let (start, end) = (run.first * block, run.end() * block);
        while self.next_before(start).is_some() {}
        let mut moved = Vec::new();
        let mut reached = start;
        while let Some(piece) = self.next_before(end) {
            reached = piece.offset + piece.len;
            moved.push(Piece { offset: piece.offset - start + at, ..piece });
        }
        if reached < end {
            moved.push(Piece { offset: reached - start + at, len: end - reached, content: Content::Zeros });
        }
        moved
    }

    fn next_before(&mut self, end: u64) -> Option<Piece> {
        let piece = self.rest.take().or_else(|| self.pieces.next())?;
        if piece.offset >= end {
            self.rest = Some(piece);
            return None;
        }
        let len = piece.len.min(end - piece.offset);
        if len < piece.len {
            let (offset, content) = (piece.offset + len, piece.content.skip(len));
            self.rest = Some(Piece { offset, len: piece.len - len, content });
        }
        Some(Piece { len, ..piece })
    }
}

#[cfg(test)]
mod tests {
    use image_tree::NodeId;

    use super::*;

    const MIB: u64 = 1 << 20;
    const BLOCK: u64 = 4096;

    /// An image of pieces of these kinds and lengths.
    struct Image(Vec<(Content, u64)>);

    impl PieceSource for Image {
        fn len(&self) -> u64 {
            self.0.iter().map(|piece| piece.1).sum()
        }

        fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
            let mut at = 0;
            Box::new(self.0.iter().map(move |&(content, len)| {
                at += len;
                Piece { offset: at - len, len, content }
            }))
        }

        fn generate(&self, _: &Piece, _: &mut [u8]) {}
    }

    fn file(offset: u64) -> Content {
        Content::File { file: NodeId::ROOT.into(), offset }
    }

    fn list(pieces: Vec<(Content, u64)>, block: u64) -> Vec<(u64, u64, Kind)> {
        runs(&Image(pieces), block).into_iter().map(|(run, kind)| (run.first, run.count, kind)).collect()
    }

    #[test]
    fn a_block_with_several_kinds_has_the_greatest() {
        use Kind::{Data, Unused, Zeros};
        let (zeros, unused, metadata) = (Content::Zeros, Content::Unused, Content::Metadata);
        let file_zeros = Content::FileZeros { file: NodeId::ROOT.into() };
        for (pieces, expected) in [
            (vec![(unused, BLOCK)], vec![(0, 1, Unused)]),
            (vec![(unused, 5000), (zeros, 3 * BLOCK - 5000)], vec![(0, 1, Unused), (1, 2, Zeros)]),
            (vec![(zeros, 5000), (unused, 3 * BLOCK - 5000)], vec![(0, 2, Zeros), (2, 1, Unused)]),
            (vec![(zeros, 5000), (file_zeros, 3 * BLOCK - 5000)], vec![(0, 3, Zeros)]),
            (vec![(zeros, 1), (metadata, BLOCK - 1), (zeros, 1)], vec![(0, 1, Data), (1, 1, Zeros)]),
            (vec![(metadata, 1), (zeros, 1), (file(0), 1), (unused, BLOCK - 3)], vec![(0, 1, Data)]),
            (vec![(unused, 100), (zeros, 100), (file(0), 100)], vec![(0, 1, Data)]),
            (vec![(metadata, BLOCK), (file(0), BLOCK), (metadata, 1)], vec![(0, 3, Data)]),
        ] {
            assert_eq!(list(pieces, BLOCK), expected);
        }
    }

    /// Runs of zeros have any length.
    #[test]
    fn runs_of_data_end_after_256_mib() {
        use Kind::{Data, Unused, Zeros};
        let blocks = |mib: u64| mib * MIB / BLOCK;
        assert_eq!(
            list(
                vec![(file(0), 600 * MIB), (Content::Zeros, 600 * MIB), (Content::Unused, 600 * MIB)],
                BLOCK
            ),
            [
                (0, blocks(256), Data),
                (blocks(256), blocks(256), Data),
                (blocks(512), blocks(88), Data),
                (blocks(600), blocks(600), Zeros),
                (blocks(1200), blocks(600), Unused),
            ]
        );
        // A run is filled by the next piece.
        assert_eq!(
            list(vec![(file(0), 200 * MIB), (file(0), 100 * MIB)], BLOCK),
            [(0, blocks(256), Data), (blocks(256), blocks(44), Data)]
        );
        for first in [1, BLOCK, BLOCK + 1, 1000 * BLOCK] {
            assert_eq!(
                list(vec![(file(0), first), (file(0), 600 * MIB - first)], BLOCK),
                [(0, blocks(256), Data), (blocks(256), blocks(256), Data), (blocks(512), blocks(88), Data),]
            );
        }
        assert_eq!(
            list(vec![(file(0), 256 * MIB), (file(0), 1)], BLOCK),
            [(0, blocks(256), Data), (blocks(256), 1, Data)]
        );
        // The unit is the block of the format.
        assert_eq!(
            list(vec![(file(0), 600 * MIB)], 2 * MIB),
            [(0, 128, Data), (128, 128, Data), (256, 44, Data)]
        );
    }

    #[test]
    fn a_piece_of_metadata_is_in_one_run() {
        use Kind::Data;
        let blocks = |mib: u64| mib * MIB / BLOCK;
        assert_eq!(list(vec![(Content::Metadata, 600 * MIB)], BLOCK), [(0, blocks(600), Data)]);
        for (before, len) in
            [(255 * MIB, 3 * MIB), (256 * MIB - 1, 3 * MIB), (256 * MIB - BLOCK - 1, 2 * MIB)]
        {
            let end = (before + len).div_ceil(BLOCK);
            assert_eq!(list(vec![(file(0), before), (Content::Metadata, len)], BLOCK), [(0, end, Data)]);
        }
        // After a full run, another one begins.
        assert_eq!(
            list(vec![(file(0), 256 * MIB), (Content::Metadata, 3 * MIB), (file(0), MIB)], BLOCK),
            [(0, blocks(256), Data), (blocks(256), blocks(4), Data)]
        );
        assert_eq!(
            list(vec![(Content::Metadata, 300 * MIB), (file(0), MIB)], BLOCK),
            [(0, blocks(300), Data), (blocks(300), blocks(1), Data)]
        );
    }

    #[test]
    fn needed_blocks_are_joined() {
        let pieces = vec![
            (Content::Unused, BLOCK),
            (file(0), 300 * MIB),
            (Content::Zeros, 5 * BLOCK),
            (Content::Unused, BLOCK + 1),
            (Content::Metadata, BLOCK - 1),
            (Content::Unused, BLOCK),
            (Content::Zeros, 1),
        ];
        let data = 300 * MIB / BLOCK;
        assert_eq!(needed_blocks(&Image(pieces), BLOCK), [(1, data + 5), (data + 7, 1), (data + 9, 1)]);
    }

    #[test]
    fn data_blocks_are_stored_one_after_another() {
        let image = Image(vec![
            (Content::Zeros, BLOCK),
            (file(0), 2 * BLOCK + 10),
            (Content::Unused, 3 * BLOCK - 10),
            (file(500), BLOCK),
            (Content::Metadata, 100),
        ]);
        let data = DataBlocks::of(&image, BLOCK);
        assert_eq!(data.count(), 5);
        let places: Vec<_> = (0..9).map(|block| data.before(block)).collect();
        assert_eq!(places, [None, Some(0), Some(1), Some(2), None, None, Some(3), Some(4), None]);
        let pieces: Vec<_> =
            data.pieces(&image, 1000).map(|piece| (piece.offset, piece.len, piece.content)).collect();
        let expected = [
            (1000, 2 * BLOCK + 10, file(0)),
            (1000 + 2 * BLOCK + 10, BLOCK - 10, Content::Unused),
            (1000 + 3 * BLOCK, BLOCK, file(500)),
            (1000 + 4 * BLOCK, 100, Content::Metadata),
            // After the end of the image.
            (1000 + 4 * BLOCK + 100, BLOCK - 100, Content::Zeros),
        ];
        assert_eq!(pieces, expected);
    }

    /// The part of a file that is in another run has another offset.
    #[test]
    fn pieces_are_split_at_the_ends_of_runs() {
        let image = Image(vec![(file(7), 10 * BLOCK)]);
        let mut mover = PieceMover::of(&image);
        let mut pieces_of = |first, count, at| -> Vec<_> {
            let pieces = mover.moved(Run { first, count }, BLOCK, at);
            pieces.into_iter().map(|piece| (piece.offset, piece.len, piece.content)).collect()
        };
        assert_eq!(pieces_of(0, 2, 100), [(100, 2 * BLOCK, file(7))]);
        assert_eq!(pieces_of(2, 1, 50), [(50, BLOCK, file(7 + 2 * BLOCK))]);
        // Those before the run are passed over.
        assert_eq!(pieces_of(5, 2, 0), [(0, 2 * BLOCK, file(7 + 5 * BLOCK))]);
        assert_eq!(pieces_of(9, 2, 0), [(0, BLOCK, file(7 + 9 * BLOCK)), (BLOCK, BLOCK, Content::Zeros)]);
    }
}
