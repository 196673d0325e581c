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

#[cfg(test)]
mod tests {
    use super::*;

    fn describe() -> (String, String) {
        ("/a".to_owned(), "is odd".to_owned())
    }

    #[test]
    fn counts_all_and_keeps_the_first_of_each_kind() {
        let mut differences = Differences::default();
        assert!(differences.is_empty());
        for number in 1..=12 {
            differences.add(Kind::TreeMode, || (format!("/{number}"), String::new()));
        }
        differences.add(Kind::TreeTime, describe);
        differences.add_count(Kind::TreeOwner, 5);
        assert!(!differences.is_empty());
        assert_eq!(differences.count(), 12 + 1 + 5);
        let kept: Vec<_> = differences.kept.iter().map(|difference| difference.place.as_str()).collect();
        assert_eq!(kept, ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10", "/a"]);
    }

    #[test]
    fn no_differences_of_a_kind_are_no_difference() {
        let mut differences = Differences::default();
        differences.add_count(Kind::TreeMode, 0);
        assert!(differences.is_empty());
        assert_eq!(differences.count(), 0);
    }

    #[test]
    fn places_have_the_partition_before_them() {
        let mut differences = Differences::default();
        differences.within("partition 2: ");
        differences.add(Kind::TreeMode, describe);
        differences.within("");
        differences.add(Kind::TreeMode, describe);
        let shown: Vec<_> = differences.kept.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["partition 2: /a: is odd (tree-mode)", "/a: is odd (tree-mode)"]);
    }
}
