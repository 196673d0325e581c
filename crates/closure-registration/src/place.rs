//! Places in an input.

use std::fmt;

use image_tree::escaped;

/// A place in an input. Displayed as `registration:7`, `graph[2].references[0]` or
/// `graph["/nix/store/…-hello"].narHash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosurePlace {
    /// Name of the input in messages.
    pub name: String,
    /// The place within the input.
    pub at: Within,
}

/// A place within an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// All of it.
    Whole,
    /// A line of a text, from 1.
    Line(u64),
    /// A value of a graph, by the steps from the top.
    Json(Vec<JsonStep>),
}

/// A step from a JSON value to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonStep {
    /// To the value of a key.
    Key(String),
    /// To the element of a list, from 0.
    Index(usize),
}

impl ClosurePlace {
    /// All of an input.
    pub(crate) fn whole(name: &str) -> Self {
        Self { name: name.to_owned(), at: Within::Whole }
    }

    /// A field of the record at this place, which is in a graph.
    pub(crate) fn field(self, key: &str) -> Self {
        self.then(JsonStep::Key(key.to_owned()))
    }

    /// An element of the list at this place, which is in a graph.
    pub(crate) fn element(self, index: usize) -> Self {
        self.then(JsonStep::Index(index))
    }

    fn then(self, step: JsonStep) -> Self {
        let mut steps = match self.at {
            Within::Json(steps) => steps,
            Within::Whole | Within::Line(_) => Vec::new(),
        };
        steps.push(step);
        Self { name: self.name, at: Within::Json(steps) }
    }
}

impl fmt::Display for ClosurePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.at {
            Within::Whole => Ok(()),
            Within::Line(number) => write!(f, ":{number}"),
            Within::Json(steps) => steps.iter().enumerate().try_for_each(|(depth, step)| match step {
                JsonStep::Index(index) => write!(f, "[{index}]"),
                // The keys of a graph are paths, those of a record are identifiers.
                JsonStep::Key(key) if depth == 0 => write!(f, "[\"{}\"]", escaped(key.as_bytes())),
                JsonStep::Key(key) => write!(f, ".{key}"),
            }),
        }
    }
}

/// The start of a record. Borrows, because every record has one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// A line, from 1.
    Line(u64),
    /// An element of a list, from 0.
    Index(usize),
    /// An entry of an object.
    Key(&'a str),
}

impl Place<'_> {
    /// This place in the input with this name.
    pub(crate) fn of(self, name: &str) -> ClosurePlace {
        let at = match self {
            Self::Line(number) => Within::Line(number),
            Self::Index(index) => Within::Json(vec![JsonStep::Index(index)]),
            Self::Key(key) => Within::Json(vec![JsonStep::Key(key.to_owned())]),
        };
        ClosurePlace { name: name.to_owned(), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_the_name_of_the_input() {
        assert_eq!(ClosurePlace::whole("g").to_string(), "g");
        assert_eq!(Place::Line(7).of("r").to_string(), "r:7");
        let reference = Place::Index(2).of("g").field("references").element(0);
        assert_eq!(reference.to_string(), "g[2].references[0]");
        let hash = Place::Key("a\n").of("g").field("narHash");
        assert_eq!(hash.to_string(), "g[\"a\\x0a\"].narHash");
        let steps = vec![JsonStep::Key("a\n".to_owned()), JsonStep::Key("narHash".to_owned())];
        assert_eq!(hash.at, Within::Json(steps));
    }
}
