//! Disks: tables that other tools read, partitions with the same bytes as bare file systems, firmware.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Run, Workspace, assert_sound, empty_plan};

const MIB: u64 = 1 << 20;
pub(crate) const MIB_LEN: usize = 1 << 20;

/// Sources for disks: a firmware folder, a loader, a folder for the root.
pub(crate) fn workspace(disk: Value) -> Workspace {
    let mut plan = empty_plan();
    plan["trees"] = json!([{ "source": "files" }]);
    plan["disk"] = disk;
    let workspace = Workspace::with_plan(&plan);
    workspace.write("files/etc/hostname", "board\n");
    workspace.write("files/large", vec![7; 3 * MIB_LEN]);
    workspace.write("firmware/config.txt", "arm_64bit=1\n");
    workspace.write("firmware/bcm2711-rpi-4-b.dtb", vec![1; 50_000]);
    workspace.write("firmware/overlays/Über lange Namen.dtbo", "overlay");
    workspace.write("firmware/empty", "");
    workspace.write("loader.bin", vec![0xab; 300_001]);
    workspace
}

pub(crate) fn mbr() -> Value {
    json!({ "table": "mbr", "id": "0x2178694e",
        "partitions": [
            { "start": "8MiB", "size": "30MiB", "type": "0b",
              "content": { "kind": "fat", "label": "FIRMWARE", "id": "0x2178694e", "source": "firmware" } },
            { "type": "83", "bootable": true, "content": { "kind": "root" } },
            { "type": "83", "size": "40MiB", "content": {
                "kind": "ext4", "filesystem": { "label": "DATA" }, "trees": [{ "source": "firmware", "target": "/copy" }] } },
            { "type": "da", "content": { "kind": "raw", "source": "loader.bin" } },
        ],
        "blobs": [{ "source": "loader.bin", "offset": "8KiB" }] })
}

pub(crate) fn gpt() -> Value {
    json!({ "table": "gpt", "partitions": [
        { "type": "esp", "size": "64MiB", "name": "boot", "content": { "kind": "fat", "bits": 32, "source": "firmware" } },
        { "type": "root-arm64", "name": "root-a", "content": { "kind": "root" } },
        { "type": "linux", "size": "1MiB", "bootable": true, "guid": "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b11" },
    ], "blobs": [{ "source": "loader.bin", "offset": "64KiB" }] })
}

/// The partitions as sfdisk reads them: start and length in bytes, type.
pub(crate) fn sfdisk(image: &Path) -> (Value, Vec<(u64, u64, String)>) {
    let run = Run::of(Command::new("sfdisk").arg("--json").arg(image)).succeeded();
    let table = serde_json::from_slice::<Value>(&run.stdout).unwrap()["partitiontable"].clone();
    let partitions = table["partitions"].as_array().unwrap().iter().map(|partition| {
        let bytes = |key: &str| partition[key].as_u64().unwrap() * 512;
        (bytes("start"), bytes("size"), partition["type"].as_str().unwrap().to_owned())
    });
    let partitions = partitions.collect();
    (table, partitions)
}

/// A range of an image.
pub(crate) fn cut(image: &[u8], from: u64, len: u64) -> &[u8] {
    let at = |offset: u64| usize::try_from(offset).unwrap();
    &image[at(from)..at(from + len)]
}

