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
