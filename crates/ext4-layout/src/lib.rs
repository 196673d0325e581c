//! Lays out an ext4 file system: determines every byte before the first one is written.
//!
//! ```
//! use ext4_layout::{Layout, Options};
//! use image_tree::{PieceSource, TreeBuilder};
//!
//! let mut tree = TreeBuilder::new();
//! tree.lost_found()?.file("/etc/hostname", "snug\n")?;
//! let options = Options::default().with_free_space(16 << 20).with_label("ROOT")?;
//! let layout = Layout::plan(&tree.finish()?, &options)?;
//! assert_eq!(layout.summary().free_blocks, 4096);
//! assert_eq!(layout.pieces().map(|piece| piece.len).sum::<u64>(), layout.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`FileTree`](image_tree::FileTree) and [`Options`] go in, a [`Layout`] comes out: geometry, inode numbers, block
//! numbers, extents, directories and checksums. A layout is a [`PieceSource`](image_tree::PieceSource): it
//! names the image's pieces in order and makes the bytes of the metadata among them when it is asked to.
//!
//! The invariant of this crate: the blocks that are not fixed metadata form one *data space* without gaps, and every
//! allocation is a run in it. What is stored fills it from its start, so that the smallest size can be computed instead of
//! searched. Only a layout that follows an earlier one ([`Previous`]) leaves gaps.
//!
//! Nothing here does I/O, reads a clock or starts a thread.

mod areas;
mod bitmaps;
mod dataspace;
mod directory;
mod error;
mod extents;
mod generate;
mod geometry;
mod groups;
mod inodes;
mod inventory;
mod layout;
mod numbering;
mod options;
mod pieces;
mod placement;
mod previous;
mod solver;
mod summary;
mod superblocks;
mod units;
mod whereabouts;
mod xattrs;

pub use areas::{Area, Purpose};
pub use error::{LayoutError, LayoutWarning, OptionName, Subject};
pub use layout::Layout;
pub use numbering::MAX_LINKS;
pub use options::{Compatibility, InvalidLabel, Options};
pub use previous::{Likeness, Place, Previous, Reason, Recorded};
pub use summary::Summary;
