//! Every folder of `examples/` builds, is correct, and has its golden digest.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::disks::{cut, sfdisk};
use crate::support::{Run, Workspace, assert_sound, copy_folder, repository, sha256, sorted_names};

#[test]
fn every_example_builds_is_correct_and_has_its_golden_digest() {
    let examples = repository().join("examples");
    let workspace = Workspace::new();
    // Examples take sources from one another. In the copy, modes do not depend on how it was checked out.
    copy_folder(&examples, &workspace.path("examples"));
    let mut digests = String::new();
    for name in sorted_names(&examples) {
        let readme = String::from_utf8(workspace.read(&format!("examples/{name}/README.md"))).unwrap();
        assert!(
            readme.contains(&format!("build examples/{name}/plan.json")),
            "{name}: README.md does not build it"
        );
        let plan = workspace.read_json(&format!("examples/{name}/plan.json"));
        workspace.snugfs(["check", &format!("examples/{name}/plan.json")]).succeeded();
        workspace.snugfs(["build", &format!("examples/{name}/plan.json"), "-o", "image"]).succeeded();
        writeln!(digests, "{}  {name}", sha256(&workspace.read("image"))).unwrap();
        judge(&workspace, &plan);
    }
    let pinned = repository().join("tests/golden/examples.sha256");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&pinned, digests).unwrap();
        return;
    }
    assert_eq!(
        digests,
        std::fs::read_to_string(&pinned).unwrap(),
        "the bytes of images changed; if that is meant, run with UPDATE_EXPECTED=1 and say so in CHANGELOG.md"
    );
}

/// Checks the image with other tools: its container, its table, and each file system.
fn judge(workspace: &Workspace, plan: &Value) {
    let image = workspace.path("image");
    if plan["output"]["format"] == "qcow2" {
        Run::of(Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(&image)).succeeded();
        let raw = workspace.path("raw");
        let mut convert = Command::new("qemu-img");
        Run::of(convert.args(["convert", "-f", "qcow2", "-O", "raw"]).args([&image, &raw])).succeeded();
        std::fs::rename(raw, &image).unwrap();
    }
    if plan["disk"].is_null() {
        assert_sound(&image);
        return;
    }
    judge_table(&image, plan["disk"]["table"] == "gpt");
    let (_, partitions) = sfdisk(&image);
    let planned = plan["disk"]["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), planned.len());
    let bytes = workspace.read("image");
    for ((start, length, _), planned) in partitions.into_iter().zip(planned) {
        let partition = workspace.write("partition", cut(&bytes, start, length));
        match planned["content"]["kind"].as_str() {
            Some("root" | "ext4") => drop(assert_sound(&partition)),
            Some("fat") => {
                let run = Run::of(Command::new("fsck.vfat").arg("-n").arg(&partition)).succeeded();
                assert_eq!(
                    run.text().lines().count(),
                    2,
                    "only its name and the count of files: {}",
                    run.text()
                );
            }
            _ => {}
        }
    }
}

/// Checks the partition table with sfdisk or sgdisk.
fn judge_table(image: &Path, gpt: bool) {
    let (judge, verdict) =
        if gpt { ("sgdisk", "No problems found") } else { ("sfdisk", "No errors detected") };
    let run = Run::of(Command::new(judge).arg("--verify").arg(image)).succeeded();
    assert!(run.text().contains(verdict), "{}", run.text());
}
