//! `explain`: sizes that add up to the image, reasons, comparisons, the page.

use serde_json::{Value, json};

use crate::support::{Run, Workspace, assert_sound, empty_plan, plan_of_entries, repository};

const SYSTEM: &str = "5l448ds6ndqs0ncnpdljmksj740rmwlz-board-system-25.11";

fn explained(workspace: &Workspace, plan: &str) -> Value {
    serde_json::from_str(workspace.snugfs(["explain", plan, "--json"]).succeeded().text()).unwrap()
}

fn sum(values: &Value, bytes: impl Fn(&Value) -> &Value) -> u64 {
    let values: Vec<&Value> = match values {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        other => panic!("{other}"),
    };
    values.into_iter().map(|value| bytes(value).as_u64().unwrap()).sum()
}

fn named<'v>(list: &'v Value, key: &str, value: &str) -> &'v Value {
    list.as_array().unwrap().iter().find(|one| one[key] == value).unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn parts_add_up_to_the_image_that_is_built() {
    let workspace = Workspace::with_small_example();
    let found = explained(&workspace, "plan.json");
    let system = &found["filesystems"][0];
    let image = workspace.build("small.img", []);
    let bytes = std::fs::metadata(image).unwrap().len();
    assert_eq!(found["image"]["bytes"], bytes);
    assert_eq!(sum(&system["parts"], |bytes| bytes), bytes);
    assert_eq!(sum(&system["areas"], |area| &area["bytes"]), bytes);
    assert_eq!(
        sum(&system["storePaths"], |path| &path["bytes"]),
        system["parts"]["storePaths"].as_u64().unwrap()
    );
    let contents = sum(&system["contents"], |bytes| bytes);
    let both = ["storePaths", "otherFiles"].map(|kind| system["parts"][kind].as_u64().unwrap());
    assert_eq!(contents, both.iter().sum::<u64>());
    // `stat` of a file and its directories, by another reader: hello-board-1.2 has two files in four directories.
    let hello = named(&system["storePaths"], "name", "hello-board");
    assert_eq!(hello["bytes"], (2 + 5) * 4096);
}

#[test]
fn exclusive_sizes_and_reasons_are_those_of_the_references() {
    let workspace = Workspace::with_small_example();
    let found = explained(&workspace, "plan.json");
    let paths = &found["filesystems"][0]["storePaths"];
    let bytes = |name, key| named(paths, "name", name)[key].as_u64().unwrap();
    let system = named(paths, "name", "board-system");
    assert_eq!((&system["root"], &system["reachedFrom"]), (&json!(true), &Value::Null));
    assert_eq!(
        bytes("board-system", "exclusiveBytes"),
        sum(paths, |path| &path["bytes"]),
        "all is there through it"
    );
    // hello-board is referred to by init and profile: it leaves with neither.
    for name in ["board-init", "board-profile"] {
        assert_eq!(bytes(name, "exclusiveBytes"), bytes(name, "bytes"), "{name}");
        assert_eq!(named(paths, "name", name)["onlyThrough"], SYSTEM, "{name}");
    }
    let hello = named(paths, "name", "hello-board");
    assert_eq!(hello["onlyThrough"], SYSTEM);
    assert_eq!(hello["referrers"].as_array().unwrap().len(), 2);
    assert_eq!(bytes("greeting", "exclusiveBytes"), bytes("greeting", "bytes"));
}

#[test]
fn tables_fit_a_terminal_and_contain_the_answers() {
    let workspace = Workspace::with_small_example();
    let text = workspace.snugfs(["explain", "plan.json"]).succeeded();
    for word in [
        "store paths",
        "itself",
        "exclusive",
        "none (a root)",
        "journal",
        "reserve for growth",
        "up to 64.0 GiB",
        "promised 4.0 MiB",
        "largest directories outside of the store",
        "ways to make the image smaller",
        "freeSpace 0",
        "total",
    ] {
        assert!(text.text().contains(word), "{word} is not in {}", text.text());
    }
    let limited = workspace.snugfs(["explain", "plan.json", "--limit", "1"]).succeeded();
    assert!(limited.text().contains("4 smaller paths"), "{}", limited.text());
    let why = workspace.snugfs(["explain", "plan.json", "--why", "greeting", "--why", SYSTEM]).succeeded();
    for word in [
        "greeting-2.0",
        "-> board-profile-1.4",
        "is a root",
        "referred to by 2 paths",
        "not be there without",
    ] {
        assert!(why.text().contains(word), "{word} is not in {}", why.text());
    }
    let compared = workspace.snugfs(["explain", "plan.json", "--compare", "plan.json"]).succeeded();
    assert!(compared.text().contains("5 paths unchanged"), "{}", compared.text());
    assert!(compared.text().contains("The size did not change: "), "{}", compared.text());
    for run in [&text, &limited, &why, &compared] {
        for line in run.text().lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line.trim_end(), line, "spaces at the end");
        }
    }
}

