//! `plan.filesystem.verity`: hash trees as veritysetup makes them, and everything that depends on their root hashes.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use image_reader::Image;
use serde_json::{Value, json};
use snugfs_core::verify::{self, Medium, Terms};

use crate::support::{LoopDevice, Run, Workspace, plan_of_entries, sha256, tool};

const SALT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TREE_UUID: &str = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5";

/// Runs veritysetup, which works on files.
fn veritysetup(arguments: &[&str]) -> Run {
    Run::of(Command::new(tool("veritysetup")).args(arguments))
}

/// A sealed root with a hash tree and a few files, one of them of several MiB.
fn sealed_plan(verity: &Value) -> Workspace {
    let mut plan = plan_of_entries(json!({
        "/etc/motd": { "type": "file", "text": "hello\n" },
        "/large": { "type": "file", "source": "large" },
        "/zeros": { "type": "file", "source": "zeros", "holes": "fill" }
    }));
    plan["filesystem"]["seal"] = json!(true);
    plan["filesystem"]["verity"] = verity.clone();
    let workspace = Workspace::with_plan(&plan);
    let large: Vec<u8> =
        (0_u32..1_400_000).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    workspace.write("large", &large[..5_432_109]);
    workspace.write("zeros", vec![0; 700_000]);
    workspace
}

/// The partitions of a disk as sfdisk shows them.
fn partitions(disk: &Path) -> Vec<Value> {
    let run = Run::of(Command::new(tool("sfdisk")).arg("--json").arg(disk)).succeeded();
    let table: Value = serde_json::from_str(run.text()).unwrap();
    table["partitiontable"]["partitions"].as_array().unwrap().clone()
}

/// Copies a partition into a file of its own.
fn partition(workspace: &Workspace, disk: &str, index: usize, name: &str) -> String {
    let found = &partitions(&workspace.path(disk))[index];
    let at = |key: &str| usize::try_from(found[key].as_u64().unwrap() * 512).unwrap();
    let bytes = workspace.read(disk);
    let path = workspace.write(name, &bytes[at("start")..at("start") + at("size")]);
    path.to_str().unwrap().to_owned()
}

/// The bytes of the plan's image.
fn built(workspace: &Workspace) -> Vec<u8> {
    workspace.snugfs(["build", "plan.json", "-o", "x.img"]).succeeded();
    workspace.read("x.img")
}

fn guid_of_half(hash: &str, half: usize) -> String {
    let digits = &hash[half * 32..half * 32 + 32];
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-").to_uppercase()
}

#[test]
fn a_tree_after_the_file_system_is_that_of_veritysetup() {
    let workspace = sealed_plan(&json!({ "salt": SALT, "uuid": TREE_UUID }));
    let image = workspace.build("x.img", ["--roothash-out", "x.roothash", "--report", "x.json"]);
    let report = workspace.read_json("x.json");
    let root_hash = String::from_utf8(workspace.read("x.roothash")).unwrap();
    let root_hash = root_hash.strip_suffix('\n').unwrap();
    assert_eq!(report["rootHash"], json!(root_hash));
    assert_eq!(report["image"]["sha256"], json!(sha256(&workspace.read("x.img"))));
    let blocks = report["filesystem"]["blocks"].as_u64().unwrap();
    let offset = blocks * 4096;
    let tree_bytes = report["hashTreeBytes"].as_u64().unwrap();
    assert_eq!(image.metadata().unwrap().len(), offset + tree_bytes);

    let (image, hash_offset) = (image.to_str().unwrap(), format!("--hash-offset={offset}"));
    veritysetup(&["verify", &hash_offset, image, image, root_hash]).succeeded();
    // What veritysetup makes of the file system alone.
    let ours = workspace.read("x.img");
    let split = usize::try_from(offset).unwrap();
    let data = workspace.write("data", &ours[..split]);
    let tree = workspace.path("tree");
    let (salt, uuid) = (format!("--salt={SALT}"), format!("--uuid={TREE_UUID}"));
    veritysetup(&["format", &salt, &uuid, data.to_str().unwrap(), tree.to_str().unwrap()]).succeeded();
    assert!(workspace.read("tree") == ours[split..]);
}

