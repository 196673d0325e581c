//! Where results go: the image, the report, and what standard output carries.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use build_plan::OutputPlan;
use image_assembly::{AssemblyError, Options, Refusal, Target};

use crate::cli::{BuildArgs, is_dash};
use crate::exit::{Exit, Failure, io_text, shown};

/// The level where only a name ends in `.zst`: the zstd program's own default.
const DEFAULT_LEVEL: i32 = 3;

/// Where an image goes and in which form, decided before anything that takes long.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) options: Options,
}

impl<'a> Output<'a> {
    /// Follows `-o`, then `plan.output`.
    pub(crate) fn choose(args: &'a BuildArgs, plan: &'a OutputPlan) -> Result<Self, Failure> {
        let Some(path) = args.output.as_deref().or(plan.path.as_deref()) else {
            let text = "the image has no name: give -o OUT on the command line, or plan.output.path";
            return Err(Failure::new(Exit::Usage, text));
        };
        let target = target(args, path)?;
        check_report(args.report.as_deref(), target)?;
        let named_zst =
            target == Target::File(path) && path.extension().is_some_and(|extension| extension == "zst");
        let options = Options {
            threads: NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN),
            zstd_level: plan.zstd_level.or(named_zst.then_some(DEFAULT_LEVEL)),
            sync: args.sync,
            digest: args.report.is_some(),
        };
        Ok(Self { target, options })
    }

    /// The image's name for people.
    pub(crate) fn name(&self) -> String {
        match self.target {
            Target::File(path) | Target::Device(path) => shown(path),
            Target::Stdout => "standard output".to_owned(),
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.options.zstd_level.is_some()
    }
}

fn target<'a>(args: &BuildArgs, path: &'a Path) -> Result<Target<'a>, Failure> {
    let misuse = |text: &str| Err(Failure::new(Exit::Usage, text));
    if args.output.as_deref().is_some_and(is_dash) {
        return match () {
            () if args.device => {
                misuse("--device: standard output is no name of a block device; name one with -o")
            }
            () if io::stdout().is_terminal() => {
                misuse("-o -: standard output is a terminal; redirect it to a file or another program")
            }
            () => Ok(Target::Stdout),
        };
    }
    // What writing would find out too, but after the scan and the hashes of a large closure.
    if !folder_of(path).is_dir() {
        return Err(AssemblyError::Refused { path: shown(path), refusal: Refusal::NoFolder }.into());
    }
    Ok(if args.device { Target::Device(path) } else { Target::File(path) })
}

/// A report that can't be written is told before the work, not after it.
fn check_report(report: Option<&Path>, image: Target<'_>) -> Result<(), Failure> {
    let Some(report) = report else { return Ok(()) };
    if is_dash(report) && image == Target::Stdout {
        let text = "--report -: standard output has the image already; name a file for the report";
        return Err(Failure::new(Exit::Usage, text));
    }
    if image == Target::File(report) {
        let text = "--report: names the image itself; choose another name for the report";
        return Err(Failure::new(Exit::Usage, text));
    }
    let folder = folder_of(report);
    match std::fs::metadata(&folder) {
        _ if is_dash(report) => Ok(()),
        Ok(metadata) if metadata.is_dir() && !report.is_dir() => Ok(()),
        Ok(metadata) if metadata.is_dir() => Err(Failure::new(
            Exit::Output,
            format!("{}: is a folder; name a file for the report", shown(report)),
        )),
        Ok(_) => {
            Err(Failure::new(Exit::Output, format!("{}: is not a folder; choose another", shown(&folder))))
        }
        Err(error) => {
            let text = format!("{}: {}; create the folder for the report", shown(&folder), io_text(&error));
            Err(Failure::new(Exit::Output, text))
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes a report: whole under its name, or not at all.
pub(crate) fn write_report(path: &Path, json: &str) -> Result<(), Failure> {
    if is_dash(path) {
        return print(json);
    }
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(format!(".{}.part", std::process::id()));
    let part = folder_of(path).join(hidden);
    let written = std::fs::write(&part, json).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| {
        // Whatever there is of it is of no use.
        let _ = std::fs::remove_file(&part);
        let text = format!(
            "{}: the report can't be written: {}; choose another place",
            shown(path),
            io_text(&error)
        );
        Failure::new(Exit::Output, text)
    })
}

/// Writes a result to standard output. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let text = format!("standard output: {}; redirect it elsewhere", io_text(&error));
            Err(Failure::new(Exit::Output, text))
        }
        _ => Ok(()),
    }
}
