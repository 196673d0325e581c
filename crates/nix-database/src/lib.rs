//! Nix's database of valid paths, made from a closure: what Nix itself keeps of the same paths.
//!
//! The invariant of this crate: the bytes depend on the closure, the time and the version of SQLite alone, which is
//! compiled in. Nothing here does I/O: the database is made in memory.
//!
//! What is in it follows Nix's `libstore/schema.sql` and `local-store.cc`: version 10 of the schema, which all of Nix
//! from 2.0 on has.

mod database;
mod derivation;
mod schema;

pub use database::{DatabaseError, Deriving, database};
pub use derivation::{Output, outputs};
pub use schema::VERSION;

/// The version of the SQLite that is compiled in and writes the database.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
