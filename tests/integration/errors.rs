//! Every error is one line with an exit code, and leaves no image.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::sources::{as_user, users_workspace};
use crate::support::{Run, Workspace, empty_plan, plan_of_entries, repository, sorted_names};

/// The stems of the files in a folder that end in `.expected`; at least one.
fn cases(folder: &Path) -> BTreeSet<String> {
    let names = sorted_names(folder);
    let stems: BTreeSet<String> =
        names.iter().filter_map(|name| name.strip_suffix(".expected")).map(str::to_owned).collect();
    assert!(!stems.is_empty(), "no cases in {}", folder.display());
    stems
}

fn expected_lines(folder: &Path, stem: &str) -> String {
    let expected = std::fs::read_to_string(folder.join(format!("{stem}.expected"))).unwrap();
    // Errors in a plan's text begin with the name of its file, which `snugfs-plan` does not know.
    let named = |line: &str| match line.strip_prefix("plan:") {
        Some(place) if place.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("plan.json:{place}")
        }
        _ => line.to_owned(),
    };
    expected.lines().fold(String::new(), |all, line| format!("{all}snugfs: {}\n", named(line)))
}

#[test]
fn wrong_plans_give_one_line_per_problem() {
    let folder = repository().join("tests/plans/bad");
    for stem in cases(&folder) {
        let workspace = Workspace::new();
        workspace.write("plan.json", std::fs::read(folder.join(format!("{stem}.json"))).unwrap());
        for command in ["check", "size", "build"] {
            let run = workspace.snugfs([command, "plan.json"]).failed_with(3);
            // The program sorts them by their places in the text: `messages` tests that.
            let [found, expected] = [run.without_places(), expected_lines(&folder, &stem)].map(|text| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort_unstable();
                lines
            });
            assert_eq!(found, expected, "{stem}");
        }
        assert_eq!(workspace.names(), ["plan.json"], "{stem}");
    }
}

#[test]
fn a_missing_plan_exits_with_5() {
    let workspace = Workspace::new();
    let shown =
        "snugfs: none.json: can't be read: no such file or directory; name a plan, or - for standard input\n";
    for command in ["check", "size", "build"] {
        assert_eq!(workspace.snugfs([command, "none.json"]).failed_with(5).stderr, shown);
    }
    workspace.snugfs(["check", "."]).failed_with(5).says("snugfs: .: can't be read: is a directory");
    workspace.snugfs(["check", "-"]).failed_with(3);
}

#[test]
fn files_of_a_closure_are_named_with_their_field() {
    for (field, file) in [("registration", "closure/registration"), ("storePaths", "closure/store-paths")] {
        let workspace = Workspace::with_small_example();
        std::fs::remove_file(workspace.path(file)).unwrap();
        let run = workspace.snugfs(["build", "plan.json"]).failed_with(5);
        let shown = format!("snugfs: plan.closure.{field}: {file} can't be read: no such file or directory;");
        assert!(run.stderr.starts_with(&shown), "{}", run.stderr);
    }
}

#[test]
fn a_store_path_that_is_missing_or_altered_is_a_wrong_closure() {
    let greeting = "store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0";
    let text = format!("{greeting}/share/greeting/en.txt");

    let missing = Workspace::with_small_example();
    std::fs::remove_dir_all(missing.path(greeting)).unwrap();
    missing.snugfs(["check", "plan.json"]).failed_with(4).says("greeting-2.0");

    let longer = Workspace::with_small_example();
    longer.write(&text, "Hello from a snug image, and eight more bytes.\n");
    longer
        .snugfs(["check", "plan.json"])
        .failed_with(4)
        .says("its NAR has 1104 bytes, but 1088 are registered");

    // The same length: only the hash differs.
    let other = Workspace::with_small_example();
    other.write(&text, "Hello from a snug imago.\n");
    for command in ["check", "build"] {
        other
            .snugfs([command, "plan.json", "--progress", "none"])
            .failed_with(4)
            .says("its NAR hash is sha256:");
    }
    other.change_plan(|plan| plan["closure"]["verify"] = json!("size"));
    other.snugfs(["check", "plan.json"]).succeeded();
    assert!(!other.path("small.img").exists(), "{:?}", other.names());

    let neither = Workspace::with_small_example();
    neither.write(&text, "Another length.\n");
    neither.change_plan(|plan| plan["closure"]["verify"] = json!("none"));
    neither.build("unverified.img", []);
}

