//! Images of archives and container images.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::*;

/// A folder `root` with some files, and what `tar` makes of it with these options.
fn workspace_with(archive: &str, options: &[&str]) -> Workspace {
    let workspace = Workspace::with_plan(&json!({ "version": 1, "trees": [{ "source": archive }] }));
    for name in ["root/etc", "root/usr/bin"] {
        std::fs::create_dir_all(workspace.path(name)).unwrap();
    }
    workspace.write("root/etc/hostname", "snug\n");
    workspace.write("root/usr/bin/large", vec![7; 3_000_000]);
    std::fs::hard_link(workspace.path("root/etc/hostname"), workspace.path("root/etc/other")).unwrap();
    let sparse = std::fs::File::create(workspace.path("root/sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", 1 << 20).unwrap();
    let mut tar = Command::new(tool("tar"));
    tar.current_dir(workspace.path("")).args(["--format=posix", "--sparse"]).args(options);
    Run::of(tar.args(["-C", "root", "-cf", archive, "."])).succeeded();
    workspace
}

fn with_kept_metadata(source: &str) -> Value {
    json!({ "version": 1, "trees": [{ "source": source, "owner": "keep", "times": "keep", "xattrs": ["*"] }] })
}

#[test]
fn the_image_of_an_archive_is_that_of_its_folder() {
    for (name, options) in
        [("x.tar", &[][..]), ("x.tgz", &["--gzip"]), ("x.zst", &["--zstd"]), ("x.tar.xz", &["--xz"])]
    {
        let workspace = workspace_with(name, options);
        let image = workspace.build("archive.img", []);
        assert_fsck_clean(&image);
        assert_verified(&image);
        workspace.snugfs(["verify", "archive.img", "--against", "plan.json"]).succeeded();
        workspace.snugfs(["build", "plan.json", "-o", "archive.qcow2"]).succeeded();
        workspace.snugfs(["build", "plan.json", "-o", "archive.img.zst"]).succeeded();
        workspace.write("plan.json", with_kept_metadata("root").to_string());
        let of_folder = workspace.build("folder.img", []);
        assert!(std::fs::read(image).unwrap() == std::fs::read(of_folder).unwrap(), "{name}");
        workspace.snugfs(["verify", "archive.img.zst", "--against", "plan.json"]).succeeded();
        // Nothing is left behind.
        assert!(workspace.names().iter().all(|name| !name.starts_with('.')), "{:?}", workspace.names());
    }
}

/// Archives of a folder in the order of its names and in the reverse one, with entries that later ones replace.
fn archives_in_any_order(workspace: &Workspace) {
    for number in 0..60_usize {
        let folder = format!("root/d{}", number % 7);
        std::fs::create_dir_all(workspace.path(&folder)).unwrap();
        let len = [0, 10, 700, 5000, 30_000, 70_000][number % 6] * (1 + number / 6);
        let bytes: Vec<u8> = (0..len).map(|at| u8::try_from((at * at / 7 + number) % 251).unwrap()).collect();
        workspace.write(&format!("{folder}/f{number}"), bytes);
    }
    let found =
        Run::of(Command::new("find").arg(workspace.path("root")).args(["-printf", "%P\n"])).succeeded();
    let mut names: Vec<&str> = found.text().lines().filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    for (archive, option) in [("sorted.tar", "--gzip"), ("reverse.tar", "--zstd"), ("twice.tar", "--xz")] {
        match archive {
            "reverse.tar" => names.reverse(),
            "twice.tar" => names = [names.clone(), names.iter().rev().copied().collect()].concat(),
            _ => {}
        }
        workspace.write("names", names.join("\n"));
        let mut tar = Command::new(tool("tar"));
        tar.current_dir(workspace.path("root")).args([
            "--format=posix",
            "--no-recursion",
            "--hard-dereference",
        ]);
        tar.args([option, "-T", "../names", "-cf"]).arg(format!("../{archive}"));
        Run::of(&mut tar).succeeded();
    }
}

#[test]
fn neither_the_order_of_an_archive_nor_its_compression_changes_any_output() {
    let workspace = Workspace::with_plan(&with_kept_metadata("root"));
    archives_in_any_order(&workspace);
    let outputs: [(&str, &[&str]); 7] = [
        ("raw.img", &[]),
        ("verified.img", &["--verify-output"]),
        ("hashed.img", &["--report", "report.json"]),
        ("threads.img", &["--threads", "7"]),
        ("x.img.zst", &[]),
        ("x.qcow2", &[]),
        ("card", &[]),
    ];
    let mut expected = Vec::new();
    for source in ["root", "sorted.tar", "reverse.tar", "twice.tar"] {
        workspace.write("plan.json", with_kept_metadata(source).to_string());
        for (number, (name, options)) in outputs.into_iter().enumerate() {
            if name == "card" {
                std::fs::File::create(workspace.path(name)).unwrap().set_len(64 << 20).unwrap();
                let device = LoopDevice::new(&workspace.path(name), "512");
                workspace.snugfs(["build", "plan.json", "--device", "-o", &device.device]).succeeded();
            } else {
                workspace.snugfs([&["build", "plan.json", "-o", name], options].concat()).succeeded();
            }
            let digest = sha256(&workspace.read(name));
            match expected.get(number) {
                None => expected.push(digest),
                Some(known) => assert_eq!(&digest, known, "{source}, {name}"),
            }
        }
        let piped = workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded();
        assert_eq!(sha256(&piped.stdout), expected[0], "{source}, standard output");
    }
    assert_fsck_clean(&workspace.path("raw.img"));
    assert_verified(&workspace.path("raw.img"));
}

#[test]
fn a_plan_is_made_for_each_kind_of_source() {
    let workspace = workspace_with("x.tar.gz", &["--gzip"]);
    let run = workspace.snugfs(["plan", "x.tar.gz"]).succeeded();
    let plan: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!(plan["trees"][0]["kind"], "tar");
    workspace.snugfs_with_input(["build", "-", "-o", "piped.img"], &run.stdout).succeeded();
    workspace.snugfs(["plan", "root", "x.tar.gz", "-o", "both.json"]).succeeded();
    assert_eq!(workspace.read_json("both.json")["trees"][0]["kind"], "folder");
    workspace.write("text", "no archive");
    workspace.snugfs(["plan", "text"]).failed_with(5).says("text: is not a tar archive");
    workspace.snugfs(["plan", "missing"]).failed_with(5).says("missing: can't be read");
}

#[test]
fn an_archive_is_not_replaced_by_its_image() {
    let workspace = workspace_with("archive", &[]);
    let before = workspace.read("archive");
    workspace
        .snugfs(["build", "plan.json", "-o", "archive"])
        .failed_with(2)
        .says("is also plan.trees[0].source");
    assert!(workspace.read("archive") == before);
}

#[test]
fn errors_of_archives_name_the_place() {
    let workspace = workspace_with("x.tar", &[]);
    let mut bytes = workspace.read("x.tar");
    bytes[600] ^= 1;
    let first = bytes.iter().position(|&byte| byte == b'.').unwrap();
    bytes[first + 1] ^= 1;
    workspace.write("x.tar", &bytes);
    workspace
        .snugfs(["build", "plan.json", "-o", "x.img"])
        .failed_with(5)
        .says("x.tar: is not a tar archive");
    for (change, says) in [
        (
            json!({ "image": "app" }),
            "plan.trees[0].image: the source is no container image; set \"kind\" to \"oci\"",
        ),
        (
            json!({ "kind": "tar", "oneFileSystem": true }),
            "plan.trees[0].oneFileSystem: only a folder can have",
        ),
        (
            json!({ "platform": "linux", "kind": "oci" }),
            "plan.trees[0].platform: \"linux\" is not a platform",
        ),
        (json!({ "exclude": ["# x"] }), "plan.trees[0].exclude[0]: \"# x\" is no pattern"),
        (json!({ "kind": "zip" }), "plan.trees[0].kind"),
    ] {
        workspace.change_plan(|plan| {
            plan["trees"][0] = change;
            plan["trees"][0]["source"] = json!("x.tar");
        });
        workspace.snugfs(["check", "plan.json"]).failed_with(3).says(says);
    }
}

/// An archive of `docker save` with one layer, which is the archive of the folder.
fn container_image(workspace: &Workspace) {
    let id = format!("sha256:{}", sha256(&workspace.read("x.tar")));
    let config = json!({
        "os": "linux", "architecture": "arm64", "config": { "User": "7" }, "rootfs": { "diff_ids": [id] },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["app:1"], "Layers": ["x.tar"] }]);
    workspace.write("config.json", config.to_string());
    workspace.write("manifest.json", manifest.to_string());
    let mut tar = Command::new(tool("tar"));
    tar.current_dir(workspace.path("")).args(["-cf", "image.tar", "manifest.json", "config.json", "x.tar"]);
    Run::of(&mut tar).succeeded();
}

