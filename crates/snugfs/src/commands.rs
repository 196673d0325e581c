//! Runs each command and shows its result.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use image_assembly::Companion;
use image_tree::io_reason;
use serde_json::Value;
use snugfs_core::human;
use snugfs_core::{
    Failure, FailureKind, Options, Prepared, Problem, SharedSources, SourceUse, Stage, Unit, VariantOptions,
    VariantsSummary, WriteOptions, prepare, run_stage, shown,
};
use snugfs_plan::{CompressionPlan, FramingPlan, Plan};

use crate::cli::{
    BuildArgs, CheckArgs, Command, InputArgs, LayerArgs, PlanArgs, RoothashArgs, SizeArgs, is_dash, misuse,
};
use crate::input::{self, ReadPlan};
use crate::messages::Messages;
use crate::output::{self, Output, ReportPlace};
use crate::outputs::{Outputs, Role};
use crate::progress::Progress;
use crate::{
    check_json, explain, flash, frame_stores, help, imager_json, inspect, last_line, signals, stamp, table,
    threads, variants, verify,
};

/// Runs a command.
pub(crate) fn run(command: &Command, messages: &Messages) -> Result<(), Failure> {
    match command {
        Command::Build(args) => build(args, messages),
        Command::Plan(args) => plan(args),
        Command::Flash(args) => flash::run(args, messages),
        Command::Stamp(args) => stamp::run(args, messages),
        Command::Layer(args) => layer(args, messages),
        Command::Roothash(args) => roothash(args, messages),
        Command::Size(args) => size(args, messages),
        Command::Explain(args) => explain::run(args, messages),
        Command::Check(args) => check(args, messages),
        Command::Inspect(args) => inspect::run(args, messages),
        Command::Verify(args) => verify::run(args, messages),
        Command::ImagerJson(args) => imager_json::run(args),
        Command::Schema => schema(),
        Command::Help(args) => help::run(args),
        Command::Completions(args) => help::completions(args),
        Command::Man(args) => help::manual::write(args),
    }
}

/// A plan that was read, and the progress of the work.
pub(crate) struct Begun {
    pub(crate) plan: Plan,
    sha256: [u8; 32],
    pub(crate) progress: Progress,
    /// What was read for the plan, for its variants.
    sources: SharedSources,
}

/// Starts threads and reads the plan.
pub(crate) fn begin(args: &InputArgs, messages: &Messages) -> Result<Begun, Failure> {
    threads::prepare(threads::count(args.threads))?;
    let progress = Progress::new(args.progress, messages);
    let read = || input::read_plan(args, messages);
    let ReadPlan { mut plan, sha256 } = run_stage(&progress, (Stage::Plan, Unit::Nothing, 0), read)?;
    match &args.layout.variant {
        Some(name) => plan = variant_of(&plan, name)?,
        None => output::check_variants(&plan)?,
    }
    for filesystem in plan.filesystems_mut() {
        if let Some(path) = &args.layout.layout_like {
            filesystem.layout_like = Some(path.clone());
        }
        filesystem.layout_slack = args.layout.layout_slack.unwrap_or(filesystem.layout_slack);
    }
    Ok(Begun { plan, sha256, progress, sources: SharedSources::default() })
}

/// The plan of the variant with an output of this name.
fn variant_of(plan: &Plan, name: &str) -> Result<Plan, Failure> {
    let Some(variant) = plan.variants.iter().find(|variant| variant.output == name) else {
        let what = format!("the plan has no variant with the output \"{}\"", shown(Path::new(name)));
        let known: Vec<&str> = plan.variants.iter().map(|variant| variant.output.as_str()).collect();
        let help = match known.as_slice() {
            [] => "leave it out: plan.variants is empty".to_owned(),
            [first] => format!("the only one is {first}"),
            [first, .., last] => format!("name one of the {}, from {first} to {last}", known.len()),
        };
        return Err(misuse("--variant", what, help));
    };
    Ok(plan.with_variant(variant))
}

