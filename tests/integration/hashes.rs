//! `verify: hash`: contents that differ from their registration never become an image, for every kind of output.

use std::process::Command;

use serde_json::json;

use crate::store::{base_name, plan, record, write};
use crate::support::{Run, Workspace, assert_sound};

/// A file of the example's closure.
const FILE: &str = "store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0/share/greeting/en.txt";

/// A plain file, a compressed file and standard output.
const WAYS: [&str; 3] = ["out.img", "out.img.zst", "-"];

#[test]
fn a_store_path_with_one_wrong_byte_is_refused_for_every_output() {
    let workspace = Workspace::with_small_example();
    let mut bytes = workspace.read(FILE);
    *bytes.last_mut().unwrap() ^= 1;
    workspace.write(FILE, bytes);
    for way in WAYS {
        let before = workspace.names();
        let run = workspace.snugfs(["build", "plan.json", "-o", way]);
        assert_eq!(run.code, 4, "{way}: {}", run.stderr);
        let named = "snugfs: /nix/store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0: its NAR hash is";
        assert!(run.stderr.lines().any(|line| line.starts_with(named)), "{way}: {}", run.stderr);
        assert_eq!(workspace.names(), before, "{way}: nothing is left");
    }
    workspace.snugfs(["check", "plan.json"]).failed_with(4);
}

#[test]
fn a_correct_closure_passes_for_every_output_and_gives_the_same_image() {
    let workspace = Workspace::with_small_example();
    workspace.snugfs(["build", "plan.json", "-o", "out.img"]).succeeded();
    assert_sound(&workspace.path("out.img"));
    let raw = workspace.read("out.img");
    workspace.snugfs(["build", "plan.json", "-o", "out.img.zst"]).succeeded();
    assert!(zstd::decode_all(&workspace.read("out.img.zst")[..]).unwrap() == raw);
    assert!(workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded().stdout == raw);
}

/// Every kind of output: its name, and `plan.output`.
fn all_outputs() -> Vec<(String, serde_json::Value)> {
    let kinds = [
        json!(null),
        json!({ "format": "zstd", "level": 1 }),
        json!({ "format": "zstd", "level": 1, "seekable": true }),
        json!({ "format": "zstd", "level": 1, "frames": true }),
        json!({ "format": "zstd", "level": 1, "frames": true, "seekable": true }),
    ];
    let mut all = Vec::new();
    for format in ["raw", "qcow2", "simg"] {
        for (index, compression) in kinds.iter().enumerate() {
            let end = if compression.is_null() { "" } else { ".zst" };
            let output = json!({ "format": format, "compression": compression });
            all.push((format!("{index}.{format}{end}"), output.clone()));
            // Without a name, the compression is that of the clusters, and such a file can't be a stream.
            if format != "qcow2" || compression.is_null() {
                all.push(("-".to_owned(), output));
            }
        }
    }
    let deflate = json!({ "format": "deflate", "level": 1 });
    for (format, compression) in [("qcow2", &kinds[1]), ("qcow2", &deflate), ("vmdk", &deflate)] {
        let output = json!({ "format": format, "compression": compression });
        all.push((format!("packed.{format}"), output));
    }
    all.push(("-".to_owned(), json!({ "format": "vmdk" })));
    all.push(("-".to_owned(), json!({ "format": "tar" })));
    all
}

/// The raw image in an output.
fn raw_image(workspace: &Workspace, name: &str, mut bytes: Vec<u8>, output: &serde_json::Value) -> Vec<u8> {
    if !output["compression"].is_null() && !name.starts_with("packed.") {
        bytes = zstd::decode_all(&bytes[..]).unwrap();
    }
    let container = workspace.write("container", &bytes);
    let back = workspace.path("back");
    let convert = |command: &mut Command| {
        Run::of(command.arg(&container).arg(&back)).succeeded();
        let bytes = workspace.read("back");
        std::fs::remove_file(&back).unwrap();
        bytes
    };
    match output["format"].as_str().unwrap() {
        format @ ("qcow2" | "vmdk") => {
            convert(Command::new("qemu-img").args(["convert", "-f", format, "-O", "raw"]))
        }
        "tar" => Run::of(Command::new("tar").arg("-xOf").arg(&container)).succeeded().stdout,
        "simg" => convert(&mut Command::new("simg2img")),
        _ => bytes,
    }
}

/// Two store paths whose files have long runs of zeros: at the start, in the middle, at the end, or nothing else.
fn workspace_with_zeros() -> Workspace {
    let workspace = Workspace::new();
    let zeros = |len: usize| vec![0; len];
    for (name, below, bytes) in [
        ("a", "a-text", b"text".to_vec()),
        ("a", "end", [vec![1; 5000], zeros(300_000)].concat()),
        (
            "a",
            "middle",
            [vec![2; 70_000], zeros(400_000), vec![3; 5], zeros(150_000), vec![4; 70_000]].concat(),
        ),
        ("a", "only", zeros(500_000)),
        ("a", "start", [zeros(300_000), vec![5; 9]].concat()),
        ("b", "", zeros(200_000)),
        ("c", "only", zeros(1 << 20)),
    ] {
        write(&workspace, name, below, bytes, false);
    }
    let records = ["a", "b", "c"].map(|name| record(&workspace, name, &[]));
    let volume = plan(&records);
    let mut other =
        json!({ "kind": "ext4", "closure": volume["closure"], "filesystem": volume["filesystem"] });
    other["filesystem"]["uuid"] = json!("7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b11");
    let mut disk = volume.clone();
    disk["disk"] = json!({ "table": "gpt", "partitions": [
        { "type": "linux", "content": other }, { "type": "linux", "content": { "kind": "root" } },
    ] });
    workspace.write("volume.json", volume.to_string());
    workspace.write("disk.json", disk.to_string());
    workspace
}

