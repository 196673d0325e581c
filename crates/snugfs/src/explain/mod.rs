//! `explain`: where the bytes go, and why.

mod compare;
mod json;
mod page;
mod rows;
mod shrink;
mod sizes;
mod text;
mod why;

use std::io::{self, IsTerminal};
use std::path::Path;

use build_plan::Plan;
use fat_layout::FatLayout;
use image_assembly::Companion;
use image_explain::FileSystem;

use crate::cli::{ExplainArgs, is_dash};
use crate::commands::{self, tell_warnings};
use crate::exit::{Exit, Failure, shown};
use crate::outputs::{Outputs, Role};
use crate::pipeline::{self, Gathered, Layouts, Volume};
use crate::report::Report;
use crate::{disk, output, people, told};

use self::compare::Difference;
use self::shrink::Saving;

/// Explains a plan, or compares it.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    if let (Some(other), None) = (&args.compare, &args.html) {
        return compare::run(args, other);
    }
    compare::refuse_report(&args.input.plan)?;
    let mut stages = commands::begin(&args.input)?;
    let before = args.compare.as_deref().map(|other| compare::sizes_before(args, other, &mut stages));
    let before = before.transpose()?;
    let plan = pipeline::plan(&args.input, &mut stages)?;
    let outputs = outputs(args, &plan)?;
    let html = args.html.as_deref();
    if html.is_some_and(is_dash) && io::stdout().is_terminal() {
        let text = "--html -: standard output is a terminal; redirect it to a file, or name one";
        return Err(Failure::new(Exit::Usage, text));
    }
    let page = html.filter(|path| !is_dash(path)).map(Companion::open).transpose()?;
    let gathered = pipeline::gather(&plan, &outputs, &mut stages)?;
    let layouts = pipeline::layout(&gathered, &mut stages)?;
    let disk = disk::disk(&plan, &gathered, &layouts)?;
    let report = commands::report(&plan, &gathered, &layouts, disk.as_ref());
    tell_warnings(&report.warnings);
    if !args.why.is_empty() {
        let systems = explain(&gathered, &layouts, false);
        return output::print(&why::text(&systems, &args.why)?);
    }
    let systems = explain(&gathered, &layouts, true);
    let after = before.as_ref().map(|_| compare::sizes_of(&report)).transpose()?;
    let difference = match (&before, &after, &args.compare) {
        (Some(before), Some(after), Some(other)) => Some(Difference::of(before, after, other)),
        _ => None,
    };
    let (firmware, difference) = (layouts.firmware.as_slice(), difference.as_ref());
    let image = Explained { report: &report, systems, firmware, difference };
    if let Some(path) = html {
        let text = page::page(&image)?;
        let Some(place) = page else { return output::print(&text) };
        place.write(text.as_bytes())?;
        let bytes = people::size(u64::try_from(text.len()).unwrap_or(u64::MAX));
        told::note(&format!("{}: a page of {bytes}; open it in a browser", shown(path)));
        return Ok(());
    }
    let limit = usize::from(args.limit);
    output::print(&if args.json { json::text(&image, limit)? } else { text::text(&image, limit) })
}

/// The page or what is printed, compared with what a plan reads.
fn outputs_of(page: Option<&Path>, plan_path: &Path, plan: &Plan) -> Result<Outputs, Failure> {
    let Some(page) = page.filter(|path| !is_dash(path)) else {
        return Outputs::of_reading(plan_path, plan);
    };
    let mut outputs = Outputs::default();
    outputs.add(Role::Page, "--html", page);
    outputs.add_stderr();
    outputs.add_planned(plan);
    outputs.check(plan_path, plan)?;
    Ok(outputs)
}

fn outputs(args: &ExplainArgs, plan: &Plan) -> Result<Outputs, Failure> {
    let outputs = outputs_of(args.html.as_deref(), &args.input.plan, plan)?;
    if let Some(other) = &args.compare {
        outputs.check_input(other, "what the plan is compared with")?;
    }
    Ok(outputs)
}

/// All that is known of an image.
#[derive(Debug)]
struct Explained<'g> {
    report: &'g Report,
    /// The root first.
    systems: Vec<System<'g>>,
    /// The FAT file systems, in the order of their partitions.
    firmware: &'g [FatLayout],
    /// What it is compared with.
    difference: Option<&'g Difference<'g>>,
}

/// An ext4 file system of the image.
#[derive(Debug)]
struct System<'g> {
    volume: &'g Volume<'g>,
    /// Its name in the plan: `plan`, or the partition's.
    place: &'g str,
    label: String,
    explained: FileSystem<'g>,
    /// By kind of metadata, in \[blocks\], as in a report.
    overhead: Vec<(&'static str, u64)>,
    /// What contents of files take, in \[blocks\].
    file_blocks: u64,
    /// What would make it smaller, the most first; empty where that was not asked for.
    savings: Vec<Saving>,
}

fn explain<'g>(gathered: &'g Gathered<'g>, layouts: &'g Layouts<'g>, with_savings: bool) -> Vec<System<'g>> {
    let all = std::iter::once(&layouts.root).chain(&layouts.others);
    let explained = gathered.volumes().zip(all).map(|(volume, layout)| {
        let explained = FileSystem::of(layout, volume.closure.as_ref());
        let summary = layout.summary();
        let savings = if with_savings { shrink::savings(volume, layout, &explained) } else { Vec::new() };
        System {
            volume,
            place: &volume.planned.place,
            label: String::from_utf8_lossy(&volume.planned.volume.filesystem.label).into_owned(),
            explained,
            overhead: summary.overhead,
            file_blocks: summary.file_blocks,
            savings,
        }
    });
    explained.collect()
}