impl Begun {
    /// Prepares the image, and shows warnings.
    pub(crate) fn prepare(&self, outputs: &Outputs, messages: &Messages) -> Result<Prepared<'_>, Failure> {
        self.prepare_with(outputs, false, messages)
    }

    fn prepare_with(
        &self,
        outputs: &Outputs,
        verify_hashes: bool,
        messages: &Messages,
    ) -> Result<Prepared<'_>, Failure> {
        let mut options = Options::default();
        options.outputs = outputs;
        options.observer = &self.progress;
        options.verify_hashes = verify_hashes;
        if !self.plan.variants.is_empty() {
            options.sources = Some(&self.sources);
        }
        let prepared = prepare(&self.plan, &options)?;
        prepared.warnings.iter().for_each(|warning| messages.warning(warning));
        Ok(prepared)
    }

    /// Lays out the variants, and shows warnings; `None` if the plan has none.
    fn check_variants(
        &self,
        prepared: &Prepared<'_>,
        messages: &Messages,
    ) -> Result<Option<VariantsSummary>, Failure> {
        if self.plan.variants.is_empty() {
            return Ok(None);
        }
        let variants = prepared.check_variants(&self.sources, &self.progress)?;
        variants.warnings.iter().for_each(|warning| messages.warning(warning));
        Ok(Some(variants))
    }
}

fn build(args: &BuildArgs, messages: &Messages) -> Result<(), Failure> {
    signals::remove_temporaries_on_signals();
    let begun = begin(&args.input, messages)?;
    let (plan, progress) = (&begun.plan, &begun.progress);
    let output = Output::choose(args, plan)?;
    let variants_of = variants::image(&output, plan)?;
    let map_path = output.map_path(&plan.output)?;
    let outputs = outputs(args, plan, &output, map_path.as_deref())?;
    let stores = frame_stores::open(args, &output)?;
    let report_place = ReportPlace::open(args.report.as_deref())?;
    let sbom_place = ReportPlace::open(args.sbom.as_deref())?;
    let layout_place = layout_place(args.layout_out.as_deref())?;
    let hash_place = ReportPlace::open(args.roothash_out.as_deref())?;
    let map_place = map_path.as_deref().map(Companion::open).transpose()?;
    let prepared = begun.prepare(&outputs, messages)?;
    let mut report = prepared.report();
    report.set_plan(begun.sha256);
    let warnings = prepared.container_warnings(output.format);
    for warning in &warnings {
        messages.warning(warning);
    }
    report.add_warnings(&warnings);
    let sbom_place = sbom_place.map(|place| Ok::<_, Failure>((place, prepared.sbom()?))).transpose()?;
    if let Some((place, text)) = &sbom_place {
        place.reserve(text)?;
    }
    if let Some(place) = &report_place {
        place.reserve(&report.json()?)?;
    }
    let layout = layout_place.map(|(place, path)| {
        let bytes = layout_record(&prepared, path)?;
        place.reserve_bytes(image_tree::to_u64(bytes.len()))?;
        Ok::<_, Failure>((place, bytes))
    });
    let layout = layout.transpose()?;
    let options = WriteOptions {
        format: output.format,
        blocks: output.blocks,
        assembly: output.options,
        map: map_place.is_some(),
        raw_digest: output.wants_raw_digest,
        verify: output.is_verified,
        sources: if variants_of.is_none() { SourceUse::Last } else { SourceUse::Again },
        frames: stores.as_ref().map(|stores| &stores.opened),
    };
    let name = output.name();
    let image = prepared.write(output.target, &name, &options, progress)?;
    report.set_written(&image.written, &options);
    report.set_root_hashes(&prepared);
    if let Some((place, map)) = map_place.zip(image.map) {
        place.write(map.text().as_bytes())?;
    }
    for warning in output.stale_maps(plan) {
        messages.warning(&warning);
    }
    if let Some(stores) = stores {
        stores.finish(messages);
    }
    if image.written.without_workers {
        messages.warning(&without_workers(&name));
    }
    let written = variants_of.map(|image| {
        let options = VariantOptions { sources: &begun.sources, sync: args.sync, verify: output.is_verified };
        prepared.write_variants(image, options, progress)
    });
    let written = written.transpose()?;
    if let Some(written) = &written {
        written.warnings.iter().for_each(|warning| messages.warning(warning));
        report.set_variants(written);
    }
    report.set_raw_digest(image.raw_sha256);
    report.set_times(&progress.times());
    if let Some(place) = report_place {
        place.write(report.json()?.as_bytes())?;
    }
    if let Some((place, text)) = sbom_place {
        place.write(text.as_bytes())?;
    }
    if let Some((place, bytes)) = layout {
        place.write(&bytes)?;
    }
    if let Some((place, hash)) = hash_place.zip(report.root_hash.as_ref()) {
        place.write(format!("{hash}\n").as_bytes())?;
    }
    if progress.times().iter().any(|(stage, _)| *stage == Stage::Hash) {
        messages.note(
            &name,
            "file systems with a hash tree were read twice: this output needs root hashes first",
        );
    }
    let line = last_line::built(&name, &report, prepared.files(), output.is_verified, progress.elapsed());
    messages.note(&name, line);
    if let Some(written) = written {
        messages.note("variants", variants::line(&written, output.is_verified, progress.elapsed()));
    }
    Ok(())
}

