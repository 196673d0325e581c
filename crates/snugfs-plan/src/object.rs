//! Objects with known fields: reports unknown and missing fields, and reads the others by name.

use std::fmt::Debug;

use crate::choices::{Numbers, Words};
use crate::json::Json;
use crate::nearest::nearest;
use crate::shapes::{Field, Presence, Shape, Table};
use crate::value::Value;

/// An object, and the table of its fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    value: &'a Value<'a>,
    pub(crate) fields: &'a [(String, Json)],
    table: &'static Table,
    sealed: bool,
}

impl Value<'_> {
    /// An object with the fields of a table. Reports unknown and missing fields.
    pub(crate) fn object<'s>(&'s self, table: &'static Table) -> Option<Object<'s>> {
        let object = Object { value: self, fields: self.pairs()?, table, sealed: false };
        object.check_unknown(|name| table.field(name).is_some());
        object.check_missing();
        Some(object)
    }

    /// The same, without reporting unknown and missing fields, which the caller does.
    pub(crate) fn object_unchecked<'s>(
        &'s self,
        fields: &'s [(String, Json)],
        table: &'static Table,
    ) -> Object<'s> {
        Object { value: self, fields, table, sealed: false }
    }
}

impl<'a> Object<'a> {
    /// The same object, whose fields have the defaults of a sealed one if it is.
    pub(crate) fn sealed(self, sealed: bool) -> Self {
        Self { sealed, ..self }
    }

    /// Whether its fields have those defaults.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The value of a field in the plan; `None` if it is left out, or null where that is allowed.
    pub(crate) fn given(&self, name: &'static str) -> Option<Value<'a>> {
        let field = self.field(name);
        self.written(name).filter(|value| !(field.nullable && matches!(value.json, Json::Null)))
    }

    /// The value of a field: that of the plan, or else the table's default, decoded in the same way. `None` if the field
    /// is left out and has no default, if it is null, and if its value is wrong.
    pub(crate) fn read<T>(&self, name: &'static str, decode: impl Fn(&Value<'_>) -> Option<T>) -> Option<T> {
        let Some(value) = self.given(name) else {
            // In a sealed object, null means the default.
            let is_null = self.written(name).is_some();
            let is_sealed = self.sealed && self.field(name).if_sealed.is_some();
            return if is_null && !is_sealed { None } else { self.default(name, decode) };
        };
        decode(&value)
    }

    /// The value of a field with a default that is not null. If the plan's value is wrong, it is the default.
    pub(crate) fn read_or_default<T>(
        &self,
        name: &'static str,
        decode: impl Fn(&Value<'_>) -> Option<T>,
    ) -> T {
        let value = self.read(name, &decode).or_else(|| self.default(name, decode));
        value.unwrap_or_else(|| self.differ(name, "has a default other than null"))
    }

    /// The table's default of a field.
    fn default<T>(&self, name: &'static str, decode: impl Fn(&Value<'_>) -> Option<T>) -> Option<T> {
        let field = self.field(name);
        let Presence::Default(default) = field.presence else { return None };
        let default = if self.sealed { field.if_sealed.unwrap_or(default) } else { default };
        let Ok(json) = Json::parse(default.as_bytes()) else { self.differ(name, "has JSON as its default") };
        if field.nullable && json == Json::Null {
            return None;
        }
        let value = decode(&self.value.child(name, &json));
        Some(value.unwrap_or_else(|| self.differ(name, "has a default that it can hold")))
    }

    /// The size in a field.
    pub(crate) fn size(&self, name: &'static str) -> Option<u64> {
        self.read(name, self.sizes(name))
    }

    /// The size in a field that has a default.
    pub(crate) fn size_or_default(&self, name: &'static str) -> u64 {
        self.read_or_default(name, self.sizes(name))
    }

    fn sizes(&self, name: &'static str) -> impl Fn(&Value<'_>) -> Option<u64> {
        let Shape::Size(rule) = self.field(name).shape else { self.differ(name, "is a size") };
        move |value| value.size(&rule)
    }

    /// The whole number in a field.
    pub(crate) fn count<N: TryFrom<u64>>(&self, name: &'static str) -> Option<N> {
        self.read(name, self.counts(name))
    }

    /// The whole number in a field that has a default.
    pub(crate) fn count_or_default<N: TryFrom<u64>>(&self, name: &'static str) -> N {
        self.read_or_default(name, self.counts(name))
    }

    fn counts<N: TryFrom<u64>>(&self, name: &'static str) -> impl Fn(&Value<'_>) -> Option<N> {
        let Shape::Count(rule) = self.field(name).shape else { self.differ(name, "is a whole number") };
        if N::try_from(rule.max).is_err() {
            self.differ(name, "is a number of so few bits");
        }
        move |value| N::try_from(value.count(rule)?).ok()
    }

    /// The meaning of the number in a field.
    pub(crate) fn number<T: Copy + Debug + Sync>(
        &self,
        name: &'static str,
        numbers: &'static Numbers<T>,
    ) -> Option<T> {
        self.read(name, self.numbers(name, numbers))
    }

    /// The meaning of the number in a field that has a default.
    pub(crate) fn number_or_default<T: Copy + Debug + Sync>(
        &self,
        name: &'static str,
        numbers: &'static Numbers<T>,
    ) -> T {
        self.read_or_default(name, self.numbers(name, numbers))
    }

    fn numbers<T: Copy + Debug + Sync>(
        &self,
        name: &'static str,
        numbers: &'static Numbers<T>,
    ) -> impl Fn(&Value<'_>) -> Option<T> {
        if !matches!(self.field(name).shape, Shape::Number(known) if std::ptr::addr_eq(known, numbers)) {
            self.differ(name, "is one of these numbers");
        }
        |value| value.number(numbers)
    }

