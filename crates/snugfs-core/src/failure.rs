//! Failures: a kind, and problems.

use std::io;

use file_scanner::SourceError;
use image_assembly::AssemblyError;
use image_reader::ReadError;

use crate::problem::{At, Cause, Problem};

/// The kind of a failure. The program's exit codes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// A bug.
    Internal,
    /// The program or this library was used incorrectly.
    Usage,
    /// The plan is wrong.
    Plan,
    /// The closure is malformed, incomplete or differs from its registration.
    Closure,
    /// A source can't be read, or changed while it was read.
    Source,
    /// The contents do not fit the size, or exceed a limit of the format.
    Fit,
    /// The output can't be written.
    Output,
    /// An image has errors, or is not the image of its plan.
    Unsound,
}

/// An error with one or more problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// Its problems, in a fixed order. Only empty if they were shown already.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure with one problem, `AT: what is wrong; what to do`.
    pub fn new(
        kind: FailureKind,
        at: impl Into<At>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self::of(kind, Problem::new(at, what, help))
    }

    /// A failure with one problem.
    #[must_use]
    pub fn of(kind: FailureKind, problem: Problem) -> Self {
        Self { kind, problems: vec![problem] }
    }

    /// Several problems of one kind.
    pub fn all(kind: FailureKind, problems: impl IntoIterator<Item = Problem>) -> Self {
        Self { kind, problems: problems.into_iter().collect() }
    }

    /// Something that went wrong in the program itself.
    pub fn internal(at: impl Into<At>, what: impl std::fmt::Display) -> Self {
        Self::of(FailureKind::Internal, Problem::internal(at, what))
    }

    /// The failure of an invalid plan. `file` is its name.
    #[must_use]
    pub fn of_plan(problems: &snugfs_plan::Problems, file: &str) -> Self {
        Self::all(FailureKind::Plan, problems.iter().map(|problem| Problem::of_plan(problem, file)))
    }

    /// The failure of an image that can't be read.
    #[must_use]
    pub fn of_image(image: &str, error: &ReadError) -> Self {
        let cause = match error {
            ReadError::NoPartition { numbers, .. } if numbers.is_empty() => Some(Cause::NoPartitions),
            ReadError::NoFileSystem => Some(Cause::NoFileSystem),
            ReadError::NotFound { nearest: None, .. } => Some(Cause::NotInImage),
            _ => None,
        };
        Self::of(FailureKind::Source, Problem { cause, ..Problem::from(error).within(image) })
    }
}

/// One line per problem.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::of(kind_of_scan(error.kind()), Problem::from(&error))
    }
}

impl From<AssemblyError> for Failure {
    /// What an observer or a validator of an image rejects comes out as its own failure.
    fn from(error: AssemblyError) -> Self {
        let error = match error {
            AssemblyError::Rejected(reason) => match reason.downcast::<Self>() {
                Ok(failure) => return *failure,
                Err(other) => AssemblyError::Rejected(other),
            },
            error => error,
        };
        let kind = match error.kind() {
            image_assembly::ErrorKind::Source => FailureKind::Source,
            image_assembly::ErrorKind::Output => FailureKind::Output,
            image_assembly::ErrorKind::Internal => FailureKind::Internal,
        };
        let cause = match &error {
            AssemblyError::Refused { refusal, .. } => Some(Cause::Refused(*refusal)),
            AssemblyError::Compressor(_) => Some(Cause::Compressor),
            _ => None,
        };
        Self::of(kind, Problem { cause, ..Problem::from(&error) })
    }
}

pub(crate) fn kind_of_scan(kind: file_scanner::ErrorKind) -> FailureKind {
    match kind {
        file_scanner::ErrorKind::Plan => FailureKind::Plan,
        file_scanner::ErrorKind::Closure => FailureKind::Closure,
        file_scanner::ErrorKind::Source => FailureKind::Source,
        file_scanner::ErrorKind::Limit => FailureKind::Fit,
        file_scanner::ErrorKind::Internal => FailureKind::Internal,
    }
}

/// Help for a file that can't be read: `otherwise`, unless permission was denied.
#[must_use]
pub fn remedy(error: &io::Error, otherwise: &'static str) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied { file_scanner::RUN_AS } else { otherwise }
}
