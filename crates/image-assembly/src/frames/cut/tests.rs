use super::*;
use crate::testing::*;

const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;
/// A hash with which no small unit begins a frame, whatever its length.
const LATE: u64 = 5 * GROUP - 1;

/// Files 0 to 9 are a unit, 10 to 19, and so on. Each has a hash.
struct Units(Vec<u64>);

impl FrameSource for Units {
    fn unit(&self, of: FileRef) -> Unit {
        let unit = of.node.index() / 10;
        Unit { first: file(unit * 10), hash: self.0.get(unit).copied().unwrap_or(LATE) }
    }
}

fn cut(pieces: &[(Content, u64)], hashes: &[u64]) -> Vec<u64> {
    frames(&List(pieces.to_vec()), &Units(hashes.to_vec()))
}

/// A whole file of a unit.
fn f(index: usize) -> Content {
    from_file(index, 0)
}

#[test]
fn small_units_share_a_frame() {
    assert_eq!(cut(&[(f(0), 1000), (Z, 3096), (f(10), 2000), (Z, 2096)], &[]), [8192]);
    assert_eq!(cut(&[(f(0), 1000), (Z, 3096), (f(1), 2000), (hole(1), 2096)], &[]), [8192]);
}

#[test]
fn a_unit_begins_a_frame_if_its_hash_says_so() {
    let begins = |len: u64, hash| {
        let frames = cut(&[(f(0), 1000), (f(10), len - 96), (Z, 96), (f(20), 5)], &[LATE, hash]);
        assert_eq!(frames.iter().sum::<u64>(), 1000 + len + 5);
        assert!(frames == [1000, len + 5] || frames == [1005 + len], "{frames:?}");
        frames.len() == 2
    };
    // With a probability of its length in the mean length of a frame.
    for (len, hash, expected) in [
        (4096, 0, true),
        (4096, 4095, true),
        (4096, 4096, false),
        (4096, GROUP + 4095, true),
        (4096, GROUP + 4096, false),
        (100_000, 4096, true),
        (4096, LATE, false),
    ] {
        assert_eq!(begins(len, hash), expected, "{len} bytes, hash {hash}");
    }
}

#[test]
fn a_frame_of_small_units_is_not_too_long() {
    let full = [(f(0), 1_000_000), (f(10), 1_000_000), (f(20), 1_000_000), (f(30), 1_000_000)];
    let with = |last: u64| cut(&[&full[..], &[(f(40), last)]].concat(), &[]);
    assert_eq!(with(FRAME - 4_000_000), [FRAME]);
    assert_eq!(with(FRAME - 4_000_000 + 1), [4_000_000, FRAME - 4_000_000 + 1]);
}

#[test]
fn a_large_unit_has_frames_of_its_own_of_equal_length() {
    let between = |len| cut(&[(f(0), 50), (f(10), len), (f(20), 60)], &[]);
    assert_eq!(between(Unit::LARGE - 1), [Unit::LARGE + 109]);
    assert_eq!(between(Unit::LARGE), [50, Unit::LARGE, 60]);
    assert_eq!(between(FRAME), [50, FRAME, 60]);
    assert_eq!(between(FRAME + 1), [50, 2 * MIB + 4096, 2 * MIB - 4095, 60]);
    assert_eq!(between(9 * MIB), [50, 3 * MIB, 3 * MIB, 3 * MIB, 60]);
    // In several files, with the ends of their last blocks.
    let pieces = [(f(0), 3 * MIB - 5), (Z, 5), (f(1), 3 * MIB), (f(2), 3 * MIB - 7), (Z, 7)];
    assert_eq!(cut(&pieces, &[]), [3 * MIB; 3]);
}

#[test]
fn metadata_and_long_zeros_interrupt_a_unit() {
    assert_eq!(cut(&[(f(0), 2 * MIB), (M, 8192), (f(1), 2 * MIB)], &[]), [2 * MIB, 8192, 2 * MIB]);
    assert_eq!(
        cut(&[(f(0), 2 * MIB), (Z, 40 * MIB), (f(1), 2 * MIB)], &[]),
        [2 * MIB, 32 * MIB, 8 * MIB, 2 * MIB]
    );
    // The unit is as long as both parts together, and its last frame is what is left.
    assert_eq!(cut(&[(f(0), 3 * MIB), (M, 8192), (f(1), 5 * MIB)], &[]), [3 * MIB, 8192, MIB, 4 * MIB]);
    // What follows a small one joins its second part.
    let pieces = [(f(0), 1000), (M, 6 * MIB), (f(1), 1001), (f(10), 1002), (M, 9)];
    assert_eq!(cut(&pieces, &[]), [1000, 6 * MIB, 2003, 9]);
}

#[test]
fn zeros_belong_to_what_they_are_near() {
    // To a unit, if they can be the end of a block.
    assert_eq!(cut(&[(f(0), 1000), (Z, TAIL - 1), (M, 9)], &[]), [1000 + TAIL - 1, 9]);
    assert_eq!(cut(&[(f(0), 1000), (Z, TAIL), (M, 9)], &[]), [1000, TAIL + 9]);
    assert_eq!(cut(&[(f(0), 1000), (U, 5), (M, 9)], &[]), [1000, 14]);
    // To metadata, unless they are long.
    assert_eq!(cut(&[(M, 9), (Z, MIB - 1), (U, 7), (M, 9)], &[]), [MIB + 24]);
    assert_eq!(cut(&[(M, 9), (Z, MIB), (U, MIB), (M, 9)], &[]), [9, 2 * MIB, 9]);
    assert_eq!(cut(&[(Z, 70 * MIB)], &[]), [32 * MIB, 32 * MIB, 6 * MIB]);
}

#[test]
fn other_pieces_share_frames_and_are_never_cut() {
    assert_eq!(cut(&[(M, FRAME - 1), (M, 1)], &[]), [FRAME]);
    assert_eq!(cut(&[(M, FRAME - 1), (M, 2), (M, 3)], &[]), [FRAME - 1, 5]);
    assert_eq!(cut(&[(M, 5 * MIB), (M, 3)], &[]), [5 * MIB, 3]);
    assert_eq!(cut(&[(M, 10 * KIB), (f(0), 5), (M, 10 * KIB)], &[]), [10 * KIB, 5, 10 * KIB]);
}

#[test]
fn an_image_without_bytes_is_an_empty_frame() {
    assert_eq!(cut(&[], &[]), [0]);
}
