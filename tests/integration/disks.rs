//! Whole disks: tables that others read, partitions that hold what they would by themselves, firmware.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Run, Workspace, assert_sound, empty_plan, sha256};

const MIB: u64 = 1 << 20;
const MIB_LEN: usize = 1 << 20;

/// Sources for disks: a firmware folder, a loader, a folder for the root.
fn workspace(disk: Value) -> Workspace {
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

fn mbr() -> Value {
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

fn gpt() -> Value {
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

/// Has fsck.vfat look at a partition, and reads its files with mtools.
fn assert_firmware(workspace: &Workspace, bytes: &[u8]) {
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

    // By itself the file system has the very same bytes.
    workspace.change_plan(|plan| plan["disk"] = Value::Null);
    let bare = std::fs::read(workspace.build("bare.img", [])).unwrap();
    assert!(cut(&image, root.0, root.1) == bare);
    workspace.write("data.img", cut(&image, data.0, data.1));
    let data = assert_sound(&workspace.path("data.img"));
    assert_eq!(data.read("/copy/config.txt").unwrap(), b"arm_64bit=1\n");

    let report = workspace.read_json("report.json");
    assert_eq!(report["image"]["bytes"], json!(image.len()));
    assert_eq!(report["filesystem"]["blocks"], json!(bare.len() / 4096));
    let told = report["disk"]["partitions"].as_array().unwrap().iter();
    let told: Vec<_> =
        told.map(|told| (told["start"].as_u64().unwrap(), told["bytes"].as_u64().unwrap())).collect();
    assert_eq!(told, partitions.iter().map(|(start, len, _)| (*start, *len)).collect::<Vec<_>>());
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

    // The table at the end is whole: sgdisk finds the disk by it alone.
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
fn every_way_of_writing_gives_the_same_disk() {
    for disk in [mbr(), gpt()] {
        let workspace = workspace(disk);
        for (name, threads) in [("one.img", "1"), ("two.img", "2"), ("eight.img", "8"), ("one.img.zst", "2")]
        {
            workspace.snugfs(["build", "plan.json", "-o", name, "--threads", threads]).succeeded();
        }
        let digest = sha256(&workspace.read("one.img"));
        assert_eq!(sha256(&workspace.read("two.img")), digest);
        assert_eq!(sha256(&workspace.read("eight.img")), digest);
        assert_eq!(sha256(&zstd::decode_all(workspace.read("one.img.zst").as_slice()).unwrap()), digest);
        let streamed = workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded();
        assert_eq!(sha256(&streamed.stdout), digest);
    }
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

#[test]
fn what_can_not_be_a_disk_is_told_with_both_sides() {
    let root = json!({ "type": "83", "content": { "kind": "root" } });
    let fat = |size: &str| json!({ "type": "0b", "size": size, "content": { "kind": "fat", "source": "firmware" } });
    let at = |start: &str, mut partition: Value| {
        partition["start"] = json!(start);
        partition
    };
    let loader = |offset: u64| json!([{ "source": "loader.bin", "offset": offset }]);
    for (disk, code, told) in [
        (
            json!({ "table": "mbr", "partitions": [at("1MiB", fat("16MiB")), at("8MiB", root.clone())] }),
            3,
            "plan.disk.partitions[0] (bytes 1048576 to 17825792) overlaps plan.disk.partitions[1] (bytes 8388608 to",
        ),
        (
            json!({ "table": "mbr", "partitions": [root], "blobs": loader(1 << 20) }),
            3,
            "plan.disk.blobs[0] (bytes 1048576 to 1348577)",
        ),
        (
            json!({ "table": "mbr", "partitions": [root], "blobs": loader(0) }),
            3,
            "plan.disk.blobs[0] (bytes 0 to 300001) overlaps the partition table (bytes 440 to 512); move plan.disk.blobs[0] to another offset",
        ),
        (
            json!({ "table": "gpt", "partitions": [{ "type": "linux", "content": { "kind": "root" } }], "blobs": loader(8192) }),
            3,
            "the partition table (bytes 440 to 17408) overlaps plan.disk.blobs[0] (bytes 8192 to",
        ),
        (
            json!({ "table": "mbr", "partitions": [root], "size": "2MiB" }),
            6,
            "ends behind the disk's last usable byte at 2097152; make plan.disk.size larger or leave it out",
        ),
        (
            json!({ "table": "mbr", "partitions": [at("4TiB", root.clone())] }),
            6,
            "can't be written into an mbr",
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
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(code).says(told);
        assert_eq!(workspace.names(), before, "{told}");
    }
}

#[test]
fn firmware_that_does_not_fit_is_told_by_how_much() {
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
    run.says("plan.disk.partitions[0].content: /link: is a symlink, which FAT does not know");
    std::fs::remove_file(workspace.path("firmware/link")).unwrap();
    workspace.write("firmware/CONFIG.txt", "");
    let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(6);
    run.says("/CONFIG.txt and /config.txt differ only in case");
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
        let told = workspace.snugfs(["inspect", "disk.img.zst", "--json"]).succeeded();
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        let count = workspace.read_json("plan.json")["disk"]["partitions"].as_array().unwrap().len();
        assert_eq!(told["volumes"].as_array().map(Vec::len), Some(count), "{told}");
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
fn containers_hold_the_same_bytes() {
    for disk in [mbr(), gpt(), Value::Null] {
        let workspace = workspace(disk);
        workspace.snugfs(["build", "plan.json", "-o", "raw.img"]).succeeded();
        let raw = sha256(&workspace.read("raw.img"));
        for (format, judge) in [("qcow2", "qemu-img"), ("simg", "simg2img")] {
            workspace.change_plan(|plan| plan["output"] = json!({ "format": format }));
            workspace
                .snugfs(["build", "plan.json", "-o", "container", "--report", "report.json"])
                .succeeded();
            let (container, back) = (workspace.path("container"), workspace.path("back.img"));
            let mut command = Command::new(judge);
            if judge == "qemu-img" {
                let mut check = Command::new(judge);
                Run::of(check.args(["check", "-f", "qcow2"]).arg(&container)).succeeded();
                command.args(["convert", "-f", "qcow2", "-O", "raw"]);
            }
            Run::of(command.arg(&container).arg(&back)).succeeded();
            assert_eq!(sha256(&workspace.read("back.img")), raw, "{format}");
            std::fs::remove_file(back).unwrap();
            let length = std::fs::metadata(&container).unwrap().len();
            assert!(
                length < std::fs::metadata(workspace.path("raw.img")).unwrap().len() / 2,
                "{format}: {length}"
            );
            let report = workspace.read_json("report.json");
            assert_eq!(
                (&report["image"]["format"], &report["image"]["fileBytes"]),
                (&json!(format), &json!(length))
            );
            // As a stream, through any number of threads and compressed it is the same file.
            let digest = sha256(&workspace.read("container"));
            assert_eq!(report["image"]["sha256"], json!(digest));
            let streamed = workspace.snugfs(["build", "plan.json", "-o", "-", "--threads", "1"]).succeeded();
            assert_eq!(sha256(&streamed.stdout), digest);
            workspace.snugfs(["build", "plan.json", "-o", "container.zst"]).succeeded();
            assert_eq!(
                sha256(&zstd::decode_all(workspace.read("container.zst").as_slice()).unwrap()),
                digest
            );
        }
    }
}

#[test]
fn a_map_beside_the_image_is_what_bmaptool_takes() {
    for disk in [mbr(), Value::Null] {
        let workspace = workspace(disk);
        workspace.snugfs(["build", "plan.json", "-o", "raw.img"]).succeeded();
        workspace.change_plan(|plan| plan["output"] = json!({ "bmap": true }));
        for (name, threads) in [("mapped.img", "2"), ("packed.img.zst", "1")] {
            workspace.snugfs(["build", "plan.json", "-o", name, "--threads", threads]).succeeded();
        }
        assert_eq!(workspace.read("mapped.img.bmap"), workspace.read("packed.img.bmap"));
        assert!(workspace.read("mapped.img") == workspace.read("raw.img"));
        // It compares the digest of every range, and writes those alone over what there is.
        let target = workspace.write("card", vec![0; workspace.read("raw.img").len()]);
        Run::of(
            Command::new("bmaptool")
                .args(["copy", "--bmap"])
                .arg(workspace.path("mapped.img.bmap"))
                .arg(workspace.path("mapped.img"))
                .arg(&target),
        )
        .succeeded();
        assert!(std::fs::read(target).unwrap() == workspace.read("raw.img"));
    }
    let workspace = workspace(mbr());
    workspace.change_plan(|plan| plan["output"] = json!({ "bmap": true }));
    workspace.snugfs(["build", "plan.json", "-o", "-"]).failed_with(2).says("plan.output.bmap: ");
    workspace.change_plan(|plan| plan["output"] = json!({ "bmap": true, "format": "qcow2" }));
    workspace.snugfs(["build", "plan.json", "-o", "a"]).failed_with(3).says("plan.output.bmap: ");
}

/// The ranges of blocks of 4096 bytes that a map lists, as first and last.
fn mapped_blocks(map: &str) -> Vec<(usize, usize)> {
    let ranges = map.split("<Range").skip(1).map(|range| {
        let text = range.split_once('>').unwrap().1.split_once('<').unwrap().0.trim();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        (first.parse().unwrap(), last.parse().unwrap())
    });
    ranges.collect()
}

#[test]
fn old_bytes_are_allowed_in_unused_space_only_and_only_where_that_is_asked_for() {
    for disk in [mbr(), gpt()] {
        let workspace = workspace(disk);
        workspace.change_plan(|plan| {
            plan["output"] = json!({ "bmap": true });
            plan["filesystem"]["freeSpace"] = json!("40MiB");
        });
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
        let image = workspace.read("disk.img");
        let ranges = mapped_blocks(&String::from_utf8(workspace.read("disk.img.bmap")).unwrap());
        // As on a card that was full of other bytes.
        let mut card = vec![0xa5; image.len()];
        for &(first, last) in &ranges {
            let range = first * 4096..((last + 1) * 4096).min(image.len());
            card[range.clone()].copy_from_slice(&image[range]);
        }
        assert!(card != image);
        workspace.write("card.img", &card);
        workspace.snugfs(["verify", "card.img"]).failed_with(8).says("(free-block-not-zero)");
        workspace
            .snugfs(["verify", "card.img", "--against", "plan.json"])
            .failed_with(8)
            .says("(free-block-not-zero)");
        let ignoring = ["verify", "--ignore-unused", "card.img"];
        assert!(workspace.snugfs(ignoring).succeeded().text().starts_with("ok: "));
        let run = workspace.snugfs(ignoring.into_iter().chain(["--against", "plan.json"])).succeeded();
        assert!(run.text().contains("sound to the last byte in use, and what the plan says"), "{run:?}");
        // Zeros that a reader looks at are still compared: one bit in each of some mapped blocks of zeros.
        let needed: Vec<_> = ranges
            .iter()
            .flat_map(|&(first, last)| first..=last)
            .filter(|block| image[block * 4096..].iter().take(4096).all(|&byte| byte == 0))
            .collect();
        assert!(needed.len() > 100, "{}", needed.len());
        for block in needed.iter().step_by(needed.len() / 8) {
            card[block * 4096 + 77] ^= 1;
            workspace.write("card.img", &card);
            workspace.snugfs(ignoring.into_iter().chain(["--against", "plan.json"])).failed_with(8);
            card[block * 4096 + 77] ^= 1;
        }
    }
}

#[test]
fn a_seekable_image_is_read_whole_by_zstd_and_in_parts_by_its_table() {
    let workspace = workspace(mbr());
    workspace.snugfs(["build", "plan.json", "-o", "raw.img"]).succeeded();
    workspace.change_plan(|plan| {
        plan["output"] = json!({ "compression": { "format": "zstd", "seekable": true } });
    });
    let mut digests = Vec::new();
    for threads in ["1", "2", "5"] {
        workspace.snugfs(["build", "plan.json", "-o", "seekable.zst", "--threads", threads]).succeeded();
        digests.push(sha256(&workspace.read("seekable.zst")));
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let run = Run::of(Command::new("zstd").args(["-q", "-d", "-c"]).arg(workspace.path("seekable.zst")))
        .succeeded();
    assert!(run.stdout == workspace.read("raw.img"));
    // The table, as its specification has it.
    let packed = workspace.read("seekable.zst");
    let word = |at: usize| u32::from_le_bytes(packed[at..at + 4].try_into().unwrap());
    let frames = usize::try_from(word(packed.len() - 9)).unwrap();
    assert_eq!((word(packed.len() - 4), packed[packed.len() - 5]), (0x8f92_eab1, 0));
    let table = packed.len() - 9 - frames * 8;
    assert_eq!((word(table - 8), usize::try_from(word(table - 4)).unwrap()), (0x184d_2a5e, frames * 8 + 9));
    let length = |frame: usize, column: usize| usize::try_from(word(table + frame * 8 + column * 4)).unwrap();
    let third = (0..2).map(|frame| length(frame, 0)).sum::<usize>();
    let part = zstd::decode_all(&packed[third..third + length(2, 0)]).unwrap();
    assert!(part == workspace.read("raw.img")[8 * MIB_LEN..8 * MIB_LEN + length(2, 1)]);
    let read =
        workspace.snugfs(["inspect", "seekable.zst", "--partition", "2", "cat", "/etc/hostname"]).succeeded();
    assert_eq!(read.stdout, b"board\n");
}

/// A loop device with sectors of this length.
struct Loop {
    device: String,
}

impl Loop {
    fn new(file: &Path, sector: &str) -> Self {
        Self::with(&["-P", "-b", sector], file)
    }

    /// A partition as a device of its own. Not every kernel has parsers of partition tables.
    fn of_partition(file: &Path, place: &Value) -> Self {
        let (start, bytes) = (place["start"].to_string(), place["bytes"].to_string());
        Self::with(&["-b", "4096", "-o", &start, "--sizelimit", &bytes], file)
    }

    fn with(options: &[&str], file: &Path) -> Self {
        let run = Run::of(Command::new("losetup").args(["-f", "--show"]).args(options).arg(file)).succeeded();
        Self { device: run.text().trim().to_owned() }
    }

    /// Start and length in bytes of a partition as the kernel reads the table, if it can.
    fn kernel_partition(&self, number: usize) -> Option<(u64, u64)> {
        let folder = format!("/sys/class/block/{}p{number}", self.device.trim_start_matches("/dev/"));
        // In units of 512 bytes, whatever the sectors are.
        let field = |name: &str| {
            let text = std::fs::read_to_string(format!("{folder}/{name}")).ok()?;
            Some(text.trim().parse::<u64>().unwrap() * 512)
        };
        Some((field("start")?, field("size")?))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}

/// What a file of a mounted file system holds.
fn mounted_file(device: &str, kind: &str, name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    Run::of(Command::new("mount").args(["-o", "ro", "-t", kind, device]).arg(folder.path())).succeeded();
    let bytes = std::fs::read(folder.path().join(name));
    Run::of(Command::new("umount").arg(folder.path())).succeeded();
    bytes.unwrap()
}

/// FAT16 and FAT32 of the least lengths with such sectors, the root, a raw partition.
fn of_long_sectors(table: &str) -> Value {
    let is_gpt = table == "gpt";
    let (boot, data, linux) = if is_gpt { ("esp", "linux", "linux") } else { ("0e", "0c", "83") };
    json!({ "table": table, "sectorSize": 4096, "partitions": [
        { "type": boot, "size": "17MiB", "content": { "kind": "fat", "bits": 16, "label": "BOOT", "source": "firmware" } },
        { "type": linux, "content": { "kind": "root" } },
        { "type": data, "size": "260MiB", "content": { "kind": "fat", "bits": 32, "source": "firmware" } },
        { "type": linux, "content": { "kind": "raw", "source": "loader.bin" } },
    ] })
}

#[test]
fn a_disk_of_sectors_of_4096_bytes_is_read_by_all_who_know_such_disks() {
    for table in ["gpt", "mbr"] {
        let workspace = workspace(of_long_sectors(table));
        let image = workspace.path("disk.img");
        let more = ["--report", "report.json"];
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"].into_iter().chain(more)).succeeded();
        let report = workspace.read_json("report.json");
        assert_eq!(report["disk"]["sectorSize"], json!(4096));
        let places: Vec<_> = report["disk"]["partitions"].as_array().unwrap().clone();
        let device = Loop::new(&image, "4096");
        // The same places, in other units, to sfdisk, sgdisk and the kernel.
        let run = Run::of(Command::new("sfdisk").args(["--json", &device.device])).succeeded();
        let read = serde_json::from_slice::<Value>(&run.stdout).unwrap()["partitiontable"].clone();
        assert_eq!(
            (&read["label"], &read["sectorsize"]),
            (&json!(if table == "mbr" { "dos" } else { "gpt" }), &json!(4096))
        );
        for (number, place) in (1..).zip(&places) {
            let found = &read["partitions"][number - 1];
            let bytes = |value: &Value| value.as_u64().unwrap() * 4096;
            assert_eq!(json!(bytes(&found["start"])), place["start"], "{table} {number}");
            assert_eq!(json!(bytes(&found["size"])), place["bytes"], "{table} {number}");
            match device.kernel_partition(number) {
                Some((start, bytes)) => {
                    assert_eq!((&json!(start), &json!(bytes)), (&place["start"], &place["bytes"]));
                }
                None => eprintln!("SKIPPED: this kernel reads no partition tables of loop devices"),
            }
        }
        let verify = Run::of(Command::new("sfdisk").args(["--verify", &device.device])).succeeded();
        assert!(verify.text().contains("No errors detected"), "{}", verify.text());
        if table == "gpt" {
            let verify = Run::of(Command::new("sgdisk").args(["--verify", &device.device])).succeeded();
            assert!(verify.text().contains("No problems found"), "{}", verify.text());
        }
        for place in [&places[0], &places[2]] {
            let partition = Loop::of_partition(&image, place);
            let run = Run::of(Command::new("fsck.vfat").args(["-n", &partition.device])).succeeded();
            assert_eq!(run.text().lines().count(), 2, "{}", run.text());
            let name = "::bcm2711-rpi-4-b.dtb";
            let read = Run::of(Command::new("mcopy").args(["-i", &partition.device, name, "-"])).succeeded();
            assert!(read.stdout == workspace.read("firmware/bcm2711-rpi-4-b.dtb"));
            let listed = Run::of(Command::new("mdir").args(["-b", "-i", &partition.device])).succeeded();
            assert!(listed.text().contains("config.txt"), "{}", listed.text());
        }
        let root = Loop::of_partition(&image, &places[1]);
        assert_eq!(mounted_file(&root.device, "ext4", "etc/hostname"), b"board\n");
        drop(root);
        // Our own readers, of the image and of the device.
        for of in [image.to_str().unwrap(), &device.device] {
            let read =
                workspace.snugfs(["inspect", of, "--partition", "2", "cat", "/etc/hostname"]).succeeded();
            assert_eq!(read.stdout, b"board\n");
            let read =
                workspace.snugfs(["inspect", of, "--partition", "3", "cat", "/config.txt"]).succeeded();
            assert_eq!(read.stdout, b"arm_64bit=1\n");
            workspace.snugfs(["verify", of]).succeeded();
            workspace.snugfs(["verify", of, "--against", "plan.json"]).succeeded();
        }
        drop(device);
        // Straight to a device with such sectors; one with others is refused.
        let card = workspace.write("card", vec![0xa5; workspace.read("disk.img").len()]);
        let device = Loop::new(&card, "4096");
        workspace.snugfs(["build", "plan.json", "--device", "-o", &device.device]).succeeded();
        drop(device);
        assert!(std::fs::read(&card).unwrap() == workspace.read("disk.img"), "{table}");
        let device = Loop::new(&card, "512");
        workspace.snugfs(["build", "plan.json", "--device", "-o", &device.device]).failed_with(7).says("512");
    }
}

#[test]
fn places_on_a_disk_of_long_sectors_are_whole_sectors() {
    let workspace = workspace(of_long_sectors("gpt"));
    workspace.change_plan(|plan| plan["disk"]["partitions"][0]["start"] = json!(1_049_088));
    workspace.snugfs(["check", "plan.json"]).failed_with(3).says(
        "plan.disk.partitions[0].start: 1049088 is not a multiple of the disk's sectors of 4096 bytes;",
    );
    workspace.change_plan(|plan| plan["disk"]["sectorSize"] = json!(2048));
    workspace
        .snugfs(["check", "plan.json"])
        .failed_with(3)
        .says("plan.disk.sectorSize: 2048 is not 512 or 4096; write one of the two, without quotes");
}

#[test]
fn a_fat_that_readers_would_take_for_another_type_is_refused_with_the_least_size() {
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

#[test]
fn a_partition_whose_type_promises_what_is_not_there_is_told() {
    let workspace = workspace(gpt());
    workspace.change_plan(|plan| {
        let partitions = plan["disk"]["partitions"].as_array_mut().unwrap();
        partitions[0]["content"] = Value::Null;
        partitions[2] = json!({ "type": "swap", "size": "8MiB" });
    });
    let run = workspace.snugfs(["check", "plan.json"]).succeeded();
    for line in [
        "plan.disk.partitions[0]: is an EFI system partition without a file system",
        "plan.disk.partitions[2]: is a swap partition, but holds no swap area; run mkswap",
    ] {
        assert!(run.stderr.contains(line), "{line}: {}", run.stderr);
    }
    assert_eq!(run.stderr.matches("warning").count(), 2, "{}", run.stderr);
}
