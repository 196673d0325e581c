//! `snugfs verify`: correct images, and wrong ones.

use std::os::unix::fs::FileExt;

use serde_json::{Value, json};

use crate::support::{Workspace, plan_of_entries};

fn with_image() -> Workspace {
    let workspace = Workspace::with_plan(&plan_of_entries(json!({
        "/etc/hostname": { "type": "file", "text": "board\n" },
        "/etc/link": { "type": "symlink", "target": "hostname" },
    })));
    workspace.build("plan.img", []);
    workspace
}

/// Sets a bit of a file.
fn flip(workspace: &Workspace, name: &str, at: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(workspace.path(name)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn a_correct_image_gives_one_line_or_nothing() {
    let workspace = with_image();
    let shown = workspace.snugfs(["verify", "plan.img"]).succeeded();
    assert!(shown.text().starts_with("ok: ") && shown.stderr.is_empty(), "{shown:?}");
    let quiet = workspace.snugfs(["verify", "-q", "plan.img"]).succeeded();
    assert!(quiet.text().is_empty() && quiet.stderr.is_empty(), "{quiet:?}");
}

#[test]
fn a_wrong_image_exits_with_8_and_names_the_code() {
    let workspace = with_image();
    flip(&workspace, "plan.img", 1024 + 0x10);
    let run = workspace.snugfs(["verify", "plan.img"]).failed_with(8);
    run.says("(superblock-checksum)").says("(superblock-free-inodes)");
    let run = workspace.snugfs(["verify", "--json", "plan.img"]);
    assert_eq!(run.code, 8);
    let json: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((json["ok"].as_bool(), json["sound"].as_bool()), (Some(false), Some(false)));
    assert_eq!(json["volumes"][0]["counts"]["superblock-checksum"], 1);
}

#[test]
fn what_the_format_allows_is_a_note_for_used_images() {
    let workspace = with_image();
    flip(&workspace, "plan.img", 3000);
    workspace.snugfs(["verify", "plan.img"]).failed_with(8).says("(metadata-padding)");
    let workspace = with_image();
    let length = workspace.path("plan.img").metadata().unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(workspace.path("plan.img")).unwrap();
    file.write_all_at(&[1], length).unwrap();
    workspace.snugfs(["verify", "plan.img"]).failed_with(8).says("(trailing-data)");
    workspace.snugfs(["verify", "plan.img", "--used"]).succeeded().says("note: plan.img: ");
}

#[test]
fn an_invalid_partition_table_is_a_problem() {
    let workspace = with_image();
    let build = |name: &str| {
        workspace.change_plan(|plan| {
            plan["disk"] = json!({ "table": "gpt", "partitions": [
                { "type": "linux", "name": name, "content": { "kind": "root" } },
            ] });
        });
        workspace.snugfs(["build", "plan.json", "-o", name]).succeeded();
        workspace.snugfs(["verify", name]).succeeded();
        std::fs::read(workspace.path(name)).unwrap()
    };
    let (good, other) = (build("a.img"), build("b.img"));
    // The type of the protective MBR's entry, where it begins, the record's signature.
    for at in [450, 454, 510] {
        workspace.write("bad.img", &good);
        flip(&workspace, "bad.img", at);
        workspace.snugfs(["verify", "bad.img"]).failed_with(8).says("no protective MBR");
    }
    // A valid backup of another table.
    let backup = good.len() - 33 * 512;
    workspace.write("bad.img", [&good[..backup], &other[backup..]].concat());
    workspace
        .snugfs(["verify", "bad.img"])
        .failed_with(8)
        .says("the backup of the partition table differs from it");
    // A valid header at the place of the other one.
    let mut swapped = good.clone();
    swapped.copy_within(good.len() - 512.., 512);
    workspace.write("bad.img", &swapped);
    workspace.snugfs(["verify", "bad.img"]).failed_with(8).says("is missing or invalid");
}

#[test]
fn what_is_no_image_is_told() {
    let workspace = Workspace::new();
    workspace.write("text", "x".repeat(5000));
    workspace.snugfs(["verify", "text"]).failed_with(8).says("(superblock-magic)");
    workspace.snugfs(["verify", "absent"]).failed_with(5);
}

#[test]
fn a_difference_from_the_plan_is_no_damage() {
    let workspace = with_image();
    workspace.change_plan(|plan| plan["entries"]["/etc/hostname"]["mode"] = json!("0600"));
    let run = workspace.snugfs(["verify", "--json", "plan.img", "--against", "plan.json"]);
    assert_eq!(run.code, 8);
    let found: Value = serde_json::from_slice(&run.stdout).unwrap();
    let verdict = [&found["ok"], &found["sound"], &found["plan"]["holds"]].map(Value::as_bool);
    assert_eq!(verdict, [Some(false), Some(true), Some(false)]);
}

/// The backup of a GPT must be in the last sector, so a file can't be longer by any number of bytes.
#[test]
fn a_file_ends_with_the_backup_of_its_gpt() {
    let workspace = with_image();
    workspace.change_plan(|plan| {
        plan["disk"] =
            json!({ "table": "gpt", "partitions": [{ "type": "linux", "content": { "kind": "root" } }] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    let good = workspace.read("disk.img");
    for (more, code) in [(0, 0), (1, 8), (511, 8), (512, 8), (4096, 8)] {
        workspace.write("long.img", [good.clone(), vec![0; more]].concat());
        let run = workspace.snugfs(["verify", "long.img"]);
        assert_eq!(run.code, code, "{more} more bytes: {run:?}");
        assert!(code == 0 || run.stderr.contains("is not at the end"), "{run:?}");
    }
}

/// Whether `verify` without a plan finds a damaged ext4 on a disk: as a problem (`Some`, with its code), or as a warning.
#[test]
fn a_damaged_superblock_on_a_disk_is_not_silent() {
    const BACKUP: u64 = 32768 * 4096;
    for (table, size, is_long) in [("gpt", "200MiB", true), ("mbr", "200MiB", true), ("gpt", "60MiB", false)]
    {
        let workspace = with_image();
        workspace.change_plan(|plan| {
            plan["filesystem"]["size"] = json!(size);
            plan["disk"] = json!({ "table": table, "partitions": [
                { "type": "linux", "content": { "kind": "root" } },
                { "type": "linux", "size": "1MiB" },
            ] });
        });
        workspace.snugfs(["build", "plan.json", "-o", "good.img", "--report", "report"]).succeeded();
        let run = workspace.snugfs(["verify", "-q", "good.img"]).succeeded();
        assert!(run.stderr.is_empty(), "an empty partition is no reason for a warning: {}", run.stderr);
        let start = workspace.read_json("report")["disk"]["partitions"][0]["start"].as_u64().unwrap();
        let damaged = |places: &[(u64, usize)]| {
            std::fs::copy(workspace.path("good.img"), workspace.path("bad.img")).unwrap();
            let file = std::fs::OpenOptions::new().write(true).open(workspace.path("bad.img")).unwrap();
            for (at, len) in places {
                file.write_all_at(&vec![0; *len], start + at).unwrap();
            }
            workspace.snugfs(["verify", "-q", "bad.img"])
        };
        let code = "partition 1: superblock: has no magic number";
        damaged(&[(1080, 1)]).failed_with(8).says(code);
        damaged(&[(1080, 2), (BACKUP, 4096)][..if is_long { 2 } else { 1 }]).failed_with(8).says(code);
        let warning = "snugfs: warning: bad.img: partition 1 (linux): was not checked";
        if is_long {
            damaged(&[(0, 8192)]).failed_with(8).says(code);
            let run = damaged(&[(0, 8192), (BACKUP, 4096)]).succeeded().says(warning);
            assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
            damaged(&[(0, 8192), (BACKUP, 4096)]).succeeded();
        } else {
            damaged(&[(0, 8192)]).succeeded().says(warning);
        }
        let run = workspace.snugfs(["verify", "--json", "bad.img"]);
        let json: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert!(json["notes"][0].as_str().unwrap().starts_with("partition 1 (linux): was"), "{json}");
    }
}

#[test]
fn standard_input_is_not_an_image() {
    let workspace = Workspace::new();
    workspace
        .snugfs(["verify", "-"])
        .failed_with(2)
        .says("-: standard input can't be verified; write it to a file");
    workspace.snugfs(["inspect", "-"]).failed_with(2).says("-: standard input can't be inspected");
}

#[test]
fn partitions_of_a_plan_are_named_although_the_table_is_gone() {
    let workspace = with_image();
    workspace.change_plan(|plan| {
        plan["disk"] = json!({ "table": "mbr", "partitions": [
            { "type": "linux", "content": { "kind": "root" } },
            { "type": "linux", "content": { "kind": "ext4", "filesystem": { "uuid": "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b11" } } },
        ] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "good.img", "--report", "report"]).succeeded();
    let mut bytes = workspace.read("good.img");
    bytes[..512].fill(0);
    for partition in workspace.read_json("report")["disk"]["partitions"].as_array().unwrap() {
        let start = usize::try_from(partition["start"].as_u64().unwrap()).unwrap();
        bytes[start + 1024 + 56] = 0;
    }
    workspace.write("bad.img", bytes);
    let run = workspace.snugfs(["verify", "bad.img", "--against", "plan.json"]).failed_with(8);
    let lines: std::collections::BTreeSet<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), run.stderr.lines().count(), "no line twice: {}", run.stderr);
    run.says("partition 1: superblock: has no magic").says("partition 2: superblock: has no magic");
}
