//! `snugfs stamp`: fills slots of a finished image or card. `image-stamp` plans the changes.

mod devices;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use device_flash::System;
use image_assembly::NewFile;
use image_reader::{FileSystem, Image, Overview, ReadError, Volume};
use image_stamp::{Fill, Slot, Stamp, StampError};
use image_tree::{Explain, MAX_SLOT, escaped, io_reason, to_u64};
use rayon::prelude::*;
use snugfs_core::{Failure, FailureKind, Problem, human, shown};

use self::devices::Device;
use crate::cli::{StampArgs, misuse};
use crate::messages::Messages;
use crate::signals;

/// The slot that something is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    partition: Option<u32>,
    path: Vec<u8>,
}

impl Target {
    /// Parses `/path` or `2:/path`.
    fn parse(text: &[u8]) -> Option<Self> {
        let slash = text.iter().position(|byte| *byte == b'/')?;
        let (before, path) = text.split_at_checked(slash)?;
        let partition = match before {
            [] => None,
            [digits @ .., b':'] => Some(std::str::from_utf8(digits).ok()?.parse().ok()?),
            _ => return None,
        };
        Some(Self { partition, path: path.to_vec() })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(partition) = self.partition {
            write!(f, "{partition}:")?;
        }
        write!(f, "{}", escaped(&self.path))
    }
}

/// Where contents come from.
#[derive(Clone, Debug)]
enum Given {
    Bytes(Vec<u8>),
    File(PathBuf),
    Stdin,
}

/// A slot, and what it gets.
#[derive(Clone, Debug)]
pub(crate) struct Filling {
    target: Target,
    given: Given,
}

/// Runs the command.
pub(crate) fn run(args: &StampArgs, messages: &Messages) -> Result<(), Failure> {
    let started = Instant::now();
    let fillings = args.slots.iter().map(|word| filling(word)).collect::<Result<Vec<_>, _>>()?;
    if fillings.iter().filter(|filling| matches!(filling.given, Given::Stdin)).count() > 1 {
        return Err(misuse(
            "command line",
            "standard input can't fill two slots",
            "name a file for one of them",
        ));
    }
    let contents = fillings.iter().map(|filling| read(&filling.given)).collect::<Result<Vec<_>, _>>()?;
    let name = shown(&args.image);
    if let (Some(list), Some(folder)) = (&args.devices, &args.output_dir) {
        signals::remove_temporaries_on_signals();
        let devices = devices::read(list)?;
        let count = images(args, &devices, (&fillings, &contents), folder)?;
        let seconds = started.elapsed().as_secs_f64();
        messages.note(&shown(folder), format!("{}, {seconds:.2} s", human::counted(count, "image")));
        return Ok(());
    }
    refuse_in_use(&args.image)?;
    let file = image_stamp::open(&args.image).map_err(|error| unopened(&name, &error))?;
    let base = Base::open(&name, &file)?;
    let found = fillings.iter().map(|filling| base.find(&filling.target)).collect::<Result<Vec<_>, _>>()?;
    let stamps = base.stamp(&found.iter().collect::<Vec<_>>(), &contents)?;
    let bytes = stamps.apply(&file, true).map_err(|error| unwritten(&name, &error))?;
    let slots = human::counted(to_u64(fillings.len()), "slot");
    messages.note(&name, format!("{slots}, {} written", human::counted(bytes, "byte")));
    Ok(())
}

/// Parses `PATH=FILE`. The path of a slot may have equals signs only after the first.
fn filling(word: &OsStr) -> Result<Filling, Failure> {
    let bytes = word.as_bytes();
    let cut = bytes.iter().position(|byte| *byte == b'=');
    let parsed = cut.and_then(|cut| {
        let (target, file) = bytes.split_at_checked(cut)?;
        Some((Target::parse(target)?, file.get(1..)?))
    });
    let Some((target, file)) = parsed else {
        let what = format!("{} does not name a slot and a file", shown(Path::new(word)));
        return Err(misuse("command line", what, "write /PATH=FILE, or 2:/PATH=FILE for partition 2"));
    };
    let given = match file {
        b"" => Given::Bytes(Vec::new()),
        b"-" => Given::Stdin,
        file => Given::File(OsStr::from_bytes(file).into()),
    };
    Ok(Filling { target, given })
}

