//! `plan.filesystem.compatibility`: file systems for old readers.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    LoopDevice, Mounted, Run, Workspace, assert_fsck_clean, assert_sound, assert_verified, debugfs, tool,
};

fn legacy_example() -> Workspace {
    let workspace = Workspace::with_small_example();
    workspace.change_plan(|plan| {
        plan["filesystem"] = json!({ "compatibility": "legacy", "uuid": crate::support::UUID });
    });
    workspace
}

/// The features of an image as dumpe2fs prints them.
fn features(image: &Path) -> String {
    let run = Run::of(Command::new(tool("dumpe2fs")).arg("-h").arg(image)).succeeded();
    let line = run.text().lines().find_map(|line| line.strip_prefix("Filesystem features:")).unwrap();
    line.trim().to_owned()
}

/// The features are those of `mke2fs -t ext4 -O ^metadata_csum,^64bit`.
#[test]
fn a_legacy_image_has_neither_checksums_nor_64_bits() {
    let workspace = legacy_example();
    let image = workspace.build("legacy.img", ["--report", "report.json"]);
    let twin = workspace.path("twin.img");
    std::fs::File::create(&twin).unwrap().set_len(64 << 20).unwrap();
    let options =
        ["-q", "-t", "ext4", "-b", "4096", "-O", "^metadata_csum,^64bit,^orphan_file,^metadata_csum_seed"];
    Run::of(Command::new(tool("mke2fs")).args(options).arg(&twin)).succeeded();
    assert_eq!(features(&image), features(&twin));
    let report = workspace.read_json("report.json");
    let reported: Vec<&str> =
        report["filesystem"]["features"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(reported.join(" "), features(&image));
    assert_fsck_clean(&image);
    assert_verified(&image);
    assert_eq!(assert_sound(&image).read("/etc/hostname").unwrap(), b"board\n");
    let mounted = Mounted::new(&image);
    assert_eq!(std::fs::read(mounted.path().join("etc/hostname")).unwrap(), b"board\n");
}

#[test]
fn verify_compares_the_kind_with_the_plan() {
    let workspace = legacy_example();
    workspace.build("legacy.img", []);
    workspace.snugfs(["verify", "legacy.img", "--against", "plan.json"]).succeeded();
    workspace.change_plan(|plan| plan["filesystem"]["compatibility"] = json!("current"));
    workspace
        .snugfs(["verify", "legacy.img", "--against", "plan.json"])
        .failed_with(8)
        .says("incompatible features are 0x242, should be 0x2c2")
        .says("read-only compatible features are 0x6b, should be 0x46b");
}

/// Mounts an image, runs a script in its root directory, and unmounts it. A mount namespace of its own, so that no other process
/// keeps it mounted.
fn in_use(workspace: &Workspace, image: &Path, script: &str) {
    const MOUNTED: &str = r#"mount "$1" "$2"; cd "$2"; eval "$3"; cd /; umount "$2""#;
    let device = LoopDevice::new(image, "512");
    let folder = workspace.path("mounted");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(tool("unshare"));
    command.args(["--mount", "sh", "-ec", MOUNTED, "sh", &device.device]).arg(folder).arg(script);
    Run::of(&mut command).succeeded();
}

/// Several hundred files with names so long that their directory gets an index, and a removed one.
const WRITE: &str = r"mkdir new; for n in $(seq 500); do printf '%0100d' $n > new/$(printf '%0100d' $n); done; rm etc/hostname";
/// Longer contents of some.
const WRITE_AGAIN: &str =
    r"for n in $(seq 50); do head -c 100000 /dev/zero | tr '\0' m > new/$(printf '%0100d' $n); done";

#[test]
fn linux_writes_a_legacy_image_and_resize2fs_grows_it() {
    for journal in [Value::Null, json!(0)] {
        let workspace = legacy_example();
        workspace.change_plan(|plan| plan["filesystem"]["journalSize"] = journal);
        let image = workspace.build("legacy.img", []);
        assert_fsck_clean(&image);
        assert_verified(&image);
        let before = features(&image);
        in_use(&workspace, &image, WRITE);
        assert_fsck_clean(&image);
        workspace.snugfs(["verify", "--used", "legacy.img"]).succeeded();
        workspace.snugfs(["verify", "legacy.img"]).failed_with(8).says("superblock-use");
        // Offline: growth while it is mounted needs CAP_SYS_RESOURCE, and tests/oracles/grow-vm does it.
        Run::of(Command::new("e2fsck").arg("-fp").arg(&image)).succeeded();
        Run::of(Command::new(tool("resize2fs")).arg(&image).arg("2G")).succeeded();
        assert_fsck_clean(&image);
        workspace.snugfs(["verify", "--used", "legacy.img"]).succeeded();
        assert_eq!(features(&image), before);
        let blocks = format!("Block count:              {}", (2_u64 << 30) / 4096);
        assert!(debugfs(&image, "stats").contains(&blocks));
        in_use(&workspace, &image, WRITE_AGAIN);
        assert_fsck_clean(&image);
        workspace.snugfs(["verify", "--used", "legacy.img"]).succeeded();
    }
}

#[test]
fn variants_of_a_legacy_image_are_what_builds_of_each_alone_write() {
    let workspace = legacy_example();
    workspace.change_plan(|plan| {
        plan["variants"] = json!([
            { "output": "label.img", "label": "OTHER" },
            { "output": "uuid.img", "uuid": "7f1c6c3e-52a5-4f0e-9a57-000000000001" },
            { "output": "entry.img", "entries": { "/etc/id": { "type": "file", "text": "seven\n" } } },
        ]);
    });
    std::fs::create_dir(workspace.path("out")).unwrap();
    workspace.build("out/base.img", []);
    for name in ["label.img", "uuid.img", "entry.img"] {
        let alone = workspace.build("alone", ["--variant", name]);
        assert_sound(&alone);
        let variant = workspace.path(&format!("out/{name}"));
        assert_eq!(features(&variant), features(&alone));
        assert!(std::fs::read(variant).unwrap() == std::fs::read(alone).unwrap(), "{name}");
    }
}

#[test]
fn a_legacy_file_system_has_a_hash_tree() {
    let workspace = legacy_example();
    workspace.change_plan(|plan| {
        plan["filesystem"] = json!({ "compatibility": "legacy", "seal": true, "verity": true });
    });
    let image = workspace.build("verity.img", ["--report", "report.json"]);
    workspace.snugfs(["verify", "verity.img"]).succeeded();
    workspace.snugfs(["verify", "verity.img", "--against", "plan.json"]).succeeded();
    let report = workspace.read_json("report.json");
    let offset = report["filesystem"]["blocks"].as_u64().unwrap() * 4096;
    let hash = report["rootHash"].as_str().unwrap();
    let mut veritysetup = Command::new(tool("veritysetup"));
    veritysetup.args(["verify", &format!("--hash-offset={offset}")]).arg(&image).arg(&image).arg(hash);
    Run::of(&mut veritysetup).succeeded();
}

#[test]
fn a_legacy_image_is_inspected_and_explained() {
    let workspace = legacy_example();
    workspace.build("legacy.img", []);
    let shown = workspace.snugfs(["inspect", "legacy.img"]).succeeded();
    assert!(shown.text().contains("ext4, no label, "), "{}", shown.text());
    let json = workspace.snugfs(["inspect", "legacy.img", "--json"]).succeeded();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["volumes"][0]["holds"], "ext4");
    assert_eq!(json["volumes"][0]["filesystem"]["uuid"], crate::support::UUID);
    let cat = workspace.snugfs(["inspect", "legacy.img", "cat", "/etc/hostname"]).succeeded();
    assert_eq!(cat.text(), "board\n");
    workspace.snugfs(["inspect", "legacy.img", "stat", "/etc/hostname"]).succeeded();
    workspace.snugfs(["inspect", "legacy.img", "extract", "/", "-o", "out"]).succeeded();
    assert_eq!(workspace.read("out/etc/hostname"), b"board\n");
    // A block has twice as many descriptors, so growth needs half as many.
    let reserve = |compatibility: &str| {
        workspace.change_plan(|plan| plan["filesystem"]["compatibility"] = json!(compatibility));
        let run = workspace.snugfs(["explain", "plan.json", "--json"]).succeeded();
        let explained: Value = serde_json::from_slice(&run.stdout).unwrap();
        let areas = explained["filesystems"][0]["areas"].as_array().unwrap();
        let first = areas.iter().find(|area| area["for"] == "growthReserve").unwrap();
        first["bytes"].as_u64().unwrap() / 4096
    };
    assert_eq!((reserve("legacy"), reserve("current")), (63, 127));
}

