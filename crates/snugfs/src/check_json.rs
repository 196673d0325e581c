//! The result of `check --json`.

use serde_json::{Value, json};

use snugfs_core::Failure;

use crate::commands::Checked;
use crate::exit;
use crate::messages::Messages;

/// The version of the JSON. Fields may be added within a version.
const VERSION: u32 = 1;

/// The JSON text, ending in a line feed.
pub(crate) fn text(checked: Result<&Checked<'_>, &Failure>, messages: &Messages) -> Result<String, Failure> {
    let result: Value = match checked {
        Ok(Checked { prepared, variants }) => {
            let contents = prepared.report().contents;
            let mut warnings = prepared.warnings.clone();
            let mut result = json!({
                "version": VERSION,
                "ok": true,
                "exitCode": 0,
                "problems": [],
                "image": { "bytes": prepared.bytes() },
                "contents": { "files": prepared.files(), "storePaths": contents.store_paths }
            });
            if let Some(variants) = variants {
                result["variants"] = json!({ "images": variants.images, "bytes": variants.bytes });
                warnings.extend(variants.warnings.iter().cloned());
            }
            result["warnings"] = messages.warnings_json(&warnings).into();
            result
        }
        Err(failure) => {
            json!({
                "version": VERSION,
                "ok": false,
                "exitCode": exit::number(failure.kind),
                "problems": messages.failure_json(failure),
                "warnings": []
            })
        }
    };
    let text = serde_json::to_string_pretty(&result);
    text.map(|text| text + "\n").map_err(|error| Failure::internal("result", error))
}