    /// The meaning of the word in a field.
    pub(crate) fn word<T: Copy + Debug + Sync>(
        &self,
        name: &'static str,
        words: &'static Words<T>,
    ) -> Option<T> {
        self.read(name, self.words(name, words))
    }

    /// The meaning of the word in a field that has a default.
    pub(crate) fn word_or_default<T: Copy + Debug + Sync>(
        &self,
        name: &'static str,
        words: &'static Words<T>,
    ) -> T {
        self.read_or_default(name, self.words(name, words))
    }

    fn words<T: Copy + Debug + Sync>(
        &self,
        name: &'static str,
        words: &'static Words<T>,
    ) -> impl Fn(&Value<'_>) -> Option<T> {
        if !matches!(self.field(name).shape, Shape::Word(known) if std::ptr::addr_eq(known, words)) {
            self.differ(name, "is one of these words");
        }
        |value| value.word(words)
    }

    /// Whether a field is true; it has a default.
    pub(crate) fn flag(&self, name: &'static str) -> bool {
        let Shape::Flag = self.field(name).shape else { self.differ(name, "is true or false") };
        self.read_or_default(name, |value| value.flag())
    }

    fn field(&self, name: &'static str) -> &'static Field {
        self.table.field(name).unwrap_or_else(|| self.differ(name, "is a field"))
    }

    /// Panics because the decoder reads a field that the table lacks. Every plan, and so every test, would panic here.
    #[expect(clippy::panic, reason = "a mistake in the program, which no plan can cause or avoid")]
    fn differ(&self, name: &str, asked: &str) -> ! {
        panic!(
            "the table of {} and its decoder differ: {name:?} {asked} only for the decoder",
            self.table.what
        )
    }

    fn written(&self, name: &'static str) -> Option<Value<'a>> {
        let json = self.fields.iter().find_map(|(key, json)| (key == name).then_some(json))?;
        Some(self.value.child(name, json))
    }

    /// Reports unknown keys, with the most similar known one.
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

    /// Reports unknown and missing fields of an object that is one of several kinds. `other` says how to choose another kind.
    pub(crate) fn check_kind<T: Copy>(
        &self,
        kinds: &Words<T>,
        table_of: fn(T) -> &'static Table,
        other: &str,
    ) {
        let elsewhere = |key: &str| kinds.0.iter().any(|(_, kind)| table_of(*kind).field(key).is_some());
        for (key, json) in self.fields {
            if self.table.field(key).is_none() && elsewhere(key) {
                self.value.child(key, json).wrong::<()>(
                    || format!("{} has no {key}", self.table.what),
                    &format!("leave it out, or write another {other}"),
                );
            }
        }
        self.check_unknown(elsewhere);
        self.check_missing();
    }

    /// Reports missing required fields.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::Choices;
    use crate::location::Place;
    use crate::problem::Log;
    use crate::shapes::CountRule;

    static SIDES: Words<bool> = Choices(&[("left", false), ("right", true)]);
    static OTHERS: Words<bool> = Choices(&[("left", true), ("right", false)]);
    const BYTE: CountRule = CountRule { min: 0, max: 255 };
    static TABLE: Table = Table {
        what: "a test",
        one_of: "",
        fields: &[
            Field::default("side", Shape::Word(&SIDES), "\"right\"", ""),
            Field::default("count", Shape::Count(BYTE), "7", "").or_null().if_sealed("9"),
            Field::default("wrong", Shape::Count(BYTE), "256", ""),
            Field::optional("none", Shape::Flag, ""),
        ],
    };

    fn with<T>(json: &str, read: impl Fn(&Object<'_>) -> T) -> T {
        let (json, log) = (Json::parse(json.as_bytes()).unwrap(), Log::default());
        read(&Value { json: &json, at: Place::PLAN, log: &log }.object(&TABLE).unwrap())
    }

    #[test]
    fn a_field_that_is_left_out_has_the_default_of_the_table() {
        assert!(with("{}", |object| object.word_or_default("side", &SIDES)));
        assert!(!with(r#"{"side": "left"}"#, |object| object.word_or_default("side", &SIDES)));
        let count = |json: &str, sealed| with(json, |object| object.sealed(sealed).count::<u8>("count"));
        assert_eq!(count("{}", false), Some(7));
        assert_eq!(count("{}", true), Some(9));
        assert_eq!(count(r#"{"count": null}"#, false), None);
        assert_eq!(count(r#"{"count": null}"#, true), Some(9));
        assert_eq!(count(r#"{"count": 8}"#, true), Some(8));
        assert_eq!(with("{}", |object| object.read("none", |value| value.flag())), None);
    }

    #[test]
    #[should_panic(expected = "\"side\" is one of these words only for the decoder")]
    fn a_decoder_with_other_words_than_the_table_stops() {
        with("{}", |object| object.word("side", &OTHERS));
    }

    #[test]
    #[should_panic(expected = "\"side\" is a size only for the decoder")]
    fn a_decoder_of_another_shape_stops() {
        with("{}", |object| object.size("side"));
    }

    #[test]
    #[should_panic(expected = "\"colour\" is a field only for the decoder")]
    fn a_decoder_of_a_field_that_the_table_does_not_have_stops() {
        with("{}", |object| object.given("colour").is_some());
    }

    #[test]
    #[should_panic(expected = "\"wrong\" has a default that it can hold only for the decoder")]
    fn a_default_that_the_field_cannot_hold_stops() {
        with("{}", |object| object.count::<u32>("wrong"));
    }

    #[test]
    #[should_panic(expected = "\"none\" has a default other than null only for the decoder")]
    fn a_field_without_a_default_that_is_asked_for_one_stops() {
        with("{}", |object| object.flag("none"));
    }
}
