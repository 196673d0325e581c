//! `plan.variants`: other images of the same sources, written from the first one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Mounted, Run, UUID, Workspace, assert_sound, debugfs, sha256, tool};

/// A text that fills several blocks.
fn long(seed: usize) -> String {
    (0..4000).flat_map(|number| [(number * 7919 + seed).to_string(), " ".to_owned()]).collect()
}

/// Folders with files of several lengths, and a sparse one.
fn write_sources(workspace: &Workspace) {
    for number in 0..60 {
        let name = format!("tree/{}/file{number}", number % 7);
        workspace.write(&name, long(number).get(..number * 400).unwrap());
    }
    let sparse = std::fs::File::create(workspace.path("tree/sparse")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", (8 << 20) - 3).unwrap();
    workspace.write("key", "from a file\n");
}

/// A plan whose variants differ in one point each, and one that differs in all.
fn plan() -> Value {
    let file = |text: &str| json!({ "type": "file", "text": text });
    json!({
        "version": 1,
        "trees": [{ "source": "tree", "target": "/" }],
        "filesystem": { "uuid": UUID, "label": "base" },
        "entries": { "/etc/id": file("none\n"), "/etc/long": file(&long(1)) },
        "variants": [
            { "output": "label.img", "label": "other" },
            { "output": "uuid.img", "uuid": "7f1c6c3e-52a5-4f0e-9a57-000000000001" },
            { "output": "same-length.img", "entries": { "/etc/id": file("nine\n") } },
            { "output": "longer.img", "entries": { "/etc/id": file(&long(2)) } },
            { "output": "shorter.img", "entries": { "/etc/long": file("") } },
            { "output": "added.img", "entries": {
                "/a/b": { "type": "directory", "mode": "0700" }, "/a/key": { "type": "file", "source": "key" } } },
            { "output": "all.img", "label": "all", "uuid": "7f1c6c3e-52a5-4f0e-9a57-000000000002",
              "entries": { "/etc/id": file("seven\n"), "/zz": file(&long(3)) } },
        ]
    })
}

fn names(plan: &Value) -> Vec<String> {
    let variants = plan["variants"].as_array().unwrap();
    variants.iter().map(|variant| variant["output"].as_str().unwrap().to_owned()).collect()
}

/// Each variant is what a build of that variant alone writes, and all differ.
fn assert_variants(workspace: &Workspace, folder: &str, plan: &Value) {
    let mut digests = vec![sha256(&workspace.read(&format!("{folder}/base.img")))];
    for name in names(plan) {
        workspace.build("alone", ["--variant", &name]);
        let image = workspace.path(&format!("{folder}/{name}"));
        assert_sound(&image);
        let bytes = std::fs::read(&image).unwrap();
        assert!(bytes == workspace.read("alone"), "{name} differs from a build of it alone");
        digests.push(sha256(&bytes));
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), names(plan).len() + 1);
}

#[test]
fn variants_are_what_builds_of_each_alone_write() {
    let workspace = Workspace::with_plan(&plan());
    write_sources(&workspace);
    std::fs::create_dir(workspace.path("out")).unwrap();
    let run = workspace.snugfs(["build", "plan.json", "-o", "out/base.img"]).succeeded();
    assert!(run.stderr.contains("variants: 7 images, "), "{}", run.stderr);
    assert_variants(&workspace, "out", &plan());
    assert_eq!(debugfs(&workspace.path("out/all.img"), "cat /etc/id"), "seven\n");
    assert_eq!(debugfs(&workspace.path("out/added.img"), "cat /a/key"), "from a file\n");
    // Holes stay holes.
    let blocks = |name: &str| std::fs::metadata(workspace.path(name)).unwrap().blocks();
    assert!(blocks("out/label.img") <= blocks("out/base.img") + 64, "{}", blocks("out/label.img"));
    // Each is verified against its own plan, and not against that of another.
    let verify = |image: &str, variant: &str| {
        workspace.snugfs(["verify", image, "--against", "plan.json", "--variant", variant])
    };
    verify("out/all.img", "all.img").succeeded();
    verify("out/all.img", "longer.img").failed_with(8);
}

