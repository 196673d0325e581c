//! The result of checking an image, as lines of text.

use std::collections::BTreeMap;

use ext4_verify::{Code, Findings, Severity};
use image_tree::to_u64;
use snugfs_compare::{Differences, PartCode};

use super::{CheckedVolume, Verdict};
use crate::human;

impl Verdict {
    /// One line per problem, and a line with the number of others. With `used`, only errors in file systems are problems.
    #[must_use]
    pub fn lines(&self, used: bool) -> Vec<String> {
        lines(self, used)
    }
}

fn lines(verdict: &Verdict, used: bool) -> Vec<String> {
    let is_right = verdict.is_right(used);
    let mut lines: Vec<String> = verdict
        .table
        .iter()
        .map(String::as_str)
        .chain(verdict.note)
        .map(|what| format!("partition table: {what} ({})", PartCode::PartitionTable))
        .collect();
    for volume in &verdict.volumes {
        let place = place(volume);
        lines.extend(volume.problems.iter().flatten().map(|problem| format!("{place}{problem}")));
        let Some(findings) = &volume.findings else { continue };
        // With `used`, lines are either problems, or notes if there is no problem.
        let is_shown = |code: Code| !used || is_right || code.severity() == Severity::Unsound;
        let shown = findings.problems.iter().filter(|problem| is_shown(problem.code));
        lines.extend(shown.map(|problem| format!("{place}{problem}")));
        lines.extend(rest(findings, &is_shown).map(|rest| format!("{place}{rest}")));
    }
    if let Some(differences) = &verdict.differences {
        lines.extend(differences.kept.iter().map(ToString::to_string));
        lines.extend(more_differences(differences));
    }
    lines
}

fn place(volume: &CheckedVolume) -> String {
    volume.number.map_or_else(String::new, |number| format!("partition {number}: "))
}

/// Problems that were only counted.
fn rest(findings: &Findings, is_shown: &dyn Fn(Code) -> bool) -> Option<String> {
    let mut kept: BTreeMap<Code, u64> = BTreeMap::new();
    for problem in &findings.problems {
        *kept.entry(problem.code).or_default() += 1;
    }
    let more = findings.counts.iter().filter(|(code, _)| is_shown(**code)).filter_map(|(code, count)| {
        let more = count - kept.get(code).copied().unwrap_or(0);
        (more > 0).then(|| format!("{} {code}", human::grouped(more)))
    });
    let more: Vec<_> = more.collect();
    (!more.is_empty()).then(|| format!("and more: {}", more.join(", ")))
}

fn more_differences(differences: &Differences) -> Option<String> {
    let more = differences.counts.iter().filter_map(|(kind, count)| {
        let kept = differences.kept.iter().filter(|difference| difference.kind == *kind).count();
        let more = count - to_u64(kept);
        (more > 0).then(|| format!("{} {kind}", human::grouped(more)))
    });
    let more: Vec<_> = more.collect();
    (!more.is_empty()).then(|| format!("and more: {}", more.join(", ")))
}
