//! Which way an image takes to its target.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::Path;

use image_tree::{FileRef, PieceSource};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::contents::Contents;
use crate::device;
use crate::error::{AssemblyError, Refusal};
use crate::pending::{Pending, Unnamed};
use crate::place::{self, Place};
use crate::positioned::{self, Positioned};
use crate::sink::{self, Sink, Tally, ZEROS, read_back};
use crate::stream::{self, Outlet};
use crate::witness::Witness;
use crate::{to_u64, to_usize};

/// Looks at all that was written, before it gets its name; whether it may.
pub type Judge<'j> = dyn Fn(&File) -> bool + Sync + 'j;

/// Who looks at an image before it appears.
#[derive(Default)]
pub struct Watch<'w> {
    /// Sees the contents on the way, in their order.
    pub witness: Option<&'w mut dyn Witness>,
    /// Reads the output when all is written, past what the system remembers of a device. A stream can't be read again:
    /// there nothing is written.
    pub judge: Option<&'w Judge<'w>>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (witness, judge) = (self.witness.is_some(), self.judge.is_some());
        f.debug_struct("Watch").field("witness", &witness).field("judge", &judge).finish()
    }
}

/// Who sees the contents, if anyone.
pub(crate) type Seen<'w> = Option<&'w mut dyn Witness>;

/// Where an image goes.
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

/// How an image is written. Nothing of it but the compression changes a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many threads read, write and compress; at least 1.
    pub threads: NonZeroUsize,
    /// Compress with zstd.
    pub compression: Option<Compression>,
    /// Have a file and its name on the disk before the end; a device always is.
    pub sync: bool,
    /// Read a device's bytes again and compare them, past what the system remembers of them.
    pub read_back: bool,
    /// How long the sectors are that the image counts in, in \[bytes\]; a device with others is refused.
    pub sector: Option<u32>,
    /// Hash what is written, on its way.
    pub digest: bool,
}

/// How an image is compressed with zstd.
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

/// One image on its way.
pub(crate) struct Job<'a> {
    pub(crate) image: &'a dyn PieceSource,
    pub(crate) contents: &'a dyn Contents,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a (dyn Fn(u64) + Sync),
    judge: Option<&'a Judge<'a>>,
}

/// Writes an image. `progress` is told how many more \[bytes\] of the image are done, zeros included, from any
/// thread. Of several errors of sources the one at the lowest offset is given.
pub fn write(
    image: &dyn PieceSource,
    contents: &dyn Contents,
    target: Target<'_>,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Written, AssemblyError> {
    write_watched(Watch::default(), image, contents, target, options, progress)
}

/// Writes an image and shows a witness the contents on the way, in their order.
pub fn write_before(
    witness: &mut dyn Witness,
    image: &dyn PieceSource,
    contents: &dyn Contents,
    target: Target<'_>,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Written, AssemblyError> {
    let watch = Watch { witness: Some(witness), judge: None };
    write_watched(watch, image, contents, target, options, progress)
}

/// Writes an image under the eyes of others. Where one of them does not
/// agree, the error is [`AssemblyError::Rejected`] and no file appears; what a pipe or a device got is not taken back.
pub fn write_watched(
    watch: Watch<'_>,
    image: &dyn PieceSource,
    contents: &dyn Contents,
    target: Target<'_>,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Written, AssemblyError> {
    assemble(&Job { image, contents, options, progress, judge: watch.judge }, target, watch.witness)
}

fn assemble(job: &Job<'_>, target: Target<'_>, witness: Seen<'_>) -> Result<Written, AssemblyError> {
    match target {
        Target::Stdout => {
            job.refuse_to_judge()?;
            let path = Path::new("standard output");
            let output = io::stdout().as_fd().try_clone_to_owned();
            job.stream(File::from(output.map_err(|error| AssemblyError::output(path, error))?), path, witness)
        }
        Target::Device(path) => job.device(path, witness),
        Target::File(path) => match place::find(path)? {
            Place::Stream(file) => {
                job.refuse_to_judge()?;
                job.stream(file, path, witness)
            }
            Place::Name { folder, name } => job.file(path, (&folder, &name), witness),
        },
    }
}

