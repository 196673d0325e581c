//! `explain --compare`: what grew and shrank between two images.

use std::fmt::Write;
use std::path::Path;

use image_explain::{Change, PathSize};
use image_tree::escaped;
use serde_json::{Value, json};

use snugfs_core::explain::{Difference, Sizes, is_report};
use snugfs_core::human::{counted, percent, size};
use snugfs_core::{Failure, FailureKind, Report, shown};

use super::json::pretty;
use super::rows::{fit, signed};
use crate::cli::{ExplainArgs, InputArgs, is_dash, misuse};
use crate::commands;
use crate::messages::Messages;
use crate::output;

/// Compares PLAN with an older plan or report.
pub(super) fn run(args: &ExplainArgs, other: &Path, messages: &Messages) -> Result<(), Failure> {
    let before = sizes_before(args, other, messages)?;
    let after = sizes(&args.input, None, messages)?;
    let difference = Difference::of(&before, &after);
    let limit = usize::from(args.limit);
    output::print(&if args.json { json(&difference)? } else { text(&difference, limit) })
}

/// The sizes of the image that PLAN is compared with.
pub(super) fn sizes_before(args: &ExplainArgs, other: &Path, messages: &Messages) -> Result<Sizes, Failure> {
    let input = InputArgs { plan: other.to_owned(), base_dir: None, ..args.input.clone() };
    sizes(&input, args.html.as_deref(), messages)
}

/// The sizes of the image of a plan, or of a report. Fails if the page would replace a file that the plan reads.
fn sizes(args: &InputArgs, page: Option<&Path>, messages: &Messages) -> Result<Sizes, Failure> {
    let Some(report) = report_at(&args.plan) else {
        let begun = commands::begin(args, messages)?;
        let outputs = super::outputs_of(page, &args.plan, &begun.plan)?;
        return sizes_of(&begun.prepare(&outputs, messages)?.report());
    };
    Sizes::of_json(&report).ok_or_else(|| {
        let what = "the report is incomplete, or its numbers do not add up";
        Failure::new(FailureKind::Source, shown(&args.plan), what, "write it again with this version")
    })
}

/// Fails if PLAN is a report: it has no sources to explain.
pub(super) fn refuse_report(path: &Path) -> Result<(), Failure> {
    let help = "name a plan here, and the report with --compare";
    match report_at(path) {
        Some(_) => Err(misuse(shown(path), "is a report, not a plan", help)),
        None => Ok(()),
    }
}

/// The report in a file; `None` for anything else, which is then read as a plan.
fn report_at(path: &Path) -> Option<Value> {
    // A pipe can only be read once, and is read as a plan.
    if is_dash(path) || !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return None;
    }
    let json: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    is_report(&json).then_some(json)
}

/// The sizes of an image, from its report.
pub(super) fn sizes_of(report: &Report) -> Result<Sizes, Failure> {
    Sizes::of(report).ok_or_else(|| Failure::internal("report", "does not add up"))
}

/// The comparison as a table, with at most `limit` changed store paths.
fn text(difference: &Difference<'_>, limit: usize) -> String {
    let mut text = format!("{:<43}{:>12}{:>12}{:>13}\n", "", "before", "after", "change");
    let changed: Vec<&Change<'_>> = difference.paths.iter().filter(|change| change.growth() != 0).collect();
    let (shown, rest) = changed.split_at(limit.min(changed.len()));
    if !difference.paths.is_empty() {
        text.push_str("store paths\n");
    }
    for change in shown {
        let bytes = |path: Option<PathSize<'_>>| path.map(|path| path.bytes);
        row(&mut text, &name(change), bytes(change.before), bytes(change.after));
    }
    self::rest(difference, &mut text, rest);
    text.push_str("everything else\n");
    for &(name, before, after) in &difference.others {
        if before > 0 || after > 0 {
            row(&mut text, &escaped(name.as_bytes()).to_string(), Some(before), Some(after));
        }
    }
    let (before, after) = (difference.before.total, difference.after.total);
    row(&mut text, "the whole image", Some(before), Some(after));
    let change = i128::from(after) - i128::from(before);
    let share = percent(u64::try_from(change.unsigned_abs()).unwrap_or(u64::MAX), before);
    let _ = match change.signum() {
        0 => writeln!(text, "\nThe size did not change: {}", counted(after, "byte")),
        1 => writeln!(text, "\nThe image grew by {} ({share})", counted(after - before, "byte")),
        _ => writeln!(text, "\nThe image shrank by {} ({share})", counted(before - after, "byte")),
    };
    text
}

