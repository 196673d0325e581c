//! Reads the plans of `tests/plans/bad`. Their problems must be those of the `.expected` files, here and in the tests of the
//! program.
//!
//! `UPDATE_EXPECTED=1` writes these files, and the schema, instead of comparing them. Review the difference.

#![expect(clippy::unwrap_used, reason = "what a test can't do without ends it")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use snugfs_plan::{guide, parse, schema};

const HINT: &str = "if that is meant, run the test with UPDATE_EXPECTED=1 and review the difference";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The plans of a folder, in the order of their names.
fn plans(folder: &str) -> Vec<PathBuf> {
    let folder = repository().join("tests/plans").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut plans: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    plans.sort();
    plans
}

fn updating() -> bool {
    std::env::var_os("UPDATE_EXPECTED").is_some()
}

/// Compares a text with a file, or writes the file.
fn difference(path: &Path, actual: &str) -> Option<String> {
    if updating() {
        std::fs::write(path, actual).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_else(|error| format!("({error})\n"));
    let text = format!("{}\n--- expected\n{expected}+++ actual\n{actual}", path.display());
    (expected != actual).then_some(text)
}

#[test]
fn bad_plans_give_exactly_the_expected_lines() {
    let plans = plans("bad");
    assert!(plans.len() >= 60, "{}", plans.len());
    let mut differences = Vec::new();
    for path in plans {
        let json = std::fs::read(&path).unwrap();
        let Err(problems) = parse(&json, Path::new("/base")) else {
            panic!("{} is accepted", path.display())
        };
        differences.extend(difference(&path.with_extension("expected"), &format!("{problems}\n")));
    }
    assert!(differences.is_empty(), "{}\n{HINT}", differences.join("\n"));
}

#[test]
fn every_expectation_has_its_plan() {
    for entry in std::fs::read_dir(repository().join("tests/plans/bad")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("json").exists(), "{}", path.display());
        assert!(path.with_extension("expected").exists() || updating(), "{}", path.display());
    }
}

#[test]
fn written_schema_is_the_one_of_the_code() {
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    let difference = difference(&repository().join("docs/plan.schema.json"), &text);
    assert!(difference.is_none(), "{}\n{HINT}", difference.unwrap_or_default());
}

/// The names of all fields below a schema.
fn field_names(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                if let (true, Some(fields)) = (key == "properties", value.as_object()) {
                    names.extend(fields.keys().cloned());
                }
                field_names(value, names);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| field_names(item, names)),
        _ => (),
    }
}

#[test]
fn guide_tells_every_field_of_the_schema_and_each_section_once() {
    let sections = guide();
    let mut places: Vec<_> = sections.iter().map(|section| section.place.as_str()).collect();
    assert_eq!(places.first(), Some(&"plan"));
    for place in ["plan.filesystem", "plan.entries.\"PATH\"", "plan.disk.partitions[].content"] {
        assert!(places.contains(&place), "{place}: {places:?}");
    }
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), sections.len());
    let mut known = BTreeSet::new();
    field_names(&schema(), &mut known);
    let fields = || sections.iter().flat_map(|section| &section.fields);
    assert_eq!(fields().map(|field| field.name.to_owned()).collect::<BTreeSet<_>>(), known);
    for field in fields() {
        assert!(field.about.ends_with('.') && !field.values.is_empty(), "{field:?}");
    }
}

/// Whether every field of an object, at any depth, has a description.
fn assert_described(schema: &serde_json::Value, place: &str) {
    match schema {
        serde_json::Value::Object(object) => {
            // The rules of a `oneOf` have fields too, but describe no object.
            let fields = object.get("properties").filter(|_| object.get("type") == Some(&"object".into()));
            for (name, field) in fields.and_then(|fields| fields.as_object()).into_iter().flatten() {
                assert!(field["description"].is_string(), "{place}/{name}");
            }
            for (key, value) in object {
                let here = format!("{place}/{key}");
                assert_described(value, &here);
            }
        }
        serde_json::Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| assert_described(item, &format!("{place}/{index}")));
        }
        _ => (),
    }
}

#[test]
fn every_field_of_the_schema_is_described() {
    assert_described(&schema(), "");
}

#[test]
fn documentation_has_a_row_for_every_field_and_only_plans_that_are_valid() {
    let text = std::fs::read_to_string(repository().join("docs/plan-format.md")).unwrap();
    let mut names = BTreeSet::new();
    field_names(&schema(), &mut names);
    assert!(names.len() > 35, "{names:?}");
    for name in names {
        let row = text.lines().any(|line| {
            ["", "compression.", "efi.", "bios.", "state."]
                .iter()
                .any(|object| line.starts_with(&format!("| `{object}{name}` |")))
        });
        assert!(row, "{name}");
    }
    let mut count = 0;
    for example in text.split("```json\n").skip(1) {
        let example = example.split("```").next().unwrap();
        let whole = example.starts_with('{');
        let plan = if whole { example.to_owned() } else { format!("{{ \"version\": 1, {example} }}") };
        // Extended attributes are listed without their file.
        let plan = plan.replace("1, \"xattrs\":", "1, \"attributes\": { \"/\": { \"xattrs\":");
        let plan = if plan.contains("\"/\": { \"xattrs\"") { format!("{plan} }} }}") } else { plan };
        parse(plan.as_bytes(), Path::new("/base")).unwrap_or_else(|problems| panic!("{example}\n{problems}"));
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn example_of_the_repository_is_a_good_plan() {
    let json = std::fs::read(repository().join("examples/small/plan.json")).unwrap();
    assert_eq!(parse(&json, Path::new("/base")).map(|plan| plan.root.entries.len()), Ok(10));
}
