//! Entry points: writes an image to a file, a device, standard output or any `Write`.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use image_tree::{Contents, PackedFormat, PieceSource};
use rustix::io::Errno;

use crate::device;
#[cfg(feature = "sha256")]
use crate::digest::SplitDigest;
use crate::error::{AssemblyError, Refusal};
#[cfg(all(feature = "zstd", feature = "sha256"))]
use crate::frames::{self, FrameJob, FrameOutput, Frames};
use crate::observer::{Observer, Observers, Rejection, Validator};
#[cfg(all(feature = "zstd", feature = "sha256"))]
use crate::options::{Compression, Framing};
use crate::options::{Options, Target, Written};
use crate::pending::{Pending, Unnamed};
use crate::place::{self, Place};
use crate::positioned::{self, Positioned};
use crate::sink::{Sink, Tally};
use crate::stream::{self, Output};
use crate::unordered::{Patches, UnorderedObserver};

/// Writes an image. The methods set options and observers.
#[must_use = "nothing is written before `write` or `write_to`"]
pub struct Writer<'a> {
    image: &'a dyn PieceSource,
    contents: &'a dyn Contents,
    options: Options,
    observers: Vec<&'a mut dyn Observer>,
    validator: Option<Box<Validator<'a>>>,
    progress: &'a (dyn Fn(u64) + Sync),
    packed: Option<Arc<dyn PackedFormat>>,
    unordered: Option<&'a dyn UnorderedObserver>,
    patches: Option<&'a dyn Patches>,
    #[cfg(all(feature = "zstd", feature = "sha256"))]
    frames: Frames<'a>,
}

impl<'a> Writer<'a> {
    /// Creates a writer for an image and the contents of its files.
    pub fn new(image: &'a dyn PieceSource, contents: &'a dyn Contents) -> Self {
        let options = Options::default();
        Self {
            image,
            contents,
            options,
            observers: Vec::new(),
            validator: None,
            progress: &|_| {},
            packed: None,
            unordered: None,
            patches: None,
            #[cfg(all(feature = "zstd", feature = "sha256"))]
            frames: Frames::default(),
        }
    }

    /// Sets the options.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Adds an observer of the bytes. Several are called in the order in which they were added.
    pub fn observer(mut self, observer: &'a mut dyn Observer) -> Self {
        self.observers.push(observer);
        self
    }

    /// Sets a validator, which reads the output after the last byte and before it gets its name. For a device, it bypasses the
    /// page cache. A stream can't be read again, so with a validator it is refused before anything is written.
    pub fn validator<E: Into<Rejection>>(self, validator: impl FnOnce(&File) -> Result<(), E> + 'a) -> Self {
        let validator = |output: &File| validator(output).map_err(Into::into);
        Self { validator: Some(Box::new(validator)), ..self }
    }

    /// Sets a function that is called with the number of \[bytes\] done since the last call, including zeros, from any thread.
    pub fn progress(self, progress: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { progress, ..self }
    }

    /// Puts the image into a container with compressed blocks, which all threads compress. Then
    /// [`Options::compression`] must be `None`.
    pub fn packed(self, format: Arc<dyn PackedFormat>) -> Self {
        Self { packed: Some(format), ..self }
    }

    /// Sets an observer that all threads call. A [`Writer`] has one at most. It sees the bytes before [`Self::patches`].
    pub fn unordered(self, observer: &'a dyn UnorderedObserver) -> Self {
        Self { unordered: Some(observer), ..self }
    }

    /// Sets bytes that are written after all others. The other observers see what the image has in their place; the validator
    /// and the digest see them. Only for a regular file or a device, without compression.
    pub fn patches(self, patches: &'a dyn Patches) -> Self {
        Self { patches: Some(patches), ..self }
    }

    /// Sets what is known of the files, and where compressed frames are kept; for [`crate::Framing::Units`].
    #[cfg(all(feature = "zstd", feature = "sha256"))]
    pub fn frames(self, frames: Frames<'a>) -> Self {
        Self { frames, ..self }
    }

    /// Writes the image to a file, a device or standard output.
    ///
    /// # Errors
    /// Fails if a source can't be read, the output can't be written, or an observer or the validator rejects the image. Then no
    /// file appears, but a pipe or a device may have been partly written. Of several errors of sources, the one at the lowest
    /// offset is returned.
    pub fn write(self, target: Target<'_>) -> Result<Written, AssemblyError> {
        match target {
            Target::Stdout => {
                let path = Path::new("standard output");
                let output = io::stdout().as_fd().try_clone_to_owned();
                let mut output = File::from(output.map_err(|error| AssemblyError::output(path, error))?);
                self.write_stream(&mut output, path)
            }
            Target::Device(path) => self.run(|run| run.device(path)),
            Target::File(path) => match place::find(path)? {
                Place::Stream(mut file) => self.write_stream(&mut file, path),
                Place::Name { folder, name } => self.run(|run| run.file(path, (&folder, &name))),
            },
        }
    }

