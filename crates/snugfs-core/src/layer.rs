//! Layers: the compressed frames of store paths, without an image around them.

use std::collections::HashSet;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use file_scanner::ScannedFiles;
use frame_cache::{FrameCache, Statistics, Temporary};
use image_assembly::{Compression, Frames, Framing, Options, Unit as FrameUnit, Writer};
use image_tree::{
    Content, FileRef, FileTree, NodeId, NodeKind, Piece, PieceSource, TreeId, io_reason, shown,
};

use crate::frames::{FrameStores, Units};
use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::prepare::Prepared;
use crate::{Failure, FailureKind};

/// Blocks of all ext4 file systems that are written, in \[bytes\].
const BLOCK: u64 = 4096;

impl Prepared<'_> {
    /// Writes the frames of all large store paths to a new folder, for [`FrameStores::open`]. Small ones share frames with
    /// their neighbours in an image, so a layer can't have them. Paths in `except` are left out.
    ///
    /// The folder appears complete or not at all.
    ///
    /// # Errors
    /// If a source can't be read or changed, or the folder exists or can't be written.
    pub fn write_layer(
        &self,
        folder: &Path,
        except: &HashSet<String>,
        level: i32,
        observer: &dyn Observer,
    ) -> Result<Statistics, Failure> {
        let failed = |error: &io::Error| {
            let what = format!("can't be written: {}", io_reason(error));
            Failure::new(FailureKind::Output, shown(folder), what, "choose another place")
        };
        if folder.symlink_metadata().is_ok() {
            let help = "remove it, or choose another name";
            return Err(Failure::new(FailureKind::Output, shown(folder), "exists already", help));
        }
        self.verify_hashes(observer)?;
        let temporary = Temporary::new(temporary_name(folder).map_err(|error| failed(&error))?);
        let cache = FrameCache::create_layer(temporary.path());
        let cache = cache.map_err(|error| failed(&io::Error::other(error)))?;
        let pieces = Pieces::of(self, except);
        let contents = ScannedFiles::of(self.trees());
        let stores = FrameStores::of_layer(cache);
        run_stage(observer, (Stage::Write, Unit::Bytes, pieces.len()), || {
            if pieces.is_empty() {
                return Ok(());
            }
            let units = Units::of(self);
            let progress = |bytes| observer.advance(bytes);
            let options = Options {
                threads: NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN),
                compression: Some(Compression::Zstd { level, framing: Framing::Units { seekable: false } }),
                ..Options::default()
            };
            let writer = Writer::new(&pieces, &contents).options(options).progress(&progress);
            let writer = writer.frames(Frames { source: &units, store: Some(&stores) });
            writer.write_to(&mut io::sink()).map(drop).map_err(Failure::from)
        })?;
        let statistics = stores.finish().unwrap_or_default();
        if let Some(error) = &statistics.error {
            return Err(failed(error));
        }
        temporary.publish(folder).map_err(|error| failed(&error))?;
        Ok(statistics)
    }
}

/// A hidden name next to a folder.
fn temporary_name(folder: &Path) -> io::Result<PathBuf> {
    let name = folder.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".snugfs-{}", std::process::id()));
    Ok(folder.with_file_name(hidden))
}

/// The data of large store paths as it is in images, one path after another.
struct Pieces<'p> {
    trees: Vec<(TreeId, &'p FileTree, Vec<NodeId>)>,
    len: u64,
}

impl<'p> Pieces<'p> {
    fn of(prepared: &'p Prepared<'_>, except: &HashSet<String>) -> Self {
        let mut trees = Vec::new();
        let mut len = 0;
        let mut done = HashSet::new();
        for volume in prepared.volumes() {
            let (Some(closure), tree) = (&volume.scanned.closure, &volume.scanned.tree) else { continue };
            let mut paths = Vec::new();
            for (top, info) in closure.nodes_of_paths(tree) {
                let path = info.path.in_store(closure.store_dir()).to_string();
                let bytes = files(tree, top).map(|(_, size)| size.next_multiple_of(BLOCK)).sum::<u64>();
                if bytes >= FrameUnit::LARGE && !except.contains(&path) && done.insert(info.nar_hash) {
                    paths.push(top);
                    len += bytes;
                }
            }
            trees.push((volume.tree, tree, paths));
        }
        Self { trees, len }
    }
}

/// The files of a store path with their lengths, in the order in which images have them.
fn files(tree: &FileTree, top: NodeId) -> impl Iterator<Item = (NodeId, u64)> + Send + '_ {
    let end = tree.end(top);
    let below = tree.iter().skip(top.index()).take_while(move |(node, _)| *node < end);
    below.filter_map(|(node, found)| match found.kind() {
        NodeKind::File { size, .. } if size > 0 => Some((node, size)),
        _ => None,
    })
}

impl PieceSource for Pieces<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let files = self.trees.iter().flat_map(|(id, tree, paths)| {
            paths
                .iter()
                .flat_map(move |top| files(tree, *top))
                .map(|(node, size)| (FileRef { tree: *id, node }, size))
        });
        let parts = files.flat_map(|(file, size)| {
            let zeros = size.next_multiple_of(BLOCK) - size;
            let contents = Some((Content::File { file, offset: 0 }, size));
            contents.into_iter().chain((zeros > 0).then_some((Content::Zeros, zeros)))
        });
        let mut at = 0;
        Box::new(parts.map(move |(content, len)| {
            let piece = Piece { offset: at, len, content };
            at += len;
            piece
        }))
    }

    fn generate(&self, _: &Piece, _: &mut [u8]) {}
}
