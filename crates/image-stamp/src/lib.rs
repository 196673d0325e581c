//! Fills slots of finished images: files for which a plan reserved room.
//!
//! A stamp is planned first ([`Stamp::plan`]), from what the image holds, and then applied. It changes the contents of the slots,
//! their lengths and the structures that depend on these, and nothing else. The same contents change nothing.
//!
//! The invariants:
//! - [`Stamp::steps`] are in an order that survives a crash. With a sync after each step, a slot has its old contents, is empty,
//!   or has its new contents, and the file system is sound in every state. A FAT file system may have lost clusters, which
//!   the next stamp clears, and which fsck.vfat frees.
//! - After the last step, the rest of a slot is zeros: nothing of older contents is left, also of a stamp that was interrupted.
//! - The image is untrusted: for any image, planning ends with a plan or an error.
//!
//! | module | contents |
//! |---|---|
//! | `slot` | finds slots |
//! | `ext4` | the inode of a slot, and how a stamp changes it |
//! | `fat` | the list of slots of a FAT file system, and how a stamp allocates clusters |
//! | `files` | opens images, and clones them |
//! | `steps` | the writes of a stamp, in their order |

#![warn(clippy::arithmetic_side_effects)]

mod error;
mod ext4;
mod fat;
mod files;
mod slot;
mod steps;

pub use error::StampError;
pub use files::{clone_file, open};
pub use slot::{Finder, Slot, find, slots};
pub use steps::{Fill, Stamp, Write};
