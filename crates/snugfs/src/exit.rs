//! From an error to its lines on standard error and to the exit code. Every error of the crates below is given its
//! code here and nowhere else.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use closure_registration::{ClosureErrors, VerifyError};
use disk_layout::DiskError;
use ext4_layout::LayoutError;
use file_scanner::{ErrorKind, ScanErrors, SourceError};
use image_assembly::AssemblyError;
use image_reader::ReadError;
use image_tree::escaped;

use crate::problem::Problem;
use crate::told;

/// The exit codes that other programs rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Anything else; a bug.
    Bug,
    /// Wrong use of the command line.
    Usage,
    /// The plan is wrong.
    Plan,
    /// The closure is wrong.
    Closure,
    /// A source can't be read, or changed while it was read.
    Source,
    /// The contents do not fit the size or a limit of the format.
    Fit,
    /// The output can't be written.
    Output,
    /// An image is not sound, or does not hold what its plan says.
    Unsound,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 8] = [
        Self::Bug,
        Self::Usage,
        Self::Plan,
        Self::Closure,
        Self::Source,
        Self::Fit,
        Self::Output,
        Self::Unsound,
    ];

    /// What help says of it.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Bug => "an internal error: please report it",
            Self::Usage => "wrong use of the command line",
            Self::Plan => "the plan is wrong",
            Self::Closure => "the closure is wrong: malformed, incomplete or not as registered",
            Self::Source => "a source (or PLAN, or IMAGE) can't be read, or changed while it was read",
            Self::Fit => "the contents do not fit the size or a limit of ext4",
            Self::Output => "the output can't be written",
            Self::Unsound => "an image is not sound, or does not hold what its plan says",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Plan => 3,
            Self::Closure => 4,
            Self::Source => 5,
            Self::Fit => 6,
            Self::Output => 7,
            Self::Unsound => 8,
        }
    }
}

/// Why the work ended early: a code, and a line for each problem.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    problems: Vec<Problem>,
}

impl Failure {
    /// A problem as `WHERE: what is wrong; what to do`.
    pub(crate) fn new(exit: Exit, problem: impl Into<String>) -> Self {
        Self { exit, problems: vec![problem.into().into()] }
    }

    /// Several problems of one kind.
    pub(crate) fn all<T: ToString>(exit: Exit, problems: impl IntoIterator<Item = T>) -> Self {
        Self { exit, problems: problems.into_iter().map(|problem| problem.to_string().into()).collect() }
    }

    /// Problems that were told already.
    pub(crate) fn untold(exit: Exit) -> Self {
        Self { exit, problems: Vec::new() }
    }

    /// The same of a file system that the plan describes elsewhere than at its top: fields are named from there.
    pub(crate) fn within(self, place: &str) -> Self {
        let mut failure = self;
        for problem in &mut failure.problems {
            problem.change(|text| within(text, place));
        }
        failure
    }

    /// The same with another name for a field.
    pub(crate) fn renamed(mut self, field: &str, name: &str) -> Self {
        for problem in &mut self.problems {
            problem.change(|text| text.replace(field, name));
        }
        self
    }

    /// The problems, in the order in which they are told.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The code of the process, for messages.
    pub(crate) fn number(&self) -> u8 {
        self.exit.number()
    }

    /// The code of the process.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit.number())
    }
}

/// A message about a file system that the plan describes elsewhere than at its top: fields are named from there.
pub(crate) fn within(message: &str, place: &str) -> String {
    const FIELDS: [&str; 5] = ["closure", "trees", "entries", "attributes", "filesystem"];
    if place == "plan" {
        return message.to_owned();
    }
    FIELDS.iter().fold(message.to_owned(), |message, field| {
        message.replace(&format!("plan.{field}"), &format!("{place}.{field}"))
    })
}

impl From<build_plan::Problems> for Failure {
    fn from(problems: build_plan::Problems) -> Self {
        Self { exit: Exit::Plan, problems: problems.iter().map(Problem::from).collect() }
    }
}

impl From<ClosureErrors> for Failure {
    fn from(errors: ClosureErrors) -> Self {
        Self::all(Exit::Closure, errors.iter())
    }
}

