//! An image for each device of a list: clones of a base, which are stamped.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use image_assembly::{Identity, NewFile};
use image_tree::{Inode, io_reason, to_u64};
use rayon::prelude::*;
use snugfs_core::{Failure, FailureKind, shown};

use super::devices::Device;
use super::{Base, Filling, Given, read, unopened, unread};
use crate::cli::{StampArgs, misuse};

/// The list of devices, and what the command line says.
pub(super) struct Clones<'a> {
    pub(super) args: &'a StampArgs,
    pub(super) list: &'a Path,
    pub(super) devices: &'a [Device],
    /// What every image gets.
    pub(super) fillings: &'a [Filling],
    pub(super) contents: &'a [Vec<u8>],
    /// The folder of the images.
    pub(super) folder: &'a Path,
}

impl Clones<'_> {
    /// Makes an image for each device; returns how many.
    pub(super) fn make(&self) -> Result<u64, Failure> {
        let (image, folder) = (&self.args.image, self.folder);
        let name = shown(image);
        let unopened = |error: &io::Error| unopened(&name, error);
        // Looked at before it is opened, because opening a FIFO waits for a writer.
        if !std::fs::metadata(image).map_err(|error| unopened(&error))?.is_file() {
            return Err(misuse(name, "is not a regular file, so it can't be cloned", "name an image"));
        }
        let file = File::open(image).map_err(|error| unopened(&error))?;
        let base = Base::open(&name, &file)?;
        let slots = base.slots();
        // Once for all devices: their lists have the same slots.
        let mut found = HashMap::new();
        let of_devices = self.devices.iter().flat_map(|device| &device.slots);
        for Filling { target, .. } in self.fillings.iter().chain(of_devices) {
            if !found.contains_key(target) {
                found.insert(target.clone(), slots.find(target)?);
            }
        }
        self.check_outputs(&file)?;
        std::fs::create_dir_all(folder).map_err(|error| unwritten(&shown(folder), &error))?;
        let make = |device: &Device| {
            let target = self.target(device);
            let mut bytes = self.contents.to_vec();
            for filling in &device.slots {
                bytes.push(read(&filling.given)?);
            }
            let all = self.fillings.iter().chain(&device.slots);
            let slots: Vec<_> = all.filter_map(|filling| found.get(&filling.target)).collect();
            let stamps = base.stamp(&slots, &bytes).map_err(|failure| about(failure, &device.name))?;
            let write = || {
                let new = NewFile::create(&target)?;
                image_stamp::clone_file(&file, new.file())?;
                stamps.apply(new.file(), false)?;
                new.publish(self.args.sync)
            };
            write().map_err(|error| unwritten(&shown(&target), &error))
        };
        let outcome: Vec<_> = self.devices.par_iter().map(make).collect();
        // The first failure in the order of the list, so that the message does not depend on threads.
        outcome.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(to_u64(self.devices.len()))
    }

    /// The image of a device.
    fn target(&self, device: &Device) -> PathBuf {
        let end = self.args.image.extension().unwrap_or(OsStr::new("img"));
        self.folder.join([OsStr::new(&device.name), OsStr::new("."), end].into_iter().collect::<OsString>())
    }

    /// Fails if an image would replace an input, or if an input does not exist, before anything is written.
    fn check_outputs(&self, base: &File) -> Result<(), Failure> {
        let mut inputs = HashMap::new();
        let mut add = |found: io::Result<std::fs::Metadata>, what: &str| {
            found.map(|found| {
                inputs.insert(Inode { device: found.dev(), number: found.ino() }, what.to_owned());
            })
        };
        let of = |path: &Path| std::fs::metadata(path);
        add(base.metadata(), "the image that is cloned")
            .map_err(|error| unopened(&shown(&self.args.image), &error))?;
        // It was read already; if it is gone since, it can't be replaced.
        let _ = add(of(self.list), "the list of devices");
        let _ = add(of(Path::new("/dev/stdin")), "standard input");
        let _ = add(of(Path::new("/dev/stderr")), "the messages");
        let of_devices = self.devices.iter().flat_map(|device| &device.slots);
        for filling in self.fillings.iter().chain(of_devices) {
            if let Given::File(path) = &filling.given {
                let what = format!("the contents of {}", filling.target);
                add(of(path), &what).map_err(|error| unread(&shown(path), &error))?;
            }
        }
        for device in self.devices {
            let target = self.target(device);
            let file = Identity::of_path(&target).file();
            if let Some(what) = file.and_then(|file| inputs.get(&file)) {
                let what = format!("{} is also {what}", shown(&target));
                return Err(misuse("--output-dir", what, "choose another folder, or rename the device"));
            }
        }
        Ok(())
    }
}

fn unwritten(name: &str, error: &io::Error) -> Failure {
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space or choose another folder"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to"
        }
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "name a folder",
        io::ErrorKind::InvalidFilename => "give the device a shorter name",
        io::ErrorKind::IsADirectory => "rename the directory or the device",
        io::ErrorKind::FileTooLarge => "choose a file system that holds files of this length",
        _ => "choose another folder",
    };
    Failure::new(FailureKind::Output, name, format!("can't be written: {}", io_reason(error)), help)
}

/// The same failure, with the name of a device before it.
fn about(failure: Failure, device: &str) -> Failure {
    let problems = failure.problems.into_iter().map(|problem| problem.within(device));
    Failure::all(failure.kind, problems)
}
