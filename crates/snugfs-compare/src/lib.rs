//! Compares the contents of an image with what it should contain. The image's tree comes only from the image: it is read by
//! code that does not know how the image was made, and compared with the expected tree.
//!
//! The invariant of this crate: every difference is counted by kind, and the first ones of each kind are reported with path,
//! expected and found value. For any image, reading its tree terminates, and takes memory in proportion to the expected
//! tree.
//!
//! | module | contents |
//! |---|---|
//! | `kinds`, `differences` | kinds of differences and of damage outside of ext4, and the list of the differences found |
//! | `found` | the tree of an image, and the location of its files |
//! | `from_ext4`, `from_fat` | readers of trees |
//! | `trees` | comparison of trees |
//! | `superblock` | comparison of superblocks |

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
pub use kinds::{Kind, PartCode};
pub use superblock::{Use, compare_superblocks};
pub use trees::{Pair, Rules, compare_trees, shown_path};
