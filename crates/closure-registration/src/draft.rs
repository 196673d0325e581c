//! The records of an input, before they are checked for closure.
//!
//! Every path in a record gets a number, so that a reference costs one look-up of its bytes in the input: a
//! closure of 100,000 paths has a million references, most of them to the same few paths.

use std::collections::HashMap;
use std::ops::Range;

use image_tree::ImagePath;

use crate::place::Place;
use crate::{ClosureError, InvalidStorePath, NarHash, Origin, StorePath};

/// The number of a path in the draft, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PathNumber(usize);

/// One record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) path: PathNumber,
    pub(crate) place: Place<'a>,
    pub(crate) facts: Facts,
    /// Range in the draft's `references`.
    references: Range<usize>,
}

/// A record's fields except path and references.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) nar_hash: NarHash,
    pub(crate) nar_size: u64,
    pub(crate) origin: Origin,
}

#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// The input's name, for messages.
    pub(crate) name: &'a str,
    pub(crate) store: &'a ImagePath,
    /// Only looked up, never iterated: the order of a `HashMap` is random.
    numbers: HashMap<&'a [u8], PathNumber>,
    paths: Vec<StorePath>,
    /// By path number: the index of its record, if it has one.
    registered: Vec<Option<usize>>,
    /// By path number: the turn in which the path was last referred to; finds duplicate references in a record.
    referred: Vec<Option<usize>>,
    /// Counts the records that were read, including dropped ones.
    turn: usize,
    records: Vec<Record<'a>>,
    references: Vec<PathNumber>,
    /// Start, in `references`, of those of the current record.
    pending: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(name: &'a str, store: &'a ImagePath) -> Self {
        Self {
            name,
            store,
            numbers: HashMap::new(),
            paths: Vec::new(),
            registered: Vec::new(),
            referred: Vec::new(),
            turn: 0,
            records: Vec::new(),
            references: Vec::new(),
            pending: 0,
        }
    }

    /// The number of a path. A new path is checked first.
    pub(crate) fn number(&mut self, path: &'a [u8]) -> Result<PathNumber, InvalidStorePath> {
        if let Some(&number) = self.numbers.get(path) {
            return Ok(number);
        }
        let number = PathNumber(self.paths.len());
        self.paths.push(StorePath::parse(path, self.store)?);
        self.registered.push(None);
        self.referred.push(None);
        self.numbers.insert(path, number);
        Ok(number)
    }

    /// Adds a reference to the current record; duplicates are ignored.
    pub(crate) fn add_reference(&mut self, to: PathNumber) {
        let now = Some(self.turn);
        if let Some(last) = self.referred.get_mut(to.0).filter(|last| **last != now) {
            *last = now;
            self.references.push(to);
        }
    }

    /// The references of the current record.
    pub(crate) fn current_references(&self) -> Vec<StorePath> {
        let pending = self.references.get(self.pending..).unwrap_or_default();
        pending.iter().map(|&number| self.path(number).clone()).collect()
    }

    /// Drops the current record, which has a problem.
    pub(crate) fn drop_record(&mut self) {
        self.references.truncate(self.pending);
        self.turn += 1;
    }

    /// Completes the current record. A record equal to an earlier one is dropped.
    pub(crate) fn register(
        &mut self,
        path: PathNumber,
        place: Place<'a>,
        facts: Facts,
    ) -> Result<(), ClosureError> {
        let references = self.pending..self.references.len();
        let record = Record { path, place, facts, references };
        if let Some(earlier) = self.record_of(path) {
            let same = self.same(earlier, &record);
            let first = earlier.place.of(self.name);
            self.drop_record();
            if same {
                return Ok(());
            }
            let path = self.path(path).in_store(self.store);
            return Err(ClosureError::RegisteredTwice { place: place.of(self.name), path, first });
        }
        if let Some(registered) = self.registered.get_mut(path.0) {
            *registered = Some(self.records.len());
        }
        self.records.push(record);
        self.pending = self.references.len();
        self.turn += 1;
        Ok(())
    }

    fn same(&self, a: &Record<'a>, b: &Record<'a>) -> bool {
        let sorted = |record| {
            let mut references = self.references_of(record).to_vec();
            references.sort_unstable();
            references
        };
        a.facts == b.facts && sorted(a) == sorted(b)
    }

    /// All records, in the order of the input.
    pub(crate) fn records(&self) -> &[Record<'a>] {
        &self.records
    }

    pub(crate) fn record_of(&self, path: PathNumber) -> Option<&Record<'a>> {
        self.registered.get(path.0).copied().flatten().and_then(|index| self.records.get(index))
    }

    pub(crate) fn references_of(&self, record: &Record<'a>) -> &[PathNumber] {
        self.references.get(record.references.clone()).unwrap_or_default()
    }

    /// The path with this number, which must come from this draft.
    pub(crate) fn path(&self, number: PathNumber) -> &StorePath {
        &self.paths[number.0]
    }

    /// A table with this value for each path.
    pub(crate) fn table<T: Clone>(&self, value: T) -> PathTable<T> {
        PathTable(vec![value; self.paths.len()])
    }
}

/// A value for each path of a draft.
#[derive(Debug)]
pub(crate) struct PathTable<T>(Vec<T>);

impl<T> std::ops::Index<PathNumber> for PathTable<T> {
    type Output = T;

    fn index(&self, number: PathNumber) -> &T {
        &self.0[number.0]
    }
}

impl<T> std::ops::IndexMut<PathNumber> for PathTable<T> {
    fn index_mut(&mut self, number: PathNumber) -> &mut T {
        &mut self.0[number.0]
    }
}
