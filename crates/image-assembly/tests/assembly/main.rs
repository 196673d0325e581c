//! Writes any pieces to any output: the result has the bytes of a naive assembler, or there is an error and no output.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod base;
mod bytes;
mod compressed;
mod devices;
mod frames;
mod no_threads;
mod outputs;
mod packed;
mod programs;
mod slow;
mod sources;
mod spooled;
mod support;
mod unordered;
mod wrong_programs;
mod zeros;