/// Checks a partition with fsck.vfat, and reads its files with mtools.
pub(crate) fn assert_firmware(workspace: &Workspace, bytes: &[u8]) {
    let path = workspace.write("firmware.img", bytes);
    let run = Run::of(Command::new("fsck.vfat").arg("-n").arg(&path)).succeeded();
    assert_eq!(run.text().lines().count(), 2, "only its name and the count of files: {}", run.text());
    let listed = Run::of(Command::new("mdir").args(["-/", "-b", "-i"]).arg(&path)).succeeded();
    let expected =
        "::/bcm2711-rpi-4-b.dtb\n::/config.txt\n::/empty\n::/overlays/\n::/overlays/Über lange Namen.dtbo\n";
    assert_eq!(listed.text(), expected);
    for name in ["config.txt", "bcm2711-rpi-4-b.dtb", "overlays/Über lange Namen.dtbo", "empty"] {
        let read = Run::of(Command::new("mtype").arg("-i").arg(&path).arg(format!("::{name}"))).succeeded();
        assert_eq!(read.stdout, workspace.read(&format!("firmware/{name}")), "{name}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_mbr_disk_has_its_parts_where_the_plan_puts_them() {
    let workspace = workspace(mbr());
    workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--report", "report.json"]).succeeded();
    let image = workspace.read("disk.img");
    let verified =
        Run::of(Command::new("sfdisk").arg("--verify").arg(workspace.path("disk.img"))).succeeded();
    assert!(verified.text().contains("No errors detected"), "{}", verified.text());
    let (table, partitions) = sfdisk(&workspace.path("disk.img"));
    assert_eq!((&table["label"], &table["id"]), (&json!("dos"), &json!("0x2178694e")));
    assert_eq!(table["partitions"][1]["bootable"], json!(true));
    let [firmware, root, data, raw] = partitions.as_slice() else { panic!("{partitions:?}") };
    assert_eq!((firmware.0, firmware.1, firmware.2.as_str()), (8 * MIB, 30 * MIB, "b"));
    assert_eq!((root.0, data.1, raw.1), (38 * MIB, 40 * MIB, 300_032));
    assert_firmware(&workspace, cut(&image, firmware.0, firmware.1));
    assert!(cut(&image, 8192, 300_001) == workspace.read("loader.bin"));
    assert!(cut(&image, raw.0, 300_001) == workspace.read("loader.bin"));

    // As a bare file system, it has the same bytes.
    workspace.change_plan(|plan| plan["disk"] = Value::Null);
    let bare = std::fs::read(workspace.build("bare.img", [])).unwrap();
    assert!(cut(&image, root.0, root.1) == bare);
    workspace.write("data.img", cut(&image, data.0, data.1));
    let data = assert_sound(&workspace.path("data.img"));
    assert_eq!(data.read("/copy/config.txt").unwrap(), b"arm_64bit=1\n");

    let report = workspace.read_json("report.json");
    assert_eq!(report["image"]["bytes"], json!(image.len()));
    assert_eq!(report["filesystem"]["blocks"], json!(bare.len() / 4096));
    let shown = report["disk"]["partitions"].as_array().unwrap().iter();
    let shown: Vec<_> =
        shown.map(|shown| (shown["start"].as_u64().unwrap(), shown["bytes"].as_u64().unwrap())).collect();
    assert_eq!(shown, partitions.iter().map(|(start, len, _)| (*start, *len)).collect::<Vec<_>>());
    assert_eq!(report["disk"]["partitions"][0]["uuid"], json!("2178-694E"));
}

#[test]
fn a_gpt_disk_passes_sgdisk_and_has_the_same_identifiers_every_time() {
    let workspace = workspace(gpt());
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    let image = workspace.path("disk.img");
    let verified = Run::of(Command::new("sgdisk").arg("--verify").arg(&image)).succeeded();
    assert!(verified.text().contains("No problems found"), "{}", verified.text());
    let (table, partitions) = sfdisk(&image);
    assert_eq!(table["label"], json!("gpt"));
    assert_eq!(table["partitions"][1]["name"], json!("root-a"));
    assert_eq!(table["partitions"][2]["uuid"], json!("7F1C6C3E-52A5-4F0E-9A57-0C5D1D1A9B11"));
    assert_eq!(table["partitions"][2]["attrs"], json!("LegacyBIOSBootable"));
    assert_eq!(partitions[0].2, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    assert_eq!(partitions[1].2, "B921B045-1DF0-41C3-AF44-4C6F280D3FAE");
    let bytes = std::fs::read(&image).unwrap();
    assert_firmware(&workspace, cut(&bytes, partitions[0].0, partitions[0].1));
    workspace.write("root.img", cut(&bytes, partitions[1].0, partitions[1].1));
    assert_eq!(assert_sound(&workspace.path("root.img")).read("/etc/hostname").unwrap(), b"board\n");

    // The backup table is complete: sgdisk can read the disk with only the backup.
    let mut without = bytes.clone();
    without[512..1024].fill(0);
    let damaged = workspace.write("damaged.img", &without);
    let printed = Run::of(Command::new("sgdisk").arg("--print").arg(&damaged));
    assert!(printed.text().contains("root-a"), "{}{}", printed.text(), printed.stderr);

    // Another root has other identifiers.
    workspace.change_plan(|plan| plan["filesystem"]["uuid"] = json!("7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b12"));
    workspace.snugfs(["build", "plan.json", "-o", "other.img"]).succeeded();
    let (other, _) = sfdisk(&workspace.path("other.img"));
    assert_ne!(other["id"], table["id"]);
    assert_ne!(other["partitions"][0]["uuid"], table["partitions"][0]["uuid"]);
    assert_eq!(other["partitions"][2]["uuid"], table["partitions"][2]["uuid"]);
}

#[test]
fn fat_serial_numbers_differ_by_partition_and_by_root() {
    let fat = json!({ "type": "c", "size": "8MiB", "content": { "kind": "fat" } });
    let root = json!({ "type": "83", "content": { "kind": "root" } });
    let workspace = workspace(json!({ "table": "mbr", "partitions": [fat, fat, root] }));
    let serial_numbers = |image: &str| -> Vec<String> {
        workspace.snugfs(["build", "plan.json", "-o", image]).succeeded();
        let bytes = workspace.read(image);
        let (_, partitions) = sfdisk(&workspace.path(image));
        let of = |(start, len, _): &(u64, u64, String)| {
            workspace.write("fat.img", cut(&bytes, *start, *len));
            let blkid = Run::of(
                Command::new("blkid")
                    .args(["-p", "-s", "UUID", "-o", "value"])
                    .arg(workspace.path("fat.img")),
            );
            blkid.succeeded().text().trim().to_owned()
        };
        partitions.iter().take(2).map(of).collect()
    };
    let mut all = serial_numbers("disk.img");
    assert_eq!(all, serial_numbers("again.img"));
    workspace.change_plan(|plan| plan["filesystem"]["uuid"] = json!("7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b12"));
    all.extend(serial_numbers("other.img"));
    assert_eq!(all.iter().filter(|number| number.len() == "2178-694E".len()).count(), 4, "{all:?}");
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{all:?}");
}

#[test]
fn a_partition_with_a_size_is_filled_by_its_file_system() {
    let workspace = workspace(json!({ "table": "mbr", "partitions": [
        { "type": "83", "size": "100MiB", "content": { "kind": "root" } },
    ], "size": "200MiB" }));
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    let image = workspace.read("disk.img");
    assert_eq!(image.len(), 200 * MIB_LEN);
    workspace.write("root.img", cut(&image, MIB, 100 * MIB));
    assert_sound(&workspace.path("root.img"));
    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["size"] = json!("4MiB"));
    let run = workspace.snugfs(["build", "plan.json", "-o", "small.img"]).failed_with(6);
    run.says("plan.disk.partitions[0].size: 4.0 MiB is too little");
}

/// A FAT file system as small as its contents, and two file systems that share the rest.
fn shared() -> Value {
    json!({ "table": "gpt", "size": "201MiB", "partitions": [
        { "type": "esp", "content": { "kind": "fat", "source": "firmware", "freeSpace": "3MiB" } },
        { "type": "root-arm64", "size": "fill", "align": "4MiB", "content": { "kind": "root" } },
        { "type": "linux", "size": "fill", "weight": 2, "align": "4MiB", "content": { "kind": "ext4" } },
        { "type": "linux", "size": "5MiB" },
    ] })
}

#[test]
fn partitions_take_what_others_leave() {
    let workspace = workspace(shared());
    workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--report", "report.json"]).succeeded();
    let image = workspace.read("disk.img");
    assert_eq!(image.len(), 201 * MIB_LEN);
    let verified =
        Run::of(Command::new("sgdisk").arg("--verify").arg(workspace.path("disk.img"))).succeeded();
    assert!(verified.text().contains("No problems found"), "{}", verified.text());
    let (_, partitions) = sfdisk(&workspace.path("disk.img"));
    let places: Vec<_> = partitions.iter().map(|(start, len, _)| (*start, *len)).collect();
    let [firmware, root, data, last] = places.as_slice() else { panic!("{places:?}") };
    assert_eq!((firmware.0, root.0 % (4 * MIB), root.0 + root.1), (MIB, 0, data.0));
    // 33 sectors of the second table leave 5 MiB from 195 MiB on.
    assert_eq!((data.0 + data.1, *last), (195 * MIB, (195 * MIB, 5 * MIB)));
    assert!(data.1.abs_diff(2 * root.1) <= 8 * MIB, "{places:?}");
    assert_firmware(&workspace, cut(&image, firmware.0, firmware.1));
    for (start, len) in [root, data] {
        workspace.write("part.img", cut(&image, *start, *len));
        assert_sound(&workspace.path("part.img"));
    }
    workspace.snugfs(["verify", "disk.img", "--against", "plan.json"]).succeeded();

    // The FAT file system has the space, and a partition without its last sector has not.
    let report = workspace.read_json("report.json");
    let shown = &report["disk"]["partitions"];
    let free = shown[0]["freeBytes"].as_u64().unwrap();
    // In whole clusters and tracks of 16 sectors.
    assert!((3 * MIB..3 * MIB + 16 * 512).contains(&free), "{free}");
    let rules = [0, 1, 2, 3].map(|index| (shown[index]["sizeRule"].clone(), shown[index]["weight"].clone()));
    let rule = |name: &str, weight: Option<u32>| (json!(name), json!(weight));
    let expected = [rule("content", None), rule("fill", Some(1)), rule("fill", Some(2)), rule("given", None)];
    assert_eq!(rules, expected);
    let change =
        |size: u64| workspace.change_plan(|plan| plan["disk"]["partitions"][0]["size"] = json!(size));
    change(firmware.1);
    workspace.snugfs(["build", "plan.json", "-o", "given.img"]).succeeded();
    assert!(workspace.read("given.img") == image);
    change(firmware.1 - 512);
    let run = workspace.snugfs(["build", "plan.json", "-o", "short.img"]).failed_with(6);
    run.says("plan.disk.partitions[0].content: ");
}

#[test]
fn rules_of_sizes_are_shown_with_their_sum() {
    let workspace = workspace(shared());
    for command in ["size", "explain"] {
        let shown = workspace.snugfs([command, "plan.json"]).succeeded();
        let lines: Vec<Vec<&str>> =
            shown.text().lines().map(|line| line.split_whitespace().collect()).collect();
        let ends = |first: &[&str], last: &[&str]| {
            lines.iter().any(|line| line.starts_with(first) && line.ends_with(last))
        };
        assert!(ends(&["1", "fat"], &["content"]), "{}", shown.text());
        assert!(ends(&["2", "root"], &["fill"]), "{}", shown.text());
        assert!(ends(&["3", "ext4"], &["fill", "2"]), "{}", shown.text());
        assert!(ends(&["4", "empty"], &["5,242,880", "given"]), "{}", shown.text());
        assert!(ends(&["total"], &["210,763,776"]), "{}", shown.text());
        let number = |line: &[&str], at: usize| line[at].replace(',', "").parse::<u64>().unwrap();
        let table = lines.iter().skip_while(|line| line.get(1) != Some(&"gpt,"));
        let parts = table.clone().filter(|line| line.len() >= 5 && line[0].parse::<u32>().is_ok()).take(4);
        let bytes =
            |line: &Vec<&str>| number(line, line.iter().position(|word| word.contains(',')).unwrap() + 1);
        let rest = table.clone().find(|line| line.starts_with(&["table", "and", "gaps"])).unwrap();
        assert_eq!(parts.map(bytes).sum::<u64>() + number(rest, 3), 201 * MIB, "{}", shown.text());
    }
}

/// The lines name what blkid finds in the image.
#[test]
fn an_fstab_is_made_from_the_disk() {
    let partitions = |type_of: [&str; 3]| {
        json!([
            { "type": type_of[0], "size": "8MiB", "mount": "/boot/my files", "mountOptions": "umask=0077,noatime",
              "content": { "kind": "fat", "label": "FIRM WARE" } },
            { "type": type_of[1], "mount": "/boot", "content": { "kind": "ext4", "filesystem": {
                "seal": true, "label": "boot" } } },
            { "type": type_of[2], "content": { "kind": "root" } },
        ])
    };
    for (table, types) in [("mbr", ["c", "83", "83"]), ("gpt", ["esp", "xbootldr", "root-arm64"])] {
        let workspace = workspace(json!({ "table": table, "partitions": partitions(types) }));
        workspace.change_plan(|plan| {
            plan["filesystem"]["label"] = json!("root");
            plan["entries"] = json!({
                "/etc/fstab": { "type": "fstab" },
                "/etc/fstab.label": { "type": "fstab", "by": "label", "mode": "0600" },
                "/etc/fstab.partuuid": { "type": "fstab", "by": "partuuid" },
            });
        });
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
        workspace.snugfs(["verify", "disk.img", "--against", "plan.json"]).succeeded();
        let image = workspace.read("disk.img");
        let (json, places) = sfdisk(&workspace.path("disk.img"));
        let blkid = |tag: &str, (start, len, _): &(u64, u64, String)| {
            workspace.write("part.img", cut(&image, *start, *len));
            let found = Run::of(
                Command::new("blkid").args(["-p", "-s", tag, "-o", "value"]).arg(workspace.path("part.img")),
            );
            found.succeeded().text().trim().replace(' ', "\\040")
        };
        let part_uuid = |index: usize| match table {
            "mbr" => format!("{}-{:02x}", json["id"].as_str().unwrap().trim_start_matches("0x"), index + 1),
            _ => json["partitions"][index]["uuid"].as_str().unwrap().to_lowercase(),
        };
        workspace.write("root.img", cut(&image, places[2].0, places[2].1));
        let root = assert_sound(&workspace.path("root.img"));
        let text = |name: &str| String::from_utf8(root.read(name).unwrap()).unwrap();
        let lines = |tag: &dyn Fn(usize) -> String| {
            format!(
                "{} / ext4 defaults 0 1\n{} /boot ext4 ro 0 2\n{} /boot/my\\040files vfat umask=0077,noatime 0 2\n",
                tag(2),
                tag(1),
                tag(0),
            )
        };
        assert_eq!(text("/etc/fstab"), lines(&|index| format!("UUID={}", blkid("UUID", &places[index]))));
        assert_eq!(
            text("/etc/fstab.label"),
            lines(&|index| format!("LABEL={}", blkid("LABEL", &places[index])))
        );
        assert_eq!(text("/etc/fstab.partuuid"), lines(&|index| format!("PARTUUID={}", part_uuid(index))));
        let verified = Run::of(
            Command::new("findmnt")
                .args(["--fstab", "--noheadings", "--output", "TARGET", "--tab-file"])
                .arg(workspace.write("fstab", text("/etc/fstab"))),
        )
        .succeeded();
        assert!(verified.text().contains("/boot/my files"), "{}", verified.text());
    }
}

#[test]
fn an_fstab_without_names_is_an_error() {
    let workspace = workspace(json!({ "table": "mbr", "partitions": [
        { "type": "c", "size": "8MiB", "mount": "/boot", "content": { "kind": "fat" } },
        { "type": "83", "content": { "kind": "root" } },
    ] }));
    workspace.change_plan(|plan| {
        plan["filesystem"]["label"] = json!("root");
        plan["entries"] = json!({ "/etc/fstab": { "type": "fstab", "by": "label" } });
    });
    let build = || workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(3);
    build().says("plan.entries.\"/etc/fstab\": the file system of partition 1 has no label; add a label");
    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["content"]["label"] = json!("ROOT"));
    workspace.change_plan(|plan| plan["filesystem"]["label"] = json!("ROOT"));
    build().says("partitions 2 and 1 have the same LABEL=ROOT");
    for label in ["root ", "\"q\""] {
        workspace.change_plan(|plan| plan["filesystem"]["label"] = json!(label));
        build().says("the label of partition 2 ends with a space or has quotes");
    }
    workspace.change_plan(|plan| plan["entries"]["/etc/fstab"]["by"] = json!("partuuid"));
    workspace.change_plan(|plan| plan["disk"]["id"] = json!(0));
    build().says("the disk has the identifier 0, so its partitions have no PARTUUID");
    workspace.change_plan(|plan| plan["entries"]["/etc/fstab"]["by"] = json!("uuid"));
    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["mount"] = json!("/"));
    build().says("partitions 1 and 2 are both mounted at /");
    workspace.change_plan(|plan| plan["disk"] = Value::Null);
    build().says("the image has no partitions to mount; add \"disk\"");
}

