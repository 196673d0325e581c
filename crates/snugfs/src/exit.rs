//! Exit codes, and panics as messages.

use std::process::ExitCode;

use snugfs_core::{FailureKind, one_line};

use crate::progress::say;

/// All kinds of failures, in the order of their exit codes.
pub(crate) const KINDS: [FailureKind; 8] = [
    FailureKind::Internal,
    FailureKind::Usage,
    FailureKind::Plan,
    FailureKind::Closure,
    FailureKind::Source,
    FailureKind::Fit,
    FailureKind::Output,
    FailureKind::Unsound,
];

/// The exit code that other programs rely on.
pub(crate) const fn number(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Usage => 2,
        FailureKind::Plan => 3,
        FailureKind::Closure => 4,
        FailureKind::Source => 5,
        FailureKind::Fit => 6,
        FailureKind::Output => 7,
        FailureKind::Unsound => 8,
        // `Internal`, and what a later library may add.
        _ => 1,
    }
}

/// What help says of an exit code.
pub(crate) const fn about(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Usage => "wrong use of the command line",
        FailureKind::Plan => "the plan is wrong",
        FailureKind::Closure => "the closure is wrong: malformed, incomplete or not as registered",
        FailureKind::Source => "a source (or PLAN, or IMAGE) can't be read, or changed while it was read",
        FailureKind::Fit => "the contents do not fit the size or a limit of ext4",
        FailureKind::Output => "the output can't be written",
        FailureKind::Unsound => "an image is not sound, or does not hold what its plan says",
        _ => "an internal error: please report it",
    }
}

/// The exit code of the process.
pub(crate) fn code(kind: FailureKind) -> ExitCode {
    ExitCode::from(number(kind))
}

/// Makes a panic one more line on standard error: a bug shall look like one, and not like a wall of text.
pub(crate) fn show_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let what =
            payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        say(&format!("snugfs: {}", panic_line(what.unwrap_or("panic"), &place.unwrap_or_default())));
    }));
}

fn panic_line(what: &str, place: &str) -> String {
    format!("internal error: {}{place}; please report it", one_line(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_table() {
        assert_eq!(KINDS.map(number), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_panic_is_one_line_whatever_it_says() {
        assert_eq!(panic_line("a\nb", " at f.rs:1"), "internal error: a\\x0ab at f.rs:1; please report it");
    }
}
