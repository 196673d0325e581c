//! Rules of plans, each with the smallest plan that shows it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test can't do without ends it")]

mod boot;
mod contents;
mod disk;
mod guide;
mod limits;
mod queries;
mod support;
