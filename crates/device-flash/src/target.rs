//! Opens a device or a file to write to, or refuses it.

use std::fs::{self, File};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use image_tree::shown;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::block_devices::{BlockDevice, System};
use crate::error::{FlashError, TargetRefusal};
use crate::medium::DeviceFile;

/// What the caller knows of the image and allows.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Target {
    /// Length of the image in \[bytes\], if it is known.
    pub length: Option<u64>,
    /// The sector size of its partition table in \[bytes\], if it is known.
    pub sector: Option<u32>,
    /// Whether the image has a partition table, so that it needs a whole disk.
    pub is_disk: bool,
    /// Whether a fixed disk may be overwritten.
    pub allows_fixed: bool,
}

impl Target {
    /// Sets the length in \[bytes\].
    #[must_use]
    pub fn length(self, length: Option<u64>) -> Self {
        Self { length, ..self }
    }

    /// Sets the sector size in \[bytes\].
    #[must_use]
    pub fn sector(self, sector: Option<u32>) -> Self {
        Self { sector, ..self }
    }

    /// Sets whether the image has a partition table.
    #[must_use]
    pub fn is_disk(self, is_disk: bool) -> Self {
        Self { is_disk, ..self }
    }

    /// Sets whether a fixed disk may be overwritten.
    #[must_use]
    pub fn allows_fixed(self, allows_fixed: bool) -> Self {
        Self { allows_fixed, ..self }
    }

    /// Fails if the device must not be overwritten: it is in use, fixed, write-protected, too small. For a regular file, `None`
    /// is returned; a device is described.
    ///
    /// # Errors
    /// If the device is refused.
    pub fn check(self, path: &Path, system: &System) -> Result<Option<BlockDevice>, FlashError> {
        let refused = |refusal| FlashError::Refused { path: shown(path), refusal };
        let found = fs::metadata(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => refused(TargetRefusal::Missing),
            _ => FlashError::Open { path: shown(path), error },
        })?;
        let too_small = |has: u64| {
            let needs = self.length.filter(|&needs| needs > has)?;
            Some(refused(TargetRefusal::TooSmall { has, needs }))
        };
        if found.is_file() {
            if found.len() == 0 {
                return Err(refused(TargetRefusal::Empty));
            }
            return too_small(found.len()).map_or(Ok(None), Err);
        }
        if !found.file_type().is_block_device() {
            return Err(refused(TargetRefusal::NotADevice));
        }
        let Some((disk, partition)) = system.disk_of(found.rdev()) else {
            // Without sysfs, nothing is known of it; opening it exclusively still refuses one that is in use.
            return if self.allows_fixed { Ok(None) } else { Err(refused(TargetRefusal::Fixed)) };
        };
        let disk = system.disk(&disk);
        if partition.is_some() && self.is_disk {
            return Err(refused(TargetRefusal::Partition { disk: shown(&disk.path()) }));
        }
        let uses = disk.uses.iter().filter(|used| partition.as_ref().is_none_or(|name| used.is_of(name)));
        let uses: Vec<_> = uses.map(ToString::to_string).collect();
        if !uses.is_empty() {
            return Err(refused(TargetRefusal::InUse { by: uses.join(", ") }));
        }
        if disk.bytes == 0 {
            return Err(refused(TargetRefusal::Empty));
        }
        if disk.read_only {
            return Err(refused(TargetRefusal::ReadOnly));
        }
        if !disk.removable && !self.allows_fixed {
            return Err(refused(TargetRefusal::Fixed));
        }
        if partition.is_none()
            && let Some(refusal) = too_small(disk.bytes)
        {
            return Err(refusal);
        }
        Ok(Some(disk))
    }
}

/// Opens a device exclusively, or a regular file.
///
/// # Errors
/// If it can't be opened, is in use, too small, or has other sectors.
pub fn open(path: &Path, target: Target) -> Result<DeviceFile, FlashError> {
    let refused = |refusal| FlashError::Refused { path: shown(path), refusal };
    let failed = |error: std::io::Error| FlashError::Open { path: shown(path), error };
    // For a block device, EXCL without CREATE fails while the device is mounted or otherwise in use (open(2)).
    let flags = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
    let fd = fd.map_err(|errno| match errno {
        Errno::BUSY => refused(TargetRefusal::InUse { by: "another program has opened it".into() }),
        Errno::ROFS => refused(TargetRefusal::ReadOnly),
        Errno::NOMEDIUM => refused(TargetRefusal::Empty),
        other => failed(other.into()),
    })?;
    let mut file = File::from(fd);
    let is_device = file.metadata().map_err(failed)?.file_type().is_block_device();
    if let (true, Some(needs)) = (is_device, target.sector) {
        let has = rustix::fs::ioctl_blksszget(&file).map_err(|errno| failed(errno.into()))?;
        if has != needs {
            return Err(refused(TargetRefusal::OtherSectors { has, needs }));
        }
    }
    let has = file.seek(SeekFrom::End(0)).map_err(failed)?;
    if has == 0 {
        return Err(refused(TargetRefusal::Empty));
    }
    if let Some(needs) = target.length.filter(|&needs| needs > has) {
        return Err(refused(TargetRefusal::TooSmall { has, needs }));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC | OFlags::NOCTTY;
    let direct = rustix::fs::open(path, flags, Mode::empty()).ok().map(File::from);
    Ok(DeviceFile::new(file, has, direct))
}
