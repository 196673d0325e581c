//! The options `--cache`, `--cache-size` and `--layer`: folders of compressed frames.

use std::path::{Path, PathBuf};

use image_assembly::{Compression, Framing};
use image_tree::io_reason;
use snugfs_core::{CacheError, CacheStatistics, Failure, FailureKind, FrameStores, Problem, human, shown};

use crate::cli::{BuildArgs, misuse};
use crate::messages::Messages;
use crate::output::Output;

/// Names a cache where `--cache` does not.
const VARIABLE: &str = "SNUGFS_CACHE";

/// The stores that a build uses, if any, and the folder of the cache.
pub(crate) struct Stores {
    pub(crate) opened: FrameStores,
    cache: Option<PathBuf>,
    has_layers: bool,
}

/// Opens the folders that the options and the environment name. The environment has no effect on an image without frames.
pub(crate) fn open(args: &BuildArgs, output: &Output<'_>) -> Result<Option<Stores>, Failure> {
    let compression = output.options.compression;
    let has_frames = matches!(compression, Some(Compression::Zstd { framing: Framing::Units { .. }, .. }));
    if !has_frames {
        let option = if args.cache.is_some() { "--cache" } else { "--layer" };
        if args.cache.is_some() || !args.layer.is_empty() {
            let what = "the image has no frames to use again";
            return Err(misuse(option, what, "set plan.output.compression.frames to true"));
        }
        return Ok(None);
    }
    let variable = || std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = args.cache.clone().or_else(variable);
    let folders = cache.as_deref().map(|folder| (folder, args.cache_size));
    let stores = FrameStores::open(folders, args.layer.iter().map(PathBuf::as_path)).map_err(failure)?;
    Ok((!stores.is_empty()).then_some(Stores { opened: stores, cache, has_layers: !args.layer.is_empty() }))
}

fn failure(error: CacheError) -> Failure {
    let (path, what, help) = match error {
        CacheError::Folder { path, error } => {
            (path, format!("can't be used as a cache: {}", io_reason(&error)), "name another folder")
        }
        CacheError::Owner { path, owner } => (
            path,
            format!("is a cache of user {owner}, who could change the image"),
            "name a folder of your own",
        ),
        CacheError::Writable { path, mode } => (
            path,
            format!("other users may write to this cache (mode {mode:04o}), and could change the image"),
            "run chmod go-w on it, or name another folder",
        ),
        CacheError::NoFrames { path } => {
            (path, "is not a layer".to_owned(), "name a folder that `snugfs layer` wrote")
        }
        other => return Failure::internal("--cache", other),
    };
    Failure::new(FailureKind::Usage, shown(&path), what, help)
}

impl Stores {
    /// Ends the use of the cache, and says what it did.
    pub(crate) fn finish(self, messages: &Messages) {
        if self.has_layers {
            let found = human::counted(self.opened.from_layers(), "frame");
            messages.note("layers", format!("{found} were there"));
        }
        if let Some((folder, statistics)) = self.cache.zip(self.opened.finish()) {
            tell(&folder, &statistics, messages);
        }
    }
}

fn tell(folder: &Path, statistics: &CacheStatistics, messages: &Messages) {
    let name = shown(folder);
    let CacheStatistics { found, missing, damaged, added, omitted, .. } = *statistics;
    if damaged > 0 {
        let what =
            format!("{} of the cache had wrong bytes and were made again", human::counted(damaged, "frame"));
        messages.warning(&Problem::new(&name, what, "check the disk that holds it"));
    }
    if let Some(error) = &statistics.error {
        let what = format!("the cache got no more frames: {}", io_reason(error));
        messages.warning(&Problem::new(&name, what, "the image is complete; make room for the next build"));
    }
    if omitted > 0 {
        let what = format!("the cache is full, and {} were not kept", human::counted(omitted, "frame"));
        messages.warning(&Problem::new(&name, what, "raise --cache-size"));
    }
    let all = found + missing + damaged;
    messages.note(
        &name,
        format!("{} of {} were there, {added} added", human::grouped(found), human::counted(all, "frame")),
    );
}