#[test]
fn an_unknown_name_is_a_usage_error_with_a_suggestion() {
    let workspace = Workspace::with_small_example();
    let run = workspace.snugfs(["explain", "plan.json", "--why", "greet"]).failed_with(2);
    run.says("--why: no store path has the name greet; did you mean greeting-2.0?");
    workspace.snugfs(["explain", "plan.json", "--why", "i1jj"]).succeeded();
    workspace.snugfs(["explain", "plan.json", "--why", "x\u{1b}[0m"]).failed_with(2);
    workspace.snugfs(["explain", "plan.json", "--json", "--html", "x.html"]).failed_with(2);
}

/// Copies a store path of the example under another name and hash, and registers it in the place of the first.
fn replace_greeting(workspace: &Workspace, base_name: &str, more: usize) {
    const OLD: &str = "i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0";
    let store = workspace.path("store");
    std::fs::rename(store.join(OLD), store.join(base_name)).unwrap();
    std::fs::write(store.join(base_name).join("more"), vec![b'x'; more]).unwrap();
    for file in ["closure/registration", "closure/store-paths"] {
        let text = String::from_utf8(workspace.read(file)).unwrap().replace(OLD, base_name);
        workspace.write(file, text);
    }
    workspace.change_plan(|plan| plan["closure"]["verify"] = json!("none"));
}

#[test]
fn another_version_is_one_row_and_a_report_works_like_a_plan() {
    let before = Workspace::with_small_example();
    before.snugfs(["build", "plan.json", "-o", "a.img", "--report", "built.json"]).succeeded();
    assert_sound(&before.path("a.img"));
    let sized = before.snugfs(["size", "plan.json", "--json"]).succeeded();
    before.write("sized.json", sized.text());

    let after = Workspace::with_small_example();
    replace_greeting(&after, "00000000000000000000000000000000-greeting-2.1", 40_000);
    let old = |name: &str| before.path(name).to_str().unwrap().to_owned();
    let compare = |other: &str| after.snugfs(["explain", "plan.json", "--compare", &old(other)]).succeeded();
    let run = compare("built.json");
    let line = run.text().lines().find(|line| line.contains("greeting")).unwrap();
    assert!(line.contains("greeting 2.0 -> 2.1") && line.ends_with("+40.0 KiB"), "{line}");
    assert!(run.text().contains("4 paths unchanged"), "{}", run.text());
    assert_eq!(run.text(), compare("sized.json").text());
    assert_eq!(run.text(), compare("plan.json").text());

    let other = old("sized.json");
    let json = after.snugfs(["explain", "plan.json", "--compare", &other, "--json"]).succeeded();
    let json: Value = serde_json::from_str(json.text()).unwrap();
    for side in ["before", "after"] {
        let paths = sum(&json["storePaths"], |path| &path[side]["bytes"]);
        let others = sum(&json["others"], |other| &other[side]);
        assert_eq!(json[side]["bytes"], paths + others, "{side}");
    }
}

#[test]
fn an_inconsistent_report_is_refused_and_other_json_is_read_as_a_plan() {
    let workspace = Workspace::with_small_example();
    let mut report: Value =
        serde_json::from_str(workspace.snugfs(["size", "plan.json", "--json"]).succeeded().text()).unwrap();
    report["storePaths"] = Value::Null;
    workspace.write("old.json", report.to_string());
    let compare = |other: &str| workspace.snugfs(["explain", "plan.json", "--compare", other]);
    compare("old.json").failed_with(5).says("old.json: the report is incomplete");
    workspace
        .snugfs(["explain", "old.json"])
        .failed_with(2)
        .says("old.json: is a report, not a plan; name a plan");
    workspace.write("none.json", "[]");
    compare("none.json").failed_with(3);
    compare("absent.json").failed_with(5);
}

#[test]
fn all_of_a_disk_is_explained_and_compared() {
    let workspace = Workspace::new();
    let plan = repository().join("examples/sd-card/plan.json");
    let plan = plan.to_str().unwrap();
    let found = explained(&workspace, plan);
    let root = &found["filesystems"][0];
    assert_eq!(sum(&root["parts"], |bytes| bytes), root["bytes"].as_u64().unwrap());
    let partitions = sum(&found["disk"]["partitions"], |partition| &partition["bytes"]);
    assert!(partitions < found["image"]["bytes"].as_u64().unwrap());
    let text = workspace.snugfs(["explain", plan, "--compare", plan]).succeeded();
    for word in ["partition 1: fat FIRMWARE", "blobs", "table and gaps"] {
        assert!(text.text().contains(word), "{word} is not in {}", text.text());
    }
    let text = workspace.snugfs(["explain", plan]).succeeded();
    assert!(text.text().contains("== plan (NIXOS_SD)"), "{}", text.text());
    assert!(text.text().lines().all(|line| line.chars().count() <= 80), "{}", text.text());
}

