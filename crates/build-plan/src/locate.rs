//! From the place in a message back to the text of the plan, so that people can be shown it. Only who has been told of a
//! problem asks, so plans are read without keeping a position for every value.

use std::ops::Range;

use crate::decode::is_structured_attributes;
use crate::json::Json;
use crate::place::step;
use crate::tables;

/// Which part of a place is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key; where an object has it twice, the last one.
    Key,
    /// The value.
    Value,
}

/// Finds the bytes of a plan's text that a message is about. `message` begins with a place such as `plan.trees[0].source`
/// and a colon. Where the plan has not all of it, as where a field is missing, the nearest that is there is given;
/// nothing if that is the whole plan, or the text is not JSON.
pub fn locate(text: &[u8], message: &str, part: Part) -> Option<Range<usize>> {
    let document = Json::parse(text).ok()?;
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    if is_structured_attributes(&document) {
        cursor.at =
            cursor.member(Part::Value, |key| (key == "plan").then_some(())).map(|found| found.value.start)?;
    }
    drop(document);
    let rest = message.strip_prefix("plan").filter(|rest| !rest.starts_with(':'))?;
    let is_there = |key: &str| rest.strip_prefix(step(key).as_str()).filter(|next| ends_a_step(next));
    // A file may be called plan.img.
    let is_field = tables::PLAN.fields.iter().any(|field| is_there(field.name).is_some());
    if !is_field && cursor.member(Part::Value, is_there).is_none() {
        return None;
    }
    cursor.follow(rest, part)
}

/// What was found of a key in an object.
struct Member<T> {
    key: Range<usize>,
    value: Range<usize>,
    told: T,
}

/// A place in a text that is known to be JSON.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Goes from the value that stands here along the steps of a place.
    fn follow(mut self, mut rest: &str, part: Part) -> Option<Range<usize>> {
        let mut found = self.value()?;
        loop {
            self.at = found.start;
            let (range, next) = if let Some(index) = rest.strip_prefix('[') {
                let (index, next) = index.split_once(']')?;
                match self.item(index.parse().ok()?) {
                    Some(item) => (item, next),
                    None => return Some(found),
                }
            } else if rest.starts_with('.') {
                let after =
                    |key: &str| rest.strip_prefix(step(key).as_str()).filter(|next| ends_a_step(next));
                match self.member(part, after) {
                    Some(Member { key, told: next, .. }) if ends_a_place(next) && part == Part::Key => {
                        return Some(key);
                    }
                    Some(Member { value, told: next, .. }) => (value, next),
                    None => return Some(found),
                }
            } else {
                return Some(found);
            };
            found = range;
            rest = next;
        }
    }

    /// The member of the object that stands here whose key `wanted` takes: for [`Part::Key`] the last, else the first,
    /// which is the one that counts.
    fn member<T>(mut self, part: Part, wanted: impl Fn(&str) -> Option<T>) -> Option<Member<T>> {
        let mut found = None;
        self.open(b'{')?;
        while self.peek()? != b'}' {
            let key = self.value()?;
            let name: String = serde_json::from_slice(self.text.get(key.clone())?).ok()?;
            self.open(b':')?;
            let value = self.value()?;
            if let Some(told) = wanted(&name) {
                found = Some(Member { key, value, told });
                if part == Part::Value {
                    break;
                }
            }
            self.skip_comma();
        }
        found
    }

    /// An item of the list that stands here.
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

    /// Steps over a value, however deep it is.
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
                b',' | b':' => self.at += 1,
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

    /// Steps over a character, and the space behind it.
    fn open(&mut self, character: u8) -> Option<()> {
        (self.peek()? == character).then(|| {
            self.at += 1;
            self.skip_space();
        })
    }

    fn skip_comma(&mut self) {
        // Behind the last there is none.
        let _ = self.open(b',');
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Steps over a number, true, false or null.
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

fn ends_a_step(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([':', '.', '['])
}

fn ends_a_place(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, message: &str, part: Part) -> Option<&'a str> {
        locate(text.as_bytes(), message, part).map(|range| &text[range])
    }

    #[test]
    fn values_keys_and_items_are_found() {
        let text = r#" { "a" : [ 1, {"b\n": -2.5e3} , "x]\"" ], "c": { "/x: y": null, "/x": true } } "#;
        let value = |message| found(text, message, Part::Value);
        assert_eq!(value("plan.a[0]: wrong"), Some("1"));
        assert_eq!(value("plan.a[1].\"b\\x0a\": wrong"), Some("-2.5e3"));
        assert_eq!(value("plan.a[2]: wrong"), Some("\"x]\\\"\""));
        assert_eq!(value("plan.c.\"/x: y\": wrong"), Some("null"));
        assert_eq!(value("plan.c.\"/x\": wrong"), Some("true"));
        assert_eq!(found(text, "plan.c.\"/x\": wrong", Part::Key), Some("\"/x\""));
        assert_eq!(found(text, "plan.a: wrong", Part::Key), Some("\"a\""));
    }

    #[test]
    fn what_is_missing_leads_to_what_should_have_it() {
        let text = r#"{ "version": 1, "trees": [ { "target": "/" } ] }"#;
        let value = |message| found(text, message, Part::Value);
        assert_eq!(value("plan.trees[0].source: missing"), Some(r#"{ "target": "/" }"#));
        assert_eq!(value("plan.trees[7].source: missing"), Some(r#"[ { "target": "/" } ]"#));
        assert_eq!(value("plan.version.x: missing"), Some("1"));
        assert_eq!(value("plan.closure.graph: missing"), Some(text));
        assert_eq!(value("plan.img: a file"), None);
        assert_eq!(value("plan: wrong"), None);
        assert_eq!(value("file.txt: wrong"), None);
    }

    #[test]
    fn of_keys_that_come_twice_the_first_counts_and_the_last_is_shown() {
        let text = r#"{ "a": 1, "b": 2, "a": 3 }"#;
        assert_eq!(locate(text.as_bytes(), "plan.a: wrong", Part::Key), Some(18..21));
        assert_eq!(found(text, "plan.a: wrong", Part::Value), Some("1"));
    }

    #[test]
    fn plans_are_found_within_structured_attributes() {
        let text = r#"{ "version": "2", "plan": { "version": 1, "x": 5 }, "x": 6 }"#;
        assert_eq!(found(text, "plan.x: wrong", Part::Value), Some("5"));
    }

    #[test]
    fn no_text_leads_astray() {
        for text in ["", "{", "[1", "{\"a\":}", "{\"a\" 1}", "\"", "{\"a\":\"\\", "nul"] {
            assert_eq!(found(text, "plan.a[0].b: wrong", Part::Value), None, "{text}");
        }
    }
}