impl From<VerifyError<SourceError>> for Failure {
    fn from(error: VerifyError<SourceError>) -> Self {
        match error {
            VerifyError::Closure(errors) => errors.into(),
            VerifyError::Open(error) => error.into(),
            VerifyError::Read { file, reason } => {
                let text = format!("{file}: can't be read: {}; see that its disk is sound", io_text(&reason));
                Self::new(Exit::Source, text)
            }
            VerifyError::Changed(error) => Self::new(Exit::Source, error.to_string()),
        }
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Plan => Self::Plan,
            ErrorKind::Closure => Self::Closure,
            ErrorKind::Source => Self::Source,
            ErrorKind::Limit => Self::Fit,
            ErrorKind::Internal => Self::Bug,
        }
    }
}

impl From<ScanErrors> for Failure {
    fn from(errors: ScanErrors) -> Self {
        Self::all(errors.kind().into(), errors.to_string().lines())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::new(error.kind().into(), error.to_string())
    }
}

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        Self::new(Exit::Fit, error.to_string())
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        let exit = if error.is_conflict() { Exit::Plan } else { Exit::Fit };
        Self::new(exit, error.to_string())
    }
}

impl From<AssemblyError> for Failure {
    fn from(error: AssemblyError) -> Self {
        let exit = match error.kind() {
            image_assembly::ErrorKind::Source => Exit::Source,
            image_assembly::ErrorKind::Output => Exit::Output,
            image_assembly::ErrorKind::Internal => Exit::Bug,
        };
        Self::new(exit, error.to_string())
    }
}

impl Failure {
    /// What can't be read of an image.
    pub(crate) fn unread(image: &Path, error: &ReadError) -> Self {
        Self::new(Exit::Source, format!("{}: {error}", shown(image)))
    }
}

/// Makes a panic one more line on standard error: a bug shall look like one, and not like a wall of text.
pub(crate) fn tell_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let what =
            payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        told::error(&panic_line(what.unwrap_or("panic"), &place.unwrap_or_default()));
    }));
}

fn panic_line(what: &str, place: &str) -> String {
    format!("internal error: {}{place}; please report it", one_line(what))
}

/// A path of this machine as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    escaped(path.as_os_str().as_bytes()).to_string()
}

/// What the system says of an error, as the middle of a sentence: "no such file or directory".
pub(crate) fn io_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// What to do about a file that can't be read; `otherwise` where it is not this process that may not.
pub(crate) fn remedy(error: &io::Error, otherwise: &'static str) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied { file_scanner::RUN_AS } else { otherwise }
}

/// Control characters come out as `\xNN`: a name can neither add a line nor colour a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.push_str(&escaped(character.encode_utf8(&mut [0; 4]).as_bytes()).to_string());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_table() {
        let table = [
            (Exit::Bug, 1),
            (Exit::Usage, 2),
            (Exit::Plan, 3),
            (Exit::Closure, 4),
            (Exit::Source, 5),
            (Exit::Fit, 6),
            (Exit::Output, 7),
            (Exit::Unsound, 8),
        ];
        for (exit, number) in table {
            assert_eq!(exit.number(), number, "{exit:?}");
        }
        assert_eq!(Exit::ALL, table.map(|(exit, _)| exit));
    }

    #[test]
    fn errors_of_each_stage_have_its_code() {
        let file = || "/store/x".to_owned();
        let changed = VerifyError::Changed(closure_registration::Changed { file: file(), size: 1 });
        let unread = VerifyError::Read { file: file(), reason: io::ErrorKind::PermissionDenied.into() };
        for (failure, exit) in [
            (Failure::from(LayoutError::NoLostFound), Exit::Fit),
            (
                Failure::from(ScanErrors::from(file_scanner::ScanError::MissingStorePath { path: file() })),
                Exit::Closure,
            ),
            (
                Failure::from(ScanErrors::from(file_scanner::ScanError::NothingMade { path: file() })),
                Exit::Plan,
            ),
            (Failure::from(SourceError::Vanished { path: file() }), Exit::Source),
            (Failure::from(changed), Exit::Source),
            (Failure::from(unread), Exit::Source),
        ] {
            assert_eq!(failure.exit, exit, "{failure:?}");
        }
    }

    #[test]
    fn a_panic_is_one_line_whatever_it_says() {
        assert_eq!(panic_line("a\nb", " at f.rs:1"), "internal error: a\\x0ab at f.rs:1; please report it");
    }

    #[test]
    fn system_errors_are_told_without_their_numbers() {
        assert_eq!(io_text(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(io_text(&io::Error::other("Odd")), "odd");
    }
}