#[test]
fn wrong_registrations_give_one_line_per_problem() {
    let folder = repository().join("tests/registrations/bad");
    for stem in cases(&folder) {
        let workspace = Workspace::new();
        let input = |extension: &str| {
            let name = format!("{stem}.{extension}");
            let bytes = std::fs::read(folder.join(&name)).ok()?;
            workspace.write(&name, bytes);
            Some(name)
        };
        let mut plan = empty_plan();
        plan["closure"] = json!({ "sourceDir": "store" });
        for (field, extension) in
            [("graph", "graph.json"), ("registration", "registration"), ("storePaths", "store-paths")]
        {
            if let Some(name) = input(extension) {
                plan["closure"][field] = json!(name);
            }
        }
        workspace.write("plan.json", plan.to_string());
        let before = workspace.names();
        for command in ["check", "build"] {
            let run = workspace.snugfs([command, "plan.json"]).failed_with(4);
            assert_eq!(run.without_places(), expected_lines(&folder, &stem), "{stem}");
        }
        assert_eq!(workspace.names(), before, "{stem}");
    }
}

#[test]
fn sources_that_are_missing_are_all_named() {
    let workspace = Workspace::with_plan(&{
        let mut plan = plan_of_entries(json!({ "/kernel": { "type": "file", "source": "no-kernel" } }));
        plan["trees"] = json!([{ "source": "no-folder", "target": "/" }]);
        plan
    });
    let run = workspace.snugfs(["check", "plan.json"]).failed_with(5);
    assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
    assert!(run.stderr.contains("no-kernel") && run.stderr.contains("no-folder"), "{}", run.stderr);
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    // Root may read every file.
    let workspace = users_workspace();
    let plan = plan_of_entries(json!({ "/secret": { "type": "file", "source": "secret" } }));
    workspace.write("plan.json", plan.to_string());
    let secret = workspace.write("secret", "x");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let run = Run::of(&mut as_user(&workspace, &["./snugfs", "build", "plan.json"])).failed_with(5);
    let expected = "snugfs: secret: can't be read: permission denied; run snugfs as a user who may read it (its owner, a member \
                    of its group, root), or with \"podman unshare\" if a rootless container made it\n";
    assert_eq!(run.stderr, expected);
    assert_eq!(workspace.names(), ["plan.json", "secret", "snugfs"]);
}

#[test]
fn contents_that_do_not_fit_are_an_error_with_the_needed_size() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.change_plan(|plan| plan["filesystem"]["size"] = json!("1MiB"));
    for command in ["check", "size", "build"] {
        let run = workspace.snugfs([command, "plan.json", "--progress", "none"]).failed_with(6);
        let shown =
            "snugfs: plan.filesystem.size: 1.0 MiB is too little: contents, metadata and free space need ";
        assert!(run.stderr.starts_with(shown), "{command}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{command}: {}", run.stderr);
    }
    assert_eq!(workspace.names(), ["plan.json"]);
}

#[test]
fn invalid_json_is_an_error_with_file_line_and_column() {
    let workspace = Workspace::new();
    let text = "{ \"version\": 1,\n  }";
    workspace.write("plans/board.json", text);
    let shown = |name: &str| format!("snugfs: {name}:2:3: not JSON: trailing comma; correct it\n");
    let run = workspace.snugfs(["check", "plans/board.json"]).failed_with(3);
    assert_eq!(run.stderr, shown("plans/board.json"));
    let run = workspace.snugfs_with_input(["check", "-"], text.as_bytes()).failed_with(3);
    assert_eq!(run.stderr, shown("standard input"));

    let mut plan = empty_plan();
    plan["closure"] = json!({ "graph": "graph.json", "sourceDir": "store" });
    workspace.write("plan.json", plan.to_string());
    workspace.write("graph.json", "[\n[}");
    let run = workspace.snugfs(["check", "plan.json"]).failed_with(4);
    assert_eq!(run.stderr, "snugfs: graph.json:2:2: not JSON: expected value; write the graph again\n");
}
