//! What was found, for people and for programs.

use std::collections::BTreeMap;

use ext4_verify::{Code, Severity};
use image_compare::Differences;
use image_reader::Image;
use serde_json::{Value, json};
use snugfs_core::verify::{Judged, Medium, Verdict};
use snugfs_core::{Failure, human};

/// The version of the JSON; fields may be added within a version.
const VERSION: u32 = 1;

/// `8,392,704 bytes, ext4: sound to the last byte`
pub(super) fn summary(image: &Image, verdict: &Verdict) -> String {
    let parts = verdict.volumes.iter().map(|volume| {
        let is_judged = if volume.findings.is_some() { "" } else { " (not judged)" };
        match &volume.partition {
            Some(partition) => format!("partition {} {}{is_judged}", partition.number, volume.what),
            None => format!("{}{is_judged}", volume.what),
        }
    });
    let parts: Vec<_> = parts.collect();
    let notes = verdict.count(Severity::Foreign);
    let is_compared = verdict.differences.is_some();
    let is_judged = verdict.findings().next().is_some();
    let tone = match (notes, is_judged) {
        (0, false) if verdict.is_disk => "the table is sound, there is no ext4 to judge".to_owned(),
        (0, false) => "there is no ext4 to judge".to_owned(),
        // The table was read, and what is in no judged partition was not looked at.
        (0, true) if verdict.is_disk && !is_compared => {
            "table and ext4 are sound; --against compares the rest".to_owned()
        }
        (0, true) if verdict.terms.ignore_unused => "sound to the last byte in use".to_owned(),
        (0, true) if verdict.terms.on == Medium::Device => {
            "sound to the last byte of what was written to it".to_owned()
        }
        (0, true) => "sound to the last byte".to_owned(),
        _ => format!("sound, with {} from what snugfs writes", human::counted(notes, "difference")),
    };
    let plan = if is_compared { ", and what the plan says" } else { "" };
    let what = if parts.is_empty() { "no partitions".to_owned() } else { parts.join(", ") };
    format!("{}, {what}: {tone}{plan}", human::counted(image.window.length(), "byte"))
}

pub(super) fn json(image: &Image, verdict: &Verdict, used: bool) -> Result<String, Failure> {
    let value = json!({
        "version": VERSION,
        "image": { "bytes": image.window.length() },
        "ok": verdict.is_right(used),
        "sound": verdict.is_right(true),
        "table": verdict.table,
        "notes": verdict.note.into_iter().collect::<Vec<_>>(),
        "volumes": verdict.volumes.iter().map(volume).collect::<Vec<_>>(),
        "plan": verdict.differences.as_ref().map(plan),
    });
    let text = serde_json::to_string_pretty(&value);
    let text = text.map_err(|error| Failure::internal("json", error))?;
    Ok(text + "\n")
}

/// What differs from a plan.
fn plan(differences: &Differences) -> Value {
    let told = differences.kept.iter().map(|difference| {
        json!({ "code": difference.kind.name(), "place": difference.place, "text": difference.text })
    });
    let counts = differences.counts.iter().map(|(kind, count)| (kind.name(), *count));
    json!({
        "holds": differences.is_empty(),
        "differences": told.collect::<Vec<_>>(),
        "counts": counts.collect::<BTreeMap<_, _>>(),
    })
}

fn volume(volume: &Judged) -> Value {
    let findings = volume.findings.as_ref();
    let problems = findings.map(|findings| {
        let problem = |problem: &ext4_verify::Problem| {
            json!({
                "code": problem.code.name(),
                "severity": severity(problem.code),
                "place": problem.place.to_string(),
                "text": problem.text,
            })
        };
        findings.problems.iter().map(problem).collect::<Vec<_>>()
    });
    let counts = findings.map(|findings| {
        findings.counts.iter().map(|(code, count)| (code.name(), *count)).collect::<BTreeMap<_, _>>()
    });
    json!({
        "partition": volume.partition.as_ref().map(|partition| partition.number),
        "holds": volume.what,
        "judged": volume.findings.is_some(),
        "problems": problems,
        "counts": counts,
    })
}

fn severity(code: Code) -> &'static str {
    match code.severity() {
        Severity::Unsound => "unsound",
        Severity::Foreign => "foreign",
    }
}
