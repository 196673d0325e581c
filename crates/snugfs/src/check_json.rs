//! The result of `check` for programs.

use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::problem::Problem;
use crate::report::Report;
use crate::told::location;

/// The version of this form; fields may be added within a version.
const VERSION: u32 = 1;

/// The JSON text, ending in a line feed.
pub(crate) fn text(checked: Result<&Report, &Failure>) -> Result<String, Failure> {
    let one = |level: &str, problem: &Problem| problem.json(level, location(problem).as_ref());
    let result: Value = match checked {
        Ok(report) => {
            let warnings: Vec<Value> =
                report.warnings.iter().map(|text| one("warning", &Problem::from(text.as_str()))).collect();
            json!({
                "version": VERSION,
                "ok": true,
                "exitCode": 0,
                "problems": [],
                "warnings": warnings,
                "image": { "bytes": report.image.bytes },
                "contents": { "files": report.contents.files, "storePaths": report.contents.store_paths }
            })
        }
        Err(failure) => {
            let problems: Vec<Value> =
                failure.problems().iter().map(|problem| one("error", problem)).collect();
            json!({
                "version": VERSION,
                "ok": false,
                "exitCode": failure.number(),
                "problems": problems,
                "warnings": []
            })
        }
    };
    let text = serde_json::to_string_pretty(&result);
    text.map(|text| text + "\n")
        .map_err(|error| Failure::new(Exit::Bug, format!("result: {error}; please report it")))
}
