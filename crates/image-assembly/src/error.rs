use std::io;
use std::path::Path;

use image_tree::{ContentsError, Explain, Explanation, explained_errors, io_reason, shown};

use crate::{PieceError, Rejection};

/// What sort of mistake an error is; the program's exit codes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A source can't be read, or changed while it was.
    Source,
    /// The output can't be written.
    Output,
    /// A bug of this program.
    Internal,
}

/// Why an image was not written. Paths are already escaped for one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum AssemblyError {
    /// A file of the image can't be opened, or is not what the tree describes.
    Source(ContentsError),
    /// Reading a file of the image failed, though it passes its check.
    Unreadable {
        /// As [`Contents::shown`](image_tree::Contents::shown) names it.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file of the image gave fewer bytes than its length.
    Ended {
        /// As [`Contents::shown`](image_tree::Contents::shown) names it.
        path: String,
    },
    /// The system does not take the output.
    Output {
        /// The output, or `standard output`.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The output is something that an image does not go into.
    Refused {
        /// The output.
        path: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// An observer or the validator rejects the image.
    Rejected(Rejection),
    /// The pieces do not make an image.
    Pieces(PieceError),
    /// The compressor gets no thread or no memory.
    Compressor(io::Error),
}

/// What speaks against an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A directory has the name.
    Directory,
    /// A socket has the name.
    Socket,
    /// The path ends in `/` or `..`.
    NoName,
    /// The folder to write into is missing, or is none.
    NoFolder,
    /// Symlinks lead in a circle.
    SymlinkLoop,
    /// A block device is written only when asked for by name.
    UnaskedDevice,
    /// A device was asked for, and nothing has the name.
    NoDevice,
    /// A device was asked for, and something else has the name.
    NotADevice,
    /// Mounted, or opened by someone for himself.
    DeviceInUse,
    /// The image is longer than the device.
    DeviceTooSmall {
        /// The device's length in \[bytes\].
        has: u64,
        /// The image's length in \[bytes\].
        needs: u64,
    },
    /// The partition table would stand where nobody looks for it.
    OtherSectors {
        /// The device's, in \[bytes\].
        has: u32,
        /// The image's, in \[bytes\].
        needs: u32,
    },
    /// A device gave back other bytes than it got.
    Unfaithful,
    /// A device holds the image itself.
    CompressedDevice,
    /// A stream can't be read again, and a validator would have to.
    Stream,
}

impl AssemblyError {
    /// What sort of mistake this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Source(error) if error.is_internal() => ErrorKind::Internal,
            Self::Source(_) | Self::Unreadable { .. } | Self::Ended { .. } | Self::Rejected(_) => {
                ErrorKind::Source
            }
            Self::Output { .. } | Self::Refused { .. } => ErrorKind::Output,
            Self::Pieces(_) | Self::Compressor(_) => ErrorKind::Internal,
        }
    }

    /// The system's refusal of an output.
    pub(crate) fn output(path: &Path, error: impl Into<io::Error>) -> Self {
        Self::Output { path: shown(path), error: error.into() }
    }

    /// What stopped a stream: the system has a number for its refusals, the compressor has none.
    pub(crate) fn sink(path: &Path, error: io::Error) -> Self {
        let is_of_system = error.raw_os_error().is_some() || error.kind() != io::ErrorKind::Other;
        if is_of_system { Self::output(path, error) } else { Self::Compressor(error) }
    }

    /// Our own refusal of an output.
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
                "ended before its length",
                "leave the sources alone while an image is built",
            ),
            Self::Output { path, error } => {
                Explanation::new(path, format!("can't be written: {}", io_reason(error)), advice(error))
            }
            Self::Refused { path, refusal } => refusal.explain().about(path),
            Self::Rejected(reason) => Explanation::new("", reason.to_string(), ""),
            Self::Pieces(error) => {
                Explanation::new("the layout", error.to_string(), "please report this as a bug")
            }
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
            Self::Directory => ("exists as a directory", "choose another name"),
            Self::Socket => ("exists as a socket", "choose another name"),
            Self::NoName => ("names a folder", "add a file name"),
            Self::NoFolder => ("its folder does not exist", "create it first"),
            Self::SymlinkLoop => ("its symlinks lead in a circle", "remove them"),
            Self::UnaskedDevice => ("is a block device", "ask for a device to overwrite it"),
            Self::NoDevice => ("no such device", "name one, or ask for a file"),
            Self::NotADevice => ("is no block device", "name one, or ask for a file"),
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

/// What to do about an output that the system does not take.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space or choose another place"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a place that you may write to"
        }
        io::ErrorKind::FileTooLarge => "choose a file system that holds files of this length",
        io::ErrorKind::BrokenPipe => "see why its reader ended early",
        _ => "choose another place",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_place_mistake_and_remedy() {
        let full = AssemblyError::output(Path::new("/a\nb"), io::Error::from_raw_os_error(28));
        assert_eq!(
            full.to_string(),
            "/a\\x0ab: can't be written: no space left on device; free some space or choose another place"
        );
        assert_eq!(full.kind(), ErrorKind::Output);
        let small = Refusal::DeviceTooSmall { has: 4096, needs: 8192 };
        assert_eq!(
            AssemblyError::refused(Path::new("/dev/x"), small).to_string(),
            "/dev/x: holds 4096 bytes, the image needs 8192; use a larger device"
        );
        let silent =
            AssemblyError::sink(Path::new("/a"), io::Error::other("Allocation error : not enough memory"));
        assert!(
            silent.to_string().starts_with("the compressor: allocation error : not enough memory; ask for")
        );
        let full = AssemblyError::sink(Path::new("/a"), io::Error::from_raw_os_error(28));
        assert_eq!(full.kind(), ErrorKind::Output);
        let ended = AssemblyError::Ended { path: "/s".into() };
        assert_eq!(ended.kind(), ErrorKind::Source);
    }
}