/// The warning if an image was compressed without threads.
fn without_workers(name: &str) -> Problem {
    Problem::new(
        name,
        "no thread can be started, so the compressed bytes differ from those of other builds (the image in them is the same)",
        "allow the system call clone3, or set plan.output.compression.seekable",
    )
}

fn layer(args: &LayerArgs, messages: &Messages) -> Result<(), Failure> {
    signals::remove_temporaries_on_signals();
    let begun = begin(&args.input, messages)?;
    let Some(CompressionPlan::Zstd { level, framing: FramingPlan::Units { .. } }) =
        begun.plan.output.compression
    else {
        let what = "the plan has no frames to put into a layer";
        return Err(misuse(output::field("compression"), what, "set plan.output.compression.frames to true"));
    };
    let except = excepted(args)?;
    let outputs = Outputs::of_reading(&args.input.plan, &begun.plan)?;
    let prepared = begun.prepare(&outputs, messages)?;
    let written = prepared.write_layer(&args.output, &except, level, &begun.progress)?;
    messages.note(&shown(&args.output), human::counted(written.added, "frame"));
    Ok(())
}

/// The store paths that a layer leaves out.
fn excepted(args: &LayerArgs) -> Result<HashSet<String>, Failure> {
    let read = |file: &Path| {
        snugfs_core::read_file(file).map_err(|error| {
            Failure::new(FailureKind::Closure, shown(file), io_reason(&error), "name a file that exists")
        })
    };
    let mut except = HashSet::new();
    for list in &args.except {
        except.extend(String::from_utf8_lossy(&read(list)?).lines().map(str::to_owned));
    }
    if let Some(key) = &args.except_graph {
        let document: Value = serde_json::from_slice(&read(&args.input.plan)?).unwrap_or_default();
        let records = document.get(key).and_then(Value::as_array).ok_or_else(|| {
            let what = format!("the plan's file has no graph under the key \"{key}\"");
            misuse("--except-graph", what, "name a key next to the plan, in a file and not in standard input")
        })?;
        let path = |record: &Value| record.get("path")?.as_str().map(str::to_owned);
        except.extend(records.iter().filter_map(path));
    }
    Ok(except)
}

/// All outputs of a build. Fails if one of them is also an input.
fn outputs(
    args: &BuildArgs,
    plan: &Plan,
    output: &Output<'_>,
    map: Option<&Path>,
) -> Result<Outputs, Failure> {
    let mut outputs = Outputs::default();
    output.add_to(&mut outputs, args);
    if let Some(image) = variants::image(output, plan)? {
        variants::add_to(&mut outputs, image, plan);
    }
    if let Some(map) = map {
        outputs.add(Role::Map, output::field("bmap").into(), map);
    }
    if args.roothash_out.is_some() && plan.root.filesystem.verity.is_none() {
        let what = "the root file system has no hash tree";
        return Err(misuse("--roothash-out", what, "set plan.filesystem.verity, or leave it out"));
    }
    ReportPlace::add_to(&mut outputs, args, output.target)?;
    outputs.add_stderr();
    outputs.add_planned(plan);
    outputs.check(&args.input.plan, plan)?;
    Ok(outputs)
}

fn roothash(args: &RoothashArgs, messages: &Messages) -> Result<(), Failure> {
    let begun = begin(&args.input, messages)?;
    let outputs = Outputs::of_reading(&args.input.plan, &begun.plan)?;
    let prepared = begun.prepare(&outputs, messages)?;
    if !prepared.has_root_hash(&args.of) {
        let what = format!("{}: no file system of this name has a hash tree", args.of);
        return Err(misuse(
            "--of",
            what,
            "write root or the index of a partition, and set filesystem.verity",
        ));
    }
    prepared.compute_root_hashes(&WriteOptions::default().assembly, &begun.progress)?;
    let hash = prepared.root_hash(&args.of);
    let hash = hash.ok_or_else(|| Failure::internal("roothash", "the root hash is not known"))?;
    output::print(&format!("{hash}\n"))
}

