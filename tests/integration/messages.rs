//! What is told on standard error, for people and for programs.

use serde_json::{Value, json};

use crate::support::{Run, Workspace, empty_plan, plan_of_entries};

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
    // Of two plans the wrong one is named.
    workspace.write("good.json", empty_plan().to_string());
    for arguments in [
        ["explain", "good.json", "--compare", "sub/p.json"],
        ["explain", "sub/p.json", "--compare", "good.json"],
    ] {
        workspace.snugfs(arguments).failed_with(3).says("(sub/p.json:4:5)");
    }
    // What is missing is looked for by stages that no longer have the text.
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
    workspace.snugfs(["build", "plan.json", "-o", "plan.gz"]).failed_with(2);
    assert!(!workspace.snugfs(["build", "plan.json", "-o", "plan.gz"]).stderr.contains("(plan.json"));
}

#[test]
fn messages_for_programs_are_objects() {
    let workspace = Workspace::new();
    workspace.write("p.json", WRONG);
    for arguments in [
        &["build", "p.json", "--message-format", "json"][..],
        &["--message-format=json", "check", "p.json"],
        &["size", "--message-format", "json", "p.json", "--progress", "plain"],
    ] {
        let run = workspace.snugfs(arguments);
        assert_eq!((run.code, run.text()), (3, ""));
        let told = objects(&run);
        assert_eq!(
            told[0],
            json!({
                "level": "error", "exitCode": 3,
                "at": "plan.filesystem.lable", "what": "unknown field", "help": "did you mean \"label\"?",
                "location": { "file": "p.json", "line": 4, "column": 5 }
            })
        );
        assert_eq!(told.len(), 2);
    }
    workspace.write("broken.json", "{\n  \"version\" 1\n}");
    let run = workspace.snugfs(["check", "broken.json", "--message-format", "json"]);
    assert_eq!(objects(&run)[0]["location"], json!({ "file": "broken.json", "line": 2, "column": 13 }));
    let run = workspace.snugfs(["check", "--message-format", "json", "--what"]);
    assert_eq!((run.code, &objects(&run)[0]["at"]), (2, &json!("command line")));
    workspace.write("good.json", empty_plan().to_string());
    let run = workspace.snugfs(["build", "good.json", "--message-format", "json"]).succeeded();
    let told = objects(&run);
    assert_eq!((told.len(), &told[0]["level"], &told[0]["at"]), (1, &json!("note"), &json!("plan.img")));
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
fn quiet_leaves_errors_warnings_and_results() {
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
