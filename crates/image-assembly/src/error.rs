use std::io;
use std::path::Path;

use image_tree::{ContentsError, Explain, Explanation, explained_errors, io_reason, shown};

use crate::sink::OutputError;
use crate::{PieceError, Rejection};

/// The kind of an error, which decides on a program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A source can't be read, or changed while it was read.
    Source,
    /// The output can't be written.
    Output,
    /// A bug.
    Internal,
}

/// The error if an image could not be written. Paths are escaped.
#[derive(Debug)]
#[non_exhaustive]
pub enum AssemblyError {
    /// A file of the image can't be opened, or differs from the tree.
    Source(ContentsError),
    /// A file of the image can't be read, although it did not change.
    Unreadable {
        /// As [`Contents::shown`](image_tree::Contents::shown) names it.
        path: String,
        /// The reason.
        error: io::Error,
    },
    /// A file of the image ended before its length.
    Ended {
        /// As [`Contents::shown`](image_tree::Contents::shown) names it.
        path: String,
    },
    /// The system refuses to write the output.
    Output {
        /// The output, or `standard output`.
        path: String,
        /// The error of the system.
        error: io::Error,
    },
    /// The output is not suitable for an image.
    Refused {
        /// The output.
        path: String,
        /// The reason.
        refusal: Refusal,
    },
    /// An observer or the validator rejects the image.
    Rejected(Rejection),
    /// The pieces don't form an image.
    Pieces(PieceError),
    /// A compressed frame that was kept can't be read again.
    StoredFrame(io::Error),
    /// The compressor can't start a thread or allocate memory.
    Compressor(io::Error),
}

/// The reason why an output is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The output is a directory.
    Directory,
    /// The output is a socket.
    Socket,
    /// The path ends with `/` or `..`.
    NoName,
    /// The folder does not exist, or is not a folder.
    NoFolder,
    /// The symlinks form a loop.
    SymlinkLoop,
    /// The output is a block device, but [`Target::File`](crate::Target::File) was given.
    UnaskedDevice,
    /// The device does not exist.
    NoDevice,
    /// [`Target::Device`](crate::Target::Device) was given, but the output is not a block device.
    NotADevice,
    /// The device is mounted, or opened exclusively by another program.
    DeviceInUse,
    /// The device is smaller than the image.
    DeviceTooSmall {
        /// The device's length in \[bytes\].
        has: u64,
        /// The image's length in \[bytes\].
        needs: u64,
    },
    /// The sector size of the device is not that of the partition table.
    OtherSectors {
        /// Sector size of the device in \[bytes\].
        has: u32,
        /// Sector size of the image in \[bytes\].
        needs: u32,
    },
    /// The bytes read back from a device differ from those written.
    Unfaithful,
    /// A device can't have a compressed image.
    CompressedDevice,
    /// A stream can't be read again, as the validator needs.
    Stream,
    /// The container's header is known only at its end, and a stream can't go back.
    PatchedStream,
    /// Hashes of the image are in it, and this kind of output can't go back.
    Patches,
}

impl AssemblyError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Source(error) if error.is_internal() => ErrorKind::Internal,
            Self::Source(_)
            | Self::Unreadable { .. }
            | Self::Ended { .. }
            | Self::Rejected(_)
            | Self::StoredFrame(_) => ErrorKind::Source,
            Self::Output { .. } | Self::Refused { .. } => ErrorKind::Output,
            Self::Pieces(_) | Self::Compressor(_) => ErrorKind::Internal,
        }
    }

    /// An error of the system when it writes an output.
    pub(crate) fn output(path: &Path, error: impl Into<io::Error>) -> Self {
        Self::Output { path: shown(path), error: error.into() }
    }

    /// An error when a stream is written. Errors of the output are marked, and those of the system have a kind; those of the
    /// compressor have neither.
    pub(crate) fn sink(path: &Path, error: io::Error) -> Self {
        let error = match error.downcast::<OutputError>() {
            Ok(OutputError(error)) => return Self::output(path, error),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::Other { Self::Compressor(error) } else { Self::output(path, error) }
    }

    /// An output that is refused.
    pub(crate) fn refused(path: &Path, refusal: Refusal) -> Self {
        Self::Refused { path: shown(path), refusal }
    }
}

