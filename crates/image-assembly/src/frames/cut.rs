//! Where an image is cut into frames.
//!
//! A cut depends only on what is near it, so that a change of one unit changes few frames:
//!
//! 1. Consecutive data of one unit (a store path, or a file outside of the store) is a run, with the zeros that end the last
//!    block of each file. Fixed metadata of the file system interrupts a run; it goes on after that.
//! 2. A unit of [`Unit::LARGE`] bytes or more has frames of its own: the least number of frames of at most [`FRAME`] bytes,
//!    of equal length. So they are the same in every image.
//! 3. Consecutive smaller units share frames. A unit begins a frame if its hash says so, on average once every
//!    [`GROUP`] bytes, or if the frame would be longer than [`FRAME`].
//! 4. Everything else, for example inode tables, is cut before the piece that would make a frame longer than [`FRAME`].
//!    Long zeros are frames of their own.

use image_tree::{Content, FileRef, Piece, PieceSource};

use super::FrameSource;

/// The longest frame that is not only zeros, in \[bytes\].
pub(super) const FRAME: u64 = 4 << 20;
/// The mean length of a frame of small units, in \[bytes\].
const GROUP: u64 = 2 << 20;
/// Zeros from this length on share no frame with anything else, in \[bytes\].
const LONG_ZEROS: u64 = 1 << 20;
/// The longest frame of zeros, in \[bytes\]: one block compressed, and no burden for programs that read a frame as a whole.
const ZEROS: u64 = 32 << 20;
/// The end of a file's last block is shorter than the largest block, in \[bytes\].
const TAIL: u64 = 64 << 10;
/// Cuts within a unit are multiples of this length after its start, in \[bytes\].
const GRAIN: u64 = 4096;

/// Consecutive files that are stored together: a store path, or a file outside of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Different for each unit of an image.
    pub first: FileRef,
    /// A hash of its name or contents. It decides where frames of small units begin.
    pub hash: u64,
}

impl Unit {
    /// Units from this length on share no frame with others, in \[bytes\] with the ends of their last blocks. So they
    /// have the same frames in every image.
    pub const LARGE: u64 = 1 << 20;
}

/// Consecutive bytes of an image of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    kind: Kind,
    /// In \[bytes\].
    len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unit(Unit),
    Zeros,
    Other,
}

/// The length of each frame of an image, in \[bytes\].
pub(super) fn frames(image: &dyn PieceSource, source: &dyn FrameSource) -> Vec<u64> {
    let runs = runs(image, source);
    let mut cutter = Cutter::default();
    let mut at = 0;
    while let Some(run) = runs.get(at) {
        match run.kind {
            Kind::Unit(unit) => {
                let (runs, len) = parts(runs.get(at..).unwrap_or_default(), unit);
                cutter.unit(unit, runs, len);
                at += runs.len();
            }
            Kind::Zeros => {
                cutter.cut();
                cutter.evenly(run.len, ZEROS);
                at += 1;
            }
            Kind::Other => {
                cutter.cut();
                cutter.frames.push(run.len);
                at += 1;
            }
        }
    }
    cutter.cut();
    if cutter.frames.is_empty() {
        // Compressed, nothing is an empty frame.
        cutter.frames.push(0);
    }
    cutter.frames
}

/// The runs of a unit from the first on, with what interrupts them, and the length of the unit itself.
fn parts(runs: &[Run], unit: Unit) -> (&[Run], u64) {
    let (mut end, mut len) = (0, 0);
    for (index, run) in runs.iter().enumerate() {
        match run.kind {
            Kind::Unit(other) if other != unit => break,
            Kind::Unit(_) => {
                end = index + 1;
                len += run.len;
            }
            Kind::Zeros | Kind::Other => {}
        }
    }
    (runs.get(..end).unwrap_or(runs), len)
}

#[derive(Debug, Default)]
struct Cutter {
    frames: Vec<u64>,
    /// The length of the frame of small units that is not yet cut.
    group: u64,
}

impl Cutter {
    fn cut(&mut self) {
        if self.group > 0 {
            self.frames.push(std::mem::take(&mut self.group));
        }
    }

    /// Frames of at most `most` bytes, each as long as possible.
    fn evenly(&mut self, mut len: u64, most: u64) {
        while len > 0 {
            let now = len.min(most);
            self.frames.push(now);
            len -= now;
        }
    }

    fn unit(&mut self, unit: Unit, runs: &[Run], len: u64) {
        let is_large = len >= Unit::LARGE;
        if is_large || self.group + len > FRAME || begins_frame(unit, len) {
            self.cut();
        }
        let step = len.div_ceil(len.div_ceil(FRAME)).next_multiple_of(GRAIN);
        let mut left = step;
        for run in runs {
            if run.kind != Kind::Unit(unit) {
                self.cut();
                self.evenly(run.len, if run.kind == Kind::Zeros { ZEROS } else { u64::MAX });
                continue;
            }
            let mut len = run.len;
            while len > 0 {
                let now = len.min(left);
                self.group += now;
                len -= now;
                left -= now;
                if left == 0 {
                    left = step;
                    if is_large {
                        self.cut();
                    }
                }
            }
        }
        if is_large {
            self.cut();
        }
    }
}

/// Whether a small unit begins a frame, with a probability of its length in [`GROUP`].
fn begins_frame(unit: Unit, len: u64) -> bool {
    unit.hash % GROUP < len
}

fn runs(image: &dyn PieceSource, source: &dyn FrameSource) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for piece in image.pieces() {
        let last = runs.last().map(|run| run.kind);
        let kind = kind(&piece, last, source);
        match runs.last_mut() {
            // A piece of metadata is made as a whole, so it is not cut.
            Some(run) if run.kind == Kind::Other && run.len + piece.len > FRAME => {
                runs.push(Run { kind, len: piece.len });
            }
            Some(run) if run.kind == kind => run.len += piece.len,
            _ => runs.push(Run { kind, len: piece.len }),
        }
    }
    runs
}

fn kind(piece: &Piece, last: Option<Kind>, source: &dyn FrameSource) -> Kind {
    match (piece.content, last) {
        (Content::File { file, .. } | Content::FileZeros { file }, _) => Kind::Unit(source.unit(file)),
        (Content::Zeros, Some(unit @ Kind::Unit(_))) if piece.len < TAIL => unit,
        (Content::Zeros | Content::Unused, _) if piece.len >= LONG_ZEROS => Kind::Zeros,
        (Content::Zeros | Content::Unused | Content::Metadata, _) => Kind::Other,
    }
}

#[cfg(test)]
mod tests;
