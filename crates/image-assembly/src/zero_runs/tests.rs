use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::testing::*;

const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// Bytes with zeros in the given ranges of grains.
fn zeros_in(grains: u64, zeros: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = data(0, grains * GRAIN);
    for (start, end) in zeros {
        bytes[to_usize(start * GRAIN)..to_usize(end * GRAIN)].fill(0);
    }
    bytes
}

#[test]
fn zeros_are_only_zeros() {
    assert!(is_zero(&[]) && is_zero(&[0; 1000]));
    for at in [0, 1, 127, 128, 999] {
        let mut bytes = [0; 1000];
        bytes[at] = 0x80;
        assert!(!is_zero(&bytes), "{at}");
    }
    // Bits that occur twice do not cancel out.
    assert!(!is_zero(&[7, 7]));
}

#[test]
fn bytes_are_divided_into_whole_grains_of_zeros_and_the_rest() {
    let grain = to_usize(GRAIN);
    let bytes = zeros_in(6, &[(1, 3), (4, 5)]);
    let all = |bytes: &[u8], offset| cut(bytes, offset).collect::<Vec<_>>();
    assert_eq!(
        all(&bytes, 3 * GRAIN),
        [
            (0..grain, false),
            (grain..3 * grain, true),
            (3 * grain..4 * grain, false),
            (4 * grain..5 * grain, true),
            (5 * grain..6 * grain, false)
        ]
    );
    // Of zeros that begin within a grain, that part is no hole. Here, no grain between the others is whole.
    assert_eq!(
        all(&bytes, 3 * GRAIN + 1),
        [(0..2 * grain - 1, false), (2 * grain - 1..3 * grain - 1, true), (3 * grain - 1..6 * grain, false)]
    );
    assert_eq!(all(&bytes[..grain - 1], 7), [(0..grain - 1, false)]);
    assert_eq!(all(&bytes[grain..2 * grain - 1], 0), [(0..grain - 1, false)]);
    assert_eq!(all(&[], 5), []);
    // No grain ends after the last offset.
    assert_eq!(all(&[1; 5], u64::MAX - 5), [(0..5, false)]);
}

/// The runs of zeros of the part of a file.
fn runs_of(bytes: &[u8], placed: Placed) -> Vec<Range<u64>> {
    let mut runs = Vec::new();
    let mut read = |from, buffer: &mut [u8]| {
        let from = to_usize(from);
        buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
        Ok(())
    };
    let found = in_file(&mut read, placed, &mut Vec::new(), |run| runs.push(run));
    assert!(found.is_ok());
    runs
}

#[test]
fn runs_of_a_file_are_whole_grains_of_the_image() {
    let bytes = zeros_in(8, &[(0, 2), (3, 4), (6, 8)]);
    let grains = |ranges: &[(u64, u64)]| -> Vec<_> {
        ranges.iter().map(|(start, end)| start * GRAIN..end * GRAIN).collect()
    };
    for (from, offset, len, runs) in [
        (0, 5, 8, &[(5, 7), (8, 9), (11, 13)][..]),
        (0, 0, 3, &[(0, 2)]),
        (1, 1, 7, &[(1, 2), (3, 4), (6, 8)]),
        (2, 1, 5, &[(2, 3), (5, 6)]),
        (2, 9, 1, &[]),
        (3, 9, 1, &[(9, 10)]),
    ] {
        let placed = Placed { from: from * GRAIN, offset: offset * GRAIN, len: len * GRAIN };
        assert_eq!(runs_of(&bytes, placed), grains(runs), "{len} grains from {from}");
    }
    // The file begins within a grain of the image: one of the first two grains of zeros is whole, and one of the last.
    let placed = Placed { from: 0, offset: GRAIN + 7, len: 8 * GRAIN };
    assert_eq!(runs_of(&bytes, placed), grains(&[(2, 3), (8, 9)]));
    let placed = Placed { from: 7, offset: GRAIN + 7, len: 8 * GRAIN - 7 };
    assert_eq!(runs_of(&bytes, placed), grains(&[(2, 3), (4, 5), (7, 9)]));
    let placed = Placed { from: 7, offset: GRAIN + 7, len: 8 * GRAIN - 8 };
    assert_eq!(runs_of(&bytes, placed), grains(&[(2, 3), (4, 5), (7, 8)]));
    // A byte at the end of a grain makes it no zeros, and so does one at its start.
    for at in [GRAIN - 1, to_u64(PROBE), to_u64(PROBE) - 1, 0] {
        let mut bytes = zeros_in(1, &[(0, 1)]);
        bytes[to_usize(at)] = 1;
        assert_eq!(runs_of(&bytes, Placed { from: 0, offset: 0, len: GRAIN }), [], "{at}");
    }
}