#[test]
fn every_output_has_the_same_bytes() {
    let workspace = sealed_plan(&json!(true));
    workspace.build("x.img", []);
    let expected = workspace.read("x.img");
    let root_hash = workspace.snugfs(["roothash", "plan.json"]).succeeded();
    workspace.build("y.img", ["--report", "y.json", "--threads", "1"]);
    assert!(workspace.read("y.img") == expected);
    assert_eq!(root_hash.text().trim_end(), workspace.read_json("y.json")["rootHash"].as_str().unwrap());
    workspace.build("z.img", ["--verify-output", "--raw-digest", "--report", "z.json"]);
    assert!(workspace.read("z.img") == expected);
    let stdout = workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded();
    assert!(stdout.stdout == expected);
    let read_twice = "file systems with a hash tree were read twice";
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img.zst"]).succeeded();
    assert!(run.text().contains(read_twice) || run.stderr.contains(read_twice), "{run:?}");
    let zst = workspace.path("x.img.zst");
    let unpacked = Run::of(Command::new(tool("zstd")).arg("-dc").arg(zst)).succeeded();
    assert!(unpacked.stdout == expected);
}

#[test]
fn containers_have_the_same_bytes() {
    for workspace in [sealed_plan(&json!(true)), disk_plan()] {
        let expected = built(&workspace);
        let formats = [
            ("qcow2", "qcow2"),
            ("vhd", "vpc"),
            ("vhdx", "vhdx"),
            ("vdi", "vdi"),
            ("vmdk", "vmdk"),
            ("vmdk-sparse", "vmdk"),
        ];
        for (format, driver) in formats {
            workspace.change_plan(|plan| plan["output"] = json!({ "format": format }));
            let run = workspace.snugfs(["build", "plan.json", "-o", "container"]).succeeded();
            assert!(run.stderr.contains("read twice"), "{format}: {run:?}");
            let files = ["container", "back.img"].map(|name| workspace.path(name));
            let mut command = Command::new(tool("qemu-img"));
            Run::of(command.args(["convert", "-f", driver, "-O", "raw"]).args(files)).succeeded();
            let back = workspace.read("back.img");
            // A VHD has whole cylinders, and zeros after the image.
            let (start, rest) = back.split_at(expected.len());
            assert!(start == expected && rest.iter().all(|&byte| byte == 0), "{format}");
        }
    }
}

/// A disk with an ESP, two sealed slots and their trees. The second slot is an ext4 partition of the plan.
fn disk_plan() -> Workspace {
    let workspace = sealed_plan(&json!(true));
    workspace.change_plan(|plan| {
        plan["disk"] = json!({
            "table": "gpt",
            "partitions": [
                { "type": "esp", "size": "40MiB", "content": { "kind": "fat", "entries": {
                    "/loader/entries/a.conf": { "type": "file", "text": "options roothash=${rootHash:root} quiet\n" },
                    "/loader/entries/b.conf": { "type": "file", "text": "${rootHash:2} and ${rootHash:root}, ${rootHash:-none}" }
                } } },
                { "type": "root-x86-64", "content": { "kind": "root" } },
                { "type": "root-x86-64", "content": { "kind": "ext4",
                    "entries": { "/b": { "type": "file", "text": "slot b" } },
                    "filesystem": { "seal": true, "verity": true } } },
                { "type": "root-x86-64-verity", "content": { "kind": "verity", "of": 2 } },
                { "type": "root-x86-64-verity", "content": { "kind": "verity", "of": "root" } },
                { "type": "linux", "content": { "kind": "ext4",
                    "entries": { "/etc/hash": { "type": "file", "text": "${rootHash:root}" } } } }
            ]
        });
    });
    workspace
}

