//! The text that `nix-store --load-db` reads and `closureInfo` writes, and the list of store paths beside it.
//!
//! A record is six kinds of line: path, NAR hash, NAR size, deriver or nothing, number of references, and that many
//! references. No line stands between records (`decodeValidPathInfo` in Nix).

use std::collections::BTreeSet;

use crate::closed::Listed;
use crate::closure::Source;
use crate::draft::{Draft, PathNumber};
use crate::error::Problems;
use crate::lines::Lines;
use crate::shown::quoted;
use crate::{ClosureError, InvalidStorePath, NarHash, StorePath};

const REMEDY: &str = "write the registration as closureInfo or nix-store --dump-db does";

/// Reads all records into the draft; what is wrong comes back.
pub(crate) fn read<'a>(source: Source<'a>, draft: &mut Draft<'a>) -> Vec<ClosureError> {
    let mut reader =
        Reader { lines: Lines::new(source, false), name: source.name, problems: Problems::default() };
    let outcome = reader.records(draft);
    reader.problems.end(outcome)
}

/// Reads a path a line; blank lines at the end and repeated paths are let pass.
pub(crate) fn read_list<'a>(
    source: Source<'a>,
    draft: &mut Draft<'a>,
    errors: &mut Vec<ClosureError>,
) -> Listed<'a> {
    let mut lines = Lines::new(source, true);
    let mut problems = Problems::default();
    let mut listed = Listed { name: source.name, paths: Vec::new() };
    let outcome = list(&mut lines, draft, &mut listed, &mut problems);
    errors.extend(problems.end(outcome));
    let mut seen = BTreeSet::new();
    listed.paths.retain(|&(path, _)| seen.insert(path));
    listed
}

fn list<'a>(
    lines: &mut Lines<'a>,
    draft: &mut Draft<'a>,
    listed: &mut Listed<'a>,
    problems: &mut Problems,
) -> Result<(), ClosureError> {
    let mut blank = None;
    while let Some(line) = lines.next()? {
        if line.is_empty() {
            blank.get_or_insert_with(|| lines.shown());
            continue;
        }
        if let Some(place) = blank.take() {
            let (expected, found) = ("a store path".to_owned(), "an empty line".to_owned());
            let remedy = "remove the line";
            problems.add(ClosureError::Malformed { place, expected, found, remedy }, listed.name)?;
        }
        match draft.number(line) {
            Ok(path) => listed.paths.push((path, lines.place())),
            Err(reason) => {
                problems.add(ClosureError::StorePath { place: lines.shown(), reason }, listed.name)?;
            }
        }
    }
    Ok(())
}

/// Reads records. A value that is wrong costs its record and is put among the problems; a line that is missing or
/// stands where another should is an error, for what follows it can't be told apart.
struct Reader<'a> {
    lines: Lines<'a>,
    name: &'a str,
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn records(&mut self, draft: &mut Draft<'a>) -> Result<(), ClosureError> {
        while !self.lines.at_end() {
            self.record(draft)?;
        }
        Ok(())
    }

    fn record(&mut self, draft: &mut Draft<'a>) -> Result<(), ClosureError> {
        let line = self.expect(&"a store path")?;
        let place = self.lines.place();
        if line.is_empty() {
            return Err(self.malformed("a store path", "an empty line".to_owned()));
        }
        let path = self.path(draft, line)?;

        let line = self.expect(&"a NAR hash")?;
        let nar_hash = match NarHash::parse(line) {
            Ok(hash) => Some(hash),
            Err(reason) => {
                self.problems.add(ClosureError::Hash { place: self.lines.shown(), reason }, self.name)?;
                None
            }
        };
        let nar_size = self.number("the NAR size in bytes")?;
        let deriver = self.deriver(draft)?;
        let whole = self.references(draft)?;
        let (Some(path), Some(nar_hash), Ok(deriver), true) = (path, nar_hash, deriver, whole) else {
            draft.forget();
            return Ok(());
        };
        match draft.register(path, place, nar_hash, nar_size, deriver) {
            Ok(()) => Ok(()),
            Err(error) => self.problems.add(error, self.name),
        }
    }

    /// `Err` inside when the deriver is none.
    fn deriver(&mut self, draft: &Draft<'a>) -> Result<Result<Option<&'a [u8]>, ()>, ClosureError> {
        let line = self.expect(&"the deriver or an empty line")?;
        if line.is_empty() {
            return Ok(Ok(None));
        }
        // Nix would refuse it when the image boots. Not numbered: it need not be in the closure.
        match StorePath::parse(line, draft.store) {
            Ok(_) => Ok(Ok(Some(line))),
            Err(reason) => self.wrong_path(reason).map(|()| Err(())),
        }
    }

    /// Whether all references are paths of the store.
    fn references(&mut self, draft: &mut Draft<'a>) -> Result<bool, ClosureError> {
        let count = self.number("the number of references")?;
        let mut whole = true;
        for n in 1..=count {
            let line = self.expect(&format_args!("reference {n} of {count}"))?;
            match self.path(draft, line)? {
                Some(path) => draft.refer(path),
                None => whole = false,
            }
        }
        Ok(whole)
    }

    fn path(&mut self, draft: &mut Draft<'a>, line: &'a [u8]) -> Result<Option<PathNumber>, ClosureError> {
        match draft.number(line) {
            Ok(path) => Ok(Some(path)),
            Err(reason) => self.wrong_path(reason).map(|()| None),
        }
    }

    fn number(&mut self, what: &str) -> Result<u64, ClosureError> {
        let line = self.expect(&what)?;
        let digits = std::str::from_utf8(line).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        match digits.map(str::parse) {
            Some(Ok(number)) => Ok(number),
            _ => Err(self.malformed(what, quoted(line))),
        }
    }

    /// The next line, which must be there.
    fn expect(&mut self, what: &dyn std::fmt::Display) -> Result<&'a [u8], ClosureError> {
        match self.lines.next()? {
            Some(line) => Ok(line),
            None => Err(self.malformed(&what.to_string(), "the end of the file".to_owned())),
        }
    }

    fn wrong_path(&mut self, reason: InvalidStorePath) -> Result<(), ClosureError> {
        self.problems.add(ClosureError::StorePath { place: self.lines.shown(), reason }, self.name)
    }

    fn malformed(&self, expected: &str, found: String) -> ClosureError {
        let (place, expected) = (self.lines.shown(), expected.to_owned());
        ClosureError::Malformed { place, expected, found, remedy: REMEDY }
    }
}
