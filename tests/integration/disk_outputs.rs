//! Disks in every output format: streams, devices, containers, maps, seekable frames.

use std::process::Command;

use serde_json::{Value, json};

use crate::disks::{MIB_LEN, gpt, mbr, workspace};
use crate::support::{Run, sha256};

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
fn containers_contain_the_same_bytes() {
    for disk in [mbr(), gpt(), Value::Null] {
        let workspace = workspace(disk);
        workspace.snugfs(["build", "plan.json", "-o", "raw.img"]).succeeded();
        let raw = sha256(&workspace.read("raw.img"));
        let raw_len = std::fs::metadata(workspace.path("raw.img")).unwrap().len();
        let formats = ["qcow2", "simg", "vhd", "vhdx", "vmdk-sparse", "vdi", "vhd-fixed", "tar"];
        for format in formats {
            let tool = match format {
                "simg" => "simg2img",
                "tar" => "tar",
                _ => "qemu-img",
            };
            let (driver, is_sparse) = match format {
                "vhd" => ("vpc", true),
                "vhd-fixed" => ("vpc", false),
                "tar" => ("raw", false),
                "vmdk-sparse" => ("vmdk", true),
                other => (other, true),
            };
            workspace.change_plan(|plan| plan["output"] = json!({ "format": format }));
            if format == "vhd-fixed" && !raw_len.is_multiple_of(1 << 20) {
                let run = workspace.snugfs(["build", "plan.json", "-o", "container"]);
                run.failed_with(6).says("but the format needs a multiple of 1048576");
                continue;
            }
            workspace
                .snugfs(["build", "plan.json", "-o", "container", "--report", "report.json"])
                .succeeded();
            let (container, back) = (workspace.path("container"), workspace.path("back.img"));
            let mut command = Command::new(tool);
            if tool == "qemu-img" {
                if driver != "vpc" {
                    let mut check = Command::new(tool);
                    Run::of(check.args(["check", "-f", driver]).arg(&container)).succeeded();
                }
                command.args(["convert", "-f", driver, "-O", "raw"]);
            }
            if tool == "tar" {
                let unpacked = Run::of(command.arg("-xOf").arg(&container).arg("disk.raw")).succeeded();
                std::fs::write(&back, unpacked.stdout).unwrap();
            } else {
                Run::of(command.arg(&container).arg(&back)).succeeded();
            }
            assert_eq!(sha256(&workspace.read("back.img")), raw, "{format}");
            std::fs::remove_file(back).unwrap();
            let length = std::fs::metadata(&container).unwrap().len();
            assert!(length < raw_len / 2 || !is_sparse, "{format}: {length}");
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

/// Writes a VMDK or a qcow2 file with compressed clusters.
fn assert_same_when_packed(disk: &Value, format: &str, compression: &Value, name: &str) {
    let workspace = workspace(disk.clone());
    workspace.change_plan(|plan| plan["filesystem"]["freeSpace"] = json!("40MiB"));
    workspace.snugfs(["build", "plan.json", "-o", "raw.img"]).succeeded();
    let raw = sha256(&workspace.read("raw.img"));
    workspace.change_plan(|plan| {
        plan["output"] = json!({ "format": format, "compression": compression });
    });
    let mut digests = Vec::new();
    for threads in ["1", "2", "8"] {
        let arguments = ["build", "plan.json", "-o", name, "--report", "report.json", "--threads", threads];
        workspace.snugfs(arguments).succeeded();
        digests.push(sha256(&workspace.read(name)));
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    let (container, back) = (workspace.path(name), workspace.path("back.img"));
    Run::of(Command::new("qemu-img").args(["check", "-f", format]).arg(&container)).succeeded();
    let mut convert = Command::new("qemu-img");
    Run::of(convert.args(["convert", "-f", format, "-O", "raw"]).arg(&container).arg(&back)).succeeded();
    assert_eq!(sha256(&workspace.read("back.img")), raw, "{format}");
    let length = std::fs::metadata(&container).unwrap().len();
    let report = workspace.read_json("report.json");
    let image = &report["image"];
    assert_eq!((&image["format"], &image["fileBytes"]), (&json!(format), &json!(length)));
    let named = compression.get("format").cloned().unwrap_or(json!("deflate"));
    assert_eq!((&image["compression"], &image["compressedBytes"]), (&named, &json!(length)));
    assert_eq!(image["sha256"], json!(digests[0]));
    let stream = workspace.snugfs(["build", "plan.json", "-o", "-"]);
    if format == "vmdk" {
        assert_eq!(sha256(&stream.succeeded().stdout), digests[0]);
    } else {
        let stream = stream.failed_with(2).says("plan.output.compression: the header of qcow2 with");
        assert!(stream.stdout.is_empty());
    }
    workspace.snugfs(["inspect", name]).failed_with(5).says("convert it with `qemu-img convert -O raw`");
    workspace.snugfs(["build", "plan.json", "-o", name, "--verify-output"]).failed_with(2);
    assert_eq!(sha256(&workspace.read(name)), digests[0]);
}

#[test]
fn containers_with_compressed_blocks_contain_the_same_bytes() {
    for disk in [gpt(), Value::Null] {
        assert_same_when_packed(&disk, "vmdk", &Value::Null, "disk.vmdk");
        assert_same_when_packed(&disk, "vmdk", &json!({ "format": "deflate", "level": 1 }), "disk");
        assert_same_when_packed(&disk, "qcow2", &json!({ "format": "zstd" }), "disk.qcow2");
        assert_same_when_packed(&disk, "qcow2", &json!({ "format": "deflate" }), "disk.img");
    }
}

#[test]
fn an_appliance_has_a_disk_and_a_manifest() {
    let workspace = workspace(gpt());
    workspace.snugfs(["build", "plan.json", "-o", "raw.img"]).succeeded();
    workspace.snugfs(["build", "plan.json", "-o", "disk.vmdk"]).succeeded();
    let run = workspace.snugfs(["build", "plan.json", "-o", "vm.ova"]).failed_with(2);
    run.says("plan.output.ovf: an OVA needs the description of the virtual machine");
    workspace.change_plan(|plan| plan["output"] = json!({ "format": "ova", "ovf": "<Envelope/>" }));
    let run = workspace.snugfs(["build", "plan.json", "-o", "vm.ova"]).failed_with(3);
    run.says("plan.output.ovf: the description of the virtual machine does not name the disk");
    let ovf = "<File href=\"disk.vmdk\"/><Disk capacity=\"${capacity}\"/>";
    workspace.change_plan(|plan| plan["output"] = json!({ "format": "ova", "ovf": ovf }));
    workspace.snugfs(["build", "plan.json", "-o", "vm.ova", "--threads", "1"]).succeeded();
    let first = sha256(&workspace.read("vm.ova"));
    workspace.snugfs(["build", "plan.json", "-o", "vm.ova", "--threads", "4"]).succeeded();
    assert_eq!(sha256(&workspace.read("vm.ova")), first);
    let member = |name: &str| {
        let mut tar = Command::new("tar");
        Run::of(tar.arg("-xOf").arg(workspace.path("vm.ova")).arg(name)).succeeded().stdout
    };
    assert!(member("disk.vmdk") == workspace.read("disk.vmdk"));
    let (machine, len) = (member("machine.ovf"), workspace.read("raw.img").len());
    assert_eq!(String::from_utf8(machine.clone()).unwrap(), ovf.replace("${capacity}", &len.to_string()));
    let (machine, disk) = (sha256(&machine), sha256(&workspace.read("disk.vmdk")));
    let manifest = format!("SHA256(machine.ovf)= {machine}\nSHA256(disk.vmdk)= {disk}\n");
    assert_eq!(String::from_utf8(member("machine.mf")).unwrap(), manifest);
    let run = workspace.snugfs(["build", "plan.json", "-o", "-"]).failed_with(2);
    assert!(run.says("plan.output.format: the header of the disk in an OVA").stdout.is_empty());
    workspace.snugfs(["inspect", "vm.ova"]).failed_with(5).says("is a tar archive");
}

#[test]
fn an_archive_has_a_whole_disk_for_google_compute_engine() {
    let workspace = workspace(gpt());
    let warns = "plan.output.format: the image has ";
    for (name, unpack) in [("a.tar", ""), ("a.tar.gz", "-z"), ("a.tar.xz", "-J"), ("a.tar.zst", "--zstd")] {
        let run = workspace.snugfs(["build", "plan.json", "-o", name]).succeeded();
        assert!(run.stderr.contains(warns), "{}", run.stderr);
        let mut tar = Command::new("tar");
        tar.args(Some(unpack).filter(|unpack| !unpack.is_empty()));
        let listed = Run::of(tar.args(["-tf"]).arg(workspace.path(name))).succeeded();
        assert_eq!(listed.stdout, b"disk.raw\n", "{name}");
    }
    workspace.change_plan(|plan| {
        plan["disk"]["size"] = json!("1GiB");
        plan["output"] = json!({ "format": "tar", "compression": { "format": "gzip", "level": 1 } });
    });
    let run = workspace.snugfs(["build", "plan.json", "-o", "gce.tar.gz"]).succeeded();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let mut tar = Command::new("tar");
    let listed = Run::of(tar.args(["-tvf"]).arg(workspace.path("gce.tar.gz"))).succeeded();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(" 1073741824 1970-01-01 ") && listed.ends_with(" disk.raw\n"), "{listed}");
    workspace.change_plan(|plan| {
        plan["disk"]["size"] = Value::Null;
        plan["output"] = json!({ "member": "images/root.img", "format": "tar" });
    });
    let run = workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    workspace.change_plan(|plan| plan["output"] = json!({ "member": "root.img" }));
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img"]);
    run.failed_with(2).says(
        "plan.output.member: only an archive has a member, and vmdk-sparse a name of its own; leave it out",
    );
}

#[test]
fn bmaptool_accepts_the_map_of_the_image() {
    for disk in [mbr(), Value::Null] {
        let workspace = workspace(disk);
        workspace.snugfs(["build", "plan.json", "-o", "raw.img"]).succeeded();
        workspace.change_plan(|plan| plan["output"] = json!({ "bmap": true }));
        for (name, threads) in
            [("mapped.img", "2"), ("packed.img.zst", "1"), ("b.img.gz", "2"), ("c.img.xz", "1")]
        {
            workspace.snugfs(["build", "plan.json", "-o", name, "--threads", threads]).succeeded();
        }
        for name in ["packed", "b", "c"] {
            let map = workspace.read(&format!("{name}.img.bmap"));
            assert_eq!(workspace.read("mapped.img.bmap"), map, "{name}");
        }
        assert!(workspace.read("mapped.img") == workspace.read("raw.img"));
        // bmaptool compares the digest of every range, and only writes these ranges.
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
        // It finds the map of a compressed image by itself, and decompresses.
        for name in ["b.img.gz", "c.img.xz"] {
            let target = workspace.write("card", vec![0; workspace.read("raw.img").len()]);
            Run::of(Command::new("bmaptool").arg("copy").arg(workspace.path(name)).arg(&target)).succeeded();
            assert!(std::fs::read(target).unwrap() == workspace.read("raw.img"), "{name}");
        }
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
fn old_bytes_are_only_allowed_in_unused_space_with_ignore_unused() {
    for disk in [mbr(), gpt()] {
        let workspace = workspace(disk);
        workspace.change_plan(|plan| {
            plan["output"] = json!({ "bmap": true });
            plan["filesystem"]["freeSpace"] = json!("40MiB");
        });
        workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
        let image = workspace.read("disk.img");
        let ranges = mapped_blocks(&String::from_utf8(workspace.read("disk.img.bmap")).unwrap());
        // Like a card with old data.
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
        assert!(run.text().contains("every byte in use is correct, and it matches the plan"), "{run:?}");
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
