//! The command line: options, standard streams, output names, files left behind.

use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Run, Workspace, assert_sound, empty_plan, plan_of_entries, repository, sha256};

fn hello() -> Value {
    plan_of_entries(json!({ "/hello": { "type": "file", "text": "Hello\n" } }))
}

#[test]
fn help_and_version_go_to_standard_output() {
    let workspace = Workspace::new();
    let help = workspace.snugfs(["--help"]).succeeded();
    for word in [
        "build",
        "size",
        "explain",
        "check",
        "inspect",
        "verify",
        "schema",
        "Examples:",
        "Exit codes:",
        "snugfs build plan.json -o rootfs.img",
    ] {
        assert!(help.text().contains(word), "{word} is not in {}", help.text());
    }
    for option in ["--output", "--base-dir", "--threads", "--report", "--progress", "--sync", "--device"] {
        let help = workspace.snugfs(["build", "--help"]).succeeded();
        assert!(help.text().contains(option), "{option} is not in {}", help.text());
    }
    for arguments in [
        &["--help"][..],
        &["build", "--help"],
        &["size", "--help"],
        &["explain", "--help"],
        &["check", "--help"],
        &["inspect", "--help"],
        &["verify", "--help"],
        &["inspect", "image", "ls", "--help"],
        &["inspect", "image", "cat", "--help"],
        &["inspect", "image", "stat", "--help"],
        &["inspect", "image", "extract", "--help"],
        &["schema", "--help"],
        &["help"],
        &["help", "--help"],
        &["help", "plan"],
        &["help", "plan", "filesystem"],
        &["help", "exit-codes"],
        &["help", "build"],
        &["help", "inspect", "ls"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let help = workspace.snugfs(arguments).succeeded();
        for line in help.text().lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
    }
    let version = workspace.snugfs(["--version"]).succeeded();
    assert_eq!(version.text(), concat!("snugfs ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn usage_errors_are_one_line_and_exit_2() {
    let workspace = Workspace::with_plan(&hello());
    for (arguments, shown) in [
        (&["build"][..], "<PLAN>"),
        (&["explode", "plan.json"], "explode"),
        (&["build", "plan.json", "--treads", "2"], "--threads"),
        (&["build", "plan.json", "--threads", "0"], "1..=1024"),
        (&["size", "plan.json", "-o", "x.img"], "-o"),
        (&["build", "plan.json", "-o", "-", "--device"], "--device"),
        (&["build", "plan.json", "-o", "-", "--report", "-"], "--report"),
        (&["build", "plan.json", "-o", "x.img", "--report", "x.img"], "--report"),
        (&["build", "plan.json", "--treads", "2"], "snugfs: command line: "),
        (&["help", "plam"], "plan"),
        (&["help", "plan", "folder"], "filesystem"),
        (&["help", "inspect", "rm"], "extract"),
        (&["help", "build", "x"], "leave it out"),
        (&["completions", "csh"], "zsh"),
    ] {
        let run = workspace.snugfs(arguments).failed_with(2).says(shown);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    let nothing = workspace.snugfs::<&str>([]);
    assert_eq!((nothing.code, nothing.text()), (2, ""));
    assert!(nothing.stderr.contains("Usage: snugfs"), "{}", nothing.stderr);
    assert_eq!(workspace.names(), ["plan.json"]);
}

#[test]
fn an_image_without_a_name_is_a_usage_error_with_two_remedies() {
    let workspace = Workspace::with_plan(&hello());
    workspace.change_plan(|plan| plan["output"] = json!({}));
    workspace
        .snugfs(["build", "plan.json"])
        .failed_with(2)
        .says("snugfs: command line: ")
        .says("-o OUT")
        .says("plan.output.path");
    workspace.snugfs(["size", "plan.json"]).succeeded();
}

#[test]
fn the_command_line_takes_precedence_over_the_plan_for_the_image_name() {
    let workspace = Workspace::with_plan(&hello());
    workspace.snugfs(["build", "plan.json"]).succeeded();
    assert_eq!(workspace.names(), ["plan.img", "plan.json"]);
    assert_sound(&workspace.path("plan.img"));
    workspace.build("other.img", []);
    assert_eq!(workspace.read("plan.img"), workspace.read("other.img"));
}

#[test]
fn relative_paths_start_at_the_plan_folder_or_base_dir() {
    let workspace = Workspace::new();
    let plan = plan_of_entries(json!({ "/f": { "type": "file", "source": "f" } }));
    workspace.write("plans/plan.json", plan.to_string());
    workspace.write("plans/f", "beside the plan");
    workspace.write("else/f", "elsewhere");
    workspace.write("f", "here");
    let contents = |image: &str| assert_sound(&workspace.path(image)).read("/f").unwrap();

    workspace.snugfs(["build", "plans/plan.json"]).succeeded();
    assert_eq!(contents("plans/plan.img"), b"beside the plan");
    workspace.snugfs(["build", "plans/plan.json", "--base-dir", "else"]).succeeded();
    assert_eq!(contents("else/plan.img"), b"elsewhere");
    workspace.snugfs_with_input(["build", "-"], plan.to_string().as_bytes()).succeeded();
    assert_eq!(contents("plan.img"), b"here");
}

#[test]
fn structured_attributes_contain_the_plan_and_the_graph() {
    let workspace = Workspace::with_small_example();
    let from_registration = workspace.build("registration.img", []);
    let mut plan = workspace.read_json("plan.json");
    plan["closure"] = json!({ "graph": "closure", "sourceDir": "store", "verify": "hash" });
    let attributes =
        json!({ "plan": plan, "closure": graph_of(&workspace), "name": "an-image", "outputs": {} });
    workspace.write(".attrs.json", attributes.to_string());
    workspace.snugfs(["build", ".attrs.json", "-o", "graph.img"]).succeeded();
    assert_sound(&workspace.path("graph.img"));
    assert_eq!(std::fs::read(from_registration).unwrap(), workspace.read("graph.img"));
}

/// The registration as Nix writes it into structured attributes.
fn graph_of(workspace: &Workspace) -> Value {
    let registration = String::from_utf8(workspace.read("closure/registration")).unwrap();
    let mut lines = registration.lines();
    let mut graph = Vec::new();
    while let Some(path) = lines.next() {
        let (hash, size) = (lines.next().unwrap(), lines.next().unwrap().parse::<u64>().unwrap());
        assert_eq!(lines.next(), Some(""));
        let count = lines.next().unwrap().parse().unwrap();
        let references: Vec<_> = lines.by_ref().take(count).collect();
        graph.push(json!({ "path": path, "narHash": hash, "narSize": size, "references": references }));
    }
    Value::Array(graph)
}

#[test]
fn standard_output_carries_the_image_and_nothing_else() {
    let workspace = Workspace::with_plan(&hello());
    let image = workspace.build("file.img", []);
    let run = workspace.snugfs(["build", "plan.json", "-o", "-", "--progress", "plain"]).succeeded();
    assert_eq!(run.stdout, std::fs::read(image).unwrap());
    assert!(run.stderr.lines().all(|line| line.starts_with("snugfs: ")), "{}", run.stderr);
    let compressed = workspace.snugfs(["build", "plan.json", "-o", "-"]);
    assert_eq!(compressed.succeeded().stdout, run.stdout, "a second time");
}

#[test]
fn a_reader_that_closes_the_pipe_ends_a_build_with_7_and_other_results_quietly() {
    let workspace = Workspace::with_plan(&hello());
    let closed_early = |arguments: &[&str]| {
        let mut command = workspace.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (child.wait().unwrap().code(), stderr)
    };
    let (code, stderr) = closed_early(&["build", "plan.json", "-o", "-", "--progress", "none"]);
    assert_eq!((code, stderr.lines().count()), (Some(7), 1), "{stderr}");
    assert_eq!(closed_early(&["schema"]), (Some(0), String::new()));
    assert_eq!(closed_early(&["size", "plan.json", "--progress", "none"]), (Some(0), String::new()));
}

#[test]
fn zst_names_and_the_plan_select_compression() {
    let workspace = Workspace::with_plan(&hello());
    let raw = std::fs::read(workspace.build("raw.img", [])).unwrap();
    let decompressed = |name: &str| zstd::decode_all(workspace.read(name).as_slice()).unwrap();
    workspace.snugfs(["build", "plan.json", "-o", "by-name.img.zst"]).succeeded();
    assert_eq!(decompressed("by-name.img.zst"), raw);

    workspace.change_plan(|plan| plan["output"]["compression"] = json!({ "format": "zstd", "level": 3 }));
    workspace.snugfs(["build", "plan.json", "-o", "by-plan.img"]).succeeded();
    assert_eq!(workspace.read("by-plan.img"), workspace.read("by-name.img.zst"));
    let piped = workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded().stdout;
    assert_eq!(piped, workspace.read("by-name.img.zst"));

    workspace.change_plan(|plan| plan["output"]["compression"] = Value::Null);
    workspace.snugfs(["build", "plan.json", "-o", "null.img.zst"]).succeeded();
    assert_eq!(workspace.read("null.img.zst"), workspace.read("by-name.img.zst"));
}

/// What `gzip` or `xz` makes of a file.
fn decompressed_by(program: &str, workspace: &Workspace, name: &str) -> Vec<u8> {
    Run::of(Command::new(program).arg("-dc").arg(workspace.path(name))).succeeded().stdout
}

#[test]
fn gzip_and_xz_are_selected_by_names_and_the_plan() {
    let workspace = Workspace::with_plan(&hello());
    let raw = std::fs::read(workspace.build("raw.img", [])).unwrap();
    for (format, name) in [("gzip", "x.img.gz"), ("xz", "x.img.xz")] {
        for threads in ["1", "2", "5"] {
            let built =
                workspace.snugfs(["build", "plan.json", "-o", name, "--threads", threads]).succeeded();
            assert!(built.stderr.contains(&format!(" bytes as {format} (")), "{}", built.stderr);
            assert_eq!(decompressed_by(format, &workspace, name), raw, "{name}");
            workspace.change_plan(|plan| plan["output"]["compression"] = json!({ "format": format }));
            for output in ["plain", "-"] {
                let run =
                    workspace.snugfs(["build", "plan.json", "-o", output, "--threads", threads]).succeeded();
                let bytes = if output == "-" { run.stdout } else { workspace.read(output) };
                assert!(bytes == workspace.read(name), "{format} to {output} with {threads} threads");
            }
            workspace.change_plan(|plan| plan["output"]["compression"] = Value::Null);
        }
        workspace.change_plan(|plan| plan["output"]["compression"] = json!({ "format": format, "level": 1 }));
        workspace.snugfs(["build", "plan.json", "-o", "fast"]).succeeded();
        assert_eq!(decompressed_by(format, &workspace, "fast"), raw);
        workspace.change_plan(|plan| plan["output"]["compression"] = Value::Null);
    }
}

/// Their bytes depend on the libraries that are built in.
#[test]
fn gzip_and_xz_have_their_golden_digests() {
    let workspace = Workspace::with_small_example();
    let digest = |name: &str| {
        workspace.snugfs(["build", "plan.json", "-o", name]).succeeded();
        format!("{}  {name}\n", sha256(&workspace.read(name)))
    };
    let digests = ["small.img.gz", "small.img.xz"].map(digest).concat();
    let pinned = repository().join("tests/golden/compressed.sha256");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&pinned, digests).unwrap();
        return;
    }
    assert_eq!(
        digests,
        std::fs::read_to_string(&pinned).unwrap(),
        "the bytes of compressed images changed; if that is meant, run with UPDATE_EXPECTED=1 and say so in CHANGELOG.md"
    );
}

#[test]
fn build_ends_with_a_summary_line() {
    let workspace = Workspace::with_plan(&hello());
    let run = workspace.snugfs(["build", "plan.json", "--progress", "none"]).succeeded();
    let line = run.stderr.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n') && line.starts_with("snugfs: plan.img: "), "{line}");
    assert!(line.contains(" bytes, ") && line.contains(" free, 1 file, ") && line.ends_with(" s"), "{line}");
    assert!(run.stdout.is_empty());
    let compressed =
        workspace.snugfs(["build", "plan.json", "--progress", "none", "-o", "x.zst"]).succeeded();
    assert!(
        compressed.stderr.contains(" bytes as zstd (") && compressed.stderr.contains(" MiB free, 1 file, "),
        "{}",
        compressed.stderr
    );
    // Without a terminal nothing is cut, however long the name is.
    let long = format!("{}.img", "n".repeat(200));
    let run = workspace.snugfs(["build", "plan.json", "--progress", "none", "-o", &long]).succeeded();
    assert!(run.stderr.contains(" bytes, ") && run.stderr.contains(" free, 1 file, "), "{}", run.stderr);
}

#[test]
fn a_device_is_checked_before_the_sources() {
    let workspace =
        Workspace::with_plan(&plan_of_entries(json!({ "/f": { "type": "file", "source": "missing" } })));
    workspace.write("folder/file", "");
    let shown = |device: &str, code| {
        let run = workspace.snugfs(["build", "plan.json", "--device", "-o", device]).failed_with(code);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        run.stderr
    };
    let absent = |name: &str| format!("snugfs: {name}: no such device; name one, or leave out --device\n");
    let other =
        |name: &str| format!("snugfs: {name}: is not a block device; name one, or leave out --device\n");
    assert_eq!(shown("absent", 7), absent("absent"));
    assert_eq!(shown("missing/absent", 7), absent("missing/absent"));
    assert_eq!(shown("folder", 7), other("folder"));
    assert_eq!(shown("folder/file", 7), other("folder/file"));
    assert_eq!(shown("/dev/null", 7), other("/dev/null"));
    workspace.change_plan(|plan| plan["output"]["compression"] = json!({ "format": "zstd" }));
    assert_eq!(
        shown("folder/file", 2),
        "snugfs: --device: a compressed image can't be written to a block device; leave out plan.output.compression\n"
    );
}

#[test]
fn a_file_name_selects_a_format_or_is_refused() {
    let workspace = Workspace::with_small_example();
    let build = |name: &str| workspace.snugfs(["build", "plan.json", "--progress", "none", "-o", name]);
    let begins = |name: &str, mark: &[u8]| {
        build(name).succeeded();
        assert!(workspace.read(name).starts_with(mark), "{name}");
    };
    begins("a.qcow2", b"QFI\xfb");
    begins("a.simg", &[0x3a, 0xff, 0x26, 0xed]);
    begins("a.QCOW2.ZST", &[0x28, 0xb5, 0x2f, 0xfd]);
    begins("a.img.gz", &[0x1f, 0x8b, 8]);
    begins("a.qcow2.XZ", b"\xfd7zXZ\0");
    begins("a.vmdk", b"KDMV");
    begins("a.vhdx", b"vhdxfile");
    begins("a.tar", b"disk.raw\0");
    begins("a.TAR.gz", &[0x1f, 0x8b, 8]);
    let bzip2 = build("a.img.bz2").failed_with(2);
    assert_eq!(bzip2.stderr, "snugfs: a.img.bz2: snugfs cannot write bzip2; use .img or .img.zst\n");
    for name in ["a.qed", "a.ISO", "a.zst.img", "a.tgz", "a.img.gz.xz"] {
        build(name).failed_with(2).says(name);
        assert!(!workspace.path(name).exists());
    }
    build("a.vmdk.zst").failed_with(2).says("a VMDK is compressed already");
    workspace.change_plan(|plan| plan["output"] = json!({ "format": "qcow2", "path": "b.simg" }));
    let says = "plan.output.path: b.simg: the name ends in .simg, but plan.output.format is \"qcow2\"";
    for command in ["build", "check"] {
        workspace.snugfs([command, "plan.json"]).failed_with(2).says(says);
    }
    begins("b.img", b"QFI\xfb");
    workspace
        .change_plan(|plan| plan["output"] = json!({ "compression": { "format": "gzip" }, "path": "b.zst" }));
    let says =
        "plan.output.path: b.zst: the name ends in .zst, but plan.output.compression.format is \"gzip\"";
    for command in ["build", "check"] {
        workspace.snugfs([command, "plan.json"]).failed_with(2).says(says);
    }
    begins("b.img", &[0x1f, 0x8b, 8]);
}

#[test]
fn a_folder_as_output_is_refused_before_the_sources_are_read() {
    let workspace =
        Workspace::with_plan(&plan_of_entries(json!({ "/f": { "type": "file", "source": "missing" } })));
    for name in [".", "..", "/", "missing/"] {
        let run = workspace.snugfs(["build", "plan.json", "-o", name]).failed_with(7);
        assert!(!run.stderr.contains("/f"), "{}", run.stderr);
    }
}

#[test]
fn progress_is_shown_in_the_selected_mode() {
    let workspace = Workspace::with_small_example();
    let shown = |mode: &str| workspace.snugfs(["build", "plan.json", "--progress", mode]).succeeded().stderr;
    let plain = shown("plain");
    let stages: Vec<&str> = plain
        .lines()
        .filter_map(|line| line.strip_prefix("snugfs: ")?.split_once(": ").map(|(stage, _)| stage))
        .collect();
    assert_eq!(stages, ["scan", "write", "small.img"], "{plain}");
    let judged =
        workspace.snugfs(["build", "plan.json", "--progress", "plain", "--verify-output"]).succeeded();
    assert!(judged.stderr.lines().any(|line| line.starts_with("snugfs: compare: ")), "{}", judged.stderr);
    assert_eq!(shown("auto").lines().count(), plain.lines().count(), "no terminal: plain lines");
    assert_eq!(shown("none").lines().count(), 1);
    assert!(!shown("bar").contains("scan"), "a bar is for terminals alone");

    let nix = shown("nix");
    let phases: Vec<Value> = nix
        .lines()
        .filter_map(|line| line.strip_prefix("@nix "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    let names: Vec<&str> = phases.iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    assert_eq!(names, ["plan", "closure", "scan", "layout", "write"]);
    assert!(phases.iter().all(|phase| phase["action"] == "setPhase"));
}

#[test]
fn report_has_every_key_and_only_seconds_differ_between_builds() {
    let workspace = Workspace::with_small_example();
    let image = workspace.build("small.img", ["--report", "report.json"]);
    let mut report = workspace.read_json("report.json");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&report),
        [
            "contents",
            "filesystem",
            "image",
            "overhead",
            "plan",
            "program",
            "seconds",
            "storePaths",
            "version",
            "warnings"
        ]
    );
    assert_eq!(keys(&report["image"]), ["bytes", "compressedBytes", "sha256"]);
    assert_eq!(
        keys(&report["filesystem"]),
        [
            "blockSize",
            "blocks",
            "features",
            "freeBlocks",
            "freeInodes",
            "groups",
            "inodes",
            "inodesPerGroup",
            "journalBlocks",
            "label",
            "reservedGdtBlocks",
            "uuid"
        ]
    );
    assert_eq!(keys(&report["seconds"]), ["closure", "layout", "plan", "scan", "write"]);
    assert_eq!(
        report["contents"],
        json!({
            "files": 16, "directories": 30, "symlinks": 8, "hardLinks": 0, "others": 3,
            "bytes": report["contents"]["bytes"], "storePaths": 5
        })
    );
    let bytes = std::fs::read(image).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["image"]["bytes"], bytes.len());
    assert_eq!(report["image"]["sha256"], sha256(&bytes));
    assert_eq!(report["filesystem"]["label"], "BOARD");
    assert_eq!(report["filesystem"]["uuid"], "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10");
    assert_eq!(report["warnings"], json!([]));

    workspace.build("small.img", ["--report", "again.json", "--threads", "1"]);
    let mut again = workspace.read_json("again.json");
    again["seconds"].take();
    report["seconds"].take();
    assert_eq!(again, report);
}

#[test]
fn report_of_a_compressed_image_has_both_lengths_and_the_digest_of_the_file() {
    let workspace = Workspace::with_plan(&hello());
    let raw = std::fs::read(workspace.build("raw.img", [])).unwrap();
    for (name, format) in [("x.zst", "zstd"), ("x.gz", "gzip"), ("x.xz", "xz")] {
        workspace.snugfs(["build", "plan.json", "-o", name, "--report", "report.json"]).succeeded();
        let file = workspace.read(name);
        let image = &workspace.read_json("report.json")["image"];
        assert_eq!(image["compressedBytes"], file.len());
        assert_eq!(image["compression"], format);
        assert_eq!(image["sha256"], sha256(&file));
        assert_eq!(image["bytes"], raw.len());
    }
}

#[test]
fn size_equals_the_built_image_to_the_byte() {
    let workspace = Workspace::with_small_example();
    let size = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
    let mut foretold: Value = serde_json::from_str(size.text()).unwrap();
    assert!(!workspace.names().contains(&"small.img".to_owned()));
    let image = workspace.build("small.img", ["--report", "report.json"]);
    let bytes = std::fs::metadata(image).unwrap().len();
    assert_eq!(foretold["image"], json!({ "bytes": bytes, "compressedBytes": null, "sha256": null }));
    let mut report = workspace.read_json("report.json");
    report.as_object_mut().unwrap().remove("seconds").unwrap();
    report["image"].take();
    foretold["image"].take();
    assert_eq!(foretold, report);

    let table = workspace.snugfs(["size", "plan.json"]).succeeded();
    assert!(
        table.text().lines().any(|line| line.starts_with("image ") && line.contains(" bytes (")),
        "{}",
        table.text()
    );
}

#[test]
fn parts_of_the_table_add_up_to_the_image() {
    for size in [json!(null), json!((128 << 20) + 4096), json!(512 << 20)] {
        let workspace = Workspace::with_small_example();
        workspace.change_plan(|plan| plan["filesystem"]["size"] = size.clone());
        let run = workspace.snugfs(["size", "plan.json"]).succeeded();
        let json = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
        let report: Value = serde_json::from_str(json.text()).unwrap();
        assert!(run.text().lines().all(|line| line.chars().count() <= 80), "{}", run.text());
        let number = |text: &str| text.replace(',', "").parse::<u64>().unwrap();
        // Columns from the right: size with a unit, bytes, blocks, name.
        let rows: Vec<(&str, u64, u64)> = run
            .text()
            .lines()
            .skip_while(|line| !line.starts_with("parts "))
            .skip(1)
            .map(|line| {
                let mut fields = line.rsplit("  ").map(str::trim).filter(|field| !field.is_empty());
                let (_, bytes, blocks) = (fields.next(), fields.next().unwrap(), fields.next().unwrap());
                (fields.next().unwrap(), number(blocks), number(bytes))
            })
            .collect();
        let (total, parts) = rows.split_last().unwrap();
        assert_eq!(total.0, "total", "{}", run.text());
        assert_eq!(parts.iter().map(|part| part.1).sum::<u64>(), total.1, "{}", run.text());
        assert_eq!(json!(total.2), report["image"]["bytes"]);
        assert!(rows.iter().all(|row| row.2 == row.1 * 4096), "{}", run.text());
        for part in ["file contents", "free", "group descriptors", "reserve for growth", "inode tables"] {
            assert!(rows.iter().any(|row| row.0 == part), "{part}: {}", run.text());
        }
        assert_eq!(size == json!((128 << 20) + 4096), rows.iter().any(|row| row.0 == "after the last group"));
    }
}

#[test]
fn check_says_ok_in_one_line() {
    let workspace = Workspace::with_small_example();
    let run = workspace.snugfs(["check", "plan.json", "--progress", "none"]).succeeded();
    let (found, fits) = run.text().split_once(", fits in ").unwrap();
    assert_eq!(found, "ok: the plan is valid, 5 store paths complete, 16 files found");
    assert!(fits.ends_with(" MiB\n"), "{fits}");
    assert_eq!(run.stderr, "");
}

#[test]
fn schema_is_json_with_all_fields() {
    let workspace = Workspace::new();
    let run = workspace.snugfs(["schema"]).succeeded();
    let schema: Value = serde_json::from_str(run.text()).unwrap();
    assert!(schema["properties"]["filesystem"].is_object(), "{schema}");
}

#[test]
fn a_finished_image_replaces_the_old_file_and_a_failed_build_does_not() {
    let workspace = Workspace::with_plan(&hello());
    workspace.write("x.img", "an older image");
    workspace.build("x.img", []);
    let before = workspace.read("x.img");
    workspace.change_plan(|plan| plan["filesystem"]["size"] = json!("1MiB"));
    workspace.snugfs(["build", "plan.json", "-o", "x.img"]).failed_with(6);
    assert_eq!(workspace.read("x.img"), before);
    assert_eq!(workspace.names(), ["plan.json", "x.img"]);
}

#[test]
fn impossible_outputs_are_errors_and_leave_no_files() {
    let workspace = Workspace::with_plan(&hello());
    workspace.write("folder/in-the-way", "");
    for output in ["missing/x.img", "folder", "plan.json/x.img", "folder/"] {
        let run = workspace.snugfs(["build", "plan.json", "-o", output, "--progress", "none"]).failed_with(7);
        assert!(
            run.stderr.starts_with("snugfs: ") && run.stderr.lines().count() == 1,
            "{output}: {}",
            run.stderr
        );
    }
    for report in ["missing/report.json", "folder"] {
        workspace
            .snugfs(["build", "plan.json", "--report", report])
            .failed_with(7)
            .says(report.split('/').next().unwrap());
    }
    workspace.snugfs(["build", "plan.json", "-o", "x.img", "--device", "--progress", "none"]).failed_with(7);
    assert_eq!(workspace.names(), ["folder", "plan.json"]);
    assert_eq!(crate::support::sorted_names(&workspace.path("folder")), ["in-the-way"]);
}

#[test]
fn options_that_must_not_change_the_image_do_not() {
    let workspace = Workspace::with_small_example();
    let plain = std::fs::read(workspace.build("plain.img", [])).unwrap();
    let synced = workspace.build("synced.img", ["--sync", "--threads", "3", "--progress", "nix"]);
    assert_eq!(std::fs::read(synced).unwrap(), plain);
    let mut command = workspace.command(["build", "plan.json", "-o", "environment.img"]);
    command
        .env("SOURCE_DATE_EPOCH", "1234567890")
        .env("NIX_BUILD_CORES", "1")
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "tr_TR");
    crate::support::Run::of(&mut command).succeeded();
    assert_eq!(workspace.read("environment.img"), plain);
}

#[test]
fn an_empty_plan_is_an_empty_file_system() {
    let workspace = Workspace::with_plan(&empty_plan());
    let image = workspace.build("empty.img", []);
    let names: Vec<_> = assert_sound(&image)
        .read_dir("/")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().display().to_string())
        .filter(|name| name != "." && name != "..")
        .collect();
    assert_eq!(names, ["lost+found"]);
}