#[test]
fn a_disk_is_as_long_as_its_rule_says() {
    let root = json!({ "type": "83", "content": { "kind": "root" } });
    let workspace = workspace(json!({ "table": "mbr", "roundTo": "powerOfTwo", "partitions": [root] }));
    let length = || {
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
        workspace.read("disk.img").len()
    };
    let plain = length();
    assert!(plain.is_power_of_two(), "{plain}");
    let text = workspace.snugfs(["size", "plan.json"]).succeeded();
    assert!(text.text().contains("power of two"), "{}", text.text());
    workspace.change_plan(|plan| plan["disk"]["roundTo"] = json!("6MiB"));
    let multiple = length();
    assert_eq!(multiple % (6 * MIB_LEN), 0);
    workspace.change_plan(|plan| plan["disk"]["roundTo"] = Value::Null);
    let least = length();
    assert!(plain / 2 < least && least <= plain && multiple - least < 6 * MIB_LEN, "{least}");
}

#[test]
fn too_little_for_a_partition_that_takes_the_rest_is_an_error() {
    let workspace = workspace(json!({ "table": "mbr", "size": "41MiB", "partitions": [
        { "type": "83", "size": "40MiB" },
        { "type": "83", "size": "fill", "content": { "kind": "root" } },
    ] }));
    let build = |size: &str| {
        workspace.change_plan(|plan| plan["disk"]["size"] = json!(size));
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(6)
    };
    build("41MiB").says(
        "plan.disk.partitions[1]: it would start at 42991616, but the space for it ends at 42991616; increase plan.disk.size",
    );
    build("42MiB").says("plan.disk.partitions[1].size: 1.0 MiB is too little");
}