/// Sealing, slots, stable layouts and partitions are as with other file systems.
#[test]
fn a_legacy_file_system_is_sealed_stamped_followed_and_put_into_partitions() {
    let workspace = legacy_example();
    workspace.change_plan(|plan| {
        plan["filesystem"] = json!({ "compatibility": "legacy", "seal": true, "label": "SEALED" });
    });
    let sealed = workspace.build("sealed.img", []);
    assert_fsck_clean(&sealed);
    assert_verified(&sealed);
    assert!(features(&sealed).ends_with("extra_isize read-only"), "{}", features(&sealed));

    workspace.change_plan(|plan| {
        plan["filesystem"] = json!({ "compatibility": "legacy" });
        plan["entries"]["/etc/key"] = json!({ "type": "file", "slot": "4KiB" });
    });
    let first = workspace.build("1.img", ["--layout-out", "1.layout"]);
    workspace.write("key", "secret\n");
    workspace.snugfs(["stamp", "1.img", "/etc/key=key"]).succeeded();
    assert_fsck_clean(&first);
    assert_verified(&first);
    assert_eq!(debugfs(&first, "cat /etc/key"), "secret\n");
    let inode = debugfs(&first, "stat /etc/key");
    assert!(inode.contains("Size: 7\n") && !inode.contains("checksum"), "{inode}");
    workspace.write("list.csv", "name,/etc/key\na,secret of a\n");
    workspace.snugfs(["stamp", "1.img", "--devices", "list.csv", "-o", "devices"]).succeeded();
    let stamped = workspace.path("devices/a.img");
    assert_sound(&stamped);
    assert_eq!(debugfs(&stamped, "cat /etc/key"), "secret of a");

    workspace
        .change_plan(|plan| plan["entries"]["/etc/a-new-file"] = json!({ "type": "file", "text": "new\n" }));
    let second = workspace.build("2.img", ["--layout-like", "1.layout"]);
    assert_fsck_clean(&second);
    assert_verified(&second);
    let blocks = |image| debugfs(image, "stat /etc/hostname");
    assert_eq!(blocks(&first), blocks(&second));

    workspace.change_plan(|plan| {
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "linux", "content": { "kind": "root" } },
            { "type": "linux", "content": { "kind": "ext4",
              "filesystem": { "compatibility": "legacy", "label": "DATA" } } },
            { "type": "linux", "content": { "kind": "ext4", "filesystem": { "label": "NEW" } } }
        ] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    workspace.snugfs(["verify", "disk.img", "--against", "plan.json"]).succeeded();
}

#[test]
fn a_legacy_file_system_can_not_grow_to_16_tib() {
    let workspace = legacy_example();
    workspace.change_plan(|plan| plan["filesystem"]["growTo"] = json!("16TiB"));
    workspace
        .snugfs(["build", "plan.json", "-o", "x.img"])
        .failed_with(6)
        .says("plan.filesystem.growTo")
        .says("17592051826688");
}
