//! `--sbom`: the store paths of an image as a bill of materials.

use std::process::Command;

use cyclonedx_bom::models::bom::Bom;
use cyclonedx_bom::validation::Validate;
use serde_json::{Value, json};

use crate::store::{plan, record, store_path, write};
use crate::support::{Run, Workspace, empty_plan, sha256, tool};

const NAMES: [&str; 6] = ["hello-2.12.1", "gtk+-3.0?a=b", "source", "a-b-c-1-dev", "x-", "-1"];

/// Paths of all those names. The first refers to itself and to the others.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    for name in NAMES {
        write(&workspace, name, "", name, false);
    }
    let mut records: Vec<Value> = NAMES.iter().map(|name| record(&workspace, name, &[])).collect();
    records[0]["references"] = NAMES.iter().rev().map(|name| store_path(name)).collect();
    records[0]["deriver"] = json!(store_path("hello-2.12.1.drv"));
    let mut plan = plan(&records);
    plan["closure"]["verify"] = json!("none");
    workspace.write("plan.json", plan.to_string());
    workspace
}

/// The bill of materials, which another program finds valid.
fn bill(text: &[u8]) -> Value {
    let bom = Bom::parse_from_json_v1_5(text).unwrap();
    let result = bom.validate();
    assert!(result.passed(), "{result:?}");
    serde_json::from_slice(text).unwrap()
}

#[test]
fn sbom_lists_every_path_with_name_version_hash_and_references() {
    let workspace = workspace();
    workspace.build("out.img", ["--sbom", "sbom.json"]);
    let bill = bill(&workspace.read("sbom.json"));
    assert_eq!(bill["metadata"]["tools"]["components"][0]["version"], env!("CARGO_PKG_VERSION"));

    // Split as Nix splits them.
    let list = NAMES.map(|name| format!("\"{name}\"")).join(" ");
    let expression = format!("map builtins.parseDrvName [ {list} ]");
    let mut nix = Command::new(tool("nix-instantiate"));
    nix.args(["--eval", "--strict", "--json", "-E", &expression]);
    nix.env("NIX_REMOTE", format!("local?root={}", workspace.path("nix").display()));
    let split: Value = serde_json::from_str(Run::of(&mut nix).succeeded().text()).unwrap();
    let mut expected: Vec<(String, Value)> = Vec::new();
    for (name, split) in NAMES.iter().zip(split.as_array().unwrap()) {
        let version = split["version"].as_str().filter(|version| !version.is_empty());
        // A component must have a name.
        let (split, version) = match split["name"].as_str().unwrap() {
            "" => (*name, None),
            split => (split, version),
        };
        let nar_hash = record(&workspace, name, &[])["narHash"].as_str().unwrap().replace("sha256:", "");
        let mut properties = vec![json!({ "name": "nix:output_path", "value": store_path(name) })];
        if *name == NAMES[0] {
            properties.push(json!({ "name": "nix:drv_path", "value": store_path("hello-2.12.1.drv") }));
        }
        let mut component = json!({
            "type": "library", "bom-ref": store_path(name), "name": split,
            "hashes": [{ "alg": "SHA-256", "content": nar_hash }], "properties": properties,
        });
        if let Some(version) = version {
            component["version"] = json!(version);
        }
        expected.push((store_path(name), component));
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let mut components = bill["components"].clone();
    for component in components.as_array_mut().unwrap() {
        let url = component.as_object_mut().unwrap().remove("purl").unwrap();
        assert!(url.as_str().unwrap().starts_with("pkg:nix/"), "{url}");
    }
    assert_eq!(components, expected.iter().map(|(_, component)| component.clone()).collect::<Value>());

    let others: Vec<String> =
        expected.iter().map(|(path, _)| path.clone()).filter(|path| *path != store_path(NAMES[0])).collect();
    for dependency in bill["dependencies"].as_array().unwrap() {
        let first = dependency["ref"] == json!(store_path(NAMES[0]));
        assert_eq!(dependency["dependsOn"], if first { json!(others) } else { Value::Null }, "{dependency}");
    }
    assert_eq!(bill["dependencies"].as_array().unwrap().len(), NAMES.len());
}

#[test]
fn sbom_is_the_same_for_the_same_closure() {
    let workspace = workspace();
    workspace.build("out.img", ["--sbom", "one.json", "--threads", "1"]);
    workspace.change_plan(|plan| plan["closure"]["graph"].as_array_mut().unwrap().reverse());
    let run = workspace.snugfs(["build", "plan.json", "-o", "out.img", "--sbom", "-"]).succeeded();
    assert_eq!(sha256(&run.stdout), sha256(&workspace.read("one.json")));
    // Written anew over what an earlier run left.
    workspace.build("out.img", ["--sbom", "one.json"]);
    assert_eq!(run.stdout, workspace.read("one.json"));
}

#[test]
fn sbom_lists_closures_of_all_file_systems_and_shared_paths_once() {
    let workspace = workspace();
    workspace.change_plan(|plan| {
        let closure = plan["closure"].clone();
        let mut shared = closure.clone();
        shared["graph"] = json!([closure["graph"][1].clone()]);
        let mut elsewhere = shared.clone();
        elsewhere["storeDir"] = json!("/other/store");
        elsewhere["graph"][0]["path"] = json!(store_path(NAMES[1]).replace("/nix/", "/other/"));
        let ext4 = |closure: &Value| json!({ "type": "linux", "content": { "kind": "ext4", "closure": closure } });
        plan["disk"] = json!({
            "table": "gpt",
            "partitions": [{ "type": "linux", "content": { "kind": "root" } }, ext4(&shared), ext4(&elsewhere)],
        });
    });
    workspace.snugfs(["build", "plan.json", "-o", "out.img", "--sbom", "sbom.json"]).succeeded();
    let bill = bill(&workspace.read("sbom.json"));
    assert_eq!(bill["components"].as_array().unwrap().len(), NAMES.len() + 1);
    assert_eq!(bill["dependencies"].as_array().unwrap().len(), NAMES.len() + 1);
}

#[test]
fn sbom_is_empty_without_a_closure() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.build("out.img", ["--sbom", "sbom.json"]);
    assert_eq!(bill(&workspace.read("sbom.json"))["components"], json!([]));
}

#[test]
fn it_replaces_nothing_else() {
    let workspace = workspace();
    for (more, code) in [
        (&["-o", "out.img", "--sbom", "out.img"][..], 2),
        (&["-o", "out.img", "--sbom", "plan.json"], 2),
        (&["-o", "out.img", "--sbom", "same.json", "--report", "same.json"], 2),
        (&["-o", "out.img", "--sbom", "-", "--report", "-"], 2),
        (&["-o", "-", "--sbom", "-"], 2),
        (&["-o", "out.img", "--sbom", "absent/sbom.json"], 7),
    ] {
        let run = workspace.snugfs(["build", "plan.json"].iter().chain(more)).failed_with(code);
        assert!(code != 2 || run.stderr.contains("--sbom"), "{more:?}: {}", run.stderr);
        assert!(!workspace.names().contains(&"out.img".to_owned()), "{more:?}: nothing was written");
    }
}
