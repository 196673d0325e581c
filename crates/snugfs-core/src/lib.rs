//! Images from plans: prepares, writes, verifies and explains them.
//!
//! [`prepare`] reads the closures of a plan, scans its sources and decides every byte of the image. The result can write the
//! image, report on it, explain it, and compare it with an existing image. This crate prints nothing, reads no command line
//! and keeps no state between calls, except that it uses rayon's global threads.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let json = r#"{ "version": 1, "filesystem": { "uuid": "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10" },
//!     "entries": { "/etc/motd": { "type": "file", "text": "Hello\n" } } }"#;
//! let plan = snugfs_plan::parse(json.as_bytes(), std::path::Path::new(""))?;
//! let image = snugfs_core::prepare(&plan, &snugfs_core::Options::default())?;
//! let output = folder.path().join("root.img");
//! let target = snugfs_core::Target::File(&output);
//! image.write(target, "root.img", &snugfs_core::WriteOptions::default(), &())?;
//! assert_eq!(std::fs::metadata(&output)?.len(), image.bytes());
//! # Ok(())
//! # }
//! ```
//!
//! | module | purpose |
//! |---|---|
//! | `closure` | reads the files of a closure |
//! | `boot` | the files and the code of a boot loader |
//! | `parts` | the parts of a plan: file systems, folders, single files; scans them |
//! | `prepare` | from a plan to an image whose every byte is decided |
//! | `write` | writes the image |
//! | `variants`, `shared` | writes variants of an image; sources that are read once for several plans |
//! | `frames` | frames of store paths that are kept and used again |
//! | `layer` | frames of store paths without an image |
//! | `layout_record` | where everything is in an image, for the next one |
//! | `verity` | hash trees, and the parts of an image that depend on their root hashes |
//! | `hashes` | compares NAR hashes and computes digests while writing |
//! | `database`, `deduplicate`, `container` | Nix's database, equal files as hard links, formats of virtual disks |
//! | `report`, `disk_report`, `sbom` | the report, the bill of materials |
//! | `verify` | checks an image, and compares it with a plan |
//! | `explain` | where the bytes go |
//! | `problem`, `failure`, `fields` | messages, and their places in the plan |
//! | `observer`, `own_outputs` | traits for the caller: progress, and files that it writes |
//! | `human` | human-readable numbers and sizes |

mod boot;
mod closure;
mod container;
mod database;
mod deduplicate;
mod disk_report;
mod draft;
pub mod explain;
mod failure;
mod fields;
mod frames;
mod fstab;
mod hashes;
pub mod human;
mod layer;
mod layout_record;
mod observer;
mod own_outputs;
mod parts;
mod prepare;
mod problem;
mod report;
mod sbom;
mod selinux;
mod shared;
mod variants;
pub mod verify;
mod verity;
mod write;

pub use boot::{BootCode, boot_files};
pub use closure::{MOST_BYTES, NOT_EXPANDED, is_unexpanded, read_all, read_file, too_long};
pub use container::format_name;
pub use disk_report::{BlobReport, DiskReport, PartitionReport};
pub use draft::draft_plan;
pub use failure::{Failure, FailureKind, remedy};
pub use fields::closure_files;
pub use frame_cache::{
    CacheError, Statistics as CacheStatistics, remove_temporaries as remove_temporary_frames,
};
pub use frames::FrameStores;
pub use image_assembly::Target;
pub use image_containers::BlockCompression;
pub use image_tree::shown;
pub use layout_record::LayoutRecord;
pub use observer::{Observer, Stage, Unit, run_stage};
pub use own_outputs::OwnOutputs;
pub use parts::{
    Deduplicated, Folder, Part, PartContent, PlannedVolume, Replaced, ScannedFile, ScannedFolder,
    ScannedVolume, SingleFile, Volume, planned_files, planned_volumes,
};
pub use prepare::{Options, Prepared, prepare};
pub use problem::{At, Cause, Problem, one_line};
pub use report::{Contents, Filesystem, Image, Report, StorePathReport, VariantsReport};
pub use shared::SharedSources;
pub use variants::{VariantOptions, VariantsSummary};
pub use verity::VerityTree;
pub use write::{SourceUse, WriteOptions, WrittenImage};

impl Prepared<'_> {
    /// Where everything is in the image, for the next one (`plan.filesystem.layoutLike`).
    pub fn layout_record(&self) -> Result<LayoutRecord, Failure> {
        LayoutRecord::of(self)
    }

    /// The report, without the values that are only known after writing.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(self)
    }

    /// A software bill of materials with the store paths of all file systems: `CycloneDX` 1.5 as JSON. The same closures give
    /// the same bytes.
    pub fn sbom(&self) -> Result<String, Failure> {
        sbom::json(self.volumes().filter_map(|volume| volume.scanned.closure.as_ref()))
    }
}
