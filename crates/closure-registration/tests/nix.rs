//! Compares NARs, hashes and registrations with those of Nix.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

#[allow(dead_code, reason = "shared by several tests, none of which needs all")]
mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use closure_registration::{Closure, NarPart, PathInfo, nar_parts, nar_size};
use common::{Item, Items, base_name, closure, directory, file, hash, open, registration, store_dir, tree};
use image_tree::{FileTree, Name, NodeId};

/// Runs a program of Nix with its own store below `root`; returns standard output.
fn nix(root: &Path, program: &str, arguments: &[&OsStr], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("NIX_REMOTE", format!("local?root={}", root.display()))
        .env("NIX_CONFIG", "substitute = false\nbuild-users-group =\nsandbox = false\n")
        .env("HOME", root)
        .env_remove("NIX_STATE_DIR")
        .env_remove("NIX_STORE_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{program} can't be run ({error}): this test needs Nix; on Debian, apt-get install nix-bin"
            )
        });
    let mut stdin = child.stdin.take().unwrap();
    // Can't block: the inputs of these tests fit into a pipe.
    stdin.write_all(input).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{complaints}", output.status);
    output.stdout
}

fn write(path: &Path, item: &Item) {
    match item {
        Item::File { executable, bytes } => {
            fs::write(path, bytes).unwrap();
            let mode = if *executable { 0o555 } else { 0o444 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Item::Symlink(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
        Item::Directory(items) => {
            fs::create_dir(path).unwrap();
            for (name, item) in items {
                write(&path.join(OsStr::from_bytes(name)), item);
            }
        }
    }
}

/// Every kind of file in a store path, and edge cases.
fn items() -> Items {
    let executable = |bytes: &[u8]| Item::File { executable: true, bytes: bytes.to_vec() };
    let lengths =
        (0..18_u8).map(|len| (vec![b'l', len + b'a'], file(&vec![len; usize::from(len)]))).collect();
    let deep = (0..500).fold(file(b"deep"), |inside, _| directory([(b"d", inside)]));
    let top = directory([
        (b"\xff\xfe not UTF-8", file(b"\xff")),
        (b"A", file(b"upper case sorts first")),
        (b"a", directory([(b"z", file(b"inside"))])),
        (b"a-b", executable(b"#!/bin/sh\n")),
        (b"a.b", Item::Symlink(b"../nowhere".to_vec())),
        (b"deep", deep),
        (b"dir", Item::Directory(Items::new())),
        (b"empty", file(b"")),
        (b"empty executable", executable(b"")),
        (b"large", file(&vec![1; 3_000_003])),
        (b"lengths", Item::Directory(lengths)),
        (b"target not UTF-8", Item::Symlink(b"\xff".to_vec())),
        ("\u{e9}".as_bytes(), file(b"")),
    ]);
    Items::from([
        (base_name('0', "all"), top),
        (base_name('1', "executable"), executable(b"x")),
        (base_name('2', "empty"), file(b"")),
        (base_name('3', "symlink"), Item::Symlink(b"/nix/store".to_vec())),
        (base_name('4', "directory"), Item::Directory(Items::new())),
        (base_name('5', ".dotted"), file(b".")),
    ])
}

fn whole(tree: &FileTree, node: NodeId) -> Vec<u8> {
    nar_parts(tree, node).unwrap().fold(Vec::new(), |mut all, part| {
        match part {
            NarPart::Framing(bytes) => all.extend(bytes),
            NarPart::File { node, .. } => all.extend(open(tree, node).into_inner()),
        }
        all
    })
}

#[test]
fn nars_sizes_and_hashes_equal_those_of_nix() {
    let (root, items) = (tempfile::tempdir().unwrap(), items());
    let tree = tree(&items);
    for (name, item) in &items {
        let path = root.path().join(OsStr::from_bytes(name));
        write(&path, item);
        let node = tree.find(&store_dir().join(Name::new(name).unwrap())).unwrap();
        let ours = whole(&tree, node);

        let dumped = nix(root.path(), "nix-store", &["--dump".as_ref(), path.as_os_str()], b"");
        assert!(ours == dumped, "{}: {} bytes, Nix has {}", path.display(), ours.len(), dumped.len());
        assert_eq!(nar_size(&tree, node), Ok(u64::try_from(dumped.len()).unwrap()));

        let arguments = ["--type", "sha256", "--base32"].map(OsStr::new);
        let digits = nix(root.path(), "nix-hash", &[&arguments[..], &[path.as_os_str()]].concat(), b"");
        let digits = String::from_utf8(digits).unwrap();
        assert_eq!(hash(&ours).to_string(), format!("sha256:{}", digits.trim_end()));
    }
}

/// The records, in an order that does not depend on the writer.
fn known(closure: &Closure) -> Vec<PathInfo> {
    let mut paths = closure.paths().to_vec();
    for info in &mut paths {
        info.references.sort();
    }
    paths
}

#[test]
fn nix_loads_the_registration_and_verifies_the_store() {
    let (root, items) = (tempfile::tempdir().unwrap(), items());
    let store = root.path().join("nix/store");
    fs::create_dir_all(&store).unwrap();
    for (name, item) in &items {
        write(&store.join(OsStr::from_bytes(name)), item);
    }
    let run = |arguments: &[&str], input: &[u8]| {
        let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
        String::from_utf8(nix(root.path(), "nix-store", &arguments, input)).unwrap()
    };
    let given = closure(&registration(&items));
    run(&["--load-db"], &given.registration());

    let dumped = run(&["--dump-db"], b"");
    assert_eq!(known(&closure(&dumped)), known(&given));
    for info in given.paths() {
        let path = info.path.in_store(given.store_dir()).to_string();
        let mut references: Vec<_> =
            info.references.iter().map(|path| path.in_store(given.store_dir()).to_string()).collect();
        references.sort_unstable();
        let queried = run(&["-q", "--references", &path], b"");
        let mut queried: Vec<_> = queried.lines().collect();
        queried.sort_unstable();
        assert_eq!(queried, references);
        assert_eq!(run(&["-q", "--hash", &path], b"").trim_end(), info.nar_hash.to_string());
        assert_eq!(run(&["-q", "--size", &path], b"").trim_end(), info.nar_size.to_string());
    }
    run(&["--verify", "--check-contents"], b"");
}

/// Makes store paths with every kind of content address; returns the graph that Nix prints.
fn addressed(root: &Path) -> serde_json::Value {
    let expression = r#"
        let text = builtins.toFile "text" "1"; in [
            text
            (builtins.toFile "text-with-references" "${text}")
            (builtins.path { name = "nar"; path = ./folder; })
            (builtins.path { name = "flat"; path = ./file; recursive = false; })
        ]"#;
    fs::create_dir(root.join("folder")).unwrap();
    fs::write(root.join("folder/a"), "a").unwrap();
    fs::write(root.join("file"), "b").unwrap();
    fs::write(root.join("paths.nix"), expression).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
        String::from_utf8(nix(root, program, &arguments, b"")).unwrap()
    };
    let (expression, file) = (root.join("paths.nix"), root.join("file"));
    let file = file.to_str().unwrap();
    run("nix-instantiate", &["--eval", "--strict", "--read-write-mode", expression.to_str().unwrap()]);
    for algorithm in ["md5", "sha1", "sha256", "sha512"] {
        for recursive in [&[][..], &["--recursive"]] {
            run("nix-store", &[&["--add-fixed"], recursive, &[algorithm, file]].concat());
        }
    }
    let graph = run("nix", &["--extra-experimental-features", "nix-command", "path-info", "--all", "--json"]);
    serde_json::from_str(&graph).unwrap()
}

#[test]
fn keeps_content_addresses_of_nix_and_rejects_wrong_ones() {
    let root = tempfile::tempdir().unwrap();
    let graph = addressed(root.path());
    let closure = Closure::from_graph("g", &graph, &store_dir()).unwrap();
    let address = |record: &serde_json::Value| record["ca"].as_str().unwrap().to_owned();
    let kept = closure.paths().iter().map(|info| info.origin.content_address.as_ref().unwrap().to_string());
    let mut kept: Vec<_> = kept.collect();
    let mut given: Vec<_> = graph.as_array().unwrap().iter().map(address).collect();
    kept.sort();
    given.sort();
    assert_eq!(kept, given);
    assert_eq!(given.len(), 12, "{given:?}");

    // Each path with the address of each other path: only its own is accepted.
    let records = graph.as_array().unwrap();
    for (index, other) in (0..records.len()).flat_map(|index| records.iter().map(move |other| (index, other)))
    {
        let mut changed = records.clone();
        changed[index]["ca"] = other["ca"].clone();
        let own = records[index]["ca"] == other["ca"];
        let result = Closure::from_graph("g", &changed.into(), &store_dir());
        assert_eq!(result.is_ok(), own, "{} {other}", records[index]);
        if let Err(error) = result {
            assert!(error.to_string().contains(&format!("g[{index}].ca: ")), "{error}");
        }
    }
}
