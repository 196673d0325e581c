//! Decodes JSON into a [`Plan`]. If a value is wrong, a decoder reports it and continues with a placeholder, so that
//! all problems are found at once. [`parse`] never returns a plan with placeholders.

mod boot;
mod closure;
mod contents;
mod context;
mod disk;
mod filesystem;
mod foreign;
mod variants;
mod verity;
mod volume;

use std::path::Path;

use self::context::Context;
use crate::json::{Json, is_structured_attributes};
use crate::location::Place;
use crate::object::Object;
use crate::plan::Plan;
use crate::plan_table::PLAN;
use crate::problem::{Log, Position, Problems};
use crate::tables;
use crate::value::Value;

/// Reads a plan, or structured attributes with a plan under `plan`. `base_dir` is joined to every relative
/// path of this machine. No files are accessed.
pub fn parse(json: &[u8], base_dir: &Path) -> Result<Plan, Problems> {
    let log = Log::default();
    let plan = match Json::parse(json) {
        Ok(document) => read(&document, base_dir, &log),
        Err(error) => {
            tell_syntax(&error, json, &log);
            None
        }
    };
    let problems = log.into_problems();
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(problems),
    }
}

/// Reads a JSON document that a plan refers to, with the limits of a plan on the number of values and levels.
pub fn parse_document(json: &[u8]) -> Result<serde_json::Value, serde_json::Error> {
    Json::parse(json).map(|document| document.to_value())
}

fn tell_syntax(error: &serde_json::Error, json: &[u8], log: &Log) {
    if json.iter().all(u8::is_ascii_whitespace) {
        log.add(&Place::PLAN, || ("there is nothing in it".to_owned(), "write one JSON object".to_owned()));
        return;
    }
    let (line, column) = (error.line(), error.column());
    if let Some((what, what_to_do)) = foreign::form(json, line, column) {
        log.add_at(Position { line, column: column.max(1) }, what.to_owned(), what_to_do.to_owned());
        return;
    }
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let text = text.replace("\\u0000-\\u001F", "U+0000 to U+001F");
    let text = image_tree::escaped(text.as_bytes()).to_string();
    let (what, what_to_do) = match error.classify() {
        serde_json::error::Category::Data => {
            (text, "make it smaller, a closure can stand in files of its own")
        }
        _ if text.starts_with("recursion limit") => {
            ("has more than 127 levels of nesting".to_owned(), "nest it less deeply")
        }
        _ => (format!("not JSON: {text}"), "correct it"),
    };
    // A text that ends with a line feed ends in column 0.
    log.add_at(Position { line, column: column.max(1) }, what, what_to_do.to_owned());
}

fn read(document: &Json, base_dir: &Path, log: &Log) -> Option<Plan> {
    let attributes = is_structured_attributes(document).then_some(document);
    let plan = attributes.and_then(|attributes| attributes.get("plan")).unwrap_or(document);
    let value = Value { json: plan, at: Place::PLAN, log };
    if is_of_another_version(&value) {
        return None;
    }
    let object = value.object(&PLAN)?;
    if let Some(place) = object.given("$schema") {
        place.text("a string", "write where the schema is, or leave it out");
    }
    Some(plan_of(&object, Context { base_dir, attributes }, log))
}

/// Whether the plan has another version. Then no other rule applies to it.
fn is_of_another_version(plan: &Value<'_>) -> bool {
    match plan.json.get("version") {
        None | Some(Json::Whole(tables::VERSION)) => false,
        Some(Json::Whole(other)) => {
            plan.log.add(&plan.at.key("version"), || {
                let what = format!("version {other} is not known, {}", known_version());
                (what, format!("{} or use a newer snugfs", write_version()))
            });
            true
        }
        Some(json) => {
            let value = plan.child("version", json);
            value.not::<()>(&format!("a version, {}", known_version()), &write_version());
            false
        }
    }
}

fn known_version() -> String {
    format!("this snugfs reads version {}", tables::VERSION)
}

fn write_version() -> String {
    format!("write \"version\": {}", tables::VERSION)
}

fn plan_of(object: &Object<'_>, context: Context<'_>, log: &Log) -> Plan {
    let root = volume::volume(object, &Place::PLAN, None, context, log);
    let closure = root.closure.as_ref();
    // An invalid closure has been reported.
    let boot = object.read("boot", |value| {
        let has_disk = object.given("disk").is_some();
        let is_reported = closure.is_none() && object.given("closure").is_some();
        if is_reported { None } else { boot::boot(value, closure, has_disk, context) }
    });
    let variants =
        object.read_or_default("variants", |value| Some(variants::variants(value, &root, context, log)));
    let plan = Plan {
        boot,
        root,
        variants,
        siblings: Vec::new(),
        disk: object.read("disk", |value| disk::disk(value, context)),
        output: object.read_or_default("output", |value| filesystem::output(value, context)),
    };
    // A disk with problems may lack the partitions in question.
    if plan.disk.is_some() || object.given("disk").is_none() {
        verity::check(&plan, log);
    }
    plan
}
