//! The programs in `examples/` do what they say, and are short.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(dead_code, reason = "each program has a main function")]

use std::fs;
use std::path::Path;
use std::process::Command;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};

#[path = "../examples/container_root.rs"]
mod container_root;
#[path = "../examples/memory_image.rs"]
mod memory_image;
#[path = "../examples/nasty_images.rs"]
mod nasty_images;
#[path = "../examples/plan_from_code.rs"]
mod plan_from_code;

/// Whether e2fsck accepts an image.
fn is_clean(image: &Path) -> bool {
    let output = Command::new("e2fsck").arg("-fn").arg(image).output();
    output.expect("e2fsck runs; install e2fsprogs").status.success()
}

fn debugfs(image: &Path, request: &str) -> String {
    let output = Command::new("debugfs").args(["-R", request]).arg(image).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_tree_in_memory_becomes_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    fs::write(&path, memory_image::image().unwrap()).unwrap();
    assert!(is_clean(&path));
    assert_eq!(debugfs(&path, "cat /usr/bin/hello"), "#!/bin/sh\necho hello\n");
    assert!(debugfs(&path, "stat /tmp").contains("Mode:  01777"));
}

#[test]
fn a_plan_made_in_code_becomes_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (folder.path().join("source"), folder.path().join("image"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("index.html"), "<p>").unwrap();
    let bytes = plan_from_code::write(&source, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
    assert!(is_clean(&path));
    assert_eq!(debugfs(&path, "cat /srv/index.html"), "<p>");
    assert_eq!(debugfs(&path, "cat /etc/units/9"), "unit 9\n");
}

#[test]
fn a_container_image_becomes_a_root() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, image) = (folder.path().join("saved"), folder.path().join("image"));
    fs::create_dir_all(layout.join("root/usr/bin")).unwrap();
    fs::write(layout.join("root/usr/bin/init"), "#!/bin/sh\n").unwrap();
    let done =
        Command::new("tar").current_dir(&layout).args(["-C", "root", "-cf", "layer.tar", "usr"]).status();
    assert!(done.unwrap().success());
    let digest = Sha256::digest(fs::read(layout.join("layer.tar")).unwrap());
    let id = format!("sha256:{}", HEXLOWER.encode(&digest));
    let config = json!({
        "os": "linux", "architecture": "arm64", "rootfs": { "diff_ids": [id] },
        "config": { "Entrypoint": ["/usr/bin/init"], "User": "7" },
    });
    fs::write(layout.join("config.json"), config.to_string()).unwrap();
    let manifest = json!([{ "Config": "config.json", "Layers": ["layer.tar"] }]);
    fs::write(layout.join("manifest.json"), manifest.to_string()).unwrap();
    let bytes = container_root::write(&layout, &image, Some("linux/arm64")).unwrap();
    assert_eq!(fs::metadata(&image).unwrap().len(), bytes);
    assert!(is_clean(&image));
    assert_eq!(debugfs(&image, "cat /usr/bin/init"), "#!/bin/sh\n");
    let written: serde_json::Value =
        serde_json::from_str(&debugfs(&image, "cat /etc/container.json")).unwrap();
    assert_eq!(written, config["config"]);
    let error = container_root::write(&layout, &image, Some("linux/amd64")).unwrap_err().to_string();
    assert!(error.contains("no image that matches, only config.json for linux/arm64"), "{error}");
}

#[test]
fn every_nasty_image_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = memory_image::image().unwrap();
    let images = nasty_images::damaged(&good).unwrap();
    assert_eq!(images.len(), 5);
    for (name, bytes) in images {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert!(!is_clean(&path), "{name}");
    }
    assert!(nasty_images::damaged(&good[..1000]).is_err());
}

#[test]
fn every_program_has_at_most_40_lines_and_a_test() {
    let programs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let mut names = Vec::new();
    for program in programs.map(|entry| entry.unwrap().path()) {
        let lines = fs::read_to_string(&program).unwrap().lines().count();
        assert!(lines <= 40, "{}: {lines} lines", program.display());
        names.push(program.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["container_root", "memory_image", "nasty_images", "plan_from_code"]);
}

/// Who uses the writer by itself gets the file system that a plan describes by default.
#[test]
fn the_defaults_of_the_writer_are_those_of_a_plan() {
    let plan = snugfs_plan::parse(br#"{ "version": 1 }"#, Path::new("")).unwrap();
    let root = snugfs_core::planned_volumes(&plan).next().unwrap();
    assert_eq!(root.layout_options(), ext4_layout::Options::default());
}
