use std::collections::HashMap;

use closure_registration::{Closure, PathInfo, StorePath};
use rusqlite::{Connection, params};

use crate::derivation::Output;
use crate::schema::SCHEMA;

/// What a derivation of the closure makes, by its position among [`Closure::paths`].
pub type Deriving = HashMap<usize, Vec<Output>>;

/// SQLite can't make the database.
#[derive(Debug, thiserror::Error)]
#[error("SQLite can't make it: {0}; please report it")]
pub struct DatabaseError(#[from] rusqlite::Error);

/// Where a database says which version of its format wrote it, and which is needed to read it.
const FORMAT_VERSIONS: std::ops::Range<usize> = 18..20;
/// Both with a write-ahead log: how Nix keeps its database, so it need not change it first.
const WITH_LOG: u8 = 2;

/// The bytes of `db.sqlite` for a closure, each path registered at a time in \[seconds\] since 1970.
pub fn database(closure: &Closure, time: i64, deriving: &Deriving) -> Result<Vec<u8>, DatabaseError> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(
        "pragma page_size = 4096; pragma encoding = 'UTF-8'; pragma journal_mode = off; begin",
    )?;
    connection.execute_batch(SCHEMA)?;
    fill(&connection, closure, time, deriving)?;
    connection.execute_batch("commit")?;
    let mut bytes = connection.serialize("main")?.to_vec();
    // A database in memory has no log, so SQLite can't be asked to write this (file format, "1.3.3").
    bytes.iter_mut().take(FORMAT_VERSIONS.end).skip(FORMAT_VERSIONS.start).for_each(|byte| *byte = WITH_LOG);
    Ok(bytes)
}

/// Rows as Nix makes them from a registration: who signed a path and who built it is not known.
fn fill(
    connection: &Connection,
    closure: &Closure,
    time: i64,
    deriving: &Deriving,
) -> Result<(), rusqlite::Error> {
    let store = closure.store_dir();
    let whole = |path: &StorePath| path.in_store(store).to_string();
    let mut path = connection.prepare(
        "insert into ValidPaths (id, path, hash, registrationTime, deriver, narSize) values (?, ?, ?, ?, ?, ?)",
    )?;
    let mut reference = connection.prepare("insert into Refs (referrer, reference) values (?, ?)")?;
    let mut output = connection.prepare("insert into DerivationOutputs (drv, id, path) values (?, ?, ?)")?;
    let numbers = || (1_i64..).zip(closure.paths());
    for (number, info) in numbers() {
        let deriver = info.deriver.as_deref().map(String::from_utf8_lossy);
        let size = i64::try_from(info.nar_size).unwrap_or(i64::MAX);
        path.execute(params![number, whole(&info.path), hexadecimal(info), time, deriver, size])?;
    }
    // Paths are sorted, so a reference is found by halving.
    for (number, info) in numbers() {
        let found = info
            .references
            .iter()
            .filter_map(|to| closure.paths().binary_search_by(|other| other.path.cmp(to)).ok());
        let mut found: Vec<i64> = found.filter_map(|index| i64::try_from(index).ok()).collect();
        found.sort_unstable();
        for to in found {
            reference.execute(params![number, to + 1])?;
        }
    }
    for (number, index) in (1_i64..).zip(0..closure.paths().len()) {
        for made in deriving.get(&index).into_iter().flatten() {
            output.execute(params![number, made.id, made.path])?;
        }
    }
    Ok(())
}

/// Nix has hashes in base 16 here, and in base 32 nearly everywhere else.
fn hexadecimal(info: &PathInfo) -> String {
    info.nar_hash.as_bytes().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
