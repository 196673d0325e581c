//! Does an image hold what it should? The tree that an image has is taken from the image alone, by readers that know
//! nothing of how it was made, and laid beside the tree that it should have.
//!
//! The invariant of this crate: every difference is counted under its kind and the first of each kind are told by path,
//! with what was expected and what was found. Whatever an image says, reading its tree ends, and takes memory in
//! proportion to the tree that it should have.
//!
//! | module | its part |
//! |---|---|
//! | `kinds`, `differences` | what can differ, and how much of it is kept |
//! | `found` | the tree of an image, and where its files lie |
//! | `from_ext4`, `from_fat` | from a file system to its tree |
//! | `trees` | two trees beside each other |
//! | `superblock` | what a file system promises |

mod differences;
mod found;
mod from_ext4;
mod from_fat;
mod kinds;
mod superblock;
mod trees;

pub use differences::{Difference, Differences};
pub use found::{FileBytes, FoundTree};
pub use from_ext4::Ext4Tree;
pub use from_fat::fat_tree;
pub use kinds::Kind;
pub use superblock::{Use, compare_superblocks};
pub use trees::{Pair, Rules, compare_trees, shown_path};
