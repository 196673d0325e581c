//! Places in a plan, for messages.

use std::fmt;

use image_tree::escaped;

/// A place in a plan: the keys and indexes that lead to a value. Displayed as `plan.trees[0].source` or
/// `plan.entries."/etc/x".mode`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Location {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Location {
    /// The plan itself.
    #[must_use]
    pub const fn plan() -> Self {
        Self { steps: Vec::new() }
    }

    /// The value of a key of the object at this place.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.then(Step::Key(key.into()))
    }

    /// The item of the list at this place, counted from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    pub(crate) fn then(&self, step: Step) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self { steps }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plan")?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Key(key) => write_key(f, key),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

/// A place during decoding. Borrows keys, because there is one for every value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: PlaceStep<'a>,
}

#[derive(Clone, Copy, Debug)]
enum PlaceStep<'a> {
    Plan,
    Key(&'a str),
    Index(usize),
}

impl Place<'static> {
    /// The plan itself.
    pub(crate) const PLAN: Self = Self { parent: None, step: PlaceStep::Plan };
}

impl<'a> Place<'a> {
    /// The value of a key of the object at this place.
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: PlaceStep::Key(key) }
    }

    /// The item of the list at this place.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: PlaceStep::Index(index) }
    }

    /// The place as an owned value.
    pub(crate) fn location(&self) -> Location {
        let above = self.parent.map(Self::location).unwrap_or_default();
        match self.step {
            PlaceStep::Plan => above,
            PlaceStep::Key(key) => above.key(key),
            PlaceStep::Index(index) => above.index(index),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.location())
    }
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    if is_plain(key) { write!(f, ".{key}") } else { write!(f, ".{}", quoted(key)) }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Maximum length of a text in a message in \[bytes\]: enough for any path.
const SHOWN: usize = 300;

/// A text in quotes, escaped, and cut if it is too long for a message.
pub(crate) fn quoted(text: &str) -> String {
    if text.len() <= SHOWN {
        return format!("\"{}\"", escaped(text.as_bytes()));
    }
    let cut = (0..=SHOWN).rev().find_map(|end| text.get(..end)).unwrap_or_default();
    format!("\"{}...\"", escaped(cut.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_other_than_plain_words_are_quoted_and_escaped() {
        let trees = Place::PLAN.key("trees");
        let tree = trees.index(3);
        assert_eq!(tree.key("source").location().to_string(), "plan.trees[3].source");
        let entries = Location::plan().key("entries");
        assert_eq!(entries.key("/etc/a\nb").key("mode").to_string(), "plan.entries.\"/etc/a\\x0ab\".mode");
        assert_eq!(Location::plan().key("").to_string(), "plan.\"\"");
        assert_eq!(Location::plan().to_string(), "plan");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let shown = quoted(&"ä".repeat(1000));
        assert_eq!(shown, format!("\"{}...\"", "ä".repeat(150)));
    }
}
