//! What the scan makes of real folders, and what the opener makes of them after they have changed.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail as the test itself")]

mod deep;
mod deterministic;
mod equal;
mod holes;
mod merging;
mod mounts;
mod opening;
mod store;
mod support;
mod trees;
