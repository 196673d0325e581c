//! A program with all mutants in it, and one of them switched on, does what the program with that mutant alone does.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAM: &str = include_str!("sample.rs");

/// Mutants of the sample: the genre, code that is there once, the part of it that is replaced, and by what.
const MUTANTS: &[(&str, &str, &str, &str)] = &[
    ("FnValue", "a + b * 2 - 1", "a + b * 2 - 1", "0"),
    ("FnValue", "a + b * 2 - 1", "a + b * 2 - 1", "1"),
    ("FnValue", "out.push(1);\n    out.push(2);", "out.push(1);\n    out.push(2);", "()"),
    ("FnValue", "Box::leak(Box::new(a))", "Box::leak(Box::new(a))", "Box::leak(Box::new(0))"),
    ("BinaryOperator", "a + b", "+", "-"),
    ("BinaryOperator", "a + b", "+", "*"),
    ("BinaryOperator", "b * 2", "*", "+"),
    ("BinaryOperator", "b * 2", "*", "/"),
    ("BinaryOperator", "2 - 1", "-", "+"),
    ("BinaryOperator", "5 && a", "&&", "||"),
    ("BinaryOperator", "7 || b", "||", "&&"),
    ("BinaryOperator", "a > 5", ">", "<"),
    ("BinaryOperator", "a > 5", ">", "=="),
    ("BinaryOperator", "a < 7", "<", ">"),
    ("BinaryOperator", "b == 3", "==", "!="),
    ("BinaryOperator", "text != \"x\"", "!=", "=="),
    ("BinaryOperator", "sum += sum * 3", "+=", "-="),
    ("BinaryOperator", "sum += sum * 3", "+=", "*="),
    ("BinaryOperator", "sum * 3", "*", "+"),
    ("BinaryOperator", "list[a as usize % 2] -= 1", "-=", "+="),
    ("BinaryOperator", "list[a as usize % 2] -= 1", "%", "/"),
    ("UnaryOperator", "!(a == b)", "!", ""),
    ("BinaryOperator", "a == b)", "==", "!="),
    ("UnaryOperator", "-(a as i64)", "-", ""),
    ("MatchArm", "3 => \"three\",", "3 => \"three\",", ""),
    ("MatchArm", "n if n > 6 => \"many\",", "n if n > 6 => \"many\",", ""),
    ("MatchArmGuard", "n if n > 6", "n > 6", "true"),
    ("MatchArmGuard", "n if n > 6", "n > 6", "false"),
    ("BinaryOperator", "n > 6", ">", "<"),
    ("StructField", "first: a + 1,", "first: a + 1", ""),
    ("StructField", "second, ..base", "second", ""),
];

/// Mutants that can't have a switch, with the reason.
const ALONE: &[(&str, &str, &str, &str, &str)] = &[
    ("BinaryOperator", "value << 1", "<<", ">>", "evaluated by the compiler"),
    ("BinaryOperator", "8 * 8", "*", "+", "evaluated by the compiler"),
    ("BinaryOperator", "Some(c) = list.first() && *c", "&&", "||", "the condition binds names"),
    ("FnValue", "0..a", "0..a", "::std::iter::empty()", "another type than the function's own"),
    ("MatchArm", "true => 1,", "true => 1,", "", "the compiler counts no arm with a condition"),
    (
        "StructField",
        "second: a, ..Fields::default()",
        "second: a",
        "",
        "the other fields come from a computed value",
    ),
];

