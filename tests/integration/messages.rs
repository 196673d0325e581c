//! Messages on standard error, as text and as JSON.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Run, UUID, Workspace, empty_plan, plan_of_entries, repository};

/// A plan with two mistakes, on lines of their own.
const WRONG: &str =
    "{\n  \"version\": 1,\n  \"filesystem\": {\n    \"lable\": \"x\",\n    \"size\": \"1 MiB\"\n  }\n}\n";

fn objects(run: &Run) -> Vec<Value> {
    run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn problems_of_a_plan_name_its_file_and_line() {
    let workspace = Workspace::new();
    workspace.write("sub/p.json", WRONG);
    let run = workspace.snugfs(["check", "sub/p.json"]).failed_with(3);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(
        lines[0],
        "snugfs: plan.filesystem.lable: unknown field; did you mean \"label\"? (sub/p.json:4:5)"
    );
    assert!(
        lines[1].starts_with("snugfs: plan.filesystem.size: ") && lines[1].ends_with(" (sub/p.json:5:13)")
    );
    // With two plans, the message names the wrong one.
    workspace.write("good.json", empty_plan().to_string());
    for arguments in [
        ["explain", "good.json", "--compare", "sub/p.json"],
        ["explain", "sub/p.json", "--compare", "good.json"],
    ] {
        workspace.snugfs(arguments).failed_with(3).says("(sub/p.json:4:5)");
    }
    // Later stages report missing sources; they no longer have the plan's text.
    let mut plan = plan_of_entries(json!({ "/k": { "type": "file", "source": "none" } }));
    plan["output"] = json!({});
    workspace.write("missing.json", serde_json::to_string_pretty(&plan).unwrap());
    workspace
        .snugfs(["check", "missing.json"])
        .failed_with(5)
        .says("plan.entries.\"/k\".source: ")
        .says("(missing.json:");
    // A warning has its place, too; a file that is called like a field has none.
    plan["entries"] = json!({});
    plan["trees"] = json!([{ "source": "." }]);
    workspace.write("plan.json", serde_json::to_string_pretty(&plan).unwrap());
    let run = workspace.snugfs(["build", "plan.json", "-o", "plan.img"]).succeeded();
    let warning =
        run.stderr.lines().find(|line| line.starts_with("snugfs: warning: plan.trees[0]: ")).unwrap();
    assert!(warning.contains(" (plan.json:"), "{warning}");
    workspace.snugfs(["build", "plan.json", "-o", "plan.bz2"]).failed_with(2);
    assert!(!workspace.snugfs(["build", "plan.json", "-o", "plan.bz2"]).stderr.contains("(plan.json"));
}

#[test]
fn json_messages_are_objects() {
    let workspace = Workspace::new();
    workspace.write("p.json", WRONG);
    for arguments in [
        &["build", "p.json", "--message-format", "json"][..],
        &["--message-format=json", "check", "p.json"],
        &["size", "--message-format", "json", "p.json", "--progress", "plain"],
    ] {
        let run = workspace.snugfs(arguments);
        assert_eq!((run.code, run.text()), (3, ""));
        let shown = objects(&run);
        assert_eq!(
            shown[0],
            json!({
                "level": "error", "exitCode": 3,
                "at": "plan.filesystem.lable", "what": "unknown field", "help": "did you mean \"label\"?",
                "location": { "file": "p.json", "line": 4, "column": 5 }
            })
        );
        assert_eq!(shown.len(), 2);
    }
    workspace.write("broken.json", "{\n  \"version\" 1\n}");
    let run = workspace.snugfs(["check", "broken.json", "--message-format", "json"]);
    assert_eq!(objects(&run)[0]["location"], json!({ "file": "broken.json", "line": 2, "column": 13 }));
    let run = workspace.snugfs(["check", "--message-format", "json", "--what"]);
    assert_eq!((run.code, &objects(&run)[0]["at"]), (2, &json!("command line")));
    workspace.write("good.json", empty_plan().to_string());
    let run = workspace.snugfs(["build", "good.json", "--message-format", "json"]).succeeded();
    let shown = objects(&run);
    assert_eq!((shown.len(), &shown[0]["level"], &shown[0]["at"]), (1, &json!("note"), &json!("plan.img")));
}

#[test]
fn check_gives_its_result_as_json() {
    let workspace = Workspace::new();
    workspace.write("p.json", WRONG);
    let result = |run: &Run| serde_json::from_slice::<Value>(&run.stdout).unwrap();
    let run = workspace.snugfs(["check", "p.json", "--json"]);
    let wrong = result(&run);
    assert_eq!((run.code, &wrong["ok"], &wrong["exitCode"]), (3, &json!(false), &json!(3)));
    assert_eq!(wrong["problems"][1]["location"], json!({ "file": "p.json", "line": 5, "column": 13 }));
    workspace.write("good.json", empty_plan().to_string());
    let good = result(&workspace.snugfs(["check", "good.json", "--json"]).succeeded());
    let size = workspace.snugfs(["size", "good.json", "--json"]).succeeded();
    assert_eq!((&good["ok"], &good["problems"]), (&json!(true), &json!([])));
    assert_eq!(good["image"]["bytes"], result(&size)["image"]["bytes"]);
}

#[test]
fn quiet_keeps_errors_warnings_and_results() {
    let workspace = Workspace::with_plan(&empty_plan());
    for arguments in
        [&["build", "plan.json", "-q"][..], &["-q", "check", "plan.json"], &["verify", "plan.img", "--quiet"]]
    {
        let run = workspace.snugfs(arguments).succeeded();
        assert_eq!((run.text(), run.stderr.as_str()), ("", ""), "{arguments:?}");
    }
    assert!(!workspace.snugfs(["size", "plan.json", "-q"]).succeeded().text().is_empty());
    workspace.snugfs(["check", "none.json", "-q"]).failed_with(5);
}

#[test]
fn other_files_than_plans_and_images_are_recognised() {
    let workspace = Workspace::with_plan(&empty_plan());
    for (name, bytes, says) in [
        ("p.yaml", &b"version: 1\n"[..], "p.yaml:1:1: is YAML, not JSON; convert it: yq -o json"),
        ("p.nix", b"{ lib }:\n{ }\n", "p.nix:1:3: is Nix, not JSON; evaluate it: "),
        ("p.gz", b"\x1f\x8b\x08\0", "p.gz:1:1: is compressed by gzip; "),
        (
            "commented.json",
            b"{\n  // why\n}",
            "commented.json:2:3: has a comment, which JSON does not know; remove it",
        ),
    ] {
        workspace.write(name, bytes);
        workspace.snugfs(["check", name]).failed_with(3).says(says);
    }
    for (bytes, says) in [
        (&[0; 9000][..], "x.img: does not contain ext4: it begins with zeros; name an image of this plan"),
        (b"", "is empty; name an image"),
        (b"BZh9", "is compressed by bzip2"),
        (b"\x1f\x8b\x08\0", "gzip: the compressed image is truncated"),
    ] {
        workspace.write("x.img", bytes);
        let run = workspace.snugfs(["verify", "x.img", "--against", "plan.json"]);
        assert!(matches!(run.code, 5 | 8) && run.stderr.lines().count() == 1, "{}", run.stderr);
        run.says(says);
    }
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "~/root" }]));
    workspace.snugfs(["check", "plan.json"]).failed_with(5).says("~ and $NAME are not expanded in a plan");
    let page =
        Workspace::with_plan(&empty_plan()).snugfs(["explain", "plan.json", "--html", "-"]).succeeded();
    assert!(page.text().starts_with("<!DOCTYPE html>"));
}

