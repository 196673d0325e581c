//! Chunks made by many threads and taken in order by one. A chunk is handed out only together with a buffer, so the
//! lowest one that is missing always has its own and nobody waits for ever; buffers are the bound of the memory.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use image_tree::{FileRef, Piece};

use crate::chunks::{Chunk, Chunks, Kind};
use crate::error::AssemblyError;
use crate::pieces::PieceError;
use crate::to_usize;

/// What became of a chunk.
pub(crate) enum Made {
    /// So many zero bytes; of a file, if one is named.
    Zeros {
        len: u64,
        of: Option<FileRef>,
    },
    /// The first `len` bytes of the buffer.
    Bytes {
        buffer: Vec<u8>,
        len: usize,
        /// What they are.
        pieces: Vec<Piece>,
    },
    /// So many bytes of a file that the kernel has put to their place; the buffer is free.
    Copied {
        buffer: Vec<u8>,
        file: FileRef,
        len: u64,
    },
    Failed(AssemblyError),
}

/// Between the threads that read and the one that writes.
pub(crate) struct Ring<'i> {
    state: Mutex<State<'i>>,
    /// A buffer became free, or the work ends.
    to_readers: Condvar,
    /// A chunk is made, or a reader is gone.
    to_writer: Condvar,
}

struct State<'i> {
    chunks: Chunks<'i>,
    free: Vec<Vec<u8>>,
    /// Buffers that are not wanted back.
    surplus: usize,
    made: BTreeMap<u64, Made>,
    /// Of the chunk that the writer waits for.
    next: u64,
    readers: usize,
    /// No more chunks are handed out: there are none, or something failed.
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

    /// Makes `chunk` the next one to do and gives the buffer to make it in; `None` when there is nothing to do.
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
                    state.made.insert(chunk.number, Made::Zeros { len: chunk.len, of });
                    self.to_writer.notify_one();
                }
                Ok(false) => {
                    state.complete = true;
                    self.end(&mut state);
                }
                Err(error) => {
                    let number = state.chunks.number();
                    state.made.insert(number, Made::Failed(error.into()));
                    self.end(&mut state);
                }
            }
        }
        None
    }

    /// Brings back a chunk that was taken.
    pub(crate) fn bring(&self, number: u64, made: Made) {
        let mut state = self.state();
        if matches!(made, Made::Failed(_)) {
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

    /// A reader that joined is done: there is one buffer less from now on, or as soon as one is free.
    pub(crate) fn leave_with_buffer(&self) {
        let mut state = self.state();
        if state.free.pop().is_none() {
            state.surplus += 1;
        }
        drop(state);
        self.leave();
    }

    /// A reader is done, or dead: then its chunk never comes, and the others must not wait for room behind it.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        state.readers -= 1;
        if std::thread::panicking() {
            self.end(&mut state);
        }
        self.to_writer.notify_one();
    }

    /// The next chunk in the order of the image; `None` after the last one.
    pub(crate) fn next(&self) -> Result<Option<Made>, AssemblyError> {
        let mut state = self.state();
        loop {
            let next = state.next;
            if let Some(made) = state.made.remove(&next) {
                state.next += 1;
                return if let Made::Failed(error) = made { Err(error) } else { Ok(Some(made)) };
            }
            if state.readers == 0 {
                let all = state.complete && next == state.chunks.number();
                return if all { Ok(None) } else { Err(PieceError::Lost.into()) };
            }
            state = self.to_writer.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next chunk in the order of the image, if it is made: for a thread that makes the chunks itself.
    pub(crate) fn ready(&self) -> Result<Option<Made>, AssemblyError> {
        let mut state = self.state();
        let next = state.next;
        let Some(made) = state.made.remove(&next) else { return Ok(None) };
        state.next += 1;
        if let Made::Failed(error) = made { Err(error) } else { Ok(Some(made)) }
    }

    /// Gives back the buffer of a chunk that was written.
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

impl Made {
    /// The length in \[bytes\].
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Zeros { len, .. } | Self::Copied { len, .. } => to_usize(*len),
            Self::Bytes { len, .. } => *len,
            Self::Failed(_) => 0,
        }
    }
}
