//! An output never replaces an input, and is not part of the image.

use std::fs::{self, File, OpenOptions};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{LoopDevice, Run, Workspace, assert_sound, empty_plan, sorted_names};

/// A plan that reads all kinds of files, and the map of its image.
fn workspace() -> Workspace {
    let workspace = Workspace::with_plan(&json!({
        "version": 1,
        "filesystem": { "freeSpace": 0 },
        "trees": [{ "source": "src" }],
        "entries": { "/e": { "type": "file", "source": "one" } },
        "output": { "bmap": true }
    }));
    workspace.write("src/f", "secret");
    workspace.write("one", "one");
    workspace
}

/// Everything in the folder, to see that nothing changed.
fn contents(workspace: &Workspace) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut open = vec![String::new()];
    while let Some(folder) = open.pop() {
        for name in sorted_names(&workspace.path(&folder)) {
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if workspace.path(&name).is_dir() {
                open.push(name);
            } else {
                // A symlink may lead nowhere.
                all.push((name.clone(), fs::read(workspace.path(&name)).unwrap_or_default()));
            }
        }
    }
    all
}

#[track_caller]
fn refused(workspace: &Workspace, arguments: &[&str], says: &str) {
    let before = contents(workspace);
    workspace.snugfs(arguments).failed_with(2).says(says);
    assert_eq!(contents(workspace), before, "{arguments:?}");
}

#[test]
fn outputs_that_are_inputs_or_other_outputs_are_refused() {
    let workspace = workspace();
    std::os::unix::fs::symlink("src/f", workspace.path("link")).unwrap();
    fs::hard_link(workspace.path("one"), workspace.path("again")).unwrap();
    for (arguments, says) in [
        (
            &["-o", "plan.json"][..],
            "snugfs: -o: plan.json is also the plan; choose another name for the image",
        ),
        (&["-o", "./src/../plan.json"], "is also the plan"),
        (
            &["-o", "one"],
            "snugfs: -o: one is also plan.entries.\"/e\".source; choose another name for the image",
        ),
        (&["-o", "again"], "-o: again is also plan.entries.\"/e\".source"),
        (
            &["-o", "src/f"],
            "-o: src/f is a file of plan.trees[0] (src) and does not look like an earlier output",
        ),
        (&["-o", "link"], "-o: link is a file of plan.trees[0] (src)"),
        (&["-o", "x.img", "--report", "one"], "--report: one is also plan.entries.\"/e\".source"),
        (&["-o", "x.img", "--report", "src/f"], "--report: src/f is a file of plan.trees[0]"),
        (&["-o", "x.img", "--report", "x.img"], "--report: x.img is also the image (-o)"),
        (
            &["-o", "x.img", "--report", "x.img.bmap"],
            "x.img.bmap is also the map of the image (plan.output.bmap)",
        ),
        (&["-o", "x.img", "--report", "plan.json"], "--report: plan.json is also the plan"),
    ] {
        refused(&workspace, &[&["build", "plan.json"], arguments].concat(), says);
    }
    fs::rename(workspace.path("plan.json"), workspace.path("x.img.bmap")).unwrap();
    refused(&workspace, &["build", "x.img.bmap", "-o", "x.img"], "x.img.bmap is also the plan");
    fs::rename(workspace.path("x.img.bmap"), workspace.path("plan.json")).unwrap();
    refused(&workspace, &["explain", "plan.json", "--html", "one"], "--html: one is also plan.entries");
    workspace.change_plan(|plan| plan["output"] = json!({ "path": "one" }));
    for command in ["build", "size", "check", "explain"] {
        refused(
            &workspace,
            &[command, "plan.json"],
            "plan.output.path: one is also plan.entries.\"/e\".source",
        );
    }
}

#[test]
fn every_file_that_a_plan_names_is_compared() {
    let workspace = Workspace::with_plan(&json!({
        "version": 1,
        "closure": { "registration": "reg", "storePaths": "paths", "sourceDir": "store" },
        "disk": {
            "table": "mbr",
            "partitions": [
                { "type": "83", "content": { "kind": "root" } },
                { "type": "da", "content": { "kind": "raw", "source": "raw" } },
                { "type": "0c", "size": "64MiB", "content": { "kind": "fat", "source": "boot" } },
                { "type": "83", "content": { "kind": "ext4", "entries": { "/f": { "type": "file", "source": "f" } } } }
            ],
            "blobs": [{ "source": "blob", "offset": "4KiB" }]
        }
    }));
    for name in ["reg", "paths", "raw", "boot/kernel", "f", "blob"] {
        workspace.write(name, "");
    }
    workspace.write("boot/kernel", "Linux");
    for (name, field) in [
        ("reg", "plan.closure.registration"),
        ("paths", "plan.closure.storePaths"),
        ("raw", "plan.disk.partitions[1].content.source"),
        ("boot/kernel", "a file of plan.disk.partitions[2].content (boot)"),
        ("f", "plan.disk.partitions[3].content.entries.\"/f\".source"),
        ("blob", "plan.disk.blobs[0].source"),
    ] {
        refused(&workspace, &["build", "plan.json", "-o", name], field);
    }
    let store = Workspace::with_small_example();
    let inside = "store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0/share/x.img";
    refused(
        &store,
        &["build", "plan.json", "-o", inside],
        "is in a store path of the closure, i1jjwb3gkf5brq",
    );
    store.build("store/x.img", []);
}

