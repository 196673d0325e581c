//! `plan.filesystem.compatibility`: file systems for old readers.

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
fn features(image: &std::path::Path) -> String {
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

#[test]
fn linux_writes_a_legacy_image_and_resize2fs_grows_it() {
    let workspace = legacy_example();
    let image = workspace.build("legacy.img", []);
    let before = features(&image);
    {
        let device = LoopDevice::new(&image, "512");
        let folder = workspace.path("mounted");
        std::fs::create_dir(&folder).unwrap();
        Run::of(Command::new("mount").arg(&device.device).arg(&folder)).succeeded();
        std::fs::create_dir(folder.join("new")).unwrap();
        for number in 0..500 {
            std::fs::write(folder.join(format!("new/{number:0100}")), vec![b'n'; number]).unwrap();
        }
        Run::of(Command::new("umount").arg(&folder)).succeeded();
    }
    assert_fsck_clean(&image);
    workspace.snugfs(["verify", "--used", "legacy.img"]).succeeded();
    // Offline: growth while it is mounted needs CAP_SYS_RESOURCE, and tests/oracles/life-after does it.
    Run::of(Command::new("e2fsck").arg("-fp").arg(&image)).succeeded();
    Run::of(Command::new(tool("resize2fs")).arg(&image).arg("2G")).succeeded();
    assert_fsck_clean(&image);
    workspace.snugfs(["verify", "--used", "legacy.img"]).succeeded();
    assert_eq!(features(&image), before);
    assert!(
        debugfs(&image, "stats").contains(&format!("Block count:              {}", (2_u64 << 30) / 4096))
    );
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
