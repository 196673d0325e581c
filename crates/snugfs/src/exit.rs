//! Exit codes, and panics as messages.

use std::process::ExitCode;

use snugfs_core::{FailureKind, one_line};

use crate::progress::print_line;

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

/// The exit code. Other programs rely on it.
pub(crate) const fn number(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Usage => 2,
        FailureKind::Plan => 3,
        FailureKind::Closure => 4,
        FailureKind::Source => 5,
        FailureKind::Fit => 6,
        FailureKind::Output => 7,
        FailureKind::Unsound => 8,
        // `Internal`, and kinds that the library may add.
        _ => 1,
    }
}

/// The meaning of an exit code, for help.
pub(crate) const fn about(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Usage => "the command line is wrong, or an output would replace an input",
        FailureKind::Plan => "the plan is wrong",
        FailureKind::Closure => "the closure is malformed, incomplete or differs from its registration",
        FailureKind::Source => "a source, PLAN or IMAGE can't be read, or changed while it was read",
        FailureKind::Fit => "the contents do not fit the size, or exceed a limit of ext4",
        FailureKind::Output => "the output can't be written",
        FailureKind::Unsound => "the image has errors, or does not match its plan",
        _ => "an internal error; please report it",
    }
}

/// The exit code of the process.
pub(crate) fn code(kind: FailureKind) -> ExitCode {
    ExitCode::from(number(kind))
}

/// Shows a panic as one error line that asks for a report.
pub(crate) fn show_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let what =
            payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        print_line(&format!("snugfs: {}", panic_line(what.unwrap_or("panic"), &place.unwrap_or_default())));
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
    fn a_panic_is_one_line() {
        assert_eq!(panic_line("a\nb", " at f.rs:1"), "internal error: a\\x0ab at f.rs:1; please report it");
    }
}
