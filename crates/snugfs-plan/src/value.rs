//! A JSON value at its place. Its methods return what is requested, or report a problem.
//!
//! The invariant: if a method returns `None` for an existing value, it has reported why.

use std::collections::BTreeSet;
use std::fmt::Debug;

use image_tree::{ImagePath, InvalidName, InvalidPath, Permissions, Uuid, escaped};

use crate::choices::{Keys, Numbers, Words};
use crate::json::Json;
use crate::location::{Place, quoted};
use crate::nearest::nearest;
use crate::problem::Log;
use crate::scalars::{self, NoSize};
use crate::shapes::{CountRule, SizeRule};
use crate::tables::{MAX_FILE_NAME, MAX_LINK_TARGET, MAX_MEMBER, MAX_PATH, MAX_RESERVED_PERCENT};

/// A value, its place, and the list for its problems.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) json: &'a Json,
    pub(crate) at: Place<'a>,
    pub(crate) log: &'a Log,
}

/// A size, or the word for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SizeOr {
    /// In \[bytes\].
    Size(u64),
    Word,
}

impl<'a> Value<'a> {
    /// Reports that the value is wrong.
    pub(crate) fn wrong<T>(&self, what: impl FnOnce() -> String, what_to_do: &str) -> Option<T> {
        self.log.add(&self.at, || (what(), what_to_do.to_owned()));
        None
    }

    /// Reports that the value is of the wrong kind.
    pub(crate) fn not<T>(&self, kind: &str, what_to_do: &str) -> Option<T> {
        self.wrong(|| format!("{} is not {kind}", self.shown()), what_to_do)
    }

    /// The value for a message.
    pub(crate) fn shown(&self) -> String {
        match self.json {
            Json::Null => "null".to_owned(),
            Json::Bool(truth) => truth.to_string(),
            Json::Whole(number) => number.to_string(),
            Json::Negative(number) => number.to_string(),
            Json::Float(number) => format!("{number:?}"),
            Json::Text(text) => quoted(text),
            Json::List(_) => "a list".to_owned(),
            Json::Object(_) => "an object".to_owned(),
        }
    }

