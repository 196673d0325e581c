//! `snugfs verify`: judges an image by way of `ext4-verify`, and tells what is wrong with it.

mod against;
mod foreign;
mod judge;
mod told;

use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use image_compare::Use;
use image_reader::{Container, Image, ReadError};

use crate::cli::{InputArgs, VerifyArgs};
use crate::exit::{Exit, Failure, shown};
use crate::outputs::Outputs;
use crate::progress::{Stage, Unit};
use crate::{commands, disk, output, pipeline};

pub(crate) use against::{Expected, Progress, bytes};
use judge::{Medium, Terms, Verdict};

/// Does what the command line says.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let failed = |error: ReadError| Failure::unread(&args.image, &error);
    let image = Image::open(&args.image).map_err(failed)?;
    let verdict = match &args.against {
        None => judge::image(&image, terms(args, &image)).map_err(failed)?,
        Some(plan) => against_plan(args, plan, &image)?,
    };
    if args.json {
        output::print(&told::json(&image, &verdict, args.used)?)?;
    }
    result(args, &image, &verdict)
}

fn against_plan(args: &VerifyArgs, plan: &Path, image: &Image) -> Result<Verdict, Failure> {
    let input = InputArgs {
        plan: plan.to_owned(),
        base_dir: args.base_dir.clone(),
        threads: args.threads,
        progress: args.progress,
    };
    let mut stages = commands::begin(&input)?;
    let plan = pipeline::plan(&input, &mut stages)?;
    let mut outputs = Outputs::of_reading(&input.plan, &plan)?;
    outputs.add_judged(&args.image, &plan);
    let gathered = pipeline::gather(&plan, &outputs, &mut stages)?;
    let layouts = pipeline::layout(&gathered, &mut stages)?;
    let disk = disk::disk(&plan, &gathered, &layouts)?;
    let expected = Expected { plan: &plan, gathered: &gathered, layouts: &layouts, disk: disk.as_ref() };
    let used = if args.used { Use::Mounted } else { Use::None };
    if disk.is_none() && !args.json {
        foreign::refuse(&args.image, image)?;
    }
    let terms = terms(args, image);
    let length = if terms.on == Medium::Device && !args.used { expected.image().len() } else { u64::MAX };
    let image = Image { container: image.container, window: image.window.part(0, length) };
    stages.run(Stage::Compare, Unit::Bytes, bytes(&expected), |meter| {
        against::judge(&image, &expected, (used, terms), &|bytes| meter.advance(bytes))
    })
}

/// Judges what `build` has written, and compares it with what it should have.
pub(crate) fn output(
    file: &File,
    name: &str,
    expected: &Expected<'_>,
    progress: &Progress<'_>,
) -> Result<(), Failure> {
    let unread = |error: &ReadError| Failure::new(Exit::Output, format!("{name}: {error}"));
    let file =
        file.try_clone().map_err(|error| unread(&ReadError::Io { place: String::new(), reason: error }))?;
    let image = Image::of_file(file).map_err(|error| unread(&error))?;
    let image = Image { container: image.container, window: image.window.part(0, expected.image().len()) };
    let verdict = against::judge(
        &image,
        expected,
        (Use::None, Terms { on: Medium::File, ignore_unused: false }),
        progress,
    )?;
    if verdict.is_right(false) {
        return Ok(());
    }
    let lines = told::lines(&verdict, false);
    let lines = lines.iter().map(|line| format!("{name}: {line}"));
    let what = format!(
        "{name}: is not what it should be and was given up; if the machine is sound, please report it"
    );
    Err(Failure::all(Exit::Unsound, lines.chain([what])))
}

fn result(args: &VerifyArgs, image: &Image, verdict: &Verdict) -> Result<(), Failure> {
    let name = shown(&args.image);
    let lines = told::lines(verdict, args.used);
    if verdict.is_right(args.used) {
        for note in &lines {
            crate::told::note(&format!("note: {name}: {note}"));
        }
        if !args.json && !crate::told::is_quiet() {
            return output::print(&format!("ok: {}\n", told::summary(image, verdict)));
        }
        return Ok(());
    }
    Err(Failure::all(Exit::Unsound, lines.iter().map(|line| format!("{name}: {line}"))))
}

/// What a device holds compressed is as long as it is meant to be.
fn terms(args: &VerifyArgs, image: &Image) -> Terms {
    let is_device = std::fs::metadata(&args.image).is_ok_and(|found| found.file_type().is_block_device());
    let on = if is_device && image.container == Container::Raw { Medium::Device } else { Medium::File };
    Terms { on, ignore_unused: args.ignore_unused }
}

/// What can't be read of an image whose name the caller adds.
fn unread(error: &ReadError) -> Failure {
    Failure::new(Exit::Source, format!("image: {error}"))
}