#[test]
fn of_a_grain_with_data_only_the_start_is_read() {
    let mut read_bytes = 0;
    let mut read = |_, buffer: &mut [u8]| {
        read_bytes += buffer.len();
        buffer.fill(1);
        Ok(())
    };
    let placed = Placed { from: 0, offset: 0, len: 10 * GRAIN };
    assert!(in_file(&mut read, placed, &mut Vec::new(), |_| unreachable!("there are no zeros")).is_ok());
    assert_eq!(read_bytes, 10 * PROBE);
}

#[test]
fn a_part_between_two_offsets_of_the_image_is_found_in_the_file() {
    let placed = Placed { from: 100, offset: 1000, len: 50 };
    let part = placed.part(1010, 1030);
    assert_eq!((part.from, part.offset, part.len, part.end()), (110, 1010, 20, 1030));
    assert_eq!(placed.end(), 1050);
}

/// The pieces of an image whose zeros are known.
fn known_pieces(list: &List, files: &Files) -> Vec<(Content, u64)> {
    let done = AtomicU64::new(0);
    let progress = |bytes| _ = done.fetch_add(bytes, Ordering::Relaxed);
    let known = KnownZeros::find(list, files, (ONE, ONE), &progress).unwrap();
    assert_eq!((done.into_inner(), known.len()), (list.len(), list.len()));
    crate::check_pieces(&known).unwrap();
    // Metadata is that of the image.
    for piece in known.pieces().filter(|piece| piece.content == M) {
        let mut bytes = vec![0; to_usize(piece.len)];
        known.generate(&piece, &mut bytes);
        assert!(bytes == data(piece.offset, piece.len));
    }
    known.pieces().map(|piece| (piece.content, piece.len)).collect()
}

#[test]
fn known_zeros_are_pieces_of_their_own() {
    let files = Files(vec![zeros_in(6, &[(1, 3), (5, 6)]), zeros_in(2, &[(0, 2)]), data(0, 3 * GRAIN)]);
    let list = List(vec![
        (M, GRAIN),
        (from_file(0, 0), 6 * GRAIN),
        (from_file(1, 0), 2 * GRAIN),
        (Z, GRAIN),
        (from_file(0, GRAIN), GRAIN),
        (from_file(2, 0), 3 * GRAIN),
        (from_file(0, GRAIN), 3 * GRAIN),
        (U, 5),
    ]);
    assert_eq!(
        known_pieces(&list, &files),
        [
            (M, GRAIN),
            (from_file(0, 0), GRAIN),
            (hole(0), 2 * GRAIN),
            (from_file(0, 3 * GRAIN), 2 * GRAIN),
            (hole(0), GRAIN),
            (hole(1), 2 * GRAIN),
            (Z, GRAIN),
            (hole(0), GRAIN),
            (from_file(2, 0), 3 * GRAIN),
            (hole(0), 2 * GRAIN),
            (from_file(0, 3 * GRAIN), GRAIN),
            (U, 5)
        ]
    );
}

#[test]
fn a_piece_that_can_contain_no_grain_is_not_opened() {
    // The second file can't be opened.
    let contents = Files(vec![zeros_in(1, &[(0, 1)])]);
    for (len, is_opened) in [(GRAIN - 1, false), (GRAIN, true)] {
        let list = List(vec![(from_file(0, 0), GRAIN), (from_file(7, 0), len)]);
        let found = KnownZeros::find(&list, &contents, (ONE, ONE), &|_| {});
        assert_eq!(found.is_err(), is_opened, "{len}");
    }
}
