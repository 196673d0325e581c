//! Frames that are kept: images with a cache and layers have the bytes of images without them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::store;
use crate::support::{Run, Workspace, assert_sound};

/// Contents that hardly compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(byte).collect()
}

/// Three large store paths and a small one, and a plan with frames.
fn workspace(verify: &str) -> Workspace {
    let workspace = Workspace::new();
    let paths = ["alpha-1", "beta-1", "gamma-1", "small-1"];
    for (seed, name) in (1..).zip(paths) {
        let len = if name == "small-1" { 3000 } else { (1 << 20) * usize::try_from(seed).unwrap() + 777 };
        store::write(&workspace, name, "lib/data", noise(seed, len), false);
        store::write(&workspace, name, "lib/more", noise(seed + 9, 5000), false);
    }
    let records: Vec<_> = paths.iter().map(|name| store::record(&workspace, name, &[])).collect();
    let mut plan = store::plan(&records);
    plan["closure"]["verify"] = json!(verify);
    plan["output"] = json!({ "compression": { "format": "zstd", "frames": true } });
    plan["entries"] = json!({ "/etc/motd": { "type": "file", "text": "hello\n" } });
    workspace.write("plan.json", plan.to_string());
    workspace
}

fn build(workspace: &Workspace, more: &[&str]) -> (Vec<u8>, Run) {
    let run = workspace.snugfs([&["build", "plan.json", "-o", "out.img.zst"], more].concat()).succeeded();
    (workspace.read("out.img.zst"), run)
}

#[test]
fn a_cache_and_layers_never_change_the_image() {
    for verify in ["size", "hash"] {
        let workspace = workspace(verify);
        let (expected, _) = build(&workspace, &[]);
        workspace.write("image", zstd::decode_all(&*expected).unwrap());
        assert_sound(&workspace.path("image"));
        let (filled, run) = build(&workspace, &["--cache", "cache"]);
        assert!(filled == expected && run.stderr.contains("cache: 0 of "), "{}", run.stderr);
        let (again, run) = build(&workspace, &["--cache", "cache"]);
        assert!(again == expected && run.stderr.contains(", 0 added"), "{}", run.stderr);
        workspace.snugfs(["layer", "plan.json", "-o", "layer"]).succeeded();
        let (layered, run) = build(&workspace, &["--layer", "layer", "--cache", "other", "--threads", "1"]);
        assert!(layered == expected, "{}", run.stderr);
        assert!(sorted(&workspace.path("other")).len() < sorted(&workspace.path("cache")).len());
        workspace.snugfs(["verify", "out.img.zst", "--against", "plan.json"]).succeeded();
        let piped = workspace.snugfs(["build", "plan.json", "-o", "-", "--cache", "cache"]).succeeded();
        assert!(piped.stdout == expected);
    }
}

/// All entries below a folder.
fn sorted(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    all
}

#[test]
fn a_layer_leaves_out_the_paths_of_a_list_and_is_the_same_each_time() {
    let workspace = workspace("size");
    let contents = |name| {
        let files = sorted(&workspace.path(name));
        files
            .iter()
            .map(|path| (path.file_name().unwrap().to_owned(), fs::read(path).unwrap()))
            .collect::<Vec<_>>()
    };
    workspace.snugfs(["layer", "plan.json", "-o", "all"]).succeeded();
    workspace.snugfs(["layer", "plan.json", "-o", "again", "--threads", "1"]).succeeded();
    assert!(contents("all") == contents("again"));
    workspace.write("list", store::store_path("gamma-1") + "\n");
    workspace.snugfs(["layer", "plan.json", "-o", "two", "--except", "list"]).succeeded();
    let (all, two) = (contents("all"), contents("two"));
    let plan = workspace.read_json("plan.json");
    workspace.write(
        "attrs.json",
        json!({ "plan": plan, "base": [{ "path": store::store_path("gamma-1") }] }).to_string(),
    );
    workspace.snugfs(["layer", "attrs.json", "-o", "graph", "--except-graph", "base"]).succeeded();
    assert!(contents("graph") == two);
    let wrong = ["layer", "attrs.json", "-o", "none", "--except-graph", "bsae"];
    workspace.snugfs(wrong).failed_with(2).says("has no graph under the key \"bsae\"");
    assert!(two.len() < all.len() && two.iter().all(|entry| all.contains(entry)));
    workspace.snugfs(["layer", "plan.json", "-o", "two"]).failed_with(7).says("two: exists already");
    let before = workspace.names();
    fs::write(workspace.path("store").join(store::base_name("beta-1")).join("lib/data"), b"x").unwrap();
    workspace.snugfs(["layer", "plan.json", "-o", "three"]).failed_with(4);
    assert_eq!(workspace.names(), before, "nothing is left");
}

