use super::*;
use crate::testing::*;

const KIB: u64 = 1 << 10;

/// All chunks, after a check that they follow one another and have their pieces.
fn all(pieces: &[(Content, u64)], lone_file: Option<u64>) -> Vec<Chunk> {
    let list = List(pieces.to_vec());
    let mut chunks = Chunks::of(&list, lone_file);
    let mut found: Vec<Chunk> = Vec::new();
    let mut at = 0;
    loop {
        let mut chunk = Chunk::new();
        assert_eq!(chunks.number(), u64::try_from(found.len()).unwrap());
        if !chunks.next(&mut chunk).unwrap() {
            break;
        }
        assert_eq!((chunk.offset, chunk.number), (at, u64::try_from(found.len()).unwrap()));
        let mut piece_at = at;
        for piece in &chunk.pieces {
            assert_eq!(piece.offset, piece_at);
            piece_at += piece.len;
        }
        at += chunk.len;
        assert!(chunk.pieces.is_empty() || piece_at == at);
        found.push(chunk);
    }
    assert_eq!(at, list.len());
    found
}

/// The kind, length and number of pieces of each chunk.
fn cut(pieces: &[(Content, u64)], lone_file: Option<u64>) -> Vec<(Kind, u64, usize)> {
    all(pieces, lone_file).iter().map(|chunk| (chunk.kind, chunk.len, chunk.pieces.len())).collect()
}

const ZEROS: Kind = Kind::Zeros { of: None };

#[test]
fn small_pieces_share_a_chunk_and_long_zeros_are_one_of_their_own() {
    let f = from_file(0, 0);
    let pieces = [(M, 4096), (f, 100), (Z, 3996), (M, 4096), (Z, 32 * KIB), (Z, 32 * KIB), (f, 5)];
    assert_eq!(cut(&pieces, None), [(Kind::Buffer, 12288, 4), (ZEROS, 64 * KIB, 0), (Kind::Buffer, 5, 1)]);
    let pieces = [(M, 4096), (Z, 64 * KIB - 1), (f, 5)];
    assert_eq!(cut(&pieces, None), [(Kind::Buffer, 4096 + 64 * KIB + 4, 3)]);
}

#[test]
fn zeros_at_the_start_of_a_chunk_need_no_buffer() {
    assert_eq!(cut(&[(Z, 5), (M, 7)], None), [(ZEROS, 5, 0), (Kind::Buffer, 7, 1)]);
    let after_full = [(M, CHUNK), (Z, 5), (M, 7)];
    assert_eq!(cut(&after_full, None), [(Kind::Buffer, CHUNK, 1), (ZEROS, 5, 0), (Kind::Buffer, 7, 1)]);
    assert_eq!(cut(&[(Z, u64::MAX)], None), [(ZEROS, u64::MAX, 0)]);
}

#[test]
fn unused_bytes_are_zeros_and_those_of_a_file_are_chunks_that_name_it() {
    assert_eq!(cut(&[(U, 5), (Z, 6), (U, 7)], None), [(ZEROS, 18, 0)]);
    let of = |index| Kind::Zeros { of: Some(file(index)) };
    let pieces = [(M, 8), (hole(1), 9), (hole(2), 10), (Z, 11)];
    assert_eq!(cut(&pieces, None), [(Kind::Buffer, 8, 1), (of(1), 9, 0), (of(2), 10, 0), (ZEROS, 11, 0)]);
    // Within a chunk, unused bytes are written as zeros.
    let chunks = all(&[(M, 8), (U, 9), (M, 10)], None);
    assert_eq!(chunks[0].pieces.iter().map(|piece| piece.content).collect::<Vec<_>>(), [M, Z, M]);
}

#[test]
fn metadata_is_never_cut() {
    let pieces = [(M, 4096), (M, CHUNK + 4096), (M, CHUNK - 4096), (M, 8192)];
    assert_eq!(
        cut(&pieces, None),
        [
            (Kind::Buffer, 4096, 1),
            (Kind::Buffer, CHUNK + 4096, 1),
            (Kind::Buffer, CHUNK - 4096, 1),
            (Kind::Buffer, 8192, 1)
        ]
    );
}

#[test]
fn files_are_cut_only_where_no_chunk_could_hold_them() {
    let f = from_file(0, 0);
    let pieces = [(M, 4096), (f, CHUNK), (M, 4096), (f, 2 * CHUNK)];
    assert_eq!(
        cut(&pieces, None),
        [
            (Kind::Buffer, 4096, 1),
            (Kind::Buffer, CHUNK, 1),
            (Kind::Buffer, CHUNK, 2),
            (Kind::Buffer, CHUNK, 1),
            (Kind::Buffer, 4096, 1)
        ]
    );
    // The second part begins where the first ends, in the image and in the file.
    let chunks = all(&[(M, 4096), (from_file(0, 10), CHUNK + 1)], None);
    let parts: Vec<_> = chunks.iter().map(|chunk| *chunk.pieces.last().unwrap()).collect();
    let first = CHUNK - 4096;
    assert_eq!(
        parts,
        [
            Piece { offset: 4096, len: first, content: from_file(0, 10) },
            Piece { offset: CHUNK, len: 4097, content: from_file(0, 10 + first) }
        ]
    );
}

#[test]
fn a_full_chunk_takes_nothing_more() {
    let f = from_file(0, 0);
    for next in [(f, 1), (f, CHUNK + 1), (M, 1)] {
        let chunks = cut(&[(M, 4096), (f, CHUNK - 4096), next], None);
        assert_eq!(chunks[0], (Kind::Buffer, CHUNK, 2), "{next:?}");
    }
}

#[test]
fn large_files_are_left_to_the_kernel_in_aligned_parts() {
    let limit = 1 << 20;
    let pieces = [(M, 4096), (from_file(0, 0), KERNEL_COPY + limit + 7), (Z, 4089), (M, 4096)];
    let of = |from| Kind::File { file: file(0), from };
    assert_eq!(
        cut(&pieces, Some(limit)),
        [
            (Kind::Buffer, 4096, 1),
            (of(0), KERNEL_COPY, 0),
            (of(KERNEL_COPY), limit + 7, 0),
            (ZEROS, 4089, 0),
            (Kind::Buffer, 4096, 1)
        ]
    );
    assert_eq!(cut(&[(from_file(0, 5), limit)], Some(limit)), [(of(5), limit, 0)]);
    assert_eq!(cut(&[(from_file(0, 5), limit - 1)], Some(limit)), [(Kind::Buffer, limit - 1, 1)]);
}

#[test]
fn an_image_without_bytes_has_no_chunk() {
    assert_eq!(cut(&[], None), []);
}
