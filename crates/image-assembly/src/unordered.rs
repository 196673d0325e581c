//! Observers that all threads call, in any order: they see bytes where they are read, and so cost no thread of their own.

use std::ops::Range;

use image_tree::{Contents, PieceSource};

use crate::error::AssemblyError;
use crate::options::Options;
use crate::positioned;
use crate::writer::Job;

/// Observes the bytes of an image, in any order and from any thread. Each byte is passed exactly once.
pub trait UnorderedObserver: Sync {
    /// Whether any of the `len` \[bytes\] from `offset` are of interest. If not, they need not be passed. Default: true.
    fn is_interested(&self, offset: u64, len: u64) -> bool {
        let _ = (offset, len);
        true
    }

    /// Bytes of the image from an offset.
    fn bytes(&self, offset: u64, bytes: &[u8]);

    /// `len` zero \[bytes\] of the image from an offset.
    fn zeros(&self, offset: u64, len: u64);
}

/// Writes bytes at an offset.
pub type Put<'p> = dyn FnMut(u64, &[u8]) -> Result<(), AssemblyError> + 'p;

/// Bytes of an image that are known only after all others were written, such as hashes of them. Until then, the image has other
/// bytes in their place.
pub trait Patches {
    /// The places of these bytes in \[bytes\], ascending and disjoint. They are known from the beginning.
    fn ranges(&self) -> Vec<Range<u64>>;

    /// Passes the bytes of each range to `put`, in the order of [`Self::ranges`]. Called once, after the last byte.
    ///
    /// # Errors
    /// If `put` fails, or the bytes can't be computed.
    fn apply(&self, put: &mut Put<'_>) -> Result<(), AssemblyError>;
}

/// Reads a whole image without writing it, and passes its bytes to the observer. `progress` is called with the number of
/// \[bytes\] read since the last call, from any thread.
///
/// # Errors
/// If a source can't be read or changed. Of several errors, the one at the lowest offset is returned.
pub fn read_image(
    image: &dyn PieceSource,
    contents: &dyn Contents,
    options: &Options,
    observer: &dyn UnorderedObserver,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), AssemblyError> {
    positioned::read(&Job { image, contents, options, progress, unordered: Some(observer) })
}