/// Reads contents: a byte more than the largest slot has is enough to refuse them.
fn read(given: &Given) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let (name, outcome) = match given {
        Given::Bytes(bytes) => return Ok(bytes.clone()),
        Given::Stdin => ("standard input".to_owned(), io::stdin().take(MAX_SLOT + 1).read_to_end(&mut bytes)),
        Given::File(path) => {
            let outcome = File::open(path).and_then(|file| {
                let length = file.metadata()?.len();
                // So that the message has the whole length.
                if length > MAX_SLOT { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(file) }
            });
            (shown(path), outcome.and_then(|file| file.take(MAX_SLOT + 1).read_to_end(&mut bytes)))
        }
    };
    match outcome {
        Ok(_) if to_u64(bytes.len()) <= MAX_SLOT => Ok(bytes),
        Ok(_) => Err(too_large(&name)),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(too_large(&name)),
        Err(error) => {
            Err(Failure::new(FailureKind::Source, name, io_reason(&error), "name a file that can be read"))
        }
    }
}

fn too_large(name: &str) -> Failure {
    let what = format!("is longer than {MAX_SLOT} bytes, the most that a slot has");
    Failure::new(FailureKind::Fit, name, what, "shorten it")
}

fn unopened(name: &str, error: &io::Error) -> Failure {
    let help = match error.kind() {
        io::ErrorKind::ResourceBusy => "unmount it",
        io::ErrorKind::NotFound => "name an image or a device",
        _ => "name an image or a device that you may write to",
    };
    Failure::new(FailureKind::Output, name, format!("can't be opened: {}", io_reason(error)), help)
}

fn unwritten(name: &str, error: &io::Error) -> Failure {
    let what = format!("can't be written: {}", io_reason(error));
    Failure::new(FailureKind::Output, name, what, "run the same command again")
}

/// Fails if a device is in use, or if a loop device that is in use has the file.
fn refuse_in_use(image: &Path) -> Result<(), Failure> {
    let in_use = |by: &str| {
        Failure::new(
            FailureKind::Output,
            shown(image),
            format!("is in use: {by}"),
            "unmount it, then stamp it",
        )
    };
    let system = System::default();
    let Ok(path) = image.canonicalize() else { return Ok(()) };
    for disk in system.disks() {
        let is_it = path == disk.path() || (disk.connection == "loop" && Path::new(&disk.model) == path);
        if let (true, Some(used)) = (is_it, disk.uses.first()) {
            return Err(in_use(&used.to_string()));
        }
    }
    Ok(())
}

/// An image whose slots are filled, or the image of which clones get them.
struct Base {
    name: String,
    overview: Overview,
}

/// The changes of an image: the start of each volume in \[bytes\], and what is stamped there.
struct Stamps(Vec<(u64, Stamp)>);

impl Stamps {
    /// Writes the changes; returns how many \[bytes\].
    fn apply(&self, file: &File, sync: bool) -> io::Result<u64> {
        let mut bytes = 0_u64;
        for (start, stamp) in &self.0 {
            stamp.apply(file, *start, sync)?;
            bytes = bytes.saturating_add(stamp.bytes());
        }
        Ok(bytes)
    }
}

fn start_of(volume: &Volume) -> u64 {
    volume.partition.as_ref().map_or(0, |partition| partition.start)
}

impl Base {
    fn open(name: &str, file: &File) -> Result<Self, Failure> {
        let unread = |error: ReadError| Failure::of_image(name, &error);
        let own = file.try_clone().map_err(|error| unopened(name, &error))?;
        let image = Image::uncompressed(own).map_err(unread)?;
        let overview = Overview::read(&image).map_err(unread)?;
        Ok(Self { name: name.to_owned(), overview })
    }

    /// The failure of a slot.
    fn failed(&self, error: &StampError) -> Failure {
        let kind = match error {
            StampError::TooLong { .. } | StampError::NoClusters { .. } => FailureKind::Fit,
            StampError::Read(error) => return Failure::of_image(&self.name, error),
            _ => FailureKind::Source,
        };
        Failure::of(kind, Problem::from(error.explain()).within(&self.name))
    }

    /// Plans all changes. Each slot comes with the start of its volume in \[bytes\].
    fn stamp(&self, slots: &[&(u64, Slot)], contents: &[Vec<u8>]) -> Result<Stamps, Failure> {
        for (index, (start, slot)) in slots.iter().enumerate() {
            if slots.iter().take(index).any(|(other, before)| other == start && before.path == slot.path) {
                let what = format!("{} is given twice", escaped(&slot.path));
                return Err(misuse("command line", what, "name each slot once"));
            }
        }
        let mut stamps = Vec::new();
        for volume in &self.overview.volumes {
            let start = start_of(volume);
            let fills = slots.iter().zip(contents).filter(|((of, _), _)| *of == start);
            let fills: Vec<_> = fills.map(|((_, slot), contents)| Fill { slot, contents }).collect();
            if let (false, Ok(fs)) = (fills.is_empty(), volume.file_system()) {
                let stamp = Stamp::plan(fs, &fills).map_err(|error| self.failed(&error))?;
                stamps.push((start, stamp));
            }
        }
        Ok(Stamps(stamps))
    }

