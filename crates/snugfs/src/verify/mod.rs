//! `snugfs verify`: checks an image, and shows its problems.

mod foreign;
mod text;

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use image_reader::{Container, Image, ReadError};
use snugfs_compare::{Differences, Kind, Use};
use snugfs_core::verify::{self, CompareOptions, Medium, Terms, Verdict};
use snugfs_core::{Failure, FailureKind, Problem, Stage, Unit, run_stage, shown};

use crate::cli::{InputArgs, VerifyArgs, is_dash, misuse};
use crate::messages::Messages;
use crate::outputs::Outputs;
use crate::{commands, output};

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs, messages: &Messages) -> Result<(), Failure> {
    let name = shown(&args.image);
    if is_dash(&args.image) {
        return Err(misuse("-", "standard input can't be verified", "write it to a file"));
    }
    let failed = |error: ReadError| Failure::of_image(&name, &error);
    let image = Image::open(&args.image).map_err(failed)?;
    let verdict = match &args.against {
        None => verify::image(&image, terms(args, &image)).map_err(failed)?,
        Some(plan) => against_plan(args, plan, &image, messages)?,
    };
    if args.json {
        output::print(&text::json(&image, &verdict, args.used)?)?;
    }
    result(args, &image, &verdict, messages)
}

fn against_plan(
    args: &VerifyArgs,
    plan: &Path,
    image: &Image,
    messages: &Messages,
) -> Result<Verdict, Failure> {
    let input = InputArgs {
        plan: plan.to_owned(),
        base_dir: args.base_dir.clone(),
        threads: args.threads,
        progress: args.progress,
        layout: args.layout.clone(),
    };
    let begun = commands::begin(&input, messages)?;
    let mut outputs = Outputs::of_reading(&input.plan, &begun.plan)?;
    outputs.add_verified(&args.image, &begun.plan);
    let prepared = begun.prepare(&outputs, messages)?;
    if prepared.disk.is_none() && !args.json {
        foreign::refuse(&args.image, image)?;
    }
    let (used, terms) = (if args.used { Use::Mounted } else { Use::None }, terms(args, image));
    let length = if terms.on == Medium::Device && !args.used { prepared.bytes() } else { u64::MAX };
    let image = Image { container: image.container, window: image.window.part(0, length) };
    let total = prepared.compared_bytes();
    let verdict = run_stage(&begun.progress, (Stage::Compare, Unit::Bytes, total), || {
        prepared.compare(&image, CompareOptions::new(used, terms), &begun.progress)
    })?;
    let has_record =
        snugfs_core::planned_volumes(&begun.plan).any(|volume| volume.plan.filesystem.layout_like.is_some());
    if !has_record && verdict.is_sound() && verdict.differences.as_ref().is_some_and(is_only_of_layout) {
        let note =
            "the files are those of the plan; if the image was built with --layout-like, add that option";
        messages.note(&format!("note: {}", shown(&args.image)), note);
    }
    Ok(verdict)
}

/// Whether there are differences, and all of them may come from another layout of the same files.
fn is_only_of_layout(differences: &Differences) -> bool {
    let is_of_layout = |kind: &Kind| {
        matches!(
            kind,
            Kind::FilesystemSize
                | Kind::FilesystemInodes
                | Kind::FilesystemFreeSpace
                | Kind::FilesystemFreeInodes
                | Kind::FilesystemReserved
                | Kind::FilesystemGrowth
                | Kind::FilesystemJournal
                | Kind::ImageSize
                | Kind::DiskPartition
                | Kind::ImageBytes
        )
    };
    !differences.is_empty() && differences.counts.keys().all(is_of_layout)
}

fn result(args: &VerifyArgs, image: &Image, verdict: &Verdict, messages: &Messages) -> Result<(), Failure> {
    let name = shown(&args.image);
    let lines = verdict.lines(args.used);
    for warning in &verdict.warnings {
        messages.warning(&Problem::new(&name, warning, ""));
    }
    if verdict.is_right(args.used) {
        for note in &lines {
            messages.note(&format!("note: {name}"), note);
        }
        if !args.json && !messages.is_quiet() {
            return output::print(&format!("ok: {}\n", text::summary(image, verdict)));
        }
        return Ok(());
    }
    Err(Failure::all(FailureKind::Unsound, lines.iter().map(|line| Problem::new(&name, line, ""))))
}

/// A raw image on a device may be shorter than the device. A compressed one has its own length.
fn terms(args: &VerifyArgs, image: &Image) -> Terms {
    let is_device = std::fs::metadata(&args.image).is_ok_and(|found| found.file_type().is_block_device());
    let on = if is_device && image.container == Container::Raw { Medium::Device } else { Medium::File };
    Terms::new(on, args.ignore_unused)
}
