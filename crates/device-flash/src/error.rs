use std::io;

use image_tree::{Explain, Explanation, explained_errors, io_reason};
use rustix::io::Errno;

/// The error if an image could not be written to a device.
#[derive(Debug)]
#[non_exhaustive]
pub enum FlashError {
    /// The target is not suitable.
    Refused {
        /// The target.
        path: String,
        /// The reason.
        refusal: TargetRefusal,
    },
    /// The target can't be opened.
    Open {
        /// The target.
        path: String,
        /// The error of the system.
        error: io::Error,
    },
    /// The image is longer than the device.
    TooLong {
        /// The device's length in \[bytes\].
        capacity: u64,
    },
    /// The image has no bytes.
    Empty,
    /// The device was removed.
    Removed {
        /// The offset of the first byte that was not reached, in \[bytes\].
        at: u64,
    },
    /// The device refuses a write.
    Write {
        /// The offset in \[bytes\].
        at: u64,
        /// The error of the system.
        error: io::Error,
    },
    /// What was written can't be read back.
    Unreadable {
        /// The offset in \[bytes\].
        at: u64,
        /// The error of the system.
        error: io::Error,
    },
    /// What was written reads back as other bytes.
    Unfaithful {
        /// The offset of the first piece that differs, in \[bytes\].
        at: u64,
        /// The length of the piece in \[bytes\].
        length: u64,
    },
    /// A part that was not written changed when other parts were: several addresses of the device have the same storage.
    Aliased {
        /// The offset of the part, in \[bytes\].
        at: u64,
    },
}

/// The reason why a target is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetRefusal {
    /// It does not exist.
    Missing,
    /// It is neither a block device nor a regular file.
    NotADevice,
    /// It has no medium, or no length.
    Empty,
    /// It is write-protected.
    ReadOnly,
    /// It is in use.
    InUse {
        /// How.
        by: String,
    },
    /// It is a fixed disk.
    Fixed,
    /// It is a partition, but the image is a whole disk.
    Partition {
        /// The path of the disk.
        disk: String,
    },
    /// The device is smaller than the image.
    TooSmall {
        /// The device's length in \[bytes\].
        has: u64,
        /// The image's length in \[bytes\].
        needs: u64,
    },
    /// The sector size of the device is not that of the image's partition table.
    OtherSectors {
        /// Sector size of the device in \[bytes\].
        has: u32,
        /// Sector size of the image in \[bytes\].
        needs: u32,
    },
}

impl FlashError {
    /// An error of the system at an offset in \[bytes\]: the device was removed, or what `otherwise` makes of it.
    pub(crate) fn at(at: u64, error: io::Error, otherwise: fn(u64, io::Error) -> Self) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NODEV | Errno::NXIO | Errno::NOMEDIUM) => Self::Removed { at },
            _ => otherwise(at, error),
        }
    }

    pub(crate) fn write(at: u64, error: io::Error) -> Self {
        Self::at(at, error, |at, error| Self::Write { at, error })
    }

    pub(crate) fn unreadable(at: u64, error: io::Error) -> Self {
        Self::at(at, error, |at, error| Self::Unreadable { at, error })
    }
}

/// The device does not look whole after these errors.
const AGAIN: &str = "run the same command again to go on";

impl Explain for FlashError {
    fn explain(&self) -> Explanation {
        let (what, help) = match self {
            Self::Refused { path, refusal } => return refusal.explain().about(path),
            Self::Open { path, error } => {
                let help = match error.kind() {
                    io::ErrorKind::PermissionDenied => "run as root, or as a member of the device's group",
                    _ => "check the device",
                };
                return Explanation::new(path, format!("can't be opened: {}", io_reason(error)), help);
            }
            Self::TooLong { capacity } => {
                (format!("holds {capacity} bytes, and the image is longer"), "use a larger device")
            }
            Self::Empty => ("was not written: the image is empty".to_owned(), "name an image"),
            Self::Removed { at } => (format!("was removed; it was written up to byte {at}"), AGAIN),
            Self::Write { at, error } => (
                format!("can't be written at byte {at}: {}", io_reason(error)),
                "it may be broken; try again, or use another",
            ),
            Self::Unreadable { at, error } => (
                format!("can't be read back at byte {at}: {}", io_reason(error)),
                "it is probably broken; use another",
            ),
            Self::Unfaithful { at, length } => (
                format!("returns other bytes than were written, in the {length} bytes from byte {at}"),
                "it is broken, or smaller than it claims; use another",
            ),
            Self::Aliased { at } => (
                format!("returns other bytes at byte {at} since bytes elsewhere were written"),
                "it is smaller than it claims; use another",
            ),
        };
        Explanation::new("", what, help)
    }
}

impl Explain for TargetRefusal {
    fn explain(&self) -> Explanation {
        let (what, help) = match self {
            Self::Missing => ("does not exist".to_owned(), "list devices with `snugfs flash --list`"),
            Self::NotADevice => {
                ("is neither a block device nor a file".to_owned(), "list devices with `snugfs flash --list`")
            }
            Self::Empty => ("has no medium or no length".to_owned(), "insert a card"),
            Self::ReadOnly => {
                ("is write-protected".to_owned(), "check the switch on the card or its adapter")
            }
            Self::InUse { by } => (format!("is in use: {by}"), "unmount or stop it first"),
            Self::Fixed => ("is not removable".to_owned(), "to overwrite a fixed disk, add --fixed-disk"),
            Self::Partition { disk } => {
                return Explanation::new(
                    "",
                    "is a partition, and the image is a whole disk",
                    format!("name the disk, {disk}"),
                );
            }
            Self::TooSmall { has, needs } => {
                (format!("holds {has} bytes, the image needs {needs}"), "use a larger device")
            }
            Self::OtherSectors { has, needs } => (
                format!("has sectors of {has} bytes, the image's partition table counts in {needs}"),
                "set plan.disk.sectorSize, or use another device",
            ),
        };
        Explanation::new("", what, help)
    }
}

explained_errors!(FlashError, TargetRefusal);
