use super::*;
use crate::testing::*;

/// Five frames: metadata is not cut, and no frame is longer than 4 MiB.
fn image() -> List {
    List(vec![(M, 4 << 20); 5])
}

fn order(image: &List, workers: usize, most_new: u64) -> Order<'_> {
    Order::new(Frames::of(image, &()), workers, most_new)
}

fn take(order: &Order<'_>) -> Option<u64> {
    let mut frame = Frame::default();
    order.take(&mut frame).then_some(frame.number)
}

fn has_room(order: &Order<'_>) -> bool {
    order.state().has_room()
}

fn next_len(order: &Order<'_>) -> u64 {
    order.next().unwrap().unwrap().len()
}

#[test]
fn frames_are_returned_in_order() {
    let image = image();
    let order = order(&image, 1, 10);
    for number in 0..5 {
        assert_eq!(take(&order), Some(number));
    }
    for number in [1, 0, 2, 4] {
        order.put(number, Ok(Done::of(number, number == 2)));
        assert_eq!(order.next_if_done().unwrap().is_some(), number == 0 || number == 2, "{number}");
        if number == 0 {
            assert_eq!(next_len(&order), 1);
        }
    }
    assert!(order.next_if_done().unwrap().is_none());
    order.put(3, Ok(Done::of(3, false)));
    assert_eq!((next_len(&order), next_len(&order)), (3, 4));
    assert_eq!(take(&order), None);
    order.leave(false);
    assert!(order.next().unwrap().is_none());
}

#[test]
fn new_frames_that_are_not_written_are_limited() {
    let image = image();
    let order = order(&image, 2, 2);
    assert!(has_room(&order));
    assert_eq!((take(&order), has_room(&order)), (Some(0), true));
    assert_eq!((take(&order), has_room(&order)), (Some(1), false));
    order.put(0, Ok(Done::of(0, false)));
    assert!(!has_room(&order), "it is in memory until it is written");
    assert_eq!((next_len(&order), has_room(&order)), (0, true));
    assert_eq!((take(&order), has_room(&order)), (Some(2), false));
    // A stored frame takes no memory.
    order.put(1, Ok(Done::of(1, true)));
    assert!(has_room(&order));
    assert_eq!((take(&order), has_room(&order)), (Some(3), false));
    assert_eq!((next_len(&order), has_room(&order)), (1, false));
}

#[test]
fn one_more_worker_may_have_one_more_frame() {
    let image = image();
    let order = order(&image, 1, 1);
    assert_eq!((take(&order), has_room(&order)), (Some(0), false));
    let counts = || {
        let state = order.state();
        (state.workers, state.most_new)
    };
    order.join();
    assert_eq!((counts(), has_room(&order)), ((2, 2), true));
    assert_eq!((take(&order), has_room(&order)), (Some(1), false));
    order.leave(true);
    assert_eq!(counts(), (1, 1));
    order.leave(false);
    assert_eq!(counts(), (0, 1));
}

#[test]
fn stored_frames_that_wait_are_limited() {
    let image = List(vec![(M, 4 << 20); 70]);
    let order = order(&image, 1, 3);
    for number in 0..64 {
        assert_eq!(take(&order), Some(number));
        order.put(number, Ok(Done::of(0, true)));
    }
    assert!(!has_room(&order));
    next_len(&order);
    assert!(has_room(&order));
}

#[test]
fn a_frame_that_never_comes_is_an_error() {
    let image = image();
    // A worker ended without its frame.
    let lost = order(&image, 1, 10);
    while take(&lost).is_some() {}
    (0..4).for_each(|number| lost.put(number, Ok(Done::of(1, false))));
    lost.leave(false);
    (0..4).for_each(|_| assert_eq!(next_len(&lost), 1));
    assert!(matches!(lost.next(), Err(AssemblyError::Pieces(PieceError::Lost))));
    // Not all frames were taken.
    let stopped = order(&image, 1, 10);
    take(&stopped);
    stopped.put(0, Ok(Done::of(1, false)));
    stopped.stop();
    assert_eq!(take(&stopped), None);
    stopped.leave(false);
    assert_eq!(next_len(&stopped), 1);
    assert!(matches!(stopped.next(), Err(AssemblyError::Pieces(PieceError::Lost))));
}

#[test]
fn an_error_ends_the_work_and_comes_in_its_turn() {
    let image = image();
    let order = order(&image, 1, 10);
    assert_eq!((take(&order), take(&order)), (Some(0), Some(1)));
    order.put(1, Err(AssemblyError::Ended { path: "/s".into() }));
    assert_eq!(take(&order), None);
    assert!(order.next_if_done().unwrap().is_none());
    order.put(0, Ok(Done::of(1, false)));
    assert_eq!(next_len(&order), 1);
    assert!(matches!(order.next(), Err(AssemblyError::Ended { .. })));
}

#[test]
fn a_worker_that_panics_ends_the_work() {
    let image = image();
    let order = order(&image, 2, 10);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let _leave = crate::stream::OnDrop(|| order.leave(false));
            panic!("on purpose");
        });
        assert!(worker.join().is_err());
    });
    assert_eq!(take(&order), None);
}

#[test]
fn buffers_are_used_again() {
    let image = image();
    let order = order(&image, 1, 1);
    assert!(order.contents_buffer().is_empty() && order.frame_buffer().is_empty());
    order.reuse_contents(vec![1]);
    order.reuse_contents(Vec::new());
    order.reuse_frame(vec![2]);
    assert_eq!(order.contents_buffer(), [1]);
    assert_eq!(order.frame_buffer(), [2]);
    assert!(order.contents_buffer().is_empty() && order.state().contents.is_empty());
}
