//! What was found, as far as it is kept.

use std::collections::BTreeMap;
use std::fmt;

use crate::Kind;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its kind.
    pub kind: Kind,
    /// Where it is: a path or a part of the image, escaped, with its partition before it.
    pub place: String,
    /// What differs, what was expected and what was found, on one line.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place, self.text, self.kind)
    }
}

/// All differences of an image.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// The first of each kind, in the order in which they were found.
    pub kept: Vec<Difference>,
    /// How many there are of each kind.
    pub counts: BTreeMap<Kind, u64>,
    /// Before every place: `partition 2: `, or nothing.
    prefix: String,
}

impl Differences {
    /// How many differences of one kind are kept in full.
    pub const KEPT_OF_EACH: usize = 10;

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many there are in all.
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// What stands before the places that follow.
    pub fn within(&mut self, prefix: impl Into<String>) {
        self.prefix = prefix.into();
    }

    /// Counts a difference; place and text are made only where they are kept.
    pub fn add(&mut self, kind: Kind, told: impl FnOnce() -> (String, String)) {
        let before = self.counts.get(&kind).copied().unwrap_or(0);
        self.add_untold(kind, 1);
        if usize::try_from(before).is_ok_and(|before| before < Self::KEPT_OF_EACH) {
            let (place, text) = told();
            self.kept.push(Difference { kind, place: format!("{}{place}", self.prefix), text });
        }
    }

    /// Counts differences of which nothing more is told.
    pub fn add_untold(&mut self, kind: Kind, number: u64) {
        if number > 0 {
            let count = self.counts.entry(kind).or_default();
            *count = count.saturating_add(number);
        }
    }
}
