//! The list of differences, of bounded length.

use std::collections::BTreeMap;
use std::fmt;

use crate::Kind;

/// A difference between an image and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Kind of the difference.
    pub kind: Kind,
    /// Its place: the partition, then a path or a part of the image, escaped.
    pub place: String,
    /// What was found and what was expected, on one line.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place, self.text, self.kind)
    }
}

/// The differences of an image.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// The first [`Self::KEPT_OF_EACH`] of each kind, in the order in which they were found.
    pub kept: Vec<Difference>,
    /// Number of differences of each kind.
    pub counts: BTreeMap<Kind, u64>,
    /// Prefix of places: `partition 2: `, or empty.
    prefix: String,
}

impl Differences {
    /// Number of differences of each kind that are kept; the others are only counted.
    pub const KEPT_OF_EACH: usize = 10;

    /// Whether there are no differences.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Total number of differences.
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Sets the prefix of the places of further differences.
    pub fn within(&mut self, prefix: impl Into<String>) {
        self.prefix = prefix.into();
    }

    /// Adds a difference. `describe` returns place and text; it is called only if the difference is kept.
    pub fn add(&mut self, kind: Kind, describe: impl FnOnce() -> (String, String)) {
        let before = self.counts.get(&kind).copied().unwrap_or(0);
        self.add_count(kind, 1);
        if usize::try_from(before).is_ok_and(|before| before < Self::KEPT_OF_EACH) {
            let (place, text) = describe();
            self.kept.push(Difference { kind, place: format!("{}{place}", self.prefix), text });
        }
    }

    /// Adds to the number of differences of a kind.
    pub fn add_count(&mut self, kind: Kind, number: u64) {
        if number > 0 {
            let count = self.counts.entry(kind).or_default();
            *count = count.saturating_add(number);
        }
    }
}
