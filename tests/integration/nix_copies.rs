//! Copies of store paths out of an image: Nix accepts them because of the image's own database.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::store::{plan, record, store_path, write};
use crate::support::{Run, Workspace, tool};

/// The source of the image's store. Nix has added content-addressed paths to it.
const SOURCE: &str = "source";

/// Real Nix with the store below a folder of the workspace.
fn nix(workspace: &Workspace, root: &str, program: &str, arguments: &[&str], keys: &str) -> Run {
    let mut command = Command::new(tool(program));
    command.args(arguments).env("NIX_REMOTE", store(&workspace.path(root)));
    command.env(
        "NIX_CONFIG",
        format!(
            "build-users-group =\nsubstitute = false\nexperimental-features = nix-command\nrequire-sigs = true\n\
             trusted-public-keys = {keys}"
        ),
    );
    command.current_dir(workspace.path("."));
    Run::of(&mut command)
}

fn store(root: &Path) -> String {
    format!("local?root={}", root.display())
}

/// A built path, whose name does not depend on its contents, and content-addressed paths that Nix has made.
fn workspace(signed: bool) -> (Workspace, String, Vec<String>) {
    let workspace = Workspace::new();
    write(&workspace, "built", "", "built\n", false);
    let record = record(&workspace, "built", &[]);
    std::fs::create_dir_all(workspace.path("source/nix")).unwrap();
    std::fs::rename(workspace.path("store"), workspace.path("source/nix/store")).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        nix(&workspace, SOURCE, program, arguments, "").succeeded().text().trim().to_owned()
    };
    let registered = format!(
        "{}\n{}\n{}\n\n0\n",
        store_path("built"),
        record["narHash"].as_str().unwrap(),
        record["narSize"]
    );
    let registration = workspace.write("registration", registered);
    let mut load = Command::new(tool("nix-store"));
    load.arg("--load-db").stdin(std::fs::File::open(registration).unwrap());
    load.env("NIX_REMOTE", store(&workspace.path(SOURCE))).env("NIX_CONFIG", "build-users-group =");
    Run::of(&mut load).succeeded();

    let text = "builtins.toFile \"text\" \"${builtins.toFile \"other\" \"1\"}\"";
    let expression = ["--eval", "--strict", "--json", "--read-write-mode", "-E"]
        .into_iter()
        .chain([text])
        .collect::<Vec<_>>();
    let text: Value = serde_json::from_str(&run("nix-instantiate", &expression)).unwrap();
    workspace.write("file", "contents\n");
    let added = run("nix-store", &["--add", "file"]);
    let flat = run("nix-store", &["--add-fixed", "sha1", "file"]);
    let addressed = vec![text.as_str().unwrap().to_owned(), added, flat];

    let key = run("nix-store", &["--generate-binary-cache-key", "key-1", "secret", "public"]);
    assert!(key.is_empty());
    if signed {
        run("nix", &["store", "sign", "--key-file", "secret", &store_path("built")]);
    }
    let graph: Value = serde_json::from_str(&run("nix", &["path-info", "--all", "--json"])).unwrap();
    let mut plan = plan(&[]);
    plan["closure"] =
        json!({ "graph": graph, "sourceDir": "source/nix/store", "verify": "hash", "nixDatabase": true });
    workspace.write("plan.json", plan.to_string());
    workspace.build("out.img", []);
    workspace.snugfs(["inspect", "out.img", "extract", "/", "-o", "root"]).succeeded();
    let public = String::from_utf8(workspace.read("public")).unwrap();
    (workspace, public, addressed)
}

fn copy(workspace: &Workspace, paths: &[&str], keys: &str) -> Run {
    std::fs::create_dir_all(workspace.path("other")).unwrap();
    let (from, to) = (store(&workspace.path("root")), store(&workspace.path("other")));
    let arguments = [&["copy", "--from", &from, "--to", &to], paths].concat();
    nix(workspace, "other", "nix", &arguments, keys)
}

#[test]
fn content_addressed_paths_need_no_signature() {
    let (workspace, _, addressed) = workspace(false);
    let addressed: Vec<&str> = addressed.iter().map(String::as_str).collect();
    copy(&workspace, &addressed, "").succeeded();
    let asked = |root: &str| {
        let run = nix(
            &workspace,
            root,
            "nix",
            &["path-info", "--json", "--recursive"]
                .into_iter()
                .chain(addressed.iter().copied())
                .collect::<Vec<_>>(),
            "",
        );
        let mut known: Value = serde_json::from_str(run.succeeded().text()).unwrap();
        for info in known.as_array_mut().unwrap() {
            assert!(info.as_object_mut().unwrap().remove("registrationTime").is_some());
        }
        known
    };
    let known = asked("other");
    assert_eq!(known.as_array().unwrap().len(), 4);
    assert_eq!(asked("root"), known);
    assert_eq!(asked(SOURCE), known);

    // What is not content-addressed and has no signature is refused, as out of any store.
    let run = copy(&workspace, &[&store_path("built")], "");
    assert!(run.code != 0 && run.stderr.contains("signature"), "{}", run.stderr);
}

#[test]
fn signatures_of_the_graph_are_accepted_with_a_trusted_key() {
    let (workspace, public, _) = workspace(true);
    let built = store_path("built");
    let run = copy(&workspace, &[&built], "");
    assert!(run.code != 0 && run.stderr.contains("signature"), "{}", run.stderr);
    copy(&workspace, &[&built], &public).succeeded();
    let verify = ["store", "verify", "--sigs-needed", "1", &built];
    for root in ["root", "other"] {
        nix(&workspace, root, "nix", &verify, &public).succeeded();
        assert_ne!(nix(&workspace, root, "nix", &verify, "").code, 0);
    }
}
