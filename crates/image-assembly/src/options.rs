use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use reader_threads::READERS;

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
    /// How many threads read sources at once while they wait for a disk, if that is more than `threads`; each has up to
    /// 1 MiB. By default 32.
    pub readers: NonZeroUsize,
    /// Compress with zstd. By default not.
    #[cfg(feature = "zstd")]
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
            readers: NonZeroUsize::new(READERS).unwrap_or(NonZeroUsize::MIN),
            #[cfg(feature = "zstd")]
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
    #[cfg_attr(
        not(feature = "zstd"),
        expect(clippy::unused_self, reason = "nothing is compressed without zstd")
    )]
    pub(crate) fn is_compressed(&self) -> bool {
        #[cfg(feature = "zstd")]
        let is_compressed = self.compression.is_some();
        #[cfg(not(feature = "zstd"))]
        let is_compressed = false;
        is_compressed
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

/// How an image is compressed with zstd.
#[cfg(feature = "zstd")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The level; 0 is zstd's default.
    pub level: i32,
    /// In frames with a table of them, so that a part can be read by itself; else in one frame.
    pub seekable: bool,
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