/// Line and column, from 1, of a byte of the sample.
fn position(at: usize) -> serde_json::Value {
    let before = &PROGRAM[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
    serde_json::json!({ "line": line, "column": column })
}

fn range(code: &str, part: &str) -> std::ops::Range<usize> {
    assert_eq!(PROGRAM.matches(code).count(), 1, "the sample has {code:?} once");
    let start = PROGRAM.find(code).unwrap() + code.find(part).unwrap();
    start..start + part.len()
}

fn listed(id: usize, genre: &str, code: &str, part: &str, replacement: &str) -> serde_json::Value {
    let range = range(code, part);
    let span = serde_json::json!({ "start": position(range.start), "end": position(range.end) });
    serde_json::json!({ "id": id, "genre": genre, "span": span, "replacement": replacement })
}

fn merged(mutants: &[serde_json::Value], left_out: &[usize]) -> serde_json::Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_merge-mutants"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let document = serde_json::json!({ "text": PROGRAM, "mutants": mutants, "left_out": left_out });
    child.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a program prints, and how it ends. Overflows are errors.
fn result(folder: &Path, name: &str, text: &str, switch: &str) -> (String, bool) {
    let (source, program) = (folder.join(format!("{name}.rs")), folder.join(name));
    if !program.exists() {
        std::fs::write(&source, text).unwrap();
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition=2024", "-Cdebug-assertions", "-Awarnings", "-o"]).args([&program, &source]);
        assert!(rustc.status().unwrap().success(), "{name} does not compile");
    }
    let output = Command::new(&program).env("MERGED_MUTANT", switch).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn each_switch_is_its_mutant() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("same");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let all: Vec<_> = MUTANTS
        .iter()
        .enumerate()
        .map(|(id, (genre, code, part, by))| listed(id, genre, code, part, by))
        .collect();
    let document = merged(&all, &[]);
    let text = document["text"].as_str().unwrap();
    // The place of an assignment is repeated, so what is inside has no switch.
    let alone = document["alone"].as_array().unwrap();
    let inside = MUTANTS.iter().position(|mutant| mutant.3 == "/" && mutant.2 == "%").unwrap();
    assert_eq!(alone, &[serde_json::json!([inside, "inside of a place that is assigned to"])]);
    assert_eq!(text.lines().count(), PROGRAM.lines().count());
    let plain = result(&folder, "plain", PROGRAM, "");
    assert_eq!(result(&folder, "merged", &with_switch(text), "none"), plain);
    for (id, (_, code, part, by)) in MUTANTS.iter().enumerate().filter(|(id, _)| *id != inside) {
        let range = range(code, part);
        let mutant = format!("{}{by}{}", &PROGRAM[..range.start], &PROGRAM[range.end..])
            .replace("{ , ..base", "{ ..base");
        let mutant = mutant.replace("Fields { , second", "Fields { second");
        let expected = result(&folder, &format!("alone{id}"), &mutant, "");
        assert_ne!(expected, plain, "{code}: {part} -> {by} changes nothing");
        assert_eq!(result(&folder, "merged", text, &id.to_string()), expected, "{code}: {part} -> {by}");
    }
}

#[test]
fn what_has_no_switch_is_said() {
    let all: Vec<_> = ALONE
        .iter()
        .enumerate()
        .map(|(id, (genre, code, part, by, _))| listed(id, genre, code, part, by))
        .collect();
    let document = merged(&all, &[]);
    assert_eq!(document["text"], PROGRAM);
    let why: Vec<_> =
        ALONE.iter().enumerate().map(|(id, mutant)| serde_json::json!([id, mutant.4])).collect();
    assert_eq!(document["alone"].as_array().unwrap(), &why);
}

#[test]
fn what_is_left_out_changes_nothing() {
    let all: Vec<_> = MUTANTS
        .iter()
        .enumerate()
        .map(|(id, (genre, code, part, by))| listed(id, genre, code, part, by))
        .collect();
    let ids: Vec<usize> = (0..all.len()).collect();
    assert_eq!(merged(&all, &ids)["text"], PROGRAM);
}

#[test]
fn pieces_are_where_the_text_was_put_in() {
    let (genre, code, part, by) = MUTANTS[4];
    let document = merged(&[listed(7, genre, code, part, by)], &[]);
    let text = document["text"].as_str().unwrap();
    let number = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let pieces: Vec<&str> = document["pieces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|piece| {
            assert_eq!(piece["mutants"], serde_json::json!([7]));
            &text[number(&piece["start"])..number(&piece["end"])]
        })
        .collect();
    assert!(pieces.contains(&"left - right"), "{pieces:?}");
}

/// The merged sample with the function that switches ask for.
fn with_switch(text: &str) -> String {
    let module = "mod merged_mutants { pub fn on(id: usize) -> bool { std::env::var(\"MERGED_MUTANT\").unwrap() == id.to_string() } }";
    format!("{text}\n{module}\n")
}