    /// Writes the image from its start to its end, for example into a `Vec<u8>`, a socket or another compressor.
    ///
    /// # Errors
    /// As [`Self::write`]. The output may have been partly written.
    pub fn write_to(self, output: &mut dyn Write) -> Result<Written, AssemblyError> {
        self.write_stream(output, Path::new("the output"))
    }

    fn write_stream(self, output: &mut dyn Write, path: &Path) -> Result<Written, AssemblyError> {
        if self.validator.is_some() {
            return Err(AssemblyError::refused(path, Refusal::Stream));
        }
        self.run(|mut run| run.stream(output, path, None))
    }

    fn run<T>(self, work: impl FnOnce(Run<'_, 'a>) -> T) -> T {
        let job = Job {
            image: self.image,
            contents: self.contents,
            options: &self.options,
            progress: self.progress,
            unordered: self.unordered,
        };
        work(Run {
            job,
            observers: Observers(self.observers),
            validator: self.validator,
            packed: self.packed,
            patches: self.patches,
            #[cfg(all(feature = "zstd", feature = "sha256"))]
            frames: self.frames,
        })
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("options", &self.options)
            .field("observers", &self.observers.len())
            .field("validator", &self.validator.is_some())
            .field("packed", &self.packed)
            .finish_non_exhaustive()
    }
}

/// The parts of a write that all threads use.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) image: &'a dyn PieceSource,
    pub(crate) contents: &'a dyn Contents,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a (dyn Fn(u64) + Sync),
    pub(crate) unordered: Option<&'a dyn UnorderedObserver>,
}

impl Job<'_> {
    /// Whether the unordered observer needs any of these bytes.
    pub(crate) fn is_observed(&self, offset: u64, len: u64) -> bool {
        self.unordered.is_some_and(|observer| observer.is_interested(offset, len))
    }

    /// Passes bytes of the image to the unordered observer.
    pub(crate) fn show_bytes(&self, offset: u64, bytes: &[u8]) {
        self.unordered.iter().for_each(|observer| observer.bytes(offset, bytes));
    }

    /// Passes zeros of the image to the unordered observer.
    pub(crate) fn show_zeros(&self, offset: u64, len: u64) {
        self.unordered.iter().for_each(|observer| observer.zeros(offset, len));
    }
}

/// A write, with the parts that only the calling thread uses.
struct Run<'j, 'o> {
    job: Job<'j>,
    observers: Observers<'o>,
    validator: Option<Box<Validator<'o>>>,
    packed: Option<Arc<dyn PackedFormat>>,
    patches: Option<&'o dyn Patches>,
    #[cfg(all(feature = "zstd", feature = "sha256"))]
    frames: Frames<'o>,
}

impl Run<'_, '_> {
    /// Whether the length of the output is known only at its end.
    fn is_compressed(&self) -> bool {
        self.job.options.is_compressed() || self.packed.is_some()
    }