#[test]
fn variants_of_a_disk_differ_in_its_root_and_what_is_derived_from_it() {
    let mut plan = plan();
    plan["disk"] = json!({ "table": "gpt", "partitions": [
        { "type": "esp", "size": "16MiB", "content": { "kind": "fat", "source": "tree/1" } },
        { "type": "linux", "content": { "kind": "root" } },
    ] });
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    std::fs::create_dir(workspace.path("out")).unwrap();
    workspace.snugfs(["build", "plan.json", "-o", "out/base.img", "--verify-output"]).succeeded();
    for name in names(&plan) {
        workspace.snugfs(["build", "plan.json", "-o", "alone", "--variant", &name]).succeeded();
        assert!(workspace.read(&format!("out/{name}")) == workspace.read("alone"), "{name}");
    }
}

#[test]
fn one_variant_has_its_own_name_next_to_the_planned_image() {
    let mut plan = plan();
    plan["output"] = json!({ "path": "base.img" });
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    workspace.snugfs(["build", "plan.json", "--variant", "uuid.img"]).succeeded();
    assert_sound(&workspace.path("uuid.img"));
    assert_eq!(workspace.names(), ["key", "plan.json", "tree", "uuid.img"]);
    let run = workspace.snugfs(["build", "plan.json", "--variant", "ten.img"]).failed_with(2);
    let line = "--variant: the plan has no variant with the output \"ten.img\"; name one of the 7, from label.img to all.img";
    assert!(run.stderr.contains(line), "{}", run.stderr);
}

#[test]
fn variants_need_a_raw_image_in_a_file_and_names_of_their_own() {
    let workspace = Workspace::with_plan(&plan());
    write_sources(&workspace);
    for output in ["base.qcow2", "base.img.zst", "-"] {
        let run = workspace.snugfs(["build", "plan.json", "-o", output]).failed_with(2);
        assert!(
            run.stderr.contains("plan.variants: variants are only written next to a raw image"),
            "{}",
            run.stderr
        );
    }
    let run = workspace.snugfs(["build", "plan.json", "-o", "label.img"]).failed_with(2);
    assert!(run.stderr.contains("label.img is also the image"), "{}", run.stderr);
    assert_eq!(workspace.names(), ["key", "plan.json", "tree"]);
}

#[test]
fn names_of_variants_match_their_format() {
    let mut plan = plan();
    plan["output"] = json!({ "path": "base.img" });
    let raw = |name: &str| format!("\"{name}\" is not the name of a raw image; use a name that ends in .img");
    for (name, what) in [
        ("b.img.zst", raw("b.img.zst")),
        ("b.qcow2", raw("b.qcow2")),
        ("b.img.lz4", "\"b.img.lz4\": snugfs cannot write lz4; use .img or .img.zst".to_owned()),
    ] {
        plan["variants"][1]["output"] = json!(name);
        let workspace = Workspace::with_plan(&plan);
        write_sources(&workspace);
        for command in ["build", "check", "size"] {
            let run = workspace.snugfs([command, "plan.json"]).failed_with(2);
            run.says(&format!("plan.variants[1].output: {what}"));
        }
        assert_eq!(workspace.names(), ["key", "plan.json", "tree"]);
    }
    // One variant alone can have the format of its name.
    plan["variants"][1]["output"] = json!("b.qcow2");
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    workspace.snugfs(["build", "plan.json", "--variant", "b.qcow2"]).succeeded();
    assert!(workspace.read("b.qcow2").starts_with(b"QFI\xfb"));
    // -o can name a raw image where the plan names another format.
    plan["output"] = json!({ "path": "base.qcow2" });
    workspace.write("plan.json", plan.to_string());
    workspace.snugfs(["build", "plan.json", "-o", "x.img"]).failed_with(2).says(&raw("b.qcow2"));
}