#[test]
fn frames_with_a_table_are_read_by_it() {
    let workspace = workspace("size");
    workspace.change_plan(|plan| {
        plan["filesystem"]["freeSpace"] = json!("300MiB");
        plan["output"]["compression"]["seekable"] = json!(true);
    });
    let (image, _) = build(&workspace, &[]);
    let shown = workspace.snugfs(["inspect", "out.img.zst", "--json"]).succeeded();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["image"]["format"], json!("zstd-seekable"), "{shown}");
    workspace.snugfs(["verify", "out.img.zst", "--against", "plan.json"]).succeeded();
    workspace.write("image", zstd::decode_all(&*image).unwrap());
    assert_sound(&workspace.path("image"));
}

#[test]
fn hashes_are_compared_also_with_frames_of_a_damaged_store() {
    let workspace = workspace("hash");
    let (expected, _) = build(&workspace, &[]);
    let file = workspace.path("store").join(store::base_name("beta-1")).join("lib/data");
    let good = fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[70_000] ^= 1;
    fs::remove_file(&file).unwrap();
    fs::write(&file, bad).unwrap();
    // Not compared, so the frames have the wrong byte.
    workspace.change_plan(|plan| plan["closure"]["verify"] = json!("size"));
    build(&workspace, &["--cache", "cache"]);
    // Compared: an error, and none of its frames stays.
    workspace.change_plan(|plan| plan["closure"]["verify"] = json!("hash"));
    let before = sorted(&workspace.path("cache"));
    workspace.snugfs(["build", "plan.json", "-o", "no.img.zst", "--cache", "cache"]).failed_with(4);
    assert_eq!(sorted(&workspace.path("cache")), before);
    fs::write(&file, good).unwrap();
    let (repaired, _) = build(&workspace, &["--cache", "cache"]);
    assert!(repaired == expected);
}

#[test]
fn folders_that_can_not_be_caches_or_layers_are_named() {
    let workspace = workspace("size");
    let build =
        |more: &[&str]| workspace.snugfs([&["build", "plan.json", "-o", "out.img.zst"], more].concat());
    workspace.write("file", "");
    build(&["--cache", "file"]).failed_with(2).says("file: can't be used as a cache");
    build(&["--layer", "missing"]).failed_with(2).says("missing: is not a layer");
    fs::create_dir(workspace.path("open")).unwrap();
    assert!(Command::new("chmod").arg("777").arg(workspace.path("open")).status().unwrap().success());
    build(&["--cache", "open"]).failed_with(2).says("other users may write to this cache (mode 0777)");
    assert!(Command::new("chown").arg("12345").arg(workspace.path("open")).status().unwrap().success());
    build(&["--cache", "open"]).failed_with(2).says("is a cache of user 12345");
    build(&["--cache", "x", "--cache-size", "5 GB"]).failed_with(2).says("not a size");
    workspace.change_plan(|plan| plan["output"] = json!({}));
    build(&["--cache", "x"]).failed_with(2).says("set plan.output.compression.frames to true");
    build(&["--layer", "x"]).failed_with(2).says("set plan.output.compression.frames to true");
    workspace.snugfs(["layer", "plan.json", "-o", "y"]).failed_with(2).says("plan.output.compression");
    // The environment is for all builds, with and without frames.
    let mut command = workspace.command(["build", "plan.json", "-o", "out.img.zst"]);
    Run::of(command.env("SNUGFS_CACHE", "x")).succeeded();
    assert!(!workspace.path("x").exists());
}

#[test]
fn a_full_or_damaged_cache_is_a_warning() {
    let workspace = workspace("size");
    let (expected, _) = build(&workspace, &["--cache", "cache"]);
    for entry in sorted(&workspace.path("cache")).iter().filter(|path| !path.ends_with("CACHEDIR.TAG")) {
        let mut bytes = fs::read(entry).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(entry, bytes).unwrap();
    }
    let (image, run) = build(&workspace, &["--cache", "cache"]);
    assert!(
        image == expected && run.stderr.contains("had wrong bytes and were made again"),
        "{}",
        run.stderr
    );
    let (image, run) = build(&workspace, &["--cache", "cache"]);
    assert!(image == expected && run.stderr.contains(", 0 added"), "{}", run.stderr);
    let (image, run) = build(&workspace, &["--cache", "little", "--cache-size", "100KiB"]);
    assert!(image == expected && run.stderr.contains("raise --cache-size"), "{}", run.stderr);
    let folder = workspace.path("disk");
    fs::create_dir(&folder).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=1M,mode=700", "none"];
    assert!(Command::new("mount").args(mount).arg(&folder).status().unwrap().success(), "needs root");
    let run = workspace.snugfs(["build", "plan.json", "-o", "out.img.zst", "--cache", "disk"]);
    assert!(Command::new("umount").arg(&folder).status().unwrap().success());
    let run = run.succeeded();
    assert!(run.stderr.contains("the cache got no more frames: no space left on device"), "{}", run.stderr);
    assert!(workspace.read("out.img.zst") == expected);
}
