use std::sync::atomic::AtomicUsize;

use super::*;
use crate::testing::data;

const LEN: usize = 100;

/// What became of a block: its bytes, those before it, and whether it is the last one. Or zeros that nobody looked at.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Block { history: Vec<u8>, bytes: Vec<u8>, is_last: bool },
    Zeros(u64),
}

/// Notes blocks. `settings` is whether it takes whole blocks of zeros.
struct Notes(Vec<Seen>);

impl Format for Notes {
    type Settings = bool;
    type Compressed = Seen;
    type Ending = Vec<Seen>;

    const HISTORY: usize = 30;

    fn block(_: &bool) -> usize {
        LEN
    }

    fn memory(_: &bool) -> u64 {
        1
    }

    fn compress(_: &bool, block: &Block) -> io::Result<Seen> {
        let (history, bytes) = (block.history.clone(), block.bytes.clone());
        Ok(Seen::Block { history, bytes, is_last: block.is_last })
    }

    fn zeros(&takes: &bool, len: u64) -> Option<Seen> {
        takes.then_some(Seen::Zeros(len))
    }

    fn begin(_: &bool, output: &mut impl Write) -> io::Result<Self> {
        output.write_all(b"begin ")?;
        Ok(Self(Vec::new()))
    }

    fn put(&mut self, compressed: &Seen, output: &mut impl Write) -> io::Result<()> {
        self.0.push(compressed.clone());
        output.write_all(b"put ")
    }

    fn end(self, output: &mut impl Write) -> io::Result<Vec<Seen>> {
        output.write_all(b"end")?;
        Ok(self.0)
    }
}

fn blocks(takes_zeros: bool) -> Blocks<Vec<u8>, Notes> {
    Blocks::new(Vec::new(), takes_zeros, NonZeroUsize::new(3).unwrap()).unwrap()
}

/// The blocks of some bytes, with what is before each.
fn expected(bytes: &[u8]) -> Vec<Seen> {
    let parts: Vec<&[u8]> = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(LEN).collect() };
    let seen = parts.iter().enumerate().map(|(index, part)| Seen::Block {
        history: if index == 0 { Vec::new() } else { parts[index - 1][LEN - 30..].to_vec() },
        bytes: part.to_vec(),
        is_last: index + 1 == parts.len(),
    });
    seen.collect()
}

#[test]
fn bytes_come_in_blocks_however_they_are_written() {
    for len in [0, 1, LEN - 1, LEN, LEN + 1, 10 * LEN] {
        let bytes = data(3, to_u64(len));
        for part in [1, 7, LEN, 3 * LEN] {
            let mut blocks = blocks(false);
            bytes.chunks(part).for_each(|part| blocks.write_all(part).unwrap());
            let (output, seen) = blocks.finish().unwrap();
            assert_eq!(seen, expected(&bytes), "{len} bytes in parts of {part}");
            assert_eq!(output, [&b"begin "[..], &b"put ".repeat(seen.len()), b"end"].concat());
        }
    }
}

#[test]
fn zeros_are_blocks_too() {
    for (before, zeros) in [(0, 0), (0, 1), (0, 5 * LEN), (LEN - 1, 2), (LEN, LEN), (30, 140_000)] {
        let mut bytes = data(3, to_u64(before));
        let mut blocks = blocks(false);
        blocks.write_all(&bytes).unwrap();
        blocks.write_zeros(to_u64(zeros)).unwrap();
        bytes.resize(before + zeros, 0);
        assert!(blocks.finish().unwrap().1 == expected(&bytes), "{zeros} after {before}");
    }
}

