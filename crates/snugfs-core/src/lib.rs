//! Images from plans: prepares, writes, verifies and explains them.
//!
//! [`prepare`] reads the closures that a plan names, scans its sources and decides every byte of the image. What comes back can
//! be written, reported on, explained, and compared with an image that is there. Nothing here prints, reads a command line or
//! keeps state between calls, except that work runs on rayon's global threads.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let json = r#"{ "version": 1, "filesystem": { "uuid": "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10" },
//!     "entries": { "/etc/motd": { "type": "file", "text": "Hello\n" } } }"#;
//! let plan = build_plan::parse(json.as_bytes(), std::path::Path::new(""))?;
//! let image = snugfs_core::prepare(&plan, &snugfs_core::Options::default())?;
//! let output = folder.path().join("root.img");
//! let target = snugfs_core::Target::File(&output);
//! image.write(target, "root.img", &snugfs_core::WriteOptions::default(), &())?;
//! assert_eq!(std::fs::metadata(&output)?.len(), image.bytes());
//! # Ok(())
//! # }
//! ```
//!
//! | module | its part |
//! |---|---|
//! | `closure` | reading files of a closure |
//! | `parts` | what a plan describes, scanned: file systems, folders, single files |
//! | `prepare` | from a plan to an image of which every byte is decided |
//! | `write` | writing it |
//! | `hashes` | comparing NAR hashes and making digests on the way |
//! | `database`, `deduplicate`, `container` | Nix's database, equal files as hard links, qcow2 and simg |
//! | `report`, `disk_report`, `sbom` | the report, the bill of materials |
//! | `verify` | whether an image is sound, and holds what a plan says |
//! | `explain` | where the bytes go |
//! | `problem`, `failure`, `fields` | messages, and the places in the plan that they are about |
//! | `observer`, `own_outputs` | what the caller brings: progress, files that it writes |
//! | `human` | numbers and sizes as people read them |

mod closure;
mod container;
mod database;
mod deduplicate;
mod disk_report;
pub mod explain;
mod failure;
mod fields;
mod hashes;
pub mod human;
mod observer;
mod own_outputs;
mod parts;
mod prepare;
mod problem;
mod report;
mod sbom;
pub mod verify;
mod write;

pub use closure::{MOST_BYTES, NOT_EXPANDED, is_unexpanded, read_all, read_file, too_long};
pub use container::format_name;
pub use deduplicate::Deduplicated;
pub use disk_report::{BlobReport, DiskReport, PartitionReport};
pub use failure::{Failure, FailureKind, remedy};
pub use fields::closure_files;
pub use image_assembly::Target;
pub use image_tree::shown;
pub use observer::{Observer, Stage, Unit, run_stage};
pub use own_outputs::OwnOutputs;
pub use parts::{
    Folder, Part, PartContent, PlannedVolume, ScannedFile, ScannedFolder, ScannedVolume, SingleFile, Volume,
    planned_files, planned_volumes,
};
pub use prepare::{Options, Prepared, prepare};
pub use problem::{At, Cause, Problem, one_line};
pub use report::{Contents, Filesystem, Image, Report, StorePathReport};
pub use write::{WriteOptions, WrittenImage};

impl Prepared<'_> {
    /// All that is known of the image before it is written.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(self)
    }

    /// The store paths of all file systems as a bill of materials: `CycloneDX` 1.5 as JSON. One closure always gives the same
    /// bytes.
    pub fn sbom(&self) -> Result<String, Failure> {
        sbom::json(self.volumes().filter_map(|volume| volume.scanned.closure.as_ref()))
    }
}
