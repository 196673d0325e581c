//! A plan to start from, for sources that are there: folders, archives, container images, store paths.

use std::path::{Path, PathBuf};
use std::process::Command;

use image_tree::{io_reason, shown};
use serde_json::{Map, Value, json};

use crate::failure::{Failure, FailureKind};

/// Makes a plan with these sources, as JSON. Its image merges them.
///
/// Store paths (of `/nix/store`) become a closure: `nix path-info` is run for them.
///
/// # Errors
/// If a source is none of these, or its path is not UTF-8, or Nix does not know a store path.
pub fn draft_plan(sources: &[PathBuf]) -> Result<String, Failure> {
    let (mut trees, mut store_paths) = (Vec::new(), Vec::new());
    for source in sources {
        let absolute = std::path::absolute(source).map_err(|error| unreadable(source, &error))?;
        let Some(text) = absolute.to_str() else {
            let what = "has a name that is not UTF-8, as a plan must be";
            return Err(Failure::new(FailureKind::Source, shown(source), what, "rename it"));
        };
        if is_store_path(source) {
            store_paths.push(absolute.clone());
        } else {
            trees.push(tree(source, text)?);
        }
    }
    let mut plan = Map::from_iter([("version".to_owned(), json!(1))]);
    if !store_paths.is_empty() {
        plan.insert("closure".to_owned(), json!({ "graph": graph(&store_paths)? }));
    }
    if !trees.is_empty() {
        plan.insert("trees".to_owned(), Value::Array(trees));
    }
    let text = serde_json::to_string_pretty(&Value::Object(plan));
    text.map(|text| text + "\n").map_err(|error| Failure::internal("plan", error))
}

fn unreadable(source: &Path, error: &std::io::Error) -> Failure {
    let what = format!("can't be read: {}", io_reason(error));
    Failure::new(FailureKind::Source, shown(source), what, "name a folder, an archive or an image")
}

/// Whether it is a path directly in Nix's store.
fn is_store_path(source: &Path) -> bool {
    source.parent() == Some(Path::new("/nix/store")) && source.symlink_metadata().is_ok()
}

fn tree(source: &Path, text: &str) -> Result<Value, Failure> {
    let metadata = std::fs::metadata(source).map_err(|error| unreadable(source, &error))?;
    if metadata.is_dir() {
        let has = |name: &str| source.join(name).is_file();
        if (has("oci-layout") && has("index.json")) || (has("manifest.json") && !source.join("etc").exists())
        {
            return Ok(json!({ "source": text, "kind": "oci" }));
        }
        // A root file system belongs to root. The owner of anything else means nothing on another machine.
        let is_roots = std::os::unix::fs::MetadataExt::uid(&metadata) == 0;
        let keep = if is_roots { "keep" } else { "root" };
        let xattrs = if is_roots { json!(["*"]) } else { json!([]) };
        return Ok(json!({ "source": text, "kind": "folder", "owner": keep, "xattrs": xattrs }));
    }
    let is_image = archive_source::looks_like_image(source)
        .map_err(|error| Failure::of(FailureKind::Source, image_tree::Explain::explain(&error).into()))?;
    Ok(json!({ "source": text, "kind": if is_image { "oci" } else { "tar" } }))
}

/// The closure of store paths, as Nix knows it.
fn graph(paths: &[PathBuf]) -> Result<Value, Failure> {
    let failed = |what: String| {
        let help = "run snugfs where Nix is, or write \"closure\" with a registration";
        Failure::new(FailureKind::Closure, "nix path-info", what, help)
    };
    let done = Command::new("nix")
        .args(["--extra-experimental-features", "nix-command", "path-info", "--recursive", "--json"])
        .args(paths)
        .output()
        .map_err(|error| failed(format!("can't be run: {}", io_reason(&error))))?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr);
        let last = text.lines().last().unwrap_or("it says nothing").to_owned();
        return Err(failed(format!("failed: {}", image_tree::escaped(last.as_bytes()))));
    }
    let parsed = serde_json::from_slice(&done.stdout);
    let found: Value = parsed.map_err(|error| failed(format!("did not print JSON: {error}")))?;
    Ok(match found {
        // Newer versions print an object by path.
        Value::Object(by_path) => {
            let record = |(path, record): (String, Value)| match record {
                Value::Object(mut fields) => {
                    fields.insert("path".to_owned(), Value::String(path));
                    Value::Object(fields)
                }
                other => other,
            };
            Value::Array(by_path.into_iter().map(record).collect())
        }
        list => list,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(paths: &[&Path]) -> Value {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
        serde_json::from_str(&draft_plan(&paths).unwrap()).unwrap()
    }

    #[test]
    fn sources_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["rootfs", "layout", "saved"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        for name in ["layout/oci-layout", "layout/index.json", "saved/manifest.json"] {
            std::fs::write(at(name), "{}").unwrap();
        }
        let tar = |name: &str, of: &str| {
            let done = Command::new("tar").arg("-C").arg(at(of)).arg("-cf").arg(at(name)).arg(".").status();
            assert!(done.unwrap().success());
        };
        tar("rootfs.tar", "rootfs");
        tar("image.tar", "layout");
        let names = ["rootfs", "layout", "saved", "rootfs.tar", "image.tar"];
        let paths = names.map(at);
        let plan = draft(&paths.each_ref().map(PathBuf::as_path));
        let kinds: Vec<&str> =
            plan["trees"].as_array().unwrap().iter().map(|tree| tree["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["folder", "oci", "oci", "tar", "oci"]);
        assert_eq!(plan["trees"][3]["source"].as_str().unwrap(), at("rootfs.tar").to_str().unwrap());
        let text = plan.to_string();
        assert!(snugfs_plan::parse(text.as_bytes(), Path::new("")).is_ok());
        std::fs::write(at("text"), "text").unwrap();
        for name in ["text", "missing"] {
            assert_eq!(draft_plan(&[at(name)]).unwrap_err().kind, FailureKind::Source);
        }
    }
}
