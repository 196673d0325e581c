//! Errors and warnings on standard error. For programs, and wherever colours are not wished for, each is one plain line;
//! on a terminal it is coloured, and what is wrong in a plan is shown in its text.

use std::sync::Mutex;

use build_plan::{Position, locate};

use crate::excerpt::excerpt;
use crate::exit::{Failure, Told, one_line};
use crate::progress::say;
use crate::terminal::{BAD, DOUBTFUL, HELPFUL, STRONG, Terminal, styled};

/// The text of a plan that is long was made by a program; keeping it for messages would cost memory.
const LONGEST: usize = 16 << 20;
/// How many problems are shown in the text; whoever has more begins with these.
const EXCERPTS: usize = 20;

/// A plan that was read.
struct Source {
    name: String,
    text: Vec<u8>,
}

/// The plan that messages are about.
static PLAN: Mutex<Option<Source>> = Mutex::new(None);

/// Keeps the text of a plan, where people may want to be shown a part of it.
pub(crate) fn remember(name: &str, text: &[u8]) {
    if text.len() <= LONGEST
        && Terminal::stderr().colours
        && let Ok(mut plan) = PLAN.lock()
    {
        *plan = Some(Source { name: name.to_owned(), text: text.to_vec() });
    }
}

/// Tells why the work ended early.
pub(crate) fn failure(failure: &Failure) {
    let terminal = Terminal::stderr();
    for (index, (line, told)) in failure.lines().zip(failure.problems()).enumerate() {
        if !terminal.colours {
            say(&line);
            continue;
        }
        let plan = PLAN.lock().ok();
        let shown = plan.as_ref().and_then(|plan| plan.as_ref()).filter(|_| index < EXCERPTS);
        let shown = shown.and_then(|plan| shown_in(plan, told, terminal.columns)).unwrap_or_default();
        say(format!("{}\n{shown}", coloured(&line)).trim_end_matches('\n'));
    }
}

/// Tells what is not as somebody may have meant it, but no reason to end.
pub(crate) fn warning(text: &str) {
    let line = format!("snugfs: warning: {}", one_line(text));
    if Terminal::stderr().colours {
        let rest = line.strip_prefix("snugfs: warning:").unwrap_or(&line);
        say(&format!("{}{rest}", styled(DOUBTFUL, "snugfs: warning:")));
    } else {
        say(&line);
    }
}

/// Where the plan says what is wrong.
fn shown_in(plan: &Source, told: &Told, columns: usize) -> Option<String> {
    let marked = match told.position {
        Some(position) => {
            let start = offset(&plan.text, position)?;
            start..start + 1
        }
        None => locate(&plan.text, &told.text, told.part)?,
    };
    Some(excerpt(&plan.name, &plan.text, &marked, columns))
}

/// The byte at a position; the end of the text for one behind it.
fn offset(text: &[u8], position: Position) -> Option<usize> {
    let feeds = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let line = std::iter::once(0).chain(feeds).nth(position.line.checked_sub(1)?)?;
    Some(line.saturating_add(position.column.saturating_sub(1)).min(text.len()))
}

/// A line `snugfs: WHERE: what is wrong; what to do` in colours. Without them it is the same line.
fn coloured(line: &str) -> String {
    let Some(rest) = line.strip_prefix("snugfs: ") else { return line.to_owned() };
    let end = end_of_place(rest).unwrap_or(0);
    let (place, rest) = rest.split_at(end);
    let help = rest.rfind("; ").map_or(rest.len(), |at| at + 2);
    let (what, help) = rest.split_at(help);
    format!("{} {}{what}{}", styled(BAD, "snugfs:"), styled(STRONG, place), styled(HELPFUL, help))
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
    fn places_of_messages_end_at_their_colon() {
        for (line, place) in [
            ("plan.x: wrong; mend it", "plan.x"),
            ("plan.entries.\"/a: b\".mode: wrong", "plan.entries.\"/a: b\".mode"),
            ("plan.json:7:13: not JSON", "plan.json:7:13"),
        ] {
            assert_eq!(end_of_place(line).map(|end| &line[..end]), Some(place));
        }
        assert_eq!(end_of_place("no place"), None);
    }

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
