//! Disks with sectors of 4096 bytes, read by other tools.

use std::process::Command;

use serde_json::{Value, json};

use crate::disks::workspace;
use crate::support::{LoopDevice, Run};

/// The contents of a file in a mounted file system.
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
fn a_disk_with_sectors_of_4096_bytes_is_read_by_other_tools() {
    for table in ["gpt", "mbr"] {
        let workspace = workspace(of_long_sectors(table));
        let image = workspace.path("disk.img");
        let more = ["--report", "report.json"];
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"].into_iter().chain(more)).succeeded();
        let report = workspace.read_json("report.json");
        assert_eq!(report["disk"]["sectorSize"], json!(4096));
        let places: Vec<_> = report["disk"]["partitions"].as_array().unwrap().clone();
        let device = LoopDevice::new(&image, "4096");
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
            let partition = LoopDevice::of_partition(&image, place);
            let run = Run::of(Command::new("fsck.vfat").args(["-n", &partition.device])).succeeded();
            assert_eq!(run.text().lines().count(), 2, "{}", run.text());
            let name = "::bcm2711-rpi-4-b.dtb";
            let read = Run::of(Command::new("mcopy").args(["-i", &partition.device, name, "-"])).succeeded();
            assert!(read.stdout == workspace.read("firmware/bcm2711-rpi-4-b.dtb"));
            let listed = Run::of(Command::new("mdir").args(["-b", "-i", &partition.device])).succeeded();
            assert!(listed.text().contains("config.txt"), "{}", listed.text());
        }
        let root = LoopDevice::of_partition(&image, &places[1]);
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
        // To a device with such sectors; a device with other sectors is refused.
        let card = workspace.write("card", vec![0xa5; workspace.read("disk.img").len()]);
        let device = LoopDevice::new(&card, "4096");
        workspace.snugfs(["build", "plan.json", "--device", "-o", &device.device]).succeeded();
        drop(device);
        assert!(std::fs::read(&card).unwrap() == workspace.read("disk.img"), "{table}");
        let device = LoopDevice::new(&card, "512");
        workspace.snugfs(["build", "plan.json", "--device", "-o", &device.device]).failed_with(7).says("512");
    }
}

#[test]
fn places_on_a_disk_with_long_sectors_are_whole_sectors() {
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