#[test]
fn an_impossible_disk_is_an_error_that_names_both_parts() {
    let root = json!({ "type": "83", "content": { "kind": "root" } });
    let fat = |size: &str| json!({ "type": "0b", "size": size, "content": { "kind": "fat", "source": "firmware" } });
    let at = |start: &str, mut partition: Value| {
        partition["start"] = json!(start);
        partition
    };
    let loader = |offset: u64| json!([{ "source": "loader.bin", "offset": offset }]);
    for (disk, code, shown) in [
        (
            json!({ "table": "mbr", "partitions": [at("1MiB", fat("16MiB")), at("8MiB", root.clone())] }),
            3,
            "plan.disk.partitions[0]: bytes 1048576 to 17825792 overlap plan.disk.partitions[1] (bytes 8388608 to",
        ),
        (
            json!({ "table": "mbr", "partitions": [root], "blobs": loader(1 << 20) }),
            3,
            "plan.disk.blobs[0]: bytes 1048576 to 1348577 overlap plan.disk.partitions[0]",
        ),
        (
            json!({ "table": "mbr", "partitions": [root], "blobs": loader(0) }),
            3,
            "plan.disk.blobs[0]: bytes 0 to 300001 overlap the partition table (bytes 440 to 512); move plan.disk.blobs[0] to another offset",
        ),
        (
            json!({ "table": "gpt", "partitions": [{ "type": "linux", "content": { "kind": "root" } }], "blobs": loader(8192) }),
            3,
            "plan.disk.blobs[0]: bytes 8192 to",
        ),
        (
            json!({ "table": "mbr", "partitions": [root], "size": "2MiB" }),
            6,
            "are after the end of the disk's usable space at 2097152; increase plan.disk.size or leave it out",
        ),
        (
            json!({ "table": "mbr", "partitions": [at("4TiB", root.clone())] }),
            6,
            "are beyond the 2 TiB that an mbr can address",
        ),
        (
            json!({ "table": "mbr", "partitions": [root, { "type": "83", "size": 512, "content": { "kind": "raw", "source": "loader.bin" } }] }),
            6,
            "plan.disk.partitions[1]: the content has 300001 bytes, 299489 more than the partition's 512; make it larger",
        ),
        (
            json!({ "table": "mbr", "partitions": [root, fat("1MiB")] }),
            6,
            "plan.disk.partitions[1].content: 1048576 bytes are too few for FAT16",
        ),
        (
            json!({ "table": "mbr", "partitions": [root, { "type": "83", "content": { "kind": "raw", "source": "none.bin" } }] }),
            5,
            "plan.disk.partitions[1].content.source: none.bin",
        ),
        (
            json!({ "table": "mbr", "partitions": [root], "blobs": [{ "source": "firmware", "offset": 8192 }] }),
            5,
            "plan.disk.blobs[0].source: firmware",
        ),
        (
            json!({ "table": "mbr", "partitions": [root, { "type": "0b", "size": "9MiB", "content": { "kind": "fat", "source": "nothing" } }] }),
            5,
            "plan.disk.partitions[1].content.source: nothing",
        ),
        (
            json!({ "table": "mbr", "partitions": [root, { "type": "83", "content": { "kind": "ext4", "trees": [{ "source": "nothing" }] } }] }),
            5,
            "plan.disk.partitions[1].content.trees[0].source: nothing",
        ),
    ] {
        let workspace = workspace(disk);
        let before = workspace.names();
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(code).says(shown);
        assert_eq!(workspace.names(), before, "{shown}");
    }
}