impl Explain for AssemblyError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Source(error) => error.explain(),
            Self::Unreadable { path, error } => Explanation::new(
                path,
                format!("can't be read: {}", io_reason(error)),
                "check the disk that holds it",
            ),
            Self::Ended { path } => Explanation::new(
                path,
                "became shorter while it was read",
                "do not change the sources during the build",
            ),
            Self::Output { path, error } => {
                Explanation::new(path, format!("can't be written: {}", io_reason(error)), advice(error))
            }
            Self::Refused { path, refusal } => refusal.explain().about(path),
            Self::Rejected(reason) => Explanation::new("", reason.to_string(), ""),
            Self::Pieces(error) => {
                Explanation::new("the layout", error.to_string(), "please report this as a bug")
            }
            Self::StoredFrame(error) => Explanation::new(
                "a compressed frame that was kept",
                format!("can't be read: {}", io_reason(error)),
                "leave out the cache, or check the disk that holds it",
            ),
            Self::Compressor(error) => Explanation::new(
                "the compressor",
                io_reason(error),
                "ask for a lower level or for fewer threads, or raise the limits of processes and memory \
                 (ulimit -u, ulimit -v)",
            ),
        }
    }
}

impl Explain for Refusal {
    fn explain(&self) -> Explanation {
        let (what, help) = match self {
            Self::Directory => ("is a directory", "choose another name"),
            Self::Socket => ("is a socket", "choose another name"),
            Self::NoName => ("names a folder", "add a file name"),
            Self::NoFolder => ("its folder does not exist", "create it first"),
            Self::SymlinkLoop => ("its symlinks form a loop", "remove them"),
            Self::UnaskedDevice => ("is a block device", "ask for a device to overwrite it"),
            Self::NoDevice => ("no such device", "name one, or ask for a file"),
            Self::NotADevice => ("is not a block device", "name one, or ask for a file"),
            Self::DeviceInUse => ("is mounted or in use", "unmount it first"),
            Self::DeviceTooSmall { has, needs } => {
                let what = format!("holds {has} bytes, the image needs {needs}");
                return Explanation::new("", what, "use a larger device");
            }
            Self::OtherSectors { has, needs } => {
                let what =
                    format!("has sectors of {has} bytes, the image's partition table counts in {needs}");
                return Explanation::new("", what, "use another device");
            }
            Self::Unfaithful => (
                "gives back other bytes than were written to it",
                "it is broken or smaller than it says, use another",
            ),
            Self::CompressedDevice => {
                ("is a device, which can't hold a compressed image", "leave out the compression")
            }
            Self::Stream => ("can't be read again, so it can't be checked", "write to a file"),
            Self::PatchedStream => (
                "is a stream, but the header of this format is written last",
                "write to a file, then copy that",
            ),
            Self::Patches => {
                ("can't go back to hashes that are known only at the end", "write to a regular file")
            }
        };
        Explanation::new("", what, help)
    }
}

explained_errors!(AssemblyError, Refusal);

impl From<ContentsError> for AssemblyError {
    fn from(error: ContentsError) -> Self {
        Self::Source(error)
    }
}

impl From<PieceError> for AssemblyError {
    fn from(error: PieceError) -> Self {
        Self::Pieces(error)
    }
}

/// Of several errors, the one at the lowest place.
#[derive(Debug, Default)]
pub(crate) struct FirstError(Option<(u64, AssemblyError)>);

impl FirstError {
    /// Adds the error at a place. Of two at one place, the first stays.
    pub(crate) fn add(&mut self, place: u64, error: AssemblyError) {
        match &self.0 {
            Some((lowest, _)) if *lowest <= place => {}
            _ => self.0 = Some((place, error)),
        }
    }

    /// Whether there is an error.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Fails with the error, if there is one.
    pub(crate) fn take(&mut self) -> Result<(), AssemblyError> {
        self.0.take().map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// What to do if the system refuses to write an output.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space or choose another place"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a place that you may write to"
        }
        io::ErrorKind::FileTooLarge => "choose a file system that holds files of this length",
        // Of a container.
        io::ErrorKind::InvalidData => "choose another format",
        io::ErrorKind::BrokenPipe => "see why its reader ended early",
        _ => "choose another place",
    }
}

#[cfg(test)]
mod tests;
