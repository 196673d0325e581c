//! Layouts of every shape and size, written out, judged by e2fsck and read back by a reader that is not ours.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;
mod properties;
mod shapes;
mod sizes;
mod support;
