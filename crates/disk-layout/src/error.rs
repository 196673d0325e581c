use std::fmt;

use image_tree::{Explain, Explanation, explained_errors};

/// Something that has a place on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// The partition table.
    Table,
    /// A partition, by its position from 0.
    Partition(usize),
    /// A blob, by its position from 0.
    Blob(usize),
    /// The whole disk.
    Disk,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => f.write_str("the partition table"),
            Self::Partition(index) => write!(f, "partition {}", index.saturating_add(1)),
            Self::Blob(index) => write!(f, "blob {}", index.saturating_add(1)),
            Self::Disk => f.write_str("the disk"),
        }
    }
}

/// Where something is on a disk, in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub item: Item,
    /// Its first byte.
    pub start: u64,
    /// The byte behind its last.
    pub end: u64,
}

/// Why a disk can't be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskError {
    /// Two things at one place.
    Overlap {
        /// What begins first.
        one: Span,
        /// What begins within it.
        other: Span,
    },
    /// A content that its partition has no room for.
    TooSmall {
        /// The partition.
        item: Item,
        /// Its length.
        size: u64,
        /// Its content's length.
        needs: u64,
    },
    /// Something that ends behind the disk, or where its backup table begins.
    PastEnd {
        /// What does not fit.
        span: Span,
        /// Where the space for partitions ends.
        usable: u64,
    },
    /// Numbers that the table can't hold.
    TooLargeForMbr {
        /// What lies too far away.
        span: Span,
        /// Where such a table ends, in \[bytes\].
        most: u64,
    },
    /// Something whose end can't be counted in 64 bits.
    Overflow {
        /// What it is.
        item: Item,
    },
    /// Partitions that the table can't hold: whoever made the options should have refused them.
    Table(&'static str),
}

/// How a program calls what is on a disk, and its size.
pub trait Names {
    /// The name of a part of the disk.
    fn item(&self, item: Item) -> String {
        item.to_string()
    }

    /// What sets the size of the disk.
    fn size(&self) -> String {
        "the size of the disk".to_owned()
    }

    /// How to ask for a GUID partition table.
    fn gpt(&self) -> String {
        "use a GPT".to_owned()
    }
}

/// Neutral names.
#[derive(Clone, Copy, Debug)]
struct Plain;

impl Names for Plain {}

impl DiskError {
    /// Whether two parts contradict each other; otherwise the contents do not fit.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Overlap { .. })
    }

    /// What the error is about, what is wrong there, and what to do about it.
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
                // The table is where it must be: the message is about what overlaps it.
                let (one, other) = if one.item == Item::Table { (other, one) } else { (one, other) };
                let what = format!("{} overlap {} ({})", bytes(one), names.item(other.item), bytes(other));
                (one.item, what, help)
            }
            Self::TooSmall { item, size, needs } => (
                *item,
                format!(
                    "the content has {needs} bytes, {} more than the partition's {size}",
                    needs.saturating_sub(*size)
                ),
                "make it larger".to_owned(),
            ),
            Self::PastEnd { span, usable } => (
                span.item,
                format!("{} end behind the disk's last usable byte at {usable}", bytes(span)),
                format!("make {} larger or leave it out", names.size()),
            ),
            Self::TooLargeForMbr { span, most } => (
                span.item,
                format!("{} can't be written into an mbr, which ends at {} TiB", bytes(span), most >> 40),
                names.gpt(),
            ),
            Self::Overflow { item } => (
                *item,
                "ends behind the last byte that can be numbered".to_owned(),
                "move it to the front".to_owned(),
            ),
            Self::Table(what) => (Item::Table, (*what).to_owned(), "please report it".to_owned()),
        }
    }
}

impl Explain for DiskError {
    fn explain(&self) -> Explanation {
        let (item, what, help) = self.message(&Plain);
        Explanation::new(item.to_string(), what, help)
    }
}

explained_errors!(DiskError);