fn page(workspace: &Workspace) -> (Run, String) {
    let run = workspace.snugfs(["explain", "plan.json", "--html", "page.html"]).succeeded();
    let page = String::from_utf8(workspace.read("page.html")).unwrap();
    (run, page)
}

#[test]
fn a_page_is_reproducible_and_loads_nothing() {
    let workspace = Workspace::with_small_example();
    let (run, one) = page(&workspace);
    assert!(run.text().is_empty() && run.stderr.contains("page.html: a page of "), "{}", run.stderr);
    assert_eq!(one, page(&workspace).1);
    assert!(one.contains("default-src 'none'; script-src 'sha256-"), "a content security policy");
    for word in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!one.contains(word), "{word} would load something");
    }
    assert_eq!(one.matches("<script").count(), 2, "the data and the script");
}

#[test]
fn a_page_shows_what_grew_and_shrank_since_a_report_or_a_plan() {
    let workspace = Workspace::with_small_example();
    let report = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
    workspace.write("old.json", &report.stdout);
    workspace.write("twin.json", workspace.read("plan.json"));
    let data = |other: &str| -> Value {
        let arguments = ["explain", "plan.json", "--compare", other, "--html", "page.html"];
        workspace.snugfs(arguments).succeeded();
        let page = String::from_utf8(workspace.read("page.html")).unwrap();
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        serde_json::from_str(rest.split_once("</script").unwrap().0).unwrap()
    };
    for other in ["old.json", "twin.json"] {
        let data = data(other);
        assert_eq!((&data["compare"]["name"], &data["compare"]["rows"]), (&json!(other), &json!([])));
        // Parent, name, bytes, kind, store path, bytes before.
        for node in data["nodes"].as_array().unwrap().iter().filter(|node| node.get(5).is_some()) {
            assert_eq!(node[2], node[5], "{node}");
        }
    }
    workspace.change_plan(|plan| plan["filesystem"]["freeSpace"] = json!("9MiB"));
    let data = data("old.json");
    let free = named_row(&data, "free");
    assert!(free[2].as_u64() > free[1].as_u64(), "{free}");
    let arguments = ["explain", "old.json", "--compare", "plan.json", "--html", "page.html"];
    workspace.snugfs(arguments).failed_with(2).says("old.json: is a report, not a plan; name a plan");
    let arguments = ["explain", "plan.json", "--compare", "old.json", "--html", "old.json"];
    workspace.snugfs(arguments).failed_with(2).says("is also the file of --compare");
    assert_eq!(workspace.read("old.json"), report.stdout);
}

/// A row of a page's comparison: name, bytes before, bytes after, store path.
fn named_row<'d>(data: &'d Value, name: &str) -> &'d Value {
    let rows = data["compare"]["rows"].as_array().unwrap();
    rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{rows:?}"))
}

#[test]
fn hostile_names_are_text_in_a_page() {
    let mut plan = plan_of_entries(json!({
        "/<!--<script>&\u{2028}": { "type": "file", "text": "x" },
        "/\u{1b}[31m": { "type": "file", "text": "x" },
    }));
    plan["filesystem"]["label"] = json!("</script><b>");
    let workspace = Workspace::with_plan(&plan);
    let (_, page) = page(&workspace);
    assert_eq!(page.matches("</script").count(), 2, "only those of the page itself");
    assert!(!page.contains("<!--") && page.contains("<title>&lt;/script&gt;&lt;b&gt;</title>"), "escaped");
    assert!(!page.contains(['\u{2028}', '\u{1b}']), "escaped");
    let text = workspace.snugfs(["explain", "plan.json"]).succeeded();
    assert!(!text.text().contains('\u{1b}') && text.text().contains("\\x1b[31m"), "{}", text.text());
}

#[test]
fn a_page_that_can_not_be_written_is_an_error_and_keeps_the_old_file() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.snugfs(["explain", "plan.json", "--html", "absent/page.html"]).failed_with(7);
    workspace.write("page.html", "old");
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "absent", "target": "/" }]));
    workspace.snugfs(["explain", "plan.json", "--html", "page.html"]).failed_with(5);
    assert_eq!(workspace.read("page.html"), b"old");
    assert_eq!(workspace.names(), ["page.html", "plan.json"]);
}
