//! Images that keep the layout of an earlier one: `--layout-out`, `--layout-like`, `plan.filesystem.layoutLike`.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Workspace, assert_fsck_clean, tool};

const STORE: &str = "nix/store";

/// A store path's base name with this hash digit.
fn base(hash: char, name: &str) -> String {
    format!("{}-{name}", hash.to_string().repeat(32))
}

fn plan(paths: &[String]) -> Value {
    let graph: Vec<_> = paths
        .iter()
        .map(|path| {
            json!({ "path": format!("/nix/store/{path}"), "narSize": 1, "references": [],
                    "narHash": format!("sha256:{}", "0".repeat(52)) })
        })
        .collect();
    json!({
        "version": 1,
        "closure": { "graph": graph, "sourceDir": STORE, "verify": "none" },
        "trees": [{ "source": "root" }],
        "filesystem": { "label": "LIKE", "uuid": crate::support::UUID, "freeSpace": "4MiB" },
    })
}

/// Bytes without repetition.
fn bytes(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// 40 store paths with three files each, and a folder.
fn workspace() -> (Workspace, Vec<String>) {
    let workspace = Workspace::new();
    let digits = "0123456789abcdfghijklmnpqrsvwxyz".chars();
    let paths: Vec<_> =
        (0..40).zip(digits.cycle()).map(|(n, digit)| base(digit, &format!("p{n}-1.{n}"))).collect();
    for (path, seed) in paths.iter().zip(0..) {
        for (file, length) in [("bin/a", 30_000), ("lib/b.so", 200_000), ("share/doc", 700)] {
            workspace.write(&format!("{STORE}/{path}/{file}"), bytes(seed * 3, length));
        }
    }
    workspace.write("root/etc/motd", "hello\n");
    workspace.write("plan.json", plan(&paths).to_string());
    (workspace, paths)
}

/// Gives a store path another hash, and changes its contents: a few bytes, one file that grows, one that is new.
fn change(workspace: &Workspace, paths: &mut [String], index: usize, grows: usize) {
    let old = paths[index].clone();
    let hash = if old.starts_with('9') { '8' } else { '9' };
    let new = format!("{}{}", hash.to_string().repeat(31), &old[31..]);
    std::fs::rename(workspace.path(&format!("{STORE}/{old}")), workspace.path(&format!("{STORE}/{new}")))
        .unwrap();
    let file = format!("{STORE}/{new}/bin/a");
    let mut changed = workspace.read(&file);
    changed[17] ^= 1;
    workspace.write(&file, changed);
    let file = format!("{STORE}/{new}/lib/b.so");
    let longer = [workspace.read(&file), bytes(99, grows)].concat();
    workspace.write(&file, longer);
    workspace.write(&format!("{STORE}/{new}/share/new-{grows}"), bytes(98, 9000));
    paths[index] = new;
}

/// Blocks of the second file that are not at the same place in the first.
fn different(workspace: &Workspace, one: &str, two: &str) -> (usize, usize) {
    let (one, two) = (workspace.read(one), workspace.read(two));
    let blocks = two.chunks(4096).enumerate();
    let differ =
        blocks.filter(|(index, block)| one.get(index * 4096..).is_none_or(|rest| !rest.starts_with(block)));
    (differ.count(), two.len() / 4096)
}

#[test]
fn generations_differ_in_little_more_than_what_changed() {
    let (workspace, mut paths) = workspace();
    workspace.build("0.img", ["--layout-out", "0.layout"]);
    for generation in 1..6_usize {
        for index in [generation, generation * 5 % 40, generation * 7 % 40] {
            change(&workspace, &mut paths, index, generation * 1000);
        }
        paths.sort();
        workspace.write("plan.json", plan(&paths).to_string());
        let names = |n: usize| (format!("{n}.img"), format!("{n}.layout"));
        let ((before, like), (image, out)) = (names(generation - 1), names(generation));
        workspace.build(&image, ["--layout-like", &like, "--layout-out", &out]);
        // The same without an image.
        workspace
            .snugfs(["size", "plan.json", "--layout-like", &like, "--layout-out", "size.layout"])
            .succeeded();
        assert_eq!(workspace.read("size.layout"), workspace.read(&out));
        workspace.build("anew.img", []);
        let (differ, blocks) = different(&workspace, &before, &image);
        let (anew, _) = different(&workspace, &before, "anew.img");
        // Contents of three paths, directories, inodes, bitmaps and superblocks.
        assert!(
            differ * 100 < blocks * 8 && differ * 4 < anew,
            "{generation}: {differ} of {blocks}, anew {anew}"
        );
        let length = |name: &str| std::fs::metadata(workspace.path(name)).unwrap().len();
        assert!(length(&image) * 100 <= length("anew.img") * 105);
        // The same again, also by the plan's field, compressed, and from a compressed record.
        workspace.change_plan(|plan| plan["filesystem"]["layoutLike"] = json!(like));
        let report = ["--report", "report.json", "--threads", "1", "--layout-out", "again.layout.zst"];
        workspace.build("again.img", report);
        let shown = &workspace.read_json("report.json")["filesystem"]["layoutLike"];
        assert!(
            shown["kept"] == json!(true) && shown["moved"].as_u64().is_some_and(|moved| moved < 20),
            "{shown}"
        );
        assert_eq!(workspace.read("again.img"), workspace.read(&image));
        // The hashes of the graph are invented; nothing else differs.
        let verified = workspace.snugfs(["verify", &image, "--against", "plan.json"]).failed_with(8);
        assert!(verified.stderr.lines().all(|line| line.contains("store-path-")), "{}", verified.stderr);
        workspace.write("plan.json", plan(&paths).to_string());
        let unzipped = zstd::stream::decode_all(&*workspace.read("again.layout.zst")).unwrap();
        assert_eq!(unzipped, workspace.read(&out));
    }
    // A later image grows as any other.
    let image = workspace.path("5.img");
    std::fs::File::options().write(true).open(&image).unwrap().set_len(300 << 20).unwrap();
    let grown = Command::new(tool("resize2fs")).arg(&image).output().unwrap();
    assert!(grown.status.success(), "{}", String::from_utf8_lossy(&grown.stderr));
    assert_fsck_clean(&image);
}

#[test]
fn every_file_system_of_a_disk_follows_its_own() {
    let workspace = Workspace::with_small_example();
    for number in 0..50 {
        workspace.write(&format!("data/{number:02}"), bytes(number, 20_000));
    }
    workspace.change_plan(|plan| {
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "linux", "size": "48MiB", "content": {
                "kind": "ext4", "filesystem": { "label": "DATA" }, "trees": [{ "source": "data" }] } },
            { "type": "root-arm64", "content": { "kind": "root" } },
        ] });
    });
    let disk = |image: &str, more: &[&str]| {
        workspace.snugfs(["build", "plan.json", "-o", image].iter().chain(more)).succeeded();
        workspace.snugfs(["verify", image]).succeeded();
    };
    disk("1.img", &["--layout-out", "1.layout"]);
    workspace.write("data/00a", bytes(7, 9000));
    std::fs::remove_file(workspace.path("data/20")).unwrap();
    disk("2.img", &["--layout-like", "1.layout"]);
    let (differ, _) = different(&workspace, "1.img", "2.img");
    assert!(differ < 20, "{differ}");
    workspace.snugfs(["verify", "2.img", "--against", "plan.json", "--layout-like", "1.layout"]).succeeded();
    let note = "note: 2.img: the files are those of the plan; if the image was built with --layout-like, add that option";
    let run = workspace.snugfs(["verify", "2.img", "--against", "plan.json"]).failed_with(8);
    assert_eq!(run.stderr.matches(note).count(), 1, "{}", run.stderr);
    // Without the record, the same files are in other places, but the comparison is of files.
    disk("anew.img", &[]);
    let (anew, _) = different(&workspace, "1.img", "anew.img");
    assert!(anew > 100, "{anew}");
    // Onto a card with the first one, only the changes are written.
    workspace.snugfs(["flash", "1.img", "card", "--yes"]).failed_with(7).says("does not exist");
    std::fs::File::create(workspace.path("card")).unwrap().set_len(128 << 20).unwrap();
    workspace.snugfs(["flash", "1.img", "card", "--yes"]).succeeded();
    let flash = ["flash", "plan.json", "card", "--yes", "--layout-like", "1.layout", "--report", "-"];
    let report: Value = serde_json::from_slice(&workspace.snugfs(flash).succeeded().stdout).unwrap();
    assert!(report["written"].as_u64().unwrap() < 40 * 4096 + (32 << 10), "{report}");
    let image = workspace.read("2.img");
    assert!(workspace.read("card").starts_with(&image));
}

