//! Compares derivers, signatures and content addresses in the database with those in a database filled by Nix.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::path::Path;
use std::process::Command;

use closure_registration::Closure;
use image_tree::ImagePath;
use nix_database::{DerivationOutputs, database, outputs};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Paths that are built (with two outputs) or added (as a text, a NAR and a flat file), and their references.
const EXPRESSION: &str = r#"
    let text = builtins.toFile "text" "1"; in derivation {
        name = "built"; system = builtins.currentSystem; builder = "/bin/sh"; outputs = [ "out" "dev" ];
        args = [ "-c" "echo ${text} > $out; echo $out > $dev" ];
        nar = builtins.path { name = "nar"; path = ./.; filter = name: type: false; };
        flat = builtins.path { name = "flat"; path = ./built.nix; recursive = false; };
    }"#;

/// Runs a program of Nix on its own store below `root`; returns standard output.
fn nix(root: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(root)
        .env("NIX_STORE_DIR", root.join("store"))
        .env("NIX_STATE_DIR", root.join("var/nix"))
        .env("NIX_LOG_DIR", root.join("var/log"))
        .env("NIX_REMOTE", "")
        .env(
            "NIX_CONFIG",
            "build-users-group =\nsandbox = false\nsubstitute = false\nexperimental-features = nix-command",
        );
    let result = command.output().unwrap_or_else(|error| {
        panic!("{program}: {error}; tests/tools/install-test-tools installs what the tests need")
    });
    assert!(result.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout).unwrap()
}

fn rows(file: &Path, query: &str) -> Vec<Vec<Value>> {
    let connection = Connection::open(file).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Compares paths instead of row numbers, which follow the order of registration.
const QUERIES: [&str; 3] = [
    "select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths order by path",
    "select a.path, b.path from Refs join ValidPaths a on a.id = referrer join ValidPaths b on b.id = reference order by 1, 2",
    "select a.path, o.id, o.path from DerivationOutputs o join ValidPaths a on a.id = drv order by 1, 2",
];

#[test]
fn equals_the_database_of_nix_for_built_added_and_signed_paths() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("built.nix"), EXPRESSION).unwrap();
    let built = nix(&root, "nix-build", &["--no-out-link", "built.nix"]);
    for key in ["b.example.org-1", "a.example.org-1"] {
        let secret = format!("{key}.secret");
        nix(&root, "nix-store", &["--generate-binary-cache-key", key, &secret, "key.public"]);
        nix(&root, "nix", &["store", "sign", "--key-file", &secret, built.trim()]);
    }
    let graph = nix(&root, "nix", &["path-info", "--all", "--json"]);

    let store = ImagePath::parse(root.join("store").to_str().unwrap().as_bytes()).unwrap();
    let closure = Closure::from_graph("graph", &serde_json::from_str(&graph).unwrap(), &store).unwrap();
    let derivations = closure.paths().iter().enumerate();
    let derivations = derivations.filter(|(_, info)| info.path.as_str().as_bytes().ends_with(b".drv"));
    let read = |name: &str| outputs(&std::fs::read(root.join("store").join(name)).unwrap()).unwrap();
    let outputs: DerivationOutputs =
        derivations.map(|(index, info)| (index, read(info.path.as_str()))).collect();
    let ours = root.join("ours.sqlite");
    std::fs::write(&ours, database(&closure, 1, &outputs).unwrap()).unwrap();
    let theirs = root.join("var/nix/db/db.sqlite");
    for query in QUERIES {
        let (ours, theirs) = (rows(&ours, query), rows(&theirs, query));
        assert!(!ours.is_empty(), "{query}");
        assert_eq!(ours, theirs, "{query}");
    }
    // The test covers each kind: built here, signed twice, and three kinds of content address.
    let count =
        |what: &str| rows(&ours, &format!("select count(*) from ValidPaths where {what}"))[0][0].clone();
    for (what, number) in [
        ("ultimate = 1 and deriver like '%-built.drv'", 2),
        ("sigs glob 'a.example.org-1:* b.example.org-1:*'", 1),
        ("ca glob 'text:sha256:*'", 2),
        ("ca glob 'fixed:r:sha256:*'", 1),
        ("ca glob 'fixed:sha256:*'", 1),
    ] {
        assert_eq!(count(what), Value::Integer(number), "{what}");
    }
}
