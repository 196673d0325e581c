//! Errors, warnings and notes on standard error. Each is one line of text, or one JSON object. On a terminal with colours,
//! the line of the plan is shown below errors of the plan.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_assembly::Refusal;
use serde_json::{Value, json};
use snugfs_core::{At, Cause, Failure, FailureKind, Problem, one_line};
use snugfs_plan::{Location, Position, locate};

use crate::cli::{MessageArgs, MessageFormat};
use crate::excerpt::excerpt;
use crate::exit;
use crate::progress::print_line;
use crate::terminal::{BOLD, ERROR, HINT, Terminal, WARNING, styled};

/// The longest plan whose text is kept for messages, in \[bytes\]. Longer plans are generated, and would cost memory.
const LONGEST: usize = 16 << 20;
/// The number of problems that are shown with an excerpt of the plan.
const EXCERPTS: usize = 20;
/// The limit of text that is searched for places of problems in all, in \[bytes\]: a plan can have 1,000 problems.
const SEARCHED: usize = 128 << 20;

/// A plan that was read.
struct Source {
    name: String,
    text: Vec<u8>,
}

/// A place in the plan's text, as editors and compilers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TextPlace {
    /// The file as the user named it, or `standard input`.
    file: String,
    /// From 1.
    line: usize,
    /// In \[bytes\] from 1.
    column: usize,
}

impl std::fmt::Display for TextPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Writes messages, with places in the current plan.
pub(crate) struct Messages {
    mode: MessageArgs,
    plan: Mutex<Option<Source>>,
    /// The number of places that were searched so far.
    located: AtomicUsize,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("mode", &self.mode).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Error | Self::Note => "snugfs:",
            Self::Warning => "snugfs: warning:",
        }
    }
}

impl Messages {
    pub(crate) const fn new(mode: MessageArgs) -> Self {
        Self { mode, plan: Mutex::new(None), located: AtomicUsize::new(0) }
    }

    /// Whether only errors, warnings and results are wanted.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.mode.quiet
    }

    /// Whether messages are JSON.
    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.mode.message_format, MessageFormat::Json)
    }

    /// Keeps the text of the plan, so that messages can name lines and columns.
    pub(crate) fn remember_plan(&self, name: &str, text: &[u8]) {
        if let Ok(mut plan) = self.plan.lock() {
            let source = || Source { name: name.to_owned(), text: text.to_vec() };
            *plan = (text.len() <= LONGEST).then(source);
        }
    }

    /// Shows all problems of a failure.
    pub(crate) fn failure(&self, failure: &Failure) {
        for (index, (problem, place)) in self.in_order(failure).into_iter().enumerate() {
            let problem = &with_options(problem);
            if self.is_json() {
                let mut message = json(Level::Error.name(), problem, place.as_ref());
                message["exitCode"] = exit::number(failure.kind).into();
                print_line(&message.to_string());
            } else {
                self.line(Level::Error, problem, place.as_ref(), index < EXCERPTS);
            }
        }
    }

    /// The problems of a failure with their places in the plan's text. If all problems of a wrong plan have a place, they are in
    /// the order of these places. The number of problems that are not shown is last; its place is the whole plan.
    fn in_order<'f>(&self, failure: &'f Failure) -> Vec<(&'f Problem, Option<TextPlace>)> {
        let placed = failure.problems.iter().map(|problem| (problem, self.text_place(problem)));
        let mut placed: Vec<_> = placed.collect();
        if failure.kind == FailureKind::Plan && placed.iter().all(|(_, place)| place.is_some()) {
            let whole = At::Plan(Location::plan());
            placed.sort_by_key(|(problem, place)| {
                (problem.at == whole, place.as_ref().map(|at| (at.line, at.column)))
            });
        }
        placed
    }

    /// The problems of a failure as JSON objects.
    pub(crate) fn failure_json(&self, failure: &Failure) -> Vec<Value> {
        let placed = self.in_order(failure).into_iter();
        placed.map(|(problem, place)| json(Level::Error.name(), problem, place.as_ref())).collect()
    }

    /// Warnings as JSON objects.
    pub(crate) fn warnings_json(&self, warnings: &[Problem]) -> Vec<Value> {
        let placed = warnings.iter().map(|problem| (problem, self.text_place(problem)));
        placed.map(|(problem, place)| json(Level::Warning.name(), problem, place.as_ref())).collect()
    }

    /// Shows what could not be done in a work that goes on.
    pub(crate) fn error(&self, problem: &Problem) {
        self.message(Level::Error, problem);
    }

    /// Shows what may not be meant, but is no reason to end.
    pub(crate) fn warning(&self, problem: &Problem) {
        self.message(Level::Warning, problem);
    }

    /// Shows a note, unless the user asked for quiet.
    pub(crate) fn note(&self, at: &str, what: impl Into<String>) {
        if !self.is_quiet() {
            self.message(Level::Note, &Problem::new(at, what, ""));
        }
    }

    fn message(&self, level: Level, problem: &Problem) {
        if level == Level::Note && !self.is_json() {
            print_line(&format!("{} {problem}", level.prefix()));
            return;
        }
        let place = self.text_place(problem);
        if self.is_json() {
            print_line(&json(level.name(), problem, place.as_ref()).to_string());
        } else {
            self.line(level, problem, place.as_ref(), false);
        }
    }

    /// Prints `snugfs: WHERE: what is wrong; what to do`. With colours and `with_excerpt`, the line of the plan follows; without
    /// colours, the place in the plan follows in parentheses.
    fn line(&self, level: Level, problem: &Problem, place: Option<&TextPlace>, with_excerpt: bool) {
        let terminal = Terminal::stderr();
        if !terminal.colours {
            let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
            print_line(&format!("{} {problem}{place}", level.prefix()));
            return;
        }
        let style = if level == Level::Error { ERROR } else { WARNING };
        let (at, what, help) =
            (one_line(&problem.at.to_string()), one_line(&problem.what), one_line(&problem.help));
        let colon = if at.is_empty() { "" } else { ": " };
        let semicolon = if help.is_empty() { "" } else { "; " };
        let coloured = format!(
            "{} {}{colon}{what}{semicolon}{}",
            styled(style, level.prefix()),
            styled(BOLD, &at),
            styled(HINT, &help)
        );
        let excerpt = if with_excerpt { self.excerpt_of_plan(problem, terminal.columns) } else { None };
        print_line(format!("{coloured}\n{}", excerpt.unwrap_or_default()).trim_end_matches('\n'));
    }

    /// The line of the plan that a problem is about.
    fn excerpt_of_plan(&self, problem: &Problem, columns: usize) -> Option<String> {
        let plan = self.plan.lock().ok()?;
        let plan = plan.as_ref()?;
        Some(excerpt(&plan.name, &plan.text, &marked(plan, problem)?, columns))
    }

    /// The place of a problem in the plan's text; `None` if WHERE is such a place already.
    fn text_place(&self, problem: &Problem) -> Option<TextPlace> {
        let plan = self.plan.lock().ok()?;
        let plan = plan.as_ref()?;
        let where_is_position = problem.position.is_some() && !self.is_json();
        let most = (SEARCHED / plan.text.len().max(1)).max(EXCERPTS);
        if where_is_position || self.located.fetch_add(1, Ordering::Relaxed) >= most {
            return None;
        }
        let start = marked(plan, problem)?.start.min(plan.text.len());
        let before = plan.text.get(..start)?;
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = before.split(|&byte| byte == b'\n').count();
        Some(TextPlace { file: plan.name.clone(), line, column: start - line_start + 1 })
    }
}

