//! Where a report may go, and that it never costs anything else.

use std::os::unix::fs::FileTypeExt;

use crate::support::{Run, Workspace, empty_plan, tool};

#[test]
fn a_report_never_takes_the_place_of_the_image_or_the_plan() {
    let workspace = Workspace::with_plan(&empty_plan());
    let plan = workspace.read("plan.json");
    std::os::unix::fs::symlink("out.img", workspace.path("link")).unwrap();
    for report in ["./out.img", "../no/such/folder/out.img", "link", "plan.json"] {
        let run = workspace.snugfs(["build", "plan.json", "-o", "out.img", "--report", report]);
        assert_ne!(run.code, 0, "{report}");
        assert!(!workspace.names().contains(&"out.img".to_owned()), "{report}: nothing was written");
    }
    assert_eq!(workspace.read("plan.json"), plan);
}

#[test]
fn a_report_that_can_not_be_written_is_told_before_the_image() {
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
fn any_name_that_ends_in_zst_asks_for_compression() {
    let workspace = Workspace::with_plan(&empty_plan());
    for name in ["out.img.zst", ".zst"] {
        workspace.snugfs(["build", "plan.json", "-o", name]).succeeded();
        assert_eq!(workspace.read(name)[..4], [0x28, 0xb5, 0x2f, 0xfd], "{name}");
    }
    workspace.snugfs(["build", "plan.json", "-o", "folder/."]).failed_with(7);
}
