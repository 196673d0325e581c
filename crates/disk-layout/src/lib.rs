//! Lays out disks with a partition table, partitions and blobs, as pieces of one image.
//!
//! The invariant: the pieces of a [`Disk`] cover every byte exactly once, and the bytes of a partition don't depend on the
//! disk around it. The crate does no I/O and uses no random numbers: default identifiers are derived from the UUID of the
//! root file system.
//!
//! | module | contents |
//! |---|---|
//! | `options` | the parameters of a disk |
//! | `placement` | start and length of each item; checks that nothing overlaps |
//! | `fill` | lengths of partitions that take what is left |
//! | `table` | identifiers, and the table at both ends of a disk |
//! | `mbr`, `gpt` | the bytes of the two kinds of table |
//! | `identifiers` | default GUIDs and numbers |
//! | `swap` | swap areas |
//! | `disk` | the pieces |

mod disk;
mod error;
mod fill;
mod gpt;
mod identifiers;
mod mbr;
mod options;
mod placement;
mod swap;
mod table;

pub use disk::Disk;
pub use error::{DiskError, Item, Names, Span};
pub use identifiers::fat_serial_number;
pub use options::{Blob, Kind, Length, Options, Part, Partition, RoundTo, Table, TableId};
pub use placement::PlacedPartition;
pub use swap::SwapArea;