#[test]
fn firmware_that_does_not_fit_is_an_error_with_the_needed_size() {
    let workspace = workspace(json!({ "table": "mbr", "partitions": [
        { "type": "0b", "size": "30MiB", "content": { "kind": "fat", "source": "firmware" } },
        { "type": "83", "content": { "kind": "root" } },
    ] }));
    workspace.write("firmware/large", vec![1; 31 * MIB_LEN]);
    let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(6);
    run.says("plan.disk.partitions[0].content: the files need ").says(" bytes more than the partition has");
    std::fs::remove_file(workspace.path("firmware/large")).unwrap();
    std::os::unix::fs::symlink("config.txt", workspace.path("firmware/link")).unwrap();
    let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(6);
    run.says("plan.disk.partitions[0].content: /link: is a symlink, which FAT does not support");
    std::fs::remove_file(workspace.path("firmware/link")).unwrap();
    workspace.write("firmware/CONFIG.txt", "");
    let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(6);
    run.says("/CONFIG.txt and /config.txt differ only in case");
}

#[test]
fn free_space_that_no_fat_has_is_an_error_about_it() {
    let plan = |fat: Value| {
        let partitions = json!([fat, { "type": "linux", "content": { "kind": "root" } }]);
        let workspace = workspace(json!({ "table": "gpt", "partitions": partitions }));
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(6)
    };
    let fat = |free: u64, slot: &str| {
        let entries = json!({ "/slot": { "type": "file", "slot": slot } });
        json!({ "type": "esp", "content": { "kind": "fat", "freeSpace": free, "entries": entries } })
    };
    for (free, slot) in [(u64::MAX, "1KiB"), (u64::MAX - (1 << 20), "64MiB"), (1 << 42, "1KiB")] {
        plan(fat(free, slot)).says(&format!(
            "plan.disk.partitions[0].content.freeSpace: {free} bytes and the files are more than FAT32 can hold; decrease \
             \"freeSpace\""
        ));
        let mut sized = fat(free, slot);
        sized["size"] = json!("64MiB");
        plan(sized).says("; leave some out, or decrease \"freeSpace\"");
    }
}

#[test]
fn a_disk_longer_than_a_file_or_shorter_than_its_table_is_an_error_about_its_length() {
    let huge = 1_u64 << 63;
    let root = || json!([{ "type": "linux", "content": { "kind": "root" } }]);
    let fill = json!([{ "type": "linux", "size": "fill", "content": { "kind": "root" } }]);
    let most = "but a file has at most 9223372036854775807";
    for (disk, what) in [
        (
            json!({ "table": "gpt", "size": huge, "partitions": root() }),
            format!("plan.disk: the disk would have {huge} bytes, {most}; decrease plan.disk.size"),
        ),
        (
            json!({ "table": "gpt", "partitions": root(), "blobs": [{ "source": "blob", "offset": huge }] }),
            "plan.disk.blobs[0]: the disk would have ".to_owned(),
        ),
        (
            json!({ "table": "gpt", "partitions": [{ "type": "linux", "size": huge, "content": { "kind": "root" } }] }),
            "plan.filesystem: contents, freeSpace and size need at least".to_owned(),
        ),
        (
            json!({ "table": "gpt", "partitions": [{ "type": "linux", "size": huge }, { "type": "linux", "content": { "kind": "root" } }] }),
            format!("{most}; use a smaller offset or size"),
        ),
        (
            json!({ "table": "gpt", "roundTo": huge, "partitions": root() }),
            "plan.disk: its rounded length is more than the 9223372036854775807 bytes that a file can have; decrease \
             plan.disk.roundTo"
                .to_owned(),
        ),
        (
            json!({ "table": "gpt", "size": 512, "partitions": fill }),
            "plan.disk: 512 bytes are too few for the partition table, which has 34304; increase plan.disk.size".to_owned(),
        ),
        (
            json!({ "table": "mbr", "size": 512, "partitions": fill }),
            "plan.disk.partitions[0]: it would start at 1048576, but the space for it ends at 512; increase".to_owned(),
        ),
    ] {
        let workspace = workspace(disk);
        workspace.write("blob", "blob");
        for arguments in [&["build", "plan.json", "-o", "disk.img"][..], &["check", "plan.json"]] {
            workspace.snugfs(arguments).failed_with(6).says(&what);
        }
        assert!(!workspace.path("disk.img").exists());
    }
}

#[test]
fn a_boot_sector_keeps_its_code_before_the_table() {
    let workspace = workspace(mbr());
    workspace.write("boot.bin", vec![0xcc; 440]);
    workspace.change_plan(|plan| plan["disk"]["blobs"] = json!([{ "source": "boot.bin", "offset": 0 }]));
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    let image = workspace.read("disk.img");
    assert!(image[..440] == [0xcc; 440]);
    assert_eq!(sfdisk(&workspace.path("disk.img")).1.len(), 4);
}

