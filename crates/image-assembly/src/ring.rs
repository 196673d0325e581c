//! Chunks that many threads fill and one thread takes in order. A chunk is assigned only together with a buffer, so the chunk
//! that the writer waits for always has one, and no thread waits forever. The number of buffers limits the memory.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use image_tree::{FileRef, Piece};

use crate::chunks::{Chunk, Chunks, Kind};
use crate::error::AssemblyError;
use crate::pieces::PieceError;
use crate::to_usize;

/// The result of a chunk.
pub(crate) enum Filled {
    /// `len` zero bytes. `of` is the file that they belong to, if any.
    Zeros {
        len: u64,
        of: Option<FileRef>,
    },
    /// The first `len` bytes of the buffer.
    Bytes {
        buffer: Vec<u8>,
        len: usize,
        /// Their pieces.
        pieces: Vec<Piece>,
    },
    /// `len` bytes of a file that are written already. The buffer is free.
    Copied {
        buffer: Vec<u8>,
        file: FileRef,
        len: u64,
    },
    Failed(AssemblyError),
}

/// The queue between the reading threads and the writing thread.
pub(crate) struct Ring<'i> {
    state: Mutex<State<'i>>,
    /// Signals a free buffer or the end of the work.
    to_readers: Condvar,
    /// Signals a finished chunk or the end of a reader.
    to_writer: Condvar,
}

struct State<'i> {
    chunks: Chunks<'i>,
    free: Vec<Vec<u8>>,
    /// Buffers that are not wanted back.
    surplus: usize,
    made: BTreeMap<u64, Filled>,
    /// Number of the chunk that the writer waits for.
    next: u64,
    readers: usize,
    /// No more chunks are assigned: there are none, or an error occurred.
    ended: bool,
    complete: bool,
}

impl<'i> Ring<'i> {
    pub(crate) fn new(chunks: Chunks<'i>, readers: usize, buffers: usize) -> Self {
        let state = State {
            chunks,
            free: vec![Vec::new(); buffers],
            surplus: 0,
            made: BTreeMap::new(),
            next: 0,
            readers,
            ended: false,
            complete: false,
        };
        Self { state: Mutex::new(state), to_readers: Condvar::new(), to_writer: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<'i>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Assigns the next chunk, and returns its buffer; `None` if there are no more chunks.
    pub(crate) fn take(&self, chunk: &mut Chunk) -> Option<Vec<u8>> {
        let mut state = self.state();
        while !state.ended {
            if state.free.is_empty() {
                state = self.to_readers.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            match state.chunks.next(chunk) {
                Ok(true) => {
                    let Kind::Zeros { of } = chunk.kind else { return state.free.pop() };
                    state.made.insert(chunk.number, Filled::Zeros { len: chunk.len, of });
                    self.to_writer.notify_one();
                }
                Ok(false) => {
                    state.complete = true;
                    self.end(&mut state);
                }
                Err(error) => {
                    let number = state.chunks.number();
                    state.made.insert(number, Filled::Failed(error.into()));
                    self.end(&mut state);
                }
            }
        }
        None
    }

    /// Returns a chunk that was assigned.
    pub(crate) fn put(&self, number: u64, made: Filled) {
        let mut state = self.state();
        if matches!(made, Filled::Failed(_)) {
            self.end(&mut state);
        }
        state.made.insert(number, made);
        self.to_writer.notify_one();
    }

    /// One more reader begins, with one more buffer.
    pub(crate) fn join(&self) {
        let mut state = self.state();
        state.readers += 1;
        state.free.push(Vec::new());
    }

    /// A reader that joined ends: there is one buffer less, now or as soon as one is free.
    pub(crate) fn leave_with_buffer(&self) {
        let mut state = self.state();
        if state.free.pop().is_none() {
            state.surplus += 1;
        }
        drop(state);
        self.leave();
    }

    /// A reader ended. If it panicked, its chunk never comes, so the others must not wait for a buffer.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        state.readers -= 1;
        if std::thread::panicking() {
            self.end(&mut state);
        }
        self.to_writer.notify_one();
    }

    /// The next chunk in the order of the image; `None` after the last one. Waits for it.
    pub(crate) fn next(&self) -> Result<Option<Filled>, AssemblyError> {
        let mut state = self.state();
        loop {
            let next = state.next;
            if let Some(made) = state.made.remove(&next) {
                state.next += 1;
                return if let Filled::Failed(error) = made { Err(error) } else { Ok(Some(made)) };
            }
            if state.readers == 0 {
                let all = state.complete && next == state.chunks.number();
                return if all { Ok(None) } else { Err(PieceError::Lost.into()) };
            }
            state = self.to_writer.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next chunk in the order of the image, if it is finished. For a thread that fills chunks itself.
    pub(crate) fn ready(&self) -> Result<Option<Filled>, AssemblyError> {
        let mut state = self.state();
        let next = state.next;
        let Some(made) = state.made.remove(&next) else { return Ok(None) };
        state.next += 1;
        if let Filled::Failed(error) = made { Err(error) } else { Ok(Some(made)) }
    }

    /// Returns the buffer of a chunk that was written.
    pub(crate) fn reuse(&self, buffer: Vec<u8>) {
        let mut state = self.state();
        if state.surplus > 0 {
            state.surplus -= 1;
            return;
        }
        state.free.push(buffer);
        drop(state);
        self.to_readers.notify_one();
    }

    /// Ends the work of the readers.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        self.end(&mut state);
    }

    fn end(&self, state: &mut State<'i>) {
        state.ended = true;
        self.to_readers.notify_all();
        self.to_writer.notify_one();
    }
}

impl Filled {
    /// The length in \[bytes\].
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Zeros { len, .. } | Self::Copied { len, .. } => to_usize(*len),
            Self::Bytes { len, .. } => *len,
            Self::Failed(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
