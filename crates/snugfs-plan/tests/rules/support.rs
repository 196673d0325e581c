//! Plans, and the problems of plans.

use std::path::Path;

use image_tree::ImagePath;
use serde_json::{Value, json};
use snugfs_plan::{Plan, parse};

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

/// A valid plan with these fields. Relative paths are those of `/base`.
pub(crate) fn read(fields: &Value) -> Plan {
    parse(with_version(fields).as_bytes(), Path::new("/base")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn with_version(fields: &Value) -> String {
    let mut plan = fields.clone();
    plan.as_object_mut().unwrap().insert("version".to_owned(), json!(1));
    plan.to_string()
}

/// The problems of a plan with these fields, one a line.
pub(crate) fn problems(fields: &Value) -> Vec<String> {
    match parse(with_version(fields).as_bytes(), Path::new("/base")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// A disk with a GPT and these partitions after the root's.
pub(crate) fn disk(partitions: Vec<Value>) -> Value {
    let root = json!({ "type": "linux", "content": { "kind": "root" } });
    let partitions: Vec<Value> = [root].into_iter().chain(partitions).collect();
    json!({ "table": "gpt", "partitions": partitions })
}
