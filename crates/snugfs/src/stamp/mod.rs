//! `snugfs stamp`: fills slots of a finished image or card. `image-stamp` plans the changes.

mod devices;
mod images;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use device_flash::System;
use image_assembly::Identity;
use image_reader::{Image, Overview, ReadError, Volume};
use image_stamp::{Fill, Finder, Slot, Stamp, StampError};
use image_tree::{Explain, MAX_SLOT, escaped, io_reason, to_u64};
use snugfs_core::{Failure, FailureKind, Problem, human, shown};

use self::images::Clones;
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
        let clones =
            Clones { args, list, devices: &devices, fillings: &fillings, contents: &contents, folder };
        let count = clones.make()?;
        let seconds = started.elapsed().as_secs_f64();
        messages.note(&shown(folder), format!("{}, {seconds:.2} s", human::counted(count, "image")));
        return Ok(());
    }
    refuse_other_files(&args.image)?;
    refuse_in_use(&args.image)?;
    let file = image_stamp::open(&args.image).map_err(|error| unopened(&name, &error))?;
    let base = Base::open(&name, &file)?;
    let slots = base.slots();
    let found = fillings.iter().map(|filling| slots.find(&filling.target)).collect::<Result<Vec<_>, _>>()?;
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
        Err(error) => Err(unread(&name, &error)),
    }
}

/// The failure of a file with contents.
fn unread(name: &str, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Source, name, io_reason(error), "name a file that can be read")
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
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, then run the same command again"
        }
        _ => "run the same command again",
    };
    Failure::new(FailureKind::Output, name, what, help)
}

/// Fails if the image is a FIFO, a terminal or another file without a length. One that does not exist is an error later.
fn refuse_other_files(image: &Path) -> Result<(), Failure> {
    let Ok(found) = std::fs::metadata(image).map(|found| found.file_type()) else { return Ok(()) };
    if found.is_file() || found.is_block_device() {
        return Ok(());
    }
    let what = "is neither a regular file nor a block device";
    Err(misuse(shown(image), what, "name an image or a device"))
}

/// Fails if a device is in use, or if a loop device that is in use has the file, whatever its name.
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
    let file = Identity::of_path(&path);
    for disk in system.disks() {
        // That of a loop device is the file behind it.
        let is_it = path == disk.path() || file.is(&Identity::of_path(&disk.path()));
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
            StampError::Twice { .. } => FailureKind::Usage,
            StampError::Read(error) => return Failure::of_image(&self.name, error),
            _ => FailureKind::Source,
        };
        Failure::of(kind, Problem::from(error.explain()).within(&self.name))
    }

    /// Plans all changes. Each slot comes with the start of its volume in \[bytes\].
    fn stamp(&self, slots: &[&(u64, Slot)], contents: &[Vec<u8>]) -> Result<Stamps, Failure> {
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

    /// Finds the slots.
    fn slots(&self) -> Slots<'_> {
        let volumes = self.overview.volumes.iter();
        let volumes = volumes.filter_map(|volume| Some((volume, Finder::new(volume.file_system().ok()?))));
        Slots { base: self, volumes: volumes.collect() }
    }
}

/// Finds the slots of an image.
struct Slots<'b> {
    base: &'b Base,
    /// The volumes with a file system that can be read.
    volumes: Vec<(&'b Volume, Finder<'b>)>,
}

impl Slots<'_> {
    /// The slot, and the start of its volume in \[bytes\].
    fn find(&self, target: &Target) -> Result<(u64, Slot), Failure> {
        let Self { base, volumes } = self;
        let unread = |error: &ReadError| Failure::of_image(&base.name, error);
        if let Some(number) = target.partition {
            let (volume, _) = base.overview.choose(Some(number)).map_err(|error| unread(&error))?;
            volume.file_system().map_err(|error| unread(&error))?;
            let (_, finder) = volumes
                .iter()
                .find(|(other, _)| std::ptr::eq(*other, volume))
                .expect("invariant: it has a file system");
            let slot = finder.find(&target.path).map_err(|error| base.failed(&error))?;
            return Ok((start_of(volume), slot));
        }
        let mut found = Vec::new();
        let mut error = None;
        for (volume, finder) in volumes {
            match finder.find(&target.path) {
                Ok(slot) => found.push((volume, slot)),
                Err(new) if error.as_ref().is_none_or(|old| weight(&new) >= weight(old)) => error = Some(new),
                Err(_) => {}
            }
        }
        let several = found.len() > 1;
        match (found.into_iter().next(), error) {
            (Some((volume, _)), _) if several => {
                let number = volume.partition.as_ref().map_or(1, |partition| partition.number);
                let what = format!("{target} is a slot of several partitions");
                let help = format!("put the number of one before it, as in {number}:{target}");
                Err(Failure::new(FailureKind::Usage, &*base.name, what, help))
            }
            (Some((volume, slot)), _) => Ok((start_of(volume), slot)),
            (None, Some(error)) => Err(base.failed(&error)),
            // The error of the only volume says why nothing can be read.
            (None, None) => match base.overview.choose(None).and_then(|(volume, _)| volume.file_system()) {
                Err(error) => Err(unread(&error)),
                Ok(_) => Err(unread(&ReadError::NoFileSystem)),
            },
        }
    }
}

/// How much an error of a volume says about a slot that is in none: that it is no slot says more than damage, and damage says
/// more than that it is not there.
fn weight(error: &StampError) -> u32 {
    match error {
        StampError::Read(ReadError::NotFound { .. }) => 0,
        StampError::Read(_) => 1,
        _ => 2,
    }
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
