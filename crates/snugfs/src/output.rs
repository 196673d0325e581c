//! Outputs: the target and format of the image, the report, the bill of materials, standard output.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use image_assembly::{AssemblyError, Companion, Options, Refusal, Target};
use image_tree::io_reason;
use snugfs_core::{BlockCompression, Failure, FailureKind, NOT_EXPANDED, Problem, is_unexpanded, shown};
use snugfs_plan::{Format, Location, OutputPlan, Plan};

use crate::cli::{BuildArgs, is_dash, misuse};
use crate::image_name::{self, Form};
use crate::outputs::{Outputs, Role};

/// The target and format of an image, decided before any long work.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) options: Options,
    pub(crate) format: Format,
    /// The compression of the container's blocks.
    pub(crate) blocks: Option<BlockCompression>,
    /// Whether the report contains the digest of the uncompressed image.
    pub(crate) wants_raw_digest: bool,
    /// Whether the written image is verified before it gets its name.
    pub(crate) is_verified: bool,
}

impl<'a> Output<'a> {
    /// Chooses the output: `-o` takes precedence over `plan.output`.
    pub(crate) fn choose(args: &'a BuildArgs, plan: &'a Plan) -> Result<Self, Failure> {
        let sector = plan.disk.as_ref().and_then(|disk| u32::try_from(disk.sector.bytes()).ok());
        let plan = &plan.output;
        let Some(path) = args.output.as_deref().or(plan.path.as_deref()) else {
            return Err(misuse(
                "command line",
                "the image has no file name",
                "add -o OUT, or set plan.output.path",
            ));
        };
        if args.device && plan.format.is_some_and(|format| format != Format::Raw) {
            let what = "a block device can only be written with a raw image";
            return Err(misuse("--device", what, "leave out plan.output.format"));
        }
        if args.device && plan.compression.is_some() {
            let what = "a compressed image can't be written to a block device";
            return Err(misuse("--device", what, "leave out plan.output.compression"));
        }
        let target = target(args, path)?;
        let form = match target {
            Target::File(path) => form_of_name(args.output.is_none(), path, plan)?,
            Target::Device(_) | Target::Stdout => image_name::form_of_plan(plan)?,
        };
        check_stream(target, &form)?;
        let options = Options {
            threads: NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN),
            readers: Options::default().readers,
            compression: form.compression,
            sync: args.sync,
            read_back: !args.no_read_back,
            sector,
            digest: args.report.is_some(),
        };
        if args.raw_digest && form.format != Format::Raw {
            let what = "a file of this format is not the image itself";
            return Err(misuse("--raw-digest", what, "leave it out, or write a raw image"));
        }
        let is_verified = args.verify_output || plan.verify;
        if is_verified {
            check_readable(target, form.format)?;
        }
        let Form { format, blocks, .. } = form;
        Ok(Self { target, options, format, blocks, wants_raw_digest: args.raw_digest, is_verified })
    }

    /// The image's name for messages.
    pub(crate) fn name(&self) -> String {
        match self.target {
            Target::File(path) | Target::Device(path) => shown(path),
            Target::Stdout => "standard output".to_owned(),
        }
    }

    /// Warnings about maps of earlier images next to images that get no map: bmaptool would use the wrong map.
    pub(crate) fn stale_maps(&self, plan: &Plan) -> Vec<Problem> {
        const SHOWN: usize = 10;
        let Target::File(image) = self.target else { return Vec::new() };
        let stale = |path: &Path| Some(map_path(path)).filter(|map| map.is_file());
        let what = "is the map of an earlier image, and bmaptool would use it for this one";
        let own = stale(image).filter(|_| !plan.output.bmap);
        let own = own.map(|map| Problem::new(shown(&map), what, "remove it, or set plan.output.bmap"));
        // Variants have no maps.
        let stale: Vec<_> = plan.variants.iter().filter_map(|variant| stale(&variant.path(image))).collect();
        let mut warnings: Vec<_> = own.into_iter().collect();
        warnings.extend(stale.iter().take(SHOWN).map(|map| Problem::new(shown(map), what, "remove it")));
        if let Some(more) = stale.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let what = format!("{more} more variants have maps of earlier images next to them");
            warnings.push(Problem::new(Location::plan().key("variants"), what, "remove them"));
        }
        warnings
    }

    /// The path of the image's map, if the plan asks for one.
    pub(crate) fn map_path(&self, plan: &OutputPlan) -> Result<Option<PathBuf>, Failure> {
        if !plan.bmap {
            return Ok(None);
        }
        if self.format != Format::Raw {
            let what = "only a raw image can have a map";
            let help = "leave out bmap, or write a raw image";
            return Err(Failure::new(FailureKind::Plan, field("bmap"), what, help));
        }
        let Target::File(path) = self.target else {
            let what = "a map is only written next to a file";
            return Err(misuse(field("bmap"), what, "write the image to a file, or leave out bmap"));
        };
        Ok(Some(map_path(path)))
    }

    /// Adds the image to the outputs of the run.
    pub(crate) fn add_to(&self, outputs: &mut Outputs, args: &BuildArgs) {
        let asked = if args.output.is_some() { "-o".into() } else { field("path").into() };
        match self.target {
            Target::File(path) | Target::Device(path) => outputs.add(Role::Image, asked, path),
            Target::Stdout => outputs.add_stdout(Role::Image, "-o -"),
        }
    }
}

