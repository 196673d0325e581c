//! The result of `verify`, as text and as JSON.

use std::collections::BTreeMap;

use ext4_verify::{Code, Severity};
use image_reader::Image;
use serde_json::{Value, json};
use snugfs_compare::{Differences, PartCode};
use snugfs_core::verify::{CheckedVolume, Medium, PartProblem, Verdict};
use snugfs_core::{Failure, human};

/// The version of the JSON. Fields may be added within a version.
const VERSION: u32 = 1;

/// `8,392,704 bytes, ext4: every byte is correct`
pub(super) fn summary(image: &Image, verdict: &Verdict) -> String {
    let is_compared = verdict.differences.is_some();
    let parts = verdict.volumes.iter().map(|volume| {
        let unchecked = if is_compared || volume.is_checked() { "" } else { " (not checked)" };
        match &volume.partition {
            Some(partition) => format!("partition {} {}{unchecked}", partition.number, volume.what),
            None => format!("{}{unchecked}", volume.what),
        }
    });
    let parts: Vec<_> = parts.collect();
    let notes = verdict.count(Severity::Foreign);
    let has_ext4 = verdict.findings().next().is_some();
    let result = match (notes, has_ext4) {
        (0, false) if verdict.is_disk => {
            "the partition table is correct, there is no ext4 to check".to_owned()
        }
        (0, false) => "there is no ext4 to check".to_owned(),
        // Without a plan, nothing else is checked.
        (0, true) if verdict.is_disk && !is_compared => {
            let mut checked = vec!["partition table", "ext4"];
            for (kind, name) in [("verity", "hash trees"), ("swap", "swap headers")] {
                let is_there = |volume: &CheckedVolume| volume.what == kind && volume.is_checked();
                checked.extend(verdict.volumes.iter().any(is_there).then_some(name));
            }
            let last = checked.pop().unwrap_or_default();
            format!("{} and {last} are correct; --against checks the rest", checked.join(", "))
        }
        (0, true) if verdict.terms.ignore_unused => "every byte in use is correct".to_owned(),
        (0, true) if verdict.terms.on == Medium::Device => "every byte of the image is correct".to_owned(),
        (0, true) => "every byte is correct".to_owned(),
        _ => format!("no errors, {} from what snugfs writes", human::counted(notes, "difference")),
    };
    let plan = if is_compared { ", and it matches the plan" } else { "" };
    let what = if parts.is_empty() { "no partitions".to_owned() } else { parts.join(", ") };
    format!("{}, {what}: {result}{plan}", human::counted(image.window.length(), "byte"))
}

pub(super) fn json(image: &Image, verdict: &Verdict, used: bool) -> Result<String, Failure> {
    let value = json!({
        "version": VERSION,
        "image": { "bytes": image.window.length() },
        "ok": verdict.is_right(used),
        "sound": verdict.is_sound(),
        "table": verdict.table,
        "notes": verdict.note.into_iter().chain(verdict.warnings.iter().map(String::as_str)).collect::<Vec<_>>(),
        "volumes": verdict.volumes.iter().map(volume).collect::<Vec<_>>(),
        "plan": verdict.differences.as_ref().map(plan),
    });
    let text = serde_json::to_string_pretty(&value);
    let text = text.map_err(|error| Failure::internal("json", error))?;
    Ok(text + "\n")
}

/// Differences from a plan.
fn plan(differences: &Differences) -> Value {
    let kept = differences.kept.iter().map(|difference| {
        json!({ "code": difference.kind.name(), "place": difference.place, "text": difference.text })
    });
    let counts = differences.counts.iter().map(|(kind, count)| (kind.name(), *count));
    json!({
        "holds": differences.is_empty(),
        "differences": kept.collect::<Vec<_>>(),
        "counts": counts.collect::<BTreeMap<_, _>>(),
    })
}

fn volume(volume: &CheckedVolume) -> Value {
    let problem = |problem: &ext4_verify::Problem| {
        json!({
            "code": problem.code.name(),
            "severity": severity(problem.code),
            "place": problem.place.to_string(),
            "text": problem.text,
        })
    };
    let of_part = |problem: &PartProblem| {
        json!({
            "code": problem.code.name(),
            "severity": severity_name(Severity::Unsound),
            "place": if problem.code == PartCode::SwapHeader { "swap area" } else { "hash tree" },
            "text": problem.text,
        })
    };
    let mut problems: Vec<Value> = Vec::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    if let Some(findings) = &volume.findings {
        problems.extend(findings.problems.iter().map(problem));
        counts.extend(findings.counts.iter().map(|(code, count)| (code.name(), *count)));
    }
    for found in volume.problems.iter().flatten() {
        problems.push(of_part(found));
        *counts.entry(found.code.name()).or_default() += 1;
    }
    let is_checked = volume.is_checked();
    json!({
        "partition": volume.number,
        "holds": volume.what,
        "judged": is_checked,
        "problems": is_checked.then_some(problems),
        "counts": is_checked.then_some(counts),
    })
}

fn severity(code: Code) -> &'static str {
    severity_name(code.severity())
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Unsound => "unsound",
        Severity::Foreign => "foreign",
    }
}