    /// The key's value in this object.
    pub(crate) fn child<'s>(&'s self, key: &'s str, json: &'s Json) -> Value<'s> {
        Value { json, at: self.at.key(key), log: self.log }
    }

    /// The items of a list.
    pub(crate) fn items<'s>(&'s self, what: &str) -> impl Iterator<Item = Value<'s>> {
        let items: &[Json] = if let Json::List(items) = self.json { items } else { &[] };
        if !matches!(self.json, Json::List(_)) {
            self.not::<()>("a list", &format!("write {what}, in brackets"));
        }
        items.iter().enumerate().map(|(index, json)| Value { json, at: self.at.index(index), log: self.log })
    }

    /// The keys and values of an object, each key once.
    pub(crate) fn pairs(&self) -> Option<&'a [(String, Json)]> {
        let Json::Object(fields) = self.json else {
            return self.not("an object", "write names with their values, in braces");
        };
        let mut seen = BTreeSet::new();
        for (key, json) in fields {
            if !seen.insert(key.as_str()) {
                self.log.add_key(&self.child(key, json).at, || {
                    let help = "keep one of them, readers of JSON differ in which they take";
                    ("the key is there more than once".to_owned(), help.to_owned())
                });
            }
        }
        Some(fields)
    }

    /// Reports problems of keys at all depths, for values that are passed on without decoding.
    pub(crate) fn check_keys(&self) {
        match self.json {
            Json::List(items) => {
                for (index, json) in items.iter().enumerate() {
                    Value { json, at: self.at.index(index), log: self.log }.check_keys();
                }
            }
            Json::Object(_) => {
                for (key, json) in self.pairs().into_iter().flatten() {
                    self.child(key, json).check_keys();
                }
            }
            _ => (),
        }
    }

    /// A text.
    pub(crate) fn text(&self, kind: &str, what_to_do: &str) -> Option<&'a str> {
        match self.json {
            Json::Text(text) => Some(text),
            _ => self.not(kind, what_to_do),
        }
    }

    /// One of several words.
    pub(crate) fn word<T: Copy + Debug + Sync>(&self, words: &Words<T>) -> Option<T> {
        let Json::Text(text) = self.json else {
            return self.not("a string", &format!("write {}", alternatives(&words.keys())));
        };
        let meaning = words.find(|word| word == text);
        if meaning.is_none() {
            self.log.add(&self.at, || {
                let help = match nearest(text, words.keys().into_iter()) {
                    Some(word) => format!("did you mean \"{word}\"?"),
                    None => format!("write {}", alternatives(&words.keys())),
                };
                (format!("{} is not known here", self.shown()), help)
            });
        }
        meaning
    }

    /// One of several whole numbers.
    pub(crate) fn number<T: Copy + Debug + Sync>(&self, numbers: &Numbers<T>) -> Option<T> {
        let found =
            if let Json::Whole(number) = self.json { numbers.find(|known| known == number) } else { None };
        found.or_else(|| {
            let known: Vec<_> = numbers.keys().iter().map(u64::to_string).collect();
            self.not(&known.join(" or "), "write one of the two, without quotes")
        })
    }

    /// True or false.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.json {
            Json::Bool(truth) => Some(*truth),
            _ => self.not("true or false", "write one of the two, without quotes"),
        }
    }

    /// A whole number within limits.
    pub(crate) fn count(&self, rule: CountRule) -> Option<u64> {
        match self.json {
            Json::Whole(number) if (rule.min..=rule.max).contains(number) => Some(*number),
            _ => self.not(
                &format!("a whole number from {} to {}", rule.min, rule.max),
                "write one, without quotes",
            ),
        }
    }

    /// A size in \[bytes\].
    pub(crate) fn size(&self, rule: &SizeRule) -> Option<u64> {
        const HELP: &str = "write whole bytes, or a string such as \"16MiB\" with KiB, MiB, GiB or TiB";
        let size = match self.json {
            Json::Whole(number) => Ok(*number),
            Json::Text(text) => scalars::size(text),
            _ => Err(NoSize::Form),
        };
        let size = match size {
            Ok(size) => size,
            Err(NoSize::Form) => return self.not("a size", HELP),
            Err(NoSize::TooLarge) => {
                return self
                    .wrong(|| format!("{} is 2^64 bytes or more", self.shown()), "write a smaller size");
            }
        };
        if size == 0 && rule.or_zero {
            return Some(size);
        }
        let which =
            if size < rule.min { Some("too small") } else { (size > rule.max).then_some("too large") };
        if let Some(which) = which {
            let zero = if rule.or_zero { "0, or " } else { "" };
            let least = readable(rule.min);
            let help = match rule.max {
                u64::MAX => format!("write {zero}at least {least}"),
                max => format!("write {zero}a size from {least} to {}", readable(max)),
            };
            return self.wrong(|| format!("{} is {which}", self.shown()), &help);
        }
        if size % rule.step != 0 {
            let near = size - size % rule.step;
            let help = match near.checked_add(rule.step) {
                Some(above) => format!("{near} and {above} are"),
                None => format!("{near} is"),
            };
            return self
                .wrong(|| format!("{} is not a multiple of {} bytes", self.shown(), rule.step), &help);
        }
        Some(size)
    }

    /// A size in \[bytes\], or a word that stands for a rule.
    pub(crate) fn size_or(&self, rule: &SizeRule, word: &str) -> Option<SizeOr> {
        match self.json {
            Json::Text(text) if text == word => Some(SizeOr::Word),
            Json::Text(text) if scalars::size(text) == Err(NoSize::Form) => {
                let help = format!("write \"{word}\", or a size such as \"16MiB\" with KiB, MiB, GiB or TiB");
                self.not("a size", &help)
            }
            _ => self.size(rule).map(SizeOr::Size),
        }
    }

    /// Permission bits.
    pub(crate) fn mode(&self) -> Option<Permissions> {
        let mode = if let Json::Text(text) = self.json { scalars::mode(text) } else { None };
        mode.or_else(|| self.not("a mode", "write up to four octal digits as a string, such as \"0644\""))
    }

    /// A UUID.
    pub(crate) fn uuid(&self) -> Option<[u8; 16]> {
        let uuid = if let Json::Text(text) = self.json { Uuid::parse(text) } else { None };
        let help = "write 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12, joined by hyphens";
        match uuid {
            // This UUID means "none", so the file system could not be found by UUID.
            Some(uuid) if uuid == Uuid::default() => {
                self.wrong(|| format!("{} is the nil UUID", self.shown()), "choose another UUID")
            }
            Some(uuid) => Some(uuid.0),
            None => self.not("a UUID", help),
        }
    }

    /// A volume's label of at most `most` \[bytes\].
    pub(crate) fn label(&self, most: usize) -> Option<Vec<u8>> {
        let help = format!("write a string of at most {most} bytes");
        let label = self.text("a label", &help)?;
        if label.len() > most {
            return self.wrong(|| format!("{} has {} bytes", self.shown(), label.len()), &help);
        }
        if label.contains('\0') {
            return self.wrong(|| format!("{} has a NUL byte", self.shown()), "leave it out");
        }
        Some(label.as_bytes().to_vec())
    }

    /// A number of percent in thousandths.
    pub(crate) fn percent(&self) -> Option<u32> {
        let thousandths = match self.json {
            Json::Whole(number) => scalars::thousandths(&number.to_string()),
            Json::Float(number) => scalars::thousandths(&number.to_string()),
            _ => None,
        };
        thousandths.filter(|&number| number <= MAX_RESERVED_PERCENT * 1000).or_else(|| {
            let kind = format!("a percentage from 0 to {MAX_RESERVED_PERCENT}");
            self.not(&kind, "write a number, with at most three decimals and without quotes")
        })
    }

    /// The text of a path of this machine.
    pub(crate) fn host_path(&self) -> Option<&'a str> {
        let path = self.text("a path", "write the path as a string")?;
        if path.is_empty() {
            return self.wrong(|| "the path is empty".to_owned(), "write a path, or leave the field out");
        }
        if path.contains('\0') {
            return self.wrong(|| format!("{} has a NUL byte", self.shown()), "leave it out");
        }
        Some(path)
    }

    /// A path in the image.
    pub(crate) fn image_path(&self) -> Option<ImagePath> {
        let path = self.text("a path", "write the path as a string")?;
        self.parse_image_path(path)
    }

    /// A path in the image that is the key of this value, or the value itself.
    pub(crate) fn parse_image_path(&self, path: &str) -> Option<ImagePath> {
        if path.len() > MAX_PATH {
            let what = || format!("the path {} has {} bytes", quoted(path), path.len());
            return self.wrong(what, &format!("write one of at most {MAX_PATH}"));
        }
        match ImagePath::parse(path.as_bytes()) {
            Ok(path) => Some(path),
            Err(InvalidPath::NotAbsolute(_)) => {
                self.wrong(|| format!("the path {} is not absolute", quoted(path)), &absolute(path))
            }
            Err(InvalidPath::BadPart { reason, .. }) => {
                let help = match reason {
                    InvalidName::Empty => "write one / between names, and none at the end",
                    InvalidName::Dots(_) => "write the path without it",
                    InvalidName::TooLong(_) => "choose shorter names",
                    InvalidName::BadByte(_) => "leave the NUL out",
                    _ => "choose another name",
                };
                self.wrong(|| format!("in the path {} {reason}", quoted(path)), help)
            }
            Err(reason) => self.wrong(|| reason.to_string(), "choose another path"),
        }
    }

    /// The name of a file in an archive.
    pub(crate) fn member(&self) -> Option<String> {
        let help = format!("write a relative path of at most {MAX_MEMBER} bytes, such as \"disk.raw\"");
        let name = self.text("the name of a file", &help)?;
        if name.len() > MAX_MEMBER {
            return self.wrong(|| format!("the name has {} bytes", name.len()), &help);
        }
        if name.contains('\0') || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return self.not("the name of a file in an archive", &help);
        }
        Some(name.to_owned())
    }

    /// The name of a file in a folder.
    pub(crate) fn file_name(&self) -> Option<String> {
        let help = "write a name without /, such as \"card-1.img\"";
        let name = self.text("the name of a file", help)?;
        if name.len() > MAX_FILE_NAME {
            return self.wrong(|| format!("the name has {} bytes", name.len()), "choose a shorter name");
        }
        if name.contains(['/', '\0']) || matches!(name, "" | "." | "..") {
            return self.not("the name of a file", help);
        }
        Some(name.to_owned())
    }

    /// The target of a symlink.
    pub(crate) fn link_target(&self) -> Option<Vec<u8>> {
        let help = "write a string of 1 to 4095 bytes without NUL";
        let target = self.text("the target of a symlink", help)?;
        if target.is_empty() {
            return self.wrong(|| "the target is empty".to_owned(), help);
        }
        if target.len() > MAX_LINK_TARGET {
            return self.wrong(|| format!("the target has {} bytes", target.len()), help);
        }
        if target.contains('\0') {
            return self.wrong(|| format!("{} has a NUL byte", self.shown()), help);
        }
        Some(target.as_bytes().to_vec())
    }
}

/// A size for messages, for example `4194304 bytes (4MiB)`.
/// `4MiB`, `1 byte`, `513 bytes`
fn readable(size: u64) -> String {
    let plural = if size == 1 { "" } else { "s" };
    scalars::with_unit(size).unwrap_or_else(|| format!("{size} byte{plural}"))
}

/// What to write instead of a relative path.
fn absolute(path: &str) -> String {
    let path = format!("/{}", path.strip_prefix("./").unwrap_or(path));
    match ImagePath::parse(path.as_bytes()) {
        Ok(_) => format!("write {}: paths in the image begin with /", quoted(&path)),
        Err(_) => "paths in the image begin with /".to_owned(),
    }
}

/// `"a", "b" or "c"`
pub(crate) fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", escaped(word.as_bytes()))).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
