//! `snugfs inspect`: shows what is in an image. `image-reader` reads it.

mod json;
mod listing;
mod overview;

use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use image_reader::{
    ExtractOptions, Extracted, FileSystem, Image, Kind, Links, Overview, ReadError, VolumeContent, extract,
    find,
};

use image_tree::{Explain, Explanation, io_reason};
use snugfs_core::{Failure, FailureKind, Problem, human, shown};

use crate::cli::{InspectArgs, InspectCommand, Owner, is_dash, misuse};
use crate::messages::Messages;
use crate::output;

/// The most unreadable volumes that are reported singly.
const MOST_UNREAD: usize = 20;

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, messages: &Messages) -> Result<(), Failure> {
    if args.json && args.command.is_some() {
        let what = "--json before a command is only for the overview of the image";
        return Err(misuse("command line", what, "leave it out, or put it after `stat`"));
    }
    if is_dash(&args.image) {
        return Err(misuse("-", "standard input can't be inspected", "write it to a file"));
    }
    let failed = |error: ReadError| Failure::of_image(&shown(&args.image), &error);
    let image = Image::open(&args.image).map_err(failed)?;
    let overview = Overview::read(&image).map_err(failed)?;
    let Some(command) = &args.command else {
        if let Some(number) = args.partition {
            let what = format!("--partition {number} needs a command");
            return Err(misuse("command line", what, "add ls, cat, stat or extract"));
        }
        let text =
            if args.json { json::overview(&image, &overview)? } else { overview::table(&image, &overview) };
        output::print(&text)?;
        return whole(args, &overview);
    };
    let fs = choose(args, &overview, messages)?;
    match command {
        InspectCommand::Ls { path, long, recursive } => {
            let found = find(fs, path.as_os_str().as_bytes(), Links::Follow).map_err(failed)?;
            let problems = to_stdout(|out| listing::list(fs, &found, *long, *recursive, out))?;
            problems_of(args, &problems)
        }
        InspectCommand::Cat { path } => cat(args, fs, path),
        InspectCommand::Stat { path, json } => {
            let found = find(fs, path.as_os_str().as_bytes(), Links::Keep).map_err(failed)?;
            let target = match found.node.kind {
                Kind::Symlink => Some(fs.link_target(&found.node).map_err(failed)?),
                _ => None,
            };
            let target = target.as_deref();
            let attributes = fs.attributes(&found.node);
            let known = attributes.as_deref().unwrap_or_default();
            output::print(&if *json {
                json::stat(&found, target, known)?
            } else {
                listing::stat(&found, target, known)
            })?;
            attributes.map(drop).map_err(failed)
        }
        InspectCommand::Slots { json } => {
            let slots = image_stamp::slots(fs).map_err(|error| {
                Failure::of(FailureKind::Source, Problem::from(error.explain()).within(&shown(&args.image)))
            })?;
            output::print(&if *json { json::slots(&slots)? } else { listing::slots(&slots) })
        }
        InspectCommand::Extract { path, output, owner, devices } => {
            let options = ExtractOptions { owners: *owner == Owner::Keep, devices: *devices };
            let found = find(fs, path.as_os_str().as_bytes(), Links::Keep).map_err(failed)?;
            let done = extract(fs, &found, output, options).map_err(|error| {
                Failure::new(FailureKind::Output, shown(output), io_reason(&error), "choose another folder")
            })?;
            extracted(args, output, &done, messages)
        }
    }
}

/// Fails if the overview is incomplete because a file system could not be read.
fn whole(args: &InspectArgs, overview: &Overview) -> Result<(), Failure> {
    let unread = overview.volumes.iter().filter_map(|volume| match (&volume.content, &volume.partition) {
        (VolumeContent::Unreadable(error), Some(partition)) => {
            Some(error.explain().within(&format!("partition {}", partition.number)))
        }
        (VolumeContent::Unreadable(error), None) => Some(error.explain()),
        (VolumeContent::Unknown, None) => {
            Some(Explanation::new("", "no known partition table or file system", "is this an image?"))
        }
        _ => None,
    });
    let mut unread = unread;
    let mut lines: Vec<_> = unread.by_ref().take(MOST_UNREAD).collect();
    let more = unread.count();
    let rest = || Explanation::new("", format!("{more} more partitions can't be read"), "see `--json`");
    lines.extend((more > 0).then(rest));
    problems_of(args, &lines)
}