/// Rows for the smaller changes, and for unchanged paths.
fn rest(difference: &Difference<'_>, text: &mut String, rest: &[&Change<'_>]) {
    let sum = |side: fn(&Change<'_>) -> u64| rest.iter().map(|change| side(change)).sum();
    let before = sum(|change| change.before.map_or(0, |path| path.bytes));
    let after = sum(|change| change.after.map_or(0, |path| path.bytes));
    let count = |paths: usize, noun| counted(u64::try_from(paths).unwrap_or(u64::MAX), noun);
    if !rest.is_empty() {
        row(text, &count(rest.len(), "smaller change"), Some(before), Some(after));
    }
    let same = difference.paths.iter().filter(|change| change.growth() == 0);
    let (kept, rebuilt): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
        same.partition(|change| change.before == change.after);
    for (paths, what) in [(kept, "unchanged"), (rebuilt, "rebuilt, same size")] {
        if !paths.is_empty() {
            let bytes = paths.iter().filter_map(|change| change.after).map(|path| path.bytes).sum();
            row(text, &format!("{} {what}", count(paths.len(), "path")), Some(bytes), Some(bytes));
        }
    }
}

fn json(difference: &Difference<'_>) -> Result<String, Failure> {
    let path = |change: &Change<'_>| {
        let side = |path: Option<PathSize<'_>>| {
            path.map(|path| json!({ "path": path.base_name, "bytes": path.bytes }))
        };
        json!({ "name": change.name().name, "before": side(change.before), "after": side(change.after) })
    };
    let other =
        |&(name, before, after): &(&str, u64, u64)| json!({ "name": name, "before": before, "after": after });
    pretty(&json!({
        "version": 1,
        "before": { "bytes": difference.before.total },
        "after": { "bytes": difference.after.total },
        "storePaths": difference.paths.iter().map(path).collect::<Vec<_>>(),
        "others": difference.others.iter().map(other).collect::<Vec<_>>(),
    }))
}

/// `firefox 1.2 -> 1.3`; `+ NAME` for a new path, `- NAME` for a removed one, `NAME` for a rebuilt one.
pub(super) fn name(change: &Change<'_>) -> String {
    let now = change.name();
    let text = match (change.before, change.after) {
        (None, _) => format!("+ {}", now.full),
        (_, None) => format!("- {}", now.full),
        (Some(before), Some(_)) => {
            let then = image_explain::StoreName::of(before.base_name);
            if then.full == now.full {
                now.full.to_owned()
            } else {
                let output = if now.output.is_empty() { String::new() } else { format!(" ({})", now.output) };
                format!("{} {} -> {}{output}", now.name, version(then.version), version(now.version))
            }
        }
    };
    escaped(text.as_bytes()).to_string()
}

fn version(version: &str) -> &str {
    if version.is_empty() { "(none)" } else { version }
}

fn row(text: &mut String, name: &str, before: Option<u64>, after: Option<u64>) {
    const NAME: usize = 41;
    let side = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), size);
    let change = i128::from(after.unwrap_or(0)) - i128::from(before.unwrap_or(0));
    let change = if change == 0 { "=".to_owned() } else { signed(change) };
    let _ = writeln!(text, "  {:<NAME$}{:>12}{:>12}{change:>13}", fit(name, NAME), side(before), side(after));
}
