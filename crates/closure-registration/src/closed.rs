//! Turns a draft into a closure: checks that each path is registered and each reference is in the closure.

use std::collections::BTreeMap;

use image_tree::ImagePath;

use crate::closure::{Closure, PathInfo};
use crate::draft::{Draft, PathNumber, Record};
use crate::error::{MissingFrom, Referrers};
use crate::place::Place;
use crate::{ClosureError, ClosureErrors, StorePath};

/// The list of store paths that make up the closure.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    /// Each path once, with the line where it is first listed.
    pub(crate) paths: Vec<(PathNumber, Place<'a>)>,
}

/// Makes a closure of the listed paths or, without a list, of all registered paths.
pub(crate) fn close(draft: &Draft<'_>, listed: Option<&Listed<'_>>) -> Result<Closure, ClosureErrors> {
    let mut wanted = draft.table(listed.is_none());
    for &(path, _) in listed.iter().flat_map(|list| &list.paths) {
        wanted[path] = true;
    }
    let records: Vec<&Record<'_>> = draft.records().iter().filter(|record| wanted[record.path]).collect();

    let mut missing: BTreeMap<PathNumber, Missing<'_>> = BTreeMap::new();
    for &(path, line) in listed.iter().flat_map(|list| &list.paths) {
        if draft.record_of(path).is_none() {
            missing.insert(path, Missing { line: Some(line), referrers: None });
        }
    }
    for record in &records {
        for &reference in draft.references_of(record) {
            if !wanted[reference] || draft.record_of(reference).is_none() {
                missing.entry(reference).or_default().add_referrer(draft.path(record.path));
            }
        }
    }
    if !missing.is_empty() {
        let list = listed.map(|list| list.name);
        let mut errors: Vec<_> =
            missing.iter().map(|(&path, m)| (draft.path(path), m.error(draft, list, path))).collect();
        errors.sort_unstable_by_key(|&(path, _)| path);
        return ClosureErrors::check(errors.into_iter().map(|(_, error)| error).collect())
            .map(|()| Closure::new(draft.store.clone(), Vec::new()));
    }
    Ok(Closure::new(draft.store.clone(), records.into_iter().map(|record| info(draft, record)).collect()))
}

fn info(draft: &Draft<'_>, record: &Record<'_>) -> PathInfo {
    PathInfo {
        path: draft.path(record.path).clone(),
        nar_hash: record.facts.nar_hash,
        nar_size: record.facts.nar_size,
        references: draft.references_of(record).iter().map(|&number| draft.path(number).clone()).collect(),
        origin: record.facts.origin.clone(),
    }
}

/// A path that the closure lacks, and what is known about it.
#[derive(Default)]
struct Missing<'a> {
    /// The line that lists it, if any.
    line: Option<Place<'a>>,
    /// The first of its referrers by name, and the number of the others.
    referrers: Option<(&'a StorePath, usize)>,
}

impl<'a> Missing<'a> {
    fn add_referrer(&mut self, from: &'a StorePath) {
        self.referrers = Some(match self.referrers {
            None => (from, 0),
            Some((first, others)) => (first.min(from), others + 1),
        });
    }

    fn error(&self, draft: &Draft<'_>, list: Option<&str>, path: PathNumber) -> ClosureError {
        let at = |path: &StorePath| -> ImagePath { path.in_store(draft.store) };
        let missing_from = match (self.line, list) {
            (Some(line), Some(list)) => MissingFrom::NotRegistered {
                list: Box::new(line.of(list)),
                registration: draft.name.to_owned(),
            },
            (None, Some(list)) if draft.record_of(path).is_some() => {
                MissingFrom::NotListed { list: list.to_owned() }
            }
            _ => MissingFrom::Unknown,
        };
        let referrers = self.referrers.map(|(first, others)| Referrers { first: at(first), others });
        ClosureError::Missing { path: at(draft.path(path)), missing_from, referrers }
    }
}
