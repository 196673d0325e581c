//! Scans real folders, and opens their files after changes.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail as the test itself")]

mod again;
mod archives;
mod attributes;
mod deep;
mod deterministic;
mod equal;
mod faked;
mod holes;
mod images;
mod merging;
mod mounts;
mod opening;
mod store;
mod support;
mod trees;
