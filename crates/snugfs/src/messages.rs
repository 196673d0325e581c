//! Errors, warnings and notes on standard error. Each is one plain line, or one JSON object for programs. On a terminal it is
//! coloured, and what is wrong in a plan is shown in its text.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use build_plan::{Position, locate};
use image_assembly::Refusal;
use serde_json::{Value, json};
use snugfs_core::{At, Cause, Failure, Problem, one_line};

use crate::cli::{MessageArgs, MessageFormat};
use crate::excerpt::excerpt;
use crate::exit;
use crate::progress::say;
use crate::terminal::{BAD, DOUBTFUL, HELPFUL, STRONG, Terminal, styled};

/// The text of a plan that is longer was made by a program; keeping it for messages would cost memory.
const LONGEST: usize = 16 << 20;
/// How many problems are shown in the text; whoever has more begins with these.
const EXCERPTS: usize = 20;
/// How much of the plan's text is searched for places in all, in \[bytes\]: a plan can have a thousand problems.
const SEARCHED: usize = 128 << 20;

/// A plan that was read.
struct Source {
    name: String,
    text: Vec<u8>,
}

/// A place in the plan's text, as editors and compilers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TextPlace {
    /// The file as it was named, or `standard input`.
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

/// Writes messages, and knows the plan that they are about.
pub(crate) struct Messages {
    mode: MessageArgs,
    plan: Mutex<Option<Source>>,
    /// How many places were looked for.
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

    /// Whether messages are for programs.
    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.mode.message_format, MessageFormat::Json)
    }

    /// Keeps the text of the plan that is read now: messages name the line of what they are about.
    pub(crate) fn remember_plan(&self, name: &str, text: &[u8]) {
        if let Ok(mut plan) = self.plan.lock() {
            let source = || Source { name: name.to_owned(), text: text.to_vec() };
            *plan = (text.len() <= LONGEST).then(source);
        }
    }

    /// Shows why the work ended early.
    pub(crate) fn failure(&self, failure: &Failure) {
        for (index, problem) in failure.problems.iter().map(with_options).enumerate() {
            let problem = &problem;
            if self.is_json() {
                let mut message = self.json(Level::Error.name(), problem);
                message["exitCode"] = exit::number(failure.kind).into();
                say(&message.to_string());
            } else {
                self.line(Level::Error, problem, index < EXCERPTS);
            }
        }
    }

    /// Shows what could not be done in a work that goes on.
    pub(crate) fn error(&self, problem: &Problem) {
        self.message(Level::Error, problem);
    }

    /// Shows what may not be meant, but is no reason to end.
    pub(crate) fn warning(&self, problem: &Problem) {
        self.message(Level::Warning, problem);
    }

    /// Shows what is good to know, unless nobody wants to.
    pub(crate) fn note(&self, at: &str, what: impl Into<String>) {
        if !self.is_quiet() {
            self.message(Level::Note, &Problem::new(at, what, ""));
        }
    }

    fn message(&self, level: Level, problem: &Problem) {
        if self.is_json() {
            say(&self.json(level.name(), problem).to_string());
        } else if level == Level::Note {
            say(&format!("{} {problem}", level.prefix()));
        } else {
            self.line(level, problem, false);
        }
    }

    /// A problem for programs.
    pub(crate) fn json(&self, level: &str, problem: &Problem) -> Value {
        let place = self.text_place(problem);
        let place = place.map(|at| json!({ "file": at.file, "line": at.line, "column": at.column }));
        json!({
            "level": level,
            "at": one_line(&problem.at.to_string()),
            "what": one_line(&problem.what),
            "help": one_line(&problem.help),
            "location": place
        })
    }

    /// A line `snugfs: WHERE: what is wrong; what to do`. On a terminal it is coloured, and its place may be shown in the plan's
    /// text; elsewhere the place is named.
    fn line(&self, level: Level, problem: &Problem, is_shown: bool) {
        let terminal = Terminal::stderr();
        if !terminal.colours {
            let place = self.text_place(problem).map(|place| format!(" ({place})")).unwrap_or_default();
            say(&format!("{} {problem}{place}", level.prefix()));
            return;
        }
        let style = if level == Level::Error { BAD } else { DOUBTFUL };
        let (at, what, help) =
            (one_line(&problem.at.to_string()), one_line(&problem.what), one_line(&problem.help));
        let colon = if at.is_empty() { "" } else { ": " };
        let semicolon = if help.is_empty() { "" } else { "; " };
        let coloured = format!(
            "{} {}{colon}{what}{semicolon}{}",
            styled(style, level.prefix()),
            styled(STRONG, &at),
            styled(HELPFUL, &help)
        );
        let shown = if is_shown { self.shown_in_plan(problem, terminal.columns) } else { None };
        say(format!("{coloured}\n{}", shown.unwrap_or_default()).trim_end_matches('\n'));
    }

    /// The line of the plan that a problem is about.
    fn shown_in_plan(&self, problem: &Problem, columns: usize) -> Option<String> {
        let plan = self.plan.lock().ok()?;
        let plan = plan.as_ref()?;
        Some(excerpt(&plan.name, &plan.text, &marked(plan, problem)?, columns))
    }

    /// Where the plan says what a problem is about; nothing for a problem whose WHERE is a place in the text already.
    fn text_place(&self, problem: &Problem) -> Option<TextPlace> {
        let plan = self.plan.lock().ok()?;
        let plan = plan.as_ref()?;
        let is_named = problem.position.is_some() && !self.is_json();
        let most = (SEARCHED / plan.text.len().max(1)).max(EXCERPTS);
        if is_named || self.located.fetch_add(1, Ordering::Relaxed) >= most {
            return None;
        }
        let start = marked(plan, problem)?.start.min(plan.text.len());
        let before = plan.text.get(..start)?;
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = before.split(|&byte| byte == b'\n').count();
        Some(TextPlace { file: plan.name.clone(), line, column: start - line_start + 1 })
    }
}

/// A problem whose help names the options that help.
fn with_options(problem: &Problem) -> Problem {
    let help = match problem.cause {
        Some(Cause::Refused(Refusal::UnaskedDevice)) => "add --device to overwrite it",
        Some(Cause::Refused(Refusal::NoDevice | Refusal::NotADevice)) => "name one, or leave out --device",
        Some(Cause::Compressor) => {
            "ask for a lower level or, by --threads, for fewer threads, or raise the limits of processes and memory (ulimit \
             -u, ulimit -v)"
        }
        Some(Cause::NoPartitions) => "leave out --partition",
        Some(Cause::NoFileSystem) => "see `snugfs inspect` of it",
        Some(Cause::NotInImage) => "list what is there with `ls`",
        _ => return problem.clone(),
    };
    Problem { help: help.to_owned(), ..problem.clone() }
}

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

/// The byte at a position; the end of the text for one behind it.
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
