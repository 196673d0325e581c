//! `snugfs explain`: shows where the bytes of an image go, and why.

mod compare;
mod json;
mod page;
mod rows;
mod text;
mod why;

use std::io::{self, IsTerminal};
use std::path::Path;

use image_assembly::Companion;
use snugfs_core::explain::{Difference, ExplainedVolume};
use snugfs_core::{Failure, Prepared, Report, human, shown};
use snugfs_plan::Plan;

use crate::cli::{ExplainArgs, is_dash, misuse};
use crate::messages::Messages;
use crate::outputs::{Outputs, Role};
use crate::{commands, output};

/// Runs the command.
pub(crate) fn run(args: &ExplainArgs, messages: &Messages) -> Result<(), Failure> {
    if let (Some(other), None) = (&args.compare, &args.html) {
        return compare::run(args, other, messages);
    }
    compare::refuse_report(&args.input.plan)?;
    let other = args.compare.as_deref();
    let before = other.map(|other| compare::sizes_before(args, other, messages)).transpose()?;
    let begun = commands::begin(&args.input, messages)?;
    let outputs = outputs(args, &begun.plan)?;
    let html = args.html.as_deref();
    if html.is_some_and(is_dash) && io::stdout().is_terminal() {
        let help = "redirect it to a file, or name one";
        return Err(misuse("--html -", "standard output is a terminal", help));
    }
    let page = html.filter(|path| !is_dash(path)).map(Companion::open).transpose()?;
    let prepared = begun.prepare(&outputs, messages)?;
    if !args.why.is_empty() {
        return output::print(&why::text(&prepared.explain(false), &args.why)?);
    }
    let report = prepared.report();
    let after = before.as_ref().map(|_| compare::sizes_of(&report)).transpose()?;
    let difference = before.as_ref().zip(after.as_ref()).map(|(before, after)| Difference::of(before, after));
    let other = other.map(|other| other.display().to_string());
    let image = Explained {
        report: &report,
        prepared: &prepared,
        systems: prepared.explain(true),
        difference: difference.as_ref(),
        other: other.as_deref(),
    };
    if let Some(path) = html {
        let text = page::page(&image)?;
        let Some(place) = page else { return output::print(&text) };
        place.write(text.as_bytes())?;
        let bytes = human::size(u64::try_from(text.len()).unwrap_or(u64::MAX));
        messages.note(&shown(path), format!("a page of {bytes}; open it in a browser"));
        return Ok(());
    }
    let limit = usize::from(args.limit);
    output::print(&if args.json { json::text(&image, limit)? } else { text::text(&image, limit) })
}

/// The outputs of the command. Fails if one is also an input.
fn outputs_of(page: Option<&Path>, plan_path: &Path, plan: &Plan) -> Result<Outputs, Failure> {
    let Some(page) = page.filter(|path| !is_dash(path)) else {
        return Outputs::of_reading(plan_path, plan);
    };
    let mut outputs = Outputs::default();
    outputs.add(Role::Page, "--html".into(), page);
    outputs.add_stderr();
    outputs.add_planned(plan);
    outputs.check(plan_path, plan)?;
    Ok(outputs)
}

fn outputs(args: &ExplainArgs, plan: &Plan) -> Result<Outputs, Failure> {
    let outputs = outputs_of(args.html.as_deref(), &args.input.plan, plan)?;
    if let Some(other) = &args.compare {
        outputs.check_input(other, "the file of --compare")?;
    }
    Ok(outputs)
}

/// The explanation of an image.
#[derive(Debug)]
struct Explained<'e> {
    report: &'e Report,
    prepared: &'e Prepared<'e>,
    /// The ext4 file systems, the root first.
    systems: Vec<ExplainedVolume<'e>>,
    /// The difference to another image, with `--compare`.
    difference: Option<&'e Difference<'e>>,
    /// The plan or report of the other image, as messages name it.
    other: Option<&'e str>,
}
