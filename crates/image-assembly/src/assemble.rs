//! Which way an image takes to its target.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::Path;

use image_tree::PieceSource;
use rustix::io::Errno;

use crate::contents::Contents;
use crate::device;
use crate::error::{AssemblyError, Refusal};
use crate::pending::{Pending, Unnamed};
use crate::place::{self, Place};
use crate::positioned::{self, Positioned};
use crate::sink::{Sink, Tally, read_back};
use crate::stream::{self, Outlet};
use crate::witness::Witness;

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
    /// Compress as one zstd frame of this level; 0 is zstd's default.
    pub zstd_level: Option<i32>,
    /// Have a file and its name on the disk before the end; a device always is.
    pub sync: bool,
    /// Hash what is written; of a file that is not compressed, or a device, by reading it back.
    pub digest: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length of the output in \[bytes\], compressed if it is.
    pub bytes: u64,
    /// The SHA-256 of the output, compressed if it is, where it was wanted.
    pub sha256: Option<[u8; 32]>,
}

/// One image on its way.
pub(crate) struct Job<'a> {
    pub(crate) image: &'a dyn PieceSource,
    pub(crate) contents: &'a dyn Contents,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a (dyn Fn(u64) + Sync),
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
    assemble(&Job { image, contents, options, progress }, target, None)
}

/// Writes an image and shows a witness the contents on the way, in their order. Where the witness does not
/// agree, the error is [`AssemblyError::Rejected`] and no file appears; what a pipe or a device got is not taken back.
pub fn write_before(
    witness: &mut dyn Witness,
    image: &dyn PieceSource,
    contents: &dyn Contents,
    target: Target<'_>,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Written, AssemblyError> {
    assemble(&Job { image, contents, options, progress }, target, Some(witness))
}

fn assemble(job: &Job<'_>, target: Target<'_>, witness: Seen<'_>) -> Result<Written, AssemblyError> {
    match target {
        Target::Stdout => {
            let path = Path::new("standard output");
            let output = io::stdout().as_fd().try_clone_to_owned();
            job.stream(File::from(output.map_err(|error| AssemblyError::output(path, error))?), path, witness)
        }
        Target::Device(path) => job.device(path, witness),
        Target::File(path) => match place::find(path)? {
            Place::Stream(file) => job.stream(file, path, witness),
            Place::Name { folder, name } => job.file(path, (&folder, &name), witness),
        },
    }
}

impl Job<'_> {
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
        let written = if self.options.zstd_level.is_some() {
            self.stream(pending.file().try_clone().map_err(failed)?, path, witness)?
        } else {
            pending.file().set_len(self.image.len()).map_err(failed)?;
            self.positioned(&Positioned { file: pending.file(), path, is_zero: true }, witness)?
        };
        pending.publish(self.options.sync).map_err(failed)?;
        Ok(written)
    }

    fn device(&self, path: &Path, witness: Seen<'_>) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::output(path, error);
        if self.options.zstd_level.is_some() {
            return Err(AssemblyError::refused(path, Refusal::CompressedDevice));
        }
        let file = device::open(path, self.image.len())?;
        let written = self.positioned(&Positioned { file: &file, path, is_zero: false }, witness)?;
        file.sync_all().map_err(failed)?;
        Ok(written)
    }

    fn positioned(&self, output: &Positioned<'_>, mut witness: Seen<'_>) -> Result<Written, AssemblyError> {
        if witness.is_some() {
            stream::write(self, Outlet::Placed(output), &mut witness)?;
        } else {
            positioned::write(self, output)?;
        }
        heard(witness)?;
        let bytes = self.image.len();
        let sha256 = self.options.digest.then(|| read_back(output.file, bytes)).transpose();
        Ok(Written { bytes, sha256: sha256.map_err(|error| AssemblyError::output(output.path, error))? })
    }

    fn stream(&self, file: File, path: &Path, mut witness: Seen<'_>) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::output(path, error);
        let tally = Tally::new(file, self.options.digest);
        let mut sink = match self.options.zstd_level {
            None => Sink::plain(tally),
            Some(level) => {
                Sink::zstd(tally, level, self.image.len(), self.options.threads).map_err(failed)?
            }
        };
        stream::write(self, Outlet::Sink(&mut sink, &failed), &mut witness)?;
        let tally = sink.finish().map_err(failed)?;
        heard(witness)?;
        Ok(Written { bytes: tally.bytes, sha256: tally.sha256() })
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