#[test]
fn an_output_in_a_tree_is_skipped() {
    let workspace = workspace();
    workspace.change_plan(|plan| plan["output"]["path"] = json!("src/x.img"));
    fs::create_dir(workspace.path("src/deep")).unwrap();
    let before = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
    let build = || workspace.snugfs(["build", "plan.json", "--report", "src/deep/report"]).succeeded();
    build().says("warning: plan.trees[0]: src/x.img is skipped, because the image is written there");
    let (image, map) = (workspace.read("src/x.img"), workspace.read("src/x.img.bmap"));
    assert_sound(&workspace.path("src/x.img"));
    workspace.write("src/.x.img.snugfs-77-0", "left by a run that was killed");
    build().says("src/deep/report is skipped");
    assert_eq!(workspace.read("src/x.img"), image);
    assert_eq!(workspace.read("src/x.img.bmap"), map);
    fs::remove_file(workspace.path("src/deep/report")).unwrap();
    let after: Value =
        serde_json::from_slice(&workspace.snugfs(["size", "plan.json", "--json"]).succeeded().stdout)
            .unwrap();
    let before: Value = serde_json::from_slice(&before.stdout).unwrap();
    assert_eq!(after["image"]["bytes"], before["image"]["bytes"]);
    assert_eq!(after["image"]["bytes"], json!(image.len()));
    workspace.snugfs(["check", "plan.json"]).succeeded();
    let listed = workspace.snugfs(["inspect", "src/x.img", "ls"]).succeeded();
    assert_eq!(listed.text(), "deep\ne\nf\nlost+found\n");
    workspace.snugfs(["verify", "src/x.img", "--against", "plan.json"]).succeeded();
}

#[test]
fn an_output_that_would_change_a_tree_is_refused() {
    let workspace = workspace();
    workspace.write("src/sub/g", "g");
    workspace.change_plan(|plan| plan["trees"][0]["times"] = json!("keep"));
    refused(
        &workspace,
        &["build", "plan.json", "-o", "src/sub/x.img"],
        "in a subfolder of plan.trees[0] (src)",
    );
    // The time of the tree's own folder is ignored.
    workspace.build("src/x.img", []);
    // A hard link of a tree's file is replaced without a change of that file.
    fs::hard_link(workspace.path("src/f"), workspace.path("linked")).unwrap();
    workspace.build("linked", []);
    assert_eq!(workspace.read("src/f"), b"secret");
}

#[test]
fn redirected_streams_are_outputs_too() {
    let workspace = workspace();
    workspace.change_plan(|plan| plan["output"] = json!({}));
    let run = |arguments: &[&str], to: &str| {
        let file = OpenOptions::new().append(true).create(true).open(workspace.path(to)).unwrap();
        Run::from(workspace.command(arguments).stdout(file).stderr(Stdio::piped()).output().unwrap())
    };
    for to in ["plan.json", "one"] {
        let before = workspace.read(to);
        run(&["size", "plan.json"], to).failed_with(2).says("; redirect it elsewhere");
        assert_eq!(workspace.read(to), before);
    }
    run(&["build", "plan.json", "-o", "-"], "src/x.img").succeeded().says("x.img is skipped");
    assert_sound(&workspace.path("src/x.img"));
    let listed = workspace.snugfs(["inspect", "src/x.img", "ls"]).succeeded();
    assert_eq!(listed.text(), "e\nf\nlost+found\n");
    // Messages would become bytes of the image.
    let both = File::create(workspace.path("both")).unwrap();
    let mut command = workspace.command(["build", "plan.json", "-o", "-"]);
    command.stdout(both.try_clone().unwrap()).stderr(both);
    assert_eq!(command.status().unwrap().code(), Some(2));
    assert!(String::from_utf8(workspace.read("both")).unwrap().contains("is also the image (-o -)"));
    fs::copy(workspace.path("plan.json"), workspace.path("p")).unwrap();
    let mut command = workspace.command(["build", "-", "-o", "p"]);
    Run::of(command.stdin(File::open(workspace.path("p")).unwrap()))
        .failed_with(2)
        .says("-o: p is also the plan");
}

