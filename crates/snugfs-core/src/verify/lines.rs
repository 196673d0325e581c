//! What was found, a line each.

use std::collections::BTreeMap;

use ext4_verify::{Code, Findings, Severity};
use image_compare::Differences;

use super::{Judged, Verdict};
use crate::human;

impl Verdict {
    /// Every problem that is kept, a line each, then how many more there are. `used`: what the format allows is no problem.
    #[must_use]
    pub fn lines(&self, used: bool) -> Vec<String> {
        lines(self, used)
    }
}

/// Every problem that is kept, a line each, then how many more there are.
fn lines(verdict: &Verdict, used: bool) -> Vec<String> {
    let is_right = verdict.is_right(used);
    let mut lines: Vec<String> = verdict
        .table
        .iter()
        .map(String::as_str)
        .chain(verdict.note)
        .map(|what| format!("partition table: {what}"))
        .collect();
    for volume in &verdict.volumes {
        let Some(findings) = &volume.findings else { continue };
        let place = place(volume);
        // With `used`, lines are either problems, or notes where there is no problem.
        let is_told = |code: Code| !used || is_right || code.severity() == Severity::Unsound;
        let told = findings.problems.iter().filter(|problem| is_told(problem.code));
        lines.extend(told.map(|problem| format!("{place}{problem}")));
        lines.extend(rest(findings, &is_told).map(|rest| format!("{place}{rest}")));
    }
    if let Some(differences) = &verdict.differences {
        lines.extend(differences.kept.iter().map(ToString::to_string));
        lines.extend(more_differences(differences));
    }
    lines
}

fn place(volume: &Judged) -> String {
    volume
        .partition
        .as_ref()
        .map_or_else(String::new, |partition| format!("partition {}: ", partition.number))
}

/// What was counted, but not kept.
fn rest(findings: &Findings, is_told: &dyn Fn(Code) -> bool) -> Option<String> {
    let mut kept: BTreeMap<Code, u64> = BTreeMap::new();
    for problem in &findings.problems {
        *kept.entry(problem.code).or_default() += 1;
    }
    let more = findings.counts.iter().filter(|(code, _)| is_told(**code)).filter_map(|(code, count)| {
        let more = count.saturating_sub(kept.get(code).copied().unwrap_or(0));
        (more > 0).then(|| format!("{} {code}", human::grouped(more)))
    });
    let more: Vec<_> = more.collect();
    (!more.is_empty()).then(|| format!("and more: {}", more.join(", ")))
}

fn more_differences(differences: &Differences) -> Option<String> {
    let more = differences.counts.iter().filter_map(|(kind, count)| {
        let kept = differences.kept.iter().filter(|difference| difference.kind == *kind).count();
        let more = count.saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX));
        (more > 0).then(|| format!("{} {kind}", human::grouped(more)))
    });
    let more: Vec<_> = more.collect();
    (!more.is_empty()).then(|| format!("and more: {}", more.join(", ")))
}
