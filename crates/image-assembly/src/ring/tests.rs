use super::*;
use crate::chunks::CHUNK;
use crate::testing::*;

/// Two chunks in memory, zeros, and another chunk in memory.
fn image() -> List {
    List(vec![(M, CHUNK), (M, CHUNK), (Z, 1 << 20), (M, 7)])
}

fn ring(image: &List, readers: usize, buffers: usize) -> Ring<'_> {
    Ring::new(Chunks::of(image, None), readers, buffers)
}

/// Takes a chunk, and returns its number.
fn take(ring: &Ring<'_>) -> Option<u64> {
    let mut chunk = Chunk::new();
    ring.take(&mut chunk).map(|_| chunk.number)
}

fn put(ring: &Ring<'_>, number: u64) {
    ring.put(number, Filled::Bytes { buffer: vec![7], len: to_usize(number), pieces: Vec::new() });
}

/// The length of the next chunk.
fn next(ring: &Ring<'_>) -> usize {
    ring.next().unwrap().unwrap().len()
}

fn is_lost(ring: &Ring<'_>) -> bool {
    matches!(ring.next(), Err(AssemblyError::Pieces(PieceError::Lost)))
}

#[test]
fn chunks_are_returned_in_order_and_zeros_need_no_reader() {
    let image = image();
    let ring = ring(&image, 1, 4);
    assert_eq!((take(&ring), take(&ring), take(&ring), take(&ring)), (Some(0), Some(1), Some(3), None));
    put(&ring, 1);
    assert!(ring.ready().unwrap().is_none());
    put(&ring, 0);
    assert_eq!(next(&ring), 0);
    assert_eq!(ring.ready().unwrap().unwrap().len(), 1);
    assert_eq!(ring.ready().unwrap().unwrap().len(), 1 << 20);
    assert!(ring.ready().unwrap().is_none());
    put(&ring, 3);
    assert_eq!(next(&ring), 3);
    ring.leave();
    assert!(ring.next().unwrap().is_none());
}

#[test]
fn a_chunk_needs_a_buffer_and_gives_it_back() {
    let image = image();
    let ring = ring(&image, 1, 2);
    assert_eq!((take(&ring), take(&ring)), (Some(0), Some(1)));
    assert!(ring.state().free.is_empty());
    ring.reuse(vec![1]);
    let mut chunk = Chunk::new();
    assert_eq!(ring.take(&mut chunk), Some(vec![1]));
}

#[test]
fn a_reader_that_joins_brings_a_buffer_and_takes_one_along() {
    let image = image();
    let ring = ring(&image, 1, 1);
    let counts = || {
        let state = ring.state();
        (state.readers, state.free.len(), state.surplus)
    };
    ring.join();
    assert_eq!(counts(), (2, 2, 0));
    ring.leave_with_buffer();
    assert_eq!(counts(), (1, 1, 0));
    ring.join();
    ring.join();
    assert_eq!((take(&ring), take(&ring)), (Some(0), Some(1)));
    assert_eq!(take(&ring), Some(3));
    // As none is free, the next ones that are given back are dropped.
    ring.leave_with_buffer();
    ring.leave_with_buffer();
    assert_eq!(counts(), (1, 0, 2));
    for expected in [(1, 0, 1), (1, 0, 0), (1, 1, 0)] {
        ring.reuse(Vec::new());
        assert_eq!(counts(), expected);
    }
}

#[test]
fn a_chunk_that_never_comes_is_an_error() {
    let image = image();
    // A reader ended without its chunk.
    let lost = ring(&image, 1, 4);
    while take(&lost).is_some() {}
    put(&lost, 0);
    lost.leave();
    assert_eq!(next(&lost), 0);
    assert!(is_lost(&lost));
    // Not all chunks were taken.
    let stopped = ring(&image, 1, 4);
    take(&stopped);
    put(&stopped, 0);
    stopped.stop();
    assert_eq!(take(&stopped), None);
    stopped.leave();
    assert_eq!(next(&stopped), 0);
    assert!(is_lost(&stopped));
}

#[test]
fn an_error_ends_the_work_and_comes_in_its_turn() {
    let image = image();
    for waits in [false, true] {
        let ring = ring(&image, 1, 4);
        assert_eq!((take(&ring), take(&ring)), (Some(0), Some(1)));
        ring.put(1, Filled::Failed(AssemblyError::Ended { path: "/s".into() }));
        assert_eq!(take(&ring), None);
        put(&ring, 0);
        assert_eq!(next(&ring), 0);
        let error = if waits { ring.next() } else { ring.ready() };
        assert!(matches!(error, Err(AssemblyError::Ended { .. })));
    }
}

#[test]
fn pieces_that_are_no_image_are_an_error_in_their_turn() {
    let image = List(vec![(M, CHUNK), (Z, 0)]);
    let ring = ring(&image, 1, 4);
    assert_eq!((take(&ring), take(&ring)), (Some(0), None));
    put(&ring, 0);
    assert_eq!(next(&ring), 0);
    assert!(matches!(ring.next(), Err(AssemblyError::Pieces(PieceError::Empty { .. }))));
}

#[test]
fn a_reader_that_panics_ends_the_work() {
    let image = image();
    let ring = ring(&image, 2, 4);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let _leave = crate::stream::OnDrop(|| ring.leave());
            panic!("on purpose");
        });
        assert!(reader.join().is_err());
    });
    assert_eq!((take(&ring), ring.state().readers), (None, 1));
}

#[test]
fn a_chunk_has_the_length_of_its_bytes() {
    let buffer = Vec::new;
    for (filled, len) in [
        (Filled::Zeros { len: 5, of: None }, 5),
        (Filled::Bytes { buffer: vec![0; 9], len: 6, pieces: Vec::new() }, 6),
        (Filled::Copied { buffer: buffer(), file: file(0), len: 7 }, 7),
        (Filled::Failed(PieceError::Lost.into()), 0),
    ] {
        assert_eq!(filled.len(), len);
    }
}
