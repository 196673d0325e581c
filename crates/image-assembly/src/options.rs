use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use reader_threads::READERS;

/// The file, device or stream that an image is written to. [`crate::Writer::write_to`] takes any other
/// [`Write`](std::io::Write).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A regular file, which appears complete or not at all. An existing file is replaced; symlinks are followed. An existing pipe or
    /// character device is written to.
    File(&'a Path),
    /// A block device, overwritten from its start.
    Device(&'a Path),
    /// Standard output, of any kind.
    Stdout,
}

/// Options of a write. Only the compression changes the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of threads that read, write and compress. Default: the number that can run at the same time.
    pub threads: NonZeroUsize,
    /// Maximum number of threads that read sources while they wait for a disk, if that is more than `threads`; each has up to
    /// 1 MiB, or 4 MiB with [`Framing::Units`]. Default: 32.
    pub readers: NonZeroUsize,
    /// Compression. Default: `None`.
    pub compression: Option<Compression>,
    /// Flushes a file and its name to the disk. Default: false. A device is always flushed.
    pub sync: bool,
    /// Reads a device again, bypassing the page cache, and compares it with the written bytes. Default: true.
    #[cfg(feature = "sha256")]
    pub read_back: bool,
    /// Logical sector size in \[bytes\] that the partition table assumes. Devices with another one are refused. Default: `None`, for
    /// any device.
    pub sector: Option<u32>,
    /// Hashes the (compressed) output while it is written; see [`Written::sha256`]. Default: false.
    #[cfg(feature = "sha256")]
    pub digest: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            readers: NonZeroUsize::new(READERS).unwrap_or(NonZeroUsize::MIN),
            compression: None,
            sync: false,
            #[cfg(feature = "sha256")]
            read_back: true,
            sector: None,
            #[cfg(feature = "sha256")]
            digest: false,
        }
    }
}

impl Options {
    pub(crate) fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    #[cfg_attr(
        not(feature = "sha256"),
        expect(clippy::unused_self, reason = "nothing is hashed without sha256")
    )]
    pub(crate) fn is_hashed(&self) -> bool {
        #[cfg(feature = "sha256")]
        let is_hashed = self.digest;
        #[cfg(not(feature = "sha256"))]
        let is_hashed = false;
        is_hashed
    }
}

/// How an image is compressed. Each format is a feature of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// With zstd.
    #[cfg(feature = "zstd")]
    Zstd {
        /// The level; 0 is zstd's default.
        level: i32,
        /// How the image is divided into frames.
        framing: Framing,
    },
    /// With gzip, as one member.
    #[cfg(feature = "gzip")]
    Gzip {
        /// 1 to 9; others are taken for the nearest.
        level: u32,
    },
    /// With xz, as one stream of several blocks.
    #[cfg(feature = "xz")]
    Xz {
        /// 0 to 9; others are taken for the nearest.
        level: u32,
    },
}

impl Compression {
    /// The name of the format: `zstd`, `gzip` or `xz`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd { .. } => "zstd",
            #[cfg(feature = "gzip")]
            Self::Gzip { .. } => "gzip",
            #[cfg(feature = "xz")]
            Self::Xz { .. } => "xz",
        }
    }
}

/// How an image is divided into frames of zstd.
#[cfg(feature = "zstd")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// One frame.
    Single,
    /// Frames with a table of them, so that a part can be read by itself.
    Seekable,
    /// Frames that begin and end with store paths, so that they can be kept and used again; see [`crate::Frames`].
    #[cfg(feature = "sha256")]
    Units {
        /// Whether a table of the frames follows them.
        seekable: bool,
    },
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Length of the (compressed) output in \[bytes\].
    pub bytes: u64,
    /// The SHA-256 of the (compressed) output, if enabled.
    pub sha256: Option<[u8; 32]>,
    /// Whether zstd had no workers, because no thread can be started. The output decompresses to the same image, but differs from
    /// that with workers.
    pub without_workers: bool,
}

#[cfg(all(test, feature = "gzip", feature = "sha256", feature = "xz", feature = "zstd"))]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_neither_compressed_nor_hashed_by_default() {
        let options = Options::default();
        assert!(!options.is_compressed() && !options.is_hashed() && options.read_back);
        let level = 1;
        for (compression, name) in [
            (Compression::Zstd { level: 1, framing: Framing::Single }, "zstd"),
            (Compression::Gzip { level }, "gzip"),
            (Compression::Xz { level }, "xz"),
        ] {
            assert_eq!(compression.name(), name);
            assert!(Options { compression: Some(compression), ..options }.is_compressed());
        }
        assert!(Options { digest: true, ..options }.is_hashed());
    }
}
