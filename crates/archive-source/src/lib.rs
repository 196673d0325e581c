//! Reads tar archives and container images into one tree, without unpacking them.
//!
//! The contents of files are ranges of the archive, or of one unnamed temporary file if it is compressed. Nothing that an archive
//! says is ever a path of this machine, except the names of blobs, which are digests. [`limits`] bounds what it can ask for.
//!
//! | module | purpose |
//! |---|---|
//! | `header`, `pax`, `acl` | the parts of a tar archive |
//! | `member` | its entries, with the maps of sparse files |
//! | `compress`, `ahead`, `digest` | decompression and digests, while another thread uses the bytes |
//! | `input`, `temporary` | where the bytes of files are kept |
//! | `tree` | entries by path, the merge of layers |
//! | `oci` | the files of an image |
//! | `open` | from a file to a tree |

mod acl;
mod ahead;
mod compress;
mod digest;
mod error;
mod header;
mod input;
pub mod limits;
mod member;
mod oci;
mod open;
mod pax;
mod temporary;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_tree::{Container, shown};

use crate::open::{Expected, Reading};

pub use error::{ArchiveError, Fault, FaultKind};
pub use tree::{ArchiveTree, DirectoryId, Inode, InodeId, InodeKind, Owner, RawXattr, RawXattrs, Target};

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format<'f> {
    /// A tar archive, plain or compressed.
    Tar,
    /// A container image: an OCI image layout or an archive of `docker save`, as a folder or in a tar archive.
    Image {
        /// The name or the digest of one of several images.
        image: Option<&'f str>,
        /// `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT` of one of several.
        platform: Option<&'f str>,
    },
}

/// How to read it.
#[derive(Clone, Copy)]
pub struct Options<'o> {
    /// The folder for the temporary file of a compressed archive.
    pub temporary: &'o Path,
    /// Called with the number of entries read since the last call.
    pub progress: &'o (dyn Fn(u64) + Sync),
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("temporary", &self.temporary).finish_non_exhaustive()
    }
}

/// An archive or an image that was read.
#[derive(Debug)]
pub struct Archive {
    /// Its entries.
    pub tree: ArchiveTree,
    /// The files with the bytes of its files, and their paths on this machine.
    pub containers: Vec<(PathBuf, Arc<Container>)>,
    /// The `config` of an image's configuration, as JSON.
    pub config: Option<Vec<u8>>,
}

/// Reads an archive or an image.
///
/// # Errors
/// If it is damaged, missing or beyond the [`limits`].
pub fn read(path: &Path, format: Format<'_>, options: &Options<'_>) -> Result<Archive, ArchiveError> {
    let mut reading = Reading::new(path, options);
    let config = match format {
        Format::Tar => {
            let source = reading.open(path)?;
            reading.archive(source, &Expected::default(), &shown(path))?;
            None
        }
        Format::Image { image, platform } => {
            Some(oci::read(&mut reading, path, oci::Choice { image, platform })?)
        }
    };
    let (tree, containers) = reading.finish()?;
    Ok(Archive { tree, containers, config })
}

/// Whether an archive begins like that of a container image. Fails if it does not begin like any archive.
///
/// # Errors
/// If it can't be read.
pub fn looks_like_image(path: &Path) -> Result<bool, ArchiveError> {
    open::is_among_first(path, FIRST, |name| {
        let name = name.strip_prefix(b"./").unwrap_or(name);
        matches!(name, b"oci-layout" | b"index.json" | b"manifest.json") || name.starts_with(b"blobs/sha256/")
    })
}

/// How many entries show what an archive is.
const FIRST: usize = 16;

impl Archive {
    /// Whether this is the archive of a container image: its files are those of an image layout or of `docker save`.
    #[must_use]
    pub fn is_an_image(&self) -> bool {
        let has = |name: &[u8]| self.tree.entries(DirectoryId::ROOT).any(|(known, _)| known == name);
        has(b"oci-layout") || (has(b"manifest.json") && !has(b"etc") && !has(b"usr"))
    }
}