/// The file for the record of a layout, opened before the work begins.
fn layout_place(path: Option<&Path>) -> Result<Option<(ReportPlace, &Path)>, Failure> {
    Ok(ReportPlace::open(path)?.zip(path))
}

/// The bytes of the record for a file of this name.
fn layout_record(prepared: &Prepared<'_>, path: &Path) -> Result<Vec<u8>, Failure> {
    prepared.layout_record()?.to_bytes(path.extension().is_some_and(|end| end == "zst"))
}

fn size(args: &SizeArgs, messages: &Messages) -> Result<(), Failure> {
    let begun = begin(&args.input, messages)?;
    let mut outputs = Outputs::default();
    if let Some(path) = &args.layout_out {
        if is_dash(path) {
            let what = "the table goes to standard output already";
            return Err(misuse("--layout-out -", what, "name a file for the record of the layout"));
        }
        outputs.add(Role::Layout, "--layout-out".into(), path);
    }
    outputs.add_result(&args.input.plan, &begun.plan)?;
    let place = layout_place(args.layout_out.as_deref())?;
    let prepared = begun.prepare(&outputs, messages)?;
    let mut report = prepared.report();
    report.set_plan(begun.sha256);
    if let Some(variants) = begun.check_variants(&prepared, messages)? {
        report.set_variants(&variants);
    }
    if let Some((place, path)) = place {
        place.write(&layout_record(&prepared, path)?)?;
    }
    output::print(&if args.json { report.json()? } else { table::table(&report) })
}

fn check(args: &CheckArgs, messages: &Messages) -> Result<(), Failure> {
    let begun = begin(&args.input, messages);
    let checked = begun.as_ref().map_err(Clone::clone).and_then(|begun| checked(args, begun, messages));
    if args.json {
        output::print(&check_json::text(checked.as_ref(), messages)?)?;
        return checked.map(drop);
    }
    let Checked { prepared, variants } = checked?;
    if messages.is_quiet() {
        return Ok(());
    }
    let paths = human::counted(prepared.report().contents.store_paths, "store path");
    let files = human::counted(prepared.files(), "file");
    let fits = human::size(prepared.bytes());
    let variants = variants.map(|variants| {
        format!(", with {} ({})", human::counted(variants.images, "variant"), human::size(variants.bytes))
    });
    let variants = variants.unwrap_or_default();
    output::print(&format!(
        "ok: the plan is valid, {paths} complete, {files} found, fits in {fits}{variants}\n"
    ))
}

/// The image of a plan that was checked, and its variants, if it has any.
pub(crate) struct Checked<'b> {
    pub(crate) prepared: Prepared<'b>,
    pub(crate) variants: Option<VariantsSummary>,
}

fn checked<'b>(args: &CheckArgs, begun: &'b Begun, messages: &Messages) -> Result<Checked<'b>, Failure> {
    output::check_name(&begun.plan.output)?;
    let outputs = Outputs::of_reading(&args.input.plan, &begun.plan)?;
    let prepared = begun.prepare_with(&outputs, true, messages)?;
    let variants = begun.check_variants(&prepared, messages)?;
    Ok(Checked { prepared, variants })
}

fn plan(args: &PlanArgs) -> Result<(), Failure> {
    // A store path is often named by a symlink, as nix-build makes it.
    let resolve = |source: &PathBuf| match std::fs::canonicalize(source) {
        Ok(path) if path.parent() == Some(Path::new("/nix/store")) => path,
        _ => source.clone(),
    };
    let sources: Vec<PathBuf> = args.sources.iter().map(resolve).collect();
    let text = snugfs_core::draft_plan(&sources)?;
    match ReportPlace::open(args.output.as_deref())? {
        Some(place) => place.write(text.as_bytes()),
        None => output::print(&text),
    }
}

fn schema() -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&snugfs_plan::schema());
    let text = text.map_err(|error| Failure::internal("schema", error))?;
    output::print(&(text + "\n"))
}
