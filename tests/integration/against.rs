//! `snugfs verify --against`: an image compared with its own plan and with other plans.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Workspace, tool};

/// A disk with all kinds of parts: the small example as its root, firmware, another file system, a raw partition, a blob.
fn workspace() -> Workspace {
    let workspace = Workspace::with_small_example();
    workspace.write("firmware/config.txt", "arm_64bit=1\n");
    workspace.write("firmware/overlays/long name.dtbo", vec![9; 70_000]);
    workspace.write("firmware2/config.txt", "arm_64bit=0\n");
    workspace.write("firmware2/overlays/long name.dtbo", vec![9; 70_000]);
    workspace.write("firmware2/more.txt", "");
    workspace.write("loader.bin", vec![0xab; 300_001]);
    let mut other = vec![0xab; 300_001];
    other[299_999] = 1;
    workspace.write("loader2.bin", other);
    workspace.write("data/large", (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    workspace.write("data/one", "one");
    std::fs::hard_link(workspace.path("data/one"), workspace.path("data/two")).unwrap();
    workspace.write("data/six", "one");
    workspace.write("data2/large", (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    workspace.write("data2/one", "one");
    workspace.write("data2/two", "one");
    workspace.write("data2/six", "one");
    workspace.change_plan(|plan| {
        plan["entries"]["/etc/x"] = json!({ "type": "file", "text": "x", "xattrs": { "user.a": "YQ==", "user.b": "Yg==" } });
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "esp", "size": "16MiB", "name": "boot",
              "content": { "kind": "fat", "label": "FIRMWARE", "id": "0x2178694e", "source": "firmware" } },
            { "type": "root-arm64", "name": "root-a", "content": { "kind": "root" } },
            { "type": "linux", "size": "48MiB", "bootable": true, "content": {
                "kind": "ext4", "filesystem": { "label": "DATA", "uuid": "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b19" },
                "trees": [{ "source": "data" }] } },
            { "type": "linux", "content": { "kind": "raw", "source": "loader.bin" } },
        ], "blobs": [{ "source": "loader.bin", "offset": "64KiB" }] });
    });
    workspace
}