#[test]
fn a_disk_has_the_root_hashes_where_they_are_needed() {
    let workspace = disk_plan();
    workspace.snugfs(["build", "plan.json", "-o", "x.img", "--report", "x.json"]).succeeded();
    let report = workspace.read_json("x.json");
    let hash = |index: usize| report["disk"]["partitions"][index]["rootHash"].as_str().unwrap().to_owned();
    let (a, b) = (hash(1), hash(2));
    assert_ne!(a, b);
    assert_eq!((&report["rootHash"], hash(4), hash(3)), (&json!(a), a.clone(), b.clone()));
    for (data, tree, root_hash) in [(1, 4, &a), (2, 3, &b)] {
        let files =
            [(data, "data"), (tree, "tree")].map(|(index, name)| partition(&workspace, "x.img", index, name));
        veritysetup(&["verify", &files[0], &files[1], root_hash]).succeeded();
        let found = partitions(&workspace.path("x.img"));
        assert_eq!(found[data]["uuid"], json!(guid_of_half(root_hash, 0)));
        assert_eq!(found[tree]["uuid"], json!(guid_of_half(root_hash, 1)));
        let reported = report["disk"]["partitions"][data]["guid"].as_str().unwrap();
        assert_eq!(reported.to_uppercase(), guid_of_half(root_hash, 0));
    }
    let cat = |number: &str, path: &str| {
        let run = workspace.snugfs(["inspect", "x.img", "cat", path, "--partition", number]).succeeded();
        run.text().to_owned()
    };
    assert_eq!(cat("1", "/loader/entries/a.conf"), format!("options roothash={a} quiet\n"));
    assert_eq!(cat("1", "/loader/entries/b.conf"), format!("{b} and {a}, ${{rootHash:-none}}"));
    assert_eq!(cat("6", "/etc/hash"), a);
    for (of, root_hash) in [("root", &a), ("1", &a), ("2", &b)] {
        let run = workspace.snugfs(["roothash", "plan.json", "--of", of]).succeeded();
        assert_eq!(run.text().trim_end(), root_hash);
    }
    workspace.snugfs(["build", "plan.json", "-o", "x.img.zst"]).succeeded();
    let unpacked =
        Run::of(Command::new(tool("zstd")).arg("-dc").arg(workspace.path("x.img.zst"))).succeeded();
    assert!(unpacked.stdout == workspace.read("x.img"));
    workspace.snugfs(["verify", "x.img"]).succeeded();
    workspace.snugfs(["verify", "x.img", "--against", "plan.json"]).succeeded();
}

#[test]
fn a_device_is_written_in_one_pass() {
    for (option, workspace) in
        [("--sync", sealed_plan(&json!(true))), ("--no-read-back", disk_plan()), ("--sync", disk_plan())]
    {
        let expected = built(&workspace);
        // Old bytes may not show through.
        let card = workspace.write("card", vec![0xa5; expected.len() + (1 << 20)]);
        let device = LoopDevice::new(&card, "512");
        let arguments =
            ["build", "plan.json", "--device", "-o", &device.device, "--report", "x.json", option];
        let run = workspace.snugfs(arguments).succeeded();
        assert!(!run.stderr.contains("read twice"), "{run:?}");
        drop(device);
        assert!(workspace.read("card")[..expected.len()] == expected, "{option}");
        assert_eq!(workspace.read_json("x.json")["image"]["sha256"], json!(sha256(&expected)));
    }
}

#[test]
fn compressed_frames_have_the_same_bytes() {
    let workspace = disk_plan();
    let expected = built(&workspace);
    for compression in [json!({ "seekable": true }), json!({ "frames": true, "seekable": true })] {
        workspace.change_plan(|plan| {
            plan["output"]["compression"] = compression.clone();
            plan["output"]["compression"]["format"] = json!("zstd");
        });
        let run = workspace.snugfs(["build", "plan.json", "-o", "x.img.zst"]).succeeded();
        assert!(run.stderr.contains("read twice"), "{run:?}");
        let zst = workspace.path("x.img.zst");
        let unpacked = Run::of(Command::new(tool("zstd")).arg("-dc").arg(zst)).succeeded();
        assert!(unpacked.stdout == expected, "{compression}");
        workspace.snugfs(["verify", "x.img.zst"]).succeeded();
    }
}

