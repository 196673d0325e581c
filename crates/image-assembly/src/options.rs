use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

/// The file, device or stream that an image is written to. [`crate::Writer::write_to`] takes any other
/// [`Write`](std::io::Write).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A regular file, which appears whole or not at all; one that is there is replaced, through symlinks. A pipe
    /// or a character device that is there is written into instead.
    File(&'a Path),
    /// A block device, overwritten from its start.
    Device(&'a Path),
    /// Standard output, whatever it is.
    Stdout,
}

/// How an image is written. Only the compression changes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many threads read, write and compress; at least 1. By default as many as the system can run at once.
    pub threads: NonZeroUsize,
    /// Compress. By default not.
    pub compression: Option<Compression>,
    /// Flush a file and its name to the disk before the end. By default not; a device always is flushed.
    pub sync: bool,
    /// Read a device again, bypassing the page cache, and compare it with what was written. By default on.
    #[cfg(feature = "sha256")]
    pub read_back: bool,
    /// Logical sector size in \[bytes\] that the partition table assumes; other devices are refused. By default any device
    /// will do.
    pub sector: Option<u32>,
    /// Hash the output while it is written, compressed if it is; see [`Written::sha256`]. By default not.
    #[cfg(feature = "sha256")]
    pub digest: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
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
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length of the output in \[bytes\], compressed if it is.
    pub bytes: u64,
    /// The SHA-256 of the output, compressed if it is, where it was wanted.
    pub sha256: Option<[u8; 32]>,
    /// Whether zstd had to make its one frame without workers, because no thread can be started. The output decompresses to
    /// the same image, but has other bytes than with workers.
    pub without_workers: bool,
}
