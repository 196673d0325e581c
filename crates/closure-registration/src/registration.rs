//! Reads the registration that `nix-store --load-db` reads and `closureInfo` writes, and its list of store paths.
//!
//! A record has these lines: path, NAR hash, NAR size, deriver (may be empty), number of references, and that many
//! references. There is no line between records (`decodeValidPathInfo` in Nix).

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::closed::Listed;
use crate::closure::Source;
use crate::draft::{Draft, Facts, PathNumber};
use crate::error::Problems;
use crate::lines::Lines;
use crate::quoted::quoted;
use crate::{ClosureError, InvalidStorePath, NarHash, Origin, StorePath};

const REMEDY: &str = "use the output of closureInfo or nix-store --dump-db";
const DERIVER: &str = "the deriver or an empty line";

/// Reads all records into the draft and returns the problems.
pub(crate) fn read<'a>(source: Source<'a>, draft: &mut Draft<'a>) -> Vec<ClosureError> {
    let mut reader =
        Reader { lines: Lines::new(source, false), name: source.name, problems: Problems::default() };
    let outcome = reader.records(draft);
    reader.problems.end(outcome)
}

/// Reads one path a line. Blank lines at the end and repeated paths are allowed.
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
            blank.get_or_insert_with(|| lines.closure_place());
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
                problems
                    .add(ClosureError::StorePath { place: lines.closure_place(), reason }, listed.name)?;
            }
        }
    }
    Ok(())
}

/// Reader of records. If a value is wrong, its record is dropped and reading goes on. If a line is missing or of the
/// wrong kind, reading stops: the meaning of the following lines is unknown.
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
        let path = self.path(draft, &"a store path")?;
        let place = self.lines.place();

        let line = self.expect(&"a NAR hash")?;
        if line.is_empty() || line.starts_with(b"/") {
            return Err(self.malformed(&"a NAR hash", line));
        }
        let nar_hash = match NarHash::parse(line) {
            Ok(hash) => Some(hash),
            Err(reason) => {
                self.problems
                    .add(ClosureError::Hash { place: self.lines.closure_place(), reason }, self.name)?;
                None
            }
        };
        let nar_size = self.number("the NAR size in bytes")?;
        let deriver = self.deriver(draft)?;
        let whole = self.references(draft)?;
        let (Some(path), Some(nar_hash), Ok(deriver), true) = (path, nar_hash, deriver, whole) else {
            draft.drop_record();
            return Ok(());
        };
        let origin = Origin { deriver, ..Origin::default() };
        match draft.register(path, place, Facts { nar_hash, nar_size, origin }) {
            Ok(()) => Ok(()),
            Err(error) => self.problems.add(error, self.name),
        }
    }

    /// Reads the deriver; the inner `Err` means that it is wrong.
    fn deriver(&mut self, draft: &Draft<'a>) -> Result<Result<Option<StorePath>, ()>, ClosureError> {
        let line = self.expect(&DERIVER)?;
        if line.is_empty() {
            return Ok(Ok(None));
        }
        if !line.starts_with(b"/") {
            return Err(self.malformed(&DERIVER, line));
        }
        // Checked because Nix would reject it when the image boots. Not numbered: the deriver need not be in the closure.
        match StorePath::parse(line, draft.store) {
            Ok(path) => Ok(Ok(Some(path))),
            Err(reason) => self.wrong_path(reason).map(|()| Err(())),
        }
    }

    /// Reads the references; false if one of them is not a path of the store.
    fn references(&mut self, draft: &mut Draft<'a>) -> Result<bool, ClosureError> {
        let count = self.number("the number of references")?;
        let mut whole = true;
        for n in 1..=count {
            match self.path(draft, &format_args!("reference {n} of {count}"))? {
                Some(path) => draft.add_reference(path),
                None => whole = false,
            }
        }
        Ok(whole)
    }

    /// Reads a path; `None` if it is not a path of the store.
    fn path(
        &mut self,
        draft: &mut Draft<'a>,
        what: &dyn Display,
    ) -> Result<Option<PathNumber>, ClosureError> {
        let line = self.expect(what)?;
        if !line.starts_with(b"/") {
            return Err(self.malformed(what, line));
        }
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
            _ => Err(self.malformed(&what, line)),
        }
    }

    /// Reads the next line; fails at the end of the input.
    fn expect(&mut self, what: &dyn Display) -> Result<&'a [u8], ClosureError> {
        match self.lines.next()? {
            Some(line) => Ok(line),
            None => Err(self.wrong(what, "the end of the file".to_owned())),
        }
    }

    fn wrong_path(&mut self, reason: InvalidStorePath) -> Result<(), ClosureError> {
        self.problems.add(ClosureError::StorePath { place: self.lines.closure_place(), reason }, self.name)
    }

    fn malformed(&self, expected: &dyn Display, line: &[u8]) -> ClosureError {
        self.wrong(expected, if line.is_empty() { "an empty line".to_owned() } else { quoted(line) })
    }

    fn wrong(&self, expected: &dyn Display, found: String) -> ClosureError {
        let (place, expected) = (self.lines.closure_place(), expected.to_string());
        ClosureError::Malformed { place, expected, found, remedy: REMEDY }
    }
}

#[cfg(test)]
mod tests {
    use image_tree::ImagePath;

    use crate::{Closure, ClosureError, ClosurePlace, Source};

    fn read(text: &str) -> Result<Closure, crate::ClosureErrors> {
        let store = ImagePath::parse(b"/s").unwrap();
        Closure::from_registration(Source { name: "r", bytes: text.as_bytes() }, None, &store)
    }

    #[test]
    fn stops_after_a_hundred_problems() {
        let digits = "0".repeat(32);
        let records = |count| format!("/s/{digits}-a\nsha1:x\n1\n\n0\n").repeat(count);
        let errors = read(&records(100)).unwrap_err();
        assert_eq!(errors.iter().count(), 100);
        let errors = read(&records(100_000)).unwrap_err();
        assert_eq!(errors.iter().count(), 101);
        let last = ClosureError::More { place: Some(ClosurePlace::whole("r")), limit: 100 };
        assert_eq!(errors.iter().last(), Some(&last));
    }

    #[test]
    fn sorts_paths_and_writes_records_in_the_order_of_the_input() {
        let record = |digit: &str| format!("/s/{}-a\nsha256:{}\n1\n\n0\n", digit.repeat(32), "0".repeat(52));
        let text = [record("2"), record("0"), record("1")].concat();
        let closure = read(&text).unwrap();
        let first: Vec<_> = closure.paths().iter().map(|info| &info.path.as_str()[..1]).collect();
        assert_eq!(first, ["0", "1", "2"]);
        assert_eq!(closure.registration(), text.as_bytes());
    }
}
