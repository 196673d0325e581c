//! What is wrong in a plan, told all at once.

use std::cell::RefCell;
use std::fmt;

use crate::locate::Part;
use crate::place::Place;

/// How many problems are told; a plan with more is not one that somebody reads line by line.
const MAX_PROBLEMS: usize = 1000;

/// One thing that is wrong in a plan. No part has control characters: they are escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{where_}{}: {what}; {what_to_do}", .position.map(|at| at.to_string()).unwrap_or_default())]
pub struct Problem {
    /// The JSON path, from `plan` on; or the file, where there is a position in it.
    pub where_: String,
    /// Where in the text, for what is wrong with it as JSON.
    pub position: Option<Position>,
    /// Whether the key or the value at that place is wrong.
    pub part: Part,
    /// What is wrong there.
    pub what: String,
    /// How to repair it.
    pub what_to_do: String,
}

/// A place in a text; shown as `:7:13`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In \[bytes\] from 1; 0 at the end of the text, where its last line is empty.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}:{}", self.line, self.column)
    }
}

/// All that is wrong in a plan; a line each. Never empty where [`crate::parse`] returns it.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems in the order in which a reader of the plan meets them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Lets problems with a position begin with the name of the file that has the plan.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        for problem in self.0.iter_mut().filter(|problem| problem.position.is_some()) {
            name.clone_into(&mut problem.where_);
        }
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
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

/// Where the decoder writes problems down.
#[derive(Debug, Default)]
pub(crate) struct Log {
    told: RefCell<Vec<Problem>>,
    more: RefCell<u64>,
}

impl Log {
    /// Writes a problem down. What is wrong, and what to do, is put into words only if it will be told.
    pub(crate) fn add(&self, at: &Place<'_>, words: impl FnOnce() -> (String, String)) {
        self.add_part(at, Part::Value, words);
    }

    /// Writes down that a key is wrong.
    pub(crate) fn add_key(&self, at: &Place<'_>, words: impl FnOnce() -> (String, String)) {
        self.add_part(at, Part::Key, words);
    }

    fn add_part(&self, at: &Place<'_>, part: Part, words: impl FnOnce() -> (String, String)) {
        let mut told = self.told.borrow_mut();
        if told.len() < MAX_PROBLEMS {
            let (what, what_to_do) = words();
            told.push(Problem { where_: at.to_string(), position: None, part, what, what_to_do });
        } else {
            let mut more = self.more.borrow_mut();
            *more = more.saturating_add(1);
        }
    }

    /// Writes down what is wrong with the text itself.
    pub(crate) fn add_at(&self, position: Position, what: String, what_to_do: String) {
        let where_ = Place::PLAN.to_string();
        let part = Part::Value;
        self.told.borrow_mut().push(Problem { where_, position: Some(position), part, what, what_to_do });
    }

    /// All that was written down.
    pub(crate) fn into_problems(self) -> Problems {
        let mut problems = self.told.into_inner();
        let more = self.more.into_inner();
        if more > 0 {
            problems.push(Problem {
                where_: "plan".to_owned(),
                position: None,
                part: Part::Value,
                what: format!("{more} more problems"),
                what_to_do: "repair those above first".to_owned(),
            });
        }
        Problems(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_stands_behind_the_name_of_the_file() {
        let log = Log::default();
        log.add_at(Position { line: 7, column: 13 }, "not JSON".to_owned(), "correct it".to_owned());
        log.add(&Place::PLAN.key("x"), || ("wrong".to_owned(), "leave it out".to_owned()));
        let problems = log.into_problems();
        assert_eq!(problems.to_string(), "plan:7:13: not JSON; correct it\nplan.x: wrong; leave it out");
        let problems = problems.in_file("rootfs.json");
        assert_eq!(
            problems.to_string(),
            "rootfs.json:7:13: not JSON; correct it\nplan.x: wrong; leave it out"
        );
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