impl Job<'_> {
    /// Has what was written looked at.
    fn judged(&self, output: &File) -> Result<(), AssemblyError> {
        if self.judge.is_none_or(|judge| judge(output)) { Ok(()) } else { Err(AssemblyError::Rejected) }
    }

    /// What goes into a stream is gone before anyone could look at it.
    fn refuse_to_judge(&self) -> Result<(), AssemblyError> {
        if self.judge.is_none() { Ok(()) } else { Err(AssemblyError::Rejected) }
    }

    /// A regular file under a name in a folder; `path` is what the user calls it.
    fn file(
        &self,
        path: &Path,
        (folder, name): (&Path, &OsStr),
        witness: Seen<'_>,
    ) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::output(path, error);
        let pending = Pending::create(folder, name, Unnamed::Try).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => AssemblyError::refused(path, Refusal::NoFolder),
            other => failed(other.into()),
        })?;
        let written = if self.options.compression.is_some() {
            self.stream(pending.file().try_clone().map_err(failed)?, path, witness)?
        } else {
            pending.file().set_len(self.image.len()).map_err(failed)?;
            self.positioned(&Positioned::new(pending.file(), path, true), witness)?
        };
        self.judged(pending.file())?;
        pending.publish(self.options.sync).map_err(failed)?;
        Ok(written)
    }

    fn device(&self, path: &Path, witness: Seen<'_>) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::output(path, error);
        if self.options.compression.is_some() {
            return Err(AssemblyError::refused(path, Refusal::CompressedDevice));
        }
        let file = device::open(path, self.image.len(), self.options.sector)?;
        let output = Positioned::new(&file, path, false);
        if !self.options.read_back {
            let written = self.positioned(&output, witness)?;
            file.sync_all().map_err(failed)?;
            device::forget(&file);
            self.judged(&file)?;
            return Ok(written);
        }
        let written = self.hashed(&output, witness)?;
        file.sync_all().map_err(failed)?;
        device::forget(&file);
        let bytes = self.image.len();
        if read_back(&file, bytes).map_err(failed)? != written {
            return Err(AssemblyError::refused(path, Refusal::Unfaithful));
        }
        self.judged(&file)?;
        Ok(Written { bytes, sha256: self.options.digest.then_some(written), without_workers: false })
    }

    fn positioned(&self, output: &Positioned<'_>, mut witness: Seen<'_>) -> Result<Written, AssemblyError> {
        let bytes = self.image.len();
        if self.options.digest {
            let sha256 = Some(self.hashed(output, witness)?);
            return Ok(Written { bytes, sha256, without_workers: false });
        }
        if witness.is_some() {
            stream::write(self, Outlet::Placed(output), &mut witness)?;
            heard(witness)?;
        } else {
            positioned::write(self, output)?;
        }
        Ok(Written { bytes, sha256: None, without_workers: false })
    }

    /// Writes to places, and hashes all of it in its order.
    fn hashed(&self, output: &Positioned<'_>, witness: Seen<'_>) -> Result<[u8; 32], AssemblyError> {
        let mut hashing = Hashing { inner: witness, hash: Sha256::new() };
        stream::write(self, Outlet::Placed(output), &mut Some(&mut hashing))?;
        heard(hashing.inner)?;
        Ok(hashing.hash.finalize().into())
    }

    fn stream(&self, file: File, path: &Path, mut witness: Seen<'_>) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::sink(path, error);
        let tally = Tally::new(file, self.options.digest);
        let threads = self.options.threads;
        let mut without_workers = false;
        let mut sink = match self.options.compression {
            None => Sink::plain(tally),
            Some(Compression { level, seekable: true }) => Sink::seekable(tally, level, threads),
            Some(Compression { level, .. }) => {
                let workers = sink::workers(threads);
                without_workers = workers == 0;
                Sink::zstd(tally, level, self.image.len(), workers).map_err(failed)?
            }
        };
        stream::write(self, Outlet::Sink(&mut sink, &failed), &mut witness)?;
        let tally = sink.finish().map_err(failed)?;
        heard(witness)?;
        Ok(Written { bytes: tally.bytes, sha256: tally.sha256(), without_workers })
    }
}

/// Hashes all bytes, and lets another witness see them.
struct Hashing<'w> {
    inner: Seen<'w>,
    hash: Sha256,
}

impl Witness for Hashing<'_> {
    fn see(&mut self, file: FileRef, bytes: &[u8]) {
        if let Some(inner) = &mut self.inner {
            inner.see(file, bytes);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        if let Some(inner) = &mut self.inner {
            inner.bytes(bytes);
        }
    }

    fn zeros(&mut self, len: u64) {
        let mut left = len;
        while left > 0 {
            let now = to_usize(left).min(ZEROS.len());
            self.hash.update(&ZEROS[..now]);
            left -= to_u64(now);
        }
        if let Some(inner) = &mut self.inner {
            inner.zeros(len);
        }
    }

    fn agrees(&mut self) -> bool {
        self.inner.as_mut().is_none_or(|inner| inner.agrees())
    }
}

/// The witness has seen everything: does it agree?
fn heard(witness: Seen<'_>) -> Result<(), AssemblyError> {
    if witness.is_none_or(Witness::agrees) { Ok(()) } else { Err(AssemblyError::Rejected) }
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("options", self.options).finish_non_exhaustive()
    }
}
