//! Nix's database of valid paths, created from a closure, with the rows that Nix would insert.
//!
//! The invariant of this crate: the bytes depend only on the closure, the time and the version of SQLite, which is
//! compiled in. The crate does no I/O: the database is created in memory.
//!
//! Its contents follow Nix's `libstore/schema.sql` and `local-store.cc`: version 10 of the schema, which Nix has used
//! since 2.0.

mod database;
mod derivation;
mod schema;

pub use database::{DatabaseError, DerivationOutputs, database};
pub use derivation::{Output, outputs};
pub use schema::VERSION;

/// The version of the compiled-in SQLite, which creates the database.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