fn with_output(workspace: &Workspace, plan: &str, output: &serde_json::Value) {
    let mut plan = workspace.read_json(plan);
    plan["output"] = output.clone();
    workspace.write("plan.json", plan.to_string());
}

#[test]
fn closures_with_zeros_pass_for_every_output() {
    let workspace = workspace_with_zeros();
    for plan in ["volume.json", "disk.json"] {
        std::fs::copy(workspace.path(plan), workspace.path("plan.json")).unwrap();
        workspace.snugfs(["build", "plan.json", "-o", "out.img"]).succeeded();
        let raw = workspace.read("out.img");
        if plan == "volume.json" {
            assert_sound(&workspace.path("out.img"));
        }
        workspace.snugfs(["verify", "out.img", "--against", "plan.json"]).succeeded();
        for (name, output) in all_outputs() {
            with_output(&workspace, plan, &output);
            let run = workspace.snugfs(["build", "plan.json", "-o", &name]);
            assert_eq!(run.code, 0, "{plan}: {name} {output}: {}", run.stderr);
            let bytes = if name == "-" { run.stdout } else { workspace.read(&name) };
            assert!(raw_image(&workspace, &name, bytes, &output) == raw, "{plan}: {name} {output}");
        }
    }
}

#[test]
fn wrong_zeros_and_wrong_data_among_zeros_are_refused_for_every_output() {
    let workspace = workspace_with_zeros();
    for (name, below, at) in [("a", "only", 250_000), ("a", "start", 300_008), ("c", "only", 0)] {
        let file = format!("store/{}/{below}", base_name(name));
        let right = workspace.read(&file);
        let mut wrong = right.clone();
        wrong[at] = u8::from(right[at] == 0);
        let replace = |bytes: &[u8]| {
            std::fs::remove_file(workspace.path(&file)).unwrap();
            write(&workspace, name, below, bytes, false);
        };
        replace(&wrong);
        for (plan, outputs) in [("volume.json", all_outputs()), ("disk.json", all_outputs()[8..].to_vec())] {
            for (output_name, output) in outputs {
                with_output(&workspace, plan, &output);
                let before = workspace.names();
                let run = workspace.snugfs(["build", "plan.json", "-o", &output_name]);
                assert_eq!(run.code, 4, "{plan}: {output_name} {output}: {}", run.stderr);
                assert!(run.stderr.contains(&base_name(name)), "{}", run.stderr);
                assert_eq!(workspace.names(), before, "{output_name}: nothing is left");
            }
        }
        replace(&right);
    }
}

#[test]
fn a_wrong_store_path_names_the_partition_of_its_closure() {
    let workspace = workspace_with_zeros();
    let volume = workspace.read_json("volume.json");
    let content = |source: &str, uuid: &str| {
        let mut closure = volume["closure"].clone();
        closure["sourceDir"] = json!(source);
        json!({ "kind": "ext4", "closure": closure, "filesystem": { "uuid": uuid } })
    };
    let copy =
        Command::new("cp").args(["-a", "store", "bad"]).current_dir(workspace.path("")).status().unwrap();
    assert!(copy.success());
    let file = workspace.path("bad").join(base_name("a")).join("middle");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[70_100] = 1;
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let plan = json!({ "version": 1, "disk": { "table": "gpt", "partitions": [
        { "type": "linux", "content": { "kind": "root" } },
        { "type": "linux", "content": content("store", "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b11") },
        { "type": "linux", "content": content("bad", "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b12") },
    ] } });
    workspace.write("plan.json", plan.to_string());
    let named = format!(
        "snugfs: plan.disk.partitions[2].content.closure: /nix/store/{}: its NAR hash is ",
        base_name("a")
    );
    for arguments in [
        &["build", "plan.json", "-o", "x.img"][..],
        &["build", "plan.json", "-o", "x.qcow2"],
        &["check", "plan.json"],
    ] {
        let run = workspace.snugfs(arguments);
        assert_eq!(run.code, 4, "{}", run.stderr);
        assert!(run.stderr.lines().any(|line| line.starts_with(&named)), "{}", run.stderr);
    }
    let arguments = ["build", "plan.json", "-o", "x.img", "--message-format", "json"];
    let run = workspace.snugfs(arguments);
    let line = run.stderr.lines().find(|line| line.contains("NAR hash")).unwrap();
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(json["at"], json!("plan.disk.partitions[2].content.closure"), "{json}");
    assert!(!json["location"].is_null(), "{json}");
}
