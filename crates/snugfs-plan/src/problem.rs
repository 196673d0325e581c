//! The problems of a plan.

use std::cell::RefCell;
use std::fmt;

use crate::location::{Location, Place};

/// Maximum number of problems that are listed.
const MAX_PROBLEMS: usize = 1000;

/// A problem of a plan. Control characters in `what` and `help` are escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}{}: {what}; {help}", .position.map(|at| at.to_string()).unwrap_or_default())]
pub struct Problem {
    /// Place in the plan.
    pub at: Location,
    /// Place in the text, if it is not JSON.
    pub position: Option<Position>,
    /// Whether the key or the value at that place is wrong.
    pub part: Part,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// The part of a place that is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// The key; if an object has it twice, the last one.
    Key,
    /// The value.
    #[default]
    Value,
}

/// A place in a text, displayed as `:7:13`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in \[bytes\], from 1; 0 at the end of a text whose last line is empty.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}:{}", self.line, self.column)
    }
}

/// The problems of a plan, displayed one a line. Never empty if [`crate::parse`] returns it.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, in the order of the plan.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Number of problems.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Collects the problems that the decoder finds.
#[derive(Debug, Default)]
pub(crate) struct Log {
    problems: RefCell<Vec<Problem>>,
    more: RefCell<u64>,
}

impl Log {
    /// Adds a problem of a value. `words` returns what is wrong and what to do; it is called only if the problem is listed.
    pub(crate) fn add(&self, at: &Place<'_>, words: impl FnOnce() -> (String, String)) {
        self.add_part(at, Part::Value, words);
    }

    /// Adds a problem of a key.
    pub(crate) fn add_key(&self, at: &Place<'_>, words: impl FnOnce() -> (String, String)) {
        self.add_part(at, Part::Key, words);
    }

    fn add_part(&self, at: &Place<'_>, part: Part, words: impl FnOnce() -> (String, String)) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_PROBLEMS {
            let (what, help) = words();
            problems.push(Problem { at: at.location(), position: None, part, what, help });
        } else {
            let mut more = self.more.borrow_mut();
            *more = more.saturating_add(1);
        }
    }

    /// Adds a problem of the text itself.
    pub(crate) fn add_at(&self, position: Position, what: String, help: String) {
        let (at, position, part) = (Location::plan(), Some(position), Part::Value);
        self.problems.borrow_mut().push(Problem { at, position, part, what, help });
    }

    /// All problems.
    pub(crate) fn into_problems(self) -> Problems {
        let mut problems = self.problems.into_inner();
        let more = self.more.into_inner();
        if more > 0 {
            problems.push(Problem {
                at: Location::plan(),
                position: None,
                part: Part::Value,
                what: format!("{more} more problems"),
                help: "repair those above first".to_owned(),
            });
        }
        Problems(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_follows_the_place() {
        let log = Log::default();
        log.add_at(Position { line: 7, column: 13 }, "not JSON".to_owned(), "correct it".to_owned());
        log.add(&Place::PLAN.key("x"), || ("wrong".to_owned(), "leave it out".to_owned()));
        let problems = log.into_problems();
        assert_eq!(problems.to_string(), "plan:7:13: not JSON; correct it\nplan.x: wrong; leave it out");
        assert_eq!((problems.len(), (&problems).into_iter().count()), (2, 2));
    }

    #[test]
    fn one_line_each_and_a_last_one_for_the_rest() {
        let log = Log::default();
        for index in 0..1002 {
            log.add(&Place::PLAN.key("x").index(index), || ("wrong".to_owned(), "leave it out".to_owned()));
        }
        let text = log.into_problems().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1001);
        assert_eq!(lines[7], "plan.x[7]: wrong; leave it out");
        assert_eq!(lines[1000], "plan: 2 more problems; repair those above first");
    }
}