/// The names of all fields that the schema has anywhere below an object, at any depth.
fn fields(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                found.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| fields(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

/// The plan fields that a source file names: in strings such as `plan.trees[{index}].source` (`trees` and `source`), and as steps
/// of a `Location`.
fn named_fields(source: &str) -> Vec<(String, String)> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut named = Vec::new();
    for line in lines {
        for step in [".key(\"", "::field(\""] {
            let keys =
                line.match_indices(step).filter_map(|(at, _)| line[at + step.len()..].split('"').next());
            named.extend(keys.map(|key| (key.to_owned(), line.trim().to_owned())));
        }
        for (at, _) in line.match_indices("plan.") {
            // In strings, not a variable of the program.
            let before = line[..at].chars().next_back().unwrap_or(' ');
            let is_text = line[..at].matches('"').count() % 2 == 1;
            let is_word = before.is_ascii_alphanumeric() || "_-./{&*(!".contains(before);
            if !is_text || is_word {
                continue;
            }
            let path: String = line[at + 5..]
                .chars()
                .take_while(|next| next.is_ascii_alphanumeric() || ".[]{}".contains(*next))
                .collect();
            for part in path.trim_end_matches('.').split('.') {
                let name = part.split(['[', '{']).next().unwrap_or_default();
                if !name.is_empty() {
                    named.push((name.to_owned(), line.trim().to_owned()));
                }
            }
        }
    }
    named
}

/// Whether a source file is of a crate that knows plans.
fn knows_plans(path: &Path) -> bool {
    ["snugfs-plan", "boot-loaders", "snugfs", "snugfs-core"]
        .iter()
        .any(|name| path.starts_with(repository().join("crates").join(name)))
}

#[test]
fn libraries_below_the_plan_name_no_fields() {
    let mut open = vec![repository().join("crates")];
    let mut count = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() && !path.ends_with("tests") && !path.ends_with("fuzz-bodies") {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension() == Some(Path::new("rs").as_os_str()) && !knows_plans(&path) {
            let source = std::fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let named: Vec<_> = lines.filter(|line| line.contains("\"plan.")).collect();
            assert!(named.is_empty(), "{}: {named:?}", path.display());
            count += 1;
        }
    }
    assert!(count > 100, "only {count} files were found");
}

#[test]
fn fields_that_messages_name_exist() {
    let schema = Workspace::new().snugfs(["schema"]).succeeded();
    let mut known = BTreeSet::new();
    fields(&serde_json::from_slice(&schema.stdout).unwrap(), &mut known);
    let mut count = 0;
    let mut open = vec![repository().join("crates")];
    while let Some(path) = open.pop() {
        let is_tests = path.ends_with("tests") || path.ends_with("fuzz-bodies");
        if path.is_dir() && !is_tests {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension() == Some(Path::new("rs").as_os_str()) && knows_plans(&path) {
            for (name, line) in named_fields(&std::fs::read_to_string(&path).unwrap()) {
                // Files of examples.
                if ["json", "schema", "img"].contains(&name.as_str()) {
                    continue;
                }
                assert!(known.contains(&name), "{}: there is no field {name}: {line}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 50, "only {count} fields were found");
}

/// Also within a line, and in the JSON of `check`.
#[test]
fn problems_of_a_plan_are_in_the_order_of_its_text() {
    let workspace = Workspace::new();
    workspace.write(
        "p.json",
        r#"{ "versoin": 1, "trees": [ { "sorce": "a", "target": 5 } ], "disk": 1, "entries": 2 }"#,
    );
    let columns: Vec<u64> = objects(&workspace.snugfs(["build", "p.json", "--message-format", "json"]))
        .iter()
        .filter_map(|problem| problem["location"]["column"].as_u64())
        .collect();
    assert!(columns.len() > 4 && columns.is_sorted(), "{columns:?}");
    let checked = workspace.snugfs(["check", "p.json", "--json"]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let problems = checked["problems"].as_array().unwrap();
    let again: Vec<u64> =
        problems.iter().filter_map(|problem| problem["location"]["column"].as_u64()).collect();
    assert_eq!(again, columns);
}

#[test]
fn a_problem_of_a_path_names_its_file_system_and_its_field() {
    let large = "A".repeat(8000);
    let entry = json!({ "type": "file", "text": "x", "xattrs": { "user.a": large } });
    let volumes = [
        (json!({ "entries": { "/etc/conf": entry } }), "entries.\"/etc/conf\".xattrs"),
        (
            json!({
                "entries": { "/etc/conf": { "type": "file", "text": "x" } },
                "attributes": { "/etc/conf": { "xattrs": { "user.a": large } } },
            }),
            "attributes.\"/etc/conf\".xattrs",
        ),
    ];
    for (volume, field) in volumes {
        let mut bare = volume.clone();
        bare["version"] = json!(1);
        let mut content = volume.clone();
        content["kind"] = json!("ext4");
        content["filesystem"] = json!({ "uuid": UUID });
        let disk = json!({ "version": 1, "disk": { "table": "gpt", "partitions": [
            { "type": "linux", "content": { "kind": "root" } }, { "type": "linux", "content": content },
        ] } });
        for (plan, place) in [(bare, "plan"), (disk, "plan.disk.partitions[1].content")] {
            let workspace = Workspace::with_plan(&plan);
            let expected = format!("snugfs: {place}.{field}: its extended attribute takes ");
            let run = workspace.snugfs(["build", "plan.json", "-o", "x.img"]).failed_with(6);
            assert!(run.stderr.lines().any(|line| line.starts_with(&expected)), "{}", run.stderr);
            let run = workspace.snugfs(["check", "plan.json", "--message-format", "json"]);
            let json: Value = serde_json::from_str(run.stderr.lines().next().unwrap()).unwrap();
            assert_eq!(json["at"], json!(format!("{place}.{field}")));
            assert!(!json["location"].is_null(), "{json}");
        }
    }
}