#[test]
fn a_variant_with_the_name_of_the_image_is_refused_by_every_command() {
    let mut plan = plan();
    plan["output"] = json!({ "path": "out/base.img" });
    plan["variants"][1]["output"] = json!("base.img");
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    std::fs::create_dir(workspace.path("out")).unwrap();
    for command in ["check", "size", "build"] {
        let run = workspace.snugfs([command, "plan.json"]).failed_with(2);
        run.says("plan.variants[1].output: out/base.img is also the image (plan.output.path)");
    }
    workspace.snugfs(["build", "plan.json", "-o", "out/other.img"]).succeeded();
}

#[test]
fn no_output_replaces_a_source_of_a_variant() {
    let mut plan = plan();
    plan["output"] = json!({ "path": "base.img" });
    plan["variants"][0]["entries"] = json!({ "/k": { "type": "file", "source": "uuid.img" } });
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    workspace.write("uuid.img", "a source");
    for arguments in [["build", "plan.json"], ["check", "plan.json"], ["size", "plan.json"]] {
        let run = workspace.snugfs(arguments).failed_with(2);
        let line =
            "uuid.img is also plan.variants[0].entries.\"/k\".source; choose another name for the image";
        assert!(run.stderr.contains(line), "{}", run.stderr);
    }
    let run = workspace.snugfs(["build", "plan.json", "--report", "uuid.img"]).failed_with(2);
    assert!(run.stderr.contains("uuid.img is also "), "{}", run.stderr);
    assert_eq!(workspace.read("uuid.img"), b"a source");
    assert_eq!(workspace.names(), ["key", "plan.json", "tree", "uuid.img"]);
}

#[test]
fn no_output_of_a_build_is_a_source_of_that_build() {
    type Change = fn(&mut Value, Value);
    let disk = |partition: Value| json!({ "table": "gpt", "partitions": [{ "type": "linux", "content": { "kind": "root" } }, partition] });
    let fat = |source: Value| {
        let entries = json!({ "/f": { "type": "file", "source": source } });
        json!({ "type": "esp", "content": { "kind": "fat", "entries": entries } })
    };
    let raw = |source: Value| json!({ "type": "linux", "content": { "kind": "raw", "source": source } });
    let cases: [(Change, &str); 6] = [
        (
            |plan, source| {
                plan["variants"][1]["entries"] = json!({ "/h": { "type": "file", "source": source } });
            },
            "plan.variants[1].entries.\"/h\".source",
        ),
        (
            |plan, source| plan["entries"]["/h"] = json!({ "type": "file", "source": source }),
            "plan.entries.\"/h\".source",
        ),
        (
            |plan, source| plan["trees"] = json!([{ "source": "tree" }, { "source": source, "kind": "tar" }]),
            "plan.trees[1].source",
        ),
        (
            |plan, source| plan["disk"]["partitions"][1]["content"]["entries"]["/f"]["source"] = source,
            "plan.disk.partitions[1].content.entries.\"/f\".source",
        ),
        (
            |plan, source| plan["disk"]["partitions"][2]["content"]["source"] = source,
            "plan.disk.partitions[2].content.source",
        ),
        (
            |plan, source| plan["disk"]["blobs"] = json!([{ "source": source, "offset": "512KiB" }]),
            "plan.disk.blobs[0].source",
        ),
    ];
    let outputs = ["out/base.img", "out/../out/label.img", "out/base.img.bmap", "link"];
    for (change, field) in &cases {
        for source in outputs {
            let mut plan = plan();
            plan["output"] = json!({ "path": "out/base.img", "bmap": true });
            if field.contains("disk") {
                plan["disk"] = disk(fat(json!("key")));
                plan["disk"]["partitions"].as_array_mut().unwrap().push(raw(json!("key")));
            }
            change(&mut plan, json!(source));
            let workspace = Workspace::with_plan(&plan);
            write_sources(&workspace);
            std::fs::create_dir(workspace.path("out")).unwrap();
            std::os::unix::fs::symlink("out/all.img", workspace.path("link")).unwrap();
            for arguments in [["build", "plan.json"], ["check", "plan.json"], ["size", "plan.json"]] {
                let run = workspace.snugfs(arguments).failed_with(2);
                assert!(run.stderr.contains(&format!(" is also {field}")), "{source}: {}", run.stderr);
            }
            assert!(std::fs::read_dir(workspace.path("out")).unwrap().next().is_none(), "{field}: {source}");
        }
    }
}

