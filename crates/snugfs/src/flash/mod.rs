//! `snugfs flash`: writes an image to a card or disk, only where it differs. `device-flash` compares and writes.

mod confirm;
mod devices;
mod meter;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use device_flash::{FlashError, Flashed, Flasher, Options, ReadBack, System, Target};
use image_reader::ImageStream;
use image_tree::{Explain, SectorSize};
use serde_json::json;
use snugfs_core::{
    Failure, FailureKind, Observer, Problem, Stage, Unit, WriteOptions, human, run_stage, shown,
};

use self::meter::Meter;
use crate::cli::{FlashArgs, InputArgs, WhatIsRead, is_dash, misuse};
use crate::commands::begin;
use crate::messages::Messages;
use crate::output::{self, ReportPlace};
use crate::outputs::{Outputs, Role};
use crate::progress::Progress;

/// How much of a source decides what it is, in \[bytes\]: a partition table with sectors of 4096 bytes ends later, but its
/// header does not.
const BEGINNING: usize = 8 << 10;

/// How much is read of an image at once, in \[bytes\].
const PART: usize = 1 << 20;

/// Runs the command.
pub(crate) fn run(args: &FlashArgs, messages: &Messages) -> Result<(), Failure> {
    let system = System::default();
    if args.list {
        return output::print(&devices::list(&system, args.json)?);
    }
    let (Some(source), Some(device)) = (&args.source, &args.device) else {
        return Err(misuse(
            "command line",
            "a source and a device are needed",
            "add PLAN or IMAGE, and DEVICE",
        ));
    };
    if is_dash(source) || is_plan(source)? {
        flash_plan(args, (source, device), &system, messages)
    } else {
        flash_image(args, (source, device), &system, messages)
    }
}

/// The failure of a device.
fn failed(device: &Path, error: &FlashError) -> Failure {
    let kind = match error {
        FlashError::Empty => FailureKind::Source,
        _ => FailureKind::Output,
    };
    let explanation = error.explain();
    let named = if explanation.subject.is_empty() { explanation.about(shown(device)) } else { explanation };
    Failure::of(kind, Problem::new(named.subject, named.what, named.help))
}

fn flash_plan(
    args: &FlashArgs,
    (source, device): (&Path, &Path),
    system: &System,
    messages: &Messages,
) -> Result<(), Failure> {
    let input = InputArgs {
        plan: source.to_owned(),
        base_dir: args.base_dir.clone(),
        threads: args.threads,
        progress: args.progress,
        layout: args.layout.clone(),
    };
    let begun = begin(&input, messages)?;
    let mut outputs = Outputs::default();
    outputs.add(Role::Image, "DEVICE".into(), device);
    if let Some(report) = args.report.as_deref().filter(|report| !is_dash(report)) {
        outputs.add(Role::Report, "--report".into(), report);
    }
    outputs.add_stderr();
    outputs.add_planned(&begun.plan);
    outputs.check(source, &begun.plan)?;
    let disk = begun.plan.disk.as_ref();
    let sector = disk.and_then(|disk| u32::try_from(disk.sector.bytes()).ok());
    let target = target(args).is_disk(disk.is_some()).sector(sector);
    target.check(device, system).map_err(|error| failed(device, &error))?;
    let report = ReportPlace::open(args.report.as_deref())?;
    let prepared = begun.prepare(&outputs, messages)?;
    let target = target.length(Some(prepared.bytes()));
    let flash = Flash { args, device, system, progress: &begun.progress, report };
    flash.run(target, messages, |flasher| {
        // Without a container and compression: the device gets the image itself.
        let options = WriteOptions::default();
        prepared.write_to(flasher, &options, &begun.progress).map(drop)
    })
}

fn flash_image(
    args: &FlashArgs,
    (source, device): (&Path, &Path),
    system: &System,
    messages: &Messages,
) -> Result<(), Failure> {
    if args.base_dir.is_some() {
        return Err(misuse("--base-dir", "an image has no relative paths", "leave it out"));
    }
    let unread = |error| Failure::of_image(&shown(source), &error);
    let mut stream = ImageStream::open(source).map_err(unread)?;
    if is_same(source, device) {
        return Err(misuse("DEVICE", "is the image itself", "name another device"));
    }
    let mut first = vec![0; PART];
    let length = stream.fill(&mut first).map_err(unread)?;
    first.truncate(length);
    let (is_disk, sector) = table(&first);
    let target = target(args).is_disk(is_disk).sector(sector).length(stream.length());
    target.check(device, system).map_err(|error| failed(device, &error))?;
    let progress = Progress::new(args.progress, messages);
    let report = ReportPlace::open(args.report.as_deref())?;
    let flash = Flash { args, device, system, progress: &progress, report };
    let total = stream.length().unwrap_or(0);
    flash.run(target, messages, |flasher| {
        run_stage(&progress, (Stage::Write, Unit::Bytes, total), || {
            let mut part = first;
            while !part.is_empty() {
                // The error of the flasher is asked for by the caller.
                flasher.write_all(&part).map_err(|error| Failure::internal("DEVICE", error))?;
                progress.advance(image_tree::to_u64(part.len()));
                part.resize(PART, 0);
                let length = stream.fill(&mut part).map_err(unread)?;
                part.truncate(length);
            }
            Ok(())
        })
    })
}

fn target(args: &FlashArgs) -> Target {
    Target::default().allows_fixed(args.fixed_disk)
}

