//! Layouts of every shape and size, written out, checked by e2fsck and ext4-verify, and read back by an independent reader.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;
mod previous;
mod properties;
mod refused;
mod shapes;
mod sizes;
mod summary;
mod support;
mod whereabouts;
