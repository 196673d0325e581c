//! Compares the database with the one that Nix creates from the same registration.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::path::Path;
use std::process::Command;

use closure_registration::{Closure, Source};
use image_tree::ImagePath;
use nix_database::{DerivationOutputs, database, outputs};
use rusqlite::Connection;
use rusqlite::types::Value;

/// A derivation with two outputs, a file that refers to another, and one that refers to itself.
const EXPRESSION: &str = r#"derivation {
    name = "top"; system = "none"; builder = "/bin/sh"; outputs = [ "out" "dev" ];
    args = [ (builtins.toFile "b" (builtins.toFile "a" "1")) ];
}"#;
const TIME: i64 = 1_000_000_000;

/// Runs a program of Nix on a store below another root; returns standard output.
fn nix(root: &Path, program: &str, arguments: &[&str], input: &str) -> String {
    let file = root.join("input");
    std::fs::write(&file, input).unwrap();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("NIX_REMOTE", format!("local?root={}", root.display()))
        .env("NIX_CONFIG", "build-users-group =")
        .stdin(std::fs::File::open(file).unwrap());
    let result = command.output().unwrap_or_else(|error| {
        panic!("{program}: {error}; tests/tools/install-test-tools installs what the tests need")
    });
    assert!(result.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout).unwrap()
}

/// Fills a store by Nix; returns the registration that Nix prints.
fn store(root: &Path) -> String {
    nix(root, "nix-instantiate", &["-E", EXPRESSION], "");
    let dump = nix(root, "nix-store", &["--dump-db"], "");
    // `--load-db` does not check the contents of paths.
    let own = "/nix/store/00000000000000000000000000000000-own";
    let deriver = dump.lines().find(|line| line.ends_with("-top.drv")).unwrap();
    format!("{dump}{own}\n{:064x}\n120\n{deriver}\n1\n{own}\n", 7)
}

/// The closure of the registration, and the bytes of its database.
fn ours(root: &Path, registration: &str) -> (Closure, Vec<u8>) {
    let source = Source { name: "registration", bytes: registration.as_bytes() };
    let closure =
        Closure::from_registration(source, None, &ImagePath::parse(b"/nix/store").unwrap()).unwrap();
    let derivations = closure
        .paths()
        .iter()
        .enumerate()
        .filter(|(_, info)| info.path.as_str().as_bytes().ends_with(b".drv"));
    let read = |name: &str| outputs(&std::fs::read(root.join("nix/store").join(name)).unwrap()).unwrap();
    let outputs: DerivationOutputs =
        derivations.map(|(index, info)| (index, read(info.path.as_str()))).collect();
    let bytes = database(&closure, TIME, &outputs).unwrap();
    (closure, bytes)
}

fn rows(connection: &Connection, query: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// What must be equal in both databases: all except comments in the schema and registration times.
const QUERIES: [&str; 9] = [
    "select id, path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths",
    "select * from Refs order by referrer, reference",
    "select * from DerivationOutputs order by drv, id",
    "select type, name, tbl_name from sqlite_master order by name",
    "select m.name, t.* from sqlite_master m, pragma_table_xinfo(m.name) t where m.type = 'table' order by m.name, t.cid",
    "select m.name, f.* from sqlite_master m, pragma_foreign_key_list(m.name) f where m.type = 'table' order by m.name, f.id",
    "select m.name, i.name, i.\"unique\", c.* from sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) c \
     where m.type = 'table' order by m.name, i.name, c.seqno",
    "select * from sqlite_sequence",
    "select * from pragma_page_size, pragma_encoding, pragma_user_version, pragma_auto_vacuum, pragma_application_id",
];

#[test]
fn equals_the_database_that_nix_creates() {
    let [filled, loaded] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let registration = store(filled.path());
    std::fs::create_dir_all(loaded.path().join("nix/store")).unwrap();
    for entry in std::fs::read_dir(filled.path().join("nix/store")).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), loaded.path().join("nix/store").join(entry.file_name())).unwrap();
        }
    }
    nix(loaded.path(), "nix-store", &["--load-db"], &registration);
    let theirs = Connection::open(loaded.path().join("nix/var/nix/db/db.sqlite")).unwrap();
    // Newer Nix does this to every database that it opens.
    let newer = "create table if not exists SchemaMigrations (migration text primary key not null)";
    theirs.execute(newer, []).unwrap();

    let (_, bytes) = ours(filled.path(), &registration);
    let file = filled.path().join("db.sqlite");
    std::fs::write(&file, &bytes).unwrap();
    let ours = Connection::open(file).unwrap();
    for query in QUERIES {
        let (ours, theirs) = (rows(&ours, query), rows(&theirs, query));
        assert!(!ours.is_empty(), "{query}");
        assert_eq!(ours, theirs, "{query}");
    }
    let mode = "select * from pragma_journal_mode";
    assert_eq!(
        (rows(&ours, mode), rows(&theirs, mode)),
        (vec![vec!["wal".to_owned().into()]], rows(&ours, mode))
    );
    let times = rows(&ours, "select distinct registrationTime from ValidPaths");
    assert_eq!(times, [[Value::Integer(TIME)]]);
    assert_eq!(rows(&ours, "pragma integrity_check"), [["ok".to_owned().into()]]);
    assert!(rows(&ours, "pragma foreign_key_check").is_empty());
    assert_eq!(std::fs::read(loaded.path().join("nix/var/nix/db/schema")).unwrap(), nix_database::VERSION);
}

#[test]
fn bytes_do_not_depend_on_the_order_of_paths_and_references() {
    let folder = tempfile::tempdir().unwrap();
    let path = |number: usize| format!("/nix/store/{number:032}-path");
    let record = |number: usize, references: &mut dyn Iterator<Item = usize>| {
        let references: Vec<String> = references.map(path).collect();
        let (path, count) = (path(number), references.len());
        format!("{path}\n{number:064x}\n120\n\n{count}\n{}\n", references.join("\n"))
    };
    let forwards: String = (1..500).map(|number| record(number, &mut (1..=number.min(9)))).collect();
    let backwards: String =
        (1..500).rev().map(|number| record(number, &mut (1..=number.min(9)).rev())).collect();
    let bytes = ours(folder.path(), &forwards).1;
    assert!(bytes == ours(folder.path(), &backwards).1, "two databases of one closure");
    assert!(bytes == ours(folder.path(), &forwards).1, "two databases of one closure");
    assert!(bytes.len().is_multiple_of(4096) && bytes.len() < 500 * 1024, "{}", bytes.len());
}

#[test]
fn an_empty_closure_is_an_empty_database() {
    let folder = tempfile::tempdir().unwrap();
    let (closure, bytes) = ours(folder.path(), "");
    assert!(closure.paths().is_empty());
    let file = folder.path().join("db.sqlite");
    std::fs::write(&file, bytes).unwrap();
    assert!(rows(&Connection::open(file).unwrap(), "select * from ValidPaths").is_empty());
}