#[test]
fn maps_of_earlier_images_give_warnings_for_variants_too() {
    let mut plan = plan();
    plan["output"] = json!({ "path": "base.img", "bmap": true });
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    workspace.snugfs(["build", "plan.json", "--variant", "uuid.img"]).succeeded();
    let run = workspace.snugfs(["build", "plan.json"]).succeeded();
    let of_maps = run.stderr.lines().filter(|line| line.contains("is the map of an earlier image"));
    let found: Vec<_> = of_maps.collect();
    assert!(matches!(found.as_slice(), [one] if one.contains("warning: uuid.img.bmap: ")), "{}", run.stderr);
    assert!(workspace.path("base.img.bmap").is_file());
    std::fs::remove_file(workspace.path("uuid.img.bmap")).unwrap();
    let run = workspace.snugfs(["build", "plan.json"]).succeeded();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

#[test]
fn outputs_in_a_source_folder_are_in_no_variant() {
    let mut plan = plan();
    plan["output"] = json!({ "path": "tree/base.img" });
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    // The folder of the tree has all outputs of the first build when the others run.
    for _ in 0..2 {
        workspace.snugfs(["build", "plan.json"]).succeeded();
    }
    let base = workspace.read("tree/base.img");
    workspace.build("alone", ["-q"]);
    assert!(base == workspace.read("alone"));
    assert_variants(&workspace, "tree", &plan);
    let listed = debugfs(&workspace.path("alone"), "ls -p /");
    assert!(listed.contains("/sparse/") && !listed.contains(".img"), "{listed}");
    workspace.write("tree/uuid.img", "the work of a user");
    let run = workspace.snugfs(["build", "plan.json"]).failed_with(2);
    assert!(run.stderr.contains("does not look like an earlier output"), "{}", run.stderr);
}

#[test]
fn archives_are_read_once_for_all_variants() {
    let mut plan = plan();
    plan["trees"] =
        json!([{ "source": "tree.tar.gz", "target": "/" }, { "source": "tree/1", "target": "/more" }]);
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    let mut tar = Command::new(tool("tar"));
    Run::of(tar.args(["--sparse", "-czf", "tree.tar.gz", "-C", "tree", "."]).current_dir(workspace.path("")))
        .succeeded();
    std::fs::create_dir(workspace.path("out")).unwrap();
    workspace.snugfs(["build", "plan.json", "-o", "out/base.img"]).succeeded();
    assert_variants(&workspace, "out", &plan);
}

#[test]
fn check_and_size_lay_out_all_variants() {
    let workspace = Workspace::with_plan(&plan());
    write_sources(&workspace);
    let run = workspace.snugfs(["check", "plan.json"]).succeeded();
    assert!(run.text().contains(", with 7 variants ("), "{}", run.text());
    let run = workspace.snugfs(["size", "plan.json"]).succeeded();
    assert!(run.text().contains("\nvariants 7 images, "), "{}", run.text());
    let json = |command: &str| -> Value {
        serde_json::from_str(workspace.snugfs([command, "plan.json", "--json"]).succeeded().text()).unwrap()
    };
    let (checked, size) = (json("check"), json("size"));
    assert_eq!(checked["variants"]["images"], 7);
    assert_eq!(checked["variants"], size["variants"]);
    workspace.snugfs(["build", "plan.json", "-o", "base.img", "--report", "report.json"]).succeeded();
    let lengths =
        names(&plan()).iter().map(|name| std::fs::metadata(workspace.path(name)).unwrap().len()).sum::<u64>();
    assert_eq!(workspace.read_json("report.json")["variants"], json!({ "images": 7, "bytes": lengths }));
    assert_eq!(size["variants"]["bytes"], lengths);
    // A variant that can't be built is found.
    workspace.change_plan(|plan| {
        plan["variants"][2]["entries"] = json!({ "/etc/gone": { "type": "file", "source": "gone" } });
    });
    let run = workspace.snugfs(["check", "plan.json"]).failed_with(5);
    assert!(run.stderr.contains("plan.variants[2].entries.\"/etc/gone\""), "{}", run.stderr);
}

#[test]
fn a_variant_that_fails_is_named_and_the_others_are_written() {
    let mut plan = plan();
    plan["variants"][1]["entries"] = json!({ "/etc/gone": { "type": "file", "source": "gone" } });
    let workspace = Workspace::with_plan(&plan);
    write_sources(&workspace);
    let run = workspace.snugfs(["build", "plan.json", "-o", "base.img"]).failed_with(5);
    assert!(run.stderr.contains("plan.variants[1].entries.\"/etc/gone\""), "{}", run.stderr);
    assert!(!workspace.path("uuid.img").exists());
    for name in names(&plan).iter().filter(|name| *name != "uuid.img") {
        assert_sound(&workspace.path(name));
    }
}

#[test]
fn in_memory_several_variants_are_written_together() {
    // On one thread, all of them are one group.
    for threads in ["1", "2", "16"] {
        let mut plan = plan();
        let failing = json!({ "/etc/gone": { "type": "file", "source": "gone" } });
        plan["variants"].as_array_mut().unwrap().push(json!({ "output": "failing.img", "entries": failing }));
        let workspace = Workspace::with_plan(&plan);
        write_sources(&workspace);
        let mounted = Mounted::tmpfs();
        let folder = mounted.path().to_str().unwrap();
        let image = format!("{folder}/base.img");
        let run = workspace.snugfs(["build", "plan.json", "-o", &image, "--threads", threads]).failed_with(5);
        assert!(run.stderr.contains("plan.variants[7].entries.\"/etc/gone\""), "{}", run.stderr);
        plan["variants"].as_array_mut().unwrap().pop();
        workspace.write("plan.json", plan.to_string());
        assert_variants(&workspace, folder, &plan);
        let blocks = |name: &str| std::fs::metadata(mounted.path().join(name)).unwrap().blocks();
        assert!(blocks("label.img") <= blocks("base.img") + 64, "{}", blocks("label.img"));
        assert!(!mounted.path().join("failing.img").exists());
    }
}

/// XFS with reflinks in a loop device.
struct Xfs(tempfile::TempDir);

impl Xfs {
    fn new(workspace: &Workspace, bytes: u64) -> Self {
        let disk = workspace.path("disk");
        std::fs::File::create(&disk).unwrap().set_len(bytes).unwrap();
        Run::of(Command::new(tool("mkfs.xfs")).args(["-q", "-m", "reflink=1"]).arg(&disk)).succeeded();
        let folder = tempfile::tempdir().unwrap();
        Run::of(Command::new("mount").args(["-o", "loop"]).arg(&disk).arg(folder.path())).succeeded();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        Run::of(Command::new("umount").arg(self.0.path())).succeeded();
    }
}

fn free_bytes(folder: &Path) -> u64 {
    let run = Run::of(Command::new("df").args(["--output=avail", "-B1"]).arg(folder)).succeeded();
    run.text().lines().last().unwrap().trim().parse().unwrap()
}

#[test]
fn variants_share_blocks_where_the_file_system_can() {
    let workspace = Workspace::with_plan(&plan());
    write_sources(&workspace);
    workspace.write("tree/large", long(9).repeat(700));
    let xfs = Xfs::new(&workspace, 320 << 20);
    let base = xfs.path("base.img");
    let run = workspace.snugfs(["build", "plan.json", "-o", base.to_str().unwrap(), "--sync"]).succeeded();
    assert!(run.stderr.contains("blocks shared with the image"), "{}", run.stderr);
    let (length, free) = (std::fs::metadata(&base).unwrap().len(), free_bytes(xfs.0.path()));
    let plan = plan();
    for name in names(&plan) {
        workspace.build("alone", ["--variant", &name]);
        let image = xfs.path(&name);
        assert!(std::fs::read(&image).unwrap() == workspace.read("alone"), "{name}");
        std::fs::remove_file(image).unwrap();
    }
    // Seven images take less than one of them would take alone.
    Run::of(&mut Command::new("sync")).succeeded();
    let taken = free_bytes(xfs.0.path()).saturating_sub(free);
    assert!(taken < length, "{taken} of {length}");
}
