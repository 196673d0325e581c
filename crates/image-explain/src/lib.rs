//! Where the bytes of an image go, and why they are there.
//!
//! A [`Layout`](ext4_layout::Layout) and the closure in it go in, a [`FileSystem`] comes out: what each store path takes
//! itself, what would leave the image with it, who refers to it, and all else that the file system is made of.
//!
//! The invariant: sizes are \[bytes\] of whole blocks, and they add up. The [`Part`]s of a file system are all of it; what
//! its nodes take in sum is the parts that hold contents.
//!
//! | module | its part |
//! |---|---|
//! | `references` | who refers to whom, which paths nobody refers to, the shortest way to each |
//! | `dominators` | without which path another would not be there |
//! | `usage` | what each node of a tree takes with all below it |
//! | `file_system` | all of it together |
//! | `fold` | the largest nodes of a tree, the others as sums: a tree of bounded size |
//! | `name` | name, version and output of a store path |
//! | `compare` | what grew and shrank between two images |
//!
//! Nothing here does I/O, reads a clock or starts a thread; all of it is linear, or nearly, in nodes and references.

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
