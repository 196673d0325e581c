//! A line of `file_contexts`.

use regex::bytes::{Regex, RegexBuilder};

use crate::expression;
use crate::substitutions::is_space;

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `--`
    Regular,
    /// `-d`
    Directory,
    /// `-l`
    Symlink,
    /// `-c`
    Character,
    /// `-b`
    Block,
    /// `-p`
    Fifo,
    /// `-s`
    Socket,
}

impl FileKind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "--" => Self::Regular,
            "-d" => Self::Directory,
            "-l" => Self::Symlink,
            "-c" => Self::Character,
            "-b" => Self::Block,
            "-p" => Self::Fifo,
            "-s" => Self::Socket,
            _ => return None,
        })
    }
}

/// A line.
#[derive(Debug)]
pub(crate) struct Spec {
    /// The first directory of the expression if it is literal, such as `/usr`. It must be that of the path, byte by byte.
    pub(crate) stem: Vec<u8>,
    pub(crate) has_meta: bool,
    kind: Option<FileKind>,
    /// The context; `None` for `<<none>>`.
    pub(crate) context: Option<String>,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Text(Vec<u8>),
    Expression {
        /// What every match begins with.
        prefix: Vec<u8>,
        regex: Regex,
    },
}

impl Spec {
    /// Parses a line; `None` for an empty line or a comment.
    pub(crate) fn parse(line: &[u8]) -> Result<Option<Self>, String> {
        let mut words = line.split(is_space).filter(|word| !word.is_empty());
        let Some(first) = words.next().filter(|word| word.first() != Some(&b'#')) else { return Ok(None) };
        let word = |word: &[u8]| match std::str::from_utf8(word) {
            Ok(text) if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) => {
                Ok(text.to_owned())
            }
            _ => Err("has a character that is not printable ASCII".to_owned()),
        };
        let (pattern, second) = (word(first)?, words.next().map(word).transpose()?);
        let third = words.next().map(word).transpose()?;
        let (kind, context) = match (second, third) {
            (None, _) => return Err("has no context".to_owned()),
            (Some(context), None) => (None, context),
            (Some(kind), Some(context)) => {
                let known = FileKind::parse(&kind).ok_or_else(|| {
                    format!("{kind} is not a file type; the types are -- -d -l -c -b -p -s")
                })?;
                (Some(known), context)
            }
        };
        let context = (context != "<<none>>").then_some(context);
        let stem = stem_of(pattern.as_bytes()).to_vec();
        let (has_meta, matcher) = (has_meta(pattern.as_bytes()), Matcher::new(&pattern)?);
        Ok(Some(Self { stem, has_meta, kind, context, matcher }))
    }

    /// Whether the line is for this type, and its expression matches the path. The caller compares the stem.
    pub(crate) fn matches(&self, path: &[u8], kind: FileKind) -> bool {
        self.kind.is_none_or(|own| own == kind) && self.matcher.matches(path)
    }
}

impl Matcher {
    fn new(pattern: &str) -> Result<Self, String> {
        if let Some(text) = literal(pattern.as_bytes()) {
            return Ok(Self::Text(text));
        }
        let translated = expression::translated(pattern)?;
        // libselinux puts ^ and $ around it. The $ of PCRE2 also matches before a line feed at the end.
        let regex = RegexBuilder::new(&format!("^{translated}\n?$"))
            .unicode(false)
            .dot_matches_new_line(true)
            .build()
            .map_err(|error| format!("the regular expression is not valid: {}", summary(&error)))?;
        Ok(Self::Expression { prefix: prefix(pattern.as_bytes()), regex })
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Text(text) => {
                path.strip_prefix(text.as_slice()).is_some_and(|rest| rest.is_empty() || rest == b"\n")
            }
            Self::Expression { prefix, regex } => path.starts_with(prefix) && regex.is_match(path),
        }
    }
}

/// The last line of an error, which has the reason.
fn summary(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

const META: &[u8] = b".^$?*+|[({";

/// `spec_hasMetaChars` of libselinux.
fn has_meta(pattern: &[u8]) -> bool {
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' {
            bytes.next();
        } else if META.contains(byte) {
            return true;
        }
    }
    false
}

/// `get_stem_from_spec` of libselinux: the text before the second slash, unless it has a special character. A backslash is none.
fn stem_of(pattern: &[u8]) -> &[u8] {
    let end = pattern.iter().skip(1).position(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let stem = &pattern[..end];
    if stem.iter().any(|byte| META.contains(byte)) { &[] } else { stem }
}

/// The text of an expression that has only ordinary and escaped characters.
fn literal(pattern: &[u8]) -> Option<Vec<u8>> {
    let (text, end) = literal_start(pattern);
    (end == pattern.len()).then_some(text)
}

/// The text that every match of an expression begins with.
fn prefix(pattern: &[u8]) -> Vec<u8> {
    // An alternative outside of parentheses need not begin with it.
    if pattern.contains(&b'|') && has_outer_alternative(pattern) {
        return Vec::new();
    }
    let (mut text, end) = literal_start(pattern);
    // These apply to the last character.
    if matches!(pattern.get(end), Some(b'?' | b'*' | b'{')) {
        text.pop();
    }
    text
}

/// The text up to the first special character, and where that is.
fn literal_start(pattern: &[u8]) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut at = 0;
    while let Some(byte) = pattern.get(at) {
        match (byte, pattern.get(at + 1)) {
            (b'\\', Some(escaped)) if !escaped.is_ascii_alphanumeric() => {
                text.push(*escaped);
                at += 1;
            }
            (b'\\', _) => break,
            (byte, _) if META.contains(byte) || matches!(byte, b')' | b'}' | b']') => break,
            _ => text.push(*byte),
        }
        at += 1;
    }
    (text, at)
}

/// Whether there may be a `|` outside of parentheses.
fn has_outer_alternative(pattern: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => return true,
            // A parenthesis in a class would be counted.
            b'[' => return true,
            _ => {}
        }
    }
    false
}