/// A raw partition may contain a file system of another program: only its bytes are compared.
#[test]
fn a_foreign_file_system_in_a_raw_partition_is_compared_but_not_checked() {
    let workspace = Workspace::with_small_example();
    let foreign = workspace.path("foreign.img");
    let made = Command::new(tool("mke2fs"))
        .args(["-q", "-t", "ext4", "-b", "1024"])
        .arg(&foreign)
        .arg("4M")
        .output();
    assert!(made.unwrap().status.success());
    workspace.change_plan(|plan| {
        plan["disk"] = json!({ "table": "mbr", "partitions": [
            { "type": "83", "content": { "kind": "root" } },
            { "type": "83", "content": { "kind": "raw", "source": "foreign.img" } },
        ] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--verify-output"]).succeeded();
    workspace.snugfs(["verify", "disk.img", "--against", "plan.json"]).succeeded();
    workspace.snugfs(["verify", "disk.img"]).failed_with(8).says("partition 2: superblock");
}

/// Boot code may begin like a FAT file system, so that firmware boots the disk like a floppy. The partition table takes
/// precedence.
#[test]
fn boot_code_that_looks_like_a_file_system_hides_no_table() {
    let workspace = Workspace::with_small_example();
    let floppy = workspace.path("floppy.img");
    std::fs::File::create(&floppy).unwrap().set_len(16 << 20).unwrap();
    let made = Command::new(tool("mkfs.vfat")).args(["-F", "16"]).arg(&floppy).output();
    assert!(made.unwrap().status.success());
    workspace.write("code.bin", &workspace.read("floppy.img")[..440]);
    workspace.change_plan(|plan| {
        plan["disk"] = json!({ "table": "mbr",
            "partitions": [{ "type": "83", "bootable": true, "content": { "kind": "root" } }],
            "blobs": [{ "source": "code.bin", "offset": 0 }] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--verify-output"]).succeeded();
    assert!(workspace.read("disk.img").starts_with(&workspace.read("code.bin")));
    workspace.snugfs(["verify", "disk.img", "--against", "plan.json"]).succeeded();
    let shown = workspace.snugfs(["verify", "disk.img"]).succeeded();
    assert!(shown.text().contains("partition 1 ext4"), "{}", shown.text());
    let cut = workspace.read("disk.img");
    workspace.write("cut.img", &cut[..cut.len() - 4096]);
    workspace
        .snugfs(["verify", "cut.img"])
        .failed_with(8)
        .says("partition 1 ends 4096 bytes after the end of the image");
    workspace
        .snugfs(["verify", "floppy.img"])
        .failed_with(5)
        .says("contains FAT16, but snugfs only checks ext4 and disks; check it with `fsck.fat -n`");
    let shown = workspace.snugfs(["inspect", "floppy.img"]).succeeded();
    assert!(shown.text().contains("FAT16"), "a file system by itself stays one: {}", shown.text());
    let mut text = workspace.read("floppy.img");
    text[0x1be..0x1fe].copy_from_slice(
        &[b"Remove disks or other media.\xff\r\nPress any key".as_slice(), &[0; 64]].concat()[..64],
    );
    workspace.write("text.img", text);
    assert!(workspace.snugfs(["inspect", "text.img"]).succeeded().text().contains("FAT16"));
}

/// Plans of other images: name, expected code, expected place, and how the plan differs.
type Case = (&'static str, &'static str, &'static str, fn(&mut Value));

const GREETING: &str = "/nix/store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0";

const OTHER_PLANS: &[Case] = &[
    ("a file more", "tree-missing", "/etc/new", |plan| {
        plan["entries"]["/etc/new"] = json!({ "type": "file", "text": "" });
    }),
    ("a directory more", "tree-missing", "/a: ", |plan| {
        plan["entries"]["/a/b"] = json!({ "type": "directory" });
    }),
    ("a file less", "tree-extra", "/etc/hostname", |plan| remove(&mut plan["entries"], "/etc/hostname")),
    ("a directory less", "tree-extra", "/tmp", |plan| remove(&mut plan["entries"], "/tmp")),
    ("a device less", "tree-extra", "/dev/console", |plan| remove(&mut plan["entries"], "/dev/console")),
    ("another name, missing", "tree-missing", "/etc/hostnamf", |plan| {
        rename(plan, "/etc/hostname", "/etc/hostnamf");
    }),
    ("another name, extra", "tree-extra", "/etc/hostname", |plan| {
        rename(plan, "/etc/hostname", "/etc/hostnamf");
    }),
    ("a directory for a file", "tree-kind", "/etc/hostname", |plan| {
        plan["entries"]["/etc/hostname"] = json!({ "type": "directory" });
    }),
    ("a file for a directory", "tree-kind", "/tmp", |plan| {
        plan["entries"]["/tmp"] = json!({ "type": "file", "text": "" });
    }),
    ("a symlink for a file", "tree-kind", "/etc/hostname", |plan| {
        plan["entries"]["/etc/hostname"] = json!({ "type": "symlink", "target": "x" });
    }),
    ("a fifo for a device", "tree-kind", "/dev/console", |plan| {
        plan["entries"]["/dev/console"] = json!({ "type": "fifo" });
    }),
    ("a block device for a character device", "tree-kind", "/dev/console", |plan| {
        plan["entries"]["/dev/console"]["type"] = json!("block");
    }),
    ("mode of a file", "tree-mode", "/etc/hostname", |plan| {
        plan["entries"]["/etc/hostname"]["mode"] = json!("0600");
    }),
    ("mode of a directory", "tree-mode", "/tmp", |plan| plan["entries"]["/tmp"]["mode"] = json!("0777")),
    ("setuid", "tree-mode", "/etc/hostname", |plan| plan["entries"]["/etc/hostname"]["mode"] = json!("4644")),
    ("mode of a device", "tree-mode", "/dev/console", |plan| {
        plan["entries"]["/dev/console"]["mode"] = json!("0622");
    }),
    ("mode of the root", "tree-mode", "/:", |plan| plan["attributes"]["/"] = json!({ "mode": "0700" })),
    ("owner", "tree-owner", "/home/board/notes.txt", |plan| {
        plan["attributes"]["/home/board"]["uid"] = json!(1001);
    }),
    ("owner beyond 16 bits", "tree-owner", "/home/board", |plan| {
        plan["attributes"]["/home/board"]["uid"] = json!(66_536);
    }),
    ("group", "tree-group", "/home/board/notes.txt", |plan| {
        plan["attributes"]["/home/board"]["gid"] = json!(101);
    }),
    ("group beyond 16 bits", "tree-group", "/home/board", |plan| {
        plan["attributes"]["/home/board"]["gid"] = json!(65_636);
    }),
    ("owner of a symlink", "tree-owner", "/bin/sh", |plan| {
        plan["attributes"]["/bin/sh"] = json!({ "uid": 5 });
    }),
    ("time", "tree-time", "partition 2: /.first-boot", |plan| plan["filesystem"]["timestamp"] = json!(2)),
    ("time of the file system", "filesystem-time", "file system", |plan| {
        plan["filesystem"]["timestamp"] = json!(2);
    }),
    ("time beyond 2038", "tree-time", "partition 2: /.first-boot", |plan| {
        plan["filesystem"]["timestamp"] = json!(4_294_967_297_i64);
    }),
    ("attribute missing", "tree-xattr", "/etc/x", |plan| {
        plan["entries"]["/etc/x"]["xattrs"]["user.c"] = json!("YQ==");
    }),
    ("attribute extra", "tree-xattr", "/etc/x", |plan| {
        remove(&mut plan["entries"]["/etc/x"]["xattrs"], "user.b");
    }),
    ("attribute's value", "tree-xattr", "/etc/x", |plan| {
        plan["entries"]["/etc/x"]["xattrs"]["user.a"] = json!("Yg==");
    }),
    ("attributes at all", "tree-xattr", "/etc/x", |plan| remove(&mut plan["entries"]["/etc/x"], "xattrs")),
    ("target", "tree-target", "/bin/sh", |plan| {
        plan["entries"]["/bin/sh"]["target"] = json!("/nix/var/nix/profiles/system/sw/bin/sj");
    }),
    ("longer target", "tree-target", "/bin/sh", |plan| {
        plan["entries"]["/bin/sh"]["target"] = json!("s".repeat(100));
    }),
    ("minor number", "tree-device", "/dev/console", |plan| {
        plan["entries"]["/dev/console"]["minor"] = json!(2);
    }),
    ("major number", "tree-device", "/dev/mmcblk0", |plan| {
        plan["entries"]["/dev/mmcblk0"]["major"] = json!(180);
    }),
    ("minor number beyond 8 bits", "tree-device", "/dev/mmcblk0", |plan| {
        plan["entries"]["/dev/mmcblk0"]["minor"] = json!(256);
    }),
    ("text of the same length", "tree-contents", "/etc/hostname", |plan| {
        plan["entries"]["/etc/hostname"]["text"] = json!("bOard\n");
    }),
    ("longer text", "tree-size", "/etc/hostname", |plan| {
        plan["entries"]["/etc/hostname"]["text"] = json!("board\n\n");
    }),
    ("another source", "tree-size", "/boot/kernel", |plan| {
        plan["entries"]["/boot/kernel"]["source"] = json!("loader.bin");
    }),
    ("registration elsewhere", "tree-missing", "/other", |plan| {
        plan["closure"]["registrationTarget"] = json!("/other");
    }),
    ("a link that is a file", "tree-links", "partition 3: /two", |plan| {
        plan["disk"]["partitions"][2]["content"]["trees"][0]["source"] = json!("data2");
    }),
    ("label", "filesystem-label", "partition 2: file system", |plan| {
        plan["filesystem"]["label"] = json!("BOARDS");
    }),
    ("label of another", "filesystem-label", "partition 3: file system", |plan| {
        plan["disk"]["partitions"][2]["content"]["filesystem"]["label"] = json!("DATB");
    }),
    ("UUID", "filesystem-uuid", "partition 2: file system", |plan| {
        plan["filesystem"]["uuid"] = json!("7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b11");
    }),
    ("less free space", "filesystem-free-space", "partition 2", |plan| {
        plan["filesystem"]["freeSpace"] = json!("3MiB");
    }),
    ("more free space", "filesystem-size", "partition 2", |plan| {
        plan["filesystem"]["freeSpace"] = json!("300MiB");
    }),
    ("a block more free space", "filesystem-free-space", "partition 2", |plan| {
        plan["filesystem"]["freeSpace"] = json!(4_198_400);
    }),
    ("free inodes", "filesystem-inodes", "partition 2", |plan| {
        plan["filesystem"]["freeInodes"] = json!(20_000);
    }),
    ("density", "filesystem-inodes", "partition 2", |plan| plan["filesystem"]["bytesPerInode"] = json!(4096)),
    ("growth", "filesystem-growth", "partition 2", |plan| plan["filesystem"]["growTo"] = json!("1TiB")),
    ("no growth", "filesystem-features", "partition 2", |plan| plan["filesystem"]["growTo"] = Value::Null),
    ("journal", "filesystem-journal", "partition 2", |plan| {
        plan["filesystem"]["journalSize"] = json!("8MiB");
    }),
    ("reserved", "filesystem-reserved", "partition 2", |plan| {
        plan["filesystem"]["reservedPercent"] = json!(1);
    }),
    ("kind of table", "disk-table", "partition table", |plan| {
        plan["disk"]["table"] = json!("mbr");
        for (index, kind) in ["0b", "83", "83", "83"].iter().enumerate() {
            plan["disk"]["partitions"][index]["type"] = json!(kind);
            remove(&mut plan["disk"]["partitions"][index], "name");
        }
    }),
    ("GUID of the disk", "disk-table", "partition table", |plan| {
        plan["disk"]["id"] = json!("7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b12");
    }),
    ("a partition more", "disk-partition", "partition 5", |plan| {
        push(&mut plan["disk"]["partitions"], json!({ "type": "linux", "size": "1MiB" }));
    }),
    ("a partition less", "disk-partition", "partition 4", |plan| {
        plan["disk"]["partitions"].as_array_mut().unwrap().pop();
    }),
    ("start", "disk-partition", "partition 2", |plan| {
        plan["disk"]["partitions"][1]["start"] = json!("18MiB");
    }),
    ("length", "disk-partition", "partition 3", |plan| {
        plan["disk"]["partitions"][2]["size"] = json!("49MiB");
    }),
    ("type", "disk-partition", "partition 2", |plan| plan["disk"]["partitions"][1]["type"] = json!("linux")),
    ("boot flag", "disk-partition", "partition 3", |plan| {
        plan["disk"]["partitions"][2]["bootable"] = json!(false);
    }),
    ("name of a partition", "disk-partition", "partition 2", |plan| {
        plan["disk"]["partitions"][1]["name"] = json!("root-b");
    }),
    ("GUID of a partition", "disk-partition", "partition 1", |plan| {
        plan["disk"]["partitions"][0]["guid"] = json!("7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b13");
    }),
    ("length of the disk", "image-size", "image", |plan| plan["disk"]["size"] = json!("1GiB")),
    ("raw partition", "disk-raw", "partition 4", |plan| {
        plan["disk"]["partitions"][3]["content"]["source"] = json!("loader2.bin");
    }),
    ("blob", "disk-blob", "blob at byte 65536", |plan| {
        plan["disk"]["blobs"][0]["source"] = json!("loader2.bin");
    }),
    ("blob elsewhere", "disk-blob", "blob at byte 73728", |plan| {
        plan["disk"]["blobs"][0]["offset"] = json!("72KiB");
    }),
    ("file of FAT", "tree-contents", "partition 1: /config.txt", |plan| {
        plan["disk"]["partitions"][0]["content"]["source"] = json!("firmware2");
    }),
    ("a file of FAT more", "tree-missing", "partition 1: /more.txt", |plan| {
        plan["disk"]["partitions"][0]["content"]["source"] = json!("firmware2");
    }),
    ("label of FAT", "fat-label", "partition 1", |plan| {
        plan["disk"]["partitions"][0]["content"]["label"] = json!("FIRMWARF");
    }),
    ("number of FAT", "fat-number", "partition 1", |plan| {
        plan["disk"]["partitions"][0]["content"]["id"] = json!("0x2178694f");
    }),
    ("ext4 for FAT", "fat-unreadable", "partition 3", |plan| {
        plan["disk"]["partitions"][2]["content"] = json!({ "kind": "fat", "source": "firmware" });
    }),
];

fn remove(of: &mut Value, key: &str) {
    of.as_object_mut().unwrap().remove(key);
}

fn rename(plan: &mut Value, from: &str, to: &str) {
    let entries = plan["entries"].as_object_mut().unwrap();
    let entry = entries.remove(from).unwrap();
    entries.insert(to.to_owned(), entry);
}

fn push(to: &mut Value, value: Value) {
    to.as_array_mut().unwrap().push(value);
}

#[test]
fn an_image_matches_its_plan_in_every_format() {
    let workspace = workspace();
    for name in ["disk.img", "disk.img.zst"] {
        workspace.snugfs(["build", "plan.json", "-o", name]).succeeded();
        let run = workspace.snugfs(["verify", name, "--against", "plan.json"]).succeeded();
        assert!(run.text().contains("it matches the plan"), "{run:?}");
        workspace.snugfs(["verify", name, "--used", "--against", "plan.json"]).succeeded();
    }
    workspace
        .change_plan(|plan| plan["output"]["compression"] = json!({ "format": "zstd", "seekable": true }));
    workspace.snugfs(["build", "plan.json", "-o", "disk.img.zst"]).succeeded();
    workspace.snugfs(["verify", "disk.img.zst", "--against", "plan.json"]).succeeded();
}

#[test]
fn every_difference_from_a_plan_is_found_and_named() {
    let workspace = workspace();
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    let plan = workspace.read_json("plan.json");
    let mut missed = Vec::new();
    for (name, code, place, change) in OTHER_PLANS {
        let mut other = plan.clone();
        change(&mut other);
        workspace.write("other.json", other.to_string());
        let run = workspace.snugfs(["verify", "disk.img", "--against", "other.json"]);
        let is_named =
            run.stderr.lines().any(|line| line.contains(place) && line.ends_with(&format!("({code})")));
        if run.code != 8 || !is_named {
            missed.push(format!("{name}: {code} at {place}: {} {}", run.code, run.stderr));
        }
    }
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), OTHER_PLANS.len(), missed.join("\n"));
    println!("{} other plans distinguished from the image", OTHER_PLANS.len());
}

/// The offset of some bytes in an image.
fn find(image: &[u8], bytes: &[u8]) -> u64 {
    u64::try_from(image.windows(bytes.len()).position(|window| window == bytes).unwrap()).unwrap()
}

fn put(path: &Path, at: u64, bytes: &[u8]) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn every_damaged_byte_is_reported_with_its_file() {
    let workspace = workspace();
    workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).succeeded();
    let image = workspace.read("disk.img");
    let text = workspace.read(&format!("store/{}/share/greeting/en.txt", &GREETING[11..]));
    let large = find(&image, &1_000_000_u32.to_le_bytes());
    let cases: &[(u64, &[u8], &str, &str)] = &[
        (find(&image, &text), b"?", "/share/greeting/en.txt", "tree-contents"),
        (find(&image, &text), b"?", GREETING, "store-path-hash"),
        (find(&image, b"Owned by the one"), b"o", "/home/board/notes.txt", "tree-contents"),
        (large, &[0; 4096], "partition 3: /large", "tree-contents"),
        (find(&image, b"arm_64bit"), b"?", "partition 1: /config.txt", "tree-contents"),
        (65_536 + 300_000, b"?", "blob at byte 65536", "disk-blob"),
        (65_536 + 300_001, b"?", "unused space", "image-bytes"),
        (512 + 56, b"?", "partition table", "missing or invalid"),
        (16 << 20, b"?", "partition 1: file system", "image-bytes"),
        (1024, b"?", "image", "image-bytes"),
    ];
    for (at, bytes, place, code) in cases {
        let path = workspace.write("damaged.img", &image);
        put(&path, *at, bytes);
        let run = workspace.snugfs(["verify", "damaged.img", "--against", "plan.json"]).failed_with(8);
        let is_named = run.stderr.lines().any(|line| line.contains(place) && line.contains(code));
        assert!(is_named, "byte {at}: {code} at {place}: {}", run.stderr);
    }
}

/// One bit at a time: half of the places at random, half where the image has data.
#[test]
fn no_bit_changes_unnoticed() {
    const EACH: u64 = 75;
    let workspace = workspace();
    workspace.snugfs(["build", "plan.json", "-o", "0.img"]).succeeded();
    let image = workspace.read("0.img");
    let len = u64::try_from(image.len()).unwrap();
    let written: Vec<u64> = (0..)
        .zip(image.chunks(512))
        .filter(|(_, sector)| sector.iter().any(|&byte| byte != 0))
        .map(|(number, _)| number)
        .collect();
    let flip = &|worker: u64| {
        let name = format!("{worker}.img");
        workspace.snugfs(["build", "plan.json", "-o", &name]).succeeded();
        let path = workspace.path(&name);
        let mut number = worker * 2 + 1;
        for round in 0..EACH {
            // The same numbers every time (xorshift64).
            for _ in 0..8 {
                number ^= number << 13;
                number ^= number >> 7;
                number ^= number << 17;
            }
            let at = if round % 2 == 0 {
                number % len
            } else {
                let count = u64::try_from(written.len()).unwrap();
                written[usize::try_from(number / 512 % count).unwrap()] * 512 + number % 512
            };
            let was = image[usize::try_from(at).unwrap()];
            put(&path, at, &[was ^ (1 << (number >> 32 & 7))]);
            let run = workspace.snugfs(["verify", &name, "--against", "plan.json", "--threads", "1"]);
            assert_eq!(run.code, 8, "byte {at}: {}", run.stderr);
            assert!(!run.stderr.contains("internal error"), "byte {at}: {}", run.stderr);
            put(&path, at, &[was]);
        }
        workspace.snugfs(["verify", &name, "--against", "plan.json"]).succeeded();
    };
    std::thread::scope(|scope| {
        for worker in 0..2 {
            scope.spawn(move || flip(worker));
        }
    });
}

#[test]
fn the_written_image_is_verified_before_it_gets_its_name() {
    let workspace = workspace();
    for name in ["disk.img", "disk.img.zst"] {
        let run = workspace.snugfs([
            "build",
            "plan.json",
            "-o",
            name,
            "--verify-output",
            "--report",
            "report.json",
        ]);
        run.succeeded();
        workspace.snugfs(["verify", name, "--against", "plan.json"]).succeeded();
    }
    workspace.change_plan(|plan| plan["output"]["verify"] = json!(true));
    workspace.snugfs(["build", "plan.json", "-o", "same.img"]).succeeded();
    assert!(workspace.read("same.img") == workspace.read("disk.img"));
    workspace.snugfs(["build", "plan.json", "-o", "-"]).failed_with(2).says("--verify-output: ");
    workspace.change_plan(|plan| plan["output"]["format"] = json!("qcow2"));
    workspace.snugfs(["build", "plan.json", "-o", "disk.qcow2"]).failed_with(2).says("--verify-output: ");
}

#[test]
fn an_output_that_differs_from_the_registration_never_appears() {
    let workspace = workspace();
    let file = format!("store/{}/share/greeting/en.txt", &GREETING[11..]);
    let mut text = workspace.read(&file);
    text[0] ^= 1;
    std::fs::set_permissions(workspace.path(&file), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    workspace.write(&file, text);
    // The same length, so only the hash differs; and the plan does not ask for hashes.
    workspace.change_plan(|plan| plan["closure"]["verify"] = json!("size"));
    workspace.snugfs(["build", "plan.json", "-o", "wrong.img"]).succeeded();
    for name in ["disk.img", "disk.img.zst"] {
        let run = workspace.snugfs(["build", "plan.json", "-o", name, "--verify-output"]).failed_with(8);
        run.says(GREETING).says("(store-path-hash)");
        assert!(!workspace.path(name).exists(), "{name}");
    }
    let run = workspace.snugfs(["verify", "wrong.img", "--against", "plan.json"]).failed_with(8);
    run.says(GREETING).says("(store-path-hash)");
}
