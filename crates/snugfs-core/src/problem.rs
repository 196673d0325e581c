//! Messages: where, what is wrong, what to do.

use image_assembly::Refusal;
use image_tree::{Explain, Explanation, escaped};
use snugfs_plan::{Location, Part, Position};

/// What a message is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// Nothing in particular.
    #[default]
    Nowhere,
    /// A place in the plan.
    Plan(Location),
    /// A file, a path in the image, an option, by its name.
    Named(String),
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nowhere => Ok(()),
            Self::Plan(location) => location.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl From<Location> for At {
    fn from(location: Location) -> Self {
        Self::Plan(location)
    }
}

impl From<&Location> for At {
    fn from(location: &Location) -> Self {
        Self::Plan(location.clone())
    }
}

impl From<&str> for At {
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

impl From<String> for At {
    fn from(name: String) -> Self {
        if name.is_empty() { Self::Nowhere } else { Self::Named(name) }
    }
}

impl From<&String> for At {
    fn from(name: &String) -> Self {
        Self::from(name.clone())
    }
}

/// A message of the form `WHERE: what is wrong; what to do`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// WHERE.
    pub at: At,
    /// What is wrong.
    pub what: String,
    /// What to do; empty if there is nothing to do.
    pub help: String,
    /// The place in the plan's text, if the plan is not JSON.
    pub position: Option<Position>,
    /// Whether the problem is about a key of the plan or its value.
    pub part: Part,
    /// The cause, for programs that replace the help.
    pub cause: Option<Cause>,
}

/// A cause for which a program can give better help than this library: its own options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// An output that can't contain an image.
    Refused(Refusal),
    /// The compressor got no thread or no memory.
    Compressor,
    /// A partition was requested, but the image has none.
    NoPartitions,
    /// The image has no file system that can be read.
    NoFileSystem,
    /// The path is not in the image, and no path is similar.
    NotInImage,
}

impl Problem {
    /// A message.
    pub fn new(at: impl Into<At>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into(), help: help.into(), ..Self::default() }
    }

    /// What went wrong in the program itself.
    pub fn internal(at: impl Into<At>, what: impl std::fmt::Display) -> Self {
        Self::new(at, format!("{what}"), "please report it")
    }

    /// The same message with `at` in front of its WHERE.
    #[must_use]
    pub fn within(self, at: &str) -> Self {
        let at = match self.at {
            At::Nowhere => at.to_owned(),
            inner => format!("{at}: {inner}"),
        };
        Self { at: at.into(), ..self }
    }

    /// A problem of a plan. `file` is the plan's name, for errors in its text.
    pub fn of_plan(problem: &snugfs_plan::Problem, file: &str) -> Self {
        let at = match problem.position {
            Some(position) => At::Named(format!("{file}{position}")),
            None => At::Plan(problem.at.clone()),
        };
        Self {
            at,
            what: problem.what.clone(),
            help: problem.help.clone(),
            position: problem.position,
            part: problem.part,
            cause: None,
        }
    }
}

impl From<Explanation> for Problem {
    fn from(explanation: Explanation) -> Self {
        Self::new(explanation.subject, explanation.what, explanation.help)
    }
}

impl<E: Explain> From<&E> for Problem {
    fn from(error: &E) -> Self {
        error.explain().into()
    }
}

/// The message on one line.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.at.to_string();
        let mut text = at;
        for (separator, part) in [(": ", &self.what), ("; ", &self.help)] {
            if !text.is_empty() && !part.is_empty() {
                text.push_str(separator);
            }
            text.push_str(part);
        }
        f.write_str(&one_line(&text))
    }
}

/// Replaces control characters with `\xNN`, so that names can't add lines or change a terminal.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.push_str(&escaped(character.encode_utf8(&mut [0; 4]).as_bytes()).to_string());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line() {
        let location = Location::plan().key("entries").key("/a: b").key("mode");
        let problem = Problem::new(location, "wrong", "mend it");
        assert_eq!(problem.to_string(), "plan.entries.\"/a: b\".mode: wrong; mend it");
        assert_eq!(Problem::new("", "no place", "").to_string(), "no place");
        assert_eq!(
            Problem::new("x", "\"a\nb\x1b[31m\u{85}ü\"", "").to_string(),
            "x: \"a\\x0ab\\x1b[31m\\xc2\\x85ü\""
        );
        assert_eq!(Problem::new("b", "wrong", "").within("a").to_string(), "a: b: wrong");
    }
}
