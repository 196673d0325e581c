//! Errors of a scan, limited to a readable number of lines.

use std::mem::discriminant;

use image_tree::{Explain, Explanation};

use crate::error::{ErrorKind, ScanError};
use crate::source_id::SourceId;

/// An error, with the position of its source, if any.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) source: Option<usize>,
    pub(crate) error: ScanError,
}

impl From<ScanError> for Located {
    fn from(error: ScanError) -> Self {
        Self { source: None, error }
    }
}

/// Maximum number of files of a source that are named for the same problem.
const NAMED: usize = 20;

/// Names the first files of a source with the same problem, and counts the others. `id` returns the source at a position.
pub(crate) fn shortened(all: Vec<Located>, id: impl Fn(usize) -> SourceId) -> Vec<ScanError> {
    let same = |one: &Located, other: &Located| {
        one.source == other.source && discriminant(&one.error) == discriminant(&other.error)
    };
    let mut groups: Vec<(Located, Vec<ScanError>, usize)> = Vec::new();
    for located in all {
        match groups.iter_mut().find(|(first, ..)| located.source.is_some() && same(first, &located)) {
            Some((_, named, _)) if named.len() < NAMED => named.push(located.error),
            Some((.., more)) => *more += 1,
            None => groups.push((located.clone(), vec![located.error], 0)),
        }
    }
    let lines = groups.into_iter().flat_map(|(first, mut named, count)| {
        if count > 0 {
            let source = first.source.map_or(SourceId::All, &id);
            named.push(ScanError::More { source, count, kind: first.error.kind() });
        }
        named
    });
    lines.collect()
}

/// All errors of a scan, at least one, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanErrors {
    errors: Vec<ScanError>,
    omitted: usize,
}

impl ScanErrors {
    /// Maximum number of errors.
    const SHOWN: usize = 100;

    pub(crate) fn new(mut errors: Vec<ScanError>) -> Self {
        let omitted = errors.len().saturating_sub(Self::SHOWN);
        errors.truncate(Self::SHOWN);
        Self { errors, omitted }
    }

    /// The errors, at most 100.
    #[must_use]
    pub fn errors(&self) -> &[ScanError] {
        &self.errors
    }

    /// Number of further errors.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The most important kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let kinds = self.errors.iter().map(ScanError::kind);
        kinds.min().expect("invariant: only a scan with an error fails")
    }
}

impl From<ScanError> for ScanErrors {
    fn from(error: ScanError) -> Self {
        Self::new(vec![error])
    }
}

impl ScanErrors {
    /// The line after the errors, if there are more.
    #[must_use]
    pub fn rest(&self) -> Option<Explanation> {
        let what = format!("{} more problems", self.omitted);
        (self.omitted > 0).then(|| Explanation::new("", what, "repair those above first"))
    }
}

impl std::fmt::Display for ScanErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.errors.iter().map(Explain::explain).chain(self.rest());
        for (index, line) in lines.enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScanErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_that_matters_most_decides() {
        let limit = ScanError::Time { path: "/a".into() };
        let closure = ScanError::MissingStorePath { path: "/b".into() };
        let errors = ScanErrors::new(vec![limit.clone(), closure]);
        assert_eq!(errors.kind(), ErrorKind::Closure);
        assert_eq!(ScanErrors::from(limit).kind(), ErrorKind::Limit);
    }

    #[test]
    fn a_flood_of_errors_is_counted_and_not_shown() {
        let errors = ScanErrors::new(vec![ScanError::Changed { path: "/a".into() }; 103]);
        assert_eq!((errors.errors().len(), errors.omitted()), (100, 3));
        assert_eq!(errors.to_string().lines().count(), 101);
    }

    #[test]
    fn twenty_files_of_a_source_are_named_and_the_others_counted() {
        let time = |index: usize| ScanError::Time { path: format!("/f{index}") };
        let located = |source, error| Located { source: Some(source), error };
        let mut all: Vec<Located> = (0..25).map(|index| located(1, time(index))).collect();
        all.insert(3, located(1, ScanError::Changed { path: "/g".into() }));
        all.push(located(2, time(99)));
        let lines = shortened(all, SourceId::Tree);
        assert_eq!(lines.len(), 23);
        assert_eq!((&lines[0], &lines[19]), (&time(0), &time(19)));
        assert_eq!(
            lines[20].to_string(),
            "tree 1: 5 more files have the problem of the lines above; the same helps"
        );
        assert_eq!(lines[20].kind(), ErrorKind::Limit);
        assert_eq!((&lines[21], &lines[22]), (&ScanError::Changed { path: "/g".into() }, &time(99)));
    }

    #[test]
    fn what_belongs_to_no_source_is_all_named() {
        let all = (0..30).map(|_| ScanError::TooMany.into()).collect();
        assert_eq!(shortened(all, SourceId::Tree).len(), 30);
    }
}
