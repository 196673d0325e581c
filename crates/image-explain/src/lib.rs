//! Explains how the bytes of an image are used, and why store paths are in it.
//!
//! [`FileSystem::of`] takes a [`Layout`](ext4_layout::Layout) and the closure in it. The result has the own and exclusive
//! size of each store path, the references between paths, and all other parts of the file system.
//!
//! The invariant: sizes are in \[bytes\], whole blocks, and they add up. The sum of the [`Part`]s is the size of the file
//! system. The sum of the nodes is the size of the parts with contents.
//!
//! | module | contents |
//! |---|---|
//! | `references` | references between paths, the roots, the shortest chain to each path |
//! | `dominators` | paths without which another path would not be in the image |
//! | `usage` | the size of each node of a tree with its descendants |
//! | `file_system` | the explanation of a file system |
//! | `fold` | a tree reduced to its largest nodes |
//! | `name` | name, version and output of a store path |
//! | `compare` | changes of store paths between two images |
//!
//! The crate does no I/O, reads no clock and starts no threads. Its functions take time linear in nodes, and m log n for m
//! references of n paths.

mod compare;
mod dominators;
mod file_system;
mod fold;
mod name;
mod references;
mod usage;

pub use compare::{Change, PathSize, compare};
pub use file_system::{BLOCK, FileSystem, Kind, Part, StorePathUse, store_path_sizes};
pub use fold::{Folded, fold};
pub use name::StoreName;
pub use references::References;
pub use usage::Usage;
