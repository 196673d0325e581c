//! Any pieces into any output: the bytes of a naive assembler, or an error and nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod bytes;
mod devices;
mod outputs;
mod programs;
mod slow;
mod sources;
mod support;
mod zeros;
