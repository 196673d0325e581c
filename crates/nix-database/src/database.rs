use std::collections::HashMap;

use closure_registration::{Closure, Signature, StorePath};
use image_tree::{Explain, Explanation, explained_errors};
use rusqlite::{Connection, params};

use crate::derivation::Output;
use crate::schema::SCHEMA;

/// The outputs of each derivation in the closure, by its index in [`Closure::paths`].
pub type DerivationOutputs = HashMap<usize, Vec<Output>>;

/// The error if SQLite can't create the database.
#[derive(Debug)]
pub struct DatabaseError(rusqlite::Error);

impl Explain for DatabaseError {
    fn explain(&self) -> Explanation {
        Explanation::new("", format!("SQLite can't create the database: {}", self.0), "please report it")
    }
}

explained_errors!(DatabaseError);

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

/// Offsets of the file format's write version and read version in the database header.
const FORMAT_VERSIONS: std::ops::Range<usize> = 18..20;
/// Format version for write-ahead logging, which Nix uses. So Nix need not convert the database first.
const WRITE_AHEAD_LOG: u8 = 2;

/// Creates `db.sqlite` for a closure, and returns its bytes. `time` is the registration time of all paths in
/// \[seconds\] since 1970.
pub fn database(closure: &Closure, time: i64, outputs: &DerivationOutputs) -> Result<Vec<u8>, DatabaseError> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(
        "pragma page_size = 4096; pragma encoding = 'UTF-8'; pragma journal_mode = off; begin",
    )?;
    connection.execute_batch(SCHEMA)?;
    fill(&connection, closure, time, outputs)?;
    connection.execute_batch("commit")?;
    let mut bytes = connection.serialize("main")?.to_vec();
    // Patched, because SQLite has no write-ahead log for a database in memory (SQLite file format, section 1.3.3).
    bytes
        .iter_mut()
        .take(FORMAT_VERSIONS.end)
        .skip(FORMAT_VERSIONS.start)
        .for_each(|byte| *byte = WRITE_AHEAD_LOG);
    Ok(bytes)
}

/// Inserts the rows that Nix inserts; unknown fields are null.
fn fill(
    connection: &Connection,
    closure: &Closure,
    time: i64,
    outputs: &DerivationOutputs,
) -> Result<(), rusqlite::Error> {
    let store = closure.store_dir();
    let whole = |path: &StorePath| String::from_utf8_lossy(path.in_store(store).as_bytes()).into_owned();
    let mut path = connection.prepare(
        "insert into ValidPaths (id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let mut reference = connection.prepare("insert into Refs (referrer, reference) values (?, ?)")?;
    let mut output = connection.prepare("insert into DerivationOutputs (drv, id, path) values (?, ?, ?)")?;
    let numbers = || (1_i64..).zip(closure.paths());
    for (number, info) in numbers() {
        let (whole_path, hash) = (whole(&info.path), format!("sha256:{}", info.nar_hash.base16()));
        let size = i64::try_from(info.nar_size).unwrap_or(i64::MAX);
        let origin = &info.origin;
        let deriver = origin.deriver.as_ref().map(whole);
        let ultimate = origin.ultimate.then_some(1);
        let signatures: Vec<&str> = origin.signatures.iter().map(Signature::as_str).collect();
        let signatures = (!signatures.is_empty()).then(|| signatures.join(" "));
        let address = origin.content_address.as_ref().map(ToString::to_string);
        path.execute(params![number, whole_path, hash, time, deriver, size, ultimate, signatures, address])?;
    }
    // Paths are sorted, so references are found by binary search.
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
        for output_path in outputs.get(&index).into_iter().flatten() {
            output.execute(params![number, output_path.id, output_path.path])?;
        }
    }
    Ok(())
}
