//! Targets of a report. A report never damages another file.

use std::os::unix::fs::FileTypeExt;

use serde_json::json;

use crate::support::{Run, Workspace, debugfs, empty_plan, sha256, tool};

#[test]
fn a_report_never_replaces_the_image_or_the_plan() {
    let workspace = Workspace::with_plan(&empty_plan());
    let plan = workspace.read("plan.json");
    std::os::unix::fs::symlink("out.img", workspace.path("link")).unwrap();
    for (report, code, message) in [
        (
            "./out.img",
            2,
            "snugfs: --report: ./out.img is also the image (-o); choose another name for the report\n",
        ),
        (
            "../no/such/folder/out.img",
            7,
            "snugfs: ../no/such/folder/out.img: its folder does not exist; create it first\n",
        ),
        ("link", 2, "snugfs: --report: link is also the image (-o); choose another name for the report\n"),
        (
            "plan.json",
            2,
            "snugfs: --report: plan.json is also the plan; choose another name for the report\n",
        ),
    ] {
        let run = workspace.snugfs(["build", "plan.json", "-o", "out.img", "--report", report]);
        assert_eq!(run.failed_with(code).stderr, message, "{report}");
        assert!(!workspace.names().contains(&"out.img".to_owned()), "{report}: nothing was written");
    }
    assert_eq!(workspace.read("plan.json"), plan);
}

#[test]
fn a_report_that_can_not_be_written_is_an_error_before_the_image() {
    let workspace = Workspace::with_plan(&empty_plan());
    std::fs::create_dir(workspace.path("folder")).unwrap();
    let long = "n".repeat(256);
    for report in ["folder", "absent/report.json", long.as_str()] {
        workspace.snugfs(["build", "plan.json", "-o", "out.img", "--report", report]).failed_with(7);
        assert!(!workspace.names().contains(&"out.img".to_owned()), "{report}: nothing was written");
    }
}

#[test]
fn devices_and_links_stay_what_they_are() {
    let workspace = Workspace::with_plan(&empty_plan());
    let node = workspace.path("null");
    Run::of(std::process::Command::new(tool("mknod")).arg(&node).args(["c", "1", "3"])).succeeded();
    workspace.snugfs(["build", "plan.json", "-o", "out.img", "--report", "null"]).succeeded();
    assert!(node.symlink_metadata().unwrap().file_type().is_char_device());
    std::os::unix::fs::symlink("report.json", workspace.path("link")).unwrap();
    workspace.snugfs(["build", "plan.json", "-o", "out.img", "--report", "link"]).succeeded();
    assert!(workspace.path("link").symlink_metadata().unwrap().is_symlink());
    assert_eq!(workspace.read_json("report.json")["version"], 1);
    // A name of 250 bytes leaves no room for a longer temporary one.
    let long = "n".repeat(250);
    workspace.snugfs(["build", "plan.json", "-o", "out.img", "--report", &long]).succeeded();
    assert_eq!(workspace.read_json(&long)["version"], 1);
}

#[test]
fn any_name_that_ends_in_zst_selects_compression() {
    let workspace = Workspace::with_plan(&empty_plan());
    for name in ["out.img.zst", ".zst"] {
        workspace.snugfs(["build", "plan.json", "-o", name]).succeeded();
        assert_eq!(workspace.read(name)[..4], [0x28, 0xb5, 0x2f, 0xfd], "{name}");
    }
    workspace.snugfs(["build", "plan.json", "-o", "folder/."]).failed_with(7);
}

#[test]
fn a_report_says_what_made_the_image_and_of_which_plan() {
    let workspace = Workspace::with_small_example();
    workspace.build("out.img", ["--report", "report.json"]);
    let report = workspace.read_json("report.json");
    let size: serde_json::Value =
        serde_json::from_str(workspace.snugfs(["size", "plan.json", "--json"]).succeeded().text()).unwrap();
    for said in [&report, &size] {
        assert_eq!(said["program"]["snugfs"], env!("CARGO_PKG_VERSION"));
        assert_eq!(said["program"]["zstd"], zstd::zstd_safe::version_string());
        assert!(said["program"]["sqlite"].as_str().unwrap().starts_with("3."), "{said}");
        assert_eq!(said["plan"]["sha256"], sha256(&workspace.read("plan.json")));
    }
    // The digest is that of the plan's file.
    let spaced = [b" ".to_vec(), workspace.read("plan.json")].concat();
    let run =
        workspace.snugfs_with_input(["build", "-", "-o", "out.img", "--report", "report.json"], &spaced);
    run.succeeded();
    assert_eq!(workspace.read_json("report.json")["plan"]["sha256"], sha256(&spaced));
}

#[test]
fn raw_digest_adds_the_digest_of_the_uncompressed_image() {
    let workspace = Workspace::with_small_example();
    let image = workspace.build("out.img", []);
    let raw = sha256(&std::fs::read(image).unwrap());
    for threads in ["1", "3"] {
        for (name, more) in [
            ("out.img", None),
            ("out.img.zst", None),
            ("out.img.zst", Some("--raw-digest")),
            ("out.img", Some("--raw-digest")),
        ] {
            let arguments =
                ["build", "plan.json", "-o", name, "--report", "report.json", "--threads", threads];
            workspace.snugfs(arguments.into_iter().chain(more)).succeeded();
            let image = &workspace.read_json("report.json")["image"];
            assert_eq!(image["sha256"], sha256(&workspace.read(name)));
            assert_eq!(image.get("rawSha256"), more.map(|_| serde_json::json!(raw)).as_ref(), "{name}");
        }
    }
    workspace.snugfs(["build", "plan.json", "-o", "out.img", "--raw-digest"]).failed_with(2);
    workspace.change_plan(|plan| plan["output"]["format"] = serde_json::json!("qcow2"));
    let arguments = ["build", "plan.json", "-o", "x.qcow2", "--report", "report.json", "--raw-digest"];
    workspace.snugfs(arguments).failed_with(2).says("--raw-digest");
}

#[test]
fn the_report_lists_files_that_a_later_tree_replaces() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.write("one/a", "1");
    workspace.write("two/a", "22");
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "one" }, { "source": "two" }]));
    workspace.snugfs(["size", "plan.json"]).failed_with(3).says("makes /a too");
    workspace.change_plan(|plan| plan["trees"][1]["overlap"] = json!("later-wins"));
    workspace.build("x.img", ["--report", "x.json"]);
    assert_eq!(
        workspace.read_json("x.json")["contents"]["replaced"],
        json!([{ "path": "/a", "tree": 0, "by": 1 }])
    );
    assert_eq!(debugfs(&workspace.path("x.img"), "cat /a"), "22");
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "two" }]));
    workspace.build("y.img", ["--report", "y.json"]);
    assert_eq!(workspace.read("x.img"), workspace.read("y.img"));
    assert!(workspace.read_json("y.json")["contents"].get("replaced").is_none());
}
