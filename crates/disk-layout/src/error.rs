use std::fmt;

use image_tree::{Explain, Explanation, explained_errors};

/// An item on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// The partition table.
    Table,
    /// A partition, by its index from 0.
    Partition(usize),
    /// A blob, by its index from 0.
    Blob(usize),
    /// The whole disk.
    Disk,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => f.write_str("the partition table"),
            Self::Partition(index) => write!(f, "partition {}", index + 1),
            Self::Blob(index) => write!(f, "blob {}", index + 1),
            Self::Disk => f.write_str("the disk"),
        }
    }
}

/// The place of an item on a disk, in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The item.
    pub item: Item,
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte.
    pub end: u64,
}

/// The error if a disk can't be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskError {
    /// Two items that overlap.
    Overlap {
        /// The item that starts first.
        one: Span,
        /// The item that starts within it.
        other: Span,
    },
    /// A partition that is too small for its content.
    TooSmall {
        /// The partition.
        item: Item,
        /// Length of the partition in \[bytes\].
        size: u64,
        /// Length of the content in \[bytes\].
        needs: u64,
    },
    /// A partition that takes what is left, where nothing is left.
    NothingLeft {
        /// The partition.
        item: Item,
        /// Where it would start, in \[bytes\].
        start: u64,
        /// End of the space for it, in \[bytes\].
        limit: u64,
    },
    /// A disk whose given length is too small for its partition table.
    TooShort {
        /// Length of the disk in \[bytes\].
        size: u64,
        /// Length of the partition table with its backup, in \[bytes\].
        least: u64,
    },
    /// A disk that is longer than a file can be.
    TooLong {
        /// What makes it so long: the last item, or the disk's given length.
        item: Item,
        /// Length of the disk in \[bytes\].
        bytes: u64,
    },
    /// A disk whose rounded length is longer than a file can be.
    RoundedTooLong,
    /// A partition that takes what is left, on a disk whose length is not given.
    NoLength {
        /// The partition.
        item: Item,
    },
    /// An item that ends after the space for partitions.
    PastEnd {
        /// The item that does not fit.
        span: Span,
        /// End of the space for partitions: the end of the disk, or the start of the backup table; in \[bytes\].
        usable: u64,
    },
    /// An item after the end of what an MBR can address.
    TooLargeForMbr {
        /// The item.
        span: Span,
        /// End of what an MBR can address, in \[bytes\].
        most: u64,
    },
    /// An item whose end exceeds 64 bits.
    Overflow {
        /// The item.
        item: Item,
    },
    /// Partitions that the table does not support. Callers should check them before.
    Table(&'static str),
}

/// Maximum length of a file in \[bytes\]: offsets are signed (`off_t`).
pub(crate) const MOST_BYTES: u64 = i64::MAX.cast_unsigned();

/// The names that a program's messages use for the items of a disk.
pub trait Names {
    /// The name of an item.
    fn item(&self, item: Item) -> String {
        item.to_string()
    }

    /// The name of the option for the size of the disk.
    fn size(&self) -> String {
        "the size of the disk".to_owned()
    }

    /// The name of the option that rounds up the length of the disk.
    fn round_to(&self) -> String {
        "the rounding of the disk's length".to_owned()
    }

    /// The instruction to use a GUID partition table.
    fn gpt(&self) -> String {
        "use a GPT".to_owned()
    }
}

/// Names that don't refer to a program's options.
#[derive(Clone, Copy, Debug)]
struct DefaultNames;

impl Names for DefaultNames {}

impl DiskError {
    /// Whether two items overlap. Otherwise something does not fit.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Overlap { .. })
    }

    /// Returns the item that the error is about, what is wrong, and what to do.
    pub fn message(&self, names: &dyn Names) -> (Item, String, String) {
        let bytes = |span: &Span| format!("bytes {} to {}", span.start, span.end);
        match self {
            Self::Overlap { one, other } => {
                let help = match (one.item, other.item) {
                    (item, Item::Table) | (Item::Table, item) => {
                        format!("move {} to another offset", names.item(item))
                    }
                    _ => "move one of the two".to_owned(),
                };
                // The table can't be moved, so the message is about the other item.
                let (one, other) = if one.item == Item::Table { (other, one) } else { (one, other) };
                let what = format!("{} overlap {} ({})", bytes(one), names.item(other.item), bytes(other));
                (one.item, what, help)
            }
            Self::TooSmall { item, size, needs } => (
                *item,
                format!("the content has {needs} bytes, {} more than the partition's {size}", needs - size),
                "make it larger".to_owned(),
            ),
            Self::NothingLeft { item, start, limit } if start >= limit => (
                *item,
                format!("it would start at {start}, but the space for it ends at {limit}"),
                format!("increase {}, or make others smaller", names.size()),
            ),
            Self::NothingLeft { item, limit, .. } => (
                *item,
                format!("other parts leave nothing for it before {limit}"),
                format!("increase {}, or make others smaller", names.size()),
            ),
            Self::TooShort { size, least } => (
                Item::Disk,
                format!("{size} bytes are too few for the partition table, which has {least}"),
                format!("increase {}", names.size()),
            ),
            Self::TooLong { item, bytes } => (
                *item,
                format!("the disk would have {bytes} bytes, but a file has at most {MOST_BYTES}"),
                match item {
                    Item::Disk => format!("decrease {}", names.size()),
                    _ => "use a smaller offset or size".to_owned(),
                },
            ),
            Self::RoundedTooLong => (
                Item::Disk,
                format!("its rounded length is more than the {MOST_BYTES} bytes that a file can have"),
                format!("decrease {}", names.round_to()),
            ),
            Self::NoLength { item } => (
                *item,
                "it takes what the disk leaves, but the disk has no given length".to_owned(),
                format!("set {}", names.size()),
            ),
            Self::PastEnd { span, usable } => (
                span.item,
                format!("{} are after the end of the disk's usable space at {usable}", bytes(span)),
                format!("increase {} or leave it out", names.size()),
            ),
            Self::TooLargeForMbr { span, most } => (
                span.item,
                format!("{} are beyond the {} TiB that an mbr can address", bytes(span), most >> 40),
                names.gpt(),
            ),
            Self::Overflow { item } => {
                (*item, "its end exceeds 64 bits".to_owned(), "use a smaller offset or size".to_owned())
            }
            Self::Table(what) => (Item::Table, (*what).to_owned(), "please report it".to_owned()),
        }
    }
}

impl Explain for DiskError {
    fn explain(&self) -> Explanation {
        let (item, what, help) = self.message(&DefaultNames);
        Explanation::new(item.to_string(), what, help)
    }
}

explained_errors!(DiskError);
