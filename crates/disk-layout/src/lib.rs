//! A disk: partition table, partitions and blobs, each where it belongs, as pieces of one image.
//!
//! The invariant: a [`Disk`] covers every byte of its length exactly once, and what is in a partition has the same
//! bytes as it would have by itself. Nothing here does I/O, and nothing is random: identifiers that a plan leaves open
//! are derived from the UUID of its root file system.
//!
//! | module | its part |
//! |---|---|
//! | `options` | what is asked for |
//! | `places` | where everything goes, and that nothing overlaps |
//! | `table` | identifiers, and the bytes at both ends of a disk |
//! | `mbr`, `gpt` | the bytes of the two kinds of tables |
//! | `identifiers` | GUIDs and numbers that nobody gave |
//! | `disk` | the pieces |

mod disk;
mod error;
mod gpt;
mod identifiers;
mod mbr;
mod options;
mod places;
mod table;

pub use disk::Disk;
pub use error::{DiskError, Item, Names, Span};
pub use identifiers::fat_serial_number;
pub use options::{Blob, Kind, Options, Part, Partition, Table};
pub use places::PlacedPartition;