#[test]
fn inspect_reads_what_build_has_made() {
    for disk in [mbr(), gpt()] {
        let workspace = workspace(disk);
        workspace.snugfs(["build", "plan.json", "-o", "disk.img.zst"]).succeeded();
        let shown = workspace.snugfs(["inspect", "disk.img.zst", "--json"]).succeeded();
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let count = workspace.read_json("plan.json")["disk"]["partitions"].as_array().unwrap().len();
        assert_eq!(shown["volumes"].as_array().map(Vec::len), Some(count), "{shown}");
        let read = workspace
            .snugfs(["inspect", "disk.img.zst", "--partition", "2", "cat", "/etc/hostname"])
            .succeeded();
        assert_eq!(read.stdout, b"board\n");
        let read = workspace
            .snugfs(["inspect", "disk.img.zst", "--partition", "1", "cat", "/config.txt"])
            .succeeded();
        assert_eq!(read.stdout, b"arm_64bit=1\n");
    }
}

#[test]
fn the_example_of_a_card_builds_from_the_root_of_the_repository() {
    let workspace = Workspace::new();
    let image = workspace.path("card.img");
    let mut command = workspace.command(["build", "examples/sd-card/plan.json", "-o"]);
    Run::of(command.arg(&image).current_dir(crate::support::repository())).succeeded();
    let (_, partitions) = sfdisk(&image);
    let bytes = std::fs::read(&image).unwrap();
    workspace.write("root.img", cut(&bytes, partitions[1].0, partitions[1].1));
    assert_sound(&workspace.path("root.img"));
    let firmware = workspace.write("firmware.img", cut(&bytes, partitions[0].0, partitions[0].1));
    let read = Run::of(Command::new("mtype").arg("-i").arg(firmware).arg("::config.txt")).succeeded();
    assert!(read.text().starts_with("arm_64bit=1\n"));
}

#[test]
fn an_ambiguous_fat_size_is_refused_with_the_smallest_valid_size() {
    let workspace = workspace(gpt());
    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["size"] = json!("32MiB"));
    workspace
        .snugfs(["build", "plan.json", "-o", "a.img"])
        .failed_with(6)
        .says("plan.disk.partitions[0].content: 33554432 bytes are too few for FAT32; make the partition at least 33 MiB long");
    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["size"] = json!("33MiB"));
    workspace.snugfs(["build", "plan.json", "-o", "a.img"]).succeeded();
    let bytes = workspace.read("a.img");
    let (_, partitions) = sfdisk(&workspace.path("a.img"));
    assert_firmware(&workspace, cut(&bytes, partitions[0].0, partitions[0].1));
}

/// A disk with swap areas: a short one, one with a length that is no whole number of pages, and one that takes the rest.
fn with_swap(table: &str) -> Value {
    json!({ "table": table, "size": "24MiB", "partitions": [
        { "type": "swap", "size": "40KiB", "content": { "kind": "swap" } },
        { "type": if table == "mbr" { "83" } else { "root-x86-64" }, "content": { "kind": "root" } },
        { "type": "swap", "size": 1_049_088, "content": {
            "kind": "swap", "label": "fifteen bytes 1", "uuid": "0c1d2e3f-0001-4002-8003-a0b0c0d0e0f0" } },
        { "type": "swap", "size": "fill", "content": { "kind": "swap", "label": "swap" } },
    ] })
}

/// A workspace with the smallest root that such a disk can have.
fn swap_workspace(table: &str) -> Workspace {
    let workspace = workspace(with_swap(table));
    workspace.change_plan(|plan| plan["filesystem"] = json!({ "seal": true }));
    workspace
}