/// A field of `plan.output`.
pub(crate) fn field(key: &str) -> Location {
    Location::plan().key("output").key(key)
}

/// The format of an image's file. Errors in a name from the plan name the field.
fn form_of_name(is_of_plan: bool, path: &Path, plan: &OutputPlan) -> Result<Form, Failure> {
    let form = image_name::form(path, plan).map_err(|(what, help)| {
        let name = shown(path);
        if is_of_plan {
            misuse(field("path"), format!("{name}: {what}"), help)
        } else {
            misuse(name, what, help)
        }
    })?;
    form.check(plan)
}

/// Fails if the format needs a file, and the output is a stream.
fn check_stream(target: Target<'_>, form: &Form) -> Result<(), Failure> {
    match form.format {
        Format::Qcow2 if form.blocks.is_some() && is_stream(target) => {
            let what =
                "the header of qcow2 with compressed clusters is written last, and a stream can't go back";
            Err(misuse(field("compression"), what, "write to a file, or leave the compression out"))
        }
        Format::Ova if is_stream(target) => {
            let what = "the header of the disk in an OVA is written last, and a stream can't go back";
            Err(misuse(field("format"), what, "write to a file"))
        }
        _ => Ok(()),
    }
}

fn is_stream(target: Target<'_>) -> bool {
    match target {
        Target::Stdout => true,
        Target::Device(_) => false,
        Target::File(path) => std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()),
    }
}

/// Fails if `build` would refuse the file name in the plan.
pub(crate) fn check_name(plan: &OutputPlan) -> Result<(), Failure> {
    plan.path.as_deref().map_or(Ok(()), |path| form_of_name(true, path, plan).map(drop))
}

/// Fails if the name of a variant does not match its format.
pub(crate) fn check_variants(plan: &Plan) -> Result<(), Failure> {
    let form = match &plan.output.path {
        Some(path) => image_name::form(path, &plan.output).ok(),
        None => image_name::form_of_plan(&plan.output).ok(),
    };
    // Without a form, the output itself is refused.
    form.map_or(Ok(()), |form| image_name::check_variants(plan, form.is_plain()))
}

/// The image's path with `.bmap` instead of the ending of its compression, or with `.bmap` appended.
pub(crate) fn map_path(image: &Path) -> PathBuf {
    let (name, _) = image_name::without_compression(image.as_os_str().as_bytes());
    PathBuf::from(OsString::from_vec([name, b".bmap"].concat()))
}

/// Fails if the image could not be read again after writing: a stream or a container.
fn check_readable(target: Target<'_>, format: Format) -> Result<(), Failure> {
    let misuse = |what: &str, help: &str| Err(misuse("--verify-output", what, help));
    match format {
        _ if is_stream(target) => misuse(
            "a stream can't be read again",
            "write to a file, or leave out the check (--verify-output, plan.output.verify)",
        ),
        Format::Raw => Ok(()),
        _ => misuse(
            "only a raw image can be verified",
            "write a raw image, or leave out the check (--verify-output, plan.output.verify)",
        ),
    }
}

