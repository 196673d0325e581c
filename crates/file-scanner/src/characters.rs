//! Matches globs against paths with characters other than ASCII. `globset` matches bytes: for it, `?` is one byte, and a class
//! such as `[éö]` has the bytes of its characters.

use std::borrow::Cow;

use globset::Glob;
use regex::{Error, RegexSet, RegexSetBuilder};

/// Globs that match characters. A byte that is part of no character counts as one.
#[derive(Debug, Default)]
pub(crate) struct CharacterGlobs(RegexSet);

impl CharacterGlobs {
    pub(crate) fn new<'g>(globs: impl IntoIterator<Item = &'g Glob>) -> Result<Self, Error> {
        let expressions = globs.into_iter().map(|glob| expression(glob.regex()));
        RegexSetBuilder::new(expressions).dot_matches_new_line(true).build().map(Self)
    }

    /// The positions of the globs that match a path.
    pub(crate) fn matches(&self, path: &[u8]) -> Vec<usize> {
        self.0.matches(&text(path)).into_iter().collect()
    }
}

/// The path as text, with a character for each byte that is part of none.
fn text(path: &[u8]) -> Cow<'_, str> {
    /// The end of the last private area of Unicode, which names of files do not use.
    const PRIVATE: u32 = 0x10_ff00;
    if let Ok(text) = std::str::from_utf8(path) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(path.len() + 4);
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        let bytes = chunk.invalid().iter().map(|byte| PRIVATE + u32::from(*byte));
        text.extend(bytes.filter_map(char::from_u32));
    }
    Cow::Owned(text)
}

/// The expression of a glob, for characters instead of bytes: `globset` writes the bytes of a character as `\xc3\xa9`.
fn expression(bytes: &str) -> String {
    /// What `globset` writes for a class without characters, which needs the tables of Unicode.
    const NONE: &str = r"[^\s\S]";
    let bytes = bytes.strip_prefix("(?-u)").unwrap_or(bytes).replace(NONE, "[a&&b]");
    let mut characters = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_bytes();
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                let byte =
                    std::str::from_utf8(&digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
                characters.push(byte.unwrap_or(0));
                after
            }
            [b'\\', one, after @ ..] => {
                characters.extend([b'\\', *one]);
                after
            }
            [one, after @ ..] => {
                characters.push(*one);
                after
            }
            [] => return String::from_utf8_lossy(&characters).into_owned(),
        };
    }
}

#[cfg(test)]
mod tests {
    use globset::GlobBuilder;

    use super::*;

    #[test]
    fn patterns_match_characters() {
        for (pattern, path, expected) in [
            ("/?", "/é", true),
            ("/??", "/é", false),
            ("/??", "/é\u{301}", true),
            ("/?", "/😀", true),
            ("/[!a]", "/é", true),
            ("/[!é]", "/é", false),
            ("/[!é]", "/è", true),
            ("/[!é]", "//", false),
            ("/[éö]", "/ö", true),
            ("/[éö]", "/è", false),
            ("/[à-ü]", "/é", true),
            ("/[a-z]", "/é", false),
            ("/[a-é]", "/é", true),
            ("/[/]", "/é", false),
            ("/{é,ö?}", "/öx", true),
            ("/é*", "/été", true),
            ("/*é", "/été/é", false),
            ("/**/é", "/x/é", true),
            ("/**/é", "/é", true),
            ("/**", "/é\n", true),
            ("/\\\\xc3é", "/\\xc3é", true),
            ("/\\*é", "/*é", true),
            ("/\\*é", "/xé", false),
            ("/.é", "/xé", false),
        ] {
            let glob =
                GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build().unwrap();
            let globs = CharacterGlobs::new([&glob]).unwrap();
            assert_eq!(!globs.matches(path.as_bytes()).is_empty(), expected, "{pattern} and {path}");
        }
    }

    #[test]
    fn bytes_outside_of_characters_are_matched_one_by_one() {
        let globs = ["/?", "/??", "/[!a]", "/é?", "/*"].map(|pattern| {
            GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build().unwrap()
        });
        let globs = CharacterGlobs::new(&globs).unwrap();
        assert_eq!(globs.matches(b"/\xff"), [0, 2, 4]);
        assert_eq!(globs.matches(b"/\xc3\xc3"), [1, 4]);
        assert_eq!(globs.matches(b"/\xf0\x9f\x98"), [4]);
        assert_eq!(globs.matches(b"/\xc3\xa9\xff"), [1, 3, 4]);
    }
}
