//! Finds the text of a place in a plan. Used only for messages, so decoding stores no positions.

use std::ops::Range;

use crate::json::{Json, is_structured_attributes};
use crate::location::{Location, Step};
use crate::problem::Part;

/// Finds the bytes of a place in a plan's text. If the place does not exist, for example because a field is missing, returns
/// the nearest one that does; `None` if that is the whole plan, or if the text is not JSON.
pub fn locate(text: &[u8], at: &Location, part: Part) -> Option<Range<usize>> {
    if at.steps().is_empty() {
        return None;
    }
    let document = Json::parse(text).ok()?;
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    if is_structured_attributes(&document) {
        cursor.at = cursor.member(Part::Value, "plan")?.value.start;
    }
    drop(document);
    cursor.follow(at.steps(), part)
}

/// The range of a key in an object, and that of its value.
struct Member {
    key: Range<usize>,
    value: Range<usize>,
}

/// A place in a text that is known to be JSON.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Follows the steps of a place from the current value.
    fn follow(mut self, steps: &[Step], part: Part) -> Option<Range<usize>> {
        let mut found = self.value()?;
        for (index, step) in steps.iter().enumerate() {
            self.at = found.start;
            found = match step {
                Step::Index(index) => match self.item(*index) {
                    Some(item) => item,
                    None => return Some(found),
                },
                Step::Key(key) => match self.member(part, key) {
                    Some(member) if part == Part::Key && index + 1 == steps.len() => return Some(member.key),
                    Some(member) => member.value,
                    None => return Some(found),
                },
            };
        }
        Some(found)
    }

    /// A member of the current object: for [`Part::Key`] the last one with this key, else the first one, which is the one that
    /// is decoded.
    fn member(mut self, part: Part, wanted: &str) -> Option<Member> {
        let mut found = None;
        self.open(b'{')?;
        while self.peek()? != b'}' {
            let key = self.value()?;
            let name: String = serde_json::from_slice(self.text.get(key.clone())?).ok()?;
            self.open(b':')?;
            let value = self.value()?;
            if name == wanted {
                found = Some(Member { key, value });
                if part == Part::Value {
                    break;
                }
            }
            self.skip_comma();
        }
        found
    }

    /// An item of the current list.
    fn item(mut self, index: usize) -> Option<Range<usize>> {
        self.open(b'[')?;
        let mut left = index;
        while self.peek()? != b']' {
            let item = self.value()?;
            if left == 0 {
                return Some(item);
            }
            left -= 1;
            self.skip_comma();
        }
        None
    }

    /// Skips a value of any depth.
    fn value(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b'"' => self.skip_string()?,
                _ => self.skip_word(),
            }
            if depth == 0 {
                let range = start..self.at;
                self.skip_space();
                return Some(range);
            }
            self.skip_space();
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips a character and the white space after it.
    fn open(&mut self, character: u8) -> Option<()> {
        (self.peek()? == character).then(|| {
            self.at += 1;
            self.skip_space();
        })
    }

    fn skip_comma(&mut self) {
        // There is none after the last item.
        let _ = self.open(b',');
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Skips a number, true, false or null, and a comma or a colon before it.
    fn skip_word(&mut self) {
        self.at += 1;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, at: &Location, part: Part) -> Option<&'a str> {
        locate(text.as_bytes(), at, part).map(|range| &text[range])
    }

    fn plan(key: &str) -> Location {
        Location::plan().key(key)
    }

    #[test]
    fn values_keys_and_items_are_found() {
        let text = r#" { "a" : [ 1, {"b\n": -2.5e3} , "x]\"" ], "c": { "/x: y": null, "/x": true } } "#;
        let value = |at: Location| found(text, &at, Part::Value);
        assert_eq!(value(plan("a").index(0)), Some("1"));
        assert_eq!(value(plan("a").index(1).key("b\n")), Some("-2.5e3"));
        assert_eq!(value(plan("a").index(2)), Some("\"x]\\\"\""));
        assert_eq!(value(plan("c").key("/x: y")), Some("null"));
        assert_eq!(value(plan("c").key("/x")), Some("true"));
        assert_eq!(found(text, &plan("c").key("/x"), Part::Key), Some("\"/x\""));
        assert_eq!(found(text, &plan("a"), Part::Key), Some("\"a\""));
    }

    #[test]
    fn long_keys_are_found_by_all_of_their_bytes() {
        let (one, other) = (format!("{}1", "x".repeat(500)), format!("{}2", "x".repeat(500)));
        let text = format!(r#"{{ "{one}": 1, "{other}": 2 }}"#);
        assert_eq!(found(&text, &plan(&other), Part::Value), Some("2"));
    }

    #[test]
    fn what_is_missing_leads_to_what_should_have_it() {
        let text = r#"{ "version": 1, "trees": [ { "target": "/" } ] }"#;
        let value = |at: Location| found(text, &at, Part::Value);
        assert_eq!(value(plan("trees").index(0).key("source")), Some(r#"{ "target": "/" }"#));
        assert_eq!(value(plan("trees").index(7).key("source")), Some(r#"[ { "target": "/" } ]"#));
        assert_eq!(value(plan("version").key("x")), Some("1"));
        assert_eq!(value(plan("closure").key("graph")), Some(text));
        assert_eq!(value(Location::plan()), None);
    }

    #[test]
    fn of_keys_that_come_twice_the_first_counts_and_the_last_is_shown() {
        let text = r#"{ "a": 1, "b": 2, "a": 3 }"#;
        assert_eq!(locate(text.as_bytes(), &plan("a"), Part::Key), Some(18..21));
        assert_eq!(found(text, &plan("a"), Part::Value), Some("1"));
    }

    #[test]
    fn plans_are_found_within_structured_attributes() {
        let text = r#"{ "version": "2", "plan": { "version": 1, "x": 5 }, "x": 6 }"#;
        assert_eq!(found(text, &plan("x"), Part::Value), Some("5"));
    }

    #[test]
    fn no_text_leads_astray() {
        for text in ["", "{", "[1", "{\"a\":}", "{\"a\" 1}", "\"", "{\"a\":\"\\", "nul"] {
            assert_eq!(found(text, &plan("a").index(0).key("b"), Part::Value), None, "{text}");
        }
    }
}
