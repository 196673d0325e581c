//! `plan.filesystem.seal`: only the contents, and read-only for good.

use serde_json::{Value, json};

use crate::support::{Workspace, assert_sound, debugfs};

fn sealed_example() -> Workspace {
    let workspace = Workspace::with_small_example();
    workspace.change_plan(|plan| {
        plan["filesystem"] = json!({ "seal": true, "label": "SEALED", "uuid": crate::support::UUID });
    });
    workspace
}

#[test]
fn a_sealed_image_has_only_its_contents() {
    let workspace = sealed_example();
    let image = workspace.build("sealed.img", ["--report", "report.json"]);
    let report = workspace.read_json("report.json");
    let filesystem = &report["filesystem"];
    assert_eq!(filesystem["freeBlocks"], json!(0));
    assert!(filesystem["freeInodes"].as_u64().unwrap() < 16, "{filesystem}");
    assert_eq!(filesystem["journalBlocks"], json!(0));
    assert_eq!(filesystem["reservedGdtBlocks"], json!(0));
    let features: Vec<&str> =
        filesystem["features"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(features.contains(&"read-only") && !features.contains(&"has_journal"), "{features:?}");
    assert_eq!(report["warnings"], json!([]));
    // One block for each: superblock, descriptors, two bitmaps; the root has one more for /lost+found.
    let blocks = image.metadata().unwrap().len() / 4096;
    let overhead: u64 = report["overhead"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let files = blocks - overhead;
    assert!(files > 0 && overhead < 60, "{report}");
    assert!(debugfs(&image, "stats").contains("read-only"));
    assert!(debugfs(&image, "stat /lost+found").contains("Size: 4096"));

    let shown: Value =
        serde_json::from_str(workspace.snugfs(["size", "plan.json", "--json"]).succeeded().text()).unwrap();
    assert_eq!(shown["image"]["bytes"], report["image"]["bytes"]);
    let hostname = assert_sound(&image).read("/etc/hostname").unwrap();
    assert_eq!(hostname, b"board\n");
}

#[test]
fn a_sealed_image_is_smaller_than_one_without_promises() {
    let workspace = sealed_example();
    let sealed = workspace.build("sealed.img", []).metadata().unwrap().len();
    workspace.change_plan(|plan| {
        plan["filesystem"] = json!({
            "freeSpace": 0, "freeInodes": 0, "growTo": null, "bytesPerInode": "64MiB", "journalSize": 0
        });
    });
    let open = workspace.build("open.img", []).metadata().unwrap().len();
    // Three blocks of /lost+found.
    assert_eq!(open - sealed, 3 * 4096);
}

#[test]
fn the_read_only_feature_is_refused_with_a_journal_or_growth_reserve() {
    let workspace = Workspace::with_small_example();
    let image = workspace.build("open.img", []);
    crate::support::Run::of(
        std::process::Command::new(crate::support::tool("debugfs"))
            .args(["-w", "-R", "feature read-only"])
            .arg(&image),
    )
    .succeeded();
    workspace.snugfs(["verify", "open.img"]).failed_with(8).says("do not go with the feature read-only");
}

#[test]
fn a_sealed_file_system_need_not_fill_its_partition() {
    let workspace = sealed_example();
    let alone = std::fs::read(workspace.build("alone.img", [])).unwrap();
    workspace.change_plan(|plan| {
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "linux", "start": "1MiB", "size": "8MiB", "content": { "kind": "root" } }
        ] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    workspace.snugfs(["verify", "disk.img"]).succeeded();
    let disk = workspace.read("disk.img");
    let partition = &disk[1 << 20..9 << 20];
    assert!(partition[..alone.len()] == alone, "the file system is another");
    assert!(partition[alone.len()..].iter().all(|byte| *byte == 0), "there is something behind it");

    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["size"] = json!("64KiB"));
    workspace
        .snugfs(["build", "plan.json", "-o", "small.img"])
        .failed_with(6)
        .says("plan.disk.partitions[0]");
}
