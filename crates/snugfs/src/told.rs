//! Errors, warnings and notes on standard error. Each is one plain line, or one JSON object for programs. On a terminal it is
//! coloured, and what is wrong in a plan is shown in its text.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use build_plan::{Position, locate};

use crate::cli::{MessageArgs, MessageFormat};
use crate::excerpt::excerpt;
use crate::exit::Failure;
use crate::problem::{Location, Problem};
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

/// The plan that messages are about.
static PLAN: Mutex<Option<Source>> = Mutex::new(None);
/// How many places were looked for.
static LOCATED: AtomicUsize = AtomicUsize::new(0);
/// How messages are written.
static MODE: OnceLock<MessageArgs> = OnceLock::new();

/// Sets how messages are written, once.
pub(crate) fn set_mode(mode: MessageArgs) {
    // The first one holds.
    let _ = MODE.set(mode);
}

/// Whether only errors, warnings and results are wanted.
pub(crate) fn is_quiet() -> bool {
    MODE.get().is_some_and(|mode| mode.quiet)
}

/// Whether messages are for programs.
pub(crate) fn is_json() -> bool {
    MODE.get().is_some_and(|mode| mode.message_format == MessageFormat::Json)
}

/// Keeps the text of the plan that is read now: messages name the line of what they are about.
pub(crate) fn remember(name: &str, text: &[u8]) {
    if let Ok(mut plan) = PLAN.lock() {
        let source = || Source { name: name.to_owned(), text: text.to_vec() };
        *plan = (text.len() <= LONGEST).then(source);
    }
}

/// Tells why the work ended early.
pub(crate) fn failure(failure: &Failure) {
    for (index, problem) in failure.problems().iter().enumerate() {
        if is_json() {
            let mut message = problem.json("error", location(problem).as_ref());
            message["exitCode"] = failure.number().into();
            say(&message.to_string());
        } else {
            line("snugfs:", problem, index < EXCERPTS);
        }
    }
}

/// Tells what could not be done in a work that goes on.
pub(crate) fn error(text: &str) {
    message("error", "snugfs:", text);
}

/// Tells what is not as somebody may have meant it, but no reason to end.
pub(crate) fn warning(text: &str) {
    message("warning", "snugfs: warning:", text);
}

/// Tells what is good to know, unless nobody wants to.
pub(crate) fn note(text: &str) {
    if !is_quiet() {
        message("note", "snugfs:", text);
    }
}

fn message(level: &str, begin: &str, text: &str) {
    let problem = Problem::from(text);
    if is_json() {
        say(&problem.json(level, location(&problem).as_ref()).to_string());
    } else if level == "note" {
        say(&format!("{begin} {}", problem.text()));
    } else {
        line(begin, &problem, false);
    }
}

/// A line `snugfs: WHERE: what is wrong; what to do`. On a terminal it is coloured, and its place may be shown in the plan's text;
/// elsewhere the place is named.
fn line(begin: &str, problem: &Problem, is_shown: bool) {
    let terminal = Terminal::stderr();
    if !terminal.colours {
        let place = location(problem).map(|location| format!(" ({location})")).unwrap_or_default();
        say(&format!("{begin} {}{place}", problem.text()));
        return;
    }
    let style = if begin == "snugfs:" { BAD } else { DOUBTFUL };
    let text = problem.text();
    let (place, rest) = text.split_at(problem.at.len().min(text.len()));
    let help = rest.rfind("; ").map_or(rest.len(), |at| at + 2);
    let (what, help) = rest.split_at(help);
    let coloured =
        format!("{} {}{what}{}", styled(style, begin), styled(STRONG, place), styled(HELPFUL, help));
    let shown = if is_shown { shown_in_plan(problem, terminal.columns) } else { None };
    say(format!("{coloured}\n{}", shown.unwrap_or_default()).trim_end_matches('\n'));
}

/// The line of the plan that a problem is about.
fn shown_in_plan(problem: &Problem, columns: usize) -> Option<String> {
    let plan = PLAN.lock().ok()?;
    let plan = plan.as_ref()?;
    Some(excerpt(&plan.name, &plan.text, &marked(plan, problem)?, columns))
}

/// Where the plan says what a problem is about; nothing for a problem whose WHERE is a place in the text already.
pub(crate) fn location(problem: &Problem) -> Option<Location> {
    let plan = PLAN.lock().ok()?;
    let plan = plan.as_ref()?;
    let is_named = problem.position.is_some() && !is_json();
    let most = (SEARCHED / plan.text.len().max(1)).max(EXCERPTS);
    if is_named || LOCATED.fetch_add(1, Ordering::Relaxed) >= most {
        return None;
    }
    let start = marked(plan, problem)?.start.min(plan.text.len());
    let before = plan.text.get(..start)?;
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = before.split(|&byte| byte == b'\n').count();
    Some(Location { file: plan.name.clone(), line, column: start - line_start + 1 })
}

fn marked(plan: &Source, problem: &Problem) -> Option<Range<usize>> {
    match problem.position {
        Some(position) => {
            let start = offset(&plan.text, position)?;
            Some(start..start + 1)
        }
        None => locate(&plan.text, &problem.text(), problem.part),
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