#[test]
fn damage_of_data_and_of_trees_is_found() {
    let workspace = disk_plan();
    let good = built(&workspace);
    let checked = workspace.snugfs(["verify", "x.img"]).succeeded();
    let all = ": partition table, ext4 and hash trees are correct; --against checks the rest\n";
    assert!(checked.text().ends_with(all) && checked.text().contains("(not checked)"), "{checked:?}");
    let compared = workspace.snugfs(["verify", "x.img", "--against", "plan.json"]).succeeded();
    let all = ": every byte is correct, and it matches the plan\n";
    assert!(compared.text().ends_with(all) && !compared.text().contains("not checked"), "{compared:?}");
    let found = partitions(&workspace.path("x.img"));
    let start = |index: usize| usize::try_from(found[index]["start"].as_u64().unwrap() * 512).unwrap();
    let second = &workspace.read("large")[4096..8192];
    let large = 4096 * good.chunks(4096).position(|block| block == second).unwrap();
    let one = "partition 5: the hash tree does not match partition 2: 1 block with another hash";
    for (at, what, code) in [
        (large, one, "hash-tree-mismatch"),
        (start(4) + 4096, "partition 5: the hash tree is damaged in its block 1", "hash-tree-damaged"),
        (start(4) + 3 * 4096, "partition 5: the hash tree does not match partition 2", "hash-tree-mismatch"),
    ] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        workspace.write("bad.img", bytes);
        let run = workspace.snugfs(["verify", "bad.img"]);
        assert_ne!(run.code, 0);
        let line = run.stderr.lines().find(|line| line.contains(what)).unwrap_or_default();
        assert!(line.ends_with(&format!(" ({code})")), "{what}: {run:?}");
        let json = workspace.snugfs(["verify", "bad.img", "--json"]);
        let tree = serde_json::from_slice::<Value>(&json.stdout).unwrap()["volumes"][4].clone();
        assert_eq!((&tree["holds"], &tree["judged"]), (&json!("verity"), &json!(true)));
        assert_eq!((&tree["problems"][0]["code"], &tree["counts"][code]), (&json!(code), &json!(1)));
        let run = workspace.snugfs(["verify", "bad.img", "--against", "plan.json"]);
        assert_ne!(run.code, 0, "{what}");
    }
}

#[test]
fn every_bit_of_a_superblock_is_checked() {
    let alone = Workspace::with_plan(&plan_of_entries(json!({})));
    alone.change_plan(|plan| plan["filesystem"] = json!({ "seal": true, "verity": { "salt": SALT } }));
    let disk = disk_plan();
    disk.change_plan(|plan| {
        plan["entries"] = json!({});
        plan["filesystem"]["verity"] = json!({ "salt": SALT });
        plan["disk"]["partitions"][0] = json!({ "type": "linux", "size": "1MiB" });
        plan["disk"]["partitions"].as_array_mut().unwrap().truncate(5);
    });
    for workspace in [alone, disk] {
        let good = built(&workspace);
        let file = std::fs::OpenOptions::new().write(true).open(workspace.path("x.img")).unwrap();
        let put = |at: usize, byte: u8| file.write_all_at(&[byte], at.try_into().unwrap()).unwrap();
        let verify = || {
            let image = Image::open(&workspace.path("x.img")).unwrap();
            verify::image(&image, Terms::new(Medium::File, false)).unwrap()
        };
        assert!(verify().is_right(false));
        let is_superblock = |block: &[u8]| block.starts_with(b"verity\0\0");
        let start = 4096 * good.chunks(4096).position(is_superblock).unwrap();
        for byte in (0..4096).filter(|byte| *byte < 128 || byte % 256 == 0) {
            // After the numbers, the salt and zeros.
            for bit in (0..8).filter(|bit| byte < 88 || *bit == byte % 8) {
                put(start + byte, good[start + byte] ^ 1 << bit);
                let found = verify();
                let lines = found.lines(false).join("\n");
                // Nothing else depends on the UUID of a tree.
                assert_eq!(
                    found.is_right(false),
                    (16..32).contains(&byte),
                    "byte {byte}, bit {bit}: {lines}"
                );
                assert!(
                    found.is_right(false) || lines.contains("hash tree"),
                    "byte {byte}, bit {bit}: {lines}"
                );
                put(start + byte, good[start + byte]);
            }
        }
    }
}

#[test]
fn bytes_after_a_tree_must_be_zero_as_after_a_file_system() {
    let workspace = sealed_plan(&json!(true));
    let good = built(&workspace);
    let with = |end: &[u8]| workspace.write("longer.img", [&good, end].concat());
    with(&[0; 4096]);
    workspace.snugfs(["verify", "longer.img"]).succeeded();
    let longer = with(&[[0; 4096], [7; 4096]].concat());
    let run = workspace.snugfs(["verify", "longer.img"]).failed_with(8);
    let text = format!("byte {} is behind its end and not zero (trailing-data)", good.len() + 4096);
    assert!(run.stderr.contains(&text), "{}", run.stderr);
    workspace.snugfs(["verify", "longer.img", "--used"]).succeeded();
    workspace.snugfs(["verify", "longer.img", "--ignore-unused"]).succeeded();
    let device = LoopDevice::new(&longer, "512");
    workspace.snugfs(["verify", &device.device]).succeeded();
}

