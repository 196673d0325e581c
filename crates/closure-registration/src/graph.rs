//! Reads the reference graph as JSON, in the forms of structured attributes and `nix path-info`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::draft::{Draft, Facts, PathNumber};
use crate::error::Problems;
use crate::place::{ClosurePlace, Place};
use crate::quoted::quoted;
use crate::{ClosureError, ContentAddress, NarHash, Origin, Signature, StorePath};

const REMEDY: &str = "use the output of exportReferencesGraph or nix path-info --json";
const RECORD: &str = "an object with narHash, narSize and references";

/// Reads all records into the draft and returns the problems.
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
                    Some(Value::String(path)) => self.record(place, Some("path"), path, record, draft),
                    path if record.is_object() => {
                        self.wrong(self.at(place).field("path"), "a store path", path)
                    }
                    _ => self.wrong(self.at(place), RECORD, Some(record)),
                }
            }),
            Value::Object(by_path) => {
                // The order of keys in an object has no meaning; sorting makes the result independent of it.
                let mut sorted: Vec<_> = by_path.iter().collect();
                sorted.sort_unstable_by_key(|&(path, _)| path);
                sorted
                    .into_iter()
                    .try_for_each(|(path, record)| self.record(Place::Key(path), None, path, record, draft))
            }
            other => Err(ClosureError::Malformed {
                place: ClosurePlace::whole(self.name),
                expected: "a list of store paths".to_owned(),
                found: kind(Some(other)),
                remedy: REMEDY,
            }),
        }
    }

    fn record(
        &mut self,
        place: Place<'a>,
        path_field: Option<&str>,
        path: &'a str,
        record: &'a Value,
        draft: &mut Draft<'a>,
    ) -> Result<(), ClosureError> {
        let path = self.path(place, path_field, path, draft)?;
        let Value::Object(fields) = record else {
            return self.wrong(self.at(place), RECORD, Some(record));
        };
        let nar_hash = self.nar_hash(place, fields)?;
        let nar_size = match fields.get("narSize") {
            Some(Value::Number(number)) if number.is_u64() => number.as_u64(),
            other => self
                .wrong(self.at(place).field("narSize"), "a whole number of bytes", other)
                .map(|()| None)?,
        };
        let complete = self.references(place, fields, draft)?;
        let origin = self.origin(place, fields, path.filter(|_| complete), draft)?;
        if let (Some(path), Some(nar_hash), Some(nar_size), Some(origin), true) =
            (path, nar_hash, nar_size, origin, complete)
        {
            if let Err(error) = draft.register(path, place, Facts { nar_hash, nar_size, origin }) {
                self.problems.add(error, self.name)?;
            }
        } else {
            draft.drop_record();
        }
        Ok(())
    }

    fn path(
        &mut self,
        place: Place<'a>,
        field: Option<&str>,
        path: &'a str,
        draft: &mut Draft<'a>,
    ) -> Result<Option<PathNumber>, ClosureError> {
        match draft.number(path.as_bytes()) {
            Ok(number) => Ok(Some(number)),
            Err(reason) => {
                let place = self.at(place);
                let place = if let Some(field) = field { place.field(field) } else { place };
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
                    let place = self.at(place).field("narHash");
                    self.problems.add(ClosureError::Hash { place, reason }, self.name).map(|()| None)
                }
            },
            other => self.wrong(self.at(place).field("narHash"), "a NAR hash", other).map(|()| None),
        }
    }

    /// Reads the references; false if one of them is not a path of the store.
    fn references(
        &mut self,
        place: Place<'a>,
        fields: &'a Map<String, Value>,
        draft: &mut Draft<'a>,
    ) -> Result<bool, ClosureError> {
        let Some(Value::Array(list)) = fields.get("references") else {
            let (place, found) = (self.at(place).field("references"), fields.get("references"));
            return self.wrong(place, "a list of store paths", found).map(|()| false);
        };
        let mut whole = true;
        for (index, reference) in list.iter().enumerate() {
            let at = |name: &str| place.of(name).field("references").element(index);
            let number = match reference.as_str().map(|text| draft.number(text.as_bytes())) {
                Some(Ok(number)) => Some(number),
                Some(Err(reason)) => {
                    let error = ClosureError::StorePath { place: at(self.name), reason };
                    self.problems.add(error, self.name).map(|()| None)?
                }
                None => self.wrong(at(self.name), "a store path", Some(reference)).map(|()| None)?,
            };
            match number {
                Some(number) => draft.add_reference(number),
                None => whole = false,
            }
        }
        Ok(whole)
    }

    /// Reads the optional fields; `None` if one of them is wrong. `path` is `None` if the record's references are
    /// incomplete.
    fn origin(
        &mut self,
        place: Place<'a>,
        fields: &'a Map<String, Value>,
        path: Option<PathNumber>,
        draft: &Draft<'a>,
    ) -> Result<Option<Origin>, ClosureError> {
        let mut origin = Origin::default();
        let mut valid = self.deriver(place, fields, draft, &mut origin)?;
        valid &= self.content_address(place, fields, path, draft, &mut origin)?;
        match self.signatures(place, fields)? {
            Some(signatures) => origin.signatures = signatures,
            None => valid = false,
        }
        match fields.get("ultimate") {
            None | Some(Value::Null) => {}
            Some(Value::Bool(ultimate)) => origin.ultimate = *ultimate,
            other => {
                valid = false;
                self.wrong(self.at(place).field("ultimate"), "true or false", other)?;
            }
        }
        Ok(valid.then_some(origin))
    }

    /// Reads the deriver; false if it is neither missing nor a store path.
    fn deriver(
        &mut self,
        place: Place<'a>,
        fields: &'a Map<String, Value>,
        draft: &Draft<'a>,
        origin: &mut Origin,
    ) -> Result<bool, ClosureError> {
        match fields.get("deriver") {
            None | Some(Value::Null) => Ok(true),
            // Not numbered: the deriver need not be in the closure.
            Some(Value::String(text)) => match StorePath::parse(text.as_bytes(), draft.store) {
                Ok(path) => {
                    origin.deriver = Some(path);
                    Ok(true)
                }
                Err(reason) => {
                    let place = self.at(place).field("deriver");
                    self.problems.add(ClosureError::StorePath { place, reason }, self.name).map(|()| false)
                }
            },
            other => {
                self.wrong(self.at(place).field("deriver"), "a store path or null", other).map(|()| false)
            }
        }
    }

    /// Reads the content address; false if there is one that does not match the path.
    fn content_address(
        &mut self,
        place: Place<'a>,
        fields: &'a Map<String, Value>,
        path: Option<PathNumber>,
        draft: &Draft<'a>,
        origin: &mut Origin,
    ) -> Result<bool, ClosureError> {
        let name = self.name;
        let place = || place.of(name).field("ca");
        let text = match fields.get("ca") {
            None | Some(Value::Null) => return Ok(true),
            Some(Value::String(text)) => text,
            other => return self.wrong(place(), "a content address or null", other).map(|()| false),
        };
        let problem = match ContentAddress::parse(text) {
            Ok(address) => {
                let path = path.map(|path| draft.path(path));
                let Some(path) =
                    path.filter(|path| !address.is_of(path, &draft.current_references(), draft.store))
                else {
                    origin.content_address = Some(address);
                    return Ok(true);
                };
                let (address, path) = (address.to_string(), path.in_store(draft.store));
                ClosureError::OtherContentAddress { place: place(), address, path }
            }
            Err(reason) => ClosureError::ContentAddress { place: place(), reason },
        };
        self.problems.add(problem, self.name).map(|()| false)
    }

    fn signatures(
        &mut self,
        place: Place<'a>,
        fields: &'a Map<String, Value>,
    ) -> Result<Option<BTreeSet<Signature>>, ClosureError> {
        let list = match fields.get("signatures") {
            None | Some(Value::Null) => return Ok(Some(BTreeSet::new())),
            Some(Value::Array(list)) => list,
            other => {
                let place = self.at(place).field("signatures");
                return self.wrong(place, "a list of signatures", other).map(|()| None);
            }
        };
        let (mut signatures, mut whole) = (BTreeSet::new(), true);
        for (index, signature) in list.iter().enumerate() {
            let at = |name: &str| place.of(name).field("signatures").element(index);
            match signature.as_str().map(Signature::parse) {
                Some(Ok(signature)) => {
                    signatures.insert(signature);
                    continue;
                }
                Some(Err(reason)) => {
                    let error = ClosureError::Signature { place: at(self.name), reason };
                    self.problems.add(error, self.name)?;
                }
                None => self.wrong(at(self.name), "a signature", Some(signature))?,
            }
            whole = false;
        }
        Ok(whole.then_some(signatures))
    }

    /// The place of a record.
    fn at(&self, place: Place<'a>) -> ClosurePlace {
        place.of(self.name)
    }

    fn wrong(
        &mut self,
        place: ClosurePlace,
        expected: &str,
        found: Option<&Value>,
    ) -> Result<(), ClosureError> {
        let (expected, found) = (expected.to_owned(), kind(found));
        self.problems.add(ClosureError::Malformed { place, expected, found, remedy: REMEDY }, self.name)
    }
}

/// The kind of a value, for messages.
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
