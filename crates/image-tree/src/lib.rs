//! The types that the stages of an image share: its tree of files, its pieces, and where the bytes of its files come from.
//!
//! ```
//! use image_tree::{Contents, FileBytes, ImagePath, TreeBuilder, TreeContents};
//!
//! let mut tree = TreeBuilder::new();
//! tree.file("/etc/hostname", "snug\n")?.symlink("/bin", "usr/bin")?;
//! let tree = tree.finish()?;
//! let contents = TreeContents::new(&tree);
//! let file = tree.find(&ImagePath::parse(b"/etc/hostname")?).ok_or("no such file")?;
//! let mut reader = contents.reader();
//! assert!(matches!(reader.open(file.into())?, FileBytes::Memory(b"snug\n")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The invariant of this crate is the order of [`FileTree`]: nodes are in depth-first order, and the entries of a directory
//! are sorted by the bytes of their names. That is also the order of a NAR, of the file data in the image, and of inode
//! numbers. It depends only on names, so it is the same on all machines.
//!
//! Nothing here opens a file, reads a clock or starts a thread.

mod acl;
mod binary_size;
mod builder;
mod contents;
mod display;
mod explanation;
mod index;
mod links;
mod metadata;
mod name;
mod number;
mod own_file;
mod packed;
mod path;
mod piece;
mod relabel;
mod sector;
mod tree;
mod uuid;
mod writer;

pub use acl::{Acl, InvalidAcl};
pub use binary_size::BinarySize;
pub use builder::{BuildError, TreeBuilder};
pub use contents::{
    Contents, ContentsError, FileBytes, FileReader, Forward, ReadAt, Spool, SpoolPlace, TreeContents,
};
pub use display::{escaped, io_reason, shown};
pub use explanation::{Explain, Explanation};
pub use index::{MetadataId, NodeId, OriginId, TreeId};
pub use metadata::{Metadata, Permissions, Timestamp};
pub use name::{InvalidName, Name};
pub use number::{narrow, to_u64, to_usize};
pub use own_file::{Inode, OwnFile};
pub use packed::{PackedBlock, PackedFile, PackedFormat};
pub use path::{ImagePath, InvalidPath};
pub use piece::{Content, FileRef, PROBED, Piece, PieceSource};
pub use sector::SectorSize;
pub use tree::{
    ByteRange, Container, DataRun, FileSource, FileStamp, FileTree, HOLE_GRAIN, Node, NodeKind, Origin,
    Segment, SpecialKind,
};
pub use uuid::Uuid;
pub use writer::{MAX_SLOT, SLOT_XATTR, TreeError, TreeWriter};
pub use xattr::{InvalidXattr, Xattr, XattrName, XattrNamespace};

mod xattr;