#[test]
fn a_container_image_is_merged_with_the_rest_of_the_plan() {
    let workspace = workspace_with("x.tar", &[]);
    container_image(&workspace);
    workspace.change_plan(|plan| {
        plan["trees"][0] = json!({
            "source": "image.tar", "kind": "oci", "image": "app:1", "ociConfigTarget": "/etc/container.json",
            "exclude": ["usr/bin"],
        });
        plan["entries"]["/etc/motd"] = json!({ "type": "file", "text": "hello\n" });
        plan["attributes"]["/etc"] = json!({ "uid": 9 });
    });
    let image = workspace.build("x.img", []);
    assert_fsck_clean(&image);
    assert_eq!(debugfs(&image, "cat /etc/container.json"), "{\n  \"User\": \"7\"\n}\n");
    assert_eq!(debugfs(&image, "cat /etc/hostname"), "snug\n");
    assert_eq!(debugfs(&image, "cat /etc/motd"), "hello\n");
    assert!(!debugfs(&image, "ls /usr").contains("bin"));
    workspace.snugfs(["verify", "x.img", "--against", "plan.json"]).succeeded();
    let plan = workspace.snugfs(["plan", "image.tar"]).succeeded();
    assert!(plan.text().contains("\"kind\": \"oci\""));
    workspace.change_plan(|plan| {
        plan["trees"][0] = json!({ "source": "image.tar", "kind": "oci", "platform": "linux/amd64" });
    });
    workspace
        .snugfs(["check", "plan.json"])
        .failed_with(3)
        .says("plan.trees[0]: has no image that matches, only app:1 for linux/arm64; correct \"image\" or \"platform\"");
    workspace.change_plan(|plan| {
        plan["trees"][0] = json!({ "source": "image.tar", "kind": "oci", "ociConfigTarget": "/etc/motd" });
    });
    workspace
        .snugfs(["check", "plan.json"])
        .failed_with(3)
        .says("plan.trees[0].ociConfigTarget: plan.entries.\"/etc/motd\" makes /etc/motd too");
    workspace.change_plan(|plan| plan["trees"][0] = json!({ "source": "image.tar" }));
    workspace
        .snugfs(["check", "plan.json"])
        .succeeded()
        .says("plan.trees[0]: copies the files of a container image, not those of its layers; set \"kind\" to \"oci\"");
}
