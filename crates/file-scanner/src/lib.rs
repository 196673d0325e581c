//! The only walker of the file system: what a plan names becomes one sorted [`image_tree::FileTree`], the same on
//! every machine.
//!
//! The invariant of this crate: nothing that the tree says depends on the order in which directories were read, on
//! the number of threads, or on inode numbers, link counts and times of a store. The walk runs in parallel and
//! leaves a table of directories; one merge in the order of names then decides, alone, what goes where.
//!
//! No path of a source is ever resolved twice from the root: everything is opened relative to a descriptor that is
//! held, without following symlinks, so what is swapped in during a build can't lead outside the source.
//!
//! | module | its part |
//! |---|---|
//! | `listing` | the names of one directory, sorted |
//! | `walk`, `tasks`, `inspect`, `host_xattrs`, `holes` | directories in parallel, one entry, its extended attributes, its holes |
//! | `owners`, `mounts` | whether owners are the files' own; other file systems below a tree |
//! | `own` | files that the program writes, which no tree includes |
//! | `found` | what the walk leaves |
//! | `plan_tree` | what the plan alone says, by path |
//! | `merge` | all sources together in depth-first order, and their conflicts |
//! | `source_id` | which source an error or a warning is about |
//! | `metadata`, `flatten`, `warnings` | owners, rights and times; the finished tree |
//! | `opener`, `scanned_files` | reading the files again; as contents of an image |
//! | `equal` | which of them have the same contents |

mod equal;
mod error;
mod errors;
mod flatten;
mod found;
mod holes;
mod host_xattrs;
mod inspect;
mod listing;
mod merge;
mod metadata;
mod mounts;
mod opener;
mod own;
mod owners;
mod plan_tree;
mod scan;
mod scanned_files;
mod source_error;
mod source_id;
mod sources;
mod tasks;
mod walk;
mod warnings;

pub use equal::Alike;
pub use error::{ErrorKind, RUN_AS, ScanError, realise};
pub use errors::ScanErrors;
pub use image_tree::{Inode, OwnFile};
pub use opener::{Cursor, OpenFile, Opener, check_unchanged};
pub use own::InTree;
pub use scan::{ScanOptions, most_readers, scan, scan_with};
pub use scanned_files::ScannedFiles;
pub use source_error::SourceError;
pub use source_id::{SourceField, SourceId, Subject};
pub use sources::{InlineFile, Scan, Sources, StoreSource};
pub use warnings::{NamedFiles, Warning};