    /// The slot, and the start of its volume in \[bytes\].
    fn find(&self, target: &Target) -> Result<(u64, Slot), Failure> {
        let unread = |error: ReadError| Failure::of_image(&self.name, &error);
        if let Some(number) = target.partition {
            let (volume, _) = self.overview.choose(Some(number)).map_err(unread)?;
            let fs = volume.file_system().map_err(unread)?;
            let slot = image_stamp::find(fs, &target.path).map_err(|error| self.failed(&error))?;
            return Ok((start_of(volume), slot));
        }
        let mut found = Vec::new();
        let mut error = None;
        for (volume, fs) in self.file_systems() {
            match image_stamp::find(fs, &target.path) {
                Ok(slot) => found.push((volume, slot)),
                // That it is no slot says more than that it is nowhere.
                Err(new) => match (&error, &new) {
                    (Some(StampError::NotASlot { .. }), StampError::Read(_)) => {}
                    _ => error = Some(new),
                },
            }
        }
        let several = found.len() > 1;
        match (found.into_iter().next(), error) {
            (Some((volume, _)), _) if several => {
                let number = volume.partition.as_ref().map_or(1, |partition| partition.number);
                let what = format!("{target} is a slot of several partitions");
                let help = format!("put the number of one before it, as in {number}:{target}");
                Err(Failure::new(FailureKind::Usage, &*self.name, what, help))
            }
            (Some((volume, slot)), _) => Ok((start_of(volume), slot)),
            (None, Some(error)) => Err(self.failed(&error)),
            // The error of the only volume says why nothing can be read.
            (None, None) => match self.overview.choose(None).and_then(|(volume, _)| volume.file_system()) {
                Err(error) => Err(unread(error)),
                Ok(_) => Err(unread(ReadError::NoFileSystem)),
            },
        }
    }

    fn file_systems(&self) -> impl Iterator<Item = (&Volume, &FileSystem)> {
        self.overview.volumes.iter().filter_map(|volume| Some((volume, volume.file_system().ok()?)))
    }
}

/// Makes an image for each device; returns how many.
fn images(
    args: &StampArgs,
    devices: &[Device],
    (fillings, contents): (&[Filling], &[Vec<u8>]),
    folder: &Path,
) -> Result<u64, Failure> {
    let name = shown(&args.image);
    let file = File::open(&args.image).map_err(|error| unopened(&name, &error))?;
    if !file.metadata().map_err(|error| unopened(&name, &error))?.is_file() {
        return Err(misuse(name, "is not a regular file, so it can't be cloned", "name an image"));
    }
    let base = Base::open(&name, &file)?;
    std::fs::create_dir_all(folder).map_err(|error| unwritten(&shown(folder), &error))?;
    // Once for all devices: their lists have the same slots.
    let mut found = HashMap::new();
    for Filling { target, .. } in fillings.iter().chain(devices.iter().flat_map(|device| &device.slots)) {
        if !found.contains_key(target) {
            found.insert(target.clone(), base.find(target)?);
        }
    }
    let end = args.image.extension().unwrap_or(OsStr::new("img"));
    let image = |device: &Device| {
        let target =
            folder.join([OsStr::new(&device.name), OsStr::new("."), end].into_iter().collect::<OsString>());
        let shown_target = shown(&target);
        let mut bytes = contents.to_vec();
        for filling in &device.slots {
            bytes.push(read(&filling.given)?);
        }
        let all = fillings.iter().chain(&device.slots);
        let slots: Vec<_> = all.filter_map(|filling| found.get(&filling.target)).collect();
        let stamps = base.stamp(&slots, &bytes).map_err(|failure| about(failure, &device.name))?;
        // Each thread has a position of its own in the file.
        let write = || {
            let from = File::open(&args.image)?;
            let new = NewFile::create(&target)?;
            image_stamp::clone_file(&from, new.file())?;
            stamps.apply(new.file(), false)?;
            new.publish(args.sync)
        };
        write().map_err(|error| unwritten(&shown_target, &error))
    };
    let outcome: Vec<_> = devices.par_iter().map(image).collect();
    // The first failure in the order of the list, so that the message does not depend on threads.
    outcome.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(to_u64(devices.len()))
}

/// The same failure, with the name of a device before it.
fn about(failure: Failure, device: &str) -> Failure {
    let problems = failure.problems.into_iter().map(|problem| problem.within(device));
    Failure::all(failure.kind, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_a_path_and_may_have_a_partition() {
        let target = |partition, path: &str| Some(Target { partition, path: path.as_bytes().to_vec() });
        assert_eq!(Target::parse(b"/a:b/c"), target(None, "/a:b/c"));
        assert_eq!(Target::parse(b"2:/a"), target(Some(2), "/a"));
        for wrong in ["", "a", "2:a", "x:/a", ":/a", "-1:/a"] {
            assert_eq!(Target::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
