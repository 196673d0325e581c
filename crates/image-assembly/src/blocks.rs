//! Compression in blocks of a fixed length: each block by a thread of its own, written in their order. The bytes depend on the
//! image and the level only: a block that gets no thread is compressed by the thread that writes.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::sink::ZEROS;
use crate::{to_u64, to_usize};

/// More threads than these cost memory and save no time.
const MOST_THREADS: usize = 64;
/// What all blocks that are being compressed may need in \[bytes\]. One block may need more.
const MEMORY: u64 = 2 << 30;

/// A compressed format that is made of blocks.
pub(crate) trait Format {
    /// What decides the bytes, besides the input: a level, for example.
    type Settings: Clone + Send + 'static;

    /// A compressed block.
    type Compressed: Send + 'static;

    /// What is known at the end.
    type Ending;

    /// How many \[bytes\] before a block its compressor uses.
    const HISTORY: usize;

    /// The length of a block in \[bytes\].
    fn block(settings: &Self::Settings) -> usize;

    /// Memory in \[bytes\] for one block that is being compressed.
    fn memory(settings: &Self::Settings) -> u64;

    /// Compresses a block, in any thread.
    fn compress(settings: &Self::Settings, block: &Block) -> io::Result<Self::Compressed>;

    /// `len` zero bytes, which are whole blocks, without looking at them; `None` if they are compressed as any other bytes.
    fn zeros(settings: &Self::Settings, len: u64) -> Option<Self::Compressed> {
        let _ = (settings, len);
        None
    }

    /// Writes what comes before the first block.
    fn begin(settings: &Self::Settings, output: &mut impl Write) -> io::Result<Self>
    where
        Self: Sized;

    /// Writes a block. They come in order.
    fn put(&mut self, compressed: &Self::Compressed, output: &mut impl Write) -> io::Result<()>;

    /// Writes what comes after the last block.
    fn end(self, output: &mut impl Write) -> io::Result<Self::Ending>;
}

/// A part of the input.
pub(crate) struct Block {
    /// The bytes before it.
    #[cfg_attr(not(feature = "gzip"), expect(dead_code, reason = "only gzip uses it"))]
    pub(crate) history: Vec<u8>,
    /// Its bytes. None only if the input has none.
    pub(crate) bytes: Vec<u8>,
    /// Whether it is the last one.
    #[cfg_attr(not(feature = "gzip"), expect(dead_code, reason = "only gzip uses it"))]
    pub(crate) is_last: bool,
    stopped: Arc<AtomicBool>,
}

/// Compresses what is written to it.
pub(crate) struct Blocks<W, F: Format> {
    writer: W,
    format: F,
    settings: F::Settings,
    block: usize,
    /// How many blocks are compressed at once.
    threads: usize,
    history: Vec<u8>,
    filling: Vec<u8>,
    works: Works<F::Compressed>,
}

/// Blocks that are being compressed, in their order.
struct Works<C> {
    queue: VecDeque<Work<C>>,
    /// Nobody wants the blocks any more.
    stopped: Arc<AtomicBool>,
}

enum Work<C> {
    Running(JoinHandle<io::Result<C>>),
    Done(io::Result<C>),
}

impl<W: Write, F: Format> Blocks<W, F> {
    /// Compresses with so many threads, or with as many as [`MEMORY`] is enough for.
    pub(crate) fn new(mut writer: W, settings: F::Settings, threads: NonZeroUsize) -> io::Result<Self> {
        let fitting = to_usize(MEMORY / F::memory(&settings).max(1));
        Ok(Self {
            format: F::begin(&settings, &mut writer)?,
            writer,
            block: F::block(&settings),
            settings,
            threads: threads.get().min(MOST_THREADS).min(fitting).max(1),
            history: Vec::new(),
            filling: Vec::new(),
            works: Works { queue: VecDeque::new(), stopped: Arc::default() },
        })
    }

    /// Begins to compress the block that is filled.
    fn compress(&mut self, is_last: bool) -> io::Result<()> {
        while self.works.queue.len() >= self.threads {
            self.put_oldest()?;
        }
        let bytes = mem::take(&mut self.filling);
        let tail = bytes.get(bytes.len().saturating_sub(F::HISTORY)..).unwrap_or_default().to_vec();
        let history = mem::replace(&mut self.history, tail);
        let block = Block { history, bytes, is_last, stopped: Arc::clone(&self.works.stopped) };
        self.works.start(block, &self.settings, F::compress);
        Ok(())
    }

    /// Adds zeros.
    pub(crate) fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        let mut left = len;
        while left > 0 {
            if self.filling.len() == self.block {
                self.compress(false)?;
            }
            let whole = left - left % to_u64(self.block);
            let is_whole = self.filling.is_empty() && whole > 0;
            let zeros = if is_whole { F::zeros(&self.settings, whole) } else { None };
            if let Some(zeros) = zeros {
                self.works.queue.push_back(Work::Done(Ok(zeros)));
                left -= whole;
                continue;
            }
            let now = to_usize(left).min(ZEROS.len());
            left -= to_u64(self.write(&ZEROS[..now])?);
        }
        Ok(())
    }

    fn put_oldest(&mut self) -> io::Result<()> {
        let Some(work) = self.works.queue.pop_front() else { return Ok(()) };
        self.format.put(&work.wait()?, &mut self.writer)
    }

    /// Compresses what is left, and writes the end.
    pub(crate) fn finish(mut self) -> io::Result<(W, F::Ending)> {
        self.compress(true)?;
        while !self.works.queue.is_empty() {
            self.put_oldest()?;
        }
        let ending = self.format.end(&mut self.writer)?;
        Ok((self.writer, ending))
    }
}

impl<W: Write, F: Format> Write for Blocks<W, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Not before more comes: the last block is marked as such.
        if self.filling.len() == self.block {
            self.compress(false)?;
        }
        if self.filling.capacity() == 0 {
            self.filling.reserve_exact(self.block);
        }
        let taken = bytes.len().min(self.block - self.filling.len());
        self.filling.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Block {
    /// Fails if nobody wants the block any more. To be called from time to time.
    pub(crate) fn check_wanted(&self) -> io::Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("the image is not written any more"));
        }
        Ok(())
    }
}

impl<C: Send + 'static> Works<C> {
    fn start<S: Clone + Send + 'static>(
        &mut self,
        block: Block,
        settings: &S,
        compress: fn(&S, &Block) -> io::Result<C>,
    ) {
        let block = Arc::new(block);
        let (shared, own) = (Arc::clone(&block), settings.clone());
        let started = thread::Builder::new().spawn(move || compress(&own, &shared));
        let work = started.map_or_else(|_| Work::Done(compress(settings, &block)), Work::Running);
        self.queue.push_back(work);
    }
}

impl<C> Work<C> {
    fn wait(self) -> io::Result<C> {
        match self {
            Self::Running(thread) => {
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread that compressed was lost")))
            }
            Self::Done(compressed) => compressed,
        }
    }
}

impl<C> Drop for Works<C> {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for work in self.queue.drain(..) {
            let _ = work.wait();
        }
    }
}

#[cfg(test)]
mod tests;
