//! The types shared by the stages of making an image: file trees, metadata, paths, and pieces of images.
//!
//! The invariant of this crate is the order of [`FileTree`]: nodes are in depth-first order, and the entries of a directory
//! are sorted by the bytes of their names. That is also the order of a NAR, of the file data in the image, and of inode
//! numbers. It depends only on names, so it is the same on all machines.
//!
//! The crate does no I/O.

mod acl;
mod display;
mod explanation;
mod links;
mod metadata;
mod name;
mod path;
mod piece;
mod sector;
mod tree;
mod writer;

pub use acl::{Acl, InvalidAcl};
pub use display::{escaped, io_reason, shown};
pub use explanation::{Explain, Explanation};
pub use metadata::{Metadata, MetadataId, Permissions, Timestamp};
pub use name::{InvalidName, Name};
pub use path::{ImagePath, InvalidPath};
pub use piece::{Content, FileRef, PROBED, Piece, PieceSource, TreeId};
pub use sector::SectorSize;
pub use tree::{
    ByteRange, DataRun, FileSource, FileStamp, FileTree, HOLE_GRAIN, Node, NodeId, NodeKind, Origin,
    OriginId, SpecialKind,
};
pub use writer::{TreeError, TreeWriter};
pub use xattr::{InvalidXattr, Xattr, XattrName, XattrNamespace};

mod xattr;