#[test]
fn a_root_hash_can_go_to_standard_output() {
    let workspace = sealed_plan(&json!(true));
    let root_hash = workspace.snugfs(["roothash", "plan.json"]).succeeded();
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img", "--roothash-out", "-"]).succeeded();
    assert_eq!(run.text(), root_hash.text());
    assert!(!workspace.path("-").exists());
    let run = workspace.snugfs(["build", "plan.json", "-o", "-", "--roothash-out", "-"]).failed_with(2);
    run.says("--roothash-out -: the image goes to standard output already; name a file for the root hash");
}

#[test]
fn trees_are_built_in_the_order_of_their_hashes() {
    let workspace = disk_plan();
    workspace.change_plan(|plan| {
        plan["entries"]["/etc/other"] = json!({ "type": "file", "text": "${rootHash:2}" });
    });
    workspace.snugfs(["build", "plan.json", "-o", "x.img", "--report", "x.json"]).succeeded();
    let report = workspace.read_json("x.json");
    let b = report["disk"]["partitions"][2]["rootHash"].as_str().unwrap();
    let run = workspace.snugfs(["inspect", "x.img", "cat", "/etc/other", "--partition", "2"]).succeeded();
    assert_eq!(run.text(), b);
    let files = [(1, "data"), (4, "tree")].map(|(index, name)| partition(&workspace, "x.img", index, name));
    veritysetup(&["verify", &files[0], &files[1], report["rootHash"].as_str().unwrap()]).succeeded();
}

#[test]
fn bad_input_is_one_line() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 14] = [
        (|plan| plan["filesystem"]["seal"] = json!(false), "is never written, but \"seal\" is not true"),
        (|plan| plan["filesystem"]["verity"] = json!({ "salt": "abc" }), "has 3 digits, an odd number"),
        (|plan| plan["filesystem"]["verity"] = json!({ "salt": "xy" }), "is not a salt"),
        (|plan| plan["filesystem"]["verity"] = json!({ "hash": "md5" }), "is not known here"),
        (|plan| plan["filesystem"]["verity"] = json!("yes"), "is not true, false or an object"),
        (
            |plan| plan["disk"]["partitions"][4]["size"] = json!("16KiB"),
            "more than the partition's 16384; make it larger",
        ),
        (
            |plan| plan["entries"]["/etc/fstab"] = json!({ "type": "fstab", "by": "partuuid" }),
            "the PARTUUID of partition 2 is half of its root hash, which is not known yet",
        ),
        (
            |plan| plan["disk"]["partitions"][4]["mount"] = json!("/tree"),
            "this partition has no file system of the plan to mount",
        ),
        (
            |plan| plan["disk"]["partitions"][4]["content"]["of"] = json!(5),
            "this file system has no hash tree",
        ),
        (
            |plan| plan["disk"]["partitions"][4]["content"]["of"] = json!(0),
            "is no ext4 file system of the plan",
        ),
        (
            |plan| plan["disk"]["partitions"][4]["content"]["of"] = json!(2),
            "has the tree of this file system already",
        ),
        (
            |plan| plan["entries"]["/x"] = json!({ "type": "file", "text": "${rootHash:usr}" }),
            "no file system of this name has a hash tree",
        ),
        (
            |plan| plan["entries"]["/x"] = json!({ "type": "file", "text": "${rootHash:root}" }),
            "it would need itself",
        ),
        (
            |plan| {
                plan["entries"]["/x"] = json!({ "type": "file", "text": "${rootHash:2}" });
                plan["disk"]["partitions"][2]["content"]["entries"]["/y"] =
                    json!({ "type": "file", "text": "${rootHash:root}" });
            },
            "two file systems have the root hash of each other",
        ),
    ];
    for (change, what) in cases {
        let workspace = disk_plan();
        workspace.change_plan(change);
        let run = workspace.snugfs(["build", "plan.json", "-o", "x.img"]);
        assert!(matches!(run.code, 3 | 6), "{what}: {run:?}");
        assert!(run.stderr.lines().any(|line| line.contains(what)), "{what}: {}", run.stderr);
        assert!(!workspace.names().contains(&"x.img".to_owned()));
    }
}
