//! JSON as it was written: keys in their order, with duplicates.
//!
//! The invariant: memory stays within a small multiple of the text, because the number of values is limited and
//! depth is limited by `serde_json` (127 levels).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Maximum number of values in a document: about as many as a graph of 400,000 store paths has.
const MAX_VALUES: u32 = 1 << 23;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A whole number of at least 0.
    Whole(u64),
    /// A whole number below 0.
    Negative(i64),
    /// A number with a fraction or an exponent, or one that does not fit 64 bits.
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a document.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Self::parse_at_most(bytes, MAX_VALUES)
    }

    fn parse_at_most(bytes: &[u8], values: u32) -> Result<Self, serde_json::Error> {
        let left = Cell::new(values);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = Reader { left: &left, values }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    /// The first value of a key, if this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Converts to a value of `serde_json`.
    pub(crate) fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Whole(number) => Value::from(*number),
            Self::Negative(number) => Value::from(*number),
            Self::Float(number) => Value::from(*number),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.clone(), value.to_value())).collect())
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    left: &'a Cell<u32>,
    values: u32,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(D::Error::custom(format_args!("more than {} values", self.values)));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(u64::try_from(number).map_or(Json::Negative(number), Json::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key()? {
            fields.push((key, map.next_value_seed(self)?));
        }
        Ok(Json::Object(fields))
    }
}

/// Derivations have versions too, but as text.
pub(crate) fn is_structured_attributes(document: &Json) -> bool {
    matches!(document.get("plan"), Some(Json::Object(_)))
        && matches!(document.get("version"), None | Some(Json::Text(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_their_number() {
        let json = Json::parse(br#"{"b": 1, "a": [-2, 0.5, null, true], "b": "x"}"#).unwrap();
        let list = Json::List(vec![Json::Negative(-2), Json::Float(0.5), Json::Null, Json::Bool(true)]);
        let fields = [("b", Json::Whole(1)), ("a", list), ("b", Json::Text("x".to_owned()))]
            .map(|(k, v)| (k.to_owned(), v));
        assert_eq!(json, Json::Object(fields.to_vec()));
        assert_eq!(json.get("b"), Some(&Json::Whole(1)));
        assert_eq!(json.to_value(), serde_json::json!({"a": [-2, 0.5, null, true], "b": "x"}));
    }

    #[test]
    fn numbers_beyond_64_bits_are_not_taken_for_others() {
        assert_eq!(Json::parse(b"18446744073709551615").unwrap(), Json::Whole(u64::MAX));
        assert!(matches!(Json::parse(b"18446744073709551616").unwrap(), Json::Float(_)));
        assert!(Json::parse(b"1e999").is_err());
    }

    #[test]
    fn number_of_values_and_depth_are_limited() {
        assert!(Json::parse_at_most(b"[1,2,3]", 4).is_ok());
        let error = Json::parse_at_most(b"[1,2,3]", 3).unwrap_err();
        assert_eq!(error.to_string(), "more than 3 values at line 1 column 5");
        assert!(Json::parse("[".repeat(1_000_000).as_bytes()).is_err());
        assert!(Json::parse(b"[] []").is_err());
    }
}
