//! Writes a prepared image.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;

use file_scanner::{ScannedFiles, most_readers};
use image_assembly::{
    AssemblyError, BlockMap, Compression, FrameStore, Frames, Framing, ImageDigest, KnownZeros,
    Observer as ImageObserver, Target, Writer, Written,
};
use image_containers::{BlockCompression, needed_blocks};
use snugfs_plan::{Format, Location};

use crate::container::{self, Container};
use crate::frames::{FrameStores, Units};
use crate::hashes::{self, PassingClosures};
use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::parts::is_hashed;
use crate::prepare::Prepared;
use crate::verify;
use crate::verity::{LateContents, OnePass};
use crate::{Failure, FailureKind, Problem};

/// Options of [`Prepared::write`].
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions<'o> {
    /// The container.
    pub format: Format,
    /// The compression of the container's blocks. Only for [`Format::Qcow2`], and for [`Format::Vmdk`] and
    /// [`Format::Ova`] (deflate), which otherwise have their default. Then the file as a whole can't be compressed.
    pub blocks: Option<BlockCompression>,
    /// Threads, compression, `sync` and reading back.
    pub assembly: image_assembly::Options,
    /// Make a map of the blocks that a copy of the image needs (a bmap file). Only for [`Format::Raw`].
    pub map: bool,
    /// Compute the digest of the uncompressed image. Only for [`Format::Raw`].
    pub raw_digest: bool,
    /// Check the written image and compare it with the plan before it gets its name. Only for [`Format::Raw`].
    pub verify: bool,
    /// Whether the sources are read again afterwards.
    pub sources: SourceUse,
    /// Where compressed frames are kept and found, if the plan asks for frames.
    pub frames: Option<&'o FrameStores>,
}

/// Whether sources are read again after an image was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceUse {
    /// Perhaps.
    Again,
    /// No: the temporary files of compressed archives can become shorter while the image is written.
    Last,
}

impl Default for WriteOptions<'_> {
    /// A raw image, written with all threads.
    fn default() -> Self {
        let assembly = image_assembly::Options {
            threads: NonZeroUsize::new(rayon::current_num_threads())
                .expect("invariant: a pool has at least one thread"),
            ..image_assembly::Options::default()
        };
        Self {
            format: Format::Raw,
            blocks: None,
            assembly,
            map: false,
            raw_digest: false,
            verify: false,
            sources: SourceUse::Again,
            frames: None,
        }
    }
}

impl WriteOptions<'_> {
    /// The name of the compression, of the whole file or of its blocks.
    #[must_use]
    pub fn compression(&self) -> Option<&'static str> {
        let whole = self.assembly.compression.map(Compression::name);
        let blocks = self.blocks.map(BlockCompression::name);
        whole.or(blocks).or(matches!(self.format, Format::Vmdk | Format::Ova).then_some("deflate"))
    }

    /// Whether parts of the output may be written last: not if a digest or a map of the image is made in the order of its bytes.
    fn is_patchable(&self) -> bool {
        let is_plain = self.format == Format::Raw && self.assembly.compression.is_none();
        is_plain && !self.map && !self.raw_digest
    }

    /// A map, a digest or a comparison of a container's own bytes would not be that of the image.
    fn check(&self) -> Result<(), Failure> {
        let format = || Location::plan().key("output").key("format");
        let compression = || Location::plan().key("output").key("compression");
        let is_possible = match (self.format, self.blocks) {
            (Format::Qcow2, _)
            | (Format::Vmdk | Format::Ova, Some(BlockCompression::Deflate { .. }))
            | (_, None) => true,
            (_, Some(_)) => false,
        };
        if !is_possible {
            let what = "the format has no blocks with this compression";
            return Err(Failure::new(FailureKind::Plan, compression(), what, "leave it out"));
        }
        let is_packed = matches!(self.format, Format::Vmdk | Format::Ova) || self.blocks.is_some();
        if is_packed && self.assembly.compression.is_some() {
            let what = "the container is compressed already";
            return Err(Failure::new(FailureKind::Plan, compression(), what, "leave out one of the two"));
        }
        if self.format == Format::Raw || !(self.map || self.raw_digest || self.verify) {
            return Ok(());
        }
        let what =
            "has no block map, no digest of the raw image and no verification of the output in this format";
        Err(Failure::new(FailureKind::Plan, format(), what, "write a raw image"))
    }
}

/// Whether bytes of a target can be written again: that of a device, or of what is or will be a regular file.
fn can_go_back(target: Target<'_>) -> bool {
    match target {
        Target::File(path) => std::fs::metadata(path).map_or(true, |found| found.is_file()),
        Target::Device(_) => true,
        Target::Stdout => false,
    }
}

/// Whether the output has frames that begin and end with store paths.
fn is_framed(assembly: &image_assembly::Options) -> bool {
    matches!(assembly.compression, Some(Compression::Zstd { framing: Framing::Units { .. }, .. }))
}

/// What was written.
#[derive(Debug)]
#[non_exhaustive]
pub struct WrittenImage {
    /// Its length and digest.
    pub written: Written,
    /// The map, if requested.
    pub map: Option<BlockMap>,
    /// The SHA-256 of the uncompressed image, if requested.
    pub raw_sha256: Option<[u8; 32]>,
}