#[test]
fn manual_pages_are_replaced_and_not_written_through() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.snugfs(["man", "man"]).succeeded();
    let page = workspace.path("man/man1/snugfs.1");
    fs::remove_file(&page).unwrap();
    workspace.write("mine", "mine");
    fs::hard_link(workspace.path("mine"), &page).unwrap();
    workspace.snugfs(["man", "man"]).succeeded();
    assert_eq!(workspace.read("mine"), b"mine");
    assert!(fs::read_to_string(&page).unwrap().contains(".TH"));
}

#[test]
fn a_loop_device_is_the_file_behind_it() {
    let mut plan = empty_plan();
    plan["trees"] = json!([{ "source": "files" }]);
    plan["entries"] = json!({ "/copy": { "type": "file", "source": "other" } });
    let workspace = Workspace::with_plan(&plan);
    let length = 64 << 20;
    for (name, also) in [
        ("files/card", "which is a file of plan.trees[0]"),
        ("other", "is also plan.entries.\"/copy\".source"),
    ] {
        workspace.write("files/card", vec![b'a'; 4096]);
        workspace.write("other", vec![b'b'; 4096]);
        let path = workspace.path(name);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let device = LoopDevice::new(&path, "512");
        let run = workspace.snugfs(["build", "plan.json", "--device", "-o", &device.device]).failed_with(2);
        assert!(run.stderr.contains(also), "{}", run.stderr);
        drop(device);
        let found = workspace.read(name);
        assert!(found[0] != 0 && found[4095] == found[0] && found[4096..].iter().all(|&byte| byte == 0));
    }
    // A file that is not an input may become an image, but not also a report.
    let card = workspace.write("card", vec![0; usize::try_from(length).unwrap()]);
    let device = LoopDevice::new(&card, "512");
    let arguments = ["build", "plan.json", "--device", "-o", &device.device, "--report", "card"];
    workspace.snugfs(arguments).failed_with(2).says("--report: card is also the image (-o)");
    workspace.snugfs(&arguments[..5]).succeeded();
}

#[test]
fn verify_also_skips_an_image_in_its_own_tree_and_its_temporary_files() {
    let mut plan = empty_plan();
    plan["trees"] = json!([{ "source": "files" }]);
    let workspace = Workspace::with_plan(&plan);
    workspace.write("files/kept", "kept");
    workspace.write("files/.x.img.snugfs-data/important", "important");
    workspace.write("files/.x.img.snugfs-12", "one number");
    workspace.write("files/.x.img.snugfs-12-0", "a temporary name");
    workspace.snugfs(["build", "plan.json", "-o", "files/x.img"]).succeeded();
    let listed = workspace.snugfs(["inspect", "files/x.img", "ls"]).succeeded();
    for (name, is_there) in [
        ("kept", true),
        (".x.img.snugfs-data", true),
        (".x.img.snugfs-12\n", true),
        (".x.img.snugfs-12-0", false),
        ("x.img\n", false),
    ] {
        assert_eq!(listed.text().contains(name), is_there, "{name}: {}", listed.text());
    }
    workspace.snugfs(["verify", "files/x.img", "--against", "plan.json"]).succeeded();
    assert_sound(&workspace.path("files/x.img"));
}

#[test]
fn a_page_replaces_nothing_that_the_other_plan_reads() {
    let workspace = Workspace::with_plan(&empty_plan());
    let mut other = empty_plan();
    other["entries"] = json!({ "/one": { "type": "file", "source": "one" } });
    other["trees"] = json!([{ "source": "src" }]);
    workspace.write("other.json", other.to_string());
    workspace.write("one", "one");
    workspace.write("src/two", "two");
    for (page, says) in
        [("one", "is also plan.entries.\"/one\".source"), ("src/two", "is a file of plan.trees[0]")]
    {
        let arguments = ["explain", "plan.json", "--compare", "other.json", "--html", page];
        let run = workspace.snugfs(arguments).failed_with(2);
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
    assert_eq!((workspace.read("one"), workspace.read("src/two")), (b"one".to_vec(), b"two".to_vec()));
    let arguments = ["explain", "plan.json", "--compare", "other.json", "--html", "page.html"];
    workspace.snugfs(arguments).succeeded();
}

#[test]
fn the_map_of_an_earlier_image_gives_a_warning() {
    let workspace = workspace();
    workspace.snugfs(["build", "plan.json", "-o", "x.img"]).succeeded();
    workspace.change_plan(|plan| plan["output"] = json!({}));
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img"]).succeeded();
    run.says("warning: x.img.bmap: is the map of an earlier image");
    fs::remove_file(workspace.path("x.img.bmap")).unwrap();
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img"]).succeeded();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}
