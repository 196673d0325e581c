//! What each command does with the stages of [`crate::pipeline`], and what it tells.

use std::fs::File;
use std::path::Path;

use build_plan::{Format, Plan};
use disk_layout::Disk;
use image_assembly::{BlockMap, Companion};
use image_containers::needed_blocks;
use image_tree::PieceSource;

use crate::cli::{BuildArgs, CheckArgs, Command, InputArgs, SizeArgs};
use crate::container::Container;
use crate::disk_report::DiskReport;
use crate::exit::{Exit, Failure, shown};
use crate::hashed::ImageDigest;
use crate::input::ReadPlan;
use crate::output::{self, Output, ReportPlace};
use crate::outputs::{Outputs, Role};
use crate::people;
use crate::pipeline::{self, Gathered, Judging, Layouts};
use crate::progress::Stages;
use crate::report::{Contents, Report};
use crate::verify::Expected;
use crate::{
    check_json, disk, explain, help, inspect, last_line, sbom, signals, table, threads, told, verify,
};

/// Does what the command line says.
pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Build(args) => build(args),
        Command::Size(args) => size(args),
        Command::Explain(args) => explain::run(args),
        Command::Check(args) => check(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Schema => schema(),
        Command::Help(args) => help::run(args),
        Command::Completions(args) => help::completions(args),
        Command::Man(args) => help::manual::write(args),
    }
}

fn build(args: &BuildArgs) -> Result<(), Failure> {
    signals::tidy_before_the_end();
    let mut stages = begin(&args.input)?;
    let ReadPlan { plan, sha256 } = pipeline::read_plan(&args.input, &mut stages)?;
    let output = Output::choose(args, &plan)?;
    let map_path = output.map_path(&plan.output)?;
    let outputs = outputs(args, &plan, &output, map_path.as_deref())?;
    let report_place = ReportPlace::take(args.report.as_deref())?;
    let sbom_place = ReportPlace::take(args.sbom.as_deref())?;
    let map_place = map_path.as_deref().map(Companion::open).transpose()?;
    let gathered = pipeline::gather(&plan, &outputs, &mut stages)?;
    let layouts = pipeline::layout(&gathered, &mut stages)?;
    let disk = disk::disk(&plan, &gathered, &layouts)?;
    let mut report = report(&plan, &gathered, &layouts, disk.as_ref());
    report.set_plan(sha256);
    tell_warnings(&report.warnings);
    let image: &dyn PieceSource = disk.as_ref().map_or(&layouts.root, |disk| disk);
    let is_contained = output.format != Format::Raw;
    let known =
        is_contained.then(|| pipeline::find_zeros(&gathered, image, &output, &mut stages)).transpose()?;
    let container = Container::around(known.as_ref().map_or(image, |known| known), output.format)?;
    let mut map =
        map_place.is_some().then(|| BlockMap::new(image.len(), needed_blocks(image, BlockMap::block())));
    let sbom_place = sbom_place.map(|place| Ok::<_, Failure>((place, sbom(&gathered)?))).transpose()?;
    if let Some((place, text)) = &sbom_place {
        place.reserve(text)?;
    }
    if let Some(place) = &report_place {
        place.reserve(&report.json()?)?;
    }
    let expected = Expected { plan: &plan, gathered: &gathered, layouts: &layouts, disk: disk.as_ref() };
    let name = output.name();
    let judge =
        |file: &File, progress: &verify::Progress<'_>| verify::output(file, &name, &expected, progress);
    let judge = output.is_judged.then_some(Judging { bytes: verify::bytes(&expected), judge: &judge });
    let pieces = container.pieces();
    let mut digest = output.wants_raw_digest.then(ImageDigest::default);
    let witnesses = (map.as_mut(), digest.as_mut());
    let written = pipeline::write(&gathered, pieces, &output, witnesses, judge, &mut stages)?;
    if let Some((place, map)) = map_place.zip(map) {
        place.write(map.text().as_bytes())?;
    }
    if let Some(map) = output.stale_map(&plan.output) {
        let map = shown(&map);
        told::warning(&format!(
            "{map}: is the map of an earlier image, which bmaptool would take for this one's; remove it, or set plan.output.bmap"
        ));
    }
    if written.without_workers {
        told::warning(&format!(
            "{name}: no thread can be started, so its bytes differ from those of other builds, though it decompresses to the \
             same image; allow the system call clone3, or set plan.output.compression.seekable"
        ));
    }
    report.set_written(&written, output.is_compressed(), output.format);
    report.set_raw_digest(digest.map(ImageDigest::finish));
    report.set_times(stages.times());
    if let Some(place) = report_place {
        place.write(&report.json()?)?;
    }
    if let Some((place, text)) = sbom_place {
        place.write(&text)?;
    }
    told::note(&last_line::built(&name, &report, gathered.files(), output.is_judged, stages.elapsed()));
    Ok(())
}

