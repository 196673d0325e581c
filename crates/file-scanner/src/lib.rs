//! Scans the sources of a plan into one sorted [`image_tree::FileTree`], the same on every machine. The only crate that walks the
//! file system.
//!
//! The invariant of this crate: the tree does not depend on the order in which directories were read, on the number of threads,
//! or on inode numbers, link counts and times of a store. The walk runs in parallel and results in a table of directories. Then
//! a single merge in the order of names decides what goes where.
//!
//! No path of a source is resolved twice from the root. Everything is opened relative to an open descriptor without following
//! symlinks, so a file that is replaced during a build can't lead outside the source.
//!
//! | module | purpose |
//! |---|---|
//! | `listing` | the names of one directory, sorted |
//! | `walk`, `tasks`, `inspect`, `host_xattrs`, `holes` | directories in parallel, one entry, its extended attributes, its holes |
//! | `flags` | how files are opened |
//! | `owners`, `mounts` | whether the shown owners are real; other file systems below a tree |
//! | `archives` | archives and container images, as directories of the walk |
//! | `exclude` | patterns of what is left out |
//! | `own` | output files of the program, which no tree includes |
//! | `found` | the result of the walk |
//! | `attributes` | the attributes of the plan in the order of their precedence; which patterns match a path |
//! | `characters` | patterns for paths with characters other than ASCII |
//! | `plan_tree` | the entries, targets and attributes of the plan, by path |
//! | `merge` | merges all sources in depth-first order, finds conflicts |
//! | `source_id` | the source of an error or a warning |
//! | `metadata`, `flatten`, `warnings` | owners, permissions and times; the finished tree |
//! | `opener`, `contained`, `scanned_files` | reads the files again, as contents of an image |
//! | `equal` | files with equal contents |

mod archives;
mod attributes;
mod characters;
mod contained;
mod equal;
mod error;
mod errors;
mod exclude;
mod flags;
mod flatten;
mod found;
mod glob_error;
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

pub use contained::ContainedFile;
pub use equal::Alike;
pub use error::{ErrorKind, RUN_AS, ScanError, realise};
pub use errors::ScanErrors;
pub use image_tree::{Inode, OwnFile};
pub use opener::{Cursor, OpenFile, Opener, check_unchanged};
pub use own::InTree;
pub use scan::{ScanOptions, Walked, most_readers, scan, scan_again, scan_with};
pub use scanned_files::ScannedFiles;
pub use source_error::SourceError;
pub use source_id::{SourceField, SourceId, Subject};
pub use sources::{InlineFile, Replaced, Scan, Sources, StoreSource};
pub use warnings::{NamedFiles, Warning};