#[test]
fn whole_blocks_of_zeros_are_not_looked_at() {
    let block = |bytes: &[u8], is_last| Seen::Block { history: Vec::new(), bytes: bytes.to_vec(), is_last };
    let all = to_u64(LEN);
    for (before, zeros, seen) in [
        (0, 3 * all, vec![Seen::Zeros(3 * all), block(&[], true)]),
        (0, 3 * all + 7, vec![Seen::Zeros(3 * all), block(&[0; 7], true)]),
        (0, all - 1, vec![block(&[0; LEN - 1], true)]),
        (LEN - 5, 2 * all + 5, vec![block(&[0; LEN], false), Seen::Zeros(2 * all), block(&[], true)]),
        (LEN - 5, 5, vec![block(&[0; LEN], true)]),
        (LEN, all, vec![block(&[0; LEN], false), Seen::Zeros(all), block(&[], true)]),
    ] {
        let mut blocks = blocks(true);
        blocks.write_all(&vec![0; before]).unwrap();
        blocks.write_zeros(zeros).unwrap();
        let found = blocks.finish().unwrap().1.into_iter().map(|seen| match seen {
            Seen::Block { bytes, is_last, .. } => block(&bytes, is_last),
            zeros @ Seen::Zeros(_) => zeros,
        });
        assert_eq!(found.collect::<Vec<_>>(), seen, "{zeros} after {before}");
    }
}

/// A format whose blocks are never done. It counts those that are being compressed.
struct Waits;

type Counter = Arc<AtomicUsize>;

impl Format for Waits {
    type Settings = (u64, Counter);
    type Compressed = ();
    type Ending = ();

    const HISTORY: usize = 0;

    fn block(_: &Self::Settings) -> usize {
        LEN
    }

    fn memory(settings: &Self::Settings) -> u64 {
        settings.0
    }

    fn compress(settings: &Self::Settings, block: &Block) -> io::Result<()> {
        settings.1.fetch_add(1, Ordering::SeqCst);
        let error = loop {
            if let Err(error) = block.check_wanted() {
                break error;
            }
            thread::yield_now();
        };
        settings.1.fetch_sub(1, Ordering::SeqCst);
        Err(error)
    }

    fn begin(_: &Self::Settings, _: &mut impl Write) -> io::Result<Self> {
        Ok(Self)
    }

    fn put(&mut self, (): &(), _: &mut impl Write) -> io::Result<()> {
        Ok(())
    }

    fn end(self, _: &mut impl Write) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn blocks_that_nobody_wants_any_more_end() {
    let running = Counter::default();
    let settings = (1, Arc::clone(&running));
    let mut blocks: Blocks<_, Waits> =
        Blocks::new(Vec::new(), settings, NonZeroUsize::new(2).unwrap()).unwrap();
    blocks.write_all(&[0; 2 * LEN]).unwrap();
    blocks.write_all(&[0; 1]).unwrap();
    assert_eq!(blocks.works.queue.len(), 2);
    while running.load(Ordering::SeqCst) < 2 {
        thread::yield_now();
    }
    drop(blocks);
    assert_eq!(running.load(Ordering::SeqCst), 0);
    let block = Block { history: vec![], bytes: vec![], is_last: true, stopped: Arc::default() };
    assert!(block.check_wanted().is_ok());
    block.stopped.store(true, Ordering::Relaxed);
    assert!(block.check_wanted().is_err());
}

#[test]
fn as_many_blocks_are_compressed_at_once_as_threads_and_memory_allow() {
    for (threads, memory, most) in
        [(1, 1, 1), (8, 1, 8), (1000, 1, 64), (64, MEMORY / 5, 5), (64, 3 * MEMORY, 1), (3, 0, 3)]
    {
        let blocks: Blocks<_, Waits> =
            Blocks::new(Vec::new(), (memory, Counter::default()), NonZeroUsize::new(threads).unwrap())
                .unwrap();
        assert_eq!(blocks.threads, most, "{threads} threads, {memory} bytes for a block");
    }
}

#[test]
fn a_block_that_is_lost_is_an_error() {
    let lost: Work<()> = Work::Running(thread::spawn(|| panic!("on purpose")));
    assert!(lost.wait().is_err());
    assert!(Work::Done(Ok(())).wait().is_ok());
}

#[test]
fn a_flush_reaches_the_output() {
    struct Flushed(bool);
    impl Write for Flushed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0 = true;
            Ok(())
        }
    }
    let mut blocks: Blocks<_, Notes> = Blocks::new(Flushed(false), true, NonZeroUsize::MIN).unwrap();
    blocks.flush().unwrap();
    assert!(blocks.writer.0);
}
