//! A small store with sizes and hashes from Nix itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Run, UUID, Workspace, sha256, tool};

/// The base name of a store path.
pub(crate) fn base_name(name: &str) -> String {
    // The digits of Nix's base 32 have no e, o, t and u.
    let digit = |byte: u8| char::from(b"0123456789abcdfghijklmnpqrsvwxyz"[usize::from(byte % 32)]);
    let hash: String = sha256(name.as_bytes()).bytes().take(32).map(digit).collect();
    format!("{hash}-{name}")
}

/// A path of the store as the image has it.
pub(crate) fn store_path(name: &str) -> String {
    format!("/nix/store/{}", base_name(name))
}

/// Writes a file of a store path; the path itself where `below` is empty.
pub(crate) fn write(
    workspace: &Workspace,
    name: &str,
    below: &str,
    bytes: impl AsRef<[u8]>,
    executable: bool,
) {
    let file = workspace.write(format!("store/{}/{below}", base_name(name)).trim_end_matches('/'), bytes);
    let mode = if executable { 0o555 } else { 0o444 };
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The registration of a store path in the folder `store`, with size and hash from `nix-store --dump`.
pub(crate) fn record(workspace: &Workspace, name: &str, references: &[&str]) -> Value {
    let path = workspace.path("store").join(base_name(name));
    let nar = dump(&path);
    json!({
        "path": store_path(name), "narHash": format!("sha256:{}", sha256(&nar)), "narSize": nar.len(),
        "references": references.iter().map(|name| store_path(name)).collect::<Vec<_>>(),
    })
}

fn dump(path: &Path) -> Vec<u8> {
    let run = Run::of(Command::new(tool("nix-store")).arg("--dump").arg(path));
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.stdout
}

/// A plan of a closure of these records, small and without room for anything else.
pub(crate) fn plan(records: &[Value]) -> Value {
    json!({
        "version": 1,
        "closure": { "graph": records, "sourceDir": "store", "verify": "hash" },
        "filesystem": { "uuid": UUID, "freeSpace": 0, "freeInodes": 0, "growTo": null },
    })
}
