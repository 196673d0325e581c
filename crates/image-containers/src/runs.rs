//! Where an image has more than zeros, and its pieces moved to other places.

use image_tree::{Content, Piece, PieceSource};

/// Blocks that follow one another; none is known to be zeros.
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

/// The blocks of `grain` \[bytes\] in which an image has anything but pieces of zeros: ascending first blocks with their
/// numbers. What files contain is not looked at.
pub fn data_blocks(image: &dyn PieceSource, grain: u64) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for run in runs(image, grain) {
        match all.last_mut() {
            Some((first, count)) if *first + *count == run.first => *count += run.count,
            _ => all.push((run.first, run.count)),
        }
    }
    all
}

/// The same in runs that are not much longer than [`LONG`]. Metadata never lies across the end of a run.
pub(crate) fn runs(image: &dyn PieceSource, grain: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let long = LONG / grain;
    for piece in image.pieces().filter(|piece| piece.content != Content::Zeros) {
        let mut first = piece.offset / grain;
        let end = (piece.offset + piece.len).div_ceil(grain);
        if let Some(last) = runs.last_mut()
            && (first < last.end() || (first == last.end() && last.count < long))
        {
            // Of a file the run takes as much as it has room for, of metadata all.
            let room = (last.first + long.max(last.count)).max(first + 1);
            let taken = if matches!(piece.content, Content::File { .. }) { end.min(room) } else { end };
            last.count = taken.max(last.end()) - last.first;
            first = taken.max(first);
        }
        while first < end {
            let is_file = matches!(piece.content, Content::File { .. });
            let count = if is_file { (end - first).min(long) } else { end - first };
            runs.push(Run { first, count });
            first += count;
        }
    }
    runs
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
            let content = match piece.content {
                Content::File { node, offset } => Content::File { node, offset: offset + len },
                other => other,
            };
            self.rest = Some(Piece { offset: piece.offset + len, len: piece.len - len, content });
        }
        Some(Piece { len, ..piece })
    }
}