/// The selected file system. A note names its partition if there was a choice.
fn choose<'a>(
    args: &InspectArgs,
    overview: &'a Overview,
    messages: &Messages,
) -> Result<&'a FileSystem, Failure> {
    let failed = |error: ReadError| Failure::of_image(&shown(&args.image), &error);
    let (volume, chosen) = overview.choose(args.partition).map_err(failed)?;
    let fs = volume.file_system().map_err(failed)?;
    if let (true, Some(partition)) = (chosen, &volume.partition) {
        let number = partition.number;
        messages.note(&shown(&args.image), format!("partition {number}; --partition selects another"));
    }
    for warning in overview::warnings(fs) {
        messages.warning(&Problem::new(shown(&args.image), warning, ""));
    }
    Ok(fs)
}

fn cat(args: &InspectArgs, fs: &FileSystem, path: &Path) -> Result<(), Failure> {
    let failed = |error: ReadError| Failure::of_image(&shown(&args.image), &error);
    let found = find(fs, path.as_os_str().as_bytes(), Links::Follow).map_err(failed)?;
    if found.node.kind != Kind::File {
        let (what, help) = if found.node.is_directory() {
            ("is a directory", "list it with `ls`")
        } else {
            ("is not a regular file", "")
        };
        let problem = Problem::new(shown(path), what, help).within(&shown(&args.image));
        return Err(Failure::of(FailureKind::Source, problem));
    }
    let mut unread = None;
    to_stdout(|out| {
        fs.copy(&found.node, out).unwrap_or_else(|error| {
            unread = Some(error);
            Ok(())
        })
    })?;
    unread.map_or(Ok(()), |error| {
        let problem = Problem::from(&error).within(&shown(path)).within(&shown(&args.image));
        Err(Failure::of(FailureKind::Source, problem))
    })
}

/// Writes a result to standard output while it is made. EPIPE is not an error (`snugfs … | head`).
fn to_stdout<T: Default>(
    write: impl FnOnce(&mut BufWriter<io::StdoutLock<'static>>) -> io::Result<T>,
) -> Result<T, Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = write(&mut out).and_then(|result| out.flush().map(|()| result));
    match written {
        Ok(result) => Ok(result),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(T::default()),
        Err(error) => {
            let help = "redirect it elsewhere";
            Err(Failure::new(FailureKind::Output, "standard output", io_reason(&error), help))
        }
    }
}

fn problems_of(args: &InspectArgs, problems: &[Explanation]) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    let image = shown(&args.image);
    Err(Failure::all(
        FailureKind::Source,
        problems.iter().map(|problem| problem.clone().within(&image).into()),
    ))
}

fn extracted(
    args: &InspectArgs,
    folder: &Path,
    done: &Extracted,
    messages: &Messages,
) -> Result<(), Failure> {
    let folder = shown(folder);
    let mut parts = vec![
        human::size(done.bytes),
        human::counted(done.files, "file"),
        human::counted(done.directories, "folder"),
    ];
    if done.symlinks > 0 {
        parts.push(human::counted(done.symlinks, "symlink"));
    }
    if done.left_out > 0 {
        parts.push(format!("{} skipped", human::counted(done.left_out, "special file")));
    }
    messages.note(&folder, parts.join(", "));
    if !done.unwritten.is_empty() {
        for problem in &done.unread {
            messages.error(&problem.clone().within(&shown(&args.image)).into());
        }
        let problems = done.unwritten.iter().map(|problem| {
            Problem::new(format!("{folder}/{}", problem.subject), &problem.what, &problem.help)
        });
        return Err(Failure::all(FailureKind::Output, problems));
    }
    problems_of(args, &done.unread)
}