#[test]
fn a_swap_area_is_that_of_mkswap() {
    for (table, kind) in [("mbr", "82"), ("gpt", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F")] {
        let workspace = swap_workspace(table);
        workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--report", "report.json"]).succeeded();
        let report = workspace.read_json("report.json");
        let image = workspace.read("disk.img");
        let (_, partitions) = sfdisk(&workspace.path("disk.img"));
        let mut uuids = Vec::new();
        for (index, label) in [(0, ""), (2, "fifteen bytes 1"), (3, "swap")] {
            let (start, len, type_of) = &partitions[index];
            assert_eq!(type_of.to_uppercase(), kind.to_uppercase());
            let ours = cut(&image, *start, *len);
            let part = workspace.write("part.img", ours);
            let blkid = |tag: &str| {
                let found = Command::new("blkid").args(["-p", "-s", tag, "-o", "value"]).arg(&part).output();
                String::from_utf8(found.unwrap().stdout).unwrap().trim().to_owned()
            };
            assert_eq!((blkid("TYPE").as_str(), blkid("VERSION").as_str()), ("swap", "1"));
            assert_eq!(blkid("LABEL"), label);
            let uuid = blkid("UUID");
            let shown = Run::of(Command::new("swaplabel").arg(&part)).succeeded();
            assert!(shown.text().contains(&uuid) && shown.text().contains(label), "{}", shown.text());
            let reported = &report["disk"]["partitions"][index];
            assert_eq!(reported["content"], "swap");
            assert_eq!((reported["uuid"].as_str(), reported["label"].as_str()), (Some(&*uuid), Some(label)));
            let theirs = workspace.write("mkswap.img", vec![0; ours.len()]);
            let mut mkswap = Command::new("mkswap");
            mkswap.args(["--pagesize", "4096", "--uuid", &uuid]);
            if !label.is_empty() {
                mkswap.args(["--label", label]);
            }
            Run::of(mkswap.arg(&theirs)).succeeded();
            assert!(workspace.read("mkswap.img") == ours, "partition {} of {table}", index + 1);
            uuids.push(uuid);
        }
        assert_eq!(uuids[1], "0c1d2e3f-0001-4002-8003-a0b0c0d0e0f0");
        assert_ne!(uuids[0], uuids[2]);
    }
}

#[test]
fn a_swap_area_is_shown_and_checked() {
    let workspace = swap_workspace("gpt");
    workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--verify-output"]).succeeded();
    let verify = |image: &str, more: &[&str]| {
        let arguments = [&["verify", image], more].concat();
        workspace.snugfs(arguments)
    };
    let checked = verify("disk.img", &[]).succeeded();
    assert!(checked.text().contains("ext4 and swap headers are correct; "), "{}", checked.text());
    verify("disk.img", &["--against", "plan.json"]).succeeded();
    let shown = workspace.snugfs(["inspect", "disk.img"]).succeeded();
    assert!(
        shown.text().contains(
            "3: swap, fifteen bytes 1, 0c1d2e3f-0001-4002-8003-a0b0c0d0e0f0\n  size     1,044,480 bytes\n"
        ),
        "{}",
        shown.text()
    );
    let shown = workspace.snugfs(["inspect", "disk.img", "--json"]).succeeded();
    let volume = serde_json::from_slice::<Value>(&shown.stdout).unwrap()["volumes"][2].clone();
    assert_eq!((&volume["holds"], &volume["swap"]["bytes"]), (&json!("swap"), &json!(1_044_480)));
    assert_eq!(volume["swap"]["label"], "fifteen bytes 1");
    let explained = workspace.snugfs(["explain", "plan.json"]).succeeded();
    assert!(explained.text().contains("swap      fifteen bytes 1"), "{}", explained.text());

    let good = workspace.read("disk.img");
    let start = usize::try_from(sfdisk(&workspace.path("disk.img")).1[2].0).unwrap();
    let damaged = |at: usize, bytes: &[u8]| {
        let mut image = good.clone();
        image[start + at..start + at + bytes.len()].copy_from_slice(bytes);
        workspace.write("bad.img", image);
    };
    // The last page, beyond the end of the partition.
    damaged(1028, &[0, 1]);
    verify("bad.img", &[])
        .failed_with(8)
        .says("partition 3: the swap area ends at byte 1052672, but there are only 1049088 (swap-header)");
    verify("bad.img", &["--against", "plan.json"]).failed_with(8).says("swap-area");
    damaged(1052, b"F");
    verify("bad.img", &[]).succeeded();
    verify("bad.img", &["--against", "plan.json"])
        .failed_with(8)
        .says("partition 3: swap area: label is \"Fifteen bytes 1\", should be \"fifteen bytes 1\"");
    damaged(1036, &[1]);
    verify("bad.img", &["--against", "plan.json", "--used"]).failed_with(8).says("UUID is 011d2e3f");
    damaged(4086, &[0; 10]);
    verify("bad.img", &["--against", "plan.json"])
        .failed_with(8)
        .says("partition 3: swap area: there is none");
    // Pages that a running system wrote, and a suspended one.
    damaged(8192, &[1; 4096]);
    verify("bad.img", &["--against", "plan.json"]).failed_with(8).says("partition 3: the swap area, at byte");
    verify("bad.img", &["--against", "plan.json", "--used"]).succeeded();
    damaged(4086, b"S1SUSPEND\0");
    verify("bad.img", &["--against", "plan.json", "--used"]).succeeded();
}

#[test]
fn swap_areas_come_last_in_an_fstab() {
    let workspace = swap_workspace("gpt");
    workspace.change_plan(|plan| {
        plan["disk"]["partitions"][3]["mountOptions"] = json!("pri=5,discard");
        plan["disk"]["partitions"][0]["content"]["label"] = json!("my swap");
        plan["filesystem"]["label"] = json!("root");
        plan["entries"] = json!({
            "/etc/fstab": { "type": "fstab", "by": "label" },
            "/etc/fstab.uuid": { "type": "fstab" },
        });
    });
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    let text = |path: &str| {
        let run = workspace.snugfs(["inspect", "disk.img", "--partition", "2", "cat", path]).succeeded();
        run.text().to_owned()
    };
    assert_eq!(
        text("/etc/fstab"),
        "LABEL=root / ext4 ro 0 1\n\
         LABEL=my\\040swap none swap defaults 0 0\n\
         LABEL=fifteen\\040bytes\\0401 none swap defaults 0 0\n\
         LABEL=swap none swap pri=5,discard 0 0\n"
    );
    assert!(
        text("/etc/fstab.uuid")
            .contains("\nUUID=0c1d2e3f-0001-4002-8003-a0b0c0d0e0f0 none swap defaults 0 0\n")
    );
    let fstab = workspace.write("fstab", text("/etc/fstab"));
    let found = Run::of(
        Command::new("findmnt")
            .args(["--fstab", "--noheadings", "--types", "swap", "--output", "SOURCE,OPTIONS", "--raw"])
            .arg("--tab-file")
            .arg(fstab),
    );
    assert_eq!(
        found.succeeded().text(),
        "LABEL=my\\x20swap defaults\nLABEL=fifteen\\x20bytes\\x201 defaults\nLABEL=swap pri=5,discard\n"
    );
    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["content"]["label"] = json!(""));
    workspace
        .snugfs(["build", "plan.json", "-o", "disk.img"])
        .failed_with(3)
        .says("the swap area of partition 1 has no label; add a label");
}

#[test]
fn a_swap_area_needs_ten_pages_and_its_type() {
    let workspace = swap_workspace("mbr");
    workspace.change_plan(|plan| {
        let partitions = plan["disk"]["partitions"].as_array_mut().unwrap();
        partitions[3]["type"] = json!("83");
        partitions[3]["weight"] = json!(1);
    });
    let run = workspace.snugfs(["check", "plan.json"]).succeeded();
    let run = run.says("plan.disk.partitions[3]: has a swap area, but another type");
    assert_eq!(run.stderr.matches("warning").count(), 1, "{}", run.stderr);
    // The rest of the disk is shared with an empty partition, and 1/1000 is one sector of 512 bytes or little more.
    workspace.change_plan(|plan| {
        plan["disk"]["partitions"][2] = json!({ "type": "83", "size": "fill", "weight": 1_000_000 });
        plan["disk"]["partitions"][3]["align"] = json!(512);
    });
    workspace
        .snugfs(["check", "plan.json"])
        .failed_with(6)
        .says("plan.disk.partitions[3].size: ")
        .says("too little for a swap area of 40 KiB");
}

#[test]
fn a_partition_whose_type_needs_contents_gives_a_warning() {
    let workspace = workspace(gpt());
    workspace.change_plan(|plan| {
        let partitions = plan["disk"]["partitions"].as_array_mut().unwrap();
        partitions[0]["content"] = Value::Null;
        partitions[2] = json!({ "type": "swap", "size": "8MiB" });
    });
    let run = workspace.snugfs(["check", "plan.json"]).succeeded();
    for line in [
        "plan.disk.partitions[0]: is an EFI system partition without a file system",
        "plan.disk.partitions[2]: is a swap partition without a swap area; add \"content\": { \"kind\": \"swap\" }",
    ] {
        assert!(run.stderr.contains(line), "{line}: {}", run.stderr);
    }
    assert_eq!(run.stderr.matches("warning").count(), 2, "{}", run.stderr);
}