/// A problem as a JSON object.
fn json(level: &str, problem: &Problem, place: Option<&TextPlace>) -> Value {
    let place = place.map(|at| json!({ "file": at.file, "line": at.line, "column": at.column }));
    json!({
        "level": level,
        "at": one_line(&problem.at.to_string()),
        "what": one_line(&problem.what),
        "help": one_line(&problem.help),
        "location": place
    })
}

/// A problem with help that names options of the command line. The library knows no options.
fn with_options(problem: &Problem) -> Problem {
    let help = match problem.cause {
        Some(Cause::Refused(Refusal::UnaskedDevice)) => "add --device to overwrite it",
        Some(Cause::Refused(Refusal::NoDevice | Refusal::NotADevice)) => "name one, or leave out --device",
        Some(Cause::Compressor) => {
            "set a lower plan.output.compression.level, use fewer --threads, or raise the limits of processes and memory \
             (ulimit -u, ulimit -v)"
        }
        Some(Cause::NoPartitions) => "leave out --partition",
        Some(Cause::NoFileSystem) => "`snugfs inspect IMAGE` shows what it contains",
        Some(Cause::NotInImage) => "list the directory with `ls`",
        _ => return problem.clone(),
    };
    Problem { help: help.to_owned(), ..problem.clone() }
}

/// The bytes of the plan's text that a problem is about.
fn marked(plan: &Source, problem: &Problem) -> Option<Range<usize>> {
    match (problem.position, &problem.at) {
        (Some(position), _) => {
            let start = offset(&plan.text, position)?;
            Some(start..start + 1)
        }
        (None, At::Plan(location)) => locate(&plan.text, location, problem.part),
        (None, At::Named(_) | At::Nowhere) => None,
    }
}

/// The byte offset of a position; at most the length of the text.
fn offset(text: &[u8], position: Position) -> Option<usize> {
    let feeds = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let line = std::iter::once(0).chain(feeds).nth(position.line.checked_sub(1)?)?;
    Some(line.saturating_add(position.column.saturating_sub(1)).min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_found_in_the_text_and_at_its_end() {
        let at = |line, column| offset(b"ab\ncd\n", Position { line, column });
        assert_eq!(at(1, 1), Some(0));
        assert_eq!(at(2, 2), Some(4));
        assert_eq!(at(3, 0), Some(6));
        assert_eq!(at(2, 99), Some(6));
        assert_eq!(at(9, 1), None);
    }
}
