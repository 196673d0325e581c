//! Installs every kind of boot loader from systems in memory.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test can't do without ends it")]

mod errors;
mod golden;
mod properties;
mod support;
