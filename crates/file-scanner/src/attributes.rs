//! `plan.attributes` in the order in which they are applied. Keys are paths or patterns of paths.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use image_tree::ImagePath;
use snugfs_plan::AttributesPlan;

use crate::characters::CharacterGlobs;
use crate::error::ScanError;
use crate::glob_error;

/// A key of `plan.attributes`.
#[derive(Clone, Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) path: &'a ImagePath,
    pub(crate) plan: &'a AttributesPlan,
    pub(crate) is_pattern: bool,
    /// The text before the first wildcard. Of an exact path, all of it.
    literal: Vec<u8>,
}

impl<'a> Rule<'a> {
    fn new(path: &'a ImagePath, plan: &'a AttributesPlan) -> Self {
        let text = path.as_bytes();
        let is_pattern = is_pattern(text);
        let literal = if is_pattern { literal(text) } else { text.to_vec() };
        Self { path, plan, is_pattern, literal }
    }

    /// The order of application: what has the longer text before its first wildcard comes later. All rules of one path have
    /// texts that begin in the same way, so the order of bytes is that of lengths. Exact paths are in the order of the tree.
    fn compare(&self, other: &Self) -> Ordering {
        let by_text = || self.path.as_bytes().cmp(other.path.as_bytes());
        let bytes =
            |rule: &Self| rule.literal.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect();
        let (one, two): (Vec<u8>, Vec<u8>) = (bytes(self), bytes(other));
        one.cmp(&two).then_with(|| other.is_pattern.cmp(&self.is_pattern)).then_with(by_text)
    }
}

/// Whether a key is a pattern: whether it has a special character of a glob.
fn is_pattern(key: &[u8]) -> bool {
    key.iter().any(|byte| b"*?[{\\".contains(byte))
}

/// The text before the first wildcard of a pattern.
fn literal(pattern: &[u8]) -> Vec<u8> {
    let mut literal = Vec::new();
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' | b'{' => break,
            b'\\' => literal.extend(bytes.next()),
            _ => literal.push(*byte),
        }
    }
    literal
}

/// All of `plan.attributes`. The position of a rule is its rank: later ones take precedence.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    rules: Vec<Rule<'a>>,
    /// For paths of ASCII, where bytes are characters.
    globs: GlobSet,
    /// The same patterns for other paths.
    character_globs: CharacterGlobs,
    /// The rules of the patterns, by their position there.
    patterns: Vec<usize>,
}

impl<'a> Attributes<'a> {
    /// Sorts the attributes of a plan. Keys with a special character that are no valid pattern are errors.
    pub(crate) fn new(
        attributes: &'a BTreeMap<ImagePath, AttributesPlan>,
        errors: &mut Vec<ScanError>,
    ) -> Self {
        let mut rules: Vec<Rule<'a>> = attributes.iter().map(|(path, plan)| Rule::new(path, plan)).collect();
        rules.sort_by(Rule::compare);
        let mut builder = GlobSetBuilder::new();
        let (mut patterns, mut globs) = (Vec::new(), Vec::new());
        for (position, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_pattern) {
            // Paths of a plan are UTF-8.
            let text = String::from_utf8_lossy(rule.path.as_bytes());
            match GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build() {
                Ok(glob) => {
                    builder.add(glob.clone());
                    globs.push(glob);
                    patterns.push(position);
                }
                Err(error) => {
                    let (reason, help) = glob_error::explain(error.kind());
                    errors.push(ScanError::AttributesPattern { path: rule.path.clone(), reason, help });
                }
            }
        }
        let character_globs = CharacterGlobs::new(&globs).unwrap_or_else(|error| {
            errors.push(ScanError::Internal(format!("the patterns of attributes: {error}")));
            CharacterGlobs::default()
        });
        let globs = builder.build().unwrap_or_else(|error| {
            errors.push(ScanError::Internal(format!("the patterns of attributes: {error}")));
            GlobSet::empty()
        });
        Self { rules, globs, character_globs, patterns }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The rule of a rank.
    pub(crate) fn rule(&self, rank: usize) -> &Rule<'a> {
        &self.rules[rank]
    }

    /// Exact paths with their ranks.
    pub(crate) fn exact(&self) -> impl Iterator<Item = (usize, &'a ImagePath)> {
        let exact = self.rules.iter().enumerate().filter(|(_, rule)| !rule.is_pattern);
        exact.map(|(rank, rule)| (rank, rule.path))
    }

    /// The ranks of patterns.
    pub(crate) fn patterns(&self) -> &[usize] {
        &self.patterns
    }

