//! Writes a prepared image.

use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use build_plan::Format;
use image_assembly::{BlockMap, KnownZeros, Scanned, Target, Watch, Witness, Written, write_watched};
use image_containers::needed_blocks;

use crate::Failure;
use crate::container::Container;
use crate::hashes::{self, ImageDigest, Passing};
use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::prepare::{Prepared, is_hashed};
use crate::verify;

/// Options of [`Prepared::write`].
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// The container.
    pub format: Format,
    /// Threads, compression, `sync` and reading back.
    pub assembly: image_assembly::Options,
    /// Make a map of the blocks that a copy of the image needs (a bmap file). Only for [`Format::Raw`].
    pub map: bool,
    /// Compute the digest of the uncompressed image.
    pub raw_digest: bool,
    /// Check the written image and compare it with the plan before it gets its name.
    pub verify: bool,
}

impl Default for WriteOptions {
    /// A raw image, written with all threads.
    fn default() -> Self {
        let assembly = image_assembly::Options {
            threads: NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN),
            compression: None,
            sync: false,
            read_back: true,
            sector: None,
            digest: false,
        };
        Self { format: Format::Raw, assembly, map: false, raw_digest: false, verify: false }
    }
}

/// What was written.
#[derive(Debug)]
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
        options: &WriteOptions,
        observer: &dyn Observer,
    ) -> Result<WrittenImage, Failure> {
        let contents = Scanned::of(self.trees());
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
            let mut passing = Passing::new(hashed.into_iter(), map.as_mut(), digest.as_mut());
            let wrong = Mutex::new(None);
            let judge = |file: &File| {
                observer.end(true);
                observer.begin(Stage::Compare, Unit::Bytes, verify::bytes(self));
                let found = verify::output(self, file, name, observer).err();
                let is_right = found.is_none();
                observer.end(is_right);
                *wrong.lock().unwrap_or_else(PoisonError::into_inner) = found;
                is_right
            };
            let is_needed = passing.is_needed();
            let witness: Option<&mut dyn Witness> = if is_needed { Some(&mut passing) } else { None };
            let watch = Watch { witness, judge: if options.verify { Some(&judge) } else { None } };
            let progress = |bytes| observer.advance(bytes);
            let written = write_watched(watch, pieces, &contents, target, &options.assembly, &progress);
            passing.failure.map_or(Ok(()), Err)?;
            wrong.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)?;
            Ok::<_, Failure>(written?)
        })?;
        Ok(WrittenImage { written, map, raw_sha256: digest.map(ImageDigest::finish) })
    }

    /// Finds long runs of zeros in the files of the image, for containers that omit them and begin with tables.
    fn find_zeros(
        &self,
        contents: &Scanned<'_>,
        options: &WriteOptions,
        observer: &dyn Observer,
    ) -> Result<KnownZeros<'_>, Failure> {
        run_stage(observer, (Stage::Zeros, Unit::Bytes, self.bytes()), || {
            let advance = |bytes| observer.advance(bytes);
            Ok(KnownZeros::find(self.image(), contents, options.assembly.threads, &advance)?)
        })
    }
}