fn target<'a>(args: &BuildArgs, path: &'a Path) -> Result<Target<'a>, Failure> {
    if args.output.as_deref().is_some_and(is_dash) {
        return match () {
            () if args.device => {
                Err(misuse("--device", "standard output is not a block device", "name one with -o"))
            }
            () if io::stdout().is_terminal() => {
                let help = "redirect it to a file or another program";
                Err(misuse("-o -", "standard output is a terminal", help))
            }
            () => Ok(Target::Stdout),
        };
    }
    // Writing would find this out, too, but only after the scan and the hashes of a large closure.
    let refused = |refusal| Err(AssemblyError::Refused { path: shown(path), refusal }.into());
    match std::fs::metadata(path) {
        Ok(found) if args.device && !found.file_type().is_block_device() => refused(Refusal::NotADevice),
        Err(error) if args.device && error.kind() == io::ErrorKind::NotFound => refused(Refusal::NoDevice),
        // If this fails for another reason, writing reports it.
        _ if args.device => Ok(Target::Device(path)),
        Ok(found) if found.is_dir() => refused(Refusal::Directory),
        _ if path.as_os_str().as_bytes().ends_with(b"/") => refused(Refusal::NoName),
        _ if args.output.is_none() && is_unexpanded(path) && !folder_of(path).is_dir() => {
            let what = format!("the folder of {} does not exist", shown(path));
            Err(Failure::new(FailureKind::Output, field("path"), what, NOT_EXPANDED))
        }
        _ if !folder_of(path).is_dir() => refused(Refusal::NoFolder),
        _ => Ok(Target::File(path)),
    }
}

/// The target of the report or another output besides the image. It is opened before the work begins, so that errors are reported
/// early.
#[derive(Debug)]
pub(crate) enum ReportPlace {
    Stdout,
    File(Companion),
}

impl ReportPlace {
    /// Opens the target that an option names, if the option is given.
    pub(crate) fn open(path: Option<&Path>) -> Result<Option<Self>, Failure> {
        let place = |path: &Path| {
            if is_dash(path) { Ok(Self::Stdout) } else { Companion::open(path).map(Self::File) }
        };
        Ok(path.map(place).transpose()?)
    }

    /// Adds all outputs of the run besides the image and its map.
    pub(crate) fn add_to(outputs: &mut Outputs, args: &BuildArgs, image: Target<'_>) -> Result<(), Failure> {
        for (role, option, path) in [
            (Role::Report, "--report", &args.report),
            (Role::Sbom, "--sbom", &args.sbom),
            (Role::Layout, "--layout-out", &args.layout_out),
            (Role::RootHash, "--roothash-out", &args.roothash_out),
        ] {
            let Some(path) = path.as_deref() else { continue };
            if !is_dash(path) {
                outputs.add(role, option.into(), path);
            } else if image == Target::Stdout {
                let noun = role.noun();
                let help = format!("name a file for {noun}");
                return Err(misuse(format!("{option} -"), "the image goes to standard output already", help));
            } else {
                outputs.add_stdout(role, &format!("{option} -"));
            }
        }
        Ok(())
    }

    /// Reserves disk space for a report that is somewhat longer than its known part.
    pub(crate) fn reserve(&self, known: &str) -> Result<(), Failure> {
        const REST: u64 = 4096;
        self.reserve_bytes(image_tree::to_u64(known.len()) + REST)
    }

    /// Reserves disk space.
    pub(crate) fn reserve_bytes(&self, bytes: u64) -> Result<(), Failure> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(companion) => Ok(companion.reserve(bytes)?),
        }
    }

    /// Writes the output. A file appears complete, or not at all.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => print_bytes(bytes),
            Self::File(companion) => Ok(companion.write(bytes)?),
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes a result to standard output. EPIPE is not an error (`snugfs … | head`).
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let help = "redirect it elsewhere";
            Err(Failure::new(FailureKind::Output, "standard output", io_reason(&error), help))
        }
        _ => Ok(()),
    }
}