/// What is needed to write, from any source.
struct Flash<'a> {
    args: &'a FlashArgs,
    device: &'a Path,
    system: &'a System,
    progress: &'a Progress,
    report: Option<ReportPlace>,
}

impl Flash<'_> {
    /// Asks, opens the device, and writes what `write` gives.
    fn run(
        self,
        target: Target,
        messages: &Messages,
        write: impl FnOnce(&mut Flasher<'_, device_flash::DeviceFile>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let of_device = |error: FlashError| failed(self.device, &error);
        let disk = target.check(self.device, self.system).map_err(of_device)?;
        confirm::ask(self.args, self.device, disk.as_ref())?;
        let medium = device_flash::open(self.device, target).map_err(of_device)?;
        let meter = Meter::new(self.progress);
        let update = |done: &Flashed| meter.update(done);
        let options = Options::default().read_back(match self.args.read_back {
            WhatIsRead::Written => ReadBack::Written,
            WhatIsRead::All => ReadBack::All,
            WhatIsRead::Nothing => ReadBack::Nothing,
        });
        let mut flasher = Flasher::new(medium, options, &update);
        if let Err(failure) = write(&mut flasher) {
            // The source's own error is more than what the device makes of it.
            return Err(flasher.take_error().map_or(failure, of_device));
        }
        let finished = flasher.finish();
        meter.end(finished.is_ok());
        let done = finished.map_err(of_device)?;
        self.warn(&done, messages);
        let time = self.progress.elapsed();
        messages.note(&shown(self.device), meter::line(&done, time));
        if let Some(place) = self.report {
            let seconds: serde_json::Map<_, _> = self
                .progress
                .times()
                .iter()
                .map(|(stage, time)| (stage.name().to_owned(), json!(time.as_secs_f64())))
                .collect();
            let report = json!({
                "version": 1,
                "device": shown(self.device),
                "bytes": done.compared,
                "written": done.written,
                "skipped": done.skipped(),
                "read": done.read,
                "readBack": done.checked,
                "unreadable": done.unreadable,
                "seconds": seconds,
            });
            let text = serde_json::to_string_pretty(&report);
            let text = text.map_err(|error| Failure::internal("report", error))?;
            place.write(format!("{text}\n").as_bytes())?;
        }
        Ok(())
    }

    /// Shows what the user should know of the device.
    fn warn(&self, done: &Flashed, messages: &Messages) {
        if done.unreadable > 0 {
            messages.warning(&Problem::new(
                shown(self.device),
                format!(
                    "{} could not be read before they were written",
                    human::counted(done.unreadable, "byte")
                ),
                "they read back right now, but the device may be wearing out",
            ));
        }
    }
}

/// Whether a file is a plan: JSON, as no image is.
fn is_plan(source: &Path) -> Result<bool, Failure> {
    let unread = |error: std::io::Error| {
        let what = format!("can't be read: {}", image_tree::io_reason(&error));
        Failure::new(FailureKind::Source, shown(source), what, "name a plan or an image")
    };
    // Opening a pipe would wait; neither a plan nor an image is read from one.
    if !std::fs::metadata(source).map_err(unread)?.is_file() {
        return Ok(false);
    }
    let mut begin = Vec::new();
    File::open(source).and_then(|file| file.take(4096).read_to_end(&mut begin)).map_err(unread)?;
    let text = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&begin);
    Ok(text.trim_ascii_start().first() == Some(&b'{'))
}

/// Whether two paths are one file or device.
fn is_same(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Whether an image begins with a partition table, and the sector size of that, if it says so.
fn table(image: &[u8]) -> (bool, Option<u32>) {
    let begin = image.get(..BEGINNING).unwrap_or(image);
    for sector in [SectorSize::Bytes512, SectorSize::Bytes4096] {
        let at = image_tree::to_usize(sector.bytes());
        if begin.get(at..).is_some_and(|header| header.starts_with(b"EFI PART")) {
            return (true, u32::try_from(sector.bytes()).ok());
        }
    }
    let byte = |at: usize| begin.get(at).copied().unwrap_or_default();
    // The four entries begin at 446, each of 16 bytes: flags, three bytes, type. A FAT boot sector has the same end.
    let entries = (446..510).step_by(16).map(|at| (byte(at), byte(at + 4)));
    let is_table = begin.get(510..512) == Some(&[0x55, 0xaa])
        && entries.clone().all(|(flags, _)| matches!(flags, 0 | 0x80))
        && entries.clone().any(|(_, kind)| kind != 0);
    let is_fat = [54, 82].iter().any(|&at| begin.get(at..).is_some_and(|name| name.starts_with(b"FAT")));
    (is_table && !is_fat, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_known_by_their_first_bytes() {
        let mut image = vec![0; 1 << 16];
        assert_eq!(table(&image), (false, None));
        assert_eq!(table(&[]), (false, None));
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(table(&image), (false, None));
        image[450] = 0x83;
        image[446] = 0x80;
        assert_eq!(table(&image), (true, None));
        image[82..85].copy_from_slice(b"FAT");
        assert_eq!(table(&image), (false, None));
        image[4096..4104].copy_from_slice(b"EFI PART");
        assert_eq!(table(&image), (true, Some(4096)));
        image[512..520].copy_from_slice(b"EFI PART");
        assert_eq!(table(&image), (true, Some(512)));
    }
}
