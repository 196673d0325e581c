//! Properties of standard error: whether it is a terminal, its width, colours.

use std::ffi::OsStr;
use std::io::IsTerminal;

use clap::builder::styling::{AnsiColor, Style};

/// The width of a terminal that does not report one.
const COLUMNS: usize = 80;

/// Style of errors and marks.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Style of warnings.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Style of places.
pub(crate) const BOLD: Style = Style::new().bold();
/// Style of help and line numbers.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();

/// The abilities of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Whether lines can be redrawn.
    pub(crate) redraws: bool,
    /// Whether colours are supported, and not disabled by `NO_COLOR`.
    pub(crate) colours: bool,
    /// Its width.
    pub(crate) columns: usize,
    /// Whether it is a terminal. A pipe or a file gets lines of any length.
    pub(crate) is_tty: bool,
}

impl Terminal {
    /// The abilities of this process's standard error.
    pub(crate) fn stderr() -> Self {
        let stderr = std::io::stderr();
        let width = terminal_size::terminal_size_of(&stderr).map(|(width, _)| usize::from(width.0));
        let variable = |name| std::env::var_os(name);
        Self::of(stderr.is_terminal(), width, variable("TERM").as_deref(), variable("NO_COLOR").as_deref())
    }

    /// `term` and `no_color` are the variables of the environment.
    fn of(is_terminal: bool, width: Option<usize>, term: Option<&OsStr>, no_color: Option<&OsStr>) -> Self {
        let redraws = is_terminal && term.is_some_and(|term| !term.is_empty() && term != "dumb");
        // https://no-color.org: present and not empty.
        let colours = redraws && no_color.is_none_or(OsStr::is_empty);
        let columns = width.filter(|&width| width > 0).unwrap_or(COLUMNS);
        Self { redraws, colours, columns, is_tty: is_terminal }
    }
}

/// A text in a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_no_no_color() {
        let of = |is_terminal, term: Option<&str>, no_color: Option<&str>| {
            let found = Terminal::of(is_terminal, Some(100), term.map(OsStr::new), no_color.map(OsStr::new));
            (found.redraws, found.colours)
        };
        assert_eq!(of(true, Some("xterm"), None), (true, true));
        assert_eq!(of(true, Some("xterm"), Some("")), (true, true));
        assert_eq!(of(true, Some("xterm"), Some("1")), (true, false));
        assert_eq!(of(true, Some("dumb"), None), (false, false));
        assert_eq!(of(true, None, None), (false, false));
        assert_eq!(of(false, Some("xterm"), None), (false, false));
        assert_eq!(Terminal::of(true, Some(0), None, None).columns, 80);
    }
}
