use super::*;
use crate::testing::*;

/// Frames of these lengths.
fn frames<'i>(image: &'i List, lens: &[u64]) -> Frames<'i> {
    let lens = lens.to_vec();
    Frames { pieces: Pieces::of(image), rest: None, lens: lens.into_iter(), next: 0 }
}

#[test]
fn pieces_are_cut_where_frames_end() {
    let image = List(vec![(M, 10), (from_file(1, 5), 100), (Z, 20), (from_file(2, 0), 30)]);
    let mut frames = frames(&image, &[10, 40, 40, 35, 35]);
    let mut found = Vec::new();
    let mut frame = Frame::default();
    while frames.next(&mut frame).unwrap() {
        assert_eq!(frame.number, u64::try_from(found.len()).unwrap());
        assert_eq!(frames.number(), frame.number + 1);
        found.push((frame.len, frame.pieces.clone()));
    }
    let piece = |offset, len, content| Piece { offset, len, content };
    assert_eq!(
        found,
        [
            (10, vec![piece(0, 10, M)]),
            (40, vec![piece(10, 40, from_file(1, 5))]),
            (40, vec![piece(50, 40, from_file(1, 45))]),
            (35, vec![piece(90, 20, from_file(1, 85)), piece(110, 15, Z)]),
            (35, vec![piece(125, 5, Z), piece(130, 30, from_file(2, 0))])
        ]
    );
}

#[test]
fn frames_that_do_not_fit_the_pieces_are_an_error() {
    let mut frame = Frame::default();
    for (pieces, lens) in [
        // A cut within metadata, too many and too few bytes.
        (vec![(M, 10)], &[5][..]),
        (vec![(Z, 10)], &[11]),
        (vec![(Z, 10), (M, 1)], &[10]),
    ] {
        let image = List(pieces);
        let mut frames = frames(&image, lens);
        let all: Result<(), PieceError> = (|| {
            while frames.next(&mut frame)? {}
            Ok(())
        })();
        assert_eq!(all, Err(PieceError::Lost), "{lens:?}");
    }
}

#[test]
fn a_frame_of_zeros_has_no_other_piece() {
    let frame = |contents: &[Content]| {
        let piece = |&content: &Content| Piece { offset: 0, len: 1, content };
        Frame { number: 0, len: 0, pieces: contents.iter().map(piece).collect() }
    };
    assert!(frame(&[Z, U, hole(1)]).is_zero() && frame(&[]).is_zero());
    assert!(!frame(&[Z, M]).is_zero() && !frame(&[from_file(0, 0)]).is_zero());
}
