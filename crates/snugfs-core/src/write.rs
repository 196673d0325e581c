//! Writes a prepared image.

use std::fs::File;
use std::num::NonZeroUsize;

use build_plan::Format;
use file_scanner::ScannedFiles;
use image_assembly::{BlockMap, ImageDigest, KnownZeros, Target, Writer, Written};
use image_containers::needed_blocks;

use crate::Failure;
use crate::container::Container;
use crate::hashes::{self, PassingClosures};
use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::prepare::{Prepared, is_hashed};
use crate::verify;

/// How an image is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// The form of the bytes.
    pub format: Format,
    /// Threads, compression, how sure the writing must be.
    pub assembly: image_assembly::Options,
    /// Make a map of the blocks that a copy of the image needs (a bmap file). Only of [`Format::Raw`].
    pub map: bool,
    /// Make a digest of the image before compression.
    pub raw_digest: bool,
    /// Judge what was written, and compare it with the plan, before it appears.
    pub verify: bool,
}

impl Default for WriteOptions {
    /// The bytes of the image as they are, on all threads.
    fn default() -> Self {
        let assembly = image_assembly::Options {
            threads: NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN),
            ..image_assembly::Options::default()
        };
        Self { format: Format::Raw, assembly, map: false, raw_digest: false, verify: false }
    }
}

/// What was written.
#[derive(Debug)]
pub struct WrittenImage {
    /// Its length, digest and form.
    pub written: Written,
    /// The map, where it was asked for.
    pub map: Option<BlockMap>,
    /// The SHA-256 of the image before compression, where it was asked for.
    pub raw_sha256: Option<[u8; 32]>,
}

impl Prepared<'_> {
    /// Writes the image. Hashes of closures are compared, and the map is completed, by the same read that fills it. Only where
    /// files became hard links, contents do not come in the order of a NAR: there they are read once more, before. `name` is
    /// how messages call the output.
    ///
    /// # Errors
    /// Where a source changed, the output can't be written, or what was written is wrong; then no file appears.
    pub fn write(
        &self,
        target: Target<'_>,
        name: &str,
        options: &WriteOptions,
        observer: &dyn Observer,
    ) -> Result<WrittenImage, Failure> {
        let contents = ScannedFiles::of(self.trees());
        let image = self.image();
        let known = (options.format != Format::Raw).then(|| self.find_zeros(&contents, options, observer));
        let known = known.transpose()?;
        let container = Container::around(known.as_ref().map_or(image, |known| known), options.format)?;
        let mut map =
            options.map.then(|| BlockMap::new(image.len(), needed_blocks(image, BlockMap::block())));
        let mut digest = options.raw_digest.then(ImageDigest::default);
        let (linked, hashed): (Vec<_>, Vec<_>) = self
            .volumes()
            .filter(|volume| is_hashed(&volume.scanned))
            .partition(|volume| volume.scanned.deduplicated.is_some());
        hashes::verify_all(linked.into_iter().map(|volume| &volume.scanned), observer)?;
        let pieces = container.pieces();
        let written = run_stage(observer, (Stage::Write, Unit::Bytes, pieces.len()), || {
            let mut closures = PassingClosures::new(hashed.into_iter());
            let progress = |bytes| observer.advance(bytes);
            let mut writer = Writer::new(pieces, &contents).options(options.assembly).progress(&progress);
            if !closures.is_empty() {
                writer = writer.observer(&mut closures);
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
            writer.write(target).map_err(Failure::from)
        })?;
        Ok(WrittenImage { written, map, raw_sha256: digest.map(ImageDigest::sha256) })
    }

    /// Finds the long runs of zeros in the files of the image, for a form that leaves them out and has its tables in front.
    fn find_zeros(
        &self,
        contents: &ScannedFiles<'_>,
        options: &WriteOptions,
        observer: &dyn Observer,
    ) -> Result<KnownZeros<'_>, Failure> {
        run_stage(observer, (Stage::Zeros, Unit::Bytes, self.bytes()), || {
            let advance = |bytes| observer.advance(bytes);
            Ok(KnownZeros::find(self.image(), contents, options.assembly.threads, &advance)?)
        })
    }
}
