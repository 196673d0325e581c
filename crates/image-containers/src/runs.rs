//! Which blocks of an image hold data, needed zeros or nothing, and its pieces moved to other places.

use image_tree::{Content, Piece, PieceSource};

/// Blocks that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its first block in the image.
    pub(crate) first: u64,
    /// How many there are.
    pub(crate) count: u64,
}

impl Run {
    pub(crate) fn end(self) -> u64 {
        self.first + self.count
    }
}

/// After so many \[bytes\] a run ends where it can, so that its pieces need little memory at once.
const LONG: u64 = 256 << 20;

/// What is known of a block before the image is written, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// No reader looks at it.
    Unused,
    /// Zeros that readers rely on.
    Zeros,
    /// Anything.
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

/// The blocks of `grain` \[bytes\] that a copy of the image must have, whatever was on the device before: all of them
/// except those that are [`Content::Unused`] as a whole. Ascending first blocks with their numbers.
pub fn needed_blocks(image: &dyn PieceSource, grain: u64) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (run, _) in runs(image, grain).into_iter().filter(|(_, kind)| *kind != Kind::Unused) {
        match all.last_mut() {
            Some((first, count)) if *first + *count == run.first => *count += run.count,
            _ => all.push((run.first, run.count)),
        }
    }
    all
}

/// All blocks of an image in order, in runs of one kind; those of data are not much longer than [`LONG`]. A block with
/// several kinds of pieces is of the greatest. Metadata never lies across the end of a run.
pub(crate) fn runs(image: &dyn PieceSource, grain: u64) -> Vec<(Run, Kind)> {
    let mut runs = Runs { list: Vec::new(), long: LONG / grain };
    for piece in image.pieces() {
        let first = piece.offset / grain;
        let end = (piece.offset + piece.len).div_ceil(grain);
        runs.add(first, end, Kind::of(piece.content), matches!(piece.content, Content::Metadata));
    }
    runs.list
}

struct Runs {
    list: Vec<(Run, Kind)>,
    /// How long a run of data may be, in blocks.
    long: u64,
}

impl Runs {
    /// Adds the blocks of a piece. Only the first of them may be there already, from the piece before.
    fn add(&mut self, mut first: u64, end: u64, kind: Kind, is_whole: bool) {
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
                // Metadata is not cut: what began in this run ends in it.
                std::cmp::Ordering::Equal if is_whole => {
                    last.count = end - last.first;
                    return;
                }
                std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => first += 1,
            }
        }
        while first < end {
            let most = if kind == Kind::Data { self.long } else { u64::MAX };
            let wanted = end - first;
            match self.list.last_mut() {
                Some((last, last_kind)) if *last_kind == kind && last.end() == first && last.count < most => {
                    let taken = if is_whole { wanted } else { wanted.min(most - last.count) };
                    last.count += taken;
                    first += taken;
                }
                _ => {
                    let count = if is_whole { wanted } else { wanted.min(most) };
                    self.list.push((Run { first, count }, kind));
                    first += count;
                }
            }
        }
    }
}

/// Takes pieces from an image, cut where a run ends.
pub(crate) struct Cutter<'i> {
    pieces: Box<dyn Iterator<Item = Piece> + Send + 'i>,
    rest: Option<Piece>,
}

impl<'i> Cutter<'i> {
    pub(crate) fn of(image: &'i dyn PieceSource) -> Self {
        Self { pieces: image.pieces(), rest: None }
    }

    /// The pieces of a run, which is not before the last one, at their places when the run begins at `at`; filled up with
    /// zeros where the image ends within a block.
    pub(crate) fn moved(&mut self, run: Run, grain: u64, at: u64) -> Vec<Piece> {
        let (start, end) = (run.first * grain, run.end() * grain);
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
