//! The reference graph as JSON, as Nix puts it into structured attributes and prints it.

use serde_json::{Map, Value};

use crate::draft::{Draft, PathNumber};
use crate::error::Problems;
use crate::shown::{Place, quoted};
use crate::{ClosureError, NarHash};

const REMEDY: &str = "give the graph as exportReferencesGraph or nix path-info --json does";
const RECORD: &str = "an object with narHash, narSize and references";

/// Reads all records into the draft; what is wrong comes back.
pub(crate) fn read<'a>(graph: &'a Value, draft: &mut Draft<'a>) -> Vec<ClosureError> {
    let mut reader = Reader { name: draft.name, problems: Problems::default() };
    let outcome = reader.records(graph, draft);
    reader.problems.end(outcome)
}

struct Reader<'a> {
    name: &'a str,
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn records(&mut self, graph: &'a Value, draft: &mut Draft<'a>) -> Result<(), ClosureError> {
        match graph {
            Value::Array(list) => list.iter().enumerate().try_for_each(|(index, record)| {
                let place = Place::Index(index);
                match record.get("path") {
                    Some(Value::String(path)) => self.record(place, ".path", path, record, draft),
                    path if record.is_object() => self.wrong(place, ".path", "a store path", path),
                    _ => self.wrong(place, "", RECORD, Some(record)),
                }
            }),
            Value::Object(by_path) => {
                // The order of an object's keys says nothing; sorted, it is the same wherever they come from.
                let mut sorted: Vec<_> = by_path.iter().collect();
                sorted.sort_unstable_by_key(|&(path, _)| path);
                sorted
                    .into_iter()
                    .try_for_each(|(path, record)| self.record(Place::Key(path), "", path, record, draft))
            }
            other => {
                let (place, found) = (self.name.to_owned(), kind(Some(other)));
                Err(ClosureError::Malformed {
                    place,
                    expected: "a list of store paths".to_owned(),
                    found,
                    remedy: REMEDY,
                })
            }
        }
    }

    fn record(
        &mut self,
        place: Place<'a>,
        path_field: &str,
        path: &'a str,
        record: &'a Value,
        draft: &mut Draft<'a>,
    ) -> Result<(), ClosureError> {
        let path = self.path(place, path_field, path, draft)?;
        let Value::Object(fields) = record else {
            return self.wrong(place, "", RECORD, Some(record));
        };
        let nar_hash = self.nar_hash(place, fields)?;
        let nar_size = match fields.get("narSize") {
            Some(Value::Number(number)) if number.is_u64() => number.as_u64(),
            other => self.wrong(place, ".narSize", "a whole number of bytes", other).map(|()| None)?,
        };
        let whole = self.references(place, fields, draft)?;
        if let (Some(path), Some(nar_hash), Some(nar_size), true) = (path, nar_hash, nar_size, whole) {
            if let Err(error) = draft.register(path, place, nar_hash, nar_size, None) {
                self.problems.add(error, self.name)?;
            }
        } else {
            draft.forget();
        }
        Ok(())
    }

    fn path(
        &mut self,
        place: Place<'a>,
        field: &str,
        path: &'a str,
        draft: &mut Draft<'a>,
    ) -> Result<Option<PathNumber>, ClosureError> {
        match draft.number(path.as_bytes()) {
            Ok(number) => Ok(Some(number)),
            Err(reason) => {
                let place = format!("{}{place}{field}", self.name);
                self.problems.add(ClosureError::StorePath { place, reason }, self.name).map(|()| None)
            }
        }
    }

    fn nar_hash(
        &mut self,
        place: Place<'a>,
        fields: &'a Map<String, Value>,
    ) -> Result<Option<NarHash>, ClosureError> {
        match fields.get("narHash") {
            Some(Value::String(text)) => match NarHash::parse(text.as_bytes()) {
                Ok(hash) => Ok(Some(hash)),
                Err(reason) => {
                    let place = format!("{}{place}.narHash", self.name);
                    self.problems.add(ClosureError::Hash { place, reason }, self.name).map(|()| None)
                }
            },
            other => self.wrong(place, ".narHash", "a NAR hash", other).map(|()| None),
        }
    }

    /// Whether all references are paths of the store.
    fn references(
        &mut self,
        place: Place<'a>,
        fields: &'a Map<String, Value>,
        draft: &mut Draft<'a>,
    ) -> Result<bool, ClosureError> {
        let Some(Value::Array(list)) = fields.get("references") else {
            let found = fields.get("references");
            return self.wrong(place, ".references", "a list of store paths", found).map(|()| false);
        };
        let mut whole = true;
        for (index, reference) in list.iter().enumerate() {
            let number = match reference.as_str().map(|text| draft.number(text.as_bytes())) {
                Some(Ok(number)) => Some(number),
                Some(Err(reason)) => {
                    let place = format!("{}{place}.references[{index}]", self.name);
                    self.problems.add(ClosureError::StorePath { place, reason }, self.name).map(|()| None)?
                }
                None => {
                    let field = format!(".references[{index}]");
                    self.wrong(place, &field, "a store path", Some(reference)).map(|()| None)?
                }
            };
            match number {
                Some(number) => draft.refer(number),
                None => whole = false,
            }
        }
        Ok(whole)
    }

    fn wrong(
        &mut self,
        place: Place<'a>,
        field: &str,
        expected: &str,
        found: Option<&Value>,
    ) -> Result<(), ClosureError> {
        let (place, expected) = (format!("{}{place}{field}", self.name), expected.to_owned());
        let error = ClosureError::Malformed { place, expected, found: kind(found), remedy: REMEDY };
        self.problems.add(error, self.name)
    }
}

/// What a value is, for messages.
fn kind(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(value)) => value.to_string(),
        Some(Value::String(text)) => format!("the text {}", quoted(text.as_bytes())),
        Some(Value::Array(_)) => "a list".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
    }
}
