//! Explains where the bytes of an image go, and why.

mod difference;
mod shrink;
mod sizes;

use image_explain::FileSystem;

pub use difference::Difference;
pub use shrink::{Saving, Way};
pub use sizes::{Sizes, is_report};

use crate::parts::Volume;
use crate::prepare::Prepared;

/// An ext4 file system of an image, explained.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExplainedVolume<'e> {
    /// The file system.
    pub volume: &'e Volume<'e>,
    /// Its name in the plan: `plan`, or the content of a partition.
    pub place: String,
    /// Whether it is the root.
    pub is_root: bool,
    /// Its label.
    pub label: String,
    /// Where its bytes go.
    pub explained: FileSystem<'e>,
    /// Metadata by kind, in \[blocks\], as in a report.
    pub overhead: Vec<(&'static str, u64)>,
    /// Contents of files, in \[blocks\].
    pub file_blocks: u64,
    /// Ways to make it smaller, the largest first; empty if not requested.
    pub savings: Vec<Saving>,
}

impl Prepared<'_> {
    /// Explains the ext4 file systems, the root first. With `with_savings`, each suggestion costs another layout.
    pub fn explain(&self, with_savings: bool) -> Vec<ExplainedVolume<'_>> {
        let explained = self.volumes().enumerate().map(|(index, volume)| {
            let explained = FileSystem::of(&volume.layout, volume.scanned.closure.as_ref());
            let summary = volume.layout.summary();
            let savings = if with_savings { shrink::savings(volume, &explained) } else { Vec::new() };
            let planned = &volume.scanned.planned;
            ExplainedVolume {
                volume,
                place: planned.at.to_string(),
                is_root: index == 0,
                label: String::from_utf8_lossy(&planned.plan.filesystem.label).into_owned(),
                explained,
                overhead: summary.overhead,
                file_blocks: summary.file_blocks,
                savings,
            }
        });
        explained.collect()
    }
}

/// The name of a store path without its hash; with the first digits of the hash if another path has the same name.
#[must_use]
pub fn store_name(system: &FileSystem<'_>, path: usize) -> String {
    let name = system.name(path);
    let others = (0..system.paths().len()).filter(|&other| system.name(other).full == name.full).count();
    let base = system.paths().get(path).map_or("", |info| info.path.as_str());
    match base.get(..6) {
        Some(hash) if others > 1 => format!("{} ({hash})", name.full),
        _ => name.full.to_owned(),
    }
}