/// The store paths of all file systems as a bill of materials.
fn sbom(gathered: &Gathered<'_>) -> Result<String, Failure> {
    sbom::json(gathered.volumes().filter_map(|volume| volume.closure.as_ref()))
}

/// All that a build writes, compared with what it reads.
fn outputs(
    args: &BuildArgs,
    plan: &Plan,
    output: &Output<'_>,
    map: Option<&Path>,
) -> Result<Outputs, Failure> {
    let mut outputs = Outputs::default();
    output.add_to(&mut outputs, args);
    if let Some(map) = map {
        outputs.add(Role::Map, "plan.output.bmap", map);
    }
    ReportPlace::add_to(&mut outputs, args, output.target)?;
    outputs.add_stderr();
    outputs.add_planned(plan);
    outputs.check(&args.input.plan, plan)?;
    Ok(outputs)
}

fn size(args: &SizeArgs) -> Result<(), Failure> {
    let mut stages = begin(&args.input)?;
    let ReadPlan { plan, sha256 } = pipeline::read_plan(&args.input, &mut stages)?;
    let outputs = Outputs::of_reading(&args.input.plan, &plan)?;
    let gathered = pipeline::gather(&plan, &outputs, &mut stages)?;
    let layouts = pipeline::layout(&gathered, &mut stages)?;
    let disk = disk::disk(&plan, &gathered, &layouts)?;
    let mut report = report(&plan, &gathered, &layouts, disk.as_ref());
    report.set_plan(sha256);
    tell_warnings(&report.warnings);
    output::print(&if args.json { report.json()? } else { table::table(&report) })
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let checked = checked(args);
    if args.json {
        output::print(&check_json::text(checked.as_ref())?)?;
        return checked.map(drop);
    }
    let report = checked?;
    if told::is_quiet() {
        return Ok(());
    }
    let paths = people::counted(report.contents.store_paths, "store path");
    let files = people::counted(report.contents.files, "file");
    let fits = people::size(report.image.bytes);
    output::print(&format!("ok: the plan is valid, {paths} complete, {files} found, fits in {fits}\n"))
}

fn checked(args: &CheckArgs) -> Result<Report, Failure> {
    let mut stages = begin(&args.input)?;
    let plan = pipeline::plan(&args.input, &mut stages)?;
    output::check_name(&plan.output)?;
    let outputs = Outputs::of_reading(&args.input.plan, &plan)?;
    let gathered = pipeline::gather(&plan, &outputs, &mut stages)?;
    pipeline::verify(&gathered, &mut stages)?;
    // Last, as whether contents fit is of interest once they are the right ones.
    let layouts = pipeline::layout(&gathered, &mut stages)?;
    let disk = disk::disk(&plan, &gathered, &layouts)?;
    let report = report(&plan, &gathered, &layouts, disk.as_ref());
    tell_warnings(&report.warnings);
    Ok(report)
}

fn schema() -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&build_plan::schema());
    let text = text.map_err(|error| Failure::new(Exit::Bug, format!("schema: {error}; please report it")))?;
    output::print(&(text + "\n"))
}

/// Prepares threads and progress, which no command's result depends on.
pub(crate) fn begin(args: &InputArgs) -> Result<Stages, Failure> {
    threads::prepare(threads::count(args.threads))?;
    Ok(Stages::new(args.progress))
}

/// All that is known of an image before it is written.
pub(crate) fn report(
    plan: &Plan,
    gathered: &Gathered<'_>,
    layouts: &Layouts<'_>,
    disk: Option<&Disk<'_>>,
) -> Report {
    let root = &gathered.root;
    let store_paths = root.closure.as_ref().map_or(0, |closure| closure.paths().len());
    let mut contents = Contents::of(&root.scan.tree, u64::try_from(store_paths).unwrap_or(u64::MAX));
    contents.deduplicated = root.deduplicated;
    let mut warnings = gathered.warnings();
    for (volume, layout) in gathered.others.iter().zip(&layouts.others) {
        let of_layout = layout.summary().warnings;
        warnings.extend(of_layout.iter().map(|text| disk::at_place(text, &volume.planned.place)));
    }
    let mut report = Report::new(&plan.root.filesystem, &layouts.root, contents, &warnings);
    report.set_store_paths(root.closure.as_ref(), &layouts.root);
    if let (Some(disk), Some(planned)) = (disk, &plan.disk) {
        report.set_disk(disk.len(), DiskReport::new(planned, disk, gathered, layouts));
    }
    report
}

/// Tells warnings, a line each.
pub(crate) fn tell_warnings(warnings: &[String]) {
    for warning in warnings {
        told::warning(warning);
    }
}
