//! Where in the plan a value stands. A place is made for every value, and written out only for a problem.

use std::fmt;

use image_tree::escaped;

/// A JSON path as messages show it: `plan.trees[0].source`, `plan.entries."/etc/x".mode`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Plan,
    Key(&'a str),
    Index(usize),
}

impl Place<'static> {
    /// The plan itself.
    pub(crate) const PLAN: Self = Self { parent: None, step: Step::Plan };
}

impl<'a> Place<'a> {
    /// The place of a key's value in an object that stands here.
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }

    /// The place of an item of a list that stands here.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}")?;
        }
        match self.step {
            Step::Plan => f.write_str("plan"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => f.write_str(&step(key)),
        }
    }
}

/// The part of a place that a key is.
pub(crate) fn step(key: &str) -> String {
    if is_plain(key) { format!(".{key}") } else { format!(".{}", quoted(key)) }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// How much of a text a message shows, in \[bytes\]: enough for any path that a shell could type.
const SHOWN: usize = 300;

/// A text in quotes, escaped, and cut where it is too long for a message.
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
    fn keys_that_are_no_plain_words_are_quoted_and_escaped() {
        let trees = Place::PLAN.key("trees");
        let tree = trees.index(3);
        assert_eq!(tree.key("source").to_string(), "plan.trees[3].source");
        let entries = Place::PLAN.key("entries");
        let entry = entries.key("/etc/a\nb");
        assert_eq!(entry.key("mode").to_string(), "plan.entries.\"/etc/a\\x0ab\".mode");
        assert_eq!(Place::PLAN.key("").to_string(), "plan.\"\"");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let shown = quoted(&"ä".repeat(1000));
        assert_eq!(shown, format!("\"{}...\"", "ä".repeat(150)));
    }
}
