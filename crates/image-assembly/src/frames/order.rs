//! Frames taken by many threads and returned in order to one. A thread that is far ahead waits, which bounds the memory.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::list::{Frame, Frames};
use super::pipeline::Done;
use crate::error::AssemblyError;
use crate::pieces::PieceError;

/// More stored frames would need too many open files.
const MOST_STORED: u64 = 64;

/// Between the threads that compress and the one that writes.
pub(super) struct Order<'i> {
    state: Mutex<State<'i>>,
    /// A frame was written, or the work ends.
    to_workers: Condvar,
    /// A frame is done, or a worker is gone.
    to_writer: Condvar,
}

struct State<'i> {
    frames: Frames<'i>,
    done: BTreeMap<u64, Result<Done, AssemblyError>>,
    /// The frame that the writer waits for.
    next: u64,
    /// How many new frames may be taken and not written: each is in memory.
    most_new: u64,
    /// Stored frames that wait to be written. Each is an open file.
    stored: u64,
    workers: usize,
    /// Buffers for contents, to use again.
    contents: Vec<Vec<u8>>,
    /// Buffers for compressed frames, to use again.
    frame_buffers: Vec<Vec<u8>>,
    /// No more frames are taken: there are none, or something failed.
    ended: bool,
    /// All frames were taken.
    complete: bool,
}

impl State<'_> {
    /// Whether one more frame may be taken.
    fn has_room(&self) -> bool {
        let waiting = self.frames.number() - self.next;
        waiting - self.stored < self.most_new && self.stored < MOST_STORED
    }
}

impl<'i> Order<'i> {
    pub(super) fn new(frames: Frames<'i>, workers: usize, most_new: u64) -> Self {
        let state = State {
            frames,
            done: BTreeMap::new(),
            next: 0,
            most_new,
            stored: 0,
            workers,
            contents: Vec::new(),
            frame_buffers: Vec::new(),
            ended: false,
            complete: false,
        };
        Self { state: Mutex::new(state), to_workers: Condvar::new(), to_writer: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<'i>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `frame` the next one to compress; false when there is nothing to do.
    pub(super) fn take(&self, frame: &mut Frame) -> bool {
        let mut state = self.state();
        while !state.ended {
            if !state.has_room() {
                state = self.to_workers.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            match state.frames.next(frame) {
                Ok(true) => return true,
                Ok(false) => state.complete = true,
                Err(error) => {
                    let number = state.frames.number();
                    state.done.insert(number, Err(error.into()));
                }
            }
            self.end(&mut state);
        }
        false
    }

    /// Returns a frame that was taken.
    pub(super) fn put(&self, number: u64, done: Result<Done, AssemblyError>) {
        let mut state = self.state();
        if done.is_err() {
            self.end(&mut state);
        }
        if done.as_ref().is_ok_and(Done::is_stored) {
            state.stored += 1;
            // Another thread may take one more new frame.
            self.to_workers.notify_one();
        }
        state.done.insert(number, done);
        self.to_writer.notify_one();
    }

    /// One more worker begins.
    pub(super) fn join(&self) {
        let mut state = self.state();
        state.workers += 1;
        state.most_new += 1;
    }

    /// A worker ends, perhaps one that joined. If that is a panic, its frame is lost, and the others must not wait.
    pub(super) fn leave(&self, joined: bool) {
        let mut state = self.state();
        state.workers -= 1;
        state.most_new -= u64::from(joined);
        if std::thread::panicking() {
            self.end(&mut state);
        }
        self.to_writer.notify_one();
    }

    /// Waits for the next frame in the order of the image; `None` after the last one.
    pub(super) fn next(&self) -> Result<Option<Done>, AssemblyError> {
        let mut state = self.state();
        loop {
            if let Some(done) = self.ready(&mut state) {
                return done.map(Some);
            }
            if state.workers == 0 {
                let all = state.complete && state.next == state.frames.number();
                return if all { Ok(None) } else { Err(PieceError::Lost.into()) };
            }
            state = self.to_writer.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn ready(&self, state: &mut State<'i>) -> Option<Result<Done, AssemblyError>> {
        let next = state.next;
        let done = state.done.remove(&next)?;
        state.next += 1;
        if done.as_ref().is_ok_and(Done::is_stored) {
            state.stored -= 1;
        }
        self.to_workers.notify_all();
        Some(done)
    }

    /// The next frame in the order of the image, if it is done.
    pub(super) fn next_if_done(&self) -> Result<Option<Done>, AssemblyError> {
        self.ready(&mut self.state()).transpose()
    }

    /// A buffer for contents: of another frame, or empty.
    pub(super) fn contents_buffer(&self) -> Vec<u8> {
        self.state().contents.pop().unwrap_or_default()
    }

    /// Takes back a buffer for contents.
    pub(super) fn reuse_contents(&self, buffer: Vec<u8>) {
        if !buffer.is_empty() {
            self.state().contents.push(buffer);
        }
    }

    /// A buffer for a compressed frame.
    pub(super) fn frame_buffer(&self) -> Vec<u8> {
        self.state().frame_buffers.pop().unwrap_or_default()
    }

    /// Takes back a buffer for a compressed frame.
    pub(super) fn reuse_frame(&self, buffer: Vec<u8>) {
        self.state().frame_buffers.push(buffer);
    }

    /// Ends the work.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        self.end(&mut state);
    }

    fn end(&self, state: &mut State<'i>) {
        state.ended = true;
        self.to_workers.notify_all();
        self.to_writer.notify_one();
    }
}

#[cfg(test)]
mod tests;