    /// The ranks of the patterns that match a path, ascending.
    pub(crate) fn matches(&self, path: &[u8]) -> Vec<usize> {
        let mut found = if path.is_ascii() {
            self.globs.matches(Path::new(OsStr::from_bytes(path)))
        } else {
            self.character_globs.matches(path)
        };
        found.sort_unstable();
        found.into_iter().map(|position| self.patterns[position]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(keys: &[&str]) -> BTreeMap<ImagePath, AttributesPlan> {
        let plan =
            AttributesPlan { uid: None, gid: None, permissions: None, xattrs: Vec::new(), recursive: false };
        keys.iter().map(|key| (ImagePath::parse(key.as_bytes()).unwrap(), plan.clone())).collect()
    }

    #[test]
    fn the_longer_text_before_a_wildcard_comes_later_and_exact_paths_after_patterns() {
        let plan = plan(&[
            "/",
            "/**",
            "/home/*",
            "/home",
            "/home*",
            "/home/{a,b}",
            "/home/a",
            "/home/a\\*",
            "/a-b",
            "/a/b",
        ]);
        let mut errors = Vec::new();
        let attributes = Attributes::new(&plan, &mut errors);
        assert!(errors.is_empty(), "{errors:?}");
        let text = |rule: &Rule<'_>| String::from_utf8_lossy(rule.path.as_bytes()).into_owned();
        let order: Vec<String> = attributes.rules.iter().map(text).collect();
        assert_eq!(
            order,
            [
                "/**",
                "/",
                "/a/b",
                "/a-b",
                "/home*",
                "/home",
                "/home/*",
                "/home/{a,b}",
                "/home/a",
                "/home/a\\*"
            ]
        );
        let matching = |path: &str| -> Vec<String> {
            let found = attributes.matches(path.as_bytes()).into_iter();
            found.map(|rank| text(attributes.rule(rank))).collect()
        };
        assert_eq!(matching("/home"), ["/**", "/home*"]);
        assert_eq!(matching("/home/a"), ["/**", "/home/*", "/home/{a,b}"]);
        assert_eq!(matching("/home/a*"), ["/**", "/home/*", "/home/a\\*"]);
        assert_eq!(matching("/home/.x/y"), ["/**"]);
        assert_eq!(matching("/homes/y"), ["/**"]);
    }

    #[test]
    fn wildcards_match_characters_and_not_bytes() {
        let plan = plan(&["/?", "/??", "/[!a]", "/[éö]", "/{é,x}"]);
        let attributes = Attributes::new(&plan, &mut Vec::new());
        let matching = |path: &[u8]| -> Vec<String> {
            let found = attributes.matches(path).into_iter();
            found.map(|rank| attributes.rule(rank).path.to_string()).collect()
        };
        assert_eq!(matching("/é".as_bytes()), ["/?", "/[!a]", "/[éö]", "/{é,x}"]);
        assert_eq!(matching(b"/x"), ["/?", "/[!a]", "/{é,x}"]);
        assert_eq!(matching("/éx".as_bytes()), ["/??"]);
        assert_eq!(matching(b"/\xff"), ["/?", "/[!a]"]);
    }

    #[test]
    fn a_wrong_pattern_is_an_error() {
        let plan = plan(&["/usr/bin/[", "/usr/bin/\\["]);
        let mut errors = Vec::new();
        let attributes = Attributes::new(&plan, &mut errors);
        assert!(matches!(errors.as_slice(), [ScanError::AttributesPattern { .. }]), "{errors:?}");
        assert_eq!(attributes.matches(b"/usr/bin/[").len(), 1);
    }

    #[test]
    fn what_is_wrong_with_a_pattern_has_one_remedy() {
        let itself = |one| format!("add it, or write \"\\\\{one}\" for the character itself");
        for (pattern, what, help) in [
            ("/[", r#""[" has no "]""#, itself("[")),
            ("/{a", r#""{" has no "}""#, itself("{")),
            ("/?a}", r#""}" has no "{""#, itself("}")),
            ("/[z-a]", "the range z-a ends before it begins", "write a-z".to_owned()),
            (
                "/a\\",
                "it ends with a backslash, which needs a character after it",
                r#"write "\\\\" for the character itself"#.to_owned(),
            ),
        ] {
            let mut errors = Vec::new();
            Attributes::new(&plan(&[pattern]), &mut errors);
            let text = errors.iter().map(ToString::to_string).collect::<String>();
            let expected = format!(": is not a valid pattern: {what}; {help}");
            assert!(text.ends_with(&expected), "{text}");
        }
    }

    #[test]
    fn two_stars_match_slashes_only_between_slashes_and_at_the_end() {
        let plan = plan(&["/home/**x", "/srv/**/x", "/var/**"]);
        let attributes = Attributes::new(&plan, &mut Vec::new());
        let matches = |path: &str| !attributes.matches(path.as_bytes()).is_empty();
        assert!(matches("/home/ax") && matches("/home/x") && !matches("/home/a/x"));
        assert!(matches("/srv/x") && matches("/srv/a/b/x") && !matches("/srv/ax"));
        assert!(matches("/var/a") && matches("/var/a/b") && !matches("/var"));
    }

    #[test]
    fn an_escaped_character_counts_as_text() {
        let plan = plan(&["/a\\*bc*", "/a\\*b{c,d}", "/a\\*", "/a*"]);
        let attributes = Attributes::new(&plan, &mut Vec::new());
        let order: Vec<String> = attributes.rules.iter().map(|rule| rule.path.to_string()).collect();
        assert_eq!(order, ["/a*", "/a\\x5c*", "/a\\x5c*b{c,d}", "/a\\x5c*bc*"]);
        let literals: Vec<&[u8]> = attributes.rules.iter().map(|rule| &rule.literal[..]).collect();
        assert_eq!(literals, [&b"/a"[..], b"/a*", b"/a*b", b"/a*bc"]);
    }
}
