use std::fmt;

/// Where something stands on a disk, in \[bytes\].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is, as messages call it.
    pub what: String,
    /// Its first byte.
    pub start: u64,
    /// The byte behind its last.
    pub end: u64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (bytes {} to {})", self.what, self.start, self.end)
    }
}

/// What to do about two things at one place: the partition table has its place.
fn remedy(one: &Span, other: &Span) -> String {
    match [one, other].map(|span| span.what.starts_with("plan.")) {
        [true, false] => format!("move {} to another offset", one.what),
        [false, true] => format!("move {} to another offset", other.what),
        _ => "move one of the two".to_owned(),
    }
}

/// Why a disk can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// Two things at one place.
    #[error("{one} overlaps {other}; {}", remedy(one, other))]
    Overlap {
        /// What begins first.
        one: Span,
        /// What begins within it.
        other: Span,
    },
    /// A content that its partition has no room for.
    #[error("{what}: the content has {needs} bytes, {} more than the partition's {size}; make it larger", needs - size)]
    TooSmall {
        /// The partition.
        what: String,
        /// Its length.
        size: u64,
        /// Its content's length.
        needs: u64,
    },
    /// Something that ends behind the disk, or where its backup table begins.
    #[error(
        "{span} ends behind the disk's last usable byte at {usable}; make plan.disk.size larger or leave it out"
    )]
    PastEnd {
        /// What does not fit.
        span: Span,
        /// Where the space for partitions ends.
        usable: u64,
    },
    /// Numbers that the table can't hold.
    #[error("{span} can't be written into an mbr, which ends at {} TiB; write \"table\": \"gpt\"", most >> 40)]
    TooLargeForMbr {
        /// What lies too far away.
        span: Span,
        /// Where such a table ends, in \[bytes\].
        most: u64,
    },
    /// Something whose end can't be counted in 64 bits.
    #[error("{what}: ends behind the last byte that can be numbered; move it to the front")]
    Overflow {
        /// What it is.
        what: String,
    },
    /// Partitions that the table can't hold: whoever made the options should have refused them.
    #[error("plan.disk.table: {0}; please report it")]
    Table(&'static str),
}

impl DiskError {
    /// Whether the plan contradicts itself; otherwise its contents do not fit.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Overlap { .. })
    }
}