#[test]
fn a_record_that_does_not_fit_is_an_error_and_one_that_costs_too_much_a_warning() {
    let workspace = Workspace::with_small_example();
    workspace.build("1.img", ["--layout-out", "1.layout"]);
    let build =
        |record: &str| workspace.snugfs(["build", "plan.json", "-o", "x.img", "--layout-like", record]);
    build("missing").failed_with(5).says("plan.filesystem.layoutLike: missing: can't be read");
    build("plan.json").failed_with(5).says("plan.json: is not the record of a layout");
    workspace.write("other.json", "{}");
    build("other.json")
        .failed_with(5)
        .says("other.json: is not the record of a layout; name a file that --layout-out wrote");
    let record = String::from_utf8(workspace.read("1.layout")).unwrap();
    workspace.write("2.layout", record.replace("\"groups\":", "\"groups\": 1"));
    build("2.layout").failed_with(5).says("is damaged");
    workspace.write("3.layout", record.replace("\"version\":1", "\"version\":7"));
    build("3.layout").failed_with(5).says("has version 7 of the format");
    // The record is an input.
    workspace
        .snugfs([
            "build",
            "plan.json",
            "-o",
            "x.img",
            "--layout-like",
            "1.layout",
            "--layout-out",
            "1.layout",
        ])
        .failed_with(2)
        .says("1.layout");
    // Most of the image goes: what stays would be at the end of a much longer one.
    workspace.write("more/a", bytes(1, 20 << 20));
    workspace.write("more/b", bytes(2, 1 << 20));
    workspace.change_plan(|plan| {
        plan["trees"] = json!([{ "source": "more" }]);
        plan["attributes"] = json!({});
        plan["filesystem"]["freeSpace"] = json!(0);
    });
    workspace.build("big.img", ["--layout-out", "big.layout"]);
    std::fs::remove_file(workspace.path("more/a")).unwrap();
    workspace.build("small.img", []);
    let run = build("big.layout").succeeded();
    assert!(run.stderr.contains("the image is laid out anew: it would have"), "{}", run.stderr);
    assert_eq!(workspace.read("x.img"), workspace.read("small.img"));
    workspace.build("long.img", ["--layout-like", "big.layout", "--layout-slack", "1000"]);
    assert!(workspace.read("long.img").len() > 20 << 20);
}

#[test]
fn a_record_can_go_to_standard_output() {
    let (workspace, _) = workspace();
    workspace.snugfs(["build", "plan.json", "-o", "x.img", "--layout-out", "x.json"]).succeeded();
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img", "--layout-out", "-"]).succeeded();
    assert_eq!(run.stdout, workspace.read("x.json"));
    let run = workspace.snugfs(["size", "plan.json", "--layout-out", "-"]).failed_with(2);
    run.says("--layout-out -: the table goes to standard output already; name a file");
    assert!(!workspace.path("-").exists());
}
