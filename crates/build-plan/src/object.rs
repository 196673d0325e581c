//! Objects with known fields: what is unknown or missing is written down, the rest is read by name.

use crate::json::Json;
use crate::nearest::nearest;
use crate::shapes::{Presence, Shape, Table};
use crate::value::Value;

/// An object, and the table of its fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    value: &'a Value<'a>,
    pub(crate) fields: &'a [(String, Json)],
    table: &'static Table,
}

impl Value<'_> {
    /// An object with the fields of a table: unknown ones and missing ones are written down.
    pub(crate) fn object<'s>(&'s self, table: &'static Table) -> Option<Object<'s>> {
        let object = Object { value: self, fields: self.pairs()?, table };
        object.check_unknown(|name| table.field(name).is_some());
        object.check_missing();
        Some(object)
    }

    /// The same, where the caller looks for unknown and missing fields.
    pub(crate) fn object_unchecked<'s>(
        &'s self,
        fields: &'s [(String, Json)],
        table: &'static Table,
    ) -> Object<'s> {
        Object { value: self, fields, table }
    }
}

impl<'a> Object<'a> {
    /// The value of a field; nothing where it is left out, or is null where null means that.
    pub(crate) fn get(&self, name: &'static str) -> Option<Value<'a>> {
        debug_assert!(self.table.field(name).is_some(), "{name} is no field of {}", self.table.what);
        let value = self.written(name)?;
        let nullable = self.table.field(name).is_some_and(|field| field.nullable);
        (!(nullable && matches!(value.json, Json::Null))).then_some(value)
    }

    /// Whether a field is there, and null.
    pub(crate) fn is_null(&self, name: &'static str) -> bool {
        matches!(self.written(name), Some(Value { json: Json::Null, .. }))
    }

    /// The size in a field.
    pub(crate) fn size(&self, name: &'static str) -> Option<u64> {
        let value = self.get(name)?;
        match self.table.field(name)?.shape {
            Shape::Size(rule) => value.size(&rule),
            _ => value.not("a size", "tell the authors, this is their mistake"),
        }
    }

    /// The whole number in a field.
    pub(crate) fn count(&self, name: &'static str) -> Option<u64> {
        let value = self.get(name)?;
        match self.table.field(name)?.shape {
            Shape::Count(rule) => value.count(rule),
            _ => value.not("a number", "tell the authors, this is their mistake"),
        }
    }

    /// The whole number of 32 bits in a field.
    pub(crate) fn count_u32(&self, name: &'static str) -> Option<u32> {
        self.count(name).and_then(|number| u32::try_from(number).ok())
    }

    /// The number in a field that has a few possible ones.
    pub(crate) fn number(&self, name: &'static str) -> Option<u64> {
        let value = self.get(name)?;
        let Shape::Number(known) = self.table.field(name)?.shape else {
            return value.not("a number", "tell the authors, this is their mistake");
        };
        let found = if let Json::Whole(number) = value.json { Some(*number) } else { None };
        found.filter(|number| known.contains(number)).or_else(|| {
            let words: Vec<_> = known.iter().map(u64::to_string).collect();
            value.not(&words.join(" or "), "write one of the two, without quotes")
        })
    }

    /// The word in a field.
    pub(crate) fn word(&self, name: &'static str) -> Option<&'static str> {
        let value = self.get(name)?;
        match self.table.field(name)?.shape {
            Shape::Word(words) => value.word(words),
            _ => value.not("a word", "tell the authors, this is their mistake"),
        }
    }

    fn written(&self, name: &'static str) -> Option<Value<'a>> {
        let json = self.fields.iter().find_map(|(key, json)| (key == name).then_some(json))?;
        Some(self.value.child(name, json))
    }

    /// Writes down which keys are not known, with the known name that may be meant.
    pub(crate) fn check_unknown(&self, is_known: impl Fn(&str) -> bool) {
        for (key, json) in self.fields {
            if is_known(key) {
                continue;
            }
            self.value.log.add_key(&self.value.child(key, json).at, || {
                let known = || self.table.fields.iter().map(|field| field.name);
                let help = match nearest(key, known()) {
                    Some(name) => format!("did you mean \"{name}\"?"),
                    None => format!("known here are {}", known().collect::<Vec<_>>().join(", ")),
                };
                ("unknown field".to_owned(), help)
            });
        }
    }

    /// Writes down which fields must be there and are not.
    pub(crate) fn check_missing(&self) {
        for field in self.table.fields {
            if let Presence::Required(example) = field.presence
                && self.written(field.name).is_none()
            {
                let at = self.value.at.key(field.name);
                self.value.log.add(&at, || ("missing".to_owned(), format!("write {example}")));
            }
        }
    }
}
