//! `snugfs imager-json`: an entry for Raspberry Pi Imager, from the report of a build. The format: `os-list-schema.json` in
//! Raspberry Pi Imager's sources.

use image_tree::io_reason;
use serde_json::{Value, json};
use snugfs_core::{Failure, FailureKind, read_file, shown};

use crate::cli::ImagerJsonArgs;
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &ImagerJsonArgs) -> Result<(), Failure> {
    let failed =
        |what: String, help: &str| Failure::new(FailureKind::Source, shown(&args.report), what, help);
    let text = read_file(&args.report).map_err(|error| {
        failed(format!("can't be read: {}", io_reason(&error)), "name a report of `build`")
    })?;
    let report: Value = serde_json::from_slice(&text).unwrap_or_default();
    let list = list(&report, args).map_err(|(what, help)| failed(what.to_owned(), help))?;
    let text = serde_json::to_string_pretty(&list);
    output::print(&(text.map_err(|error| Failure::internal("imager-json", error))? + "\n"))
}

/// The list with one entry. Fails with what is wrong with the report, and what to do.
fn list(report: &Value, args: &ImagerJsonArgs) -> Result<Value, (&'static str, &'static str)> {
    let image = report.get("image").ok_or(("is not a report", "name a report of `build`"))?;
    let number = |key: &str| image.get(key).and_then(Value::as_u64);
    let text = |key: &str| image.get(key).and_then(Value::as_str);
    if text("format").is_some() {
        return Err((
            "is the report of a container, which Raspberry Pi Imager does not read",
            "build a raw image, compressed or not",
        ));
    }
    let bytes = number("bytes").ok_or(("is not a report", "name a report of `build`"))?;
    let compressed = number("compressedBytes");
    let digest = if compressed.is_some() { text("rawSha256") } else { text("sha256") };
    let digest =
        digest.ok_or(("has no digest of the uncompressed image", "build with --report and --raw-digest"))?;
    let mut entry = json!({
        "name": args.name,
        "description": args.description.as_ref().unwrap_or(&args.name),
        "icon": args.icon,
        "url": args.url,
        "extract_size": bytes,
        "extract_sha256": digest,
        "image_download_size": compressed.unwrap_or(bytes),
        "release_date": args.release_date,
    });
    if !args.device.is_empty()
        && let Some(entry) = entry.as_object_mut()
    {
        entry.insert("devices".to_owned(), json!(args.device));
    }
    Ok(json!({ "os_list": [entry] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> ImagerJsonArgs {
        ImagerJsonArgs {
            report: "r".into(),
            name: "N".into(),
            url: "https://example.org/x.img.zst".into(),
            release_date: "2026-01-02".into(),
            description: None,
            icon: String::new(),
            device: vec!["pi5-64bit".into()],
        }
    }

    #[test]
    fn an_entry_has_the_sizes_and_the_digest_of_the_report() {
        let report =
            json!({ "image": { "bytes": 10, "compressedBytes": 4, "sha256": "cc", "rawSha256": "aa" } });
        let entry = &list(&report, &args()).unwrap()["os_list"][0];
        assert_eq!((&entry["extract_size"], &entry["extract_sha256"]), (&json!(10), &json!("aa")));
        assert_eq!((&entry["image_download_size"], &entry["devices"]), (&json!(4), &json!(["pi5-64bit"])));
        let raw = json!({ "image": { "bytes": 10, "compressedBytes": null, "sha256": "cc" } });
        let entry = &list(&raw, &args()).unwrap()["os_list"][0];
        assert_eq!((&entry["image_download_size"], &entry["extract_sha256"]), (&json!(10), &json!("cc")));
    }

    #[test]
    fn reports_without_the_digest_are_errors() {
        let error = |report: Value| list(&report, &args()).unwrap_err().0;
        assert_eq!(error(json!({})), "is not a report");
        let zstd = json!({ "image": { "bytes": 10, "compressedBytes": 4, "sha256": "cc" } });
        assert_eq!(error(zstd), "has no digest of the uncompressed image");
        let qcow2 = json!({ "image": { "bytes": 10, "format": "qcow2", "sha256": "cc" } });
        assert!(error(qcow2).contains("container"));
    }
}