#[test]
fn a_random_seed_that_all_machines_would_share_gives_a_warning() {
    let workspace = workspace(gpt());
    let seed = |text: &str| json!({ "/Loader/random-seed": { "type": "file", "text": text } });
    for (text, count) in [("seed", 1), ("", 0)] {
        workspace.change_plan(|plan| plan["disk"]["partitions"][0]["content"]["entries"] = seed(text));
        let run = workspace.snugfs(["check", "plan.json"]).succeeded();
        let warning = "plan.disk.partitions[0].content: has /Loader/random-seed, so all machines";
        assert_eq!(run.stderr.matches(warning).count(), count, "{}", run.stderr);
    }
}

#[test]
fn an_odd_length_of_a_fixed_vhd_is_told_with_the_field_to_set() {
    let mut plan = empty_plan();
    plan["filesystem"] = json!({ "freeSpace": 4096, "journalSize": 0 });
    plan["output"] = json!({ "format": "vhd-fixed" });
    let workspace = Workspace::with_plan(&plan);
    let build = |help: &str| {
        workspace.snugfs(["build", "plan.json", "-o", "x"]).failed_with(6).says(help);
    };
    let bare = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
    let bare: Value = serde_json::from_slice(&bare.stdout).unwrap();
    let next = bare["image"]["bytes"].as_u64().unwrap().next_multiple_of(1 << 20);
    build(&format!("set plan.filesystem.size to {next} "));
    workspace.change_plan(|plan| {
        plan["disk"] =
            json!({ "table": "mbr", "partitions": [{ "type": "linux", "content": { "kind": "root" } }] });
    });
    build("set plan.disk.roundTo to 1048576 ");
    workspace.change_plan(|plan| plan["disk"]["roundTo"] = json!(1_048_576));
    workspace.snugfs(["build", "plan.json", "-o", "x"]).succeeded();
    workspace.change_plan(|plan| {
        plan["disk"].as_object_mut().unwrap().remove("roundTo");
        plan["disk"]["size"] = json!("67109376");
    });
    build("set plan.disk.size to 68157440 ");
}

/// `inspect` shows the names that plans use for types.
#[test]
fn types_of_partitions_have_one_name() {
    for (table, names) in [
        ("mbr", &["fat16", "fat32", "linux", "swap", "linux-lvm", "linux-raid", "esp"][..]),
        (
            "gpt",
            &[
                "esp",
                "bios-boot",
                "xbootldr",
                "swap",
                "home",
                "srv",
                "var",
                "microsoft-basic-data",
                "linux-lvm",
            ],
        ),
    ] {
        for name in names {
            let workspace = Workspace::with_plan(&empty_plan());
            workspace.change_plan(|plan| {
                plan["disk"] = json!({ "table": table, "partitions": [
                    { "type": name, "size": "1MiB" },
                    { "type": "linux", "content": { "kind": "root" } },
                ] });
            });
            workspace.snugfs(["build", "plan.json", "-o", "plan.img"]).succeeded();
            let found = workspace.snugfs(["inspect", "plan.img", "--json"]).succeeded();
            let found: Value = serde_json::from_slice(&found.stdout).unwrap();
            assert_eq!(found["volumes"][0]["partition"]["typeName"], json!(name), "{table}");
            assert_eq!(found["volumes"][1]["partition"]["typeName"], "linux");
        }
    }
}

#[test]
fn types_of_a_gpt_have_the_names_of_plans_and_size_shows_the_whole_guid() {
    let archs = [
        "x86-64",
        "x86",
        "arm64",
        "arm",
        "riscv64",
        "riscv32",
        "loongarch64",
        "ppc",
        "ppc64",
        "ppc64-le",
        "mips-le",
        "mips64-le",
        "s390",
        "s390x",
        "ia64",
        "alpha",
        "arc",
        "tilegx",
    ];
    let others = [
        "esp",
        "xbootldr",
        "swap",
        "home",
        "srv",
        "var",
        "tmp",
        "user-home",
        "linux",
        "bios-boot",
        "microsoft-basic-data",
        "linux-lvm",
        "linux-raid",
    ];
    let of_arch = |arch: &str| {
        ["root", "usr"]
            .map(|part| ["", "-verity", "-verity-sig"].map(|end| format!("{part}-{arch}{end}")))
            .concat()
    };
    let names: Vec<String> =
        archs.iter().flat_map(|arch| of_arch(arch)).chain(others.map(str::to_owned)).collect();
    assert_eq!(names.len(), 121);
    let empty = |name: &String| json!({ "type": name, "size": 512, "align": 512 });
    let mut partitions: Vec<Value> = names.iter().map(empty).collect();
    partitions[0] = json!({ "type": names[0], "align": 512, "content": { "kind": "root" } });
    let workspace = Workspace::with_plan(&json!({
        "version": 1,
        "filesystem": { "label": "sixteen bytes 16" },
        "disk": { "table": "gpt", "id": "11111111-2222-4333-8444-555555555555", "partitions": partitions },
    }));
    workspace.snugfs(["build", "plan.json", "-o", "x.img"]).succeeded();
    let shown = workspace.snugfs(["inspect", "x.img", "--json"]).succeeded();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let types = shown["volumes"].as_array().unwrap().iter().map(|volume| &volume["partition"]["typeName"]);
    assert_eq!(types.collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    let size = workspace.snugfs(["size", "plan.json"]).succeeded();
    let lines: Vec<&str> = size.text().lines().collect();
    let at = lines.iter().position(|line| line.starts_with("table ")).unwrap();
    assert_eq!(lines[at], "table    gpt, 11111111-2222-4333-8444-555555555555");
    let heads = lines[at + 2].split_whitespace().collect::<Vec<_>>();
    assert_eq!(heads, ["content", "label", "start", "bytes"]);
    assert!(lines[at + 3].starts_with("  1  root      sixteen bytes 16 "), "{}", lines[at + 3]);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", size.text());
}