    /// Writes a regular file with a name in a folder. `path` is its name in messages.
    fn file(mut self, path: &Path, (folder, name): (&Path, &OsStr)) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::output(path, error);
        let pending = Pending::create(folder, name, Unnamed::Try).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => AssemblyError::refused(path, Refusal::NoFolder),
            other => failed(other.into()),
        })?;
        let options = self.job.options;
        let written = if self.is_compressed() {
            self.stream(&mut pending.file(), path, Some(pending.file()))?
        } else {
            pending.file().set_len(self.job.image.len()).map_err(failed)?;
            self.positioned(&Positioned::new(pending.file(), path, true))?
        };
        self.validate(pending.file())?;
        pending.publish(options.sync).map_err(failed)?;
        Ok(written)
    }

    fn device(mut self, path: &Path) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::output(path, error);
        let options = self.job.options;
        if self.is_compressed() {
            return Err(AssemblyError::refused(path, Refusal::CompressedDevice));
        }
        let file = device::open(path, self.job.image.len(), options.sector)?;
        let output = Positioned::new(&file, path, false);
        #[cfg(feature = "sha256")]
        if options.read_back
            && let Some(patches) = self.patches
        {
            let bytes = self.job.image.len();
            let mut digest = SplitDigest::new(patches.ranges());
            let mut observers = Observers(vec![&mut self.observers, &mut digest]);
            stream::write(&self.job, Output::Placed(&output), &mut observers)?;
            observers.finish().map_err(AssemblyError::Rejected)?;
            output.patch(patches, |bytes| digest.patch(bytes))?;
            file.sync_all().map_err(failed)?;
            device::forget(&file);
            let (is_equal, sha256) = digest.compare(&file, bytes, options.digest).map_err(failed)?;
            if !is_equal {
                return Err(AssemblyError::refused(path, Refusal::Unfaithful));
            }
            self.validate(&file)?;
            return Ok(Written { bytes, sha256, without_workers: false });
        }
        #[cfg(feature = "sha256")]
        if options.read_back {
            let written = self.hashed(&output)?;
            file.sync_all().map_err(failed)?;
            device::forget(&file);
            let bytes = self.job.image.len();
            if crate::digest::read_back(&file, bytes).map_err(failed)? != written {
                return Err(AssemblyError::refused(path, Refusal::Unfaithful));
            }
            self.validate(&file)?;
            return Ok(Written { bytes, sha256: options.digest.then_some(written), without_workers: false });
        }
        let written = self.positioned(&output)?;
        file.sync_all().map_err(failed)?;
        device::forget(&file);
        self.validate(&file)?;
        Ok(written)
    }

    fn validate(self, output: &File) -> Result<(), AssemblyError> {
        self.validator.map_or(Ok(()), |validator| validator(output)).map_err(AssemblyError::Rejected)
    }

    fn positioned(&mut self, output: &Positioned<'_>) -> Result<Written, AssemblyError> {
        let bytes = self.job.image.len();
        #[cfg(feature = "sha256")]
        if self.job.options.digest && self.patches.is_none() {
            let sha256 = Some(self.hashed(output)?);
            return Ok(Written { bytes, sha256, without_workers: false });
        }
        if self.observers.0.is_empty() {
            positioned::write(&self.job, output)?;
        } else {
            stream::write(&self.job, Output::Placed(output), &mut self.observers)?;
            self.observers.finish().map_err(AssemblyError::Rejected)?;
        }
        #[cfg_attr(not(feature = "sha256"), expect(unused_mut, reason = "nothing is hashed without sha256"))]
        let mut sha256 = None;
        if let Some(patches) = self.patches {
            output.patch(patches, |_| {})?;
            #[cfg(feature = "sha256")]
            if self.job.options.digest {
                let failed = |error| AssemblyError::output(output.path, error);
                sha256 = Some(crate::digest::read_back(output.file, bytes).map_err(failed)?);
            }
        }
        Ok(Written { bytes, sha256, without_workers: false })
    }

    /// Writes at offsets, and hashes all bytes in order.
    #[cfg(feature = "sha256")]
    fn hashed(&mut self, output: &Positioned<'_>) -> Result<[u8; 32], AssemblyError> {
        let mut digest = crate::ImageDigest::default();
        let mut observers = Observers(vec![&mut self.observers, &mut digest]);
        stream::write(&self.job, Output::Placed(output), &mut observers)?;
        observers.finish().map_err(AssemblyError::Rejected)?;
        Ok(digest.sha256())
    }

    /// Writes to a stream. `file` is the same output, if it is a regular file that is empty.
    fn stream(
        &mut self,
        output: &mut dyn Write,
        path: &Path,
        file: Option<&File>,
    ) -> Result<Written, AssemblyError> {
        let failed = |error| AssemblyError::sink(path, error);
        let options = self.job.options;
        if self.patches.is_some() {
            return Err(AssemblyError::refused(path, Refusal::Patches));
        }
        let is_patched = self.packed.as_ref().is_some_and(|format| format.is_patched());
        if is_patched && file.is_none() {
            return Err(AssemblyError::refused(path, Refusal::PatchedStream));
        }
        // What is patched is hashed at the end.
        let is_hashed = options.is_hashed() && !is_patched;
        #[cfg_attr(
            not(all(feature = "zstd", feature = "sha256")),
            expect(unused_mut, reason = "only frames are written to it")
        )]
        let mut tally = Tally::new(output, is_hashed);
        #[cfg(all(feature = "zstd", feature = "sha256"))]
        if let Some(Compression::Zstd { level, framing: Framing::Units { seekable } }) = options.compression
            && self.packed.is_none()
        {
            let Frames { source, store } = self.frames;
            let frames = FrameJob { level, seekable, source, store };
            let output = FrameOutput { tally: &mut tally, file, failed: &failed };
            let observer: Option<&mut dyn Observer> =
                if self.observers.0.is_empty() { None } else { Some(&mut self.observers) };
            frames::write(&self.job, frames, output, observer)?;
            self.observers.finish().map_err(AssemblyError::Rejected)?;
            tally.flush().map_err(failed)?;
            return Ok(Written { bytes: tally.bytes, sha256: tally.sha256(), without_workers: false });
        }
        let len = self.job.image.len();
        let packed = self.packed.as_ref();
        assert!(
            packed.is_none_or(|format| format.image_len() == len),
            "invariant: the container is of this image"
        );
        let (mut sink, without_workers) = Sink::new(tally, options, packed, len).map_err(failed)?;
        stream::write(&self.job, Output::Sink(&mut sink, &failed), &mut self.observers)?;
        let (tally, start) = sink.finish().map_err(failed)?;
        self.observers.finish().map_err(AssemblyError::Rejected)?;
        let bytes = tally.bytes;
        #[cfg_attr(not(feature = "sha256"), expect(unused_mut, reason = "nothing is hashed without sha256"))]
        let mut sha256 = tally.sha256();
        if let Some(file) = file.filter(|_| is_patched) {
            file.write_all_at(&start, 0).map_err(failed)?;
            #[cfg(feature = "sha256")]
            if options.is_hashed() {
                sha256 = Some(crate::digest::read_back(file, bytes).map_err(failed)?);
            }
        }
        Ok(Written { bytes, sha256, without_workers })
    }
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("options", self.options).finish_non_exhaustive()
    }
}
