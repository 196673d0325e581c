//! Hash trees of dm-verity (version 1, blocks of 4,096 bytes, SHA-256), as `veritysetup format` makes them.
//!
//! A hash device has a superblock, and after it the levels of the tree, the top one first. Its length depends only on the length
//! of the data. [`TreeHasher`] takes the data in any order, from several threads. The crate does no I/O.
//!
//! ```
//! use dm_verity::{Parameters, TreeHasher};
//!
//! let parameters = Parameters::new([7; 16], vec![1, 2, 3]).expect("a short salt");
//! let hasher = TreeHasher::new(parameters, 8192).expect("two blocks");
//! hasher.zeros(4096, 4096);
//! hasher.bytes(0, &[1; 4096]);
//! let tree = hasher.finish().expect("all blocks are there");
//! assert_eq!(tree.bytes().len(), 8192);
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `geometry` | the levels of a tree |
//! | `hasher` | computes a tree |
//! | `superblock` | salt, UUID and the superblock |
//! | `root_hash` | the hash of the top block |

mod geometry;
mod hasher;
mod root_hash;
mod superblock;

pub use geometry::{Geometry, Level};
pub use hasher::{HashTree, Incomplete, TreeHasher};
pub use root_hash::RootHash;
pub use superblock::{Parameters, Superblock, Unsupported};

/// The length of blocks of data and of the tree, in \[bytes\].
pub const BLOCK: u64 = 4096;

/// The length of a hash in \[bytes\].
pub const HASH: usize = 32;

/// The longest salt in \[bytes\] (`VERITY_MAX_SALT_SIZE` and the superblock of cryptsetup).
pub const MOST_SALT: usize = 256;
