//! One thing to tell: where it is, what is wrong, what to do.

use build_plan::{Part, Position};
use serde_json::{Value, json};

use crate::exit::one_line;

/// A message of the form `WHERE: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// A field of the plan, a file, an option; empty where the message names none.
    pub(crate) at: String,
    pub(crate) what: String,
    /// Empty where there is nothing to do.
    pub(crate) help: String,
    /// Where in the plan's text it is, if that is no JSON.
    pub(crate) position: Option<Position>,
    /// Whether WHERE means a key of the plan or its value.
    pub(crate) part: Part,
}

/// A place in the plan's text, as editors and compilers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// The file as it was named, or `standard input`.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    /// In \[bytes\] from 1.
    pub(crate) column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Self {
        let (at, rest) = match end_of_place(text) {
            Some(end) => (text.get(..end).unwrap_or_default(), text.get(end + 2..).unwrap_or_default()),
            None => ("", text),
        };
        let (what, help) = rest.rsplit_once("; ").unwrap_or((rest, ""));
        let (at, what, help) = (at.to_owned(), what.to_owned(), help.to_owned());
        Self { at, what, help, position: None, part: Part::Value }
    }
}

impl From<&build_plan::Problem> for Problem {
    fn from(problem: &build_plan::Problem) -> Self {
        let position = problem.position.map(|at| at.to_string()).unwrap_or_default();
        Self {
            at: format!("{}{position}", problem.where_),
            what: problem.what.clone(),
            help: problem.what_to_do.clone(),
            position: problem.position,
            part: problem.part,
        }
    }
}

impl Problem {
    /// The message on one line.
    pub(crate) fn text(&self) -> String {
        let mut text = self.at.clone();
        for (separator, part) in [(": ", &self.what), ("; ", &self.help)] {
            if !text.is_empty() && !part.is_empty() {
                text.push_str(separator);
            }
            text.push_str(part);
        }
        one_line(&text)
    }

    /// The same with other names for fields.
    pub(crate) fn change(&mut self, change: impl Fn(&str) -> String) {
        for part in [&mut self.at, &mut self.what, &mut self.help] {
            *part = change(part);
        }
    }

    /// The message for programs.
    pub(crate) fn json(&self, level: &str, location: Option<&Location>) -> Value {
        let location = location.map(|at| json!({ "file": at.file, "line": at.line, "column": at.column }));
        json!({
            "level": level,
            "at": one_line(&self.at),
            "what": one_line(&self.what),
            "help": one_line(&self.help),
            "location": location
        })
    }
}

/// Where WHERE ends: at the first colon that a space follows and no quotes are around.
fn end_of_place(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, character)| {
        quoted ^= character == '"';
        (!quoted && text.get(at..)?.starts_with(": ")).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_apart_and_put_together_again() {
        for (text, parts) in [
            ("plan.x: wrong; mend it", ("plan.x", "wrong", "mend it")),
            ("plan.entries.\"/a: b\".mode: wrong", ("plan.entries.\"/a: b\".mode", "wrong", "")),
            ("plan.json:7:13: not JSON; correct it", ("plan.json:7:13", "not JSON", "correct it")),
            ("a: b; c; d", ("a", "b; c", "d")),
            ("no place", ("", "no place", "")),
        ] {
            let problem = Problem::from(text);
            assert_eq!((&*problem.at, &*problem.what, &*problem.help), parts);
            assert_eq!(problem.text(), text);
        }
        assert_eq!(
            Problem::from("plan.x: \"a\nb\x1b[31m\u{85}ü\"").text(),
            "plan.x: \"a\\x0ab\\x1b[31m\\xc2\\x85ü\""
        );
    }
}