impl Prepared<'_> {
    /// Writes the image. Every source is read once: hashes of closures and the map are computed from the same bytes. The
    /// exception are volumes with files that became hard links, whose contents are not in the order of a NAR; they are read
    /// once more before. `name` is the output's name in messages.
    ///
    /// # Errors
    /// If a source changed, the output can't be written, or verification finds a problem. Then no file appears.
    pub fn write(
        &self,
        target: Target<'_>,
        name: &str,
        options: &WriteOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<WrittenImage, Failure> {
        let can_go_back = can_go_back(target);
        self.write_with(options, (name, can_go_back), observer, |writer| writer.write(target))
    }

    /// Writes the image in order, from its start to its end, for example to a socket or another compressor. As [`Self::write`],
    /// except that the output may have been partly written after an error. It can't be verified.
    ///
    /// # Errors
    /// If a source changed, or the output can't be written.
    pub fn write_to(
        &self,
        output: &mut dyn Write,
        options: &WriteOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<WrittenImage, Failure> {
        self.write_with(options, ("the output", false), observer, |writer| writer.write_to(output))
    }

    fn write_with(
        &self,
        options: &WriteOptions<'_>,
        (name, can_go_back): (&str, bool),
        observer: &dyn Observer,
        write: impl FnOnce(Writer<'_>) -> Result<Written, AssemblyError>,
    ) -> Result<WrittenImage, Failure> {
        options.check()?;
        // To compare the image with the plan, its sources are read again.
        let files =
            ScannedFiles::of(self.trees()).last_use(options.sources == SourceUse::Last && !options.verify);
        let contents = LateContents { files: &files, late: &self.verity.late };
        let readers = options.assembly.readers.max(options.assembly.threads).min(most_readers());
        let assembly = image_assembly::Options { readers, ..options.assembly };
        let image = self.image();
        let one_pass = if can_go_back && options.is_patchable() { OnePass::new(self) } else { None };
        if one_pass.is_none() {
            self.compute_root_hashes(&assembly, observer)?;
        }
        let known = Container::begins_with_tables(options.format, options.blocks)
            .then(|| self.find_zeros(&contents, (assembly.threads, readers), observer));
        let known = known.transpose()?;
        let container = Container::around(
            known.as_ref().map_or(image, |known| known),
            (options.format, options.blocks),
            self.plan,
        )?;
        let mut map =
            options.map.then(|| BlockMap::new(image.len(), needed_blocks(image, BlockMap::block())));
        let mut digest = options.raw_digest.then(ImageDigest::default);
        let (linked, hashed): (Vec<_>, Vec<_>) = self
            .volumes()
            .filter(|volume| is_hashed(&volume.scanned))
            .partition(|volume| volume.scanned.deduplicated.is_some());
        if let Some(stores) = options.frames.filter(|_| !hashed.is_empty()) {
            stores.hold();
        }
        hashes::verify_all(linked.into_iter().map(|volume| &volume.scanned), observer)?;
        let pieces = container.pieces();
        let written = run_stage(observer, (Stage::Write, Unit::Bytes, pieces.len()), || {
            let mut closures = PassingClosures::new(hashed.into_iter());
            let is_hashing = !closures.is_empty();
            // A container omits zeros of files, but hashes need them.
            let mut omitted;
            let file_observer: &mut dyn ImageObserver = match &known {
                Some(known) => {
                    omitted = known.observer(&mut closures);
                    &mut omitted
                }
                None => &mut closures,
            };
            let progress = |bytes| observer.advance(bytes);
            // Without frames, nobody asks for the parts of the image.
            let units = if is_framed(&assembly) { Units::of(self) } else { Units::default() };
            let store = options.frames.map(|stores| -> &dyn FrameStore { stores });
            let frames = Frames { source: &units, store };
            let mut writer = Writer::new(pieces, &contents).options(assembly).progress(&progress);
            writer = writer.frames(frames);
            if let Some(packed) = container.packed() {
                writer = writer.packed(packed);
            }
            if let Some(one_pass) = &one_pass {
                writer = writer.unordered(one_pass).patches(one_pass);
            }
            if is_hashing {
                writer = writer.observer(file_observer);
            }
            if let Some(map) = &mut map {
                writer = writer.observer(map);
            }
            if let Some(digest) = &mut digest {
                writer = writer.observer(digest);
            }
            if options.verify {
                writer = writer.validator(|file: &File| {
                    let stage = (Stage::Compare, Unit::Bytes, verify::bytes(self));
                    observer.end(true);
                    run_stage(observer, stage, || verify::output(self, file, name, observer))
                });
            }
            write(writer).map_err(Failure::from)
        })?;
        options.frames.iter().for_each(|stores| stores.publish());
        Ok(WrittenImage { written, map, raw_sha256: digest.map(ImageDigest::sha256) })
    }

    /// Warnings about the image in a container.
    #[must_use]
    pub fn container_warnings(&self, format: Format) -> Vec<Problem> {
        container::warning(self.bytes(), format, self.plan).into_iter().collect()
    }

    /// Finds long runs of zeros in the files of the image, for containers that omit them and begin with tables.
    fn find_zeros(
        &self,
        contents: &LateContents<'_>,
        threads: (NonZeroUsize, NonZeroUsize),
        observer: &dyn Observer,
    ) -> Result<KnownZeros<'_>, Failure> {
        run_stage(observer, (Stage::Zeros, Unit::Bytes, self.bytes()), || {
            let advance = |bytes| observer.advance(bytes);
            Ok(KnownZeros::find(self.image(), contents, threads, &advance)?)
        })
    }
}
