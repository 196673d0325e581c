//! `plan.closure.deduplicate`: files of the store with equal contents become one inode.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::store::{base_name, plan, record, store_path, write};
use crate::support::{Workspace, assert_sound, debugfs, sha256};

/// Three store paths with equal files between and within them.
fn workspace(backwards: bool, linked: bool) -> Workspace {
    let workspace = Workspace::new();
    let long = "long ".repeat(10_000);
    let mut files = vec![
        ("a", "doc/licence", "free\n", false),
        ("a", "doc/licence.copy", "free\n", false),
        ("a", "empty", "", false),
        ("a", "long", &long, false),
        ("b", "bin/licence", "free\n", true),
        ("b", "empty", "", false),
        ("b", "licence", "free\n", false),
        ("b", "other", "fr33\n", false),
        ("c", "", &long, false),
    ];
    if backwards {
        files.reverse();
    }
    for (name, below, text, executable) in files {
        write(&workspace, name, below, text, executable);
    }
    if linked {
        let [from, to] = ["doc/licence", "doc/licence.copy"]
            .map(|below| workspace.path("store").join(base_name("a")).join(below));
        std::fs::remove_file(&to).unwrap();
        std::fs::hard_link(from, to).unwrap();
    }
    let records =
        [record(&workspace, "a", &["b"]), record(&workspace, "b", &[]), record(&workspace, "c", &[])];
    let mut plan = plan(&records);
    plan["closure"]["deduplicate"] = json!(true);
    // Equal files outside of the store are not linked.
    plan["entries"] =
        json!({ "/a": { "type": "file", "text": "free\n" }, "/b": { "type": "file", "text": "free\n" } });
    workspace.write("plan.json", plan.to_string());
    workspace
}

/// Number and count of names of an inode.
fn inode(image: &std::path::Path, path: &str) -> (u32, u32) {
    let text = debugfs(image, &format!("stat {path}"));
    let after = |label: &str| {
        let rest = text.split(label).nth(1).unwrap_or_else(|| panic!("{label} is not in: {text}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    (after("Inode:"), after("Links:"))
}

fn inodes(image: &std::path::Path) -> BTreeMap<String, (u32, u32)> {
    let paths = [
        ("a", "/doc/licence"),
        ("a", "/doc/licence.copy"),
        ("a", "/empty"),
        ("a", "/long"),
        ("b", "/bin/licence"),
        ("b", "/empty"),
        ("b", "/licence"),
        ("b", "/other"),
        ("c", ""),
    ];
    let store = paths.map(|(name, below)| (format!("{name}{below}"), store_path(name) + below));
    let entries = ["/a", "/b"].map(|path| (path.to_owned(), path.to_owned()));
    store.into_iter().chain(entries).map(|(name, path)| (name, inode(image, &path))).collect()
}

#[test]
fn equal_files_of_the_store_are_one_inode_and_no_others() {
    let workspace = workspace(false, false);
    let image = workspace.build("out.img", ["--report", "report.json"]);
    let inodes = inodes(&image);
    let names = |of: &str| inodes.values().filter(|inode| **inode == inodes[of]).count();
    for (file, count) in
        [("a/doc/licence", 3), ("a/empty", 2), ("a/long", 2), ("b/bin/licence", 1), ("b/other", 1)]
    {
        assert_eq!(names(file), count, "{file}: {inodes:?}");
        assert_eq!(usize::try_from(inodes[file].1).unwrap(), count, "{file}: {inodes:?}");
    }
    assert_eq!((names("/a"), names("/b")), (1, 1));

    let contents = &workspace.read_json("report.json")["contents"];
    assert_eq!(contents["deduplicated"], json!({ "files": 4, "bytes": 50_010 }));
    assert_eq!((&contents["hardLinks"], &contents["files"]), (&json!(4), &json!(8)));
    let shown: Value =
        serde_json::from_str(workspace.snugfs(["size", "plan.json", "--json"]).succeeded().text()).unwrap();
    assert_eq!(&shown["contents"], contents);
    assert!(workspace.snugfs(["size", "plan.json"]).succeeded().text().contains("  deduplicated "));

    let loaded = assert_sound(&image);
    assert_eq!(loaded.read(format!("{}/licence", store_path("b")).as_str()).unwrap(), b"free\n");
    let with = image.metadata().unwrap().len();
    workspace.change_plan(|plan| plan["closure"]["deduplicate"] = json!(false));
    let without = workspace.build("without.img", ["--report", "without.json"]).metadata().unwrap().len();
    assert!(with < without, "{with} and {without}");
    assert_eq!(workspace.read_json("without.json")["contents"].get("deduplicated"), None);
}

#[test]
fn contents_decide_not_the_hard_links_of_the_host() {
    let [plain, other] = [workspace(false, false), workspace(true, true)];
    plain.build("out.img", ["--threads", "1"]);
    other.build("out.img", ["--threads", "7"]);
    assert!(sha256(&plain.read("out.img")) == sha256(&other.read("out.img")), "two stores, two images");
}

#[test]
fn files_with_different_attributes_are_not_linked() {
    let workspace = workspace(false, false);
    workspace.change_plan(|plan| {
        plan["attributes"] = json!({ (store_path("b")): { "uid": 7, "recursive": true } });
    });
    let inodes = inodes(&workspace.build("out.img", []));
    assert_eq!(inodes["a/doc/licence"], inodes["a/doc/licence.copy"]);
    assert_ne!(inodes["a/doc/licence"].0, inodes["b/licence"].0);
    assert_ne!(inodes["a/empty"].0, inodes["b/empty"].0);
}

#[test]
fn hashes_are_still_compared_for_every_output() {
    let good = workspace(false, false);
    let raw = std::fs::read(good.build("out.img", [])).unwrap();
    assert!(good.snugfs(["build", "plan.json", "-o", "-"]).succeeded().stdout == raw);
    good.snugfs(["check", "plan.json"]).succeeded();
    // A file that is equal to another, and one that is not.
    for (name, below) in [("b", "licence"), ("b", "other")] {
        let bad = workspace(false, false);
        let file = bad.path("store").join(base_name(name)).join(below);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "FREE\n").unwrap();
        for way in ["out.img", "out.img.zst", "-"] {
            let run = bad.snugfs(["build", "plan.json", "-o", way]).failed_with(4);
            run.says(&format!("snugfs: {}: its NAR hash is", store_path(name)));
        }
        bad.snugfs(["check", "plan.json"]).failed_with(4);
    }
}

#[test]
fn every_file_system_of_a_disk_is_deduplicated_separately() {
    let workspace = workspace(false, false);
    workspace.change_plan(|plan| {
        let content = json!({
            "kind": "ext4", "closure": plan["closure"], "filesystem": { "growTo": null, "freeSpace": 0 }
        });
        plan["closure"]["deduplicate"] = json!(false);
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "linux", "content": { "kind": "root" } }, { "type": "linux", "content": content }
        ] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--report", "report.json"]).succeeded();
    let report = workspace.read_json("report.json");
    let partitions = &report["disk"]["partitions"];
    assert_eq!(partitions[0].get("deduplicated"), None);
    assert_eq!(partitions[1]["deduplicated"], json!({ "files": 4, "bytes": 50_010 }));
    workspace.snugfs(["verify", "disk.img"]).succeeded();
}
